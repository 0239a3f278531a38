"""A report's table, or the rows behind one figure, as a file to take away: the same figures as on the page."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from flask_babel import gettext as _

from app.core.clock import local, utcnow
from app.core.sheets import csv_bytes, xlsx_into
from app.reports import queries
from app.reports.report import Ask, Line, Rows, Table

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


def title_of(ask: Ask) -> str:
    """The report and its period, as a person says them."""
    return " ".join(filter(None, [str(ask.report.title), ask.period.label if ask.period else ""]))


def note_of(ask: Ask, kind: str, sheet: Sheet) -> str:
    """What is written down about an export: the report with its filters, the kind of file, how many rows."""
    return f"{ask.report.id}?{'&'.join(f'{k}={v}' for k, v in ask.args.items())} {kind} {len(sheet.rows)}"


def facts_of(ask: Ask) -> list[str]:
    """The filters and when it was made, as the head of a file and of a printed page says them."""
    told = []
    if ask.report.timed:
        told.append(f"{_('Time span')}: {ask.period.label if ask.period else _('All years')}")
    told += filters_of(ask)
    told.append(f"{_('Made at')}: {local(utcnow()):%Y-%m-%d %H:%M}")
    return told


def filters_of(ask: Ask) -> list[str]:
    """The filters that are set, in words."""
    told = [] if ask.team is None else [f"{_('Team')}: {queries.teams()[ask.team]}"]
    for one in ask.report.filters:
        value = ask.values[one.key]
        if value:
            told.append(f"{one.label}: {one.words(value)}")
    return told


def sheet_of(ask: Ask, table: Table) -> Sheet:
    """The table as the page shows it: every line, what it was before, the total last.

    Of a closed month the figures as reported, and in columns of their own those of today where any differs.
    """
    shown, all_lines = table.shown, [*table.lines, table.total]
    differing = [c for c in shown if any(c.key in line.now for line in all_lines)]
    compared = [c for c in shown if c.kind not in ("text", "percent")] if table.total.before else []
    earlier = ask.period.before.label if ask.period else ""
    numbered = any(line.sub for line in table.lines)
    head = [
        *([_("Number")] if numbered else []),
        str(ask.report.line_label),
        *(_("%(column)s (reported)", column=c.label) if c in differing else str(c.label) for c in shown),
        *(_("%(column)s (now)", column=c.label) for c in differing),
        *(f"{c.label} {earlier}" for c in compared),
    ]
    kinds = [_KINDS.get(c.kind, "text") for c in [*shown, *differing, *compared]]
    kinds = [*(["text"] if numbered else []), "text", *kinds]

    def row(line: Line, label: str) -> list[Any]:
        now = {**line.values, **line.now}
        return [
            *([line.sub] if numbered else []),
            label,
            *(line.values.get(c.key) for c in shown),
            *(now.get(c.key) for c in differing),
            *(line.before.get(c.key) for c in compared),
        ]

    rows = [row(line, str(line.label)) for line in table.lines]
    if table.count > len(rows):
        rows.append(_left_out(table.count - len(rows), len(head), 1 if numbered else 0))
    if table.total.values:
        rows.append(row(table.total, _("Total")))
    facts = facts_of(ask)
    if table.closed_at:
        facts.insert(-1, _("Closed, as reported on %(day)s", day=f"{local(table.closed_at):%Y-%m-%d}"))
    elif table.recounted:
        facts.insert(-1, table.counted_anew)
    return Sheet(str(ask.report.title), facts, head, kinds, rows)


def rows_sheet(ask: Ask, rows: Rows, label: str) -> Sheet:
    """The rows behind one figure."""
    head = [_("Number"), _("Name"), _("Owner"), _("Date")]
    kinds = ["text", "text", "text", "time"]
    if rows.is_sum:
        head.append(str(rows.column.label))
        kinds.append(_KINDS.get(rows.column.kind, "count"))
    body = [[r.number, r.name, r.owner, r.day, *([r.amount] if rows.is_sum else [])] for r in rows.rows]
    if rows.count > len(body):
        body.append(_left_out(rows.count - len(body), len(head), 1))
    return Sheet(f"{ask.report.title} · {label} · {rows.column.label}", facts_of(ask), head, kinds, body)


def _left_out(number: int, width: int, place: int) -> list[Any]:
    """The row that says, in the column of the words, how many are not in the file."""
    said = _("Not in this file: %(number)s more lines. A file holds at most %(most)s.", number=number, most=MOST)
    return [said if n == place else None for n in range(width)]
