"""What colleagues were told about a contact (its birthdays, the follow-ups of what was said with it) or a colleague."""

from __future__ import annotations

import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import User
from flask_babel import lazy_gettext as _l

from app.core import personal
from app.customers.models import Contact, Interaction
from app.extensions import db
from app.notices.models import Notification
from app.tickets.queries import tickets_of


def install() -> None:
    """Let these notifications be shown and erased with the contact."""
    personal.holds("contact", personal.Holding(_l("Notifications"), _told, (), ("words",), told=False))
    personal.copies("user", _forget_people)


def _forget_people(_user: User, names: list[str]) -> None:
    """Notifications that name colleagues: who handed over, who has still not handled a ticket."""
    kinds = sa.or_(Notification.kind.startswith("handover."), Notification.kind.startswith("ticket."))
    named = sa.select(Notification).where(kinds, Notification.words["name"].as_string().in_(names))
    for told in db.session.execute(named).scalars():
        told.words = personal.without(told.words, names)
    db.session.flush()


def _told(contact: Contact) -> list[Notification]:
    """The notifications whose words may name the contact."""
    talks = sa.select(Interaction.id).where(Interaction.contact_id == contact.id)
    tickets = [ticket.id for ticket in tickets_of(contact)]
    about = sa.and_(Notification.record_type == "ticket", Notification.record_id.in_(tickets))
    follow_up = sa.and_(Notification.kind.startswith("follow_up."), Notification.record_id.in_(talks))
    naming = sa.or_(Notification.event.startswith(f"birthday:{contact.id}:"), follow_up, about)
    return list(db.session.execute(sa.select(Notification).where(naming).order_by(Notification.id)).scalars())
