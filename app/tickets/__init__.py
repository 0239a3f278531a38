"""服务单, 客户反馈, 客户投诉: what customers ask for, say and complain about."""

from __future__ import annotations

from typing import Any


def register(appbuilder: Any) -> None:
    """Make the screens of the service department known."""
    from flask_babel import lazy_gettext as _l

    from app.attachments.owners import attachable
    from app.core import bulk, nav, personal, recycle
    from app.core.choosing import CHOICES
    from app.core.history import tell
    from app.core.web import COUNTERS
    from app.customers.views import NOTES
    from app.notices import kinds
    from app.notices.kinds import Leads
    from app.tickets.access import VisibleTickets, tickets_to_choose, was_changeable
    from app.tickets.level_views import ServiceTargetView
    from app.tickets.models import Complaint, Feedback, Ticket, TicketStep
    from app.tickets.operations import forget_assignee, note_unassigned, why_files_stay
    from app.tickets.personal import install
    from app.tickets.queries import waiting
    from app.tickets.record_views import ComplaintView, FeedbackView, note_of_complaint
    from app.tickets.views import TicketStepView, TicketView

    CHOICES["ticket"] = tickets_to_choose
    recycle.KINDS["ticket"] = recycle.Kind(
        _l("Ticket"), Ticket, ("can_delete", "Ticket"), VisibleTickets.visible,
        name=lambda ticket: f"{ticket.number} {ticket.title}",
    )  # fmt: skip
    recycle.KINDS["feedback"] = recycle.Kind(
        _l("Customer feedback"), Feedback, ("can_delete", "Feedback"), lambda: was_changeable(Feedback)
    )
    recycle.KINDS["complaint"] = recycle.Kind(
        _l("Complaint"), Complaint, ("can_delete", "Complaint"), lambda: was_changeable(Complaint)
    )
    for model in (Ticket, Feedback, Complaint):
        recycle.hangs(model, "customer", model.customer_id)
    recycle.hangs(TicketStep, "ticket", TicketStep.ticket_id)
    bulk.KINDS["ticket", "assign"] = bulk.Kind(
        _l("Assign ticket"), "can_assign", "Ticket", note_unassigned, owner="assignee_id"
    )
    install()
    tell("complaint", "erase", _l("erased the personal data"), "trash", attempt=_l("Erase personal data"))
    tell("complaint", "export_personal", _l("exported the personal data"), "download")
    personal.copies("user", forget_assignee)
    ticket = Leads(VisibleTickets, ("can_show", "Ticket"), "TicketView.show")
    for kind, icon, tone, sentence in (
        ("assigned", "headset", "", _l("Ticket %(number)s was assigned to you: %(title)s")),
        ("returned", "rotate-clockwise", "bad", _l("The customer sent ticket %(number)s back: %(title)s")),
        ("archived", "archive", "ok", _l("Ticket %(number)s was archived: %(title)s")),
        ("due_assign", "clock", "warn", _l("Ticket %(number)s should be assigned by now: %(title)s")),
        ("due_handle", "clock", "warn", _l("Ticket %(number)s should be handled by now: %(title)s")),
        ("due_feedback", "clock", "warn", _l("The customer of ticket %(number)s should be asked by now: %(title)s")),
        ("late_assign", "alert-triangle", "bad", _l("Ticket %(number)s is still not assigned: %(title)s")),
        ("late_handle", "alert-triangle", "bad", _l("%(name)s has still not handled ticket %(number)s: %(title)s")),
        (
            "late_feedback",
            "alert-triangle",
            "bad",
            _l("%(name)s has still not asked the customer of ticket %(number)s: %(title)s"),
        ),
    ):
        kinds.tell(f"ticket.{kind}", icon=icon, tone=tone, sentence=sentence, leads=ticket)
    for kind in ("feedback", "complaint"):
        tell(kind, "close", _l("closed it"), "circle-check")
        tell(kind, "reopen", _l("opened it again"), "rotate-clockwise")
    attachable("ticket", closed=why_files_stay)
    tell("ticket", "assign", _l("assigned the ticket"), "user-share")
    tell("ticket", "reassign", _l("reassigned the ticket"), "user-share")
    tell("ticket", "handle", _l("handled it"), "clipboard-check")
    tell("ticket", "give_feedback", _l("wrote down the customer's answer"), "message-2")
    tell("complaint", "open_ticket", _l("opened a ticket"), "headset", attempt=_l("Open a ticket"))
    COUNTERS["Ticket"] = waiting
    if note_of_complaint not in NOTES:
        NOTES.append(note_of_complaint)
    nav.add(appbuilder, TicketView, group="service", icon="headset", label=_l("Tickets"))
    nav.add(appbuilder, FeedbackView, group="service", icon="messages", label=_l("Customer feedback"))
    nav.add(appbuilder, ComplaintView, group="service", icon="message-report", label=_l("Customer complaints"))
    nav.add(appbuilder, ServiceTargetView, group="service", icon="target-arrow", label=_l("Service targets"))
    appbuilder.add_view_no_menu(TicketStepView)
