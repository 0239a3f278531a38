"""Moving many rows at once: a few statements whatever the number, and one history row for each row really moved."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from app.core.changes import TOLD, as_text, insert_changes, origin, unit_of
from app.core.choices import Choice
from app.core.models import AuditEntry, Outcome
from app.core.types import UtcDateTime
from app.extensions import db


def move_all(model: Any, which: sa.ColumnElement[bool], *, to: Choice, action: str, at: datetime, **values: Any) -> int:
    """Move every row of `model` that `which` names to the state `to`, as the system. Returns how many.

    `values` are further columns to set; they are empty before. On PostgreSQL it is one statement: the rows are locked
    in the order of their ids, looked at again, changed, and exactly those get their history. On SQLite the write lock
    is ours, so nothing changes between the two. Flushes; the caller commits.
    """
    table = model.__table__
    more = values
    rows = sa.select(table.c.id, table.c.status).where(which).order_by(table.c.id)
    values = {"status": to, "version": table.c.version + 1, "changed_at": at, "changed_by_id": None, **values}
    if is_postgresql():
        locked = rows.with_for_update().subquery("locked")
        change = sa.update(table).where(table.c.id == locked.c.id).values(values)
        moved = change.returning(table.c.id, locked.c.status).cte("moved")
        told = _changes(model, moved, more, action=action, to=to, at=at)
        return _count(_history(model, moved, action=action, to=to, at=at).add_cte(told.cte("told")))
    found = rows.subquery()
    count = _count(_history(model, found, action=action, to=to, at=at))
    if count:
        db.session.execute(_changes(model, found, more, action=action, to=to, at=at))
        db.session.execute(sa.update(table).where(which).values(values).execution_options(**TOLD))
    return count


def open_all(
    model: Any,
    columns: dict[str, Any],
    source: sa.Select[Any],
    *,
    unless: sa.Index,
    to: Choice,
    action: str,
    at: datetime,
) -> int:
    """Insert what `source` selects (`columns`: name -> expression) in the state `to`. Returns how many were new.

    A row that the partial unique index `unless` has already is left out, also when somebody else inserts it at this
    moment. Flushes; the caller commits.
    """
    table = model.__table__
    columns = {
        **columns,
        "status": sa.literal(to, to.column_type()),
        "version": sa.literal(1, sa.Integer()),
        "created_at": sa.literal(at, UtcDateTime()),
        "changed_at": sa.literal(at, UtcDateTime()),
    }
    rows = source.with_only_columns(*(value.label(name) for name, value in columns.items()), maintain_column_froms=True)
    made = (
        (postgresql if is_postgresql() else sqlite)
        .insert(table)
        .from_select(list(columns), rows, include_defaults=False)
        .on_conflict_do_nothing(
            index_elements=list(unless.columns), index_where=unless.dialect_options["sqlite"]["where"]
        )
    )
    if is_postgresql():
        opened = made.returning(table.c.id, sa.null().label("status")).cte("opened")
        told = _made(model, opened, action=action, at=at)
        return _count(_history(model, opened, action=action, to=to, at=at).add_cte(told.cte("told")))
    newest = db.session.execute(sa.select(sa.func.coalesce(sa.func.max(table.c.id), 0))).scalar_one()
    db.session.execute(made.execution_options(**TOLD))
    opened = sa.select(table.c.id, sa.null().label("status")).where(table.c.id > newest).subquery()
    db.session.execute(_made(model, opened, action=action, at=at))
    return _count(_history(model, opened, action=action, to=to, at=at))


def look_rows_up() -> None:
    """Let PostgreSQL use indexes alone until the end of this transaction.

    It plans by the cases that are there before a scan. When that is none, it would read the whole table for every
    customer, and the statement itself fills it meanwhile: the work grows with the square of the warnings.
    """
    if is_postgresql():
        db.session.execute(sa.select(sa.func.set_config("enable_seqscan", "off", True)))


def is_postgresql() -> bool:
    """Which of the two databases this is."""
    return bool(db.engine.dialect.name == "postgresql")


def _changes(model: Any, moved: Any, more: dict[str, Any], *, action: str, to: Choice, at: datetime) -> Any:
    """INSERT of what changed in each row of `moved`: its state, and the instants that `more` sets."""
    fields: dict[str | None, tuple[Any, Any]] = {"status": (moved.c.status, sa.literal(to.value))}
    fields |= {name: (sa.null(), sa.literal(as_text(value))) for name, value in more.items()}
    name = model.__tablename__
    return insert_changes(name, moved, moved.c.id, fields, move=f"{name}.{action}", actor_id=None, at=at)


def _made(model: Any, opened: Any, *, action: str, at: datetime) -> Any:
    """INSERT of one line for each row of `opened`: it was made."""
    name, born = model.__tablename__, {None: (sa.null(), sa.null())}
    return insert_changes(name, opened, opened.c.id, born, move=f"{name}.{action}", actor_id=None, at=at)


def _history(model: Any, moved: Any, *, action: str, to: Choice, at: datetime) -> Any:
    """INSERT of one history row for each row of `moved` (id, status before)."""
    columns: dict[str, Any] = {
        "at": sa.literal(at, UtcDateTime()),
        "record_type": sa.literal(model.__tablename__),
        "record_id": moved.c.id,
        "action": sa.literal(action),
        "outcome": sa.literal(Outcome.done.value),
        "from_status": moved.c.status,
        "to_status": sa.literal(to.value),
        "erased": sa.false(),
        "unit": sa.literal(unit_of(db.session)),
        **{name: sa.literal(value, sa.String()) for name, value in origin().items()},
    }
    rows = sa.select(*(value.label(name) for name, value in columns.items())).select_from(moved).order_by(moved.c.id)
    return sa.insert(AuditEntry.__table__).from_select(list(columns), rows, include_defaults=False)


def _count(statement: Any) -> int:
    return int(db.session.execute(statement).rowcount)
