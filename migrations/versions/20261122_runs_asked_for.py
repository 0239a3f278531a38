"""runs that somebody asked for and that wait"""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade():
    with op.batch_alter_table("job_run") as batch:
        batch.drop_constraint(op.f("ck_job_run_status_code"), type_="check")
        batch.create_check_constraint(
            op.f("ck_job_run_status_code"), "status IN ('waiting', 'running', 'done', 'failed', 'refused')"
        )


def downgrade():
    op.execute("UPDATE job_run SET status = 'failed', error = 'asked for, not begun' WHERE status = 'waiting'")
    with op.batch_alter_table("job_run") as batch:
        batch.drop_constraint(op.f("ck_job_run_status_code"), type_="check")
        batch.create_check_constraint(
            op.f("ck_job_run_status_code"), "status IN ('running', 'done', 'failed', 'refused')"
        )
