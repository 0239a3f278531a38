"""attachments: files that hang on records"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "attachment",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("record_type", sa.String(length=40), nullable=False, comment="table name of the record it hangs on"),
        sa.Column("record_id", sa.Integer(), nullable=False, comment="row id in that table"),
        sa.Column("name", sa.String(length=200), nullable=False, comment="as uploaded, cleaned"),
        sa.Column("size", sa.Integer(), nullable=False, comment="bytes"),
        sa.Column("mime", sa.String(length=100), nullable=False, comment="told by the content"),
        sa.Column("sha256", sa.String(length=64), nullable=False, comment="of the content, hexadecimal"),
        sa.Column("key", sa.String(length=32), nullable=False, comment="random name below LIUKE_UPLOADS"),
        sa.Column("created_at", sa.DateTime(), nullable=False, comment="UTC"),
        sa.Column("created_by_id", sa.Integer(), nullable=True, comment="who attached it; null: the system"),
        sa.Column("deleted_at", sa.DateTime(), nullable=True, comment="UTC; set: hidden everywhere"),
        sa.CheckConstraint("length(trim(name)) > 0", name=op.f("ck_attachment_name_filled")),
        sa.CheckConstraint("size > 0", name=op.f("ck_attachment_size_positive")),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["ab_user.id"], name=op.f("fk_attachment_created_by_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attachment")),
        sa.UniqueConstraint("key", name="uq_attachment_key"),
    )
    with op.batch_alter_table("attachment", schema=None) as batch_op:
        batch_op.create_index("ix_attachment_created_by_id", ["created_by_id"], unique=False)
        batch_op.create_index("ix_attachment_record", ["record_type", "record_id", "id"], unique=False)
        batch_op.create_index(
            "uq_attachment_content",
            ["record_type", "record_id", "sha256"],
            unique=True,
            sqlite_where=sa.text("deleted_at IS NULL"),
            postgresql_where=sa.text("deleted_at IS NULL"),
        )


def downgrade():
    op.drop_table("attachment")
