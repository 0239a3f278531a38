"""kill -9 at the worst moments, of the scheduler and of the scan: nothing is lost, nothing is done twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from app.churn.models import ChurnCase
from app.core.clock import company_zone, utcnow
from app.runs.models import JobRun, RunStatus
from app.runs.periodic import CHURN_SCAN, instant, period_of
from jobs import churn_scan
from jobs.schedule import CrmScheduler, ledger_due
from tests import builders
from tests.support import rows

ENTRIES = CrmScheduler.scheduled_jobs_key


def kill(child):
    """kill -9, and wait until it is gone."""
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def last_saturday():
    """The instant and the name of the newest period on the real clock."""
    wall = CHURN_SCAN.rule.last(utcnow(), company_zone())
    return instant(wall, company_zone()), period_of(wall)


class Doomed(CrmScheduler):
    """A scheduler that says where it is and waits there to be killed."""

    place = ""
    tell = 0

    def pause(self, place):
        """Say so and wait, at the place the test is about."""
        if place == self.place:
            os.write(self.tell, b"!")
            signal.pause()

    def rearm(self, periodic, now):
        self.pause("taken, not re-armed")
        super().rearm(periodic, now)
        self.pause("re-armed, not queued")

    def fire(self, periodic, period, why):
        fired = super().fire(periodic, period, why)
        self.pause("queued, still holding the lock")
        return fired


@pytest.mark.parametrize("place", ["taken, not re-armed", "re-armed, not queued", "queued, still holding the lock"])
def test_a_scheduler_killed_anywhere_in_its_round_leaves_one_run(db, redis, make_scheduler, work, fork, place):
    as_of, period = last_saturday()
    builders.sync_run()
    silent = builders.customer(registered_on=(as_of - timedelta(days=400)).date())
    redis.zadd(ENTRIES, {CHURN_SCAN.id: as_of.timestamp()})
    ear, mouth = os.pipe()

    def doomed():
        scheduler = Doomed(redis, zone=company_zone(), due=ledger_due, periodic=(CHURN_SCAN,))
        scheduler.place, scheduler.tell = place, mouth
        scheduler.run()

    child = fork(doomed)
    assert os.read(ear, 1) == b"!"
    kill(child)
    redis.delete(CrmScheduler.scheduler_lock_key)  # it runs out by itself after 25 seconds

    successor = make_scheduler(zone=company_zone(), due=ledger_due, now=utcnow)
    for _round in range(3):
        successor.tick()
        work()

    (run,) = rows(JobRun)
    assert (run.job, run.period, run.status, run.attempt) == (CHURN_SCAN.id, period, RunStatus.done, 1)
    assert [case.customer_id for case in rows(ChurnCase)] == [silent.id]
    assert redis.zscore(ENTRIES, CHURN_SCAN.id) > utcnow().timestamp()


PROCESS = """
import os, signal
from jobs import schedule
def lost(self, periodic, period, why):
    os.write({mouth}, b"!")
    signal.pause()
schedule.CrmScheduler.fire = lost
schedule.main()
"""


@pytest.mark.once
def test_the_real_scheduler_process_may_die_between_re_arming_and_queueing(
    db, redis, make_scheduler, work, other_processes
):
    as_of, period = last_saturday()
    builders.sync_run()
    db.session.remove()
    redis.zadd(ENTRIES, {CHURN_SCAN.id: as_of.timestamp()})
    ear, mouth = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS.format(mouth=mouth)],
        env=other_processes,
        pass_fds=(mouth,),
        stdout=subprocess.DEVNULL,
    )
    os.close(mouth)
    try:
        assert os.read(ear, 1) == b"!"
    finally:
        process.kill()
        process.wait()
    assert redis.zscore(ENTRIES, CHURN_SCAN.id) > utcnow().timestamp()  # as rq-scheduler would lose it for ever
    redis.delete(CrmScheduler.scheduler_lock_key)

    successor = make_scheduler(zone=company_zone(), due=ledger_due, now=utcnow)
    for _round in range(2):
        successor.tick()
        work()

    assert [(run.period, run.status, run.attempt) for run in rows(JobRun)] == [(period, RunStatus.done, 1)]


def test_twenty_kills_inside_the_scan_lose_and_double_nothing(db, fork):
    """Every Saturday new customers fall silent, and the scan's process is killed after a random part."""
    chance = random.Random(20)
    first = datetime(2026, 1, 9, 18, tzinfo=UTC)  # Saturday 10 January 02:00 in Shanghai
    builders.sync_run()
    expected, taken_over = {}, 0
    for week in range(20):
        as_of = first + timedelta(weeks=week)
        period = period_of(as_of.astimezone(company_zone()).replace(tzinfo=None))
        # They ordered six months before this Saturday: due at this one, not at the one before.
        for _n in range(6):
            customer = builders.customer(registered_on=datetime(2024, 1, 1).date())
            builders.order(customer, at=as_of - timedelta(days=187))
            expected[customer.id] = as_of
        ear, mouth = os.pipe()

        def job(period=period, mouth=mouth):
            churn_scan.run(period, announce=lambda part: os.write(mouth, bytes([part])))
            os.write(mouth, b"\xff")
            signal.pause()

        deadly = chance.choice([1, 2, 3, 4])
        child = fork(job)
        while os.read(ear, 1)[0] < deadly:
            pass
        kill(child)
        os.close(ear)
        os.close(mouth)

        again = churn_scan.run(period)

        (run,) = rows(JobRun, JobRun.period == period)
        assert run.status is RunStatus.done
        assert (run.attempt, again is not None) in [(2, True), (1, False)]  # or the last kill came after the end
        taken_over += run.attempt - 1
        assert sum(case.opened_at == as_of for case in rows(ChurnCase)) == 6

    cases = rows(ChurnCase)
    assert {case.customer_id: case.opened_at for case in cases} == expected
    assert len(cases) == len(expected) == 120
    assert taken_over >= 10  # most kills came before the end
    assert churn_scan.run("2026-05-23T02:00") is None  # the last week, once more
