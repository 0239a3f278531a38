"""Screens of 客户反馈 and 客户投诉."""

from __future__ import annotations

from functools import partial
from typing import Any

import sqlalchemy as sa
from flask import abort, flash, g, redirect, url_for
from flask_appbuilder import expose
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_appbuilder.security.decorators import has_access
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import joinedload

from app.core.errors import BusinessError
from app.core.lifecycle import note_refusal
from app.core.scope import may
from app.core.sentences import gettext as _
from app.core.submissions import leads_to
from app.core.unit import unit_of_work
from app.extensions import db
from app.tickets import operations
from app.tickets.access import VisibleComplaints, VisibleFeedback, VisibleTickets, acceptors
from app.tickets.forms import CloseComplaintForm, CloseFeedbackForm
from app.tickets.models import Complaint, Feedback, RecordStatus, TicketStep
from app.tickets.views import OfCustomer, progress_of, why_refused


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
        operations.change_record(record, actor=g.user._get_current_object())

    def delete_record(self, record: Any) -> None:
        operations.remove_record(record, actor=g.user._get_current_object())

    def may_edit(self, record: Any) -> bool:
        return operations.may_change(record, g.user._get_current_object())

    def may_delete(self, record: Any) -> bool:
        return self.may_edit(record)

    def why_not_edit(self, record: Any) -> str:
        return why_refused(partial(operations.check_may_change, actor=g.user._get_current_object()), record)

    def why_not_delete(self, record: Any) -> str:
        return self.why_not_edit(record)

    def open_steps(self, record: Any) -> list[Any]:
        """What may be done now; a complaint whose ticket is open is not offered to be closed."""
        person = g.user._get_current_object()
        return [s for s in super().open_steps(record) if s.why_not(record, actor=person) is None]

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
        "customer", "complainant", "received_on", "accepted_by", "satisfaction", "content", "remedy", "memo",
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

    show_template = "tickets/complaint.html"

    def ticket_progress(self, record: Complaint) -> list[Any]:
        """How far the ticket is that works the complaint off; nothing if there is none the reader may see."""
        if record.ticket_id is None or not may("can_show", "Ticket") or VisibleTickets.find(record.ticket_id) is None:
            return []
        lines = sa.select(TicketStep).where(TicketStep.ticket_id == record.ticket_id).options(
            joinedload(TicketStep.actor)
        )  # fmt: skip
        ticket = record.ticket
        return progress_of(ticket, list(db.session.execute(lines).scalars())) if ticket is not None else []

    def may_open_ticket(self, record: Complaint) -> bool:
        """Whether the reader may open a ticket for this complaint now."""
        free = record.status == RecordStatus.open and operations.open_ticket_of(record) is None
        return free and self.allows("open_ticket") and may("can_add", "Ticket") and self.may_edit(record)

    @expose("/open-ticket/<pk>", methods=["POST"])
    @has_access
    def open_ticket(self, pk: Any) -> Any:
        record = self.load(pk)
        actor, before = g.user._get_current_object(), record.status
        if not may("can_add", "Ticket"):
            abort(403)
        try:
            with unit_of_work():
                ticket = operations.open_ticket(record, actor=actor)
                leads_to(url_for("TicketView.show", pk=ticket.id))
        except BusinessError as refusal:
            note_refusal("complaint", record.id, "open_ticket", actor_id=actor.id, before=before, why=str(refusal))
            flash(str(refusal), "warning")
            return redirect(url_for("ComplaintView.show", pk=pk))
        flash(_("Ticket %(number)s was opened.", number=ticket.number), "success")
        return redirect(url_for("TicketView.show", pk=ticket.id))

    @expose("/close/<pk>", methods=["GET", "POST"])
    @has_access
    def close(self, pk: Any) -> Any:
        return self.close_with(CloseComplaintForm, pk)


def note_of_complaint(customer: Any) -> tuple[str, str, list[tuple[str, str]]] | None:
    """The note about a customer's open complaint, for readers who may open it."""
    if not may("can_show", "Complaint"):
        return None
    found = db.session.execute(
        VisibleComplaints.select()
        .where(Complaint.customer_id == customer.id, Complaint.status == RecordStatus.open)
        .order_by(Complaint.id.desc())
        .limit(1)
    ).scalar_one_or_none()
    if found is None:
        return None
    sentence = _("Open complaint since %(day)s: %(subject)s", day=found.received_on.isoformat(), subject=found.subject)
    return "bad", sentence, [(_("Open the complaint"), url_for("ComplaintView.show", pk=found.id))]
