"""What is done with tickets, feedback and complaints. Flush, never commit: the caller's unit of work does."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import User
from flask_babel import lazy_gettext as _l

from app.core import recycle
from app.core.clock import local, utcnow
from app.core.errors import BusinessError, NotYours, StepRefused
from app.core.lifecycle import FASTER, Step, note_move, step
from app.core.personal import without
from app.core.sentences import gettext as _
from app.customers.numbers import next_number
from app.extensions import db
from app.masterdata.models import DictionaryItem, DictionaryType
from app.notices.operations import notify
from app.security.rights import holds
from app.tickets.levels import due_of
from app.tickets.models import Complaint, Feedback, RecordStatus, Ticket, TicketStatus, TicketStep
from app.tickets.precedents import index_ticket

R = RecordStatus

S = TicketStatus
SATISFIED = 3  # stars from which a ticket is archived; below it goes back to its assignee (spec: the moves of a ticket)

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
    ticket.due_at = due_of(ticket, at)
    db.session.add(ticket)
    db.session.flush()
    note_step(ticket, "created", actor=actor, at=at)
    db.session.flush()
    return ticket


def forget_assignee(_user: User, names: list[str]) -> None:
    """Take an erased person's names out of what tickets tell of who got them. Flushes."""
    naming = sa.or_(*(TicketStep.text.contains(name, autoescape=True) for name in names))
    told = TicketStep.step.in_(("assigned", "reassigned", "handed_over"))
    for row in db.session.execute(sa.select(TicketStep).where(told, naming)).scalars():
        row.text = without(row.text, names)
    db.session.flush()


def note_step(
    ticket: Ticket,
    name: str,
    *,
    actor: User | None,
    at: datetime,
    text: str | None = None,
    satisfaction: int | None = None,
) -> TicketStep:
    """Add one line to a ticket's history. Flushed with the caller's unit of work."""
    line = TicketStep(ticket=ticket, step=name, actor=actor, at=at, text=text, satisfaction=satisfaction)
    db.session.add(line)
    return line


def check_open(ticket: Ticket) -> None:
    """Raises `BusinessError` unless the ticket still is as it was created: only then it may be edited or deleted."""
    if ticket.status != TicketStatus.created:
        raise BusinessError(_("Only tickets that nobody was assigned to yet can be edited or deleted."))


def why_files_stay(ticket: Ticket) -> str | None:
    """Why the files of an archived ticket are no longer changed; None before."""
    return _("The ticket is archived: its files stay as they are.") if ticket.status == S.archived else None


def change_ticket(ticket: Ticket) -> None:
    """Keep the changed facts of a new ticket; another type has another target. The caller flushes.

    Raises `BusinessError` once it is assigned.
    """
    check_open(ticket)
    if sa.inspect(ticket).attrs.type.history.has_changes():
        ticket.due_at = due_of(ticket, ticket.created_at)


def check_removable(ticket: Ticket) -> None:
    """Raises `BusinessError` unless the ticket is still new and no complaint is worked off by it."""
    check_open(ticket)
    complaint = complaint_of(ticket)
    if complaint is not None:
        raise BusinessError(
            _("It belongs to the complaint “%(subject)s” and stays with it.", subject=complaint.subject)
        )


def remove_ticket(ticket: Ticket, *, at: datetime | None = None) -> None:
    """Hide a ticket that is still new; its number is not given out again. Flushes.

    Raises `BusinessError` once it is assigned or when it belongs to a complaint, `StaleDataError` when somebody
    assigned it meanwhile.
    """
    check_removable(ticket)
    recycle.delete(ticket, at=at)


# -- the steps of a ticket ----------------------------------------------------------------------------------------


def _theirs(ticket: Ticket, actor: User | None) -> None:
    mine = actor is not None and actor.id == ticket.assignee_id
    if not mine and not holds(actor, "can_act_for_others", "Ticket"):
        raise NotYours(_("Only the person it is assigned to can do this."))


def _may_ask(ticket: Ticket, actor: User | None) -> None:
    """Who handled it asks the customer, or whoever may ask about anybody's tickets (a lead)."""
    if not holds(actor, "can_give_any_feedback", "Ticket"):
        _theirs(ticket, actor)


def _untouched(ticket: Ticket, _actor: User | None) -> None:
    if ticket.times_returned and holds(ticket.assignee, "can_be_assigned", "Customer"):
        raise BusinessError(_("The ticket was handled before, so it stays with its assignee."))


def _tell_assignee(ticket: Ticket, actor: User | None, at: datetime) -> None:
    """Whoever gets the ticket hears of it, unless he gave it to himself."""
    _tell("ticket.assigned", ticket, ticket.assignee, but=actor, at=at)


def _tell_of_answer(ticket: Ticket, actor: User | None, at: datetime) -> None:
    """A return is told to who has to do it again and to who gave it to him, the end to who entered the ticket."""
    if ticket.status == S.assigned:
        _tell("ticket.returned", ticket, [ticket.assignee, ticket.assigned_by], but=actor, at=at)
    else:
        _tell("ticket.archived", ticket, ticket.created_by, but=actor, at=at)


def _tell(kind: str, ticket: Ticket, to: User | list[User | None] | None, *, but: User | None, at: datetime) -> None:
    event = f"{kind}:{ticket.id}:{ticket.version}"  # a ticket's version counts its moves
    notify(kind, to=to, record=ticket, event=event, at=at, but=but, number=ticket.number, title=ticket.title[:100])


@step(
    sources={S.created},
    target=S.assigned,
    label=_l("Assign ticket"),
    done=_l("The ticket was assigned."),
    tone="primary",
    icon="user-share",
    after=_tell_assignee,
)
def assign(ticket: Ticket, *, actor: User, at: datetime, assignee: User) -> None:
    """Give a new ticket to the account manager who shall handle it (lead).

    The assignee must be an active holder of can_be_assigned. Of two simultaneous assigners one is refused.
    """
    _give(ticket, assignee, actor=actor, at=at)
    note_step(ticket, "assigned", actor=actor, at=at, text=assignee.get_full_name())


@step(
    sources={S.assigned},
    target=S.assigned,
    label=_l("Reassign ticket"),
    done=_l("The ticket was reassigned."),
    icon="user-share",
    guard=_untouched,
    after=_tell_assignee,
)
def reassign(ticket: Ticket, *, actor: User, at: datetime, assignee: User) -> None:
    """Give an assigned ticket to somebody else, while nobody has handled it (lead)."""
    if assignee.id == ticket.assignee_id:
        raise BusinessError(_("%(name)s is already the assignee.", name=assignee.get_full_name()))
    _give(ticket, assignee, actor=actor, at=at)
    note_step(ticket, "reassigned", actor=actor, at=at, text=assignee.get_full_name())


def _give(ticket: Ticket, assignee: User, *, actor: User, at: datetime) -> None:
    if not holds(assignee, "can_be_assigned", "Customer"):
        raise BusinessError(
            _("%(name)s cannot be given tickets. Choose an account manager.", name=assignee.get_full_name())
        )
    ticket.assignee = assignee
    ticket.assigned_by_id = actor.id
    ticket.assigned_at = at
    ticket.due_at = due_of(ticket, at, S.assigned)


@step(
    sources={S.assigned},
    target=S.handled,
    label=_l("Handle"),
    done=_l("The handling was kept. Now ask the customer."),
    tone="primary",
    icon="clipboard-check",
    guard=_theirs,
)
def handle(ticket: Ticket, *, actor: User, at: datetime, handling: str) -> None:
    """Write down what was done about the request (assignee); the customer is asked next."""
    ticket.handling = (handling or "").strip()
    if not ticket.handling:
        raise BusinessError(_("Write down what was done about the request."))
    ticket.handled_by_id = actor.id
    ticket.handled_at = at
    ticket.due_at = due_of(ticket, at, S.handled)
    note_step(ticket, "handled", actor=actor, at=at, text=ticket.handling)


@step(
    sources={S.handled},
    target=None,
    label=_l("Give feedback"),
    done=_l("The customer's answer was kept."),
    tone="primary",
    icon="message-2",
    guard=_may_ask,
    after=_tell_of_answer,
)
def give_feedback(ticket: Ticket, *, actor: User, at: datetime, result: str, satisfaction: int) -> None:
    """Write down what the customer said (assignee or lead): feedback and archive are one move.

    With `satisfaction` (1 to 5 stars) of 3 or more the ticket is archived for good, and the complaint that opened it
    is closed. With less it goes back to the same assignee: the handling stays in its history, the return is counted.
    """
    result = (result or "").strip()
    if not result:
        raise BusinessError(_("Write down what the customer said."))
    if satisfaction not in range(1, 6):
        raise BusinessError(_("Give 1 to 5 stars."))
    if satisfaction >= SATISFIED:
        ticket.result, ticket.satisfaction = result, satisfaction
        ticket.archived_at = at
        ticket.due_at = None
        ticket.status = S.archived
        note_step(ticket, "archived", actor=actor, at=at, text=result, satisfaction=satisfaction)
        _settle(ticket, actor=actor, at=at)
        index_ticket(ticket)
        return
    note_step(ticket, "returned", actor=actor, at=at, text=result, satisfaction=satisfaction)
    ticket.handling = ticket.handled_by_id = ticket.handled_at = None
    ticket.times_returned += 1
    ticket.due_at = due_of(ticket, at, S.assigned)
    ticket.status = S.assigned


def note_unassigned(ticket: Ticket, actor: User, at: datetime) -> None:
    """Write into a ticket's history that its assignment was taken back."""
    note_step(ticket, "unassigned", actor=actor, at=at)


STEPS: list[Step] = [assign, reassign, handle, give_feedback]


# -- a complaint and its ticket -----------------------------------------------------------------------------------


def complaint_of(ticket: Ticket) -> Complaint | None:
    """The complaint that opened this ticket, if one did."""
    return db.session.execute(
        sa.select(Complaint).where(Complaint.ticket_id == ticket.id, Complaint.deleted_at.is_(None))
    ).scalar_one_or_none()


def open_ticket(complaint: Complaint, *, actor: User | None, at: datetime | None = None) -> Ticket:
    """Open the ticket by which a complaint is worked off; when that is archived, the complaint is closed. Flushes.

    A complaint that was reopened after its ticket was archived may open another one.
    Raises `NotYours`, or `BusinessError` when the complaint is closed or has its ticket already.
    """
    at = at or utcnow()
    check_may_change(complaint, actor)
    db.session.refresh(complaint, ["status", "ticket_id", "deleted_at", "version"], with_for_update=True)
    if complaint.deleted_at is not None:
        raise StepRefused(str(FASTER))
    if complaint.status != R.open:
        raise BusinessError(_("The complaint is closed."))
    db.session.expire(complaint, ["ticket"])  # the page may have loaded that there was none
    opened = open_ticket_of(complaint)
    if opened is not None:
        raise BusinessError(_("The complaint already has the ticket %(ticket)s.", ticket=str(opened)))
    kind = db.session.execute(
        sa.select(DictionaryItem).where(
            DictionaryItem.type == DictionaryType.ticket_type, DictionaryItem.code == "complaint"
        )
    ).scalar_one()
    ticket = Ticket(
        type=kind, title=complaint.subject, customer_id=complaint.customer_id,
        request=complaint.content or complaint.subject,
    )  # fmt: skip
    create_ticket(ticket, actor=actor, at=at)
    complaint.ticket = ticket
    complaint.changed_at = at
    db.session.flush()
    note_move(ticket, "create", actor=actor, at=at, note=complaint.subject)
    note_move(complaint, "open_ticket", actor=actor, at=at, before=complaint.status, note=ticket.number)
    return ticket


def _settle(ticket: Ticket, *, actor: User | None, at: datetime) -> None:
    """The complaint that opened the ticket ends with it: what was done is its remedy."""
    complaint = complaint_of(ticket)
    if complaint is None or complaint.status != R.open:
        return
    complaint.remedy = complaint.remedy or (ticket.handling or "")[:2000]
    complaint.satisfaction = ticket.satisfaction
    complaint.status = R.closed
    complaint.changed_at = at
    note_move(complaint, "close", actor=actor, at=at, before=R.open, note=ticket.number)


def open_ticket_of(record: Record) -> Ticket | None:
    """The ticket by which a complaint is being worked off, until it is archived."""
    ticket = record.ticket if isinstance(record, Complaint) else None
    return ticket if ticket is not None and ticket.status != S.archived else None


def _without_ticket(record: Record, actor: User | None) -> None:
    check_may_change(record, actor)
    ticket = open_ticket_of(record)
    if ticket is not None:
        raise BusinessError(_("Its ticket %(ticket)s is still open. The complaint closes with it.", ticket=str(ticket)))


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


def change_record(record: Record, *, actor: User | None) -> None:
    """Keep the changed facts of a feedback or complaint. The caller flushes.

    Raises `NotYours`, `BusinessError` when a complaint would leave its open ticket's customer or, closed, its remedy.
    """
    check_may_change(record, actor)
    if not isinstance(record, Complaint):
        return
    ticket = open_ticket_of(record)
    if ticket is not None and sa.inspect(record).attrs.customer.history.has_changes():
        raise BusinessError(_("Its ticket %(ticket)s is still open, so the customer stays.", ticket=str(ticket)))
    if record.status == R.closed and not (record.remedy or "").strip():
        raise BusinessError(_("A closed complaint keeps its remedy. Reopen it if nothing was done."))


def remove_record(record: Record, *, actor: User | None, at: datetime | None = None) -> None:
    """Hide a feedback or complaint. Flushes. Raises `NotYours`, `BusinessError` while its ticket is open."""
    check_may_change(record, actor)
    ticket = open_ticket_of(record)
    if ticket is not None:
        raise BusinessError(_("Its ticket %(ticket)s is still open, so the complaint stays.", ticket=str(ticket)))
    recycle.delete(record, actor=actor, at=at)


@step(
    sources={R.open},
    target=R.closed,
    label=_l("Close case"),
    done=_l("The case is closed."),
    tone="primary",
    icon="circle-check",
    guard=_without_ticket,
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
