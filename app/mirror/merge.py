"""A feed's rows become the mirror's: some thousand at a time, in a handful of statements, each batch a unit of work.

A row that is known and equal is left alone, so that a feed that comes twice changes nothing. Nothing is deleted:
what a feed does not mention stays.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from app.core.changes import insert_changes
from app.core.clock import today, utcnow
from app.core.sentences import gettext as _
from app.core.text import name_key, search_key
from app.customers.models import Customer, CustomerStatus
from app.customers.operations import default_level
from app.extensions import db
from app.mirror.bulk import among, upsert
from app.mirror.feed import SAYS_PAID, Feed, statuses
from app.mirror.models import AHEAD, Order, OrderLine, OrderStatus, Product, Stock
from app.mirror.operations import refresh_totals

OnOrders = Callable[[list[int], datetime], object]
Rows = dict[Any, dict[str, Any]]
SHOWN = 20  # orders named in the report when amount and lines differ


@dataclass
class Tally:
    """What became of the rows of one file."""

    rows: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0


@dataclass
class Report:
    """What a sync did, per file, and what it noticed without repairing it."""

    files: dict[str, Tally] = field(default_factory=dict)
    differing: int = 0  # orders whose amount is not the sum of their lines
    differing_orders: list[str] = field(default_factory=list)
    newest_order_at: datetime | None = None

    def sum(self, what: str) -> int:
        """One count over all files."""
        return sum(getattr(tally, what) for tally in self.files.values())

    def as_json(self) -> dict[str, Any]:
        """What the sync run keeps."""
        kept: dict[str, Any] = {name: asdict(tally) for name, tally in self.files.items()}
        if self.differing:
            kept["differing"] = {"orders": self.differing, "first": self.differing_orders}
        return kept


class Merge:
    """One feed on its way into the mirror, and the report of it."""

    def __init__(
        self, feed: Feed, *, actor_id: int | None, own_codes: dict[str, str], on_orders: OnOrders | None
    ) -> None:
        self.feed, self.actor_id, self.on_orders = feed, actor_id, on_orders
        self.meaning = statuses(own_codes)
        self.latest = utcnow() + AHEAD
        self.report = Report({name: Tally(rows=rows) for name, rows in feed.rows_in.items()})

    def batches(self) -> Iterator[Callable[[], int]]:
        """The work, batch by batch: call one inside a unit of work; it returns the number of rows it was about."""
        for name, work in (("products", self.products), ("customers", self.customers), ("stock", self.stock)):
            for rows in self.feed.rows(name):
                yield lambda work=work, rows=rows: work(rows) or len(rows)  # type: ignore[misc]
        # By customer, so that a customer's totals are worked out once, not once per batch.
        for rows in self.feed.rows("orders", order="customer_no, line"):
            yield lambda rows=rows: self.orders(rows, [row["order_no"] for row in rows])  # type: ignore[misc]
        for numbers in self.feed.lines_without_order():
            yield lambda numbers=numbers: self.orders([], numbers)  # type: ignore[misc]

    # -- what is the same for every table -------------------------------------------------------------------

    def reject(self, name: str, row: Any, reason: str) -> None:
        """Report a row that is well formed but does not fit."""
        self.feed.reject(self.feed.files[name], row["line"], row["raw"], row, reason)

    def has(self, name: str, column: str) -> bool:
        """Whether a file of this feed has a column; of one it has not, the known value stays."""
        return column in self.feed.present.get(name, ())

    def store(self, name: str, model: Any, key: list[str], rows: Rows, known: dict[Any, Any]) -> Rows:
        """Insert the rows that are unknown, update those that differ, leave the others; returns what was written.

        `rows` and `known` are by the same key, and every row has the same columns. `key` are those of the table's.
        """
        tally, written = self.report.files[name], {}
        for at, row in rows.items():
            before = known.get(at)
            if before is None:
                tally.created += 1
            elif any(getattr(before, column) != value for column, value in row.items()):
                tally.updated += 1
            else:
                tally.unchanged += 1
                continue
            written[at] = row
        if written:
            upsert(model, list(written.values()), key)
        return written

    # -- the files ------------------------------------------------------------------------------------------

    def products(self, rows: list[Any]) -> None:
        """Products are the sales system's: what it says wins."""
        optional = [column for column in ("unit", "memo") if self.has("products", column)]
        wanted = {
            row["product_no"]: {
                "external_id": row["product_no"],
                **{column: row[column] for column in ("name", "model", "batch", *optional)},
                **({"list_price": _money(row["list_price"])} if self.has("products", "list_price") else {}),
            }
            for row in rows
        }
        known = {row.external_id: row for row in rows_of(Product, Product.external_id, wanted)}
        self.store("products", Product, ["external_id"], wanted, known)

    def customers(self, rows: list[Any]) -> None:
        """Unknown customers are created, without an owner and at level 1.

        From then on people edit them here: what the feed says of a known customer is not taken.
        """
        tally, now = self.report.files["customers"], utcnow()
        level, day = default_level().id, today()
        known = ids_of(Customer.number, [row["customer_no"] for row in rows])
        wanted = [
            {
                "number": row["customer_no"],
                "name": row["name"],
                "name_key": name_key(row["name"])[:100],
                "search_key": search_key(row["name"], number=row["customer_no"]),
                "registered_on": date.fromisoformat(row["registered_on"]) if row["registered_on"] else day,
                "level_id": level,
                "satisfaction": 3,
                "credit": 3,
                "status": CustomerStatus.active,
                "version": 1,
                "created_at": now,
                "changed_at": now,
                "created_by_id": self.actor_id,
                "changed_by_id": self.actor_id,
            }
            for row in rows
            if row["customer_no"] not in known
        ]
        # Somebody may give out the same number at this moment: then it is known after all.
        newest = db.session.execute(sa.select(sa.func.coalesce(sa.func.max(Customer.id), 0))).scalar_one()
        made = upsert(Customer, wanted, ["number"], update=False) if wanted else 0
        if made:
            mine = sa.and_(Customer.id > newest, Customer.created_at == now)
            born: dict[str | None, Any] = {None: (sa.null(), sa.null())}
            table, move = Customer.__table__, "customer.sync"
            told = insert_changes("customer", table, Customer.id, born, where=mine, move=move,
                                  actor_id=self.actor_id, at=now)  # fmt: skip
            db.session.execute(told)
        tally.created += made
        tally.unchanged += len(rows) - made

    def stock(self, rows: list[Any]) -> None:
        """How much lies where, as of this feed."""
        products = ids_of(Product.external_id, {row["product_no"] for row in rows})
        wanted: Rows = {}
        for row in rows:
            product = products.get(row["product_no"])
            if product is None:
                self.reject("stock", row, _no_product(row))
                continue
            wanted[product, row["warehouse"], row["location"]] = {
                "product_id": product,
                "warehouse": row["warehouse"],
                "location": row["location"],
                "quantity": _money(row["quantity"]),
                **({"memo": row["memo"]} if self.has("stock", "memo") else {}),
            }
        known = {
            (row.product_id, row.warehouse, row.location): row
            for row in rows_of(Stock, Stock.product_id, {product for product, *_place in wanted})
        }
        self.store("stock", Stock, ["product_id", "warehouse", "location"], wanted, known)

    def orders(self, rows: list[Any], numbers: list[str]) -> int:
        """Orders with their lines, and the totals of every customer they belong or belonged to.

        `numbers` are the orders whose lines are looked for; an order without a row of its own must be known.
        """
        lines = self.feed.lines_of(numbers)
        known = {row.external_id: row for row in rows_of(Order, Order.external_id, numbers)}
        kept_lines = rows_of(OrderLine, OrderLine.order_id, [order.id for order in known.values()])
        known_lines = {(line.order_id, line.line_no): line for line in kept_lines}
        good, unsure = self._lines_with_products(lines)
        unsure |= self.feed.lost("order_lines", numbers)
        sums = self._sums(good, known, kept_lines)

        accepted = self._orders_to_keep(rows, known, sums, unsure)
        written = self.store("orders", Order, ["external_id"], accepted, known) if accepted else {}
        ids = {number: order.id for number, order in known.items()}
        if written:
            ids |= ids_of(Order.external_id, list(written))
        of_lines = self._keep_lines(good, accepted, known, ids, known_lines)
        summed = {
            number: known[number]
            for number in of_lines - accepted.keys() - unsure
            if known[number].amount_derived and known[number].amount != sums[number]
        }
        if summed:
            _add_up([order.id for order in summed.values()])
        self._compare_sums(accepted, {at: order for at, order in known.items() if at not in summed}, sums)

        changed = [*written, *summed]
        if changed:
            touched = {row["customer_id"] for row in written.values()}
            touched |= {known[number].customer_id for number in changed if number in known}
            refresh_totals(touched)
            if self.on_orders is not None:
                self.on_orders([ids[number] for number in changed], utcnow())
        return len(rows) + len(lines)

    def _lines_with_products(self, lines: list[Any]) -> tuple[list[tuple[Any, int | None]], set[str]]:
        """The lines whose product is known, with its id; and the orders that lost a line here."""
        products = ids_of(Product.external_id, {line["product_no"] for line in lines if line["product_no"]})
        good, unsure = [], set()
        for line in lines:
            number = line["product_no"]
            if number and number not in products:
                self.reject("order_lines", line, _no_product(line))
                unsure.add(line["order_no"])
            else:
                good.append((line, products[number] if number else None))
        return good, unsure

    @staticmethod
    def _sums(good: list[tuple[Any, Any]], known: dict[str, Any], kept_lines: list[Any]) -> dict[str, Decimal]:
        """Order number -> sum of its lines: those of the feed, and those known that it does not mention."""
        numbers = {order.id: number for number, order in known.items()}
        amounts = {(numbers[line.order_id], line.line_no): line.amount for line in kept_lines}
        amounts |= {(line["order_no"], line["line_no"]): _money(line["amount"]) for line, _product in good}
        sums: dict[str, Decimal] = {}
        for (number, _line_no), amount in amounts.items():
            sums[number] = sums.get(number, Decimal(0)) + amount
        return sums

    def _orders_to_keep(
        self, rows: list[Any], known: dict[str, Any], sums: dict[str, Decimal], unsure: set[str]
    ) -> dict[str, dict[str, Any]]:
        customers = ids_of(Customer.number, {row["customer_no"] for row in rows})
        optional = [column for column in ("delivery_address",) if self.has("orders", column)]
        has_paid = self.has("orders", "paid")
        accepted = {}
        for row in rows:
            number, before = row["order_no"], known.get(row["order_no"])
            customer = customers.get(row["customer_no"])
            amount, derived = _money(row["amount"]), False
            if amount is None and number in sums:
                amount, derived = sums[number], True
            elif amount is None and before is not None:
                amount, derived = before.amount, before.amount_derived
            if row["amount"] is None and number in unsure:
                reason = _("It has no amount, and not all of its lines can be read.")
            elif amount is None:
                reason = _("It has neither an amount nor lines.")
            elif customer is None:
                reason = _("There is no customer with the number “%(number)s”.", number=row["customer_no"])
            else:
                code = row["status"]
                says = None if row["paid"] is None else bool(row["paid"])
                if not has_paid:
                    says = SAYS_PAID.get(code.casefold(), before.paid if before is not None else None)
                ordered_at = datetime.fromisoformat(row["ordered_at"]).replace(tzinfo=UTC)
                newest = self.report.newest_order_at
                if ordered_at <= self.latest:  # one of 2199 is kept, and hides nothing
                    self.report.newest_order_at = ordered_at if newest is None else max(newest, ordered_at)
                accepted[number] = {
                    "external_id": number,
                    "customer_id": customer,
                    "ordered_at": ordered_at,
                    "amount": amount,
                    "amount_derived": derived,
                    # Who marks what is cancelled in a column of its own may leave the code as it was.
                    "status": OrderStatus.cancelled if row["cancelled"] else self.meaning[code.casefold()],
                    "source_status": code,
                    "paid": says,
                    **{column: row[column] for column in optional},
                }
                continue
            self.reject("orders", row, reason)
        return accepted

    def _keep_lines(
        self,
        good: list[tuple[Any, int | None]],
        accepted: dict[str, Any],
        known: dict[str, Any],
        ids: dict[str, int],
        known_lines: dict[Any, Any],
    ) -> set[str]:
        """Keep the lines whose order is kept. Returns the numbers of these orders."""
        numbers = list({line["order_no"] for line, _product in good if line["order_no"] not in accepted})
        lost = self.feed.lost("orders", numbers) if numbers else set()
        has_unit, has_price = self.has("order_lines", "unit"), self.has("order_lines", "unit_price")
        has_product = self.has("order_lines", "product_no")
        wanted, kept = {}, set()
        for line, product in good:
            number = line["order_no"]
            if number not in accepted and (number in lost or number not in known):
                reason = (
                    _("Its order was rejected.")
                    if number in lost
                    else _("There is no order with the number “%(number)s”.", number=number)
                )
                self.reject("order_lines", line, reason)
                continue
            kept.add(number)
            wanted[ids[number], line["line_no"]] = {
                "order_id": ids[number],
                "line_no": line["line_no"],
                "quantity": _money(line["quantity"]),
                "amount": _money(line["amount"]),
                **({"product_id": product} if has_product else {}),
                **({"unit": line["unit"]} if has_unit else {}),
                **({"unit_price": _money(line["unit_price"])} if has_price else {}),
            }
        if wanted:
            self.store("order_lines", OrderLine, ["order_id", "line_no"], wanted, known_lines)
        return kept

    def _compare_sums(self, accepted: dict[str, Any], known: dict[str, Any], sums: dict[str, Decimal]) -> None:
        """Report the orders whose amount is not the sum of their lines; both stay as the sales system gave them."""
        for number, total in sums.items():
            order = accepted.get(number)
            if order is None and number not in known:
                continue
            if total != (order["amount"] if order is not None else known[number].amount):
                self.report.differing += 1
                if len(self.report.differing_orders) < SHOWN:
                    self.report.differing_orders.append(number)


def _add_up(order_ids: list[int]) -> None:
    """The amount of these orders, for which the source names none, is what their lines are now."""
    total = sa.select(sa.func.sum(OrderLine.amount)).where(OrderLine.order_id == Order.id).scalar_subquery()
    orders = Order.__table__
    db.session.execute(sa.update(orders).where(among(orders.c.id, order_ids)).values(amount=total))


def _money(cents: int | None) -> Any:
    return None if cents is None else Decimal(cents).scaleb(-2)


def _no_product(row: Any) -> str:
    return _("There is no product with the number “%(number)s”.", number=row["product_no"])


def rows_of(model: Any, column: Any, values: Collection[Any]) -> list[Any]:
    """The rows of a table whose `column` is among these values, as plain tuples with names."""
    return list(db.session.execute(sa.select(model.__table__).where(among(column, values)))) if values else []


def ids_of(column: Any, values: Collection[str]) -> dict[str, int]:
    """Business key -> id."""
    if not values:
        return {}
    found = db.session.execute(sa.select(column, column.class_.id).where(among(column, values)))
    return {row[0]: row[1] for row in found}
