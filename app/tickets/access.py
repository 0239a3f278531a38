"""Whose tickets, and which records of what customers said."""

from __future__ import annotations

import sqlalchemy as sa

from app.core.choosing import Choices
from app.core.scope import RowScope, may, reader_id, scope_for
from app.customers.access import also_deleted, of_visible_customer
from app.customers.models import Customer
from app.security.access import PeopleWho
from app.tickets.models import Complaint, Feedback, ServiceTarget, Ticket, TicketStatus, TicketStep

AllTargets = scope_for(ServiceTarget)


class VisibleTickets(RowScope):
    """Those the reader entered or was given, and those of his own customers; all with the right can_see_all.

    The archive is for whoever may search it: what helped one customer helps the next.
    """

    rows = Ticket

    @classmethod
    def visible(cls) -> sa.ColumnElement[bool] | None:
        if may("can_see_all", "Ticket"):
            return None
        person = reader_id()
        own_customers = sa.select(Customer.id).where(Customer.owner_id == person)
        theirs = [Ticket.created_by_id == person, Ticket.assignee_id == person, Ticket.customer_id.in_(own_customers)]
        if may("can_search_archive", "Ticket"):
            theirs.append(sa.and_(Ticket.status == TicketStatus.archived, of_visible_customer(Ticket.customer_id)))
        return sa.or_(*theirs)


def waits_for_reader() -> list[sa.ColumnElement[bool]]:
    """WHEREs of the tickets at a step that is the reader's to take: to assign, to handle, to ask about."""
    person, waiting = reader_id(), []
    if may("can_assign", "Ticket"):
        waiting.append(Ticket.status == TicketStatus.created)
    if may("can_handle", "Ticket"):
        waiting.append(sa.and_(Ticket.status == TicketStatus.assigned, Ticket.assignee_id == person))
    if may("can_give_feedback", "Ticket"):
        waiting.append(sa.and_(Ticket.status == TicketStatus.handled, Ticket.assignee_id == person))
    return waiting


class VisibleTicketSteps(RowScope):
    """Steps of the tickets the reader may see."""

    rows = TicketStep

    @classmethod
    def visible(cls) -> sa.ColumnElement[bool]:
        ticket = sa.select(Ticket.id).where(Ticket.id == TicketStep.ticket_id, VisibleTickets.criterion())
        return ticket.exists()


class VisibleFeedback(RowScope):
    """Feedback of visible customers."""

    rows = Feedback

    @classmethod
    def visible(cls) -> sa.ColumnElement[bool] | None:
        return of_visible_customer(Feedback.customer_id)


class VisibleComplaints(RowScope):
    """Complaints of visible customers."""

    rows = Complaint

    @classmethod
    def visible(cls) -> sa.ColumnElement[bool] | None:
        return of_visible_customer(Complaint.customer_id)


def was_changeable(model: type[Feedback] | type[Complaint]) -> sa.ColumnElement[bool]:
    """WHERE a deleted feedback or complaint was the reader's to delete."""
    reached = sa.select(Customer.id).where(Customer.id == model.customer_id, also_deleted()).exists()
    own = [] if may("can_edit_any", model.__name__) else [model.accepted_by_id == reader_id()]
    return sa.and_(reached, *own)


def tickets_to_choose() -> Choices:
    """Visible tickets, newest first, searched by number and title."""
    return Choices(
        Ticket, where=VisibleTickets.criterion, search=(Ticket.number, Ticket.title), order=(Ticket.id.desc(),)
    )


def acceptors(view: str) -> Choices:
    """受理人: active people who may enter such records (`view` is Feedback or Complaint)."""
    return PeopleWho("can_add", view)
