"""销售: opportunities and development plans."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l

from app.core import bulk, nav, recycle
from app.core.history import tell
from app.notices import kinds


def register(appbuilder: Any) -> None:
    """Add this domain's screens and words."""
    from app.attachments.owners import attachable
    from app.sales import personal
    from app.sales.access import VisibleOpportunities, was_deletable, was_in_own_plan
    from app.sales.models import Opportunity, PlanStep
    from app.sales.operations import check_return, check_unassignable, why_files_stay
    from app.sales.views import OpportunityView, PlanStepView, PlanView

    bulk.KINDS["opportunity", "assign"] = bulk.Kind(
        _l("Assign"), "can_assign", "Opportunity", check_unassignable, owner="assignee_id"
    )
    personal.install()
    recycle.KINDS["opportunity"] = recycle.Kind(
        _l("Opportunity"), Opportunity, ("can_delete", "Opportunity"), was_deletable
    )
    recycle.KINDS["plan_step"] = recycle.Kind(
        _l("Plan step"), PlanStep, ("can_plan", "Opportunity"), was_in_own_plan,
        check=check_return, part_of=("step", lambda planned: planned.opportunity),
    )  # fmt: skip
    recycle.hangs(PlanStep, "opportunity", PlanStep.opportunity_id)
    nav.add(appbuilder, OpportunityView, group="sales", icon="target-arrow", label=_l("Opportunities"))
    nav.add(appbuilder, PlanView, group="sales", icon="route", label=_l("Development plans"))
    nav.add(appbuilder, PlanStepView, group="sales", icon="calendar-event", label=_l("Plan steps"))
    kinds.tell(
        "opportunity.assigned",
        icon="target-arrow",
        tone="brand",
        sentence=_l("The opportunity “%(title)s” of %(prospect)s was assigned to you."),
        leads=kinds.Leads(VisibleOpportunities, ("can_show", "Opportunity"), "OpportunityView.show"),
    )
    attachable("opportunity", closed=why_files_stay)
    tell("opportunity", "assign", _l("assigned it"), "user-share")
    tell("opportunity", "reassign", _l("reassigned it"), "user-share")
    tell("opportunity", "win", _l("marked it as won"), "circle-check")
    tell("opportunity", "lose", _l("marked it as failed"), "circle-x")
    tell("opportunity", "terminate", _l("terminated it"), "player-stop")
    tell("opportunity", "plan", _l("changed the plan"), "route", attempt=_l("Change the plan"))
    tell("opportunity", "remove_step", _l("removed a planned step"), "trash")
    tell("opportunity", "restore_step", _l("put a removed step back"), "arrow-back-up")
    tell("opportunity", "purge_step", _l("purged a removed step for good"), "trash")
    tell("opportunity", "erase", _l("erased the personal data"), "trash", attempt=_l("Erase personal data"))
    tell("opportunity", "export_personal", _l("exported the personal data"), "download")
    tell("customer", "from_opportunity", _l("won it with this opportunity"), "target-arrow")
    tell("customer", "attach", _l("linked a won opportunity to it"), "target-arrow")
    tell("plan_step", "create", _l("planned a step"), "plus")
    tell("plan_step", "edit", _l("changed a planned step"), "pencil")
    tell("plan_step", "execute", _l("wrote the result of a step"), "clipboard-check")
    tell("plan_step", "delete", _l("removed a planned step"), "trash")
