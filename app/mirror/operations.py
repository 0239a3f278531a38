"""Totals beside the customer: last order, number and sum, and the same per company-local month.

They are derived from the orders and never counted up, so that a cancelled, reduced or moved order lowers them too.
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from app.core.types import Money
from app.customers.models import Customer, CustomerStats
from app.extensions import db
from app.mirror.bulk import among, insert_into, local_month, on_postgresql
from app.mirror.models import (
    ALL_YEARS,
    COUNTED,
    ROLLED,
    CustomerMonth,
    CustomerYear,
    Order,
    OrderLine,
    Product,
    Stock,
)
from app.mirror.queries import year_before


def refresh_totals(customer_ids: Collection[int] | None = None) -> None:
    """Work the totals of these customers (None: of all) out again from their orders that are not cancelled.

    Six statements, however many customers; the caller commits.
    """

    def these(column: Any) -> sa.ColumnElement[bool]:
        return sa.true() if customer_ids is None else among(column, customer_ids)

    totals = (
        sa.select(
            Customer.id,
            sa.func.max(Order.ordered_at),
            sa.func.count(Order.id),
            sa.func.coalesce(sa.func.sum(Order.amount), sa.literal(Decimal(0), Money())),
        )
        .outerjoin(Order, sa.and_(Order.customer_id == Customer.id, COUNTED))
        .where(these(Customer.id))
        .group_by(Customer.id)
    )
    names = ["customer_id", "last_order_at", "order_count", "order_total"]
    insert = insert_into(CustomerStats).from_select(names, totals)
    fresh = {name: insert.excluded[name] for name in names[1:]}
    db.session.execute(insert.on_conflict_do_update(index_elements=["customer_id"], set_=fresh))

    for rollup in (CustomerMonth, CustomerYear):
        db.session.execute(sa.delete(rollup.__table__).where(these(rollup.customer_id)))
    ordered = (
        sa.select(
            Order.customer_id,
            local_month(Order.ordered_at).label("month"),
            Order.amount,
            sa.case((Order.paid.is_(True), 1), else_=0).label("paid"),
            sa.case((Order.paid.is_(True), Order.amount), else_=sa.literal(Decimal(0), Money())).label("paid_amount"),
        )
        .where(COUNTED, these(Order.customer_id))
        .subquery()
    )
    _roll_up(
        CustomerMonth, ordered.c.customer_id, ordered.c.month,
        sa.func.count(), sa.func.sum(ordered.c.amount), sa.func.sum(ordered.c.paid), sa.func.sum(ordered.c.paid_amount),
    )  # fmt: skip
    year = sa.extract("year", CustomerMonth.month)
    returned = year_before(CustomerMonth.customer_id, year)
    for part, span, more in (
        (CustomerMonth, year, {"returned": returned}),
        (CustomerYear, sa.literal_column(str(ALL_YEARS)), {}),
    ):
        sums = (sa.func.sum(getattr(part, name)) for name in ROLLED)
        _roll_up(CustomerYear, part.customer_id, span, *sums, where=these(part.customer_id), **more)


def _roll_up(into: Any, customer: Any, span: Any, *sums: Any, where: Any = None, **more: Any) -> None:
    """Write one row per customer and span, the second part of the key: what he ordered in it; `more` are columns of
    this table alone."""
    rows = sa.select(customer, span.label("span"), *sums, *more.values()).group_by(customer, sa.literal_column("2"))
    if where is not None:
        rows = rows.where(where)
    names = [column.name for column in into.__table__.primary_key]
    db.session.execute(sa.insert(into.__table__).from_select([*names, *ROLLED, *more], rows))


def complete_totals() -> bool:
    """Work all totals out if there are orders of which the years were never summed up: after an upgrade, that is.

    Returns whether it did. The caller commits.
    """
    summed = db.session.execute(sa.select(CustomerYear.customer_id).limit(1)).scalar_one_or_none()
    ordered = db.session.execute(sa.select(CustomerMonth.customer_id).limit(1)).scalar_one_or_none()
    if summed is not None or ordered is None:
        return False
    refresh_totals()
    return True


def count_again() -> None:
    """Let the database look at its tables before it plans the next statement over them; after much was written.

    PostgreSQL's own look comes a minute later, and until then it takes full tables for empty ones: the mirror's cannot
    wait. SQLite never looks by itself; it takes samples (core/database.py) of all. The caller commits.
    """
    tables = (Customer, CustomerStats, CustomerMonth, CustomerYear, Order, OrderLine, Product, Stock)
    which = ", ".join(table.__tablename__ for table in tables) if on_postgresql() else ""
    db.session.execute(sa.text(f"ANALYZE {which}"))
