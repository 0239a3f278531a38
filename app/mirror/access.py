"""Whose orders: those of visible customers. Products and stock are everybody's who may open their screen."""

from __future__ import annotations

import sqlalchemy as sa

from app.core.choosing import Choices
from app.core.scope import RowScope, scope_for
from app.customers.access import of_visible_customer
from app.mirror.models import Order, OrderLine, Product, Stock, SyncRun

AllProducts = scope_for(Product)
AllStock = scope_for(Stock)
AllSyncRuns = scope_for(SyncRun)


class VisibleOrders(RowScope):
    """Orders of the customers the reader may see."""

    rows = Order

    @classmethod
    def visible(cls) -> sa.ColumnElement[bool] | None:
        return of_visible_customer(Order.customer_id)


class VisibleOrderLines(RowScope):
    """Lines of the orders the reader may see."""

    rows = OrderLine

    @classmethod
    def visible(cls) -> sa.ColumnElement[bool]:
        return sa.select(Order.id).where(Order.id == OrderLine.order_id, VisibleOrders.criterion()).exists()


def orders_to_choose() -> Choices:
    """Visible orders, by number."""
    return Choices(Order, where=VisibleOrders.criterion, search=(Order.external_id,), order=(Order.external_id,))


def products_to_choose() -> Choices:
    """All products, by name or model."""
    return Choices(
        Product, where=sa.true, search=(Product.name, Product.model), order=(Product.name, Product.id), remote=True
    )
