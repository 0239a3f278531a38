"""The ledger lets one process run a period, whatever is queued twice, and knows when somebody must take over."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.core.errors import BusinessError
from app.core.unit import unit_of_work
from app.runs import operations, queries
from app.runs.models import Heartbeat, Installation, JobRun, RunStatus
from app.runs.operations import RETRY, STALE
from app.runs.periodic import CHURN_SCAN, SESSION_SWEEP, period_of
from tests import builders
from tests.support import rows

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)
AS_OF = datetime(2026, 11, 20, 18, tzinfo=UTC)
PERIOD = "2026-11-21T02:00"


def take(owner="one:1", *, now=NOW, period=PERIOD, **given):
    with unit_of_work():
        return operations.claim("churn-scan", period, scheduled_for=AS_OF, owner=owner, now=now, **given)


def write(operation, *arguments):
    with unit_of_work():
        return operation(*arguments)


def test_the_first_to_claim_a_period_runs_it(db, sysadmin):
    run = take(requested_by=sysadmin.id)

    (kept,) = rows(JobRun)
    assert (kept.status, kept.attempt, kept.owner, kept.scheduled_for) == (RunStatus.running, 1, "one:1", AS_OF)
    assert (kept.started_at, kept.heartbeat_at, kept.requested_by_id) == (NOW, NOW, sysadmin.id)
    assert run.id == kept.id


@pytest.mark.parametrize("ending", ["running", "done"])
def test_nobody_else_runs_what_is_running_or_done(db, ending):
    run = take()
    if ending == "done":
        assert write(operations.finish, run, {"due": 0}, NOW)

    assert take("two:2", now=NOW + timedelta(minutes=1)) is None


@pytest.mark.parametrize(("silent", "taken"), [(STALE, False), (STALE + timedelta(seconds=1), True)])
def test_a_silent_owner_is_replaced_after_ten_minutes(db, silent, taken):
    take()

    run = take("two:2", now=NOW + silent)

    assert (run is not None) is taken
    assert [r.attempt for r in rows(JobRun)] == [2 if taken else 1]


def test_an_owner_that_is_dead_for_certain_is_replaced_at_once(db):
    take("one:1")

    assert take("two:2", dead="somebody:9") is None
    assert take("two:2", dead="one:1").attempt == 2


@pytest.mark.parametrize(
    ("ending", "why"), [(operations.fail, BusinessError("the reason")), (operations.refuse, "the reason")]
)
def test_a_failed_or_refused_run_is_taken_up_with_the_as_of_it_had(db, ending, why):
    write(ending, take(), why, NOW)
    assert rows(JobRun)[0].error == "the reason"

    with unit_of_work():
        run = operations.claim("churn-scan", PERIOD, scheduled_for=NOW, owner="two:2", now=NOW + timedelta(hours=1))

    (kept,) = rows(JobRun)
    assert (kept.scheduled_for, kept.attempt, kept.status) == (AS_OF, 2, RunStatus.running)
    assert (kept.error, kept.finished_at, kept.counts) == (None, None, None)
    assert run.scheduled_for == AS_OF


def test_who_was_replaced_can_write_nothing_more(db):
    first = take("one:1")
    take("two:2", now=NOW + STALE + timedelta(seconds=1))
    db.session.rollback()  # what was claimed must not be reloaded and look like the new owner's

    assert not write(operations.heartbeat, first, NOW)
    assert not write(operations.finish, first, {"due": 9}, NOW)
    assert not write(operations.fail, first, "late", NOW)
    assert not write(operations.refuse, first, "late", NOW)
    (kept,) = rows(JobRun)
    assert (kept.owner, kept.status, kept.counts, kept.error) == ("two:2", RunStatus.running, None, None)


def test_the_same_process_on_its_second_attempt_is_not_its_first(db):
    first = take("one:1")
    second = take("one:1", now=NOW + STALE + timedelta(seconds=1))

    assert not write(operations.heartbeat, first, NOW)
    assert write(operations.heartbeat, second, NOW)


def test_a_sign_of_life_keeps_the_run(db):
    run = take()
    assert write(operations.heartbeat, run, NOW + timedelta(minutes=9))

    assert take("two:2", now=NOW + timedelta(minutes=11)) is None


def test_a_long_error_is_cut_to_its_column(db):
    assert write(operations.fail, take(), OSError("x" * 3000), NOW)

    assert len(rows(JobRun)[0].error) == 2000


def test_of_eight_who_claim_at_once_one_runs(app, db):
    db.session.rollback()
    barrier, won = threading.Barrier(8), []

    def compete(number):
        with app.app_context():
            barrier.wait()
            if take(f"racer:{number}") is not None:
                won.append(number)

    racers = [threading.Thread(target=compete, args=(n,)) for n in range(8)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()

    assert len(won) == 1
    assert [r.owner for r in rows(JobRun)] == [f"racer:{won[0]}"]


@pytest.mark.parametrize(
    ("status", "age", "needed"),
    [
        (RunStatus.done, timedelta(days=9), False),
        (RunStatus.running, STALE, False),
        (RunStatus.running, STALE + timedelta(seconds=1), True),
        (RunStatus.failed, RETRY - timedelta(seconds=1), False),
        (RunStatus.failed, RETRY, True),
        (RunStatus.refused, timedelta(0), True),
    ],
)
def test_what_still_has_to_run(db, status, age, needed):
    finished = None if status is RunStatus.running else NOW - age
    builders.job_run(status=status, period=PERIOD, heartbeat_at=NOW - age, finished_at=finished)

    assert operations.needs_run("churn-scan", PERIOD, NOW) is needed


def test_what_never_began_has_to_run(db):
    assert operations.needs_run("churn-scan", PERIOD, NOW)


def due(now=NOW, periodic=CHURN_SCAN, *, refused_too=True):
    return queries.due_periods(periodic, now, SHANGHAI, refused_too=refused_too)


def test_at_first_start_the_last_saturday_is_due_and_none_before_it(db):
    assert due() == [PERIOD]


def test_every_saturday_since_the_last_done_is_caught_up_oldest_first(db):
    builders.job_run(status=RunStatus.done, period="2026-10-31T02:00")

    assert due() == ["2026-11-07T02:00", "2026-11-14T02:00", PERIOD]


def test_a_done_week_leaves_nothing_due(db):
    builders.job_run(status=RunStatus.done, period=PERIOD)
    builders.job_run(status=RunStatus.failed, period="hand-20261122T050000Z", finished_at=NOW - timedelta(days=1))

    assert due() == []


def test_refused_weeks_wait_until_what_stopped_them_is_over(db):
    builders.job_run(status=RunStatus.refused, period="2026-11-14T02:00")
    builders.job_run(status=RunStatus.refused, period=PERIOD)

    assert due(refused_too=False) == []
    assert due() == ["2026-11-14T02:00", PERIOD]


def test_a_refused_week_is_not_forgotten_when_a_later_one_was_done(db):
    builders.job_run(status=RunStatus.refused, period="2026-11-14T02:00")
    builders.job_run(status=RunStatus.done, period=PERIOD)

    assert due() == ["2026-11-14T02:00"]


def test_a_job_that_is_not_caught_up_owes_its_newest_period_only(db):
    builders.job_run(job="session-sweep", status=RunStatus.done, period="2026-11-18T03:30")

    assert due(periodic=SESSION_SWEEP) == ["2026-11-22T03:30"]


def test_after_years_off_the_latest_sixty_are_caught_up(db):
    builders.job_run(status=RunStatus.done, period="2024-01-06T02:00")

    missed = due()

    assert len(missed) == 60
    assert missed[-1] == PERIOD
    assert missed == sorted(missed)


def test_a_future_period_written_under_another_rule_is_not_due(db):
    builders.job_run(status=RunStatus.failed, period="2027-11-20T02:00", finished_at=NOW - timedelta(days=1))

    assert due() == [PERIOD]


def test_signs_of_life_are_one_row_per_part(db):
    for minute in range(3):
        write(operations.beat, "worker", NOW + timedelta(minutes=minute))
    write(operations.beat, "scheduler", NOW)

    assert queries.parts() == {"worker": NOW + timedelta(minutes=2), "scheduler": NOW}
    assert len(rows(Heartbeat)) == 2


def test_a_demo_database_stays_one(db):
    with unit_of_work():
        operations.install(demo=False, now=NOW)
    assert not queries.is_demo()
    for demo in (True, False):
        with unit_of_work():
            operations.install(demo=demo, now=NOW)

    assert queries.is_demo()
    assert len(rows(Installation)) == 1


def test_the_newest_period_is_the_rules(db):
    assert period_of(CHURN_SCAN.rule.last(NOW, SHANGHAI)) == PERIOD


@pytest.mark.parametrize(
    ("status", "given", "due"),
    [
        (RunStatus.waiting, {}, True),
        (RunStatus.waiting, {"scheduled_for": timedelta(days=9)}, True),  # Redis was away for long
        (RunStatus.running, {"heartbeat_at": timedelta(minutes=9), "owner": "elsewhere:1"}, False),
        (RunStatus.running, {"heartbeat_at": timedelta(minutes=11), "owner": "elsewhere:1"}, True),
        (RunStatus.running, {"heartbeat_at": timedelta(minutes=1), "owner": "here:1"}, True),  # known to be gone
        (RunStatus.failed, {"finished_at": timedelta(minutes=59)}, False),  # the queue tries again
        (RunStatus.failed, {"finished_at": timedelta(minutes=61)}, True),
        (RunStatus.failed, {"finished_at": timedelta(days=2), "scheduled_for": timedelta(days=2)}, False),
        (RunStatus.refused, {}, False),  # somebody read why
        (RunStatus.done, {}, False),
    ],
)
def test_a_run_by_hand_is_due_until_it_is_done(db, status, given, due):
    now = datetime(2026, 11, 18, 4, tzinfo=UTC)
    times = {"scheduled_for": timedelta(hours=2), **given}
    run = builders.job_run(
        status=status, **{name: now - value if isinstance(value, timedelta) else value for name, value in times.items()}
    )
    builders.job_run(period="2026-11-14T02:00")  # the week is done

    found = queries.due_periods(
        CHURN_SCAN, now, SHANGHAI, refused_too=True, dead=lambda owner: owner.startswith("here:")
    )

    assert found == ([run.period] if due else [])
