"""谁能看到: who can see a record, and why."""

from __future__ import annotations

import pytest

from app.security.seeing import who_sees
from tests import builders
from tests.support import text_of


def sights(app, view_name, record, reader):
    """Account -> (sees it, the reasons), as this reader is told."""
    from app.core.history import views_by_table

    view = next(v for v in app.appbuilder.baseviews if type(v).__name__ == view_name)
    with app.test_request_context():
        from flask import g

        g.user = reader
        found = who_sees(view, record, views_by_table().get)
        assert g.user is reader
        return {s.user.username: (s.sees, *s.why[1:]) if s.sees else (False, s.why[-1]) for s in found}


def test_a_customer_that_is_not_shared(app, db, admin, wang, zhao, monkeypatch):
    monkeypatch.setitem(app.config, "LIUKE_CUSTOMERS_SHARED", "own")
    zhao.active = False
    customer = builders.customer(owner=wang)
    builders.user(roles=[], username="nobody")

    assert sights(app, "CustomerView", customer, admin) == {
        "wang": (True, "It is theirs: Account manager"),
        "li": (True, "Customers: See everybody's, not only one's own, by: Sales lead"),
        "admin": (True, "Customers: See everybody's, not only one's own, by: Super admin"),
        "sysadmin": (False, "No role of theirs opens “Customers”."),
        "chen": (False, "No role of theirs opens “Customers”."),
        "nobody": (False, "No role of theirs opens “Customers”."),
        "zhao": (False, "The account is disabled."),
    }


def test_a_customer_that_the_company_shares_and_its_contacts(app, db, admin, wang, zhao):
    customer = builders.customer(owner=wang)

    told = sights(app, "CustomerView", customer, admin)
    assert told["zhao"] == (True, "Rows they see there: All (shared)")
    told = sights(app, "ContactView", builders.contact(customer), admin)
    assert told["wang"] == (True, "It is theirs: Customer · Account manager")
    assert told["zhao"] == (True, "Rows they see there: Like customers")


def test_opportunities_and_archived_tickets(app, db, admin, wang, zhao):
    told = sights(app, "OpportunityView", builders.opportunity(by=wang), admin)
    assert told["wang"] == (True, "It is theirs: Created by")
    assert told["zhao"] == (False, "The record is not among the rows they see: Own")
    assert told["li"] == (True, "Opportunities: See everybody's, not only one's own, by: Sales lead")

    from app.tickets.models import TicketStatus

    ticket = builders.ticket(builders.customer(owner=wang), by=wang, given_to=wang, status=TicketStatus.archived)
    assert sights(app, "TicketView", ticket, admin)["zhao"] == (
        True, "Tickets: Search the whole archive, by: Account manager",
    )  # fmt: skip


def test_admins_open_it_from_the_record_and_from_the_log(db, sign_in, admin, sysadmin, wang, li):
    customer = builders.customer(owner=wang, name="北方机械", phone="13912345678")
    address = f"/who-sees/customer/{customer.id}"
    browser = sign_in(admin)
    assert f'href="{address}"' in browser.get(f"/customers/show/{customer.id}").get_data(as_text=True)
    text = text_of(browser.get(address))
    assert "Customer · 北方机械" in text
    assert "“Customers” is opened by: Account manager" in text

    text = text_of(sign_in(sysadmin).get(address))
    assert f"Customer {customer.id}" in text
    assert "北方机械" not in text  # he may know who sees it, not what it says
    assert "赵敏" in text
    assert "Phone, Bank account, Tax numbers" in text  # masked for her: it is not hers

    for person in (wang, li):
        assert sign_in(person).get(address).status_code == 403
        assert "/who-sees/" not in sign_in(person).get(f"/customers/show/{customer.id}").get_data(as_text=True)


@pytest.mark.parametrize(
    "address", ["customer/999999", "customer/abc", "user_session/999999", "second_factor/1", "nonsense/1"]
)
def test_what_there_is_not_is_not_found(sign_in, admin, address):
    assert sign_in(admin).get(f"/who-sees/{address}").status_code == 404
