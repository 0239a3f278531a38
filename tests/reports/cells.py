"""Asking reports as somebody, and walking over every cell of one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from flask import g

from app.extensions import db
from app.reports.report import TOTAL, Ask, Report, Table, rows_behind

SHANGHAI = ZoneInfo("Asia/Shanghai")


def shanghai(*wall: int) -> datetime:
    """An instant by the company's wall clock."""
    return datetime(*wall, tzinfo=SHANGHAI).astimezone(UTC)


def asked(report: Report, user: Any, **given: str) -> Ask:
    """The question as this person asks it; one person per test."""
    g.user = user
    return report.ask(given)


def figures(table: Table, *columns: str) -> dict[str, tuple[Any, ...]]:
    """Line -> these columns; lines in which all of them are zero or unknown are left out."""
    lines = {str(line.label): tuple(line.values.get(key) for key in columns) for line in table.lines}
    return {label: values for label, values in lines.items() if any(values)}


def totals(table: Table, *columns: str) -> tuple[Any, ...]:
    """These columns of the total."""
    return tuple(table.total.values[key] for key in columns)


def walk(ask: Ask) -> Table:
    """The table, after every cell that adds up was found to be what its rows come to: one by one, together, in all."""
    table = ask.report.table(ask)
    for column in table.columns:
        if not column.adds_up:
            continue
        cells = {line.key: line.values[column.key] for line in table.lines}
        rows = ask.report.rows(ask, column).order_by(None).subquery()
        added = sa.func.count() if column.kind == "count" else sa.func.sum(rows.c.amount)
        grouped = dict(db.session.execute(sa.select(rows.c.line, added).group_by(rows.c.line)).all())
        filled = {key: value for key, value in cells.items() if value}
        assert grouped == filled, column.key
        for key, value in {**filled, TOTAL: table.total.values[column.key]}.items():
            behind = rows_behind(ask, column, key)
            assert (behind.count if column.kind == "count" else behind.amount) == value, (column.key, key)
            assert len(behind.rows) == behind.count
    return table
