"""挽留效果: how many customers ordered again after something was done to keep them, and after nothing was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from app.churn.models import ChurnCase, RetentionMeasure
from app.core.clock import utcnow
from app.core.types import UtcDateTime
from app.customers.models import Customer
from app.extensions import db
from app.masterdata.models import DictionaryItem, DictionaryType
from app.mirror.models import COUNTED, Order
from app.reports import charts, groups
from app.reports.counted import is_first
from app.reports.drawing import Drawing, alone, both
from app.reports.figures import HIDDEN
from app.reports.report import Ask, Column, Filter, Line, Report, Table, people

WINDOWS = (30, 60, 90, 180)  # days of 24 hours after the measure
LONGEST = WINDOWS[-1]
NEVER = len(WINDOWS) + 1  # the window of a first order that lies in none
SHOWN = 90  # the window the chart and the note speak of
NONE = "none"  # the key of the cases of which it is not known
NOBODY = "none-acted"  # the key of the cases nobody acted on
BARS = 10  # lines of the chart

GROUPS: dict[str, tuple[Any, Any]] = {
    "type": (_l("Kind of measure"), RetentionMeasure.type_id),
    "owner": (_l("Owner at the warning"), ChurnCase.owner_id),
    "level": (_l("Customer level"), Customer.level_id),
}
ITEMS = {"type": DictionaryType.measure, "level": DictionaryType.level}
UNTOUCHED = _l("Warnings nobody acted on")


class Retention(Report):
    """Cases by their first measure, or every measure, and orders within so many days of it."""

    id = "measures"
    right = "RetentionReport"
    icon = "heart-handshake"
    title = _l("Retention effect")
    about = _l("Who ordered again after a measure, and who without one.")
    line_label = _l("Group")
    filters = (
        Filter("by", _l("Group by"), lambda: [(key, label) for key, (label, _c) in GROUPS.items()], default="type"),
        Filter(
            "measures", _l("Measures"),
            lambda: [("first", _l("The first of each case")), ("every", _l("Every measure"))], default="first",
        ),
    )  # fmt: skip

    def columns(self, ask: Ask) -> list[Column]:
        every = ask.values["measures"] == "every"
        return [
            Column("deferred", _l("Measures") if every else _l("Cases"), "count", how=_l(
                "Every measure taken in the period, also several of one case: an order then counts for each of them "
                "that it came after. In the last line, which the total leaves out, cases opened in the period that "
                "have no measure and were not confirmed lost. Customer levels are those of today.") if every else _l(
                "Cases whose first measure was taken in the period, by that measure; in the last line, which the total "
                "leaves out, cases opened in the period that have no measure and were not confirmed lost. Customer "
                "levels are those of today.")),
            *(Column(f"known_{n}", _l("Past %(n)s days", n=n), "count", hidden=True) for n in WINDOWS),
            *(Column(f"ordered_{n}", _l("Within %(n)s days", n=n), "count", good=True, how=_l(
                "Those of the cases at least %(n)s days old whose customer placed an order, not cancelled, after the "
                "measure (without one: after the warning) and less than %(n)s times 24 hours later.", n=n))
              for n in WINDOWS),
            *(Column(
                f"rate_{n}", _l("Rate %(n)s days", n=n), "rate", of=(f"ordered_{n}", f"known_{n}"), least=HIDDEN,
                good=True, how=_l(
                    "Of the cases whose measure (without one: warning) is at least %(n)s days ago; not shown for fewer "
                    "than 10.", n=n))
              for n in WINDOWS),
            Column("value", _l("Order amount, 180 days"), "money", good=True, n=f"known_{LONGEST}", how=_l(
                "All orders of the cases that “Within 180 days” speaks of, in these 180 days, each once for its case; "
                "n is the number of cases at least 180 days old, which can be fewer than all.")),
        ]  # fmt: skip

    def lines(
        self, ask: Ask, *, keys: Sequence[str] | None = None, first: int = 0, most: int | None = None
    ) -> list[Line]:
        c = _outcomes(ask).subquery().c
        kinds = (c.line, c.over, c.within)
        counted = sa.select(*kinds, sa.func.count().label("number"), sa.func.sum(c.value).label("value"))
        found: dict[str, dict[str, Any]] = {}
        for row in db.session.execute(counted.group_by(*kinds)):
            values = found.setdefault(row.line, {})
            for key, counts in _which(row.over, row.within).items():
                more = (row.value if key == "value" else row.number) if counts else 0
                values[key] = values.get(key, Decimal("0.00") if key == "value" else 0) + more
        columns = [column for column in self.columns(ask) if column.adds_up]
        labels = {**_labels(ask.values["by"], found), NONE: _l("Not known"), NOBODY: UNTOUCHED}
        return [
            Line(key, label, {c.key: found.get(key, {}).get(c.key, 0) for c in columns})
            for key, label in labels.items()
            if key in found or key != NONE
        ]

    def words(self, ask: Ask, keys: Iterable[str]) -> Mapping[str, Any]:
        return {**groups.words(keys, ITEMS.get(ask.values["by"])), NOBODY: UNTOUCHED}

    def total(self, ask: Ask, lines: Sequence[Line]) -> dict[str, Any]:
        """Of the cases with a measure; the others are there to compare with."""
        return super().total(ask, [line for line in lines if line.key != NOBODY])

    def rows(self, ask: Ask, column: Column) -> Any:
        case = _outcomes(ask).subquery()
        return (
            sa.select(
                case.c.line,
                Customer.number.label("number"),
                Customer.name.label("name"),
                ChurnCase.owner_id.label("owner_id"),
                case.c.since.label("day"),
                (case.c.value if column.key == "value" else sa.literal(1)).label("amount"),
            )
            .select_from(case)
            .join(ChurnCase, ChurnCase.id == case.c.case_id)
            .join(Customer, Customer.id == ChurnCase.customer_id)
            .where(_which(case.c.over, case.c.within)[column.key])
            .order_by(case.c.since.desc(), Customer.number)
        )

    def of_total(self, ask: Ask, column: Column, rows: Any) -> Any:
        """Those of cases with a measure, as the total."""
        found = rows.subquery()
        return sa.select(found).where(found.c.line != NOBODY).order_by(found.c.day.desc(), found.c.number)

    def note(self, ask: Ask, table: Table) -> str:
        """How much more those ordered whom somebody did something for."""
        rate = f"rate_{SHOWN}"
        without = next((line.values[rate] for line in table.lines if line.key == NOBODY), None)
        if table.total.values.get(rate) is None or without is None:
            return ""
        return _(
            "Within %(days)s days of a measure %(rate)s per cent of the customers ordered again, of those nobody did "
            "anything for %(without)s per cent.",
            days=SHOWN,
            rate=table.total.values[rate],
            without=without,
        )

    def charts(self, ask: Ask, table: Table, rows_url: Callable[[str, str], str | None]) -> list[Drawing]:
        rate = f"rate_{SHOWN}"
        # The longest window that is over for somebody: what was not yet to be seen is no failure.
        windows = [n for n in WINDOWS if any(line.values[f"known_{n}"] for line in table.lines)]
        if not windows:
            return []
        days = windows[-1]
        counted = {
            f"known_{days}": _("At least %(n)s days old", n=days),
            f"ordered_{days}": _("Within %(n)s days", n=days),
        }
        some = _first([line for line in table.lines if line.values[f"known_{days}"]])
        known = _first([line for line in table.lines if line.values.get(rate) is not None])
        rated = any(line.key != NOBODY for line in known)
        title, names = _l("Ordered within %(n)s days, in numbers", n=days), list(counted.values())
        columns = (both if rated else alone)(
            charts.columns,
            tuple(str(line.label) for line in some),
            tuple((name, tuple(line.values[key] for line in some)) for key, name in counted.items()),
            label=str(title),
            tall=240,
            hrefs=tuple(tuple(rows_url(line.key, key) for line in some) for key in counted),
        )
        numbers = Drawing(title, *columns, names)
        if not rated:
            return [numbers]
        title = _l("Ordered within %(n)s days, per cent of n cases", n=SHOWN)
        bars = both(
            charts.hbar,
            tuple(f"{line.label} (n={line.values[f'known_{SHOWN}']})" for line in known),
            tuple(line.values[rate] for line in known),
            label=str(title),
            formatter=_percentage,
            hrefs=tuple(rows_url(line.key, f"ordered_{SHOWN}") for line in known),
        )
        return [numbers, Drawing(title, *bars)]


def _first(lines: Sequence[Line]) -> list[Line]:
    """The first lines with a measure, and that without one."""
    return [line for line in lines if line.key != NOBODY][:BARS] + [line for line in lines if line.key == NOBODY]


def _percentage(value: Any) -> str:
    return f"{value}%"


def _labels(by: str, found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Key -> label of the lines in order: the dictionary's, or owners with most cases first."""
    if by == "owner":
        ids = [int(key) for key in found if key not in (NONE, NOBODY)]
        names = people(set(ids))
        ids.sort(key=lambda pk: (-found[str(pk)]["deferred"], pk))
        return {str(pk): names.get(pk, "") for pk in ids}
    items = db.session.execute(
        sa.select(DictionaryItem)
        .where(DictionaryItem.type == ITEMS[by])
        .order_by(DictionaryItem.sort_order, DictionaryItem.id)
    ).scalars()
    return {str(item.id): item.label for item in items if item.active or str(item.id) in found}


def _outcomes(ask: Ask) -> sa.Select[Any]:
    """line, case_id, since (the measure, else the warning), over, within, value: every case of the report once, or
    every measure and the cases without one (`unit` tells them apart).

    `over` of the WINDOWS are over, only those are judged; `within` as many of them lies the first order, NEVER if in
    none; `value` is the sum of all orders in the longest one. Orders are looked up only of cases that are judged.
    """
    now = utcnow()
    # Kept aside: what follows reads it twice.
    cases = sa.union_all(_acted_on(ask), _left_alone(ask)).cte("cases").prefix_with("MATERIALIZED").c
    first_at, value = sa.func.min(Order.ordered_at).label("first_at"), sa.func.sum(Order.amount).label("value")
    ordered = (
        sa.select(cases.unit, first_at, value)
        .join(Order, Order.customer_id == cases.customer_id)
        .where(
            cases.since <= now - timedelta(days=WINDOWS[0]),
            COUNTED,
            Order.ordered_at > cases.since,
            Order.ordered_at < _later(cases.since, LONGEST),
        )
        .group_by(cases.unit)
        .subquery()
    )
    over = sa.case(
        *((cases.since > now - timedelta(days=days), n) for n, days in enumerate(WINDOWS)), else_=len(WINDOWS)
    )
    within = sa.case(
        *((ordered.c.first_at < _later(cases.since, days), n) for n, days in enumerate(WINDOWS, start=1)), else_=NEVER
    )
    return sa.select(
        cases.line, cases.case_id, cases.since, over.label("over"), within.label("within"), ordered.c.value
    ).outerjoin(ordered, ordered.c.unit == cases.unit)


def _acted_on(ask: Ask) -> Any:
    """The cases whose first measure was taken in the period, or every measure that was."""
    only = [is_first()] if ask.values["measures"] == "first" else []
    group = GROUPS[ask.values["by"]][1]
    of_case = sa.join(RetentionMeasure, ChurnCase, ChurnCase.id == RetentionMeasure.case_id)
    if group.class_ is Customer:
        of_case = of_case.join(Customer, Customer.id == ChurnCase.customer_id)
    return (
        sa.select(
            sa.func.coalesce(sa.cast(group, sa.String), NONE).label("line"),
            ChurnCase.id.label("case_id"),
            ChurnCase.customer_id.label("customer_id"),
            RetentionMeasure.at.label("since"),
            (-RetentionMeasure.id).label("unit"),
        )
        .select_from(of_case)
        .where(ask.cases, *_in_period(ask, RetentionMeasure.at), *only)
    )


def _left_alone(ask: Ask) -> Any:
    """The cases opened in the period for which nobody took a measure, nor gave the customer up."""
    measure = sa.select(RetentionMeasure.id).where(RetentionMeasure.case_id == ChurnCase.id)
    return sa.select(sa.literal(NOBODY), ChurnCase.id, ChurnCase.customer_id, ChurnCase.opened_at, ChurnCase.id).where(
        ask.cases, *_in_period(ask, ChurnCase.opened_at), ChurnCase.lost_at.is_(None), ~measure.exists()
    )


def _in_period(ask: Ask, moment: Any) -> list[Any]:
    return [] if ask.period is None else [moment >= ask.period.start, moment < ask.period.end]


def _which(over: Any, within: Any) -> dict[str, Any]:
    """Column -> whether (of SQL columns: WHERE) a case counts in it."""
    which: dict[str, Any] = {"deferred": over >= 0}
    for n, days in enumerate(WINDOWS, start=1):
        which[f"known_{days}"] = over >= n
        which[f"ordered_{days}"] = (over >= n) & (within <= n)
    return {**which, "value": which[f"ordered_{LONGEST}"]}


def _later(moment: Any, days: int) -> Any:
    """So many times 24 hours after an instant of a column, in SQL."""
    if db.engine.dialect.name == "sqlite":  # a text there: the day moves on, the time stays to the microsecond
        later: Any = sa.func.date(moment, f"+{days} days").concat(sa.func.substr(moment, len("2026-11-22") + 1))
    else:
        later = sa.type_coerce(moment, sa.DateTime()) + sa.literal(timedelta(days=days), sa.Interval())
    return sa.type_coerce(later, UtcDateTime())
