"""What a user of the back office set for his notifications: robots and the calendar, with their secrets."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import User
from flask_babel import lazy_gettext as _l

from app.core import personal
from app.extensions import db
from app.notices.models import NoticeSettings, Robot
from app.notices.operations import end_calendar, forget_robot


def install() -> None:
    """Let robots and the calendar address be shown without their secrets, and end with the user."""
    calendar = personal.Holding(_l("Calendar address"), _calendar, (), after=_end, told=False, shown=("calendar_at",))
    shown = ("channel", "masked", "since")
    personal.holds(
        "user", calendar, personal.Holding(_l("Robots"), _robots, (), after=forget_robot, told=False, shown=shown)
    )


def _robots(user: User) -> list[Any]:
    return list(db.session.execute(sa.select(Robot).where(Robot.user_id == user.id).order_by(Robot.id)).scalars())


def _calendar(user: User) -> list[Any]:
    settings = db.session.get(NoticeSettings, user.id)
    return [settings] if settings is not None and settings.calendar_hash is not None else []


def _end(settings: NoticeSettings) -> None:
    end_calendar(settings.user_id)
