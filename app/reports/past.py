"""What a field of the customers said at earlier instants, read back from their history."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.core.models import AuditEntry, Outcome
from app.customers.models import Customer
from app.extensions import db

AS_NOW, EMPTY = 0, -1  # no value of a field is either


def values_at(column: Any, instants: Sequence[datetime], known: Collection[int] | None = None) -> Any:
    """A CTE of the customers whose `column` (numbers from 1 on) changed since the first of these instants, which come
    in order: `id`, and `at_0`, `at_1` ... for each of them, to be read with `value_at`.

    A value is what the first change after the instant says it was before. One that is not among the `known` (its
    dictionary item was deleted since) says nothing. One statement over the history.
    """
    field = column.key
    found: dict[int, list[int]] = {}
    for customer_id, at, changes in db.session.execute(
        sa.select(AuditEntry.record_id, AuditEntry.at, AuditEntry.changes)
        .where(
            AuditEntry.record_type == Customer.__tablename__,
            AuditEntry.outcome == Outcome.done,
            AuditEntry.at >= instants[0],
            sa.cast(AuditEntry.changes, sa.Text).like(f'%"{field}"%'),
        )
        .order_by(AuditEntry.at, AuditEntry.id)
    ):
        before = (changes or {}).get(field, [AS_NOW])[0]
        before = EMPTY if before is None else before
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
