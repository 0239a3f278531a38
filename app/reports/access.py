"""Whose figures: the reader's own, or everybody's with the right can_see_all on the report.

The right on the report decides, not the rights on the lists behind it: an executive reads figures of customers whose
records he may not open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from flask import g
from flask_appbuilder.security.sqla.models import User

from app.churn.models import ChurnCase
from app.core.scope import RowScope, may, reader_id
from app.customers.access import VisibleCustomers
from app.customers.models import Customer, CustomerStatus
from app.extensions import db
from app.reports.models import ReportMail
from app.sales.models import Opportunity
from app.security.access import People
from app.security.models import UserProfile
from app.tickets.models import Ticket


def sees_all(report: str) -> bool:
    """Whether the reader sees everybody's figures in this report."""
    return may("can_see_all", report)


def reader_name() -> str:
    """What the reader is called; '' for nobody."""
    return g.user.get_full_name() if reader_id() is not None else ""


def customers_in(*, everybody: bool) -> sa.ColumnElement[bool]:
    """The customers whose figures a report shows: `everybody`'s, or those the reader owns."""
    live = Customer.status != CustomerStatus.deleted
    if everybody:
        return live
    person = reader_id()
    return sa.false() if person is None else sa.and_(live, Customer.owner_id == person)


def opportunities_in(*, everybody: bool) -> sa.ColumnElement[bool]:
    """The opportunities of a report: all, or those the reader entered or was given."""
    live = Opportunity.deleted_at.is_(None)
    if everybody:
        return live
    person = reader_id()
    if person is None:
        return sa.false()
    return sa.and_(live, sa.or_(Opportunity.created_by_id == person, Opportunity.assignee_id == person))


class Assignees(People):
    """Who has or had an opportunity of the report that `right` is on, of those the reader sees there; also people who
    left. As many as a list may hold are shown, more are searched."""

    def __init__(self, right: str) -> None:
        seen = opportunities_in(everybody=sees_all(right))
        super().__init__(lambda: sa.exists().where(Opportunity.assignee_id == User.id, seen))
        self.remote = False


def cases_in(*, everybody: bool) -> sa.ColumnElement[bool]:
    """The churn cases of a report: those of the customers in it."""
    if everybody:  # nearly all: the few that are not are looked up once, instead of every customer
        deleted = sa.select(Customer.id).where(Customer.status == CustomerStatus.deleted)
        return ChurnCase.customer_id.not_in(deleted)
    return ChurnCase.customer_id.in_(sa.select(Customer.id).where(customers_in(everybody=everybody)))


def tickets_in(*, everybody: bool) -> sa.ColumnElement[bool]:
    """The tickets of a report: all, or those of the reader's customers and those he created or was given."""
    live = Ticket.deleted_at.is_(None)
    if everybody:
        return live
    person = reader_id()
    if person is None:
        return sa.false()
    own = sa.select(Customer.id).where(Customer.owner_id == person)
    involved = sa.or_(Ticket.created_by_id == person, Ticket.assignee_id == person, Ticket.customer_id.in_(own))
    return sa.and_(live, involved)


class OwnMails(RowScope):
    """The reports that the reader gets, or got, by mail."""

    rows = ReportMail

    @classmethod
    def visible(cls) -> sa.ColumnElement[bool]:
        return ReportMail.user_id == reader_id()


def openable_customers(ids: list[int]) -> set[int]:
    """Which of these customers' pages the reader may open; a figure of the others carries no link."""
    if not ids or not may("can_show", "Customer"):
        return set()
    found = sa.select(Customer.id).where(Customer.id.in_(ids), VisibleCustomers.criterion())
    return set(db.session.execute(found).scalars())


@dataclass(frozen=True)
class Scopes:
    """Whose figures a page with several is about: a WHERE over each kind of record."""

    customers: sa.ColumnElement[bool]
    opportunities: sa.ColumnElement[bool]
    cases: sa.ColumnElement[bool]
    tickets: sa.ColumnElement[bool]
    whole: bool  # nobody's are left out

    def of_customers(self, customer_id: Any, *wanted: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
        """WHERE something counts that a customer of this id has: one of these, and one that is `wanted`."""
        if self.whole and not wanted:  # nearly all: the few that are not are looked up once, instead of every customer
            return sa.not_(customer_id.in_(sa.select(Customer.id).where(Customer.status == CustomerStatus.deleted)))
        found: sa.ColumnElement[bool] = customer_id.in_(sa.select(Customer.id).where(self.customers, *wanted))
        return found


def scopes(*, everybody: bool, team_id: int | None = None) -> Scopes:
    """What a report shows: of everybody, or the reader's own; of one team, what it would show to one of its members.

    A team is its members, so its customers are those they own.
    """
    everything = Scopes(
        customers_in(everybody=everybody),
        opportunities_in(everybody=everybody),
        cases_in(everybody=everybody),
        tickets_in(everybody=everybody),
        whole=everybody,
    )
    if team_id is None:
        return everything
    members = sa.select(UserProfile.user_id).where(UserProfile.team_id == team_id)
    own = sa.select(Customer.id).where(Customer.owner_id.in_(members))
    opportunities = sa.or_(Opportunity.created_by_id.in_(members), Opportunity.assignee_id.in_(members))
    tickets = sa.or_(Ticket.created_by_id.in_(members), Ticket.assignee_id.in_(members), Ticket.customer_id.in_(own))
    return Scopes(
        sa.and_(everything.customers, Customer.owner_id.in_(members)),
        sa.and_(everything.opportunities, opportunities),
        sa.and_(everything.cases, ChurnCase.customer_id.in_(own)),
        sa.and_(everything.tickets, tickets),
        whole=False,
    )
