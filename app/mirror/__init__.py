"""产品, 库存, 历史订单: the read-only mirror of the sales system."""

from __future__ import annotations

from typing import Any


def register(appbuilder: Any) -> None:
    """Add this domain's screens and choices."""
    from flask_babel import lazy_gettext as _l

    from app.core import nav, recycle
    from app.core.choosing import CHOICES
    from app.mirror.access import orders_to_choose, products_to_choose
    from app.mirror.models import CustomerMonth, CustomerYear
    from app.mirror.views import OrderLineView, OrderView, ProductView, StockView, SyncRunView

    CHOICES["sales_order"] = orders_to_choose
    CHOICES["product"] = products_to_choose
    for sums in (CustomerMonth, CustomerYear):  # worked out from orders; where there are orders nothing is purged
        recycle.hangs(sums, "customer", sums.customer_id)
    nav.add(appbuilder, OrderView, group="reference", icon="receipt", label=_l("Orders"))
    nav.add(appbuilder, ProductView, group="reference", icon="package", label=_l("Products"))
    nav.add(appbuilder, StockView, group="reference", icon="building-warehouse", label=_l("Stock"))
    nav.add(appbuilder, SyncRunView, group="system", icon="refresh", label=_l("Syncs"))
    appbuilder.add_view_no_menu(OrderLineView)
