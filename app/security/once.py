"""Tokens that are good once and not for long: links for a new password, the second step of signing in.

They are random and known to nobody but the mail or the browser; whoever holds SECRET_KEY cannot make one. Flush, never
commit.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import User

from app.extensions import db
from app.security.models import OneTimeToken, Purpose
from app.security.sessions import token_hash

CODE_LASTS = timedelta(minutes=5)  # from the password to the code
ASKED_FOR = timedelta(days=1)  # how long a mail server may be away before a link is not sent any more
LINKS_AN_HOUR = 3  # mails an account gets, whoever asks from wherever
ON_FORGOTTEN: dict[str, Callable[[int], None]] = {}
"""Who sends the link of a row, by name; called with its id also when it is nobody's. Later domains register theirs."""


def make(purpose: Purpose, user_id: int, *, at: datetime, lasts: timedelta) -> str:
    """A token of this person. Flushes."""
    token = secrets.token_urlsafe(32)
    db.session.add(
        OneTimeToken(purpose=purpose, user_id=user_id, token_hash=token_hash(token), made_at=at, expires_at=at + lasts)
    )
    db.session.flush()
    return token


def holder(purpose: Purpose, token: Any, *, at: datetime) -> User | None:
    """Whose token this is, if it still opens something and the account is active; it is not used up."""
    if not isinstance(token, str) or not 20 <= len(token) <= 100:
        return None
    found = sa.select(User).join(OneTimeToken, OneTimeToken.user_id == User.id).where(_open(purpose, token, at))
    return db.session.execute(found.where(User.active)).scalar_one_or_none()


def use(purpose: Purpose, token: str, *, at: datetime) -> bool:
    """Use a token up. Of two requests that try, one gets True. Flushes."""
    return _change(sa.update(OneTimeToken).where(_open(purpose, token, at)).values(used_at=at)) == 1


def void(purpose: Purpose, user_id: int, *, at: datetime) -> None:
    """Let this person's tokens open nothing any more. Flushes."""
    his = sa.update(OneTimeToken).where(
        OneTimeToken.user_id == user_id, OneTimeToken.purpose == purpose, OneTimeToken.used_at.is_(None)
    )
    _change(his.values(used_at=at))


def _open(purpose: Purpose, token: str, at: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(
        OneTimeToken.token_hash == token_hash(token),
        OneTimeToken.purpose == purpose,
        OneTimeToken.used_at.is_(None),
        OneTimeToken.expires_at > at,
    )


def _change(statement: Any) -> int:
    return int(db.session.execute(statement.execution_options(synchronize_session=False)).rowcount)


# -- links by mail ------------------------------------------------------------------------------------------------


def ask_for_link(typed: str, *, at: datetime) -> int | None:
    """Somebody forgot the password of this account or e-mail address: let a link be mailed. Returns whose it is.

    An unknown or disabled account, and one that got its mails of this hour, does the same with nobody to mail to, in
    as many statements. The token is made when the mail is. Flushes.
    """
    name = typed.lower()
    found = sa.select(User.id).where(
        User.active, sa.or_(sa.func.lower(User.username) == name, sa.func.lower(User.email) == name)
    )
    user_id = db.session.execute(found.order_by(User.id).limit(1)).scalar_one_or_none()
    lately = sa.select(sa.func.count()).where(
        OneTimeToken.user_id == (user_id or 0),
        OneTimeToken.purpose == Purpose.reset,
        OneTimeToken.made_at > at - timedelta(hours=1),
    )
    enough = db.session.execute(lately).scalar_one() >= LINKS_AN_HOUR
    row = OneTimeToken(
        purpose=Purpose.reset, user_id=None if enough else user_id, made_at=at, expires_at=at + ASKED_FOR
    )
    db.session.add(row)
    db.session.flush()
    for send in ON_FORGOTTEN.values():
        send(row.id)
    return user_id


def token_for_mail(row_id: int, *, at: datetime, lasts: timedelta) -> str | None:
    """The token of a link that is mailed now, good for `lasts` from now; an older link of the person is void.

    None when it is not wanted any more: used, too old, or the account disabled. Flushes.
    """
    row = db.session.get(OneTimeToken, row_id, with_for_update=True)
    user = db.session.get(User, row.user_id) if row is not None and row.user_id is not None else None
    if row is None or user is None or not user.active or row.used_at is not None or at >= row.made_at + ASKED_FOR:
        return None
    older = sa.update(OneTimeToken).where(
        OneTimeToken.user_id == user.id,
        OneTimeToken.purpose == Purpose.reset,
        OneTimeToken.used_at.is_(None),
        OneTimeToken.id < row.id,
    )
    _change(older.values(used_at=at))
    token = secrets.token_urlsafe(32)
    row.token_hash, row.expires_at = token_hash(token), at + lasts
    db.session.flush()
    return token
