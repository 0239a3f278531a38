"""客户复购留存: who ordered in the period before and did so again in this one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from datetime import date
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
from app.reports.planner import side_by_side
from app.reports.report import Ask, Column, Line, Report, Table

COUNTED = ("past", "again", "new")
NOTHING = sa.literal(Decimal(0), Money())


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
        return _compared(ask, 1)[0]

    def both(self, ask: Ask, earlier: Ask) -> tuple[list[Line], list[Line]]:
        """In one statement: the period in the middle would be read twice, and all customers, too."""
        lines, past = _compared(ask, 2)
        return lines, past

    def words(self, ask: Ask, keys: Iterable[str]) -> Mapping[str, Any]:
        return groups.words(keys, DictionaryType.level)

    def rows(self, ask: Ask, column: Column) -> Any:
        found = _customers(
            ask, groups.key_of(Customer.level_id).label("line"), Customer.number.label("number"),
            Customer.name.label("name"), Customer.owner_id.label("owner_id"), Customer.registered_on.label("day"),
            Customer.id.label("id"),
        )  # fmt: skip
        c, money = found.c, column.key == "amount"
        return (
            sa.select(
                c.line, c.number, c.name, c.owner_id, c.day, (c.amount_0 if money else sa.literal(1)).label("amount")
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


def _compared(ask: Ask, times: int) -> list[list[Line]]:
    """The lines of the period and, `times` in all, of those before it. One statement."""
    zeros = {**dict.fromkeys(COUNTED, 0), "amount": Decimal("0.00")}
    answers = []
    for found in _by_years(ask, times) if ask.span.is_year else _by_customers(ask, times):
        values = {_key(level): figures for level, figures in found.items() if any(figures[key] for key in COUNTED)}
        answers.append(groups.filled(groups.items(DictionaryType.level, values), values, zeros))
    return answers


def _key(level: int | None) -> str:
    return groups.NONE if level is None else str(level)


def _by_years(ask: Ask, times: int) -> list[dict[int | None, dict[str, Any]]]:
    """level -> figures of the year and of those before it: each year's rows say who ordered in the year before, too."""
    kept, last = CustomerYear, ask.span.first.year
    figures: dict[str, Any] = {}
    for n in range(times):
        ordered = sa.and_(kept.year == last - n, kept.returned)
        figures[f"past_{n}"] = sa.func.count().filter(kept.year == last - n - 1)
        figures[f"again_{n}"] = sa.func.count().filter(ordered)
        figures[f"new_{n}"] = sa.func.count().filter(kept.year == last - n, ~kept.returned)
        figures[f"amount_{n}"] = sa.func.coalesce(sa.func.sum(kept.order_total).filter(ordered), NOTHING)
    # From the customers to their years, both in the order of their keys: an outer join is what SQLite does not turn.
    years = sa.and_(kept.customer_id == Customer.id, kept.year.between(last - times, last), kept.order_count > 0)
    asked = (
        sa.select(Customer.level_id.label("level"), *(sums.label(name) for name, sums in figures.items()))
        .outerjoin(kept, years)
        .where(ask.customers)
        .group_by(Customer.level_id)
    )
    with side_by_side() if ask.whole_company else nullcontext():
        return _by_period(asked, times)


def _by_customers(ask: Ask, times: int) -> list[dict[int | None, dict[str, Any]]]:
    """The same for any period: what each customer ordered in it and in those before it stands side by side."""
    found = _customers(ask, Customer.level_id.label("level"), back=times)
    figures = {}
    for n in range(times):
        for key in COUNTED:
            figures[f"{key}_{n}"] = sa.func.sum(sa.case((_counts(found, key, n), 1), else_=0))
        figures[f"amount_{n}"] = sa.func.sum(
            sa.case((_counts(found, "again", n), found.c[f"amount_{n}"]), else_=NOTHING)
        )
    asked = sa.select(found.c.level, *(sums.label(name) for name, sums in figures.items())).group_by(found.c.level)
    with side_by_side() if ask.whole_company else nullcontext():
        return _by_period(asked, times)


def _by_period(asked: sa.Select[Any], times: int) -> list[dict[int | None, dict[str, Any]]]:
    """Run a statement of one row per level; its figures of each period."""
    rows = db.session.execute(asked).mappings().all()
    return [
        {
            row["level"]: {**{key: int(row[f"{key}_{n}"]) for key in COUNTED}, "amount": row[f"amount_{n}"]}
            for row in rows
        }
        for n in range(times)
    ]


def _counts(found: Any, key: str, n: int = 0) -> Any:
    """WHERE a customer counts in this column, in the period `n` before the one that is asked about."""
    past, now = found.c[f"amount_{n + 1}"].is_not(None), found.c[f"amount_{n}"].is_not(None)
    return {"past": past, "again": sa.and_(past, now), "new": sa.and_(~past, now)}[key]


def _customers(ask: Ask, *columns: Any, back: int = 1) -> sa.Subquery:
    """These columns, and amount_0 and so on: what was ordered in the period and in `back` before it (NULL: no order).

    Of customers with an order in one of them, from the rollups; each row of theirs is read once.
    """
    periods = [ask.span]
    while len(periods) <= back:
        periods.append(periods[-1].before)
    years = ask.span.is_year
    kept: Any = CustomerYear if years else CustomerMonth

    def within(first: date, until: date) -> sa.ColumnElement[bool]:
        if years:
            return sa.and_(kept.year >= first.year, kept.year < until.year)
        return sa.and_(kept.month >= first, kept.month < until)

    amounts = [
        sa.func.sum(kept.order_total).filter(within(period.first, period.until)).label(f"amount_{n}")
        for n, period in enumerate(periods)
    ]
    each = (
        sa.select(kept.customer_id, *amounts)
        .where(kept.order_count > 0, within(periods[-1].first, periods[0].until))
        .group_by(kept.customer_id)
        .subquery()
    )
    return (
        sa.select(*columns, *(each.c[amount.name] for amount in amounts))
        .join_from(Customer, each, each.c.customer_id == Customer.id)
        .where(ask.customers)
        .subquery()
    )
