"""Which dictionary items may be seen and chosen; the calendar is everybody's who may open it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from flask_babel import gettext as _

from app.core.choosing import Choices
from app.core.scope import scope_for
from app.masterdata.models import CalendarDay, DictionaryItem, DictionaryType

AllItems = scope_for(DictionaryItem)
AllDays = scope_for(CalendarDay)


def items_of(kind: DictionaryType) -> Choices:
    """The active items of one list, in its order."""

    def where() -> sa.ColumnElement[bool]:
        return sa.and_(DictionaryItem.type == kind, DictionaryItem.active)

    return _of_list(where)


def items_ever_of(kind: DictionaryType) -> Choices:
    """The items of one list with those that are no longer used, which come last and say so: for filters."""
    return _of_list(lambda: DictionaryItem.type == kind, DictionaryItem.active.desc())


def _of_list(where: Callable[[], sa.ColumnElement[bool]], *first: Any) -> Choices:
    order: tuple[Any, ...] = (*first, DictionaryItem.sort_order, DictionaryItem.id)
    labels = (DictionaryItem.label_zh, DictionaryItem.label_en)
    return Choices(DictionaryItem, where=where, search=labels, order=order, remote=False, text=_marked)


def _marked(item: DictionaryItem) -> str:
    return item.label if item.active else _("%(label)s (no longer used)", label=item.label)
