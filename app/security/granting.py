"""Who may touch whose account and give whom what: super admins are for super admins, and nobody gives what he lacks."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import Role, User, assoc_group_role, assoc_user_group, assoc_user_role

from app.core.errors import BusinessError, NotYours
from app.core.sentences import gettext as _
from app.extensions import db
from app.security.labels import right_label, view_label
from app.security.models import RoleProfile
from app.security.rights import holds, rights_of, rights_of_role
from app.security.roles import SUPER_ADMIN


def is_super_admin(user: User | None) -> bool:
    """Whether the account holds the super admin role, own or by group; a disabled one does too."""
    if user is None:
        return False
    return db.session.execute(_super_admins(user_id=user.id).limit(1)).first() is not None


def _super_admins(*, user_id: int | None = None) -> sa.Select[tuple[int]]:
    role = sa.select(RoleProfile.role_id).where(RoleProfile.code == SUPER_ADMIN)
    by_group = (
        sa.select(assoc_user_group.c.user_id)
        .join(assoc_group_role, assoc_group_role.c.group_id == assoc_user_group.c.group_id)
        .where(assoc_group_role.c.role_id.in_(role))
    )
    own = sa.select(assoc_user_role.c.user_id).where(assoc_user_role.c.role_id.in_(role))
    found = sa.select(User.id).where(sa.or_(User.id.in_(own), User.id.in_(by_group)))
    return found.where(User.id == user_id) if user_id is not None else found


def may_change_account(actor: User | None, user: User) -> bool:
    """Whether `actor` may touch this account at all: a super admin's is for super admins."""
    return actor is None or not is_super_admin(user) or is_super_admin(actor)


def guard_account(actor: User | None, user: User) -> None:
    """Raises `NotYours` where `may_change_account` says no."""
    if not may_change_account(actor, user):
        raise NotYours(_("Only a super admin may change the account of a super admin."))


def keep_a_super_admin(*, without: User) -> None:
    """Refuse what would leave nobody who may do everything. Two refusals at once are decided one after the other."""
    db.session.execute(sa.select(RoleProfile.role_id).where(RoleProfile.code == SUPER_ADMIN).with_for_update())
    others = _super_admins().where(User.active.is_(True), User.id != without.id)
    if db.session.execute(others.limit(1)).first() is None:
        raise BusinessError(_("This is the last active super admin. Make another one first."))


def guard_granting(actor: User | None, *, before: set[Role], after: set[Role]) -> None:
    """Only super admins make or unmake super admins; a role is given by who holds its rights, or may give any."""
    if actor is None:
        return
    if any(code_of(role) == SUPER_ADMIN for role in before ^ after) and not is_super_admin(actor):
        raise NotYours(_("Only a super admin may grant or take away the role “%(role)s”.", role=_super_label()))
    for role in sorted(after - before, key=lambda role: role.id):
        if not may_give(actor, role):
            raise NotYours(
                _("You do not hold every right of the role “%(role)s”, so you cannot give it.", role=str(role))
            )


def may_give(actor: User | None, role: Role) -> bool:
    """Whether `actor` may let somebody have this role's rights: he holds them all, or the right to give any role."""
    return actor is None or holds(actor, "can_give_any_role", "User") or not lacking(actor, rights_of_role(role))


def lacking(actor: User | None, rights: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of `rights` that `actor` does not hold himself and so cannot put into a role. The system lacks none."""
    return set() if actor is None else set(rights) - rights_of(actor.id)


def guard_rights(actor: User | None, new: set[tuple[str, str]]) -> None:
    """Raises `NotYours` for what would be put into a role by somebody who lacks it."""
    missing = sorted(lacking(actor, new))
    if missing:
        words = [f"{view_label(view)}: {right_label(permission, view)}" for permission, view in missing[:3]]
        more = "…" if len(missing) > 3 else ""
        raise NotYours(
            _("You do not hold “%(rights)s” yourself, so you cannot grant it.", rights="; ".join(words) + more)
        )


def _super_label() -> str:
    found = db.session.execute(sa.select(RoleProfile).where(RoleProfile.code == SUPER_ADMIN)).scalar_one_or_none()
    return found.label if found is not None else SUPER_ADMIN


def code_of(role: Role) -> str | None:
    """The code of a seeded role; None for one of the company\'s own."""
    profile: RoleProfile | None = role.profile
    return profile.code if profile is not None else None
