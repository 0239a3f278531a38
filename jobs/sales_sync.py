"""同步销售系统: read a feed into the mirror, and let the orders that are new settle churn cases."""

from __future__ import annotations

from collections.abc import Callable

from app.churn.operations import settle
from app.core.errors import BusinessError
from app.mirror.models import SyncStatus
from app.mirror.sync import sync
from jobs.context import Counts, app_context
from jobs.notify import tell_churn


def run(folder: str, progress: Callable[[float], None] | None = None) -> Counts:
    """Read the feed in `folder` once. Idempotent: the same feed again changes nothing. Commits batch by batch.

    Customers who ordered again are recovered, lost ones won back, in the same unit of work as their orders. A scan
    that was refused because the mirror was stale is queued at once. `progress` is told the share that is done.

    Returns the counts of the run. Raises `BusinessError` when the feed was refused or another sync is running.
    """
    from jobs.schedule import enqueue_due

    with app_context():
        ended = sync(folder, progress=progress, on_orders=settle)
        if ended.status is not SyncStatus.done:
            raise BusinessError(ended.error)
        tell_churn()
        enqueue_due()
        return {
            "run": ended.id,
            "rows": ended.rows_in,
            "created": ended.rows_created,
            "updated": ended.rows_updated,
            "unchanged": ended.rows_unchanged,
            "rejected": ended.rows_rejected,
            "rejects_file": ended.rejects_file,
            "files": ended.counts,
        }
