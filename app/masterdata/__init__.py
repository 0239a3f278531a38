"""数据字典 and 工作日历: the closed lists a company words for itself, and the days it works."""

from __future__ import annotations

from typing import Any


def register(appbuilder: Any) -> None:
    """Make the dictionary's and the calendar's screens and the choices of every other domain known."""
    from flask_babel import lazy_gettext as _l

    from app.core import nav
    from app.core.choosing import CHOICES, SEARCH_CHOICES
    from app.masterdata.access import items_ever_of, items_of
    from app.masterdata.views import CalendarDayView, DictionaryItemView

    CHOICES["dictionary"], SEARCH_CHOICES["dictionary"] = items_of, items_ever_of
    nav.add(appbuilder, DictionaryItemView, group="system", icon="list-details", label=_l("Data dictionary"))
    nav.add(appbuilder, CalendarDayView, group="system", icon="calendar", label=_l("Business calendar"))
