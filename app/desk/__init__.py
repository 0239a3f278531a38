"""Pages over several domains, and what looks at the whole installation."""

from __future__ import annotations

from typing import Any

from flask import current_app
from flask_babel import lazy_gettext as _l


def register(appbuilder: Any) -> None:
    """Register the pages, the menu entries and the health check."""
    from app.core import nav, recycle
    from app.core.web import COUNTERS
    from app.desk import calendar, health, personal, reminders, undone
    from app.desk.jobs import JobsView
    from app.desk.my_work import MyWorkView
    from app.desk.my_work_queries import waiting
    from app.notices.models import Notification

    health.install(current_app)
    current_app.extensions["liuke_demo_accounts"] = demo_accounts
    reminders.declare()
    undone.install()
    calendar.install(current_app)
    personal.install()
    for table in recycle.KINDS:  # whatever was told about a record goes with it when it is purged
        recycle.hangs(Notification, table, Notification.record_id, typed=Notification.record_type)
    COUNTERS["MyWork"] = waiting
    nav.add(appbuilder, MyWorkView, group=None, icon="clipboard-list", label=_l("My work"))
    entries = appbuilder.menu.get_list()
    entries.insert(0, entries.pop())
    nav.add(appbuilder, JobsView, group="system", icon="clock", label=_l("Background jobs"))


def demo_accounts() -> tuple[list[tuple[str, str]], str]:
    """Who can sign in to the demo company, with what role, and the password of all: for the login page."""
    from app.desk.demo.people import PASSWORD, accounts

    return [(account.name, account.who) for account in accounts()], PASSWORD
