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
from app.reports.figures import HIDDEN
from app.reports.period import Period
from app.reports.report import Ask, Column, Line, Report, Table

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
        ordered = _ordered(ask)
        line = groups.key_of(Customer.level_id).label("line")
        each = (
            sa.select(line, ordered).join(ordered, ordered.c.customer_id == Customer.id).where(ask.customers).subquery()
        )
        sums = {key: sa.func.sum(sa.case((_counts(each, key), 1), else_=0)) for key in COUNTED}
        amount = sa.func.sum(sa.case((_counts(each, "again"), each.c.amount), else_=sa.literal(Decimal(0), Money())))
        counted = sa.select(
            each.c.line, *(what.label(key) for key, what in sums.items()), amount.label("amount")
        ).group_by(each.c.line)
        found = {
            row.line: {**{key: int(getattr(row, key)) for key in COUNTED}, "amount": row.amount}
            for row in db.session.execute(counted)
        }
        nothing = {**dict.fromkeys(COUNTED, 0), "amount": Decimal("0.00")}
        return groups.filled(groups.items(DictionaryType.level, found), found, nothing)

    def rows(self, ask: Ask, column: Column) -> Any:
        ordered = _ordered(ask)
        return (
            sa.select(
                groups.key_of(Customer.level_id).label("line"),
                Customer.number.label("number"),
                Customer.name.label("name"),
                Customer.owner_id.label("owner_id"),
                Customer.registered_on.label("day"),
                (ordered.c.amount if column.key == "amount" else sa.literal(1)).label("amount"),
            )
            .join(ordered, ordered.c.customer_id == Customer.id)
            .where(ask.customers, _counts(ordered, "again" if column.key == "amount" else column.key))
            .order_by(Customer.name, Customer.id)
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


def _counts(ordered: Any, key: str) -> Any:
    """WHERE a customer counts in this column."""
    past, now = ordered.c.past == 1, ordered.c.now == 1
    return {"past": past, "again": sa.and_(past, now), "new": sa.and_(~past, now)}[key]


def _ordered(ask: Ask) -> sa.Subquery:
    """customer_id, past and now (1 or 0), amount in this period; of every customer with orders in one of the two."""
    nothing = sa.literal(Decimal(0), Money())
    both = sa.union_all(
        _in(ask.span, lambda kept: (sa.literal(0), sa.literal(1), kept.order_total)),
        _in(ask.span.before, lambda kept: (sa.literal(1), sa.literal(0), nothing)),
    ).subquery()
    return (
        sa.select(
            both.c.customer_id,
            sa.func.max(both.c.past).label("past"),
            sa.func.max(both.c.now).label("now"),
            sa.func.sum(both.c.amount).label("amount"),
        )
        .group_by(both.c.customer_id)
        .subquery()
    )


def _in(period: Period, what: Callable[[Any], tuple[Any, Any, Any]]) -> sa.Select[Any]:
    """What the rollup keeps of the customers who ordered in a period."""
    kept: Any = CustomerMonth
    when = [CustomerMonth.month >= period.first, CustomerMonth.month < period.until]
    if period.is_year:
        kept, when = CustomerYear, [CustomerYear.year == period.first.year]
    past, now, amount = what(kept)
    found = sa.select(kept.customer_id, past.label("past"), now.label("now"), amount.label("amount"))
    return found.where(*when, kept.order_count > 0)
