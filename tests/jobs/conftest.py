"""A scheduler on the real Redis with a clock and a ledger of the test's own."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from rq.serializers import JSONSerializer

from app.core.redis import QUEUE, JsonQueue
from app.runs.periodic import CHURN_SCAN, Periodic
from jobs.schedule import CrmScheduler
from jobs.worker import LiukeWorker

SHANGHAI = ZoneInfo("Asia/Shanghai")


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def pass_by(self, **time: Any) -> None:
        """Let time pass."""
        self.at += timedelta(**time)


class Ledger:
    """Which periods are still to be run, as the test says."""

    def __init__(self) -> None:
        self.owed: list[str] = []

    def __call__(self, _periodic: Periodic, _now: datetime) -> list[str]:
        return self.owed


@pytest.fixture
def clock() -> Clock:
    """Friday 20 November 2026, 12:00 in Shanghai: fourteen hours before the scan."""
    return Clock(datetime(2026, 11, 20, 4, tzinfo=UTC))


@pytest.fixture
def ledger() -> Ledger:
    """Nothing is owed."""
    return Ledger()


@pytest.fixture
def make_scheduler(redis: Any, clock: Clock, ledger: Ledger) -> Callable[..., CrmScheduler]:
    """`make_scheduler()` is one more scheduler process's scheduler, for the churn scan alone."""

    def make(**given: Any) -> CrmScheduler:
        given = {"zone": SHANGHAI, "due": ledger, "periodic": (CHURN_SCAN,), "now": clock, **given}
        return CrmScheduler(redis, **given)

    return make


@pytest.fixture
def queued(redis: Any) -> Callable[[], list[str]]:
    """`queued()` are the periods that wait in the queue, in their order."""

    def look() -> list[str]:
        return [job.kwargs["period"] for job in JsonQueue(QUEUE, connection=redis).jobs]

    return look


@pytest.fixture
def drain(redis: Any) -> Callable[[], list[str]]:
    """`drain()` takes what waits, as a worker would, and lets later rounds queue it again."""

    def take() -> list[str]:
        queue = JsonQueue(QUEUE, connection=redis)
        taken = [job.kwargs["period"] for job in queue.jobs]
        queue.empty()
        for hint in redis.keys("liuke:queued:*"):
            redis.delete(hint)
        return taken

    return take


@pytest.fixture
def work(redis: Any, world: Any, db: Any) -> Iterator[Callable[[], bool]]:
    """`work()` lets a worker do all that waits, each job in a process of its own, and says whether there was any."""
    world.everything = True  # what other processes write is not noticed here
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def burst() -> bool:
        db.session.remove()
        worker = LiukeWorker([QUEUE], connection=redis, serializer=JSONSerializer)
        return bool(worker.work(burst=True, logging_level="WARNING"))

    yield burst
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.fixture
def fork(world: Any, db: Any) -> Iterator[Callable[[Callable[[], object]], int]]:
    """`fork(act)` is the id of a new process that does this and ends; one that is left over is killed."""
    world.everything = True
    children: list[int] = []

    def begin(act: Callable[[], object]) -> int:
        db.session.remove()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                db.engine.dispose(close=False)  # the connections are the parent's
                act()
                code = 0
            finally:
                os._exit(code)
        children.append(child)
        return child

    yield begin
    for child in children:
        with suppress(ChildProcessError, ProcessLookupError):
            if os.waitpid(child, os.WNOHANG) == (0, 0):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
