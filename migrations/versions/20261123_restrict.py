"""An account or a role is never taken away from under what hangs on it: RESTRICT where rows went along

Accounts are disabled, not deleted; deleting a role removes its face first. The database says so as well.
"""

from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

# table: its column that names an account or a role
NAMES = {
    "dashboard_tile": ("user_id", "ab_user"),
    "notice_settings": ("user_id", "ab_user"),
    "notification": ("recipient_id", "ab_user"),
    "one_time_token": ("user_id", "ab_user"),
    "report_mail": ("user_id", "ab_user"),
    "robot": ("user_id", "ab_user"),
    "role_profile": ("role_id", "ab_role"),
    "second_factor": ("user_id", "ab_user"),
    "submission": ("user_id", "ab_user"),
    "user_profile": ("user_id", "ab_user"),
    "user_session": ("user_id", "ab_user"),
}


def upgrade():
    put("CASCADE", "RESTRICT")


def downgrade():
    put("RESTRICT", "CASCADE")


def put(before, after):
    for table, (column, parent) in NAMES.items():
        name = f"fk_{table}_{column}"
        if op.get_bind().dialect.name == "sqlite":
            key = f"CONSTRAINT {name} FOREIGN KEY({column}) REFERENCES {parent} (id) ON DELETE "
            rebuild(table, key + before, key + after)
        else:
            op.drop_constraint(name, table, type_="foreignkey")
            op.create_foreign_key(name, table, parent, [column], ["id"], ondelete=after)


def rebuild(table, before, after):
    """Make a table of SQLite anew from its own statement, which alone knows its CHECKs, with one part changed."""
    ask = "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL ORDER BY type <> 'table'"
    made, *beside = op.get_bind().exec_driver_sql(ask, (table,)).scalars()
    if made.count(before) != 1:
        raise RuntimeError(f"{table} was not made with: {before}")
    columns = made[made.index("(") :].replace(before, after)
    op.execute(f"CREATE TABLE {table}_new {columns}")
    op.execute(f"INSERT INTO {table}_new SELECT * FROM {table}")  # noqa: S608 - named above
    op.execute(f"DROP TABLE {table}")
    op.execute(f"ALTER TABLE {table}_new RENAME TO {table}")
    for statement in beside:
        op.execute(statement)
