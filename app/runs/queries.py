"""What the ledger knows: signs of life, what is due, how the last runs went. Reads only."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from app.extensions import db
from app.runs.models import Heartbeat, Installation, JobRun, RunStatus
from app.runs.operations import still_open
from app.runs.periodic import BACKFILL, HAND, Periodic, period_of, wall_of


def parts() -> dict[str, datetime]:
    """When each part of the product (scheduler, worker) last gave a sign of life, UTC."""
    return {row.part: row.seen_at for row in db.session.execute(sa.select(Heartbeat.part, Heartbeat.seen_at))}


def last_done(job: str) -> datetime | None:
    """When this job last ended well, UTC."""
    return db.session.execute(
        sa.select(JobRun.finished_at)
        .where(JobRun.job == job, JobRun.status == RunStatus.done)
        .order_by(JobRun.finished_at.desc())
        .limit(1)
    ).scalar_one_or_none()


def newest_as_of(job: str, *, after: datetime, until: datetime) -> datetime | None:
    """The newest as-of in (after, until] that a run of this job did or is doing, UTC; None without one."""
    return db.session.execute(
        sa.select(sa.func.max(JobRun.scheduled_for)).where(
            JobRun.job == job,
            JobRun.status.in_((RunStatus.done, RunStatus.running)),
            JobRun.scheduled_for > after,
            JobRun.scheduled_for <= until,
        )
    ).scalar_one()


def last_run(job: str) -> JobRun | None:
    """The run of this job that was begun last, or that waits to be begun."""
    return db.session.execute(sa.select(JobRun).where(is_last_run(job))).scalar_one_or_none()


def is_last_run(job: Any) -> sa.ColumnElement[bool]:
    """WHERE a run is the one of this job that was begun last, or that waits to be begun."""
    begun = aliased(JobRun)
    newest = (begun.started_at.desc().nulls_first(), begun.id.desc())
    return JobRun.id == sa.select(begun.id).where(begun.job == job).order_by(*newest).limit(1).scalar_subquery()


def run_of(job: str, period: str) -> JobRun:
    """The run of one period that is known. Raises `NoResultFound`."""
    return db.session.execute(sa.select(JobRun).where(JobRun.job == job, JobRun.period == period)).scalar_one()


def failures(caught_up: list[str], *, limit: int = 20) -> list[JobRun]:
    """The runs that failed or were refused and still matter, newest first: of the jobs in `caught_up` every one, of
    the others those that no later run of the job made up for."""
    later = sa.orm.aliased(JobRun)
    made_up = sa.exists().where(
        later.job == JobRun.job, later.status == RunStatus.done, later.scheduled_for >= JobRun.scheduled_for
    )
    return list(
        db.session.execute(
            sa.select(JobRun)
            .where(
                JobRun.status.in_((RunStatus.failed, RunStatus.refused)),
                sa.or_(sa.and_(JobRun.job.in_(caught_up), JobRun.period.not_like(f"{HAND}%")), ~made_up),
            )
            .order_by(JobRun.finished_at.desc(), JobRun.id.desc())
            .limit(limit)
        ).scalars()
    )


def is_demo() -> bool:
    """Whether this database holds the demo company."""
    return bool(db.session.execute(sa.select(Installation.demo).where(Installation.id == 1)).scalar_one_or_none())


def installed_at() -> datetime | None:
    """When this database was set up, UTC; None for one that is older than the question."""
    return db.session.execute(sa.select(Installation.created_at).where(Installation.id == 1)).scalar_one_or_none()


def is_loading() -> bool:
    """Whether loading the demo company was begun here and did not come to its end."""
    return bool(db.session.execute(sa.select(Installation.loading).where(Installation.id == 1)).scalar_one_or_none())


def due_periods(
    periodic: Periodic,
    now: datetime,
    zone: ZoneInfo,
    *,
    refused_too: bool,
    dead: Callable[[str], bool] = lambda _: False,
) -> list[str]:
    """The periods of a job that are over and were never run to their end, oldest first, at most 60; then the runs
    by hand of the last day that wait or broke off.

    The newest one is always looked at; the ones before it only for a job that is caught up (`backfill`): every one
    since the last that was done, and older ones that were begun but not done. `refused_too` says whether what made
    a refusal is over, `dead` whether a run's process is known to be gone.
    """
    newest = periodic.rule.last(now, zone)
    known = {
        row.period: row
        for row in db.session.execute(
            sa.select(JobRun.period, JobRun.status, JobRun.heartbeat_at, JobRun.finished_at, JobRun.owner).where(
                JobRun.job == periodic.id,
                JobRun.period.not_like(f"{HAND}%"),
                sa.true() if periodic.backfill else JobRun.period == period_of(newest),
            )
        )
    }
    walls = {newest}
    if periodic.backfill and known:
        done = [period for period, row in known.items() if row.status == RunStatus.done]
        since = wall_of(max(done) if done else min(known))
        walls.update(periodic.rule.between(since, newest))
        walls.update(wall_of(period) for period, row in known.items() if row.status != RunStatus.done)
    due = []
    for wall in sorted(walls):
        row = known.get(period_of(wall))
        if wall > newest:
            continue
        if row is not None and not _open(row, now, dead):
            continue
        if row is not None and row.status == RunStatus.refused and not refused_too:
            continue
        due.append(period_of(wall))
    asked = db.session.execute(
        sa.select(JobRun.period, JobRun.status, JobRun.heartbeat_at, JobRun.finished_at, JobRun.owner)
        .where(
            JobRun.job == periodic.id,
            sa.or_(
                JobRun.status == RunStatus.waiting,
                sa.and_(
                    JobRun.status.in_((RunStatus.running, RunStatus.failed)),
                    JobRun.period.like(f"{HAND}%"),
                    JobRun.scheduled_for > now - timedelta(days=1),
                ),
            ),
        )
        .order_by(JobRun.id)
    )
    due = due[-BACKFILL:]
    return due + [row.period for row in asked if _open(row, now, dead) and row.period not in due]


def _open(row: Any, now: datetime, dead: Callable[[str], bool]) -> bool:
    """Whether a known run is still to be done, as far as anybody can tell."""
    if row.status == RunStatus.running and row.owner is not None and dead(row.owner):
        return True
    return still_open(row.status, row.heartbeat_at, row.finished_at, now)
