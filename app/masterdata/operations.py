"""What is done with the dictionary. Flush, never commit: the caller's unit of work does."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa

from app.core.errors import BusinessError
from app.core.sentences import gettext as _
from app.core.text import fold
from app.extensions import db
from app.masterdata.models import DictionaryItem

CODE_LENGTH = 30  # leaves room for "_2"; the column holds 40


def add_item(item: DictionaryItem) -> DictionaryItem:
    """Add an item at the end of its list, with a code of its own that never changes. Flushes.

    The code is made from the English label: nobody has to read or type it. Raises `BusinessError` when the list
    offers such a label already.
    """
    item.active, item.system = True, False
    _check_labels(item)
    item.code = _new_code(item)
    item.sort_order = 1 + int(
        db.session.execute(
            sa.select(sa.func.coalesce(sa.func.max(DictionaryItem.sort_order), 0)).where(
                DictionaryItem.type == item.type
            )
        ).scalar_one()
    )
    db.session.add(item)
    db.session.flush()
    return item


def change_item(item: DictionaryItem) -> None:
    """Keep a changed item: labels, order and whether it is offered. Flushes.

    Raises `BusinessError` when its list, its code or its system mark would change, or the value of a system row
    (a rule reads it), or when the list offers such a label already.
    """
    fixed = {"type", "code", "system"} | ({"value"} if item.system else set())
    state: Any = sa.inspect(item)
    if any(state.attrs[name].history.has_changes() for name in fixed):
        raise BusinessError(_("Only the labels, the position and “Offered in forms” can be changed."))
    _check_labels(item)
    db.session.flush()


def why_not_delete(item: DictionaryItem) -> str | None:
    """The sentence for a system row, None for any other; rows in use are refused by the database."""
    if item.system:
        return _(
            "“%(label)s” is part of the product and stays. Switch off “Offered in forms” instead.", label=item.label
        )
    return None


def remove_item(item: DictionaryItem) -> None:
    """Delete an item that nothing uses. Flushes.

    Raises `BusinessError` for a system row, `IntegrityError` for one in use.
    """
    why = why_not_delete(item)
    if why is not None:
        raise BusinessError(why)
    db.session.delete(item)
    db.session.flush()


def _check_labels(item: DictionaryItem) -> None:
    """Two equal labels in one list could not be told apart in a form."""
    if not item.active:
        return
    others = db.session.execute(
        sa.select(DictionaryItem.label_zh, DictionaryItem.label_en).where(
            DictionaryItem.type == item.type, DictionaryItem.active, DictionaryItem.id != (item.id or 0)
        )
    ).all()
    for label, known in ((item.label_zh, {fold(o.label_zh) for o in others}),
                         (item.label_en, {fold(o.label_en) for o in others})):  # fmt: skip
        if fold(label) in known:
            raise BusinessError(_("The list already has an item “%(label)s”. Choose another label.", label=label))


def _new_code(item: DictionaryItem) -> str:
    """A code that its list never had: sole_agent, sole_agent_2 ..."""
    stem = re.sub(r"[^a-z0-9]+", "_", fold(item.label_en)).strip("_")[:CODE_LENGTH] or "item"
    taken = set(
        db.session.execute(
            sa.select(DictionaryItem.code).where(
                DictionaryItem.type == item.type, DictionaryItem.code.like(stem.replace("_", r"\_") + "%", escape="\\")
            )
        ).scalars()
    )
    code, number = stem, 1
    while code in taken:
        number += 1
        code = f"{stem}_{number}"
    return code
