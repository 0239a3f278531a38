"""From notifications to messages, and how a message goes out: at least once, with a log of every attempt.

A message is a row before anything is sent. Who sends it claims the row for ten minutes and commits; then it goes out;
then the end is written. A process that dies in between leaves the claim behind: the row is taken up again, carries
the same key and Message-ID, and counts a repeat. Nothing here trusts the queue: rows that are due are found by looking.
Flush, never commit, except where a docstring says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parseaddr
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import current_app
from flask_appbuilder.security.sqla.models import User

from app.core.clock import local, utcnow
from app.core.sentences import gettext as _
from app.core.sentences import ngettext
from app.core.unit import unit_of_work
from app.extensions import db
from app.notices import robots, transport
from app.notices.models import (
    Channel,
    Delivery,
    DeliveryItem,
    DeliveryStatus,
    NoticeSettings,
    Notification,
    Robot,
)
from app.notices.operations import insert
from app.notices.reading import Line, lines_of, reading_as
from app.notices.transport import CannotSend, NotNow
from app.runs.operations import whoami


@dataclass(frozen=True)
class Mail:
    """A mail that another domain put together."""

    to: str
    subject: str
    text: str
    file: transport.File | None = None


COMPOSERS: dict[str, Callable[[Delivery], Mail | None]] = {}
"""The first word of a key -> who puts that mail together when it is sent, as its reader reads it; None: no longer
needed. Domains that send mails of their own add theirs; all others tell notifications. A composer may commit."""

S = DeliveryStatus
LEASE = timedelta(minutes=10)  # how long a sender may take; afterwards somebody else sends again
PAUSES = [timedelta(minutes=m) for m in (1, 5, 15, 60, 180, 360)]  # before the 2nd, 3rd ... 7th attempt
MOST = 100  # notifications in one mail; a robot says fewer at once
OLDEST = timedelta(days=30)  # unread things older than this go out by no way any more
OPEN = Delivery.status.in_((S.waiting, S.sending))


# -- what is to be sent -------------------------------------------------------------------------------------------


def something_to_do(now: datetime) -> bool:
    """Whether a message is due, a daily mail's hour has come, or a robot has something to tell. Reads only."""
    asked = (
        sa.select(Delivery.id).where(OPEN, Delivery.due_at <= now),
        _digests(now),
        _robots(now),
    )
    return any(db.session.execute(one.limit(1)).first() is not None for one in asked)


def plan(now: datetime) -> int:
    """Make messages of what is to be told now. Returns how many. Commits, person by person."""
    made = 0
    for user_id in list(db.session.execute(_digests(now)).scalars()):
        with unit_of_work():
            made += _plan_digest(user_id, now)
    for robot_id in list(db.session.execute(_robots(now)).scalars()):
        with unit_of_work():
            made += _plan_robot(robot_id, now)
    return made


def _digests(now: datetime) -> sa.Select[Any]:
    """SELECT of the people whose daily mail was not thought of yet today, and whose hour has come."""
    wall = local(now)
    return (
        sa.select(NoticeSettings.user_id)
        .join(User, User.id == NoticeSettings.user_id)
        .where(NoticeSettings.digest_hour <= wall.hour, _before(wall.date()), User.active)
        .order_by(NoticeSettings.user_id)
    )


def _before(day: Any) -> sa.ColumnElement[bool]:
    return sa.or_(NoticeSettings.digested_on.is_(None), NoticeSettings.digested_on < day)


def _robots(now: datetime) -> sa.Select[Any]:
    """SELECT of the robots that have something to tell."""
    way = sa.literal("robot-") + sa.cast(Robot.id, sa.String)
    untold = _untold(Robot.user_id, way, now).where(Notification.at >= Robot.since).correlate(Robot)
    return (
        sa.select(Robot.id)
        .join(User, User.id == Robot.user_id)
        .where(Robot.active, User.active, untold.exists())
        .order_by(Robot.id)
    )


def _untold(user_id: Any, way: Any, now: datetime) -> sa.Select[Any]:
    """SELECT of the unread notifications that have not gone out by this way."""
    gone = sa.select(DeliveryItem.way).where(DeliveryItem.way == way, DeliveryItem.notification_id == Notification.id)
    return sa.select(Notification.id).where(
        Notification.recipient_id == user_id,
        Notification.read_at.is_(None),
        Notification.at > now - OLDEST,
        ~gone.exists(),
    )


def _plan_digest(user_id: int, now: datetime) -> int:
    today = local(now).date()
    thought = sa.update(NoticeSettings).where(NoticeSettings.user_id == user_id, _before(today))
    made = thought.values(digested_on=today).returning(NoticeSettings.digest_hour)
    hour = db.session.execute(made.execution_options(synchronize_session=False)).scalar_one_or_none()
    if hour is None:
        return 0  # another process was faster, or the reader has just switched it off
    ids = db.session.execute(_untold(user_id, "mail", now).order_by(Notification.id).limit(MOST)).scalars().all()
    key = f"mail-{user_id}-{today.isoformat()}-{hour:02d}"  # with another hour the same day has another mail
    return _make(key, Channel.mail, user_id, None, "mail", list(ids), now)


def _plan_robot(robot_id: int, now: datetime) -> int:
    # The row is locked: of two processes one finds nothing left.
    robot = db.session.execute(sa.select(Robot).where(Robot.id == robot_id).with_for_update()).scalar_one_or_none()
    if robot is None:
        return 0
    way = f"robot-{robot.id}"
    untold = _untold(robot.user_id, way, now).where(Notification.at >= robot.since)
    ids = list(db.session.execute(untold.order_by(Notification.id).limit(robots.LINES)).scalars())
    return _make(f"{way}-{ids[-1]}" if ids else "", robot.channel, robot.user_id, robot.id, way, ids, now)


def _make(
    key: str, channel: Channel, user_id: int, robot_id: int | None, way: str, ids: list[int], now: datetime
) -> int:
    made = add(key, channel, user_id, robot_id, now) if ids else None
    if made is None:
        return 0
    items = [{"delivery_id": made, "notification_id": one, "way": way} for one in ids]
    db.session.execute(
        insert(DeliveryItem).values(items).on_conflict_do_nothing(index_elements=["way", "notification_id"])
    )
    return 1


def add(key: str, channel: Channel, user_id: int, robot_id: int | None, now: datetime) -> int | None:
    """A message that is due now; its id, None if there is one with this key already. Flushes; the caller commits."""
    return db.session.execute(
        insert(Delivery)
        .values(
            key=key,
            channel=channel,
            recipient_id=user_id,
            robot_id=robot_id,
            message_id=message_id(key) if channel == Channel.mail else None,
            made_at=now,
            due_at=now,
            status=S.waiting,
        )
        .on_conflict_do_nothing(index_elements=["key"])
        .returning(Delivery.id)
    ).scalar_one_or_none()


def message_id(key: str) -> str:
    """The Message-ID of the mail with this key: every attempt carries the same."""
    domain = parseaddr(current_app.config["LIUKE_MAIL_FROM"])[1].rpartition("@")[2] or "liuke.invalid"
    return f"<{key}.liuke@{domain}>"


# -- sending ------------------------------------------------------------------------------------------------------


def send_all(now: datetime | None = None) -> dict[str, int]:
    """Send every message that is due. Returns how many were sent, are tried again later, failed. Commits each."""
    counts = {"sent": 0, "later": 0, "failed": 0}
    release_the_dead(now or utcnow())
    while True:
        with unit_of_work():
            claimed = claim(now or utcnow())
        if claimed is None:
            return counts
        counts[send(claimed)] += 1


def claim(now: datetime) -> Delivery | None:
    """Become the one who sends the message that is due longest; None if there is none. The caller commits.

    The row that is returned is detached: it is what later writes are checked against.
    """
    due = (
        sa.select(Delivery.id)
        .where(OPEN, Delivery.due_at <= now)
        .order_by(Delivery.due_at, Delivery.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    claimed = db.session.execute(
        sa.update(Delivery)
        .where(Delivery.id == due.scalar_subquery(), OPEN, Delivery.due_at <= now)
        .values(
            status=S.sending,
            attempts=Delivery.attempts + 1,
            repeats=Delivery.repeats + sa.case((Delivery.status == S.sending, 1), else_=0),
            owner=whoami(),
            due_at=now + LEASE,
        )
        .returning(Delivery.id)
        .execution_options(synchronize_session=False)
    ).scalar_one_or_none()
    if claimed is None:
        return None
    row = db.session.execute(
        sa.select(Delivery).where(Delivery.id == claimed).execution_options(populate_existing=True)
    ).scalar_one()
    db.session.expunge(row)
    return row


def release_the_dead(now: datetime) -> int:
    """Let messages be taken up at once whose sender was a process of this machine and is gone. Commits."""
    host = whoami().rpartition(":")[0]
    owners = db.session.execute(
        sa.select(Delivery.owner)
        .where(Delivery.status == S.sending, Delivery.due_at > now, Delivery.owner.like(f"{host}:%"))
        .distinct()
    ).scalars()
    dead = [owner for owner in owners if owner and not _lives(owner.rpartition(":")[2])]
    if not dead:
        return 0
    with unit_of_work():
        freed = sa.update(Delivery).where(Delivery.status == S.sending, Delivery.owner.in_(dead))
        return int(db.session.execute(freed.values(due_at=now)).rowcount)


def _lives(pid: str) -> bool:
    """Whether this process of this machine runs; one that ended and that nobody has buried yet does not."""
    try:
        os.kill(int(pid), 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:1]
    except ProcessLookupError:
        return False
    except (OSError, ValueError):
        return True
    return state != ["Z"]


def send(claimed: Delivery) -> str:
    """Send one claimed message and write down how it went: "sent", "later" or "failed". Commits.

    What the reader has read meanwhile, or may not see any more, is left out; with nothing left it is dropped.
    """
    try:
        nothing_left = not _go_out(claimed)
    except CannotSend as why:
        return _end(claimed, S.failed, error=str(why))
    except NotNow as why:
        return _again(claimed, str(why))
    except Exception as error:
        current_app.logger.exception("message %s could not be made", claimed.key)
        return _again(claimed, type(error).__name__)
    return _end(claimed, S.dropped if nothing_left else S.sent)


def _go_out(claimed: Delivery) -> bool:
    """Put the message together as its reader reads it, then send it. False when nothing is left to say."""
    compose = COMPOSERS.get(claimed.key.partition("-")[0])
    if compose is not None:
        mail = compose(claimed)
        if mail is not None:
            _send_mail(claimed, mail)
        return mail is not None
    with reading_as(claimed.recipient_id) as reader:
        if reader is None:
            return False
        items = sa.select(DeliveryItem.notification_id).where(DeliveryItem.delivery_id == claimed.id)
        told = db.session.execute(
            sa.select(Notification)
            .where(Notification.id.in_(items), Notification.read_at.is_(None))
            .order_by(Notification.id)
        ).scalars()
        lines = [line for line in lines_of(told) if line.url]
        robot = db.session.get(Robot, claimed.robot_id) if claimed.robot_id else None
        head = ngettext("%(num)d new thing for you", "%(num)d new things for you", len(lines))
        if not lines or (robot is None and claimed.channel != Channel.mail):
            return False
        subject, text, to = _("Liuke: %(what)s", what=head), _text(head, lines, mail=robot is None), reader.email
        address = (robot.url, robot.secret) if robot is not None else None
    if address is not None:
        robots.say(claimed.channel, *address, text, key=claimed.key, now=utcnow())
        return True
    _send_mail(claimed, Mail(to, subject, text))
    return True


def _send_mail(claimed: Delivery, mail: Mail) -> None:
    made = transport.make_mail(
        to=mail.to, subject=mail.subject, text=mail.text, file=mail.file, key=claimed.key,
        message_id=claimed.message_id or message_id(claimed.key),
    )  # fmt: skip
    transport.send_mail(made)


def _text(head: str, lines: list[Line], *, mail: bool) -> str:
    base = current_app.config["LIUKE_URL"].rstrip("/")
    told = [head, ""]
    for line in lines:
        told += [
            f"- {line.text if mail else robots.line(line.text)}",
            *([f"  {base}{line.url}"] if base and mail else []),
        ]
    if mail:
        told += [
            "",
            "-- ",
            _("You get this mail once a day because you chose so in the settings of notifications."),
            "",
        ]
    return "\n".join(told)


def _again(claimed: Delivery, why: str) -> str:
    if claimed.attempts > len(PAUSES):
        return _end(claimed, S.failed, error=why)
    return _end(claimed, S.waiting, error=why, due_at=utcnow() + PAUSES[claimed.attempts - 1])


def _end(claimed: Delivery, status: DeliveryStatus, **values: Any) -> str:
    """Write the end of an attempt, if the row is still this attempt's."""
    if status == S.sent:
        values["sent_at"] = utcnow()
    values["error"] = values.get("error") or None
    with unit_of_work():
        db.session.execute(
            sa.update(Delivery)
            .where(
                Delivery.id == claimed.id,
                Delivery.status == S.sending,
                Delivery.owner == claimed.owner,
                Delivery.attempts == claimed.attempts,
            )
            .values(status=status, **values)
            .execution_options(synchronize_session=False)
        )
    return {S.sent: "sent", S.dropped: "sent", S.waiting: "later"}.get(status, "failed")


# -- trying it ----------------------------------------------------------------------------------------------------


def try_robot(robot: Robot, *, key: str) -> DeliveryStatus:
    """Let a robot say a test sentence at once, in the reader's language, and log it. Returns how it ended. Commits.

    Raises `BusinessError` with the reason when nothing went out.
    """
    text = _("This is a test message from Liuke. What is new for you will arrive here.")
    return _try(
        robot.channel,
        robot.user_id,
        robot.id,
        key,
        lambda: robots.say(robot.channel, robot.url, robot.secret, text, key=key, now=utcnow()),
    )


def try_mail(user: User, *, key: str) -> DeliveryStatus:
    """The same by mail."""
    text = _("This is a test message from Liuke. What is new for you will arrive here.")
    return _try(
        Channel.mail,
        user.id,
        None,
        key,
        lambda: transport.send_mail(
            transport.make_mail(
                to=user.email, subject=_("Liuke: test message"), text=text, message_id=message_id(key), key=key
            )
        ),
    )


def _try(channel: Channel, user_id: int, robot_id: int | None, key: str, go: Any) -> DeliveryStatus:
    now = utcnow()
    row = Delivery(
        key=key, channel=channel, recipient_id=user_id, robot_id=robot_id, made_at=now, due_at=now, attempts=1,
        message_id=message_id(key) if channel == Channel.mail else None, status=S.sent, sent_at=now,
    )  # fmt: skip
    refusal: CannotSend | None = None
    db.session.rollback()  # nothing is held open while another machine is talked to
    try:
        go()
    except CannotSend as why:
        refusal = why
    except NotNow as why:
        refusal = CannotSend(str(why))
    if refusal is not None:
        row.status, row.sent_at, row.error = S.failed, None, str(refusal)
    with unit_of_work():
        db.session.add(row)
    if refusal is not None:
        raise refusal
    return S.sent
