"""What is done with tickets, feedback and complaints. Flush, never commit: the caller's unit of work does."""

from __future__ import annotations

from datetime import datetime

from flask_appbuilder.security.sqla.models import User
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from app.core.clock import local, utcnow
from app.core.errors import BusinessError, NotYours
from app.core.lifecycle import Step, step
from app.customers.numbers import next_number
from app.extensions import db
from app.security.rights import holds
from app.tickets.models import Complaint, Feedback, RecordStatus, Ticket, TicketStatus, TicketStep

R = RecordStatus

Record = Feedback | Complaint


def create_ticket(ticket: Ticket, *, actor: User | None, at: datetime | None = None) -> Ticket:
    """Enter a new ticket: number, state, creator and time are the server's, and its history begins. Flushes.

    The number is FW + the company-local day of `at` + a counter.
    """
    at = at or utcnow()
    ticket.number = next_number("FW", local(at).date())
    ticket.status = TicketStatus.created
    ticket.created_at = ticket.changed_at = at
    ticket.created_by_id = actor.id if actor is not None else None
    db.session.add(ticket)
    db.session.flush()
    note_step(ticket, "created", actor=actor, at=at)
    return ticket


def note_step(
    ticket: Ticket,
    name: str,
    *,
    actor: User | None,
    at: datetime,
    text: str | None = None,
    satisfaction: int | None = None,
) -> TicketStep:
    """Add one line to a ticket's history. Flushes."""
    line = TicketStep(ticket=ticket, step=name, actor=actor, at=at, text=text, satisfaction=satisfaction)
    db.session.add(line)
    db.session.flush()
    return line


def check_open(ticket: Ticket) -> None:
    """Raises `BusinessError` unless the ticket still is as it was created: only then it may be edited or deleted."""
    if ticket.status != TicketStatus.created:
        raise BusinessError(_("Only tickets that nobody was assigned to yet can be edited or deleted."))


def remove_ticket(ticket: Ticket, *, at: datetime | None = None) -> None:
    """Hide a ticket that is still new; its number is not given out again. Flushes.

    Raises `BusinessError` once it is assigned, `StaleDataError` when somebody assigned it meanwhile.
    """
    check_open(ticket)
    ticket.deleted_at = at or utcnow()
    db.session.flush()


# -- feedback and complaints --------------------------------------------------------------------------------------


def view_of(record: Record) -> str:
    """The view whose rights count for this record."""
    return type(record).__name__


def may_change(record: Record, actor: User | None) -> bool:
    """Whether this person may change or delete the record: who accepted it, or whoever may edit any.

    Asks the stored acceptor: a form that gives the record to somebody else has not been flushed yet.
    """
    accepted = actor is not None and record.accepted_by_id == actor.id
    return accepted or holds(actor, "can_edit_any", view_of(record))


def check_may_change(record: Record, actor: User | None) -> None:
    """Raises `NotYours` for everybody who may not change or delete the record."""
    if not may_change(record, actor):
        raise NotYours(_("Only the person who accepted it can change or delete it."))


def enter_record(record: Record, *, actor: User | None, at: datetime | None = None) -> Record:
    """Enter a feedback or complaint: open, creator and time set by the server. Flushes."""
    at = at or utcnow()
    record.status = R.open
    record.created_at = record.changed_at = at
    record.created_by_id = actor.id if actor is not None else None
    db.session.add(record)
    db.session.flush()
    return record


def remove_record(record: Record, *, actor: User | None, at: datetime | None = None) -> None:
    """Hide a feedback or complaint. Flushes. Raises `NotYours`."""
    check_may_change(record, actor)
    record.deleted_at = at or utcnow()
    db.session.flush()


@step(
    sources={R.open},
    target=R.closed,
    label=_l("Close case"),
    done=_l("The case is closed."),
    tone="primary",
    icon="circle-check",
    guard=check_may_change,
)
def close(
    record: Record, *, actor: User | None, at: datetime, remedy: str | None = None, satisfaction: int | None = None
) -> None:
    """Close a feedback or complaint: nobody has to do anything about it any more.

    A complaint needs its remedy; `remedy` and `satisfaction` replace what the record says, None keeps it.
    Raises `NotYours` or `BusinessError`.
    """
    if satisfaction is not None:
        record.satisfaction = satisfaction
    if isinstance(record, Complaint):
        record.remedy = (remedy or record.remedy or "").strip() or None
        if record.remedy is None:
            raise BusinessError(_("Write down the remedy first: what was done about the complaint."))


@step(
    sources={R.closed},
    target=R.open,
    label=_l("Reopen case"),
    done=_l("The case is open again."),
    icon="rotate-clockwise",
    guard=check_may_change,
)
def reopen(record: Record, *, actor: User | None, at: datetime) -> None:
    """Open a closed feedback or complaint again, because it was not settled after all. Raises `NotYours`."""


RECORD_STEPS: list[Step] = [reopen, close]
