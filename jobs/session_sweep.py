"""Removes what nobody asks for any more: old sign-in sessions, links that ran out, signs of life of what is gone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from app.core.clock import utcnow
from app.core.models import Submission
from app.core.submissions import KEEP as KEEP_SENT
from app.core.unit import unit_of_work
from app.extensions import db
from app.runs.models import Heartbeat, JobRun, RunStatus
from app.runs.periodic import PERIODIC, SESSION_SWEEP, Every
from app.security.models import OneTimeToken, UserSession
from jobs.context import Counts, job_context, run_job

KEEP = timedelta(days=30)
KEEP_FREQUENT = timedelta(days=2)  # runs of jobs that run every few minutes
KEEP_TYPED = timedelta(days=1)  # what somebody typed when his session was over


def run(period: str | None = None, requested_by: int | None = None) -> Counts | None:
    """Sweep once. Idempotent: what is gone stays gone. Returns how many rows were removed; None if done already."""
    with job_context():
        return run_job(SESSION_SWEEP.id, period, sweep, requested_by=requested_by)


def sweep(_run: JobRun) -> Counts:
    """Delete sessions that ended or ran out more than 30 days ago, signs of life as old, links and typed text nobody
    came back for within a day, forms sent more than a week ago, and finished runs of the jobs that run every few
    minutes after two days. Commits."""
    before = utcnow() - KEEP
    with unit_of_work():
        db.session.execute(
            sa.update(UserSession)
            .where(UserSession.kept_at.is_not(None), UserSession.seen_at < utcnow() - KEEP_TYPED)
            .values(kept_at=None, kept=None)
            .execution_options(synchronize_session=False)
        )
        sessions = _delete(UserSession, sa.or_(UserSession.ended_at < before, UserSession.expires_at < before))
        tokens = _delete(OneTimeToken, OneTimeToken.expires_at < utcnow() - KEEP_TYPED)
        heartbeats = _delete(Heartbeat, Heartbeat.seen_at < before)
        submissions = _delete(Submission, Submission.at < utcnow() - KEEP_SENT)
        runs = _delete(
            JobRun,
            sa.and_(
                JobRun.job.in_([p.id for p in PERIODIC if isinstance(p.rule, Every)]),
                JobRun.status == RunStatus.done,
                JobRun.finished_at < utcnow() - KEEP_FREQUENT,
            ),
        )
    return {"sessions": sessions, "tokens": tokens, "heartbeats": heartbeats, "submissions": submissions, "runs": runs}


def _delete(model: Any, which: Any) -> int:
    done = db.session.execute(sa.delete(model).where(which).execution_options(synchronize_session=False))
    return int(done.rowcount)
