"""A year of Saturdays passes on a fixed clock, whatever time zone the server is in."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.core.clock import company_zone
from app.core.unit import unit_of_work
from app.runs.models import JobRun, RunStatus
from app.runs.operations import claim, finish
from app.runs.periodic import instant, wall_of
from jobs.schedule import ledger_due
from tests import builders
from tests.support import rows

FIRST = datetime(2026, 1, 3)  # a Saturday, on the company's calendar
LOOKS = (timedelta(0), timedelta(hours=37), timedelta(days=6, hours=22, minutes=59))  # after Saturday 02:00


@pytest.fixture
def server_in(monkeypatch):
    """`server_in("America/New_York")` puts this process into another time zone."""

    def move(zone):
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield move
    monkeypatch.undo()
    time.tzset()


def run_all(periods, clock):
    """What a worker does with them, without the scan."""
    for period in periods:
        as_of = instant(wall_of(period), company_zone())
        with unit_of_work():
            run = claim("churn-scan", period, scheduled_for=as_of, owner=f"worker:{os.getpid()}", now=clock())
            if run is not None:
                finish(run, {}, clock())


def nightly(*values):
    """Cases of every night."""
    return [pytest.param(value, marks=pytest.mark.nightly) for value in values]


@pytest.mark.once  # the ledger of two runs at once is tested on both
@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai", "America/New_York", *nightly("Europe/Berlin", "Asia/Hebron")])
@pytest.mark.parametrize(
    "company", ["Asia/Shanghai", *nightly("UTC", "America/New_York", "Europe/Berlin", "Asia/Hebron")]
)
@pytest.mark.parametrize("weeks_off", [0, 5, *nightly(1, 2, 3, 4)])
def test_a_year_has_fifty_two_runs_each_once(
    app, db, make_scheduler, clock, drain, server_in, zone, company, weeks_off
):
    server_in(zone)
    app.config["LIUKE_TIMEZONE"] = company
    builders.sync_run(finished_at=datetime(2027, 1, 1, tzinfo=UTC))  # the mirror is fresh all year
    scheduler = make_scheduler(zone=ZoneInfo(company), due=ledger_due)
    for week in range(52):
        if week in range(10, 10 + weeks_off):  # over the night on which Hebron's clocks skip 02:00
            continue
        for later in LOOKS:
            clock.at = instant(FIRST + timedelta(weeks=week, hours=2), company_zone()) + later
            scheduler.tick()
            run_all(drain(), clock)

    runs = rows(JobRun)
    expected = [FIRST + timedelta(weeks=week, hours=2) for week in range(52)]
    assert sorted(run.period for run in runs) == [f"{wall:%Y-%m-%dT%H:%M}" for wall in expected]
    assert {(run.status, run.attempt) for run in runs} == {(RunStatus.done, 1)}
    assert [run.scheduled_for for run in sorted(runs, key=lambda run: run.period)] == [
        instant(wall, company_zone()) for wall in expected
    ]
