"""passwords that are due, links for new ones, the second step of signing in, more in the login log"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

BEFORE = "'success', 'wrong', 'disabled', 'no_role', 'busy', 'logout'"
AFTER = "'success', 'wrong', 'code', 'disabled', 'no_role', 'busy', 'confirmed', 'link', 'reset', 'logout'"


def known_results(codes):
    with op.batch_alter_table("login_entry") as batch_op:
        batch_op.drop_constraint(op.f("ck_login_entry_result_code"), type_="check")
        batch_op.create_check_constraint(op.f("ck_login_entry_result_code"), f"result IN ({codes})")


def upgrade():
    with op.batch_alter_table("user_profile") as batch_op:
        batch_op.add_column(
            sa.Column(
                "password_due",
                sa.Boolean(),
                nullable=False,
                server_default=sa.false(),  # those of today's accounts were chosen long ago
                comment="somebody else chose the password: it is changed before anything else",
            )
        )
    with op.batch_alter_table("user_profile") as batch_op:
        batch_op.alter_column("password_due", existing_type=sa.Boolean(), existing_nullable=False, server_default=None)
    known_results(AFTER)
    op.create_table(
        "one_time_token",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("token_hash", sa.String(length=64), nullable=True, comment="SHA-256; null until the mail is made"),
        sa.Column("made_at", sa.DateTime(), nullable=False, comment="UTC"),
        sa.Column("expires_at", sa.DateTime(), nullable=False, comment="UTC"),
        sa.Column("used_at", sa.DateTime(), nullable=True, comment="UTC; used, or void"),
        sa.CheckConstraint("purpose IN ('reset', 'code')", name=op.f("ck_one_time_token_purpose_code")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["ab_user.id"], name=op.f("fk_one_time_token_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_one_time_token")),
        sa.UniqueConstraint("token_hash", name="uq_one_time_token_token_hash"),
    )
    op.create_index("ix_one_time_token_user", "one_time_token", ["user_id", "purpose", "made_at"])
    op.create_table(
        "second_factor",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("secret", sa.String(length=300), nullable=False, comment="encrypted with a key made from SECRET_KEY"),
        sa.Column("since", sa.DateTime(), nullable=True, comment="UTC; null: being set up, not asked for yet"),
        sa.Column(
            "last_step",
            sa.BigInteger(),
            nullable=False,
            comment="half minutes since 1970 of the last code taken: no code is good twice",
        ),
        sa.ForeignKeyConstraint(["user_id"], ["ab_user.id"], name=op.f("fk_second_factor_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_second_factor")),
    )
    op.create_table(
        "recovery_code",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False, comment="SHA-256"),
        sa.Column("used_at", sa.DateTime(), nullable=True, comment="UTC"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["second_factor.user_id"], name=op.f("fk_recovery_code_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_code")),
        sa.UniqueConstraint("user_id", "code_hash", name="uq_recovery_code_user"),
    )


def downgrade():
    op.drop_table("recovery_code")
    op.drop_table("second_factor")
    op.drop_index("ix_one_time_token_user", table_name="one_time_token")
    op.drop_table("one_time_token")
    op.execute("UPDATE login_entry SET result = 'wrong' WHERE result = 'code'")
    op.execute("DELETE FROM login_entry WHERE result IN ('confirmed', 'link', 'reset')")  # unknown before
    known_results(BEFORE)
    op.drop_column("user_profile", "password_due")
