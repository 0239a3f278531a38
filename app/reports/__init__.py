"""统计报表: figures over all domains; reads the others, writes nothing."""

from __future__ import annotations

from typing import Any


def register(appbuilder: Any) -> None:
    """Make the dashboard known, as the first entry of the menu."""
    from flask_babel import lazy_gettext as _l

    from app.core import nav
    from app.reports.views import DashboardView

    nav.add(appbuilder, DashboardView, group=None, icon="layout-dashboard", label=_l("Dashboard"))
    entries = appbuilder.menu.get_list()
    entries.insert(0, entries.pop())
