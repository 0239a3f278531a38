"""Compares the totals kept beside the customers, which reports read, with the orders, and puts right what differs."""

from __future__ import annotations

import logging

from app.core.errors import BusinessError
from app.mirror.sync import repair_totals
from app.runs.models import JobRun
from app.runs.periodic import TOTALS_CHECK
from jobs.context import Counts, RunRefusedError, job_context, run_job

log = logging.getLogger("jobs")


def run(period: str | None = None, requested_by: int | None = None) -> Counts | None:
    """Check once. Idempotent: what is right stays as it is. Refused, and recorded so, if a sync runs while something is
    to be put right. Returns how many customers' totals were; None if done already."""
    with job_context():
        return run_job(TOTALS_CHECK.id, period, check, requested_by=requested_by)


def check(_run: JobRun) -> Counts:
    """Put right what differs, and name it in the log: it never should. Commits."""
    try:
        repaired = repair_totals()
    except BusinessError as why:
        raise RunRefusedError(str(why)) from None
    if repaired:
        log.warning("totals of customers %s differed from their orders and were worked out again", repaired[:100])
    return {"repaired": len(repaired)}
