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
from app.mirror.bulk import among, insert_into, local_month
from app.mirror.models import CustomerMonth, Order, OrderStatus


def refresh_totals(customer_ids: Collection[int] | None = None) -> None:
    """Work the totals of these customers (None: of all) out again from their orders that are not cancelled.

    Three statements, however many customers; the caller commits.
    """
    counted = Order.status != OrderStatus.cancelled

    def these(column: Any) -> sa.ColumnElement[bool]:
        return sa.true() if customer_ids is None else among(column, customer_ids)

    totals = (
        sa.select(
            Customer.id,
            sa.func.max(Order.ordered_at),
            sa.func.count(Order.id),
            sa.func.coalesce(sa.func.sum(Order.amount), sa.literal(Decimal(0), Money())),
        )
        .outerjoin(Order, sa.and_(Order.customer_id == Customer.id, counted))
        .where(these(Customer.id))
        .group_by(Customer.id)
    )
    names = ["customer_id", "last_order_at", "order_count", "order_total"]
    insert = insert_into(CustomerStats).from_select(names, totals)
    fresh = {name: insert.excluded[name] for name in names[1:]}
    db.session.execute(insert.on_conflict_do_update(index_elements=["customer_id"], set_=fresh))

    db.session.execute(sa.delete(CustomerMonth.__table__).where(these(CustomerMonth.customer_id)))
    months = sa.select(Order.customer_id, Order.amount, local_month(Order.ordered_at).label("month"))
    ordered = months.where(counted, these(Order.customer_id)).subquery()
    db.session.execute(
        sa.insert(CustomerMonth.__table__).from_select(
            ["customer_id", "month", "order_count", "order_total"],
            sa.select(ordered.c.customer_id, ordered.c.month, sa.func.count(), sa.func.sum(ordered.c.amount)).group_by(
                ordered.c.customer_id, ordered.c.month
            ),
        )
    )
