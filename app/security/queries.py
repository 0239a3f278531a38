"""What the pages of accounts read: the table of rights, how many hold a role, when somebody was last here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import (
    Permission,
    PermissionView,
    User,
    ViewMenu,
    assoc_group_role,
    assoc_user_group,
    assoc_user_role,
)

from app.core.nav import GROUPS
from app.extensions import db
from app.security.labels import COLUMNS, SCREENS, right_label, view_label
from app.security.models import LoginEntry, Team, UserProfile, UserSession
from app.security.seed import rights_of_screens


@dataclass
class Screen:
    """One line of the table of rights: the common rights in columns, the others by name."""

    view: str
    label: Any
    common: dict[str, bool]  # permission -> whether the screen has it
    others: list[tuple[str, Any]] = field(default_factory=list)  # (permission, label)


def rights_table() -> list[tuple[Any, list[Screen]]]:
    """Every right there is, by group of the menu and screen; those of screens that are gone are left out."""
    stored = {
        (permission, view)
        for permission, view in db.session.execute(
            sa.select(Permission.name, ViewMenu.name)
            .select_from(PermissionView)
            .join(Permission, Permission.id == PermissionView.permission_id)
            .join(ViewMenu, ViewMenu.id == PermissionView.view_menu_id)
        )
    } & rights_of_screens()
    by_view: dict[str, set[str]] = {}
    for permission, view in stored:
        by_view.setdefault(view, set()).add(permission)
    table = []
    for group, label in GROUPS.items():
        named = [view for view in SCREENS.get(group, {}) if view in by_view]
        if group == "system":  # what nobody put into a group comes last
            known = {view for screens in SCREENS.values() for view in screens}
            named += sorted(by_view.keys() - known)
        if named:
            table.append((label, [_screen(view, by_view[view]) for view in named]))
    return table


def _screen(view: str, permissions: set[str]) -> Screen:
    others = sorted(permissions - COLUMNS.keys())
    return Screen(
        view,
        view_label(view),
        {permission: permission in permissions for permission in COLUMNS},
        [(permission, right_label(permission, view)) for permission in others],
    )


def people_by_role() -> dict[int, int]:
    """Role id -> number of accounts that hold it, own or by group."""
    by_group = sa.select(assoc_group_role.c.role_id, assoc_user_group.c.user_id).join(
        assoc_user_group, assoc_user_group.c.group_id == assoc_group_role.c.group_id
    )
    held = sa.union(sa.select(assoc_user_role.c.role_id, assoc_user_role.c.user_id), by_group).subquery()
    counted = sa.select(held.c.role_id, sa.func.count()).group_by(held.c.role_id)
    return dict(db.session.execute(counted).all())


def last_seen(user_ids: Iterable[int]) -> dict[int, datetime]:
    """User id -> when the person last asked for a page (to the minute)."""
    seen = sa.select(UserSession.user_id, sa.func.max(UserSession.seen_at)).where(UserSession.user_id.in_(user_ids))
    return dict(db.session.execute(seen.group_by(UserSession.user_id)).all())


def recent_sessions(user_id: int, limit: int = 10) -> list[UserSession]:
    """The account's latest sessions, newest first."""
    found = sa.select(UserSession).where(UserSession.user_id == user_id).order_by(UserSession.id.desc()).limit(limit)
    return list(db.session.execute(found).scalars())


def recent_logins(user_id: int, limit: int = 10) -> list[LoginEntry]:
    """The account's latest entries of the login log, newest first: sign-ins, wrong passwords and codes, links."""
    found = sa.select(LoginEntry).where(LoginEntry.user_id == user_id).order_by(LoginEntry.id.desc()).limit(limit)
    return list(db.session.execute(found).scalars())


def people_by_team() -> dict[int, int]:
    """Team id -> number of active people in it."""
    counted = (
        sa.select(UserProfile.team_id, sa.func.count())
        .join(User, User.id == UserProfile.user_id)
        .where(UserProfile.team_id.is_not(None), User.active)
        .group_by(UserProfile.team_id)
    )
    return {team_id: number for team_id, number in db.session.execute(counted) if team_id is not None}


def members_of(team: Team) -> list[User]:
    """The active people of a team, by name."""
    found = (
        sa.select(User)
        .join(UserProfile, UserProfile.user_id == User.id)
        .where(UserProfile.team_id == team.id, User.active)
        .order_by(User.last_name, User.first_name, User.id)
    )
    return list(db.session.execute(found).scalars())
