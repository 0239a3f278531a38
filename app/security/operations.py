"""What administrators do with accounts, roles and teams (用户、角色、权限), and people with their own account.

An `actor` of None is the system or the command line: it may do all of this, but the last super admin stays.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
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
from werkzeug.security import check_password_hash

from app.core.clock import utcnow
from app.core.errors import BusinessError, NotYours
from app.core.lifecycle import note_move
from app.core.sentences import gettext as _
from app.extensions import db
from app.security import once, second_factor, sessions
from app.security.labels import right_label, view_label
from app.security.models import Purpose, RoleProfile, Team, UserProfile
from app.security.rights import holds, rights_of
from app.security.roles import SUPER_ADMIN

ACCOUNT = re.compile(r"[\w.@-]{2,64}")
MOST_ROLES = 100  # a form shows them all, to tick
MOST_TEAMS = 100  # reports and the dashboard offer them all
EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
ON_NEW_PASSWORD: dict[str, Callable[[int], Any]] = {}
"""What else ends with somebody's old password, by name; called with his id. Later domains register theirs."""


class LinkIsDead(BusinessError):
    """A mailed link was used, replaced or is too old."""


class Mistake(BusinessError):
    """A refusal that belongs to one field of the form: `field` says which."""

    def __init__(self, sentence: str, field: str) -> None:
        super().__init__(sentence)
        self.field = field


# -- who is a super admin -----------------------------------------------------------------------------------------


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


def _guard(actor: User | None, user: User) -> None:
    if not may_change_account(actor, user):
        raise NotYours(_("Only a super admin may change the account of a super admin."))


def _keep_a_super_admin(*, without: User) -> None:
    """Refuse what would leave nobody who may do everything. Two refusals at once are decided one after the other."""
    db.session.execute(sa.select(RoleProfile.role_id).where(RoleProfile.code == SUPER_ADMIN).with_for_update())
    others = _super_admins().where(User.active.is_(True), User.id != without.id)
    if db.session.execute(others.limit(1)).first() is None:
        raise BusinessError(_("This is the last active super admin. Make another one first."))


# -- accounts -----------------------------------------------------------------------------------------------------


def create_user(
    *,
    actor: User | None,
    account: str,
    last_name: str,
    first_name: str,
    email: str,
    roles: Iterable[Role],
    password: str | None = None,
    hashed: str | None = None,
    phone: str | None = None,
    team: Team | None = None,
    language: str | None = None,
) -> User:
    """Make an account that may sign in.

    `password` is checked by the rule, and changed by its person at the first sign-in; `hashed` is one that was hashed
    before (demo data, imports).
    Raises `Mistake` for an account name or e-mail somebody else has, `BusinessError` for other rules. Flushes.
    """
    if not ACCOUNT.fullmatch(account):
        raise Mistake(_("Use 2 to 64 letters, digits and . _ - @ for the account."), "username")
    _check_free(User.username, account, "username", _("There is already an account “%(name)s”.", name=account))
    _check_email(email, None)
    roles = list(roles)
    _guard_granting(actor, before=set(), after=set(roles))
    manager: Any = current_app.appbuilder.sm  # type: ignore[attr-defined]
    due = hashed is None
    if hashed is None:
        manager.check_password_rule(password or "", about=(account, first_name, last_name))
        hashed = manager.hash_password(password)
    user = User(
        username=account, last_name=last_name, first_name=first_name, email=email, password=hashed, active=True,
        roles=roles, created_by_fk=actor.id if actor else None, changed_by_fk=actor.id if actor else None,
    )  # fmt: skip
    db.session.add(user)
    db.session.flush()
    db.session.add(UserProfile(user_id=user.id, phone=phone, team=team, language=language, password_due=due))
    db.session.flush()
    note_move(user, "create", actor=actor)
    return user


def change_user(
    user: User,
    *,
    actor: User | None,
    last_name: str,
    first_name: str,
    email: str,
    phone: str | None,
    team: Team | None,
    active: bool,
    roles: Iterable[Role],
) -> None:
    """Change an account as the users page does. Disabling it ends its sessions, and so does taking its last role.

    Nobody changes his own roles or his own active mark; only super admins touch super admins and grant their role;
    the last active super admin stays one. Raises `BusinessError`, `NotYours`, `Mistake`. Flushes.
    """
    _guard(actor, user)
    _check_email(email, user)
    before, wanted = _facts(user), set(roles)
    held = set(user.roles)
    if actor is not None and actor.id == user.id and (wanted != held or active != user.active):
        raise NotYours(_("Nobody changes his own roles or disables himself. Ask another administrator."))
    _guard_granting(actor, before=held, after=wanted)
    loses = any(_code(role) == SUPER_ADMIN for role in held - wanted)
    if user.active and is_super_admin(user) and (not active or loses):
        _keep_a_super_admin(without=user)
    user.last_name, user.first_name, user.email = last_name, first_name, email
    if wanted != held:
        user.roles = sorted(wanted, key=lambda role: role.id)
    profile = profile_of(user)
    profile.phone, profile.team = phone, team
    _set_active(user, active)
    user.changed_on = utcnow().replace(tzinfo=None)
    user.changed_by_fk = actor.id if actor else None
    db.session.flush()
    sessions.end_without_role()
    if _facts(user) != before:
        note_move(user, "edit", actor=actor)


def disable(user: User, *, actor: User | None) -> None:
    """Shut an account: it cannot sign in, and every session of it ends now. Users are never deleted. Flushes."""
    _guard(actor, user)
    if actor is not None and actor.id == user.id:
        raise NotYours(_("Nobody changes his own roles or disables himself. Ask another administrator."))
    if user.active and is_super_admin(user):
        _keep_a_super_admin(without=user)
    before = _facts(user)
    _set_active(user, False)
    db.session.flush()
    if _facts(user) != before:
        note_move(user, "edit", actor=actor)


def _set_active(user: User, active: bool) -> None:
    user.active = active
    if not active:
        sessions.end_all(user.id, "disabled")


def end_sessions(user: User, *, actor: User | None) -> None:
    """Sign a person out everywhere. Flushes."""
    _guard(actor, user)
    sessions.end_all(user.id, "ended")
    note_move(user, "end_sessions", actor=actor)


def reset_password(user: User, password: str, *, actor: User | None) -> None:
    """Give an account another password, by the rule; if somebody else chose it, it is changed at the next sign-in.

    Every session of the account ends. Flushes.
    """
    _guard(actor, user)
    _set_password(user, password, due=actor is None or actor.id != user.id)
    _end_what_the_old_one_opened(user)
    note_move(user, "reset_password", actor=actor)


def set_forgotten_password(token: str, password: str, *, at: datetime) -> User:
    """Choose another password with the token of a mailed link, which is used up. Every session of the account ends.

    Raises `LinkIsDead` when the link opens nothing any more, `BusinessError` for the rule. Flushes.
    """
    user = once.holder(Purpose.reset, token, at=at)
    if user is None or not once.use(Purpose.reset, token, at=at):
        raise LinkIsDead(_("This link does not work any more: it is good once and not for long. Ask for another one."))
    _set_password(user, password, due=False)
    _end_what_the_old_one_opened(user)
    note_move(user, "forgotten_password", actor=user)
    return user


def reset_second_factor(user: User, *, actor: User | None) -> None:
    """Let somebody who lost his phone sign in with the password alone. `BusinessError` when it is off. Flushes."""
    _guard(actor, user)
    if not second_factor.switch_off(user, actor=actor):
        raise BusinessError(_("This account has no second step."))


def _end_what_the_old_one_opened(user: User, *, keep: str | None = None) -> None:
    sessions.end_all(user.id, "password", keep=keep)
    for purpose in Purpose:
        once.void(purpose, user.id, at=utcnow())
    for end in ON_NEW_PASSWORD.values():
        end(user.id)


def change_own_password(user: User, *, current: str, new: str, token: str) -> str:
    """Change one's password, knowing the current one. Other sessions end; this one goes on with the token returned.

    Raises `Mistake` at the field `current` when the current password is wrong, `BusinessError` for the rule. Flushes.
    """
    if not check_password_hash(user.password or "", current):
        raise Mistake(_("This is not your current password."), "current")
    if new == current:
        raise Mistake(_("Choose a password that differs from the current one."), "new")
    _set_password(user, new, due=False)
    _end_what_the_old_one_opened(user, keep=token)
    fresh = sessions.renew(token)
    note_move(user, "change_password", actor=user)
    return fresh


def change_own_phone(user: User, phone: str | None) -> None:
    """Change the phone number colleagues see. Flushes."""
    before = _facts(user)
    profile_of(user).phone = phone
    db.session.flush()
    if _facts(user) != before:
        note_move(user, "edit", actor=user)


def _set_password(user: User, password: str, *, due: bool) -> None:
    manager: Any = current_app.appbuilder.sm  # type: ignore[attr-defined]
    manager.check_password_rule(password, about=(user.username, user.first_name, user.last_name))
    user.password = manager.hash_password(password)
    profile_of(user).password_due = due
    db.session.flush()


def profile_of(user: User) -> UserProfile:
    """The account's profile row, made if there is none yet. Flushes."""
    profile = db.session.get(UserProfile, user.id)
    if profile is None:
        profile = UserProfile(user_id=user.id)
        db.session.add(profile)
        db.session.flush()
    return profile


def _check_email(email: str, user: User | None) -> None:
    if not EMAIL.fullmatch(email):
        raise Mistake(_("Enter an e-mail address such as li@example.com."), "email")
    taken = _("Another account has the e-mail address “%(email)s”.", email=email)
    _check_free(User.email, email, "email", taken, but=user)


def _check_free(column: Any, value: str, field: str, sentence: str, *, but: User | None = None) -> None:
    """Upper and lower case count as the same: people sign in either way."""
    found = sa.select(User.id).where(sa.func.lower(column) == value.lower())
    if but is not None:
        found = found.where(User.id != but.id)
    if db.session.execute(found.limit(1)).first() is not None:
        raise Mistake(sentence, field)


def _guard_granting(actor: User | None, *, before: set[Role], after: set[Role]) -> None:
    """Only super admins make or unmake super admins; a role is given by who holds its rights, or may give any."""
    if actor is None:
        return
    if any(_code(role) == SUPER_ADMIN for role in before ^ after) and not is_super_admin(actor):
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


def _guard_rights(actor: User | None, new: set[tuple[str, str]]) -> None:
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


def _code(role: Role) -> str | None:
    profile: RoleProfile | None = role.profile
    return profile.code if profile is not None else None


def _facts(user: User) -> dict[str, Any]:
    """What an account is to people; never the password."""
    profile = db.session.get(UserProfile, user.id)
    return {
        "username": user.username,
        "last_name": user.last_name,
        "first_name": user.first_name,
        "email": user.email,
        "active": bool(user.active),
        "roles": ", ".join(sorted(role.name for role in user.roles)),
        "phone": profile.phone if profile else None,
        "team": profile.team.name if profile and profile.team else None,
    }


def stamp_of_user(user: User) -> str:
    """A short sign of an account's state; a form that was opened on another state is refused."""
    return _sign(*(f"{key}={value}" for key, value in _facts(user).items()))


def _sign(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


# -- roles --------------------------------------------------------------------------------------------------------


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
    _guard_rights(actor, rights)
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
    _guard_rights(actor, wanted - rights_of_role(role))
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
    if _code(role) == SUPER_ADMIN:
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


def stamp_of_role(role: Role) -> str:
    """A short sign of a role's state; a form that was opened on another state is refused."""
    profile = db.session.get(RoleProfile, role.id)
    face = (profile.label_zh, profile.label_en, str(profile.active)) if profile is not None else (role.name,)
    rights = sorted(f"{permission} {view}" for permission, view in rights_of_role(role))
    return _sign(*face, *rights)


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


# -- teams --------------------------------------------------------------------------------------------------------


def check_team(team: Team) -> None:
    """One level of teams: a team under another has none under itself; at most 100. Raises `BusinessError`."""
    if team.id is None and db.session.execute(sa.select(sa.func.count()).select_from(Team)).scalar_one() >= MOST_TEAMS:
        raise Mistake(_("There are %(number)d teams. Delete one that nobody needs.", number=MOST_TEAMS), "name")
    if team.parent is None:
        return
    if team.parent is team or (team.id is not None and team.parent.id == team.id):
        raise Mistake(_("A team cannot stand under itself."), "parent")
    if team.parent.parent_id is not None:
        raise Mistake(_("“%(team)s” stands under another team already.", team=team.parent.name), "parent")
    if team.id is not None:
        below = sa.select(Team.id).where(Team.parent_id == team.id)
        if db.session.execute(below.limit(1)).first() is not None:
            raise Mistake(_("Other teams stand under this one, so it cannot stand under a team itself."), "parent")
