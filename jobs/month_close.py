"""月结: keep the figures of the month before as they were reported."""

from __future__ import annotations

from app.core.clock import utcnow
from app.reports import closing
from app.runs.models import JobRun
from app.runs.periodic import MONTH_CLOSE
from jobs.context import Counts, app_context, run_job


def run(period: str | None = None, requested_by: int | None = None) -> Counts | None:
    """Close the month before the period's. Idempotent: what is closed stays as it is.

    Returns how many reports were closed now; None if this period was done already.
    """
    with app_context():  # reading takes long, writing does not: nobody is held up
        return run_job(MONTH_CLOSE.id, period, close, requested_by=requested_by)


def close(run: JobRun) -> Counts:
    """Close it. Commits report by report."""
    return {"closed": closing.close(closing.month_to_close(run.scheduled_for or utcnow()))}
