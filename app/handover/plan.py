"""What a person owns, and who would get it by a rule. Reads only."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import User

from app.core.text import name_key
from app.customers.models import Customer, CustomerStatus
from app.extensions import db
from app.handover.models import RecordKind, RuleKind
from app.handover.rule import Bundle, Owned, Rule, item_of, share
from app.sales.models import Opportunity, OpportunityStatus
from app.tickets.models import Complaint, Feedback, RecordStatus, Ticket, TicketStatus

K = RecordKind


@dataclass(frozen=True)
class Move:
    """How one kind of record is owned, and which of them are: those somebody still has to do something about."""

    kind: RecordKind
    model: Any
    owner: str  # name of the column
    open: tuple[Any, ...]

    @property
    def owner_column(self) -> Any:
        """The column that says whose it is."""
        return getattr(self.model, self.owner)


MOVES = (
    # In this order whoever takes several locks takes them elsewhere: winning an opportunity locks it before it claims
    # a customer, the end of a ticket closes its complaint.
    Move(
        K.opportunity,
        Opportunity,
        "assignee_id",
        (Opportunity.status == OpportunityStatus.assigned, Opportunity.deleted_at.is_(None)),
    ),
    Move(K.customer, Customer, "owner_id", (Customer.status != CustomerStatus.deleted,)),
    Move(
        K.ticket,
        Ticket,
        "assignee_id",
        (Ticket.status.in_((TicketStatus.assigned, TicketStatus.handled)), Ticket.deleted_at.is_(None)),
    ),
    Move(
        K.feedback,
        Feedback,
        "accepted_by_id",
        (Feedback.status == RecordStatus.open, Feedback.deleted_at.is_(None)),
    ),
    Move(
        K.complaint,
        Complaint,
        "accepted_by_id",
        (Complaint.status == RecordStatus.open, Complaint.deleted_at.is_(None)),
    ),
)


@dataclass(frozen=True)
class Line:
    """One record of a plan: whose it becomes, and whether no line of the rule names it."""

    record: Owned
    to_id: int
    by_rest: bool


@dataclass
class Plan:
    """What would move to whom. `stamp` is a short sign of exactly this: rule, records, their versions, successors."""

    rule: Rule
    lines: list[Line] = field(default_factory=list)
    foreign: int = 0
    """Tickets, feedback and complaints of customers who belong to somebody else: they move, their customer does not."""

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def stamp(self) -> str:
        """What confirming sends back: a plan that reads differently by then is shown again."""
        facts = [(line.record.kind.value, line.record.id, line.record.version, line.to_id) for line in self.lines]
        return hashlib.sha256(json.dumps([self.rule.to_json(), facts]).encode()).hexdigest()[:32]

    def totals(self) -> Counter[tuple[int, RecordKind]]:
        """(successor, kind of record) -> how many."""
        return Counter((line.to_id, line.record.kind) for line in self.lines)

    @property
    def by_rest(self) -> int:
        """How many records no line of the rule names."""
        return sum(1 for line in self.lines if line.by_rest)


def plan_for(leaver: User, rule: Rule) -> Plan:
    """Who would get what `leaver` owns now. As many statements as there are kinds of records."""
    bundles, foreign = bundles_of(leaver.id)
    shared = share(bundles, rule)
    lines = dict(rule.lines)
    named = rule.kind in (RuleKind.region, RuleKind.level)
    plan = Plan(rule, foreign=foreign)
    for bundle in bundles:
        by_rest = named and item_of(bundle, rule.kind) not in lines
        plan.lines += [Line(record, shared[bundle.key], by_rest) for record in bundle.records]
    order = {kind: place for place, kind in enumerate(RecordKind)}
    plan.lines.sort(key=lambda line: (order[line.record.kind], line.record.id))
    return plan


def bundles_of(person: int) -> tuple[list[Bundle], int]:
    """What a person owns, in bundles that stay together, and how many records hang on somebody else's customer.

    A ticket, feedback or complaint goes with its customer; an opportunity goes with the leaver's customer of the same
    name (as winning compares names), and opportunities that name the same prospect stay together.
    """
    found: dict[tuple[int, int, str], list[Owned]] = defaultdict(list)
    place: dict[tuple[int, int, str], tuple[int | None, int | None]] = {}
    key: tuple[int, int, str]
    by_name: dict[str, int] = {}
    own: set[int] = set()
    for pk, version, number, name, key_of_name, region, level in _rows(
        K.customer, Customer.number, Customer.name, Customer.name_key, Customer.region_id, Customer.level_id,
        person=person,
    ):  # fmt: skip
        key = (0, pk, "")
        own.add(pk)
        by_name.setdefault(key_of_name, pk)
        place[key] = (region, level)
        found[key].append(Owned(K.customer, pk, version, f"{number} {name}"[:200]))
    for pk, version, title, prospect in _rows(
        K.opportunity, Opportunity.title, Opportunity.customer_name, person=person
    ):
        folded = name_key(prospect)
        key = (0, by_name[folded], "") if folded in by_name else (2, 0, folded)
        found[key].append(Owned(K.opportunity, pk, version, f"{prospect} · {title}"[:200]))
    foreign = 0
    for kind, model, label in (
        (K.ticket, Ticket, Ticket.number + " " + Ticket.title),
        (K.feedback, Feedback, Feedback.title),
        (K.complaint, Complaint, Complaint.subject),
    ):
        columns = (label, model.customer_id, Customer.region_id, Customer.level_id)
        joined = Customer.id == model.customer_id
        for pk, version, words, customer, region, level in _rows(kind, *columns, person=person, joined=joined):
            key = (0 if customer in own else 1, customer, "")
            foreign += customer not in own
            place[key] = (region, level)
            found[key].append(Owned(kind, pk, version, words[:200]))
    bundles = [Bundle(key, tuple(records), *place.get(key, (None, None))) for key, records in sorted(found.items())]
    return bundles, foreign


def _rows(kind: RecordKind, *columns: Any, person: int, joined: Any = None) -> Any:
    move = next(move for move in MOVES if move.kind == kind)
    found = sa.select(move.model.id, move.model.version, *columns).where(move.owner_column == person, *move.open)
    if joined is not None:
        found = found.join(Customer, joined)
    return db.session.execute(found.order_by(move.model.id))
