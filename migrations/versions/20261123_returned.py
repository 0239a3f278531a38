"""customer_year: who ordered in the year before, too

Customer retention by years is then counted from the years' rows alone.
"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

NAME, COLUMNS = "ix_customer_year_best", ["year", "order_total", "customer_id", "order_count"]


def upgrade():
    op.drop_index(NAME, "customer_year")
    op.add_column(
        "customer_year",
        sa.Column(
            "returned", sa.Boolean(), server_default=sa.false(), nullable=False,
            comment="ordered in the year before, too",
        ),
    )  # fmt: skip
    op.execute(
        "UPDATE customer_year SET returned = true WHERE year > 0 AND EXISTS (SELECT 1 FROM customer_year b"
        " WHERE b.customer_id = customer_year.customer_id AND b.year = customer_year.year - 1 AND b.year > 0)"
    )
    op.create_index(NAME, "customer_year", [*COLUMNS, "returned"])


def downgrade():
    op.drop_index(NAME, "customer_year")
    op.drop_column("customer_year", "returned")
    op.create_index(NAME, "customer_year", COLUMNS)
