"""What waits for the reader today, over sales, customers, churn and service. Reads only; a statement per card."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa
from flask import g
from sqlalchemy.orm import contains_eager, joinedload, load_only

from app.churn.models import ChurnCase
from app.churn.queries import warned
from app.core.clock import today
from app.core.database import KEEPS_PLAN
from app.core.scope import may, reader_id
from app.customers.models import Contact, Customer, CustomerStatus, Interaction
from app.desk.reminders import birthdays_on, newest_talk, open_steps
from app.extensions import db
from app.notices.models import Notification
from app.notices.queries import BELL
from app.sales.models import Opportunity, OpportunityStatus, PlanStep
from app.tickets.models import Ticket, TicketStatus

MANY = 100  # things nobody counts on every page
ROWS = 50  # of a card
DATED = 100  # overdue things of a kind, and as many from today on
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


def follow_ups(who: Reader, day: date, until: date) -> list[Interaction]:
    """The follow-ups of the reader's customers: overdue on `day`, and from it on; with customer and contact.

    Asked of each of his customers, of whom there are few; all follow-ups there ever were are many.
    """
    if not who.follows_up:
        return []
    own = (
        sa.select(Customer.id, newest_talk(Interaction.next_follow_up_on, Customer.id).label("on"))
        .where(*_worked_on(who.id))
        .cte("own")
    )
    parts = [
        sa.select(newest_talk(Interaction.id, own.c.id).label("id"))
        .where(when)
        .order_by(own.c.on, own.c.id)
        .limit(DATED)
        for when in (own.c.on < day, own.c.on.between(day, until))
    ]
    found = (
        sa.select(Interaction)
        .join(Interaction.customer)
        .where(Interaction.id.in_(_together(parts)))
        .options(
            load_only(Interaction.title, Interaction.next_follow_up_on, Interaction.customer_id),
            contains_eager(Interaction.customer).load_only(Customer.name),
            joinedload(Interaction.contact).load_only(Contact.name),
        )
        .order_by(Interaction.next_follow_up_on, Interaction.id)
    )
    return list(db.session.execute(found).scalars())


def plan_steps(who: Reader, day: date, until: date) -> list[PlanStep]:
    """The steps of the reader's plans: overdue on `day`, and from it on; with their opportunities."""
    if not who.develops:
        return []
    own = sa.select(PlanStep.id).join(PlanStep.opportunity).where(*_own_steps(who.id, until))
    oldest = (PlanStep.planned_on, PlanStep.id)
    parts = [own.where(when).order_by(*oldest).limit(DATED) for when in (oldest[0] < day, oldest[0] >= day)]
    found = (
        sa.select(PlanStep)
        .join(PlanStep.opportunity)
        .where(PlanStep.id.in_(_together(parts)))
        .options(
            load_only(PlanStep.todo, PlanStep.planned_on),
            contains_eager(PlanStep.opportunity).load_only(
                Opportunity.customer_name, Opportunity.title, Opportunity.expected_amount
            ),
        )
        .order_by(*oldest)
    )
    return list(db.session.execute(found).scalars())


def warnings(who: Reader) -> list[ChurnCase]:
    """The warnings about which the reader has done nothing yet, the newest first, with customers and levels."""
    newest = (ChurnCase.opened_at.desc(), ChurnCase.id)
    if not who.defers:
        return []
    branches = warned(who.id, absent=may("can_act_for_absent", "ChurnCase"))
    customer = joinedload(ChurnCase.customer)
    found = (
        sa.select(ChurnCase)
        .where(ChurnCase.id.in_(_together([part.order_by(*newest).limit(ROWS) for part in branches])))
        .options(customer.load_only(Customer.name, Customer.registered_on), customer.joinedload(Customer.level))
        .order_by(*newest)
        .limit(ROWS)
    )
    return list(db.session.execute(found).scalars())


def tickets(who: Reader) -> list[Ticket]:
    """The tickets whose next step is the reader's: what is due first comes first, with customer and type."""
    if not who.works_on_tickets:
        return []
    first = (Ticket.due_at.is_(None), Ticket.due_at, Ticket.id)
    waiting = sa.select(Ticket.id).where(_waiting_tickets(who)).order_by(*first).limit(ROWS)
    found = (
        sa.select(Ticket)
        .where(Ticket.id.in_(_together([waiting])))
        .options(joinedload(Ticket.customer).load_only(Customer.name), joinedload(Ticket.type))
        .order_by(*first)
    )
    return list(db.session.execute(found).scalars())


def unassigned(who: Reader) -> list[Opportunity]:
    """The opportunities that nobody develops yet, for whoever may assign them; the oldest first."""
    if not who.assigns_opportunities:
        return []
    found = (
        sa.select(Opportunity)
        .where(Opportunity.status == OpportunityStatus.unassigned, Opportunity.deleted_at.is_(None))
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
        .options(
            load_only(Contact.name, Contact.birthday, Contact.position, Contact.customer_id),
            contains_eager(Contact.customer).load_only(Customer.name),
        )
        .order_by(Contact.id)
        .limit(ROWS)
    )
    return list(db.session.execute(found).scalars())


def _together(parts: list[sa.Select[Any]]) -> sa.CompoundSelect[Any]:
    """SELECT of the ids of these parts, each of which has an order and a limit: only their rows are read in full."""
    return sa.union_all(*(sa.select(part.subquery().c.id) for part in parts))


def _worked_on(reader: Any) -> tuple[Any, ...]:
    return Customer.owner_id == reader, Customer.status == CustomerStatus.active


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
    """How many things the page shows as to be done today; 100 and more of a kind count as 100. On every page.

    One statement, which also brings what the bell and the menu's entries for warnings and tickets would ask for
    themselves: they find their numbers in `g.counts`.
    """
    who = reader()
    counted = _counted(
        tuple(getattr(who, name) for name in Reader.__dataclass_fields__ if name != "id"),
        may("can_act_for_absent", "ChurnCase"),
    )
    found = db.session.execute(counted, {"reader": who.id, "today": today()}).one()._mapping
    g.setdefault("counts", {}).update({name: int(number) for name, number in found.items() if name != "others"})
    return int(found["others"]) + int(found["ChurnCase"]) + int(found["Ticket"])


@cache
def _counted(holds: tuple[bool, ...], absent: bool) -> sa.Select[Any]:
    """SELECT of those numbers for `reader` and `today`; made once for everybody with the same rights."""
    who = Reader(0, *holds)
    me, day = sa.bindparam("reader", type_=sa.Integer()), sa.bindparam("today", type_=sa.Date())
    others: list[Any] = []
    if who.follows_up:
        newest = newest_talk(Interaction.next_follow_up_on, Customer.id)
        others.append(sa.select(Customer.id).where(*_worked_on(me), newest <= day))
    if who.develops:
        own = sa.select(PlanStep.id).join(Opportunity, Opportunity.id == PlanStep.opportunity_id)
        others.append(own.where(*_own_steps(me, day)))
    if who.assigns_opportunities:
        nobodys = Opportunity.status == OpportunityStatus.unassigned
        others.append(sa.select(Opportunity.id).where(nobodys, Opportunity.deleted_at.is_(None)))
    given = [sa.select(Ticket.id).where(_waiting_tickets(who, me))] if who.works_on_tickets else []
    unread = sa.select(Notification.id).where(Notification.recipient_id == me, Notification.read_at.is_(None))
    cases = warned(me, absent=absent) if who.defers else []
    parts = {"others": others, "ChurnCase": cases, "Ticket": given, BELL: [unread]}
    numbers = [_number(selects).label(name) for name, selects in parts.items()]
    return sa.select(*numbers).execution_options(**{KEEPS_PLAN: ("reader", "today")})


def _number(selects: list[Any]) -> Any:
    """How many rows these SELECTs find together, 100 for more; none of them is asked for more either."""
    if not selects:
        return sa.literal(0)
    found: Any = selects[0]
    if len(selects) > 1:
        found = sa.union_all(*(sa.select(part.limit(MANY).subquery()) for part in selects))
    return sa.select(sa.func.count()).select_from(found.limit(MANY).subquery()).scalar_subquery()
