"""Random rows for whatever tables a database has, made from nothing but its schema.

The database itself picks those that its CHECKs allow: candidates lie in a table without constraints, and what the
conditions let through is copied; what breaks a unique key is left out.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

Make = Callable[[random.Random], Any]

BATCHES = 60
LEAST = 200
MORE = 50  # of a table that changed
ONE_ROW = {"installation"}
PARENTS = {"ab_user": 300, "ab_role": 300, "customer": 300}  # others have one row for each of theirs
NOT_OURS = {"alembic_version"}
LETTERS = "abcXYZ 0189'\"%_\\;<>&，。客户流失喀什é\u200f🙂"
# What columns of JSON hold is read by one migration: that of the audit log.
JSON: dict[str, Make] = {
    "audit_entry.changes": lambda chance: {words(chance, 40): [words(chance, 9), words(chance, 9)] for _n in range(2)},
}
START = datetime(2020, 1, 1, tzinfo=UTC).replace(tzinfo=None)


def words(chance: random.Random, most: int) -> str:
    """A text of 1 to `most` characters that is more than blanks."""
    return "字" + "".join(chance.choices(LETTERS, k=chance.randrange(min(most, 40))))


def of_type(kind: sa.types.TypeEngine[Any], numbers: list[float]) -> Make:
    """What makes a value of this type, between the numbers its conditions name."""
    low = int(min(numbers, default=0))
    high = int(max(numbers)) if len(numbers) > 1 else low + 5000
    match kind:
        case sa.Boolean():
            return lambda chance: chance.random() < 0.5
        case sa.Integer():
            return lambda chance: chance.choice([low, high, chance.randint(low, high)])
        case sa.Float():
            return lambda chance: chance.uniform(low, high)
        case sa.Numeric():
            return lambda chance: Decimal(chance.randint(low * 100, high * 100)) / 100
        case sa.DateTime():
            return lambda chance: START + timedelta(seconds=chance.randrange(2 * 10**8))
        case sa.Date():
            return lambda chance: START.date() + timedelta(days=chance.randrange(2000))
        case sa.Time():
            return lambda chance: time(chance.randrange(24), chance.randrange(60))
        case sa.JSON():
            return lambda chance: {words(chance, 9): chance.randrange(99)}
        case sa.LargeBinary():
            return lambda chance: chance.randbytes(40)
        case sa.String():
            return lambda chance: words(chance, kind.length or 200)
    raise NotImplementedError(f"No random values of {kind!r} yet.")


def maker(table: sa.Table, column: sa.Column[Any], checks: list[str], connection: sa.Connection) -> Make:
    """What makes a value for this column: an id that is there, a word its condition names, or anything of its type."""
    for key in column.foreign_keys:
        there = list(connection.execute(sa.select(key.column)).scalars())
        return lambda chance: chance.choice(there) if there else None
    others = {other.name for other in table.columns} - {column.name}
    mine = [
        text for text in checks
        if re.search(rf"\b{column.name}\b", text) and not others & set(re.findall(r"\w+", re.sub(r"'[^']*'", "", text)))
    ]  # fmt: skip
    named = [word for text in mine for word in re.findall(r"'([^']*)'", text)]
    if named and isinstance(column.type, sa.String):
        return lambda chance: chance.choice(named)
    plain = re.sub(r"'[^']*'|::[\w ]+", "", " ".join(mine))
    return JSON.get(f"{table.name}.{column.name}") or of_type(
        column.type, [float(number) for number in re.findall(r"(?<!\w)\d+(?:\.\d+)?", plain)]
    )


def fill(engine: sa.Engine, chance: random.Random, changed: set[str]) -> None:
    """Add random rows until every table has at least `LEAST`, and to those that changed some more.

    Raises `AssertionError` for a table that gets fewer: its conditions are beyond chance, and this is to be mended.
    """
    metadata = sa.MetaData()
    with engine.begin() as connection:
        names = set(sa.inspect(connection).get_table_names()) - NOT_OURS
        there = {name: connection.exec_driver_sql(f'SELECT count(*) FROM "{name}"').scalar_one() for name in names}
        wanted = {name: PARENTS.get(name, LEAST) for name in names}
        wanted |= {name: max(wanted[name], there[name] + MORE) for name in changed & names}
        wanted |= dict.fromkeys(ONE_ROW & names, 1)
        short = [name for name in names if there[name] < wanted[name]]
        if not short:
            return
        metadata.reflect(connection, only=short)
        conditions = sa.inspect(connection).get_multi_check_constraints(filter_names=short)
        for table in metadata.sorted_tables:
            if table.name in short:
                checks = [one["sqltext"] for one in conditions.get((None, table.name), ())]
                made = fill_table(connection, table, checks, chance, wanted[table.name] - there[table.name])
                fit = there[table.name] + made
                least = min(wanted[table.name], LEAST)
                assert fit >= least, f"{fit} rows, and no more random ones are fit for {table.name}"


def fill_table(
    connection: sa.Connection, table: sa.Table, checks: list[str], chance: random.Random, wanted: int
) -> int:
    """Add as many rows to one table. Returns how many it were."""
    given = table.name in ONE_ROW  # the id is no running number
    columns = [c for c in table.columns if given or not (c.primary_key and c is table.autoincrement_column)]
    makers = [(c.name, maker(table, c, checks, connection), c.nullable) for c in columns]
    names = ", ".join(f'"{c.name}"' for c in columns)
    allowed = " AND ".join(f"(({text}) IS NOT FALSE)" for text in checks) or "true"
    without_keys = (sa.Column(c.name, c.type) for c in table.columns)
    candidates = sa.Table("candidates", sa.MetaData(), *without_keys, prefixes=["TEMPORARY"])
    candidates.create(connection)
    made = 0
    for _batch in range(BATCHES):
        rows = []
        for _row in range(3 * (wanted - made) + 10):
            gaps = chance.choice([0.05, 0.5, 0.95])  # a row is mostly full or mostly empty: states go together
            rows.append(
                {name: None if empty and chance.random() < gaps else make(chance) for name, make, empty in makers}
            )
        connection.execute(sa.insert(candidates), rows)
        copy = f'INSERT INTO "{table.name}" ({names}) SELECT {names} FROM candidates WHERE {allowed}'
        made += connection.exec_driver_sql(f"{copy} LIMIT {wanted - made} ON CONFLICT DO NOTHING").rowcount
        connection.execute(sa.delete(candidates))
        if made >= wanted:
            break
    candidates.drop(connection)
    return made
