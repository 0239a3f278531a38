"""What may happen to a schedule in Redis, and that the run happens once nevertheless. The Redis is a real one."""

from __future__ import annotations

import pickle
import threading
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from redis.exceptions import ConnectionError as RedisAway
from rq.job import Job
from sqlalchemy.exc import OperationalError

from app.core.redis import QUEUE, JsonJob, JsonQueue
from app.runs.periodic import CHURN_SCAN, EVERY_DAY, Periodic, Rule
from jobs import schedule
from jobs.schedule import QUARANTINE, CrmScheduler

ENTRIES = CrmScheduler.scheduled_jobs_key
SATURDAY = datetime(2026, 11, 20, 18, tzinfo=UTC)  # 02:00 in Shanghai
PERIOD = "2026-11-21T02:00"
WEEK = timedelta(days=7)


@pytest.fixture
def scheduler(make_scheduler):
    """One scheduler that has made its first round."""
    made = make_scheduler()
    made.tick()
    return made


def next_time(redis):
    """When the entry will fire next."""
    return datetime.fromtimestamp(redis.zscore(ENTRIES, CHURN_SCAN.id), UTC)


def test_it_fires_once_on_saturday_at_two(scheduler, redis, clock, queued):
    assert next_time(redis) == SATURDAY
    clock.at = SATURDAY - timedelta(seconds=1)
    scheduler.tick()
    assert queued() == []

    clock.at = SATURDAY
    for _round in range(5):
        scheduler.tick()

    assert queued() == [PERIOD]
    assert next_time(redis) == SATURDAY + WEEK


def test_after_hours_off_it_fires_late_and_for_its_own_saturday(scheduler, redis, clock, queued):
    clock.at = SATURDAY + timedelta(days=2)

    scheduler.tick()

    assert queued() == [PERIOD]
    assert next_time(redis) == SATURDAY + WEEK


def test_a_fresh_start_does_not_erase_an_overdue_entry(scheduler, make_scheduler, redis, clock, queued):
    clock.at = SATURDAY + timedelta(minutes=1)

    restarted = make_scheduler()
    restarted.ensure()
    assert next_time(redis) == SATURDAY
    restarted.tick()

    assert queued() == [PERIOD]


def test_starting_again_and_again_leaves_one_entry(make_scheduler, redis):
    for _start in range(4):
        make_scheduler().tick()

    assert redis.zcard(ENTRIES) == 1


def test_an_emptied_redis_is_filled_again(scheduler, redis, clock, ledger, drain):
    clock.at = SATURDAY
    scheduler.tick()
    redis.flushall()
    ledger.owed = [PERIOD]  # nobody ran it

    scheduler.tick()

    assert drain() == [PERIOD]
    assert next_time(redis) == SATURDAY + WEEK


def test_an_entry_that_is_lost_before_its_time_is_made_again(scheduler, redis, clock, queued):
    redis.zrem(ENTRIES, CHURN_SCAN.id)
    scheduler.tick()
    assert next_time(redis) == SATURDAY

    clock.at = SATURDAY
    scheduler.tick()

    assert queued() == [PERIOD]


def test_an_entry_that_is_lost_at_its_time_is_caught_up(scheduler, redis, clock, ledger, queued):
    clock.at = SATURDAY + timedelta(seconds=1)
    redis.zrem(ENTRIES, CHURN_SCAN.id)
    ledger.owed = [PERIOD]

    scheduler.tick()

    assert queued() == [PERIOD]


def test_a_deleted_hash_does_not_cancel_the_schedule(scheduler, redis, clock, queued):
    redis.delete(JsonJob.key_for(CHURN_SCAN.id))
    scheduler.tick()
    assert redis.exists(JsonJob.key_for(CHURN_SCAN.id))

    redis.delete(JsonJob.key_for(CHURN_SCAN.id))
    clock.at = SATURDAY
    scheduler.tick()

    assert queued() == [PERIOD]


def test_an_entry_that_is_too_far_ahead_is_put_right(scheduler, redis):
    redis.zadd(ENTRIES, {CHURN_SCAN.id: (SATURDAY + 4 * WEEK).timestamp()})

    scheduler.tick()

    assert next_time(redis) == SATURDAY


def test_entries_that_cannot_be_read_are_put_aside_and_stop_nobody(scheduler, redis, clock, queued):
    early = (SATURDAY - timedelta(minutes=1)).timestamp()
    made = {"created_at": "2026-11-20T00:00:00Z", "origin": QUEUE}
    redis.hset(Job.key_for("pickled"), mapping={**made, "data": pickle.dumps(("os.getcwd", None, (), {}))})
    redis.hset(Job.key_for("bad-date"), mapping={**made, "data": b"[]", "created_at": "yesterday"})
    redis.hset(Job.key_for("no-text"), mapping={**made, "data": b"\xff\xfe"})
    redis.hset(Job.key_for("no-fields"), mapping={"nothing": "at all"})
    redis.zadd(ENTRIES, dict.fromkeys(["pickled", "bad-date", "no-text", "no-fields", "no-hash"], early))

    clock.at = SATURDAY
    scheduler.tick()

    assert queued() == [PERIOD]
    assert {name.decode() for name in redis.hkeys(QUARANTINE)} == {"pickled", "bad-date", "no-text"}
    assert redis.zrange(ENTRIES, 0, -1) == [CHURN_SCAN.id.encode()]


def test_a_job_that_somebody_else_scheduled_is_queued_too(scheduler, redis, clock):
    scheduler.enqueue_at(SATURDAY.replace(tzinfo=None), "jobs.session_sweep.run", period="hand-1", job_id="once")
    clock.at = SATURDAY

    scheduler.tick()

    assert "once" in JsonQueue(QUEUE, connection=redis).job_ids
    assert redis.zscore(ENTRIES, "once") is None


@pytest.mark.parametrize(
    ("zone", "begins"),
    [
        ("Asia/Hebron", datetime(2026, 3, 27, 22, tzinfo=UTC)),  # 02:00 does not exist on that Saturday
        ("America/New_York", datetime(2026, 3, 8, 5, tzinfo=UTC)),  # nor on that Sunday
    ],
)
def test_when_the_clocks_go_forward_it_fires_once(make_scheduler, clock, drain, redis, zone, begins):
    night = Periodic("night", "Night", "jobs.churn_scan.run", Rule(EVERY_DAY, CHURN_SCAN.rule.at), backfill=False)
    scheduler = make_scheduler(zone=ZoneInfo(zone), periodic=(night,))
    clock.at = begins
    fired = []
    for _minute in range(6 * 60):
        scheduler.tick()
        fired += drain()
        clock.pass_by(minutes=1)

    assert len(fired) == 1


def test_four_schedulers_racing_fire_once_each_week(make_scheduler, redis, clock, drain):
    racers = [make_scheduler() for _n in range(4)]
    for week in range(50):
        clock.at = SATURDAY + week * WEEK
        rounds = [threading.Thread(target=racer.tick) for racer in racers]
        for one in rounds:
            one.start()
        for one in rounds:
            one.join()
        assert len(drain()) == (1 if week else 0)  # the first round only makes the entry


def test_a_lock_of_its_own_is_given_back_and_somebody_elses_is_not(make_scheduler, redis):
    slow, other = make_scheduler(), make_scheduler()
    assert slow.acquire_lock()
    assert not other.tick()
    redis.delete(slow.scheduler_lock_key)  # it ran out while the owner was stopped
    assert other.acquire_lock()

    slow.remove_lock()

    assert redis.exists(other.scheduler_lock_key)
    other.remove_lock()
    assert not redis.exists(other.scheduler_lock_key)


def test_the_lock_of_a_killed_scheduler_runs_out(make_scheduler, redis):
    killed = make_scheduler()
    killed.acquire_lock()

    assert 0 < redis.ttl(killed.scheduler_lock_key) <= schedule.LOCK


def test_a_queue_without_a_worker_does_not_grow(scheduler, redis, clock, ledger, queued):
    clock.at = SATURDAY
    ledger.owed = [PERIOD]
    for _round in range(5):
        scheduler.tick()
        for hint in redis.keys("liuke:queued:*"):
            redis.delete(hint)  # as if its two minutes were over

    assert queued() == [PERIOD]


def test_what_waits_in_the_queue_is_json(scheduler, redis, clock):
    clock.at = SATURDAY
    scheduler.tick()
    (job,) = JsonQueue(QUEUE, connection=redis).jobs

    assert redis.hget(job.key, "data")[:1] in (b"[", b"x")  # plain, or compressed
    assert job.data.startswith(b"[")
    assert (job.func_name, job.kwargs, job.id) == (CHURN_SCAN.path, {"period": PERIOD}, "churn-scan-2026-11-21T0200")


class Stopping:
    """Ends the loop after some rounds, and does not wait in between."""

    def __init__(self, rounds):
        self.rounds = rounds

    def wait(self, _seconds):
        self.rounds -= 1
        return self.rounds <= 0

    def set(self):
        self.rounds = 0


@pytest.mark.parametrize(
    "outage", [RedisAway("gone"), OperationalError("SELECT 1", {}, Exception("gone")), ValueError("a bug")]
)
def test_an_outage_is_waited_out(scheduler, clock, queued, monkeypatch, outage):
    rounds = iter([outage, outage, None])

    def ensure():
        trouble = next(rounds, None)
        if trouble is not None:
            raise trouble
        CrmScheduler.ensure(scheduler)

    monkeypatch.setattr(scheduler, "ensure", ensure)
    monkeypatch.setattr(scheduler, "sign_of_life", lambda: None)
    scheduler.stopping = Stopping(3)
    clock.at = SATURDAY

    scheduler.run()

    assert queued() == [PERIOD]


def test_without_the_database_the_weekly_run_is_queued_on_time(make_scheduler, clock, queued):
    def away(_periodic, _now):
        raise OperationalError("SELECT 1", {}, Exception("gone"))

    scheduler = make_scheduler(due=away)
    with pytest.raises(OperationalError):
        scheduler.tick()
    clock.at = SATURDAY

    with pytest.raises(OperationalError):
        scheduler.tick()

    assert queued() == [PERIOD]


def test_it_ends_when_it_is_told_to(scheduler, monkeypatch):
    monkeypatch.setattr(scheduler, "sign_of_life", scheduler.stop)

    scheduler.run()

    assert scheduler.stopping.is_set()
