"""customer_month, customer_year: what was ordered and paid, by month, by year and in all"""

import sqlalchemy as sa
from alembic import op

from migrations.types import money

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def paid():
    return (
        sa.Column(
            "paid_count", sa.Integer(), server_default="0", nullable=False, comment="those of them that are paid"
        ),
        sa.Column("paid_total", money(), server_default="0", nullable=False, comment="CNY, paid"),
    )


def upgrade():
    for column in paid():
        op.add_column("customer_month", column)
    op.drop_index("ix_customer_month_month", "customer_month")
    op.create_index("ix_customer_month_best", "customer_month", ["month", "order_total", "customer_id"])
    op.create_index("ix_customer_month_paid", "customer_month", ["month", "paid_total", "customer_id"])
    op.create_table(
        "customer_year",
        sa.Column("customer_id", sa.Integer(), nullable=False),
        sa.Column("year", sa.Integer(), autoincrement=False, nullable=False, comment="company-local; 0: all together"),
        sa.Column("order_count", sa.Integer(), nullable=False, comment="orders not cancelled"),
        sa.Column("order_total", money(), nullable=False, comment="CNY, orders not cancelled"),
        *paid(),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_customer_year_customer_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("customer_id", "year", name=op.f("pk_customer_year")),
    )
    op.create_index("ix_customer_year_best", "customer_year", ["year", "order_total", "customer_id"])
    op.create_index("ix_customer_year_paid", "customer_year", ["year", "paid_total", "customer_id"])
    # `flask crm init`, which follows every upgrade, fills both in from the orders.


def downgrade():
    op.drop_table("customer_year")
    op.drop_index("ix_customer_month_paid", "customer_month")
    op.drop_index("ix_customer_month_best", "customer_month")
    op.create_index("ix_customer_month_month", "customer_month", ["month", "order_total"])
    for name in ("paid_total", "paid_count"):
        with op.batch_alter_table("customer_month") as table:
            table.drop_column(name)
