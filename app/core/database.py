"""How connections behave: SQLite with WAL, foreign keys and honest transactions; PostgreSQL keeps some plans."""

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


KEEPS_PLAN = "keeps_plan"
"""Option of a statement that every page asks: the names of its values. PostgreSQL plans it once per connection.

Planning such a statement takes longer than running it. Everything that is not named is a constant of the plan.
"""


def tune(engine: Engine) -> None:
    """Set the engine's connections up; call once per engine."""
    if engine.dialect.name == "sqlite":
        _tune_sqlite(engine)
    elif engine.dialect.driver == "psycopg2":
        event.listen(engine, "do_execute", _keep_plan)


def _keep_plan(cursor: Any, statement: str, parameters: Any, context: Any) -> bool | None:
    """Run a statement that `KEEPS_PLAN` as a prepared one of its connection; psycopg2 has none of its own."""
    values = context.execution_options.get(KEEPS_PLAN) if context is not None else None
    if not values:
        return None
    from psycopg2.extensions import AsIs  # only there where the database is PostgreSQL

    places = {name: AsIs(f"${n}") for n, name in enumerate(values, 1)}
    text = cursor.mogrify(statement, {**parameters, **places})
    plans: dict[bytes, str] = context.root_connection.info.setdefault("plans", {})
    if text not in plans:
        name = f"liuke_{len(plans)}"
        cursor.execute(f"PREPARE {name} AS ".encode() + text)
        plans[text] = name
    given = ", ".join(f"%({name})s" for name in values)
    cursor.execute(f"EXECUTE {plans[text]} ({given})", parameters)
    return True


def _tune_sqlite(engine: Engine) -> None:
    """Set SQLite up for several processes.

    WAL lets readers and one writer work at once. A transaction that is known to write begins IMMEDIATE: read
    first and write later fails at once with "database is locked" whatever the timeout.
    """

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
        for pragma in (
            "journal_mode=WAL",
            "foreign_keys=ON",
            "synchronous=NORMAL",
            "busy_timeout=15000",
            "analysis_limit=20000",  # rows ANALYZE looks at in each index: writers do not wait for it
        ):
            connection.execute(f"PRAGMA {pragma}")
        # SQLite's own lower() knows ASCII only: Élodie was not found, not even by her own name.
        connection.create_function("lower", 1, _lower, deterministic=True)

    @event.listens_for(engine, "begin")
    def on_begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing() else "BEGIN")
