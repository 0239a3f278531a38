"""The migrated database is the one the models speak of, on both engines, and the way there can be walked back."""

from __future__ import annotations

import json
import random
import re
import shutil
import sqlite3
from collections import Counter
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory
from flask_appbuilder import Model
from flask_migrate import downgrade, upgrade

from tests.conformance import company
from tests.conformance.rows import fill
from tests.support import instead
from tests.world import ROOT


def directory():
    config = Config(str(ROOT / "migrations" / "alembic.ini"))
    config.set_main_option("script_location", str(ROOT / "migrations"))
    return ScriptDirectory.from_config(config)


def test_there_is_one_head():
    assert len(directory().get_heads()) == 1


def test_every_migration_goes_both_ways():
    for revision in directory().walk_revisions():
        assert callable(revision.module.upgrade)
        assert callable(revision.module.downgrade)


def squeezed(text):
    """A condition without what the databases add when they repeat it: casts, brackets, quotes, blanks, case."""
    kinds = "text|character varying|date|numeric|integer|bigint|double precision"
    text = re.sub(rf"::({kinds})(\[\])?(\(\d+\))?", "", text.lower())
    text = re.sub(r"= any \(+array\[(.*?)\]\)+", r"in (\1)", text)
    text = re.sub(r"<> all \(+array\[(.*?)\]\)+", r"not in (\1)", text)
    text = re.sub(r"(\S+) >= (\S+)\)* and \(*\1 <= (\S+?)(?=\)|$)", r"\1 between \2 and \3", text)
    text = text.replace("<>", "!=").replace("trim(both from ", "trim(").replace("btrim(", "trim(")
    return re.sub(r"[\s()\"]", "", text)


def declared_checks():
    return {
        (table.name, str(constraint.name)): squeezed(str(constraint.sqltext))
        for table in Model.metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, sa.CheckConstraint)
    }


def declared_partial_indexes(dialect):
    return {
        (table.name, index.name): (bool(index.unique), squeezed(str(index.dialect_options[dialect]["where"])))
        for table in Model.metadata.tables.values()
        for index in table.indexes
        if index.dialect_options[dialect]["where"] is not None
    }


def stored_partial_indexes(db, dialect):
    if dialect == "sqlite":
        statement = "SELECT tbl_name, name, sql FROM sqlite_master WHERE type = 'index'"
    else:
        statement = "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
    return {
        (table, name): ("UNIQUE" in sql.upper(), squeezed(sql.split(" WHERE ", 1)[1]))
        for table, name, sql in db.session.execute(sa.text(statement))
        if sql and " WHERE " in sql
    }


def test_checks_are_stored_as_the_models_say_them(db):
    inspector = sa.inspect(db.engine)
    stored = {
        (table, check["name"]): squeezed(check["sqltext"])
        for table in Model.metadata.tables
        for check in inspector.get_check_constraints(table)
    }
    assert stored.keys() == declared_checks().keys()
    assert {key: text for key, text in stored.items() if text != declared_checks()[key]} == {}


def test_partial_indexes_are_stored_as_the_models_say_them(db, world):
    declared = declared_partial_indexes(world.database)
    assert declared
    assert stored_partial_indexes(db, world.database) == declared


# Rows that are only a part of another: they go with it. An account or a role takes nothing along, nor does a customer.
PARTS = {
    ("delivery", "robot_id"): "SET NULL",
    ("delivery_item", "delivery_id"): "CASCADE",
    ("delivery_item", "notification_id"): "CASCADE",
    ("handover_item", "handover_id"): "CASCADE",
    ("recovery_code", "user_id"): "CASCADE",
    ("ticket_reminder", "ticket_id"): "CASCADE",
    ("ticket_word", "ticket_id"): "CASCADE",
}


def test_nothing_goes_with_what_it_names_but_parts(db):
    inspector = sa.inspect(db.engine)
    stored = {
        (table, *key["constrained_columns"]): key["options"].get("ondelete")
        for table in Model.metadata.tables
        if not table.startswith("ab_")
        for key in inspector.get_foreign_keys(table)
    }
    assert {("user_profile", "user_id"), ("role_profile", "role_id"), ("customer", "owner_id")} <= stored.keys()
    assert {key: rule for key, rule in stored.items() if rule != "RESTRICT"} == PARTS


@pytest.mark.once
def test_sums_lie_in_the_order_of_their_keys_on_sqlite(db):
    tables = [t for t in Model.metadata.tables.values() if t.dialect_options["sqlite"]["with_rowid"] is False]
    assert {"customer_month", "customer_year"} <= {t.name for t in tables}
    for table in tables:
        made = db.session.execute(sa.text("SELECT sql FROM sqlite_master WHERE name = :name"), {"name": table.name})
        assert made.scalar_one().rstrip().endswith("WITHOUT ROWID")


@pytest.mark.once
def test_every_column_of_ours_says_what_it_means(app):
    ours = [table for name, table in Model.metadata.tables.items() if not name.startswith("ab_")]
    assert "customer" in {table.name for table in ours}
    said = {f"{table.name}.{column.name}": column.comment for table in ours for column in table.columns}
    assert [name for name, comment in said.items() if not (comment or "").strip()] == []


def test_the_migrated_database_is_the_one_of_the_models(app, db):
    result = app.test_cli_runner().invoke(args=["db", "check"])
    assert result.exit_code == 0, result.output


@pytest.fixture
def other_database(app, world):
    """A second, empty database."""
    with instead(app, world.scratch_database()) as engine:
        yield engine


@pytest.fixture
def full_database(app, world):
    """A second database with a row in every table."""
    from flask_appbuilder.security.sqla.models import User

    from app.extensions import db

    with instead(app, world.remembered_database()) as engine:
        people = {u.username: u for u in db.session.execute(sa.select(User)).scalars()}
        company.fill(lead=people["li"], manager=people["wang"])
        db.session.remove()
        yield engine


def tables(engine):
    names = set(sa.inspect(engine).get_table_names())
    return names - {"alembic_version"}


def test_all_the_way_down_and_up_again_with_rows_in_the_tables(app, full_database):
    full = tables(full_database)
    assert full == set(Model.metadata.tables)

    downgrade(directory="migrations", revision="base")
    assert tables(full_database) == set()

    upgrade(directory="migrations")
    assert tables(full_database) == full
    assert app.test_cli_runner().invoke(args=["db", "check"]).exit_code == 0


@pytest.mark.once
def test_sqlite_knows_the_indexes_that_a_migration_made(full_database):
    downgrade(directory="migrations", revision="0029")
    upgrade(directory="migrations")

    with full_database.connect() as connection:
        known = connection.execute(sa.text("SELECT idx FROM sqlite_stat1 WHERE tbl = 'customer'")).scalars().all()
    assert "ix_customer_key" in known


def test_amounts_below_zero_are_taken_out_and_told(app, full_database, world):
    downgrade(directory="migrations", revision="0031")
    scale = 100 if world.database == "sqlite" else 1
    with full_database.begin() as connection:
        connection.exec_driver_sql(f"UPDATE customer SET registered_capital = -5 * {scale}, annual_turnover = {scale}")
    upgrade(directory="migrations")
    with full_database.begin() as connection:
        kept = connection.exec_driver_sql("SELECT id, registered_capital, annual_turnover FROM customer").all()
        told = connection.exec_driver_sql(
            "SELECT record_id, field, before, after FROM field_change WHERE source = 'db upgrade'"
        ).all()
    assert kept
    assert {tuple(row[1:]) for row in kept} == {(None, scale)}
    assert {tuple(row) for row in told} == {(row[0], "registered_capital", "-5.00", None) for row in kept}
    for table, column in (("customer", "registered_capital"), ("customer", "annual_turnover"),
                          ("opportunity", "expected_amount")):  # fmt: skip
        with full_database.begin() as connection, pytest.raises(sa.exc.IntegrityError):
            connection.exec_driver_sql(f"UPDATE {table} SET {column} = -1")


def contents(engine):
    """Every row of every table, as (column, text) pairs."""
    inspector = sa.inspect(engine)
    found = {}
    with engine.connect() as connection:
        for (_schema, table), columns in inspector.get_multi_columns().items():
            if table != "alembic_version":
                names = [column["name"] for column in columns]
                picked = ", ".join(f'"{name}"' for name in names)
                rows = connection.exec_driver_sql(f'SELECT {picked} FROM "{table}"')
                found[table] = (names, [tuple(map(str, row)) for row in rows])
    return found


def shape(engine):
    """Everything the database says of its tables, in an order of our own."""
    inspector = sa.inspect(engine)
    said = set()
    for part in ("columns", "pk_constraint", "foreign_keys", "unique_constraints", "indexes", "check_constraints"):
        for (_schema, table), found in getattr(inspector, f"get_multi_{part}")().items():
            ones = found if isinstance(found, list) else [found]
            said |= {(table, part, json.dumps(one, default=str, sort_keys=True)) for one in ones}
    return said


# What a migration writes anew on its way up, by its file: its old values are elsewhere then.
REWRITTEN = {"20261122_field_changes.py": {"audit_entry": {"changes"}}}  # become rows of field_change


def lost(before, after, rewritten):
    """Rows of `before` that are not in `after`, seen in the columns both have."""
    gone = {}
    for table, (names, rows) in before.items():
        there, kept = after.get(table, ([], []))
        shared = [name for name in names if name in there and name not in rewritten.get(table, ())]
        left, right = ([names.index(n) for n in shared], [there.index(n) for n in shared])
        wanting = Counter(tuple(row[i] for i in left) for row in rows)
        wanting.subtract(Counter(tuple(row[i] for i in right) for row in kept))
        if some := [row for row, count in wanting.items() if count > 0]:
            gone[table] = (shared, len(some), some[0])
    return gone


def assert_whole(engine):
    """PostgreSQL looks itself; SQLite rebuilds tables without looking at references."""
    if engine.dialect.name == "sqlite":
        with sqlite3.connect(engine.url.database) as file:
            assert file.execute("PRAGMA foreign_key_check").fetchall() == []
            assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        file.close()


def test_every_migration_goes_up_down_and_up_over_200_random_rows_in_every_table(app, other_database):
    """Up over rows of the tables as they were, down over rows of the tables as they become, and up again."""
    chance = random.Random(26)
    first, *more = reversed(list(directory().walk_revisions()))
    upgrade(directory="migrations", revision=first.revision)
    fill(other_database, chance, set())
    new_shape = shape(other_database)
    for script in more:
        old_shape, old = new_shape, contents(other_database)
        rewritten = REWRITTEN.get(Path(script.path).name, {})

        upgrade(directory="migrations", revision=script.revision)
        new_shape = shape(other_database)
        assert lost(old, contents(other_database), rewritten) == {}, script.path
        fill(other_database, chance, {table for table, _part, _said in new_shape ^ old_shape})

        downgrade(directory="migrations", revision=script.down_revision)
        assert shape(other_database) ^ old_shape == set(), script.path
        assert lost(old, contents(other_database), {}) == {}, script.path

        upgrade(directory="migrations", revision=script.revision)
        assert shape(other_database) ^ new_shape == set(), script.path
        assert_whole(other_database)
        fill(other_database, chance, set())  # what the older tables have no place for went on the way

    assert tables(other_database) == set(Model.metadata.tables)
    assert app.test_cli_runner().invoke(args=["db", "check"]).exit_code == 0
    downgrade(directory="migrations", revision="base")
    assert tables(other_database) == set()


PARENTS_REBUILT = """
from alembic import op

revision, down_revision = "rebuilt", {head!r}


def upgrade():
    rebuild = "always" if op.get_bind().dialect.name == "sqlite" else "never"
    for parent in ("customer", "sales_order", "ab_user"):
        with op.batch_alter_table(parent, recreate=rebuild) as table:
            table.alter_column("id", comment="rebuilt")


downgrade = upgrade
"""
CUSTOMERS_GONE = """
from alembic import op

revision, down_revision = "gone", {head!r}


def upgrade():
    op.execute("DELETE FROM customer")


def downgrade():
    pass
"""


@pytest.fixture
def one_more(tmp_path):
    """`one_more(text)` is the folder of our migrations with one after the newest."""

    def folder(text):
        shutil.copytree(ROOT / "migrations", tmp_path / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
        head = directory().get_current_head()
        (tmp_path / "migrations" / "versions" / "one_more.py").write_text(text.format(head=head))
        return str(tmp_path / "migrations")

    return folder


def row_counts(engine):
    with engine.connect() as connection:
        return {name: connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar() for name in tables(engine)}


def test_tables_that_others_refer_to_can_be_rebuilt_over_rows(full_database, one_more):
    """SQLite changes most of a table by making it anew and dropping the old one."""
    folder, before = one_more(PARENTS_REBUILT), row_counts(full_database)
    assert before["customer"]
    assert before["contact"]

    upgrade(directory=folder)
    assert row_counts(full_database) == before
    downgrade(directory=folder, revision=directory().get_current_head())
    assert row_counts(full_database) == before


def test_a_migration_that_breaks_references_is_not_kept(full_database, one_more):
    before = row_counts(full_database)
    with pytest.raises((SystemExit, sa.exc.IntegrityError)):
        upgrade(directory=one_more(CUSTOMERS_GONE))
    assert row_counts(full_database) == before


def test_after_migrating_references_are_looked_after_again(full_database):
    with full_database.connect() as connection, pytest.raises(sa.exc.IntegrityError):
        connection.exec_driver_sql("DELETE FROM customer")


def test_starting_the_application_runs_no_ddl(app, other_database):
    """An empty database stays empty: tables are made by `flask db upgrade`, in one place, before the processes."""
    from app import create_app

    create_app(TESTING=True, SQLALCHEMY_DATABASE_URI=str(other_database.url.render_as_string(hide_password=False)))
    assert tables(other_database) == set()
