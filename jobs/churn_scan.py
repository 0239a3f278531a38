"""客户流失扫描: warn about customers who stopped ordering, once per Saturday, or now by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from app.churn.scan import StaleMirrorError, check_mirror, run_scan
from app.core.clock import utcnow
from app.runs.models import JobRun
from app.runs.periodic import CHURN_SCAN
from jobs.context import Counts, RunRefusedError, job_context, run_job
from jobs.notify import tell_churn


def run(
    period: str | None = None, requested_by: int | None = None, announce: Callable[[int], None] | None = None
) -> Counts | None:
    """Scan for one period: a Saturday's ("2026-11-21T02:00") as of its 02:00 however late it runs, a run by hand
    (no period, or one that begins with hand-) as of its own start.

    Idempotent: the ledger lets a period be done once, and what a killed run opened is not opened again. Refused, and
    recorded so, while the mirror is stale. Returns due, opened, recovered and open; None if there was nothing to do.
    `announce` is told the number of each part once it is committed.
    """

    def scan(claimed: JobRun) -> Counts:
        try:
            check_mirror(utcnow())
        except StaleMirrorError as why:
            raise RunRefusedError(str(why)) from None
        result = run_scan(as_of=claimed.scheduled_for or utcnow(), run=claimed, announce=announce)
        tell_churn()
        return asdict(result)

    with job_context():
        return run_job(CHURN_SCAN.id, period, scan, requested_by=requested_by)
