"""months of reports as they were reported"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "report_close",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("report", sa.String(length=40), nullable=False, comment="id in the catalogue"),
        sa.Column("month", sa.Date(), nullable=False, comment="its first day, company-local"),
        sa.Column("closed_at", sa.DateTime(), nullable=False, comment="UTC"),
        sa.Column("closed_by_id", sa.Integer(), nullable=True, comment="who closed it by hand; null: the schedule"),
        sa.Column("table", sa.JSON(), nullable=False, comment="total and lines; decimals exactly, as text"),
        sa.ForeignKeyConstraint(
            ["closed_by_id"], ["ab_user.id"], name=op.f("fk_report_close_closed_by_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_close")),
        sa.UniqueConstraint("report", "month", name="uq_report_close_month"),
    )
    with op.batch_alter_table("report_close", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_report_close_closed_by_id"), ["closed_by_id"], unique=False)


def downgrade():
    with op.batch_alter_table("report_close", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_report_close_closed_by_id"))

    op.drop_table("report_close")
