"""The weeks of the demo company: the jobs that ran in them, and in between what people and feeds did."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict
from datetime import datetime, timedelta

from app.churn import operations as churn
from app.core.clock import company_zone
from app.core.unit import unit_of_work
from app.desk.demo.churn import moves_of
from app.desk.demo.scene import Move, Scene
from app.reports import closing
from app.runs.models import JobRun
from app.runs.operations import claim, finish, whoami
from app.runs.periodic import CHURN_SCAN, MONTH_CLOSE, Periodic, period_of


def live_weeks(scene: Scene, returns: list[Move]) -> None:
    """Scan every Saturday, and in between do what was done: measures, confirmed losses, feeds with returning orders."""
    todo = deque(sorted([*moves_of(scene), *returns], key=lambda move: move.at))
    for as_of in scene.saturdays():
        while todo and todo[0].at < as_of:
            todo.popleft().do()
        with unit_of_work():
            run = _claimed(CHURN_SCAN, as_of)
            at = as_of + timedelta(seconds=2)
            finish(run, asdict(churn.scan(as_of=as_of, run=run, at=at)), at)
    for move in todo:
        move.do()


def close_month(at: datetime) -> None:
    """Close the month before, as the job did it then."""
    with unit_of_work():
        run = _claimed(MONTH_CLOSE, at)
    closed = closing.close(closing.month_to_close(at), at=at)
    with unit_of_work():
        finish(run, {"closed": closed}, at + timedelta(seconds=9))


def _claimed(job: Periodic, as_of: datetime) -> JobRun:
    """The ledger's row of a job's run."""
    period = period_of(as_of.astimezone(company_zone()).replace(tzinfo=None))
    run = claim(job.id, period, scheduled_for=as_of, owner=whoami(), now=as_of)
    if run is None:
        raise RuntimeError(f"{job.id} {period} was done already")
    return run
