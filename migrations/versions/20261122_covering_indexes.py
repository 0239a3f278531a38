"""customer, sales order: the status inside the indexes of lists and of the churn scan, on PostgreSQL

Deleted customers and cancelled orders are left out without looking into the table.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INDEXES = (
    ("ix_customer_name", "customer", ["name", "id"]),
    ("ix_customer_level_name", "customer", ["level_id", "name", "id"]),
    ("ix_customer_registered", "customer", ["registered_on", "id"]),
    ("ix_customer_owner_name", "customer", ["owner_id", "name", "id"]),
    ("ix_sales_order_customer", "sales_order", ["customer_id", "ordered_at"]),
)


def upgrade():
    if op.get_bind().dialect.name != "postgresql":
        return
    for name, table, columns in INDEXES:
        op.drop_index(name, table)
        op.create_index(name, table, columns, postgresql_include=["status"])


def downgrade():
    if op.get_bind().dialect.name != "postgresql":
        return
    for name, table, columns in INDEXES:
        op.drop_index(name, table)
        op.create_index(name, table, columns)
