"""A job runs once per period and writes down how it went, whoever calls it."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from redis.exceptions import ConnectionError as RedisAway
from rq.exceptions import StopRequested
from rq.job import JobStatus
from sqlalchemy.exc import OperationalError

from app.churn.models import ChurnCase
from app.core.clock import company_zone, utcnow
from app.core.redis import QUEUE, JsonJob, JsonQueue, enqueue, job_id
from app.core.unit import is_writing, unit_of_work
from app.desk.demo.people import accounts
from app.runs.models import Heartbeat, Installation, JobRun, RunStatus
from app.runs.operations import RunLostError, install, whoami
from app.runs.periodic import CHURN_SCAN, instant, period_of, wall_of
from app.runs.queries import parts
from app.security.models import UserSession
from jobs import churn_scan, context, prepare, session_sweep, worker
from jobs.context import RunRefusedError, job_context, run_job
from jobs.schedule import enqueue_due, ledger_due
from tests import builders
from tests.support import rows

PERIOD = "2026-11-21T02:00"


def test_what_a_job_counts_is_in_the_ledger(db, sysadmin):
    counts = run_job("demo", PERIOD, lambda run: {"due": run.attempt}, requested_by=sysadmin.id)

    (run,) = rows(JobRun)
    assert counts == run.counts == {"due": 1}
    assert (run.status, run.owner, run.requested_by_id) == (RunStatus.done, whoami(), sysadmin.id)
    assert run.scheduled_for == instant(wall_of(PERIOD), company_zone())


def test_a_done_period_is_not_run_again(db):
    run_job("demo", PERIOD, lambda _run: {"due": 1})

    assert run_job("demo", PERIOD, lambda _run: pytest.fail("it ran twice")) is None


def test_a_run_by_hand_is_as_of_its_own_start(db):
    before = utcnow()
    run_job("demo", None, lambda _run: {})

    (run,) = rows(JobRun)
    assert run.period.startswith("hand-")
    assert before <= run.scheduled_for <= utcnow()


def test_a_refusal_waits_in_the_ledger_and_is_no_failure(db):
    def work(_run):
        raise RunRefusedError("The mirror is stale.")

    assert run_job("demo", PERIOD, work) is None

    (run,) = rows(JobRun)
    assert (run.status, run.error) == (RunStatus.refused, "The mirror is stale.")


def test_a_failure_is_recorded_and_raised_again_for_the_queue(db):
    def work(_run):
        raise ZeroDivisionError("by nothing")

    with pytest.raises(ZeroDivisionError):
        run_job("demo", PERIOD, work)

    (run,) = rows(JobRun)
    assert (run.status, run.error) == (RunStatus.failed, "ZeroDivisionError: by nothing")
    assert run_job("demo", PERIOD, lambda _run: {"due": 2}) == {"due": 2}
    assert rows(JobRun)[0].attempt == 2


@pytest.mark.parametrize("when", ["in the middle", "at the end"])
def test_a_lost_run_stops_without_a_word_in_the_ledger(db, when):
    def work(run):
        db.session.execute(db.update(JobRun).values(owner="other:1", attempt=2))
        db.session.commit()
        if when == "in the middle":
            raise RunLostError
        return {"due": 9}

    assert run_job("demo", PERIOD, work) is None

    (run,) = rows(JobRun)
    assert (run.status, run.owner, run.counts, run.error) == (RunStatus.running, "other:1", None, None)


def test_the_run_of_a_process_that_died_on_this_machine_is_taken_over_at_once(db, fork):
    def die():
        run_job("demo", PERIOD, lambda _run: context.os._exit(9))

    context.os.waitpid(fork(die), 0)
    assert rows(JobRun)[0].status is RunStatus.running

    assert run_job("demo", PERIOD, lambda _run: {}) == {}


@pytest.mark.parametrize("owner", ["elsewhere:1", "no-pid", f"{whoami().rpartition(':')[0]}:1"])
def test_a_living_or_unknown_owner_is_waited_for(db, owner):
    builders.job_run(job="demo", status=RunStatus.running, period=PERIOD, owner=owner, heartbeat_at=utcnow())

    assert run_job("demo", PERIOD, lambda _run: pytest.fail("it is running elsewhere")) is None


def test_a_job_writes_and_the_test_around_it_goes_on_reading(db):
    with job_context():
        assert is_writing()
    assert not is_writing()


# -- the churn scan -----------------------------------------------------------------------------------------------


@pytest.fixture
def silent(db):
    """A customer who has not ordered for years."""
    return builders.customer(registered_on=(utcnow() - timedelta(days=800)).date())


def last_period():
    return period_of(CHURN_SCAN.rule.last(utcnow(), company_zone()))


def test_a_late_scan_is_as_of_its_saturday(db, silent):
    builders.sync_run()

    assert churn_scan.run(last_period()) == {"due": 1, "opened": 1, "recovered": 0, "open": 1}

    (case,) = rows(ChurnCase)
    assert case.opened_at == instant(wall_of(last_period()), company_zone())
    assert case.run_id == rows(JobRun)[0].id


def test_a_scan_by_hand_beside_the_weekly_one_adds_nothing(db, silent, sysadmin):
    builders.sync_run()
    churn_scan.run(last_period())

    assert churn_scan.run(requested_by=sysadmin.id)["opened"] == 0
    assert len(rows(ChurnCase)) == 1


def test_a_stale_mirror_refuses_the_week_which_runs_when_a_sync_succeeded(db, redis, silent, work):
    builders.sync_run(finished_at=utcnow() - timedelta(days=8, minutes=1))
    assert churn_scan.run(last_period()) is None
    assert rows(JobRun)[0].status is RunStatus.refused
    assert ledger_due(CHURN_SCAN, utcnow()) == []

    builders.sync_run()
    assert ledger_due(CHURN_SCAN, utcnow()) == [last_period()]
    enqueue_due()
    assert work()

    churn = [run for run in rows(JobRun) if run.job == CHURN_SCAN.id]
    assert [(run.period, run.status) for run in churn] == [(last_period(), RunStatus.done)]
    assert [case.customer_id for case in rows(ChurnCase)] == [silent.id]


def test_a_mirror_of_exactly_eight_days_is_fresh_enough(db, silent):
    builders.sync_run(finished_at=utcnow() - timedelta(days=8) + timedelta(minutes=1))

    assert churn_scan.run(last_period())["opened"] == 1


def test_a_stale_mirror_refuses_a_run_by_hand_too(db, silent):
    assert churn_scan.run() is None
    assert "never synced" in rows(JobRun)[0].error
    assert rows(ChurnCase) == []


def test_without_redis_a_sync_queues_nothing_and_does_not_fail(app, db, monkeypatch):
    monkeypatch.setitem(app.config, "REDIS_URL", "unix:///nowhere/redis.sock?db=0")

    assert enqueue_due() == 0


# -- the sweep ----------------------------------------------------------------------------------------------------


def test_the_sweep_removes_what_ended_more_than_thirty_days_ago(db, wang, li, zhao, chen):
    now = utcnow()
    for person, ended, expires in [
        (wang, now - timedelta(days=30, minutes=1), now),
        (li, now - timedelta(days=30) + timedelta(minutes=1), now),
        (zhao, None, now - timedelta(days=30, minutes=1)),
        (chen, None, now + timedelta(hours=1)),
    ]:
        db.session.add(
            UserSession(
                token_hash=f"{person.id:064}", user_id=person.id, expires_at=expires, ended_at=ended, idle_seconds=60
            )
        )
    for hours in (23, 25):
        builders.one_time_token(user=wang, expires_at=now - timedelta(hours=hours))
    db.session.add_all(
        [Heartbeat(part="gone", seen_at=now - timedelta(days=31)), Heartbeat(part="worker", seen_at=now)]
    )
    db.session.commit()

    assert session_sweep.run(PERIOD) == {"sessions": 2, "tokens": 1, "heartbeats": 1, "submissions": 0, "runs": 0}
    assert {row.user_id for row in rows(UserSession)} == {li.id, chen.id}
    assert set(parts()) == {"worker"}
    assert session_sweep.run(PERIOD) is None


# -- the worker ---------------------------------------------------------------------------------------------------


def test_a_worker_runs_what_waits_and_gives_a_sign_of_life(db, redis, work):
    before = utcnow()
    enqueue(redis, "jobs.session_sweep.run", id="sweep", period=PERIOD)

    assert work()

    assert JsonJob.fetch("sweep", connection=redis).get_status() is JobStatus.FINISHED
    assert rows(JobRun)[0].status is RunStatus.done
    assert parts()["worker"] >= before


def test_a_job_that_fails_is_tried_again_later_and_stops_no_other(db, redis, work):
    enqueue(redis, "jobs.session_sweep.run", id="broken", period="no period")
    enqueue(redis, "jobs.session_sweep.run", id="sound", period=PERIOD)

    work()

    assert JsonJob.fetch("broken", connection=redis).get_status() is JobStatus.SCHEDULED
    assert JsonJob.fetch("sound", connection=redis).get_status() is JobStatus.FINISHED


def test_a_job_waits_once_under_its_id(redis, app, db):
    assert enqueue(redis, "jobs.churn_scan.run", id="once", period=PERIOD)
    assert not enqueue(redis, "jobs.churn_scan.run", id="once", period=PERIOD)

    (job,) = JsonQueue(QUEUE, connection=redis).jobs
    assert json.loads(job.data) == ["jobs.churn_scan.run", None, [], {"period": PERIOD}]


def test_an_id_has_only_what_rq_takes():
    assert job_id("churn-scan", "2026-11-21T02:00") == "churn-scan-2026-11-21T0200"


def test_a_worker_without_redis_waits_and_tries_again(app, db, monkeypatch):
    tries, naps = [], []

    class Trying(worker.LiukeWorker):
        def __init__(self, *_queues, **_given):
            self._shutdown_requested_date = None
            tries.append(len(tries))
            if len(tries) < 3:
                raise RedisAway("gone")

        def work(self, **_given):
            if len(tries) == 4:
                self._shutdown_requested_date = utcnow()
                raise RedisAway("gone when it said goodbye")

    monkeypatch.setattr(worker, "the_app", lambda: app)
    monkeypatch.setattr(worker, "LiukeWorker", Trying)
    monkeypatch.setattr(worker.time, "sleep", naps.append)

    assert worker.main() == 0
    assert len(tries) == 4
    assert naps == [worker.PATIENCE] * 3


def test_a_worker_that_is_stopped_while_it_waits_ends(app, db, monkeypatch):
    def stop(_seconds):
        raise StopRequested

    monkeypatch.setattr(worker, "the_app", lambda: app)
    monkeypatch.setattr(worker, "LiukeWorker", lambda *_queues, **_given: (_ for _ in ()).throw(RedisAway("gone")))
    monkeypatch.setattr(worker.time, "sleep", stop)

    assert worker.main() == 0


def test_without_the_database_a_worker_lives_on(db, monkeypatch):
    def away(*_anything):
        raise OperationalError("INSERT", {}, Exception("gone"))

    monkeypatch.setattr(worker, "beat", away)

    worker.sign_of_life()

    assert parts() == {}


# -- the first step of a start ------------------------------------------------------------------------------------


def test_a_database_in_use_is_left_alone(app, db):
    told = prepare.somebody(app.config)

    assert (told.accounts, told.refused) == ([], None)
    assert not rows(Installation)[0].demo


def test_a_demo_database_names_its_accounts_at_every_start(app, db):
    with unit_of_work():
        install(demo=True, now=utcnow())

    told = prepare.somebody({**app.config, "LIUKE_DEMO": False})

    assert [account.name for account in told.accounts] == [account.name for account in accounts()]
    assert "invented" in told.notes[0]


def test_a_demo_database_is_not_started_for_other_machines(app, db):
    with unit_of_work():
        install(demo=True, now=utcnow())

    told = prepare.somebody({**app.config, "LIUKE_HOST": "0.0.0.0"})

    assert told.refused == prepare.NOT_BEYOND


def test_a_half_made_database_of_an_interrupted_start_is_made_anew(tmp_path, monkeypatch):
    """The file is moved to its place when it is whole."""
    place, seen = tmp_path / "liuke.db", []
    for ending in ("", "-wal"):
        (tmp_path / f"liuke.db.new{ending}").write_text("half")

    def fill(url):
        seen.append((url, place.exists(), (tmp_path / "liuke.db.new").exists()))
        (tmp_path / "liuke.db.new").write_text("whole")
        return prepare.Told()

    monkeypatch.setattr(prepare, "create_app", lambda **given: given["SQLALCHEMY_DATABASE_URI"])
    monkeypatch.setattr(prepare, "fill", fill)

    prepare.prepare(f"sqlite:///{place}")

    assert seen == [(f"sqlite:///{place}.new", False, False)]
    assert [path.name for path in tmp_path.iterdir()] == ["liuke.db"]
    assert place.read_text() == "whole"
