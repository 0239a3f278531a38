"""The running month, quarter or year of the dashboard, and as many days of the one before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from app.core.clock import day_start, from_local, local
from app.reports import period
from app.reports.period import Period

CODES = ("month", "quarter", "year")
RECENT = 6  # whole months of a small line


@dataclass(frozen=True)
class Span:
    """A period that is not over: [its start, now), and the same number of days of the period before it.

    The period before may be shorter; then it is compared whole. Bounds are UTC instants, days the company's.
    """

    code: str
    period: Period
    now: datetime

    @property
    def today(self) -> date:
        """The company's day it is now."""
        return local(self.now).date()

    @property
    def start(self) -> datetime:
        """Its first instant."""
        return self.period.start

    @property
    def before_start(self) -> datetime:
        """The first instant of the period before."""
        return self.period.before.start

    @property
    def before_end(self) -> datetime:
        """As far into the period before as now is into this one; its end where it is shorter."""
        passed = local(self.now).replace(tzinfo=None) - datetime.combine(self.period.first, time.min)
        return min(from_local(datetime.combine(self.period.before.first, time.min) + passed), self.start)

    @property
    def before_until(self) -> date:
        """The day after the last that is compared: both have the same number of days, today counted whole."""
        days = self.today - self.period.first + timedelta(days=1)
        return min(self.period.before.first + days, self.period.first)

    def months(self, number: int) -> list[date]:
        """The first days of the last `number` months, oldest first; the last one is the month it is now."""
        return [months_on(self.today.replace(day=1), -ago) for ago in reversed(range(number))]

    def weeks(self, number: int) -> list[date]:
        """The Mondays of the last `number` weeks, oldest first; the last one is the week it is now."""
        monday = self.today - timedelta(days=self.today.weekday())
        return [monday - timedelta(weeks=ago) for ago in reversed(range(number))]

    @property
    def recent(self) -> list[date]:
        """The first days of the six whole months before this one, oldest first."""
        return self.months(RECENT + 1)[:-1]


def running(code: str, now: datetime) -> Span:
    """The month, quarter or year it is now, company time; another code means the month."""
    today = local(now).date()
    quarter = date(today.year, (today.month - 1) // 3 * 3 + 1, 1)
    periods = {
        "month": period.month_of(today),
        "quarter": Period(quarter, months_on(quarter, 3)),
        "year": period.year_of(today),
    }
    code = code if code in CODES else CODES[0]
    return Span(code, periods[code], now)


def months_on(first: date, months: int) -> date:
    """The first day of the month so many months after that of `first`."""
    number = first.year * 12 + first.month - 1 + months
    return date(number // 12, number % 12 + 1, 1)


def month_ends(firsts: list[date]) -> list[datetime]:
    """The first instants after these months."""
    return [day_start(months_on(first, 1)) for first in firsts]
