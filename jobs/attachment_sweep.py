"""Removes files that no attachment names: what a process left that was killed between the file and its row."""

from __future__ import annotations

from datetime import timedelta

from app.attachments import storage
from app.attachments.queries import named
from app.core.clock import utcnow
from app.runs.models import JobRun
from app.runs.periodic import ATTACHMENT_SWEEP
from jobs.context import Counts, job_context, run_job

KEEP = timedelta(days=7)  # far longer than an upload takes; and a database put back from yesterday finds its files


def run(period: str | None = None, requested_by: int | None = None) -> Counts | None:
    """Sweep once. Idempotent: what is gone stays gone. Returns how many files were removed; None if done already."""
    with job_context():
        return run_job(ATTACHMENT_SWEEP.id, period, sweep, requested_by=requested_by)


def sweep(_run: JobRun) -> Counts:
    """Remove files older than 7 days that no row names, a removed attachment's row included, and unfinished ones."""
    before, stray = utcnow() - KEEP, 0
    for keys in storage.stored(before):
        for key in sorted(set(keys) - named(keys)):
            storage.drop(key)
            stray += 1
    return {"stray": stray, "unfinished": storage.drop_unfinished(before)}
