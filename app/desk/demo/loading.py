"""Loading the demo company: one process at a time, and a clean beginning where it was broken off."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy as sa
from flask import current_app

from app.core.errors import BusinessError
from app.core.files import open_private
from app.core.sentences import gettext as _
from app.core.unit import unit_of_work
from app.extensions import db
from app.masterdata.seed import seed_dictionary
from app.runs.queries import is_loading
from app.security.seed import seed_rights, seed_roles

LOCK = 20261122  # PostgreSQL's advisory lock; those of names have two keys and never meet it


@contextmanager
def alone() -> Iterator[None]:
    """Be the only one who loads; a process that is killed lets go by itself. Raises `BusinessError` if one does."""
    if db.engine.dialect.name == "postgresql":
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if not connection.execute(sa.select(sa.func.pg_try_advisory_lock(LOCK))).scalar_one():
                raise _busy()
            try:
                yield
            finally:
                connection.execute(sa.select(sa.func.pg_advisory_unlock(LOCK)))
        return
    with open_private(Path(current_app.config["LIUKE_VAR"]) / "demo.lock", "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise _busy() from None
        yield


def _busy() -> BusinessError:
    return BusinessError(_("The demo company is being loaded into this database. Start again when that is done."))


def begin_again() -> bool:
    """Empty a database into which the demo company was not loaded to its end; False if there is no such thing.

    The database was empty when loading began, so all that goes is invented. Afterwards it is as `crm init` leaves it.
    Raises `BusinessError` while another process is loading. Commits.
    """
    if not is_loading():
        return False
    with alone():
        if not is_loading():
            return False  # the other one came to its end meanwhile
        db.session.remove()
        _empty()
        with unit_of_work():
            seed_dictionary()
            seed_roles(seed_rights())
    return True


def _empty() -> None:
    """Delete every row, all or none."""
    tables = list(db.metadata.sorted_tables)
    if db.engine.dialect.name == "postgresql":
        names = ", ".join(f'"{table.name}"' for table in tables)
        with db.engine.begin() as connection:
            connection.exec_driver_sql(f"TRUNCATE {names} RESTART IDENTITY")
        return
    with closing(db.engine.raw_connection()) as connection:
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys=OFF")  # rows that name each other go in any order
        try:
            cursor.execute("BEGIN IMMEDIATE")
            # The logs refuse to be emptied; an invented company was never told of.
            guards = cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
            for name, _sql in guards:
                cursor.execute(f"DROP TRIGGER {name}")
            for table in tables:
                cursor.execute(str(sa.delete(table)))
            for _name, sql in guards:
                cursor.execute(sql)
            cursor.execute("COMMIT")
        finally:
            if connection.driver_connection.in_transaction:
                cursor.execute("ROLLBACK")
            cursor.execute("PRAGMA foreign_keys=ON")
