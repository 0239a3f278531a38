"""产品, 库存, 历史订单: a read-only mirror of the sales system that owns them."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

import sqlalchemy as sa
from flask_appbuilder import Model
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.core.choices import Choice
from app.core.clock import utcnow
from app.core.models import row_key
from app.core.types import Money, Sentence, UtcDateTime
from app.customers.models import Customer, customer_fk

ALL_YEARS = 0  # the year under which a customer's orders of all years stand
AHEAD = timedelta(days=1)  # how far ahead an order may be dated and still be the newest: zones and clocks differ


class OrderStatus(Choice):
    """Our reading of the sales system's status."""

    new = "new", _l("Placed"), "brand"
    confirmed = "confirmed", _l("Confirmed"), "brand"
    shipped = "shipped", _l("Shipped"), "ok"
    cancelled = "cancelled", _l("Cancelled"), "mute"


class SyncStatus(Choice):
    """How a sync ended."""

    running = "running", _l("Running"), "brand"
    done = "done", _l("Done"), "ok"
    failed = "failed", _l("Failed"), "bad"


class Product(Model):
    """产品."""

    without_history: ClassVar[str] = "is the sales system's"

    __tablename__ = "product"
    __table_args__ = (
        sa.UniqueConstraint("external_id", name="uq_product_external_id"),
        sa.Index("ix_product_name", "name", "id"),
    )

    id: Mapped[int] = row_key()
    external_id: Mapped[str] = mapped_column(sa.String(60), comment="the sales system's key")
    name: Mapped[str] = mapped_column(sa.String(200), comment="as the sales system has it")
    model: Mapped[str] = mapped_column(sa.String(100), comment="型号, as the sales system has it")
    batch: Mapped[str] = mapped_column(sa.String(100), comment="批次, as the sales system has it")
    unit: Mapped[str | None] = mapped_column(
        sa.String(20), comment="what it is counted in: piece, kg; null: the feed does not say"
    )
    list_price: Mapped[Decimal | None] = mapped_column(Money(), comment="CNY")
    memo: Mapped[str | None] = mapped_column(sa.String(500), comment="the sales system's")

    def __repr__(self) -> str:
        return self.name


class Stock(Model):
    """库存."""

    without_history: ClassVar[str] = "is the sales system's"

    __tablename__ = "stock"
    __table_args__ = (sa.UniqueConstraint("product_id", "warehouse", "location", name="uq_stock_place"),)

    id: Mapped[int] = row_key()
    product_id: Mapped[int] = mapped_column(sa.ForeignKey("product.id", ondelete="RESTRICT"), comment="what lies there")
    warehouse: Mapped[str] = mapped_column(sa.String(100), comment="仓库, as the sales system calls it")
    location: Mapped[str] = mapped_column(sa.String(100), comment="货位 in the warehouse, as the sales system calls it")
    quantity: Mapped[Decimal] = mapped_column(Money(), comment="in the product's unit, two decimals")
    memo: Mapped[str | None] = mapped_column(sa.String(500), comment="the sales system's")

    product: Mapped[Product] = relationship()


class Order(Model):
    """历史订单."""

    without_history: ClassVar[str] = "is the sales system's"

    __tablename__ = "sales_order"
    __table_args__ = (
        OrderStatus.check("status"),
        sa.UniqueConstraint("external_id", name="uq_sales_order_external_id"),
        sa.Index("ix_sales_order_customer", "customer_id", "ordered_at", postgresql_include=["status", "amount"]),
        sa.Index("ix_sales_order_ordered", "ordered_at", "id"),
    )

    id: Mapped[int] = row_key()
    external_id: Mapped[str] = mapped_column(sa.String(60), comment="the sales system's order number")
    customer_id: Mapped[int] = customer_fk("whose order this is")
    ordered_at: Mapped[datetime] = mapped_column(UtcDateTime, comment="UTC")
    delivery_address: Mapped[str | None] = mapped_column(
        sa.String(300), comment="where it goes, as the sales system has it"
    )
    amount: Mapped[Decimal] = mapped_column(Money(), comment="CNY, the source's; else the sum of its lines")
    amount_derived: Mapped[bool] = mapped_column(
        default=False, server_default=sa.false(), comment="the amount is the sum of the lines"
    )
    paid: Mapped[bool | None] = mapped_column(comment="null: the feed does not say")
    status: Mapped[OrderStatus] = mapped_column(
        OrderStatus.column_type(), default=OrderStatus.new, comment="our reading of source_status"
    )
    source_status: Mapped[str | None] = mapped_column(sa.String(40), comment="the sales system's own code")

    customer: Mapped[Customer] = relationship()
    lines: Mapped[list[OrderLine]] = relationship(back_populates="order", order_by="OrderLine.line_no")

    def __repr__(self) -> str:
        return self.external_id


class OrderLine(Model):
    """订单明细."""

    without_history: ClassVar[str] = "is the sales system's"

    __tablename__ = "order_line"
    __table_args__ = (sa.UniqueConstraint("order_id", "line_no", name="uq_order_line_no"),)

    id: Mapped[int] = row_key()
    order_id: Mapped[int] = mapped_column(
        sa.ForeignKey("sales_order.id", ondelete="RESTRICT"), comment="the order it is a line of"
    )
    line_no: Mapped[int] = mapped_column(comment="position on the order, from 1")
    product_id: Mapped[int | None] = mapped_column(
        sa.ForeignKey("product.id", ondelete="RESTRICT"),
        index=True,
        comment="what was ordered; null: the feed does not say",
    )
    quantity: Mapped[Decimal] = mapped_column(Money(), comment="in `unit`, two decimals")
    unit: Mapped[str | None] = mapped_column(
        sa.String(20), comment="what the quantity counts; null: the feed does not say"
    )
    unit_price: Mapped[Decimal | None] = mapped_column(Money(), comment="CNY")
    amount: Mapped[Decimal] = mapped_column(Money(), comment="CNY")

    order: Mapped[Order] = relationship(back_populates="lines")
    product: Mapped[Product | None] = relationship()


COUNTED = Order.status != OrderStatus.cancelled
"""WHERE an order counts in figures: also one that is not paid."""


class Ordered:
    """What one customer ordered in one stretch of time; kept by the sync, read by reports. Cancelled orders are out."""

    order_count: Mapped[int] = mapped_column(comment="orders not cancelled")
    order_total: Mapped[Decimal] = mapped_column(Money(), comment="CNY, orders not cancelled")
    paid_count: Mapped[int] = mapped_column(default=0, server_default="0", comment="those of them that are paid")
    paid_total: Mapped[Decimal] = mapped_column(Money(), default=Decimal(0), server_default="0", comment="CNY, paid")


ROLLED = ("order_count", "order_total", "paid_count", "paid_total")


# SQLite keeps the rows in the order of the key, a customer's side by side: one look instead of two, half the time.
KEPT_BY_KEY = {"sqlite_with_rowid": False}


class CustomerMonth(Ordered, Model):
    """What one customer ordered in one company-local month."""

    without_history: ClassVar[str] = "is worked out from orders"

    __tablename__ = "customer_month"
    __table_args__ = (
        # PostgreSQL reads a customer's months side by side from the key alone, as SQLite does without being told.
        sa.PrimaryKeyConstraint(
            "customer_id", "month", name="pk_customer_month", postgresql_include=["order_count", "order_total"]
        ),
        sa.Index("ix_customer_month_best", "month", "order_total", "customer_id", "order_count"),
        sa.Index("ix_customer_month_paid", "month", "paid_total", "customer_id", "paid_count"),
        KEPT_BY_KEY,
    )

    customer_id: Mapped[int] = customer_fk("who ordered")
    month: Mapped[date] = mapped_column(comment="first day of the company-local month")


class CustomerYear(Ordered, Model):
    """The same for a company-local year, and for all years together under the year 0."""

    without_history: ClassVar[str] = "is worked out from orders"

    __tablename__ = "customer_year"
    __table_args__ = (
        # As above.
        sa.PrimaryKeyConstraint(
            "customer_id",
            "year",
            name="pk_customer_year",
            postgresql_include=["order_count", "order_total", "returned"],
        ),
        sa.Index("ix_customer_year_best", "year", "order_total", "customer_id", "order_count", "returned"),
        sa.Index("ix_customer_year_paid", "year", "paid_total", "customer_id", "paid_count"),
        KEPT_BY_KEY,
    )

    customer_id: Mapped[int] = customer_fk("who ordered")
    year: Mapped[int] = mapped_column(autoincrement=False, comment="company-local; 0: all together")
    returned: Mapped[bool] = mapped_column(
        default=False, server_default=sa.false(), comment="ordered in the year before, too"
    )


class SyncRun(Model):
    """同步记录: one reading of a feed."""

    without_history: ClassVar[str] = "is the ledger of the syncs"

    __tablename__ = "sync_run"
    __table_args__ = (SyncStatus.check("status"), sa.Index("ix_sync_run_finished", "status", "finished_at"))

    id: Mapped[int] = row_key()
    source: Mapped[str] = mapped_column(sa.String(300), comment="folder of the feed")
    status: Mapped[SyncStatus] = mapped_column(
        SyncStatus.column_type(), default=SyncStatus.running, comment="how it stands, or how it ended"
    )
    started_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, comment="UTC")
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="UTC")
    rows_in: Mapped[int] = mapped_column(default=0, comment="rows read, of all files")
    rows_created: Mapped[int] = mapped_column(default=0, comment="rows that were new here")
    rows_updated: Mapped[int] = mapped_column(default=0, comment="rows that changed something here")
    rows_unchanged: Mapped[int] = mapped_column(default=0, comment="rows that were known as they are")
    rows_rejected: Mapped[int] = mapped_column(default=0, comment="rows not taken; see rejects_file")
    high_water: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="newest order date seen, UTC")
    checksum: Mapped[str | None] = mapped_column(sa.String(64), comment="SHA-256 over the feed's files")
    rejects_file: Mapped[str | None] = mapped_column(sa.String(300), comment="rejected rows with reasons")
    counts: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON, comment="per file")
    error: Mapped[str | None] = mapped_column(Sentence(2000), comment="why it failed; null: it did not")
