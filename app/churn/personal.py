"""Whom retention measures and reasons of a loss may name: a contact of the customer."""

from __future__ import annotations

import sqlalchemy as sa
from flask_babel import lazy_gettext as _l

from app.churn.models import ChurnCase, RetentionMeasure
from app.core import personal
from app.customers.models import Contact
from app.extensions import db


def install() -> None:
    """Let contacts be found in the texts of their customer's warnings."""
    personal.holds(
        "contact",
        personal.Holding(_l("Churn warnings"), _cases, (), ("reason",), only_naming=True),
        personal.Holding(_l("Retention measures"), _measures, (), ("text",), only_naming=True),
    )


def _cases(contact: Contact) -> list[ChurnCase]:
    its = ChurnCase.customer_id == contact.customer_id
    return list(db.session.execute(sa.select(ChurnCase).where(its).order_by(ChurnCase.id)).scalars())


def _measures(contact: Contact) -> list[RetentionMeasure]:
    its = RetentionMeasure.case_id.in_([case.id for case in _cases(contact)])
    return list(db.session.execute(sa.select(RetentionMeasure).where(its).order_by(RetentionMeasure.id)).scalars())
