"""客户流失: warnings about customers who stopped ordering, and what is done about them."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l


def register(appbuilder: Any) -> None:
    """Add this domain's screens and words."""
    from app.churn.operations import forget_owner
    from app.churn.personal import install
    from app.churn.queries import waiting
    from app.churn.views import ChurnCaseView, RetentionMeasureView, note_for
    from app.core import nav, personal
    from app.core.history import tell
    from app.core.web import COUNTERS
    from app.customers.views import NOTES

    nav.add(appbuilder, ChurnCaseView, group="customers", icon="alert-triangle", label=_l("Churn warnings"))
    appbuilder.add_view_no_menu(RetentionMeasureView)
    COUNTERS["ChurnCase"] = waiting
    personal.copies("user", forget_owner)
    install()
    if note_for not in NOTES:
        NOTES.append(note_for)
    tell("churn_case", "warn", _l("gave a warning"), "alert-triangle")
    tell("churn_case", "defer", _l("deferred the loss"), "player-pause")
    tell("churn_case", "confirm_lost", _l("confirmed the loss"), "user-x")
    tell("churn_case", "recover", _l("closed the warning: the customer ordered again"), "shield-check")
    tell("churn_case", "win_back", _l("won the customer back: it ordered again"), "shield-check")
    tell("customer", "confirm_lost", _l("confirmed the loss"), "user-x")
    tell("customer", "win_back", _l("won the customer back: it ordered again"), "shield-check")
