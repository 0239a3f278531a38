"""order: whether its amount is the sum of its lines, so that a line that changes alone changes it too"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column(
        "sales_order",
        sa.Column(
            "amount_derived",
            sa.Boolean(),
            server_default=sa.false(),
            nullable=False,
            comment="the amount is the sum of the lines",
        ),
    )


def downgrade():
    op.drop_column("sales_order", "amount_derived")
