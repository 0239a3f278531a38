"""Many rows in one statement, the same on SQLite and PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from app.core.changes import TOLD
from app.core.clock import company_zone
from app.extensions import db


def on_postgresql() -> bool:
    """Whether the database is PostgreSQL; else it is SQLite."""
    return bool(db.engine.dialect.name == "postgresql")


def insert_into(model: Any) -> Any:
    """INSERT with ON CONFLICT, which both databases know."""
    return (postgresql if on_postgresql() else sqlite).insert(model.__table__)


def among(column: Any, values: Collection[Any]) -> sa.ColumnElement[bool]:
    """WHERE `column` is one of these values, all in one parameter: thousands cost more to write out than to find."""
    if on_postgresql():
        kind = postgresql.ARRAY(sa.Integer if isinstance(column.type, sa.Integer) else sa.Text)
        return column == sa.any_(sa.cast(list(values), kind))
    listed = sa.func.json_each(json.dumps(list(values))).table_valued("value")
    return column.in_(sa.select(listed.c.value))


def upsert(model: Any, rows: list[dict[str, Any]], key: list[str], *, update: bool = True) -> int:
    """Insert rows with the same columns; those whose `key` is taken are updated, or left alone. Returns how many.

    SQLite, in this process, takes them one by one; PostgreSQL gets them as one JSON document, a third of the work of
    a thousand VALUES at a time for both sides. The caller commits.
    """
    columns = list(rows[0])
    insert = insert_into(model)
    if on_postgresql():
        document = json.dumps(rows, default=_json, ensure_ascii=False)
        given = sa.func.json_to_recordset(sa.cast(sa.literal(document, sa.Text), sa.JSON))
        table = given.table_valued(*(sa.column(c, model.__table__.c[c].type) for c in columns), joins_implicitly=True)
        insert = insert.from_select(columns, sa.select(*table.render_derived(with_types=True).c))
    changed = {column: insert.excluded[column] for column in columns if column not in key}
    if update and changed:
        insert = insert.on_conflict_do_update(index_elements=key, set_=changed)
    else:
        insert = insert.on_conflict_do_nothing(index_elements=key)
    insert = insert.execution_options(**TOLD)  # of customers the caller tells
    result: Any = db.session.execute(insert) if on_postgresql() else db.session.execute(insert, rows)
    return int(result.rowcount)


def _json(value: Any) -> str:
    """Amounts, dates and instants as PostgreSQL reads them back without loss; instants in UTC, as they are stored."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat()
    if isinstance(value, Decimal):
        return str(value)
    return value.isoformat()


def local_month(moment: Any) -> sa.ColumnElement[Any]:
    """The first day of the company-local month an instant lies in, as SQL."""
    return _local(moment, "month")


def local_day(moment: Any) -> sa.ColumnElement[Any]:
    """The company-local day of an instant, as SQL."""
    return _local(moment, "day")


def _local(moment: Any, unit: str) -> sa.ColumnElement[Any]:
    """PostgreSQL looks the time zone up and SQLite asks Python; since when a zone's clocks stand still, both add hours,
    which takes a tenth of the time."""
    zone = company_zone()
    steady = _steady(zone, datetime.now(UTC).year)
    if on_postgresql():
        return _local_postgresql(moment, unit, zone, steady)
    shape = "%Y-%m-01" if unit == "month" else "%Y-%m-%d"

    def begin(stored: str | None) -> str | None:
        if stored is None:
            return None
        return datetime.fromisoformat(stored).replace(tzinfo=UTC).astimezone(zone).strftime(shape)

    connection: Any = db.session.connection().connection.driver_connection
    connection.create_function(f"liuke_{unit}", 1, begin, deterministic=True)
    asked = getattr(sa.func, f"liuke_{unit}")(moment, type_=sa.Date)
    if steady is None:
        return asked
    since, ahead = steady
    reckoned = sa.func.strftime(shape, moment, f"{ahead.total_seconds():+.0f} seconds", type_=sa.Date)
    text = sa.type_coerce(moment, sa.String())
    return sa.case((sa.or_(text >= f"{since:%Y-%m-%d}", moment.is_(None)), reckoned), else_=asked)


def _local_postgresql(
    moment: Any, unit: str, zone: ZoneInfo, steady: tuple[datetime, timedelta] | None
) -> sa.ColumnElement[Any]:
    def begin(wall: Any) -> sa.ColumnElement[Any]:
        return sa.cast(wall if unit == "day" else sa.func.date_trunc(unit, wall), sa.Date)

    asked = begin(sa.func.timezone(zone.key, sa.func.timezone("UTC", moment)))
    if steady is None:
        return asked
    since, ahead = steady
    stored = sa.type_coerce(moment, sa.DateTime())
    return sa.case((stored >= since, begin(stored + sa.literal(ahead, sa.Interval()))), else_=asked)


@lru_cache(maxsize=64)
def _steady(zone: ZoneInfo, year: int) -> tuple[datetime, timedelta] | None:
    """From when on (UTC, as it is stored) a zone's clocks are not changed again until years after `year`, and how far
    ahead of UTC they are; None for a zone with summer time."""
    day = datetime(year + 5, 1, 1, tzinfo=UTC)
    ahead = day.astimezone(zone).utcoffset()
    while day.year > 1970 and day.astimezone(zone).utcoffset() == ahead:
        day -= timedelta(days=1)
    if ahead is None or day.year >= year - 1:
        return None
    return (day + timedelta(days=1)).replace(tzinfo=None), ahead


def days_between(earlier: Any, later: Any) -> sa.ColumnElement[int]:
    """How many days `later` comes after `earlier`, both dates, as SQL; below zero if it comes before."""
    if on_postgresql():
        return later.op("-", return_type=sa.Integer())(earlier)
    return sa.cast(sa.func.julianday(later) - sa.func.julianday(earlier), sa.Integer)
