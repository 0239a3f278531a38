"""The lines of reports that group by month, dictionary item or person: their keys in SQL, their labels in order."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from flask_babel import lazy_gettext as _l

from app.core.clock import today
from app.extensions import db
from app.masterdata.models import DictionaryItem, DictionaryType
from app.reports.period import Period
from app.reports.report import Line, people

NONE = "none"  # the key of what belongs to no group

Groups = list[tuple[str, Any]]
"""(key, label) of each line, in order."""


def key_of(column: Any) -> sa.ColumnElement[str]:
    """The key of a row's line: the column as text, NONE where it is empty."""
    return sa.func.coalesce(sa.cast(column, sa.String), NONE)


def part_of(parts: Sequence[Period], moment: Any) -> sa.ColumnElement[str]:
    """The key of the month or week of a period that an instant lies in: its place, from "1" on, so that it has the
    same key as that of the period before. The bounds are the company's."""
    ends = [part.end for part in parts]
    return sa.case(*((moment < end, sa.literal_column(f"'{n}'", sa.String())) for n, end in enumerate(ends, start=1)))


def months(period: Period) -> Groups:
    """Every month of the period."""
    return [(str(n), month.label) for n, month in enumerate(period.each_month(), start=1)]


def weeks(period: Period) -> Groups:
    """Every week of the period, named by its first day."""
    return [(str(n), f"{week.first}") for n, week in enumerate(period.each_week(), start=1)]


def items(kind: DictionaryType, used: Collection[str]) -> Groups:
    """The dictionary's items of this kind: those offered, and those no longer offered that rows still have."""
    found = db.session.execute(
        sa.select(DictionaryItem)
        .where(DictionaryItem.type == kind)
        .order_by(DictionaryItem.sort_order, DictionaryItem.id)
    ).scalars()
    return [(str(item.id), item.label) for item in found if item.active or str(item.id) in used]


def words(keys: Iterable[str], kind: DictionaryType | None = None, *, none: Any = None) -> dict[str, Any]:
    """Key -> what the lines of the dictionary's items are called, be they offered or not, and that of no group."""
    told: dict[str, Any] = {NONE: none or _l("Not known")}
    ids = [int(key) for key in keys if key.isdecimal()]
    if kind is not None and ids:
        found = sa.select(DictionaryItem).where(DictionaryItem.type == kind, DictionaryItem.id.in_(ids))
        told.update((str(item.id), item.label) for item in db.session.execute(found).scalars())
    return told


def persons(used: Iterable[str]) -> Groups:
    """These people, in the order of their accounts."""
    names = people({int(key) for key in used if key != NONE})
    return [(str(pk), names[pk]) for pk in sorted(names)]


def filled(
    groups: Groups, found: Mapping[str, dict[str, Any]], nothing: dict[str, Any], *, none: Any = None
) -> list[Line]:
    """A line for each group, with `nothing` where none was found; last the rows of no group, called `none`, if any."""
    lines = [Line(key, label, {**nothing, **found.get(key, {})}) for key, label in groups]
    if NONE in found:
        lines.append(Line(NONE, none or _l("Not known"), {**nothing, **found[NONE]}))
    return lines


def begun(lines: Sequence[Line], parts: Sequence[Period], found: Collection[str]) -> list[Line]:
    """The lines of parts of the time; of one that has not begun nothing is known, which is not to be compared."""
    return [
        line if part.first <= today() or line.key in found else replace(line, values=dict.fromkeys(line.values))
        for line, part in zip(lines, parts, strict=True)
    ]
