"""notifications, how people want to hear of them, and what was sent"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "notice_settings",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column(
            "digest_hour", sa.Integer(), nullable=True, comment="company-local hour of the daily mail; null: none"
        ),
        sa.Column("digested_on", sa.Date(), nullable=True, comment="company-local day the mail was last thought of"),
        sa.Column("calendar_hash", sa.String(length=64), nullable=True, comment="SHA-256 of the secret in the address"),
        sa.Column("calendar_at", sa.DateTime(), nullable=True, comment="UTC; when that secret was made"),
        sa.CheckConstraint("digest_hour BETWEEN 0 AND 23", name=op.f("ck_notice_settings_digest_hour_range")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["ab_user.id"], name=op.f("fk_notice_settings_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_notice_settings")),
        sa.UniqueConstraint("calendar_hash", name="uq_notice_settings_calendar_hash"),
    )
    with op.batch_alter_table("notice_settings", schema=None) as batch_op:
        batch_op.create_index("ix_notice_settings_digest", ["digest_hour", "digested_on"], unique=False)

    op.create_table(
        "notification",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("event", sa.String(length=150), nullable=False, comment="what happened, once: ticket.assigned:7:31"),
        sa.Column("kind", sa.String(length=40), nullable=False, comment="name in KINDS"),
        sa.Column("recipient_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False, comment="UTC; when it happened"),
        sa.Column("record_type", sa.String(length=40), nullable=False, comment="table name of what it is about"),
        sa.Column("record_id", sa.Integer(), nullable=False, comment="row id in that table"),
        sa.Column("words", sa.JSON(), nullable=False, comment="values for the sentence of its kind"),
        sa.Column("read_at", sa.DateTime(), nullable=True, comment="UTC; null: unread"),
        sa.ForeignKeyConstraint(
            ["recipient_id"], ["ab_user.id"], name=op.f("fk_notification_recipient_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification")),
        sa.UniqueConstraint("event", "recipient_id", name="uq_notification_event"),
    )
    with op.batch_alter_table("notification", schema=None) as batch_op:
        batch_op.create_index("ix_notification_recipient", ["recipient_id", "read_at", "id"], unique=False)
        batch_op.create_index("ix_notification_recipient_newest", ["recipient_id", "id"], unique=False)

    op.create_table(
        "robot",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("url", sa.String(length=500), nullable=False, comment="secret"),
        sa.Column("secret", sa.String(length=200), nullable=True, comment="secret; signs messages, if the robot asks"),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("since", sa.DateTime(), nullable=False, comment="UTC; older things are not told"),
        sa.CheckConstraint("channel IN ('mail', 'wecom', 'dingtalk', 'feishu')", name=op.f("ck_robot_channel_code")),
        sa.ForeignKeyConstraint(["user_id"], ["ab_user.id"], name=op.f("fk_robot_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_robot")),
        sa.UniqueConstraint("user_id", "channel", name="uq_robot_user_channel"),
    )
    op.create_table(
        "delivery",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column(
            "key", sa.String(length=100), nullable=False, comment="stable name: the receiver knows a repeat by it"
        ),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("recipient_id", sa.Integer(), nullable=False, comment="whom it is for"),
        sa.Column("robot_id", sa.Integer(), nullable=True),
        sa.Column(
            "message_id", sa.String(length=200), nullable=True, comment="of the mail, the same for every attempt"
        ),
        sa.Column("made_at", sa.DateTime(), nullable=False, comment="UTC"),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("due_at", sa.DateTime(), nullable=False, comment="UTC; next attempt, or end of lease"),
        sa.Column("owner", sa.String(length=80), nullable=True, comment="host:pid that sends it"),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("repeats", sa.Integer(), nullable=False, comment="attempts after one whose end nobody saw"),
        sa.Column("sent_at", sa.DateTime(), nullable=True, comment="UTC"),
        sa.Column("error", sa.String(length=500), nullable=True, comment="of the last attempt, without addresses"),
        sa.CheckConstraint("(status = 'sent') = (sent_at IS NOT NULL)", name=op.f("ck_delivery_sent_iff_sent")),
        sa.CheckConstraint("channel IN ('mail', 'wecom', 'dingtalk', 'feishu')", name=op.f("ck_delivery_channel_code")),
        sa.CheckConstraint(
            "status IN ('waiting', 'sending', 'sent', 'failed', 'dropped')", name=op.f("ck_delivery_status_code")
        ),
        sa.ForeignKeyConstraint(
            ["recipient_id"], ["ab_user.id"], name=op.f("fk_delivery_recipient_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(["robot_id"], ["robot.id"], name=op.f("fk_delivery_robot_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
        sa.UniqueConstraint("key", name="uq_delivery_key"),
    )
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.create_index(
            "ix_delivery_due",
            ["due_at", "id"],
            unique=False,
            sqlite_where=sa.text("status IN ('waiting', 'sending')"),
            postgresql_where=sa.text("status IN ('waiting', 'sending')"),
        )
        batch_op.create_index("ix_delivery_made", ["made_at", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_delivery_recipient_id"), ["recipient_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_delivery_robot_id"), ["robot_id"], unique=False)
        batch_op.create_index("ix_delivery_status", ["status", "id"], unique=False)

    op.create_table(
        "delivery_item",
        sa.Column("delivery_id", sa.Integer(), nullable=False),
        sa.Column("notification_id", sa.Integer(), nullable=False),
        sa.Column("way", sa.String(length=40), nullable=False, comment="mail, or robot-<id>"),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["delivery.id"], name=op.f("fk_delivery_item_delivery_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["notification_id"], ["notification.id"], name=op.f("fk_delivery_item_notification_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("delivery_id", "notification_id", name=op.f("pk_delivery_item")),
        sa.UniqueConstraint("way", "notification_id", name="uq_delivery_item_way"),
    )
    with op.batch_alter_table("delivery_item", schema=None) as batch_op:
        batch_op.create_index("ix_delivery_item_notification", ["notification_id"], unique=False)


def downgrade():
    with op.batch_alter_table("delivery_item", schema=None) as batch_op:
        batch_op.drop_index("ix_delivery_item_notification")

    op.drop_table("delivery_item")
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.drop_index("ix_delivery_status")
        batch_op.drop_index(batch_op.f("ix_delivery_robot_id"))
        batch_op.drop_index(batch_op.f("ix_delivery_recipient_id"))
        batch_op.drop_index("ix_delivery_made")
        batch_op.drop_index(
            "ix_delivery_due",
            sqlite_where=sa.text("status IN ('waiting', 'sending')"),
            postgresql_where=sa.text("status IN ('waiting', 'sending')"),
        )

    op.drop_table("delivery")
    op.drop_table("robot")
    with op.batch_alter_table("notification", schema=None) as batch_op:
        batch_op.drop_index("ix_notification_recipient_newest")
        batch_op.drop_index("ix_notification_recipient")

    op.drop_table("notification")
    with op.batch_alter_table("notice_settings", schema=None) as batch_op:
        batch_op.drop_index("ix_notice_settings_digest")

    op.drop_table("notice_settings")
