"""How fresh the mirror is, what a sync left out, and whether the kept totals still agree with the orders."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import islice
from pathlib import Path, PurePath
from typing import Any

import sqlalchemy as sa
from flask import current_app
from sqlalchemy.orm import joinedload

from app.core.clock import utcnow
from app.core.sentences import said_again
from app.core.types import Money, UtcDateTime
from app.customers.models import Customer, CustomerStats
from app.extensions import db
from app.mirror.access import VisibleOrderLines
from app.mirror.models import (
    AHEAD,
    ALL_YEARS,
    COUNTED,
    ROLLED,
    CustomerMonth,
    CustomerYear,
    Order,
    OrderLine,
    SyncRun,
    SyncStatus,
)


@dataclass(frozen=True)
class Freshness:
    """The last sync that brought orders, and whether it is too long ago for warnings to be believed."""

    finished_at: datetime | None
    feed: str | None
    newest_order_at: datetime | None
    days: int | None
    stale: bool


def freshness(now: datetime | None = None) -> Freshness:
    """How old the mirror is on the real clock, in whole days.

    Stale when the last sync that succeeded finished more than LIUKE_MIRROR_STALE_DAYS days before `now`, or when
    there was none. It must have read orders: one of products only, or whose every order was rejected, says nothing
    about who ordered. `feed` is the name of its folder, without the path; the newest order may have come with an
    earlier one, and one that is dated ahead is not it. One statement.
    Source: docs/decisions/0011 and 0012.
    """
    now = now or utcnow()
    return seen(db.session.execute(last_read(), {"ahead": now + AHEAD}).one_or_none(), now)


@cache
def last_read() -> sa.Select[datetime | None, str, datetime]:
    """SELECT of the last sync that brought orders, if any: finished_at, source, newest (order before `ahead`).

    For `seen`, also as a part of other statements; made once.
    """
    ahead = sa.bindparam("ahead", type_=UtcDateTime())
    newest = sa.select(sa.func.max(Order.ordered_at)).where(Order.ordered_at <= ahead).scalar_subquery()
    rows, rejected = (SyncRun.counts["orders"][count].as_integer() for count in ("rows", "rejected"))
    return (
        sa.select(SyncRun.finished_at, SyncRun.source, newest.label("newest"))
        .where(SyncRun.status == SyncStatus.done, SyncRun.finished_at.is_not(None))
        .where(sa.or_(rows == 0, rejected < rows))  # no order at all is fine: nobody ordered
        .order_by(SyncRun.finished_at.desc(), SyncRun.id.desc())
        .limit(1)
    )


def seen(last: Any, now: datetime) -> Freshness:
    """What a row of `last_read` says; None: there was no such sync."""
    if last is None or last.finished_at is None:
        return Freshness(None, None, None, None, stale=True)
    age = now - last.finished_at
    return Freshness(
        last.finished_at,
        PurePath(last.source).name,
        last.newest,
        max(age.days, 0),
        stale=age > timedelta(days=current_app.config["LIUKE_MIRROR_STALE_DAYS"]),
    )


def line_totals(order_id: int) -> tuple[int, Decimal | None]:
    """How many lines an order has, and their sum; no sum without lines. One statement."""
    count, total = db.session.execute(
        sa.select(sa.func.count(), sa.func.sum(OrderLine.amount)).where(OrderLine.order_id == order_id)
    ).one()
    return count, total


@dataclass(frozen=True)
class FirstLines:
    """The first lines of an order, and how many it has."""

    lines: list[OrderLine]
    count: int


def first_lines(orders: Iterable[int], *, most: int = 3) -> dict[int, FirstLines]:
    """The first `most` lines of each of these orders with their products, by order; without lines it is left out.

    Only lines the reader may see. One statement, however long the orders are.
    """
    numbered = (
        sa.select(
            OrderLine.id,
            sa.func.row_number().over(partition_by=OrderLine.order_id, order_by=OrderLine.line_no).label("place"),
            sa.func.count().over(partition_by=OrderLine.order_id).label("count"),
        )
        .where(OrderLine.order_id.in_(orders), VisibleOrderLines.criterion())
        .subquery()
    )
    found = (
        sa.select(OrderLine, numbered.c.count)
        .join(numbered, numbered.c.id == OrderLine.id)
        .where(numbered.c.place <= most)
        .order_by(OrderLine.order_id, OrderLine.line_no)
        .options(joinedload(OrderLine.product))
    )
    first: dict[int, FirstLines] = {}
    for line, count in db.session.execute(found):
        first.setdefault(line.order_id, FirstLines([], count)).lines.append(line)
    return first


@dataclass(frozen=True)
class RejectedRow:
    """A row of a feed that was not taken, without the values it held."""

    file: str
    line: str
    key: str
    reason: str


def rejected_rows(run: SyncRun, limit: int) -> list[RejectedRow]:
    """The first rows a sync rejected; none when its file is not on this machine."""
    if run.rejects_file is None:
        return []
    try:
        with Path(run.rejects_file).open(encoding="utf-8-sig", newline="") as file:
            rows = islice(csv.reader(file), 1, limit + 1)
            return [RejectedRow(row[0], row[1], row[2], _reason(*row[3:])) for row in rows if len(row) > 3]
    except OSError:
        return []


def _reason(worded: str, _row: str = "", said: str = "") -> str:
    """Why a row was rejected, in the reader's language; as it was worded in files written before, and in a row that a
    full disk cut short."""
    try:
        kept = json.loads(said)
    except ValueError:
        return worded
    return said_again(kept) if kept else worded


def wrong_totals(limit: int = 100) -> list[int]:
    """The ids of customers whose kept totals differ from their orders, at most `limit`; none is right.

    Compares last order, number and sum, and number and sum, ordered and paid, over the months, over the years, and of
    all years together, and who ordered in the year before, too. One statement over all orders; `sync.repair_totals`
    asks every night.
    """
    nothing = sa.literal(Decimal(0), Money())
    ordered = (
        sa.select(
            Order.customer_id,
            sa.func.max(Order.ordered_at).label("last"),
            sa.func.count().label("order_count"),
            sa.func.sum(Order.amount).label("order_total"),
            sa.func.sum(sa.case((Order.paid.is_(True), 1), else_=0)).label("paid_count"),
            sa.func.sum(sa.case((Order.paid.is_(True), Order.amount), else_=nothing)).label("paid_total"),
        )
        .where(COUNTED)
        .group_by(Order.customer_id)
        .subquery()
    )
    kept = [
        _summed(CustomerMonth, sa.true()),
        _summed(CustomerYear, CustomerYear.year != ALL_YEARS),
        _summed(CustomerYear, CustomerYear.year == ALL_YEARS),
    ]
    zeros: dict[str, Any] = dict(zip(ROLLED, (0, nothing, 0, nothing), strict=True))
    right = {name: sa.func.coalesce(ordered.c[name], zero) for name, zero in zeros.items()}
    differs = sa.or_(
        CustomerStats.last_order_at.is_distinct_from(ordered.c.last),
        sa.func.coalesce(CustomerStats.order_count, 0) != right["order_count"],
        sa.func.coalesce(CustomerStats.order_total, nothing) != right["order_total"],
        *(sa.func.coalesce(part.c[name], zero) != right[name] for part in kept for name, zero in zeros.items()),
    )
    found = (
        sa.select(Customer.id)
        .outerjoin(CustomerStats, CustomerStats.customer_id == Customer.id)
        .outerjoin(ordered, ordered.c.customer_id == Customer.id)
    )
    for part in kept:
        found = found.outerjoin(part, part.c.customer_id == Customer.id)
    years = sa.select(
        CustomerYear.customer_id,
        CustomerYear.returned,
        year_before(CustomerYear.customer_id, CustomerYear.year).label("so"),
    ).where(CustomerYear.year != ALL_YEARS)
    y = years.subquery().c
    wrongly = sa.select(y.customer_id).where(y.returned != y.so)
    found = found.where(sa.or_(differs, Customer.id.in_(wrongly)))
    return list(db.session.execute(found.order_by(Customer.id).limit(limit)).scalars())


def year_before(customer_id: Any, year: Any) -> sa.ColumnElement[bool]:
    """Whether the row of the customer before this one is that of the year before; of rows of one customer and year."""
    before = sa.func.lag(year).over(partition_by=customer_id, order_by=year)
    return sa.func.coalesce(before == year - 1, sa.false())


def _summed(rollup: Any, which: Any) -> sa.Subquery:
    sums = (sa.func.sum(getattr(rollup, name)).label(name) for name in ROLLED)
    return sa.select(rollup.customer_id, *sums).where(which).group_by(rollup.customer_id).subquery()
