"""操作记录 and 变更: the moves of a record, and its fields from what to what, as its page tells them.

The log keeps codes, ids and ISO times as text; what it kept may be older than today's columns, so nothing here fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from flask import current_app
from flask_appbuilder.security.sqla.models import User
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import RelationshipProperty, selectinload

from app.core.changes import is_told
from app.core.choices import ChoiceType
from app.core.format import NOTHING, cell, stars
from app.core.language import chinese
from app.core.lifecycle import LABELS
from app.core.models import AuditEntry, FieldChange, Outcome
from app.core.protected import shown_masked
from app.core.screen import Screen
from app.core.types import Money, UtcDateTime
from app.extensions import db

FIRST = 20  # changes on a record's page; the older ones are behind a link

ACTIONS: dict[str, tuple[Any, str]] = {
    "create": (_l("created it"), "plus"),
    "edit": (_l("changed it"), "pencil"),
    "delete": (_l("deleted it"), "trash"),
    "restore": (_l("restored it"), "arrow-back-up"),
    "purge": (_l("purged it for good"), "trash"),
}
"""Action -> (words, icon). Domains add theirs with `tell`."""

ATTEMPTS: dict[str, Any] = {
    "create": _l("Create"), "edit": _l("Change"), "delete": _l("Delete"), "restore": _l("Restore"),
    "purge": _l("Purge for good"),
}  # fmt: skip
"""What an action that is no step is called when it was refused; a step is called what its button says."""


@dataclass(frozen=True)
class Told:
    """One line of a history."""

    who: User | None
    words: Any
    icon: str
    at: datetime
    note: str | None
    refused: bool


def tell(record_type: str, action: str, words: Any, icon: str, *, attempt: Any = None) -> None:
    """Say how an action of one kind of record reads in a history: "assigned it".

    `attempt` is what it is called when it was refused; steps need none, they are called what their button says.
    """
    ACTIONS[f"{record_type}.{action}"] = (words, icon)
    if attempt is not None:
        ATTEMPTS[f"{record_type}.{action}"] = attempt


def history_of(record: Any, parts: Iterable[Any] = (), *, limit: int = 30) -> list[Told]:
    """The newest moves of a record and its parts, newest first, done and refused, in one statement (and people)."""
    wanted = [sa.and_(AuditEntry.record_type == record.__tablename__, AuditEntry.record_id == record.id)]
    ids = [part.id for part in parts]
    if ids:
        kind = next(iter(parts)).__tablename__
        wanted.append(sa.and_(AuditEntry.record_type == kind, AuditEntry.record_id.in_(ids)))
    entries = db.session.execute(
        sa.select(AuditEntry)
        .where(sa.or_(*wanted))
        .options(selectinload(AuditEntry.actor))
        .order_by(AuditEntry.at.desc(), AuditEntry.id.desc())
        .limit(limit)
    ).scalars()
    states = getattr(record, "STATUS", None)
    return [_told(entry, LABELS.get((states, entry.action))) for entry in entries]


def _told(entry: AuditEntry, button: Any) -> Told:
    name, refused = f"{entry.record_type}.{entry.action}", entry.outcome == Outcome.refused
    words, icon = ACTIONS.get(name) or ACTIONS.get(entry.action, (entry.action, "point"))
    if refused:
        tried = button or ATTEMPTS.get(name) or ATTEMPTS.get(entry.action, words)
        words = _("tried “%(action)s”: refused", action=tried)
    return Told(entry.actor, words, icon, entry.at, entry.words, refused)


# -- field by field ---------------------------------------------------------------------------------------------

FIELD_LABELS: dict[str, Callable[[str], Any]] = {}
"""Table -> the label of a field that is no column of its screen, or None; a role's rights, say."""

OFF_SCREENS = {"deleted_at": _l("Deleted at")}
"""Columns that many tables have and no screen names."""

KINDS: dict[str, Any] = {}
"""Table without a screen -> what people call its records."""

VALUES: dict[str, Callable[[str, str], Any]] = {}
"""Table -> how the kept value of a field reads where its column does not say so, or None."""

WHOLE = {"ab_role"}
"""Tables whose fields are all read by whoever may open the record."""

EVERYBODY_KNOWS = {"ab_user", "team", "dictionary_item"}
"""Tables whose rows may be named to everybody who reads that something points to them."""


@dataclass(frozen=True)
class Change:
    """One line of 变更: a field from what to what, or that the record was made."""

    id: int
    who: User | None
    at: datetime
    move: Any
    source: str | None
    field: Any
    before: Any
    after: Any
    erased: bool


def changes_of(view: Any, record: Any, *, older_than: int | None = None) -> tuple[list[Change], int | None]:
    """The newest changes of a record this reader may see, newest first; and the id before which older ones begin.

    The caller has loaded the record in the reader's scope. One statement, and one for each table that is named.
    """
    model = view.datamodel.obj
    wanted = [FieldChange.record_type == model.__tablename__, FieldChange.record_id == record.id]
    fields = readable_fields(view)
    if fields is not None:
        wanted.append(sa.or_(FieldChange.field.is_(None), FieldChange.field.in_(sorted(fields))))
    if older_than is not None:
        wanted.append(FieldChange.id < older_than)
    found = sa.select(FieldChange).where(*wanted).options(selectinload(FieldChange.actor))
    rows = list(db.session.execute(found.order_by(FieldChange.id.desc()).limit(FIRST + 1)).scalars())
    shown = rows[:FIRST]
    return told(view, shown, record), shown[-1].id if len(rows) > FIRST else None


def told(view: Any, rows: Iterable[FieldChange], record: Any) -> list[Change]:
    """The changes of one record that the reader may see, in words; protected fields masked as on its page."""
    rows = [row for row in rows if row.field is None or may_read(view, row.field)]
    names = _named(view.datamodel.obj, rows)
    return [
        Change(
            row.id, row.actor, row.at, move_words(row.move, row.record_type), row.source,
            None if row.field is None else field_label(view, row.field),
            _seen(view, row.field, row.before, names, record), _seen(view, row.field, row.after, names, record),
            row.erased,
        )
        for row in rows
    ]  # fmt: skip


def readable_fields(view: Any) -> set[str] | None:
    """The columns whose changes this reader may see on this screen: those it names; None for all."""
    if view.datamodel.obj.__tablename__ in WHOLE:
        return None
    names = {name.rpartition(".")[2] for name in named_columns(view)}
    return names | {f"{name}_id" for name in names}


def named_columns(view: Any) -> list[str]:
    """The columns a screen shows or asks for, each once."""
    return list(dict.fromkeys([*view.show_columns, *view.list_columns, *view.add_columns, *view.edit_columns]))


def may_read(view: Any, field: str) -> bool:
    """Whether the reader may see changes of this field on this screen."""
    fields = readable_fields(view)
    return fields is None or field in fields


def field_label(view: Any, field: Any) -> Any:
    """What people call a column: as its screen does."""
    own = FIELD_LABELS.get(view.datamodel.obj.__tablename__, lambda _field: None)(field) or OFF_SCREENS.get(field)
    labels, relation = view.label_columns, field.removesuffix("_id")
    return own or labels.get(relation) or labels.get(field) or labels.get(f"profile.{relation}") or field


def move_words(move: str, record_type: str) -> Any:
    """What a move is called on the page of a record: "assigned it", and of whose, if it was another record's."""
    kind, _dot, action = move.partition(".")
    words = (ACTIONS.get(move) or ACTIONS.get(action) or (action,))[0]
    return words if kind == record_type else f"{record_kind(kind)}{'：' if chinese() else ': '}{words}"


def views_by_table() -> dict[str, Any]:
    """Table name -> the screen of its records."""
    views = [view for view in current_app.appbuilder.baseviews if isinstance(view, Screen)]  # type: ignore[attr-defined]
    return {view.datamodel.obj.__tablename__: view for view in reversed(views)}


def record_kind(table: str) -> Any:
    """What people call the records of a table."""
    view = views_by_table().get(table)
    return (view.show_title or view.list_title) if view is not None else KINDS.get(table, table)


def has_changes(view: Any) -> bool:
    """Whether the changes of a screen's records are told."""
    return is_told(view.datamodel.obj)


def _relation(model: Any, field: str | None) -> Any:
    """The relation a foreign key belongs to, None for other columns."""
    if not (field or "").endswith("_id"):
        return None
    profile = getattr(getattr(model, "profile", None), "property", None)  # what is told as part of an account
    owners = [model, *([profile.mapper.class_] if isinstance(profile, RelationshipProperty) else [])]
    named = [getattr(getattr(owner, str(field).removesuffix("_id"), None), "property", None) for owner in owners]
    return next((relation for relation in named if isinstance(relation, RelationshipProperty)), None)


def _named(model: Any, rows: list[FieldChange]) -> dict[tuple[str, int], Any]:
    """(table, id) -> the row, of everything the changes point to and the reader may see; one statement per table."""
    wanted: dict[Any, set[int]] = {}
    for row in rows:
        relation = _relation(model, row.field)
        if relation is not None:
            ids = {int(kept) for kept in (row.before, row.after) if kept and kept.isdecimal()}
            wanted.setdefault(relation.mapper.class_, set()).update(ids)
    found: dict[tuple[str, int], Any] = {}
    for target, ids in wanted.items():
        table, view = target.__tablename__, views_by_table().get(target.__tablename__)
        if table in EVERYBODY_KNOWS:
            select = sa.select(target)
        elif view is not None and view.allows("show"):
            select = view.scope.select()
        else:
            continue
        for one in db.session.execute(select.where(target.id.in_(ids))).scalars() if ids else ():
            found[table, one.id] = one
    return found


def _seen(view: Any, field: str | None, kept: str | None, names: dict[tuple[str, int], Any], record: Any) -> Any:
    if kept and field is not None and not view.sees_field(field, record):
        return shown_masked(kept, _("Your role does not show this in full."))
    return _value(view, field, kept, names)


def _value(view: Any, field: str | None, kept: str | None, names: dict[tuple[str, int], Any]) -> Any:
    model = view.datamodel.obj
    if not kept or field is None:
        return NOTHING
    own = VALUES.get(model.__tablename__, lambda _field, _kept: None)(field, kept)
    if own is not None:
        return own
    relation = _relation(model, field)
    if relation is not None and kept.isdecimal():
        found = names.get((relation.mapper.class_.__tablename__, int(kept)))
        return cell(found) if found is not None else _("a record you cannot see")
    column = getattr(model, field, None)
    kind = getattr(column, "type", None)
    try:
        value = typed(kind, kept)
    except (ValueError, ArithmeticError):
        return cell(kept)
    own = (view.formatters_columns or {}).get(field)
    if own is not None:
        return own(value)
    columns = getattr(getattr(column, "property", None), "columns", None)
    return stars(value) if columns and columns[0].info.get("stars") else cell(value)


def typed(kind: Any, kept: str) -> Any:
    """The value the kept text stands for."""
    if isinstance(kind, ChoiceType):
        return kind.choices(kept)
    if isinstance(kind, sa.Boolean):
        return kept == "1"
    if isinstance(kind, Money):
        return Decimal(kept)
    if isinstance(kind, sa.Integer):
        return int(kept)
    if isinstance(kind, UtcDateTime):
        return datetime.fromisoformat(kept)
    if isinstance(kind, sa.Date):
        return date.fromisoformat(kept)
    return kept
