"""`python -m bench.sizes`: how long the figures of the reports take over many customers and orders, on either database.

The database makes the rows itself: customers, orders over eight years of which a few customers place most, and from
them the sums the product's sync keeps. PostgreSQL gets what the other reports read, too (`bench.data.more`).
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench import data, ours, reports
from bench.place import Place

TABLES = ("customer", "sales_order", "customer_month", "customer_year")
KEPT = ("contribution", "composition", "retention-rate")  # what they read is kept by the sync, orders are not read
ASKED = {
    "contribution": {"": {}, ", all years": {"period": "all"}, ", paid only": {"orders": "paid"}},
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
    if given.database == "sqlite":
        os.environ["BENCH_DATABASE_URL"] = f"sqlite:///{given.folder.resolve() / 'sizes.db'}"
    place = Place(given.folder)
    try:
        make(given.customers, given.orders)
        if given.database == "postgresql":
            data.more(place, say)
        print(f"# {given.customers:,} customers, {given.orders:,} orders, {given.database}\n")
        measure()
    finally:
        place.close()
    return 0


def say(text: str) -> None:
    """What happens now, for whoever waits."""
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", file=sys.stderr, flush=True)


def make(customers: int, orders: int) -> None:
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
            if not _on_sqlite():
                raw.commit()
                raw.driver_connection.autocommit = True
            _run(raw, "ANALYZE" if _on_sqlite() else "VACUUM ANALYZE")
        db.engine.dispose()  # its connections checked no foreign keys


def _on_sqlite() -> bool:
    return os.environ["DATABASE_URL"].startswith("sqlite")


def _run(raw: Any, statement: str) -> list[tuple[Any, ...]]:
    """One statement, committed."""
    cursor = raw.cursor()
    cursor.execute(statement)
    found = [tuple(row) for row in cursor.fetchall()] if cursor.description else []
    raw.commit()
    return found


def _without_indexes(raw: Any) -> list[str]:
    """Drop the indexes, which are cheaper made at once, and check no foreign keys. Returns how to make them again."""
    tables = ", ".join(f"'{table}'" for table in TABLES)
    if _on_sqlite():
        _run(raw, "PRAGMA foreign_keys = OFF")
        kept = _run(raw, f"SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name IN ({tables})")
    else:
        for setting in (
            "session_replication_role = replica", "synchronous_commit = off", "work_mem = '512MB'",
            "maintenance_work_mem = '1GB'",
        ):  # fmt: skip
            _run(raw, f"SET {setting}")
        kept = _run(raw, f"SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN ({tables})")
    ours_only = [(name, made) for name, made in kept if name.startswith("ix_")]
    for name, _made in ours_only:
        _run(raw, f"DROP INDEX {name}")
    return [made for _name, made in ours_only]


def rows(raw: Any, customers: int, orders: int) -> dict[str, str]:
    """The statement that fills each table, in order."""
    (now,) = _run(raw, "SELECT max(created_at) FROM dictionary_item")[0]
    if isinstance(now, str):
        now = datetime.fromisoformat(now)
    end = int(now.replace(tzinfo=UTC).timestamp())
    level, levels = _run(raw, "SELECT min(id), count(*) FROM dictionary_item WHERE type = 'level'")[0]
    owner = _run(raw, "SELECT min(id) FROM ab_user WHERE username LIKE 'bench._%'")[0][0]
    cents = _chance(3) + " % 4000000 + 10000"
    amount = cents if _on_sqlite() else f"({cents}) / 100.0"
    registered = _instant(f"{end - YEARS} + n * {YEARS - 86400} / {customers}")
    return {
        "customer": f"""
            INSERT INTO customer (number, name, name_key, search_key, registered_on, level_id, owner_id, satisfaction,
                                  credit, status, version, created_at, changed_at)
            {_series(customers)}
            SELECT 'KH' || (10000000 + n), '客户' || n, '客户' || n, '', {_day(registered)},
                   {level} + {_chance(1)} % {levels}, {owner} + {_chance(2)} % {data.MANAGERS}, 1 + n % 5, 5 - n % 5,
                   'active', 1, {registered}, {registered} FROM s
        """,
        "sales_order": f"""
            INSERT INTO sales_order (external_id, customer_id, ordered_at, amount, amount_derived, paid, status)
            {_series(orders)}
            SELECT 'SO' || (100000000 + n), customer_id, {_instant("at")}, {amount}, 1 = 0, {_chance(4)} % 10 > 1,
                   CASE WHEN {_chance(5)} % 8 = 0 THEN 'cancelled' ELSE 'shipped' END
            FROM (
                SELECT n, 1 + {_whole(f"u * u * u * {customers}")} AS customer_id,
                       {_whole(f"{end} - {YEARS} * ago * ago")} AS at
                FROM (SELECT n, {_chance(6)} / 4294967296.0 AS u, 1 - n * 1.0 / {orders} AS ago FROM s) drawn
            ) dated
        """,
    }


PRIMES = (0, 2654435761, 2246822519, 3266489917, 668265263, 374761393, 2869860233)


def _chance(which: int) -> str:
    """A whole number that looks like chance and is the same every time, below 2 to the 32."""
    return f"(n * {PRIMES[which]} % 4294967296)"


def _whole(number: str) -> str:
    """Cut off: PostgreSQL would round."""
    return f"CAST({number} AS integer)" if _on_sqlite() else f"CAST(floor({number}) AS bigint)"


def _series(most: int) -> str:
    if _on_sqlite():
        return f"WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {most})"
    return f"WITH s (n) AS (SELECT generate_series(1::bigint, {most}))"


def _instant(seconds: str) -> str:
    """The instant so many seconds after 1970, as it is stored."""
    if _on_sqlite():
        return f"strftime('%Y-%m-%d %H:%M:%S.000000', {seconds}, 'unixepoch')"
    return f"to_timestamp({seconds}) AT TIME ZONE 'UTC'"


def _day(instant: str) -> str:
    return f"substr({instant}, 1, 10)" if _on_sqlite() else f"CAST({instant} AS date)"


def measure() -> None:
    """Print a table: each report's figures of this year. Raises `SystemExit` if orders are read that need not be."""
    from app.reports.catalogue import REPORTS

    print("| report of this year | seconds | statements | lines |\n|---|--:|--:|--:|", flush=True)
    for report in REPORTS:
        for words, asked in ASKED.get(report.id, {"": {}}).items():
            took, statements, lines = reports.figures(report, asked, times=3)
            print(f"| {report.id}{words} | {took / 1000:.2f} | {len(statements)} | {lines} |", flush=True)
            if report.id in KEPT and any("sales_order" in statement for statement in statements):
                raise SystemExit(f"{report.id} reads orders.")


if __name__ == "__main__":
    sys.exit(main())
