"""What every job stands on: one application per process, and the ledger around the work.

A job is a module with one `run()`. Its arguments and result are JSON. Running it twice is harmless.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Any, NoReturn

import sqlalchemy as sa
from flask import Flask, has_app_context

from app import create_app
from app.core.changes import coming_from
from app.core.clock import company_zone, utcnow
from app.core.errors import BusinessError
from app.core.logs import write_lines
from app.core.unit import is_writing, set_writing, unit_of_work
from app.extensions import db
from app.runs.models import JobRun, RunStatus
from app.runs.operations import RunLostError, claim, fail, finish, refuse, whoami
from app.runs.periodic import HAND, hand_period, instant, wall_of

log = logging.getLogger("jobs")

Counts = dict[str, Any]


class RunRefusedError(BusinessError):
    """The job must not run now (stale mirror); its period waits in the ledger until that is over."""


@cache
def the_app() -> Flask:
    """The one application of this process: building it takes seconds, and forked workers share it."""
    return create_app()


def speak() -> None:
    """Write what the jobs say to the terminal, or to the service's journal; from the frameworks only warnings."""
    from config import Config  # settings are read last: whoever starts the process sets the environment first

    if Config.LIUKE_LOG == "json":
        write_lines(sys.stdout)
    else:
        logging.basicConfig(stream=sys.stdout, level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("jobs").setLevel(logging.INFO)


def leave(code: int) -> NoReturn:
    """End this process at once. Taking a loaded application apart takes a second, and everything is committed."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)


@contextmanager
def app_context() -> Iterator[None]:
    """An application context, in the company's language; an open one is used."""
    with nullcontext() if has_app_context() else the_app().app_context():
        yield


@contextmanager
def job_context() -> Iterator[None]:
    """The same for work that writes."""
    with app_context():
        before = is_writing()
        db.session.rollback()  # a transaction that has only read so far must not become a writing one
        set_writing(True)
        try:
            yield
        finally:
            set_writing(before)


def run_job(
    job: str, period: str | None, work: Callable[[JobRun], Counts], *, requested_by: int | None = None
) -> Counts | None:
    """Do `work` for one period, once, and write down how it went. Commits.

    Without a period it is a run by hand, of this moment. Returns what the work counted; None if there was nothing
    to do: the period is done, somebody else is doing it, or it was refused. What breaks the work off is raised again,
    so that the queue tries later.
    """
    now = utcnow()
    period = period or hand_period(now)
    scheduled_for = now if period.startswith(HAND) else instant(wall_of(period), company_zone())
    with unit_of_work():
        run = claim(
            job,
            period,
            scheduled_for=scheduled_for,
            owner=whoami(),
            now=now,
            requested_by=requested_by,
            dead=_dead_owner(job, period),
        )
    if run is None:
        log.info("%s %s: done already, or somebody else is at it", job, period)
        return None
    try:
        with coming_from(f"job {job}"):
            counts = work(run)
        _finish(run, counts)
    except RunRefusedError as why:
        with unit_of_work():
            refuse(run, str(why), utcnow())
        log.warning("%s %s: refused: %s", job, period, why)
        return None
    except RunLostError:
        log.warning("%s %s: somebody else took it over", job, period)
        return None
    except Exception as error:
        with unit_of_work():
            fail(run, error, utcnow())
        raise
    log.info("%s %s: %s", job, period, ", ".join(f"{name} {value}" for name, value in counts.items()))
    return counts


def _finish(run: JobRun, counts: Counts) -> None:
    with unit_of_work():
        if not finish(run, counts, utcnow()):
            raise RunLostError


def _dead_owner(job: str, period: str) -> str | None:
    """Who is down as running this period, if that process was on this machine and is gone: no need to wait for it."""
    owner = db.session.execute(
        sa.select(JobRun.owner).where(JobRun.job == job, JobRun.period == period, JobRun.status == RunStatus.running)
    ).scalar_one_or_none()
    return owner if owner and is_dead(owner) else None


def is_dead(owner: str) -> bool:
    """Whether this owner of a run was a process of this machine and is gone. Of other machines nobody can tell."""
    host, _colon, pid = owner.rpartition(":")
    if not host or not pid.isdigit() or whoami() != f"{host}:{os.getpid()}" or int(pid) == os.getpid():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # alive, somebody else's
    return False
