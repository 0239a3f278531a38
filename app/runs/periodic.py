"""Which jobs run by themselves, and when: on the company's wall clock, whatever the server's time zone.

An occurrence is named by its wall-clock time, "2026-11-21T02:00": its *period*, the ledger's key. The cron line of
the weekly scan is `0 2 * * 6` (6 is Saturday; 7 would be Sunday), but cron in a library follows the process's time
zone and fires 61 times in the hour a clock is put forward, so the few rules we need are computed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import lazy_gettext as _l

MONDAY, SATURDAY = 0, 5
EVERY_DAY = frozenset(range(7))
BACKFILL = 60  # missed periods that are caught up at most, the latest ones
HAND = "hand-"


@dataclass(frozen=True)
class Rule:
    """A wall-clock time on some weekdays; Monday is 0."""

    days: frozenset[int]
    at: time

    def last(self, now: datetime, zone: ZoneInfo) -> datetime:
        """The wall-clock time of the newest occurrence that is not after `now`."""
        return max(wall for wall in self._around(now, zone) if instant(wall, zone) <= now)

    def next(self, now: datetime, zone: ZoneInfo) -> datetime:
        """The wall-clock time of the first occurrence after `now`."""
        return min(wall for wall in self._around(now, zone) if instant(wall, zone) > now)

    def between(self, after: datetime, until: datetime) -> list[datetime]:
        """The wall-clock times of the occurrences in (after, until], both wall-clock times; oldest first."""
        days = range((until.date() - after.date()).days + 1)
        walls = [datetime.combine(after.date() + timedelta(days=n), self.at) for n in days]
        return [wall for wall in walls if wall.weekday() in self.days and after < wall <= until]

    def _around(self, now: datetime, zone: ZoneInfo) -> list[datetime]:
        today = now.astimezone(zone).date()
        days = (today + timedelta(days=n) for n in range(-8, 9))
        return [datetime.combine(day, self.at) for day in days if day.weekday() in self.days]


@dataclass(frozen=True)
class Monthly:
    """A wall-clock time on one day of every month: so many days after the one on which a month is closed."""

    after: int
    at: time

    def last(self, now: datetime, zone: ZoneInfo) -> datetime:
        """The wall-clock time of the newest occurrence that is not after `now`."""
        return max(wall for wall in self._around(now, zone) if instant(wall, zone) <= now)

    def next(self, now: datetime, zone: ZoneInfo) -> datetime:
        """The wall-clock time of the first occurrence after `now`."""
        return min(wall for wall in self._around(now, zone) if instant(wall, zone) > now)

    def between(self, after: datetime, until: datetime) -> list[datetime]:
        """The wall-clock times of the occurrences in (after, until], both wall-clock times; oldest first."""
        months = range(_month(after), _month(until) + 1)
        return [wall for wall in map(self._in, months) if after < wall <= until]

    def _in(self, month: int) -> datetime:
        return datetime.combine(date(month // 12, month % 12 + 1, close_day() + self.after), self.at)

    def _around(self, now: datetime, zone: ZoneInfo) -> list[datetime]:
        month = _month(now.astimezone(zone))
        return [self._in(month + n) for n in (-1, 0, 1)]


def close_day() -> int:
    """The day of a month on which the month before is closed, 1 to 27 (setting LIUKE_CLOSE_DAY)."""
    from config import Config  # the scheduler asks outside an application, and settings are read last

    return Config.LIUKE_CLOSE_DAY


def _month(moment: datetime) -> int:
    return moment.year * 12 + moment.month - 1


@dataclass(frozen=True)
class Every:
    """Every so many minutes of the wall clock, counted from the full hour; they divide an hour.

    In an hour that a changed clock repeats it rests: its names were used up a moment ago.
    """

    minutes: int

    def last(self, now: datetime, zone: ZoneInfo) -> datetime:
        """The wall-clock time of the newest occurrence that is not after `now`."""
        wall = now.astimezone(zone).replace(second=0, microsecond=0, tzinfo=None, fold=0)
        return wall - timedelta(minutes=wall.minute % self.minutes)

    def next(self, now: datetime, zone: ZoneInfo) -> datetime:
        """The wall-clock time of the first occurrence after `now`."""
        wall = self.last(now, zone)
        while instant(wall, zone) <= now:
            wall += timedelta(minutes=self.minutes)
        return wall

    def between(self, after: datetime, until: datetime) -> list[datetime]:
        """The wall-clock times of the occurrences in (after, until], both wall-clock times; oldest first."""
        first = after - timedelta(minutes=after.minute % self.minutes - self.minutes)
        count = (until - first) // timedelta(minutes=self.minutes) + 1
        return [first + timedelta(minutes=n * self.minutes) for n in range(count)]


@dataclass(frozen=True)
class Periodic:
    """A job that runs by itself."""

    id: str
    label: Any
    path: str  # of the function, called with the period
    rule: Rule | Monthly | Every
    backfill: bool  # whether every missed period is caught up, or only the newest


def instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The UTC instant of an occurrence: the first of the two in a repeated hour, the gap's end in a skipped one."""
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


def period_of(wall: datetime) -> str:
    """The name of an occurrence."""
    return wall.isoformat(timespec="minutes")


def wall_of(period: str) -> datetime:
    """The wall-clock time a period is named after. Raises `ValueError` for anything else, a hand run included."""
    wall = datetime.fromisoformat(period)
    if wall.tzinfo is not None or period_of(wall) != period:
        raise ValueError(f"not a period: {period!r}")
    return wall


def hand_period(now: datetime) -> str:
    """The name of a run by hand: two clicks within a second are one run."""
    return f"{HAND}{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"


BACKUP = Periodic("backup", _l("Backup"), "jobs.backup.run", Rule(EVERY_DAY, time(1, 30)), backfill=False)
CHURN_SCAN = Periodic(
    "churn-scan", _l("Churn scan"), "jobs.churn_scan.run", Rule(frozenset({SATURDAY}), time(2)), backfill=True
)
CHURN_ESTIMATE = Periodic(
    "churn-estimate", _l("Churn estimate"), "jobs.churn_estimate.run", Rule(frozenset({SATURDAY}), time(3, 30)),
    backfill=False,
)  # fmt: skip
SESSION_SWEEP = Periodic(
    "session-sweep", _l("Session clean-up"), "jobs.session_sweep.run", Rule(EVERY_DAY, time(3, 30)), backfill=False
)
ATTACHMENT_SWEEP = Periodic(
    "attachment-sweep", _l("Attachment clean-up"), "jobs.attachment_sweep.run", Rule(EVERY_DAY, time(3, 45)),
    backfill=False,
)  # fmt: skip
TOTALS_CHECK = Periodic(
    "totals-check", _l("Check of totals"), "jobs.totals_check.run", Rule(EVERY_DAY, time(4, 15)), backfill=False
)
TICKET_ESCALATION = Periodic(
    "ticket-escalation", _l("Reminders of overdue tickets"), "jobs.ticket_escalation.run", Every(10), backfill=False
)
MORNING = Periodic(
    "morning", _l("Notifications of the morning"), "jobs.notify.run", Rule(EVERY_DAY, time(6)), backfill=False
)
MONTH_CLOSE = Periodic(
    "month-close", _l("Closing of the month"), "jobs.month_close.run", Monthly(0, time(5)),
    backfill=True,
)  # fmt: skip
WEEKLY_MAIL = Periodic(
    "weekly-mail", _l("Weekly reports by e-mail"), "jobs.report_mail.weekly", Rule(frozenset({MONDAY}), time(7, 30)),
    backfill=False,
)  # fmt: skip
MONTHLY_MAIL = Periodic(  # the day after the month is closed
    "monthly-mail", _l("Monthly reports by e-mail"), "jobs.report_mail.monthly",
    Monthly(1, time(7, 30)), backfill=False,
)  # fmt: skip

PERIODIC = (
    ATTACHMENT_SWEEP, BACKUP, CHURN_ESTIMATE, CHURN_SCAN, MONTH_CLOSE, MONTHLY_MAIL, MORNING, SESSION_SWEEP,
    TICKET_ESCALATION, TOTALS_CHECK, WEEKLY_MAIL,
)  # fmt: skip
