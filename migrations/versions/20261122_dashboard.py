"""dashboard_tile: which tiles a person has on the dashboard"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "dashboard_tile",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=40), nullable=False, comment="name in reports/tiles.py"),
        sa.Column("position", sa.Integer(), nullable=False, comment="from 0"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["ab_user.id"], name=op.f("fk_dashboard_tile_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dashboard_tile")),
        sa.UniqueConstraint("user_id", "key", name="uq_dashboard_tile_user_key"),
    )


def downgrade():
    op.drop_table("dashboard_tile")
