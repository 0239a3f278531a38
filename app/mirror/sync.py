"""同步: reading a feed of the sales system into the mirror. With feed.py and merge.py the only way to that system.

A sync is not one transaction: every batch commits by itself, with the totals of the customers it touched. A sync
that dies half-way has therefore left nothing half done, and the same feed read again does the rest.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import current_app
from flask_appbuilder.security.sqla.models import User
from sqlalchemy.exc import SQLAlchemyError

from app.core.clock import local, utcnow
from app.core.errors import BusinessError
from app.core.sentences import gettext as _
from app.core.unit import only_reading, unit_of_work
from app.extensions import db
from app.mirror.bulk import insert_into
from app.mirror.feed import Feed, Rejects
from app.mirror.merge import Merge, OnOrders, Report
from app.mirror.models import SyncRun, SyncStatus
from app.mirror.operations import count_again, refresh_totals
from app.mirror.queries import wrong_totals
from app.runs.models import Heartbeat
from app.runs.operations import beat

log = logging.getLogger(__name__)

PART = "sync"  # the heartbeat of the sync that runs; its row is what two syncs meet at
GIVEN_UP = timedelta(minutes=30)  # without a sign of life a sync is dead, and another may begin
BEAT = timedelta(minutes=1)
MANY = 20_000  # rows written, after which what the database knows of its tables is no longer true
REPAIRED = 1000  # customers whose totals are put right at a time
READING = 0.4  # the share of the work, as the progress bar shows it, that is over when the files are read


def sync(
    folder: str | Path,
    *,
    actor: User | None = None,
    progress: Callable[[float], None] | None = None,
    on_orders: OnOrders | None = None,
) -> SyncRun:
    """Read the feed in `folder` into the mirror and return how it went; commits batch by batch.

    `actor` is who asked for it (None: the system), `progress` is told the share of the work that is done (0 to 1).
    `on_orders(ids, at)` is called within each batch's unit of work with the ids of the orders it inserted or
    changed; an error in it undoes the batch.

    A feed that cannot be read as a whole (a missing column, say) writes nothing: the run is returned as failed, with
    the reason. A bad row is reported in the run's file and stops nothing. Raises `BusinessError` while another sync
    runs, and what went wrong otherwise, after recording the run as failed.
    """
    folder = Path(folder)
    run_id = _claim(folder)
    rejects = Rejects(Path(current_app.config["LIUKE_VAR"]) / "sync" / f"{run_id}-rejected.csv")
    pulse = _Pulse(run_id, progress or (lambda _share: None))
    report = Report()
    try:
        with Feed(folder, rejects, lambda share: pulse.tick(share * READING)) as feed:
            feed.open()
            feed.load()
            merge = Merge(
                feed,
                actor_id=actor.id if actor is not None else None,
                own_codes=current_app.config["LIUKE_SYNC_STATUS"],
                on_orders=on_orders,
            )
            report = merge.report
            total, done = sum(feed.rows_in.values()) or 1, 0
            for batch in merge.batches():
                with unit_of_work():
                    done += batch()
                    _note(run_id, _counts(report, rejects))
                pulse.tick(READING + (1 - READING) * min(done / total, 1))
            rejects.close()
            _finish(run_id, SyncStatus.done, checksum=feed.checksum, **_counts(report, rejects))
            if report.sum("created") + report.sum("updated") > MANY:
                _look_again()
    except BaseException as failure:
        rejects.close()
        _fail(run_id, _why(failure))
        if not isinstance(failure, BusinessError):
            raise
    pulse.tick(1)
    return db.session.get_one(SyncRun, run_id, populate_existing=True)


def _look_again() -> None:
    """Let the database know how much there is now. The sync is done: if that fails, statements are slow, no more."""
    try:
        with unit_of_work():
            count_again()
    except SQLAlchemyError:
        log.exception("The database did not look at its tables after the sync.")


def _why(failure: BaseException) -> str:
    """What the run says about its end; of an unexpected error only the first line, the rest may hold values."""
    if isinstance(failure, BusinessError):
        return str(failure)
    first = (str(failure).splitlines() or [""])[0]
    reason = f"{type(failure).__name__} {first}".strip()[:300]
    return _("It broke off (%(reason)s). The batches before are kept; read the feed again.", reason=reason)


def _counts(report: Report, rejects: Rejects) -> dict[str, Any]:
    for name, count in rejects.count.items():
        report.files[name].rejected = count
    return {
        "rows_in": report.sum("rows"),
        "rows_created": report.sum("created"),
        "rows_updated": report.sum("updated"),
        "rows_unchanged": report.sum("unchanged"),
        "rows_rejected": report.sum("rejected"),
        "high_water": report.newest_order_at,
        "rejects_file": str(rejects.path) if rejects.count else None,
        "counts": report.as_json(),
    }


def repair_totals() -> list[int]:
    """Work the totals of customers out again whose kept ones differ from their orders. Returns the ids, in order.

    All orders are read in transactions that only read. A thousand customers are put right at a time; commits. Raises
    `BusinessError` while a sync runs, if something is to be put right, and `RuntimeError` when some differ still after
    they were worked out: then the sum or the comparison is wrong, and going on would never end.
    """
    repaired: list[int] = []
    while True:
        with only_reading():
            wrong = wrong_totals(limit=REPAIRED)
        if again := set(wrong) & set(repaired):
            raise RuntimeError(f"totals of customers {sorted(again)[:10]} differ from their orders still")
        if not wrong:
            return repaired
        with unit_of_work():
            _alone(utcnow())
            refresh_totals(wrong)
        repaired += wrong


# -- one at a time ----------------------------------------------------------------------------------------------


def _claim(folder: Path) -> int:
    """Begin a run. Raises `BusinessError` while another one shows signs of life; a dead one is recorded as failed."""
    now = utcnow()
    with unit_of_work():
        _alone(now)
        beat(PART, now)
        run = SyncRun(source=str(folder.resolve())[:300], started_at=now)
        db.session.add(run)
        db.session.flush()
        return run.id


def _alone(now: datetime) -> None:
    """Be the only one who writes into the mirror until the commit: two meet at the heartbeat's row, and of those one
    sees the other's run. Raises `BusinessError` while a sync shows signs of life; a dead one is recorded as failed."""
    never = datetime(1970, 1, 1, tzinfo=UTC)
    row = insert_into(Heartbeat).values(part=PART, seen_at=never)
    locked = row.on_conflict_do_update(index_elements=["part"], set_={"part": PART}).returning(Heartbeat.seen_at)
    seen_at = db.session.execute(locked).scalar_one()
    for run_id, started_at in db.session.execute(
        sa.select(SyncRun.id, SyncRun.started_at).where(SyncRun.status == SyncStatus.running)
    ).all():
        if max(seen_at, started_at) > now - GIVEN_UP:
            raise BusinessError(
                _(
                    "A sync has been running since %(time)s. Start this one when it is over.",
                    time=f"{local(started_at):%Y-%m-%d %H:%M}",
                )
            )
        _set(run_id, status=SyncStatus.failed, finished_at=now, error=_("It stopped without a sign of life."))


def _set(run_id: int, **values: Any) -> bool:
    """Write into a run while it is running; whether it still was."""
    running = sa.and_(SyncRun.id == run_id, SyncRun.status == SyncStatus.running)
    result: Any = db.session.execute(sa.update(SyncRun).where(running).values(**values))
    return result.rowcount == 1


def _note(run_id: int, values: dict[str, Any]) -> None:
    """Keep the counts with the batch. Raises `BusinessError`, which undoes it, when another sync took over."""
    beat(PART, utcnow())
    if not _set(run_id, **values):
        raise BusinessError(_("Another sync took over: this one had shown no sign of life for too long."))


def _finish(run_id: int, status: SyncStatus, **values: Any) -> None:
    with unit_of_work():
        _note(run_id, {"status": status, "finished_at": utcnow(), **values})


def _fail(run_id: int, reason: str) -> None:
    try:
        with unit_of_work():
            _set(run_id, status=SyncStatus.failed, finished_at=utcnow(), error=reason[:2000])
    except SQLAlchemyError:  # the database is away, perhaps why we failed; the next sync finds this run dead
        log.exception("sync %d could not be recorded as failed", run_id)


class _Pulse:
    """Tells the progress, and the database once a minute that this sync lives, also while it only reads files."""

    def __init__(self, run_id: int, progress: Callable[[float], None]) -> None:
        self.run_id, self.progress, self.beaten = run_id, progress, utcnow()

    def tick(self, share: float) -> None:
        """So much is done."""
        self.progress(share)
        if utcnow() - self.beaten > BEAT:
            self.beaten = utcnow()
            with unit_of_work():
                _note(self.run_id, {"status": SyncStatus.running})
