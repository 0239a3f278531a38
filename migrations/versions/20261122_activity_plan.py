"""activity: what is to be done, by whom"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade():
    about = "what is to be done, by whom"
    op.add_column("activity", sa.Column("plan", sa.String(length=3000), nullable=True, comment=about))


def downgrade():
    op.drop_column("activity", "plan")
