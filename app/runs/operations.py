"""The ledger's rules: who may run a period, how it stays his, how it ends. It works the same on both databases.

Redis only says that a job might be due. Whether it runs is decided by one INSERT or UPDATE here, so a run happens
once, whatever is queued twice, restarted, started by hand or caught up.
"""

from __future__ import annotations

import os
import socket
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from app.core.errors import BusinessError
from app.extensions import db
from app.runs.models import Heartbeat, Installation, JobRun, RunStatus

STALE = timedelta(minutes=10)  # a run without a sign of life for longer is taken over
RETRY = timedelta(hours=1)  # a failed period is tried again by itself after this


class RunLostError(Exception):
    """Somebody else took this run over: stop at once and write nothing more."""


def whoami() -> str:
    """This process as the ledger names it: host:pid."""
    return f"{socket.gethostname()[:60]}:{os.getpid()}"


def ask_for(job: str, period: str, *, scheduled_for: datetime, requested_by: int | None) -> bool:
    """Write down that somebody wants `period` of `job` run: whatever becomes of the queue, the scheduler knows.

    `scheduled_for` (UTC) will be the run's as-of. False if the period is known already. Flushes; the caller commits.
    """
    row = _dialect().insert(JobRun).values(
        job=job, period=period, scheduled_for=scheduled_for, status=RunStatus.waiting, attempt=0,
        requested_by_id=requested_by,
    )  # fmt: skip
    asked = row.on_conflict_do_nothing(index_elements=["job", "period"]).returning(JobRun.id)
    return db.session.execute(asked).scalar_one_or_none() is not None


def ask_again(run_id: int) -> bool:
    """Let a run that failed or was refused be taken up at once; False if it is neither. Flushes; the caller commits."""
    result = db.session.execute(
        sa.update(JobRun)
        .where(JobRun.id == run_id, JobRun.status.in_((RunStatus.failed, RunStatus.refused)))
        .values(status=RunStatus.waiting)
        .execution_options(synchronize_session=False)
    )
    return bool(result.rowcount == 1)


def claim(
    job: str,
    period: str,
    *,
    scheduled_for: datetime,
    owner: str,
    now: datetime,
    requested_by: int | None = None,
    dead: str | None = None,
) -> JobRun | None:
    """Become the one who runs `period` of `job`; None if it is done or somebody else is running it.

    A run that waits, failed or was refused is taken up, and one whose owner gave no sign of life for ten minutes or is
    `dead` for certain; such a run keeps the as-of (`scheduled_for`, UTC) it had and what it counted so far. The row
    is detached: it stays what was claimed, which later writes are checked against. Flushes; the caller commits
    before the work begins.
    """
    row = (
        _dialect()
        .insert(JobRun)
        .values(
            job=job,
            period=period,
            scheduled_for=scheduled_for,
            status=RunStatus.running,
            attempt=1,
            owner=owner,
            started_at=now,
            heartbeat_at=now,
            requested_by_id=requested_by,
        )
    )
    claimed = db.session.execute(
        row.on_conflict_do_nothing(index_elements=["job", "period"]).returning(JobRun.id)
    ).scalar_one_or_none()
    if claimed is None:
        free = sa.or_(
            JobRun.status.in_((RunStatus.waiting, RunStatus.failed, RunStatus.refused)),
            sa.and_(
                JobRun.status == RunStatus.running, sa.or_(JobRun.heartbeat_at < now - STALE, JobRun.owner == dead)
            ),
        )
        claimed = db.session.execute(
            sa.update(JobRun)
            .where(JobRun.job == job, JobRun.period == period, free)
            .values(
                status=RunStatus.running,
                attempt=JobRun.attempt + 1,
                owner=owner,
                started_at=now,
                heartbeat_at=now,
                finished_at=None,
                error=None,
            )
            .returning(JobRun.id)
            .execution_options(synchronize_session=False)
        ).scalar_one_or_none()
    if claimed is None:
        return None
    run = db.session.execute(
        sa.select(JobRun).where(JobRun.id == claimed).execution_options(populate_existing=True)
    ).scalar_one()
    db.session.expunge(run)  # a rollback must not reload it: it would show the next owner's name
    return run


def heartbeat(run: JobRun, now: datetime, counts: dict[str, Any] | None = None) -> bool:
    """Say that the run goes on, in the transaction of the work it protects; False if it is no longer ours.

    `counts` is what the run did so far, in all its attempts. Flushes; the caller commits, or rolls back when it is
    lost.
    """
    return _write(run, heartbeat_at=now) if counts is None else _write(run, heartbeat_at=now, counts=counts)


def finish(run: JobRun, counts: dict[str, Any], now: datetime) -> bool:
    """The run did its work; `counts` are what the jobs screen shows. False if it was lost. The caller commits."""
    return _write(run, status=RunStatus.done, counts=counts, error=None, heartbeat_at=now, finished_at=now)


def refuse(run: JobRun, why: str, now: datetime) -> bool:
    """The run would have done harm (stale mirror); it waits until that is over. The caller commits."""
    return _write(run, status=RunStatus.refused, error=why, heartbeat_at=now, finished_at=now)


def fail(run: JobRun, error: Exception, now: datetime) -> bool:
    """The run broke off; it may be taken up again. The caller commits.

    Why is a refusal's own sentence; of anything else what kind of error it was, and its text.
    """
    why = str(error) if isinstance(error, BusinessError) else f"{type(error).__name__}: {error}"
    return _write(run, status=RunStatus.failed, error=why, heartbeat_at=now, finished_at=now)


def _write(run: JobRun, **values: Any) -> bool:
    """Change the ledger's row if it is still this owner's attempt."""
    result = db.session.execute(
        sa.update(JobRun)
        .where(
            JobRun.id == run.id,
            JobRun.owner == run.owner,
            JobRun.attempt == run.attempt,
            JobRun.status == RunStatus.running,
        )
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    return bool(result.rowcount == 1)


def needs_run(job: str, period: str, now: datetime) -> bool:
    """Whether this period is still to be run: never begun, broken off, refused, or its owner died.

    A failed one only after an hour, so that a lasting fault does not fill the log. Reads only.
    """
    row = db.session.execute(
        sa.select(JobRun.status, JobRun.heartbeat_at, JobRun.finished_at).where(
            JobRun.job == job, JobRun.period == period
        )
    ).one_or_none()
    return row is None or still_open(row.status, row.heartbeat_at, row.finished_at, now)


def still_open(status: RunStatus, heartbeat_at: datetime | None, finished_at: datetime | None, now: datetime) -> bool:
    """The same question for a row that was read already."""
    if status == RunStatus.running:
        return heartbeat_at is None or heartbeat_at < now - STALE
    if status == RunStatus.failed:
        return finished_at is None or finished_at <= now - RETRY
    return status in (RunStatus.waiting, RunStatus.refused)


def beat(part: str, now: datetime) -> None:
    """Note a sign of life of the scheduler or the worker: one statement. Flushes; the caller commits."""
    row = _dialect().insert(Heartbeat).values(part=part, seen_at=now)
    db.session.execute(row.on_conflict_do_update(index_elements=["part"], set_={"seen_at": now}))


def install(*, demo: bool, now: datetime) -> None:
    """Remember what this database is for; a demo stays one whatever is said later. Flushes; the caller commits."""
    row = _dialect().insert(Installation).values(id=1, demo=demo, created_at=now)
    known = row.on_conflict_do_update(index_elements=["id"], set_={"demo": sa.true()})
    db.session.execute(known if demo else row.on_conflict_do_nothing(index_elements=["id"]))


def _dialect() -> Any:
    return postgresql if db.engine.dialect.name == "postgresql" else sqlite
