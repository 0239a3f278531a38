"""Reports by mail: make this week's and this month's mails. They go out as all messages do (jobs.notify.post)."""

from __future__ import annotations

from app.core.clock import local, utcnow
from app.core.unit import unit_of_work
from app.reports.models import Every
from app.reports.operations import queue_mails
from app.runs.models import JobRun
from app.runs.periodic import MONTHLY_MAIL, WEEKLY_MAIL
from jobs.context import Counts, job_context, run_job


def weekly(period: str | None = None, requested_by: int | None = None) -> Counts | None:
    """Make the mails of the period's week. Idempotent: a mail is made once a week.

    Returns how many were made; None if this period was done already.
    """
    with job_context():
        return run_job(WEEKLY_MAIL.id, period, lambda run: _queue(Every.weekly, run), requested_by=requested_by)


def monthly(period: str | None = None, requested_by: int | None = None) -> Counts | None:
    """The same for the month before the period's."""
    with job_context():
        return run_job(MONTHLY_MAIL.id, period, lambda run: _queue(Every.monthly, run), requested_by=requested_by)


def _queue(every: Every, run: JobRun) -> Counts:
    with unit_of_work():
        return {"queued": queue_mails(every, local(run.scheduled_for or utcnow()).date())}
