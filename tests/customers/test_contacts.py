"""联系人: a customer with contacts has exactly one primary, over everything that touches contacts."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from app.core.clock import utcnow
from app.core.errors import BusinessError
from app.customers import operations
from app.customers.models import Contact
from tests import builders
from tests.support import rows, text_of

FACTS = {"name": "唐敏", "office_phone": "0731-0555 0101"}


def primaries(customer):
    return [
        c.name for c in rows(Contact, Contact.customer_id == customer.id, Contact.deleted_at.is_(None)) if c.is_primary
    ]


def new(customer, name, **given):
    return Contact(customer=customer, name=name, office_phone="010-555 0101", **given)


# -- exactly one primary ------------------------------------------------------------------------------------------


def test_the_first_contact_is_the_primary_one_and_a_new_primary_replaces_it(db, wang):
    customer = builders.customer(owner=wang)
    operations.add_contact(new(customer, "甲"), actor=wang)
    operations.add_contact(new(customer, "乙"), actor=wang)
    assert primaries(customer) == ["甲"]
    operations.add_contact(new(customer, "丙", is_primary=True), actor=wang)
    assert primaries(customer) == ["丙"]


def test_marking_another_one_takes_the_mark_from_the_first(db, wang):
    customer = builders.customer(owner=wang)
    builders.contact(customer, name="甲")
    second = builders.contact(customer, name="乙", is_primary=False)
    second.is_primary = True
    with db.session.no_autoflush:
        operations.change_contact(second, was_primary=False)
    assert primaries(customer) == ["乙"]


def test_the_mark_is_not_simply_taken_off(db, wang):
    contact = builders.contact(builders.customer(owner=wang))
    contact.is_primary = False
    with db.session.no_autoflush, pytest.raises(BusinessError, match="Open another contact and mark that one instead"):
        operations.change_contact(contact, was_primary=True)


def test_deleting_the_primary_promotes_the_oldest_of_the_others(db, wang):
    customer = builders.customer(owner=wang)
    first = builders.contact(customer, name="甲")
    builders.contact(customer, name="乙", is_primary=False)
    builders.contact(customer, name="丙", is_primary=False)
    heir = operations.remove_contact(first)
    assert heir.name == "乙"
    assert primaries(customer) == ["乙"]


def test_deleting_another_one_or_the_last_promotes_nobody(db, wang):
    customer = builders.customer(owner=wang)
    first, second = builders.contact(customer, name="甲"), builders.contact(customer, name="乙", is_primary=False)
    assert operations.remove_contact(second) is None
    assert primaries(customer) == ["甲"]
    assert operations.remove_contact(first) is None
    assert primaries(customer) == []


def test_the_database_itself_lets_no_second_primary_in(db, wang):
    customer = builders.customer(owner=wang)
    builders.contact(customer)
    with pytest.raises(IntegrityError):
        builders.contact(customer)
    db.session.rollback()


def test_a_hidden_contact_keeps_nobody_from_being_primary(db, wang):
    customer = builders.customer(owner=wang)
    builders.contact(customer, name="旧", deleted_at=utcnow(), is_primary=False)
    operations.add_contact(new(customer, "新"), actor=wang)
    assert primaries(customer) == ["新"]


moves = st.lists(
    st.tuples(st.sampled_from(["add", "add primary", "mark", "unmark", "delete"]), st.integers(0, 5)), max_size=12
)


@settings(max_examples=40)
@given(moves=moves)
def test_whatever_is_done_to_contacts_exactly_one_is_primary(db, moves):
    customer = builders.customer()
    for move, which in moves:
        there = rows(Contact, Contact.customer_id == customer.id, Contact.deleted_at.is_(None))
        chosen = there[which % len(there)] if there else None
        if move.startswith("add"):
            operations.add_contact(new(customer, f"第{len(there)}人", is_primary=move.endswith("primary")), actor=None)
        elif chosen is None:
            continue
        elif move == "delete":
            operations.remove_contact(chosen)
        else:
            was = chosen.is_primary
            with db.session.no_autoflush:
                chosen.is_primary = move == "mark"
                try:
                    operations.change_contact(chosen, was_primary=was)
                except BusinessError:
                    db.session.rollback()
        db.session.commit()
        left = rows(Contact, Contact.customer_id == customer.id, Contact.deleted_at.is_(None))
        assert sum(contact.is_primary for contact in left) == (1 if left else 0)


# -- pages --------------------------------------------------------------------------------------------------------


def test_a_contact_is_entered_from_its_customers_page(db, sign_in, wang, moves):
    customer = builders.customer(owner=wang, name="岳麓环保")
    browser = sign_in(wang)
    assert "岳麓环保" in browser.get(f"/contacts/add?customer={customer.id}").get_data(as_text=True)
    sent = {**FACTS, "customer": customer.id, "gender": "female", "email": "tang@example.com", "birthday": "1990-02-28"}
    answer = browser.post("/contacts/add", sent)
    (made,) = rows(Contact)
    assert (answer.status_code, answer.location) == (302, f"/customers/show/{customer.id}")
    assert (made.customer_id, made.name, made.gender, made.is_primary) == (customer.id, "唐敏", "female", True)
    assert made.created_by_id == wang.id
    assert [m.action for m in moves(made)] == ["create"]


@pytest.mark.parametrize(
    ("column", "typed"),
    [
        ("name", ""), ("name", "唐" * 51), ("office_phone", ""), ("office_phone", "abc"), ("mobile", "12"),
        ("birthday", "30 Feb"), ("gender", "x"), ("customer", ""), ("customer", "987654"),
    ],
)  # fmt: skip
def test_a_bad_contact_is_asked_for_again(db, sign_in, wang, column, typed):
    customer = builders.customer(owner=wang)
    answer = sign_in(wang).post("/contacts/add", {**FACTS, "customer": customer.id, "memo": "别丢了我", column: typed})
    assert answer.status_code == 422
    assert "别丢了我" in answer.get_data(as_text=True)
    assert rows(Contact) == []


def test_contacts_of_a_colleagues_customer_are_read_only(db, sign_in, wang, zhao, picture, refusals):
    customer = builders.customer(owner=wang)
    contact = builders.contact(customer)
    before, browser = picture(contact), sign_in(zhao)
    assert browser.get(f"/contacts/show/{contact.id}").status_code == 200
    answer = browser.post("/contacts/add", {**FACTS, "customer": customer.id})
    assert answer.status_code == 422
    assert "account manager or a sales lead can change this." in text_of(answer)
    browser.post(f"/contacts/edit/{contact.id}", {**FACTS, "version": contact.version})
    browser.post(f"/contacts/delete/{contact.id}")
    assert picture(contact) == before
    assert len(rows(Contact)) == 1
    assert [r.action for r in refusals(contact)] == ["edit", "delete"]


def test_the_lead_edits_contacts_of_every_customer(db, sign_in, li, wang):
    contact = builders.contact(builders.customer(owner=wang))
    sent = {**FACTS, "version": contact.version, "is_primary": "y", "position": "采购经理"}
    assert sign_in(li).post(f"/contacts/edit/{contact.id}", sent).status_code == 302
    db.session.refresh(contact)
    assert (contact.position, contact.is_primary) == ("采购经理", True)


def test_taking_the_mark_off_on_the_page_is_refused_with_the_text_kept(db, sign_in, wang, picture):
    contact = builders.contact(builders.customer(owner=wang))
    before = picture(contact)
    answer = sign_in(wang).post(
        f"/contacts/edit/{contact.id}", {**FACTS, "version": contact.version, "position": "新职务"}
    )
    assert answer.status_code == 422
    assert "Open another contact and mark that one instead." in text_of(answer)
    assert "新职务" in answer.get_data(as_text=True)
    assert picture(contact) == before


def test_deleting_the_primary_on_the_page_says_who_is_primary_now(db, sign_in, wang):
    customer = builders.customer(owner=wang)
    first = builders.contact(customer, name="甲")
    builders.contact(customer, name="乙", is_primary=False)
    browser = sign_in(wang)
    answer = browser.post(f"/contacts/delete/{first.id}")
    assert "乙 is the primary contact now." in text_of(browser.get(answer.location))
    assert primaries(customer) == ["乙"]
    assert browser.get(f"/contacts/show/{first.id}").status_code == 404


def test_a_contact_cannot_be_moved_to_another_customer(db, sign_in, wang):
    contact, other = builders.contact(builders.customer(owner=wang)), builders.customer(owner=wang)
    sent = {**FACTS, "version": contact.version, "customer": other.id, "is_primary": "y"}
    assert sign_in(wang).post(f"/contacts/edit/{contact.id}", sent).status_code == 302
    assert db.session.execute(sa.select(Contact.customer_id)).scalar_one() != other.id
