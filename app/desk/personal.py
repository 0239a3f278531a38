"""What colleagues were told about a contact: its birthdays, and the follow-ups of what was said with it."""

from __future__ import annotations

import sqlalchemy as sa
from flask_babel import lazy_gettext as _l

from app.core import personal
from app.customers.models import Contact, Interaction
from app.extensions import db
from app.notices.models import Notification


def install() -> None:
    """Let these notifications be shown and erased with the contact."""
    personal.holds("contact", personal.Holding(_l("Notifications"), _told, (), ("words",), told=False))


def _told(contact: Contact) -> list[Notification]:
    """The notifications whose words may name the contact."""
    talks = sa.select(Interaction.id).where(Interaction.contact_id == contact.id)
    follow_up = sa.and_(Notification.kind.startswith("follow_up."), Notification.record_id.in_(talks))
    naming = sa.or_(Notification.event.startswith(f"birthday:{contact.id}:"), follow_up)
    return list(db.session.execute(sa.select(Notification).where(naming).order_by(Notification.id)).scalars())
