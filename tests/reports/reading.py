"""A report as somebody reads it, and every figure of it against the rows it leads to."""

from __future__ import annotations

from contextlib import contextmanager

import sqlalchemy as sa
from flask import g

from app.extensions import db
from app.mirror.operations import refresh_totals
from app.reports.report import TOTAL, rows_behind


@contextmanager
def reading(app, person):
    """As that person, in a request of his, with the totals as a sync leaves them."""
    refresh_totals()
    db.session.commit()
    with app.test_request_context():
        g.user = person
        yield


def table_of(app, person, report, **given):
    """The answer this person gets."""
    with reading(app, person):
        return report.table(report.ask(given))


def walked(app, person, report, **given):
    """The answer this person gets, after every figure in it was found to be what its rows come to."""
    with reading(app, person):
        ask = report.ask(given)
        table = report.table(ask)
        for column in (column for column in table.shown if column.adds_up):
            money = column.kind == "money"
            found = report.rows(ask, column).order_by(None).subquery()
            amounts = sa.select(found.c.line, sa.func.count(), sa.func.sum(found.c.amount)).group_by(found.c.line)
            behind = {key: summed for key, *summed in db.session.execute(amounts)}
            assert set(behind) <= {line.key for line in table.lines}
            for line in table.lines:
                number, amount = behind.get(line.key, (0, 0))
                assert (amount if money else number) == line.values[column.key]
            for line in (*table.lines[-1:], table.total):
                rows = rows_behind(ask, column, TOTAL if line is table.total else line.key)
                figure = line.values[column.key]
                assert (rows.amount if money else rows.count) == sum(row.amount for row in rows.rows) == figure
        return table


def figures(table, *keys):
    """Line key -> the values of these columns; the total under "total"."""
    return {line.key: tuple(line.values[key] for key in keys) for line in (*table.lines, table.total)}
