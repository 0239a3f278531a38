"""Screens of 服务单 and of what was done about it; feedback and complaints are in `record_views`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from flask import abort, g, render_template, request
from flask_appbuilder import expose
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_appbuilder.security.decorators import has_access, permission_name
from flask_babel import lazy_gettext as _l
from markupsafe import Markup
from sqlalchemy.orm import joinedload

from app.attachments.views import CarriesFiles
from app.core.clock import local, utcnow
from app.core.errors import BusinessError
from app.core.format import NOTHING
from app.core.protected import PHONE, masked, sees
from app.core.scope import may, reader_id
from app.core.sentences import gettext as _
from app.core.views import CrmView, ReadOnlyView
from app.customers.access import VisibleContacts
from app.customers.queries import primary_contact
from app.customers.views import NOTES
from app.extensions import db
from app.masterdata.calendar import doubt_about
from app.security.access import account_managers
from app.tickets import operations
from app.tickets.access import VisibleTickets, VisibleTicketSteps, waits_for_reader
from app.tickets.forms import GiveFeedbackForm, HandleForm, assign_form
from app.tickets.models import Ticket, TicketStatus, TicketStep
from app.tickets.precedents import precedents_of

STEP_LABELS: dict[str, tuple[Any, str]] = {
    "created": (_l("created it"), "plus"),
    "assigned": (_l("assigned the ticket"), "user-share"),
    "reassigned": (_l("reassigned the ticket"), "user-share"),
    "handed_over": (_l("handed it over"), "arrows-exchange"),
    "unassigned": (_l("took the assignment back"), "arrow-back-up"),
    "handled": (_l("handled it"), "clipboard-check"),
    "returned": (_l("sent it back: the customer is not satisfied"), "rotate-clockwise"),
    "archived": (_l("asked the customer and archived it"), "archive"),
}
"""How the lines of a ticket's history read: (words, icon)."""

TABS = {
    "waiting": _l("Waiting for me"),
    "unassigned": _l("To be assigned"),
    "handle": _l("Mine to handle"),
    "ask": _l("Mine to ask about"),
    "archive": _l("Archive"),
}
"""The worklists, each a step of somebody's."""


FORMS: dict[str, Any] = {"handle": HandleForm, "give_feedback": GiveFeedbackForm}
"""The steps that are taken on the ticket's own page."""

FACTS = (
    "type",
    "due_at",
    "assignee",
    "assigned_at",
    "created_by",
    "created_at",
    "times_returned",
    "satisfaction",
    "archived_at",
)


def due(moment: datetime | None) -> Any:
    """By when a step is to be done; said when that is over."""
    if moment is None:
        return NOTHING
    overdue = moment < utcnow()
    words = _("Overdue since %(time)s") if overdue else _("By %(time)s")
    text = words % {"time": f"{local(moment):%Y-%m-%d %H:%M}"}
    return Markup('<span class="badge-s {}"><i></i>{}</span>').format("bad" if overdue else "warn", text)


class OfCustomer(CrmView):
    """A screen whose new records may be started from a customer's page (`?customer=<id>`)."""

    tab_of = {"CustomerView": "customer_id"}
    page_links = {"customer": "CustomerView"}

    def prefill(self, form: Any) -> None:
        given = request.args.get("customer")
        if given:
            form.customer.data = self.choices_for("customer").find(given) or abort(404)


def why_refused(check: Any, record: Any) -> str:
    """The sentence a check refuses with."""
    try:
        check(record)
    except BusinessError as refusal:
        return str(refusal)
    raise AssertionError("asked why not, but it is allowed")


class TicketView(CarriesFiles, OfCustomer):
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
        "assigned_by": _l("Assigned by"),
        "assigned_at": _l("Assigned on"),
        "handling": _l("Handling"),
        "handled_by": _l("Handled by"),
        "handled_at": _l("Handled at"),
        "result": _l("Service result"),
        "satisfaction": _l("Satisfaction"),
        "times_returned": _l("Times returned"),
        "archived_at": _l("Archived at"),
        "due_at": _l("Due"),
    }
    list_columns = ["title", "number", "customer", "type", "assignee", "created_at", "due_at", "status"]
    show_columns = [
        "title", "type", "customer", "request", "created_by", "created_at", "assignee", "assigned_at", "handling",
        "handled_at", "result", "satisfaction", "times_returned", "archived_at",
    ]  # fmt: skip
    search_columns = ["customer", "title", "type", "assignee", "created_at", "status", "satisfaction"]
    order_columns = ["number", "created_at"]
    base_order = ("created_at", "desc")
    add_columns = edit_columns = ["customer", "type", "title", "request"]
    formatters_columns = {"due_at": due}
    choices = {"assignee": account_managers}
    steps = operations.STEPS
    bulk = [("bulk_assign", _l("Assign ticket"), "can_assign")]
    extra_rights = ("can_see_all", "can_search_archive", "can_act_for_others", "can_give_any_feedback")
    list_template = "tickets/list.html"
    show_template = "tickets/ticket.html"
    step_template = "tickets/step.html"
    empty_text = _l("A ticket keeps what a customer asked for until it is settled.")

    # -- worklists --------------------------------------------------------------------------------------------

    def _tabs(self) -> dict[str, list[Any]]:
        """The worklists the reader has something to do with: name -> its WHERE."""
        mine = Ticket.assignee_id == reader_id()
        found: dict[str, list[Any]] = {"waiting": [sa.or_(sa.false(), *waits_for_reader())]}
        if may("can_assign", "Ticket"):
            found["unassigned"] = [Ticket.status == TicketStatus.created]
        if may("can_handle", "Ticket"):
            found["handle"] = [Ticket.status == TicketStatus.assigned, mine]
        if may("can_give_feedback", "Ticket"):
            found["ask"] = [Ticket.status == TicketStatus.handled]
            if not may("can_give_any_feedback", "Ticket"):
                found["ask"].append(mine)
        found["archive"] = [Ticket.status == TicketStatus.archived]
        return found

    def extra_criteria(self) -> list[Any]:
        return self._tabs().get(request.args.get("tab", ""), [])

    def list_page(self) -> dict[str, Any]:
        page, tabs = super().list_page(), self._tabs()
        given = request.args.get("tab", "")
        page.update(tab=given if given in tabs else "", tabs=[(name, TABS[name]) for name in tabs])
        return page

    # -- one ticket -------------------------------------------------------------------------------------------

    def open_steps(self, record: Ticket) -> list[Any]:
        """What the reader may do now; a step whose guard already says no is not offered."""
        person = g.user._get_current_object()
        return [s for s in super().open_steps(record) if s.why_not(record, actor=person) is None]

    def ticket_page(self, record: Ticket) -> dict[str, Any]:
        """What the page of a ticket shows beside its facts, as its own page and while a step is taken."""
        lines = list(
            db.session.execute(
                sa.select(TicketStep)
                .where(TicketStep.ticket_id == record.id)
                .options(joinedload(TicketStep.actor))
                .order_by(TicketStep.id)
            ).scalars()
        )
        now = next((s for s in self.open_steps(record) if s.name in FORMS), None)
        return {
            "progress": progress_of(record, lines),
            "due": due(record.due_at) if record.due_at is not None else None,
            "doubt": doubt_about(record.due_at),
            "precedents": precedents_of(record) if record.status is TicketStatus.assigned else [],
            "lines": lines[::-1] if may("can_list", "TicketStep") else [],
            "words": STEP_LABELS,
            "now": now,
            "form": FORMS[now.name](formdata=None) if now is not None else None,
            "others": [s for s in self.open_steps(record) if s is not now],
            "complaint": operations.complaint_of(record) if may("can_show", "Complaint") else None,
            "notes": [note for made in NOTES if (note := made(record.customer)) is not None],
            "opens_customer": may("can_show", "Customer"),
            "contact": self.contact_of(record),
            "facts": [(self.label_columns[c], self.cell(record, c)) for c in FACTS],
            "can_edit": self.allows("edit") and self.may_edit(record),
            "can_delete": self.allows("delete") and self.may_delete(record),
        }

    def contact_of(self, record: Ticket) -> tuple[str, str] | None:
        """Whom to call: name and number. Whoever works on the ticket has to call, whosever customer it is."""
        contact = primary_contact(record.customer_id) if may("can_list", "Contact") else None
        if contact is None:
            return None
        working = record.assignee_id == reader_id() and record.status in (TicketStatus.assigned, TicketStatus.handled)
        number = contact.mobile or contact.office_phone
        seen = sees(PHONE, "Contact", own=working or VisibleContacts.is_own(contact))
        return contact.name, number if seen else masked(number)

    def related_lists(self, record: Ticket) -> list[Any]:
        """The history is told on the page itself."""
        return []

    @expose("/assign/<pk>", methods=["GET", "POST"])
    @has_access
    def assign(self, pk: Any) -> Any:
        return self.run_step(operations.assign, pk, assign_form(lambda: self.lookup_url("assignee")))

    @expose("/reassign/<pk>", methods=["GET", "POST"])
    @has_access
    def reassign(self, pk: Any) -> Any:
        return self.run_step(operations.reassign, pk, assign_form(lambda: self.lookup_url("assignee")))

    @expose("/bulk-assign", methods=["GET", "POST"])
    @has_access
    @permission_name("assign")
    def bulk_assign(self) -> Any:
        return self.run_bulk(
            operations.assign,
            assign_form(lambda: self.lookup_url("assignee")),
            title=_("Assign tickets"),
            label=_("Assign ticket"),
        )

    @expose("/handle/<pk>", methods=["GET", "POST"])
    @has_access
    def handle(self, pk: Any) -> Any:
        """Handling. “Quote” beside a precedent comes here too: its text joins what was typed, and nothing is kept."""
        if request.method == "POST" and "quote" in request.form:
            return self._quote(self.load(pk), HandleForm())
        return self.run_step(operations.handle, pk, HandleForm)

    def _quote(self, record: Ticket, form: Any) -> Any:
        """The ticket's page with the handling of a precedent below what was typed so far."""
        wanted = request.form["quote"]
        found = next((p for p in precedents_of(record) if str(p.ticket.id) == wanted), None)
        if found is None:
            form.refuse(_("This precedent is no longer there. Choose another one."))
        else:
            quoted = "\n".join(part for part in ((form.handling.data or "").rstrip(), found.handling) if part)[:3000]
            form.handling.raw_data, form.handling.data = [quoted], quoted
        page = render_template(
            self.step_template,
            title=record.title,
            step=operations.handle,
            record=record,
            form=form,
            why_not=operations.handle.why_not(record, actor=g.user._get_current_object()),
            back_url=self.show_url(record),
            **self.frame(),
        )
        return page, (404 if found is None else 200)

    @expose("/give-feedback/<pk>", methods=["GET", "POST"])
    @has_access
    def give_feedback(self, pk: Any) -> Any:
        return self.run_step(operations.give_feedback, pk, GiveFeedbackForm)

    # -- entering, changing, deleting --------------------------------------------------------------------------

    def create_record(self, record: Ticket) -> None:
        operations.create_ticket(record, actor=g.user._get_current_object())

    def change_record(self, record: Ticket) -> None:
        operations.change_ticket(record)

    def delete_record(self, record: Ticket) -> None:
        operations.remove_ticket(record)

    def may_edit(self, record: Ticket) -> bool:
        return record.status == TicketStatus.created

    def may_delete(self, record: Ticket) -> bool:
        return record.status == TicketStatus.created and operations.complaint_of(record) is None

    def why_not_edit(self, record: Ticket) -> str:
        return why_refused(operations.check_open, record)

    def why_not_delete(self, record: Ticket) -> str:
        return why_refused(operations.check_removable, record)


def progress_of(ticket: Ticket, lines: list[TicketStep]) -> list[tuple[Any, str, TicketStep | None]]:
    """The five steps of a ticket: what it is called, done, now or later, and the line that tells who and when."""
    last = {line.step: line for line in lines}
    given = max((last[s] for s in ("assigned", "reassigned") if s in last), key=lambda line: line.id, default=None)
    steps = [
        (_("Creation"), last.get("created")),
        (_("Assignment"), given),
        (_("Processing"), last.get("handled") if ticket.handled_at is not None else None),
        (_("Feedback"), last.get("archived")),
        (_("Archive"), last.get("archived")),
    ]
    reached = {"created": 1, "assigned": 2, "handled": 3, "archived": 5}[ticket.status.value]
    return [
        (label, "done" if n < reached else "now" if n == reached else "", line if n < reached else None)
        for n, (label, line) in enumerate(steps)
    ]


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
    formatters_columns = {"step": lambda name: STEP_LABELS.get(name, (name, ""))[0]}
