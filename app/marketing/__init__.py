"""营销活动: what the company does to be remembered."""

from __future__ import annotations

from typing import Any


def register(appbuilder: Any) -> None:
    """Make the screens of marketing known."""
    from flask_babel import lazy_gettext as _l

    from app.core import bulk, nav
    from app.core.history import tell
    from app.core.views import CHOICES
    from app.marketing.access import activities_to_choose
    from app.marketing.views import ActivityView, ParticipantView

    tell("activity", "add_participants", _l("added participants"), "user-plus")
    tell("activity", "remove_participants", _l("took the participants off"), "user-x")
    for action, label, right in (
        ("add_participants", _l("Add participants"), "can_add"),
        ("remove_participants", _l("Remove all participants"), "can_delete"),
    ):
        bulk.KINDS["activity_participant", action] = bulk.Kind(label, right, "Participant")
    CHOICES["activity"] = activities_to_choose
    nav.add(appbuilder, ActivityView, group="sales", icon="flag", label=_l("Marketing activities"))
    appbuilder.add_view_no_menu(ParticipantView)
