"""No change of a business record goes untold, whoever makes it and however; and nobody rewrites what was told."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
from flask_appbuilder import Model
from flask_appbuilder.security.sqla.models import Role, User
from flask_babel import force_locale
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import RelationshipProperty

from app.churn.models import ChurnCase
from app.core.changes import SECRET, as_text, is_told, moving, told_columns, told_models
from app.core.choices import ChoiceType
from app.core.errors import StepRefused
from app.core.history import field_label, views_by_table
from app.core.models import AuditEntry, FieldChange
from app.core.types import Money, UtcDateTime
from app.customers.models import Customer
from app.sales.models import Opportunity
from app.security.models import LoginEntry, LoginResult
from app.tickets.models import Complaint, Feedback, Ticket
from tests import builders
from tests.conformance import company
from tests.conformance.house import arrows, screens
from tests.support import rows
from tests.world import ROOT


@pytest.mark.once
def test_every_model_is_told_or_says_why_not(app):
    untold = {m.class_ for m in Model.registry.mappers if not is_told(m.class_)}
    ours = [model for model in untold if model.__module__.startswith("app.")]
    assert [m.__name__ for m in ours if len(m.without_history.split()) < 2] == []
    assert not {"customer", "contact", "interaction", "opportunity", "plan_step", "churn_case", "retention_measure",
                "ticket", "feedback", "complaint", "activity", "activity_participant", "attachment", "handover",
                "dictionary_item", "calendar_day", "service_target", "team", "ab_user", "user_profile", "ab_role",
                "role_profile"} - {model.__tablename__ for model in told_models()}  # fmt: skip


@pytest.mark.once
def test_every_field_of_every_edit_screen_is_a_told_column(app):
    elsewhere = {"phone", "team", "roles", "label_zh", "label_en", "active"}  # of an account's profile, a role's face
    wrong = []
    for view in screens(app):
        model = view.datamodel.obj
        for name in view.edit_columns:
            relation = isinstance(getattr(getattr(model, name, None), "property", None), RelationshipProperty)
            known = (f"{name}_id" if relation else name) in told_columns(model)
            if not known and not (model in (User, Role) and name in elsewhere):
                wrong.append(f"{view.endpoint}: {name}")
    assert wrong == []


@pytest.mark.once
def test_every_told_column_is_called_by_its_name_in_both_languages(app):
    unnamed = []
    with app.test_request_context():
        for model in told_models():
            table = getattr(model, "history_as", model.__tablename__)
            view = views_by_table().get(table)
            for column in told_columns(model) if view is not None else ():
                for language in ("en", "zh"):
                    with force_locale(language):
                        words = str(field_label(view, column))
                    if words == column or (language == "zh") != bool(re.search("[\u4e00-\u9fff]", words)):
                        unnamed.append(f"{language} {model.__tablename__}.{column}: {words}")
    assert unnamed == []


def another(column, value):
    """A value this column could have instead."""
    kind = column.type
    if isinstance(kind, ChoiceType):
        return next(choice for choice in kind.choices if choice != value)
    if isinstance(kind, sa.Boolean):
        return not value
    if isinstance(kind, Money):
        return (value or Decimal(0)) + Decimal("1.50")
    if isinstance(kind, sa.Integer):
        return (value or 0) + 1
    if isinstance(kind, UtcDateTime):
        return (value or datetime(2026, 1, 1, tzinfo=UTC)) + timedelta(days=1)
    if isinstance(kind, sa.DateTime):
        return (value or datetime(2026, 1, 1)) + timedelta(days=1)
    if isinstance(kind, sa.Date):
        return (value or date(2026, 1, 1)) + timedelta(days=1)
    if isinstance(kind, sa.JSON):
        return {"another": True}
    return f"{value or ''}x"[-(kind.length or 50) :]


def lift(db, table):
    """Take the CHECKs and keys of a table off, until the next rollback (SQLite's CHECKs until `let_down`)."""
    if db.engine.dialect.name == "sqlite":
        db.session.execute(sa.text("PRAGMA ignore_check_constraints=ON"))
        db.session.execute(sa.text("PRAGMA defer_foreign_keys=ON"))
        return
    db.session.execute(sa.text("SET LOCAL session_replication_role = replica"))
    for check in sa.inspect(db.session.connection()).get_check_constraints(table):
        db.session.execute(sa.text(f'ALTER TABLE {table} DROP CONSTRAINT "{check["name"]}"'))


def let_down(db):
    """Put them on again."""
    db.session.rollback()
    if db.engine.dialect.name == "sqlite":
        db.session.execute(sa.text("PRAGMA ignore_check_constraints=OFF"))


def test_a_change_of_any_column_writes_from_what_to_what_in_the_same_transaction(app, db, li, wang):
    """Every model, every column, none of them read before; the tables' CHECKs and keys are off meanwhile."""
    company.fill(lead=li, manager=wang)
    seen = 0
    for model in told_models():
        db.session.rollback()
        lift(db, model.__tablename__)
        key, names = sa.inspect(model).primary_key[0], told_columns(model)
        pk = db.session.execute(sa.select(sa.func.max(key))).scalar_one()
        before = db.session.execute(sa.select(*(getattr(model, name) for name in names)).where(key == pk)).one()
        record = db.session.get_one(model, pk)
        db.session.expire(record)
        after = [
            another(getattr(model, name).property.columns[0], value) for name, value in zip(names, before, strict=True)
        ]
        with moving("test", "change", actor=li):
            for name, value in zip(names, after, strict=True):
                setattr(record, name, value)
            db.session.flush()
        kind = getattr(model, "history_as", model.__tablename__)
        secret = SECRET.get(kind, ())
        assert [
            (c.field, c.before, c.after, c.record_type, c.record_id, c.actor_id)
            for c in rows(FieldChange, FieldChange.move == "test.change")
        ] == [
            (name, *((None, None) if name in secret else (as_text(was), as_text(now))), kind, pk, li.id)
            for name, was, now in zip(names, before, after, strict=True)
        ]
        seen += len(names)
    let_down(db)
    assert seen > 150
    assert rows(FieldChange, FieldChange.move == "test.change") == []  # gone with what it told


def test_a_flush_is_told_in_one_statement(app, db, li, wang):
    from tests import builders
    from tests.support import statements

    customers = [builders.customer(owner=wang) for _n in range(30)]
    with statements(app) as seen:
        for customer in customers:
            customer.memo, customer.city, customer.owner = "改", "北京", li
        db.session.flush()
    assert len([s for s in seen if "INSERT" in s]) == 1
    assert len(rows(FieldChange, FieldChange.field.in_(["memo", "city", "owner_id"]))) == 90
    db.session.rollback()


def test_a_statement_past_the_session_has_to_tell_its_changes(app, db):
    for model in told_models():
        table, key = model.__table__, sa.inspect(model).primary_key[0]
        for statement in (
            sa.update(model).where(key == 0).values({key: 0}), sa.update(table).where(key == 0).values({key.name: 0}),
            sa.delete(model).where(key == 0), sa.delete(table).where(key == 0), sa.insert(table).values({key.name: 0}),
        ):  # fmt: skip
            with pytest.raises(RuntimeError, match="past the history"):
                db.session.execute(statement)


@pytest.mark.once
def test_nobody_writes_around_the_session():
    """What is executed on a connection is not seen by the session: only these may, none of them changes a record."""
    allowed = {
        "app/core/changes.py": "writes the history itself",
        "app/desk/demo/loading.py": "empties a database that was never finished",
        "app/security/sessions.py": "notes when somebody was last seen",
    }
    around = re.compile(r"engine\.begin\(|raw_connection\(|connection\(\)\.execute")
    found = {str(p.relative_to(ROOT)) for p in (ROOT / "app").rglob("*.py") if around.search(p.read_text("utf-8"))}
    assert found == set(allowed)


def test_accounts_and_roles_are_told_as_one_record(db, wang, sysadmin):
    from app.security import operations, role_operations
    from app.security.people import roles_by_code

    operations.change_own_phone(wang, "010-1")
    role = roles_by_code(["executive"])[0]
    role_operations.change_role(role, actor=sysadmin, label_zh="总经理", label_en="Executive", active=True)
    told = {(c.record_type, c.record_id, c.field, c.before, c.after) for c in rows(FieldChange)}
    assert told >= {("ab_user", wang.id, "phone", None, "010-1"), ("ab_role", role.id, "label_zh", "高管", "总经理")}


def in_state(model, status, *, li, wang):
    """A record of this model in this state."""

    def holder(status):
        return None if status.value in ("unassigned", "created") else wang

    states = {
        Customer: lambda status: builders.customer(owner=wang, status=status),
        Opportunity: lambda status: builders.opportunity(by=li, given_to=holder(status), status=status),
        Ticket: lambda status: builders.ticket(by=li, given_to=holder(status), status=status),
        ChurnCase: lambda status: builders.churn_case(status=status, owner=wang),
        Feedback: lambda status: builders.feedback(status=status),
        Complaint: lambda status: builders.complaint(status=status, remedy="已换货"),
    }
    return states[model](status)


def without_its_work(step, meanwhile=None):
    """The step as the framework takes it: nobody forbids it, and all it does is what happens meanwhile."""

    def work(record, *, actor, at):
        if meanwhile is not None:
            meanwhile()

    work.__name__ = step.name
    return replace(step, work=work, target=None, lock=None, whose=None, guard=None, note=None, after=None)


@pytest.mark.parametrize("arrow", arrows(), ids=str)
def test_every_step_there_is_writes_its_row_in_the_same_transaction(db, arrow, li, wang):
    """Whatever its work does: here it does nothing, and nobody forbids it."""
    for status in arrow.step.sources:
        record = in_state(arrow.model, status, li=li, wang=wang)
        db.session.commit()
        before = len(rows(AuditEntry))
        without_its_work(arrow.step)(record, actor=li)
        (entry,) = rows(AuditEntry)[before:]
        told = (entry.record_type, entry.record_id, entry.action, entry.actor_id, entry.from_status)
        assert told == (record.__tablename__, record.id, arrow.step.name, li.id, status.value)
        db.session.rollback()
        assert len(rows(AuditEntry)) == before


@pytest.mark.parametrize("arrow", arrows(), ids=str)
def test_whoever_is_slower_takes_no_step_there_is(db, world, arrow, li, wang):
    """Somebody else saves the record between its reading and the step; on PostgreSQL in the middle of the step, too.

    On SQLite nobody comes in between there: a step holds the only write lock.
    """
    for status in arrow.step.sources:
        for in_the_middle in (False, True) if world.database == "postgresql" else (False,):
            record = in_state(arrow.model, status, li=li, wang=wang)
            db.session.commit()
            table, key = type(record).__table__, record.id
            before, version = len(rows(AuditEntry)), record.version
            db.session.commit()

            def somebody_else(table=table, key=key):
                with db.engine.begin() as other:
                    other.execute(sa.update(table).where(table.c.id == key).values(version=table.c.version + 1))

            if not in_the_middle:
                somebody_else()
            slower = without_its_work(arrow.step, somebody_else if in_the_middle else None)
            with pytest.raises(StepRefused, match="Somebody else was faster"):
                slower(record, actor=li)
            db.session.rollback()

            now = db.session.execute(sa.select(table.c.version, table.c.status).where(table.c.id == key)).one()
            assert tuple(now) == (version + 1, status.value)
            assert len(rows(AuditEntry)) == before


# -- append-only ------------------------------------------------------------------------------------------------


@pytest.fixture
def logs(db, li):
    """One row of every log, committed."""
    from tests import builders

    customer = builders.customer()
    db.session.add(FieldChange(record_type="customer", record_id=customer.id, field="name", before="a", after="b",
                               move="customer.edit", actor=li))  # fmt: skip
    db.session.add(AuditEntry(record_type="customer", record_id=customer.id, action="edit", note="a", actor=li))
    db.session.add(LoginEntry(account="li", user_id=li.id, ip="10.0.0.1", result=LoginResult.success))
    db.session.commit()
    return (FieldChange, AuditEntry, LoginEntry)


def refused(db, statement):
    try:
        with db.session.begin_nested():
            db.session.execute(statement)
    except DBAPIError as error:
        return "append-only" in str(error.orig)
    return False


def test_the_database_refuses_to_change_or_delete_what_was_told(db, logs):
    for model in logs:
        table = model.__table__
        assert refused(db, sa.delete(table)), table.name
        row = db.session.execute(sa.select(table).order_by(table.c.id.desc()).limit(1)).mappings().one()
        for column in table.columns:
            value = True if column.name == "erased" else another(column, row[column.name])
            change = sa.update(table).where(table.c.id == row["id"]).values({column.name: value})
            assert refused(db, change), f"{table.name}.{column.name}"


def test_values_are_erased_for_good_and_nothing_with_them(db, logs):
    emptied = {
        "field_change": {"before": None, "after": None}, "audit_entry": {"note": None, "changes": sa.null()},
        "login_entry": {"account": "", "ip": None},
    }  # fmt: skip
    for model in logs:
        table = model.__table__
        row = db.session.execute(sa.select(table).order_by(table.c.id.desc()).limit(1)).mappings().one()
        erase = sa.update(table).where(table.c.id == row["id"])
        empty = {**emptied[table.name], "erased": True}
        for column in set(table.columns.keys()) - {*empty, "id"}:
            other = another(table.c[column], row[column])
            assert refused(db, erase.values({**empty, column: other})), f"{table.name}.{column}"
        db.session.execute(erase.values(empty))
        assert refused(db, erase.values(empty)), table.name  # once
        assert refused(db, erase.values(erased=False)), table.name
    db.session.rollback()
