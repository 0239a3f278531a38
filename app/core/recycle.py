"""回收站: what was deleted is hidden, not gone. It comes back with what went along, or is purged for good later.

Each domain says what can be deleted (`KINDS`) and what hangs on what (`hangs`). A deletion hides the record and, at the
same instant, all that hangs on it; only the record itself has a line in the bin. Flush, never commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from flask import current_app
from flask_appbuilder import Model
from flask_appbuilder.security.sqla.models import User

from app.core.changes import TOLD, as_text, insert_changes, is_told, moving
from app.core.clock import local, utcnow
from app.core.errors import BusinessError, StepRefused
from app.core.history import record_kind
from app.core.lifecycle import FASTER, note_move
from app.core.models import AuditEntry, Deletion, FieldChange, SoftDeleted, current_user_id
from app.core.sentences import gettext as _
from app.core.types import UtcDateTime
from app.extensions import db

LONGEST_LABEL = 200


@dataclass(frozen=True)
class Kind:
    """One kind of record that is deleted by people: what it is called and who may bring it back."""

    label: Any
    model: Any
    right: tuple[str, str] | None  # (right, view) that deletes it; None: `whose` asks
    whose: Callable[[], sa.ColumnElement[bool] | None]  # WHERE a deleted one is the reader's to delete; None: all
    name: Callable[[Any], str] = str
    check: Callable[[Any, User | None], None] | None = None  # raises BusinessError when it cannot come back
    after: Callable[[Any], None] | None = None  # what follows when it came back
    purged: Callable[[list[Any]], None] | None = None  # what goes with rows that are purged: their files
    part_of: tuple[str, Callable[[Any], Any]] | None = None  # (word, record) whose history tells of it


@dataclass(frozen=True)
class Link:
    """Rows of `model` hang on those of the table `parent`: `column` names them, by `typed` where it may be several."""

    model: Any
    parent: str
    column: Any
    typed: Any = None

    def of(self, parents: Any) -> list[sa.ColumnElement[bool]]:
        """WHEREs of the rows that hang on these (ids, or a SELECT of them)."""
        own = [] if self.typed is None else [self.typed == self.parent]
        return [self.column.in_(parents), *own]

    def parent_id(self, record: Any) -> int | None:
        """On which row of `parent` this record hangs; None if on none."""
        if self.typed is not None and getattr(record, self.typed.key) != self.parent:
            return None
        found: int | None = getattr(record, self.column.key)
        return found


KINDS: dict[str, Kind] = {}
"""Table -> kind; each domain adds its own when it is registered. The order is that of the filter."""

LINKS: dict[tuple[str, str], Link] = {}


def hangs(model: Any, parent: str, column: Any, *, typed: Any = None) -> None:
    """Say that rows of `model` go and come with what `column` names. What cannot be hidden is purged with it only."""
    LINKS[model.__tablename__, parent] = Link(model, parent, column, typed)


def is_deleted(record: Any) -> bool:
    """Whether a record is deleted, by itself or with another."""
    if isinstance(record, SoftDeleted):
        return record.deleted_at is not None
    return bool(record.status == record.STATUS("deleted"))


# -- deleting ---------------------------------------------------------------------------------------------------


def delete(record: Any, *, actor: User | None = None, at: datetime | None = None) -> None:
    """Hide a record and what hangs on it, and put it into the bin. Who may is the caller's to ask. Flushes.

    Raises `StaleDataError` when somebody changed it meanwhile.
    """
    at, table, actor_id = at or utcnow(), record.__tablename__, actor.id if actor is not None else current_user_id()
    line = Deletion(record_type=table, record_id=record.id, label=_label(record), at=at, actor_id=actor_id, children=0)
    with moving(table, "delete", actor=db.session.get(User, actor_id or 0), at=at):
        if isinstance(record, SoftDeleted):
            record.deleted_at = at
        else:
            line.was, record.status = record.status.value, record.STATUS("deleted")
        db.session.flush()
        line.children = _turn(table, [record.id], None, at, move=f"{table}.delete", actor_id=actor_id, at=at)
        db.session.add(line)
        db.session.flush()


def delete_many(
    model: Any, which: list[Any], *, label: Any, move: str, actor: User | None, at: datetime | None = None
) -> int:
    """Hide many rows on which nothing hangs, each with its own line in the bin. Three statements. Returns how many.

    `label` is an expression of a row's name, `move` what its changes are told as.
    """
    at, actor_id, table = at or utcnow(), actor.id if actor is not None else None, model.__tablename__
    which = [*which, model.deleted_at.is_(None)]
    line = {
        "record_type": sa.literal(table), "record_id": model.id, "label": sa.func.substr(label, 1, LONGEST_LABEL),
        "at": sa.literal(at, UtcDateTime()), "actor_id": sa.literal(actor_id, sa.Integer()), "children": sa.literal(0),
    }  # fmt: skip
    lines = sa.select(*(value.label(name) for name, value in line.items())).select_from(model).where(*which)
    db.session.execute(sa.insert(Deletion.__table__).from_select(list(line), lines, include_defaults=False))
    return _set(model, which, None, at, move=move, actor_id=actor_id, at=at)


def _turn(table: str, parents: Any, was: datetime | None, now: datetime | None, **told: Any) -> int:
    """Hide what hangs on these rows (`was` None), or show again what was hidden with them; returns how many rows."""
    count = 0
    for link in LINKS.values():
        if link.parent != table or not issubclass(link.model, SoftDeleted):
            continue
        model, kind = link.model, link.model.__tablename__
        if was is None:
            state = [model.deleted_at.is_(None)]
        else:  # what has a line of its own was deleted by itself
            own = sa.select(Deletion.id).where(Deletion.record_type == kind, Deletion.record_id == model.id)
            state = [model.deleted_at == was, ~own.exists()]
        which = [*link.of(parents), *state]
        count += _turn(kind, sa.select(model.id).where(*which), was, now, **told)
        count += _set(model, which, was, now, **told)
    return count


def _set(
    model: Any, which: list[Any], was: datetime | None, now: datetime | None, *, move: str, actor_id: int | None,
    at: datetime,
) -> int:  # fmt: skip
    """Write the instant of deletion into many rows, and tell it. Two statements."""
    db.session.flush()
    values = [sa.null() if moment is None else sa.literal(as_text(moment)) for moment in (was, now)]
    fields = {"deleted_at": (values[0], values[1])}
    db.session.execute(
        insert_changes(
            model.__tablename__, model.__table__, model.id, fields,
            where=sa.and_(*which), move=move, actor_id=actor_id, at=at,
        )
    )  # fmt: skip
    changed: dict[str, Any] = {"deleted_at": now}
    if hasattr(model, "version"):
        changed["version"] = model.version + 1
    statement = sa.update(model).where(*which).values(changed)
    done = db.session.execute(statement.execution_options(synchronize_session=False, **TOLD)).rowcount
    if done:
        db.session.expire_all()
    return int(done)


def _label(record: Any) -> str:
    return KINDS[record.__tablename__].name(record)[:LONGEST_LABEL]


def rename(record: Any) -> None:
    """Let the bin call a record what it is called now: its personal data was erased, say."""
    if record.__tablename__ in KINDS:
        db.session.execute(sa.update(Deletion).where(*_line_of(record)).values(label=_label(record)))


def forget(record: Any) -> None:
    """Take a record out of the bin that came back by another way: by undoing a bulk change."""
    db.session.execute(sa.delete(Deletion).where(*_line_of(record)))


def _line_of(record: Any) -> tuple[sa.ColumnElement[bool], ...]:
    return Deletion.record_type == record.__tablename__, Deletion.record_id == record.id


# -- bringing back ----------------------------------------------------------------------------------------------


def why_not_restore(line: Deletion, *, actor: User | None) -> str | None:
    """Why a record cannot be brought back now, as a sentence; None if nothing speaks against it."""
    record = db.session.get(KINDS[line.record_type].model, line.record_id)
    try:
        _check(record, list(_parents(record)), actor)
    except BusinessError as refusal:
        return str(refusal)
    return None


def restore(line: Deletion, *, actor: User | None, at: datetime | None = None) -> Any:
    """Bring back a record and exactly what was hidden with it; returns the record. Who may is the caller's to ask.

    Raises `BusinessError` when what it belongs to is deleted, or another record took its place, and `StepRefused`
    when somebody else was faster. Flushes.
    """
    at, kind, instant, was = at or utcnow(), KINDS[line.record_type], line.at, line.was
    record, parents = _claim(line)
    _check(record, parents, actor)
    actor_id, table = actor.id if actor is not None else None, record.__tablename__
    with moving(table, "restore", actor=actor, at=at):
        if isinstance(record, SoftDeleted):
            record.deleted_at = None
        else:
            record.status = record.STATUS(was)
        db.session.flush()
        _turn(table, [record.id], instant, None, move=f"{table}.restore", actor_id=actor_id, at=at)
        db.session.delete(line)
        if kind.after is not None:
            kind.after(record)
        _note(record, "restore", None, actor=actor, at=at)
        db.session.flush()
    return record


def _check(record: Any, parents: list[Any], actor: User | None) -> None:
    for parent in parents:
        if is_deleted(parent):
            raise BusinessError(_("“%(record)s” was deleted too. Restore it first.", record=_label(parent)))
    check = KINDS[record.__tablename__].check
    if check is not None:
        check(record, actor)


def _parents(record: Any, **how: Any) -> Iterator[Any]:
    """What a record hangs on; `how` it is loaded."""
    for link in LINKS.values():
        key = link.parent_id(record) if isinstance(record, link.model) else None
        parent = db.session.get(KINDS[link.parent].model, key, **how) if key is not None else None
        if parent is not None:
            yield parent


def _claim(line: Deletion) -> tuple[Any, list[Any]]:
    """Hold what a record hangs on, the record and its line, in this order, as they are now.

    Raises `StepRefused` when it was restored or purged meanwhile.
    """
    model, key, number = KINDS[line.record_type].model, line.record_id, line.id
    held: dict[str, Any] = {"with_for_update": {"key_share": True}, "populate_existing": True}
    record = db.session.get(model, key)
    parents = list(_parents(record, **held)) if record is not None else []
    record = db.session.get(model, key, **held)
    there = db.session.execute(sa.select(Deletion.id).where(Deletion.id == number).with_for_update()).first()
    if record is None or there is None or not is_deleted(record):
        raise StepRefused(str(FASTER))
    return record, parents


def _note(record: Any, action: str, note: str | None, *, actor: User | None, at: datetime) -> None:
    """Tell it in the record's history; of a part, in that of what it is a part of."""
    part = KINDS[record.__tablename__].part_of
    if part is None:
        note_move(record, action, actor=actor, at=at, note=note)
    else:
        note_move(part[1](record), f"{action}_{part[0]}", actor=actor, at=at, note=note or _label(record))


# -- for good ---------------------------------------------------------------------------------------------------


def purge_from(line: Deletion) -> datetime:
    """The first moment at which it may be purged, UTC: LIUKE_PURGE_AFTER_DAYS after it was deleted."""
    days: int = current_app.config["LIUKE_PURGE_AFTER_DAYS"]
    return line.at + timedelta(days=days)


def why_not_purge(line: Deletion, *, at: datetime | None = None) -> str | None:
    """Why it cannot be purged now, as a sentence; None if nothing speaks against it."""
    record = db.session.get_one(KINDS[line.record_type].model, line.record_id)
    try:
        _check_purge(line, _below(record), at or utcnow())
    except BusinessError as refusal:
        return str(refusal)
    return None


def purge(line: Deletion, *, actor: User | None, at: datetime | None = None) -> int:
    """Remove a record for good, all that hangs on it, and what the logs keep of their values; returns how many rows.

    One entry stays and says what was purged, by whom and when. Files go when it is committed. Who may is the caller's
    to ask. Raises `BusinessError` before its time or when something that stays names it, `StepRefused` when somebody
    else was faster. Flushes.
    """
    at, label = at or utcnow(), line.label
    record, _held = _claim(line)
    gone = _below(record)
    _check_purge(line, gone, at)
    count = sum(len(ids) for model, ids in gone.values() if is_told(model))
    part, table = KINDS[record.__tablename__].part_of, record.__tablename__
    about = part[1](record) if part is not None else record
    with moving(table, "purge", actor=actor, at=at, keeps_values=False):
        for name in reversed([t.name for t in Model.metadata.sorted_tables if t.name in gone]):
            _remove(*gone[name])
    _empty_logs({name: ids for name, (_model, ids) in gone.items()})
    note = f"{label} (+{count - 1})" if count > 1 else label
    note_move(about, f"purge_{part[0]}" if part is not None else "purge", actor=actor, at=at, note=note)
    db.session.flush()
    return count


Rows = dict[str, tuple[Any, list[int]]]


def _below(record: Any) -> Rows:
    """Table -> (model, ids) of a record and all that hangs on it, whenever it was deleted."""
    gone: Rows = {record.__tablename__: (type(record), [record.id])}
    waiting = [record.__tablename__]
    while waiting:
        parent = waiting.pop()
        for link in LINKS.values():
            if link.parent != parent:
                continue
            key, table = sa.inspect(link.model).primary_key[0], link.model.__tablename__
            known = gone.get(table, (link.model, []))[1]
            found = db.session.execute(sa.select(key).where(*link.of(gone[parent][1])).distinct()).scalars()
            new = [pk for pk in found if pk not in set(known)]
            if new:
                gone[table] = (link.model, [*known, *new])
                waiting.append(table)
    return gone


def _check_purge(line: Deletion, gone: Rows, at: datetime) -> None:
    first = purge_from(line)
    if at < first:
        raise BusinessError(_("It can be purged from %(when)s on.", when=f"{local(first):%Y-%m-%d %H:%M}"))
    stays = ", ".join(f"{record_kind(table)} {count}" for table, count in _naming(gone).items())
    if stays:
        raise BusinessError(_("It cannot be purged, because records that stay name it: %(records)s.", records=stays))


def _naming(gone: Rows) -> dict[str, int]:
    """Table -> how many rows that stay name one of those that are to go, and forbid it."""
    found: dict[str, int] = {}
    for table in Model.metadata.sorted_tables:
        for key in table.foreign_keys:
            target = key.column.table.name
            if target not in gone or key.ondelete in ("CASCADE", "SET NULL"):
                continue
            named = [key.parent.in_(gone[target][1])]
            if table.name in gone:
                named.append(next(iter(table.primary_key)).not_in(gone[table.name][1]))
            count = db.session.execute(sa.select(sa.func.count()).select_from(table).where(*named)).scalar_one()
            if count:
                found[table.name] = found.get(table.name, 0) + int(count)
    return found


def _remove(model: Any, ids: list[int]) -> None:
    """Delete rows; those with a history one by one, so that it tells that they went."""
    key = sa.inspect(model).primary_key[0]
    if not is_told(model):
        db.session.execute(sa.delete(model).where(key.in_(ids)).execution_options(synchronize_session=False))
        return
    rows = list(db.session.execute(sa.select(model).where(key.in_(ids))).scalars())
    kind = KINDS.get(model.__tablename__)
    if kind is not None and kind.purged is not None:
        kind.purged(rows)
    for row in rows:
        db.session.delete(row)
    db.session.flush()
    lines = sa.delete(Deletion).where(Deletion.record_type == model.__tablename__, Deletion.record_id.in_(ids))
    db.session.execute(lines)


def _empty_logs(gone: dict[str, list[int]]) -> None:
    """Erase the values the logs keep of these records; who, when and which field stay."""
    for table, ids in gone.items():
        its = (FieldChange.record_type == table, FieldChange.record_id.in_(ids), ~FieldChange.erased)
        valued = sa.or_(FieldChange.before.is_not(None), FieldChange.after.is_not(None))
        empty = sa.update(FieldChange).where(*its, valued).values(before=None, after=None, erased=True)
        db.session.execute(empty.execution_options(synchronize_session=False))
        noted = (AuditEntry.record_type == table, AuditEntry.record_id.in_(ids), ~AuditEntry.erased)
        quiet = sa.update(AuditEntry).where(*noted, AuditEntry.note.is_not(None))
        quiet = quiet.values(note=None, changes=sa.null(), erased=True)
        db.session.execute(quiet.execution_options(synchronize_session=False))
