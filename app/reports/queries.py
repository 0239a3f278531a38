"""The figures of the dashboard (经营看板): scopes and a span in, typed figures out, grouped by the database.

A scope is a WHERE over customers, opportunities, churn cases or tickets: whose figures these are. What it leaves out
does not exist here. Each function is one statement, on SQLite and PostgreSQL alike. Spans are [start, now), months the
company's; `recent` figures are those of the six whole months before this one, oldest first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from app.churn.models import ChurnCase, ChurnStatus, RetentionMeasure
from app.core.clock import day_start, local
from app.customers.models import Customer, CustomerStatus
from app.extensions import db
from app.masterdata.models import DictionaryItem, DictionaryType
from app.mirror.bulk import on_postgresql
from app.mirror.models import COUNTED, CustomerMonth, Order
from app.reports.counted import ARCHIVED, CHURN_MOMENTS, FINAL, OPEN, is_first, ordered_in, reached
from app.reports.figures import HIDDEN, ratio
from app.reports.models import DashboardTile, ReportMail
from app.reports.period import Period
from app.reports.planner import in_key_order
from app.reports.span import RECENT, Span, month_ends, months_on
from app.sales.models import Opportunity, OpportunityStatus, PlanStep
from app.security.models import Team
from app.tickets.models import Ticket, TicketStep

Scope = sa.ColumnElement[bool]

NOTHING = Decimal("0.00")
TREND = 12  # months of the churn trend, this one included
WEEKS = 12  # of churn cases, this one included; the churn run opens them on Saturdays
ANSWERED = 6  # months of the answers about service, this one included
NOW, BEFORE = -1, -2  # the places of the span's own figures among those of months


@dataclass(frozen=True)
class Figure:
    """One number of a span, of the same days of the span before, and of the recent months; None where there is none."""

    now: Any
    before: Any
    recent: tuple[Any, ...]


@dataclass(frozen=True)
class Happened:
    """What happened to customers and churn cases."""

    new: Figure
    warnings: Figure
    months: list[date]
    trend: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]  # of each month: warnings, deferred, lost
    weeks: list[date]
    weekly: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]  # of each week: opened, recovered, lost


@dataclass(frozen=True)
class Service:
    """What customers thought of their tickets, and how fast these were handled."""

    satisfaction: Figure
    months: list[date]
    answers: tuple[tuple[int, ...], ...]  # 5 stars, 4, 3, fewer: of each month
    hours: Decimal | None
    waiting: int


@dataclass(frozen=True)
class Chances:
    """Opportunities: those open, and how far those of the span came."""

    open: Figure
    expected: Decimal
    stages: tuple[int, int, int, int]  # entered, assigned, plan under way, won
    states: tuple[int, ...]  # how many there are in each OpportunityStatus


@dataclass(frozen=True)
class Group:
    """How many customers a level or a region has; None is the group of those of whom it is not known."""

    item: DictionaryItem | None
    customers: int


@dataclass(frozen=True)
class Contribution:
    """What one customer ordered."""

    customer_id: int
    customer: str
    total: Decimal


def ordered(*, span: Span, of_customers: Callable[[Any], Scope]) -> Figure:
    """The order amounts in CNY. Cancelled orders do not count, unpaid ones do.

    Whole months come from the rollup that the sync keeps; of this month, and of the last one that is compared, the
    orders themselves are added up.
    """
    this_month, compared = span.today.replace(day=1), _month_of(span.before_end)
    first = min(span.recent[0], span.period.before.first)
    months = (
        sa.select(CustomerMonth.month.label("month"), sa.func.sum(CustomerMonth.order_total).label("amount"))
        .where(of_customers(CustomerMonth.customer_id), CustomerMonth.month >= first, CustomerMonth.month < this_month)
        .group_by(CustomerMonth.month)
    )
    tails = [
        sa.select(sa.literal(mark, sa.Date), sa.func.sum(Order.amount)).where(
            of_customers(Order.customer_id), COUNTED, Order.ordered_at >= begin, Order.ordered_at < end
        )
        for mark, begin, end in (
            (date.max, day_start(this_month), span.now),
            (date.min, day_start(compared), span.before_end),
        )
    ]
    found = dict(db.session.execute(sa.union_all(months, *tails)).all())

    def between(begin: date, end: date, rest: date) -> Decimal:
        whole = [amount or NOTHING for month, amount in found.items() if begin <= month < end]
        return sum(whole, found.get(rest) or NOTHING)

    return Figure(
        between(span.period.first, this_month, date.max),
        between(span.period.before.first, compared, date.min),
        tuple(found.get(month) or NOTHING for month in span.recent),
    )


def happened(*, span: Span, customers: Scope, cases: Scope) -> Happened:
    """New customers, and churn cases by month and by week, Monday to Sunday.

    A customer is new on the day it was registered, whatever became of it. A case counts as a warning when it was
    opened, as deferred when its first measure was taken, as lost when it was confirmed lost (also if the customer was
    won back later), as recovered when an order ended it before that.
    """
    months = span.months(TREND)
    ends = month_ends(months)
    begin, days = day_start(months[0]), [months_on(month, 1) for month in months]
    weeks = span.weeks(WEEKS)
    monday, sundays = day_start(weeks[0]), [day_start(week + timedelta(weeks=1)) for week in weeks]

    def by_place(kind: str, moment: Any, where: Any, since: Any, until: Any, bounds: Sequence[Any]) -> sa.Select[Any]:
        place = _place(moment, bounds).label("place")
        # The place is grouped by its position: repeated bounds would be parameters of their own.
        return (
            sa.select(_word(kind), place, sa.func.count().label("number"))
            .where(where, moment >= since, moment < until)
            .group_by(sa.literal_column("2"))
        )

    def within(kind: str, place: int, moment: Any, where: Any, since: Any, until: Any) -> sa.Select[Any]:
        number = sa.func.count().label("number")
        return sa.select(_word(kind), sa.literal_column(str(place)).label("place"), number).where(
            where, moment >= since, moment < until
        )

    of_case = sa.and_(RetentionMeasure.case_id.in_(sa.select(ChurnCase.id).where(cases)), is_first())
    warned_at, lost_at = CHURN_MOMENTS["warned"], CHURN_MOMENTS["lost"]
    recovered = sa.and_(cases, ChurnCase.status == ChurnStatus.recovered)
    tomorrow, registered = span.today.toordinal() + 1, Customer.registered_on
    found = _places(
        by_place("warnings", warned_at, cases, begin, span.now, ends),
        by_place("deferred", RetentionMeasure.at, of_case, begin, span.now, ends),
        by_place("lost", lost_at, cases, begin, span.now, ends),
        by_place("new", registered, customers, months[0], span.today.replace(day=1), days),
        by_place("week opened", warned_at, cases, monday, span.now, sundays),
        by_place("week recovered", CHURN_MOMENTS["recovered"], recovered, monday, span.now, sundays),
        by_place("week lost", lost_at, cases, monday, span.now, sundays),
        within("warnings", NOW, warned_at, cases, span.start, span.now),
        within("warnings", BEFORE, warned_at, cases, span.before_start, span.before_end),
        within("new", NOW, registered, customers, span.period.first, date.fromordinal(tomorrow)),
        within("new", BEFORE, registered, customers, span.period.before.first, span.before_until),
    )

    def figure(kind: str) -> Figure:
        recent = tuple(found.get((kind, place), 0) for place in range(TREND - 1 - RECENT, TREND - 1))
        return Figure(found.get((kind, NOW), 0), found.get((kind, BEFORE), 0), recent)

    warnings, deferred, lost = (
        tuple(found.get((kind, place), 0) for place in range(TREND)) for kind in ("warnings", "deferred", "lost")
    )
    opened, back, gone = (
        tuple(found.get((f"week {kind}", n), 0) for n in range(WEEKS)) for kind in ("opened", "recovered", "lost")
    )
    return Happened(
        figure("new"), figure("warnings"), months, (warnings, deferred, lost), weeks, (opened, back, gone)
    )  # fmt: skip


def service(*, span: Span, tickets: Scope) -> Service:
    """Satisfaction, the answers behind it, and how fast tickets were handled.

    `satisfaction` is the mean of the final satisfaction, 1 to 5, of the tickets archived, to one decimal.
    `answers` are what customers said of a handling, by the month they said it: a ticket that was returned has more than
    one. `hours` is the mean of the hours from a ticket's entry to its first handling, to one decimal, of the tickets
    first handled in the span; None of none. `waiting` are the tickets not archived now.
    """
    whole, months = span.recent, span.months(ANSWERED)
    earlier = aliased(TicketStep)
    first = ~sa.exists().where(
        earlier.ticket_id == TicketStep.ticket_id, earlier.step == "handled", earlier.id < TicketStep.id
    )
    number = sa.func.count().label("number")

    def rated(place: Any, since: datetime, until: datetime) -> sa.Select[Any]:
        return sa.select(
            _word("archived"), place.label("place"), sa.literal_column("0").label("stars"), number,
            sa.func.sum(FINAL).label("total"),
        ).where(tickets, ARCHIVED, Ticket.archived_at >= since, Ticket.archived_at < until)  # fmt: skip

    selects = [
        rated(_place(Ticket.archived_at, month_ends(whole)), day_start(whole[0]), month_ends(whole)[-1]).group_by(
            sa.literal_column("2")
        ),
        rated(sa.literal_column(str(NOW)), span.start, span.now),
        rated(sa.literal_column(str(BEFORE)), span.before_start, span.before_end),
        sa.select(
            _word("answers"), _place(TicketStep.at, month_ends(months)), TicketStep.satisfaction, number,
            sa.literal_column("0"),
        )
        .join(Ticket, Ticket.id == TicketStep.ticket_id)
        .where(
            tickets, TicketStep.satisfaction.is_not(None), TicketStep.at >= day_start(months[0]),
            TicketStep.at < span.now,
        )
        .group_by(sa.literal_column("2"), TicketStep.satisfaction),
        sa.select(
            _word("handled"), sa.literal_column("0"), sa.literal_column("0"), number,
            sa.func.sum(_seconds(TicketStep.at) - _seconds(Ticket.created_at)),
        )
        .join(Ticket, Ticket.id == TicketStep.ticket_id)
        .where(tickets, TicketStep.step == "handled", first, TicketStep.at >= span.start, TicketStep.at < span.now),
        sa.select(
            _word("waiting"), sa.literal_column("0"), sa.literal_column("0"), number, sa.literal_column("0")
        ).where(tickets, ~ARCHIVED),
    ]  # fmt: skip
    found = {
        (kind, place, stars): (count, total)
        for kind, place, stars, count, total in db.session.execute(sa.union_all(*selects))
    }

    def mean(place: int) -> Decimal | None:
        count, total = found.get(("archived", place, 0), (0, 0))
        return ratio(total, count, 1)

    def answers(place: int, *stars: int) -> int:
        return sum(found.get(("answers", place, n), (0, 0))[0] for n in stars)

    handled, seconds = found[("handled", 0, 0)]
    return Service(
        Figure(mean(NOW), mean(BEFORE), tuple(mean(place) for place in range(RECENT))),
        months,
        tuple(tuple(answers(place, *stars) for place in range(ANSWERED)) for stars in ((5,), (4,), (3,), (1, 2))),
        ratio(seconds, handled * 3600, 1),
        found[("waiting", 0, 0)][0],
    )


def retention(*, span: Span, of_customers: Callable[[Any], Scope]) -> Figure:
    """Per cent of the customers with an order in one year who had one in the year after, too, to one decimal.

    Both years are twelve whole months; the second one ends with the last whole month, `before` with the one as many
    months earlier as the span has, and those of `recent` with each of the recent months: the rate of the report
    “Customer retention” about those twelve months, hidden like there of fewer than ten customers (None).
    Customers lost since count, deleted ones do not; cancelled orders do not count.
    """
    this_month = span.today.replace(day=1)
    ends = [*(months_on(month, 1) for month in span.recent), months_on(this_month, -span.period.months)]
    first = months_on(min(ends), -24)
    month = in_key_order(
        sa.select(
            CustomerMonth.customer_id, sa.cast(1, sa.BigInteger).bitwise_lshift(_months_since(first)).label("bit")
        ).where(
            of_customers(CustomerMonth.customer_id), CustomerMonth.order_count > 0, CustomerMonth.month >= first,
            CustomerMonth.month < this_month,
        ),
        CustomerMonth.customer_id,
    ).subquery().c  # fmt: skip
    # Of every customer one number: a bit for each month with orders, the first month's is the lowest.
    each = sa.select(_every_bit(month.bit).label("months")).group_by(month.customer_id).subquery()
    counts = []
    for end in ends:
        begin = (end.year - first.year) * 12 + end.month - first.month - 24
        old, kept = (each.c.months.bitwise_and((2**12 - 1) << at) != 0 for at in (begin, begin + 12))
        counts += [sa.func.count().filter(old), sa.func.count().filter(old, kept)]
    found = db.session.execute(sa.select(*counts).select_from(each)).one()
    rates = [ratio(kept, old, 100, least=HIDDEN) for old, kept in zip(found[::2], found[1::2], strict=True)]
    return Figure(rates[RECENT - 1], rates[-1], tuple(rates[:RECENT]))


def chances(*, span: Span, opportunities: Scope) -> Chances:
    """Opportunities open now and at the ends of the recent months, and how far those entered in the span came.

    `expected` is the amount in CNY of the open ones, those without an amount counting nothing. Of the span's own: how
    many were entered, assigned, have a plan under way (a step of it done) or were won, were won: the stages of the
    funnel report. `states` counts all of them, whenever they were entered, by where they stand now.
    """
    o = Opportunity
    moments = [span.before_end, *month_ends(span.recent)]
    still = [sa.and_(o.created_at < at, sa.or_(o.closed_at.is_(None), o.closed_at >= at)) for at in moments]
    entered = sa.and_(o.created_at >= span.start, o.created_at < span.now)
    done = (PlanStep.executed_at.is_not(None), PlanStep.deleted_at.is_(None))
    begun = sa.exists().where(PlanStep.opportunity_id == o.id, *done)
    stages = [entered, *(sa.and_(entered, one) for one in reached(begun))]
    states = [o.status == status for status in OpportunityStatus]
    expected = sa.func.sum(sa.case((OPEN, o.expected_amount)))
    found = db.session.execute(
        sa.select(
            expected, *(sa.func.sum(sa.case((one, 1), else_=0)) for one in (OPEN, *still, *stages, *states))
        ).where(opportunities)
    ).one()
    amount, *counts = found
    now, before, *others = (int(n or 0) for n in counts)
    return Chances(
        Figure(now, before, tuple(others[:RECENT])), amount or NOTHING,
        tuple(others[RECENT : RECENT + len(stages)]), tuple(others[RECENT + len(stages) :]),  # type: ignore[arg-type]
    )  # fmt: skip


def composition(*, customers: Scope) -> dict[DictionaryType, list[Group]]:
    """Active customers by level 客户等级 and by region 地区, each in the order of the dictionary.

    Every level and region that is offered appears, with 0 when no customer has it; one that is no longer offered only
    while customers have it; at the end those of whom it is not known.
    """
    active = sa.and_(customers, Customer.status == CustomerStatus.active)
    kinds = {DictionaryType.level: Customer.level_id, DictionaryType.region: Customer.region_id}
    counts = [
        sa.select(_word(kind.value), column.label("item_id"), sa.func.count().label("customers"))
        .where(active)
        .group_by(column)
        for kind, column in kinds.items()
    ]
    offered = [
        sa.select(_word(kind.value), DictionaryItem.id, sa.literal_column("0")).where(
            DictionaryItem.type == kind, DictionaryItem.active
        )
        for kind in kinds
    ]
    every = sa.union_all(*counts, *offered).subquery()
    added = (
        sa.select(every.c.kind, every.c.item_id, sa.func.sum(every.c.customers).label("customers"))
        .group_by(every.c.kind, every.c.item_id)
        .subquery()
    )
    rows = db.session.execute(
        sa.select(added.c.kind, DictionaryItem, added.c.customers)
        .select_from(added)
        .outerjoin(DictionaryItem, DictionaryItem.id == added.c.item_id)
        .order_by(DictionaryItem.sort_order, DictionaryItem.id)
    ).all()
    return {
        kind: [Group(item, int(n)) for k, item, n in rows if k == kind.value and item is not None]
        + [Group(None, int(n)) for k, item, n in rows if k == kind.value and item is None]
        for kind in kinds
    }


def top_customers(*, period: Period, of_customers: Callable[[Any], Scope], limit: int = 10) -> list[Contribution]:
    """The customers that ordered most in a period (客户贡献), biggest first; of equal ones the older record first.

    Totals are in CNY, those of the report of the same name: cancelled orders do not count, unpaid ones do. Customers
    with equal names stay apart; customers whose orders come to nothing are left out, so there may be fewer.
    """
    best = ordered_in(period, of_customers).subquery().c
    first = (
        sa.select(best.customer_id, best.amount)
        .where(best.amount > 0)
        .order_by(best.amount.desc(), best.customer_id)
        .limit(limit)
        .subquery()
        .c
    )
    rows = db.session.execute(
        sa.select(Customer.id, Customer.name, first.amount)
        .join(Customer, Customer.id == first.customer_id)
        .order_by(first.amount.desc(), Customer.id)
    )
    return [Contribution(pk, name, amount) for pk, name, amount in rows]


def teams() -> dict[int, str]:
    """The teams there are, id -> name, by name."""
    return dict(db.session.execute(sa.select(Team.id, Team.name).order_by(Team.name, Team.id)).all())


def tiles_of(user_id: int) -> list[str]:
    """The keys of the tiles somebody chose for his dashboard, in his order; none if he never did."""
    found = sa.select(DashboardTile.key).where(DashboardTile.user_id == user_id)
    return list(db.session.execute(found.order_by(DashboardTile.position, DashboardTile.id)).scalars())


# -- how it is asked ----------------------------------------------------------------------------------------------


def _word(kind: str) -> Any:
    """A name of our own as a column."""
    return sa.literal_column(f"'{kind}'").label("kind")


def _place(moment: Any, ends: Sequence[Any]) -> sa.ColumnElement[int]:
    """The position of the first month that ends after `moment`.

    The bounds are instants: a database's own month would be UTC's.
    """
    return sa.case(*((moment < end, position) for position, end in enumerate(ends)))


def _places(*selects: sa.Select[Any]) -> dict[tuple[str, int], int]:
    """The numbers by kind and place, all in one statement."""
    return {(kind, place): number for kind, place, number in db.session.execute(sa.union_all(*selects))}


def _months_since(first: date) -> sa.ColumnElement[int]:
    """How many months a row of the rollup is after this one; for at most a hundred."""
    if on_postgresql():  # days are quicker to work with than the parts of a date
        days = sa.type_coerce(CustomerMonth.month - first, sa.Integer)
        return sa.cast((days * 12 + 183) // 365, sa.Integer)
    text = sa.type_coerce(CustomerMonth.month, sa.String)  # as it is kept: 2026-05-01
    year, month = (sa.cast(sa.func.substr(text, *at), sa.Integer) for at in ((1, 4), (6, 2)))
    return year * 12 + month - (first.year * 12 + first.month)


def _every_bit(one: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    """The bits of all rows of a group together; no two have the same."""
    return sa.func.bit_or(one) if on_postgresql() else sa.func.sum(one)


def _seconds(moment: Any) -> sa.ColumnElement[int]:
    """The whole seconds of an instant since 1970."""
    if on_postgresql():
        return sa.cast(sa.func.floor(sa.extract("epoch", moment)), sa.BigInteger)
    return sa.cast(sa.func.strftime("%s", moment), sa.BigInteger)


def _month_of(moment: datetime) -> date:
    """The first day of the company-local month an instant lies in."""
    return local(moment).date().replace(day=1)


def mails_of(user_id: int, report: str) -> list[ReportMail]:
    """What this person gets of a report by mail, or got until it stopped; oldest first."""
    own = sa.select(ReportMail).where(ReportMail.user_id == user_id, ReportMail.report == report)
    return list(db.session.execute(own.order_by(ReportMail.id)).scalars())
