"""Screens of 营销活动."""

from __future__ import annotations

from typing import Any

from flask import abort, current_app, flash, g, redirect, render_template, request, url_for
from flask_appbuilder import expose
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_appbuilder.security.decorators import has_access, permission_name
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from app.core import bulk
from app.core.changes import in_bulk
from app.core.history import history_of
from app.core.scope import may
from app.core.search import Search
from app.core.unit import unit_of_work
from app.core.views import CrmView
from app.customers.access import VisibleCustomers
from app.customers.views import CustomerView
from app.marketing import operations, queries
from app.marketing.access import AllActivities, VisibleParticipants
from app.marketing.models import Activity, Participant


class ActivityView(CrmView):
    """营销活动: fairs, visits and campaigns with what they cost and whom they reached."""

    datamodel = SQLAInterface(Activity)
    scope = AllActivities
    class_permission_name = "Activity"
    route_base = "/activities"
    list_title = _l("Marketing activities")
    show_title = _l("Marketing activity")
    add_title = _l("New activity")
    edit_title = _l("Edit activity")
    label_columns = {
        "title": _l("Activity name"),
        "kind": _l("Kind"),
        "starts_on": _l("Starts on"),
        "ends_on": _l("Ends on"),
        "plan": _l("Plan"),
        "budget": _l("Budget"),
        "cost": _l("Cost"),
        "outcome": _l("Outcome"),
        "created_by": _l("Created by"),
        "created_at": _l("Created at"),
    }
    list_columns = ["title", "kind", "starts_on", "ends_on", "budget", "cost"]
    show_columns = ["kind", "starts_on", "ends_on", "plan", "budget", "cost", "outcome", "created_by", "created_at"]
    search_columns = ["title", "kind", "starts_on"]
    order_columns = ["starts_on"]
    base_order = ("starts_on", "desc")
    add_columns = edit_columns = ["title", "kind", "starts_on", "ends_on", "plan", "budget", "cost", "outcome"]
    description_columns = {"ends_on": _l("The last day. Leave it empty for a single day.")}
    formatters_columns = {"kind": lambda kind: kind.label}
    show_template = "marketing/activity.html"
    empty_text = _l("Plan a fair, a visit or a campaign, and note the customers who take part.")

    def show_page(self, record: Activity) -> dict[str, Any]:
        """The facts, what followed, the participants and the history."""
        page = super().show_page(record)
        page.update(
            followed=queries.followed(record),
            days=current_app.config["LIUKE_CAMPAIGN_DAYS"],
            opens_orders=may("can_show", "Order"),
            opens_opportunities=may("can_show", "Opportunity"),
            history=history_of(record, limit=8),
        )
        return page

    def create_record(self, record: Activity) -> None:
        operations.keep_activity(record)

    def change_record(self, record: Activity) -> None:
        operations.keep_activity(record)


class ParticipantView(CrmView):
    """The customers of an activity, on the activity's page."""

    datamodel = SQLAInterface(Participant)
    scope = VisibleParticipants
    class_permission_name = "Participant"
    route_base = "/participants"
    exclude_route_methods = CrmView.exclude_route_methods | {"show", "edit"}
    tab_of = {"ActivityView": "activity_id"}
    list_title = _l("Participants")
    add_title = _l("Add participant")
    label_columns = {
        "id": _l("Order of entry"),
        "customer": _l("Customer"),
        "activity": _l("Activity"),
        "created_by": _l("Added by"),
        "created_at": _l("Added at"),
    }
    list_columns = ["customer", "created_by", "created_at", "activity"]
    show_columns = []
    search_columns = ["activity", "customer"]
    order_columns = ["id"]
    base_order = ("id", "desc")
    add_columns = ["activity", "customer"]
    empty_text = _l("Open an activity to add the customers who take part.")

    def prefill(self, form: Any) -> None:
        given = request.args.get("activity")
        if given:
            form.activity.data = self.choices_for("activity").find(given) or abort(404)

    def create_record(self, record: Participant) -> None:
        operations.add_participant(record)

    def after_save(self, record: Participant) -> str:
        return url_for("ActivityView.show", pk=record.activity_id)

    def finds_customers(self) -> bool:
        """Whether the reader may look through the customers, and so add them by filter."""
        return may("can_list", "Customer")

    @expose("/choose/<pk>", methods=["GET", "POST"])
    @has_access
    @permission_name("add")
    def choose(self, pk: Any) -> Any:
        """Add all customers that fit the filters of the customers list; first shown and counted, then added."""
        if not self.finds_customers():
            abort(403)  # its filters find, count and add customers
        activity = AllActivities.find(pk) or abort(404)
        customers = next(view for view in self.appbuilder.baseviews if isinstance(view, CustomerView))
        search = Search(customers)
        if request.method == "POST":
            note = " · ".join(f"{filter.label}: {filter.text}" for filter in search.active)[:500]
            actor = g.user._get_current_object()
            with unit_of_work():
                receipt = bulk.begin("activity_participant", "add_participants", actor=actor)
                with in_bulk(receipt.id):
                    added = operations.add_matching(activity, search.criteria, actor=actor, note=note or None)
                bulk.finish(receipt, done=added)
            flash(ngettext("%(num)d customer was added.", "%(num)d customers were added.", added), "success")
            return redirect(url_for("ActivityView.show", pk=activity.id))
        criteria = [VisibleCustomers.criterion(), *search.criteria]
        found, more = customers.rows(criteria, *customers.base_order, page=0, size=customers.page_size)
        count, known = queries.matching(activity, criteria)
        return render_template(
            "marketing/choose.html", title=_("Add participants"), activity=activity, search=search, rows=found,
            columns=[customers._column(c) for c in customers.list_columns[:6]], more=more, customers=customers,
            count=count, known=known, **self.frame(),
        )  # fmt: skip

    @expose("/clear/<pk>", methods=["POST"])
    @has_access
    @permission_name("delete")
    def clear(self, pk: Any) -> Any:
        """Take all customers off the list of an activity."""
        activity = AllActivities.find(pk) or abort(404)
        actor = g.user._get_current_object()
        with unit_of_work():
            receipt = bulk.begin("activity_participant", "remove_participants", actor=actor)
            with in_bulk(receipt.id):
                removed = operations.remove_all(activity, actor=actor)
            bulk.finish(receipt, done=removed)
        flash(ngettext("%(num)d customer was taken off.", "%(num)d customers were taken off.", removed), "success")
        return redirect(url_for("ActivityView.show", pk=activity.id))

    @expose("/delete/<pk>", methods=["POST"])
    @has_access
    def delete(self, pk: Any) -> Any:
        activity_id = self.load(pk).activity_id
        super().delete(pk)
        return redirect(url_for("ActivityView.show", pk=activity_id))
