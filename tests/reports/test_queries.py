"""The figures of the reports, against the same figures counted one by one in Python."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from app.churn.models import ChurnCase, ChurnStatus
from app.customers.models import Customer, CustomerStatus
from app.masterdata.models import DictionaryItem, DictionaryType
from app.mirror.models import Order, OrderStatus
from app.mirror.operations import refresh_totals
from app.reports import queries
from app.sales.models import Opportunity, OpportunityStatus
from tests import builders
from tests.support import rows, statements

SHANGHAI = ZoneInfo("Asia/Shanghai")
EVERYTHING = sa.true()
NOW = datetime(2026, 5, 20, 7, 30, tzinfo=UTC)  # 15:30 on Wednesday, 20 May in Shanghai


def shanghai(*wall):
    """An instant by the company's wall clock."""
    return datetime(*wall, tzinfo=SHANGHAI).astimezone(UTC)


def refreshed(db):
    """The totals beside the customers, as the sync leaves them."""
    refresh_totals()
    db.session.commit()


def ordered(customer, amount, at=None, **given):
    return builders.order(customer, amount=amount, at=at or shanghai(2026, 3, 1, 12), **given)


def headline(**given):
    scopes = {"customers": EVERYTHING, "opportunities": EVERYTHING, "cases": EVERYTHING}
    return queries.headline(**{"as_of": NOW, **scopes, **given})


# -- contribution -------------------------------------------------------------------------------------------------


def test_contribution_agrees_with_adding_up_every_order(db):
    chance = random.Random(20261122)
    customers = [builders.customer() for _ in range(14)]
    for _ in range(120):
        ordered(
            chance.choice(customers),
            Decimal(chance.randrange(1, 10_000_000)) / 100,
            at=shanghai(2025, 11, 1) + timedelta(minutes=chance.randrange(600 * 24 * 60)),
            status=chance.choice(list(OrderStatus)),
            paid=chance.choice([True, False, None]),
        )
    refreshed(db)

    totals = defaultdict(Decimal)
    for order in rows(Order):
        if order.status != OrderStatus.cancelled and order.ordered_at.astimezone(SHANGHAI).year == 2026:
            totals[order.customer] += order.amount
    expected = sorted(((-total, c.id, c.name) for c, total in totals.items()))[:10]

    found = queries.top_customers(year=2026, customers=EVERYTHING)
    assert [(c.customer_id, c.customer, c.total) for c in found] == [(pk, name, -t) for t, pk, name in expected]
    assert len(found) == 10


@pytest.mark.parametrize(
    ("at", "year"),
    [
        ((2025, 12, 31, 23, 30), 2025),  # still 15:30 in UTC
        ((2026, 1, 1, 0, 0), 2026),  # 16:00 on 31 December in UTC
        ((2026, 1, 1, 0, 30), 2026),
        ((2026, 12, 31, 23, 59, 59), 2026),
        ((2027, 1, 1, 0, 0), 2027),
    ],
)
def test_an_order_counts_in_the_companys_year(db, at, year):
    ordered(builders.customer(), "12.34", at=shanghai(*at))
    refreshed(db)
    found = {y: [c.total for c in queries.top_customers(year=y, customers=EVERYTHING)] for y in (2025, 2026, 2027)}
    assert found == {y: [Decimal("12.34")] if y == year else [] for y in (2025, 2026, 2027)}


def test_cancelled_orders_and_customers_without_orders_are_left_out(db):
    cancelled, _none = builders.customer(), builders.customer()
    ordered(cancelled, "100", status=OrderStatus.cancelled)
    ordered(builders.customer(), "0")
    refreshed(db)
    assert queries.top_customers(year=2026, customers=EVERYTHING) == []


def test_equal_totals_are_ordered_by_record_and_equal_names_stay_apart(db):
    first, second, third = (builders.customer(name="恒锐精密") for _ in range(3))
    for customer in (third, second, first):
        ordered(customer, "50.00")
    refreshed(db)
    found = queries.top_customers(year=2026, customers=EVERYTHING, limit=2)
    assert [c.customer_id for c in found] == [first.id, second.id]


def test_the_limit_keeps_the_biggest(db):
    for amount in ("1", "3", "2"):
        ordered(builders.customer(name=f"C{amount}"), amount)
    refreshed(db)
    assert [c.customer for c in queries.top_customers(year=2026, customers=EVERYTHING, limit=2)] == ["C3", "C2"]


def test_contribution_stays_in_the_scope(db, wang, zhao):
    mine, theirs = builders.customer(owner=wang), builders.customer(owner=zhao)
    ordered(mine, "1")
    ordered(theirs, "2")
    refreshed(db)
    found = queries.top_customers(year=2026, customers=Customer.owner_id == wang.id)
    assert [c.customer_id for c in found] == [mine.id]


# -- headline -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "this_year", "last_year"),
    [
        ((2025, 12, 31, 23, 30), 0, 0),  # last year, but after the days that are compared
        ((2026, 1, 1, 0, 30), 1, 0),
        ((2026, 4, 30, 23, 59), 1, 0),  # the last whole month
        ((2026, 5, 1, 0, 0), 1, 0),  # the month that is not over
        ((2026, 5, 20, 15, 30), 1, 0),  # this very moment
        ((2026, 5, 20, 15, 31), 0, 0),  # not yet
        ((2025, 1, 1, 0, 0), 0, 1),
        ((2024, 12, 31, 23, 59), 0, 0),
        ((2025, 5, 20, 15, 30), 0, 1),
        ((2025, 5, 20, 15, 31), 0, 0),
    ],
)
def test_amounts_run_from_new_year_to_now_and_to_the_same_moment_a_year_ago(db, at, this_year, last_year):
    ordered(builders.customer(), "10.10", at=shanghai(*at))
    refreshed(db)
    found = headline()
    assert (found.ordered_this_year, found.ordered_last_year) == (
        this_year * Decimal("10.10"), last_year * Decimal("10.10"),
    )  # fmt: skip


def test_amounts_agree_with_adding_up_every_order(db, wang):
    chance = random.Random(7)
    customers = [builders.customer(owner=wang if number % 2 else None) for number in range(5)]
    for _ in range(80):
        ordered(
            chance.choice(customers), Decimal(chance.randrange(1, 1_000_000)) / 100,
            at=shanghai(2025, 1, 1) + timedelta(minutes=chance.randrange(520 * 24 * 60)),
            status=chance.choice([OrderStatus.new, OrderStatus.shipped, OrderStatus.cancelled]),
        )  # fmt: skip
    refreshed(db)

    def total(start, end, only):
        return sum(
            (
                o.amount
                for o in rows(Order)
                if o.status != OrderStatus.cancelled and start <= o.ordered_at <= end and only(o.customer)
            ),
            Decimal("0.00"),
        )

    for scope, only in ((EVERYTHING, lambda c: True), (Customer.owner_id == wang.id, lambda c: c.owner_id == wang.id)):
        found = headline(customers=scope)
        assert found.ordered_this_year == total(shanghai(2026, 1, 1), NOW, only)
        assert found.ordered_last_year == total(shanghai(2025, 1, 1), NOW.replace(year=2025), only)


def test_the_29_of_february_is_compared_with_the_28th(db):
    customer = builders.customer()
    ordered(customer, "1", at=shanghai(2027, 2, 28, 9))
    ordered(customer, "2", at=shanghai(2027, 3, 1, 0))
    refreshed(db)
    assert headline(as_of=shanghai(2028, 2, 29, 10)).ordered_last_year == Decimal("1.00")


@pytest.mark.parametrize(
    ("day", "status", "new"),
    [
        (date(2026, 1, 1), CustomerStatus.active, 1), (date(2025, 12, 31), CustomerStatus.active, 0),
        (date(2026, 1, 1), CustomerStatus.lost, 0),
    ],
)  # fmt: skip
def test_a_customer_is_new_in_the_year_it_was_registered(db, day, status, new):
    builders.customer(registered_on=day, status=status)
    assert headline().new_customers == new
    assert headline(as_of=shanghai(2026, 1, 1, 0, 30)).new_customers == new  # still 31 December in UTC


def test_the_headline_counts_what_is_open(db):
    for status in (CustomerStatus.active, CustomerStatus.active, CustomerStatus.lost, CustomerStatus.deleted):
        builders.customer(status=status)
    for status in ChurnStatus:
        builders.churn_case(builders.customer(status=CustomerStatus.lost), status=status)
    for status in OpportunityStatus:
        customer = builders.customer(status=CustomerStatus.lost)
        builders.opportunity(status=status, customer=customer if status == "won" else None, expected_amount="100.50")
    builders.opportunity(expected_amount=None)

    found = headline()

    assert found.active_customers == 2
    assert (found.warnings, found.deferred) == (1, 1)
    assert (found.open_opportunities, found.expected) == (3, Decimal("201.00"))


def test_nothing_at_all_is_zero_everywhere(db):
    zero = Decimal("0.00")
    assert headline() == queries.Headline(0, 0, zero, zero, 0, 0, 0, zero)
    assert {s.opportunities for s in queries.opportunities_by_status(opportunities=EVERYTHING)} == {0}
    assert {level.customers for level in queries.customers_by_level(customers=EVERYTHING)} == {0}
    assert {(w.opened, w.recovered, w.lost) for w in queries.churn_by_week(as_of=NOW, cases=EVERYTHING)} == {(0, 0, 0)}


def test_the_headline_stays_in_each_scope(db, wang, zhao):
    mine, theirs = builders.customer(owner=wang), builders.customer(owner=zhao)
    builders.churn_case(mine)
    builders.churn_case(theirs)
    builders.opportunity(given_to=wang)
    builders.opportunity(given_to=zhao)
    found = headline(
        customers=Customer.owner_id == wang.id,
        opportunities=Opportunity.assignee_id == wang.id,
        cases=ChurnCase.customer_id == mine.id,
    )
    assert (found.active_customers, found.warnings, found.open_opportunities) == (1, 1, 1)


# -- composition --------------------------------------------------------------------------------------------------


def test_levels_are_counted_in_the_order_of_the_dictionary(db):
    for code, number in (("5", 1), ("1", 3), ("3", 2)):
        for _ in range(number):
            builders.customer(level=builders.dictionary(DictionaryType.level, code))
    builders.customer(status=CustomerStatus.lost)
    found = queries.customers_by_level(customers=EVERYTHING)
    assert [(count.level.code, count.customers) for count in found] == [
        ("1", 3), ("2", 0), ("3", 2), ("4", 0), ("5", 1),
    ]  # fmt: skip


def test_a_level_no_longer_offered_is_shown_while_somebody_has_it(db):
    unused, used = (builders.dictionary(DictionaryType.level, code) for code in ("4", "2"))
    unused.active = used.active = False
    builders.customer(level=used)
    codes = [count.level.code for count in queries.customers_by_level(customers=EVERYTHING)]
    assert codes == ["1", "2", "3", "5"]


def test_levels_are_counted_in_the_scope(db, wang, zhao):
    builders.customer(owner=wang)
    builders.customer(owner=zhao)
    found = queries.customers_by_level(customers=Customer.owner_id == wang.id)
    assert sum(count.customers for count in found) == 1


# -- opportunities ------------------------------------------------------------------------------------------------


def test_opportunities_are_counted_by_state_with_what_they_may_bring(db):
    builders.opportunity(expected_amount="0.10")
    builders.opportunity(expected_amount="0.20")
    builders.opportunity(expected_amount=None)
    builders.opportunity(status=OpportunityStatus.won, expected_amount="7")
    found = queries.opportunities_by_status(opportunities=EVERYTHING)
    assert [(s.status.value, s.opportunities, s.expected) for s in found] == [
        ("unassigned", 3, Decimal("0.30")),
        ("assigned", 0, Decimal("0.00")),
        ("won", 1, Decimal("7.00")),
        ("lost", 0, Decimal("0.00")),
    ]


# -- churn --------------------------------------------------------------------------------------------------------


def test_weeks_are_the_companys_and_end_with_this_one(db):
    weeks = queries.churn_by_week(as_of=NOW, cases=EVERYTHING)
    assert [w.monday for w in weeks] == [date(2026, 5, 18) - timedelta(weeks=ago) for ago in range(11, -1, -1)]


@pytest.mark.parametrize(
    ("at", "monday"),
    [
        ((2026, 5, 17, 23, 59), date(2026, 5, 11)),  # Sunday
        ((2026, 5, 18, 0, 0), date(2026, 5, 18)),  # Monday, still Sunday in UTC
        ((2026, 5, 24, 23, 59), date(2026, 5, 18)),
        ((2026, 3, 2, 0, 0), date(2026, 3, 2)),  # the first moment of twelve weeks
        ((2026, 3, 1, 23, 59), None),
        ((2026, 5, 25, 0, 0), None),  # next week
    ],
)
def test_an_event_falls_into_its_company_week(db, at, monday):
    builders.churn_case(opened_at=shanghai(*at))
    found = [w.monday for w in queries.churn_by_week(as_of=NOW, cases=EVERYTHING) if w.opened]
    assert found == ([monday] if monday else [])


def test_churn_agrees_with_looking_at_every_case(db):
    chance = random.Random(5)
    for _ in range(60):
        status = chance.choice(list(ChurnStatus))
        opened = shanghai(2026, 2, 1) + timedelta(minutes=chance.randrange(100 * 24 * 60))
        later = opened + timedelta(days=chance.randrange(1, 30))
        given = {"lost_at": later} if status in ("lost", "won_back") else {}
        given |= {"resolved_at": later + timedelta(days=1)} if status in ("recovered", "won_back") else {}
        builders.churn_case(builders.customer(), status=status, opened_at=opened, **given)

    def monday_of(moment):
        day = moment.astimezone(SHANGHAI).date()
        return day - timedelta(days=day.weekday())

    expected = defaultdict(lambda: [0, 0, 0])
    for case in rows(ChurnCase):
        expected[monday_of(case.opened_at)][0] += 1
        if case.status == ChurnStatus.recovered:
            expected[monday_of(case.resolved_at)][1] += 1
        if case.lost_at:
            expected[monday_of(case.lost_at)][2] += 1

    found = queries.churn_by_week(as_of=NOW, cases=EVERYTHING)
    assert [[w.opened, w.recovered, w.lost] for w in found] == [expected[w.monday] for w in found]
    assert sum(w.opened for w in found) > 20


def test_churn_stays_in_the_scope(db, wang, zhao):
    for owner in (wang, zhao):
        builders.churn_case(owner=owner, opened_at=NOW)
    mine = ChurnCase.owner_id == wang.id
    assert sum(w.opened for w in queries.churn_by_week(as_of=NOW, cases=mine)) == 1


# -- cost ---------------------------------------------------------------------------------------------------------


def test_every_figure_is_one_statement_however_many_rows(app, db):
    for number in range(12):
        customer = builders.customer()
        ordered(customer, number + 1)
        builders.churn_case(customer, opened_at=NOW)
        builders.opportunity()
    refreshed(db)
    for ask in (
        headline,
        lambda: queries.top_customers(year=2026, customers=EVERYTHING),
        lambda: queries.customers_by_level(customers=EVERYTHING),
        lambda: queries.opportunities_by_status(opportunities=EVERYTHING),
        lambda: queries.churn_by_week(as_of=NOW, cases=EVERYTHING),
    ):
        with statements(app) as seen:
            ask()
        assert len(seen) == 1


def test_a_label_of_a_level_is_read_without_asking_again(app, db):
    builders.customer()
    counts = queries.customers_by_level(customers=EVERYTHING)
    with statements(app) as seen:
        labels = [count.level.label for count in counts]
    assert (len(labels), seen) == (len(rows(DictionaryItem, DictionaryItem.type == DictionaryType.level)), [])
