"""`crm churn`: counts, previews, refusals, and the row each run leaves in the ledger."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import pytest

from app.churn import scan as scanning
from app.churn.models import ChurnCase, ChurnStatus
from app.churn.operations import ScanResult, scan_range
from app.churn.scan import PARTS, StaleMirrorError, check_mirror, run_scan
from app.core.clock import from_local, utcnow
from app.core.errors import BusinessError
from app.core.unit import unit_of_work
from app.mirror.models import SyncStatus
from app.runs.models import JobRun, RunStatus
from app.runs.operations import RunLostError, claim
from tests import builders
from tests.support import rows, statements

WALL = datetime(1997, 12, 6, 2)
LONG_AGO = date(1996, 1, 1)


@pytest.fixture
def crm(app, db):
    """`crm("--preview")` runs `crm churn --preview` and gives its result."""
    return lambda *options: app.test_cli_runner().invoke(args=["crm", "churn", *options])


def test_it_prints_what_it_did_and_again_that_there_is_nothing_to_do(crm):
    customer = builders.customer(registered_on=LONG_AGO)
    builders.customer(registered_on=LONG_AGO)
    first = crm("--as-of", "1997-12-06T02:00")
    assert first.exit_code == 0, first.output
    assert first.output.endswith("As of 1997-12-06 02:00:\ndue 2, opened 2, recovered 0, open 2\n")
    assert crm("--as-of", "1997-12-06T02:00").output.endswith("due 0, opened 0, recovered 0, open 2\n")
    builders.order(customer, at=from_local(WALL + timedelta(days=1)))
    assert crm("--as-of", "1997-12-13T02:00").output.endswith("due 0, opened 0, recovered 1, open 1\n")


@pytest.mark.parametrize("as_of", ["1997-12-06T02:00", "1997-12-05T18:00:00Z", "1997-12-05T18:00+00:00"])
def test_json_names_the_instant_and_the_counts(crm, as_of):
    builders.sync_run(finished_at=utcnow() - timedelta(days=30))
    builders.customer(registered_on=LONG_AGO)
    result = crm("--as-of", as_of, "--json")
    assert json.loads(result.stdout) == {
        "as_of": "1997-12-05T18:00:00+00:00", "preview": False, "due": 1, "opened": 1, "recovered": 0, "open": 1,
    }  # fmt: skip
    assert result.stderr == "Last synced 30 days ago.\n"  # a replay goes on, but says so
    assert [case.opened_at for case in rows(ChurnCase)] == [from_local(WALL)]


def test_a_preview_goes_on_with_a_stale_mirror_and_leaves_no_trace(crm):
    builders.customer(registered_on=LONG_AGO)
    result = crm("--preview", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["opened"] == 1
    assert result.stderr == "The sales system was never synced.\n"
    assert "preview, nothing is written" in crm("--preview", "--as-of", "1997-12-06T02:00").output
    assert rows(ChurnCase) == rows(JobRun) == []


def test_every_run_that_writes_is_in_the_ledger(crm):
    builders.sync_run()
    builders.customer(registered_on=LONG_AGO)
    before = utcnow()
    crm("--as-of", "1997-12-06T02:00")
    crm()
    replay, now = rows(JobRun)
    assert {run.job for run in (replay, now)} == {"churn-scan"}
    assert {run.status for run in (replay, now)} == {RunStatus.done}
    assert replay.scheduled_for == from_local(WALL)
    assert before <= now.scheduled_for <= utcnow()
    assert replay.counts == {"due": 1, "opened": 1, "recovered": 0, "open": 1}
    assert now.counts == {"due": 0, "opened": 0, "recovered": 0, "open": 1}
    assert [case.run_id for case in rows(ChurnCase)] == [replay.id]
    assert all(run.period.startswith("hand-") for run in (replay, now))


@pytest.mark.parametrize("text", ["saturday", "1997-13-01", "1997-12-06T25:00", "0001-01-01", "2200-01-01"])
def test_a_time_that_is_none_is_refused(crm, text):
    result = crm("--as-of", text)
    assert result.exit_code == 2
    assert "is no time such as 1997-12-06T02:00" in result.output
    assert rows(JobRun) == []


def test_a_run_of_now_is_refused_and_recorded_while_the_mirror_is_stale(crm):
    builders.customer(registered_on=LONG_AGO)
    builders.sync_run(finished_at=utcnow() - timedelta(days=9))
    builders.sync_run(status=SyncStatus.failed)
    result = crm()
    assert result.exit_code == 1
    assert "was last synced 9 days ago" in result.output
    assert rows(ChurnCase) == []
    (run,) = rows(JobRun)
    assert run.status is RunStatus.refused
    assert "was last synced 9 days ago" in run.error

    builders.sync_run()
    assert crm().output.endswith("due 1, opened 1, recovered 0, open 1\n")


def test_a_time_to_come_is_only_previewed(crm):
    builders.sync_run()
    builders.customer(registered_on=LONG_AGO)
    to_come = (utcnow() + timedelta(days=200)).isoformat()
    refused = crm("--as-of", to_come)
    assert refused.exit_code == 1
    assert "can only be previewed: orders of the future are not known." in refused.output
    assert rows(ChurnCase) == rows(JobRun) == []
    assert "due 1, opened 1" in crm("--as-of", to_come, "--preview").output


def test_a_wrong_setting_is_a_sentence_and_a_refused_run(app, crm):
    app.config["LIUKE_CHURN_MONTHS_BY_LEVEL"] = {"gold": 3}
    result = crm("--as-of", "1997-12-06T02:00")
    assert result.exit_code == 1
    assert "“gold”, which does not exist" in result.output
    assert [run.status for run in rows(JobRun)] == [RunStatus.refused]


@pytest.mark.parametrize(
    ("age", "stale"), [(timedelta(days=8), False), (timedelta(days=8, microseconds=1), True), (None, True)]
)
def test_the_mirror_is_stale_after_more_than_eight_days(db, age, stale):
    now = datetime(2026, 11, 22, 9, tzinfo=UTC)
    if age is not None:
        builders.sync_run(finished_at=now - age)
    if stale:
        with pytest.raises(StaleMirrorError, match=r"Sync it first\.$"):
            check_mirror(now)
    else:
        assert check_mirror(now) is None


def test_the_limit_is_a_setting(app, db):
    app.config["LIUKE_MIRROR_STALE_DAYS"] = 1
    builders.sync_run(finished_at=utcnow() - timedelta(days=2))
    with pytest.raises(StaleMirrorError, match="2 days ago"):
        check_mirror(utcnow())


# -- in parts ---------------------------------------------------------------------------------------------------


def claimed(period: str = "hand-1", owner: str = "here:1", later: timedelta = timedelta(0)) -> JobRun:
    """A run that `owner` holds."""
    with unit_of_work():
        run = claim("churn-scan", period, scheduled_for=from_local(WALL), owner=owner, now=utcnow() + later)
    assert run is not None
    return run


def test_each_part_is_committed_and_then_announced(db):
    customers = [builders.customer(registered_on=LONG_AGO).id for _ in range(8)]
    told = []

    def announce(part):
        db.session.rollback()
        told.append((part, len(rows(ChurnCase)), rows(JobRun)[0].counts))

    assert run_scan(as_of=from_local(WALL), run=claimed(), announce=announce) == ScanResult(8, 8, 0, 8)
    assert told == [
        (part, 2 * part, {"due": 2 * part, "opened": 2 * part, "recovered": 0}) for part in range(1, PARTS + 1)
    ]
    assert [case.customer_id for case in rows(ChurnCase)] == customers


def test_a_run_that_broke_off_is_taken_up_and_counted_whole(db):
    for _ in range(8):
        builders.customer(registered_on=LONG_AGO)

    def die(part):
        if part == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_scan(as_of=from_local(WALL), run=claimed(), announce=die)
    assert len(rows(ChurnCase)) == 4

    again = claimed(owner="there:2", later=timedelta(minutes=11))
    assert run_scan(as_of=from_local(WALL), run=again) == ScanResult(8, 8, 0, 8)
    assert len(rows(ChurnCase)) == 8


def test_a_run_that_somebody_took_over_stops_and_writes_nothing_more(db):
    for _ in range(8):
        builders.customer(registered_on=LONG_AGO)
    run = claimed()

    def lose(part):
        if part == 1:
            claimed(owner="there:2", later=timedelta(minutes=11))

    with pytest.raises(RunLostError):
        run_scan(as_of=from_local(WALL), run=run, announce=lose)
    assert len(rows(ChurnCase)) == 2
    assert [(r.owner, r.status) for r in rows(JobRun)] == [("there:2", RunStatus.running)]


def test_a_scan_that_fails_is_recorded_and_raised(db, monkeypatch):
    builders.sync_run()

    def broken(*_args, **_given):
        raise OSError("disk full")

    monkeypatch.setattr(scanning, "scan_range", broken)
    with pytest.raises(OSError, match="disk full"):
        scanning.run_by_hand()
    (run,) = rows(JobRun)
    assert (run.status, run.error) == (RunStatus.failed, "OSError: disk full")
    monkeypatch.setattr(scanning, "scan_range", scan_range)
    assert scanning.run_by_hand() == ScanResult(0, 0, 0, 0)


def test_two_runs_by_hand_in_one_microsecond_are_one(db, monkeypatch):
    now = utcnow()
    monkeypatch.setattr(scanning, "utcnow", lambda: now)
    scanning.run_by_hand(as_of=from_local(WALL))
    with pytest.raises(BusinessError, match="began at this very moment"):
        scanning.run_by_hand(as_of=from_local(WALL))
    assert len(rows(JobRun)) == 1


def test_in_parts_too_the_statements_do_not_depend_on_the_number_of_customers(app, db):
    counts = []
    for number, size in enumerate((1, 3, 60)):
        for _ in range(size):
            builders.customer(registered_on=LONG_AGO)
        run = claimed(f"hand-{number}")
        with statements(app) as seen:
            assert run_scan(as_of=from_local(WALL), run=run).opened == size
        counts.append(len(seen))
    assert len(set(counts)) == 1
    assert counts[0] <= 35


# -- runs that overtake one another -------------------------------------------------------------------------------

WEEK = timedelta(days=7)


def ordered_between():
    """A customer who was due at WALL and ordered before the scan a week later."""
    customer = builders.customer(registered_on=LONG_AGO)
    builders.order(customer, at=from_local(WALL) + timedelta(days=3))
    return customer


def test_a_week_that_is_caught_up_after_the_next_one_leaves_what_it_would_have_left_before_it(db):
    customer, silent = ordered_between(), builders.customer(registered_on=WALL.date() - timedelta(days=185))
    scanning.run_by_hand(as_of=from_local(WALL) + WEEK)
    assert [case.customer_id for case in rows(ChurnCase)] == [silent.id]

    late = scanning.run_by_hand(as_of=from_local(WALL))

    assert (late.opened, late.recovered) == (1, 1)
    assert rows(JobRun)[-1].counts["recovered"] == 1
    (_silent, case) = rows(ChurnCase)
    assert (case.customer_id, case.status) == (customer.id, ChurnStatus.recovered)
    assert (case.opened_at, case.resolved_at) == (from_local(WALL), from_local(WALL) + WEEK)


def test_a_week_that_ends_while_the_next_one_is_running_looks_at_its_warnings_again(db):
    ordered_between()
    with unit_of_work():
        claim("churn-scan", "1997-12-13T02:00", scheduled_for=from_local(WALL) + WEEK, owner="there:2", now=utcnow())
    assert scanning.run_by_hand(as_of=from_local(WALL)) == ScanResult(1, 1, 1, 0)


@pytest.mark.parametrize("status", [RunStatus.failed, RunStatus.refused])
def test_a_week_that_was_not_run_overtook_nobody(db, status):
    ordered_between()
    builders.job_run(status=status, scheduled_for=from_local(WALL) + WEEK)
    assert scanning.run_by_hand(as_of=from_local(WALL)) == ScanResult(1, 1, 0, 1)


def test_a_scan_of_the_future_overtook_nobody(db):
    ordered_between()
    builders.job_run(scheduled_for=utcnow() + WEEK)
    builders.job_run(job="session-sweep", scheduled_for=from_local(WALL) + WEEK)
    assert scanning.run_by_hand(as_of=from_local(WALL)) == ScanResult(1, 1, 0, 1)


def test_in_order_every_run_sees_only_what_its_as_of_sees(db):
    ordered_between()
    assert scanning.run_by_hand(as_of=from_local(WALL)) == ScanResult(1, 1, 0, 1)
    assert scanning.run_by_hand(as_of=from_local(WALL) + WEEK) == ScanResult(0, 0, 1, 0)
