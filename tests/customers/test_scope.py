"""充分共享: everybody sees all customers; the setting narrows lists, pages, choices, tabs and what is posted."""

from __future__ import annotations

import re

import pytest

from app.core.clock import utcnow
from app.customers.models import Contact, Interaction
from app.sales.models import OpportunityStatus
from tests import builders
from tests.support import rows, statements, text_of

WIDTHS = ("all", "team", "own")


@pytest.fixture
def company(db, wang, zhao):
    """wang and the mate are in one team that the captain leads from outside; zhao is a stranger to them."""
    mate, captain = builders.user(), builders.user()
    builders.team(lead=captain, members=(wang, mate))
    people = {"wang": wang, "mate": mate, "captain": captain, "zhao": zhao}
    customers = {name: builders.customer(owner=person, name=f"{name}的客户") for name, person in people.items()}
    customers["nobody"] = builders.customer(owner=None, name="nobody的客户")
    for name, customer in customers.items():
        builders.contact(customer, name=f"{name}的联系人")
        builders.interaction(customer, by=customer.owner, title=f"{name}的交往")
    return people, customers


SEEN = {
    ("all", "wang"): {"wang", "mate", "captain", "zhao", "nobody"},
    ("team", "wang"): {"wang", "mate"},
    ("own", "wang"): {"wang"},
    ("team", "captain"): {"captain", "wang", "mate"},
    ("own", "captain"): {"captain"},
    ("team", "zhao"): {"zhao"},
}


def named(text, word):
    return {name for name in ("wang", "mate", "captain", "zhao", "nobody") if f"{name}{word}" in text}


@pytest.mark.parametrize(("width", "who"), SEEN)
def test_lists_show_the_customers_in_reach_and_what_hangs_on_them(app, company, sign_in, width, who):
    app.config["LIUKE_CUSTOMERS_SHARED"] = width
    browser, seen = sign_in(company[0][who]), SEEN[width, who]
    for address, word in (("customers", "的客户"), ("contacts", "的联系人"), ("interactions", "的交往")):
        assert named(text_of(browser.get(f"/{address}/list/")), word) == seen


@pytest.mark.parametrize(("width", "who"), SEEN)
def test_pages_open_for_customers_in_reach_only(app, company, sign_in, width, who):
    app.config["LIUKE_CUSTOMERS_SHARED"] = width
    browser, seen = sign_in(company[0][who]), SEEN[width, who]
    for name, customer in company[1].items():
        code = 200 if name in seen else 404
        contact = rows(Contact, Contact.customer_id == customer.id)[0]
        talk = rows(Interaction, Interaction.customer_id == customer.id)[0]
        for address in (
            f"/customers/show/{customer.id}", f"/contacts/show/{contact.id}", f"/interactions/show/{talk.id}",
            f"/contacts/add?customer={customer.id}", f"/interactions/add?customer={customer.id}",
        ):  # fmt: skip
            assert browser.get(address).status_code == code, address
        assert browser.get(f"/customers/edit/{customer.id}").status_code == (
            404 if code == 404 else 200 if name == who else 302
        )


@pytest.mark.parametrize(("width", "who"), SEEN)
def test_choices_offer_customers_and_contacts_in_reach_only(app, company, sign_in, width, who):
    app.config["LIUKE_CUSTOMERS_SHARED"] = width
    browser, seen = sign_in(company[0][who]), SEEN[width, who]

    def offered(address, word):
        return named(" ".join(row["text"] for row in browser.get(address).json["results"]), word)

    for address in ("/contacts/lookup/customer", "/interactions/lookup/customer", "/tickets/lookup/customer"):
        assert offered(address, "的客户") == seen
        assert offered(f"{address}?q=mate", "的客户") == seen & {"mate"}
    assert offered("/interactions/lookup/contact", "的联系人") == seen


@pytest.mark.parametrize("width", ["team", "own"])
def test_a_customer_out_of_reach_cannot_be_posted(app, company, sign_in, width):
    app.config["LIUKE_CUSTOMERS_SHARED"] = width
    people, customers = company
    browser, before = sign_in(people["wang"]), (len(rows(Contact)), len(rows(Interaction)))
    contact = {"customer": customers["zhao"].id, "name": "混进来的", "office_phone": "010-555 0101"}
    talk = {"customer": customers["zhao"].id, "occurred_at": "2025-01-20T10:00", "place": "电话", "title": "混进来的"}
    for address, sent in (("/contacts/add", contact), ("/interactions/add", talk)):
        answer = browser.post(address, sent)
        assert answer.status_code == 422
        assert "Choose one of the list." in text_of(answer)
        assert "zhao的客户" not in answer.get_data(as_text=True)
    foreign = rows(Contact, Contact.customer_id == customers["zhao"].id)[0]
    answer = browser.post("/interactions/add", {**talk, "customer": customers["wang"].id, "contact": foreign.id})
    assert answer.status_code == 422
    assert "zhao的联系人" not in answer.get_data(as_text=True)
    assert (len(rows(Contact)), len(rows(Interaction))) == before


def test_filters_by_a_customer_out_of_reach_find_nothing_and_name_nothing(app, company, sign_in):
    app.config["LIUKE_CUSTOMERS_SHARED"] = "own"
    people, customers = company
    answer = sign_in(people["wang"]).get(f"/contacts/list/?_flt_0_customer={customers['zhao'].id}")
    assert answer.status_code == 200
    assert named(text_of(answer), "的联系人") == set()
    assert "zhao的客户" not in text_of(answer)


def test_the_tabs_of_a_customers_page_keep_to_each_lists_own_reach(app, company, sign_in, wang, zhao):
    """An opportunity of a colleague stays his, also on the page of a customer everybody sees."""
    builders.opportunity(
        by=zhao, given_to=zhao, status=OpportunityStatus.won, customer=company[1]["zhao"], title="赵的机会"
    )
    builders.opportunity(
        by=wang, given_to=wang, status=OpportunityStatus.won, customer=company[1]["zhao"], title="王的机会"
    )
    address = f"/customers/show/{company[1]['zhao'].id}?tab=OpportunityView"
    assert "赵的机会" not in text_of(sign_in(wang).get(address))
    assert "王的机会" in text_of(sign_in(wang).get(address))
    assert "赵的机会" in text_of(sign_in(zhao).get(address))


@pytest.mark.parametrize("width", WIDTHS)
def test_whoever_may_see_all_sees_all(app, company, sign_in, li, admin, width):
    app.config["LIUKE_CUSTOMERS_SHARED"] = width
    for person in (li, admin):
        assert named(text_of(sign_in(person).get("/customers/list/")), "的客户") == SEEN["all", "wang"]


@pytest.mark.parametrize("width", ["team", "own"])
def test_steps_and_bulk_reach_no_further_than_the_rows(app, company, sign_in, width, zhao):
    app.config["LIUKE_CUSTOMERS_SHARED"] = width
    role = builders.role(rights=[("can_list", "Customer"), ("can_show", "Customer"), ("can_assign", "Customer")])
    assigner, customer = builders.user(roles=[role]), company[1]["wang"]
    browser = sign_in(assigner)
    assert browser.post(f"/customers/assign/{customer.id}", {"owner": zhao.id}).status_code == 404
    text = text_of(browser.post("/customers/bulk-assign", {"rowid": [customer.id], "owner": zhao.id, "confirmed": "1"}))
    assert "Not found." in text
    assert customer.name not in text


def test_an_account_manager_without_team_is_in_nobodys_team(app, db, sign_in, zhao):
    """Two people without a team are not a team."""
    app.config["LIUKE_CUSTOMERS_SHARED"] = "team"
    builders.customer(owner=builders.user(), name="外人的客户")
    assert "外人的客户" not in text_of(sign_in(zhao).get("/customers/list/"))


# -- orders are a right of their own -------------------------------------------------------------------------------


@pytest.mark.parametrize("orders", [True, False])
def test_what_a_customer_ordered_is_for_those_who_may_see_orders(db, sign_in, wang, orders):
    rights = [("can_list", "Customer"), ("can_show", "Customer"), ("can_list", "ChurnCase"), ("can_show", "ChurnCase"),
              ("can_see_all", "ChurnCase"), *([("can_list", "Order")] if orders else [])]  # fmt: skip
    customer = builders.customer(owner=wang)
    builders.order(customer, amount="777.00")
    builders.stats(customer, order_total="777.00", order_count=1, last_order_at=utcnow())
    case = builders.churn_case(customer, owner=wang)
    browser = sign_in(builders.user(roles=[builders.role(rights=rights)]))
    for address in ("/customers/list/", f"/customers/show/{customer.id}", f"/churn/show/{case.id}"):
        answer = browser.get(address)
        assert answer.status_code == 200
        assert ("777.00" in text_of(answer)) is orders, address
        assert ("Orders in" in text_of(answer)) is orders, address


def test_contacts_to_choose_are_told_apart_by_their_customer_in_one_statement(db, app, sign_in, wang):
    for number in range(6):
        builders.contact(builders.customer(owner=wang, name=f"恒锐{number}"), name="刘洋")
    browser = sign_in(wang)
    with statements(app) as seen:
        found = browser.get("/interactions/lookup/contact?q=刘洋").get_json()["results"]
    assert [one["text"] for one in found] == [f"刘洋 · 恒锐{number}" for number in range(6)]
    assert sum(1 for statement in seen if "FROM contact" in statement) == 1
    assert not any(statement.startswith("SELECT customer.") for statement in seen)


def test_the_list_offers_no_status_that_it_never_shows(db, sign_in, li, wang):
    builders.customer(owner=wang)
    options = re.findall(r'<option value="(\w+)"', sign_in(li).get("/customers/list/").get_data(as_text=True))
    assert {"active", "lost"} <= set(options)
    assert "deleted" not in options
