"""forms that were sent, so that a repeated one makes one record"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "submission",
        sa.Column("user_id", sa.Integer(), nullable=False, comment="who sent it"),
        sa.Column("nonce", sa.String(length=32), nullable=False, comment="made when the form was shown"),
        sa.Column("endpoint", sa.String(length=120), nullable=False, comment="the route it was sent to"),
        sa.Column("fingerprint", sa.String(length=64), nullable=False, comment="keyed hash of address and fields"),
        sa.Column("address", sa.String(length=500), nullable=False, comment="the page of the result"),
        sa.Column("at", sa.DateTime(), nullable=False, comment="UTC"),
        sa.ForeignKeyConstraint(["user_id"], ["ab_user.id"], name=op.f("fk_submission_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "nonce", name=op.f("pk_submission")),
    )
    op.create_index("ix_submission_at", "submission", ["at"])


def downgrade():
    op.drop_table("submission")
