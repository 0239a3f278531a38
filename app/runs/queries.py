"""What the ledger knows: signs of life, what is due, how the last runs went. Reads only."""

from __future__ import annotations

from datetime import datetime
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
    """The run of this job that was begun last."""
    return db.session.execute(sa.select(JobRun).where(is_last_run(job))).scalar_one_or_none()


def is_last_run(job: Any) -> sa.ColumnElement[bool]:
    """WHERE a run is the one of this job that was begun last."""
    begun = aliased(JobRun)
    last = sa.select(begun.id).where(begun.job == job).order_by(begun.started_at.desc(), begun.id.desc()).limit(1)
    return JobRun.id == last.scalar_subquery()


def is_demo() -> bool:
    """Whether this database holds the demo company."""
    return bool(db.session.execute(sa.select(Installation.demo).where(Installation.id == 1)).scalar_one_or_none())


def installed_at() -> datetime | None:
    """When this database was set up, UTC; None for one that is older than the question."""
    return db.session.execute(sa.select(Installation.created_at).where(Installation.id == 1)).scalar_one_or_none()


def is_loading() -> bool:
    """Whether loading the demo company was begun here and did not come to its end."""
    return bool(db.session.execute(sa.select(Installation.loading).where(Installation.id == 1)).scalar_one_or_none())


def due_periods(periodic: Periodic, now: datetime, zone: ZoneInfo, *, refused_too: bool) -> list[str]:
    """The periods of a job that are over and were never run to their end; oldest first, at most 60.

    The newest one is always looked at; the ones before it only for a job that is caught up (`backfill`): every one
    since the last that was done, and older ones that were begun but not done. `refused_too` says whether what made
    a refusal is over.
    """
    newest = periodic.rule.last(now, zone)
    known = {
        row.period: row
        for row in db.session.execute(
            sa.select(JobRun.period, JobRun.status, JobRun.heartbeat_at, JobRun.finished_at).where(
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
        if row is not None and not still_open(row.status, row.heartbeat_at, row.finished_at, now):
            continue
        if row is not None and row.status == RunStatus.refused and not refused_too:
            continue
        due.append(period_of(wall))
    return due[-BACKFILL:]
