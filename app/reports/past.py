"""What fields of records said at earlier instants, read back from their history."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.core.models import FieldChange
from app.core.types import Money
from app.customers.models import Customer
from app.extensions import db
from app.mirror.bulk import on_postgresql

AS_NOW, EMPTY = 0, -1  # no value of a field is either


def values_at(column: Any, instants: Sequence[datetime], known: Collection[int] | None = None) -> Any:
    """A CTE of the customers whose `column` (numbers from 1 on) changed since the first of these instants, which come
    in order: `id`, and `at_0`, `at_1` ... for each of them, to be read with `value_at`.

    A value is what the first change after the instant says it was before. One that is not among the `known` (its
    dictionary item was deleted since) says nothing. One statement over the history.
    """
    field = column.key
    found: dict[int, list[int]] = {}
    for customer_id, at, kept in db.session.execute(
        sa.select(FieldChange.record_id, FieldChange.at, FieldChange.before)
        .where(
            FieldChange.record_type == Customer.__tablename__,
            FieldChange.field == field,
            FieldChange.at >= instants[0],
        )
        .order_by(FieldChange.at, FieldChange.id)
    ):
        before = EMPTY if kept is None else int(kept)
        if before != EMPTY and known is not None and before not in known:
            continue
        values = found.setdefault(customer_id, [AS_NOW] * len(instants))
        for n, instant in enumerate(instants):
            if at >= instant:
                values[n] = values[n] or before
    names = ["id", *(f"at_{n}" for n in range(len(instants)))]
    rows = [(pk, *values) for pk, values in found.items()] or [(0, *[AS_NOW] * len(instants))]
    # Numbers in the text of the statement: there may be more than a database takes as parameters.
    listed = ", ".join(f"({', '.join(str(int(value)) for value in row)})" for row in rows)
    # SQLite: only what is kept and known to be numbers gets an index; else all is looked at for every customer.
    shown = ", ".join(f"CAST(column{place} AS INTEGER) AS {name}" for place, name in enumerate(names, 1))
    text = sa.text(f"SELECT {shown} FROM (VALUES {listed}) AS v")  # noqa: S608 - numbers and our own names
    kept = text.columns(*(sa.column(name, sa.Integer()) for name in names)).cte("changed")
    return kept.prefix_with("MATERIALIZED", dialect="sqlite")


def value_at(column: Any, at: Any) -> sa.ColumnElement[Any]:
    """What `column` said at an instant, `at` being its column of `values_at` in an outer join."""
    return sa.case((sa.func.coalesce(at, AS_NOW) == AS_NOW, column), (at == EMPTY, sa.null()), else_=at)


def values_then(columns: Sequence[Any], instant: datetime) -> tuple[Any, list[Any]]:
    """What these columns of a table (amounts, numbers, dates) said at an instant: a CTE of the records that changed
    since, to be joined from outside by its `id`, and an expression for each column.

    In one statement with what asks for it, however much changed: nothing is read in between.
    """
    names = [column.key for column in columns]
    order = sa.func.row_number().over(
        partition_by=(FieldChange.record_id, FieldChange.field), order_by=(FieldChange.at, FieldChange.id)
    )
    first = (
        sa.select(FieldChange.record_id, FieldChange.field, FieldChange.before, order.label("place"))
        .where(
            FieldChange.record_type == columns[0].class_.__tablename__,
            FieldChange.field.in_(names),
            FieldChange.at >= instant,
        )
        .subquery()
    )
    told = {name: sa.func.max(sa.case((first.c.field == name, 1), else_=0)).label(f"told_{name}") for name in names}
    texts = [sa.func.max(sa.case((first.c.field == name, first.c.before))).label(name) for name in names]
    changed = (
        sa.select(first.c.record_id.label("id"), *told.values(), *texts)
        .where(first.c.place == 1)
        .group_by(first.c.record_id)
        .cte("then")
        .prefix_with("MATERIALIZED", dialect="sqlite")
    )
    values = [
        sa.case((changed.c[f"told_{name}"] == 1, _read(changed.c[name], column.type)), else_=column)
        for name, column in zip(names, columns, strict=True)
    ]
    return changed, values


def _read(text: Any, kind: Any) -> sa.ColumnElement[Any]:
    """A kept text as the value it was, in SQL. SQLite keeps amounts in cents and dates as they are written."""
    if on_postgresql():
        return sa.type_coerce(sa.cast(text, sa.Numeric(14, 2) if isinstance(kind, Money) else kind), kind)
    if isinstance(kind, Money):
        text = sa.cast(sa.func.round(sa.cast(text, sa.Float) * 100), sa.BigInteger)
    elif isinstance(kind, sa.Integer):
        text = sa.cast(text, sa.Integer)
    return sa.type_coerce(text, kind)
