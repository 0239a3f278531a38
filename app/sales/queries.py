"""What others ask about opportunities. Reads only."""

from __future__ import annotations

import sqlalchemy as sa

from app.customers.models import Contact
from app.extensions import db
from app.sales.models import Opportunity


def naming(contact: Contact) -> list[Opportunity]:
    """The opportunities whose contact is this person: of the same customer, or with the same number."""
    numbers = [number for number in (contact.office_phone, contact.mobile) if number]
    same = sa.or_(Opportunity.customer_id == contact.customer_id, Opportunity.contact_phone.in_(numbers))
    found = sa.select(Opportunity).where(Opportunity.contact_name == contact.name, same)
    return list(db.session.execute(found.order_by(Opportunity.id)).scalars())
