"""The demo company's customers that were entered by hand, with their contacts and what was talked about."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random

import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import User

from app.core.changes import moving
from app.core.clock import local
from app.core.lifecycle import note_move
from app.customers import operations as customers
from app.customers.models import Contact, Customer, Gender, Interaction
from app.desk.demo import names as words
from app.desk.demo.churn import make_fates
from app.desk.demo.names import Company
from app.desk.demo.orders import WINDOW, moment
from app.desk.demo.people import LOOKS_AFTER
from app.desk.demo.scene import DIRECT, Fate, Kept, Scene, T, entered
from app.extensions import db

FOLLOWED_UP = timedelta(days=45)  # a talk that long ago leaves nothing to be done


def make_customers(scene: Scene) -> None:
    """The customers that were entered by hand, oldest first; some of them will fall silent."""
    rng = scene.rng("customers")
    fates = make_fates(scene)
    rng.shuffle(fates)
    plans: list[tuple[date, Fate | None]] = []
    for n in range(DIRECT):
        fate = fates[n] if n < len(fates) else None
        if fate is not None and fate.never_ordered:
            since = local(fate.silent_since).date()
        elif fate is not None or rng.random() < 0.75:
            since = scene.ago(rng.randint(WINDOW + 20, 2400))
        else:
            since = scene.ago(rng.randint(15, WINDOW - 40))
        plans.append((since, fate))
    plans.sort(key=lambda plan: plan[0])
    foreign = set(rng.sample(range(DIRECT), 30))
    for n, (since, fate) in enumerate(plans):
        company = scene.names.company(foreign=n in foreign)
        owner = "wulei" if rng.random() < 0.04 and not company.foreign else LOOKS_AFTER[company.region]
        kept = _open(scene, rng, company, owner, since, fate)
        make_talks(scene, rng, kept)
    _regrade(scene)


def _regrade(scene: Scene) -> None:
    """Raise the level of some who do well, lower that of a few, in the last year and a half."""
    rng = scene.rng("levels")
    for kept in scene.customers:
        age = (scene.today - kept.since).days
        if not kept.busy or age < WINDOW // 4 or rng.random() > 0.3:
            continue
        level = int(kept.level) + (1 if rng.random() < 0.75 else -1)
        if not 1 <= level <= 5:
            continue
        at, manager = moment(rng, scene.ago(rng.randint(8, min(age - 60, 540))), scene.now), scene.people[kept.owner]
        customer = db.session.get_one(Customer, kept.customer_id)
        with moving("customer", "edit", actor=manager, at=at):
            customer.level, customer.changed_at = scene.item(T.level, str(level)), at
        note_move(customer, "edit", actor=manager, at=at)


def _open(scene: Scene, rng: Random, company: Company, owner: str, since: date, fate: Fate | None) -> Kept:
    """Enter one customer with its contacts, and complete it."""
    at, manager = moment(rng, since, scene.now), scene.people[owner]
    customer = customers.open_account(name=company.name, owner=manager, phone=company.phone, actor=manager, at=at)
    level, gap = habit(rng, fate)
    with moving("customer", "edit", actor=manager, at=at):
        complete(scene, rng, customer, company, level, at)
    note_move(customer, "edit", actor=manager, at=at + timedelta(minutes=rng.randint(2, 40)))
    for n in range(rng.choices((1, 2, 3, 4), (40, 32, 18, 10))[0]):
        make_contact(rng, scene, customer, company, manager, at + timedelta(minutes=5 + n), primary=n == 2)
    kept = Kept(customer.id, customer.number, company, level, owner, since, gap, fate)
    scene.customers.append(kept)
    return kept


def habit(rng: Random, fate: Fate | None) -> tuple[str, float | None]:
    """A level, and the days between two orders that go with it."""
    level = rng.choices("12345", (48, 22, 15, 10, 5))[0]
    if fate is not None and fate.never_ordered:
        return "1", None
    usual = {"1": (70, 105), "2": (45, 95), "3": (24, 60), "4": (30, 80), "5": (16, 30)}[level]
    return level, rng.uniform(*usual)


def complete(scene: Scene, rng: Random, customer: Customer, company: Company, level: str, at: datetime) -> None:
    """Fill in what a person completes on the edit screen (补入). Numbers of papers are plainly invented."""
    customer.level = scene.item(T.level, level)
    customer.region = scene.item(T.region, company.region)
    customer.satisfaction = rng.choices((1, 2, 3, 4, 5), (2, 8, 30, 40, 20))[0]
    customer.credit = rng.choices((1, 2, 3, 4, 5), (3, 9, 33, 35, 20))[0]
    customer.province, customer.city, customer.address = company.province, company.city, company.address
    customer.postcode, customer.website = company.postcode, company.website
    customer.industry = scene.item(T.industry, company.industry)
    customer.changed_at = at
    if rng.random() < 0.6:
        customer.nature = scene.item(T.nature, "foreign") if company.foreign else scene.any_item(T.nature, rng)
        customer.standing = scene.any_item(T.standing, rng)
        customer.registered_capital = Decimal(rng.choice((200, 500, 1000, 3000, 8000)))
        customer.annual_turnover = Decimal(rng.randint(600, 90_000))
    if not company.foreign and rng.random() < 0.7:
        stock_company = "股份" in company.name
        customer.company_type = scene.item(T.company_type, "stock" if stock_company else "limited")
        customer.social_credit_code = f"91000000DEMO{customer.id:06d}"
        customer.legal_representative = scene.names.person().name
        customer.bank = scene.any_item(T.bank, rng)
        customer.bank_account = f"0000 0000 {customer.id:04d} 0000"


def make_contact(
    rng: Random, scene: Scene, customer: Customer, company: Company, actor: User, at: datetime, *, primary: bool = False
) -> None:
    """Enter one more person at the customer."""
    person = scene.names.person(foreign=company.foreign)
    contact = Contact(
        customer=customer, name=person.name, gender=Gender.male if person.male else Gender.female,
        position=person.position, office_phone=customer.phone or company.phone, mobile=person.mobile,
        email=person.email, is_primary=primary, created_at=at, changed_at=at,
    )  # fmt: skip
    if rng.random() < 0.3:
        contact.birthday = date(rng.randint(1965, 1998), rng.randint(1, 12), rng.randint(1, 28))
    customers.add_contact(contact, actor=actor, at=at)
    entered(contact, actor=actor, at=at)


def make_talks(scene: Scene, rng: Random, kept: Kept) -> None:
    """What was talked about with a customer, more with the big ones; some ask to be called again."""
    owner, first = scene.people[kept.owner], max(kept.since, scene.ago(WINDOW))
    contacts = list(db.session.execute(sa.select(Contact).where(Contact.customer_id == kept.customer_id)).scalars())
    for _n in range(rng.randint(1, 3) + int(kept.level) // 2):
        day = first + timedelta(days=int((scene.today - first).days * rng.random() ** 0.6))
        if kept.owner == "wulei":
            day = min(day, scene.ago(40))
        at = moment(rng, day, scene.now)
        place, title, detail = rng.choice(words.FOREIGN_TALKS if kept.company.foreign else words.TALKS)
        talk = Interaction(
            customer=contacts[0].customer, contact=rng.choice(contacts), occurred_at=at, place=place, title=title,
            detail=detail,
        )  # fmt: skip
        if rng.random() < 0.7 and scene.now - at < FOLLOWED_UP:  # older ones were
            talk.next_follow_up_on = local(at).date() + timedelta(days=rng.choice((7, 14, 21, 30)))
        customers.record_interaction(talk, actor=owner, at=at)
        entered(talk, actor=owner, at=at)
