"""客户复购留存: who ordered in the period before and did so again in this one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from flask_babel import lazy_gettext as _l

from app.core.types import Money
from app.customers.models import Customer
from app.extensions import db
from app.masterdata.models import DictionaryType
from app.mirror.models import CustomerMonth, CustomerYear
from app.reports import charts, groups
from app.reports.drawing import Drawing, alone
from app.reports.period import Period
from app.reports.report import HIDDEN, Ask, Column, Line, Report, Table

COUNTED = ("past", "again", "new")


class Returning(Report):
    """Customers by their level now, from the rollups the sync keeps. Cancelled orders are out, unpaid ones count."""

    id = "retention-rate"
    right = "ReturningReport"
    icon = "rotate-clockwise"
    title = _l("Customer retention")
    about = _l("Who ordered in the period before, and again in this one.")
    line_label = _l("Level")

    def columns(self, ask: Ask) -> list[Column]:
        return [
            Column("past", _l("Ordered before"), "count", good=True, how=_l(
                "Customers with an order in the period of the same length just before, lost ones included. Levels are "
                "those of today; cancelled orders do not count.")),
            Column("again", _l("Ordered again"), "count", good=True, how=_l(
                "Those of them with an order in this period too.")),
            Column("rate", _l("Retention rate"), "rate", of=("again", "past"), least=HIDDEN, good=True, how=_l(
                "Customers who ordered again, of those who ordered before; not shown of fewer than ten.")),
            Column("new", _l("New or after a pause"), "count", good=True, how=_l(
                "Customers with an order in this period and none in the one before.")),
            Column("amount", _l("Amount ordered again"), "money", good=True, how=_l(
                "What the customers who ordered again ordered in this period.")),
        ]  # fmt: skip

    def lines(
        self, ask: Ask, *, keys: Sequence[str] | None = None, first: int = 0, most: int | None = None
    ) -> list[Line]:
        found, nothing = _customers(ask, Customer.level_id.label("level")), sa.literal(Decimal(0), Money())
        sums = [sa.func.sum(sa.case((_counts(found, key), 1), else_=0)).label(key) for key in COUNTED]
        amount = sa.func.sum(sa.case((_counts(found, "again"), found.c.amount), else_=nothing)).label("amount")
        counted = sa.select(found.c.level, *sums, amount).group_by(found.c.level)
        found_of = {
            groups.NONE if row.level is None else str(row.level): {
                **{key: int(getattr(row, key)) for key in COUNTED}, "amount": row.amount,
            }
            for row in db.session.execute(counted)
        }  # fmt: skip
        zeros = {**dict.fromkeys(COUNTED, 0), "amount": Decimal("0.00")}
        return groups.filled(groups.items(DictionaryType.level, found_of), found_of, zeros)

    def rows(self, ask: Ask, column: Column) -> Any:
        found = _customers(
            ask, groups.key_of(Customer.level_id).label("line"), Customer.number.label("number"),
            Customer.name.label("name"), Customer.owner_id.label("owner_id"), Customer.registered_on.label("day"),
            Customer.id.label("id"),
        )  # fmt: skip
        c, money = found.c, column.key == "amount"
        return (
            sa.select(
                c.line, c.number, c.name, c.owner_id, c.day, (c.amount if money else sa.literal(1)).label("amount")
            )
            .where(_counts(found, "again" if money else column.key))
            .order_by(c.name, c.id)
        )

    def charts(self, ask: Ask, table: Table, rows_url: Callable[[str, str], str | None]) -> list[Drawing]:
        lines = [line for line in table.lines if any(line.values[key] for key in COUNTED)]
        if not lines:
            return []
        names = [str(ask.columns[key].label) for key in COUNTED]
        columns = alone(
            charts.columns, tuple(str(line.label) for line in lines),
            tuple((name, tuple(line.values[key] for line in lines)) for name, key in zip(names, COUNTED, strict=True)),
            label=str(_l("Customers who ordered before, again, and only now, by level")), tall=240,
            hrefs=tuple(tuple(rows_url(line.key, key) for line in lines) for key in COUNTED),
        )  # fmt: skip
        return [Drawing(_l("Customers who ordered"), *columns, names)]


def _counts(found: Any, key: str) -> Any:
    """WHERE a customer counts in this column."""
    past, now = found.c.past.is_not(None), found.c.now.is_not(None)
    return {"past": past, "again": sa.and_(past, now), "new": sa.and_(~past, now)}[key]


def _customers(ask: Ask, *columns: Any) -> sa.Subquery:
    """These columns, past and now (NULL: no order), amount in this period; of customers with orders in one of the two.

    A customer has at most one row on either side, so both are joined to him: nothing has to be put together first.
    """
    now, past = _in(ask.span), _in(ask.span.before)
    return (
        sa.select(
            *columns, past.c.customer_id.label("past"), now.c.customer_id.label("now"), now.c.amount.label("amount")
        )
        .select_from(Customer)
        .outerjoin(now, now.c.customer_id == Customer.id)
        .outerjoin(past, past.c.customer_id == Customer.id)
        .where(ask.customers, sa.or_(now.c.customer_id.is_not(None), past.c.customer_id.is_not(None)))
        .subquery()
    )


def _in(period: Period) -> sa.Subquery:
    """customer_id and amount of the customers who ordered in a period, from the rollups."""
    kept: Any = CustomerMonth
    when = [CustomerMonth.month >= period.first, CustomerMonth.month < period.until]
    if period.months == 12:
        kept, when = CustomerYear, [CustomerYear.year == period.first.year]
    elif period.months == 1:
        when = [CustomerMonth.month == period.first]
    found = sa.select(kept.customer_id, kept.order_total.label("amount"))
    if period.months == 3:
        found = sa.select(kept.customer_id, sa.func.sum(kept.order_total).label("amount")).group_by(kept.customer_id)
    return found.where(*when, kept.order_count > 0).subquery()
