"""customer_month: a customer's months hold their figures in the key, too

So PostgreSQL adds up what each customer ordered in the order of the key: nothing has to be put together in memory.
"""

from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

KEY = (
    "ALTER TABLE customer_month DROP CONSTRAINT pk_customer_month,"
    " ADD CONSTRAINT pk_customer_month PRIMARY KEY (customer_id, month)"
)


def upgrade():
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"{KEY} INCLUDE (order_count, order_total)")


def downgrade():
    if op.get_bind().dialect.name == "postgresql":
        op.execute(KEY)
