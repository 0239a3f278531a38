"""What is done with customers, contacts and interactions. Flush, never commit: the caller's unit of work does."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import User
from flask_babel import lazy_gettext as _l
from sqlalchemy import event

from app.core import recycle
from app.core.clock import local, utcnow
from app.core.errors import BusinessError, NotYours, StepRefused
from app.core.lifecycle import FASTER, Step, note_move, step
from app.core.sentences import gettext as _
from app.core.text import name_key, search_key
from app.customers.models import Contact, Customer, CustomerStatus, Interaction
from app.customers.numbers import next_number
from app.extensions import db
from app.masterdata.models import DictionaryItem, DictionaryType
from app.security.rights import holders, holds

CLOCKS = timedelta(minutes=5)  # how far clocks may be apart
NAMES = 20071202  # PostgreSQL's advisory locks that stand for names; another name of the same hash only waits


@event.listens_for(Customer, "before_insert")
@event.listens_for(Customer, "before_update")
def keep_keys(_mapper: Any, _connection: Any, customer: Customer) -> None:
    """Keep the folded keys that searching and comparing names use."""
    customer.name_key = name_key(customer.name)[:100]
    customer.search_key = search_key(customer.name, number=customer.number, phone=customer.phone)


def default_level() -> DictionaryItem:
    """Level 1 普通客户, what every new customer starts with."""
    return db.session.execute(
        sa.select(DictionaryItem).where(DictionaryItem.type == DictionaryType.level, DictionaryItem.code == "1")
    ).scalar_one()


def open_account(
    *,
    name: str,
    owner: User | None,
    phone: str | None = None,
    contact_name: str | None = None,
    actor: User | None = None,
    at: datetime | None = None,
) -> Customer:
    """Create a customer with its number, and its primary contact when a name is given (winning, demo, import).

    Level 1, satisfaction and credit 3, active, registered on the company-local day of `at`. Flushes.
    """
    at = at or utcnow()
    day = local(at).date()
    customer = Customer(
        number=_free_number(day),
        name=name.strip(),
        owner=owner,
        phone=phone,
        level=default_level(),
        registered_on=day,
        created_at=at,
        changed_at=at,
        created_by_id=actor.id if actor is not None else None,
    )
    db.session.add(customer)
    db.session.flush()
    note_move(customer, "create", actor=actor, at=at)
    if contact_name:
        add_contact(
            Contact(customer=customer, name=contact_name.strip()[:50], office_phone=phone or "", created_at=at),
            actor=actor,
            at=at,
        )
    return customer


def _free_number(day: date) -> str:
    """The next number of the day that no customer has: the sales system may have given out such a one itself."""
    while True:
        number = next_number("KH", day)
        if db.session.execute(sa.select(Customer.id).where(Customer.number == number)).first() is None:
            return number


def claim_name(name: str) -> None:
    """Whoever is about to make a customer of this name waits until others who are have ended their transactions.

    `same_name` then finds what they made. On SQLite the whole transaction holds the write lock already.
    """
    if db.engine.dialect.name == "postgresql":
        key = sa.func.hashtext(name_key(name)[:100])
        db.session.execute(sa.select(sa.func.pg_advisory_xact_lock(NAMES, key)))


def same_name(name: str, *where: sa.ColumnElement[bool]) -> list[Customer]:
    """Live customers with an equal name after trimming, folding width, case and company suffixes; at most 20.

    `where` narrows them further, to those somebody sees, say.
    """
    key = name_key(name)[:100]
    return list(
        db.session.execute(
            sa.select(Customer)
            .where(Customer.name_key == key, Customer.status != CustomerStatus.deleted, *where)
            .order_by(Customer.id)
            .limit(20)
        ).scalars()
    )


def register(customer: Customer, *, actor: User | None, at: datetime | None = None) -> Customer:
    """Give a customer entered by hand its number and the rest of what the server decides. Flushes."""
    at = at or utcnow()
    customer.registered_on = local(at).date()
    customer.number = _free_number(customer.registered_on)
    customer.status = CustomerStatus.active
    if customer.level is None:
        customer.level = default_level()
    db.session.add(customer)
    db.session.flush()
    return customer


# -- contacts: a customer with contacts has exactly one primary ---------------------------------------------------


def _contacts(customer_id: int) -> list[Contact]:
    return list(
        db.session.execute(
            sa.select(Contact)
            .where(Contact.customer_id == customer_id, Contact.deleted_at.is_(None))
            .order_by(Contact.id)
        ).scalars()
    )


def claim(customer_id: int) -> None:
    """Two people changing what hangs on one customer wait for each other (parent before child).

    Raises `StepRefused` when the customer was deleted meanwhile.
    """
    status = db.session.execute(sa.select(Customer.status).where(Customer.id == customer_id).with_for_update())
    if status.scalar_one() == CustomerStatus.deleted:
        raise StepRefused(str(FASTER))


def add_contact(contact: Contact, *, actor: User | None, at: datetime | None = None) -> Contact:
    """Add a contact; the first of a customer becomes the primary one, a new primary replaces the old. Flushes."""
    customer = contact.customer
    with db.session.no_autoflush:
        claim(customer.id)
        others = [c for c in _contacts(customer.id) if c is not contact]
    wants = bool(contact.is_primary) or not others
    contact.is_primary = False
    contact.created_by_id = actor.id if actor is not None else None
    db.session.add(contact)
    db.session.flush()
    if wants:
        make_primary(contact)
    return contact


def make_primary(contact: Contact) -> None:
    """Make this the customer's one primary contact: unset, flush, then set. Flushes."""
    for other in _contacts(contact.customer_id):
        if other.is_primary and other.id != contact.id:
            other.is_primary = False
    db.session.flush()
    contact.is_primary = True
    db.session.flush()


def change_contact(contact: Contact, *, was_primary: bool) -> None:
    """Keep exactly one primary after a contact was edited. Flushes.

    Raises `BusinessError` when the primary mark was taken off: another contact is made primary instead.
    """
    claim(contact.customer_id)
    if was_primary and not contact.is_primary:
        raise BusinessError(_("A customer needs a primary contact. Open another contact and mark that one instead."))
    if contact.is_primary and not was_primary:
        contact.is_primary = False
        make_primary(contact)
    db.session.flush()


def remove_contact(contact: Contact, *, at: datetime | None = None) -> Contact | None:
    """Hide a contact; when it was the primary one, the oldest remaining takes its place and is returned. Flushes."""
    claim(contact.customer_id)
    was_primary = contact.is_primary
    contact.is_primary = False
    recycle.delete(contact, at=at)
    rest = _contacts(contact.customer_id)
    if was_primary and rest:
        make_primary(rest[0])
        return rest[0]
    return None


def bring_back(contact: Contact) -> None:
    """A contact that was restored is the primary one where there is no other. Flushes."""
    if len(_contacts(contact.customer_id)) == 1:
        make_primary(contact)


def record_interaction(interaction: Interaction, *, actor: User | None, at: datetime | None = None) -> Interaction:
    """Keep what was said with a customer. Flushes.

    Raises `BusinessError` when the contact belongs to another customer, or the times cannot be.
    """
    check_interaction(interaction, at=at)
    interaction.created_by_id = actor.id if actor is not None else None
    if at is not None:
        interaction.created_at = at
        interaction.occurred_at = interaction.occurred_at or at
    db.session.add(interaction)
    db.session.flush()
    return interaction


def check_interaction(interaction: Interaction, *, at: datetime | None = None) -> None:
    """Raises `BusinessError` unless the contact is one of the customer's, and the times are possible at `at`.

    An interaction has taken place; the next follow-up is on its company-local day or later.
    """
    if interaction.contact is not None and interaction.contact.customer_id != (
        interaction.customer.id if interaction.customer is not None else interaction.customer_id
    ):
        raise BusinessError(_("This contact belongs to another customer. Choose one of this customer's contacts."))
    now = at or utcnow()
    occurred = interaction.occurred_at or now
    if occurred > now + CLOCKS:
        raise BusinessError(_("The time lies in the future. Enter when it took place; plans go into the follow-up."))
    following = interaction.next_follow_up_on
    if following is not None and following < local(occurred).date():
        raise BusinessError(_("The next follow-up is before the day of the interaction."))


# -- owners ---------------------------------------------------------------------------------------------------


def _may_assign(_customer: Customer, actor: User | None) -> None:
    if not holds(actor, "can_assign", "Customer"):
        raise NotYours(_("Only a sales lead can assign owners."))


@step(
    sources={CustomerStatus.active, CustomerStatus.lost},
    target=None,
    label=_l("Assign owner"),
    done=_l("The owner was assigned."),
    icon="user-share",
    guard=_may_assign,
)
def assign(customer: Customer, *, actor: User | None, at: datetime, owner: User) -> None:
    """Give a customer to an account manager, or to another one (lead; one, in bulk, or by filter).

    Raises `BusinessError` when the new owner may not be given customers, or already is the owner.
    """
    if customer.owner_id == owner.id:
        raise BusinessError(_("%(name)s is already the owner.", name=owner.get_full_name()))
    able = db.session.execute(
        sa.select(User.id).where(User.id == owner.id, User.id.in_(holders("can_be_assigned", "Customer")))
    ).first()
    if able is None:
        raise BusinessError(
            _("%(name)s cannot be given customers. Choose an account manager.", name=owner.get_full_name())
        )
    customer.owner = owner


STEPS: list[Step] = [assign]
