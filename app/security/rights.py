"""Rights: one statement per request for the whole set, then memory."""

from __future__ import annotations

from functools import cache
from typing import Any

import sqlalchemy as sa
from flask import g, has_request_context
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

from app.core.database import KEEPS_PLAN
from app.extensions import db
from app.security.models import RoleProfile


def active_roles_of(user_id: Any) -> sa.Select[tuple[int]]:
    """SELECT of the ids of the roles that grant this user something: own and by group, active ones only."""
    own = sa.select(assoc_user_role.c.role_id).where(assoc_user_role.c.user_id == user_id)
    by_group = (
        sa.select(assoc_group_role.c.role_id)
        .join(assoc_user_group, assoc_user_group.c.group_id == assoc_group_role.c.group_id)
        .where(assoc_user_group.c.user_id == user_id)
    )
    held = own.union_all(by_group).subquery()
    disabled = sa.select(RoleProfile.role_id).where(RoleProfile.role_id == held.c.role_id, ~RoleProfile.active)
    return sa.select(held.c.role_id).where(~disabled.exists())


def rights_of(user_id: int) -> frozenset[tuple[str, str]]:
    """Every (permission, view) this user holds now. Within a request asked once."""
    if has_request_context():
        kept: dict[int, frozenset[tuple[str, str]]] = g.setdefault("rights", {})
        if user_id not in kept:
            kept[user_id] = _load(user_id)
        return kept[user_id]
    return _load(user_id)


def keep(user_id: int, text: str | None) -> None:
    """Remember for this request what a statement brought along as `text_of_rights`."""
    g.setdefault("rights", {})[user_id] = _read(text)


def text_of_rights(user_id: Any) -> sa.ScalarSelect[str]:
    """SELECT of all rights of a user as one text: it comes along with whatever else a statement asks."""
    granted = assoc_permissionview_role
    return (
        sa.select(sa.func.aggregate_strings(Permission.name + " " + ViewMenu.name, "\n"))
        .select_from(PermissionView)
        .join(Permission, Permission.id == PermissionView.permission_id)
        .join(ViewMenu, ViewMenu.id == PermissionView.view_menu_id)
        .join(granted, granted.c.permission_view_id == PermissionView.id)
        .where(granted.c.role_id.in_(active_roles_of(user_id)))
        .scalar_subquery()
    )


def _read(text: str | None) -> frozenset[tuple[str, str]]:
    lines = text.split("\n") if text else []
    return frozenset((permission, view) for permission, _, view in (line.partition(" ") for line in lines))


def _load(user_id: int) -> frozenset[tuple[str, str]]:
    return _read(db.session.execute(_rights(), {"user": user_id}).scalar_one())


@cache
def _rights() -> sa.Select[str]:
    rights = sa.select(text_of_rights(sa.bindparam("user", type_=sa.Integer())))
    return rights.execution_options(**{KEEPS_PLAN: ("user",)})


def person(user_id: int) -> User | None:
    """The person with this id; within a request his rights come along, in the same statement, for `holds`."""
    if not has_request_context() or user_id in g.setdefault("rights", {}):
        return db.session.get(User, user_id)
    found = db.session.execute(_person(), {"user": user_id}).one_or_none()
    if found is None:
        return None
    keep(user_id, found[1])
    return found.User


@cache
def _person() -> sa.Select[User, str]:
    user = sa.bindparam("user", type_=sa.Integer())
    found = sa.select(User, text_of_rights(user)).where(User.id == user)
    return found.execution_options(**{KEEPS_PLAN: ("user",)})


def holds(user: User | None, right: str, view: str) -> bool:
    """Whether this person holds `right` on `view`. Nobody (the system) holds nothing by this question."""
    return user is not None and bool(user.active) and (right, view) in rights_of(user.id)


def administers(user_id: int) -> bool:
    """Whether this person may change accounts or roles; such accounts are never remembered by a browser."""
    return not {("can_edit", "User"), ("can_edit", "Role")}.isdisjoint(rights_of(user_id))


def has_active_role(user_id: int) -> bool:
    """Whether any active role, own or by group, grants this person something; without one nobody signs in."""
    return db.session.execute(active_roles_of(user_id).limit(1)).first() is not None


def people_with_a_role() -> sa.Select[tuple[int]]:
    """SELECT of the ids of everybody whom an active role, own or by group, grants something."""
    disabled = sa.select(RoleProfile.role_id).where(~RoleProfile.active)
    by_group = (
        sa.select(assoc_user_group.c.user_id)
        .join(assoc_group_role, assoc_group_role.c.group_id == assoc_user_group.c.group_id)
        .where(assoc_group_role.c.role_id.not_in(disabled))
    )
    own = sa.select(assoc_user_role.c.user_id).where(assoc_user_role.c.role_id.not_in(disabled))
    return sa.select(User.id).where(sa.or_(User.id.in_(own), User.id.in_(by_group)))


def rights_of_role(role: Role) -> set[tuple[str, str]]:
    """The (permission, view) rights a role holds, active or not."""
    rows = db.session.execute(
        sa.select(Permission.name, ViewMenu.name)
        .select_from(PermissionView)
        .join(Permission, Permission.id == PermissionView.permission_id)
        .join(ViewMenu, ViewMenu.id == PermissionView.view_menu_id)
        .join(assoc_permissionview_role, assoc_permissionview_role.c.permission_view_id == PermissionView.id)
        .where(assoc_permissionview_role.c.role_id == role.id)
    )
    return {(permission, view) for permission, view in rows}


def holders(right: str, view: str) -> sa.Select[tuple[int]]:
    """SELECT of the ids of active users who hold `right` on `view`, own or by group, through active roles."""
    granting = (
        sa.select(assoc_permissionview_role.c.role_id)
        .join(PermissionView, PermissionView.id == assoc_permissionview_role.c.permission_view_id)
        .join(Permission, Permission.id == PermissionView.permission_id)
        .join(ViewMenu, ViewMenu.id == PermissionView.view_menu_id)
        .outerjoin(RoleProfile, RoleProfile.role_id == assoc_permissionview_role.c.role_id)
        .where(Permission.name == right, ViewMenu.name == view, sa.func.coalesce(RoleProfile.active, sa.true()))
    )
    own = sa.select(assoc_user_role.c.user_id).where(assoc_user_role.c.role_id.in_(granting))
    by_group = (
        sa.select(assoc_user_group.c.user_id)
        .join(assoc_group_role, assoc_group_role.c.group_id == assoc_user_group.c.group_id)
        .where(assoc_group_role.c.role_id.in_(granting))
    )
    return sa.select(User.id).where(User.active, sa.or_(User.id.in_(own), User.id.in_(by_group)))
