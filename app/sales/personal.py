"""Whom to ask for at a prospect: what opportunities and their plans keep about a person who may stand nowhere else."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from flask_babel import lazy_gettext as _l

from app.core import personal
from app.core.personal import Holding
from app.customers.models import Contact
from app.extensions import db
from app.sales.models import Opportunity, PlanStep

COLUMNS = ("contact_name", "contact_phone")
TEXTS = ("title", "description", "close_reason")
PLANNED = ("todo", "result")


def install() -> None:
    """Let contacts be found in opportunities and plans, and be a kind of person where they stand nowhere else."""
    personal.KINDS["opportunity"] = personal.Kind(
        label=_l("Contacts named in opportunities"),
        model=Opportunity,
        found_by=(Opportunity.contact_name, Opportunity.contact_phone),
        words=COLUMNS,
        name=lambda opportunity: opportunity.contact_name or opportunity.contact_phone or personal.GONE,
        where=lambda opportunity: opportunity.customer_name,
    )
    personal.holds(
        "opportunity",
        Holding(_l("Opportunities"), same, COLUMNS, TEXTS),
        Holding(_l("Plan steps"), lambda person: _steps(same(person)), (), PLANNED, only_naming=True),
    )
    personal.holds(
        "contact",
        Holding(_l("Opportunities"), naming, COLUMNS, TEXTS),
        Holding(_l("Opportunities"), around, (), TEXTS, only_naming=True),
        Holding(_l("Plan steps"), lambda contact: _steps(around(contact)), (), PLANNED, only_naming=True),
    )


def naming(contact: Contact) -> list[Opportunity]:
    """The opportunities whose contact is or was this person: of the same customer, or with the same number."""
    called = {contact.name, *personal.names_of("contact", contact)} - {personal.GONE}
    numbers = {contact.office_phone, contact.mobile, *personal.earlier(contact, "office_phone", "mobile")} - {None, ""}
    same = sa.or_(Opportunity.customer_id == contact.customer_id, Opportunity.contact_phone.in_(numbers))
    return _found(sa.and_(Opportunity.contact_name.in_(called), same))


def around(contact: Contact) -> list[Opportunity]:
    """These, and every other one of the customer."""
    mine = naming(contact)
    return mine + [one for one in _found(Opportunity.customer_id == contact.customer_id) if one not in mine]


def same(person: Opportunity) -> list[Opportunity]:
    """The opportunity and the others that name the same person: at the same prospect, or with the same number."""
    there: list[sa.ColumnElement[bool]] = [sa.false()]
    if person.contact_phone:
        there.append(Opportunity.contact_phone == person.contact_phone)
    if person.contact_name:
        there.append(Opportunity.customer_name == person.customer_name)
    its = sa.and_(Opportunity.contact_name == person.contact_name, sa.or_(*there))
    return _found(sa.or_(Opportunity.id == person.id, its))


def _found(where: Any) -> list[Opportunity]:
    return list(db.session.execute(sa.select(Opportunity).where(where).order_by(Opportunity.id)).scalars())


def _steps(opportunities: list[Opportunity]) -> list[PlanStep]:
    its = PlanStep.opportunity_id.in_([one.id for one in opportunities])
    return list(db.session.execute(sa.select(PlanStep).where(its).order_by(PlanStep.id)).scalars())
