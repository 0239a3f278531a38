"""user session: what was typed into a form when the session was over already"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("user_session", sa.Column("kept_at", sa.String(500), comment="address of the form's page"))
    op.add_column("user_session", sa.Column("kept", sa.JSON(), comment="its fields, without secrets"))


def downgrade():
    op.drop_column("user_session", "kept")
    op.drop_column("user_session", "kept_at")
