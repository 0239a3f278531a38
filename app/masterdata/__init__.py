"""数据字典: the closed lists a company words for itself."""

from __future__ import annotations

from typing import Any


def register(appbuilder: Any) -> None:
    """Make the dictionary's screen and the choices of every other domain known."""
    from flask_babel import lazy_gettext as _l

    from app.core import nav
    from app.core.views import CHOICES
    from app.masterdata.access import items_of
    from app.masterdata.views import DictionaryItemView

    CHOICES["dictionary"] = items_of
    nav.add(appbuilder, DictionaryItemView, group="system", icon="list-details", label=_l("Data dictionary"))
