"""个人信息: what is kept about one person, to be shown, taken away as a file, and erased on request.

Each domain says what it holds (`holds`). Erasing empties these columns and takes the person's name, numbers and
addresses out of texts, in the rows and in the change log: values there are emptied for good (docs/decisions/0022).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import User

from app.core import recycle
from app.core.changes import as_text, moving
from app.core.lifecycle import note_move
from app.core.models import AuditEntry, FieldChange
from app.core.scope import row_id
from app.extensions import db

GONE = "***"
"""What stands where a name was; names cannot be empty."""

SHORTEST = 2  # characters of a name or number that is looked for in texts


@dataclass(frozen=True)
class Holding:
    """What one table holds about a person: columns that are his, and texts he may be named in."""

    label: Any
    rows: Callable[[Any], list[Any]]
    columns: tuple[str, ...]
    texts: tuple[str, ...] = ()
    after: Callable[[Any], None] | None = None
    told: bool = True  # its changes are in the change log
    shown: tuple[str, ...] = ()  # shown and taken along; `after` sees to what becomes of it
    only_naming: bool = False  # rows that are not his: only those whose texts name him are shown and changed

    @property
    def fields(self) -> tuple[str, ...]:
        """What is shown of a row, and taken along."""
        return (*self.columns, *self.texts, *self.shown)


@dataclass(frozen=True)
class Kind:
    """A kind of person: whose rows they are, by what they are found, and what is looked for in texts."""

    label: Any
    model: Any
    found_by: tuple[Any, ...]
    words: tuple[str, ...]
    name: Callable[[Any], str]
    where: Callable[[Any], str]
    check: Callable[[Any, User], None] | None = None
    names: Callable[[Any], set[str]] = lambda _person: set()
    """What the person was called earlier, and his numbers and addresses of then, where they are known."""


KINDS: dict[str, Kind] = {}
HOLDINGS: dict[str, list[Holding]] = {}
COPIES: dict[str, list[Callable[[Any, list[str]], None]]] = {}


def begin() -> None:
    """Forget what an earlier application of this process declared: nothing is declared twice."""
    for declared in (KINDS, HOLDINGS, COPIES):
        declared.clear()


def holds(kind: str, *holdings: Holding) -> None:
    """Say what more is kept about a kind of person."""
    HOLDINGS.setdefault(kind, []).extend(holdings)


def copies(kind: str, forget: Callable[[Any, list[str]], None]) -> None:
    """Say where copies of such a person's name are kept beside what is his: `forget` takes the person, still named,
    and all his names, the longest first, and takes them out."""
    COPIES.setdefault(kind, []).append(forget)


def person(key: str) -> Any:
    """The person an address names, contact-12 say; None for whatever is none."""
    kind, _dash, number = key.partition("-")
    pk = row_id(number)
    return db.session.get(KINDS[kind].model, pk) if kind in KINDS and pk else None


def rows_about(kind: str, person: Any) -> Iterator[tuple[Holding, Any]]:
    """Every row that holds something about the person, each once; of those that are not his, which name him."""
    words, seen = words_of(kind, person), set()
    for holding in sorted(HOLDINGS[kind], key=lambda holding: holding.only_naming):
        for row in holding.rows(person):
            if holding.only_naming and (row in seen or not _names(holding, row, words)):
                continue
            seen.add(row)
            yield holding, row


def _names(holding: Holding, row: Any, words: list[str]) -> bool:
    texts = [str(getattr(row, name) or "") for name in holding.texts]
    return any(word in text for word in words for text in texts)


def earlier(person: Any, *fields: str) -> set[str]:
    """What stood in these columns of the person before, as the change log keeps it."""
    its = (FieldChange.record_type == person.__tablename__, FieldChange.record_id == person.id)
    kept = sa.select(FieldChange.before).where(*its, FieldChange.field.in_(fields), FieldChange.before.is_not(None))
    return set(db.session.execute(kept).scalars())


def words_of(kind: str, person: Any) -> list[str]:
    """The names, numbers and addresses by which texts may name the person, the longest first."""
    found = {str(getattr(person, name) or "").strip() for name in KINDS[kind].words}
    return _longest_first(found | set(names_of(kind, person)))


def names_of(kind: str, person: Any) -> list[str]:
    """What the person is and was called, the longest name first."""
    return _longest_first({KINDS[kind].name(person), *KINDS[kind].names(person)})


def _longest_first(words: set[str]) -> list[str]:
    return sorted((word for word in words if len(word) >= SHORTEST and word != GONE), key=len, reverse=True)


def changes_about(kind: str, person: Any) -> list[FieldChange]:
    """The changes that keep values about the person, oldest first."""
    found: dict[int, FieldChange] = {}
    for where in _told_about(kind, person):
        kept = db.session.execute(sa.select(FieldChange).where(where, ~FieldChange.erased)).scalars()
        found.update((change.id, change) for change in kept)
    return [found[key] for key in sorted(found)]


def check(kind: str, person: Any, actor: User) -> None:
    """Raises `BusinessError` when this person's data cannot be erased now."""
    rule = KINDS[kind].check
    if rule is not None:
        rule(person, actor)


def erase(kind: str, person: Any, *, actor: User) -> int:
    """Anonymise a person: in every row about him, and in what the logs keep of them. Returns how many rows.

    One entry says who did it and when. It cannot be undone. Raises `BusinessError` by the rule of the kind. Flushes.
    """
    check(kind, person, actor)
    words, log, notes = words_of(kind, person), _told_about(kind, person), _notes_about(kind, person)
    about, table = list(rows_about(kind, person)), person.__tablename__
    with moving(table, "erase", actor=actor, keeps_values=False):
        names = names_of(kind, person)
        for forget in COPIES.get(kind, ()) if names else ():
            forget(person, names)
        for holding, row in about:
            for name in holding.columns:
                setattr(row, name, _empty(row, name))
            for name in holding.texts:
                setattr(row, name, _fitting(row, name, without(getattr(row, name), words)))
            if holding.after is not None:
                holding.after(row)
        db.session.flush()
        for _holding, row in about:
            recycle.rename(row)
    for where in log:
        empty = sa.update(FieldChange).where(where, ~FieldChange.erased)
        db.session.execute(_quietly(empty.values(before=None, after=None, erased=True)))
    for where in notes:
        empty_notes(where)
    note_move(person, "erase", actor=actor)
    db.session.flush()
    return len(about)


def empty_notes(where: Any) -> None:
    """Empty the notes of these entries for good. One statement, which the triggers of the log let pass."""
    empty = sa.update(AuditEntry).where(where, ~AuditEntry.erased)
    db.session.execute(_quietly(empty.values(note=None, changes=sa.null(), erased=True)))


def without(text: Any, words: list[str]) -> Any:
    """A text, or a dict of texts, without these words."""
    if isinstance(text, dict):
        return {name: without(value, words) for name, value in text.items()}
    for word in words:
        text = text.replace(word, GONE) if isinstance(text, str) else text
    return text


def as_kept(row: Any, name: str) -> str | None:
    """A value as a file has it."""
    return as_text(getattr(row, name))


def _empty(row: Any, name: str) -> Any:
    """What a column holds of nobody: nothing, or a sign where something must stand."""
    column = sa.inspect(type(row)).columns[name]
    if column.nullable:
        return None
    return f"erased-{row.id}" if name in ("username", "email") else GONE


def _fitting(row: Any, name: str, text: Any) -> Any:
    """As much of a text as its column takes: the sign may be longer than the name it stands for."""
    longest = getattr(sa.inspect(type(row)).columns[name].type, "length", None)
    return text[:longest] if isinstance(text, str) else text


def _told_about(kind: str, person: Any) -> list[Any]:
    """WHEREs of the changes that keep something about the person: his columns, and texts that name or named him."""
    words, found = words_of(kind, person), []
    for holding, rows in _told_rows(kind, person):
        its = _records(FieldChange, getattr(type(rows[0]), "history_as", rows[0].__tablename__), rows)
        if holding.columns:
            found.append(sa.and_(*its, FieldChange.field.in_(holding.columns)))
        if holding.texts and words:
            naming = [c.contains(w, autoescape=True) for w in words for c in (FieldChange.before, FieldChange.after)]
            found.append(sa.and_(*its, FieldChange.field.in_(holding.texts), sa.or_(*naming)))
    return found


def _notes_about(kind: str, person: Any) -> list[Any]:
    """WHEREs of the entries about these rows that name the person in their note."""
    words = words_of(kind, person)
    naming = sa.or_(sa.false(), *(AuditEntry.note.contains(word, autoescape=True) for word in words))
    return [
        sa.and_(*_records(AuditEntry, rows[0].__tablename__, rows), naming)
        for _holding, rows in _told_rows(kind, person)
    ]


def _told_rows(kind: str, person: Any) -> list[tuple[Holding, list[Any]]]:
    """The rows whose changes are told, also those that do not name the person any more."""
    held = [(holding, holding.rows(person)) for holding in HOLDINGS[kind] if holding.told]
    return [(holding, rows) for holding, rows in held if rows]


def _records(log: Any, table: str, rows: list[Any]) -> tuple[Any, Any]:
    return log.record_type == table, log.record_id.in_([sa.inspect(row).identity[0] for row in rows])


def _quietly(statement: Any) -> Any:
    return statement.execution_options(synchronize_session=False)
