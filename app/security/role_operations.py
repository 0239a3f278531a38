"""What administrators do with roles and their rights (角色、权限).

An `actor` of None is the system or the command line: it may do all of this.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
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

from app.core.errors import BusinessError, NotYours
from app.core.lifecycle import note_move
from app.core.sentences import gettext as _
from app.extensions import db
from app.security import sessions
from app.security.granting import code_of, guard_rights, is_super_admin, may_give
from app.security.models import RoleProfile
from app.security.operations import Mistake, sign
from app.security.rights import rights_of_role
from app.security.roles import SUPER_ADMIN

MOST_ROLES = 100  # a form shows them all, to tick


def create_role(
    *, actor: User | None, label_zh: str, label_en: str, active: bool = True, rights: Iterable[tuple[str, str]] = ()
) -> Role:
    """Make a role of the company's own with these (permission, view) rights, all of which `actor` holds himself.

    A company has at most 100. Raises `Mistake`, `NotYours`. Flushes.
    """
    rights = set(rights)
    if db.session.execute(sa.select(sa.func.count()).select_from(Role)).scalar_one() >= MOST_ROLES:
        raise Mistake(_("There are %(number)d roles. Delete one that nobody needs.", number=MOST_ROLES), "label_en")
    _check_labels(label_zh, label_en, None)
    _check_rights(rights)
    guard_rights(actor, rights)
    role = Role(name=_free_name(label_en))
    db.session.add(role)
    db.session.flush()
    db.session.add(RoleProfile(role_id=role.id, label_zh=label_zh, label_en=label_en, active=active))
    db.session.flush()
    note_move(role, "create", actor=actor, changes=_put_rights(role, rights))
    return role


def change_role(
    role: Role,
    *,
    actor: User | None,
    label_zh: str,
    label_en: str,
    active: bool,
    rights: Iterable[tuple[str, str]] | None = None,
) -> None:
    """Change a role's labels, whether it counts, and its rights (None: leave them). Effective at the next request.

    Deactivated, it ends the sessions of those who have no other. The super admin role is always active and holds
    every right. A role one holds oneself is changed by somebody else, so that nobody gives himself rights; super
    admins hold every right anyway. What is put into a role, `actor` holds himself; a role is activated by who may give
    it. Raises `BusinessError`, `NotYours`. Flushes.
    """
    _check_labels(label_zh, label_en, role)
    profile = _profile_of_role(role)
    before = (profile.label_zh, profile.label_en, profile.active)
    wanted = rights_of_role(role) if rights is None else set(rights)
    if profile.code == SUPER_ADMIN and (not active or wanted != rights_of_role(role)):
        raise BusinessError(_("“%(role)s” is always active and always holds every right.", role=profile.label))
    matters = active != profile.active or wanted != rights_of_role(role)
    if matters and actor is not None and holds_role(actor, role) and not is_super_admin(actor):
        raise NotYours(_("You hold this role yourself. Ask another administrator to change its rights."))
    _check_rights(wanted)
    guard_rights(actor, wanted - rights_of_role(role))
    if active and not profile.active and not may_give(actor, role):
        raise NotYours(_("You do not hold every right of the role “%(role)s”, so you cannot give it.", role=str(role)))
    profile.label_zh, profile.label_en, profile.active = label_zh, label_en, active
    changes = _put_rights(role, wanted)
    db.session.flush()
    if not active:
        sessions.end_without_role()
    if changes or before != (label_zh, label_en, active):
        note_move(role, "edit", actor=actor, changes=changes)


def delete_role(role: Role) -> None:
    """Remove a role nobody has. The history row is the caller's. Raises `BusinessError`. Flushes."""
    refusal = why_not_delete_role(role)
    if refusal is not None:
        raise BusinessError(refusal)
    for table in (assoc_permissionview_role, assoc_group_role):
        db.session.execute(sa.delete(table).where(table.c.role_id == role.id))
    profile = db.session.get(RoleProfile, role.id)
    if profile is not None:
        db.session.delete(profile)
        db.session.flush()
    db.session.expire(role)
    db.session.delete(role)
    db.session.flush()


def why_not_delete_role(role: Role) -> str | None:
    """The sentence for a role that stays; None when it may be removed."""
    if code_of(role) == SUPER_ADMIN:
        return _("The role “%(role)s” cannot be deleted.", role=str(role))
    if users_of_role(role.id):
        return _("People still have the role “%(role)s”. Take it from them first, or deactivate it.", role=str(role))
    return None


def users_of_role(role_id: int) -> int:
    """How many accounts hold the role, own or by group."""
    own = sa.select(assoc_user_role.c.user_id).where(assoc_user_role.c.role_id == role_id)
    by_group = (
        sa.select(assoc_user_group.c.user_id)
        .join(assoc_group_role, assoc_group_role.c.group_id == assoc_user_group.c.group_id)
        .where(assoc_group_role.c.role_id == role_id)
    )
    held = sa.union(own, by_group).subquery()
    return int(db.session.execute(sa.select(sa.func.count()).select_from(held)).scalar_one())


def holds_role(user: User, role: Role) -> bool:
    """Whether the account has the role, own or by group, active or not."""
    own = sa.select(assoc_user_role.c.user_id).where(assoc_user_role.c.role_id == role.id)
    by_group = (
        sa.select(assoc_user_group.c.user_id)
        .join(assoc_group_role, assoc_group_role.c.group_id == assoc_user_group.c.group_id)
        .where(assoc_group_role.c.role_id == role.id)
    )
    held = sa.select(User.id).where(User.id == user.id, sa.or_(User.id.in_(own), User.id.in_(by_group)))
    return db.session.execute(held).first() is not None


def stamp_of_role(role: Role) -> str:
    """A short sign of a role's state; a form that was opened on another state is refused."""
    profile = db.session.get(RoleProfile, role.id)
    face = (profile.label_zh, profile.label_en, str(profile.active)) if profile is not None else (role.name,)
    rights = sorted(f"{permission} {view}" for permission, view in rights_of_role(role))
    return sign(*face, *rights)


def _ids_of_rights() -> dict[tuple[str, str], int]:
    rows = db.session.execute(
        sa.select(PermissionView.id, Permission.name, ViewMenu.name)
        .join(Permission, Permission.id == PermissionView.permission_id)
        .join(ViewMenu, ViewMenu.id == PermissionView.view_menu_id)
    )
    return {(permission, view): pk for pk, permission, view in rows}


def _check_rights(wanted: set[tuple[str, str]]) -> None:
    if not wanted <= _ids_of_rights().keys():
        raise BusinessError(_("One of the rights does not exist. Load the page again."))


def _put_rights(role: Role, wanted: set[tuple[str, str]]) -> dict[str, Any]:
    """Make the role hold exactly `wanted`, rights that exist. Returns the history's changes."""
    ids = _ids_of_rights()
    held, table = rights_of_role(role), assoc_permissionview_role
    gone, new = held - wanted, wanted - held
    if gone:
        db.session.execute(
            sa.delete(table).where(
                table.c.role_id == role.id, table.c.permission_view_id.in_([ids[right] for right in gone])
            )
        )
    if new:
        db.session.execute(
            sa.insert(table), [{"role_id": role.id, "permission_view_id": ids[right]} for right in sorted(new)]
        )
    changes = {f"{permission} {view}": [True, False] for permission, view in sorted(gone)}
    return changes | {f"{permission} {view}": [False, True] for permission, view in sorted(new)}


def _profile_of_role(role: Role) -> RoleProfile:
    """The role's readable face; one that was made by FAB's command line gets one now."""
    profile = db.session.get(RoleProfile, role.id)
    if profile is None:
        profile = RoleProfile(role_id=role.id, label_zh=role.name, label_en=role.name, active=True)
        db.session.add(profile)
        db.session.flush()
    return profile


def _check_labels(label_zh: str, label_en: str, role: Role | None) -> None:
    for column, value, field in (
        (RoleProfile.label_zh, label_zh, "label_zh"),
        (RoleProfile.label_en, label_en, "label_en"),
    ):
        same = sa.select(RoleProfile.role_id).where(sa.func.lower(column) == value.lower())
        if role is not None:
            same = same.where(RoleProfile.role_id != role.id)
        if db.session.execute(same.limit(1)).first() is not None:
            raise Mistake(_("There is already a role “%(role)s”.", role=value), field)


def _free_name(label: str) -> str:
    """FAB's name of a role: never shown, unique."""
    stem = re.sub(r"\W+", "_", label.lower()).strip("_")[:50] or "role"
    taken = set(db.session.execute(sa.select(Role.name).where(Role.name.startswith(stem, autoescape=True))).scalars())
    name, number = stem, 2
    while name in taken or name == current_app.config["AUTH_ROLE_PUBLIC"]:
        name, number = f"{stem}_{number}", number + 1
    return name
