"""工作日历: which days the company works, and when a number of working hours is over.

The package chinesecalendar knows China's public holidays and make-up working days (调休) as the State Council announced
them; what the company entered itself comes first. Of a year nobody announced yet only the weekends are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import chinese_calendar
import sqlalchemy as sa
from flask import current_app

from app.core.clock import company_zone, day_start, local, today
from app.core.errors import BusinessError
from app.core.sentences import gettext as _
from app.core.sentences import ngettext
from app.extensions import db
from app.masterdata.models import CalendarDay

SATURDAY = 5
FAR = 3660  # days looked at before giving up: ten years without work are a wrong calendar
ANNOUNCED = frozenset(day.year for day in chinese_calendar.holidays)


@dataclass(frozen=True)
class BusinessCalendar:
    """The company's working time: what it entered, the hours of a working day in minutes from midnight, its zone."""

    entered: dict[date, bool]
    hours: tuple[tuple[int, int], ...]
    zone: ZoneInfo

    def works(self, day: date) -> bool:
        """Whether the company works on this day."""
        if day in self.entered:
            return self.entered[day]
        if day.year in ANNOUNCED:
            return bool(chinese_calendar.is_workday(day))
        return day.weekday() < SATURDAY

    def add(self, start: datetime, hours: float) -> datetime:
        """The instant (UTC) at which `hours` of working time have passed since `start`.

        Exactly at the end of a working day is still that day. Raises `ValueError` unless `hours` > 0, `BusinessError`
        when the calendar has no working day left.
        """
        left = timedelta(hours=hours)
        if left <= timedelta(0):
            raise ValueError(f"working hours are more than none, not {hours}")
        first = start.astimezone(self.zone).date()
        for day in (first + timedelta(days=n) for n in range(FAR)):
            for begin, end in self._spans(day):
                worked = end - max(begin, start)
                if worked >= left:
                    return max(begin, start) + left
                left -= max(worked, timedelta(0))
        raise BusinessError(_("The business calendar has no working days after %(day)s.", day=first.isoformat()))

    def _spans(self, day: date) -> list[tuple[datetime, datetime]]:
        """The working time of one day, UTC; nothing on a day off."""
        if not self.works(day):
            return []
        midnight = datetime.combine(day, time.min)
        walls = ((midnight + timedelta(minutes=a), midnight + timedelta(minutes=b)) for a, b in self.hours)
        return [(self._instant(a), self._instant(b)) for a, b in walls]

    def _instant(self, wall: datetime) -> datetime:
        return wall.replace(tzinfo=self.zone).astimezone(UTC)


def load() -> BusinessCalendar:
    """The calendar as it is now: one statement, a few dozen rows a year."""
    entered = {row.day: row.working for row in db.session.execute(sa.select(CalendarDay.day, CalendarDay.working))}
    return BusinessCalendar(entered, current_app.config["LIUKE_WORK_HOURS"], company_zone())


def add_working_hours(start: datetime, hours: float) -> datetime:
    """The instant (UTC) at which `hours` of the company's working time have passed since `start` (aware).

    Raises `ValueError` unless `hours` > 0, `BusinessError` when the calendar has no working day left.
    """
    return load().add(start, hours)


def is_working_day(day: date) -> bool:
    """Whether the company works on `day`."""
    return load().works(day)


def doubt_about(*moments: datetime | None) -> str | None:
    """The sentence for a page that shows these instants: the holidays of a year they lie in were not announced yet.

    It stays when the company entered days of that year, and counts them: nobody but the company knows whether these
    are all. None if the year is known, or if there is nothing to doubt.
    """
    years = {local(moment).year for moment in moments if moment is not None} - ANNOUNCED
    if not years:
        return None
    year = min(years)
    entered = sum(1 for day in load().entered if day.year == year)
    if not entered:
        return _(
            "The public holidays of %(year)s are not known yet, so only its weekends count as days off. "
            "They can be entered in the business calendar.",
            year=year,
        )
    return ngettext(
        "The public holidays of %(year)s are not known yet. Besides its weekends, %(num)d day entered in the business "
        "calendar counts.",
        "The public holidays of %(year)s are not known yet. Besides its weekends, %(num)d days entered in the business "
        "calendar count.",
        entered,
        year=year,
    )


def doubt_about_next_year() -> str | None:
    """The same for this year and, from November on, the next one: what an administrator should enter."""
    now = today()
    return doubt_about(day_start(now), day_start(now + timedelta(days=61)))
