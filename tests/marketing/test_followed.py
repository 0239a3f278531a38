"""What followed an activity: the window to the second, whose orders count, and what a figure costs."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from app.marketing.queries import cost_per
from app.mirror.models import OrderStatus
from app.sales.models import OpportunityStatus
from tests import builders
from tests.support import statements, text_of

START = date(2026, 3, 2)
BEGIN = datetime(2026, 3, 1, 16, tzinfo=UTC)  # midnight in Shanghai
END = BEGIN + timedelta(days=90)
SECOND = timedelta(seconds=1)


@pytest.fixture
def fair(db):
    """A fair that began on 2 March and cost 1,000."""
    return builders.activity(starts_on=START, budget=Decimal(800), cost=Decimal(1000))


@pytest.fixture
def guest(fair):
    """A customer who took part."""
    customer = builders.customer(name="恒锐精密")
    builders.participant(fair, customer)
    return customer


@pytest.fixture
def read(fair, li, sign_in):
    """What a lead reads on the fair's page now."""
    return lambda: text_of(sign_in(li).get(f"/activities/show/{fair.id}"))


@pytest.mark.parametrize(
    ("at", "counts"),
    [(BEGIN - SECOND, 0), (BEGIN, 1), (END - SECOND, 1), (END, 0)],
    ids=["before", "first", "last", "after"],
)
def test_an_order_counts_from_the_first_moment_of_the_first_day_for_90_days(guest, read, at, counts):
    builders.order(guest, at=at, amount=Decimal("1234.50"))
    text = read()
    assert f"Orders that followed {counts} ¥{'1,234.50' if counts else '0.00'}" in text
    assert ("per order ¥1,000.00" in text) is bool(counts)


@pytest.mark.parametrize(("days", "counts"), [(30, 0), (31, 1)])
def test_how_many_days_is_a_setting(app, guest, read, days, counts):
    app.config["LIUKE_CAMPAIGN_DAYS"] = days
    builders.order(guest, at=BEGIN + timedelta(days=30))
    text = read()
    assert f"Orders that followed {counts}" in text
    assert f"({days} days)" in text


def test_cancelled_orders_and_other_peoples_orders_do_not_count(guest, read):
    builders.order(guest, at=BEGIN, status=OrderStatus.cancelled)
    builders.order(builders.customer(), at=BEGIN)
    assert "Orders that followed 0" in read()


@pytest.mark.parametrize(
    ("at", "counts"),
    [(BEGIN - SECOND, 0), (BEGIN, 1), (END - SECOND, 1), (END, 0)],
    ids=["before", "first", "last", "after"],
)
def test_opportunities_that_name_a_participant_count_when_they_are_created_in_the_window(guest, li, read, at, counts):
    builders.opportunity(by=li, customer_name="恒锐精密", created_at=at)
    assert f"Opportunities that followed {counts} won 0" in read()


@pytest.mark.parametrize(
    ("at", "counts"),
    [(BEGIN - SECOND, 0), (BEGIN, 1), (END - SECOND, 1), (END, 0)],
    ids=["before", "first", "last", "after"],
)
def test_an_opportunity_counts_as_won_when_it_was_won_in_the_window(guest, wang, read, at, counts):
    before = BEGIN - timedelta(days=100)
    builders.opportunity(
        status=OpportunityStatus.won, given_to=wang, customer=guest, created_at=before, assigned_at=before, closed_at=at
    )
    assert f"Opportunities that followed 0 won {counts}" in read()


def test_an_opportunity_of_somebody_else_does_not_count(guest, li, read):
    builders.opportunity(by=li, customer_name="恒锐", created_at=BEGIN)
    assert "Opportunities that followed 0" in read()


def test_the_page_says_that_following_is_not_being_caused(guest, read):
    text = read()
    assert "from 2026-03-02 to 2026-05-30 (90 days)" in text
    assert "no figure says that it caused them" in text


def test_cost_over_budget_is_said(guest, read):
    text = read()
    assert "Cost ¥1,000.00 Budget ¥800.00 · over by ¥200.00" in text


@pytest.mark.parametrize(
    ("cost", "orders", "expected"),
    [(None, 3, None), (Decimal(100), 0, None), (Decimal(0), 3, Decimal("0.00")), (Decimal(100), 3, Decimal("33.33")),
     (Decimal("0.05"), 2, Decimal("0.03"))],
)  # fmt: skip
def test_cost_per_order_is_to_the_cent(cost, orders, expected):
    assert cost_per(cost, orders) == expected


def test_figures_need_the_right_to_their_list(fair, guest, sign_in):
    builders.order(guest, at=BEGIN)
    rights = [("can_show", "Activity"), ("can_list", "Participant")]
    reader = builders.user(roles=[builders.role(rights=rights)], role_code="")
    text = text_of(sign_in(reader).get(f"/activities/show/{fair.id}"))
    assert "Orders that followed" not in text
    assert "Opportunities that followed" not in text
    assert "Participants 1" in text


def test_many_participants_need_no_more_statements(app, fair, guest, li, sign_in):
    def cost():
        browser = sign_in(li)
        browser.get(f"/activities/show/{fair.id}")
        with statements(app) as seen:
            browser.get(f"/activities/show/{fair.id}")
        return len(seen)

    builders.order(guest, at=BEGIN)
    builders.opportunity(by=li, customer_name="恒锐精密", created_at=BEGIN)
    few = cost()
    for number in range(12):
        customer = builders.customer(name=f"第{number}公司")
        builders.participant(fair, customer)
        builders.order(customer, at=BEGIN)
        builders.opportunity(by=li, customer_name=customer.name, created_at=BEGIN)
    assert cost() == few
