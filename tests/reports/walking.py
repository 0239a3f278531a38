"""Walks every figure of every report and compares it with its rows: `python -m tests.reports.walking` on DATABASE_URL.

Rows are counted and added up by the database, grouped by their line, for all lines at once; a few lines are opened one
by one as a reader opens them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import sqlalchemy as sa
from flask_babel import gettext as _

from app.core.clock import today
from app.extensions import db
from app.reports import closing, export, period, queries
from app.reports.kinds.contribution import CENT, CLASS, DOWN
from app.reports.kinds.measures import NOBODY
from app.reports.report import GROUPING, TOTAL, Ask, Column, Line, Report, Table, rows_behind

OPENED = 1  # lines, besides the last, of which every figure is opened one by one


def asks(report: Report, *periods: str, chosen: bool = True) -> list[Ask]:
    """Every choice of every filter (unless not `chosen`), one at a time, for the first period; each other period (and
    all years) as it is, a closed month in every grouping; and the first one of one team."""
    plain = {one.key: one.default for one in report.filters}
    others: list[dict[str, str]] = [
        {**plain, one.key: code}
        for one in report.filters
        for code, _label in (one.offered() or ())
        if chosen and code != one.default
    ]
    others += [{**plain, "team": str(team)} for team in list(queries.teams())[:1] if chosen]
    if not report.timed:
        return [report.ask(given) for given in (plain, *others)]
    spans = [*periods, *(["all"] if report.whole else [])]
    return [
        *(report.ask({**plain, "period": span}) for span in spans),
        *(ask for span in spans[chosen:] for ask in groupings(report, span)[1:] if closing.kept_of(ask) is not None),
        *(report.ask({**given, "period": spans[0]}) for given in others),
    ]


def groupings(report: Report, span: str) -> list[Ask]:
    """A period in every grouping, beginning with that in which the report opens."""
    return [report.ask({GROUPING: by, "period": span}) for by in report.groupings]


def walk(ask: Ask, *, opened: int = OPENED) -> int:
    """Compare every figure of this report's answer, that of the period before beside it and those in its file with
    their rows; of `opened` lines and the last each figure is opened one by one (without any only the total, and nothing
    hidden). A closed month is read as it is shown, too. Returns how many; raises `AssertionError`."""
    report, table = ask.report, ask.report.table(ask, most=None)
    seen = _exported(ask, table)
    earlier = ask.at(ask.period.before) if table.total.before and ask.period is not None else None
    counted = [one for one in (table.columns if opened else table.shown) if one.adds_up and not _is_of_order(one)]
    for column in counted:
        where = f"{report.id} {ask.args} {column.key}"
        if any(column.key in line.values for line in (*table.lines, table.total)):
            behind = _grouped(report.rows(ask, column), counted=column.kind == "count")
            for line in table.lines:
                found = behind.pop(line.key, 0)
                shown = line.values.get(column.key)
                assert shown is None or shown == found, f"{where} {line.key}: {shown} is {found}"
                seen += 1
            assert not behind or len(table.lines) < table.count, f"{where}: rows of {behind}"
            for line in [*table.lines[:opened], *table.lines[-1:]] if opened else []:
                if line.values.get(column.key) is not None:
                    _open(ask, column, line.key, line.values[column.key])
            if table.total.values.get(column.key) is not None:
                _open(ask, column, TOTAL, table.total.values[column.key])
                seen += 1
        if earlier is not None and not column.hidden:
            seen += _walk_before(earlier, table, column)
    if report.id == "contribution":
        seen += _walk_order(ask, table, opened)
    for column in [one for one in table.shown if one.of is not None and one.kind not in ("text", "percent")]:
        seen += _divided(table, column, f"{report.id} {ask.args} {column.key}")
    if closing.kept_of(ask) is not None:
        seen += walk_closed(ask, table)
    return seen


def walk_closed(ask: Ask, live: Table) -> int:
    """A closed month as it is shown and as a file has it: the figures of now are those of `live`, those reported are
    what was kept, and both add up as `live` does."""
    kept, table = closing.kept_of(ask), closing.table_of(ask, most=None)
    assert kept is not None
    today = {line.key: line.values for line in live.lines}
    seen = 0
    for column, reported, now in _in_file(ask, table):
        where = f"{ask.report.id} {ask.args} {column.key}"
        lines = [*table.lines, *([None] if len(reported) > len(table.lines) + 1 else []), table.total]
        for line, was, is_now in zip(lines, reported, now, strict=True):
            if line is None:
                continue  # of lines that were not kept one by one: what was reported of them together
            found = live.total.values if line is table.total else today.get(line.key)
            if column.kind != "text":
                exact = found.get(column.key) if found is not None else _nothing_of(column)
                assert _same(is_now, exact), f"{where} {line.label}: {is_now} is {exact}"
            then = kept.total if line is table.total else kept.lines.get(line.key)
            if then is not None and column.key in then.values and column.kind != "text":
                assert _same(was, then.values[column.key]), f"{where} {line.label}: {was} was {then.values[column.key]}"
            seen += 1
        if column.adds_up and column in table.shown:
            added = _added(ask.report, lines[:-1])
            for figures in (now, reported):
                summed = sum(one or 0 for one, counts in zip(figures, added, strict=False) if counts)
                assert summed == figures[-1] or not added, f"{where}: {figures}"
        if _is_of_a_whole(column):
            for figures in (now, reported):
                assert sum(one or 0 for one in figures[:-1]) in (0, 100), f"{where}: {figures}"
    return seen


def _in_file(ask: Ask, table: Table) -> Iterator[tuple[Column, list[Any], list[Any]]]:
    """Each column with what a file has in it as reported and as of now: by their places, whatever they are called.
    Behind the columns that readers see stand, in this order, those of now; which those are their heads say."""
    sheet, columns, first = export.sheet_of(ask, table), export.with_numbers(table.shown), 1
    first += any(line.sub for line in table.lines)
    differing = [n for n, column in enumerate(columns) if sheet.head[first + n] != str(column.label)]
    for n, column in enumerate(columns):
        now = len(columns) + differing.index(n) if n in differing else n
        yield column, [row[first + n] for row in sheet.rows], [row[first + now] for row in sheet.rows]


def _added(report: Report, lines: Sequence[Line | None]) -> list[bool]:
    """Which lines come to the total together: not those it leaves out, and of stages the first, which all were in. None
    of stocks, the last of which is the total."""
    if report.stock:
        return []
    keys = ["" if line is None else line.key for line in lines]
    return [key == "created" if "created" in keys else key != NOBODY for key in keys]


def _is_of_a_whole(column: Any) -> bool:
    return column.of is not None and column.of[0] == column.of[1]


def _nothing_of(column: Any) -> Any:
    """What a line that is gone comes to."""
    return 0 if column.adds_up or _is_of_a_whole(column) else None


def _same(shown: Any, exact: Any) -> bool:
    """Whether a cell says this figure; a hidden rate says in words that it is hidden."""
    return exact is None if shown is None or isinstance(shown, str) else shown == exact


def _is_of_order(column: Any) -> bool:
    """Whether the rows of a figure are those of other lines, too."""
    return column.key in (DOWN, CLASS)


def _walk_before(earlier: Ask, table: Table, column: Any) -> int:
    """The figures of the period before, which lead to the rows of then."""
    behind = _grouped(earlier.report.rows(earlier, column), counted=column.kind == "count")
    lines = [line for line in table.lines if line.before.get(column.key) is not None]
    for line in lines:
        shown, found = line.before[column.key], behind.get(line.key, 0)
        assert shown == found, f"{earlier.report.id} {earlier.args} {column.key} {line.key}: {shown} was {found}"
    if table.total.before.get(column.key) is not None:
        _open(earlier, column, TOTAL, table.total.before[column.key])
    return len(lines) + 1


def _walk_order(ask: Ask, table: Table, opened: int) -> int:
    """The cumulative shares and the classes of the contribution: the customers in the order of their amounts, added up
    one after the other, and by their class."""
    report, values = ask.report, table.total.values
    whole, reached, letters = values["amount"], Decimal(0), dict[str, Decimal]()
    behind = db.session.execute(report.rows(ask, ask.columns[DOWN])).all()
    classes = {row.number: row for row in db.session.execute(report.rows(ask, ask.columns[CLASS]))}
    assert len(classes) == len(table.lines)
    for row in classes.values():
        letters[row.line] = letters.get(row.line, Decimal(0)) + row.amount
    for n, line in enumerate(table.lines):
        own = classes[line.sub]
        assert (own.line, own.amount) == (line.values["class"], line.values["amount"]), line
        assert line.values[CLASS] == letters[own.line], line
        if n >= len(behind):
            assert (line.values[DOWN], line.values["cumulative"]) == (None, None)
            continue
        reached += behind[n].amount
        assert (behind[n].line, line.values[DOWN]) == (line.key, reached), line
        if whole:
            assert line.values["cumulative"] == (reached * 100 / whole).quantize(CENT, ROUND_HALF_UP), line
    if whole:
        assert sum(line.values["share"] for line in table.lines) == 100
    middle = len(behind) // 2
    for line in [*table.lines[:opened], *table.lines[middle : middle + 1]]:
        for key in (DOWN, CLASS):
            if line.values[key] is not None:
                _open(ask, ask.columns[key], line.key, line.values[key])
    return 2 * len(table.lines)


def _exported(ask: Ask, table: Table) -> int:
    """What a file would hold of this table: the same lines, figures and total as the page."""
    sheet, shown = export.sheet_of(ask, table), table.shown
    numbered = any(line.sub for line in table.lines)
    compared = [c for c in shown if c.kind not in ("text", "percent")] if table.total.before else []
    assert len(sheet.rows) == len(table.lines) + bool(table.total.values)
    for line, row in zip((*table.lines, table.total), sheet.rows, strict=False):
        figures = [*_written(shown, line.values), *_written(compared, line.before)]
        assert row[1 + numbered :] == figures, f"{ask.report.id} {ask.args} {line.key}"
    return 0


def _written(columns: list[Any], values: dict[str, Any]) -> list[Any]:
    """Figures as a file has them: after a rate of `least` or more its n; of fewer the words that it is hidden."""
    told: list[Any] = []
    for column in columns:
        told.append(values.get(column.key))
        if column.n_of:
            number = values.get(column.n_of)
            if number is not None and number < column.least:
                assert told[-1] is None
                told[-1] = _("hidden, n is below %(least)s", least=column.least)
            told.append(number)
    return told


def _grouped(rows: Any, *, counted: bool) -> dict[str, Any]:
    inner = rows.order_by(None).subquery()
    what = sa.func.count() if counted else sa.func.sum(inner.c.amount)
    return {row[0]: row[1] for row in db.session.execute(sa.select(inner.c.line, what).group_by(inner.c.line))}


def _open(ask: Ask, column: Any, key: str, shown: Any) -> None:
    rows = rows_behind(ask, column, key, most=3)
    found = rows.count if column.kind == "count" else rows.amount
    assert found == shown, f"{ask.report.id} {ask.args} {key}.{column.key} shows {shown}, its rows are {found}"
    assert len(rows.rows) == min(3, rows.count)


def _divided(table: Any, column: Any, where: str) -> int:
    what, whole = column.of
    if column.kind == "share" and table.lines and any(line.values.get(what) for line in table.lines):
        assert sum(line.values[column.key] for line in table.lines) == 100, where
    if column.kind == "share":
        return len(table.lines)
    for line in [*table.lines, table.total]:
        shown, part, of = (line.values.get(name) for name in (column.key, what, whole))
        if not of or of < column.least or part is None:
            assert shown is None, f"{where} {line.key}"
        else:
            exact = Decimal(part) * (100 if column.kind == "rate" else 1) / Decimal(of)
            assert shown == exact.quantize(Decimal("0.1"), ROUND_HALF_UP), f"{where} {line.key}"
    return len(table.lines) + 1


def everything(*periods: str, chosen: bool = True, opened: int = OPENED) -> dict[str, int]:
    """How many figures of each report were compared."""
    from app.reports.catalogue import REPORTS

    return {
        report.id: sum(walk(ask, opened=opened) for ask in asks(report, *periods, chosen=chosen)) for report in REPORTS
    }


def spans() -> list[str]:
    """This year, the month before this one and the last twelve months."""
    now = period.month_of(today())
    return [str(now.first.year), now.before.code, period.twelve_months(today()).code]


def main(periods: list[str]) -> None:
    """Walk them all as the first person who sees everything."""
    from flask_appbuilder.security.sqla.models import User

    from app import create_app
    from app.notices.reading import reading_as

    with create_app().app_context():
        admin = db.session.execute(sa.select(User.id).where(User.username == "admin")).scalar_one()
        with reading_as(admin) as reader:
            assert reader is not None
            for name, number in everything(*(periods or spans())).items():
                sys.stdout.write(f"{name} {number}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
