"""营销活动: what the company does to be remembered."""

from __future__ import annotations

from typing import Any


def register(appbuilder: Any) -> None:
    """Make the screens of marketing known."""
    from flask_babel import lazy_gettext as _l

    from app.core import bulk, nav, recycle
    from app.core.choosing import CHOICES
    from app.core.history import tell
    from app.marketing.access import AllActivities, activities_to_choose, was_reachable
    from app.marketing.models import Activity, Participant
    from app.marketing.operations import check_new
    from app.marketing.views import ActivityView, ParticipantView

    tell("activity", "add_participants", _l("added participants"), "user-plus")
    tell("activity", "remove_participants", _l("took the participants off"), "user-x")
    bulk.KINDS["activity_participant", "add_participants"] = bulk.Kind(_l("Add participants"), "can_add", "Participant")
    bulk.KINDS["activity_participant", "remove_participants"] = bulk.Kind(
        _l("Remove all participants"), "can_delete", "Participant", lambda record, _actor, _at: recycle.forget(record)
    )
    recycle.KINDS["activity"] = recycle.Kind(
        _l("Marketing activity"), Activity, ("can_delete", "Activity"), AllActivities.visible
    )
    recycle.KINDS["activity_participant"] = recycle.Kind(
        _l("Participant"), Participant, ("can_delete", "Participant"), was_reachable, check=check_new
    )
    recycle.hangs(Participant, "activity", Participant.activity_id)
    recycle.hangs(Participant, "customer", Participant.customer_id)
    CHOICES["activity"] = activities_to_choose
    nav.add(appbuilder, ActivityView, group="sales", icon="flag", label=_l("Marketing activities"))
    appbuilder.add_view_no_menu(ParticipantView)
