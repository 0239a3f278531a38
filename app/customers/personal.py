"""What is kept about a contact: its own row, what was said with it or about it."""

from __future__ import annotations

import sqlalchemy as sa
from flask_babel import lazy_gettext as _l

from app.core import personal
from app.customers.models import Contact, Interaction
from app.extensions import db

COLUMNS = (
    "name", "gender", "position", "office_phone", "mobile", "email", "home_address", "birthday", "memo",
)  # fmt: skip

TALK = ("title", "place", "detail", "memo")


def install() -> None:
    """Make contacts a kind of person whose data can be shown and erased."""
    personal.KINDS["contact"] = personal.Kind(
        label=_l("Contacts"),
        model=Contact,
        found_by=(Contact.name, Contact.office_phone, Contact.mobile, Contact.email),
        words=("name", "office_phone", "mobile", "email"),
        name=lambda contact: contact.name,
        where=lambda contact: contact.customer.name,
        names=lambda contact: personal.earlier(contact, "name", "office_phone", "mobile", "email"),
    )
    personal.holds(
        "contact",
        personal.Holding(_l("Contact"), lambda contact: [contact], COLUMNS),
        personal.Holding(_l("Interactions"), _talks, (), TALK),
        personal.Holding(_l("Interactions"), _talks_with_others, (), TALK, only_naming=True),
        personal.Holding(_l("Customer"), lambda contact: [contact.customer], (), ("memo",), only_naming=True),
    )


def _talks(contact: Contact) -> list[Interaction]:
    """The interactions held with the contact, deleted ones too."""
    found = sa.select(Interaction).where(Interaction.contact_id == contact.id).order_by(Interaction.id)
    return list(db.session.execute(found).scalars())


def _talks_with_others(contact: Contact) -> list[Interaction]:
    """All of the customer's: what was said with somebody else may be about the contact."""
    found = sa.select(Interaction).where(Interaction.customer_id == contact.customer_id).order_by(Interaction.id)
    return list(db.session.execute(found).scalars())
