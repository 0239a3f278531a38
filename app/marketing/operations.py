"""What is done with activities and participants. Flush, never commit: the caller's unit of work does."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import User

from app.core import recycle
from app.core.changes import TOLD, insert_changes
from app.core.clock import utcnow
from app.core.errors import BusinessError
from app.core.lifecycle import note_move
from app.core.sentences import gettext as _
from app.core.types import UtcDateTime
from app.customers.access import in_reach_of
from app.customers.models import Customer
from app.extensions import db
from app.marketing.models import Activity, Participant
from app.notices.operations import insert


def keep_activity(activity: Activity) -> Activity:
    """Add or change an activity. Flushes.

    Raises `BusinessError` when it ends before it starts, or when budget or cost are below zero.
    """
    if activity.ends_on is not None and activity.ends_on < activity.starts_on:
        raise BusinessError(_("The activity ends before it starts. Correct one of the two dates."))
    if any(amount is not None and amount < 0 for amount in (activity.budget, activity.cost)):
        raise BusinessError(_("Budget and cost cannot be below zero."))
    db.session.add(activity)
    db.session.flush()
    return activity


def add_participant(participant: Participant) -> Participant:
    """Put a customer on the list of an activity. Flushes.

    Raises `BusinessError` when it is on it already; of two at once the database lets one through.
    """
    check_new(participant)
    db.session.add(participant)
    db.session.flush()
    return participant


def check_new(participant: Participant, _actor: User | None = None) -> None:
    """Raises `BusinessError` when the customer takes part in the activity already."""
    activity, customer = participant.activity, participant.customer
    its = (Participant.activity_id == activity.id, Participant.customer_id == customer.id)
    known = sa.select(Participant.id).where(*its, Participant.deleted_at.is_(None))
    if db.session.execute(known).first() is not None:
        raise BusinessError(
            _("%(customer)s already takes part in “%(activity)s”.", customer=customer, activity=activity)
        )


def add_matching(
    activity: Activity,
    criteria: Iterable[sa.ColumnElement[bool]],
    *,
    actor: User | None,
    at: datetime | None = None,
    note: str | None = None,
) -> int:
    """Put every customer that `criteria` name and the actor may see on the list of an activity. Returns how many.

    Who is on it already stays on it once, also when somebody else adds him at this moment. One statement however many
    they are, and one line in the activity's history; `note` says which they were. Flushes.
    """
    at = at or utcnow()
    who = sa.literal(actor.id if actor is not None else None, sa.Integer())
    when = sa.literal(at, UtcDateTime())
    columns: dict[str, Any] = {
        "activity_id": sa.literal(activity.id, sa.Integer()),
        "customer_id": Customer.id,
        "created_at": when,
        "changed_at": when,
        "created_by_id": who,
        "changed_by_id": who,
        "version": sa.literal(1, sa.Integer()),
    }
    chosen = sa.select(*(value.label(name) for name, value in columns.items())).select_from(Customer)
    chosen = chosen.where(in_reach_of(actor), *criteria).order_by(Customer.id)
    made = insert(Participant.__table__).from_select(list(columns), chosen, include_defaults=False)
    newest = db.session.execute(sa.select(sa.func.coalesce(sa.func.max(Participant.id), 0))).scalar_one()
    once = {"index_elements": ["activity_id", "customer_id"], "index_where": sa.text("deleted_at IS NULL")}
    added = db.session.execute(made.on_conflict_do_nothing(**once).execution_options(**TOLD)).rowcount
    if added:
        mine = [Participant.id > newest, Participant.activity_id == activity.id, Participant.created_at == at]
        told = insert_changes(
            Participant.__tablename__, Participant.__table__, Participant.id, {None: (sa.null(), sa.null())},
            where=sa.and_(*mine), move="activity.add_participants",
            actor_id=actor.id if actor is not None else None, at=at,
        )  # fmt: skip
        db.session.execute(told)
        text = f"{added} · {note}" if note else str(added)
        note_move(activity, "add_participants", actor=actor, at=at, note=text)
    db.session.flush()
    return int(added)


def remove_all(activity: Activity, *, actor: User | None, at: datetime | None = None) -> int:
    """Take every customer the actor may see off the list of an activity, into the bin. Returns how many. Flushes."""
    seen = sa.select(Customer.id).where(Customer.id == Participant.customer_id, in_reach_of(actor))
    which = [Participant.activity_id == activity.id, seen.exists()]
    name = sa.select(Customer.name).where(Customer.id == Participant.customer_id).scalar_subquery()
    move = "activity.remove_participants"
    removed = recycle.delete_many(Participant, which, label=name, move=move, actor=actor, at=at)
    if removed:
        note_move(activity, "remove_participants", actor=actor, at=at, note=str(removed))
    db.session.flush()
    return removed
