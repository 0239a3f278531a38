"""sales order: the amount inside the index of a customer's orders, on PostgreSQL

What a customer ordered after a churn warning is added up without looking into the table.
"""

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

NAME, TABLE, COLUMNS = "ix_sales_order_customer", "sales_order", ["customer_id", "ordered_at"]


def upgrade():
    if op.get_bind().dialect.name == "postgresql":
        op.drop_index(NAME, TABLE)
        op.create_index(NAME, TABLE, COLUMNS, postgresql_include=["status", "amount"])


def downgrade():
    if op.get_bind().dialect.name == "postgresql":
        op.drop_index(NAME, TABLE)
        op.create_index(NAME, TABLE, COLUMNS, postgresql_include=["status"])
