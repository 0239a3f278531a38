"""What is kept about a user of the back office, and how it is erased."""

from __future__ import annotations

import secrets
from typing import Any

import sqlalchemy as sa
from flask import current_app
from flask_appbuilder.security.sqla.models import User
from flask_babel import lazy_gettext as _l

from app.core import personal
from app.core.clock import utcnow
from app.core.errors import BusinessError, NotYours
from app.core.models import AuditEntry, FieldChange, Outcome
from app.core.sentences import gettext as _
from app.extensions import db
from app.security import once, second_factor, sessions
from app.security.granting import may_change_account
from app.security.models import LoginEntry, Purpose, UserProfile, UserSession


def install() -> None:
    """Make users a kind of person whose data can be shown and erased."""
    personal.KINDS["user"] = personal.Kind(
        label=_l("Users"),
        model=User,
        found_by=(User.username, User.last_name + User.first_name, User.first_name + " " + User.last_name, User.email),
        words=("username", "email"),
        name=lambda user: user.get_full_name(),
        where=lambda user: user.username,
        check=check,
        names=_earlier_names,
    )
    personal.holds(
        "user",
        personal.Holding(_l("Account"), lambda user: [user], ("username", "last_name", "first_name", "email"),
                         after=_shut),
        personal.Holding(_l("Profile"), _profile, ("phone",)),
        personal.Holding(_l("Two-step sign-in"), _second_factor, (),
                         after=second_factor.forget, told=False, shown=("since",)),
    )  # fmt: skip
    personal.copies("user", _forget_refusals)


def _earlier_names(user: User) -> set[str]:
    """What the person was called before the account was changed: copies of a name are as old as they are."""
    found: dict[str, set[str]] = {"last_name": {user.last_name}, "first_name": {user.first_name}}
    its = (FieldChange.record_type == "ab_user", FieldChange.record_id == user.id, FieldChange.field.in_(found))
    kept = sa.select(FieldChange.field, FieldChange.before).where(*its, FieldChange.before.is_not(None))
    for field, before in db.session.execute(kept):
        found[field].add(before)
    return {
        User(last_name=last, first_name=first).get_full_name()
        for last in found["last_name"]
        for first in found["first_name"]
    }


def _forget_refusals(_user: User, names: list[str]) -> None:
    """Refused moves say whom they were about: "… is already the assignee"."""
    named = AuditEntry.changes["values"]["name"].as_string()
    personal.empty_notes(sa.and_(AuditEntry.outcome == Outcome.refused, named.in_(names)))


def check(user: User, actor: User) -> None:
    """Raises `BusinessError` unless the account was disabled before: whoever works here is somebody.

    Raises `NotYours` for a super admin's account when the actor is none.
    """
    if not may_change_account(actor, user):
        raise NotYours(_("Only a super admin may change the account of a super admin."))
    if user.active:
        raise BusinessError(_("The account is active. Hand over what the person owns and disable it first."))


def _profile(user: User) -> list[Any]:
    profile = db.session.get(UserProfile, user.id)
    return [profile] if profile is not None else []


def _second_factor(user: User) -> list[Any]:
    factor = second_factor.of(user.id)
    return [factor] if factor is not None else []


def _shut(user: User) -> None:
    """Nobody signs in with it again; what sessions and the login log keep of the account goes, too."""
    manager: Any = current_app.appbuilder.sm  # type: ignore[attr-defined]
    user.password = manager.hash_password(secrets.token_urlsafe(32))
    sessions.end_all(user.id, "disabled")
    for purpose in Purpose:
        once.void(purpose, user.id, at=utcnow())
    own = (UserSession.user_id == user.id, LoginEntry.user_id == user.id)
    forget = sa.update(UserSession).where(own[0]).values(ip=None, user_agent=None, kept=None, kept_at=None)
    db.session.execute(forget.execution_options(synchronize_session=False))
    empty = sa.update(LoginEntry).where(own[1], ~LoginEntry.erased).values(account="", ip=None, erased=True)
    db.session.execute(empty.execution_options(synchronize_session=False))
