"""Whose customers: all by default (充分共享), narrowed to own or own team by the setting LIUKE_CUSTOMERS_SHARED."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from flask import current_app
from flask_appbuilder.security.sqla.models import User
from sqlalchemy.orm import joinedload

from app.core.choosing import Choices
from app.core.protected import PHONE, sees
from app.core.scope import RowScope, may, reader_id
from app.core.search import contains
from app.core.text import fold
from app.customers.models import Contact, Customer, CustomerStatus, Interaction
from app.security.models import Team, UserProfile
from app.security.rights import holds


def _team_mates(person: int) -> sa.Select[Any]:
    """SELECT of the ids of everybody in the reader's team or in a team he leads."""
    own = sa.select(UserProfile.team_id).where(UserProfile.user_id == person, UserProfile.team_id.is_not(None))
    led = sa.select(Team.id).where(Team.lead_id == person)
    return sa.select(UserProfile.user_id).where(sa.or_(UserProfile.team_id.in_(own), UserProfile.team_id.in_(led)))


class VisibleCustomers(RowScope):
    """All customers, or the reader's own (and team's) when the company does not share; deleted ones never."""

    rows = Customer

    @classmethod
    def visible(cls) -> sa.ColumnElement[bool]:
        return _in_reach(reader_id(), sees_all=may("can_see_all", "Customer"))

    @classmethod
    def owned(cls) -> sa.ColumnElement[bool]:
        return Customer.owner_id == reader_id()

    @classmethod
    def is_own(cls, record: Customer) -> bool:
        return record.owner_id is not None and record.owner_id == reader_id()


def _in_reach(person: int | None, *, sees_all: bool, deleted: bool = False) -> sa.ColumnElement[bool]:
    live = sa.true() if deleted else Customer.status != CustomerStatus.deleted
    shared = current_app.config["LIUKE_CUSTOMERS_SHARED"]
    if shared == "all" or sees_all:
        return live
    if person is None:
        return sa.false()
    own: Any = Customer.owner_id == person
    if shared == "team":
        own = sa.or_(own, Customer.owner_id.in_(_team_mates(person)))
    return sa.and_(live, own)


def in_reach_of(actor: User | None) -> sa.ColumnElement[bool]:
    """WHERE a customer is visible to this person, for operations; the system sees every one."""
    if actor is None:
        return _in_reach(None, sees_all=True)
    return _in_reach(actor.id, sees_all=holds(actor, "can_see_all", "Customer"))


def of_visible_customer(column: Any) -> sa.ColumnElement[bool]:
    """WHERE a row's customer (`column` is its foreign key) is visible. For everything that hangs on a customer."""
    if current_app.config["LIUKE_CUSTOMERS_SHARED"] == "all" or may("can_see_all", "Customer"):
        deleted = sa.select(Customer.id).where(Customer.id == column, Customer.status == CustomerStatus.deleted)
        return ~deleted.exists()
    return sa.select(Customer.id).where(Customer.id == column, VisibleCustomers.criterion()).exists()


def also_deleted() -> sa.ColumnElement[bool]:
    """WHERE a customer is in the reader's reach, deleted or not: for the recycle bin."""
    return _in_reach(reader_id(), sees_all=may("can_see_all", "Customer"), deleted=True)


def was_editable(view: str, column: Any) -> sa.ColumnElement[bool]:
    """WHERE what hangs on a customer (`column` is its foreign key) was the reader's to change before it was deleted."""
    own = [] if may("can_edit_any", view) else [Customer.owner_id == reader_id()]
    return sa.select(Customer.id).where(Customer.id == column, also_deleted(), *own).exists()


class VisibleContacts(RowScope):
    """Contacts of visible customers."""

    rows = Contact

    @classmethod
    def visible(cls) -> sa.ColumnElement[bool] | None:
        return of_visible_customer(Contact.customer_id)

    @classmethod
    def owned(cls) -> sa.ColumnElement[bool]:
        return Contact.customer_id.in_(sa.select(Customer.id).where(VisibleCustomers.owned()))

    @classmethod
    def is_own(cls, record: Contact) -> bool:
        return record.customer is not None and VisibleCustomers.is_own(record.customer)


class VisibleInteractions(RowScope):
    """Interactions with visible customers."""

    rows = Interaction

    @classmethod
    def visible(cls) -> sa.ColumnElement[bool] | None:
        return of_visible_customer(Interaction.customer_id)


def editable(record: Any, owner_id: int | None) -> bool:
    """Whether the reader may change what belongs to this customer: his own, or anybody's with the right."""
    view = {"customer": "Customer", "contact": "Contact", "interaction": "Interaction"}[record.__tablename__]
    return may("can_edit_any", view) or (owner_id is not None and owner_id == reader_id())


def found_by(text: str) -> sa.ColumnElement[bool]:
    """WHERE a customer is found by what was typed: name, pinyin, initials, number, and the phone if it may be seen.

    The folded key ends with the digits of the phone. Who may not see them finds a text with digits by name and number.
    """
    found = contains(Customer.search_key, text, folded=True)
    if sees(PHONE, "Customer", own=False) or not any(sign.isdigit() for sign in fold(text)):
        return found
    openly = sa.or_(*(contains(column, fold(text)) for column in (Customer.name, Customer.number)))
    if sees(PHONE, "Customer", own=True):
        openly = sa.or_(openly, VisibleCustomers.owned())
    return sa.and_(found, openly)


def customers_to_choose() -> Choices:
    """Visible customers, searched by name, pinyin, initials, number or phone."""
    return Choices(
        Customer, where=VisibleCustomers.criterion, search=found_by, order=(Customer.name, Customer.id)
    )  # fmt: skip


def contacts_to_choose() -> Choices:
    """Contacts of visible customers, told apart by the customer."""
    return Choices(
        Contact, where=VisibleContacts.criterion, search=(Contact.name,), order=(Contact.name, Contact.id),
        text=lambda contact: f"{contact.name} · {contact.customer.name}", loads=(joinedload(Contact.customer),),
    )  # fmt: skip
