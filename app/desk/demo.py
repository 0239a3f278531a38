"""The demo company: 200 customers and two years of work, made by the same operations people use, as of past days.

No state is written past its rules: opportunities were assigned and won, feeds of the sales system were read and the
weekly scan gave its warnings. It is the same company every time, and its dates move with today.
"""

from __future__ import annotations

import re
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import sqlalchemy as sa
from flask import current_app
from flask_appbuilder.security.sqla.models import Role, User

from app.churn import operations as churn
from app.churn.estimating import estimate_all
from app.churn.models import OPEN, ChurnCase, RetentionMeasure
from app.core.changes import moving
from app.core.clock import company_zone, local, months_before, utcnow
from app.core.errors import BusinessError
from app.core.lifecycle import Step, note_move
from app.core.sentences import gettext as _
from app.core.unit import unit_of_work
from app.customers import operations as customers
from app.customers.models import Contact, Customer, Gender, Interaction
from app.desk import demo_names as words
from app.desk.demo_loading import alone
from app.desk.demo_names import Company, Names
from app.desk.demo_orders import WINDOW, Bought, Buyer, SalesSystem, moment, plan_orders
from app.extensions import db
from app.marketing import operations as marketing
from app.marketing.models import Activity, ActivityKind, Participant
from app.masterdata.models import DictionaryItem, DictionaryType
from app.mirror.models import Order, OrderLine, Product, Stock, SyncStatus
from app.mirror.sync import sync
from app.notices.models import Notification
from app.reports import closing
from app.reports.period import Period
from app.runs.models import Installation, JobRun
from app.runs.operations import claim, finish, install, whoami
from app.runs.periodic import CHURN_ESTIMATE, CHURN_SCAN, MONTH_CLOSE, Periodic, instant, period_of
from app.sales import operations as sales
from app.sales.models import Opportunity
from app.security import operations as security
from app.security.models import RoleProfile, Team
from app.tickets import operations as tickets
from app.tickets.models import Complaint, Feedback, Ticket

SEED = 20261122
PASSWORD = "bright-lantern-28"  # noqa: S105 - of everybody in the demo company, and documented
DIRECT, BY_FEED, WON = 175, 8, 17  # where the 200 customers come from; won ones by opportunities
FOLLOWED_UP = timedelta(days=45)  # a talk that long ago leaves nothing to be done
UNREAD = timedelta(days=3)  # notifications nobody has read yet
WEEKS = 60  # Saturdays that were scanned
MONTHS = 3  # whose reports were closed
LATE = 3  # orders of the newest of them that the sales system told afterwards
# How far the newest tickets are today; the others are archived.
TICKET_ENDS = ["created"] * 5 + ["assigned"] * 6 + ["returned"] * 2 + ["handled"] * 4

T = DictionaryType
Tell = Callable[[str], object]


class Account(NamedTuple):
    """How somebody of the demo company signs in."""

    name: str
    password: str
    who: str


class Colleague(NamedTuple):
    """Somebody of the demo company."""

    account: str
    family: str
    given: str
    role: str
    title: str
    team: int | None = None
    language: str | None = None
    absent: bool = False


STAFF = (
    Colleague("admin", "陈", "志远", "super_admin", "super admin"),
    Colleague("sunwei", "孙", "伟", "system_admin", "system admin"),
    Colleague("lijianguo", "李", "建国", "sales_lead", "sales lead", 0),
    Colleague("emmaclark", "Clark", "Emma", "sales_lead", "sales lead", 1, "en"),
    Colleague("wangxiaowen", "王", "晓雯", "account_manager", "account manager", 0),
    Colleague("zhaoyiming", "赵", "一鸣", "account_manager", "account manager", 0),
    Colleague("hejiahao", "何", "嘉豪", "account_manager", "account manager", 1),
    Colleague("annali", "Li", "Anna", "account_manager", "account manager", 1, "en"),
    Colleague("zhouming", "周", "明", "executive", "executive"),
    Colleague("wulei", "吴", "磊", "account_manager", "account manager who left", 0, absent=True),
)
TEAMS = (("国内销售一组", "lijianguo"), ("华南与海外组", "emmaclark"))
ACCOUNTS = tuple(Account(c.account, PASSWORD, c.title) for c in STAFF if not c.absent)
MANAGERS = ("wangxiaowen", "zhaoyiming", "hejiahao", "annali")
LOOKS_AFTER = {
    "east": "wangxiaowen", "shanghai": "wangxiaowen", "beijing": "zhaoyiming", "hebei": "zhaoyiming",
    "northeast": "zhaoyiming", "northwest": "zhaoyiming", "central_south": "hejiahao", "south": "hejiahao",
    "southwest": "hejiahao", "overseas": "annali",
}  # fmt: skip


@dataclass(frozen=True)
class DemoCompany:
    """What was loaded: who can sign in, and how many rows of each kind there are."""

    accounts: tuple[Account, ...]
    counts: dict[str, int]


def load_demo(progress: Tell | None = None, *, now: datetime | None = None) -> DemoCompany:
    """Load the demo company into an empty database, as if it had worked until `now` (default: this moment).

    `progress` is told a line per stage. Commits; from the first commit on the database is known as a demo and served
    on this machine only, and as one that is not whole until the last. Raises `BusinessError` when there are customers
    or accounts already, or another process is loading.
    """
    with alone():
        _check_empty()
        _load(Scene(now or utcnow()), progress or (lambda _line: None))
    current_app.extensions["liuke_demo"].forget()
    return DemoCompany(ACCOUNTS, _counts())


def _load(scene: Scene, tell: Tell) -> None:
    with unit_of_work():
        _mark_as_demo(scene.now)
        tell("Accounts and teams ...")
        scene.people = _people()
    with unit_of_work():
        scene.items = {(i.type, i.code): i for i in db.session.execute(sa.select(DictionaryItem)).scalars()}
        tell("Customers, contacts and what was talked about ...")
        _customers(scene)
        tell("Opportunities and development plans ...")
        _opportunities(scene)
        tell("Tickets, feedback, complaints and marketing ...")
        _service(scene)
        _marketing(scene)
    tell("Orders, products and stock from the sales system ...")
    returns = _orders(scene)
    tell(f"Churn warnings of {WEEKS} weeks, and what was done about them ...")
    _weeks(scene, returns)
    newest = CHURN_ESTIMATE.rule.last(scene.now, company_zone())
    for weeks in (26, 0):  # what was estimated half a year ago can be compared with what happened
        estimate_all(as_of=instant(newest - timedelta(weeks=weeks), company_zone()))
    with unit_of_work():
        security.disable(db.session.merge(scene.people["wulei"]), actor=scene.people["sunwei"])
        # What people were told long ago they have read.
        old = sa.update(Notification).where(Notification.at < scene.now - UNREAD)
        db.session.execute(old.values(read_at=Notification.at))
        db.session.execute(sa.update(Installation).values(loading=False))


def _check_empty() -> None:
    """Raises `BusinessError` for a database that somebody uses."""
    if db.session.execute(sa.select(Customer.id).limit(1)).first() is not None:
        raise BusinessError(
            _("The demo company can be loaded into an empty database only; this one has customers already.")
        )
    taken = db.session.execute(sa.select(User.username).order_by(User.id).limit(1)).scalar_one_or_none()
    if taken is not None:
        raise BusinessError(
            _("This database already has an account “%(name)s”. Load the demo company into a new database.", name=taken)
        )


def _mark_as_demo(now: datetime) -> None:
    """A demo from here on, and not whole before the end."""
    install(demo=True, now=now)
    db.session.execute(sa.update(Installation).values(demo=True, loading=True))


def _counts() -> dict[str, int]:
    models: tuple[Any, ...] = (
        Customer, Contact, Interaction, Opportunity, Product, Stock, Order, OrderLine, ChurnCase, RetentionMeasure,
        Ticket, Feedback, Complaint, Activity, Participant,
    )  # fmt: skip
    found = db.session.execute(
        sa.select(*(sa.select(sa.func.count()).select_from(model).scalar_subquery() for model in models))
    ).one()
    return {model.__tablename__: int(count) for model, count in zip(models, found, strict=True)}


# -- the scene ----------------------------------------------------------------------------------------------------


@dataclass
class Fate:
    """A silence that is part of the story: warned on one Saturday, and what happens then."""

    warned: datetime
    silent_since: datetime
    end: str  # warning, deferred, lost, recovered, won_back
    defers: list[datetime] = field(default_factory=list)
    lost_at: datetime | None = None
    returns_on: date | None = None
    by_sync: bool = False  # the return is noticed by a sync, not by the scan
    never_ordered: bool = False


@dataclass
class Kept:
    """A customer of the scene."""

    customer_id: int
    number: str
    company: Company
    level: str
    owner: str
    since: date
    gap: float | None
    fate: Fate | None = None

    @property
    def busy(self) -> bool:
        """Whether it goes on as usual."""
        return self.fate is None


@dataclass
class Scene:
    """Who and what there is so far."""

    now: datetime
    people: dict[str, User] = field(default_factory=dict)
    items: dict[tuple[DictionaryType, str], DictionaryItem] = field(default_factory=dict)
    customers: list[Kept] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.today = local(self.now).date()
        self.names = Names(self.rng("names"))

    def rng(self, stage: str) -> Random:
        """Random numbers of one stage: what another one draws changes nothing here."""
        return Random(f"{SEED} {stage}")  # noqa: S311 - a story, not a secret

    def ago(self, days: float) -> date:
        """The company-local date so many days ago."""
        return self.today - timedelta(days=days)

    def item(self, kind: DictionaryType, code: str) -> DictionaryItem:
        """A dictionary item by its code."""
        return self.items[kind, code]

    def any_item(self, kind: DictionaryType, rng: Random) -> DictionaryItem:
        """One of the items of a list."""
        return rng.choice([item for (type_, _code), item in self.items.items() if type_ == kind])

    def closings(self) -> list[datetime]:
        """The instants at which the last months were closed, oldest first."""
        zone, found = company_zone(), [self.now]
        for _n in range(MONTHS):
            found.append(instant(MONTH_CLOSE.rule.last(found[-1] - timedelta(minutes=1), zone), zone))
        return found[:0:-1]

    def saturdays(self) -> list[datetime]:
        """The instants of the weekly scans so far, oldest first."""
        zone = company_zone()
        newest = CHURN_SCAN.rule.last(self.now, zone)
        return [instant(newest - timedelta(weeks=n), zone) for n in range(WEEKS - 1, -1, -1)]


def _entered(record: Any, *, actor: User | None, at: datetime) -> None:
    """The history row that the page would have written."""
    note_move(record, "create", actor=actor, at=at)


# -- people -------------------------------------------------------------------------------------------------------


def _people() -> dict[str, User]:
    known = sa.select(RoleProfile.code, Role).join(Role, Role.id == RoleProfile.role_id)
    roles = {row[0]: row[1] for row in db.session.execute(known)}
    teams = [Team(name=name) for name, _lead in TEAMS]
    db.session.add_all(teams)
    people: dict[str, User] = {}
    # Once for all: it is the same password, everybody knows it, and making it takes a third of a second.
    hashed = current_app.appbuilder.sm.hash_password(PASSWORD)  # type: ignore[attr-defined]
    for number, c in enumerate(STAFF, start=1):
        people[c.account] = security.create_user(
            actor=people.get("admin"),
            account=c.account,
            last_name=c.family,
            first_name=c.given,
            email=f"{c.account}@example.com",
            roles=[roles[c.role]],
            hashed=hashed,
            phone=f"100 0555 {number:04d}",
            team=teams[c.team] if c.team is not None else None,
            language=c.language,
        )
    for team, (_name, lead) in zip(teams, TEAMS, strict=True):
        team.lead = people[lead]
    return people


# -- customers ----------------------------------------------------------------------------------------------------


def _customers(scene: Scene) -> None:
    """The customers that were entered by hand, oldest first; some of them will fall silent."""
    rng = scene.rng("customers")
    fates = _fates(scene)
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
        _talks(scene, rng, kept)
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
    level, gap = _habit(rng, fate)
    with moving("customer", "edit", actor=manager, at=at):
        _complete(scene, rng, customer, company, level, at)
    note_move(customer, "edit", actor=manager, at=at + timedelta(minutes=rng.randint(2, 40)))
    for n in range(rng.choices((1, 2, 3, 4), (40, 32, 18, 10))[0]):
        _contact(rng, scene, customer, company, manager, at + timedelta(minutes=5 + n), primary=n == 2)
    kept = Kept(customer.id, customer.number, company, level, owner, since, gap, fate)
    scene.customers.append(kept)
    return kept


def _habit(rng: Random, fate: Fate | None) -> tuple[str, float | None]:
    """A level, and the days between two orders that go with it."""
    level = rng.choices("12345", (48, 22, 15, 10, 5))[0]
    if fate is not None and fate.never_ordered:
        return "1", None
    usual = {"1": (70, 105), "2": (45, 95), "3": (24, 60), "4": (30, 80), "5": (16, 30)}[level]
    return level, rng.uniform(*usual)


def _complete(scene: Scene, rng: Random, customer: Customer, company: Company, level: str, at: datetime) -> None:
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


def _contact(
    rng: Random, scene: Scene, customer: Customer, company: Company, actor: User, at: datetime, *, primary: bool = False
) -> None:
    person = scene.names.person(foreign=company.foreign)
    contact = Contact(
        customer=customer, name=person.name, gender=Gender.male if person.male else Gender.female,
        position=person.position, office_phone=customer.phone or company.phone, mobile=person.mobile,
        email=person.email, is_primary=primary, created_at=at, changed_at=at,
    )  # fmt: skip
    if rng.random() < 0.3:
        contact.birthday = date(rng.randint(1965, 1998), rng.randint(1, 12), rng.randint(1, 28))
    customers.add_contact(contact, actor=actor, at=at)
    _entered(contact, actor=actor, at=at)


def _talks(scene: Scene, rng: Random, kept: Kept) -> None:
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
        _entered(talk, actor=owner, at=at)


# -- opportunities ------------------------------------------------------------------------------------------------


class Deal(NamedTuple):
    """How one opportunity goes."""

    end: str  # unassigned, fresh, running, won, attached, failed, terminated
    began: int  # days ago


def _deals(rng: Random) -> list[Deal]:
    plan = [Deal("unassigned", rng.randint(0, 18)) for _ in range(14)]
    plan += [Deal("fresh", rng.randint(2, 12)) for _ in range(5)]
    plan += [Deal("running", rng.randint(14, 75)) for _ in range(21)]
    plan += [Deal("won", rng.randint(60, 600)) for _ in range(WON)]
    plan += [Deal("attached", rng.randint(60, 300)), Deal("attached", rng.randint(60, 300))]
    plan += [Deal("failed", rng.randint(50, 600)) for _ in range(13)]
    plan += [Deal("terminated", rng.randint(40, 600)) for _ in range(6)]
    return sorted(plan, key=lambda deal: -deal.began)


def _opportunities(scene: Scene) -> None:
    """Opportunities in every state, each by the moves that lead there."""
    rng = scene.rng("opportunities")
    deals = _deals(rng)
    foreign = set(rng.sample(range(len(deals)), 9))
    for n, deal in enumerate(deals):
        if deal.end == "attached":
            known = rng.choice([k for k in scene.customers if not k.company.foreign and k.busy])
            opportunity, company = _entered_opportunity(scene, rng, deal, known.company)
        else:
            opportunity, company = _entered_opportunity(scene, rng, deal, scene.names.company(foreign=n in foreign))
        if deal.end != "unassigned":
            _develop(scene, rng, deal, opportunity, company)


def _entered_opportunity(scene: Scene, rng: Random, deal: Deal, company: Company) -> tuple[Opportunity, Company]:
    title, description, low, high = rng.choice(words.FOREIGN_PROSPECTS if company.foreign else words.PROSPECTS)
    manager = scene.people[LOOKS_AFTER[company.region]]
    actor = manager if rng.random() < 0.7 else scene.people["emmaclark" if company.foreign else "lijianguo"]
    at = moment(rng, scene.ago(deal.began), scene.now)
    opportunity = Opportunity(
        customer_name=re.sub(r"(股份)?有限(责任)?公司$", "", company.name) if deal.end == "attached" else company.name,
        title=title,
        source=scene.any_item(T.source, rng),
        probability=rng.choice((20, 30, 40, 50, 60, 70, 80, 85)),
        contact_name=scene.names.person(foreign=company.foreign).name,
        contact_phone=company.phone,
        description=description,
        expected_amount=Decimal(round(rng.uniform(low, high), -3)),
        expected_close_on=local(at).date() + timedelta(days=rng.randint(60, 160)),
    )
    sales.create(opportunity, actor=actor, at=at)
    _entered(opportunity, actor=actor, at=at)
    return opportunity, company


def _develop(scene: Scene, rng: Random, deal: Deal, opportunity: Opportunity, company: Company) -> None:
    """Assign the opportunity, plan, execute, and end it as the deal says."""
    lead = scene.people["emmaclark" if LOOKS_AFTER[company.region] in ("hejiahao", "annali") else "lijianguo"]
    owner = LOOKS_AFTER[company.region]
    first = rng.choice(MANAGERS) if rng.random() < 0.1 else owner
    on = scene.ago(deal.began) + timedelta(days=1)
    sales.assign(opportunity, actor=lead, at=moment(rng, on, scene.now), assignee=scene.people[first])
    if first != owner:
        on += timedelta(days=1)
        sales.reassign(opportunity, actor=lead, at=moment(rng, on, scene.now), assignee=scene.people[owner])
    actor = scene.people[owner]
    idle = deal.end == "fresh" or (deal.end == "terminated" and rng.random() < 0.5)
    steps = 0 if idle else rng.randint(2, 5)
    on = _plan(scene, rng, opportunity, actor, on, steps, running=deal.end == "running", foreign=company.foreign)
    at = moment(rng, on + timedelta(days=2), scene.now)
    if deal.end == "won":
        _win(scene, rng, opportunity, company, owner, at)
    elif deal.end == "attached":
        sales.win(opportunity, actor=actor, at=at, attach_to=customers.same_name(opportunity.customer_name)[0])
    elif deal.end == "failed":
        sales.lose(opportunity, actor=actor, at=at, reason=rng.choice(words.FAILED))
    elif deal.end == "terminated":
        sales.terminate(opportunity, actor=actor, at=at, reason=rng.choice(words.TERMINATED))


def _plan(
    scene: Scene, rng: Random, opportunity: Opportunity, actor: User, on: date, steps: int, *, running: bool,
    foreign: bool,
) -> date:  # fmt: skip
    """Plan so many steps and execute them, of a running plan only those whose day has come; the day of the last."""
    on += timedelta(days=1)
    made, planned = moment(rng, on, scene.now), on
    texts = words.FOREIGN_PLAN if foreign else words.PLAN
    for todo, result in texts[:steps]:
        planned += timedelta(days=rng.randint(4, 11))
        step = sales.add_step(opportunity, actor=actor, planned_on=planned, todo=todo, at=made)
        late = rng.random() < 0.2
        if running and (planned >= scene.today or (late and planned > scene.ago(10))):
            continue  # still to be done, some of it overdue
        done = moment(rng, min(planned + timedelta(days=late), scene.today), scene.now)
        sales.execute_step(step, actor=actor, result=result, at=done)
    return min(planned, scene.today)


def _win(scene: Scene, rng: Random, opportunity: Opportunity, company: Company, owner: str, at: datetime) -> None:
    """Win the opportunity; the customer is completed afterwards and orders from then on."""
    actor = scene.people[owner]
    sales.win(opportunity, actor=actor, at=at)
    customer = db.session.get_one(Customer, opportunity.customer_id)
    level, gap = _habit(rng, None)
    with moving("customer", "edit", actor=actor, at=at + timedelta(hours=1)):
        _complete(scene, rng, customer, company, level, at + timedelta(hours=1))
    note_move(customer, "edit", actor=actor, at=at + timedelta(hours=1))
    if rng.random() < 0.5:
        _contact(rng, scene, customer, company, actor, at + timedelta(hours=2))
    kept = Kept(customer.id, customer.number, company, level, owner, local(at).date(), gap)
    scene.customers.append(kept)
    _talks(scene, rng, kept)


# -- service and marketing ----------------------------------------------------------------------------------------


def _service(scene: Scene) -> None:
    """Tickets that wait for somebody, feedback and complaints, some of them settled."""
    rng = scene.rng("service")
    for n in range(90):
        ends = TICKET_ENDS[n] if n < len(TICKET_ENDS) else "archived"
        kept, actor, at = _somebody(scene, rng, 3 if ends != "archived" else 400)
        _ticket(scene, rng, rng.choice(words.TICKETS), kept.customer_id, by=actor, at=at, ends=ends)
    for _n in range(30):
        kept, actor, at = _somebody(scene, rng, 400)
        title, content, satisfaction = rng.choice(words.FEEDBACK)
        said = Feedback(
            title=title, customer_id=kept.customer_id, content=content, received_on=local(at).date(), accepted_by=actor,
            satisfaction=satisfaction,
        )  # fmt: skip
        tickets.enter_record(said, actor=actor, at=at)
        _entered(said, actor=actor, at=at)
        if rng.random() < 0.7:
            tickets.close(said, actor=actor, at=min(at + timedelta(days=2), scene.now))
    for n in range(14):
        kept, actor, at = _somebody(scene, rng, 8 if n < 4 else 400)
        subject, content, remedy = rng.choice(words.COMPLAINTS)
        complainant = scene.names.person(foreign=kept.company.foreign).name
        complaint = Complaint(
            subject=subject, customer_id=kept.customer_id, complainant=complainant, content=content,
            received_on=local(at).date(), accepted_by=actor,
        )  # fmt: skip
        tickets.enter_record(complaint, actor=actor, at=at)
        _entered(complaint, actor=actor, at=at)
        if n % 3 == 0:
            ticket = tickets.open_ticket(complaint, actor=actor, at=at)
            recent = (scene.now - at).days <= 10
            _work_off(scene, rng, ticket, remedy, words.SETTLED, ends="assigned" if recent else "archived")
        elif (scene.now - at).days > 10:
            solved = min(at + timedelta(days=rng.randint(1, 8)), scene.now)
            tickets.close(complaint, actor=actor, at=solved, remedy=remedy, satisfaction=rng.randint(2, 5))


def _ticket(
    scene: Scene, rng: Random, told: tuple[str, ...], customer_id: int, *, by: User, at: datetime, ends: str
) -> None:
    """One ticket, taken through its steps until it `ends` where it is today; one in eight came back once."""
    code, title, request, handling, result = told
    ticket = Ticket(type=scene.item(T.ticket_type, code), title=title, customer_id=customer_id, request=request)
    tickets.create_ticket(ticket, actor=by, at=at)
    _entered(ticket, actor=by, at=at)
    _work_off(scene, rng, ticket, handling, result, ends=ends)


def _work_off(scene: Scene, rng: Random, ticket: Ticket, handling: str, result: str, *, ends: str) -> None:
    """Assign a new ticket, handle it, ask the customer: as far as it `ends`."""
    if ends == "created":
        return
    lead = scene.people["lijianguo"]
    owner = db.session.get_one(Customer, ticket.customer_id).owner
    given_to = owner if owner is not None and owner.username in MANAGERS else scene.people[rng.choice(MANAGERS)]
    clock = ticket.created_at

    def later(hours: float) -> datetime:
        nonlocal clock
        clock = min(clock + timedelta(hours=hours), scene.now)
        return clock

    tickets.assign(ticket, actor=lead, at=later(rng.uniform(0.2, 2)), assignee=given_to)
    if ends == "assigned":
        return
    if ends == "returned" or (ends == "archived" and rng.random() < 0.12):
        tickets.handle(ticket, actor=given_to, at=later(rng.uniform(0.5, 6)), handling=words.FIRST_TRY)
        tickets.give_feedback(ticket, actor=given_to, at=later(rng.uniform(1, 8)), result=words.NOT_YET, satisfaction=2)
    if ends == "returned":
        return
    tickets.handle(ticket, actor=given_to, at=later(rng.uniform(0.5, 20)), handling=handling)
    if ends == "handled":
        return
    asked_by = lead if rng.random() < 0.3 else given_to
    tickets.give_feedback(
        ticket, actor=asked_by, at=later(rng.uniform(2, 30)), result=result, satisfaction=rng.choice((3, 4, 4, 5, 5))
    )


def _somebody(scene: Scene, rng: Random, within: int) -> tuple[Kept, User, datetime]:
    """A customer that is still one, who looks after it, and a moment of the last days."""
    kept = rng.choice([k for k in scene.customers if k.busy and k.owner in MANAGERS])
    day = max(scene.ago(rng.randint(0, within)), kept.since)
    return kept, scene.people[kept.owner], moment(rng, day, scene.now)


def _marketing(scene: Scene) -> None:
    """What was done to be remembered, and what is planned."""
    rng, lead = scene.rng("marketing"), scene.people["lijianguo"]
    for n, (kind, title, budget, outcome) in enumerate(words.ACTIVITIES):
        past = outcome is not None
        starts = scene.ago(400 - n * 60) if past else scene.ago(-15 - n * 3)
        at = moment(rng, min(starts, scene.today) - timedelta(days=20), scene.now)
        spent = Decimal(budget) * rng.randint(80, 112) / 100 if past else None
        activity = Activity(
            title=title, kind=ActivityKind(kind), starts_on=starts, ends_on=starts + timedelta(days=rng.randint(0, 3)),
            budget=Decimal(budget), cost=spent, outcome=outcome, created_at=at, changed_at=at, created_by_id=lead.id,
        )  # fmt: skip
        marketing.keep_activity(activity)
        _entered(activity, actor=lead, at=at)
        fitting = [k for k in scene.customers if k.since < starts and k.company.foreign == title.isascii()]
        for kept in rng.sample(fitting, min(len(fitting), rng.randint(6, 18))):
            customer = db.session.get_one(Customer, kept.customer_id)
            marketing.add_participant(
                Participant(activity=activity, customer=customer, created_at=at, changed_at=at, created_by_id=lead.id)
            )


# -- orders and churn ---------------------------------------------------------------------------------------------


def _fates(scene: Scene) -> list[Fate]:
    """The silences of the story: 35 customers are silent today, 13 came back."""
    rng, saturdays = scene.rng("fates"), scene.saturdays()

    def fate(end: str, first: int, last: int) -> Fate:
        number = WEEKS - rng.randint(last, first)
        warned = saturdays[number]
        latest, earliest = months_before(warned, _months()), months_before(saturdays[number - 1], _months())
        quiet = earliest + (latest - earliest) * rng.uniform(0.1, 0.9)
        return Fate(warned, moment(rng, local(quiet).date(), min(latest, scene.now)), end)

    found = [fate("warning", 10, 1) for _ in range(14)]
    for _n in range(3):
        new = fate("warning", 8, 2)
        # Never ordered: counted from the start of the day of registration.
        new.silent_since, new.never_ordered = months_before(new.warned, _months()) - timedelta(days=2), True
        found.append(new)
    for _n in range(9):
        new = fate("deferred", 26, 4)
        new.defers = [_later(scene, rng, new.warned, 2, 9)]
        if rng.random() < 0.6:
            new.defers.append(_later(scene, rng, new.defers[0], 6, 15))
        found.append(new)
    for end, first, last, count in (("lost", 57, 12, 9), ("won_back", 57, 34, 3)):
        for _n in range(count):
            new = fate(end, first, last)
            if rng.random() < 0.7 or end == "won_back":
                new.defers = [_later(scene, rng, new.warned, 2, 9)]
            new.lost_at = _later(scene, rng, new.warned, 20, 50)
            if end == "won_back":
                new.returns_on, new.by_sync = local(new.lost_at).date() + timedelta(days=rng.randint(50, 110)), True
            found.append(new)
    for n in range(10):
        new = fate("recovered", 57, 9)
        if n % 2:
            new.defers = [_later(scene, rng, new.warned, 2, 9)]
        new.returns_on, new.by_sync = local(new.warned).date() + timedelta(days=rng.randint(14, 45)), n % 3 == 0
        found.append(new)
    return found


def _later(scene: Scene, rng: Random, at: datetime, low: int, high: int) -> datetime:
    return moment(rng, local(at).date() + timedelta(days=rng.randint(low, high)), scene.now)


def _months() -> int:
    return int(current_app.config["LIUKE_CHURN_MONTHS"])


class Move(NamedTuple):
    """Something to be done between two Saturdays."""

    at: datetime
    do: Callable[[], None]


def _orders(scene: Scene) -> list[Move]:
    """Read the sales system's first feed. Left are those of some orders after a silence, and that of the last days."""
    rng = scene.rng("orders")
    buyers = [
        Buyer(
            k.number, k.company.address, k.level, k.since, k.gap,
            silent_since=k.fate.silent_since if k.fate else None, returns_on=k.fate.returns_on if k.fate else None,
        )
        for k in scene.customers
    ]  # fmt: skip
    unowned = []
    for n in range(BY_FEED):
        company, since = scene.names.company(), scene.ago(rng.randint(25, 360))
        number = f"XS{since:%y%m}{n + 1:03d}"
        unowned.append({"customer_no": number, "name": company.name, "registered_on": since.isoformat()})
        buyers.append(Buyer(number, company.address, "1", since, rng.uniform(40, 90)))
    planned = plan_orders(buyers, scene.now, rng)
    system = SalesSystem(scene.now, rng)
    late = [kept.number for kept in scene.customers if kept.fate and kept.fate.by_sync]
    scanned = scene.saturdays()
    latest = [order for order in planned if order.at > scanned[-1]]
    planned = planned[: len(planned) - len(latest)]
    closings = scene.closings()
    told_late = _told_late(planned, closing.month_to_close(closings[-1]), rng)
    now = [
        order for order in planned
        if not (order.returning and order.buyer.number in late) and not any(order is one for one in told_late)
    ]  # fmt: skip
    _read(system, now, at=scanned[0] - timedelta(days=7), customers=unowned)
    _give_out(scene, [row["customer_no"] for row in unowned[: BY_FEED // 2]])
    moves = []
    for number in late:
        orders = [order for order in planned if order.returning and order.buyer.number == number]
        if orders:
            at = min(orders[0].at + timedelta(hours=rng.randint(10, 16)), scene.now)
            moves.append(Move(at, partial(_read, system, orders, at=at)))
    moves += [Move(at, partial(_close, at)) for at in closings]
    at = min(closings[-1] + timedelta(days=2, hours=rng.randint(1, 4)), scene.now)
    moves.append(Move(at, partial(_read, system, told_late, at=at)))
    return [*moves, Move(scene.now, partial(_read, system, latest, at=scene.now, customers=()))]


def _told_late(planned: list[Bought], month: Period, rng: Random) -> list[Bought]:
    """Some orders of a month that the sales system told only after its reports were closed."""
    found = [o for o in planned if o.buyer.steady and not o.returning and month.start <= o.at < month.end]
    return rng.sample(found, min(len(found), LATE))


def _close(at: datetime) -> None:
    """Close the month before, as the job did it then."""
    with unit_of_work():
        run = _claimed(MONTH_CLOSE, at)
    closed = closing.close(closing.month_to_close(at), at=at)
    with unit_of_work():
        finish(run, {"closed": closed}, at + timedelta(seconds=9))


def _read(
    system: SalesSystem, orders: list[Bought], *, at: datetime, customers: Sequence[dict[str, str]] | None = None
) -> None:
    """Write these orders as the feed of that night and read it as the nightly job does, settling churn cases.

    With `customers` the feed also has those, products and stock.
    """
    with tempfile.TemporaryDirectory(prefix="liuke-") as folder:
        feed = Path(folder) / "feed"
        system.export(feed, orders, customers=customers or (), whole=customers is not None)
        run = sync(feed, on_orders=lambda ids, _at: churn.settle(ids, at))
        if run.status != SyncStatus.done or run.rows_rejected:
            raise RuntimeError(f"the demo feed was not read whole: {run.error or run.counts}")
    with unit_of_work():  # where such feeds lie in a company, and when they were read
        run.source, run.started_at, run.finished_at = f"/srv/feed/{local(at).date()}", at - timedelta(seconds=4), at
        run.high_water = max((order.at for order in orders if order.at <= at), default=None)


def _give_out(scene: Scene, numbers: list[str]) -> None:
    """A lead gives some of the customers that the sales system brought to managers; the others wait."""
    lead = db.session.merge(scene.people["lijianguo"])
    with unit_of_work():
        found = db.session.execute(sa.select(Customer).where(Customer.number.in_(numbers)).order_by(Customer.id))
        for n, customer in enumerate(found.scalars()):
            day = max(customer.registered_on, scene.ago(20 - n))
            owner = scene.people[MANAGERS[n % 3]]
            customers.assign(customer, actor=lead, at=moment(scene.rng("owners"), day, scene.now), owner=owner)


def _weeks(scene: Scene, returns: list[Move]) -> None:
    """Scan every Saturday, and in between do what was done: measures, confirmed losses, feeds with returning orders."""
    todo = deque(sorted([*_moves(scene), *returns], key=lambda move: move.at))
    for as_of in scene.saturdays():
        while todo and todo[0].at < as_of:
            todo.popleft().do()
        with unit_of_work():
            run = _claimed(CHURN_SCAN, as_of)
            at = as_of + timedelta(seconds=2)
            finish(run, asdict(churn.scan(as_of=as_of, run=run, at=at)), at)
    for move in todo:
        move.do()


def _claimed(job: Periodic, as_of: datetime) -> JobRun:
    """The ledger's row of a job's run."""
    period = period_of(as_of.astimezone(company_zone()).replace(tzinfo=None))
    run = claim(job.id, period, scheduled_for=as_of, owner=whoami(), now=as_of)
    if run is None:
        raise RuntimeError(f"{job.id} {period} was done already")
    return run


def _moves(scene: Scene) -> Iterator[Move]:
    """Measures and confirmed losses, by whoever looks after the customer."""
    rng = scene.rng("moves")
    for kept in scene.customers:
        fate, foreign = kept.fate, kept.company.foreign
        for at in fate.defers if fate else ():
            code, text = rng.choice(words.FOREIGN_MEASURES if foreign else words.MEASURES)
            cost = Decimal(rng.choice((200, 500, 1200, 3000))) if rng.random() < 0.5 else None
            given = {"text": text, "type": scene.item(T.measure, code), "cost": cost}
            yield Move(at, partial(_act, scene, kept, churn.defer, at, given))
        if fate and fate.lost_at is not None:
            code, text = rng.choice(words.FOREIGN_LOSSES if foreign else words.LOSSES)
            given = {"reason": text, "reason_type": scene.item(T.churn_reason, code)}
            yield Move(fate.lost_at, partial(_act, scene, kept, churn.confirm_lost, fate.lost_at, given))


def _act(scene: Scene, kept: Kept, step: Step, at: datetime, given: dict[str, Any]) -> None:
    """Take a step on a customer's open case, as its account manager.

    Where the company's own rule (LIUKE_CHURN_MONTHS_BY_LEVEL) gave no warning there is nothing to do.
    """
    with unit_of_work():
        case = db.session.execute(
            sa.select(ChurnCase)
            .where(ChurnCase.customer_id == kept.customer_id, ChurnCase.status.in_(OPEN))
            .execution_options(populate_existing=True)
        ).scalar_one_or_none()
        if case is not None:
            step(case, actor=scene.people[kept.owner], at=at, **given)
