"""客户构成分析: number and share of active customers by one of their properties."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from app.core.scope import row_id
from app.customers.models import Customer, CustomerStatus
from app.extensions import db
from app.masterdata.models import DictionaryItem, DictionaryType
from app.reports import charts
from app.reports.drawing import Drawing, alone, drawn
from app.reports.report import Ask, Column, Filter, Line, Report, Table

NONE = "none"  # the key of the customers of whom it is not known
RING = 6  # parts a ring can tell apart

DIMENSIONS: dict[str, tuple[Any, Any, DictionaryType | None]] = {
    "level": (_l("Level"), Customer.level_id, DictionaryType.level),
    "credit": (_l("Credit"), Customer.credit, None),
    "satisfaction": (_l("Satisfaction"), Customer.satisfaction, None),
    "region": (_l("Region"), Customer.region_id, DictionaryType.region),
    "type": (_l("Company type"), Customer.company_type_id, DictionaryType.company_type),
    "nature": (_l("Ownership nature"), Customer.nature_id, DictionaryType.nature),
}


class Composition(Report):
    """Active customers as they are now."""

    id = "composition"
    right = "CompositionReport"
    icon = "chart-pie"
    title = _l("Customer composition")
    about = _l("Active customers by what they are.")
    line_label = _l("Group")
    timed = False
    compares = False
    filters = (
        Filter(
            "by", _l("Group by"), lambda: [(key, label) for key, (label, _c, _t) in DIMENSIONS.items()], default="level"
        ),
    )

    def columns(self, ask: Ask) -> list[Column]:
        return [
            Column("customers", _l("Customers"), "count", how=_l(
                "Active customers; lost and deleted ones are left out.")),
            Column("share", _l("Share"), "share", of=("customers", "customers"), how=_l(
                "Of all active customers; the shares add up to 100 per cent.")),
        ]  # fmt: skip

    def lines(
        self, ask: Ask, *, keys: Sequence[str] | None = None, first: int = 0, most: int | None = None
    ) -> list[Line]:
        _label, column, kind = DIMENSIONS[ask.values["by"]]
        counted = sa.select(column, sa.func.count()).where(ask.customers, Customer.status == CustomerStatus.active)
        found = {row[0]: row[1] for row in db.session.execute(counted.group_by(column))}
        lines = []
        if kind is None:
            lines = [Line(str(n), _l("%(n)s stars", n=n), {"customers": found.get(n, 0)}) for n in range(5, 0, -1)]
        else:
            items = db.session.execute(
                sa.select(DictionaryItem)
                .where(DictionaryItem.type == kind)
                .order_by(DictionaryItem.sort_order, DictionaryItem.id)
            ).scalars()
            for item in items:
                if item.active or found.get(item.id):
                    lines.append(Line(str(item.id), item.label, {"customers": found.get(item.id, 0)}))
        if found.get(None):
            lines.append(Line(NONE, _l("Not known"), {"customers": found[None]}))
        return lines

    def rows(self, ask: Ask, column: Column) -> Any:
        by = DIMENSIONS[ask.values["by"]][1]
        return (
            sa.select(
                sa.func.coalesce(sa.cast(by, sa.String), NONE).label("line"),
                Customer.number.label("number"),
                Customer.name.label("name"),
                Customer.owner_id.label("owner_id"),
                Customer.registered_on.label("day"),
                sa.literal(1).label("amount"),
            )
            .where(ask.customers, Customer.status == CustomerStatus.active)
            .order_by(Customer.name, Customer.id)
        )

    def of_line(self, ask: Ask, rows: Any, key: str) -> Any:
        by = DIMENSIONS[ask.values["by"]][1]
        return rows.where(by.is_(None) if key == NONE else by == (row_id(key) or 0))

    def charts(self, ask: Ask, table: Table, rows_url: Callable[[str, str], str | None]) -> list[Drawing]:
        lines = [line for line in table.lines if line.values["customers"]]
        if not lines:
            return []
        label = str(_l("Active customers by group"))
        total = table.total.values["customers"]
        if len(lines) <= RING:
            parts = tuple((str(line.label), line.values["customers"]) for line in table.lines)
            links = tuple(rows_url(line.key, "customers") for line in table.lines)
            ring = drawn(charts.donut, parts, label=label, hrefs=links)
            middle = (f"{total:,}", ngettext("customer", "customers", total))
            return [
                Drawing(
                    self.title, ring, ring, [f"{line.label} {line.values['share']}%" for line in table.lines], middle
                )
            ]
        bars = alone(
            charts.hbar, tuple(str(line.label) for line in lines), tuple(line.values["customers"] for line in lines),
            label=label, hrefs=tuple(rows_url(line.key, "customers") for line in lines),
        )  # fmt: skip
        return [Drawing(self.title, *bars)]
