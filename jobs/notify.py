"""通知: tell people what the day brings, once a morning; and send what is to go out, whenever something is.

`run` is a periodic job of the ledger. `post` has no period: messages are rows of their own, and the scheduler looks
every round whether one is due, so that a lost queue loses none.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from redis import Redis

from app.core.clock import local, utcnow
from app.core.redis import QUEUE, JsonQueue, enqueue, job_id
from app.core.unit import unit_of_work
from app.desk import reminders
from app.extensions import db
from app.notices import operations
from app.notices import post as outgoing
from app.runs.models import JobRun
from app.runs.periodic import MORNING
from jobs.context import Counts, app_context, job_context, run_job

KEEP = timedelta(days=365)
WAITING = "liuke:post"  # the id of the job that was queued last


def run(period: str | None = None, requested_by: int | None = None) -> Counts | None:
    """Tell people what falls on this morning's day, and forget what is a year old. Idempotent: an event is told once.

    Returns how many notifications are new and how many rows were removed; None if it was done already.
    """
    with job_context():
        return run_job(MORNING.id, period, _tell, requested_by=requested_by)


def _tell(run: JobRun) -> Counts:
    now = utcnow()
    day = local(run.scheduled_for or now).date()
    with unit_of_work():
        told = reminders.tell_dated(day, now) + reminders.tell_churn(now)
    with unit_of_work():
        removed = operations.sweep(before=now - KEEP)
    return {"told": told, "removed": sum(removed.values())}


def tell_churn() -> int:
    """Tell the owners right after a scan or a sync. Idempotent. Returns how many are new. Commits."""
    with job_context(), unit_of_work():
        return reminders.tell_churn(utcnow())


def post() -> Counts:
    """Make messages of what is to be told by mail and robots now, and send every one that is due. Commits each.

    Any number may run at once: a message is claimed before it is sent. Returns how many were made, sent, are tried
    again later, and failed for good.
    """
    with app_context():  # what is written is written in short units of work, so that a slow host holds nobody up
        made = outgoing.plan(utcnow())
        return {"made": made, **outgoing.send_all()}


def queue_post(connection: Redis, now: datetime) -> bool:
    """Queue `post` if something is to go out and it does not wait already. Returns whether it was queued.

    What a sender of this machine left behind when it was killed is taken up at once, another machine's after its lease.
    """
    with app_context():
        outgoing.release_the_dead(now)
        due = outgoing.something_to_do(now)
        db.session.rollback()  # nothing is held open
    if not due:
        return False
    kept: Any = connection.get(WAITING)
    queue = JsonQueue(QUEUE, connection=connection)
    if kept is not None and queue.get_job_position(kept.decode()) is not None:
        return False
    id = job_id("post", f"{now:%Y%m%dT%H%M%S}")
    queued = enqueue(connection, "jobs.notify.post", id=id)
    connection.set(WAITING, id, ex=86_400)
    return queued
