"""离职交接: what a person owned goes to others in one action, with a plan before and a receipt after."""

from __future__ import annotations

from typing import Any


def register(appbuilder: Any) -> None:
    """Make the screens of handovers known, how histories tell them, and what successors are told."""
    from flask_babel import lazy_gettext as _l

    from app.core import nav, personal
    from app.core.choosing import CHOICES
    from app.core.history import tell
    from app.handover.access import VisibleHandovers, handovers_to_choose
    from app.handover.models import RecordKind
    from app.handover.operations import forget_people
    from app.handover.views import HandoverItemView, HandoverView
    from app.notices import kinds

    CHOICES["handover"] = handovers_to_choose
    personal.copies("user", forget_people)
    for record in (*RecordKind, "ab_user"):
        tell(str(record), "handover", _l("handed it over"), "user-share", attempt=_l("Hand over"))
        tell(str(record), "undo_handover", _l("undid the handover"), "arrow-back-up", attempt=_l("Undo handover"))
    tell("handover", "undo", _l("undid it"), "arrow-back-up", attempt=_l("Undo handover"))
    receipt = kinds.Leads(VisibleHandovers, ("can_show", "Handover"), "HandoverView.show")
    kinds.tell(
        "handover.received",
        icon="user-share",
        tone="brand",
        sentence=_l(
            "From %(name)s you took over: customers %(customers)s, opportunities %(opportunities)s, tickets"
            " %(tickets)s, feedback and complaints %(others)s"
        ),
        leads=receipt,
    )
    kinds.tell(
        "handover.undone",
        icon="arrow-back-up",
        sentence=_l(
            "The handover from %(name)s was undone. Moved back: customers %(customers)s, opportunities"
            " %(opportunities)s, tickets %(tickets)s, feedback and complaints %(others)s"
        ),
        leads=receipt,
    )
    nav.add(appbuilder, HandoverView, group="customers", icon="arrows-exchange", label=_l("Handovers"))
    appbuilder.add_view_no_menu(HandoverItemView)
