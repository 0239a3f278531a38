"""The scheduler: `python -m jobs.schedule`. rq-scheduler queues the jobs; the ledger makes sure none is lost.

rq-scheduler alone loses an entry when it is killed between taking and re-arming it, when Redis is emptied or a job's
hash is deleted, dies of one entry it cannot read and of a minute without Redis, and follows the process's time zone
(docs/decisions/0010). Here every round heals its entries, re-arms before it queues, and asks the ledger what is due.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from redis import Redis
from redis.exceptions import RedisError
from rq.exceptions import NoSuchJobError
from rq_scheduler import Scheduler
from sqlalchemy.exc import DBAPIError

from app.core.clock import company_zone, utcnow
from app.core.redis import QUEUE, TIMEOUT, JsonJob, JsonQueue, connect, enqueue, job_id
from app.core.unit import unit_of_work
from app.mirror.queries import freshness
from app.runs.operations import beat
from app.runs.periodic import CHURN_ESTIMATE, CHURN_SCAN, PERIODIC, Periodic, instant, period_of
from app.runs.queries import due_periods
from jobs.context import app_context, is_dead, job_context, leave, speak, the_app
from jobs.notify import queue_post

log = logging.getLogger("jobs")

PAUSE = 15  # seconds between two rounds
LOCK = 25  # seconds after which the lock of a killed scheduler runs out
HINT = 120  # seconds in which a queued period is not queued again; the ledger is what really decides
QUARANTINE = "liuke:quarantine"
FAREST = 1  # second by which an entry may lie behind its next time before it is put right

Due = Callable[[Periodic, datetime], Iterable[str]]


class CrmScheduler(Scheduler):
    """rq-scheduler's storage and lock with a round of our own: heal, re-arm, queue, catch up."""

    job_class = JsonJob
    queue_class = JsonQueue

    def __init__(
        self,
        connection: Redis,
        *,
        zone: ZoneInfo,
        due: Due,
        periodic: tuple[Periodic, ...] = PERIODIC,
        now: Callable[[], datetime] = utcnow,
    ) -> None:
        """`due` asks the ledger which periods of a job are still to be run; `now` is the clock."""
        super().__init__(QUEUE, connection=connection, interval=PAUSE)
        self.zone, self.due, self.now = zone, due, now
        self.periodic = {p.id: p for p in periodic}
        self.stopping = threading.Event()
        self.token = ""  # of the lock we hold, or held last

    # -- one round ------------------------------------------------------------------------------------------

    def tick(self) -> bool:
        """One round; False if another scheduler is at it. Raises what Redis or the database raise."""
        if not self.acquire_lock():
            return False
        try:
            self.ensure()
            now = self.now()
            for id in self.ids_due(now):
                self.take(id, now)
            self.catch_up(now)
        finally:
            self.remove_lock()
        return True

    def ensure(self) -> None:
        """Put every periodic entry right that is missing, broken or too far ahead; an overdue one is left to fire."""
        now = self.now()
        for periodic in self.periodic.values():
            ahead = self.next_time(periodic, now)
            score = self.connection.zscore(self.scheduled_jobs_key, periodic.id)
            if score is None or score > ahead + FAREST:
                self.connection.zadd(self.scheduled_jobs_key, {periodic.id: ahead})
            if not self.connection.exists(JsonJob.key_for(periodic.id)):
                self._create_job(periodic.path, id=periodic.id, result_ttl=-1, timeout=TIMEOUT)

    def ids_due(self, now: datetime) -> list[str]:
        """The ids of the entries whose time has come, oldest first."""
        found = self.connection.zrangebyscore(self.scheduled_jobs_key, "-inf", now.timestamp())
        return [id.decode(errors="replace") for id in found]

    def take(self, id: str, now: datetime) -> None:
        """Queue one entry whose time has come. A periodic one is re-armed first: killed in between, it is caught up."""
        periodic = self.periodic.get(id)
        if periodic is not None:
            self.rearm(periodic, now)
            self.fire(periodic, period_of(periodic.rule.last(now, self.zone)), "on time")
            return
        try:
            self.enqueue_job(JsonJob.fetch(id, connection=self.connection))
        except RedisError:
            raise
        except NoSuchJobError:
            self.cancel(id)
        except Exception as unreadable:
            self.quarantine(id, unreadable)

    def rearm(self, periodic: Periodic, now: datetime) -> None:
        """Set the entry to its next time."""
        self.connection.zadd(self.scheduled_jobs_key, {periodic.id: self.next_time(periodic, now)})

    def next_time(self, periodic: Periodic, now: datetime) -> float:
        """When the job is next due, in seconds since 1970."""
        return instant(periodic.rule.next(now, self.zone), self.zone).timestamp()

    def fire(self, periodic: Periodic, period: str, why: str) -> bool:
        """Queue one period, unless it was just queued or still waits. Returns whether it was queued."""
        hint = f"liuke:queued:{periodic.id}:{period}"
        if self.connection.exists(hint):
            return False
        queued = enqueue(self.connection, periodic.path, id=job_id(periodic.id, period), period=period)
        self.connection.set(hint, why, ex=HINT)  # after queueing: killed in between it is queued twice, not never
        if queued:
            log.info("%s %s queued (%s)", periodic.id, period, why)
        return queued

    def catch_up(self, now: datetime) -> int:
        """Queue what the ledger misses: machine off, Redis emptied, worker killed, refused weeks. Returns how many."""
        return sum(
            self.fire(periodic, period, "catch-up")
            for periodic in self.periodic.values()
            for period in self.due(periodic, now)
        )

    def quarantine(self, id: str, why: Exception) -> None:
        """Put an entry that cannot be read aside, so that it neither stops the others nor comes back."""
        log.error("scheduled entry %r cannot be read and was put aside: %r", id, why)
        self.connection.hset(QUARANTINE, id, repr(why)[:500])
        self.connection.expire(QUARANTINE, 30 * 86_400)
        self.cancel(id)

    # -- one at a time --------------------------------------------------------------------------------------

    def acquire_lock(self) -> bool:
        """Be the one who makes this round. A lock that its owner left behind runs out by itself."""
        self.token = uuid4().hex
        return bool(self.connection.set(self.scheduler_lock_key, self.token, ex=LOCK, nx=True))

    def remove_lock(self) -> None:
        """Give the lock back if it is still ours (rq-scheduler deletes whoever's it is)."""
        script = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end"
        self.connection.eval(script, 1, self.scheduler_lock_key, self.token)

    # -- for ever -------------------------------------------------------------------------------------------

    def run(self, burst: bool = False) -> None:
        """Round after round until `stop()`; with `burst` only one. Outages are logged and waited out."""
        while True:
            for part in (self.tick, self.post, self.sign_of_life):
                try:
                    part()
                except (RedisError, DBAPIError) as away:
                    log.warning("%s: %s; trying again in %d s", part.__name__, _first_line(away), PAUSE)
                except Exception:
                    log.exception("%s failed; trying again in %d s", part.__name__, PAUSE)
            if burst or self.stopping.wait(PAUSE):
                return

    def stop(self, *_signal: Any) -> None:
        """End after the current round."""
        self.stopping.set()

    def post(self) -> None:
        """Let mails and robot messages go out that are due; what is due is asked in the database, not remembered."""
        if queue_post(self.connection, utcnow()):
            log.info("messages queued")

    def sign_of_life(self) -> None:
        """Tell the health page that the scheduler runs. Commits."""
        with job_context(), unit_of_work():
            beat("scheduler", utcnow())


def ledger_due(periodic: Periodic, now: datetime) -> list[str]:
    """The periods of a job that the ledger has not done; refused ones once what stopped them is over."""
    with app_context():
        refused_too = periodic not in (CHURN_SCAN, CHURN_ESTIMATE) or not freshness(now).stale
        return due_periods(periodic, now, company_zone(), refused_too=refused_too, dead=is_dead)


def enqueue_due() -> int:
    """Queue at once what is due now (a sync just made the mirror fresh). Returns how many.

    Without Redis nothing is queued and nothing is lost: the scheduler finds it due when Redis is back.
    """
    with app_context():
        try:
            return CrmScheduler(connect(), zone=company_zone(), due=ledger_due).catch_up(utcnow())
        except RedisError as away:
            log.warning("nothing queued: %s", _first_line(away))
            return 0


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def main() -> int:
    """Run the scheduler until it is told to stop."""
    speak()
    with the_app().app_context():
        scheduler = CrmScheduler(connect(), zone=company_zone(), due=ledger_due)
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, scheduler.stop)
    for periodic in PERIODIC:
        log.info("%s next runs at %s", periodic.id, period_of(periodic.rule.next(utcnow(), scheduler.zone)))
    scheduler.run()
    log.info("stopped")
    return 0


if __name__ == "__main__":
    leave(main())
