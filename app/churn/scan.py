"""The scan as it runs: in parts that are committed one by one, under one row of the ledger. It owns its units of work.

A process that dies loses the part it was at, and the next run does that part: every part can be repeated.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime

from app.churn.operations import ScanResult, open_cases, ranges, recover_behind, scan_range
from app.churn.rule import rule_at
from app.core.clock import utcnow
from app.core.errors import BusinessError
from app.core.sentences import gettext as _
from app.core.unit import unit_of_work
from app.mirror.queries import freshness
from app.runs.models import JobRun
from app.runs.operations import RunLostError, claim, fail, finish, heartbeat, refuse, whoami
from app.runs.periodic import CHURN_SCAN, HAND
from app.runs.queries import newest_as_of

PARTS = 4  # how often a scan commits, whatever its size: SQLite's other writers wait for a part, not for the whole

Announce = Callable[[int], None]


class StaleMirrorError(BusinessError):
    """Nobody may be warned now: what looks like silence may be a sync that did not run."""


def check_mirror(now: datetime) -> None:
    """Raises `StaleMirrorError` when the last successful sync is too long ago, or there was none.

    Asked before scheduled, caught-up and by-hand runs; a replay of a given as-of goes on. Reads only.
    """
    mirror = freshness(now)
    if mirror.days is None:
        raise StaleMirrorError(
            _("The sales system was never synced, so silence cannot be told from a missing sync. Sync it first.")
        )
    if mirror.stale:
        raise StaleMirrorError(
            _(
                "The sales system was last synced %(days)d days ago, so silence cannot be told from a missing sync."
                " Sync it first.",
                days=mirror.days,
            )
        )


def run_scan(*, as_of: datetime, run: JobRun, announce: Announce | None = None) -> ScanResult:
    """Scan at `as_of` as the claimed `run`, part by part; each part is committed. Returns what the run did.

    That includes what it did before it was taken up again: each part is counted in the ledger as it is committed.
    When a run of a later as-of was begun before this one's end, its own warnings are looked at once more as of that
    one, so that the order of the runs does not matter.
    `announce` is called with a part's number, from 1, once it is committed. Raises `RunLostError` as soon as somebody
    else took the run over, and writes nothing more then.
    """
    rule = rule_at(as_of)
    done = run.counts or {}
    opened, recovered = done.get("opened", 0), done.get("recovered", 0)
    for number, ids in enumerate(ranges(PARTS), start=1):
        with unit_of_work():
            now = utcnow()
            warned, closed = scan_range(rule, ids, run=run, at=now)
            opened, recovered = opened + warned, recovered + closed
            if not heartbeat(run, now, {"due": opened, "opened": opened, "recovered": recovered}):
                raise RunLostError
        if announce is not None:
            announce(number)
    newer = newest_as_of(CHURN_SCAN.id, after=as_of, until=utcnow())
    if newer is not None:
        with unit_of_work():
            now = utcnow()
            recovered += recover_behind(run, newer, at=now)
            if not heartbeat(run, now, {"due": opened, "opened": opened, "recovered": recovered}):
                raise RunLostError
    return ScanResult(opened, opened, recovered, open_cases(as_of))


def run_by_hand(
    *, as_of: datetime | None = None, announce: Announce | None = None, requested_by: int | None = None
) -> ScanResult:
    """Scan now, or as of the given instant, with a row of its own in the ledger. Commits.

    Raises `StaleMirrorError` for a run of now when the mirror is stale, after recording it as refused, and
    `BusinessError` for a time to come, whose warnings nobody could take back; what breaks the scan off is recorded as
    failed and raised again.
    """
    now = utcnow()
    if as_of is not None and as_of > now:
        raise BusinessError(_("A scan as of a time to come can only be previewed: orders of the future are not known."))
    period = f"{HAND}{now.astimezone(UTC):%Y%m%dT%H%M%S%f}Z-{os.getpid()}"  # of two at the same instant both run
    with unit_of_work():
        run = claim(
            CHURN_SCAN.id,
            period,
            scheduled_for=as_of or now,
            owner=whoami(),
            now=now,
            requested_by=requested_by,
        )
    if run is None:
        raise BusinessError(_("Another scan began at this very moment. Start this one again."))
    try:
        if as_of is None:
            check_mirror(now)
        result = run_scan(as_of=as_of or now, run=run, announce=announce)
        with unit_of_work():
            finish(run, asdict(result), utcnow())
    except BusinessError as why:
        with unit_of_work():
            refuse(run, str(why), utcnow())
        raise
    except Exception as error:
        with unit_of_work():
            fail(run, error, utcnow())
        raise
    return result
