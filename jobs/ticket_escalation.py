"""服务单催办: remind of tickets whose step is overdue, every ten minutes."""

from __future__ import annotations

from app.core.clock import utcnow
from app.core.unit import unit_of_work
from app.runs.models import JobRun
from app.runs.operations import RunLostError, heartbeat
from app.runs.periodic import TICKET_ESCALATION
from app.tickets.escalation import escalate
from jobs.context import Counts, job_context, run_job

SIGN = 50  # reminders after which the run says that it goes on


def run(period: str | None = None, requested_by: int | None = None) -> Counts | None:
    """Remind of what is overdue now. Idempotent: each rung is said once, whatever ran before and was killed.

    Returns how many were reminded and how many escalated; None if this period was done already.
    """
    with job_context():
        return run_job(TICKET_ESCALATION.id, period, remind, requested_by=requested_by)


def remind(run: JobRun) -> Counts:
    """Remind, and say now and then that the run goes on. Commits. Raises `RunLostError`."""
    counts = {"reminded": 0, "escalated": 0}
    for number, counted in enumerate(escalate(utcnow()), start=1):
        counts = counted
        if number % SIGN == 0:
            with unit_of_work():
                if not heartbeat(run, utcnow()):
                    raise RunLostError
    return counts
