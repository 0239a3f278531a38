"""The sales story of the demo company: opportunities in every state, each by the moves that lead there."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import NamedTuple

from flask_appbuilder.security.sqla.models import User

from app.core.changes import moving
from app.core.clock import local
from app.core.lifecycle import note_move
from app.customers import operations as customers
from app.customers.models import Customer
from app.desk.demo import names as words
from app.desk.demo.customers import complete, habit, make_contact, make_talks
from app.desk.demo.names import Company
from app.desk.demo.orders import moment
from app.desk.demo.people import LOOKS_AFTER, MANAGERS
from app.desk.demo.scene import WON, Kept, Scene, T, entered
from app.extensions import db
from app.sales import operations as sales
from app.sales.models import Opportunity


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


def make_opportunities(scene: Scene) -> None:
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
    entered(opportunity, actor=actor, at=at)
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
    level, gap = habit(rng, None)
    with moving("customer", "edit", actor=actor, at=at + timedelta(hours=1)):
        complete(scene, rng, customer, company, level, at + timedelta(hours=1))
    note_move(customer, "edit", actor=actor, at=at + timedelta(hours=1))
    if rng.random() < 0.5:
        make_contact(rng, scene, customer, company, actor, at + timedelta(hours=2))
    kept = Kept(customer.id, customer.number, company, level, owner, local(at).date(), gap)
    scene.customers.append(kept)
    make_talks(scene, rng, kept)
