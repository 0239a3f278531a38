"""The service story of the demo company: tickets, feedback and complaints, some of them settled."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random

from flask_appbuilder.security.sqla.models import User

from app.core.clock import local
from app.customers.models import Customer
from app.desk.demo import names as words
from app.desk.demo.orders import moment
from app.desk.demo.people import MANAGERS
from app.desk.demo.scene import Kept, Scene, T, entered
from app.extensions import db
from app.tickets import operations as tickets
from app.tickets.models import Complaint, Feedback, Ticket

# How far the newest tickets are today; the others are archived.
TICKET_ENDS = ["created"] * 5 + ["assigned"] * 6 + ["returned"] * 2 + ["handled"] * 4


def make_service(scene: Scene) -> None:
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
        entered(said, actor=actor, at=at)
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
        entered(complaint, actor=actor, at=at)
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
    entered(ticket, actor=by, at=at)
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
