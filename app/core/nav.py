"""Putting a domain's screens into the menu."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l

GROUPS = {
    "sales": _l("Sales"),
    "customers": _l("Customers"),
    "service": _l("Service"),
    "reports": _l("Reports"),
    "reference": _l("Reference data"),
    "system": _l("System"),
}


def add(appbuilder: Any, view: Any, *, group: str | None, icon: str, label: Any, href: str = "") -> None:
    """Register a view with a menu entry named like its right, so that one right opens one entry."""
    appbuilder.add_view(
        view,
        view.class_permission_name,
        href=href,
        icon=icon,
        label=label,
        category=group or "",
        category_label=GROUPS[group] if group else "",
    )
