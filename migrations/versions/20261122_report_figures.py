"""what reports count customers by comes from an index; the sums of a customer lie side by side

SQLite keeps the sums in the order of their key now. PostgreSQL has no such tables, there only the index changes.
"""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

INDEX = ("ix_customer_registered", "customer")
SUMS = ("customer_month", "customer_year")


def upgrade():
    op.drop_index(*INDEX)
    op.create_index(*INDEX, ["registered_on", "id", "status", "level_id", "owner_id"])
    rebuild(with_rowid=False)


def downgrade():
    rebuild(with_rowid=True)
    op.drop_index(*INDEX)
    include = {"postgresql_include": ["status"]} if op.get_bind().dialect.name == "postgresql" else {}
    op.create_index(*INDEX, ["registered_on", "id"], **include)


def rebuild(*, with_rowid):
    """Make the tables of sums again with every row, on SQLite."""
    if op.get_bind().dialect.name != "sqlite":
        return
    for table in SUMS:
        with op.batch_alter_table(table, recreate="always", table_kwargs={"sqlite_with_rowid": with_rowid}):
            pass
