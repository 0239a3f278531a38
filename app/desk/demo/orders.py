"""What the demo company's sales system exports: products, stock and two years of orders, written as a feed."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from random import Random
from typing import Any

from app.core.clock import from_local, local
from app.desk.demo.names import PRODUCTS, WAREHOUSES

ORDERS = 2_000
WINDOW = 728  # days of orders
# How much of an average month each month sees: Spring Festival empties February, budgets fill autumn.
SEASON = (0.80, 0.55, 1.15, 1.15, 1.05, 1.00, 0.85, 0.90, 1.20, 1.10, 1.25, 1.00)
PATIENCE = 105  # days; the longest usual gap of a customer who is not going silent
BUSY = 50  # days; customers with shorter gaps can lose an order without anybody noticing
SIZE = {"1": 8_000, "2": 20_000, "3": 60_000, "4": 35_000, "5": 120_000}  # level -> an order's usual amount, CNY


@dataclass
class Buyer:
    """How one customer orders. Without a gap it never does."""

    number: str
    address: str | None
    level: str
    start: date
    gap: float | None
    silent_since: datetime | None = None
    returns_on: date | None = None

    @property
    def steady(self) -> bool:
        """Whether an order more or less changes nothing in the story."""
        return self.gap is not None and self.gap <= BUSY and self.silent_since is None


@dataclass
class Bought:
    """One order before it is written down."""

    buyer: Buyer
    at: datetime
    returning: bool = False  # placed after a silence: it comes with a feed of its own


def plan_orders(buyers: Sequence[Buyer], now: datetime, rng: Random) -> list[Bought]:
    """Exactly 2,000 orders of these buyers in the two years before `now`, oldest first."""
    found = [order for buyer in buyers if buyer.gap is not None for order in _orders_of(buyer, now, rng)]
    steady = [buyer for buyer in buyers if buyer.steady]
    while len(found) < ORDERS:
        buyer = rng.choice(steady)
        first = max(buyer.start, _first_day(now))
        found.append(
            Bought(buyer, moment(rng, first + timedelta(days=rng.randint(1, (_today(now) - first).days)), now))
        )
    spare = [order for order in found if order.buyer.steady]
    leaves = {id(order) for order in rng.sample(spare, len(found) - ORDERS)}
    return sorted((o for o in found if id(o) not in leaves), key=lambda o: (o.at, o.buyer.number))


def _orders_of(buyer: Buyer, now: datetime, rng: Random) -> Iterator[Bought]:
    today, gap = _today(now), buyer.gap or PATIENCE
    first = max(buyer.start + timedelta(days=rng.randint(3, 20)), _first_day(now))
    first += timedelta(days=rng.randint(0, int(gap)))
    if buyer.silent_since is None:
        yield from (Bought(buyer, moment(rng, day, now)) for day in _walk(first, today, gap, rng))
        return
    last = local(buyer.silent_since).date()
    for day in _walk(first, last - timedelta(days=12), gap, rng):
        yield Bought(buyer, moment(rng, day, now))
    yield Bought(buyer, buyer.silent_since)
    if buyer.returns_on is not None:
        yield Bought(buyer, moment(rng, buyer.returns_on, now), returning=True)
        later = buyer.returns_on + timedelta(days=int(gap))
        yield from (Bought(buyer, moment(rng, day, now), returning=True) for day in _walk(later, today, gap, rng))


def _walk(day: date, until: date, gap: float, rng: Random) -> Iterator[date]:
    """Working days about `gap` apart, closer in busy months."""
    while day <= until:
        if day.weekday() < 5:
            yield day
            wait = gap * rng.uniform(0.7, 1.3)
            while wait > 0:
                wait -= SEASON[day.month - 1]
                day += timedelta(days=1)
        else:
            day += timedelta(days=1)


def moment(rng: Random, day: date, now: datetime) -> datetime:
    """Some time in the working hours of a company-local day, but not after `now`."""
    wall = datetime.combine(day, time(rng.randint(9, 17), rng.randint(0, 59), rng.randint(0, 59)))
    return min(from_local(wall), now - timedelta(minutes=rng.randint(1, 90)))


def _today(now: datetime) -> date:
    return local(now).date()


def _first_day(now: datetime) -> date:
    return _today(now) - timedelta(days=WINDOW)


# -- the feed ---------------------------------------------------------------------------------------------------


class SalesSystem:
    """Numbers orders, prices their lines and writes both as the sales system's export does."""

    def __init__(self, now: datetime, rng: Random) -> None:
        self.now, self.rng = now, rng
        self.products: list[dict[str, Any]] = [
            {
                "product_no": f"P{number:03d}-{model}", "name": name, "model": model, "unit": unit, "list_price": price,
                "batch": f"{_today(now).year - rng.randint(0, 1)}{rng.randint(1, 9):02d}", "memo": "",
            }
            for number, (name, unit, price, models) in enumerate(PRODUCTS, start=1)
            for model in models.split()
        ]  # fmt: skip
        self._numbers: dict[date, int] = {}

    def export(
        self, folder: Path, orders: Sequence[Bought], *, customers: Sequence[dict[str, Any]] = (), whole: bool = False
    ) -> None:
        """Write a feed of these orders, the `whole` one also with customers, products and stock."""
        folder.mkdir(parents=True)
        rows, lines = [], []
        for order in orders:
            row = self._order(order)
            bought = self._lines(order, row["order_no"])
            rows.append(row | {"amount": _cents(sum(line.pop("cents") for line in bought))})
            lines += bought
        _write(folder / "orders.csv", rows)
        _write(folder / "order_lines.csv", lines)
        if whole:
            _write(folder / "customers.csv", customers)
            _write(folder / "products.csv", self.products)
            _write(folder / "stock.csv", self._stock())

    def _order(self, order: Bought) -> dict[str, Any]:
        day = local(order.at).date()
        self._numbers[day] = self._numbers.get(day, 0) + 1
        age = (self.now - order.at).days
        chance = self.rng.random()
        if chance < 0.04 and order.buyer.steady:
            status = "已取消"
        elif age < 3:
            status = "新建"
        elif age < 12:
            status = "已确认"
        else:
            status = "已发货"
        paid = status != "已取消" and self.rng.random() < (0.96 if age > 75 else 0.7 if age > 30 else 0.25)
        return {
            "order_no": f"SO{day:%Y%m%d}-{self._numbers[day]:02d}",
            "customer_no": order.buyer.number,
            "ordered_at": local(order.at).isoformat(),
            "status": status,
            "paid": int(paid),
            "delivery_address": order.buyer.address or "",
        }

    def _lines(self, order: Bought, number: str) -> list[dict[str, Any]]:
        """One to four products that come to about what this customer usually spends."""
        count = self.rng.choices((1, 2, 3, 4), (45, 30, 17, 8))[0]
        grown = 1 + 0.18 * (1 - (self.now - order.at).days / WINDOW)  # business grows
        budget = SIZE[order.buyer.level] * grown * self.rng.lognormvariate(0, 0.45) / count
        fitting = [product for product in self.products if product["list_price"] <= budget * 1.6] or self.products[:1]
        lines = []
        for position, product in enumerate(self.rng.sample(fitting, min(count, len(fitting))), start=1):
            price = round(product["list_price"] * 100 * self.rng.choice((1, 1, 0.98, 0.95, 0.9)))
            quantity = max(1, round(budget * 100 / price))
            lines.append({
                "order_no": number, "line_no": position, "product_no": product["product_no"], "quantity": quantity,
                "unit": product["unit"], "unit_price": _cents(price), "amount": _cents(price * quantity),
                "cents": price * quantity,
            })  # fmt: skip
        return lines

    def _stock(self) -> list[dict[str, Any]]:
        return [
            {
                "product_no": product["product_no"], "warehouse": warehouse, "quantity": self.rng.randint(0, 400),
                "location": f"{self.rng.choice('ABCDEF')}-{self.rng.randint(1, 40):02d}", "memo": "",
            }
            for product in self.products
            for warehouse in self.rng.sample(WAREHOUSES, self.rng.randint(1, 3))
        ]  # fmt: skip


def _cents(value: int) -> str:
    return f"{value // 100}.{value % 100:02d}"


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """One file of the feed; none without rows, which changes nothing."""
    if not rows:
        return
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
