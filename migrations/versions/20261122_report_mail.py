"""reports that people get by mail"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "report_mail",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("report", sa.String(length=40), nullable=False, comment="id in the catalogue"),
        sa.Column(
            "args",
            sa.String(length=1000),
            nullable=False,
            comment="its filters without the period, as an address has them",
        ),
        sa.Column("every", sa.String(length=20), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("stopped_why", sa.String(length=20), nullable=True),
        sa.Column("last_sent_for", sa.String(length=10), nullable=True, comment="newest week (Monday) or month mailed"),
        sa.Column("created_at", sa.DateTime(), nullable=False, comment="UTC"),
        sa.CheckConstraint("every IN ('weekly', 'monthly')", name=op.f("ck_report_mail_every_code")),
        sa.CheckConstraint("kind IN ('xlsx', 'csv')", name=op.f("ck_report_mail_kind_code")),
        sa.CheckConstraint("stopped_why IN ('right', 'account')", name=op.f("ck_report_mail_stopped_why_code")),
        sa.CheckConstraint("active = (stopped_why IS NULL)", name=op.f("ck_report_mail_stopped_for_a_reason")),
        sa.ForeignKeyConstraint(["user_id"], ["ab_user.id"], name=op.f("fk_report_mail_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_mail")),
        sa.UniqueConstraint("user_id", "report", "every", "args", name="uq_report_mail_user"),
    )
    with op.batch_alter_table("report_mail", schema=None) as batch_op:
        batch_op.create_index("ix_report_mail_every", ["every", "active"], unique=False)


def downgrade():
    with op.batch_alter_table("report_mail", schema=None) as batch_op:
        batch_op.drop_index("ix_report_mail_every")

    op.drop_table("report_mail")
