"""Pages over several domains, and what looks at the whole installation."""

from __future__ import annotations

from typing import Any

from flask import current_app
from flask_babel import lazy_gettext as _l


def register(appbuilder: Any) -> None:
    """Register the pages, the menu entries and the health check."""
    from app.core import nav
    from app.desk import health
    from app.desk.jobs import JobsView

    health.install(current_app)
    nav.add(appbuilder, JobsView, group="system", icon="clock", label=_l("Background jobs"))
