"""通知: what a person is told: here, by mail, by a robot of his chat group, in his calendar."""

from __future__ import annotations

from typing import Any

from flask import current_app
from flask_babel import lazy_gettext as _l


def register(appbuilder: Any) -> None:
    """Register the notification centre with its bell, and the log of messages for administrators."""
    from app.core import nav
    from app.notices import links
    from app.notices.operations import drop_calendar
    from app.notices.post import COMPOSERS
    from app.notices.views import DeliveryView, NoticesView, bell
    from app.security.once import ON_FORGOTTEN
    from app.security.operations import ON_NEW_PASSWORD

    appbuilder.add_view_no_menu(NoticesView)
    nav.add(appbuilder, DeliveryView, group="system", icon="send", label=_l("Sent messages"))
    current_app.extensions["liuke_notifications"] = bell
    ON_NEW_PASSWORD["calendar"] = drop_calendar
    ON_FORGOTTEN["mail"] = links.queue
    COMPOSERS[links.MAIL] = links.compose
