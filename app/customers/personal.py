"""What is kept about a contact: its own row, what was said with it, and how the files of that are called."""

from __future__ import annotations

import sqlalchemy as sa
from flask_babel import lazy_gettext as _l

from app.attachments.models import Attachment
from app.core import personal
from app.customers.models import Contact, Interaction
from app.extensions import db

COLUMNS = (
    "name", "gender", "position", "office_phone", "mobile", "email", "home_address", "birthday", "memo",
)  # fmt: skip


def install() -> None:
    """Make contacts a kind of person whose data can be shown and erased."""
    personal.KINDS["contact"] = personal.Kind(
        label=_l("Contacts"),
        model=Contact,
        found_by=(Contact.name, Contact.office_phone, Contact.mobile, Contact.email),
        words=("name", "office_phone", "mobile", "email"),
        name=lambda contact: contact.name,
        where=lambda contact: contact.customer.name,
    )
    personal.holds(
        "contact",
        personal.Holding(_l("Contact"), lambda contact: [contact], COLUMNS),
        personal.Holding(_l("Interactions"), _talks, (), ("title", "place", "detail", "memo")),
        personal.Holding(_l("Files"), _files, (), ("name",)),
    )


def _talks(contact: Contact) -> list[Interaction]:
    """The interactions held with the contact, deleted ones too."""
    found = sa.select(Interaction).where(Interaction.contact_id == contact.id).order_by(Interaction.id)
    return list(db.session.execute(found).scalars())


def _files(contact: Contact) -> list[Attachment]:
    """The files of those interactions, removed ones too."""
    held = sa.select(Interaction.id).where(Interaction.contact_id == contact.id)
    its = (Attachment.record_type == Interaction.__tablename__, Attachment.record_id.in_(held))
    return list(db.session.execute(sa.select(Attachment).where(*its).order_by(Attachment.id)).scalars())
