"""the recycle bin: a line for every deleted record; plan steps and participants are hidden too"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

# What was hidden before there was a bin: table -> what it is called there.
HIDDEN = {
    "contact": "name", "interaction": "title", "opportunity": "title", "ticket": "number || ' ' || title",
    "feedback": "title", "complaint": "subject", "activity": "title", "attachment": "name",
}  # fmt: skip
HIDES = "UTC; set: hidden everywhere"


def upgrade():
    op.create_table(
        "deletion",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("record_type", sa.String(length=40), nullable=False, comment="table name"),
        sa.Column("record_id", sa.Integer(), nullable=False, comment="row id in that table"),
        sa.Column("label", sa.String(length=200), nullable=False, comment="what it was called"),
        sa.Column("was", sa.String(length=20), nullable=True, comment="its status before, if deleting changed it"),
        sa.Column("at", sa.DateTime(), nullable=False, comment="UTC; deleted_at of what went with it"),
        sa.Column("actor_id", sa.Integer(), nullable=True, comment="who deleted it; null: the system"),
        sa.Column("children", sa.Integer(), nullable=False, comment="records that went with it"),
        sa.ForeignKeyConstraint(["actor_id"], ["ab_user.id"], name=op.f("fk_deletion_actor_id"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deletion")),
        sa.UniqueConstraint("record_type", "record_id", name="uq_deletion_record"),
    )
    op.create_index("ix_deletion_at", "deletion", ["at", "id"])
    op.create_index(op.f("ix_deletion_actor_id"), "deletion", ["actor_id"])
    with op.batch_alter_table("plan_step") as batch:
        batch.add_column(sa.Column("deleted_at", sa.DateTime(), nullable=True, comment=HIDES))
    with op.batch_alter_table("activity_participant") as batch:
        batch.add_column(sa.Column("deleted_at", sa.DateTime(), nullable=True, comment=HIDES))
        batch.drop_constraint("uq_activity_participant", type_="unique")
    live = sa.text("deleted_at IS NULL")
    op.create_index(
        "uq_activity_participant", "activity_participant", ["activity_id", "customer_id"],
        unique=True, sqlite_where=live, postgresql_where=live,
    )  # fmt: skip
    op.create_index("ix_activity_participant_activity", "activity_participant", ["activity_id", "id"])
    for table, name in HIDDEN.items():
        op.execute(
            "INSERT INTO deletion (record_type, record_id, label, at, actor_id, children)"  # noqa: S608
            f" SELECT '{table}', r.id, substr({name}, 1, 200), r.deleted_at, ({_newest(table, 'actor_id')}), 0"
            f" FROM {table} r WHERE r.deleted_at IS NOT NULL"
        )
    op.execute(
        "INSERT INTO deletion (record_type, record_id, label, was, at, actor_id, children)"  # noqa: S608
        f" SELECT 'customer', r.id, r.name, coalesce(({_before()}), 'active'),"
        f" coalesce(({_newest('customer', 'at')}), r.changed_at), ({_newest('customer', 'actor_id')}), 0"
        " FROM customer r WHERE r.status = 'deleted'"
    )


def _newest(table, column):
    return (
        f"SELECT a.{column} FROM audit_entry a WHERE a.record_type = '{table}' AND a.record_id = r.id"  # noqa: S608
        " AND a.action = 'delete' AND a.outcome = 'done' ORDER BY a.id DESC LIMIT 1"
    )


def _before():
    return (
        "SELECT c.before FROM field_change c WHERE c.record_type = 'customer' AND c.record_id = r.id"
        " AND c.field = 'status' AND c.after = 'deleted' ORDER BY c.id DESC LIMIT 1"
    )


def downgrade():
    op.execute("DELETE FROM plan_step WHERE deleted_at IS NOT NULL")
    op.execute("DELETE FROM activity_participant WHERE deleted_at IS NOT NULL")
    op.drop_index("ix_activity_participant_activity", "activity_participant")
    op.drop_index("uq_activity_participant", "activity_participant")
    with op.batch_alter_table("activity_participant") as batch:
        batch.create_unique_constraint("uq_activity_participant", ["activity_id", "customer_id"])
        batch.drop_column("deleted_at")
    with op.batch_alter_table("plan_step") as batch:
        batch.drop_column("deleted_at")
    op.drop_table("deletion")
