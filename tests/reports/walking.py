"""Walks every figure of every report and compares it with its rows: `python -m tests.reports.walking` on DATABASE_URL.

Rows are counted and added up by the database, grouped by their line, for all lines at once; a few lines are opened one
by one as a reader opens them.
"""

from __future__ import annotations

import sys
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import sqlalchemy as sa

from app.core.clock import today
from app.extensions import db
from app.reports import period
from app.reports.report import TOTAL, Ask, Report, rows_behind

OPENED = 4  # lines of which every figure is opened one by one


def asks(report: Report, *periods: str) -> list[Ask]:
    """Every choice of every filter, one at a time, for the first period; each other period (and all years) as it is."""
    plain = {one.key: one.default for one in report.filters}
    chosen = [
        {**plain, one.key: code}
        for one in report.filters
        for code, _label in (one.options() if one.options is not None else ())
        if code != one.default
    ]
    if not report.timed:
        return [report.ask(given) for given in (plain, *chosen)]
    spans = [*periods, *(["all"] if report.whole else [])]
    others = [report.ask({**plain, "period": span}) for span in spans]
    return [*others, *(report.ask({**given, "period": spans[0]}) for given in chosen)]


def walk(ask: Ask) -> int:
    """Compare every figure of this report's answer with its rows. Returns how many; raises `AssertionError`."""
    report, table = ask.report, ask.report.table(ask, most=None)
    seen = 0
    for column in [column for column in table.shown if column.adds_up]:
        where = f"{report.id} {ask.args} {column.key}"
        behind = _grouped(report.rows(ask, column), counted=column.kind == "count")
        for line in table.lines:
            found = behind.pop(line.key, 0)
            shown = line.values.get(column.key)
            assert shown is None or shown == found, f"{where} {line.key}: {shown} is {found}"
            seen += 1
        assert not behind or len(table.lines) < table.count, f"{where}: rows of {behind}"
        for line in [*table.lines[:OPENED], table.lines[-1]] if table.lines else []:
            if line.values.get(column.key) is not None:
                _open(ask, column, line.key, line.values[column.key])
        if table.total.values.get(column.key) is not None:
            _open(ask, column, TOTAL, table.total.values[column.key])
            seen += 1
    for column in [column for column in table.shown if column.of is not None and column.kind != "percent"]:
        seen += _divided(table, column, f"{report.id} {ask.args} {column.key}")
    return seen


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


def everything(*periods: str) -> dict[str, int]:
    """How many figures of each report were compared."""
    from app.reports.catalogue import REPORTS

    return {report.id: sum(walk(ask) for ask in asks(report, *periods)) for report in REPORTS}


def spans() -> list[str]:
    """This year, this month, the one before and the last quarter of the year before."""
    now = period.month_of(today())
    return [str(now.first.year), now.code, now.before.code, f"{now.first.year - 1}-Q4"]


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
