"""kill -9 at the worst moments, of the scheduler and of the scan: nothing is lost, nothing is done twice."""

from __future__ import annotations

import os
import random
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa

from app.churn.models import ChurnCase
from app.churn.scan import run_by_hand
from app.core.clock import company_zone, local, utcnow
from app.core.models import AuditEntry
from app.core.redis import QUEUE, JsonQueue
from app.core.types import Money, UtcDateTime
from app.customers.models import Customer
from app.masterdata.models import DictionaryType
from app.mirror.models import Order
from app.runs.models import JobRun, RunStatus
from app.runs.periodic import CHURN_SCAN, instant, period_of
from jobs import churn_scan
from jobs.schedule import CrmScheduler, ledger_due
from tests import builders
from tests.support import rows

ENTRIES = CrmScheduler.scheduled_jobs_key


def kill(child):
    """kill -9, and wait until it is gone, of nothing else."""
    os.kill(child, signal.SIGKILL)
    _child, how = os.waitpid(child, 0)
    assert os.WTERMSIG(how) == signal.SIGKILL


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


ROUNDS, EACH = 60, 667
SILENT = ROUNDS * EACH  # 40,020
NEW = 6  # times as many customers as fall silent on a Saturday never do
END = 0xFF


@pytest.fixture
def falling_silent(db):
    """Customers of whom as many fall silent every Saturday, by their last order or without ever ordering.

    The as-of by id; None for those who are new to the end.
    """
    first = datetime(2025, 1, 10, 18, tzinfo=UTC)  # Saturday 11 January 02:00 in Shanghai
    saturdays = [first + timedelta(weeks=week) for week in range(ROUNDS)]
    kinds = []  # six months before this Saturday: due at this one, not at the one before
    for number, as_of in enumerate(saturdays):
        since = as_of - timedelta(days=187)
        registered = since - timedelta(days=100) if number % 2 else since
        kinds.append((number, local(registered).date(), since if number % 2 else None))
    new = (saturdays[-1] - timedelta(days=100)).date()
    kinds += [(number, new, None) for number in range(ROUNDS, ROUNDS + NEW)]
    kind = (
        sa.values(
            sa.column("number", sa.Integer()), sa.column("since", sa.Date()), sa.column("ordered_at", UtcDateTime()),
            name="kind",
        ).data(kinds).cte("kind")
    )  # fmt: skip
    n = sa.select(sa.literal(0).label("n")).cte(recursive=True)
    n = n.union_all(sa.select(n.c.n + 1).where(n.c.n < EACH * len(kinds) - 1))
    of_kind = sa.select(n.c.n, kind).select_from(n).join(kind, kind.c.number == n.c.n % len(kinds)).subquery()
    name = "KH-" + sa.cast(of_kind.c.n, sa.String)
    customer = {
        "number": name, "name": name, "level_id": sa.literal(builders.dictionary(DictionaryType.level, "1").id),
        "registered_on": of_kind.c.since,
    }  # fmt: skip
    made = sa.insert(Customer).from_select(list(customer), sa.select(*customer.values()))
    db.session.execute(made.execution_options(told=True))
    order = {
        "customer_id": Customer.id, "external_id": Customer.number, "ordered_at": of_kind.c.ordered_at,
        "amount": sa.literal(Decimal(1000), Money()),
    }  # fmt: skip
    ordered = sa.select(*order.values()).join(of_kind, Customer.number == name)
    ordered = ordered.where(of_kind.c.ordered_at.is_not(None))
    db.session.execute(sa.insert(Order).from_select(list(order), ordered))
    db.session.commit()
    numbers = db.session.execute(sa.select(Customer.id, Customer.number))
    by_id = {id: int(number.removeprefix("KH-")) % len(kinds) for id, number in numbers}
    return {id: saturdays[number] if number < ROUNDS else None for id, number in by_id.items()}


def kill_each(children, chance):
    """kill -9 each after a random part of its scan and a while. How many had not come to their end."""
    deadly = {ear: chance.choice([0, 1, 2, 3]) for ear in children}
    inside = 0
    while deadly:
        for ear in select.select(list(deadly), [], [])[0]:
            said = os.read(ear, 1)
            if said[0] >= deadly[ear]:
                time.sleep(chance.random() / 50)  # a part takes about that
                kill(children[ear])
                inside += END not in said + os.read(ear, 9)
                os.close(ear)
                del deadly[ear]
    return inside


def test_a_hundred_and_twenty_kills_inside_the_scan_lose_and_double_nothing(db, fork, falling_silent, world):
    """Every Saturday the scheduled scan and one by hand go over the same customers, and both are killed."""
    chance = random.Random(20)
    builders.sync_run()
    expected = {id: as_of for id, as_of in falling_silent.items() if as_of}
    inside = taken_over = 0
    for as_of in sorted(set(expected.values())):
        period = period_of(as_of.astimezone(company_zone()).replace(tzinfo=None))
        children = {}
        for scan in (partial(churn_scan.run, period), partial(run_by_hand, as_of=as_of)):
            ear, mouth = os.pipe()

            def act(scan=scan, mouth=mouth):
                os.write(mouth, bytes([0]))
                scan(announce=lambda part: os.write(mouth, bytes([part])))
                os.write(mouth, bytes([END]))
                signal.pause()

            children[ear] = fork(act)
            os.close(mouth)
        inside += kill_each(children, chance)

        churn_scan.run(period)

        (run,) = rows(JobRun, JobRun.period == period)
        assert run.status is RunStatus.done
        taken_over += run.attempt - 1

    cases = db.session.execute(sa.select(ChurnCase.customer_id, ChurnCase.opened_at)).all()
    found = dict(map(tuple, cases))
    assert (len(cases), len(found), len(expected)) == (SILENT, SILENT, SILENT)
    assert [pair for pair in found.items() if expected.get(pair[0]) != pair[1]][:9] == []  # those wanting are counted
    told = sa.select(sa.func.count(), sa.func.count(AuditEntry.record_id.distinct()))
    assert db.session.execute(told.where(AuditEntry.action == "warn")).one() == (SILENT, SILENT)
    assert inside >= ROUNDS * 2 * 3 // 4  # most kills came before the end
    assert taken_over >= ROUNDS // 2  # and after the ledger said who runs it
    assert churn_scan.run(period) is None  # the last week, once more
    if world.database == "sqlite":
        assert db.session.execute(sa.text("PRAGMA integrity_check")).scalars().all() == ["ok"]
