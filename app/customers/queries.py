"""What other pages tell about a customer. Reads only."""

from __future__ import annotations

from app.customers.access import VisibleContacts
from app.customers.models import Contact
from app.extensions import db


def primary_contact(customer_id: int) -> Contact | None:
    """Whom to call at this customer, if the reader may see it."""
    return db.session.execute(
        VisibleContacts.select().where(Contact.customer_id == customer_id, Contact.is_primary)
    ).scalar_one_or_none()
