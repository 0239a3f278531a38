"""通知: what a person is told: here, by mail, by a robot of his chat group, in his calendar."""

from __future__ import annotations

from typing import Any

from flask import current_app
from flask_babel import lazy_gettext as _l


def register(appbuilder: Any) -> None:
    """Register the notification centre with its bell, and the log of messages for administrators."""
    from app.core import nav
    from app.core.history import tell
    from app.notices import links, personal
    from app.notices.operations import end_calendar
    from app.notices.post import COMPOSERS
    from app.notices.views import DeliveryView, NoticesView, bell
    from app.security.once import ON_FORGOTTEN
    from app.security.operations import ON_NEW_PASSWORD

    appbuilder.add_view_no_menu(NoticesView)
    nav.add(appbuilder, DeliveryView, group="system", icon="send", label=_l("Sent messages"))
    current_app.extensions["liuke_notifications"] = bell
    ON_NEW_PASSWORD["calendar"] = end_calendar
    personal.install()
    ON_FORGOTTEN["mail"] = links.queue
    COMPOSERS[links.MAIL] = links.compose
    tell("ab_user", "make_calendar", _l("made a calendar address"), "calendar")
    tell("ab_user", "drop_calendar", _l("dropped the calendar address"), "calendar")
    tell("ab_user", "save_robot", _l("let a robot tell what is new"), "send")
    tell("ab_user", "remove_robot", _l("removed a robot"), "trash")
