"""Who complained for a customer: what complaints, their tickets and feedback keep about a person."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from flask_babel import lazy_gettext as _l

from app.core import personal
from app.core.personal import Holding
from app.customers.models import Contact
from app.extensions import db
from app.tickets.models import Complaint, Feedback, Ticket, TicketStep
from app.tickets.precedents import index_anew

COMPLAINT = ("subject", "content", "remedy", "memo")
TICKET = ("title", "request", "handling", "result")


def install() -> None:
    """Let contacts be found in complaints, tickets and feedback, and complainants be a kind of person."""
    personal.KINDS["complaint"] = personal.Kind(
        label=_l("Complainants"),
        model=Complaint,
        found_by=(Complaint.complainant,),
        words=("complainant",),
        name=lambda complaint: complaint.complainant,
        where=lambda complaint: complaint.customer.name,
    )
    for kind, complaints in (("complaint", same), ("contact", complaints_of)):
        personal.holds(
            kind,
            Holding(_l("Complaints"), complaints, ("complainant",), COMPLAINT),
            Holding(_l("Tickets"), opened_by(complaints), (), TICKET, after=index_anew),
            Holding(_l("Tickets"), steps_of(opened_by(complaints)), (), ("text",), told=False),
        )
    personal.holds(
        "contact",
        Holding(_l("Complaints"), of_customer(Complaint), (), COMPLAINT, only_naming=True),
        Holding(_l("Customer feedback"), of_customer(Feedback), (), ("title", "content", "memo"), only_naming=True),
        Holding(_l("Tickets"), of_customer(Ticket), (), TICKET, after=index_anew, only_naming=True),
        Holding(_l("Tickets"), steps_of(of_customer(Ticket)), (), ("text",), told=False, only_naming=True),
    )


def complaints_of(contact: Contact) -> list[Complaint]:
    """The complaints this person made for the customer under any of his names, deleted ones too."""
    called = {contact.name, *personal.names_of("contact", contact)} - {personal.GONE}
    return _all(Complaint, Complaint.customer_id == contact.customer_id, Complaint.complainant.in_(called))


def same(person: Complaint) -> list[Complaint]:
    """The complaint, and what the same person complained about for the same customer."""
    if person.complainant == personal.GONE:
        return [person]
    return _all(Complaint, Complaint.customer_id == person.customer_id, Complaint.complainant == person.complainant)


def opened_by(complaints: Any) -> Any:
    """What finds the tickets that a person's complaints opened: they begin with the complaint's words."""

    def tickets(person: Any) -> list[Ticket]:
        return _all(Ticket, Ticket.id.in_({complaint.ticket_id for complaint in complaints(person)} - {None}))

    return tickets


def of_customer(model: Any) -> Any:
    """What finds the rows of the contact's customer, whoever they are about."""
    return lambda contact: _all(model, model.customer_id == contact.customer_id)


def steps_of(tickets: Any) -> Any:
    """What finds what such tickets tell of themselves."""
    return lambda person: _all(TicketStep, TicketStep.ticket_id.in_([ticket.id for ticket in tickets(person)]))


def _all(model: Any, *where: Any) -> list[Any]:
    return list(db.session.execute(sa.select(model).where(*where).order_by(model.id)).scalars())
