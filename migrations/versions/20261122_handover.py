"""handovers: what one person owned and others got, record by record"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "handover",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("actor_id", sa.Integer(), nullable=False, comment="who did it"),
        sa.Column("leaver_id", sa.Integer(), nullable=False, comment="whose records they were"),
        sa.Column("rule", sa.JSON(), nullable=False, comment="as app.handover.rule.Rule writes it"),
        sa.Column("at", sa.DateTime(), nullable=False, comment="UTC"),
        sa.Column("counts", sa.JSON(), nullable=False, comment="moved and skipped, by kind of record"),
        sa.Column("undone_at", sa.DateTime(), nullable=True, comment="UTC"),
        sa.Column("undone_by_id", sa.Integer(), nullable=True, comment="who undid it"),
        sa.CheckConstraint("(undone_at IS NULL) = (undone_by_id IS NULL)", name=op.f("ck_handover_undone_by_somebody")),
        sa.CheckConstraint("undone_at IS NULL OR undone_at >= at", name=op.f("ck_handover_undone_afterwards")),
        sa.ForeignKeyConstraint(["actor_id"], ["ab_user.id"], name=op.f("fk_handover_actor_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(["leaver_id"], ["ab_user.id"], name=op.f("fk_handover_leaver_id"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(
            ["undone_by_id"], ["ab_user.id"], name=op.f("fk_handover_undone_by_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_handover")),
    )
    with op.batch_alter_table("handover", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_handover_actor_id"), ["actor_id"], unique=False)
        batch_op.create_index("ix_handover_at", ["at", "id"], unique=False)
        batch_op.create_index("ix_handover_leaver", ["leaver_id", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_handover_undone_by_id"), ["undone_by_id"], unique=False)

    op.create_table(
        "handover_item",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("handover_id", sa.Integer(), nullable=False),
        sa.Column("record_type", sa.String(length=20), nullable=False, comment="table name"),
        sa.Column("record_id", sa.Integer(), nullable=False, comment="row id in that table"),
        sa.Column("version", sa.Integer(), nullable=False, comment="of the record, when it was planned"),
        sa.Column("label", sa.String(length=200), nullable=False, comment="what it was called then"),
        sa.Column("from_id", sa.Integer(), nullable=False, comment="whose it was"),
        sa.Column("to_id", sa.Integer(), nullable=False, comment="whose it became"),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("undone", sa.String(length=20), nullable=True, comment="null: not undone"),
        sa.CheckConstraint("outcome IN ('moved', 'skipped')", name=op.f("ck_handover_item_outcome_code")),
        sa.CheckConstraint(
            "record_type IN ('customer', 'opportunity', 'ticket', 'feedback', 'complaint')",
            name=op.f("ck_handover_item_record_type_code"),
        ),
        sa.CheckConstraint("undone IN ('back', 'left')", name=op.f("ck_handover_item_undone_code")),
        sa.CheckConstraint("undone IS NULL OR outcome = 'moved'", name=op.f("ck_handover_item_undone_was_moved")),
        sa.ForeignKeyConstraint(
            ["from_id"], ["ab_user.id"], name=op.f("fk_handover_item_from_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["handover_id"], ["handover.id"], name=op.f("fk_handover_item_handover_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["to_id"], ["ab_user.id"], name=op.f("fk_handover_item_to_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_handover_item")),
        sa.UniqueConstraint("handover_id", "record_type", "record_id", name="uq_handover_item_record"),
    )
    with op.batch_alter_table("handover_item", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_handover_item_from_id"), ["from_id"], unique=False)
        batch_op.create_index("ix_handover_item_record", ["record_type", "record_id", "id"], unique=False)
        batch_op.create_index("ix_handover_item_to", ["to_id", "handover_id"], unique=False)


def downgrade():
    with op.batch_alter_table("handover_item", schema=None) as batch_op:
        batch_op.drop_index("ix_handover_item_to")
        batch_op.drop_index("ix_handover_item_record")
        batch_op.drop_index(batch_op.f("ix_handover_item_from_id"))

    op.drop_table("handover_item")
    with op.batch_alter_table("handover", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_handover_undone_by_id"))
        batch_op.drop_index("ix_handover_leaver")
        batch_op.drop_index("ix_handover_at")
        batch_op.drop_index(batch_op.f("ix_handover_actor_id"))

    op.drop_table("handover")
