"""field_change, bulk_change; what was done and who signed in can no longer be changed or deleted"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

# table -> the columns that erasing may empty, with what they then are; every other column stays as it is
ERASABLE = {
    "field_change": {"before": "NULL", "after": "NULL"},
    "audit_entry": {"note": "NULL", "changes": "NULL"},
    "login_entry": {"account": "''", "ip": "NULL"},
}
COLUMNS = {
    "field_change": "id at actor_id record_type record_id field move ip source unit bulk_id",
    "audit_entry": "id at actor_id record_type record_id action outcome from_status to_status ip source unit",
    "login_entry": "id at user_id result",
}


def upgrade():
    op.create_table(
        "bulk_change",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False, comment="UTC"),
        sa.Column("actor_id", sa.Integer(), nullable=False, comment="who did it"),
        sa.Column("record_type", sa.String(length=40), nullable=False, comment="table name"),
        sa.Column("action", sa.String(length=40), nullable=False, comment="the step's name"),
        sa.Column("done", sa.Integer(), nullable=False, comment="records it was done for"),
        sa.Column("skipped", sa.Integer(), nullable=False, comment="records that refused it"),
        sa.Column("undone_at", sa.DateTime(), nullable=True, comment="UTC"),
        sa.Column("undone_by_id", sa.Integer(), nullable=True, comment="who undid it"),
        sa.Column(
            "back",
            sa.Integer(),
            nullable=True,
            comment="records the undoing moved back; the others had changed since",
        ),
        sa.CheckConstraint(
            "(undone_at IS NULL) = (undone_by_id IS NULL)", name=op.f("ck_bulk_change_undone_by_somebody")
        ),
        sa.ForeignKeyConstraint(
            ["actor_id"], ["ab_user.id"], name=op.f("fk_bulk_change_actor_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["undone_by_id"], ["ab_user.id"], name=op.f("fk_bulk_change_undone_by_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bulk_change")),
    )
    with op.batch_alter_table("bulk_change", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_bulk_change_actor_id"), ["actor_id"], unique=False)
        batch_op.create_index("ix_bulk_change_at", ["at", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_bulk_change_undone_by_id"), ["undone_by_id"], unique=False)

    op.create_table(
        "field_change",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False, comment="UTC"),
        sa.Column("actor_id", sa.Integer(), nullable=True, comment="who; null: the system"),
        sa.Column("record_type", sa.String(length=40), nullable=False, comment="table name"),
        sa.Column("record_id", sa.Integer(), nullable=False, comment="row id in that table"),
        sa.Column("field", sa.String(length=160), nullable=True, comment="column; null: the record was made"),
        sa.Column("before", sa.Text(), nullable=True, comment="as text: a code, an id, an ISO date"),
        sa.Column("after", sa.Text(), nullable=True, comment="the same, afterwards"),
        sa.Column("move", sa.String(length=80), nullable=False, comment="by which move: opportunity.win"),
        sa.Column("ip", sa.String(length=45), nullable=True),
        sa.Column("source", sa.String(length=60), nullable=True, comment="job or command; null: a request, from `ip`"),
        sa.Column("unit", sa.String(length=32), nullable=True, comment="what was written together"),
        sa.Column("bulk_id", sa.Integer(), nullable=True, comment="the bulk change it is part of"),
        sa.Column("erased", sa.Boolean(), server_default=sa.false(), nullable=False, comment="its values were erased"),
        sa.ForeignKeyConstraint(
            ["actor_id"], ["ab_user.id"], name=op.f("fk_field_change_actor_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["bulk_id"], ["bulk_change.id"], name=op.f("fk_field_change_bulk_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_field_change")),
    )
    with op.batch_alter_table("field_change", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_field_change_actor_id"), ["actor_id"], unique=False)
        batch_op.create_index("ix_field_change_at", ["at", "id"], unique=False)
        batch_op.create_index(
            "ix_field_change_bulk",
            ["bulk_id", "record_id"],
            unique=False,
            sqlite_where=sa.text("bulk_id IS NOT NULL"),
            postgresql_where=sa.text("bulk_id IS NOT NULL"),
        )
        batch_op.create_index("ix_field_change_field", ["record_type", "field", "id"], unique=False)
        batch_op.create_index("ix_field_change_record", ["record_type", "record_id", "id"], unique=False)

    with op.batch_alter_table("audit_entry", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "source", sa.String(length=60), nullable=True, comment="job or command; null: a request, from `ip`"
            )
        )
        batch_op.add_column(sa.Column("unit", sa.String(length=32), nullable=True, comment="what was written together"))
        batch_op.add_column(
            sa.Column("erased", sa.Boolean(), server_default=sa.false(), nullable=False, comment="its note was erased")
        )
        batch_op.alter_column(
            "changes",
            existing_type=sa.JSON(),
            existing_nullable=True,
            comment="the sentence of a refusal",
            existing_comment="field -> [from, to]",
        )
    with op.batch_alter_table("login_entry", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "erased",
                sa.Boolean(),
                server_default=sa.false(),
                nullable=False,
                comment="account and ip were erased",
            )
        )
    split_changes(op.get_bind())
    make_append_only(op.get_bind().dialect.name)


def downgrade():
    unmake_append_only(op.get_bind().dialect.name)
    join_changes(op.get_bind())
    with op.batch_alter_table("login_entry", schema=None) as batch_op:
        batch_op.drop_column("erased")
    with op.batch_alter_table("audit_entry", schema=None) as batch_op:
        batch_op.alter_column(
            "changes",
            existing_type=sa.JSON(),
            existing_nullable=True,
            comment="field -> [from, to]",
            existing_comment="the sentence of a refusal",
        )
        batch_op.drop_column("erased")
        batch_op.drop_column("unit")
        batch_op.drop_column("source")
    with op.batch_alter_table("field_change", schema=None) as batch_op:
        batch_op.drop_index("ix_field_change_record")
        batch_op.drop_index("ix_field_change_field")
        batch_op.drop_index("ix_field_change_bulk")
        batch_op.drop_index("ix_field_change_at")
        batch_op.drop_index(batch_op.f("ix_field_change_actor_id"))
    op.drop_table("field_change")
    with op.batch_alter_table("bulk_change", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_bulk_change_undone_by_id"))
        batch_op.drop_index("ix_bulk_change_at")
        batch_op.drop_index(batch_op.f("ix_bulk_change_actor_id"))
    op.drop_table("bulk_change")


# -- the log refuses to be changed -------------------------------------------------------------------------------


def make_append_only(dialect):
    """No DELETE, and no UPDATE but for one: what erasing may empty is emptied, once, and marked."""
    same = "IS NOT DISTINCT FROM" if dialect == "postgresql" else "IS"
    if dialect == "postgresql":
        op.execute(
            "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
        )
    for table, emptied in ERASABLE.items():
        erasing = [f"{value(c, 'OLD', dialect)} {same} {value(c, 'NEW', dialect)}" for c in COLUMNS[table].split()]
        erasing += [f"{value(column, 'NEW', dialect)} {same} {empty}" for column, empty in emptied.items()]
        erasing += ["NOT OLD.erased", "NEW.erased"]
        for event, when in (("UPDATE", f"WHEN (NOT ({' AND '.join(erasing)}))"), ("DELETE", "")):
            head = f"CREATE TRIGGER {table}_no_{event.lower()} BEFORE {event} ON {table} FOR EACH ROW {when}"
            if dialect == "postgresql":
                op.execute(f"{head} EXECUTE FUNCTION refuse_change()")
            else:
                op.execute(f"{head} BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END")


def value(column, row, dialect):
    """PostgreSQL cannot compare JSON."""
    return f"{row}.{column}::text" if column == "changes" and dialect == "postgresql" else f"{row}.{column}"


def unmake_append_only(dialect):
    for table in ERASABLE:
        for event in ("update", "delete"):
            op.execute(f"DROP TRIGGER {table}_no_{event}" + (f" ON {table}" if dialect == "postgresql" else ""))
    if dialect == "postgresql":
        op.execute("DROP FUNCTION refuse_change()")


# -- the values of before -----------------------------------------------------------------------------------------

entry = sa.table(
    "audit_entry",
    *map(sa.column, ("id", "actor_id", "record_type", "record_id", "action", "outcome", "ip", "unit")),
    sa.column("at", sa.DateTime()),
    sa.column("changes", sa.JSON(none_as_null=True)),
)
change = sa.table(
    "field_change",
    *map(sa.column, ("id", "actor_id", "record_type", "record_id", "field", "before", "after", "move", "ip", "unit")),
    sa.column("at", sa.DateTime()),
)


def split_changes(connection):
    """What entries kept of changed values becomes rows of their own."""
    found = sa.select(entry).where(
        entry.c.outcome == "done", entry.c.changes.is_not(None), entry.c.record_id.is_not(None)
    )
    for row in connection.execute(found.order_by(entry.c.id)).mappings().all():
        if not isinstance(row["changes"], dict) or "said" in row["changes"]:
            continue
        unit = f"entry-{row['id']}"
        same = {name: row[name] for name in ("at", "actor_id", "record_type", "record_id", "ip")}
        made = [
            {**same, "unit": unit, "move": f"{row['record_type']}.{row['action']}", "field": field,
             "before": text(pair[0]), "after": text(pair[1])}
            for field, pair in row["changes"].items()
        ]  # fmt: skip
        if made:
            connection.execute(sa.insert(change), made)
        connection.execute(sa.update(entry).where(entry.c.id == row["id"]).values(changes=None, unit=unit))


def join_changes(connection):
    """The way back: the rows of each entry in one JSON; changes that no entry tells are lost."""
    told = {}
    for row in connection.execute(
        sa.select(change).where(change.c.field.is_not(None)).order_by(change.c.id)
    ).mappings():
        told.setdefault((row["unit"], row["record_type"], row["record_id"]), {})[row["field"]] = [
            row["before"], row["after"],
        ]  # fmt: skip
    for (unit, record_type, record_id), changes in told.items():
        which = [entry.c.unit == unit, entry.c.record_type == record_type, entry.c.record_id == record_id]
        which += [entry.c.outcome == "done", entry.c.changes.is_(None)]
        connection.execute(sa.update(entry).where(*which).values(changes=changes))


def text(kept):
    if kept is None:
        return None
    if isinstance(kept, bool):
        return str(int(kept))
    return kept if isinstance(kept, str) else json.dumps(kept)
