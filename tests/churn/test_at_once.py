"""Several processes at the same moment: the rows of one."""

from __future__ import annotations

import json
import os
import sys
import traceback
from dataclasses import asdict
from datetime import date, datetime, timedelta

import pytest

from app.churn.models import ChurnCase, ChurnStatus
from app.churn.operations import settle
from app.churn.scan import run_by_hand
from app.core.clock import from_local, utcnow
from app.core.models import AuditEntry
from app.core.unit import unit_of_work
from app.customers.models import Customer
from app.runs.models import JobRun, RunStatus
from tests import builders
from tests.support import rows

WALL = datetime(1997, 12, 6, 2)
LONG_AGO = date(1996, 1, 1)


@pytest.fixture
def at_once(world, db):
    """`at_once([act, ...])` does each in a process of its own, all from the same moment on, and gives their results."""
    world.everything = True

    def begin(act, gate, mouth):
        """What a new process does: waits at the gate, acts, says how it went, ends."""
        code = 1
        try:
            db.engine.dispose(close=False)  # the connections are the parent's
            gate.read()
            mouth.write(json.dumps(asdict(act())))
            mouth.close()
            code = 0
        except BaseException:
            traceback.print_exc()  # nobody else would ever see it
            sys.stderr.flush()
        finally:
            os._exit(code)

    def work(acts):
        db.session.remove()
        gate, key = (os.fdopen(end, mode) for end, mode in zip(os.pipe(), "rw", strict=True))
        running = []
        for act in acts:
            ear, mouth = (os.fdopen(end, mode) for end, mode in zip(os.pipe(), "rw", strict=True))
            child = os.fork()
            if child == 0:
                key.close()
                begin(act, gate, mouth)
            mouth.close()
            running.append((child, ear))
        gate.close()
        key.close()  # the gate opens for all
        answers = []
        for child, ear in running:
            with ear:
                answers.append(json.loads(ear.read() or "null"))
            os.waitpid(child, 0)
        return answers

    return work


def scan_at(wall):
    """A scan by hand as of this wall-clock time."""
    return lambda: run_by_hand(as_of=from_local(wall))


def settling(order_ids):
    """What a sync of these orders settles."""

    def act():
        with unit_of_work():
            return settle(order_ids, utcnow())

    return act


def test_four_scans_at_once_leave_the_rows_of_one(db, at_once):
    customers = [builders.customer(registered_on=LONG_AGO).id for _ in range(120)]

    done = at_once([scan_at(WALL)] * 4)

    assert sum(one["opened"] for one in done) == 120
    assert sorted(case.customer_id for case in rows(ChurnCase)) == customers
    assert sorted(e.record_id for e in rows(AuditEntry)) == sorted(case.id for case in rows(ChurnCase))
    assert [run.status for run in rows(JobRun)] == [RunStatus.done] * 4

    next_week = from_local(WALL + timedelta(days=7))
    for number in customers[::2]:
        builders.order(db.session.get(Customer, number), at=next_week)

    done = at_once([scan_at(WALL + timedelta(days=7))] * 4)

    assert sum(one["recovered"] for one in done) == 60
    assert all(60 <= one["open"] <= 120 for one in done)
    cases = rows(ChurnCase)
    assert len(cases) == 120
    assert {case.customer_id for case in cases if case.status == ChurnStatus.recovered} == set(customers[::2])
    assert {case.version for case in cases} == {1, 2}
    assert len(rows(AuditEntry, AuditEntry.action == "recover")) == 60


def test_scans_begun_at_the_very_same_instant_all_run(db, at_once, monkeypatch):
    builders.customer(registered_on=LONG_AGO)
    instant = utcnow()
    monkeypatch.setattr("app.churn.scan.utcnow", lambda: instant)

    done = at_once([scan_at(WALL)] * 3)

    assert sum(one["opened"] for one in done) == 1
    assert [run.status for run in rows(JobRun)] == [RunStatus.done] * 3


def test_a_sync_and_scans_at_once_close_each_case_once(db, at_once):
    cases = [
        builders.churn_case(builders.customer(registered_on=LONG_AGO), opened_at=from_local(WALL)) for _ in range(80)
    ]
    later = from_local(WALL + timedelta(days=7))
    orders = [builders.order(case.customer, at=later).id for case in cases]
    scan = scan_at(WALL + timedelta(days=7))

    done = at_once([scan, settling(orders), scan, settling(orders[::-1])])

    assert sum(one["recovered"] for one in done) == 80
    assert {(case.status, case.version) for case in rows(ChurnCase)} == {(ChurnStatus.recovered, 2)}
    assert sorted(e.record_id for e in rows(AuditEntry)) == sorted(case.id for case in rows(ChurnCase))
