"""Alembic's environment: FAB's metadata with all our tables, the application's own engine."""

from __future__ import annotations

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
        if engine.dialect.name == "sqlite":
            # Outside a transaction, else it is ignored: rebuilding a parent table must not touch its children.
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
            connection.rollback()
        context.configure(
            connection=connection,
            target_metadata=metadata,
            render_as_batch=True,
            compare_type=True,
            render_item=render_item,
            include_object=include_object,
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()
        if engine.dialect.name == "sqlite":
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
            connection.rollback()
            if broken:
                raise RuntimeError(f"The migration broke references: {broken[:5]}")
            connection.exec_driver_sql("PRAGMA foreign_keys=ON")


run()
