"""What other pages tell about a customer. Reads only."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from app.customers.access import VisibleContacts
from app.customers.models import Contact, CustomerEstimate
from app.extensions import db


def primary_contact(customer_id: int) -> Contact | None:
    """Whom to call at this customer, if the reader may see it."""
    return db.session.execute(
        VisibleContacts.select().where(Contact.customer_id == customer_id, Contact.is_primary)
    ).scalar_one_or_none()


def likeliest(customer_id: Any) -> sa.ColumnElement[float]:
    """What lists of customers, or of what hangs on them, are ordered by to have the likeliest to leave together.

    The estimate of the customer this column names; customers without one come below all others on both databases.
    """
    kept = sa.select(CustomerEstimate.probability).where(CustomerEstimate.customer_id == customer_id)
    return sa.func.coalesce(kept.correlate(customer_id.class_).scalar_subquery(), -1.0)
