"""Whose churn cases: those of one's own customers; all with the right can_see_all on ChurnCase."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import User

from app.churn.models import ChurnCase, RetentionMeasure
from app.core.choosing import Choices
from app.core.scope import RowScope, may, reader_id
from app.customers.access import found_by
from app.customers.models import Customer, CustomerStatus
from app.security.access import People


def of_the_absent() -> sa.ColumnElement[bool]:
    """WHERE a customer has no owner, or one whose account is disabled."""
    return sa.or_(*absences())


def absences() -> tuple[sa.ColumnElement[bool], ...]:
    """The ways to be `of_the_absent`, each of which an index answers; no customer is in two."""
    gone = sa.select(User.id).where(User.active.is_not(True))
    return Customer.owner_id.is_(None), Customer.owner_id.in_(gone)


class VisibleChurnCases(RowScope):
    """Cases of the reader's customers, and of absent owners' for whoever may act for them; all with can_see_all.

    Who owns the customer now counts, not who did when the warning was given. Deleted customers have none.
    """

    rows = ChurnCase

    @classmethod
    def visible(cls) -> sa.ColumnElement[bool]:
        if may("can_see_all", "ChurnCase"):
            return of_a_live_customer()
        # The owner's customers come from the index alone; the few with a case are then looked at.
        return sa.and_(ChurnCase.customer_id.in_(sa.select(Customer.id).where(theirs())), of_a_live_customer())


def of_a_live_customer() -> sa.ColumnElement[bool]:
    """WHERE the customer of a case is not deleted."""
    deleted = sa.select(Customer.id).where(
        Customer.id == ChurnCase.customer_id, Customer.status == CustomerStatus.deleted
    )
    return ~deleted.exists()


def theirs() -> sa.ColumnElement[bool]:
    """WHERE a customer is the reader's to act on: his own, or an absent owner's with the right to stand in."""
    own = Customer.owner_id == reader_id()
    return sa.or_(own, of_the_absent()) if may("can_act_for_absent", "ChurnCase") else own


class VisibleMeasures(RowScope):
    """What was done in visible cases."""

    rows = RetentionMeasure

    @classmethod
    def visible(cls) -> sa.ColumnElement[bool]:
        case = sa.select(ChurnCase.id).where(ChurnCase.id == RetentionMeasure.case_id, VisibleChurnCases.criterion())
        return case.exists()


def customers_to_choose() -> Choices:
    """Customers with a case the reader sees: an executive sees no others either."""

    def where() -> Any:
        return (
            sa.select(ChurnCase.id).where(ChurnCase.customer_id == Customer.id, VisibleChurnCases.criterion()).exists()
        )

    return Choices(Customer, where=where, search=found_by, order=(Customer.name, Customer.id))


def owners_to_choose() -> Choices:
    """Everybody who owns a customer, also somebody who left: those cases are what others look after."""

    def where() -> Any:
        return sa.select(Customer.id).where(Customer.owner_id == User.id).exists()

    return People(where)
