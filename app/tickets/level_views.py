"""The screen of 服务时限."""

from __future__ import annotations

from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_babel import lazy_gettext as _l

from app.core.views import CrmView
from app.tickets.access import AllTargets
from app.tickets.models import ServiceTarget


class ServiceTargetView(CrmView):
    """服务时限: within how many working hours the steps of a ticket are to be done, by its type."""

    datamodel = SQLAInterface(ServiceTarget)
    scope = AllTargets
    class_permission_name = "ServiceTarget"
    route_base = "/service-targets"
    list_title = _l("Service targets")
    show_title = _l("Service target")
    add_title = _l("New service target")
    edit_title = _l("Edit service target")
    label_columns = {
        "id": _l("Order of entry"), "type": _l("Type"), "step": _l("Step"), "hours": _l("Working hours")
    }  # fmt: skip
    description_columns = {"hours": _l("Counted in working hours from the moment the step before was done.")}
    list_columns = ["type", "step", "hours"]
    show_columns = ["type", "step", "hours"]
    search_columns = ["type", "step"]
    order_columns = ["id"]
    base_order = ("id", "asc")
    add_columns = ["type", "step", "hours"]
    edit_columns = ["hours"]
    note_text = _l("A change counts for the steps that begin after it. Due times that were set stay.")
    empty_text = _l("Without a target tickets are never due and nobody is reminded.")
