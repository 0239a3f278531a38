"""What a report is: a question with filters, figures in lines and columns, and for every figure the rows behind it.

A report is one file in kinds/: its columns with the words of how each is counted, the statements of its lines, and one
statement that gives the rows of a figure. Pages, comparison, drill-down, export, print, closed months and mails come
from here and are the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar

import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import User
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from app.core.choosing import Choices
from app.core.clock import today
from app.core.scope import row_id
from app.extensions import db
from app.reports import access, period, queries
from app.reports.figures import ratio, shares
from app.reports.period import Period
from app.reports.planner import read_much

LINES = 100  # of one page; a report of fewer lines is shown whole
GROUPING = "by"  # the filter that says what the lines are; it leaves nothing out
TOTAL = "total"  # the key of the line that sums the others up
LAST = ("none", "none-acted")  # keys of the lines that come after the others: of no group, and to compare with


@dataclass(frozen=True)
class Column:
    """One figure of every line.

    `kind`: count, money, days, number (which add up); text, percent (shown as they are); share, rate, mean (worked out
    from two others). `of` is what and of what it is worked out; the rows of the first are its own. Rows behind a
    figure: as many as a count says; amounts that add up to money, days or a number. `how` is the sentence that says how
    it is counted. `hidden` columns only feed others. `least`: below so many a rate is not shown. `good`: whether more
    is better (True), worse (False) or neither (None).
    """

    key: str
    label: Any
    kind: str
    how: Any = ""
    of: tuple[str, str] | None = None
    hidden: bool = False
    least: int = 0
    good: bool | None = None
    n: str = ""

    @property
    def n_of(self) -> str:
        """The column that says of how many it is: for a rate that may be hidden what it is a part of."""
        return self.of[1] if self.least and self.of is not None else self.n

    @property
    def adds_up(self) -> bool:
        """Whether it is a number of its own, with rows behind it."""
        return self.kind in ("count", "money", "days", "number")


@dataclass(frozen=True)
class Line:
    """One line of figures: the key that an address names it by, its label, column key -> value."""

    key: str
    label: Any
    values: dict[str, Any]
    before: dict[str, Any] = field(default_factory=dict)
    now: dict[str, Any] = field(default_factory=dict)
    """Of a closed month: what is counted today where that differs from what was reported."""
    sub: str = ""
    """What tells it apart from others of the same label: a customer's number."""


@dataclass(frozen=True)
class Table:
    """A report's answer: the lines of this page, their sum over all lines, how many lines there are."""

    columns: list[Column]
    lines: list[Line]
    total: Line
    count: int
    closed_at: Any = None
    kept: int | None = None
    """Of a closed month with more lines than are kept: how many of them are as they were reported."""
    recounted: int = 0
    """Closed months in the period, the figures of which are counted anew here though they were kept."""
    unkept: int = 0
    """Closed months in the period of which such figures were never kept."""

    @property
    def counted_anew(self) -> str:
        """The sentences that say so."""
        told = []
        if self.recounted:
            told.append(
                ngettext(
                    "%(num)d month in it is closed: what the company reported then stands in the report of that month. "
                    "Here everything is counted as of today.",
                    "%(num)d months in it are closed: what the company reported then stands in the reports of those "
                    "months. Here everything is counted as of today.",
                    self.recounted,
                )
            )
        if self.unkept:
            told.append(
                ngettext(
                    "%(num)d month in it is closed, but figures like these were not kept. They are counted as of "
                    "today.",
                    "%(num)d months in it are closed, but figures like these were not kept. They are counted as of "
                    "today.",
                    self.unkept,
                )
            )
        return " ".join(told)

    @property
    def shown(self) -> list[Column]:
        """The columns a reader sees."""
        return [column for column in self.columns if not column.hidden]

    def column(self, key: str) -> Column:
        """The column of this key. Raises `KeyError`."""
        return {column.key: column for column in self.columns}[key]


@dataclass(frozen=True)
class Filter:
    """One thing a reader may narrow a report by. `options` gives (code, label); `choices` the records it may be, of
    which a long list is searched on the server instead of being shown; without either it is free text."""

    key: str
    label: Any
    options: Callable[[], Sequence[tuple[str, Any]]] | None = None
    default: str = ""
    empty: Any = None  # what the empty choice says; None: one must be chosen
    choices: Callable[[], Choices] | None = None
    besides: Sequence[tuple[str, Any]] = ()  # (code, label) of what may be asked for beside the choices

    def read(self, given: str) -> str:
        """What was given if it is offered, else the default."""
        if given == self.default or given in dict(self.besides):
            return given
        if self.choices is not None:
            found = self.choices().find(given)
            return self.default if found is None else str(found.id)
        if self.options is None:
            return " ".join(given.replace("\x00", "").split())[:100]
        known = {code for code, _label in self.options()}
        return given if given in known or (given == "" and self.empty is not None) else self.default

    def offered(self) -> Sequence[tuple[str, Any]] | None:
        """(code, label) of what may be chosen; None for what is typed, be it to search in a long list."""
        if self.choices is None:
            return None if self.options is None else self.options()
        choices = self.choices()
        few = choices.few()
        return None if few is None else [*((str(row.id), choices.text(row)) for row in few), *self.besides]

    def words(self, value: str) -> Any:
        """What a value that was read is called."""
        if value in dict(self.besides):
            return dict(self.besides)[value]
        if self.choices is not None:
            choices = self.choices()
            found = choices.find(value)
            return value if found is None else choices.text(found)
        return value if self.options is None else dict(self.options()).get(value, value)


def manager_filter(right: str) -> Filter:
    """The filter by whoever has or had an opportunity of the report that `right` is on."""
    return Filter("manager", _l("Account manager"), empty=_l("Everybody"), choices=lambda: access.Assignees(right))


@dataclass(frozen=True)
class Ask:
    """What is asked: the report with the reader's filters. Its scopes are the signed-in reader's, or with `company`
    (nobody reads: a month is closed) the whole company's."""

    report: Report
    values: Mapping[str, str]
    period: Period | None = None
    company: bool = False
    team: int | None = None
    """The team whose figures they are, of those of everybody."""
    known: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What the report found for its lines and needs for its total once more."""

    def at(self, other: Period) -> Ask:
        """The same question about another period."""
        return replace(self, period=other)

    @property
    def span(self) -> Period:
        """Its period, of a report that always has one."""
        if self.period is None:
            raise ValueError("this report may be asked about all years")
        return self.period

    @property
    def everybody(self) -> bool:
        """Whether the whole company's figures are asked for, grouped in any way, but without any filter."""
        kept = all(self.values[f.key] == f.default for f in self.report.filters if f.key != GROUPING)
        return self.whole_company and kept

    @property
    def kept_as(self) -> str:
        """What closed months call this report in this grouping: composition, composition?by=region."""
        grouping = self.values.get(GROUPING)
        plain = grouping is None or grouping == self.report.filter(GROUPING).default
        return self.report.id if plain else f"{self.report.id}?{GROUPING}={grouping}"

    @property
    def sees_all(self) -> bool:
        """Whether the reader sees everybody's figures here."""
        return self.company or access.sees_all(self.report.right)

    @property
    def whole_company(self) -> bool:
        """Whether nobody's records are left out."""
        return self._scopes.whole

    @cached_property
    def _scopes(self) -> access.Scopes:
        return access.scopes(everybody=self.sees_all, team_id=self.team)

    @property
    def customers(self) -> sa.ColumnElement[bool]:
        """WHERE over customers."""
        return self._scopes.customers

    def of_customers(self, customer_id: Any, *wanted: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
        """WHERE over what customers have, of which this column says whose it is."""
        return self._scopes.of_customers(customer_id, *wanted)

    @property
    def opportunities(self) -> sa.ColumnElement[bool]:
        """WHERE over opportunities."""
        return self._scopes.opportunities

    @property
    def cases(self) -> sa.ColumnElement[bool]:
        """WHERE over churn cases."""
        return self._scopes.cases

    @property
    def tickets(self) -> sa.ColumnElement[bool]:
        """WHERE over tickets."""
        return self._scopes.tickets

    @cached_property
    def columns(self) -> dict[str, Column]:
        """The report's columns by their keys, asked for once."""
        return {column.key: column for column in self.report.columns(self)}

    @property
    def args(self) -> dict[str, str]:
        """What its address says."""
        given = {k: v for k, v in self.values.items() if v != self.report.filter(k).default}
        if self.report.timed:
            given["period"] = self.period.code if self.period else "all"
        if self.team is not None:
            given["team"] = str(self.team)
        return given


class Report:
    """Base of every report; one instance each, in `catalogue`."""

    id: ClassVar[str]
    right: ClassVar[str]  # the view its rights are on: can_show, can_see_all, can_export
    icon: ClassVar[str]
    title: ClassVar[Any]
    about: ClassVar[Any]  # one sentence: what it answers
    line_label: ClassVar[Any]
    filters: ClassVar[tuple[Filter, ...]] = ()
    timed: ClassVar[bool] = True  # has a period, whose closed months are kept as they were reported
    whole: ClassVar[bool] = False  # "all years" may be asked for
    days: ClassVar[bool] = False  # may be asked from any day to any other
    compares: ClassVar[bool] = True  # beside it stands the period before
    at_end: ClassVar[bool] = False  # its figures are those of the period's last day, or of now if it is not over
    stock: ClassVar[bool] = False  # its total is how it stood last, not what its lines come to

    def default_period(self) -> Period | None:
        """What is shown when nothing is asked for: this year."""
        return period.year_of(today()) if self.timed else None

    def filter(self, key: str) -> Filter:
        """The filter of this key. Raises `KeyError`."""
        return {f.key: f for f in self.filters}[key]

    @property
    def groupings(self) -> list[str]:
        """What its lines may be; one empty text if there is no choice."""
        offered = [f.offered() or () for f in self.filters if f.key == GROUPING]
        return [code for code, _label in offered[0]] if offered else [""]

    def ask(self, given: Mapping[str, str]) -> Ask:
        """The question an address asks; what it says wrong is left at its default."""
        values = {f.key: f.read(given.get(f.key, f.default)) for f in self.filters}
        team = row_id(given.get("team"))
        if team is not None and not (access.sees_all(self.right) and team in queries.teams()):
            team = None
        when = None
        if self.timed and not (self.whole and given.get("period") == "all"):
            when = self._period(given) or self.default_period()
        return Ask(self, values, when, team=team)

    def _period(self, given: Mapping[str, str]) -> Period | None:
        """The period an address names; from day to day it may also be given as two dates, `start` and `end`."""
        code = given.get("period", "")
        if not self.days:
            return period.parse(code)
        two = period.between(given.get("start", ""), given.get("end", ""))
        return two or period.parse_days(code) or period.parse(code)

    # -- what a report says of itself -------------------------------------------------------------------------

    def columns(self, ask: Ask) -> list[Column]:
        """Its columns, in order."""
        raise NotImplementedError

    def lines(
        self, ask: Ask, *, keys: Sequence[str] | None = None, first: int = 0, most: int | None = None
    ) -> list[Line]:
        """The lines in order with the values of the columns that add up: those of `keys`, or `most` from `first` on."""
        raise NotImplementedError

    def both(self, ask: Ask, earlier: Ask) -> tuple[list[Line], list[Line]]:
        """All lines, and those of the same question about the period before. Here: one after the other."""
        return self.lines(ask), self.lines(earlier)

    def of_keys(self, ask: Ask, keys: Sequence[str], total: Line) -> list[Line]:
        """Lines of a long report, with their shares of `total`, wherever they stand in it."""
        return self.lines(ask, keys=keys)

    def total(self, ask: Ask, lines: Sequence[Line]) -> dict[str, Any]:
        """What all lines come to. Here: the sum of `lines`, which are all; reports with more lines or whose lines
        overlap ask the database."""
        columns = list(ask.columns.values())
        added = [column.key for column in columns if column.adds_up]
        return {key: sum((line.values[key] or 0 for line in lines), start=zero(columns, key)) for key in added}

    def total_before(self, ask: Ask, lines: Sequence[Line]) -> dict[str, Any]:
        """What of the total of the period before stands beside this one's. Here: all of it."""
        return self.total(ask, lines)

    def count(self, ask: Ask) -> int | None:
        """How many lines there are; None: few enough to be shown whole."""
        return None

    def rows(self, ask: Ask, column: Column) -> Any:
        """The SELECT of the rows behind a column's figures in all lines, in the order they are read in.

        Columns: `line` (the key of its line, text), `number`, `name`, `owner_id`, `day` (a date or an instant) and
        `amount` (what it adds; 1 for a count).
        """
        raise NotImplementedError

    def of_line(self, ask: Ask, column: Column, rows: Any, key: str) -> Any:
        """Only the rows of one line's figure in this column."""
        found = rows.subquery()
        return sa.select(found).where(found.c.line == key).order_by(found.c.day.desc(), found.c.number)

    def of_total(self, ask: Ask, column: Column, rows: Any) -> Any:
        """The rows of the total. Here: of all lines; reports whose lines overlap say which."""
        return rows

    def label_of(self, ask: Ask, key: str) -> Any:
        """What the line of this key is called, be it one that only the period before has; None if there is none."""
        lines = {line.key: line.label for line in self.lines(ask)}
        if key not in lines and self.compares and ask.period is not None:
            lines = {line.key: line.label for line in self.lines(ask.at(ask.period.before))}
        return lines.get(key)

    def words(self, ask: Ask, keys: Iterable[str]) -> Mapping[str, Any]:
        """Key -> what its line is called, also of one that is no longer there, of those of `keys` that are called by
        words of ours or of the dictionary. Not of those called by a name: that of a customer or a person."""
        return {}

    def charts(self, ask: Ask, table: Table, rows_url: Callable[[str, str], str | None]) -> list[Any]:
        """Its charts, of the table's own numbers; `rows_url` (line, column) is where a mark leads."""
        return []

    def note(self, ask: Ask, table: Table) -> Any:
        """One sentence over the table, if there is something to say."""
        return ""

    def same_lines(self, ask: Ask, earlier: Ask) -> bool:
        """Whether a line says the same of the period and of the one before, so that both may stand side by side."""
        return True

    def by_time(self, ask: Ask) -> bool:
        """Whether its lines are the parts of the period, each beside the part at its place in the period before."""
        return ask.values.get("by") in ("month", "week")

    # -- the answer -------------------------------------------------------------------------------------------

    def table(self, ask: Ask, *, first: int = 0, most: int | None = LINES, compare: bool = True) -> Table:
        """The answer: lines, total, and what they were in the period before."""
        read_much()
        columns, count = list(ask.columns.values()), self.count(ask)
        earlier = ask.at(ask.period.before) if compare and self.compares and ask.period is not None else None
        past: list[Line] = []
        if count is not None:
            lines = self.lines(ask, first=first, most=most)
            if earlier is not None:
                past = self.lines(earlier, keys=[line.key for line in lines])
        elif earlier is not None:
            lines, past = self.both(ask, earlier)
        else:
            lines = self.lines(ask)
        total = self.total(ask, lines)
        before: dict[str, Any] = {}
        if earlier is not None:
            before = self.total_before(earlier, past)
            if self.same_lines(ask, earlier):
                lines = self.beside(ask, lines, past)
        return complete(columns, lines, Line(TOTAL, "", total, before), len(lines) if count is None else count)

    def beside(self, ask: Ask, lines: Sequence[Line], past: Sequence[Line]) -> list[Line]:
        """The lines with what they were in the period before. Lines that only it has come after the others, for what
        was then is to add up to its total: they are nothing now, and what is new was nothing then. A part of the time
        (the 14th week) that only one of both has is in the other not even nothing."""
        columns = list(ask.columns.values())
        zeros = {column.key: zero(columns, column.key) for column in columns if column.adds_up}
        now, then = (dict.fromkeys(zeros), {}) if self.by_time(ask) else (zeros, zeros)
        before, known = {line.key: line.values for line in past}, {line.key for line in lines}
        found = [replace(line, before=before.get(line.key, then)) for line in lines]
        if not self.stock:
            found += [replace(line, values=dict(now), before=line.values) for line in past if line.key not in known]
        return in_order(found)


def in_order(lines: list[Line]) -> list[Line]:
    """The lines in their order, but those of `LAST` last."""
    return sorted(lines, key=lambda line: LAST.index(line.key) + 1 if line.key in LAST else 0)


def complete(columns: list[Column], lines: list[Line], total: Line, count: int) -> Table:
    """Work out the shares, rates and means of every line and of the total, now and before.

    The shares of lines shown whole add up to exactly 100.0.
    """
    lines = [replace(line, values=dict(line.values), before=dict(line.before)) for line in lines]
    total = replace(total, values=dict(total.values), before=dict(total.before))
    for column in columns:
        if column.of is None or column.kind in ("text", "percent") or column.key in total.values:
            continue
        what, whole = column.of
        for which in ("values", "before"):
            rows = [getattr(line, which) for line in lines]
            last = getattr(total, which)
            if column.kind == "share":
                parts = [Decimal(row.get(what) or 0) for row in rows]
                scaled = [int(part * 100) for part in parts]
                told = shares(scaled) if len(lines) == count and min(scaled, default=0) >= 0 else None
                for n, row in enumerate(rows):
                    if row or which == "values":
                        row[column.key] = told[n] if told is not None else ratio(parts[n], last.get(what), 100)
                if last:
                    last[column.key] = Decimal("100.0") if last.get(what) else Decimal("0.0")
                continue
            for row in (*rows, last):
                if row:
                    times = 100 if column.kind == "rate" else 1
                    row[column.key] = ratio(row.get(what), row.get(whole), times, least=column.least)
    return Table(columns, lines, total, count)


def zero(columns: Sequence[Column], key: str) -> Any:
    """Nothing, in a column's own kind."""
    kind = next(column.kind for column in columns if column.key == key)
    return Decimal("0.00") if kind == "money" else 0


@dataclass(frozen=True)
class Row:
    """One row behind a figure."""

    number: str
    name: str
    owner: str
    day: Any
    amount: Any


@dataclass(frozen=True)
class Rows:
    """The rows behind one figure: a page of them, how many there are and what they come to."""

    column: Column
    label: Any
    rows: list[Row]
    count: int
    amount: Any

    @cached_property
    def is_sum(self) -> bool:
        """Whether amounts are added up; else rows are counted."""
        return self.column.kind != "count"


def rows_behind(ask: Ask, column: Column, key: str, *, first: int = 0, most: int | None = None) -> Rows:
    """The rows of one figure. `column` adds up; `key` is a line's or TOTAL. Two statements."""
    read_much()
    found = ask.report.rows(ask, column)
    found = ask.report.of_total(ask, column, found) if key == TOTAL else ask.report.of_line(ask, column, found, key)
    inner = found.order_by(None).subquery()
    count, amount = db.session.execute(sa.select(sa.func.count(), sa.func.sum(inner.c.amount))).one()
    page = db.session.execute(found.offset(first).limit(most)).all()
    names = people({r.owner_id for r in page if r.owner_id is not None})
    rows = [Row(r.number, r.name, names.get(r.owner_id, ""), r.day, r.amount) for r in page]
    return Rows(column, key, rows, count, amount if amount is not None else zero([column], column.key))


def people(ids: set[int]) -> dict[int, str]:
    """These people's names as they are written."""
    if not ids:
        return {}
    found = db.session.execute(sa.select(User).where(User.id.in_(ids))).scalars()
    return {user.id: user.get_full_name() for user in found}
