"""Alembic's environment: FAB's metadata with all our tables, the application's own engine."""

from __future__ import annotations

from contextlib import contextmanager

from alembic import context
from flask import current_app
from flask_appbuilder import Model

from app.core.types import Money, UtcDateTime

metadata = Model.metadata
if len(metadata.tables) < 30:
    raise RuntimeError("The models are not loaded; a migration made now would drop every table.")


def render_item(kind, item, autogen_context):
    """Write our own column types into migrations as the plain types they are on each database."""
    if kind == "type" and isinstance(item, Money):
        autogen_context.imports.add("from migrations.types import money")
        return "money()"
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime()"
    if kind == "type" and type(item).__name__ == "ChoiceType":
        return "sa.String(length=20)"
    return False


def include_object(_item, name, kind, _reflected, _compare_to):
    """The search index over slices exists on PostgreSQL only and is no part of the models."""
    return not (kind == "index" and name == "ix_customer_search_slices")


def run() -> None:
    engine = current_app.extensions["migrate"].db.engine
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=metadata,
            render_as_batch=True,
            compare_type=True,
            render_item=render_item,
            include_object=include_object,
            transaction_per_migration=True,
            on_version_apply=check_references,
        )
        with without_foreign_keys(connection), context.begin_transaction():
            context.run_migrations()
        count_again(connection)


@contextmanager
def without_foreign_keys(connection):
    """SQLite rebuilds a table by dropping it: the rows that refer to it must neither forbid that nor go with it.

    Said to the driver itself: within a transaction SQLite ignores it, and a statement of ours would begin one.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    driver = connection.connection.driver_connection
    driver.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        connection.rollback()
        driver.execute("PRAGMA foreign_keys=ON")


def count_again(connection):
    """SQLite knows nothing of an index that a migration made until it is told to look: reports took far longer."""
    if connection.dialect.name == "sqlite" and connection.info.pop("migrated", False):
        with connection.begin():
            connection.exec_driver_sql("ANALYZE")


def check_references(ctx, step, **_more):
    """Undo a migration that leaves references to rows that are not there; it is not committed yet."""
    ctx.connection.info["migrated"] = True
    if ctx.dialect.name == "sqlite":
        broken = ctx.connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise RuntimeError(f"Migration {step.up_revision_id} breaks references: {broken[:5]}")


run()
