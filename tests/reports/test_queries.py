"""The figures of the dashboard, against the same figures counted one by one in Python."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from app.churn.models import ChurnCase, ChurnStatus
from app.customers.models import Customer, CustomerStatus
from app.masterdata.models import DictionaryItem, DictionaryType
from app.mirror.models import Order, OrderStatus
from app.mirror.operations import refresh_totals
from app.reports import period, queries
from app.reports.queries import Figure
from app.reports.span import running
from app.sales.models import Opportunity, OpportunityStatus
from app.tickets.models import Ticket, TicketStatus
from tests import builders
from tests.support import rows, statements

SHANGHAI = ZoneInfo("Asia/Shanghai")
EVERYTHING = sa.true()
NOW = datetime(2026, 5, 20, 7, 30, tzinfo=UTC)  # 15:30 on Wednesday, 20 May in Shanghai
YEAR = period.parse("2026")


def shanghai(*wall):
    """An instant by the company's wall clock."""
    return datetime(*wall, tzinfo=SHANGHAI).astimezone(UTC)


def refreshed(db):
    """The totals beside the customers, as the sync leaves them."""
    refresh_totals()
    db.session.commit()


def ordered(customer, amount, at=None, **given):
    return builders.order(customer, amount=amount, at=at or shanghai(2026, 3, 1, 12), **given)


def of(customers):
    """WHERE something counts that one of these customers has."""
    return lambda customer_id: customer_id.in_(sa.select(Customer.id).where(customers))


def best(code="2026", customers=EVERYTHING, **given):
    return queries.top_customers(period=period.parse(code), of_customers=of(customers), **given)


# -- the span -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "now", "start", "before"),
    [
        ("month", (2026, 5, 20, 15, 30), (2026, 5, 1), ((2026, 4, 1), (2026, 4, 20, 15, 30))),
        ("quarter", (2026, 5, 20, 15, 30), (2026, 4, 1), ((2026, 1, 1), (2026, 2, 19, 15, 30))),  # the 50th day of both
        ("year", (2026, 5, 20, 15, 30), (2026, 1, 1), ((2025, 1, 1), (2025, 5, 20, 15, 30))),
        ("year", (2028, 12, 31, 9), (2028, 1, 1), ((2027, 1, 1), (2028, 1, 1))),  # a day more: compared with all
        ("month", (2026, 3, 31, 9), (2026, 3, 1), ((2026, 2, 1), (2026, 3, 1))),
        ("month", (2026, 1, 1, 0, 30), (2026, 1, 1), ((2025, 12, 1), (2025, 12, 1, 0, 30))),  # 31 December in UTC
        ("decade", (2026, 5, 20, 15, 30), (2026, 5, 1), ((2026, 4, 1), (2026, 4, 20, 15, 30))),
    ],
)
def test_a_span_is_compared_with_as_many_days_of_the_one_before(db, code, now, start, before):
    span = running(code, shanghai(*now))
    assert span.start == shanghai(*start)
    assert (span.before_start, span.before_end) == (shanghai(*before[0]), shanghai(*before[1]))


def test_days_are_compared_whole(db):
    span = running("month", NOW)
    assert span.before_until == date(2026, 4, 21)  # 1 to 20 April, as 1 to 20 May
    assert running("month", shanghai(2026, 3, 31, 9)).before_until == date(2026, 3, 1)


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

    found = best()
    assert [(c.customer_id, c.customer, c.total) for c in found] == [(pk, name, -t) for t, pk, name in expected]
    assert len(found) == 10


@pytest.mark.parametrize(
    ("at", "year"),
    [
        ((2025, 12, 31, 23, 30), "2025"),  # still 15:30 in UTC
        ((2026, 1, 1, 0, 0), "2026"),  # 16:00 on 31 December in UTC
        ((2026, 12, 31, 23, 59, 59), "2026"),
        ((2027, 1, 1, 0, 0), "2027"),
    ],
)
def test_an_order_counts_in_the_companys_year(db, at, year):
    ordered(builders.customer(), "12.34", at=shanghai(*at))
    refreshed(db)
    found = {y: [c.total for c in best(y)] for y in ("2025", "2026", "2027")}
    assert found == {y: [Decimal("12.34")] if y == year else [] for y in ("2025", "2026", "2027")}


def test_a_month_is_a_period_too(db):
    for month, amount in ((4, "1"), (5, "2"), (6, "4")):
        ordered(builders.customer(name=f"C{month}"), amount, at=shanghai(2026, month, 1))
    refreshed(db)
    assert [c.customer for c in best("2026-05")] == ["C5"]
    assert [c.customer for c in best("2026-Q2")] == ["C6", "C5", "C4"]


def test_cancelled_orders_and_customers_without_orders_are_left_out(db):
    cancelled, _none = builders.customer(), builders.customer()
    ordered(cancelled, "100", status=OrderStatus.cancelled)
    ordered(builders.customer(), "0")
    refreshed(db)
    assert best() == []


def test_equal_totals_are_ordered_by_record_and_equal_names_stay_apart(db):
    first, second, third = (builders.customer(name="恒锐精密") for _ in range(3))
    for customer in (third, second, first):
        ordered(customer, "50.00")
    refreshed(db)
    assert [c.customer_id for c in best(limit=2)] == [first.id, second.id]


def test_contribution_stays_in_the_scope(db, wang, zhao):
    mine, theirs = builders.customer(owner=wang), builders.customer(owner=zhao)
    ordered(mine, "1")
    ordered(theirs, "2")
    refreshed(db)
    assert [c.customer_id for c in best(customers=Customer.owner_id == wang.id)] == [mine.id]


# -- order amount -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "at", "now", "before"),
    [
        ("year", (2025, 12, 31, 23, 30), 0, 0),  # last year, but after the days that are compared
        ("year", (2026, 1, 1, 0, 0), 1, 0),
        ("year", (2026, 4, 30, 23, 59), 1, 0),  # the last whole month
        ("year", (2026, 5, 20, 15, 29), 1, 0),
        ("year", (2026, 5, 20, 15, 30), 0, 0),  # not yet
        ("year", (2025, 1, 1, 0, 0), 0, 1),
        ("year", (2024, 12, 31, 23, 59), 0, 0),
        ("year", (2025, 5, 20, 15, 29), 0, 1),
        ("year", (2025, 5, 20, 15, 30), 0, 0),
        ("month", (2026, 5, 1, 0, 0), 1, 0),
        ("month", (2026, 4, 30, 23, 59), 0, 0),
        ("month", (2026, 4, 1, 0, 0), 0, 1),
        ("month", (2026, 4, 20, 15, 30), 0, 0),
        ("month", (2026, 3, 31, 23, 59), 0, 0),
        ("quarter", (2026, 4, 1, 0, 0), 1, 0),
        ("quarter", (2026, 1, 1, 0, 0), 0, 1),
        ("quarter", (2026, 2, 19, 15, 29), 0, 1),
        ("quarter", (2026, 2, 19, 15, 30), 0, 0),
    ],
)
def test_amounts_run_to_now_and_to_the_same_moment_of_the_span_before(db, code, at, now, before):
    ordered(builders.customer(), "10.10", at=shanghai(*at))
    refreshed(db)
    found = queries.ordered(span=running(code, NOW), of_customers=of(EVERYTHING))
    assert (found.now, found.before) == (now * Decimal("10.10"), before * Decimal("10.10"))


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
                if o.status != OrderStatus.cancelled and start <= o.ordered_at < end and only(o.customer)
            ),
            Decimal("0.00"),
        )

    for scope, only in ((EVERYTHING, lambda c: True), (Customer.owner_id == wang.id, lambda c: c.owner_id == wang.id)):
        for code in ("month", "quarter", "year"):
            span = running(code, NOW)
            found = queries.ordered(span=span, of_customers=of(scope))
            assert found.now == total(span.start, NOW, only)
            assert found.before == total(span.before_start, span.before_end, only)
        firsts = [*span.recent, date(2026, 5, 1)]
        assert found.recent == tuple(
            total(shanghai(a.year, a.month, 1), shanghai(b.year, b.month, 1), only) for a, b in pairwise(firsts)
        )
    assert firsts[0] == date(2025, 11, 1)


def test_a_longer_month_is_compared_with_all_of_the_shorter_one(db):
    customer = builders.customer()
    ordered(customer, "1", at=shanghai(2026, 2, 28, 23, 59))
    ordered(customer, "2", at=shanghai(2026, 3, 1, 0))
    refreshed(db)
    found = queries.ordered(span=running("month", shanghai(2026, 3, 31, 10)), of_customers=of(EVERYTHING))
    assert (found.now, found.before) == (Decimal("2.00"), Decimal("1.00"))


# -- new customers, and churn cases -------------------------------------------------------------------------------


def happened(code="month", now=NOW, customers=EVERYTHING, cases=EVERYTHING):
    return queries.happened(span=running(code, now), customers=customers, cases=cases)


@pytest.mark.parametrize(
    ("day", "new"),
    [
        (date(2026, 5, 1), (1, 0)), (date(2026, 5, 20), (1, 0)), (date(2026, 5, 21), (0, 0)),
        (date(2026, 4, 30), (0, 0)), (date(2026, 4, 20), (0, 1)), (date(2026, 4, 21), (0, 0)),
        (date(2026, 4, 1), (0, 1)), (date(2026, 3, 31), (0, 0)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("status", [CustomerStatus.active, CustomerStatus.lost])
def test_a_customer_is_new_on_the_day_it_was_registered_whatever_became_of_it(db, day, new, status):
    builders.customer(registered_on=day, status=status)
    found = happened().new
    assert (found.now, found.before) == new


def test_new_customers_by_whole_month(db):
    for day in (date(2025, 10, 31), date(2025, 11, 1), date(2026, 4, 30), date(2026, 4, 1), date(2026, 5, 1)):
        builders.customer(registered_on=day)
    assert happened().new.recent == (1, 0, 0, 0, 0, 2)


@pytest.mark.parametrize(
    ("at", "month"),
    [
        ((2026, 4, 30, 23, 59), 10),
        ((2026, 5, 1, 0, 0), 11),  # 30 April in UTC
        ((2026, 5, 20, 15, 29), 11),
        ((2026, 5, 20, 15, 30), None),  # not yet
        ((2025, 6, 1, 0, 0), 0),  # the first moment of twelve months
        ((2025, 5, 31, 23, 59), None),
    ],
)
def test_a_warning_falls_into_its_company_month(db, at, month):
    builders.churn_case(opened_at=shanghai(*at))
    found = happened()
    assert [place for place, number in enumerate(found.trend[0]) if number] == ([] if month is None else [month])
    assert found.warnings.now == (1 if month == 11 else 0)
    assert (found.months[0], found.months[-1]) == (date(2025, 6, 1), date(2026, 5, 1))


def test_churn_agrees_with_looking_at_every_case(db):
    chance = random.Random(5)
    for _ in range(60):
        status = chance.choice(list(ChurnStatus))
        opened = shanghai(2025, 5, 1) + timedelta(minutes=chance.randrange(380 * 24 * 60))
        later = opened + timedelta(days=chance.randrange(1, 30))
        given = {"lost_at": later} if status in ("lost", "won_back") else {}
        given |= {"resolved_at": later + timedelta(days=1)} if status in ("recovered", "won_back") else {}
        case = builders.churn_case(builders.customer(), status=status, opened_at=opened, **given)
        for days in sorted(chance.sample(range(1, 60), chance.randrange(3))):
            builders.measure(case, at=opened + timedelta(days=days))

    def month_of(moment):
        wall = moment.astimezone(SHANGHAI)
        return date(wall.year, wall.month, 1) if moment < NOW else None

    def week_of(moment):
        day = moment and moment < NOW and moment.astimezone(SHANGHAI).date()
        return day and day - timedelta(days=day.weekday())

    expected = defaultdict(lambda: [0, 0, 0])
    warned, weekly = [0, 0], defaultdict(lambda: [0, 0, 0])
    span = running("quarter", NOW)
    for case in rows(ChurnCase):
        expected[month_of(case.opened_at)][0] += 1
        if case.measures:
            expected[month_of(case.measures[0].at)][1] += 1
        if case.lost_at:
            expected[month_of(case.lost_at)][2] += 1
        weekly[week_of(case.opened_at)][0] += 1
        weekly[week_of(case.resolved_at)][1] += case.status == "recovered"
        weekly[week_of(case.lost_at)][2] += 1
        warned[0] += span.start <= case.opened_at < NOW
        warned[1] += span.before_start <= case.opened_at < span.before_end

    found = happened("quarter")
    assert [list(numbers) for numbers in zip(*found.trend, strict=True)] == [expected[m] for m in found.months]
    assert [list(numbers) for numbers in zip(*found.weekly, strict=True)] == [weekly[w] for w in found.weeks]
    assert [sum(series) > 0 for series in found.weekly] == [True] * 3
    assert [found.warnings.now, found.warnings.before] == warned
    assert found.warnings.recent == found.trend[0][5:11]
    assert min(sum(series) for series in found.trend) > 5
    assert min(warned) > 0


@pytest.mark.parametrize(
    ("at", "week"),
    [
        ((2026, 5, 17, 23, 59), 10),
        ((2026, 5, 18, 0, 0), 11),  # Sunday in UTC
        ((2026, 5, 20, 15, 29), 11),
        ((2026, 5, 20, 15, 30), None),  # not yet
        ((2026, 3, 2, 0, 0), 0),  # the first moment of twelve weeks
        ((2026, 3, 1, 23, 59), None),
    ],
)
def test_a_warning_falls_into_its_company_week(db, at, week):
    builders.churn_case(opened_at=shanghai(*at))
    found = happened()
    assert [place for place, number in enumerate(found.weekly[0]) if number] == ([] if week is None else [week])
    assert (found.weeks[0], found.weeks[-1]) == (date(2026, 3, 2), date(2026, 5, 18))


def test_churn_and_new_customers_stay_in_their_scopes(db, wang, zhao):
    for owner in (wang, zhao):
        case = builders.churn_case(owner=owner, opened_at=shanghai(2026, 5, 2))
        builders.measure(case, at=shanghai(2026, 5, 3))
        builders.customer(owner=owner, registered_on=date(2026, 5, 2))
    found = happened(customers=Customer.owner_id == wang.id, cases=ChurnCase.owner_id == wang.id)
    assert [series[-1] for series in found.trend] == [1, 1, 0]
    assert found.new.now == 1


# -- service ------------------------------------------------------------------------------------------------------


def answered(at, satisfaction=4, **given):
    """A ticket archived then, with the answer in its history."""
    entered = at - timedelta(hours=2)
    ticket = builders.ticket(
        status=TicketStatus.archived, satisfaction=satisfaction, created_at=entered, archived_at=at, **given
    )
    builders.ticket_step(ticket, step="handled", at=at)
    builders.ticket_step(ticket, step="archived", at=at, satisfaction=satisfaction)
    return ticket


def service(code="month", tickets=EVERYTHING):
    return queries.service(span=running(code, NOW), tickets=tickets)


def test_satisfaction_is_the_mean_of_the_tickets_archived(db):
    for at, stars in (
        ((2026, 5, 1, 0, 0), 5), ((2026, 5, 20, 15, 29), 5), ((2026, 5, 10), 3), ((2026, 5, 20, 15, 30), 3),
        ((2026, 4, 1, 0, 0), 3), ((2026, 4, 20, 15, 29), 4), ((2026, 4, 20, 15, 30), 5),
        ((2025, 11, 1), 3), ((2025, 10, 31, 23, 59), 5),
    ):  # fmt: skip
        answered(shanghai(*at), stars)
    found = service().satisfaction
    assert (found.now, found.before) == (Decimal("4.3"), Decimal("3.5"))
    assert found.recent == (Decimal("3.0"), None, None, None, None, Decimal("4.0"))


def test_answers_are_told_by_month_the_bad_ones_too(db):
    ticket = answered(shanghai(2026, 5, 3), 5)
    builders.ticket_step(ticket, step="returned", at=shanghai(2026, 4, 30, 23, 59), satisfaction=2)
    builders.ticket_step(ticket, step="returned", at=shanghai(2025, 12, 1), satisfaction=1)
    builders.ticket_step(ticket, step="returned", at=shanghai(2025, 11, 30, 23), satisfaction=1)  # half a year ago
    answered(shanghai(2026, 5, 4), 4)
    answered(shanghai(2026, 5, 4), 3)
    found = service()
    assert found.months == [date(2025, 12, 1), *(date(2026, month, 1) for month in range(1, 6))]
    assert found.answers == ((0, 0, 0, 0, 0, 1), (0, 0, 0, 0, 0, 1), (0, 0, 0, 0, 0, 1), (1, 0, 0, 0, 1, 0))


def test_the_hours_end_with_the_first_handling(db):
    again = answered(shanghai(2026, 5, 2, 12))  # after two hours
    builders.ticket_step(again, step="handled", at=shanghai(2026, 5, 8))
    slow = builders.ticket(status=TicketStatus.handled, created_at=shanghai(2026, 5, 1, 10))
    builders.ticket_step(slow, step="handled", at=shanghai(2026, 5, 1, 15, 30))
    long_ago = answered(shanghai(2026, 4, 30, 12))
    builders.ticket_step(long_ago, step="handled", at=shanghai(2026, 5, 8))
    builders.ticket(created_at=NOW)
    found = service()
    assert found.hours == Decimal("3.8")  # of 2 and 5.5
    assert found.waiting == 2


def test_without_tickets_there_is_no_mean(db):
    found = service()
    assert found.satisfaction == Figure(None, None, (None,) * 6)
    assert (found.hours, found.waiting) == (None, 0)


def test_service_stays_in_the_scope(db, wang, zhao):
    for person, stars in ((wang, 5), (zhao, 3)):
        answered(shanghai(2026, 5, 3), stars, given_to=person)
        builders.ticket(given_to=person)
    found = service(tickets=Ticket.assignee_id == wang.id)
    assert (found.satisfaction.now, found.waiting, found.hours) == (Decimal("5.0"), 1, Decimal("2.0"))
    assert [series[-1] for series in found.answers] == [1, 0, 0, 0]


# -- retention ----------------------------------------------------------------------------------------------------


def retention(code="month", now=NOW, customers=EVERYTHING):
    return queries.retention(span=running(code, now), of_customers=of(customers))


@pytest.fixture
def rates_of_few(monkeypatch):
    """Rates of fewer than ten are shown."""
    monkeypatch.setattr(queries, "HIDDEN", 1)


def test_retention_of_fewer_than_ten_is_not_told(db):
    for number in range(10):
        customer = builders.customer()
        ordered(customer, "1", at=shanghai(2025, 1, 1))
        if number < 3:
            ordered(customer, "1", at=shanghai(2026, 1, 1))
        if number == 8:
            refreshed(db)
            assert retention().now is None  # 3 of 9
    refreshed(db)
    assert retention().now == Decimal("30.0")


def test_retention_is_who_ordered_in_both_years(db, rates_of_few):
    # Until the end of April 2026: May 2024 to April 2025, and May 2025 to April 2026.
    def orders(*days, **given):
        customer = builders.customer()
        for day in days:
            ordered(customer, "1", at=shanghai(*day), **given)

    orders((2024, 5, 1), (2026, 4, 30, 23, 59))  # kept, at both ends
    orders((2025, 4, 30, 23, 59), (2025, 5, 1))  # kept, in the middle
    orders((2025, 1, 1), (2026, 5, 1))  # not kept: again only in the month that is not over
    orders((2024, 4, 30, 23, 59), (2026, 1, 1))  # not old: before the first year
    orders((2026, 1, 1))  # not old: new
    orders((2025, 1, 1), (2026, 1, 1), status=OrderStatus.cancelled)
    refreshed(db)
    assert retention().now == Decimal("66.7")  # 2 of 3


def test_retention_is_compared_with_as_many_months_ago_as_the_span_has(db, rates_of_few):
    kept, gone = builders.customer(), builders.customer(status=CustomerStatus.lost)
    for customer in (kept, gone):
        ordered(customer, "1", at=shanghai(2024, 12, 15))
    ordered(kept, "1", at=shanghai(2026, 2, 15))
    ordered(kept, "1", at=shanghai(2025, 12, 15))
    ordered(gone, "1", at=shanghai(2025, 1, 15))
    refreshed(db)
    # Until the end of November 2025 nobody is old yet; until the end of December both ordered again.
    half = Decimal("50.0")
    assert retention("month") == Figure(half, half, (None, Decimal("100.0"), half, half, half, half))
    assert retention("quarter").before == half
    assert retention("year").before is None  # until the end of April 2025: nobody is old


def test_retention_stays_in_the_scope(db, rates_of_few, wang, zhao):
    for owner, days in ((wang, ((2025, 1, 1), (2026, 1, 1))), (zhao, ((2025, 1, 1),))):
        customer = builders.customer(owner=owner)
        for day in days:
            ordered(customer, "1", at=shanghai(*day))
    refreshed(db)
    assert retention().now == Decimal("50.0")
    assert retention(customers=Customer.owner_id == wang.id).now == Decimal("100.0")


# -- opportunities ------------------------------------------------------------------------------------------------


def chances(code="month", opportunities=EVERYTHING):
    return queries.chances(span=running(code, NOW), opportunities=opportunities)


def test_open_opportunities_now_and_then(db):
    def entered(*at, closed=None, **given):
        given |= {"status": OpportunityStatus.lost, "closed_at": shanghai(*closed)} if closed else {}
        builders.opportunity(created_at=shanghai(*at), **given)

    entered(2026, 5, 20, 15, 29, expected_amount="0.10")
    entered(2026, 4, 20, 15, 29, expected_amount="0.20")
    entered(2026, 4, 20, 15, 30)
    entered(2026, 1, 31, 23, 59, closed=(2026, 4, 20, 15, 29), expected_amount="100")
    entered(2026, 2, 1, closed=(2026, 4, 20, 15, 30))
    found = chances()
    assert (found.open.now, found.open.before) == (3, 2)
    assert found.open.recent == (0, 0, 1, 2, 2, 2)  # at the ends of November to April
    assert found.expected == Decimal("0.30")


def test_the_funnel_counts_what_was_entered_in_the_span(db):
    day = shanghai(2026, 5, 1)
    builders.opportunity(created_at=shanghai(2026, 4, 30, 23, 59), status=OpportunityStatus.won)
    builders.opportunity(created_at=day)
    builders.opportunity(created_at=day, given_to=builders.user())
    planned = builders.opportunity(created_at=day, given_to=builders.user())
    builders.plan_step(planned, result="done")
    builders.plan_step(planned)
    builders.plan_step(builders.opportunity(created_at=day, status=OpportunityStatus.lost))  # no step of it done
    builders.opportunity(created_at=day, status=OpportunityStatus.won)
    assert chances().stages == (5, 4, 2, 1)
    assert chances("quarter").stages == (6, 5, 3, 2)
    assert chances().states == (1, 2, 2, 1)  # unassigned, in development, won, not won: whenever they were entered


def test_opportunities_stay_in_the_scope(db, wang, zhao):
    for person in (wang, zhao):
        builders.opportunity(created_at=shanghai(2026, 5, 2), given_to=person)
    found = chances(opportunities=Opportunity.assignee_id == wang.id)
    assert (found.open.now, found.stages, found.states) == (1, (1, 1, 0, 0), (0, 1, 0, 0))


# -- composition --------------------------------------------------------------------------------------------------


def composed(kind, **given):
    found = queries.composition(**{"customers": EVERYTHING, **given})[kind]
    return [(group.item.code if group.item is not None else None, group.customers) for group in found]


def test_levels_are_counted_in_the_order_of_the_dictionary(db):
    for code, number in (("5", 1), ("1", 3), ("3", 2)):
        for _ in range(number):
            builders.customer(level=builders.dictionary(DictionaryType.level, code))
    builders.customer(status=CustomerStatus.lost)
    assert composed(DictionaryType.level) == [("1", 3), ("2", 0), ("3", 2), ("4", 0), ("5", 1)]


def test_a_level_no_longer_offered_is_shown_while_somebody_has_it(db):
    unused, used = (builders.dictionary(DictionaryType.level, code) for code in ("4", "2"))
    unused.active = used.active = False
    builders.customer(level=used)
    assert composed(DictionaryType.level) == [("1", 0), ("2", 1), ("3", 0), ("5", 0)]


def test_regions_too_and_those_of_whom_it_is_not_known(db):
    region = rows(DictionaryItem, DictionaryItem.type == DictionaryType.region)[0]
    builders.customer(region=region)
    builders.customer()
    builders.customer()
    found = [group for group in composed(DictionaryType.region) if group[1]]
    assert found == [(region.code, 1), (None, 2)]


def test_groups_are_counted_in_the_scope(db, wang, zhao):
    builders.customer(owner=wang)
    builders.customer(owner=zhao)
    found = composed(DictionaryType.level, customers=Customer.owner_id == wang.id)
    assert sum(number for _code, number in found) == 1


# -- cost ---------------------------------------------------------------------------------------------------------


def test_nothing_at_all_is_zero_everywhere(db):
    zero = Decimal("0.00")
    assert queries.ordered(span=running("year", NOW), of_customers=of(EVERYTHING)) == Figure(zero, zero, (zero,) * 6)
    found = happened()
    assert found.new == found.warnings == Figure(0, 0, (0,) * 6)
    assert found.trend == ((0,) * 12,) * 3
    assert retention() == Figure(None, None, (None,) * 6)
    assert chances() == queries.Chances(Figure(0, 0, (0,) * 6), zero, (0, 0, 0, 0), (0, 0, 0, 0))


def test_every_group_of_figures_is_one_statement_however_many_rows(app, db):
    for number in range(12):
        customer = builders.customer()
        ordered(customer, number + 1)
        builders.measure(builders.churn_case(customer, opened_at=NOW))
        builders.opportunity()
        answered(shanghai(2026, 5, 3))
    refreshed(db)
    for ask in (
        lambda: queries.ordered(span=running("year", NOW), of_customers=of(EVERYTHING)),
        happened, service, retention, chances, best,
        lambda: [group.item.label for group in queries.composition(customers=EVERYTHING)[DictionaryType.level]],
    ):  # fmt: skip
        with statements(app) as seen:
            ask()
        assert len(seen) == 1
