"""customer_estimate, estimate_run: how likely each customer is not to order, and how right that was"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "estimate_run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("as_of", sa.DateTime(), nullable=False, comment="UTC; orders up to then were read"),
        sa.Column("made_at", sa.DateTime(), nullable=False, comment="UTC"),
        sa.Column("customers", sa.Integer(), nullable=False, comment="customers with an order by then"),
        sa.Column(
            "parameters",
            sa.JSON(none_as_null=True),
            nullable=True,
            comment="r, alpha, a, b; null: too few customers, no estimates",
        ),
        sa.Column("log_likelihood", sa.Double(), nullable=True, comment="of all customers' orders"),
        sa.Column(
            "hits",
            sa.JSON(none_as_null=True),
            nullable=True,
            comment="what happened: customers, silent, auc, brier, bands",
        ),
        sa.Column("measured_at", sa.DateTime(), nullable=True, comment="UTC; null: not over yet"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_estimate_run")),
        sa.UniqueConstraint("as_of", name="uq_estimate_run_as_of"),
    )
    op.create_table(
        "customer_estimate",
        sa.Column("customer_id", sa.Integer(), nullable=False),
        sa.Column("as_of", sa.DateTime(), nullable=False, comment="UTC; orders up to then were read"),
        sa.Column(
            "probability", sa.Double(), nullable=False, comment="of no order in the 26 weeks after as_of, 0 to 1"
        ),
        sa.Column("made_at", sa.DateTime(), nullable=False, comment="UTC"),
        sa.CheckConstraint("probability BETWEEN 0 AND 1", name=op.f("ck_customer_estimate_probability_range")),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customer.id"], name=op.f("fk_customer_estimate_customer_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_customer_estimate")),
    )


def downgrade():
    op.drop_table("customer_estimate")
    op.drop_table("estimate_run")
