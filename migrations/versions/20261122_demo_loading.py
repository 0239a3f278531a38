"""installation: whether the demo company is still being loaded"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade():
    about = "the demo company is not there to its end yet"
    op.add_column(
        "installation",
        sa.Column("loading", sa.Boolean(), nullable=False, server_default=sa.false(), comment=about),
    )


def downgrade():
    op.drop_column("installation", "loading")
