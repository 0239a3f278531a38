"""How connections behave: SQLite with WAL, foreign keys and honest transactions; nothing to do for PostgreSQL."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from app.core.files import open_private
from app.core.unit import is_writing


def _lower(value: Any) -> Any:
    """lower() as PostgreSQL has it."""
    return value.lower() if isinstance(value, str) else value


def tune(engine: Engine) -> None:
    """Set SQLite up for several processes; call once per engine.

    WAL lets readers and one writer work at once. A transaction that is known to write begins IMMEDIATE: read
    first and write later fails at once with "database is locked" whatever the timeout.
    """
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "do_connect")
    def before_connect(_dialect: Any, _record: Any, arguments: list[Any], _named: Any) -> None:
        # SQLite would make its file readable for everybody; the log beside it follows the file. Only a new one is
        # opened: closing a file lets go of every lock this process holds on it.
        place = Path(str(arguments[0]))
        if place.is_absolute() and place.parent.is_dir() and not place.exists():
            with suppress(FileExistsError):
                open_private(place, "x").close()

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        for pragma in ("journal_mode=WAL", "foreign_keys=ON", "synchronous=NORMAL", "busy_timeout=15000"):
            connection.execute(f"PRAGMA {pragma}")
        # SQLite's own lower() knows ASCII only: Élodie was not found, not even by her own name.
        connection.create_function("lower", 1, _lower, deterministic=True)

    @event.listens_for(engine, "begin")
    def on_begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing() else "BEGIN")
