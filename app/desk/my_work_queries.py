"""What waits for the reader today, over sales, customers, churn and service. Reads only; a statement per card."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import contains_eager, joinedload

from app.churn.access import theirs
from app.churn.models import ChurnCase, ChurnStatus
from app.core.clock import today
from app.core.scope import may, reader_id
from app.customers.models import Contact, Customer, CustomerStatus, Interaction
from app.desk.reminders import birthdays_on, open_follow_ups, open_steps
from app.extensions import db
from app.sales.models import Opportunity, OpportunityStatus, PlanStep
from app.tickets.models import Ticket, TicketStatus

MANY = 100  # things nobody counts on every page
ROWS = 50  # of a card
AHEAD = 7  # days from today that the agenda and the birthdays look ahead, today included


@dataclass(frozen=True)
class Reader:
    """Who looks, and what he may do: decides which cards there are and which are asked for."""

    id: int
    follows_up: bool
    develops: bool
    defers: bool
    handles: bool
    asks: bool
    assigns_tickets: bool
    assigns_opportunities: bool

    @property
    def works_on_tickets(self) -> bool:
        """Whether any ticket may wait for him."""
        return self.handles or self.asks or self.assigns_tickets


def reader() -> Reader:
    """The signed-in person."""
    return Reader(
        id=reader_id() or 0,
        follows_up=may("can_add", "Interaction") and may("can_show", "Interaction"),
        develops=may("can_plan", "Opportunity") and may("can_show", "Opportunity"),
        defers=may("can_defer", "ChurnCase"),
        handles=may("can_handle", "Ticket"),
        asks=may("can_give_feedback", "Ticket"),
        assigns_tickets=may("can_assign", "Ticket"),
        assigns_opportunities=may("can_assign", "Opportunity"),
    )


# -- the cards ----------------------------------------------------------------------------------------------------


def follow_ups(who: Reader, until: date) -> list[Interaction]:
    """The follow-ups of the reader's customers up to a day, the oldest first, with customer and contact."""
    if not who.follows_up:
        return []
    found = (
        sa.select(Interaction)
        .join(Interaction.customer)
        .where(*_own_follow_ups(who.id, until))
        .options(contains_eager(Interaction.customer), joinedload(Interaction.contact))
        .order_by(Interaction.next_follow_up_on, Interaction.id)
        .limit(ROWS * 2)
    )
    return list(db.session.execute(found).scalars())


def plan_steps(who: Reader, until: date) -> list[PlanStep]:
    """The steps of the reader's plans up to a day, the oldest first, with their opportunities."""
    if not who.develops:
        return []
    found = (
        sa.select(PlanStep)
        .join(PlanStep.opportunity)
        .where(*_own_steps(who.id, until))
        .options(contains_eager(PlanStep.opportunity))
        .order_by(PlanStep.planned_on, PlanStep.id)
        .limit(ROWS * 2)
    )
    return list(db.session.execute(found).scalars())


def warnings(who: Reader) -> list[ChurnCase]:
    """The warnings about which the reader has done nothing yet, the newest first, with customers and levels."""
    if not who.defers:
        return []
    found = (
        sa.select(ChurnCase)
        .join(ChurnCase.customer)
        .where(ChurnCase.status == ChurnStatus.warning, Customer.status != CustomerStatus.deleted, theirs())
        .options(contains_eager(ChurnCase.customer).joinedload(Customer.level))
        .order_by(ChurnCase.opened_at.desc(), ChurnCase.id)
        .limit(ROWS)
    )
    return list(db.session.execute(found).scalars())


def tickets(who: Reader) -> list[Ticket]:
    """The tickets whose next step is the reader's: what is due first comes first, with customer and type."""
    if not who.works_on_tickets:
        return []
    found = (
        sa.select(Ticket)
        .where(_waiting_tickets(who))
        .options(joinedload(Ticket.customer), joinedload(Ticket.type))
        .order_by(Ticket.due_at.is_(None), Ticket.due_at, Ticket.id)
        .limit(ROWS)
    )
    return list(db.session.execute(found).scalars())


def unassigned(who: Reader) -> list[Opportunity]:
    """The opportunities that nobody develops yet, for whoever may assign them; the oldest first."""
    if not who.assigns_opportunities:
        return []
    found = (
        sa.select(Opportunity)
        .where(Opportunity.status == OpportunityStatus.unassigned, Opportunity.deleted_at.is_(None))
        .options(joinedload(Opportunity.created_by))
        .order_by(Opportunity.id)
        .limit(ROWS)
    )
    return list(db.session.execute(found).scalars())


def birthdays(who: Reader, day: date) -> list[Contact]:
    """The contacts of the reader's customers who have birthday within a week, with their customers."""
    if not who.follows_up or not may("can_list", "Contact"):
        return []
    days = [day + timedelta(days=n) for n in range(AHEAD)]
    found = (
        sa.select(Contact)
        .join(Contact.customer)
        .where(Customer.owner_id == who.id, Customer.status == CustomerStatus.active)
        .where(Contact.deleted_at.is_(None), birthdays_on(days))
        .options(contains_eager(Contact.customer))
        .order_by(Contact.id)
        .limit(ROWS)
    )
    return list(db.session.execute(found).scalars())


def _own_follow_ups(reader: Any, until: Any) -> tuple[Any, ...]:
    return (
        Customer.owner_id == reader,
        Customer.status == CustomerStatus.active,
        Interaction.next_follow_up_on <= until,
        open_follow_ups(),
    )


def _own_steps(reader: Any, until: Any) -> tuple[Any, ...]:
    return Opportunity.assignee_id == reader, PlanStep.planned_on <= until, open_steps()


def _waiting_tickets(who: Reader, reader: Any = None) -> sa.ColumnElement[bool]:
    """WHERE a ticket waits for the reader: to handle, to ask the customer, to assign."""
    reader = who.id if reader is None else reader
    mine = [s for s, holds in ((TicketStatus.assigned, who.handles), (TicketStatus.handled, who.asks)) if holds]
    ways: list[Any] = [sa.and_(Ticket.assignee_id == reader, Ticket.status.in_(mine))] if mine else []
    if who.assigns_tickets:
        ways.append(Ticket.status == TicketStatus.created)
    return sa.and_(Ticket.deleted_at.is_(None), sa.or_(sa.false(), *ways))


# -- the count in the menu ----------------------------------------------------------------------------------------


def waiting() -> int:
    """How many things the page shows as to be done today; about 100 for more. On every page, hence one statement."""
    who = reader()
    counted = _counted(
        tuple(getattr(who, name) for name in Reader.__dataclass_fields__ if name != "id"),
        may("can_act_for_absent", "ChurnCase"),
    )
    return int(db.session.execute(counted, {"reader": who.id, "today": today()}).scalar_one())


@cache
def _counted(holds: tuple[bool, ...], absent: bool) -> sa.Select[Any]:
    """SELECT of that number for `reader` and `today`; made once for everybody with the same rights."""
    from app.churn.access import absences

    who = Reader(0, *holds)
    me, day = sa.bindparam("reader", type_=sa.Integer()), sa.bindparam("today", type_=sa.Date())
    parts: list[Any] = []
    if who.follows_up:
        own = sa.select(Interaction.id).join(Customer, Customer.id == Interaction.customer_id)
        parts.append(own.where(*_own_follow_ups(me, day)))
    if who.develops:
        own = sa.select(PlanStep.id).join(Opportunity, Opportunity.id == PlanStep.opportunity_id)
        parts.append(own.where(*_own_steps(me, day)))
    if who.defers:
        for whose in (Customer.owner_id == me, *(absences() if absent else ())):
            own = sa.select(ChurnCase.id).join(Customer, Customer.id == ChurnCase.customer_id)
            open_one = ChurnCase.status == ChurnStatus.warning
            parts.append(own.where(whose, open_one, Customer.status != CustomerStatus.deleted))
    if who.works_on_tickets:
        parts.append(sa.select(Ticket.id).where(_waiting_tickets(who, me)))
    if who.assigns_opportunities:
        parts.append(
            sa.select(Opportunity.id).where(
                Opportunity.status == OpportunityStatus.unassigned, Opportunity.deleted_at.is_(None)
            )
        )
    if not parts:
        return sa.select(sa.literal(0))
    return sa.select(sa.func.count()).select_from(sa.union_all(*parts).limit(MANY).subquery())
