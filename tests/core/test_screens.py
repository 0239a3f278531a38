"""What every generated screen does when something goes wrong: nothing is half done and what was typed stays."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import DataError, IntegrityError, OperationalError
from sqlalchemy.orm.exc import StaleDataError

from app.core.models import AuditEntry, FieldChange, Outcome
from app.customers.models import Contact, Customer
from app.customers.views import ContactView
from app.marketing.models import Activity
from app.masterdata.models import DictionaryItem, DictionaryType
from tests import builders
from tests.support import rows, text_of

FACTS = {"name": "唐敏", "office_phone": "0731-0555 0101", "position": "采购经理"}


class Cause(Exception):
    """What a driver would have raised."""


def broken(monkeypatch, method, error):
    """Let a method of the contacts' screen raise `error`."""

    def raises(_view, _record):
        raise error

    monkeypatch.setattr(ContactView, method, raises)


ERRORS = [
    (StaleDataError(), "Somebody changed this record meanwhile. Your text is kept"),
    (
        IntegrityError("", {}, Cause("UNIQUE constraint failed: contact.position")),
        "There is already a record with this value.",
    ),
    (IntegrityError("", {}, Cause("UNIQUE constraint failed: other.thing")), "There is already such a record."),
    (
        IntegrityError("", {}, Cause('violates unique constraint "uq_contact_position"')),
        "There is already a record with this value.",
    ),
    (IntegrityError("", {}, Cause("CHECK constraint failed: x")), "The values do not fit together."),
    (DataError("", {}, Cause("value too long")), "A value is too long or too large for its field."),
    (OperationalError("", {}, Cause("database is locked")), "The database is busy or away. Your text is kept"),
]


@pytest.mark.parametrize(("error", "sentence"), ERRORS)
@pytest.mark.parametrize("action", ["add", "edit"])
def test_after_every_kind_of_error_what_was_typed_is_still_there(db, sign_in, li, monkeypatch, action, error, sentence):
    contact = builders.contact(name="原来的名字")
    broken(monkeypatch, "create_record" if action == "add" else "change_record", error)
    address = "/contacts/add" if action == "add" else f"/contacts/edit/{contact.id}"
    sent = {**FACTS, "customer": contact.customer_id, "version": contact.version, "is_primary": "y"}
    answer = sign_in(li).post(address, sent)
    assert answer.status_code == 422
    assert sentence in text_of(answer)
    page = answer.get_data(as_text=True)
    assert all(typed in page for typed in FACTS.values())
    assert [c.name for c in rows(Contact)] == ["原来的名字"]
    assert rows(AuditEntry) == []


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            IntegrityError("", {}, Cause("FOREIGN KEY constraint failed")),
            "“刘洋” is still in use and cannot be deleted.",
        ),
        (StaleDataError(), "Somebody changed this record meanwhile. Load the page again."),
    ],
)
def test_what_cannot_be_deleted_stays_and_says_why(db, sign_in, li, monkeypatch, error, sentence):
    contact = builders.contact()
    broken(monkeypatch, "delete_record", error)
    browser = sign_in(li)
    answer = browser.post(f"/contacts/delete/{contact.id}")
    assert answer.status_code == 302
    assert sentence in text_of(browser.get(answer.location))
    assert rows(Contact)[0].deleted_at is None
    (entry,) = rows(AuditEntry)
    assert (entry.action, entry.outcome, entry.note) == ("delete", Outcome.refused, sentence)


def test_a_dictionary_item_in_use_cannot_be_deleted(db, sign_in, sysadmin):
    item = builders.dictionary_item(label="在用的")
    builders.customer(region=item)
    browser = sign_in(sysadmin)
    answer = browser.post(f"/dictionary/delete/{item.id}")
    assert "“在用的” is still in use and cannot be deleted." in text_of(browser.get(answer.location))
    assert rows(DictionaryItem, DictionaryItem.id == item.id) != []


def test_a_record_without_history_is_really_deleted(db, sign_in, sysadmin):
    pk = builders.dictionary_item(label="没人用的").id
    sign_in(sysadmin).post(f"/dictionary/delete/{pk}")
    assert rows(DictionaryItem, DictionaryItem.id == pk) == []


def test_a_change_is_remembered_with_the_values_before_and_after_and_nothing_else(db, sign_in, li):
    contact = builders.contact(name="刘洋", position="经理")
    sent = {**FACTS, "version": contact.version, "is_primary": "y", "office_phone": contact.office_phone}
    sign_in(li).post(f"/contacts/edit/{contact.id}", sent)
    (entry,) = rows(AuditEntry)
    changes = rows(FieldChange, FieldChange.unit == entry.unit)
    assert [(c.field, c.before, c.after) for c in changes] == [
        ("name", "刘洋", "唐敏"), ("position", "经理", "采购经理"),
    ]  # fmt: skip
    assert {(c.actor_id, c.move, c.ip, c.source) for c in changes} == {(li.id, "contact.edit", "127.0.0.1", None)}
    assert (entry.actor_id, entry.action, entry.ip) == (li.id, "edit", "127.0.0.1")


def test_saving_without_a_change_is_remembered_without_values(db, sign_in, li):
    contact = builders.contact(**FACTS)
    sign_in(li).post(f"/contacts/edit/{contact.id}", {**FACTS, "version": contact.version, "is_primary": "y"})
    assert [entry.action for entry in rows(AuditEntry)] == ["edit"]
    assert rows(FieldChange, FieldChange.record_type == "contact", FieldChange.field.is_not(None)) == []


@pytest.mark.parametrize(
    "pk", ["0", "-1", "abc", "²", "1e3", "99999999999999999999", "2147483648", "%00", "1%00", "１", "../1", "' OR 1=1"]
)
def test_ids_that_are_none_are_not_found(db, sign_in, admin, pk):
    browser = sign_in(admin)
    for screen in ("customers", "contacts", "opportunities"):
        for page in ("show", "edit"):
            assert browser.get(f"/{screen}/{page}/{pk}").status_code in (404, 308), pk
        for page in ("edit", "delete"):
            assert browser.post(f"/{screen}/{page}/{pk}", FACTS).status_code in (404, 308), pk


def test_nothing_changes_by_get(db, sign_in, admin, wang):
    opportunity, customer = builders.opportunity(by=wang), builders.customer(owner=wang)
    contact, browser = builders.contact(customer), sign_in(admin)
    for address in (
        f"/opportunities/delete/{opportunity.id}",
        f"/contacts/delete/{contact.id}",
        f"/opportunities/{opportunity.id}/plan",
    ):
        assert browser.get(address).status_code == 405
    for address in (
        f"/opportunities/assign/{opportunity.id}?assignee={wang.id}",
        f"/customers/assign/{customer.id}?owner={admin.id}",
    ):
        assert browser.get(address).status_code == 200
    db.session.expire_all()
    assert (opportunity.deleted_at, opportunity.assignee_id, contact.deleted_at, customer.owner_id) == (
        None,
        None,
        None,
        wang.id,
    )
    assert rows(AuditEntry) == []


def test_a_form_without_its_token_changes_nothing(db, sign_in, admin, wang):
    opportunity, browser = builders.opportunity(by=wang), sign_in(admin)
    for address, sent in (
        ("/contacts/add", FACTS), (f"/opportunities/assign/{opportunity.id}", {"assignee": wang.id}),
        (f"/opportunities/delete/{opportunity.id}", {}), ("/opportunities/bulk-assign", {"rowid": [opportunity.id]}),
    ):  # fmt: skip
        for token in (None, "", "forged"):
            answer = browser.post(address, {**sent, **({} if token is None else {"csrf_token": token})}, csrf=False)
            assert answer.status_code == 400
            assert "This page was open too long" in text_of(answer)
    db.session.expire_all()
    assert (opportunity.assignee_id, opportunity.deleted_at) == (None, None)
    assert rows(AuditEntry) == []


def test_a_token_of_somebody_else_is_none(db, sign_in, li, wang):
    opportunity = builders.opportunity(by=li)
    sent = {"assignee": wang.id, "csrf_token": sign_in(wang).csrf_token()}
    assert sign_in(li).post(f"/opportunities/assign/{opportunity.id}", sent, csrf=False).status_code == 400
    db.session.expire_all()
    assert opportunity.assignee_id is None


@pytest.mark.parametrize(
    "typed", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "<b>bold", "{{ lk.version }}"]
)
def test_what_is_typed_is_shown_as_text_everywhere(db, sign_in, wang, typed):
    browser, customer = sign_in(wang), builders.customer(owner=wang, name=typed)
    builders.contact(customer, name=typed[:50], position=typed[:50])
    builders.interaction(customer, by=wang, title=typed, place=typed)
    opportunity = builders.opportunity(by=wang, given_to=wang, title=typed, customer_name=typed, description=typed)
    builders.plan_step(opportunity, todo=typed, result=typed)
    for address in (
        "/customers/list/", f"/customers/show/{customer.id}", f"/customers/edit/{customer.id}", "/contacts/list/",
        "/interactions/list/", f"/opportunities/show/{opportunity.id}", "/opportunities/list/", "/plans/list/",
        f"/opportunities/win/{opportunity.id}", f"/customers/list/?_flt_0_name={typed}",
    ):  # fmt: skip
        page = browser.get(address).get_data(as_text=True)
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "<b>bold" not in page


def test_a_screen_says_when_there_is_nothing_yet(db, sign_in, li):
    assert "Enter the first one." in text_of(sign_in(li).get("/opportunities/list/"))


def test_money_below_nothing_is_refused_where_it_means_nothing(db, sign_in, li):
    sent = {"title": "展会", "kind": "fair", "starts_on": "2026-12-01", "budget": "-1"}
    assert sign_in(li).post("/activities/add", sent).status_code == 422
    assert rows(Activity) == []


def test_a_new_customer_may_be_a_level_only_that_is_offered(db, sign_in, li, wang):
    """An item of another list is no level."""
    region = builders.dictionary(DictionaryType.region, "east")
    answer = sign_in(li).post("/customers/add", {"name": "甲", "level": region.id, "owner": wang.id})
    assert answer.status_code == 422
    assert "Choose one of the list." in text_of(answer)
    assert rows(Customer) == []
