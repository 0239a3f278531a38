"""Screens of 历史订单, 产品, 库存 and 同步记录. Nobody edits them; each says how old what it shows is."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flask import g, url_for
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from markupsafe import Markup

from app.core.clock import local, today
from app.core.format import NOTHING, amount, money, yes_no
from app.core.scope import may
from app.core.views import ReadOnlyView
from app.customers.models import Customer
from app.mirror.access import AllProducts, AllStock, AllSyncRuns, VisibleOrderLines, VisibleOrders
from app.mirror.models import Order, OrderLine, Product, Stock, SyncRun
from app.mirror.queries import FirstLines, first_lines, freshness, line_totals, rejected_rows

SHOWN = 100  # rejected rows on a sync's page; the file has them all


def freshness_note() -> str | Markup:
    """How old the mirror is, in words: the line under the title of every screen of it."""
    seen = freshness()
    if seen.finished_at is None:
        return _("No feed of the sales system has been read yet.")
    given = {"time": f"{local(seen.finished_at):%Y-%m-%d %H:%M}", "feed": seen.feed}
    if seen.newest_order_at is None:
        told = _("As of %(time)s, the feed “%(feed)s”.", **given)
    else:
        day = f"{local(seen.newest_order_at):%Y-%m-%d}"
        told = _("As of %(time)s, the feed “%(feed)s” with orders up to %(day)s.", day=day, **given)
    age = ngettext("The data is %(num)d day old.", "The data is %(num)d days old.", seen.days)
    if not seen.days:
        read_today = local(seen.finished_at).date() == today()
        age = _("The data is of today.") if read_today else _("The data is of yesterday.")
    if not seen.stale:
        return f"{told} {age}"
    return Markup('{} <span class="badge-s warn"><i></i>{}</span>').format(told, age)


def customer_link(customer: Customer | None) -> str | Markup:
    """A customer's name, leading to its page where the reader may open that."""
    if customer is None:
        return NOTHING
    if not may("can_show", "Customer"):
        return customer.name
    return Markup('<a href="{}">{}</a>').format(url_for("CustomerView.show", pk=customer.id), customer.name)


class _Mirrored(ReadOnlyView):
    """A screen of the mirror."""

    def note_text(self) -> str | Markup:
        return freshness_note()


class OrderView(_Mirrored):
    """历史订单."""

    datamodel = SQLAInterface(Order)
    scope = VisibleOrders
    class_permission_name = "Order"
    route_base = "/orders"
    page_links = {"customer": "CustomerView"}
    list_title = _l("Orders")
    show_title = _l("Order")
    label_columns = {
        "external_id": _l("Order no."),
        "customer": _l("Customer"),
        "ordered_at": _l("Ordered at"),
        "amount": _l("Amount"),
        "paid": _l("Paid"),
        "status": _l("Status"),
        "source_status": _l("Status in the sales system"),
        "delivery_address": _l("Delivery address"),
        "lines": _l("Order lines"),
    }
    list_columns = ["external_id", "customer", "ordered_at", "amount", "paid", "status"]
    show_columns = ["customer", "ordered_at", "amount", "paid", "status", "source_status", "delivery_address"]
    search_columns = ["customer", "external_id", "ordered_at", "status", "paid"]
    order_columns = ["ordered_at", "external_id"]
    base_order = ("ordered_at", "desc")
    formatters_columns = {"customer": customer_link, "paid": yes_no}
    tab_of = {"CustomerView": "customer_id"}
    card_columns = frozenset({"lines", "amount"})
    empty_text = _l("Orders come from the sales system, with every feed of it that is read.")

    def tab_columns(self) -> list[str]:
        """On a customer's page the orders tell their first lines, for readers of order lines."""
        if not may("can_list", "OrderLine"):
            return super().tab_columns()
        return ["external_id", "customer", "ordered_at", "lines", "amount", "paid", "status"]

    def load_tab(self, rows: list[Any]) -> None:
        if "lines" in self.tab_columns():
            g.first_lines = first_lines([row.id for row in rows])

    def cell(self, record: Order, name: str) -> Any:
        return self._lines_of(record) if name == "lines" else super().cell(record, name)

    def _lines_of(self, order: Order) -> Any:
        """Product, quantity and amount of the first lines, one below the other, and how many more there are."""
        first: FirstLines | None = g.first_lines.get(order.id)
        if first is None:
            return NOTHING
        told = [
            Markup('{} × {}{} <span class="t3">{}</span>').format(
                line.product or _("Line %(number)d", number=line.line_no),
                amount(line.quantity),
                f" {unit}" if (unit := line.unit or (line.product and line.product.unit)) else "",
                money(line.amount),
            )
            for line in first.lines
        ]
        if more := first.count - len(first.lines):
            words = ngettext("%(num)d line more", "%(num)d lines more", more)
            url = self.show_url(order)
            told.append(Markup('<a href="{}">{}</a>').format(url, words) if url else words)
        return Markup('<div class="py-2 small">{}</div>').format(Markup("<br>").join(told))

    def show_page(self, record: Order) -> dict[str, Any]:
        page = super().show_page(record)
        count, total = line_totals(record.id)
        page["fields"] += [(_("Number of lines"), amount(count)), (_("Sum of the lines"), money(total))]
        if count and total != record.amount:
            page["fields"].append((_("Amount less the sum of the lines"), money(record.amount - (total or Decimal(0)))))
        return page


class OrderLineView(_Mirrored):
    """订单明细: shown on the page of its order."""

    datamodel = SQLAInterface(OrderLine)
    scope = VisibleOrderLines
    class_permission_name = "OrderLine"
    route_base = "/order-lines"
    list_title = _l("Order lines")
    label_columns = {
        "order": _l("Order"),
        "order_id": _l("Order"),
        "line_no": _l("Line"),
        "product": _l("Product"),
        "quantity": _l("Quantity"),
        "unit": _l("Unit"),
        "unit_price": _l("Unit price"),
        "amount": _l("Amount"),
    }
    list_columns = ["order", "line_no", "product", "quantity", "unit", "unit_price", "amount"]
    show_columns: list[str] = []
    search_columns = ["order", "product"]
    order_columns = ["order_id"]
    base_order = ("order_id", "asc")
    then_by = ("line_no",)
    formatters_columns = {"quantity": amount, "line_no": str}
    tab_of = {"OrderView": "order_id"}
    exclude_route_methods = ReadOnlyView.exclude_route_methods | {"show"}
    empty_text = OrderView.empty_text


class ProductView(_Mirrored):
    """产品."""

    datamodel = SQLAInterface(Product)
    scope = AllProducts
    class_permission_name = "Product"
    route_base = "/products"
    list_title = _l("Products")
    show_title = _l("Product")
    label_columns = {
        "name": _l("Name"),
        "external_id": _l("Product no."),
        "model": _l("Model"),
        "batch": _l("Batch"),
        "unit": _l("Unit"),
        "list_price": _l("List price"),
        "memo": _l("Memo"),
    }
    list_columns = ["name", "external_id", "model", "batch", "unit", "list_price"]
    show_columns = ["name", "external_id", "model", "batch", "unit", "list_price", "memo"]
    search_columns = ["name", "model", "batch"]
    order_columns = ["name", "external_id"]
    base_order = ("name", "asc")
    empty_text = _l("Products come from the sales system, with every feed of it that is read.")


class StockView(_Mirrored):
    """库存: how much of a product lies where."""

    datamodel = SQLAInterface(Stock)
    scope = AllStock
    class_permission_name = "Stock"
    route_base = "/stock"
    list_title = _l("Stock")
    label_columns = {
        "product": _l("Product"),
        "product.model": _l("Model"),
        "warehouse": _l("Warehouse"),
        "location": _l("Location"),
        "quantity": _l("Quantity"),
        "product.unit": _l("Unit"),
        "memo": _l("Memo"),
    }
    list_columns = ["product", "product.model", "warehouse", "location", "quantity", "product.unit", "memo"]
    show_columns: list[str] = []
    search_columns = ["product", "warehouse"]
    order_columns: list[str] = []
    base_order = ("id", "asc")
    formatters_columns = {"quantity": amount}
    tab_of = {"ProductView": "product_id"}
    exclude_route_methods = ReadOnlyView.exclude_route_methods | {"show"}
    empty_text = _l("Stock comes from the sales system, with every feed of it that is read.")


class SyncRunView(_Mirrored):
    """同步记录: which feeds were read, with what result, and which rows were not taken."""

    datamodel = SQLAInterface(SyncRun)
    scope = AllSyncRuns
    class_permission_name = "SyncRun"
    route_base = "/syncs"
    list_title = _l("Syncs")
    show_title = _l("Sync")
    label_columns = {
        "id": _l("No."),
        "source": _l("Feed"),
        "status": _l("Status"),
        "started_at": _l("Started"),
        "finished_at": _l("Finished"),
        "rows_in": _l("Rows"),
        "rows_created": _l("Added"),
        "rows_updated": _l("Updated"),
        "rows_unchanged": _l("Unchanged"),
        "rows_rejected": _l("Rejected"),
        "high_water": _l("Newest order"),
        "checksum": _l("Checksum"),
        "rejects_file": _l("File of rejected rows"),
        "error": _l("Error"),
    }
    list_columns = [
        "started_at", "source", "status", "rows_in", "rows_created", "rows_updated", "rows_unchanged", "rows_rejected",
    ]  # fmt: skip
    show_columns = ["source", "started_at", "finished_at", "high_water", "checksum", "rejects_file", "error"]
    search_columns = ["source", "status", "started_at"]
    order_columns: list[str] = []
    base_order = ("id", "desc")
    show_template = "mirror/sync_run.html"
    empty_text = _l("Feeds are read by the command “crm sync”.")

    def show_page(self, record: SyncRun) -> dict[str, Any]:
        page = super().show_page(record)
        page["title"] = _("Sync of %(time)s", time=f"{local(record.started_at):%Y-%m-%d %H:%M}")
        counts = dict(record.counts or {})
        page["differing"] = counts.pop("differing", None)
        page["files"] = counts
        page["rejected"] = rejected_rows(record, SHOWN)
        return page
