"""Which dictionary items may be seen and chosen; the calendar is everybody's who may open it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from app.core.choosing import Choices
from app.core.scope import scope_for
from app.masterdata.models import CalendarDay, DictionaryItem, DictionaryType

AllItems = scope_for(DictionaryItem)
AllDays = scope_for(CalendarDay)


def items_of(kind: DictionaryType) -> Choices:
    """The active items of one list, in its order."""

    def where() -> sa.ColumnElement[bool]:
        return sa.and_(DictionaryItem.type == kind, DictionaryItem.active)

    order: tuple[Any, ...] = (DictionaryItem.sort_order, DictionaryItem.id)
    return Choices(
        DictionaryItem,
        where=where,
        search=(DictionaryItem.label_zh, DictionaryItem.label_en),
        order=order,
        remote=False,
    )
