"""未来26周无订单概率: estimate for every customer once a week, and see how right that was."""

from __future__ import annotations

from app.churn.estimating import estimate_all
from app.churn.scan import StaleMirrorError, check_mirror
from app.core.clock import utcnow
from app.runs.models import JobRun
from app.runs.operations import RunLostError, heartbeat
from app.runs.periodic import CHURN_ESTIMATE
from jobs.context import Counts, RunRefusedError, job_context, run_job


def run(period: str | None = None, requested_by: int | None = None) -> Counts | None:
    """Estimate as of the period's Saturday 03:30, or now for a run by hand. Idempotent: the same rows again.

    Refused, and recorded so, while the mirror is stale: what looks like silence may be a sync that did not run.
    Returns customers with an order, estimates kept, runs of 26 weeks ago measured, and of the last of those how many
    of 100 pairs it had ranked rightly (its AUC in per cent); None if there was nothing to do.
    """

    def estimate(claimed: JobRun) -> Counts:
        def still_ours() -> None:
            if not heartbeat(claimed, utcnow()):
                raise RunLostError

        try:
            check_mirror(utcnow())
        except StaleMirrorError as why:
            raise RunRefusedError(str(why)) from None
        done = estimate_all(as_of=claimed.scheduled_for or utcnow(), still_ours=still_ours)
        auc = (done.measured[-1].hits or {})["auc"] if done.measured else None
        counts = {"customers": done.run.customers, "estimated": done.kept, "measured": len(done.measured)}
        return counts if auc is None else {**counts, "auc": round(100 * auc)}

    with job_context():
        return run_job(CHURN_ESTIMATE.id, period, estimate, requested_by=requested_by)
