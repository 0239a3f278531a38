"""`python -m bench.sizes`: how long the figures of the reports take over many customers and orders, on either database.

PostgreSQL makes the rows itself: customers, orders over eight years of which a few customers place most, from them the
sums the product's sync keeps, a churn scan, and what the other reports read (`bench.data.more`). SQLite gets a copy.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import sqlalchemy as sa

from bench import batch, data, ours, reports
from bench.place import Place

TABLES = ("customer", "sales_order", "customer_month", "customer_year")
KEPT = ("contribution", "composition", "retention-rate")  # what they read is kept by the sync, orders are not read
YEAR = datetime.now(UTC).year
PERIODS: dict[str, dict[str, str]] = {  # of each report that knows it
    "as it opens": {},
    "the year before": {"period": f"{YEAR - 1}"},
    "12 months": {"period": f"{YEAR - 1}-10-12m"},
    "a quarter": {"period": f"{YEAR - 1}-Q4"},
}
ASKED = {"contribution": {"all years": {"period": "all"}, "this year, paid only": {"orders": "paid"}}}
PAGES = {
    "dashboard": "/dashboard/",
    "dashboard of a year": "/dashboard/?span=year",
    "orders behind all contribution of a year": f"/reports/contribution/rows?period={YEAR}&line=total&column=amount",
    "customers behind all levels of a year": f"/reports/composition/rows?period={YEAR}&line=total&column=customers",
    "warnings behind those of a year": f"/reports/churn-analysis/rows?period={YEAR}&line=total&column=warned",
}
YEARS = 8 * 365 * 86400  # seconds


def main() -> int:
    """Make the rows if they are missing, measure, print. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.sizes", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="keep the database here and use it again next time")
    parser.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--orders", type=int, default=10_000_000)
    given = parser.parse_args()
    place = Place(given.folder)
    try:
        if given.database == "sqlite":
            copy(place, place.folder / "sizes.db")
        else:
            make(place, given.customers, given.orders)
        print(f"# {given.customers:,} customers, {given.orders:,} orders, {given.database}\n")
        measure()
    finally:
        place.close()
    return 0


def say(text: str) -> None:
    """What happens now, for whoever waits."""
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", file=sys.stderr, flush=True)


def make(place: Place, customers: int, orders: int) -> None:
    """Make tables and rows, or do nothing when they are there.

    Raises `SystemExit` for a database that holds anything else.
    """
    from app.extensions import db

    with ours.context():
        there = sa.inspect(db.engine).has_table("sync_run")
        with closing(db.engine.raw_connection()) as raw:
            if there:
                found = _run(raw, "SELECT rows_created, rows_unchanged FROM sync_run WHERE source = 'sizes'")
                if found != [(orders, customers)]:
                    raise SystemExit("The folder holds other data. Name an empty one.")
                say("The rows are there.")
                return
    say("Making the tables with the product's migrations.")
    data.make_tables()
    with ours.context():
        ours.people(data.MANAGERS)
        with closing(db.engine.raw_connection()) as raw:
            indexes = _without_indexes(raw)
            for table, statement in rows(raw, customers, orders).items():
                say(f"Making rows of {table}.")
                _run(raw, statement)
            _run(raw, "ANALYZE")
        say("Summing up.")
        ours.totals()
        with closing(db.engine.raw_connection()) as raw:
            say("Making the indexes.")
            for statement in indexes:
                _run(raw, statement)
            _run(
                raw,
                "INSERT INTO sync_run (source, status, started_at, finished_at, rows_in, rows_created, rows_updated,"
                f" rows_unchanged, rows_rejected) SELECT 'sizes', 'done', max(ordered_at), max(ordered_at), 0,"
                f" {orders}, 0, {customers}, 0 FROM sales_order",
            )
            raw.commit()
            raw.driver_connection.autocommit = True
            _run(raw, "VACUUM ANALYZE")
        db.engine.dispose()  # its connections checked no foreign keys
    say("Looking who may leave.")
    ours.scan(batch.last_saturday())
    data.more(place, say)


def _run(raw: Any, statement: str) -> list[tuple[Any, ...]]:
    """One statement, committed."""
    cursor = raw.cursor()
    cursor.execute(statement)
    found = [tuple(row) for row in cursor.fetchall()] if cursor.description else []
    raw.commit()
    return found


def _without_indexes(raw: Any) -> list[str]:
    """Drop the indexes, which are cheaper made at once, and check no foreign keys. Returns how to make them again."""
    for setting in (
        "session_replication_role = replica", "synchronous_commit = off", "work_mem = '512MB'",
        "maintenance_work_mem = '1GB'", "max_parallel_maintenance_workers = 2",
    ):  # fmt: skip
        _run(raw, f"SET {setting}")
    tables = ", ".join(f"'{table}'" for table in TABLES)
    kept = _run(raw, f"SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN ({tables})")
    ours_only = [(name, made) for name, made in kept if name.startswith("ix_")]
    for name, _made in ours_only:
        _run(raw, f"DROP INDEX {name}")
    return [made for _name, made in ours_only]


def rows(raw: Any, customers: int, orders: int) -> dict[str, str]:
    """The statement that fills each table, in order."""
    end = int(datetime.now(UTC).timestamp())
    level, levels = _run(raw, "SELECT min(id), count(*) FROM dictionary_item WHERE type = 'level'")[0]
    owner = _run(raw, "SELECT min(id) FROM ab_user WHERE username LIKE 'bench._%'")[0][0]
    registered = _instant(f"{end - YEARS} + n * {YEARS - 86400} / {customers}")
    return {
        "customer": f"""
            INSERT INTO customer (number, name, name_key, search_key, registered_on, level_id, owner_id, satisfaction,
                                  credit, province, city, address, postcode, phone, fax, website, licence_no,
                                  social_credit_code, legal_representative, registered_capital, annual_turnover,
                                  bank_account, status, version, created_at, changed_at)
            SELECT 'KH' || (10000000 + n), '华东机械客户' || n || '有限公司', '华东机械客户' || n, '',
                   ({registered})::date,
                   {level} + {_chance(1)} % {levels}, {owner} + {_chance(2)} % {data.MANAGERS}, 1 + n % 5, 5 - n % 5,
                   '江苏', '南京', '南京市工业大道' || n % 900 || '号', '210000', '025-' || (20000000 + n),
                   '025-' || (20000000 + n), 'https://www.example.com/' || n, lpad(n::text, 15, '0'),
                   '91' || lpad(n::text, 16, '0'), '王伟', n % 90000, n % 70000, '62' || lpad(n::text, 17, '0'),
                   'active', 1, {registered}, {registered}
            FROM generate_series(1::bigint, {customers}) n
        """,
        "sales_order": f"""
            INSERT INTO sales_order (external_id, customer_id, ordered_at, amount, amount_derived, paid, status)
            SELECT 'SO' || (100000000 + n), 1 + floor(u * u * u * {customers})::bigint,
                   {_instant(f"floor({end} - {YEARS} * ago * ago)")}, ({_chance(3)} % 4000000 + 10000) / 100.0, false,
                   {_chance(4)} % 10 > 1, CASE WHEN {_chance(5)} % 8 = 0 THEN 'cancelled' ELSE 'shipped' END
            FROM (
                SELECT n, {_chance(6)} / 4294967296.0::float8 AS u, 1 - n / {orders}::float8 AS ago
                FROM generate_series(1::bigint, {orders}) n
            ) drawn
        """,
    }


PRIMES = (0, 2654435761, 2246822519, 3266489917, 668265263, 374761393, 2869860233)


def _chance(which: int) -> str:
    """A whole number that looks like chance and is the same every time, below 2 to the 32."""
    return f"(n * {PRIMES[which]} % 4294967296)"


def _instant(seconds: str) -> str:
    """The instant so many seconds after 1970, as it is stored."""
    return f"to_timestamp({seconds}) AT TIME ZONE 'UTC'"


def copy(place: Place, into: Path) -> None:
    """From here on the product's database is this SQLite file: made with every row of the PostgreSQL one, or as it is.

    Raises `SystemExit` if there is nothing to copy.
    """
    with place.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('ticket') IS NOT NULL")
        if not cursor.fetchone()[0]:
            raise SystemExit("Make the rows first: --database postgresql with the same folder.")
    os.environ["DATABASE_URL"] = f"sqlite:///{into}"
    if into.exists():
        say("The rows are there.")
        return
    data.make_tables()
    from flask_appbuilder import Model

    ours.app()  # so that every table is known
    raw = sqlite3.connect(into)
    for setting in ("synchronous = OFF", "journal_mode = OFF", "cache_size = -1000000"):
        raw.execute(f"PRAGMA {setting}")
    made = "SELECT type, name, sql FROM sqlite_master WHERE type = 'trigger' OR type = 'index' AND name LIKE 'ix%'"
    kept = list(raw.execute(made))
    for kind, name, _sql in kept:  # the logs refuse to be emptied; indexes are cheaper made at once
        raw.execute(f"DROP {kind} {name}")
    with place.connect(autocommit=False) as connection:
        for table in Model.metadata.sorted_tables:
            say(f"Copying {table.name}.")
            raw.execute(f"DELETE FROM {table.name}")
            columns = ", ".join(f'"{column.name}"' for column in table.columns)
            texts = ", ".join(_as_sqlite(column) for column in table.columns)
            cursor = connection.cursor(name="rows")
            cursor.itersize = 20_000
            cursor.execute(f"SELECT {texts} FROM {table.name}")
            marks = ", ".join("?" * len(table.columns))
            raw.executemany(f"INSERT INTO {table.name} ({columns}) VALUES ({marks})", cursor)
            cursor.close()
            raw.commit()
    say("Making the indexes.")
    for _kind, _name, sql in kept:
        raw.execute(sql)
    raw.commit()
    raw.close()
    from app.extensions import db
    from app.mirror.operations import count_again

    with ours.context():
        count_again()  # as the product's sync does
        db.session.commit()


def _as_sqlite(column: Any) -> str:
    """SQL: a column of PostgreSQL as the product keeps it in SQLite."""
    from app.core.types import Money

    kind, name = column.type, f'"{column.name}"'
    if isinstance(kind, Money):
        return f"({name} * 100)::bigint"
    if isinstance(getattr(kind, "impl_instance", kind), sa.DateTime):
        return f"to_char({name}, 'YYYY-MM-DD HH24:MI:SS.US')"
    if isinstance(kind, sa.Boolean):
        return f"{name}::int"
    if isinstance(kind, (sa.Date, sa.JSON)):
        return f"{name}::text"
    return name


def measure() -> None:
    """Print tables: each report's figures by period, then pages. Raises `SystemExit` if orders are read needlessly."""
    from app.reports.catalogue import REPORTS

    print("| report | period | seconds | statements | lines |\n|---|---|--:|--:|--:|", flush=True)
    for report in REPORTS:
        for words, asked in {**PERIODS, **ASKED.get(report.id, {})}.items():
            with ours.context():
                period = report.ask(asked).period
            if period is not None and asked.get("period", period.code) != period.code:
                continue  # it knows no such period
            took, statements, lines = reports.figures(report, asked, times=3)
            print(f"| {report.id} | {words} | {took / 1000:.2f} | {len(statements)} | {lines} |", flush=True)
            if report.id in KEPT and any("sales_order" in statement for statement in statements):
                raise SystemExit(f"{report.id} reads orders.")
    print("\n| page | seconds | statements |\n|---|--:|--:|", flush=True)
    open_ = ours.statements(ours.sign_in())
    for name, address in PAGES.items():
        open_(address)  # the first is for the caches
        took, seen = [], []
        for _time in range(3):
            began = time.perf_counter()
            status, seen = open_(address)
            took.append(time.perf_counter() - began)
            if status != 200:
                raise SystemExit(f"{address} answered {status}.")
        print(f"| {name} | {median(took):.2f} | {len(seen)} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
