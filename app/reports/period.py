"""The stretch of time a report is about: a company-local year, quarter or month, from one day to another, or all there
is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise

from flask_babel import gettext as _

from app.core.clock import day_start
from app.core.web import language

FIRST_YEAR, LAST_YEAR = 1970, 2100
_CODE = re.compile(r"(\d{4})(?:-(?:Q([1-4])|(0[1-9]|1[0-2])(-12m)?))?\Z", re.ASCII)
_DAYS = re.compile(r"(\d{4}-\d\d-\d\d)\.\.(\d{4}-\d\d-\d\d)\Z", re.ASCII)


@dataclass(frozen=True)
class Period:
    """Company-local days: [first, until). Its code is what an address says: 2026, 2026-Q3, 2026-10, 2026-10-12m for the
    twelve months that end with October, or 2026-03-15..2026-07-20 for all else, both days included."""

    first: date
    until: date

    @property
    def months(self) -> int:
        """How many whole months it has: 12, 3 or 1; 0 if it begins or ends within one."""
        if self.first.day != 1 or self.until.day != 1:
            return 0
        return (self.until.year - self.first.year) * 12 + self.until.month - self.first.month

    @property
    def is_year(self) -> bool:
        """Whether it is a calendar year, not just twelve months."""
        return self.months == 12 and self.first.month == 1

    @property
    def is_quarter(self) -> bool:
        """Whether it is a calendar quarter, not just three months."""
        return self.months == 3 and self.first.month % 3 == 1

    @property
    def last_day(self) -> date:
        """The last day in it."""
        return self.until - timedelta(days=1)

    @property
    def last(self) -> Period:
        """Its last month."""
        return Period(_months_on(self.until, -1), self.until)

    @property
    def code(self) -> str:
        """What an address says."""
        if self.is_year:
            return f"{self.first.year}"
        if self.months == 12:
            return f"{self.last.code}-12m"
        if self.is_quarter:
            return f"{self.first.year}-Q{(self.first.month + 2) // 3}"
        return f"{self.first:%Y-%m}" if self.months == 1 else f"{self.first}..{self.last_day}"

    @property
    def label(self) -> str:
        """What a person says: 2026年10月, Oct 2026."""
        if self.is_year:
            return f"{self.first.year}年" if language() == "zh" else f"{self.first.year}"
        if self.months == 12:
            return _("12 months to %(month)s", month=self.last.label)
        if self.is_quarter:
            return _("Q%(quarter)s %(year)s", quarter=(self.first.month + 2) // 3, year=self.first.year)
        if self.months == 1:
            return month_label(self.first)
        return _("%(first)s to %(last)s", first=self.first, last=self.last_day)

    @property
    def before(self) -> Period:
        """The period of the same length, in months or else in days, that ends where this one begins."""
        if not self.months:
            return Period(self.first - (self.until - self.first), self.first)
        return Period(_months_on(self.first, -self.months), self.first)

    @property
    def start(self) -> datetime:
        """Its first instant, UTC."""
        return day_start(self.first)

    @property
    def end(self) -> datetime:
        """The first instant after it, UTC."""
        return day_start(self.until)

    def is_over(self, today: date) -> bool:
        """Whether nothing more can happen in it."""
        return today >= self.until

    def each_month(self) -> list[Period]:
        """Its months, in order; where it begins or ends within one, what it has of that."""
        number = (self.last_day.year - self.first.year) * 12 + self.last_day.month - self.first.month
        return self._cut([_months_on(self.first.replace(day=1), n + 1) for n in range(number)])

    def each_week(self) -> list[Period]:
        """Its weeks from Monday to Sunday, in order; where it begins or ends within one, what it has of that."""
        monday = self.first + timedelta(days=7 - self.first.weekday())
        return self._cut([monday + timedelta(days=n) for n in range(0, (self.until - monday).days, 7)])

    def _cut(self, days: list[date]) -> list[Period]:
        """Its parts, each but the first of which begins with one of these days."""
        return [Period(first, until) for first, until in pairwise((self.first, *days, self.until))]


def parse(code: str) -> Period | None:
    """The period an address names; None for what is none."""
    found = _CODE.match(code)
    if found is None or not FIRST_YEAR <= int(found[1]) <= LAST_YEAR:
        return None
    year, quarter, month = int(found[1]), found[2], found[3]
    if found[4]:
        return twelve_months(_months_on(date(year, int(month), 1), 1))
    if quarter:
        return _from(date(year, int(quarter) * 3 - 2, 1), 3)
    return _from(date(year, int(month), 1), 1) if month else _from(date(year, 1, 1), 12)


def parse_days(code: str) -> Period | None:
    """The days an address names: 2026-03-15..2026-07-20; None for what is none."""
    found = _DAYS.match(code)
    return between(found[1], found[2]) if found is not None else None


def between(first: str, last: str) -> Period | None:
    """From the beginning of one day to the end of another, in either order; None if one of them is no day."""
    try:
        begin, end = sorted((date.fromisoformat(first), date.fromisoformat(last)))
    except ValueError:
        return None
    inside = begin.year >= FIRST_YEAR and end.year <= LAST_YEAR
    return Period(begin, end + timedelta(days=1)) if inside else None


def year_of(day: date) -> Period:
    """The year a day lies in."""
    return _from(day.replace(month=1, day=1), 12)


def twelve_months(today: date) -> Period:
    """The last twelve whole months before the one a day lies in."""
    until = today.replace(day=1)
    return Period(_months_on(until, -12), until)


def month_of(day: date) -> Period:
    """The month a day lies in."""
    return _from(day.replace(day=1), 1)


def offered(today: date) -> list[Period]:
    """What a reader may choose: years, the last twelve months, and quarters and months of this year and the last,
    newest first."""
    years = [year_of(date(year, 1, 1)) for year in range(today.year, today.year - 5, -1)]
    recent = [_months_on(today.replace(month=1, day=1), -12 + n) for n in range(24)]
    begun = [day for day in recent if day <= today]
    quarters = [_from(day, 3) for day in begun if day.month % 3 == 1]
    twelve = [twelve_months(today)] if today.month != 1 else []  # else they are the last year
    return [*years, *twelve, *quarters[::-1], *[_from(day, 1) for day in begun[::-1]]]


def month_label(first: date) -> str:
    """A month as a person says it."""
    from flask_babel import format_date

    return str(format_date(first, "yyyy年M月" if language() == "zh" else "MMM yyyy"))


def _from(first: date, months: int) -> Period:
    return Period(first, _months_on(first, months))


def _months_on(first: date, months: int) -> date:
    number = first.year * 12 + first.month - 1 + months
    return date(number // 12, number % 12 + 1, 1)
