"""Telling people things, and what they do with it. Flush, never commit: the caller's unit of work does.

An event is told to a person once. What a killed process, a repeated job or a second node says again changes nothing:
the table's UNIQUE (event, recipient) decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from flask_appbuilder.security.sqla.models import User
from sqlalchemy.dialects import postgresql, sqlite

from app.core.clock import utcnow
from app.extensions import db
from app.notices.kinds import KINDS
from app.notices.models import Notification

LONGEST_EVENT = 150


def notify(
    kind: str,
    *,
    to: User | Iterable[User | None] | None,
    record: Any,
    event: str,
    at: datetime | None = None,
    but: User | None = None,
    **words: Any,
) -> None:
    """Tell `to` (a person, several, or nobody) that `event` happened to `record`; part of the caller's unit of work.

    `kind` is a name in KINDS, `words` are the values of its sentence (short texts, numbers, dates). `event` names what
    happened once and for all, "ticket.assigned:<ticket id>:<step id>": said again, to the same person, it adds nothing.
    Disabled accounts are told nothing, nor is `but` (who did it knows it). One statement. Flushes; the caller commits.
    """
    if kind not in KINDS:
        raise KeyError(f"no such kind of notification: {kind}")
    if len(event) > LONGEST_EVENT:
        raise ValueError(f"the event has more than {LONGEST_EVENT} characters: {event}")
    people = [to] if isinstance(to, User) else list(to or ())
    recipients = {p.id: None for p in people if p is not None and p.active and (but is None or p.id != but.id)}
    if not recipients:
        return
    db.session.flush()  # the record may be as new as the event
    given = {name: _kept(value) for name, value in words.items()}
    rows = [
        {
            "event": event,
            "kind": kind,
            "recipient_id": recipient,
            "at": at or utcnow(),
            "record_type": record.__tablename__,
            "record_id": record.id,
            "words": given,
        }
        for recipient in recipients
    ]
    db.session.execute(
        insert(Notification).values(rows).on_conflict_do_nothing(index_elements=["event", "recipient_id"])
    )


def _kept(value: Any) -> Any:
    """A value as JSON keeps it: dates and instants as ISO text, everything else as people read it."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def insert(model: Any) -> Any:
    """INSERT of this database's dialect, which knows ON CONFLICT."""
    return (postgresql if db.engine.dialect.name == "postgresql" else sqlite).insert(model)
