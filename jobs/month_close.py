"""月结: keep the figures of the month before as they were reported."""

from __future__ import annotations

from app.core.clock import utcnow
from app.reports import closing
from app.runs.models import JobRun
from app.runs.periodic import MONTH_CLOSE
from app.runs.queries import installed_at
from jobs.context import Counts, app_context, run_job


def run(period: str | None = None, requested_by: int | None = None) -> Counts | None:
    """Close the month before the period's. Idempotent: what is closed stays as it is.

    Returns how many reports were closed now; None if this period was done already.
    """
    with app_context():  # reading takes long, writing does not: nobody is held up
        return run_job(MONTH_CLOSE.id, period, close, requested_by=requested_by)


def close(run: JobRun) -> Counts:
    """Close it, unless it was over before this database was set up: nobody has reported of it, and its orders may
    still be to come. Commits report by report."""
    month, installed = closing.month_to_close(run.scheduled_for or utcnow()), installed_at()
    if installed is not None and month.end <= installed:
        return {"closed": 0}
    return {"closed": closing.close(month)}
