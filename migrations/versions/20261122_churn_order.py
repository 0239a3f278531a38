"""churn case: indexes for sorting the list by warning date and by last order"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade():
    op.create_index("ix_churn_case_opened", "churn_case", ["opened_at", "id"])
    op.create_index("ix_churn_case_last_order", "churn_case", ["last_order_at", "id"])


def downgrade():
    op.drop_index("ix_churn_case_last_order", "churn_case")
    op.drop_index("ix_churn_case_opened", "churn_case")
