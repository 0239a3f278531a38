"""What must not change unnoticed: who may open what, and what a list costs. See ledgers.py."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from tests.conformance import company, ledgers

MOST_STATEMENTS = 10  # of a list page: who is asking, his rights, ids, rows, count, one per relation shown and filtered
MOST_OPTIONS = 200  # of a page with forms, all its lists together
MOST_KILOBYTES = 60  # of its HTML, before compression
LARGE = ("/churn/list/", "/contacts/list/", "/customers/list/", "/interactions/list/", "/orders/list/")


@pytest.fixture
def writing(pytestconfig):
    return pytestconfig.getoption("--write-ledgers")


def test_every_address_opens_for_the_same_roles_as_before(app, db, writing):
    now = ledgers.route_ledger(app)
    if writing:
        ledgers.write(ledgers.ROUTES, now)
    assert now == ledgers.read(ledgers.ROUTES), "see tests/conformance/ledgers.py"


@pytest.fixture
def cost(app, db, li, wang, admin, sign_in):
    """What every list costs with more than a page of rows."""
    company.fill(lead=li, manager=wang, size=26)
    return ledgers.list_ledger(app, sign_in(admin))


def test_every_list_costs_what_it_did(cost, writing):
    if writing:
        ledgers.write(ledgers.LISTS, cost)
    before = ledgers.read(ledgers.LISTS)
    assert cost.keys() == before.keys(), "see tests/conformance/ledgers.py"
    dearer = {
        url: (before[url], now)
        for url, now in cost.items()
        if now["statements"] != before[url]["statements"] or now["kilobytes"] > before[url]["kilobytes"] * 1.1 + 1
    }
    assert dearer == {}, "see tests/conformance/ledgers.py"
    assert {url: now for url, now in cost.items() if now["statements"] > MOST_STATEMENTS} == {}
    assert {url: now for url, now in cost.items() if now["kilobytes"] > MOST_KILOBYTES} == {}


def test_lists_cost_no_more_with_200_000_customers_and_400_000_orders(app, db, li, wang, admin, sign_in):
    company.fill(lead=li, manager=wang, size=2)
    company.multiply(200_000)
    assert db.session.execute(sa.text("SELECT count(*) FROM sales_order")).scalar_one() > 400_000
    now = ledgers.list_ledger(app, sign_in(admin), only=LARGE)
    before = ledgers.read(ledgers.LISTS)
    assert {url: cost["statements"] for url, cost in now.items()} == {url: before[url]["statements"] for url in LARGE}
    assert {url: cost for url, cost in now.items() if cost["kilobytes"] > MOST_KILOBYTES} == {}


@pytest.mark.once
def test_no_form_loads_more_than_200_options(app, db, li, wang, admin, sign_in, writing):
    company.fill(lead=li, manager=wang, size=2)
    company.lengthen(MOST_OPTIONS + 5)
    now = ledgers.form_ledger(app, sign_in(admin))
    if writing:
        ledgers.write(ledgers.FORMS, now)
    assert {url: cost for url, cost in now.items() if cost["options"] > MOST_OPTIONS} == {}
    assert now == ledgers.read(ledgers.FORMS), "see tests/conformance/ledgers.py"


def test_every_report_costs_what_it_did_and_reads_no_order_lines(app, db, li, wang, admin, sign_in, writing):
    company.fill(lead=li, manager=wang, size=2)
    now = ledgers.report_ledger(app, sign_in(admin))
    if writing:
        ledgers.write(ledgers.REPORTS, now)
    assert now == ledgers.read(ledgers.REPORTS), "see tests/conformance/ledgers.py"
    assert [url for url, cost in now.items() if "order_line" in cost["reads"]] == []
    # An order within so many days of a measure is no sum of a month; only there orders are looked up, by customer.
    assert [url for url, cost in now.items() if "sales_order" in cost["reads"]] == ["/reports/measures/"]


def test_a_list_needs_no_statement_per_row(app, db, li, wang, admin, sign_in):
    company.fill(lead=li, manager=wang, size=26)
    browser = sign_in(admin)
    few = ledgers.list_ledger(app, browser, query="?psize_%s=5")
    many = ledgers.list_ledger(app, browser)
    assert {url: (few[url], now) for url, now in many.items() if now["statements"] != few[url]["statements"]} == {}
