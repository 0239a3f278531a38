"""customer, opportunity: sums of money are not below zero

What is below zero already is taken out, so that the database takes the condition; the change log keeps what it was.
"""

from datetime import UTC, datetime
from decimal import Decimal

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

COLUMNS = {"customer": ("registered_capital", "annual_turnover"), "opportunity": ("expected_amount",)}


def upgrade():
    for table, columns in COLUMNS.items():
        for column in columns:
            take_out(table, column)
        put(table, columns, add=True)
    say("address, http or https")


def downgrade():
    for table, columns in COLUMNS.items():
        put(table, columns, add=False)
    say("address, as typed")


def say(website):
    """What a website is, where the database keeps such words."""
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("customer", "website", comment=website)


def take_out(table, column):
    """Amounts below zero become unknown, and the change log says what they were."""
    connection = op.get_bind()
    wrong = connection.execute(sa.text(f"SELECT id, {column} FROM {table} WHERE {column} < 0")).all()  # noqa: S608
    if not wrong:
        return
    cents = connection.dialect.name == "sqlite"
    told = [
        {
            "at": datetime.now(UTC).replace(tzinfo=None), "record_type": table, "record_id": id, "field": column,
            "before": f"{Decimal(value) / 100 if cents else value:.2f}", "move": f"{table}.edit", "source": "db upgrade",
        }
        for id, value in wrong
    ]  # fmt: skip
    log = sa.table("field_change", *(sa.column(name) for name in told[0]))
    op.bulk_insert(log, told)
    op.execute(f"UPDATE {table} SET {column} = NULL WHERE {column} < 0")  # noqa: S608
    print(f"{table}.{column}: {len(wrong)} below zero taken out; the change log has what they were.")  # noqa: T201


def put(table, columns, *, add):
    """The conditions into the table, or out of it."""
    checks = [(f"ck_{table}_{column}_not_negative", f"{column} >= 0") for column in columns]
    if op.get_bind().dialect.name == "sqlite":
        rebuild(table, [f"CONSTRAINT {name} CHECK ({condition})" for name, condition in checks], add=add)
        return
    for name, condition in checks:
        if add:
            op.create_check_constraint(op.f(name), table, condition)
        else:
            op.drop_constraint(op.f(name), table, type_="check")


def rebuild(table, checks, *, add):
    """Make a table of SQLite anew from its own statement, which alone knows its other CHECKs, with these or without."""
    ask = "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL ORDER BY type <> 'table'"
    made, *beside = op.get_bind().exec_driver_sql(ask, (table,)).scalars()
    columns = made[made.index("(") : made.rindex(")")].rstrip()
    for check in checks:
        columns = f"{columns}, {check}" if add else columns.replace(f", {check}", "")
    op.execute(f"CREATE TABLE {table}_new {columns})")
    op.execute(f"INSERT INTO {table}_new SELECT * FROM {table}")  # noqa: S608 - named above
    op.execute(f"DROP TABLE {table}")
    op.execute(f"ALTER TABLE {table}_new RENAME TO {table}")
    for statement in beside:
        op.execute(statement)
