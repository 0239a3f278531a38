"""工作日历: what was announced, the company's own entries first, and when working hours are over."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from app.core.clock import from_local, local
from app.core.errors import BusinessError
from app.masterdata import calendar
from app.masterdata.models import CalendarDay
from config import work_hours
from tests import builders
from tests.support import rows, text_of

# Worked out by hand from the State Council's announcement for 2026, with working days of 09:00-18:00.
# Off: 25-27 September (Mid-Autumn), 1-7 October (National Day). Make-up days: Sunday 20 September, Saturday 10 October.
AROUND_NATIONAL_DAY = [
    ("2026-09-30T10:00", 4, "2026-09-30T14:00"),  # the last day before the holidays
    ("2026-09-30T09:00", 9, "2026-09-30T18:00"),  # exactly to its end
    ("2026-09-30T09:00", 10, "2026-10-08T10:00"),  # an hour more is after the holidays
    ("2026-09-30T16:00", 4, "2026-10-08T11:00"),
    ("2026-09-30T18:00", 1, "2026-10-08T10:00"),  # nothing is left of the day
    ("2026-10-01T12:00", 8, "2026-10-08T17:00"),  # begun in the holidays
    ("2026-10-07T23:59", 9, "2026-10-08T18:00"),
    ("2026-10-08T08:00", 8, "2026-10-08T17:00"),  # before the day begins
    ("2026-10-09T15:00", 8, "2026-10-10T14:00"),  # Saturday is worked
    ("2026-10-10T17:00", 2, "2026-10-12T10:00"),  # Sunday is not
    ("2026-10-11T10:00", 4, "2026-10-12T13:00"),
    ("2026-09-30T12:00", 24, "2026-10-09T18:00"),
    ("2026-09-30T12:00", 25, "2026-10-10T10:00"),
    ("2026-09-24T17:30", 1, "2026-09-28T09:30"),  # Mid-Autumn, Friday to Sunday
    ("2026-09-25T10:00", 8, "2026-09-28T17:00"),
    ("2026-09-19T11:00", 3, "2026-09-20T12:00"),  # Saturday off, Sunday worked
    ("2026-09-18T17:00", 4, "2026-09-20T12:00"),
    ("2026-09-20T16:00", 9, "2026-09-21T16:00"),
    ("2026-09-29T09:00", 40, "2026-10-10T13:00"),  # 9 + 9, then 9 + 9 + 4 after the holidays
    ("2026-10-07T17:00", 36, "2026-10-12T18:00"),
]


def wall(text):
    return from_local(datetime.fromisoformat(text))


def due(start, hours):
    """When it is due, on the company's wall clock."""
    return local(calendar.add_working_hours(wall(start), hours)).strftime("%Y-%m-%dT%H:%M")


@pytest.mark.parametrize(("start", "hours", "expected"), AROUND_NATIONAL_DAY)
def test_working_hours_around_national_day_and_a_working_saturday(db, start, hours, expected):
    assert due(start, hours) == expected


def test_due_times_are_instants_in_utc(db):
    found = calendar.add_working_hours(datetime(2026, 11, 23, 1, tzinfo=UTC), 1.5)
    assert (found, found.tzinfo) == (datetime(2026, 11, 23, 2, 30, tzinfo=UTC), UTC)


@pytest.mark.parametrize("hours", [0, -1])
def test_no_time_at_all_is_not_working_time(db, hours):
    with pytest.raises(ValueError, match="more than none"):
        calendar.add_working_hours(wall("2026-11-23T09:00"), hours)


@pytest.mark.parametrize(
    ("day", "works"),
    [("2026-10-07", False), ("2026-10-08", True), ("2026-10-10", True), ("2026-10-11", False), ("2026-11-22", False)],
)
def test_announced_holidays_and_make_up_days_are_known(db, day, works):
    assert calendar.is_working_day(date.fromisoformat(day)) is works


def test_what_the_company_entered_comes_before_what_was_announced(db):
    builders.calendar_day(day=date(2026, 10, 10), working=False)
    builders.calendar_day(day=date(2026, 10, 7), working=True)

    assert due("2026-10-06T09:00", 9) == "2026-10-07T18:00"
    assert due("2026-10-09T15:00", 8) == "2026-10-12T14:00"


def test_of_a_year_nobody_announced_only_the_weekends_are_off_and_that_is_said(db):
    assert calendar.is_working_day(date(2031, 10, 1))  # a Wednesday
    assert not calendar.is_working_day(date(2031, 10, 4))
    assert calendar.doubt_about(wall("2026-10-01T00:00"), None) is None
    assert "holidays of 2031 are not known" in calendar.doubt_about(wall("2026-10-01T00:00"), wall("2031-01-02T00:00"))


def test_the_year_of_a_doubt_is_the_company_s(db):
    assert calendar.doubt_about(datetime(2030, 12, 31, 15, 59, tzinfo=UTC)) != calendar.doubt_about(
        datetime(2030, 12, 31, 16, 0, tzinfo=UTC)
    )


def test_the_days_of_an_unknown_year_that_were_entered_count_and_are_counted(db):
    noon = wall("2031-10-01T12:00")
    builders.calendar_day(day=date(2031, 10, 1), working=False)
    builders.calendar_day(day=date(2032, 10, 1), working=False)
    assert "holidays of 2031 are not known yet. Besides its weekends, 1 day entered" in calendar.doubt_about(noon)
    builders.calendar_day(day=date(2031, 10, 2), working=False)
    assert "2 days entered" in calendar.doubt_about(noon)

    assert due("2031-09-30T17:00", 2) == "2031-10-03T10:00"


def test_a_calendar_without_working_days_says_so_instead_of_looking_for_ever(db, monkeypatch):
    monkeypatch.setattr(calendar.BusinessCalendar, "works", lambda _self, _day: False)
    with pytest.raises(BusinessError, match="no working days after 2026-11-23"):
        calendar.add_working_hours(wall("2026-11-23T09:00"), 1)


def test_a_break_at_noon_is_no_working_time(app, db):
    app.config["LIUKE_WORK_HOURS"] = work_hours("09:00-12:00, 13:00-18:00")
    assert due("2026-11-23T11:00", 2) == "2026-11-23T14:00"
    assert due("2026-11-23T12:30", 1) == "2026-11-23T14:00"
    assert due("2026-11-23T09:00", 3) == "2026-11-23T12:00"


def test_a_company_may_work_around_the_clock(app, db):
    app.config["LIUKE_WORK_HOURS"] = work_hours("00:00-24:00")
    assert due("2026-11-23T20:00", 10) == "2026-11-24T06:00"


def test_hours_are_real_hours_where_the_clock_is_changed(app, db):
    app.config.update(LIUKE_TIMEZONE="Europe/Berlin", LIUKE_WORK_HOURS=work_hours("00:00-24:00"))
    builders.calendar_day(day=date(2026, 3, 29), working=True)  # the clock goes from 02:00 to 03:00
    assert due("2026-03-29T01:00", 2) == "2026-03-29T04:00"


@pytest.mark.parametrize(
    "text", ["9 to 6", "09:00", "18:00-09:00", "09:00-12:00,11:00-18:00", "09:60-18:00", "0-25:00"]
)
def test_working_hours_that_make_no_sense_stop_the_start(text):
    with pytest.raises(SystemExit, match="LIUKE_WORK_HOURS reads like"):
        work_hours(text)


def test_an_administrator_enters_days(db, sysadmin, sign_in):
    browser = sign_in(sysadmin)
    answer = browser.post("/workdays/add", {"day": "2027-10-01", "note": "国庆节"})
    assert answer.status_code == 302
    [entry] = rows(CalendarDay)
    assert (entry.day, entry.working, entry.note) == (date(2027, 10, 1), False, "国庆节")

    again = browser.post("/workdays/add", {"day": "2027-10-01", "working": "y"})
    assert again.status_code == 422
    assert "already a record" in text_of(again)
    assert len(rows(CalendarDay)) == 1


@pytest.mark.parametrize("name", ["li", "wang", "chen"])
def test_nobody_else_does(db, request, sign_in, name):
    browser = sign_in(request.getfixturevalue(name))
    browser.post("/workdays/add", {"day": "2027-10-01"})
    assert rows(CalendarDay) == []


def test_the_screen_says_when_the_coming_year_is_not_known(db, sysadmin, sign_in, monkeypatch):
    browser = sign_in(sysadmin)
    monkeypatch.setattr(calendar, "today", lambda: date(2031, 6, 1))
    assert "holidays of 2031 are not known" in text_of(browser.get("/workdays/list/"))
    monkeypatch.setattr(calendar, "today", lambda: date(2026, 10, 31))
    assert "are not known" not in text_of(browser.get("/workdays/list/"))
