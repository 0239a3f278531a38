"""过期表单: what somebody else saved while a form was open, beside what was typed into it.

A form carries the version of its record and the number of the last change it knew (`seen`). What the record said then
is read from the change log; who may not see a field sees it masked here too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from flask import g, request
from flask_appbuilder.security.sqla.models import User
from markupsafe import Markup
from sqlalchemy.orm import RelationshipProperty, selectinload
from wtforms import HiddenField, StringField, TextAreaField

from app.core.format import cell
from app.core.history import Change, has_changes, told, typed
from app.core.models import FieldChange
from app.core.protected import SealedField
from app.extensions import db

LATEST = 200  # changes that are looked through where it is not known when the form was opened

UNKNOWN: Any = object()


@dataclass(frozen=True)
class Line:
    """One field: what it was, is, and would be. None where there is nothing to say."""

    label: Any
    opened: Any
    now: Any
    typed: Any
    who: User | None
    at: datetime | None
    merged: bool


def newest_change(record: Any) -> int:
    """The number of the last change of a record in the change log; 0 for none."""
    newest = sa.select(sa.func.max(FieldChange.id)).where(
        FieldChange.record_type == record.__tablename__, FieldChange.record_id == record.id
    )
    return db.session.execute(newest).scalar_one() or 0


def opened_input(record: Any) -> Markup:
    """The hidden inputs by which the form of a step says which version of its record it was opened on.

    A form that is shown again says what it said the first time, until its person has seen the newer version.
    """
    if not hasattr(record, "version"):
        return Markup()
    given: Any = request.form if request.method == "POST" else g.get("kept_fields") or {}
    version, seen = given.get("version"), given.get("seen", "")
    if version is None or g.get("saw_newer"):
        version, seen = record.version, newest_change(record)
    each = Markup('<input type="hidden" name="{}" value="{}">')
    return each.format("version", version) + each.format("seen", seen)


def is_stale(record: Any, form: Any) -> bool:
    """Whether somebody changed the record of a step since its form, which asks for text, was opened.

    A form that does not say when it was opened is not; nor is one of a record that was only counted up meanwhile.
    """
    given = request.form.get("version")
    if given is None or not hasattr(record, "version") or given == str(record.version) or not asks_for_text(form):
        return False
    return bool(_changes(record, _number(request.form.get("seen"))))


def asks_for_text(form: Any) -> bool:
    """Whether there is something to type in the form."""
    return any(isinstance(field, (StringField, TextAreaField)) and not isinstance(field, HiddenField) for field in form)


def compare(view: Any, record: Any, form: Any, seen: str | None) -> list[Line]:
    """Every field in which the record changed since the form was opened, or in which the form says something else.

    `record` is as it is now. A field that its person left as it was takes the newer value, also in the form: only
    what was typed stands against it. Reads at most the changes of this record.
    """
    model, mark = view.datamodel.obj, _number(seen)
    changed: dict[str, list[FieldChange]] = {}
    for row in _changes(record, mark) if has_changes(view) else []:
        changed.setdefault(row.field or "", []).append(row)
    words = {c.id: c for c in told(view, [row for rows in changed.values() for row in (rows[0], rows[-1])], record)}
    known = mark is not None and has_changes(view)
    lines = []
    for field in form:
        if isinstance(field, HiddenField) or field.type == "CSRFTokenField":
            continue
        rows = changed.pop(_column(model, field.name) or "-", [])
        lines += _line(view, record, field, rows, words, known=known)
    if known:
        lines += [_other(words[rows[0].id], words[rows[-1].id]) for rows in changed.values() if rows[0].id in words]
    return lines


def beside(record: Any, values: Iterable[tuple[str, Any, Any, Any]], seen: str | None) -> list[Line]:
    """The same for a form of a screen's own, of which only now and typed are known: those that differ, and who changed
    that field since the form was opened.

    `values`: (field as the change log calls it, label, now, typed).
    """
    last = {row.field: row for row in _changes(record, _number(seen))}
    lines = []
    for field, label, now, mine in values:
        if str(now) != str(mine):
            row = last.get(field)
            lines.append(Line(label, None, now, mine, row.actor if row else None, row.at if row else None, False))
    return lines


def _line(
    view: Any, record: Any, field: Any, rows: list[FieldChange], words: dict[int, Change], *, known: bool
) -> list[Line]:
    """The line of one field of the form, if it has anything to say."""
    sealed, name = isinstance(field, SealedField), field.name
    column = _column(view.datamodel.obj, name)
    mine = _typed(view, field, on_record=column is not None)
    if column is None:
        return [Line(field.label.text, None, None, mine, None, None, False)] if mine is not None else []
    now = getattr(record, name)
    then = _then(view, name, rows[0]) if known and rows else now if known else UNKNOWN
    theirs = then is not UNKNOWN and not _same(then, now)
    merged = known and theirs and not sealed and _same(then, field.data) and view.sees_field(name, record)
    if not theirs and (mine is None if sealed else _same(field.data, now)):
        return []
    if merged:
        field.raw_data = None
        field.process_data(now)
    last = rows[-1] if rows else None
    current = view.cell(record, name)
    before = words.get(rows[0].id) if theirs else None
    opened = before.before if before is not None else current if known and not theirs else None
    who, at = (last.actor, last.at) if last is not None and (theirs or not known) else (None, None)
    return [Line(view.label_columns[name], opened, current, None if merged else mine, who, at, merged)]


def _other(first: Change, last: Change) -> Line:
    """What changed beside the fields of the form."""
    return Line(first.field, first.before, last.after, None, last.who, last.at, False)


def _typed(view: Any, field: Any, *, on_record: bool) -> Any:
    """What was typed or chosen, as the record's page would show it; None for nothing."""
    sent = (request.form.get(field.name) or "").strip()
    if isinstance(field, SealedField) or field.data is None or isinstance(field.data, str):
        return sent or None
    shown: Any = view._cell(field.name)[1] if on_record else cell
    return shown(field.data)


def _changes(record: Any, mark: int | None) -> list[FieldChange]:
    """The changes of the record's fields after this one, oldest first; without one the newest."""
    its = (FieldChange.record_type == record.__tablename__, FieldChange.record_id == record.id)
    found = sa.select(FieldChange).where(*its, FieldChange.field.is_not(None)).options(selectinload(FieldChange.actor))
    if mark is None:
        return list(db.session.execute(found.order_by(FieldChange.id.desc()).limit(LATEST)).scalars())[::-1]
    return list(db.session.execute(found.where(FieldChange.id > mark).order_by(FieldChange.id)).scalars())


def _column(model: Any, name: str) -> str | None:
    """The column of the change log behind a field's name; None for what the record does not keep."""
    found = getattr(getattr(model, name, None), "property", None)
    if isinstance(found, RelationshipProperty):
        return str(next(iter(found.local_columns)).key)
    return name if getattr(found, "columns", None) else None


def _then(view: Any, name: str, first: FieldChange) -> Any:
    """The value before this change: of a relation its id."""
    if first.erased:
        return UNKNOWN
    found = getattr(view.datamodel.obj, name)
    kind = sa.Integer() if isinstance(found.property, RelationshipProperty) else found.type
    try:
        return None if first.before is None else typed(kind, first.before)
    except (ValueError, ArithmeticError):
        return UNKNOWN


def _same(one: Any, other: Any) -> bool:
    return bool(_plain(one) == _plain(other))


def _plain(value: Any) -> Any:
    """A value as a form tells it apart: a row by its id, a moment by its minute, no text as nothing."""
    if hasattr(value, "__mapper__"):
        return value.id
    if isinstance(value, datetime):
        return value.replace(second=0, microsecond=0)
    return None if value == "" else value


def _number(text: str | None) -> int | None:
    """The number of a change that a form carries; None for anything else."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else None
