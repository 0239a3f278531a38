"""The first step of `python run.py`: a database that is up to date and has somebody who can sign in.

Tells its parent what it found out as JSON on the file descriptor named by its argument. A new SQLite database is
made beside its place and moved there when it is whole, so that a Ctrl-C in the middle leaves nothing half done.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Flask
from flask_appbuilder.security.sqla.models import User
from flask_babel import force_locale
from flask_migrate import upgrade
from sqlalchemy.exc import OperationalError

from app import create_app
from app.core.clock import utcnow
from app.core.errors import BusinessError
from app.core.starting import is_loopback
from app.core.unit import unit_of_work
from app.desk.demo.loading import begin_again
from app.extensions import db
from app.runs.operations import install
from app.runs.queries import is_demo
from config import ROOT, Config

NOT_BEYOND = (
    "The demo company is served on this machine only: its passwords are known to everybody. "
    "Leave LIUKE_HOST at 127.0.0.1, or start real work with LIUKE_DEMO=0 and a database of its own."
)


@dataclass
class Told:
    """What the parent prints once everything runs; `refused` instead, if nothing may be started."""

    accounts: Sequence[tuple[str, str, str]] = field(default_factory=list)  # name, password, who it is
    notes: list[str] = field(default_factory=list)
    refused: str | None = None


def say(text: str) -> None:
    """Show progress."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(fd: int) -> int:
    """Prepare the configured database and report. Returns the exit code."""
    try:
        told = prepare(Config.SQLALCHEMY_DATABASE_URI)
    except OperationalError as error:
        if not is_away(error):
            raise
        told = Told(refused=does_not_answer(Config.SQLALCHEMY_DATABASE_URI))
    with os.fdopen(fd, "w") as parent:
        json.dump(asdict(told), parent)
    return 0


def prepare(url: str) -> Told:
    """Make the database at `url` ready: a new SQLite file whole or not at all, any other in its place."""
    place = sa.make_url(url)
    final = Path(place.database or "") if place.get_backend_name() == "sqlite" else None
    if final is None or final.exists() or not final.name:
        return fill(create_app())
    new = final.with_name(final.name + ".new")
    remove(new)
    final.parent.mkdir(parents=True, exist_ok=True)
    made = place.set(database=str(new)).render_as_string(hide_password=False)
    told = fill(create_app(SQLALCHEMY_DATABASE_URI=made))
    if told.refused:
        remove(new)
    else:
        new.replace(final)
    return told


def is_away(error: OperationalError) -> bool:
    """Whether nobody could speak to the database, or no longer; not, that it did not like what it was told."""
    return error.statement is None or error.connection_invalidated


def does_not_answer(url: str) -> str:
    """The sentence for a database nobody can speak to: which one, without its password."""
    place = sa.make_url(url)
    if place.get_backend_name() == "sqlite":
        return f"The database file {place.database} cannot be opened: check its folder, who uses it, or DATABASE_URL."
    host = place.host or place.query.get("host") or "localhost"
    return f"The database at {host}:{place.port or 5432} does not answer: start it, or check DATABASE_URL."


def remove(file: Path) -> None:
    """Remove a SQLite database and what belongs to it."""
    for ending in ("", "-wal", "-shm"):
        file.with_name(file.name + ending).unlink(missing_ok=True)


def fill(app: Flask) -> Told:
    """Migrate, store rights and dictionary, and make sure that somebody can sign in."""
    from app.cli import init

    with app.app_context():
        say("Bringing the database up to date ...")
        upgrade(directory=str(ROOT / "migrations"))
        init.main(args=[], prog_name="crm init", standalone_mode=False)
        told = somebody_or_why(app.config)
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()  # SQLite then folds its log into the file
        return told


def somebody_or_why(config: dict[str, Any]) -> Told:
    """The accounts to show, or why nothing may be started: another process is loading the demo company."""
    try:
        return somebody(config)
    except BusinessError as refusal:
        return Told(refused=str(refusal))


def somebody(config: dict[str, Any]) -> Told:
    """The accounts to show: the demo company's, or a first administrator's; none for a database in use. Commits.

    Raises `BusinessError` while another process loads the demo company.
    """
    if begin_again():
        say("Loading the demo company was broken off here; what there was is removed.")
    empty = db.session.execute(sa.select(User.id).limit(1)).first() is None
    demo = is_demo() or (empty and config["LIUKE_DEMO"])
    db.session.rollback()
    if demo:
        if not is_loopback(config["LIUKE_HOST"]):
            return Told(refused=NOT_BEYOND)
        return demo_company(load=empty)
    with unit_of_work():
        install(demo=False, now=utcnow())
    return first_admin() if empty else Told()


def demo_company(*, load: bool) -> Told:
    """Load the demo company into an empty database, and name its accounts."""
    from app.desk.demo.company import load_demo
    from app.desk.demo.people import accounts

    if load:
        began = time.monotonic()
        place = sa.make_url(Config.SQLALCHEMY_DATABASE_URI).render_as_string(hide_password=True)
        say(f"This database is empty: {place}")
        say(
            "Loading the demo company with invented people into it; this happens once, LIUKE_DEMO=0 leaves it empty ..."
        )
        load_demo(say)
        say(f"The demo company is there after {time.monotonic() - began:.0f} s.")
    with force_locale("en"):  # as whatever else a start says
        told = list(accounts())
    return Told(
        accounts=told,
        notes=["This is a demo with invented people. For real work: LIUKE_DEMO=0 and a database of its own."],
    )


def first_admin() -> Told:
    """The first administrator with a password that is shown this one time. Commits."""
    from app.security.people import create_admin

    with unit_of_work():
        account, password = create_admin()
    return Told(
        accounts=[(account, password, "super admin")],
        notes=["This password is shown once and kept nowhere. Write it down, sign in and change it."],
    )


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
