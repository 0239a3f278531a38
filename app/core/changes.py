"""变更: every change of every business record, field by field, written with the flush that makes it.

Nobody calls this: whatever a session flushes is compared here and written in the same transaction. What changes rows
in one statement past the session must write its changes itself (`insert_changes`) and say so (`TOLD`), or is refused.
A model is left out only by saying why: `without_history = "is itself a history"`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import lru_cache
from typing import Any
from uuid import uuid4

import click
import sqlalchemy as sa
from flask import has_request_context, request
from flask_appbuilder import Model
from flask_appbuilder.security.sqla.models import Role, User
from sqlalchemy import event
from sqlalchemy.orm import Mapper, ORMExecuteState, Session
from sqlalchemy.orm.attributes import PASSIVE_NO_INITIALIZE, get_history

from app.core.clock import utcnow
from app.core.models import FieldChange, current_user_id
from app.core.types import UtcDateTime
from app.extensions import db

_once: Any = lru_cache(maxsize=None)  # models are known once and for all

TOLD = {"told": True}
"""Execution options of a statement that changes rows past the session and whose changes are written beside it."""

HOUSEKEEPING = frozenset({
    "version", "created_at", "created_by_id", "changed_at", "changed_by_id", "name_key", "search_key",
    # Flask-AppBuilder's own stamps and counters of an account
    "created_on", "changed_on", "created_by_fk", "changed_by_fk", "last_login", "login_count", "fail_login_count",
})  # fmt: skip
"""Columns that say who and when, as the change itself does, or are worked out from others."""

SECRET = {"ab_user": frozenset({"password"})}
"""Columns of which only the fact of a change is kept."""

LISTS = {"ab_user": ("roles",)}
"""Lists of other records that are a field to people."""


@dataclass(frozen=True)
class Move:
    """What somebody is doing: the changes of the flushes meanwhile are told as part of it."""

    name: str
    actor_id: int | None
    at: datetime | None
    bulk_id: int | None = None
    keeps_values: bool = True


_move: ContextVar[Move | None] = ContextVar("liuke_move", default=None)
_bulk: ContextVar[int | None] = ContextVar("liuke_bulk", default=None)
_source: ContextVar[str | None] = ContextVar("liuke_source", default=None)


@contextmanager
def moving(
    record_type: str, action: str, *, actor: User | None, at: datetime | None = None, keeps_values: bool = True
) -> Iterator[None]:
    """Tell what changes inside as part of this move of this person. A move within a move is part of the outer one.

    Without `keeps_values` the changes are told without their values. Flushes.
    """
    if _move.get() is not None:
        yield
        return
    made = Move(f"{record_type}.{action}", actor.id if actor is not None else None, at, _bulk.get(), keeps_values)
    token = _move.set(made)
    try:
        yield
        db.session.flush()  # what waits would be told as somebody else's move
    finally:
        _move.reset(token)


@contextmanager
def in_bulk(bulk_id: int) -> Iterator[None]:
    """Tell the moves inside as parts of one bulk change."""
    token = _bulk.set(bulk_id)
    try:
        yield
    finally:
        _bulk.reset(token)


@contextmanager
def coming_from(source: str) -> Iterator[None]:
    """Say which job is at work inside."""
    token = _source.set(source[:60])
    try:
        yield
    finally:
        _source.reset(token)


def origin() -> dict[str, str | None]:
    """Where something comes from: the address of a request, else the job or the command."""
    if has_request_context():
        return {"ip": request.remote_addr, "source": None}
    return {"ip": None, "source": _source.get() or _command()}


def _command() -> str | None:
    context, names = click.get_current_context(silent=True), []
    while context is not None and context.parent is not None:
        names.append(context.info_name or "")
        context = context.parent
    return " ".join(reversed(names))[:60] or None


def unit_of(session: Any) -> str:
    """What everything carries that is written in the same transaction."""
    kept: str = session.info.setdefault("unit", uuid4().hex)
    return kept


def as_text(value: Any) -> str | None:
    """How the log keeps a value: a code, an id, an ISO date; yes and no are 1 and 0."""
    if value is None:
        return None
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, datetime):
        return (value if value.tzinfo is None else value.astimezone(utcnow().tzinfo)).isoformat()
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


# -- what is told ---------------------------------------------------------------------------------------------


@_once
def is_told(model: Any) -> bool:
    """Whether changes of this model are told: all are, but those that say why not, and the framework's own tables."""
    if not isinstance(model, type) or hasattr(model, "without_history"):
        return False
    return model in (User, Role) or not model.__module__.startswith("flask_appbuilder")


@_once
def told_columns(model: Any) -> tuple[str, ...]:
    """The columns whose changes are told: all but the key and the housekeeping."""
    columns = sa.inspect(model).column_attrs
    return tuple(a.key for a in columns if a.key not in HOUSEKEEPING and not a.columns[0].primary_key)


def told_models() -> list[Any]:
    """Every model whose changes are told."""
    return [m.class_ for m in Model.registry.mappers if is_told(m.class_)]


@_once
def _told_tables() -> frozenset[str]:
    return frozenset(model.__tablename__ for model in told_models())


@event.listens_for(Mapper, "mapper_configured")
def _remember_values(_mapper: Any, model: Any) -> None:
    """Let every told column know its value from before, also when it is set without having been read."""
    if isinstance(model, type) and issubclass(model, Model) and is_told(model):
        for name in told_columns(model):
            event.listen(getattr(model, name), "set", _nothing, active_history=True)


def _nothing(_target: Any, _value: Any, _old: Any, _initiator: Any) -> None:
    pass


@event.listens_for(Session, "before_flush")
def _look_once_more(session: Any, _context: Any, _instances: Any) -> None:
    """Afterwards nobody can read any more what a deleted record was."""
    for record in session.deleted:
        if is_told(type(record)):
            _gone(record)


@event.listens_for(Session, "after_flush")
def _write(session: Any, _context: Any) -> None:
    """One INSERT for all that this flush changed."""
    rows: list[dict[str, Any]] = []
    for record in session.new:
        if is_told(type(record)):
            rows += _made(record)
    for record in session.dirty:
        if is_told(type(record)):
            rows += _changed(record)
    for record in session.deleted:
        if is_told(type(record)):
            rows += _gone(record)
    if rows:
        _insert(session, rows)


@event.listens_for(Session, "after_transaction_end")
def _end_unit(session: Any, transaction: Any) -> None:
    if transaction.parent is None:
        session.info.pop("unit", None)


@event.listens_for(Session, "do_orm_execute")
def _refuse_untold(state: ORMExecuteState) -> None:
    """A statement that changes told rows past the session has to say that it tells their changes itself."""
    if state.is_insert or state.is_update or state.is_delete:
        table = getattr(state.statement, "table", None)
        name = getattr(table, "name", None)
        if name in _told_tables() and not state.execution_options.get("told"):
            raise RuntimeError(f"This statement changes {name} past the history; see app/core/changes.py.")


def _made(record: Any) -> list[dict[str, Any]]:
    """A new record has nothing to say but that it was made: what it began with is what its changes began from."""
    if hasattr(record, "history_as"):  # what belongs to another record: its values are new there
        now = {name: as_text(getattr(record, name)) for name in told_columns(type(record))}
        return [_row(record, "edit", field, None, value) for field, value in now.items() if value is not None]
    row = _row(record, "create", None, None, None)
    row["at"] = getattr(record, "created_at", None) or row["at"]
    row["actor_id"] = row["actor_id"] or getattr(record, "created_by_id", None)
    return [row]


def _changed(record: Any) -> list[dict[str, Any]]:
    found = []
    for name in told_columns(type(record)):
        history = get_history(record, name, PASSIVE_NO_INITIALIZE)
        if history.added or history.deleted:
            before, after = (as_text(values[0]) if values else None for values in (history.deleted, history.added))
            if before != after:
                found.append(_row(record, "edit", name, before, after))
    for name in LISTS.get(record.__tablename__, ()):
        history = get_history(record, name, PASSIVE_NO_INITIALIZE)
        if history.added or history.deleted:
            kept = list(history.unchanged or ())
            before, after = (_names([*kept, *(some or ())]) for some in (history.deleted, history.added))
            found.append(_row(record, "edit", name, before, after))
    return found


def _gone(record: Any) -> list[dict[str, Any]]:
    """A record that is no more is known from its last values alone."""
    values = {name: as_text(getattr(record, name)) for name in told_columns(type(record))}
    return [_row(record, "delete", field, value, None) for field, value in values.items() if value is not None]


def _names(records: Iterable[Any]) -> str | None:
    return ", ".join(sorted(record.name for record in records)) or None


def _row(record: Any, action: str, field: str | None, before: str | None, after: str | None) -> dict[str, Any]:
    kind = getattr(type(record), "history_as", record.__tablename__)
    hidden = field in SECRET.get(kind, ())
    return {
        **_by(kind, action),
        "record_type": kind,
        "record_id": sa.inspect(type(record)).primary_key_from_instance(record)[0],
        "field": field,
        **({"before": None, "after": None} if hidden else _values(field, before, after)),
    }


def _by(kind: str, action: str) -> dict[str, Any]:
    """Who, when, by which move."""
    move = _move.get()
    if move is None:
        return {"at": utcnow(), "actor_id": current_user_id(), "move": f"{kind}.{action}", "bulk_id": _bulk.get()}
    return {"at": move.at or utcnow(), "actor_id": move.actor_id, "move": move.name, "bulk_id": move.bulk_id}


def _values(field: str | None, before: str | None, after: str | None) -> dict[str, Any]:
    move = _move.get()
    if move is not None and not move.keeps_values and field is not None:
        return {"before": None, "after": None, "erased": True}
    return {"before": before, "after": after, "erased": False}


def _insert(session: Any, rows: list[dict[str, Any]]) -> None:
    more = {**origin(), "unit": unit_of(session)}
    given = [{"erased": False, **row, **more} for row in rows]
    # RETURNING makes both databases take all the rows in one statement that is compiled once.
    session.connection().execute(sa.insert(FieldChange.__table__).returning(FieldChange.__table__.c.id), given)


# -- what changes past the session ------------------------------------------------------------------------------


def tell_changes(record: Any, changes: dict[str, list[Any]], *, actor: User | None, at: datetime | None = None) -> None:
    """Write changes of what is no column of the record: the rights of a role, say. Field -> [from, to]."""
    with moving(record.__tablename__, "edit", actor=actor, at=at):
        told = [_row(record, "edit", field, as_text(was), as_text(now)) for field, (was, now) in changes.items()]
    if told:
        _insert(db.session, told)


def insert_changes(
    record_type: str,
    rows: Any,
    record_id: Any,
    fields: Mapping[Any, tuple[Any, Any]],
    *,
    where: Any = None,
    move: str,
    actor_id: int | None,
    at: datetime,
) -> Any:
    """INSERT of the changes that one statement makes in many rows; `fields`: column -> (from, to) as expressions.

    `rows` is what they are selected from, `record_id` their id there. The field None says that a row was made.
    """
    same = {
        "at": sa.literal(at, UtcDateTime()), "actor_id": sa.cast(sa.literal(actor_id, sa.Integer()), sa.Integer),
        "record_type": sa.literal(record_type), "move": sa.literal(move), "erased": sa.false(),
        "unit": sa.literal(unit_of(db.session)), "bulk_id": sa.cast(sa.literal(_bulk.get(), sa.Integer()), sa.Integer),
        **{name: sa.literal(value, sa.String()) for name, value in origin().items()},
    }  # fmt: skip
    parts = []
    for field, (before, after) in fields.items():
        columns = {
            "record_id": record_id, "field": sa.literal(field, sa.String()),
            "before": sa.cast(before, sa.Text), "after": sa.cast(after, sa.Text), **same,
        }  # fmt: skip
        part = sa.select(*(value.label(name) for name, value in columns.items())).select_from(rows)
        parts.append(part if where is None else part.where(where))
    found = parts[0] if len(parts) == 1 else sa.union_all(*parts)
    names = ["record_id", "field", "before", "after", *same]
    return sa.insert(FieldChange.__table__).from_select(names, found, include_defaults=False)
