"""The figures of the reports (统计报表): a scope and a period in, typed rows out, grouped by the database.

A scope is a WHERE over customers, opportunities or churn cases: whose figures these are. What it leaves out does not
exist here. Each function is one statement, on SQLite and PostgreSQL alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from app.churn.models import ChurnCase, ChurnStatus
from app.core.clock import day_start, local, months_before
from app.customers.models import Customer, CustomerStatus
from app.extensions import db
from app.masterdata.models import DictionaryItem, DictionaryType
from app.mirror.models import CustomerMonth, Order, OrderStatus
from app.reports.models import ReportMail
from app.sales.models import Opportunity, OpportunityStatus

Scope = sa.ColumnElement[bool]

NOTHING = Decimal("0.00")


@dataclass(frozen=True)
class Headline:
    """What the dashboard says first."""

    active_customers: int
    new_customers: int
    ordered_this_year: Decimal
    ordered_last_year: Decimal
    warnings: int
    deferred: int
    open_opportunities: int
    expected: Decimal


@dataclass(frozen=True)
class LevelCount:
    """How many customers one level has."""

    level: DictionaryItem
    customers: int


@dataclass(frozen=True)
class Contribution:
    """What one customer ordered."""

    customer_id: int
    customer: str
    total: Decimal


@dataclass(frozen=True)
class StageCount:
    """How many opportunities are in one state, and what they may bring."""

    status: OpportunityStatus
    opportunities: int
    expected: Decimal


@dataclass(frozen=True)
class ChurnWeek:
    """What happened to churn cases in one company-local week, which begins on a Monday."""

    monday: date
    opened: int
    recovered: int
    lost: int


def headline(*, as_of: datetime, customers: Scope, opportunities: Scope, cases: Scope) -> Headline:
    """Customers, order amounts, warnings and opportunities as they stand.

    `new_customers` are the active ones that were registered in the company's year of `as_of`.
    `ordered_this_year` is the amount in CNY of the orders from 1 January, company time, up to `as_of`;
    `ordered_last_year` that of the same days one year before, up to the same time of day. Cancelled orders do not
    count, unpaid ones do. `warnings` nobody has dealt with yet, `deferred` ones somebody has; both are open.
    `expected` is the amount in CNY of the open opportunities, those without an amount counting nothing.
    """
    open_states = (OpportunityStatus.unassigned, OpportunityStatus.assigned)
    open_ones = sa.and_(opportunities, Opportunity.status.in_(open_states))
    active = sa.and_(customers, Customer.status == CustomerStatus.active)
    new_year = local(as_of).date().replace(month=1, day=1)
    found = db.session.execute(
        sa.select(
            _count(Customer, active).label("active_customers"),
            _count(Customer, active, Customer.registered_on >= new_year).label("new_customers"),
            _ordered_in_the_year_of(as_of, customers).label("this_year"),
            _ordered_in_the_year_of(months_before(as_of, 12), customers).label("last_year"),
            _count(ChurnCase, cases, ChurnCase.status == ChurnStatus.warning).label("warnings"),
            _count(ChurnCase, cases, ChurnCase.status == ChurnStatus.deferred).label("deferred"),
            _count(Opportunity, open_ones).label("open_opportunities"),
            sa.select(sa.func.sum(Opportunity.expected_amount)).where(open_ones).scalar_subquery().label("expected"),
        )
    ).one()
    return Headline(
        active_customers=found.active_customers,
        new_customers=found.new_customers,
        ordered_this_year=found.this_year or NOTHING,
        ordered_last_year=found.last_year or NOTHING,
        warnings=found.warnings,
        deferred=found.deferred,
        open_opportunities=found.open_opportunities,
        expected=found.expected or NOTHING,
    )


def _count(model: Any, *where: Scope) -> sa.ScalarSelect[int]:
    return sa.select(sa.func.count()).select_from(model).where(*where).scalar_subquery()


def _ordered_in_the_year_of(until: datetime, customers: Scope) -> sa.ScalarSelect[Decimal]:
    """The sum of the orders from 1 January to `until`: whole months from the rollup, the last one from its orders."""
    today = local(until).date()
    this_month = today.replace(day=1)
    months = (
        sa.select(CustomerMonth.order_total.label("amount"))
        .join(Customer, Customer.id == CustomerMonth.customer_id)
        .where(customers, CustomerMonth.month >= today.replace(month=1, day=1), CustomerMonth.month < this_month)
    )
    days = (
        sa.select(Order.amount.label("amount"))
        .join(Customer, Customer.id == Order.customer_id)
        .where(
            customers,
            Order.ordered_at >= day_start(this_month),
            Order.ordered_at <= until,
            Order.status != OrderStatus.cancelled,
        )
    )
    both = sa.union_all(months, days).subquery()
    return sa.select(sa.func.sum(both.c.amount)).scalar_subquery()


def customers_by_level(*, customers: Scope) -> list[LevelCount]:
    """Active customers by level 客户等级, in the order of the dictionary.

    Every level that is offered appears, with 0 when no customer has it; one that is no longer offered only while
    customers have it.
    """
    counted = (
        sa.select(Customer.level_id, sa.func.count().label("customers"))
        .where(customers, Customer.status == CustomerStatus.active)
        .group_by(Customer.level_id)
        .subquery()
    )
    rows = db.session.execute(
        sa.select(DictionaryItem, sa.func.coalesce(counted.c.customers, 0))
        .outerjoin(counted, counted.c.level_id == DictionaryItem.id)
        .where(
            DictionaryItem.type == DictionaryType.level,
            sa.or_(DictionaryItem.active, counted.c.customers.is_not(None)),
        )
        .order_by(DictionaryItem.sort_order, DictionaryItem.id)
    )
    return [LevelCount(level, number) for level, number in rows]


def top_customers(*, year: int, customers: Scope, limit: int = 10) -> list[Contribution]:
    """The customers that ordered most in a year (客户贡献), biggest first; of equal ones the older record first.

    The year is the company's: [1 Jan 00:00, next 1 Jan 00:00). Totals are in CNY, from the rollup that the sync
    keeps: cancelled orders do not count, unpaid ones do. Customers with equal names stay apart; customers whose
    orders come to nothing are left out, so there may be fewer than `limit`.
    """
    total = sa.func.sum(CustomerMonth.order_total).label("total")
    best = (
        sa.select(CustomerMonth.customer_id, total)
        .join(Customer, Customer.id == CustomerMonth.customer_id)
        .where(customers, CustomerMonth.month >= date(year, 1, 1), CustomerMonth.month < date(year + 1, 1, 1))
        .group_by(CustomerMonth.customer_id)
        .having(total > 0)
        .order_by(total.desc(), CustomerMonth.customer_id)
        .limit(limit)
        .subquery()
    )
    rows = db.session.execute(
        sa.select(Customer.id, Customer.name, best.c.total)
        .join(best, best.c.customer_id == Customer.id)
        .order_by(best.c.total.desc(), Customer.id)
    )
    return [Contribution(pk, name, amount) for pk, name, amount in rows]


def opportunities_by_status(*, opportunities: Scope) -> list[StageCount]:
    """Opportunities by state, in the order they pass through them; a state without any has 0.

    `expected` is the sum of the expected amounts in CNY; an opportunity without one counts nothing.
    """
    found = {
        status: StageCount(status, number, expected or NOTHING)
        for status, number, expected in db.session.execute(
            sa.select(Opportunity.status, sa.func.count(), sa.func.sum(Opportunity.expected_amount))
            .where(opportunities)
            .group_by(Opportunity.status)
        )
    }
    return [found.get(status, StageCount(status, 0, NOTHING)) for status in OpportunityStatus]


def churn_by_week(*, as_of: datetime, cases: Scope, weeks: int = 12) -> list[ChurnWeek]:
    """What happened to churn cases week by week, oldest first; the last week is the one `as_of` falls into.

    Weeks are the company's, Monday 00:00 to Monday 00:00; one without events has zeros. A case counts as opened in
    the week of its warning, as recovered when an order ended it before it was lost, as lost when it was confirmed
    lost (also when the customer was won back later).
    """
    today = local(as_of).date()
    monday = today - timedelta(days=today.weekday())
    mondays = [monday - timedelta(weeks=ago) for ago in reversed(range(weeks))]
    ends = [day_start(m + timedelta(weeks=1)) for m in mondays]
    kinds = {
        "opened": (ChurnCase.opened_at, sa.true()),
        "recovered": (ChurnCase.resolved_at, ChurnCase.status == ChurnStatus.recovered),
        "lost": (ChurnCase.lost_at, sa.true()),
    }
    events = sa.union_all(
        *(
            sa.select(sa.literal_column(f"'{kind}'").label("kind"), _week_of(moment, ends).label("week")).where(
                cases, counts, moment >= day_start(mondays[0]), moment < ends[-1]
            )
            for kind, (moment, counts) in kinds.items()
        )
    ).subquery()
    found = {
        (kind, week): number
        for kind, week, number in db.session.execute(
            sa.select(events.c.kind, events.c.week, sa.func.count()).group_by(events.c.kind, events.c.week)
        )
    }
    return [ChurnWeek(m, *(found.get((kind, week), 0) for kind in kinds)) for week, m in enumerate(mondays)]


def _week_of(moment: Any, ends: Sequence[datetime]) -> sa.ColumnElement[int]:
    """The position of the first week that ends after `moment`.

    The bounds are instants: a database's own week would be UTC's, and begin on a day of its own.
    """
    return sa.case(*((moment < end, position) for position, end in enumerate(ends)))


def mails_of(user_id: int, report: str) -> list[ReportMail]:
    """What this person gets of a report by mail, or got until it stopped; oldest first."""
    own = sa.select(ReportMail).where(ReportMail.user_id == user_id, ReportMail.report == report)
    return list(db.session.execute(own.order_by(ReportMail.id)).scalars())
