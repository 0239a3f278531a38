"""催办: who is reminded of a ticket whose step is overdue, first whoever has to act, later the leads.

Each rung once for a step and the time it was due: the row that says so and the notification are written in one
transaction, under the ticket's row lock and only if the step is still open. So nothing is said twice or too late, by
whatever run. A rung of which nobody at work could be told stays open.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from flask import current_app
from flask_appbuilder.security.sqla.models import User
from sqlalchemy.dialects import postgresql, sqlite

from app.core.unit import unit_of_work
from app.extensions import db
from app.masterdata.calendar import load
from app.notices.operations import notify
from app.security.rights import holders
from app.tickets.levels import NEXT
from app.tickets.models import ServiceStep, Ticket, TicketReminder, TicketStatus

ACTOR, LEADS = 1, 2  # the rungs
BATCH = 200


class Overdue(NamedTuple):
    """A ticket whose step is overdue, as it was read, and the sum of the rungs that were said so far."""

    id: int
    due_at: datetime
    status: TicketStatus
    said: int


def escalate(now: datetime) -> Iterator[dict[str, int]]:
    """Remind of every step that is overdue at `now`, ticket by ticket; yields what it counted after each commit.

    Rung 1 as soon as a step is due, rung 2 LIUKE_ESCALATE_HOURS working hours later. Commits ticket by ticket: a killed
    run loses nothing, the next one goes on. A ticket that is being moved at this moment is left to the next run.
    """
    calendar, patience = load(), current_app.config["LIUKE_ESCALATE_HOURS"]
    counts = {"reminded": 0, "escalated": 0}
    for overdue in _overdue(now):
        rungs = [] if overdue.said & ACTOR else [ACTOR]
        if not overdue.said & LEADS and calendar.add(overdue.due_at, patience) <= now:
            rungs.append(LEADS)
        if rungs:
            with unit_of_work():
                said = _remind(overdue, rungs, now)
            counts["reminded"] += ACTOR in said
            counts["escalated"] += LEADS in said
            yield dict(counts)


def _overdue(now: datetime) -> Iterator[Overdue]:
    """Open tickets that are overdue and of which a rung was not said yet, the longest overdue first, in batches."""
    step = sa.case(*((Ticket.status == status, step.value) for status, step in NEXT.items()))
    said = (
        sa.select(sa.func.coalesce(sa.func.sum(TicketReminder.rung), 0))
        .where(
            TicketReminder.ticket_id == Ticket.id,
            TicketReminder.due_at == Ticket.due_at,
            sa.cast(TicketReminder.step, sa.String) == step,
        )
        .scalar_subquery()
    )
    after: tuple[datetime, int] | None = None
    while True:
        some = sa.select(Ticket.id, Ticket.due_at, Ticket.status, said.label("said")).where(
            Ticket.due_at <= now, Ticket.deleted_at.is_(None), Ticket.status.in_(NEXT), said < ACTOR + LEADS
        )
        if after is not None:
            due_at, last = after
            some = some.where(sa.or_(Ticket.due_at > due_at, sa.and_(Ticket.due_at == due_at, Ticket.id > last)))
        rows = [Overdue(*row) for row in db.session.execute(some.order_by(Ticket.due_at, Ticket.id).limit(BATCH))]
        yield from rows
        if len(rows) < BATCH:
            return
        after = (rows[-1].due_at, rows[-1].id)


def _remind(overdue: Overdue, rungs: list[int], now: datetime) -> list[int]:
    """Say what is to be said about one ticket, if its step is still open and nobody said it. Returns the rungs said."""
    ticket = db.session.execute(
        sa.select(Ticket)
        .where(
            Ticket.id == overdue.id,
            Ticket.due_at == overdue.due_at,
            Ticket.status == overdue.status,
            Ticket.deleted_at.is_(None),
        )
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()
    if ticket is None:
        return []
    step, told, said = NEXT[overdue.status], set[int](), []
    for rung in sorted(rungs, reverse=True):  # whoever is on both rungs hears the more urgent one
        people = _people(ticket, rung)
        if people and _claim(ticket, step, rung, now):
            said.append(rung)
            people = [person for person in people if person.id not in told]
            told.update(person.id for person in people)
            notify(
                f"ticket.{'due' if rung == ACTOR else 'late'}_{step.value}",
                to=people,
                record=ticket,
                event=f"ticket.due:{ticket.id}:{step.value}:{overdue.due_at:%Y%m%dT%H%M%SZ}:{rung}",
                at=now,
                number=ticket.number,
                title=ticket.title[:100],
                name=ticket.assignee.get_full_name() if ticket.assignee is not None else "",
            )
    return said


def _claim(ticket: Ticket, step: ServiceStep, rung: int, now: datetime) -> bool:
    """Write down that this rung was reached; False if it was before. One statement."""
    dialect: Any = postgresql if db.engine.dialect.name == "postgresql" else sqlite
    row = dialect.insert(TicketReminder).values(ticket_id=ticket.id, step=step, due_at=ticket.due_at, rung=rung, at=now)
    claimed = db.session.execute(
        row.on_conflict_do_nothing(index_elements=["ticket_id", "step", "due_at", "rung"]).returning(TicketReminder.id)
    )
    return claimed.scalar_one_or_none() is not None


def remind_anew(tickets: sa.Select[Any]) -> None:
    """Let whoever has these tickets (their ids and due times) now hear of the step too. Flushes nothing else."""
    pairs = sa.tuple_(TicketReminder.ticket_id, TicketReminder.due_at)
    db.session.execute(
        sa.delete(TicketReminder)
        .where(TicketReminder.rung == ACTOR, pairs.in_(tickets))
        .execution_options(synchronize_session=False)
    )


def _people(ticket: Ticket, rung: int) -> list[User]:
    """Who hears of it: the assignee, and the leads (whoever may assign tickets) where there is none at work.

    All of them are active.
    """
    if rung == ACTOR and ticket.assignee is not None and ticket.assignee.active:
        return [ticket.assignee]
    return list(db.session.execute(sa.select(User).where(User.id.in_(holders("can_assign", "Ticket")))).scalars())
