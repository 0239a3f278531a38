"""What the notification centre shows. Reads only."""

from __future__ import annotations

from functools import cache
from typing import Any

import sqlalchemy as sa

from app.extensions import db
from app.notices.models import Channel, Notification, Robot

MANY = 100  # unread ones nobody counts on every page
PAGE = 25
BELL = "bell"  # the bell's number among the counts of a request (core.web)


def unread(recipient: int) -> int:
    """How many unread notifications this person has; 100 for more. On every page, hence one statement made once."""
    return int(db.session.execute(_unread(), {"reader": recipient}).scalar_one())


@cache
def _unread() -> sa.Select[Any]:
    found = sa.select(Notification.id).where(
        Notification.recipient_id == sa.bindparam("reader", type_=sa.Integer()), Notification.read_at.is_(None)
    )
    return sa.select(sa.func.count()).select_from(found.limit(MANY).subquery())


def newest(recipient: int, *, unread_only: bool, before: int | None) -> tuple[list[Notification], bool]:
    """A page of this person's notifications, newest first, older than the id `before`; and whether there are more."""
    which = [Notification.recipient_id == recipient]
    if unread_only:
        which.append(Notification.read_at.is_(None))
    if before is not None:
        which.append(Notification.id < before)
    found = sa.select(Notification).where(*which).order_by(Notification.id.desc()).limit(PAGE + 1)
    rows = list(db.session.execute(found).scalars())
    return rows[:PAGE], len(rows) > PAGE


def robots_of(user_id: int) -> dict[Channel, Robot]:
    """This person's robots."""
    found = db.session.execute(sa.select(Robot).where(Robot.user_id == user_id)).scalars()
    return {robot.channel: robot for robot in found}
