"""The clock of the business: instants are UTC, days are the company's, months are calendar months."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.clock import day_end, day_start, from_local, local, months_before, today, utcnow

instants = st.datetimes(datetime(1992, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC))


def wall(*parts):
    return from_local(datetime(*parts))


@pytest.mark.parametrize(
    ("moment", "months", "expected"),
    [
        ((1997, 12, 6, 2, 0), 6, (1997, 6, 6, 2, 0)),
        ((2026, 8, 31, 2, 0), 6, (2026, 2, 28, 2, 0)),
        ((2024, 8, 31, 2, 0), 6, (2024, 2, 29, 2, 0)),
        ((2026, 3, 31, 23, 59), 1, (2026, 2, 28, 23, 59)),
        ((2026, 1, 15, 0, 0), 12, (2025, 1, 15, 0, 0)),
        ((2028, 2, 29, 12, 0), 12, (2027, 2, 28, 12, 0)),
        ((2026, 5, 5, 5, 5), 0, (2026, 5, 5, 5, 5)),
    ],
)
def test_months_are_counted_on_the_calendar_and_clipped_to_its_end(db, moment, months, expected):
    assert months_before(wall(*moment), months) == wall(*expected)


@given(instants, st.integers(0, 60))
def test_the_wall_clock_stays_and_the_day_is_clipped(db, moment, months):
    then, now = local(months_before(moment, months)), local(moment)
    assert (now.year * 12 + now.month) - (then.year * 12 + then.month) == months
    assert then.day == min(now.day, monthrange(then.year, then.month)[1])
    assert (then.hour, then.minute, then.second) == (now.hour, now.minute, now.second)


@given(instants, instants, st.integers(0, 60))
def test_later_stays_later_or_equal(db, one, other, months):
    earlier, later = sorted((one, other))
    assert months_before(earlier, months) <= months_before(later, months)


@given(instants)
def test_an_instant_survives_the_way_to_the_wall_and_back(db, moment):
    assert from_local(local(moment).replace(tzinfo=None)) == moment


@given(st.dates(date(1992, 1, 1), date(2099, 12, 30)))
def test_days_follow_each_other_without_a_gap(db, day):
    assert day_end(day) == day_start(day + timedelta(days=1))
    assert local(day_start(day)).date() == day
    assert local(day_end(day) - timedelta(microseconds=1)).date() == day


def test_saturday_two_oclock_in_shanghai_is_friday_in_utc(db):
    assert wall(2026, 11, 21, 2, 0) == datetime(2026, 11, 20, 18, 0, tzinfo=UTC)


def test_today_is_the_companys(db, monkeypatch):
    monkeypatch.setattr("app.core.clock.utcnow", lambda: datetime(2026, 11, 20, 16, 0, tzinfo=UTC))
    assert today() == date(2026, 11, 21)


def test_summer_time_moves_the_instant_and_not_the_wall(app, db):
    app.config["LIUKE_TIMEZONE"] = "Europe/Berlin"
    assert months_before(datetime(2026, 7, 1, 10, 0, tzinfo=UTC), 6) == datetime(2026, 1, 1, 11, 0, tzinfo=UTC)


def test_now_is_aware(db):
    assert utcnow().tzinfo is UTC
