"""user session: when its person last typed the password"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("user_session", sa.Column("auth_at", sa.DateTime(), comment="UTC; password last typed"))
    op.execute("UPDATE user_session SET auth_at = started_at")  # every session began with a password


def downgrade():
    op.drop_column("user_session", "auth_at")
