"""kill -9 at the worst moments, of the scheduler and of the scan: nothing is lost, nothing is done twice."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest

from app.churn.models import ChurnCase
from app.core.clock import company_zone, utcnow
from app.core.redis import QUEUE, JsonQueue
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


class Between:
    """Stands between the scheduler's process and Redis, and kills -9 when a command with all of `words` is on its way:
    Redis never gets it. The process knows nothing of it."""

    def __init__(self, redis_url, words):
        self.words, self.killed = words, threading.Event()
        self.process = None
        given = urlsplit(redis_url)
        self.to = given.path if given.scheme == "unix" else (given.hostname, given.port)
        self.door = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self.door.getsockname()[1]}/0"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _from = self.door.accept()
            except OSError:
                return  # the test is over
            server = socket.socket(socket.AF_UNIX if isinstance(self.to, str) else socket.AF_INET)
            server.connect(self.to)
            for one, other, watched in ((client, server, True), (server, client, False)):
                threading.Thread(target=self.carry, args=(one, other, watched), daemon=True).start()

    def carry(self, one, other, watched):
        with suppress(OSError):
            while sent := one.recv(65536):
                if watched and all(word in sent for word in self.words):
                    self.process.kill()
                    self.process.wait()
                    self.killed.set()
                    break
                other.sendall(sent)
        for end in (one, other):
            end.close()


@pytest.mark.once  # Redis is the same beside both, and so is what the scheduler asks of it
@pytest.mark.parametrize(
    ("command", "rearmed", "queued"),
    [
        pytest.param((b"ZADD", b"\r\nchurn-scan\r\n"), False, False, id="taken, not re-armed"),
        pytest.param((b"EXISTS", b"liuke:queued:churn-scan"), True, False, id="re-armed, not queued"),
        pytest.param((b"\r\nSET\r\n", b"liuke:queued:churn-scan"), True, True, id="queued, still holding the lock"),
    ],
)
def test_the_scheduler_process_killed_anywhere_in_its_round_leaves_one_run(
    db, redis, make_scheduler, work, other_processes, command, rearmed, queued
):
    as_of, period = last_saturday()
    builders.sync_run()
    silent = builders.customer(registered_on=(as_of - timedelta(days=400)).date())
    db.session.commit()
    redis.zadd(ENTRIES, {CHURN_SCAN.id: as_of.timestamp()})
    between = Between(other_processes["REDIS_URL"], command)
    between.process = subprocess.Popen(
        [sys.executable, "-m", "jobs.schedule"],
        env={**other_processes, "REDIS_URL": between.url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert between.killed.wait(30)
    finally:
        between.process.kill()
        between.door.close()
    assert (redis.zscore(ENTRIES, CHURN_SCAN.id) > utcnow().timestamp()) is rearmed
    assert (len(JsonQueue(QUEUE, connection=redis).jobs) > 0) is queued
    redis.delete(CrmScheduler.scheduler_lock_key)  # it runs out by itself after 25 seconds

    successor = make_scheduler(zone=company_zone(), due=ledger_due, now=utcnow)
    for _round in range(3):
        successor.tick()
        work()

    (run,) = rows(JobRun, JobRun.job == CHURN_SCAN.id)
    assert (run.period, run.status, run.attempt) == (period, RunStatus.done, 1)
    assert [case.customer_id for case in rows(ChurnCase)] == [silent.id]
    assert redis.zscore(ENTRIES, CHURN_SCAN.id) > utcnow().timestamp()


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
