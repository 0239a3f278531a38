"""What is deleted goes into the bin with what hangs on it, comes back as it was, or is purged when its time came."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask_appbuilder import Model

from app.attachments import storage
from app.attachments.models import Attachment
from app.core import recycle
from app.core.clock import utcnow
from app.core.errors import BusinessError, StepRefused
from app.core.models import AuditEntry, Deletion, FieldChange, Outcome, SoftDeleted
from app.core.unit import unit_of_work
from app.customers.models import Contact, Customer, CustomerStatus, Interaction
from app.marketing.models import Participant
from app.notices.models import Notification
from app.notices.operations import notify
from app.sales.models import PlanStep
from app.tickets.models import Complaint, Feedback, Ticket, TicketStep
from tests import builders
from tests.support import rows, text_of

DAYS = timedelta(days=30)


@pytest.mark.once
def test_every_model_that_is_hidden_is_a_kind_of_the_bin(app):
    hidden = {m.class_.__tablename__ for m in Model.registry.mappers if issubclass(m.class_, SoftDeleted)}
    assert hidden | {"customer"} == set(recycle.KINDS)
    assert all(parent in recycle.KINDS for _child, parent in recycle.LINKS)


def removal(kind, by, wang):
    """(the record, the address that deletes it, its list, how it reads there)."""
    customer = builders.customer(owner=wang, name="回收测试有限公司")
    if kind == "customer":
        return customer, f"/customers/delete/{customer.id}", "/customers/list/", customer.name
    if kind == "contact":
        made = builders.contact(customer, name="欧阳回")
        return made, f"/contacts/delete/{made.id}", "/contacts/list/", made.name
    if kind == "interaction":
        made = builders.interaction(customer, by=by, title="谈回收")
        return made, f"/interactions/delete/{made.id}", "/interactions/list/", made.title
    if kind == "opportunity":
        made = builders.opportunity(by=by, title="回收机会")
        return made, f"/opportunities/delete/{made.id}", "/opportunities/list/", made.title
    if kind == "plan_step":
        plan = builders.opportunity(by=by, given_to=wang)
        made = builders.plan_step(plan, todo="参观回收站")
        return made, f"/opportunities/{plan.id}/plan/{made.id}/delete", "/plan-steps/list/", made.todo
    if kind == "ticket":
        made = builders.ticket(customer, by=by, title="回收单")
        return made, f"/tickets/delete/{made.id}", "/tickets/list/", made.number
    if kind == "feedback":
        made = builders.feedback(customer, accepted_by=by, title="回收反馈")
        return made, f"/feedback/delete/{made.id}", "/feedback/list/", made.title
    if kind == "complaint":
        made = builders.complaint(customer, accepted_by=by, subject="回收投诉")
        return made, f"/complaints/delete/{made.id}", "/complaints/list/", made.subject
    if kind == "activity":
        made = builders.activity(title="回收展会")
        return made, f"/activities/delete/{made.id}", "/activities/list/", made.title
    if kind == "activity_participant":
        made = builders.participant(builders.activity(), customer)
        return made, f"/participants/delete/{made.id}", "/participants/list/", customer.name
    ticket = builders.ticket(customer, by=by)
    made = builders.attachment(ticket, by=by, name="回收合同.pdf")
    return made, f"/tickets/{ticket.id}/files/{made.id}/delete", f"/tickets/show/{ticket.id}", made.name


KINDS = (
    "customer", "contact", "interaction", "opportunity", "plan_step", "ticket", "feedback", "complaint", "activity",
    "activity_participant", "attachment",
)  # fmt: skip


CHOSEN = {
    "customer": "/contacts/lookup/customer",
    "contact": "/interactions/lookup/contact",
    "activity": "/participants/lookup/activity",
}


def offered(browser, kind, name):
    """Whether forms offer this record, where they offer its kind at all."""
    if kind not in CHOSEN:
        return None
    return name in str(browser.get(f"{CHOSEN[kind]}?q={name}").get_json()["results"])


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_leaves_its_list_lies_in_the_bin_and_comes_back(db, sign_in, admin, li, wang, kind):
    who = {"customer": admin, "plan_step": wang}.get(kind, li)
    record, delete, listed, name = removal(kind, who, wang)
    browser = sign_in(who)
    assert name in text_of(browser.get(listed))
    assert offered(browser, kind, name) is not False

    assert browser.post(delete).status_code == 302

    browser.get("/recycle-bin/list/")  # takes the message away that names it
    assert name not in text_of(browser.get(listed))
    assert not offered(browser, kind, name)
    (line,) = rows(Deletion)
    pk = line.id
    assert (line.record_type, line.record_id, line.actor_id) == (kind, record.id, who.id)
    found = f"/recycle-bin/show/{pk}"
    assert found in browser.get(f"/recycle-bin/list/?kind={kind}&_flt_0_label={name}").get_data(as_text=True)
    other = "ticket" if kind == "contact" else "contact"
    assert found not in browser.get(f"/recycle-bin/list/?kind={other}").get_data(as_text=True)
    question = browser.get(f"/recycle-bin/restore/{pk}")
    assert "comes back with exactly" in text_of(question)
    assert len(rows(Deletion)) == 1  # asking does nothing

    answer = browser.post(f"/recycle-bin/restore/{pk}")

    assert answer.status_code == 302
    assert rows(Deletion) == []
    browser.get("/recycle-bin/list/")
    assert name in text_of(browser.get(listed))
    done = rows(AuditEntry, AuditEntry.action.startswith("restore"))
    assert [(m.actor_id, m.outcome) for m in done] == [(who.id, Outcome.done)]
    assert {c.actor_id for c in rows(FieldChange, FieldChange.move == f"{kind}.restore")} == {who.id}
    assert browser.post(f"/recycle-bin/restore/{pk}").status_code == 404


@pytest.fixture
def family(db, admin, li, wang):
    """A customer with one of everything that hangs on it, and one of each deleted the day before."""
    customer = builders.customer(owner=wang, name="东方重工", status=CustomerStatus.lost)
    builders.stats(customer)
    old = [
        builders.deletion(record, by=wang, at=utcnow() - timedelta(days=1))
        for record in (
            builders.contact(customer, name="早已离开", is_primary=False),
            builders.ticket(customer, by=li),
            builders.attachment(builders.interaction(customer, by=wang), by=wang),
        )
    ]
    contact = builders.contact(customer)
    talk = rows(Interaction)[0]
    ticket = builders.ticket(customer, by=li)
    builders.ticket_step(ticket)
    parts = [
        contact, talk, builders.attachment(talk, by=wang), builders.attachment(customer, by=wang),
        ticket, builders.attachment(ticket, by=li), builders.feedback(customer, accepted_by=wang),
        builders.complaint(customer, accepted_by=wang, ticket=ticket),
        builders.participant(builders.activity(), customer),
    ]  # fmt: skip
    return customer, parts, old


def live():
    """How many rows of each model with a hidden state are not hidden."""
    models = (Contact, Interaction, Attachment, Ticket, Feedback, Complaint, Participant)
    return {m.__name__: len(rows(m, m.deleted_at.is_(None))) for m in models}


def test_a_customer_goes_and_comes_with_exactly_what_hung_on_it(db, family, admin):
    customer, parts, old = family
    before = live()
    assert before == {"Contact": 1, "Interaction": 1, "Attachment": 3, "Ticket": 1, "Feedback": 1, "Complaint": 1,
                      "Participant": 1}  # fmt: skip
    line = builders.deletion(customer, by=admin)
    assert (line.children, line.was, line.label) == (len(parts), "lost", "东方重工")
    assert set(live().values()) == {0}
    assert {c.record_type for c in rows(FieldChange, FieldChange.move == "customer.delete")} == {
        "customer",
        *(part.__tablename__ for part in parts),
    }

    with unit_of_work():
        recycle.restore(line, actor=admin)

    assert live() == before
    assert rows(Customer, Customer.id == customer.id)[0].status is CustomerStatus.lost
    assert {d.id for d in rows(Deletion)} == {d.id for d in old}  # what was deleted by itself stays deleted
    assert rows(Contact, Contact.deleted_at.is_(None))[0].is_primary


def test_what_hangs_on_a_deleted_record_waits_for_it(db, family, sign_in, admin, wang):
    customer, _parts, (contact, *_others) = family
    builders.deletion(customer, by=admin)
    answer = sign_in(wang).post(f"/recycle-bin/restore/{contact.id}")
    assert answer.status_code == 409
    assert "“东方重工” was deleted too. Restore it first." in text_of(answer)
    assert [m.outcome for m in rows(AuditEntry, AuditEntry.action == "restore")] == [Outcome.refused]
    assert rows(Contact, Contact.id == contact.record_id)[0].deleted_at is not None


def test_nobody_takes_a_place_that_is_taken_again(db, li, wang):
    customer, activity = builders.customer(owner=wang, name="东方重工"), builders.activity(title="展会")
    gone = builders.deletion(builders.participant(activity, customer), by=li)
    builders.participant(activity, customer)
    ticket = builders.ticket(customer, by=li)
    file = builders.deletion(builders.attachment(ticket, by=li, sha256="a" * 64), by=li)
    builders.attachment(ticket, by=li, name="新合同.pdf", sha256="a" * 64)
    for line, said in ((gone, "东方重工 already takes part in “展会”"), (file, "attached already as “新合同.pdf”")):
        with pytest.raises(BusinessError, match=said):
            recycle.restore(line, actor=li)
        db.session.rollback()


def test_the_primary_contact_comes_back_beside_another_or_takes_its_place_again(db, wang):
    customer = builders.customer(owner=wang)
    first, second = builders.contact(customer), builders.contact(customer, name="赵敏", is_primary=False)
    from app.customers.operations import remove_contact

    with unit_of_work():
        assert remove_contact(first) is second
    with unit_of_work():
        recycle.restore(rows(Deletion)[0], actor=wang)
    assert [c.is_primary for c in rows(Contact)] == [False, True]
    with unit_of_work():
        remove_contact(second)
        remove_contact(first)
    with unit_of_work():
        recycle.restore(rows(Deletion, Deletion.record_id == second.id)[0], actor=wang)
    assert [(c.is_primary, c.deleted_at is None) for c in rows(Contact)] == [(False, False), (True, True)]


def test_a_step_comes_back_into_a_plan_that_is_open_only(db, li, wang, zhao):
    plan = builders.opportunity(by=li, given_to=wang)
    line = builders.deletion(builders.plan_step(plan), by=wang)
    with pytest.raises(BusinessError, match="Only the assignee"):
        recycle.restore(line, actor=zhao)
    db.session.rollback()
    with unit_of_work():
        plan.status, plan.close_kind, plan.close_reason, plan.closed_at = "lost", "failed", "客户倒闭", utcnow()
    with pytest.raises(BusinessError, match="not in development"):
        recycle.restore(line, actor=wang)
    db.session.rollback()
    assert rows(PlanStep)[0].deleted_at is not None


# -- who ----------------------------------------------------------------------------------------------------------


def test_everybody_finds_what_he_might_delete_and_nothing_else(app, db, sign_in, admin, li, wang, zhao, chen, sysadmin):
    app.config["LIUKE_CUSTOMERS_SHARED"] = "own"
    own, foreign = builders.customer(owner=wang), builders.customer(owner=zhao)
    lines = {
        "contact": builders.deletion(builders.contact(own), by=li),
        "foreign": builders.deletion(builders.contact(foreign), by=li),
        "feedback": builders.deletion(builders.feedback(own, accepted_by=zhao), by=li),
        "lead's": builders.deletion(builders.opportunity(by=li), by=li),
        "customer": builders.deletion(builders.customer(owner=wang), by=admin),
        "activity": builders.deletion(builders.activity(), by=li),
        "file": builders.deletion(builders.attachment(builders.ticket(own, by=wang), by=wang), by=wang),
    }
    for who, sees in (
        (wang, {"contact", "file"}), (zhao, {"foreign"}), (admin, set(lines)), (li, set(lines) - {"customer"}),
    ):  # fmt: skip
        browser = sign_in(who)
        found = {name for name, line in lines.items() if browser.get(f"/recycle-bin/show/{line.id}").status_code == 200}
        assert found == sees, who.username
        for name, line in lines.items():
            if name not in sees:
                assert browser.post(f"/recycle-bin/restore/{line.id}").status_code == 404
    for who in (chen, sysadmin):
        browser = sign_in(who)
        assert browser.get("/recycle-bin/list/").status_code == 403
        assert browser.post(f"/recycle-bin/restore/{lines['contact'].id}").status_code == 403
    assert len(rows(Deletion)) == len(lines)


def test_only_who_holds_the_right_purges_and_only_with_a_fresh_password(db, sign_in, admin, li, monkeypatch):
    from app.security import sessions

    line = builders.deletion(builders.activity(), by=li, at=utcnow() - DAYS)
    for browser in (sign_in(li),):
        assert "/recycle-bin/purge/" not in browser.get(f"/recycle-bin/show/{line.id}").get_data(as_text=True)
        assert browser.post(f"/recycle-bin/purge/{line.id}").status_code == 403
    browser = sign_in(admin)
    assert f"/recycle-bin/purge/{line.id}" in browser.get(f"/recycle-bin/show/{line.id}").get_data(as_text=True)
    later = utcnow() + timedelta(minutes=16)
    monkeypatch.setattr(sessions, "utcnow", lambda: later)
    assert browser.post(f"/recycle-bin/purge/{line.id}").location.startswith("/confirm/")
    assert len(rows(Deletion)) == 1
    monkeypatch.undo()
    answer = sign_in(admin).post(f"/recycle-bin/purge/{line.id}")
    assert answer.location == "/recycle-bin/list/"
    assert rows(Deletion) == []


# -- for good -----------------------------------------------------------------------------------------------------


def test_nothing_is_purged_a_second_too_early(app, db, sign_in, admin, li):
    at = utcnow()
    line = builders.deletion(builders.activity(title="春季展会"), by=li, at=at)
    assert "It can be purged from" in text_of(sign_in(admin).post(f"/recycle-bin/purge/{line.id}"))
    with pytest.raises(BusinessError, match="can be purged from"):
        recycle.purge(line, actor=admin, at=at + DAYS - timedelta(seconds=1))
    with unit_of_work():
        assert recycle.purge(line, actor=admin, at=at + DAYS) == 1
    app.config["LIUKE_PURGE_AFTER_DAYS"] = 0
    with unit_of_work():
        assert recycle.purge(builders.deletion(builders.activity(), by=li), actor=admin) == 1


def test_a_purge_takes_all_that_hung_on_it_its_files_and_the_values_in_the_logs(app, db, family, admin, tmp_path):
    app.config["LIUKE_UPLOADS"] = tmp_path
    customer, parts, old = family
    key = customer.id
    files = [storage.path_of(file.key) for file in rows(Attachment)]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    for about in (customer, stays := builders.customer()):
        notify("birthday", to=admin, record=about, event=f"birthday:{about.id}", name="李静", customer=about.name)
    db.session.commit()
    line = builders.deletion(customer, by=admin, at=utcnow() - DAYS)
    gone = [("customer", key), *((p.__tablename__, p.id) for p in parts), *((d.record_type, d.record_id) for d in old)]

    with unit_of_work():
        assert recycle.purge(line, actor=admin) == len(gone)
        assert all(path.exists() for path in files)  # until it is certain

    for model in (
        Contact,
        Interaction,
        Attachment,
        Ticket,
        TicketStep,
        Feedback,
        Complaint,
        Participant,
        Deletion,
    ):
        assert rows(model) == [], model.__name__
    assert rows(Customer) == [stays]
    assert not any(path.exists() for path in files)
    assert [one.record_id for one in rows(Notification)] == [stays.id]
    told = rows(FieldChange, sa.tuple_(FieldChange.record_type, FieldChange.record_id).in_(gone))
    assert {(c.record_type, c.record_id) for c in told} == set(gone)
    assert [c for c in told if c.before is not None or c.after is not None] == []
    (entry,) = rows(AuditEntry, AuditEntry.action == "purge")
    assert (entry.record_type, entry.record_id, entry.actor_id) == ("customer", key, admin.id)
    assert entry.note == f"东方重工 (+{len(gone) - 1})"


def test_what_something_that_stays_names_is_not_purged(db, sign_in, admin, wang):
    customer = builders.customer(owner=wang)
    builders.order(customer)
    builders.churn_case(customer)
    contact = builders.contact(builders.customer(owner=wang))
    builders.interaction(contact.customer, contact=contact)
    long_ago = utcnow() - DAYS
    answers = [
        text_of(sign_in(admin).post(f"/recycle-bin/purge/{builders.deletion(record, by=admin, at=long_ago).id}"))
        for record in (customer, contact)
    ]
    assert "Order 1" in answers[0]
    assert "Churn warning 1" in answers[0]
    assert "Interaction 1" in answers[1]
    assert (len(rows(Customer)), len(rows(Contact)), len(rows(Deletion))) == (2, 1, 2)


def test_of_two_who_restore_or_purge_one_is_refused(db, admin, li):
    line = builders.deletion(builders.activity(), by=li, at=utcnow() - DAYS)
    with unit_of_work():
        recycle.restore(line, actor=li)
    stale = Deletion(id=line.id, record_type=line.record_type, record_id=line.record_id, at=line.at)
    for work in (recycle.restore, recycle.purge):
        with pytest.raises(StepRefused):
            work(stale, actor=admin)
        db.session.rollback()


def test_a_name_that_was_erased_is_erased_in_the_bin_too(db, admin):
    from app.core import personal

    contact = builders.contact(name="刘德洋")
    line = builders.deletion(contact, by=admin)
    with unit_of_work():
        personal.erase("contact", contact, actor=admin)
    db.session.refresh(line)
    assert line.label == personal.GONE
