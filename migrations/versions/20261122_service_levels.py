"""ticket: by when its step is to be done, its words; the business calendar, service targets and reminders"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

STEPS = "step IN ('assign', 'handle', 'feedback')"


def stamps(table):
    """The columns and keys of a table that people edit."""
    return [
        sa.Column("created_at", sa.DateTime(), nullable=False, comment="UTC"),
        sa.Column("changed_at", sa.DateTime(), nullable=False, comment="UTC"),
        sa.Column("created_by_id", sa.Integer(), nullable=True, comment="null: the system"),
        sa.Column("changed_by_id", sa.Integer(), nullable=True, comment="null: the system"),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False, comment="raised by every change"),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        *(
            sa.ForeignKeyConstraint([column], ["ab_user.id"], name=f"fk_{table}_{column}", ondelete="RESTRICT")
            for column in ("created_by_id", "changed_by_id")
        ),
    ]


def upgrade():
    op.create_table(
        "calendar_day",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False, comment="company-local date"),
        sa.Column("working", sa.Boolean(), nullable=False, comment="the company works on it"),
        sa.Column("note", sa.String(100), nullable=True, comment="why: which holiday, which make-up day"),
        *stamps("calendar_day"),
        sa.UniqueConstraint("day", name="uq_calendar_day_day"),
    )
    op.create_index("ix_calendar_day_created_by_id", "calendar_day", ["created_by_id"])

    op.create_table(
        "service_target",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("type_id", sa.Integer(), nullable=False, comment="ticket type"),
        sa.Column("step", sa.String(20), nullable=False),
        sa.Column("hours", sa.Integer(), nullable=False, comment="working hours"),
        *stamps("service_target"),
        sa.ForeignKeyConstraint(
            ["type_id"], ["dictionary_item.id"], name="fk_service_target_type_id", ondelete="RESTRICT"
        ),
        sa.UniqueConstraint("type_id", "step", name="uq_service_target_type_step"),
        sa.CheckConstraint(STEPS, name=op.f("ck_service_target_step_code")),
        sa.CheckConstraint("hours > 0", name=op.f("ck_service_target_hours_positive")),
    )
    op.create_index("ix_service_target_created_by_id", "service_target", ["created_by_id"])

    about = "UTC; by when its step is to be done; null: no target, or archived"
    op.add_column("ticket", sa.Column("due_at", sa.DateTime(), nullable=True, comment=about))
    some = sa.text("due_at IS NOT NULL")
    op.create_index("ix_ticket_due", "ticket", ["due_at", "id"], sqlite_where=some, postgresql_where=some)

    op.create_table(
        "ticket_reminder",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("ticket_id", sa.Integer(), nullable=False),
        sa.Column("step", sa.String(20), nullable=False),
        sa.Column("due_at", sa.DateTime(), nullable=False, comment="UTC; when the step was due"),
        sa.Column("rung", sa.Integer(), nullable=False, comment="1: who has to act, 2: the leads"),
        sa.Column("at", sa.DateTime(), nullable=False, comment="UTC"),
        sa.PrimaryKeyConstraint("id", name="pk_ticket_reminder"),
        sa.ForeignKeyConstraint(["ticket_id"], ["ticket.id"], name="fk_ticket_reminder_ticket_id", ondelete="CASCADE"),
        sa.UniqueConstraint("ticket_id", "step", "due_at", "rung", name="uq_ticket_reminder_round"),
        sa.CheckConstraint(STEPS, name=op.f("ck_ticket_reminder_step_code")),
        sa.CheckConstraint("rung BETWEEN 1 AND 2", name=op.f("ck_ticket_reminder_rung_range")),
    )

    op.create_table(
        "ticket_word",
        sa.Column("type_id", sa.Integer(), nullable=False, comment="the ticket's type"),
        sa.Column(
            "word", sa.String(40), nullable=False, comment="folded: an English stem, a model number, two characters"
        ),
        sa.Column("ticket_id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("type_id", "word", "ticket_id", name="pk_ticket_word"),
        sa.ForeignKeyConstraint(["ticket_id"], ["ticket.id"], name="fk_ticket_word_ticket_id", ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )


def downgrade():
    op.drop_table("ticket_word")
    op.drop_table("ticket_reminder")
    op.drop_index("ix_ticket_due", "ticket")
    op.drop_column("ticket", "due_at")
    op.drop_table("service_target")
    op.drop_table("calendar_day")
