"""What administrators do with accounts and teams (用户), and people with their own account; roles: `role_operations`.

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
from flask_appbuilder.security.sqla.models import Role, User
from werkzeug.security import check_password_hash

from app.core.clock import utcnow
from app.core.errors import BusinessError, NotYours
from app.core.lifecycle import note_move
from app.core.sentences import gettext as _
from app.extensions import db
from app.security import once, second_factor, sessions
from app.security.granting import code_of, guard_account, guard_granting, is_super_admin, keep_a_super_admin
from app.security.models import Purpose, Team, UserProfile
from app.security.roles import SUPER_ADMIN

ACCOUNT = re.compile(r"[\w.@-]{2,64}")
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


# -- accounts -----------------------------------------------------------------------------------------------------


def check_account(account: str, email: str) -> None:
    """Raises `Mistake` for the name or address of an account that cannot be one, or that somebody else has."""
    if not ACCOUNT.fullmatch(account):
        raise Mistake(_("Use 2 to 64 letters, digits and . _ - @ for the account."), "username")
    _check_free(User.username, account, "username", _("There is already an account “%(name)s”.", name=account))
    _check_email(email, None)


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
    check_account(account, email)
    roles = list(roles)
    guard_granting(actor, before=set(), after=set(roles))
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
    guard_account(actor, user)
    _check_email(email, user)
    before, wanted = _facts(user), set(roles)
    held = set(user.roles)
    if actor is not None and actor.id == user.id and (wanted != held or active != user.active):
        raise NotYours(_("Nobody changes his own roles or disables himself. Ask another administrator."))
    guard_granting(actor, before=held, after=wanted)
    loses = any(code_of(role) == SUPER_ADMIN for role in held - wanted)
    if user.active and is_super_admin(user) and (not active or loses):
        keep_a_super_admin(without=user)
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
    guard_account(actor, user)
    if actor is not None and actor.id == user.id:
        raise NotYours(_("Nobody changes his own roles or disables himself. Ask another administrator."))
    if user.active and is_super_admin(user):
        keep_a_super_admin(without=user)
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
    guard_account(actor, user)
    sessions.end_all(user.id, "ended")
    note_move(user, "end_sessions", actor=actor)


def reset_password(user: User, password: str, *, actor: User | None) -> None:
    """Give an account another password, by the rule; if somebody else chose it, it is changed at the next sign-in.

    Every session of the account ends. Flushes.
    """
    guard_account(actor, user)
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
    guard_account(actor, user)
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
    return sign(*(f"{key}={value}" for key, value in _facts(user).items()))


def sign(*parts: str) -> str:
    """A short sign of what an account or a role is now; it differs when anything of it does."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


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
