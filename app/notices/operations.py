"""Telling people things, and what they do with it. Flush, never commit: the caller's unit of work does.

An event is told to a person once. What a killed process, a repeated job or a second node says again changes nothing:
the table's UNIQUE (event, recipient) decides.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import User
from sqlalchemy.dialects import postgresql, sqlite

from app.core.clock import local, utcnow
from app.core.errors import BusinessError
from app.core.lifecycle import note_move
from app.core.sentences import gettext as _
from app.core.types import UtcDateTime
from app.extensions import db
from app.notices import robots, transport
from app.notices.kinds import KINDS
from app.notices.models import Channel, Delivery, DeliveryStatus, NoticeSettings, Notification, Robot

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
    return (postgresql if _is_postgresql() else sqlite).insert(model)


def notify_all(
    kind: str,
    source: sa.Select[Any],
    *,
    recipient: Any,
    record_id: Any,
    event: Any,
    at: datetime,
    words: dict[str, Any] | None = None,
) -> int:
    """Tell many people in one statement: one notification for each row of `source`, told once. Returns how many.

    `recipient`, `record_id`, `event` and the values of `words` are expressions over `source`, which needs a WHERE.
    Rows without a recipient and those of disabled accounts are left out. Flushes; the caller commits.
    """
    pairs: list[Any] = []
    for name, value in (words or {}).items():
        pairs += [sa.literal_column(f"'{name}'"), value]
    built = sa.func.json_build_object if _is_postgresql() else sa.func.json_object
    columns: dict[str, Any] = {
        "event": event,
        "kind": sa.literal(kind),
        "recipient_id": recipient,
        "at": sa.literal(at, UtcDateTime()),
        "record_type": sa.literal(KINDS[kind].leads.scope.rows.__tablename__),
        "record_id": record_id,
        "words": built(*pairs),
    }
    able = sa.select(User.id).where(User.id == recipient, User.active).exists()
    rows = source.with_only_columns(
        *(value.label(name) for name, value in columns.items()), maintain_column_froms=True
    ).where(able)
    made = insert(Notification).from_select(list(columns), rows, include_defaults=False)
    return int(db.session.execute(made.on_conflict_do_nothing(index_elements=["event", "recipient_id"])).rowcount)


def _is_postgresql() -> bool:
    return bool(db.engine.dialect.name == "postgresql")


# -- what people do with them -------------------------------------------------------------------------------------


def mark_read(recipient: int, ids: Iterable[int] | None, *, at: datetime) -> int:
    """Mark these notifications of this person as read, or all of his (None). Returns how many were unread."""
    which = [Notification.recipient_id == recipient, Notification.read_at.is_(None)]
    if ids is not None:
        which.append(Notification.id.in_(list(ids)))
    return _rows(sa.update(Notification).where(*which).values(read_at=at))


# -- how people want to hear of them ------------------------------------------------------------------------------


def settings_of(user_id: int) -> NoticeSettings:
    """This person's settings, made when there are none yet. Flushes."""
    found = db.session.get(NoticeSettings, user_id)
    if found is None:
        found = NoticeSettings(user_id=user_id)
        db.session.add(found)
        db.session.flush()
    return found


def set_digest(user_id: int, hour: int | None, *, at: datetime) -> None:
    """Send this person a mail a day at this company-local hour (0 to 23), or none. Flushes.

    The first one goes out when the hour next comes: tomorrow, if it is past today.
    """
    if hour is not None and hour not in range(24):
        raise BusinessError(_("Choose an hour of the day."))
    settings, now = settings_of(user_id), local(at)
    settings.digest_hour = hour
    settings.digested_on = now.date() if hour is not None and hour <= now.hour else None
    db.session.flush()


def save_robot(user: User, channel: Channel, *, url: str, secret: str | None, at: datetime) -> Robot:
    """Let a group robot tell this person what is new from `at` on; one of each kind. Flushes.

    The history tells it with the robot's host. Raises `BusinessError` for an address that is not one of such a robot.
    """
    host = transport.check_url(url)
    if channel not in robots.HOSTS:
        raise BusinessError(_("Choose a kind of robot."))
    if host in robots.HOSTS.values() and host != robots.HOSTS[channel]:
        raise BusinessError(_("This address belongs to a robot of another kind."))
    robot = robot_of(user.id, channel)
    if robot is None:
        robot = Robot(user_id=user.id, channel=channel, since=at)
        db.session.add(robot)
    if not robot.active or robot.url != url:
        robot.since = at
    robot.url, robot.secret, robot.active = url, secret or None, True
    note_move(user, "save_robot", actor=user, at=at, note=host)
    db.session.flush()
    return robot


def robot_of(user_id: int, channel: Channel) -> Robot | None:
    """This person's robot of one kind."""
    return db.session.execute(
        sa.select(Robot).where(Robot.user_id == user_id, Robot.channel == channel)
    ).scalar_one_or_none()


def remove_robot(user: User, channel: Channel) -> bool:
    """Forget a robot with its address and key, told in the history. Returns whether there was one. Flushes."""
    robot = robot_of(user.id, channel)
    if robot is None:
        return False
    forget_robot(robot)
    note_move(user, "remove_robot", actor=user)
    db.session.flush()
    return True


def forget_robot(robot: Robot) -> None:
    """Delete a robot with its address and key; what it was to tell is dropped. Flushes."""
    _rows(
        sa.update(Delivery)
        .where(Delivery.robot_id == robot.id, Delivery.status == DeliveryStatus.waiting)
        .values(status=DeliveryStatus.dropped)
    )
    _rows(sa.update(Delivery).where(Delivery.robot_id == robot.id).values(robot_id=None))
    db.session.delete(robot)
    db.session.flush()


def renew_calendar(user: User, *, at: datetime) -> str:
    """A new secret for this person's calendar address; the one before it is dead. It is kept nowhere. Flushes."""
    token = secrets.token_urlsafe(32)
    settings = settings_of(user.id)
    settings.calendar_hash, settings.calendar_at = calendar_hash(token), at
    note_move(user, "make_calendar", actor=user, at=at)
    db.session.flush()
    return token


def drop_calendar(user: User) -> None:
    """Let this person's calendar address lead nowhere, told in the history. Flushes."""
    if end_calendar(user.id):
        note_move(user, "drop_calendar", actor=user)
        db.session.flush()


def end_calendar(user_id: int) -> bool:
    """Let the calendar address of an account lead nowhere. Returns whether there was one. Flushes."""
    settings = db.session.get(NoticeSettings, user_id)
    if settings is None or settings.calendar_hash is None:
        return False
    settings.calendar_hash = settings.calendar_at = None
    db.session.flush()
    return True


def calendar_hash(token: str) -> str:
    """What is kept of a calendar address."""
    return hashlib.sha256(token.encode()).hexdigest()


def sweep(*, before: datetime) -> dict[str, int]:
    """Delete what nobody asks for any more: notifications read before `before` and messages made before it.

    Calendar addresses of disabled accounts are dropped for good. Flushes; the caller commits.
    """
    gone = sa.select(User.id).where(User.active.is_not(True))
    return {
        "calendars": _rows(
            sa.update(NoticeSettings)
            .where(NoticeSettings.calendar_hash.is_not(None), NoticeSettings.user_id.in_(gone))
            .values(calendar_hash=None, calendar_at=None)
        ),
        "messages": _rows(
            sa.delete(Delivery).where(
                Delivery.made_at < before, Delivery.status.not_in((DeliveryStatus.waiting, DeliveryStatus.sending))
            )
        ),
        "notices": _rows(sa.delete(Notification).where(Notification.read_at < before)),
    }


def _rows(statement: Any) -> int:
    """Run an UPDATE or DELETE that no loaded row has to notice; how many rows it changed."""
    return int(db.session.execute(statement.execution_options(synchronize_session=False)).rowcount)
