"""客户构成分析: number and share of active customers by one of their properties."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from app.churn.models import ChurnCase
from app.core.clock import today
from app.customers.models import Customer, CustomerStatus
from app.extensions import db
from app.masterdata.models import DictionaryItem, DictionaryType
from app.reports import charts, groups
from app.reports.drawing import Drawing, alone, drawn
from app.reports.kinds.churn import lost_at
from app.reports.past import value_at, values_at
from app.reports.report import Ask, Column, Filter, Line, Report, Table

RING = charts.COLOURS  # parts a ring can tell apart

DIMENSIONS: dict[str, tuple[Any, Any, DictionaryType | None]] = {
    "level": (_l("Level"), Customer.level_id, DictionaryType.level),
    "credit": (_l("Credit"), Customer.credit, None),
    "satisfaction": (_l("Satisfaction"), Customer.satisfaction, None),
    "region": (_l("Region"), Customer.region_id, DictionaryType.region),
    "type": (_l("Company type"), Customer.company_type_id, DictionaryType.company_type),
    "nature": (_l("Ownership nature"), Customer.nature_id, DictionaryType.nature),
}


class Composition(Report):
    """Customers that were active at the end of the period, or are now if it is not over."""

    id = "composition"
    right = "CompositionReport"
    icon = "chart-pie"
    title = _l("Customer composition")
    about = _l("Active customers by what they are.")
    line_label = _l("Group")
    at_end = True
    filters = (
        Filter(
            "by", _l("Group by"), lambda: [(key, label) for key, (label, _c, _t) in DIMENSIONS.items()], default="level"
        ),
    )

    def columns(self, ask: Ask) -> list[Column]:
        return [
            Column("customers", _l("Customers"), "count", how=_l(
                "Customers active now; of a period that is over, those active when it ended, by what they were then. "
                "Lost and deleted ones are left out.")),
            Column("share", _l("Share"), "share", of=("customers", "customers"), how=_l(
                "Of all active customers; the shares add up to 100 per cent.")),
        ]  # fmt: skip

    def lines(
        self, ask: Ask, *, keys: Sequence[str] | None = None, first: int = 0, most: int | None = None
    ) -> list[Line]:
        kind = DIMENSIONS[ask.values["by"]][2]
        facts = _active(ask).subquery()
        counted = sa.select(facts.c.line, sa.func.count()).group_by(facts.c.line)
        found = {key: {"customers": number} for key, number in db.session.execute(counted)}
        if kind is None:
            wanted = [(str(n), _l("%(n)s stars", n=n)) for n in range(5, 0, -1)]
        else:
            wanted = groups.items(kind, found)
        return groups.filled(wanted, found, {"customers": 0})

    def words(self, ask: Ask, keys: Iterable[str]) -> Mapping[str, Any]:
        return groups.words(keys, DIMENSIONS[ask.values["by"]][2])

    def rows(self, ask: Ask, column: Column) -> Any:
        return _active(
            ask,
            Customer.number.label("number"),
            Customer.name.label("name"),
            Customer.owner_id.label("owner_id"),
            Customer.registered_on.label("day"),
            sa.literal(1).label("amount"),
        ).order_by(Customer.name, Customer.id)

    def charts(self, ask: Ask, table: Table, rows_url: Callable[[str, str], str | None]) -> list[Drawing]:
        lines = [line for line in table.lines if line.values["customers"]]
        if not lines:
            return []
        label = str(_l("Active customers by group"))
        total = table.total.values["customers"]
        if len(lines) <= RING:
            lines = table.lines if len(table.lines) <= RING else lines
            parts = tuple((str(line.label), line.values["customers"]) for line in lines)
            links = tuple(rows_url(line.key, "customers") for line in lines)
            ring = drawn(charts.donut, parts, label=label, hrefs=links)
            middle = (f"{total:,}", ngettext("customer", "customers", total))
            return [
                Drawing(self.title, ring, ring, [f"{line.label} {line.values['share']}%" for line in lines], middle)
            ]
        bars = alone(
            charts.hbar, tuple(str(line.label) for line in lines), tuple(line.values["customers"] for line in lines),
            label=label, hrefs=tuple(rows_url(line.key, "customers") for line in lines),
        )  # fmt: skip
        return [Drawing(self.title, *bars)]


def _active(ask: Ask, *columns: Any) -> sa.Select[Any]:
    """`line` of every customer in the report, and these columns.

    Of an instant that is past: whoever was registered and not lost then, with the values of then. Who is lost without a
    churn case was so ever since.
    """
    by, kind = DIMENSIONS[ask.values["by"]][1:]
    if not ask.span.is_over(today()):
        line = groups.key_of(by).label("line")
        return sa.select(line, *columns).where(ask.customers, Customer.status == CustomerStatus.active)
    known = None if kind is None else set(db.session.execute(_items(kind)).scalars())
    changed = values_at(by, (ask.span.end,), known)
    lost_later = sa.select(ChurnCase.customer_id).where(ChurnCase.lost_at >= ask.span.end)
    was_lost = sa.select(ChurnCase.customer_id).where(lost_at(ask.span, end=True))
    return (
        sa.select(groups.key_of(value_at(by, changed.c.at_0)).label("line"), *columns)
        .select_from(Customer)
        .outerjoin(changed, changed.c.id == Customer.id)
        .where(
            ask.customers,
            Customer.registered_on < ask.span.until,
            Customer.id.not_in(was_lost),
            sa.or_(Customer.status == CustomerStatus.active, Customer.id.in_(lost_later)),
        )
    )


def _items(kind: DictionaryType) -> sa.Select[Any]:
    return sa.select(DictionaryItem.id).where(DictionaryItem.type == kind)
