"""Sign-in sessions: the browser holds a random token, the database its hash; every request asks the database.

One live session per account, guaranteed by a partial unique index, not by this code. The newest login ends the
older one (setting LIUKE_SECOND_LOGIN=refuse keeps the older instead).
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from flask import current_app
from flask_appbuilder.security.sqla.models import User
from sqlalchemy.exc import IntegrityError

from app.core.clock import utcnow
from app.core.database import KEEPS_PLAN
from app.core.unit import unit_of_work
from app.extensions import db
from app.security.models import LoginEntry, LoginResult, UserProfile, UserSession
from app.security.rights import administers, keep, people_with_a_role, text_of_rights

TOUCH_SECONDS = 60  # last-seen is written at most once a minute
TRIES = 20  # simultaneous logins of one account that may lose against each other before we give up


@dataclass(frozen=True)
class Ended:
    """Why and when a session that the browser still names is over."""

    reason: str
    at: datetime
    ip: str | None  # where the newer login came from, for `superseded`


class SignedIn(NamedTuple):
    """Who is asking, and by which session."""

    user: User
    profile: UserProfile | None
    session: UserSession


class SignedInElsewhere(Exception):
    """The account has a live session and the setting says that the older one stays."""

    def __init__(self, since: datetime, ip: str | None) -> None:
        super().__init__(since, ip)
        self.since, self.ip = since, ip


def token_hash(token: str) -> str:
    """What the database keeps of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def live_session(user_id: int) -> UserSession | None:
    """The account's session that is neither ended nor run out."""
    row = _open_session(user_id)
    return row if row is not None and not _over(row, utcnow()) else None


def _open_session(user_id: int) -> UserSession | None:
    """The account's session that nobody ended; it may have run out since."""
    return db.session.execute(
        sa.select(UserSession).where(UserSession.user_id == user_id, UserSession.ended_at.is_(None))
    ).scalar_one_or_none()


def start(user_id: int, *, remember: bool, ip: str | None, user_agent: str | None, replace: bool = True) -> str:
    """Begin a session and return its token. Commits.

    Ends any other session of the account; with `replace` false one that is still live stays, however late it came,
    and `SignedInElsewhere` is raised. Two logins at once: the index lets one be the live session; the other tries
    again and becomes the newest, or is refused.
    """
    idle, lasts = limits(remember=remember)
    token = secrets.token_urlsafe(32)
    for attempt in range(TRIES):
        now = utcnow()
        try:
            with unit_of_work():
                if replace:
                    _end(UserSession.user_id == user_id, "superseded", now)
                else:
                    _end_what_ran_out(user_id, now)
                db.session.add(
                    UserSession(
                        token_hash=token_hash(token),
                        user_id=user_id,
                        started_at=now,
                        seen_at=now,
                        auth_at=now,
                        expires_at=now + lasts,
                        idle_seconds=int(idle.total_seconds()),
                        remember=remember,
                        ip=ip,
                        user_agent=(user_agent or "")[:300] or None,
                    )
                )
        except IntegrityError:
            if attempt == TRIES - 1:
                raise
        else:
            return token
    raise AssertionError("unreachable")


def limits(*, remember: bool) -> tuple[timedelta, timedelta]:
    """The longest pause between two requests and the longest life of a session."""
    config = current_app.config
    if remember:
        return timedelta(days=config["LIUKE_REMEMBER_IDLE_DAYS"]), timedelta(days=config["LIUKE_REMEMBER_DAYS"])
    return timedelta(minutes=config["LIUKE_IDLE_MINUTES"]), timedelta(hours=config["LIUKE_SESSION_HOURS"])


def _end_what_ran_out(user_id: int, now: datetime) -> None:
    """End the session that was looked at and no other: one that began meanwhile is left to the index."""
    row = _open_session(user_id)
    if row is None:
        return
    if not (_over(row, now) or _over_for_an_admin(row, now)):
        raise SignedInElsewhere(row.started_at, row.ip)
    _end(UserSession.id == row.id, "superseded", now)


def fresh(row: UserSession) -> bool:
    """Whether the password was typed in this session less than LIUKE_REAUTH_MINUTES ago; being seen does not count."""
    asked_again = timedelta(minutes=current_app.config["LIUKE_REAUTH_MINUTES"])
    return row.auth_at is not None and utcnow() - row.auth_at < asked_again


def renew(token: str) -> str:
    """The password was typed in the session of this token: note when, and give it a new token.

    The old token is worth nothing from then on. Flushes; the caller commits.
    """
    made = secrets.token_urlsafe(32)
    db.session.execute(
        sa.update(UserSession)
        .where(UserSession.token_hash == token_hash(token), UserSession.ended_at.is_(None))
        .values(token_hash=token_hash(made), auth_at=utcnow())
        .execution_options(synchronize_session=False)
    )
    return made


def end(token: str, reason: str) -> None:
    """End the session of this token (logout). Commits."""
    with unit_of_work():
        _end(UserSession.token_hash == token_hash(token), reason, utcnow())


def end_all(user_id: int, reason: str, *, keep: str | None = None) -> None:
    """End the account's sessions (password changed, account disabled). Flushes; the caller commits.

    `keep` is the token of the session that may go on.
    """
    which = UserSession.user_id == user_id
    if keep is not None:
        which = sa.and_(which, UserSession.token_hash != token_hash(keep))
    _end(which, reason, utcnow())


def end_without_role() -> None:
    """End the sessions of everybody whom no active role grants anything any more. Flushes; the caller commits."""
    _end(UserSession.user_id.not_in(people_with_a_role()), "no_role", utcnow())


def _end(which: Any, reason: str, at: datetime) -> None:
    db.session.execute(
        sa.update(UserSession)
        .where(which, UserSession.ended_at.is_(None))
        .values(ended_at=at, end_reason=reason)
        .execution_options(synchronize_session=False)
    )


def _over(row: UserSession, now: datetime) -> str | None:
    if row.ended_at is not None:
        return row.end_reason or "ended"
    if now >= row.expires_at:
        return "expired"
    if now - row.seen_at >= timedelta(seconds=row.idle_seconds):
        return "idle"
    return None


def person_of(token: str, *, touch: bool = True) -> SignedIn | Ended | None:
    """Who this token belongs to and what he may do, in one statement; `Ended` if its session is over; None if
    there is none.

    Keeps last-seen up to date, at most once a minute, in a transaction of its own; not when `touch` is false
    (a page that asks by itself every half minute must not keep a session alive for ever).
    """
    if not isinstance(token, str) or not 20 <= len(token) <= 100:
        return None
    found = db.session.execute(_by_token(), {"token": token_hash(token)}).one_or_none()
    if found is None:
        return None
    row, user, profile, rights = found
    keep(user.id, rights)
    now = utcnow()
    why = _over(row, now) or _over_for_an_admin(row, now)
    if why is not None:
        return Ended(why, row.ended_at or now, _newer_ip(row) if why == "superseded" else None)
    if not user.active:
        return Ended("disabled", now, None)
    if touch and now - row.seen_at >= timedelta(seconds=TOUCH_SECONDS):
        _touch(row.id, now)
    return SignedIn(user, profile, row)


@cache
def _by_token() -> sa.Select[tuple[UserSession, User, UserProfile, str]]:
    """SELECT of the session with this `token`, its person and his rights, made once: every request asks it."""
    token = sa.bindparam("token", type_=sa.String())
    whose = sa.select(UserSession.user_id).where(UserSession.token_hash == token).scalar_subquery()
    return (
        sa.select(UserSession, User, UserProfile, text_of_rights(whose))
        .join(User, User.id == UserSession.user_id)
        .outerjoin(UserProfile, UserProfile.user_id == User.id)
        .where(UserSession.token_hash == token)
        .execution_options(**{KEEPS_PLAN: ("token",)})
    )


def _over_for_an_admin(row: UserSession, now: datetime) -> str | None:
    """Whoever was given the right to administer accounts after he chose to be remembered has the ordinary limits."""
    if not row.remember or not administers(row.user_id):
        return None
    idle, lasts = limits(remember=False)
    if now - row.started_at >= lasts:
        return "expired"
    return "idle" if now - row.seen_at >= idle else None


def _newer_ip(row: UserSession) -> str | None:
    return db.session.execute(
        sa.select(UserSession.ip)
        .where(UserSession.user_id == row.user_id, UserSession.id > row.id)
        .order_by(UserSession.id)
        .limit(1)
    ).scalar_one_or_none()


def _touch(session_id: int, now: datetime) -> None:
    """Write last-seen on a connection of its own: a page's reading must not commit anything else."""
    db.session.rollback()  # lets go of SQLite's lock before a second connection asks for it
    try:
        with db.engine.begin() as connection:
            connection.execute(
                sa.update(UserSession.__table__)
                .where(UserSession.id == session_id, UserSession.ended_at.is_(None))
                .values(seen_at=now)
            )
    except sa.exc.OperationalError:  # busy: the next request will do it
        current_app.logger.info("last-seen not written, the database is busy")


def note_login(account: str, result: LoginResult, *, user_id: int | None, ip: str | None) -> None:
    """Add a row to the login log. Commits."""
    with unit_of_work():
        add_entry(account, result, user_id=user_id, ip=ip)


def add_entry(account: str, result: LoginResult, *, user_id: int | None, ip: str | None) -> None:
    """Add a row to the login log, together with what it tells. Flushed by the caller, who commits."""
    db.session.add(LoginEntry(account=account[:128], user_id=user_id, ip=ip, result=result))
