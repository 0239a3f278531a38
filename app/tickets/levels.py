"""服务时限: by when the next step of a ticket is to be done, in working hours per type and step."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from app.extensions import db
from app.masterdata.calendar import add_working_hours
from app.tickets.models import ServiceStep, ServiceTarget, Ticket, TicketStatus

NEXT: dict[TicketStatus, ServiceStep] = {
    TicketStatus.created: ServiceStep.assign,
    TicketStatus.assigned: ServiceStep.handle,
    TicketStatus.handled: ServiceStep.feedback,
}
"""What is to be done about a ticket in a state; nothing once it is archived."""


def due_of(ticket: Ticket, at: datetime, status: TicketStatus | None = None) -> datetime | None:
    """By when (UTC) the step that begins at `at` is to be done; None without a target, or when it is archived.

    `status` is the state the ticket is moved into, by default its own. To be called, and kept in `due_at`, at every
    move: when a ticket is entered, assigned, given to somebody else, handled, sent back and archived. Two statements.
    Writes nothing.
    """
    step = NEXT.get(status or ticket.status)
    if step is None:
        return None
    type_id = ticket.type.id if ticket.type is not None else ticket.type_id  # the key follows when it is flushed
    hours = db.session.execute(
        sa.select(ServiceTarget.hours).where(ServiceTarget.type_id == type_id, ServiceTarget.step == step)
    ).scalar_one_or_none()
    return None if hours is None else add_working_hours(at, hours)
