"""A feed of the sales system as a test writes it, and the mirror as it is afterwards."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.customers.models import Customer
from app.mirror.models import CustomerMonth, CustomerYear, Order, OrderLine, Product, Stock, SyncRun
from app.mirror.sync import sync

HEADERS = {
    "products": "product_no,name,model,batch,unit",
    "customers": "customer_no,name,registered_on",
    "stock": "product_no,warehouse,location,quantity,memo",
    "orders": "order_no,customer_no,ordered_at,status,amount",
    "order_lines": "order_no,line_no,product_no,quantity,amount",
}
SMALL = {
    "products": "P1,轴承,6204,2026-01,个",
    "customers": "C1,北方机械有限公司,2026-01-05\nC2,Southern Trading,2026-02-01",
    "stock": "P1,北京一库,A-1,12.5,",
    "orders": "O1,C1,2026-03-01,shipped,100.00\nO2,C1,2026-04-01,new,50.50\nO3,C2,2026-04-02,paid,7.00",
    "order_lines": "O1,1,P1,2,60.00\nO1,2,P1,1,40.00\nO2,1,P1,1,50.50\nO3,1,P1,1,7.00",
}


class FeedFolder:
    """A folder that becomes what the sales system exports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, *, headers: dict[str, str] | None = None, encoding: str = "utf-8", **files: str) -> Path:
        """Exactly these files, each with its usual header unless `headers` gives another."""
        for old in self.folder.glob("*.csv"):
            old.unlink()
        for name, rows in files.items():
            header = (headers or {}).get(name, HEADERS[name])
            (self.folder / f"{name}.csv").write_text(f"{header}\n{rows}\n", encoding=encoding, newline="")
        return self.folder


@pytest.fixture
def feed(tmp_path: Path) -> FeedFolder:
    """Somewhere to write a feed."""
    folder = tmp_path / "feed"
    folder.mkdir()
    return FeedFolder(folder)


@pytest.fixture
def read(db: Any, feed: FeedFolder) -> Callable[..., SyncRun]:
    """`read(orders="O1,C1,…")` writes a feed of these files and reads it."""

    def reading(*, on_orders: Any = None, **given: Any) -> SyncRun:
        return sync(feed.write(**given), on_orders=on_orders)

    return reading


@pytest.fixture
def small(read: Callable[..., SyncRun]) -> SyncRun:
    """The small feed has been read."""
    run = read(**SMALL)
    assert run.error is None
    return run


def counts(run: SyncRun) -> tuple[int, int, int, int]:
    """Created, updated, unchanged, rejected; and no row is forgotten."""
    told = run.rows_created, run.rows_updated, run.rows_unchanged, run.rows_rejected
    assert run.rows_in == sum(told)
    return told


def rejected(run: SyncRun) -> list[tuple[str, int, str, str]]:
    """(file, line, key, reason) of every rejected row."""
    if run.rejects_file is None:
        return []
    with Path(run.rejects_file).open(encoding="utf-8-sig", newline="") as file:
        return [(row["file"], int(row["line"]), row["key"], row["reason"]) for row in csv.DictReader(file)]


def mirror(db: Any) -> dict[str, list[tuple[Any, ...]]]:
    """Everything a sync writes, by table, without ids."""
    db.session.rollback()
    found = {}
    for name, columns in {
        "customers": (
            Customer.number, Customer.name, Customer.name_key, Customer.search_key, Customer.registered_on,
            Customer.owner_id, Customer.status, Customer.version,
        ),
        "products": (Product.external_id, Product.name, Product.model, Product.batch, Product.unit, Product.list_price),
        "stock": (Stock.product_id, Stock.warehouse, Stock.location, Stock.quantity, Stock.memo),
        "orders": (
            Order.external_id, Order.customer_id, Order.ordered_at, Order.amount, Order.status, Order.source_status,
            Order.paid, Order.delivery_address,
        ),
        "lines": (OrderLine.order_id, OrderLine.line_no, OrderLine.product_id, OrderLine.quantity, OrderLine.amount),
        "months": (
            CustomerMonth.customer_id, CustomerMonth.month, CustomerMonth.order_count, CustomerMonth.order_total,
            CustomerMonth.paid_count, CustomerMonth.paid_total,
        ),
        "years": (
            CustomerYear.customer_id, CustomerYear.year, CustomerYear.order_count, CustomerYear.order_total,
            CustomerYear.paid_count, CustomerYear.paid_total,
        ),
    }.items():  # fmt: skip
        found[name] = [tuple(row) for row in db.session.execute(sa.select(*columns).order_by(*columns[:3]))]
    return found
