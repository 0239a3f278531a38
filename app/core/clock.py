"""The clock of the business: instants are UTC, days are the company's.

Saturday 02:00 in Shanghai is still Friday in UTC, so "today" is never the server's date.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta
from flask import current_app


def company_zone() -> ZoneInfo:
    """The time zone the company works in (setting LIUKE_TIMEZONE)."""
    return ZoneInfo(current_app.config["LIUKE_TIMEZONE"])


def utcnow() -> datetime:
    """This instant, aware, in UTC."""
    return datetime.now(UTC)


def today() -> date:
    """Today's date where the company works."""
    return local(utcnow()).date()


def local(moment: datetime) -> datetime:
    """`moment` on the company's wall clock."""
    return moment.astimezone(company_zone())


def from_local(wall: datetime) -> datetime:
    """The UTC instant of a naive wall-clock time of the company."""
    return wall.replace(tzinfo=company_zone()).astimezone(UTC)


def day_start(day: date) -> datetime:
    """The UTC instant at which the company's `day` begins."""
    return from_local(datetime.combine(day, time.min))


def day_end(day: date) -> datetime:
    """The UTC instant at which the company's `day` is over (exclusive)."""
    return day_start(day + timedelta(days=1))


def months_before(moment: datetime, months: int) -> datetime:
    """The same wall-clock time `months` calendar months earlier, as a UTC instant.

    The day is clipped to the month's end: 31 August minus 6 months is 28 (29) February.
    """
    wall = local(moment).replace(tzinfo=None)
    return from_local(wall - relativedelta(months=months))
