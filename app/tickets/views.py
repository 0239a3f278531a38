"""Screens of 服务单, 客户反馈 and 客户投诉."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import abort, g, request
from flask_appbuilder import expose
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_appbuilder.security.decorators import has_access
from flask_babel import lazy_gettext as _l

from app.core.errors import BusinessError
from app.core.views import CrmView, ReadOnlyView
from app.tickets import operations
from app.tickets.access import VisibleComplaints, VisibleFeedback, VisibleTickets, VisibleTicketSteps, acceptors
from app.tickets.forms import CloseComplaintForm, CloseFeedbackForm
from app.tickets.models import Complaint, Feedback, Ticket, TicketStatus, TicketStep

STEP_LABELS: dict[str, Any] = {"created": _l("Created")}
"""How the steps of a ticket's history are called; the workflow adds its own."""


class OfCustomer(CrmView):
    """A screen whose new records may be started from a customer's page (`?customer=<id>`)."""

    tab_of = {"CustomerView": "customer_id"}

    def prefill(self, form: Any) -> None:
        given = request.args.get("customer")
        if given:
            form.customer.data = self.choices_for("customer").find(given) or abort(404)


class TicketView(OfCustomer):
    """服务单: what a customer asked for, from its creation to the archive."""

    datamodel = SQLAInterface(Ticket)
    scope = VisibleTickets
    class_permission_name = "Ticket"
    route_base = "/tickets"
    list_title = _l("Tickets")
    show_title = _l("Ticket")
    add_title = _l("New ticket")
    edit_title = _l("Edit ticket")
    label_columns = {
        "number": _l("Number"),
        "title": _l("Title"),
        "type": _l("Type"),
        "customer": _l("Customer"),
        "request": _l("Request"),
        "status": _l("Status"),
        "created_by": _l("Created by"),
        "created_at": _l("Created at"),
        "assignee": _l("Assigned to"),
        "assigned_at": _l("Assigned on"),
        "handling": _l("Handling"),
        "handled_at": _l("Handled at"),
        "result": _l("Service result"),
        "satisfaction": _l("Satisfaction"),
        "times_returned": _l("Times returned"),
        "archived_at": _l("Archived at"),
    }
    list_columns = ["number", "title", "customer", "type", "assignee", "created_at", "status"]
    show_columns = [
        "title", "type", "customer", "request", "created_by", "created_at", "assignee", "assigned_at", "handling",
        "handled_at", "result", "satisfaction", "times_returned", "archived_at",
    ]  # fmt: skip
    search_columns = ["customer", "title", "type", "created_at", "status", "satisfaction"]
    order_columns = ["number", "created_at"]
    base_order = ("created_at", "desc")
    add_columns = edit_columns = ["customer", "type", "title", "request"]
    extra_rights = ("can_see_all",)
    empty_text = _l("A ticket keeps what a customer asked for until it is settled.")

    def create_record(self, record: Ticket) -> None:
        operations.create_ticket(record, actor=g.user._get_current_object())

    def change_record(self, record: Ticket) -> None:
        operations.check_open(record)

    def delete_record(self, record: Ticket) -> None:
        operations.remove_ticket(record)

    def may_edit(self, record: Ticket) -> bool:
        return record.status == TicketStatus.created

    def may_delete(self, record: Ticket) -> bool:
        return record.status == TicketStatus.created

    def why_not_edit(self, record: Ticket) -> str:
        return _why(operations.check_open, record)

    def why_not_delete(self, record: Ticket) -> str:
        return _why(operations.check_open, record)


class TicketStepView(ReadOnlyView):
    """The history of a ticket, on the ticket's page."""

    datamodel = SQLAInterface(TicketStep)
    scope = VisibleTicketSteps
    class_permission_name = "TicketStep"
    route_base = "/ticket-steps"
    exclude_route_methods = ReadOnlyView.exclude_route_methods | {"show"}
    tab_of = {"TicketView": "ticket_id"}
    list_title = _l("Ticket history")
    label_columns = {
        "id": _l("Order of entry"),
        "ticket": _l("Ticket"),
        "step": _l("Step"),
        "actor": _l("By"),
        "at": _l("At"),
        "text": _l("Text"),
        "satisfaction": _l("Satisfaction"),
    }
    list_columns = ["step", "actor", "at", "text", "satisfaction", "ticket"]
    show_columns = []
    search_columns = []
    order_columns = ["id"]
    base_order = ("id", "asc")
    formatters_columns = {"step": lambda name: STEP_LABELS.get(name, name)}


class RecordView(OfCustomer):
    """What 客户反馈 and 客户投诉 share: who accepted a record may change it, and so may whoever may edit any."""

    steps = operations.RECORD_STEPS
    extra_rights = ("can_edit_any",)

    def prefill(self, form: Any) -> None:
        super().prefill(form)
        form.accepted_by.data = self.choices_for("accepted_by").find(g.user.id)

    def create_record(self, record: Any) -> None:
        operations.enter_record(record, actor=g.user._get_current_object())

    def change_record(self, record: Any) -> None:
        operations.check_may_change(record, g.user._get_current_object())

    def delete_record(self, record: Any) -> None:
        operations.remove_record(record, actor=g.user._get_current_object())

    def may_edit(self, record: Any) -> bool:
        return operations.may_change(record, g.user._get_current_object())

    def may_delete(self, record: Any) -> bool:
        return self.may_edit(record)

    def why_not_edit(self, record: Any) -> str:
        return _why(partial(operations.check_may_change, actor=g.user._get_current_object()), record)

    def why_not_delete(self, record: Any) -> str:
        return self.why_not_edit(record)

    def open_steps(self, record: Any) -> list[Any]:
        return super().open_steps(record) if self.may_edit(record) else []

    def close_with(self, form_type: Any, pk: Any) -> Any:
        """The page that closes a record, with what it says already."""
        return self.run_step(operations.close, pk, partial(form_type, obj=self.load(pk)))

    @expose("/reopen/<pk>", methods=["GET", "POST"])
    @has_access
    def reopen(self, pk: Any) -> Any:
        return self.run_step(operations.reopen, pk)


class FeedbackView(RecordView):
    """客户反馈: what customers say, good or bad."""

    datamodel = SQLAInterface(Feedback)
    scope = VisibleFeedback
    class_permission_name = "Feedback"
    route_base = "/feedback"
    list_title = _l("Customer feedback")
    show_title = _l("Customer feedback")
    add_title = _l("New feedback")
    edit_title = _l("Edit feedback")
    label_columns = {
        "title": _l("Subject"),
        "customer": _l("Customer"),
        "content": _l("Content"),
        "received_on": _l("Received on"),
        "accepted_by": _l("Accepted by"),
        "satisfaction": _l("Satisfaction"),
        "status": _l("Status"),
        "memo": _l("Memo"),
        "created_by": _l("Created by"),
        "created_at": _l("Created at"),
    }
    list_columns = ["title", "customer", "received_on", "accepted_by", "satisfaction", "status"]
    show_columns = [
        "customer", "received_on", "accepted_by", "satisfaction", "content", "memo", "created_by", "created_at",
    ]  # fmt: skip
    search_columns = ["customer", "title", "received_on", "accepted_by", "satisfaction", "status"]
    order_columns = ["received_on"]
    base_order = ("received_on", "desc")
    add_columns = edit_columns = [
        "customer", "title", "received_on", "accepted_by", "satisfaction", "content", "memo",
    ]  # fmt: skip
    choices = {"accepted_by": partial(acceptors, "Feedback")}
    empty_text = _l("Write down what customers say, good or bad.")

    @expose("/close/<pk>", methods=["GET", "POST"])
    @has_access
    def close(self, pk: Any) -> Any:
        return self.close_with(CloseFeedbackForm, pk)


class ComplaintView(RecordView):
    """客户投诉: what went wrong, and the remedy."""

    datamodel = SQLAInterface(Complaint)
    scope = VisibleComplaints
    class_permission_name = "Complaint"
    route_base = "/complaints"
    list_title = _l("Customer complaints")
    show_title = _l("Customer complaint")
    add_title = _l("New complaint")
    edit_title = _l("Edit complaint")
    label_columns = {
        "subject": _l("Subject"),
        "customer": _l("Customer"),
        "complainant": _l("Complainant"),
        "content": _l("Content"),
        "received_on": _l("Received on"),
        "accepted_by": _l("Accepted by"),
        "remedy": _l("Remedy"),
        "satisfaction": _l("Satisfaction"),
        "status": _l("Status"),
        "memo": _l("Memo"),
        "ticket": _l("Ticket"),
        "created_by": _l("Created by"),
        "created_at": _l("Created at"),
    }
    list_columns = ["subject", "customer", "complainant", "received_on", "accepted_by", "satisfaction", "status"]
    show_columns = [
        "customer", "complainant", "received_on", "accepted_by", "satisfaction", "content", "remedy", "ticket", "memo",
        "created_by", "created_at",
    ]  # fmt: skip
    search_columns = ["customer", "subject", "complainant", "received_on", "accepted_by", "satisfaction", "status"]
    order_columns = ["received_on"]
    base_order = ("received_on", "desc")
    add_columns = edit_columns = [
        "customer", "complainant", "subject", "received_on", "accepted_by", "satisfaction", "content", "remedy", "memo",
    ]  # fmt: skip
    choices = {"accepted_by": partial(acceptors, "Complaint")}
    empty_text = _l("A complaint is kept here until its remedy is written down.")

    @expose("/close/<pk>", methods=["GET", "POST"])
    @has_access
    def close(self, pk: Any) -> Any:
        return self.close_with(CloseComplaintForm, pk)


def _why(check: Any, record: Any) -> str:
    """The sentence a check refuses with."""
    try:
        check(record)
    except BusinessError as refusal:
        return str(refusal)
    raise AssertionError("asked why not, but it is allowed")
