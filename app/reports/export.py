"""A report's table, or the rows behind one figure, as a file to take away: the same figures as on the page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask_babel import gettext as _

from app.core.clock import local, utcnow
from app.core.sheets import csv_bytes, xlsx_into
from app.reports.report import Ask, Column, Line, Rows, Table

MOST = 100_000  # lines of a file; Excel itself ends at a million
MIME = {"csv": "text/csv; charset=utf-8", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}
_KINDS = {
    "count": "count", "days": "count", "number": "count", "money": "money", "share": "percent", "rate": "percent",
    "percent": "percent", "mean": "mean",
}  # fmt: skip


@dataclass(frozen=True)
class Sheet:
    """What a file holds: a title, a few facts, the head and the rows."""

    title: str
    facts: list[str]
    head: list[str]
    kinds: list[str]
    rows: list[list[Any]]

    def file(self, kind: str) -> bytes:
        """As csv or xlsx."""
        if kind == "csv":
            return csv_bytes(self.head, self.rows)
        out = io.BytesIO()
        xlsx_into(out, title=self.title, facts=self.facts, head=self.head, kinds=self.kinds, rows=self.rows)
        return out.getvalue()


def file_name(ask: Ask, kind: str, what: str = "") -> str:
    """What the file is called, in the reader's language: 客户贡献-2026年.xlsx."""
    parts = [str(ask.report.title), what, ask.period.label if ask.period else ""]
    name = "-".join(part for part in parts if part)
    return "".join(c if c.isalnum() or c in " -_.·（）()" else " " for c in name).strip()[:100] + f".{kind}"


def facts_of(ask: Ask) -> list[str]:
    """The filters and when it was made, as the head of a file and of a printed page says them."""
    told = []
    if ask.report.timed:
        told.append(f"{_('Period')}: {ask.period.label if ask.period else _('All years')}")
    for one in ask.report.filters:
        value = ask.values[one.key]
        if value:
            words = value if one.options is None else dict(one.options()).get(value, value)
            told.append(f"{one.label}: {words}")
    told.append(f"{_('Made at')}: {local(utcnow()):%Y-%m-%d %H:%M}")
    return told


def sheet_of(ask: Ask, table: Table) -> Sheet:
    """The table as the page shows it: every line, what it was before, the total last."""
    shown = table.shown
    compared = [c for c in shown if c.kind not in ("text", "percent")] if table.total.before else []
    earlier = ask.period.before.label if ask.period else ""
    head = [str(ask.report.line_label), *(str(c.label) for c in shown), *(f"{c.label} {earlier}" for c in compared)]
    kinds = ["text", *(_KINDS.get(c.kind, "text") for c in [*shown, *compared])]
    rows = [_row(line, str(line.label), shown, compared) for line in table.lines]
    if table.total.values:
        rows.append(_row(table.total, _("Total"), shown, compared))
    return Sheet(str(ask.report.title), facts_of(ask), head, kinds, rows)


def _row(line: Line, label: str, shown: Sequence[Column], compared: Sequence[Column]) -> list[Any]:
    return [label, *(line.values.get(c.key) for c in shown), *(line.before.get(c.key) for c in compared)]


def rows_sheet(ask: Ask, rows: Rows, label: str) -> Sheet:
    """The rows behind one figure."""
    head = [_("Number"), _("Name"), _("Owner"), _("Date")]
    kinds = ["text", "text", "text", "time"]
    if rows.is_sum:
        head.append(str(rows.column.label))
        kinds.append(_KINDS.get(rows.column.kind, "count"))
    body = [[r.number, r.name, r.owner, r.day, *([r.amount] if rows.is_sum else [])] for r in rows.rows]
    return Sheet(f"{ask.report.title} · {label} · {rows.column.label}", facts_of(ask), head, kinds, body)
