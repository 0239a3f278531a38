"""What the service screens tell beside the tickets themselves. Reads only."""

from __future__ import annotations

import sqlalchemy as sa

from app.customers.models import Contact
from app.extensions import db
from app.tickets.access import waits_for_reader
from app.tickets.models import Complaint, Ticket, TicketStep

MANY = 100  # waiting tickets nobody counts on every page


def waiting() -> int:
    """How many tickets are at a step that is the reader's to take; 100 for more. On every page, one statement."""
    branches = [
        sa.select(Ticket.id).where(whose, Ticket.deleted_at.is_(None)).limit(MANY).subquery().select()
        for whose in waits_for_reader()
    ]
    if not branches:
        return 0
    counted = sa.select(sa.func.count()).select_from(sa.union_all(*branches).limit(MANY).subquery())
    return int(db.session.execute(counted).scalar_one())


def complaints_of(contact: Contact) -> list[Complaint]:
    """The complaints this person made for the customer, deleted ones too."""
    its = (Complaint.customer_id == contact.customer_id, Complaint.complainant == contact.name)
    return list(db.session.execute(sa.select(Complaint).where(*its).order_by(Complaint.id)).scalars())


def tickets_of(contact: Contact) -> list[Ticket]:
    """The tickets that this person's complaints opened: they begin with the complaint's words."""
    ids = {complaint.ticket_id for complaint in complaints_of(contact)} - {None}
    return list(db.session.execute(sa.select(Ticket).where(Ticket.id.in_(ids)).order_by(Ticket.id)).scalars())


def steps_of(contact: Contact) -> list[TicketStep]:
    """What those tickets tell of themselves."""
    ids = [ticket.id for ticket in tickets_of(contact)]
    return list(db.session.execute(sa.select(TicketStep).where(TicketStep.ticket_id.in_(ids))).scalars())
