"""A report's table, or the rows behind one figure, as a file to take away: the same figures as on the page."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _

from app.core.clock import local, utcnow
from app.core.sheets import csv_bytes, xlsx_into
from app.reports import access, queries
from app.reports.report import Ask, Column, Line, Rows, Table

CENT = Decimal("0.01")
MOST = 100_000  # lines of a file; Excel itself ends at a million
IN_NAMES = " -_.·（）()"  # besides letters and digits: what no file system takes for anything else
LONGEST_NAME = 200  # bytes without the ending: file systems keep 255, and whoever saves it twice adds to it
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


def file_name(ask: Ask, kind: str, *what: str) -> str:
    """What the file is called, in the reader's language: 客户贡献-2026年-全公司-付款情况 仅已付款.xlsx; `what` are the
    line and the column of one figure. A CSV says nowhere else whose figures it holds, and of what."""
    chosen = [(one, ask.values[one.key]) for one in ask.report.filters if ask.values[one.key] != one.default]
    filters = [f"{one.label} {one.words(value)}" for one, value in chosen]
    parts = [str(ask.report.title), *what, ask.period.label if ask.period else "", whose(ask), *filters]
    told = [" ".join("".join(c if c.isalnum() or c in IN_NAMES else " " for c in part).split()) for part in parts]
    return "-".join(_short([part for part in told if part])) + f".{kind}"


def _short(parts: list[str]) -> list[str]:
    """The parts of a name, the longest ones cut until all of them fit."""
    while len("-".join(parts).encode()) > LONGEST_NAME:
        longest = max(range(len(parts)), key=lambda n: len(parts[n].encode()))
        parts[longest] = parts[longest][:-1].rstrip()
    return parts


def title_of(ask: Ask) -> str:
    """The report and its period, as a person says them."""
    return " ".join(filter(None, [str(ask.report.title), ask.period.label if ask.period else ""]))


def whose(ask: Ask) -> str:
    """Whose figures they are: the company's, a team's, or those of the reader, by name."""
    if ask.team is not None:
        return queries.teams()[ask.team]
    return str(_("The whole company")) if ask.sees_all else access.reader_name()


def note_of(ask: Ask, kind: str, sheet: Sheet, *, where: Mapping[str, str] | None = None, mailed: bool = False) -> str:
    """What is written down about an export: the report with its filters, `where` the figure stands whose rows these
    are, the kind of file, how many rows, and whether it went by mail."""
    args = "&".join(f"{name}={value}" for name, value in {**ask.args, **(where or {})}.items())
    return f"{ask.report.id}?{args} {kind} {len(sheet.rows)}{' mail' if mailed else ''}"


def facts_of(ask: Ask) -> list[str]:
    """Whose figures they are, the filters and when it was made, as the head of a file and of a printed page says it."""
    told = []
    if ask.team is None:  # which is among the filters
        own = _("Own customers and opportunities of %(name)s", name=whose(ask))
        told.append(_("Figures of: %(whose)s", whose=whose(ask)) if ask.sees_all else own)
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
    """The table as the page shows it: every line, what it was before, the total last; beside each figure that says
    of how many it is, that number.

    Of a closed month the figures as reported, and in columns of their own those of today where any differs. Of lines
    that were not kept one by one only today's are known; a line says what was reported of them together.
    """
    shown, all_lines = with_numbers(table.shown), [*table.lines, table.total]
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

    def row(line: Line, label: str, *, reported: bool = True) -> list[Any]:
        now = {**line.values, **line.now}
        return [
            *([line.sub] if numbered else []),
            label,
            *(_cell(c, line.values) if reported or c not in differing else None for c in shown),
            *(_cell(c, now) for c in differing),
            *(_cell(c, line.before) for c in compared),
        ]

    kept = len(table.lines) if table.kept is None or not differing else table.kept
    rows = [row(line, str(line.label)) for line in table.lines[:kept]]
    if kept < len(table.lines):
        rows += [row(line, str(line.label), reported=False) for line in table.lines[kept:]]
        rest = Line("", "", _rest(differing, table.lines[:kept], table.total))
        others = [_cell(c, rest.values) if c in differing else None for c in shown]
        rows.append([*([None] if numbered else []), _("All other lines, as reported"), *others])
        rows[-1] += [None] * (len(head) - len(rows[-1]))
    if table.count > len(table.lines):
        rows.append(_left_out(table.count - len(table.lines), len(head), 1 if numbered else 0))
    if table.total.values:
        rows.append(row(table.total, _("Total")))
    facts = facts_of(ask)
    if table.closed_at:
        facts.insert(-1, _("Closed, as reported on %(day)s", day=f"{local(table.closed_at):%Y-%m-%d}"))
        if table.kept is not None:
            facts.insert(
                -1, _("The first %(num)s lines were kept; those after them are counted today.", num=table.kept)
            )
    elif table.counted_anew:
        facts.insert(-1, table.counted_anew)
    return Sheet(str(ask.report.title), facts, head, kinds, rows)


def with_numbers(columns: list[Column]) -> list[Column]:
    """The columns, and after each that says of how many it is a column of that number."""
    told = []
    for column in columns:
        told.append(column)
        if column.n_of:
            told.append(Column(column.n_of, _("%(column)s: n", column=column.label), "count"))
    return told


def _cell(column: Column, values: Mapping[str, Any]) -> Any:
    """What a file says in a column: amounts to the cent, of a hidden rate that it is hidden."""
    value = values.get(column.key)
    if value is None and column.least and column.of and values.get(column.of[1]) is not None:
        return _("hidden, n is below %(least)s", least=column.least)
    return _money(value) if column.kind == "money" else value


def _money(amount: Any) -> Any:
    return amount if amount is None else Decimal(amount).quantize(CENT)


def _rest(columns: Sequence[Column], lines: Sequence[Line], total: Line) -> dict[str, Any]:
    """What is left of the total without these lines, of what adds up."""
    added = [c.key for c in columns if c.adds_up or (c.of is not None and c.of[0] == c.of[1])]
    return {key: total.values[key] - sum(line.values[key] for line in lines) for key in added if key in total.values}


def rows_sheet(ask: Ask, rows: Rows, label: str) -> Sheet:
    """The rows behind one figure."""
    head = [_("Number"), _("Name"), _("Owner"), _("Date")]
    kinds = ["text", "text", "text", "time"]
    if rows.is_sum:
        head.append(str(rows.column.label))
        kinds.append(_KINDS.get(rows.column.kind, "count"))
    amount = _money if rows.column.kind == "money" else lambda value: value
    body = [[r.number, r.name, r.owner, r.day, *([amount(r.amount)] if rows.is_sum else [])] for r in rows.rows]
    if rows.count > len(body):
        body.append(_left_out(rows.count - len(body), len(head), 1))
    return Sheet(f"{ask.report.title} · {label} · {rows.column.label}", facts_of(ask), head, kinds, body)


def _left_out(number: int, width: int, place: int) -> list[Any]:
    """The row that says, in the column of the words, how many are not in the file."""
    said = _("Not in this file: %(number)s more lines. A file holds at most %(most)s.", number=number, most=MOST)
    return [said if n == place else None for n in range(width)]
