"""When a job is due is a question of the company's wall clock, on both sides of a changed clock too."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from app.runs.periodic import CHURN_SCAN, EVERY_DAY, Every, Rule, hand_period, instant, period_of, wall_of

SHANGHAI = ZoneInfo("Asia/Shanghai")
SATURDAY = Rule(frozenset({5}), time(2))


@pytest.mark.parametrize(
    ("now", "last", "following"),
    [
        ("2026-11-20T17:59:59+00:00", "2026-11-14T02:00", "2026-11-21T02:00"),  # Friday 01:59:59 UTC is Saturday there
        ("2026-11-20T18:00:00+00:00", "2026-11-21T02:00", "2026-11-28T02:00"),  # to the second
        ("2026-11-22T06:00:00+00:00", "2026-11-21T02:00", "2026-11-28T02:00"),
        ("2026-12-31T23:00:00+00:00", "2026-12-26T02:00", "2027-01-02T02:00"),
    ],
)
def test_the_scan_belongs_to_saturday_two_o_clock_in_shanghai(now, last, following):
    moment = datetime.fromisoformat(now)

    assert period_of(CHURN_SCAN.rule.last(moment, SHANGHAI)) == last
    assert period_of(CHURN_SCAN.rule.next(moment, SHANGHAI)) == following


def test_a_period_is_an_instant_of_the_company():
    assert instant(wall_of("2026-11-21T02:00"), SHANGHAI) == datetime(2026, 11, 20, 18, tzinfo=UTC)


@pytest.mark.parametrize(
    "name", ["hand-20261122T060000Z", "2026-11-21", "2026-11-21T02:00:30", "2026-11-21T02:00+08:00"]
)
def test_what_is_no_scheduled_period_is_not_taken_for_one(name):
    with pytest.raises(ValueError, match=r"period|isoformat"):
        wall_of(name)


@pytest.mark.parametrize(
    ("zone", "first", "minutes"),
    [
        ("Asia/Hebron", datetime(2026, 3, 27, 12, tzinfo=UTC), 36 * 60),  # its clocks go forward on Saturday 02:00
        ("America/New_York", datetime(2026, 3, 7, 12, tzinfo=UTC), 36 * 60),  # on Sunday 02:00
        ("America/New_York", datetime(2026, 10, 31, 12, tzinfo=UTC), 36 * 60),  # back on Sunday 02:00
        ("Europe/Berlin", datetime(2026, 10, 24, 12, tzinfo=UTC), 36 * 60),
    ],
)
def test_a_changed_clock_neither_repeats_nor_swallows_an_occurrence(zone, first, minutes):
    daily = Rule(EVERY_DAY, time(2))
    seen = [daily.last(first + timedelta(minutes=n), ZoneInfo(zone)) for n in range(minutes)]

    fired = [after for before, after in pairwise(seen) if before != after]

    assert fired == daily.between(seen[0], seen[-1])
    assert fired


def test_a_skipped_hour_runs_at_its_end_and_a_repeated_one_at_its_first_pass():
    hebron, new_york = ZoneInfo("Asia/Hebron"), ZoneInfo("America/New_York")

    skipped = instant(datetime(2026, 3, 28, 2), hebron)
    repeated = instant(datetime(2026, 11, 1, 1, 30), new_york)

    assert skipped.astimezone(hebron).replace(tzinfo=None) == datetime(2026, 3, 28, 3)
    assert repeated == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)


def test_missed_saturdays_are_counted_from_the_last_one_that_was_done():
    missed = SATURDAY.between(datetime(2026, 10, 31, 2), datetime(2026, 11, 21, 2))

    assert [period_of(wall) for wall in missed] == ["2026-11-07T02:00", "2026-11-14T02:00", "2026-11-21T02:00"]
    assert SATURDAY.between(datetime(2026, 11, 21, 2), datetime(2026, 11, 21, 2)) == []


def test_two_clicks_within_a_second_are_one_run_by_hand():
    click = datetime(2026, 11, 22, 6, 0, 0, 100, tzinfo=UTC)

    assert hand_period(click) == hand_period(click + timedelta(milliseconds=900)) == "hand-20261122T060000Z"
    assert hand_period(click + timedelta(seconds=1)) == "hand-20261122T060001Z"


@pytest.mark.parametrize(
    ("now", "last", "following"),
    [
        ("2026-11-22T06:09:59+00:00", "2026-11-22T14:00", "2026-11-22T14:10"),
        ("2026-11-22T06:10:00+00:00", "2026-11-22T14:10", "2026-11-22T14:20"),  # to the second
        ("2026-11-22T15:55:00+00:00", "2026-11-22T23:50", "2026-11-23T00:00"),
    ],
)
def test_every_ten_minutes_on_the_company_s_clock(now, last, following):
    moment, rule = datetime.fromisoformat(now), Every(10)
    assert period_of(rule.last(moment, SHANGHAI)) == last
    assert period_of(rule.next(moment, SHANGHAI)) == following


def test_the_occurrences_between_two_times():
    walls = Every(20).between(wall_of("2026-11-22T14:00"), wall_of("2026-11-22T15:00"))
    assert [period_of(wall) for wall in walls] == ["2026-11-22T14:20", "2026-11-22T14:40", "2026-11-22T15:00"]
    assert Every(20).between(wall_of("2026-11-22T14:05"), wall_of("2026-11-22T14:19")) == []


@pytest.mark.parametrize(("zone", "first"), [
    ("America/New_York", datetime(2026, 3, 8, 5, tzinfo=UTC)),  # clocks go forward
    ("America/New_York", datetime(2026, 11, 1, 4, tzinfo=UTC)),  # and back
    ("Asia/Shanghai", datetime(2026, 11, 1, 4, tzinfo=UTC)),
])  # fmt: skip
def test_every_ten_minutes_goes_on_when_the_clock_is_changed(zone, first):
    rule, zone = Every(10), ZoneInfo(zone)
    for minutes in range(0, 5 * 60, 3):
        now = first + timedelta(minutes=minutes)
        assert instant(rule.last(now, zone), zone) <= now < instant(rule.next(now, zone), zone)
        assert instant(rule.next(now, zone), zone) - now <= timedelta(minutes=70)
