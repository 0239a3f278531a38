"""经营看板: four charts with their tables, of the whole company or of one's own customers."""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal

import pytest

from app.churn.models import ChurnStatus
from app.core.clock import local, utcnow
from app.customers.models import Customer, CustomerStatus
from app.mirror.operations import refresh_totals
from app.reports import dashboard
from app.reports.queries import Headline
from app.sales.models import Opportunity, OpportunityStatus
from tests import builders
from tests.support import rows, statements, text_of


@pytest.fixture
def company(db, wang, zhao):
    """Two managers with a customer each: orders, cases and opportunities."""
    for owner, name, amount in ((wang, "恒锐精密", "268430.50"), (zhao, "秦岭航空", "1200")):
        customer = builders.customer(owner=owner, name=name)
        builders.order(customer, amount=amount)
        builders.churn_case(customer)
        builders.churn_case(builders.customer(owner=owner), status=ChurnStatus.deferred)
        builders.opportunity(given_to=owner, expected_amount=amount)
    builders.opportunity(status=OpportunityStatus.lost)
    refresh_totals()
    db.session.commit()
    builders.sync_run()


def page_of(browser):
    answer = browser.get("/dashboard/")
    assert answer.status_code == 200
    return answer


def kpis_on(answer):
    """Label -> value with its unit, of the strip."""
    strip = re.search(r'(?s)<dl class="kpis.*?</dl>', answer.get_data(as_text=True))[0]
    found = re.findall(r'(?s)<dt>(.*?)</dt>.*?<div class="v">(.*?)</div>', strip)
    return {label: re.sub("<[^>]+>", "", value) for label, value in found}


def table_on(answer, key):
    """The rows of a chart's table, as texts."""
    card = re.search(rf'(?s)aria-labelledby="card-{key}".*?</section>', answer.get_data(as_text=True))[0]
    body = re.search(r"(?s)<tbody>(.*?)</tbody>", card)
    return [
        [re.sub("<[^>]+>", "", cell).strip() for cell in re.findall(r"(?s)<td.*?</td>", row)]
        for row in re.findall(r"(?s)<tr>(.*?)</tr>", body[1])
    ]


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("name", ["admin", "li", "wang", "chen"])
def test_it_opens_with_four_charts_and_their_tables(company, request, sign_in, name, language):
    answer = page_of(sign_in(request.getfixturevalue(name)).speak(language))
    html = answer.get_data(as_text=True)
    assert html.count("<details") == 4
    for key in ("churn", "levels", "contribution", "opportunities"):
        card = re.search(rf'(?s)aria-labelledby="card-{key}".*?</section>', html)[0]
        assert "<svg" in card
        assert 'class="lk-chart' in card
        assert table_on(answer, key)
    assert not re.search(r"<style|<script(?![^>]* src=)|\sstyle=|\son\w+=", html)


@pytest.mark.parametrize("name", ["sysadmin"])
def test_without_the_right_there_is_no_dashboard(company, request, sign_in, name):
    browser = sign_in(request.getfixturevalue(name))
    assert browser.get("/dashboard/").status_code == 403
    assert "/dashboard/" not in browser.get("/dictionary/list/").get_data(as_text=True)


def test_it_is_the_first_entry_and_the_first_page(company, chen, sign_in):
    browser = sign_in(chen)
    assert browser.get("/").location.endswith("/dashboard/")
    menu = re.findall(r'class="side-a" href="([^"]*)"', page_of(browser).get_data(as_text=True))
    assert menu[0] == "/dashboard/"


@pytest.mark.parametrize("name", ["li", "chen"])
def test_leads_and_executives_see_the_whole_company(company, request, sign_in, name):
    answer = page_of(sign_in(request.getfixturevalue(name)))
    year = local(utcnow()).year
    assert kpis_on(answer) == {
        f"Order amount {year}": "¥270K", f"Same period {year - 1}": "¥0", "Active customers": "4",
        "Churn warnings": "2", "Open opportunities": "2",
    }  # fmt: skip
    assert table_on(answer, "contribution") == [["1", "恒锐精密", "¥268,430.50"], ["2", "秦岭航空", "¥1,200.00"]]
    assert ["In development", "2", "¥269,630.50"] in table_on(answer, "opportunities")
    assert table_on(answer, "churn")[-1][1:] == ["4", "0", "0"]
    assert "The whole company" in text_of(answer)


def test_a_manager_sees_his_own_figures(company, wang, sign_in):
    answer = page_of(sign_in(wang))
    year = local(utcnow()).year
    assert kpis_on(answer) == {
        f"Order amount {year}": "¥268K", f"Same period {year - 1}": "¥0", "Active customers": "2",
        "Churn warnings": "1", "Open opportunities": "1",
    }  # fmt: skip
    assert table_on(answer, "contribution") == [["1", "恒锐精密", "¥268,430.50"]]
    assert ["In development", "1", "¥268,430.50"] in table_on(answer, "opportunities")
    assert ["Regular", "2", "100%"] in [[a, b, c.replace(".0", "")] for a, b, c in table_on(answer, "levels")]
    assert table_on(answer, "churn")[-1][1:] == ["2", "0", "0"]
    assert "秦岭航空" not in answer.get_data(as_text=True)


def test_without_any_right_on_customers_figures_are_not_withheld_but_carry_no_links(company, chen, li, sign_in):
    customer_page = re.compile(r'href="/customers/show/\d+"')
    assert not customer_page.search(page_of(sign_in(chen)).get_data(as_text=True))
    assert len(customer_page.findall(page_of(sign_in(li)).get_data(as_text=True))) == 2 * 3  # two charts and a table


def test_a_figure_leads_only_to_customers_the_reader_may_open(app, company, sign_in):
    app.config["LIUKE_CUSTOMERS_SHARED"] = "own"
    rights = [("can_show", "Dashboard"), ("can_see_all", "Dashboard"), ("can_show", "Customer")]
    reader = builders.user(roles=[builders.role(rights=rights)])
    answer = page_of(sign_in(reader))
    assert len(table_on(answer, "contribution")) == 2
    assert "/customers/show/" not in answer.get_data(as_text=True)


def test_deleted_records_count_nowhere(db, company, li, sign_in):
    for customer in rows(Customer):
        customer.status = CustomerStatus.deleted
    for opportunity in rows(Opportunity):
        opportunity.deleted_at = utcnow()
    db.session.commit()
    answer = page_of(sign_in(li))
    assert set(kpis_on(answer).values()) == {"¥0", "0"}
    assert 'class="lk-chart' not in answer.get_data(as_text=True)


def test_an_empty_company_is_told_where_figures_come_from(db, li, sign_in):
    text = text_of(page_of(sign_in(li)))
    for sentence in (
        "No churn cases in this time", "No active customers", "No orders this year", "No opportunities yet",
        "The sales system has not been read yet.",
    ):  # fmt: skip
        assert sentence in text


@pytest.mark.parametrize(
    ("this_year", "last_year", "change", "rises"),
    [
        ("150", "100", "50.0%", True), ("100", "100", "0.0%", True), ("99", "100", "1.0%", False),
        ("0", "100", "100.0%", False), ("100", "0", "", True), ("0", "0", "", True),
    ],
)  # fmt: skip
def test_growth_is_told_against_the_same_days_of_last_year(db, this_year, last_year, change, rises):
    figures = Headline(0, 0, Decimal(this_year), Decimal(last_year), 0, 0, 0, Decimal(0))
    amount, before, *_others = dashboard.kpis(figures, day=date(2026, 5, 20))
    assert (amount.label, amount.change, amount.rises) == ("Order amount 2026", change, rises)
    assert amount.note == ("vs 2025" if change else "since 1 January")
    assert (before.label, before.value, before.note) == ("Same period 2025", f"¥{last_year}", "until 20 May")


@pytest.mark.parametrize(("days", "warned"), [(8, False), (9, True)])
def test_old_orders_are_called_old(db, li, sign_in, days, warned):
    builders.sync_run(finished_at=utcnow() - timedelta(days=days) + timedelta(minutes=5))
    builders.customer()
    text = text_of(page_of(sign_in(li)))
    assert ("The sales system was last read" in text) is warned
    assert "Orders as of" in text


def test_weeks_with_nothing_of_a_kind_hide_nothing_of_another(db, company, li, sign_in):
    page = page_of(sign_in(li)).get_data(as_text=True)
    assert page.count('class="lk-chart columns"') == 2  # for the desktop and for a phone
    assert 'class="lk-chart lines"' not in page


def test_the_page_costs_the_same_number_of_statements_however_much_there_is(app, db, company, li, sign_in):
    browser = sign_in(li)
    page_of(browser)
    with statements(app) as few:
        page_of(browser)
    for _ in range(15):
        customer = builders.customer()
        builders.order(customer)
        builders.churn_case(customer)
        builders.opportunity()
    refresh_totals()
    db.session.commit()
    with statements(app) as many:
        page_of(browser)
    assert len(many) == len(few) <= 12  # with those of the menu and its counters


def test_a_kept_chart_is_never_another_languages_or_out_of_date(db, company, li, sign_in):
    browser = sign_in(li)
    for language, amount in (("zh", "¥26.8 万"), ("en", "¥268K")):
        html = page_of(browser.speak(language)).get_data(as_text=True)
        assert [a for a in ("¥26.8 万", "¥268K") if f">{a}</text>" in html] == [amount]

    customer = rows(Customer, Customer.name == "恒锐精密")[0]
    builders.order(customer, amount="1000")
    refresh_totals()
    db.session.commit()

    assert ">¥269K</text>" in page_of(browser).get_data(as_text=True)


def test_a_name_is_only_text(db, li, sign_in):
    customer = builders.customer(name="<script>alert(1)</script>&co")
    builders.order(customer)
    refresh_totals()
    db.session.commit()
    html = page_of(sign_in(li)).get_data(as_text=True)
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)" in html
