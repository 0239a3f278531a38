"""`/healthz`: whether the parts work, for load balancers and monitors. No login, so no names, counts or addresses."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from flask import Flask, jsonify
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from app.core.clock import utcnow
from app.core.redis import connect
from app.extensions import db
from app.mirror.queries import freshness
from app.runs.periodic import BACKUP, CHURN_SCAN
from app.runs.queries import installed_at, last_done, parts
from app.security.door import open_to_all

PATIENCE = 1.0  # seconds for Redis; a monitor asks often and must not pile up
LATE = timedelta(minutes=2)  # an idle worker gives a sign of life every 45 seconds
DOWN = timedelta(minutes=10)
NIGHT = timedelta(hours=26)  # a backup is made every night; two hours to make it
NIGHTS = 3 * NIGHT  # three that failed
WEEK = timedelta(days=8)  # the scan runs every seven days; a day to catch up

OK, TARDY, GONE = "ok", "late", "down"


def install(app: Flask) -> None:
    """Answer at /healthz."""
    app.add_url_rule("/healthz", "healthz", healthz)


@open_to_all
def healthz() -> tuple[Any, int]:
    """200 while web and database work, else 503; ok, late or down and an age in seconds for each part.

    `age` is how long ago the part gave a sign of life, was run or was synced; null if never or not known. A new
    company has eight days for its first feed and scan, and 26 hours for its first backup; until then they are ok
    without an age. A late or dead worker,
    scheduler or Redis stops no page, so it does not take the web process out of service.
    """
    found = health(utcnow())
    states = {part["state"] for part in found.values()}
    working = found["database"]["state"] == OK
    status = GONE if not working else TARDY if states != {OK} else OK
    return jsonify(status=status, parts=found), 200 if working else 503


def health(now: datetime) -> dict[str, dict[str, Any]]:
    """The state and age of every part."""
    found = {"database": _part(GONE), "redis": _part(OK, 0) if redis_answers() else _part(GONE)}
    try:
        db.session.execute(sa.select(1))
        found["database"] = _part(OK, 0)
        seen = parts()
        scanned, mirrored, began = last_done(CHURN_SCAN.id), freshness(now), installed_at()
        saved = last_done(BACKUP.id)
    except SQLAlchemyError:
        _let_go()
        return found | {name: _part(GONE) for name in ("worker", "scheduler", "churn_run", "mirror", "backup")}
    for name in ("worker", "scheduler"):
        age = _age(seen.get(name), now)
        state = GONE if age is None or age > DOWN else TARDY if age > LATE else OK
        found[name] = _part(state, age)
    new = began is not None and now - began <= WEEK
    age = _age(scanned, now)
    found["churn_run"] = _part(OK if (new if age is None else age <= WEEK) else TARDY, age)
    unread = mirrored.finished_at is None
    found["mirror"] = _part(OK if not mirrored.stale or (unread and new) else TARDY, _age(mirrored.finished_at, now))
    found["backup"] = _backup(_age(saved, now), _age(began, now))
    return found


def _backup(age: timedelta | None, installed: timedelta | None) -> dict[str, Any]:
    """Late after a night without a backup, down after three or when there never was one."""
    waited = installed if age is None else age
    state = GONE if waited is None or waited > NIGHTS else TARDY if waited > NIGHT else OK
    return _part(state, age)


def redis_answers() -> bool:
    """Whether Redis answers within a second."""
    try:
        with closing(connect(patience=PATIENCE)) as connection:
            return bool(connection.ping())
    except RedisError:
        return False


def _let_go() -> None:
    try:
        db.session.rollback()
    except SQLAlchemyError:
        db.session.remove()


def _age(moment: datetime | None, now: datetime) -> timedelta | None:
    return None if moment is None else max(now - moment, timedelta(0))


def _part(state: str, age: timedelta | int | None = None) -> dict[str, Any]:
    seconds = int(age.total_seconds()) if isinstance(age, timedelta) else age
    return {"state": state, "age": seconds}
