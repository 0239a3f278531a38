"""What the pages of a handover show: who owns how much, what became of each record, what could be undone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import User

from app.core.choosing import FEW, room_for
from app.core.scope import may
from app.customers.access import VisibleCustomers
from app.extensions import db
from app.handover.access import VisibleHandoverItems
from app.handover.models import Handover, HandoverItem, ItemOutcome, RecordKind, UndoOutcome
from app.handover.operations import item, still_theirs
from app.handover.plan import MOVES
from app.sales.access import VisibleOpportunities
from app.security.models import Team
from app.security.rights import holders
from app.tickets.access import VisibleComplaints, VisibleFeedback, VisibleTickets

PAGES: dict[RecordKind, tuple[Any, str, str]] = {
    RecordKind.customer: (VisibleCustomers, "Customer", "CustomerView.show"),
    RecordKind.opportunity: (VisibleOpportunities, "Opportunity", "OpportunityView.show"),
    RecordKind.ticket: (VisibleTickets, "Ticket", "TicketView.show"),
    RecordKind.feedback: (VisibleFeedback, "Feedback", "FeedbackView.show"),
    RecordKind.complaint: (VisibleComplaints, "Complaint", "ComplaintView.show"),
}
"""Kind of record -> (its scope, the view of its right, its page)."""


@dataclass(frozen=True)
class Owner:
    """A person and how many records of each kind he owns that somebody has to go on with."""

    person: User
    counts: dict[RecordKind, int]

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.counts.values())


def teams_led_by(person: User) -> list[Team]:
    """The teams whose lead this is, by name. To lead is a right to their customers: no handover passes it on."""
    return list(db.session.execute(sa.select(Team).where(Team.lead_id == person.id).order_by(Team.name)).scalars())


def owners() -> list[Owner]:
    """Everybody who owns anything: disabled accounts first, then by name. Two statements."""
    parts = [
        sa.select(
            move.owner_column.label("person"), sa.literal(move.kind.value).label("kind"), sa.func.count().label("n")
        )
        .where(move.owner_column.is_not(None), *move.open)
        .group_by(move.owner_column)
        for move in MOVES
    ]
    counts: dict[int, dict[RecordKind, int]] = {}
    for person, kind, number in db.session.execute(sa.union_all(*parts)):
        counts.setdefault(person, {})[RecordKind(kind)] = number
    people = db.session.execute(
        sa.select(User).where(User.id.in_(counts)).order_by(User.active, User.last_name, User.first_name, User.id)
    ).scalars()
    return [Owner(person, counts[person.id]) for person in people]


def successors(leaver: User, *, times: int, chosen: Iterable[int]) -> tuple[list[User], bool]:
    """Active people who may be given customers, by name, without the leaver himself, and whether these are all.

    When they are too many to be offered so many `times` on one page, only those already `chosen`: the others are
    searched.
    """
    able = sa.and_(User.id.in_(holders("can_be_assigned", "Customer")), User.id != leaver.id)
    found = sa.select(User).where(able).order_by(User.last_name, User.first_name, User.id)
    people = list(db.session.execute(found.limit(FEW + 1)).scalars())
    if room_for(len(people) * times):
        return people, True
    return list(db.session.execute(found.where(User.id.in_(chosen))).scalars()), False


def people_by_id(ids: Iterable[int]) -> dict[int, User]:
    """These people, by their ids."""
    return {person.id: person for person in db.session.execute(sa.select(User).where(User.id.in_(ids))).scalars()}


@dataclass(frozen=True)
class Share:
    """What one successor got: number by kind of record, left alone at the handover, and what the undoing did."""

    person: User
    moved: Counter[RecordKind]
    skipped: int
    back: int
    left: int

    @property
    def total(self) -> int:
        """All records that were moved."""
        return self.moved.total()


def shares(handover: Handover) -> list[Share]:
    """The totals of a receipt by successor, as far as the reader may see them; most first. Two statements."""
    columns = (HandoverItem.to_id, HandoverItem.record_type, HandoverItem.outcome, HandoverItem.undone)
    found = (
        sa.select(*columns, sa.func.count())
        .where(VisibleHandoverItems.criterion(), HandoverItem.handover_id == handover.id)
        .group_by(*columns)
    )
    moved: dict[int, Counter[RecordKind]] = {}
    others: dict[int, Counter[Any]] = {}
    for to, kind, outcome, undone, number in db.session.execute(found):
        moved.setdefault(to, Counter())[kind] += number if outcome == ItemOutcome.moved else 0
        others.setdefault(to, Counter())[undone or outcome] += number
    people = people_by_id(moved)
    made = [
        Share(
            people[to],
            moved[to],
            others[to][ItemOutcome.skipped],
            others[to][UndoOutcome.back],
            others[to][UndoOutcome.left],
        )
        for to in moved
    ]
    return sorted(made, key=lambda share: (-share.total, share.person.id))


def would_move_back(handover: Handover) -> Counter[RecordKind]:
    """How many records of each kind undoing would move back now. One statement for each kind."""
    found = Counter[RecordKind]()
    for move in MOVES:
        table = move.model.__table__
        ours = sa.and_(
            item.c.record_id == table.c.id, item.c.handover_id == handover.id, item.c.record_type == move.kind
        )
        rows = sa.select(sa.func.count()).select_from(table.join(item, ours)).where(*still_theirs(move, handover))
        found[move.kind] = db.session.execute(rows).scalar_one()
    return found


def openable(items: Iterable[HandoverItem]) -> dict[int, str]:
    """Item id -> endpoint of its record's page, for those the reader may open. One statement for each kind there is."""
    by_kind: dict[RecordKind, dict[int, int]] = {}
    for one in items:
        by_kind.setdefault(one.record_type, {})[one.record_id] = one.id
    found = {}
    for kind, ids in by_kind.items():
        scope, view, endpoint = PAGES[kind]
        if not may("can_show", view):
            continue
        seen = sa.select(scope.rows.id).where(scope.criterion(), scope.rows.id.in_(ids))
        found.update({ids[pk]: endpoint for pk in db.session.execute(seen).scalars()})
    return found


def last_handover_of(leaver: User) -> Handover | None:
    """The newest handover of what this person owned."""
    return (
        db.session.execute(
            sa.select(Handover).where(Handover.leaver_id == leaver.id).order_by(Handover.id.desc()).limit(1)
        )
        .scalars()
        .one_or_none()
    )
