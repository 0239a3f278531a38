"""备份: the database and the attached files into one file, every night. The newest 14 are kept."""

from __future__ import annotations

import time
from pathlib import Path

from flask import current_app

from app.core.clock import utcnow
from app.core.unit import unit_of_work
from app.desk import backups
from app.desk.dumps import database_at
from app.extensions import db
from app.runs.models import JobRun
from app.runs.operations import RunLostError, heartbeat
from app.runs.periodic import BACKUP
from jobs.context import Counts, job_context, run_job

SIGN = 20  # seconds between two signs that the run goes on


def run(period: str | None = None, requested_by: int | None = None, target: Path | None = None) -> Counts | None:
    """Make one backup, in LIUKE_BACKUPS or as `target`. Idempotent: a night that has its backup gets no second one.

    Returns rows, attached files, files that were missing, megabytes and how many backups are kept; None if there was
    nothing to do. Raises `BusinessError` when it could not be made; the ledger then tries again after an hour.
    """
    with job_context():
        return run_job(BACKUP.id, period, lambda claimed: back_up(claimed, target), requested_by=requested_by)


def back_up(claimed: JobRun, target: Path | None) -> Counts:
    """Write the file, say now and then that it goes on, and remove what is too old. Raises `RunLostError`."""
    said = time.monotonic()

    def tick() -> None:
        nonlocal said
        if time.monotonic() - said < SIGN:
            return
        said = time.monotonic()
        with unit_of_work():
            if not heartbeat(claimed, utcnow()):
                raise RunLostError

    config, now = current_app.config, utcnow()
    folder: Path = config["LIUKE_BACKUPS"]
    place = target or folder / backups.name_at(now)
    db.session.remove()  # what follows takes long, and has connections of its own
    source = database_at(config["SQLALCHEMY_DATABASE_URI"], config["LIUKE_PG_BIN"])
    made = backups.make(place, source, uploads=config["LIUKE_UPLOADS"], now=now, tick=tick)
    counts = {"rows": made.rows, "files": made.files, "missing": len(made.missing), "mb": _megabytes(place)}
    return counts if target else {**counts, "kept": backups.keep(folder, config["LIUKE_BACKUPS_KEPT"], now)}


def _megabytes(file: Path) -> int:
    return -(-file.stat().st_size // 10**6)
