"""indexes for reports, dashboards and the count of waiting warnings

The sums of a month or a year are read with their numbers from the index alone, biggest first.
"""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

NEW = (
    ("ix_retention_measure_at", "retention_measure", ["at", "case_id"]),
    ("ix_ticket_archived", "ticket", ["archived_at", "id"]),
    ("ix_ticket_step_at", "ticket_step", ["at", "id"]),
)
SUMS = tuple(
    (f"ix_customer_{span}_{name}", f"customer_{span}", span, total, count)
    for span in ("month", "year")
    for name, total, count in (("best", "order_total", "order_count"), ("paid", "paid_total", "paid_count"))
)
WARNINGS = ("ix_churn_case_status", "churn_case", ["status", "opened_at", "id"])


def upgrade():
    for name, table, columns in NEW:
        op.create_index(name, table, columns)
    for name, table, span, total, count in SUMS:
        op.drop_index(name, table)
        op.create_index(name, table, [span, total, "customer_id", count])
    if op.get_bind().dialect.name == "postgresql":
        name, table, columns = WARNINGS
        op.drop_index(name, table)
        op.create_index(name, table, columns, postgresql_include=["customer_id"])


def downgrade():
    if op.get_bind().dialect.name == "postgresql":
        name, table, columns = WARNINGS
        op.drop_index(name, table)
        op.create_index(name, table, columns)
    for name, table, span, total, _count in SUMS:
        op.drop_index(name, table)
        op.create_index(name, table, [span, total, "customer_id"])
    for name, table, _columns in reversed(NEW):
        op.drop_index(name, table)
