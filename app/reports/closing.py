"""Closed months: the company's figures of a month stay as they were reported; what changed since stands beside.

Kept are the whole company's figures in every grouping a report offers, with the other filters as nobody touched them.
Everything else (a manager's own figures, a quarter, another filter) is counted anew whenever it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import User

from app.core.clock import local, utcnow
from app.core.personal import GONE
from app.core.unit import unit_of_work
from app.extensions import db
from app.notices.operations import insert
from app.reports.catalogue import REPORTS
from app.reports.models import ReportClose
from app.reports.period import Period, month_of
from app.reports.report import GROUPING, LINES, TOTAL, Ask, Column, Line, Report, Table, in_order, zero

KEPT = 500  # lines of a long report; its total is of all lines


# -- closing ------------------------------------------------------------------------------------------------------


def close(month: Period, *, by: User | None = None, at: datetime | None = None) -> int:
    """Keep every report's figures of a month as they are now; `by` is nobody when the schedule does it.

    `at` is when it is closed (default: now).

    A report that is closed for this month already stays as it is; what was not kept of it then is kept as of now.
    Returns of how many reports something was kept. Commits table by table, so that reading does not hold up others.
    Raises `ValueError` for anything but a month that is over.
    """
    now = at or utcnow()
    if month.months != 1 or not month.is_over(local(now).date()):
        raise ValueError(f"not a month that is over: {month.code}")
    closed = 0
    for report in REPORTS:
        if report.timed:
            each = [_asked(report, month, grouping) for grouping in report.groupings]
            kept = [_close(ask, by, now) for ask in each if not _found(ask)]
            closed += any(kept)
    return closed


def _close(ask: Ask, by: User | None, now: datetime) -> bool:
    """Keep a month's table in one grouping; whether it was not there yet."""
    month, table = ask.span.first, packed(ask)
    with unit_of_work():
        row = insert(ReportClose).values(
            report=ask.kept_as, month=month, closed_at=now, closed_by_id=by.id if by else None, table=table
        )
        kept = row.on_conflict_do_nothing(index_elements=["report", "month"]).returning(ReportClose.id)
        return db.session.execute(kept).scalar_one_or_none() is not None


def _asked(report: Report, month: Period, grouping: str) -> Ask:
    """The whole company's question that is kept."""
    return replace(report.ask({GROUPING: grouping}), period=month, company=True)


def month_to_close(now: datetime) -> Period:
    """The month before the one this instant lies in, on the company's calendar."""
    return month_of(local(now).date()).before


def packed(ask: Ask) -> dict[str, Any]:
    """The answer as JSON keeps it. Reads only.

    Of a long report the first 500 lines that are not all nothing; `whole` says whether those are all there are.
    """
    long = ask.report.count(ask) is not None
    table = ask.report.table(ask, most=KEPT + 1, compare=False)
    lines = [line for line in table.lines if not long or _counts(table.columns, line)]
    first = lines[:KEPT] if long else lines
    return {
        "total": _packed(table.total.values),
        "lines": [
            {"key": line.key, "label": str(line.label), "sub": line.sub, "values": _packed(line.values)}
            for line in first
        ],
        "whole": len(first) == len(lines),
    }


def _counts(columns: Sequence[Column], line: Line) -> bool:
    """Whether a line is more than nothing."""
    return any(line.values.get(column.key) for column in columns if column.adds_up and not column.hidden)


def _packed(value: Any) -> Any:
    """A value as JSON can keep it; amounts to the last digit."""
    if isinstance(value, Decimal):
        return {"$": str(value)}
    if isinstance(value, Mapping):
        return {str(key): _packed(one) for key, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_packed(one) for one in value]
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


def _unpacked(value: Any) -> Any:
    """What was packed, with tuples for lists: charts ask for what cannot change."""
    if isinstance(value, list):
        return tuple(_unpacked(one) for one in value)
    if not isinstance(value, dict):
        return value
    if value.keys() == {"$"}:
        return Decimal(value["$"])
    return {key: _unpacked(one) for key, one in value.items()}


def forget_manager(user: User, names: list[str]) -> None:
    """Take an erased person's name off his line of the kept tables that have one for each manager. Flushes."""
    for kept in db.session.execute(sa.select(ReportClose).execution_options(yield_per=50)).scalars():
        his = [line["key"] == str(user.id) and line["label"] in names for line in kept.table["lines"]]
        if any(his):
            lines = [{**line, "label": GONE} if his[n] else line for n, line in enumerate(kept.table["lines"])]
            kept.table = {**kept.table, "lines": lines}
    db.session.flush()


# -- showing ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kept:
    """A closed month of one report."""

    at: datetime
    table: Mapping[str, Any]

    @cached_property
    def total(self) -> Line:
        """What all lines came to."""
        return Line(TOTAL, "", _unpacked(self.table["total"]))

    @cached_property
    def lines(self) -> dict[str, Line]:
        """The lines that are kept, in the order of then."""
        return {
            one["key"]: Line(one["key"], one["label"], _unpacked(one["values"]), sub=one["sub"])
            for one in self.table["lines"]
        }

    @property
    def whole(self) -> bool:
        """Whether every line is kept that was not all nothing."""
        return bool(self.table["whole"])


def kept_of(ask: Ask) -> Kept | None:
    """What is kept of what is asked; None for a month that is open, and for everything that no month keeps."""
    return _found(ask) if _may_be_kept(ask) else None


def table_of(ask: Ask, *, first: int = 0, most: int | None = LINES) -> Table:
    """The answer as readers are shown it: of a closed month what was reported, with today's figure beside it where
    that differs (`Line.now`). The month before, which it is compared with, is as it was reported too. What is counted
    anew although months in it are closed says so (`Table.recounted`)."""
    kept = kept_of(ask)
    if kept is None:
        closed, reachable = _closed_in(ask)
        table = replace(ask.report.table(ask, first=first, most=most), recounted=reachable, unkept=closed - reachable)
    else:
        table = _as_reported(ask, kept, first, most)
    if not table.total.before or ask.period is None or (earlier := kept_of(ask.at(ask.period.before))) is None:
        return table
    table = replace(table, total=replace(table.total, before=earlier.total.values))
    return _compared(ask, table, earlier) if ask.report.same_lines(ask, ask.at(ask.period.before)) else table


def first_lines(ask: Ask, number: int) -> list[Line]:
    """The first lines of the answer, whatever page of it is read: what its charts draw."""
    kept = kept_of(ask)
    return ask.report.lines(ask, most=number) if kept is None else list(kept.lines.values())[:number]


def _closed_in(ask: Ask) -> tuple[int, int]:
    """How many months of what is asked are closed, and in how many of them the reader finds these very figures as they
    were reported; of figures as of a day only the month that ends with it counts."""
    if not ask.report.timed:
        return 0, 0
    month = ReportClose.month
    reachable = sa.func.count(sa.case((ReportClose.report == ask.kept_as, month)).distinct())
    closed = sa.select(sa.func.count(month.distinct()), reachable if ask.everybody else sa.literal(0)).where(
        ReportClose.report.in_({ask.report.id, ask.kept_as})
    )
    if ask.period is not None:
        first = ask.period.last.first if ask.report.at_end else ask.period.first
        until = ask.period.until.replace(day=1)  # whole months only
        closed = closed.where(ReportClose.month >= first, ReportClose.month < until)
    number, found = db.session.execute(closed).one()
    return number, found


def closed_since(first: Mapping[str, date]) -> int:
    """How many months are closed of reports (id -> a day: the month it lies in, and those after it)."""
    which = [sa.and_(ReportClose.report == id, ReportClose.month >= day.replace(day=1)) for id, day in first.items()]
    closed = sa.select(sa.func.count(ReportClose.month.distinct())).where(sa.or_(sa.false(), *which))
    return int(db.session.execute(closed).scalar_one())


def label_of(ask: Ask, key: str) -> str | None:
    """What a line of a closed month, or of the one before, was called that is gone since; None if they have none of
    this key."""
    for one in (ask, ask.at(ask.period.before)) if ask.period is not None else ():
        kept = kept_of(one)
        if kept is not None and key in kept.lines:
            (line,) = _called(one, {key: kept.lines[key]}).values()
            return str(line.label)
    return None


def reported(ask: Ask, column: Column, key: str, *, today: Any) -> tuple[Any, datetime] | None:
    """What a closed month reported in a cell, and when, if the rows behind it come to something else `today`."""
    kept = kept_of(ask)
    if kept is None or (key != TOTAL and key not in kept.lines and not kept.whole):
        return None
    line = kept.total if key == TOTAL else kept.lines.get(key)
    if column.hidden and (line is None or column.key not in line.values):
        return None  # only what readers saw was reported
    was = line.values.get(column.key) if line is not None else None
    was = zero([column], column.key) if was is None else was
    return (was, kept.at) if was != today else None


def _may_be_kept(ask: Ask) -> bool:
    return ask.period is not None and ask.period.months == 1 and ask.everybody


def _found(ask: Ask) -> Kept | None:
    row = db.session.execute(
        sa.select(ReportClose.closed_at, ReportClose.table).where(
            ReportClose.report == ask.kept_as, ReportClose.month == ask.span.first
        )
    ).one_or_none()
    return None if row is None else Kept(row.closed_at, row.table)


def _as_reported(ask: Ask, kept: Kept, first: int, most: int | None) -> Table:
    """The lines as they were reported, in the order of then; after them those that are new since."""
    report = ask.report
    # So many that those which are not kept can be told by their place, whatever rank the kept ones have today.
    live = report.table(ask, most=None if most is None else first + most + len(kept.lines))
    today = {line.key: line for line in live.lines}
    missing = [key for key in kept.lines if key not in today]
    gone = len(missing)
    if missing and live.count > len(live.lines):  # of a long report they may have fallen far behind
        today.update({line.key: line for line in report.of_keys(ask, missing, live.total)})
        gone = sum(key not in today for key in missing)
    then = {**kept.lines, **_called(ask, {key: kept.lines[key] for key in missing})}
    lines = [_beside(live.columns, line, today.get(key)) for key, line in then.items()]
    for line in live.lines:
        if line.key not in kept.lines:
            new = kept.whole and _counts(live.columns, line)
            lines.append(_beside(live.columns, replace(line, values={}), line) if new else line)
    long = report.count(ask) is not None
    lines = lines[first : None if most is None else first + most] if long else in_order(lines)
    total = _beside(live.columns, kept.total, live.total)
    return Table(live.columns, lines, total, live.count + gone, kept.at, None if kept.whole else len(kept.lines))


def _beside(columns: Sequence[Column], kept: Line, today: Line | None) -> Line:
    """A kept line with what is counted today where that differs; a line without today's is gone: nothing is counted.

    What was not kept (the line or the column is new since) was reported as nothing. Shares, too, are today's where they
    differ, of a line that did not change itself: else those of today would not add up.
    """
    live = today.values if today is not None else {}
    there_is = [column for column in columns if today is None or column.key in live]
    nothing = _nothing(there_is)
    if today is None:
        live = nothing
    values, now = {**live, **nothing, **kept.values}, {}
    for column in there_is:
        key, there = column.key, live.get(column.key)
        if column.kind == "text" and there is not None and not isinstance(there, str):
            values[key] = there  # words in the reader's language, no figure
        elif there is None and column.adds_up and values[key] is not None:
            there = zero(columns, key)
        if values[key] != there:
            now[key] = there
    label = today.label if today is not None and str(today.label) else kept.label
    return Line(kept.key, label, values, today.before if today is not None else {}, now, kept.sub)


def _called(ask: Ask, kept: dict[str, Line]) -> dict[str, Line]:
    """Kept lines that are not there today, as the reader calls them: names are those of then, words his own."""
    words = ask.report.words(ask, kept)
    return {key: replace(line, label=words.get(key, line.label)) for key, line in kept.items()}


def _nothing(columns: Sequence[Column]) -> dict[str, Any]:
    def of(column: Column) -> Any:
        if column.adds_up:
            return zero(columns, column.key)
        if column.of is None or column.of[0] != column.of[1]:
            return None
        return Decimal("0.0") if column.kind == "share" else Decimal("0.00")  # its share of a whole

    return {column.key: of(column) for column in columns}


def _compared(ask: Ask, table: Table, earlier: Kept) -> Table:
    """Each line beside what was reported of it a month earlier, those that are gone since too; of a long report what
    is not kept of then is counted."""
    none = {} if ask.report.by_time(ask) else _nothing(table.columns)
    lines, gone = [], dict(earlier.lines)
    for line in table.lines:
        kept = gone.pop(line.key, None)
        before = kept.values if kept is not None else none if earlier.whole else line.before
        lines.append(replace(line, before=before))
    if ask.report.stock or not earlier.whole or table.count > len(lines):
        return replace(table, lines=lines)
    lines += [replace(line, values=none, before=line.values) for line in _called(ask, gone).values()]
    return replace(table, lines=in_order(lines), count=len(lines))
