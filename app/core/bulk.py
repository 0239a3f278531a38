"""Bulk changes and the way back: what one action did to many records is undone from its receipt, for 7 days.

What was changed is read in the change log: the rows that carry the number of the bulk change. Flush, never commit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from flask_appbuilder import Model
from flask_appbuilder.security.sqla.models import User
from sqlalchemy.exc import IntegrityError

from app.core.changes import as_text, is_told, moving
from app.core.clock import utcnow
from app.core.errors import BusinessError, StepRefused
from app.core.history import typed
from app.core.lifecycle import FASTER, note_move
from app.core.models import BulkChange, FieldChange
from app.core.sentences import gettext as _
from app.extensions import db

UNDO = timedelta(days=7)
STATE = ("status", "deleted_at")
"""Whoever changed these since has gone on with the record: it is left alone."""


@dataclass(frozen=True)
class Kind:
    """One bulk action: what it is called, and the right that does it and takes it back."""

    label: Any
    right: str
    view: str
    back: Callable[[Any, User, datetime], None] | None = None
    owner: str | None = None
    """The column that says whose a record is, where the action gives it to somebody."""


KINDS: dict[tuple[str, str], Kind] = {}
"""(table, action) -> kind; each domain adds its own when it is registered."""


ON_UNDONE: dict[str, Callable[[BulkChange, Counter[int], User, datetime], None]] = {}
"""Who has to hear of an undone bulk change: called with how many records each person lost by it."""


def begin(record_type: str, action: str, *, actor: User, at: datetime | None = None) -> BulkChange:
    """The receipt of a bulk change that begins now. Flushes."""
    made = BulkChange(record_type=record_type, action=action, actor_id=actor.id, at=at or utcnow())
    db.session.add(made)
    db.session.flush()
    return made


def finish(receipt: BulkChange, *, done: int, skipped: int = 0) -> None:
    """Add what became of (some of) the records; a receipt for nothing is thrown away. Flushes."""
    receipt.done += done
    receipt.skipped += skipped
    if not receipt.done:
        db.session.delete(receipt)
    db.session.flush()


def kind_of(receipt: BulkChange) -> Kind | None:
    """What the bulk change was; None for one that is no longer known."""
    return KINDS.get((receipt.record_type, receipt.action))


def undo_until(receipt: BulkChange) -> datetime:
    """The last moment at which it can be undone, UTC."""
    return receipt.at + UNDO


def check_undo(receipt: BulkChange, at: datetime) -> None:
    """Raises `BusinessError` when it was undone already, is too old, or is of a kind that is no more."""
    if receipt.undone_at is not None:
        raise BusinessError(_("This bulk change was undone already."))
    if at > undo_until(receipt) or kind_of(receipt) is None:
        raise BusinessError(_("A bulk change can be undone for 7 days. Change the records one by one."))


def undo(receipt: BulkChange, *, actor: User, at: datetime | None = None) -> int:
    """Give the records their values of before; whatever was changed since is left alone. Returns how many went back.

    Changed means: one of the changed fields, or the state, was changed again, even if it came back. What was made is
    removed, what was removed is made again. Who may is the caller's to ask. Raises `BusinessError`. Flushes.
    """
    at = at or utcnow()
    db.session.execute(sa.select(BulkChange.id).where(BulkChange.id == receipt.id).with_for_update())
    db.session.refresh(receipt)
    check_undo(receipt, at)
    kind, model = kind_of(receipt), _model(receipt.record_type)
    back, lost = 0, Counter[int]()
    with moving(receipt.record_type, "undo_bulk", actor=actor, at=at):
        for pk, values in _left(receipt).items():
            try:
                with db.session.begin_nested():
                    _put_back(model, pk, values, kind, actor=actor, at=at)
            except (BusinessError, IntegrityError):
                continue  # its rules, or another record, speak against it now
            back += 1
            _was, now = values.get(kind.owner, (None, None)) if kind is not None else (None, None)
            if now is not None:
                lost[int(now)] += 1
    receipt.undone_at, receipt.undone_by, receipt.back = at, actor, back
    db.session.flush()
    for tell in ON_UNDONE.values():
        tell(receipt, lost, actor, at)
    return back


def would_go_back(receipt: BulkChange) -> int:
    """How many records the undoing would find as the bulk change left them; rules of their own come on top."""
    return len(_left(receipt))


def _model(table: str) -> Any:
    return next(m.class_ for m in Model.registry.mappers if is_told(m.class_) and m.class_.__tablename__ == table)


Values = dict[str | None, tuple[str | None, str | None]]


def _left(receipt: BulkChange) -> dict[int, Values]:
    """Record -> field -> (from, to) of the records that are still as the bulk change left them."""
    changed: dict[int, Values] = {}
    newest = sa.func.max(FieldChange.id)
    own = FieldChange.bulk_id == receipt.id
    for change in db.session.execute(sa.select(FieldChange).where(own).order_by(FieldChange.id)).scalars():
        values = changed.setdefault(change.record_id, {})
        first = values.get(change.field, (change.before, None))[0]
        values[change.field] = (first, change.after)
    told = sa.select(FieldChange.record_id).where(own)
    fields = {field for values in changed.values() for field in values if field} | set(STATE)
    later = (
        sa.select(FieldChange.record_id)
        .where(FieldChange.record_type == receipt.record_type, FieldChange.record_id.in_(told))
        .where(sa.or_(FieldChange.field.in_(fields), FieldChange.field.is_(None)))
        .group_by(FieldChange.record_id)
        .having(newest > sa.func.max(sa.case((own, FieldChange.id), else_=0)))
    )
    gone_on = set(db.session.execute(later).scalars())
    return {pk: values for pk, values in changed.items() if pk not in gone_on}


def _put_back(model: Any, pk: int, values: Values, kind: Kind | None, *, actor: User, at: datetime) -> None:
    record = db.session.get(model, pk, with_for_update={"of": model, "key_share": True})
    if None in values:  # it was made
        if record is None:
            raise StepRefused(str(FASTER))
        db.session.delete(record)
    elif record is None:  # it was removed
        columns = sa.inspect(model).columns
        record = model(**{str(name): typed(columns[name].type, was) for name, (was, _now) in values.items() if was})
        db.session.add(record)
    else:
        columns = sa.inspect(model).columns
        if any(as_text(getattr(record, str(name))) != now for name, (_was, now) in values.items()):
            raise StepRefused(str(FASTER))
        before = getattr(record, "status", None)
        for name, (was, _now) in values.items():
            setattr(record, str(name), None if was is None else typed(columns[str(name)].type, was))
        if kind is not None and kind.back is not None:
            kind.back(record, actor, at)
        db.session.flush()
        note_move(record, "undo_bulk", actor=actor, at=at, before=before)
    db.session.flush()
