"""customer, customer_year: indexes that answer reports alone, and how amounts spread

The key of a customer's years holds their figures, an index by the customer's key what reports count by: both are read
side by side. PostgreSQL is told into how many classes of size the amounts fall, so that it adds them up on both cores.
"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

SIZE = "floor(ln(greatest({}, 0.01)::double precision) * 512)"
AMOUNTS = ("order_total", "paid_total")


def upgrade():
    op.create_index("ix_customer_key", "customer", ["id", "status", "level_id", "owner_id"])
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute(
        "ALTER TABLE customer_year DROP CONSTRAINT pk_customer_year, ADD CONSTRAINT pk_customer_year"
        " PRIMARY KEY (customer_id, year) INCLUDE (order_count, order_total, returned)"
    )
    if op.get_bind().dialect.server_version_info >= (14,):  # before, it knows no statistics of one expression
        for amount in AMOUNTS:
            name = f"st_customer_year_{amount}"
            op.execute(f"CREATE STATISTICS {name} ON ({SIZE.format(amount)}) FROM customer_year")
            op.execute(f"ALTER STATISTICS {name} SET STATISTICS 500")  # of too few rows it takes rare sizes for many
    op.execute("ANALYZE customer_year")


def downgrade():
    op.drop_index("ix_customer_key", "customer")
    if op.get_bind().dialect.name != "postgresql":
        return
    for amount in AMOUNTS:
        op.execute(f"DROP STATISTICS IF EXISTS st_customer_year_{amount}")
    op.execute(
        "ALTER TABLE customer_year DROP CONSTRAINT pk_customer_year,"
        " ADD CONSTRAINT pk_customer_year PRIMARY KEY (customer_id, year)"
    )
