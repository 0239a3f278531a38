"""What the pages of accounts read: the table of rights, how many hold a role, when somebody was last here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from flask import current_app
from flask_appbuilder.security.sqla.models import (
    Permission,
    PermissionView,
    Role,
    User,
    ViewMenu,
    assoc_group_role,
    assoc_permissionview_role,
    assoc_user_group,
    assoc_user_role,
)
from sqlalchemy.orm import joinedload

from app.core.nav import GROUPS
from app.core.protected import KINDS, rights_on
from app.extensions import db
from app.security.labels import (
    ALL_ROWS,
    COLUMNS,
    FIELDS,
    LIKE,
    OWN,
    RIGHT_LABELS,
    SCREENS,
    SEE,
    SHARED,
    WHOSE,
    right_label,
    view_label,
)
from app.security.models import LoginEntry, RoleProfile, Team, UserProfile, UserSession
from app.security.seed import rights_of_screens


@dataclass
class Screen:
    """One line of the table of rights: what every screen has in columns, the others by name."""

    view: str
    label: Any
    see: list[str]  # those of the rights to see it that the screen has
    common: dict[str, bool]  # permission -> whether the screen has it
    moves: list[tuple[str, Any]]  # (permission, label): what is done there beside
    fields: list[tuple[Any, list[tuple[str, Any]]]]  # what is protected: its name, and the rights that show it
    rows: Any  # whose rows are seen without the right to see all; None: all of them
    all_rows: bool  # whether there is a right to see all rows

    def seen(self, held: set[tuple[str, str]]) -> list[str]:
        """Which of the rights to see the screen are among `held`."""
        return [permission for permission in self.see if (permission, self.view) in held]

    @property
    def permissions(self) -> set[str]:
        """Every right of the screen."""
        fields = {right for _label, rights in self.fields for right, _words in rights}
        moves = {right for right, _label in self.moves}
        all_rows = {ALL_ROWS} if self.all_rows else set()
        return {*self.see, *(p for p, there in self.common.items() if there), *moves, *fields, *all_rows}


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
    fields = [
        (FIELDS[kind], [(right, WHOSE[right == of_any]) for right in (of_own, of_any) if right in permissions])
        for kind in KINDS
        for of_own, of_any in [rights_on(kind)]
        if of_any in permissions
    ]
    shown = {right for _label, rights in fields for right, _words in rights}
    moves = sorted(permissions - SEE.keys() - COLUMNS.keys() - shown - {ALL_ROWS}, key=_place)
    return Screen(
        view,
        view_label(view),
        [permission for permission in SEE if permission in permissions],
        {permission: permission in permissions for permission in COLUMNS},
        [(permission, right_label(permission, view)) for permission in moves],
        fields,
        narrow_rows(view, ALL_ROWS in permissions),
        ALL_ROWS in permissions,
    )


def _place(permission: str) -> tuple[int, str]:
    """Moves stand in the order of their names in labels.py."""
    known = list(RIGHT_LABELS)
    return (known.index(permission) if permission in known else len(known), permission)


def narrow_rows(view: str, all_rows: bool) -> Any:
    """Whose rows a screen shows without the right to see all of them; None where everybody sees all."""
    if view == "Customer":
        return SHARED[current_app.config["LIUKE_CUSTOMERS_SHARED"]]
    return LIKE.get(view) or (OWN if all_rows else None)


@dataclass
class Concerned:
    """Somebody whom a change of a role concerns: what he gains and loses by it, all his other roles counted."""

    user: User
    gains: int
    loses: int


def concerned_by(role_id: int, before: set[tuple[str, str]], after: set[tuple[str, str]]) -> list[Concerned]:
    """The active people who hold the role, by name, with what they gain and lose when its rights change.

    An inactive role grants nothing: give an empty set for it.
    """
    held = held_roles().subquery()
    people = sa.select(held.c.user_id).where(held.c.role_id == role_id)
    disabled = sa.select(RoleProfile.role_id).where(~RoleProfile.active)
    others: dict[int, set[tuple[str, str]]] = {}
    for user_id, permission, view in db.session.execute(
        sa.select(held.c.user_id, Permission.name, ViewMenu.name)
        .join(assoc_permissionview_role, assoc_permissionview_role.c.role_id == held.c.role_id)
        .join(PermissionView, PermissionView.id == assoc_permissionview_role.c.permission_view_id)
        .join(Permission, Permission.id == PermissionView.permission_id)
        .join(ViewMenu, ViewMenu.id == PermissionView.view_menu_id)
        .where(held.c.role_id != role_id, held.c.role_id.not_in(disabled), held.c.user_id.in_(people))
    ):
        others.setdefault(user_id, set()).add((permission, view))
    found = sa.select(User).where(User.id.in_(people), User.active).order_by(User.last_name, User.first_name, User.id)
    return [
        Concerned(
            user, len(after - before - others.get(user.id, set())), len(before - after - others.get(user.id, set()))
        )
        for user in db.session.execute(found).scalars()
    ]


def held_roles() -> sa.CompoundSelect[tuple[int, int]]:
    """SELECT of (role_id, user_id): who holds which role, own or by group, active or not."""
    by_group = sa.select(assoc_group_role.c.role_id, assoc_user_group.c.user_id).join(
        assoc_user_group, assoc_user_group.c.group_id == assoc_group_role.c.group_id
    )
    return sa.union(sa.select(assoc_user_role.c.role_id, assoc_user_role.c.user_id), by_group)


def all_roles() -> list[Role]:
    """Every role with its labels, in the order they were made."""
    return list(db.session.execute(sa.select(Role).options(joinedload(Role.profile)).order_by(Role.id)).scalars())


def people_by_role() -> dict[int, int]:
    """Role id -> number of accounts that hold it, own or by group."""
    held = held_roles().subquery()
    counted = sa.select(held.c.role_id, sa.func.count()).group_by(held.c.role_id)
    return dict(db.session.execute(counted).all())


def last_seen(user_ids: Iterable[int]) -> dict[int, datetime]:
    """User id -> when the person last asked for a page (to the minute)."""
    seen = sa.select(UserSession.user_id, sa.func.max(UserSession.seen_at)).where(UserSession.user_id.in_(user_ids))
    return dict(db.session.execute(seen.group_by(UserSession.user_id)).all())


def recent_sessions(user_id: int, limit: int | None = 10) -> list[UserSession]:
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
