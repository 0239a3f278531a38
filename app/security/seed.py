"""What `flask crm init` puts into the database: rights of every screen, the five roles, the offers made.

Idempotent: run at every deployment, before the web processes.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from flask import current_app
from flask_appbuilder.security.sqla.models import (
    Permission,
    PermissionView,
    Role,
    ViewMenu,
    assoc_permissionview_role,
)

from app.extensions import db
from app.security.models import GrantOffer, RoleProfile
from app.security.roles import ROLES, SUPER_ADMIN, SeededRole, grants_of


def rights_of_screens() -> set[tuple[str, str]]:
    """Every (permission, view) the registered screens and menu entries know."""
    appbuilder: Any = current_app.appbuilder  # type: ignore[attr-defined]
    found = {
        (permission, view.class_permission_name)
        for view in appbuilder.baseviews
        for permission in view.base_permissions
    }
    for group in appbuilder.menu.get_list():
        found |= {("menu_access", item.name) for item in (group.childs or [group])}
    return found


def seed_rights() -> dict[tuple[str, str], int]:
    """Store every right of every screen; returns their ids. Rights of screens that are gone are left alone."""
    permissions = {p.name: p.id for p in db.session.execute(sa.select(Permission)).scalars()}
    views = {v.name: v.id for v in db.session.execute(sa.select(ViewMenu)).scalars()}
    known = {
        (p, v): i
        for i, p, v in db.session.execute(
            sa.select(PermissionView.id, Permission.name, ViewMenu.name)
            .join(Permission, Permission.id == PermissionView.permission_id)
            .join(ViewMenu, ViewMenu.id == PermissionView.view_menu_id)
        )
    }
    for permission, view in sorted(rights_of_screens() - known.keys()):
        if permission not in permissions:
            permissions[permission] = _add(Permission(name=permission))
        if view not in views:
            views[view] = _add(ViewMenu(name=view))
        known[(permission, view)] = _add(
            PermissionView(permission_id=permissions[permission], view_menu_id=views[view])
        )
    return known


def _add(row: Any) -> int:
    db.session.add(row)
    db.session.flush()
    return int(row.id)


def seed_roles(rights: dict[tuple[str, str], int]) -> int:
    """Make the seeded roles that were never made, and offer each its rights once. Returns the rights granted.

    A role is found by its code, so a renamed one is not made again; a right that an administrator took away was
    offered before and is not offered again. Super admin holds every right there is.
    """
    offered = {(o.role_code, o.view, o.permission) for o in db.session.execute(sa.select(GrantOffer)).scalars()}
    made = {p.code: p.role_id for p in db.session.execute(sa.select(RoleProfile)).scalars() if p.code}
    granted = 0
    for seeded in ROLES:
        if seeded.code not in made:
            if any(code == seeded.code for code, _view, _permission in offered):
                continue  # an administrator deleted this role
            made[seeded.code] = _make_role(seeded)
        wanted = rights.keys() if seeded.code == SUPER_ADMIN else grants_of(seeded)
        for permission, view in sorted(wanted):
            if (seeded.code, view, permission) in offered or (permission, view) not in rights:
                continue
            db.session.add(GrantOffer(role_code=seeded.code, view=view, permission=permission))
            granted += _grant(made[seeded.code], rights[(permission, view)])
    return granted


def _make_role(seeded: SeededRole) -> int:
    role = db.session.execute(sa.select(Role).where(Role.name == seeded.code)).scalar_one_or_none()
    role_id = role.id if role is not None else _add(Role(name=seeded.code))
    db.session.add(RoleProfile(role_id=role_id, code=seeded.code, label_zh=seeded.label_zh, label_en=seeded.label_en))
    return int(role_id)


def _grant(role_id: int, right_id: int) -> int:
    held = db.session.execute(
        sa.select(assoc_permissionview_role.c.id).where(
            assoc_permissionview_role.c.role_id == role_id,
            assoc_permissionview_role.c.permission_view_id == right_id,
        )
    ).first()
    if held is None:
        db.session.execute(assoc_permissionview_role.insert().values(role_id=role_id, permission_view_id=right_id))
    return int(held is None)
