"""Handing over what a person owns, and undoing it. Flush, never commit.

Set-based: the records are written down first, then each kind moves in three statements, however many they are.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import User

from app.core.changes import TOLD, insert_changes, origin, unit_of
from app.core.choices import Choice
from app.core.clock import utcnow
from app.core.errors import BusinessError, NotYours
from app.core.lifecycle import note_move
from app.core.models import AuditEntry, FieldChange, Outcome
from app.core.personal import empty_notes
from app.core.sentences import gettext as _
from app.core.types import UtcDateTime
from app.extensions import db
from app.handover.models import Handover, HandoverItem, ItemOutcome, RecordKind, RuleKind, UndoOutcome
from app.handover.plan import MOVES, Move, Plan, plan_for
from app.handover.rule import Rule
from app.notices.operations import notify
from app.security import operations as accounts
from app.security import sessions
from app.security.granting import may_change_account
from app.security.rights import holders
from app.tickets.escalation import remind_anew
from app.tickets.models import TicketStep

UNDO = timedelta(days=7)
CHUNK = 1000  # rows of one INSERT
MADE = {"handover": "create", "undo_handover": "undo"}  # what a record's history calls it -> the handover's own

item = HandoverItem.__table__


class PlanChanged(BusinessError):
    """What was confirmed is not what would be done now."""


# -- who may, and to whom -----------------------------------------------------------------------------------------


def check_leaver(leaver: User, actor: User) -> None:
    """Raises `NotYours` when it is not the actor's to hand over what this person owns. The right is the route's."""
    if leaver.id == actor.id:
        raise NotYours(_("Nobody hands over what he owns himself. Ask somebody else who may."))
    if not may_change_account(actor, leaver):
        raise NotYours(_("Only a super admin may hand over what a super admin owns."))


def check_rule(rule: Rule, leaver: User) -> None:
    """Raises `BusinessError` unless the rule is whole and all its people are active and may be given customers."""
    if rule.kind == RuleKind.one and len(rule.people) != 1:
        raise BusinessError(_("Choose the successor."))
    if rule.kind == RuleKind.evenly and len(rule.people) < 2:
        raise BusinessError(_("Choose at least two successors."))
    if rule.kind in (RuleKind.region, RuleKind.level) and rule.rest is None:
        raise BusinessError(_("Choose who gets the rest."))
    wanted = rule.successors()
    if leaver.id in wanted:
        raise BusinessError(_("%(name)s cannot be the successor.", name=leaver.get_full_name()))
    able = set(db.session.execute(holders("can_be_assigned", "Customer").where(User.id.in_(wanted))).scalars())
    if able != set(wanted):
        raise BusinessError(_("A successor is disabled or cannot be given customers. Choose again."))


# -- handing over -------------------------------------------------------------------------------------------------


def hand_over(leaver: User, rule: Rule, *, stamp: str, actor: User, at: datetime | None = None) -> Handover:
    """Move all that `leaver` owns to the successors of the rule, and end his sessions.

    `stamp` is that of the plan the actor saw. Of several who confirm at once one does it; the others, and whoever saw
    what is no longer so, get `PlanChanged`. A record that changes while this runs is left alone and listed as such.
    Nothing else of a record changes: no stage, author, result or date. Raises `NotYours`, `BusinessError`. Flushes.
    """
    at = at or utcnow()
    check_leaver(leaver, actor)
    _lock(leaver)
    check_rule(rule, leaver)
    plan = plan_for(leaver, rule)
    if plan.stamp != stamp:
        raise PlanChanged(_("What %(name)s owns has changed. Look at the plan again.", name=leaver.get_full_name()))
    if not plan.lines:
        raise BusinessError(_("%(name)s owns nothing that could be handed over.", name=leaver.get_full_name()))
    handover = Handover(actor=actor, leaver=leaver, rule=rule.to_json(), at=at, counts={})
    db.session.add(handover)
    db.session.flush()
    note_move(handover, "create", actor=actor, at=at)
    note_move(leaver, "handover", actor=actor, at=at)
    db.session.flush()
    _write_items(handover, plan)
    names = _names(handover)
    for move in MOVES:
        still = [move.model.version == item.c.version, _owned_by(move, item.c.from_id), *move.open]
        moved = {"outcome": ItemOutcome.moved}
        _transfer(
            handover, move, still, moved, item.c.to_id, item.c.from_id, names=names, actor=actor, at=at,
        )  # fmt: skip
    totals = _totals(handover)
    counts = {outcome: Counter[str]() for outcome in ItemOutcome}
    for (_to, kind, outcome, _undone), number in totals.items():
        counts[outcome][kind.value] += number
    handover.counts = {outcome.value: dict(number) for outcome, number in counts.items()}
    db.session.flush()
    sessions.end_all(leaver.id, "ended")
    _tell("handover.received", f"handover:{handover.id}", handover, totals, ItemOutcome.moved, actor=actor, at=at)
    return handover


def disable(leaver: User, *, actor: User) -> None:
    """Shut the leaver's account, once nothing is left to him. Raises `NotYours`, `BusinessError`. Flushes."""
    accounts.disable(leaver, actor=actor)


# -- undoing ------------------------------------------------------------------------------------------------------


def undo_until(handover: Handover) -> datetime:
    """The last moment at which the handover can be undone, UTC."""
    return handover.at + UNDO


def check_undo(handover: Handover, actor: User, at: datetime) -> None:
    """Raises `NotYours` or `BusinessError` when the handover cannot be undone, by this person or at this moment."""
    if handover.undone_at is not None:
        raise BusinessError(_("This handover was undone already."))
    if at > undo_until(handover):
        raise BusinessError(_("A handover can be undone for 7 days. Assign what has to change one by one."))
    if handover.leaver_id == actor.id:
        raise NotYours(_("Nobody takes back what was his himself. Ask somebody else who may."))


def undo(handover: Handover, *, actor: User, at: datetime | None = None) -> None:
    """Move back what the successors still own by this handover; whatever was changed since is left alone and listed.

    Changed means: given to somebody else, even if it came back, or closed. Ends nothing else: accounts, sessions and
    later work stay as they are. Raises `NotYours`, and `BusinessError` when it is too late or was done. Flushes.
    """
    at = at or utcnow()
    db.session.execute(sa.select(Handover.id).where(Handover.id == handover.id).with_for_update())
    db.session.refresh(handover)
    check_undo(handover, actor, at)
    names = _names(handover)
    for move in MOVES:
        back = {"undone": UndoOutcome.back}
        _transfer(
            handover, move, still_theirs(move, handover), back, item.c.from_id, item.c.to_id,
            names=names, actor=actor, at=at, action="undo_handover",
        )  # fmt: skip
    rest = [item.c.handover_id == handover.id, item.c.outcome == ItemOutcome.moved, item.c.undone.is_(None)]
    db.session.execute(sa.update(item).where(*rest).values(undone=UndoOutcome.left))
    handover.undone_at, handover.undone_by = at, actor
    db.session.flush()
    note_move(handover, "undo", actor=actor, at=at)
    note_move(handover.leaver, "undo_handover", actor=actor, at=at)
    _tell("handover.undone", f"handover.undone:{handover.id}", handover, _totals(handover), UndoOutcome.back,
          actor=actor, at=at)  # fmt: skip


def still_theirs(move: Move, handover: Handover) -> list[Any]:
    """WHEREs of the records (and their items) of one kind that the successors still own by this handover.

    That it was given away and given back is read in the history; a later handover that was itself undone does not
    count.
    """
    begun = (
        sa.select(sa.func.max(FieldChange.id))
        .where(FieldChange.record_type == "handover", FieldChange.record_id == handover.id, FieldChange.field.is_(None))
        .scalar_subquery()
    )
    assigned = sa.select(FieldChange.id).where(
        FieldChange.record_type == move.kind.value,
        FieldChange.record_id == item.c.record_id,
        FieldChange.id > begun,
        sa.func.coalesce(FieldChange.field, "") == move.owner,  # found by the record, never by the field
        FieldChange.move.not_in([f"handover.{name}" for name in MADE.values()]),
    )
    other = item.alias("other")
    handed_on = sa.select(other.c.id).where(
        other.c.record_type == item.c.record_type,
        other.c.record_id == item.c.record_id,
        other.c.id > item.c.id,
        other.c.outcome == ItemOutcome.moved,
        other.c.undone.is_distinct_from(UndoOutcome.back),
    )
    return [
        item.c.outcome == ItemOutcome.moved,
        _owned_by(move, item.c.to_id),
        *move.open,
        # Values, not EXISTS: those PostgreSQL makes joins of, which without statistics take minutes.
        assigned.correlate(item).limit(1).scalar_subquery().is_(None),
        handed_on.correlate(item).limit(1).scalar_subquery().is_(None),
    ]


# -- how both are done --------------------------------------------------------------------------------------------


def _lock(leaver: User) -> None:
    """Whoever hands over the same person's records waits here. On SQLite the write lock is ours already."""
    db.session.execute(sa.select(User.id).where(User.id == leaver.id).with_for_update(key_share=True))
    db.session.refresh(leaver)


def _owned_by(move: Move, person: Any) -> Any:
    """WHERE a record is this person's; as an expression, so that records are found by id and never by their owner."""
    return move.owner_column + 0 == person


def _write_items(handover: Handover, plan: Plan) -> None:
    rows = [
        {
            "handover_id": handover.id,
            "record_type": line.record.kind,
            "record_id": line.record.id,
            "version": line.record.version,
            "label": line.record.label,
            "from_id": handover.leaver_id,
            "to_id": line.to_id,
            "outcome": ItemOutcome.skipped,
        }
        for line in plan.lines
    ]
    for start in range(0, len(rows), CHUNK):
        db.session.execute(sa.insert(item), rows[start : start + CHUNK])


def _transfer(
    handover: Handover,
    move: Move,
    still: list[Any],
    mark: dict[str, Any],
    new: Any,
    old: Any,
    *,
    names: dict[int, str],
    actor: User,
    at: datetime,
    action: str = "handover",
) -> None:
    """Mark the items whose records are `still` as they have to be, and make those records the new owner's.

    One statement locks the records in the order of their ids, looks at them again and marks their items; one changes
    exactly those; one writes their history. The items were written a moment ago, PostgreSQL has no statistics of them:
    each statement is such that it looks ids up in an index and never joins all with all.
    """
    table = move.model.__table__
    ours = [item.c.handover_id == handover.id, item.c.record_type == move.kind]
    joined = table.join(item, sa.and_(item.c.record_id == table.c.id, *ours))
    locked = (
        sa.select(item.c.id)
        .select_from(joined)
        .where(*still)
        .order_by(table.c.id)
        .with_for_update(key_share=True, of=table)
        .cte("locked")
    )
    db.session.execute(sa.update(item).where(item.c.id.in_(sa.select(locked.c.id))).values(mark))
    marked = sa.and_(*ours, *(item.c[name] == value for name, value in mark.items()))
    values = {"version": table.c.version + 1, "changed_at": at, "changed_by_id": actor.id, move.owner: new}
    change = sa.update(table).where(table.c.id == item.c.record_id, marked, *still).values(values)
    db.session.execute(change.execution_options(**TOLD))
    name_of = lambda column: sa.case(names, value=column, else_="")  # noqa: E731
    note = name_of(old) + sa.literal(" → ") + name_of(new)
    rows = table.join(item, table.c.id == item.c.record_id)
    _history(move, rows, marked, note, action=action, actor=actor, at=at)
    told = insert_changes(
        move.kind.value, rows, table.c.id, {move.owner: (old, new)},
        where=marked, move=f"handover.{MADE[action]}", actor_id=actor.id, at=at,
    )  # fmt: skip
    db.session.execute(told)


def _history(move: Move, rows: Any, marked: Any, note: Any, *, action: str, actor: User, at: datetime) -> None:
    table = move.model.__table__
    columns: dict[str, Any] = {
        "at": sa.literal(at, UtcDateTime()),
        "actor_id": sa.literal(actor.id, sa.Integer()),
        "erased": sa.false(),
        "unit": sa.literal(unit_of(db.session)),
        **{name: sa.literal(value, sa.String()) for name, value in origin().items()},
        "record_type": sa.literal(move.kind.value),
        "record_id": table.c.id,
        "action": sa.literal(action),
        "outcome": sa.literal(Outcome.done.value),
        "from_status": sa.cast(table.c.status, sa.String()),
        "to_status": sa.cast(table.c.status, sa.String()),
        "note": note,
    }
    _insert(AuditEntry, columns, rows, marked, table.c.id)
    if move.kind == RecordKind.ticket:  # a ticket tells its history itself
        step = {
            "ticket_id": table.c.id,
            "step": sa.literal("handed_over"),
            "actor_id": columns["actor_id"],
            "at": columns["at"],
            "text": note,
        }
        _insert(TicketStep, step, rows, marked, table.c.id)
        remind_anew(sa.select(table.c.id, table.c.due_at).select_from(rows).where(marked))


def forget_people(_user: User, names: list[str]) -> None:
    """Take an erased person's names out of what the log says about who handed over to whom. Flushes."""
    naming = sa.or_(*(AuditEntry.note.contains(name, autoescape=True) for name in names))
    empty_notes(sa.and_(AuditEntry.action.in_(("handover", "undo_handover")), naming))


def _insert(model: Any, columns: dict[str, Any], rows: Any, which: Any, order: Any) -> None:
    found = sa.select(*(value.label(name) for name, value in columns.items())).select_from(rows).where(which)
    made = sa.insert(model.__table__).from_select(list(columns), found.order_by(order), include_defaults=False)
    db.session.execute(made)


def _names(handover: Handover) -> dict[int, str]:
    """Everybody of a handover by name, as people write it."""
    ids = {handover.leaver_id, *Rule.from_json(handover.rule).successors()}
    people = db.session.execute(sa.select(User).where(User.id.in_(ids))).scalars()
    return {person.id: person.get_full_name() for person in people}


Totals = dict[tuple[int, RecordKind, ItemOutcome, UndoOutcome | None], int]


def _totals(handover: Handover) -> Totals:
    """(successor, kind, outcome, what the undoing did) -> how many records."""
    columns = (HandoverItem.to_id, HandoverItem.record_type, HandoverItem.outcome, HandoverItem.undone)
    found = sa.select(*columns, sa.func.count()).where(HandoverItem.handover_id == handover.id).group_by(*columns)
    return {(to, kind, outcome, undone): number for to, kind, outcome, undone, number in db.session.execute(found)}


def _tell(
    kind: str, event: str, handover: Handover, totals: Totals, which: Choice, *, actor: User, at: datetime
) -> None:
    """Every successor hears once how many customers and other records he got, or gave back."""
    got: dict[int, Counter[RecordKind]] = {}
    for (to, record_type, outcome, undone), count in totals.items():
        if which in (outcome, undone):
            got.setdefault(to, Counter())[record_type] += count
    people = db.session.execute(sa.select(User).where(User.id.in_(got))).scalars()
    for person in people:
        number = got[person.id]
        notify(
            kind,
            to=person,
            record=handover,
            event=event,
            at=at,
            but=actor,
            name=handover.leaver.get_full_name(),
            customers=number[RecordKind.customer],
            opportunities=number[RecordKind.opportunity],
            tickets=number[RecordKind.ticket],
            others=number[RecordKind.feedback] + number[RecordKind.complaint],
        )
