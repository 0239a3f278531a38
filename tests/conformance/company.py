"""A small company with more than a page of everything, for the tests that walk over all screens."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import User

from app.churn.models import ChurnCase
from app.core.changes import TOLD
from app.core.clock import today, utcnow
from app.core.lifecycle import note_move
from app.core.unit import unit_of_work
from app.customers.models import Contact, Customer, CustomerStats, Interaction
from app.extensions import db
from app.masterdata.models import DictionaryItem, DictionaryType
from app.mirror.models import Order
from app.security.models import LoginResult, Team, UserProfile
from app.security.operations import MOST_TEAMS
from app.security.sessions import note_login
from tests import builders


def fill(*, lead: User, manager: User, size: int = 1) -> None:
    """`size` rows of every table a person can open, owned by `manager`, entered by `lead`. Commits."""
    activity = builders.activity()
    handover = builders.handover(leaver=lead, actor=lead)
    team = builders.team(lead=lead, members=(manager,))
    for number in range(size):
        day = utcnow() - timedelta(days=number)
        customer = builders.customer(owner=manager, by=lead, phone="010-68348438-668")
        builders.stats(customer, last_order_at=day, order_count=1, order_total=1000)
        contact = builders.contact(customer)
        builders.interaction(customer, by=manager, contact=contact, occurred_at=day)
        opportunity = builders.opportunity(by=lead, given_to=manager)
        builders.plan_step(opportunity, result="客户有意向" if number % 2 else None)
        builders.opportunity(by=manager)
        product = builders.product()
        builders.stock(product)
        builders.order(customer, at=day, lines=0)
        if number == 0:
            builders.order_line(builders.order(customer, at=day), product=product)
        builders.sync_run()
        run = builders.job_run()
        case = builders.churn_case(customer, run=run, opened_at=day)
        builders.measure(case, by=manager)
        builders.estimate(customer)
        builders.estimate_run()
        builders.ticket_step(builders.ticket(customer, by=lead, given_to=manager), actor=lead)
        builders.attachment(builders.ticket(customer, by=manager), by=manager)
        builders.feedback(customer, accepted_by=manager)
        builders.service_target()
        builders.calendar_day()
        builders.complaint(customer, accepted_by=manager)
        builders.dashboard_tile(user=builders.user())
        builders.deletion(builders.feedback(customer, accepted_by=manager), by=manager)
        builders.activity(starts_on=today() - timedelta(days=number))
        builders.participant(activity, customer)
        builders.handover_item(handover, customer, to=manager)
        builders.handover(leaver=manager, actor=lead)
        builders.report_close()
        builders.report_mail()
        builders.team() if number else team
        builders.user()
        builders.role()
        person = builders.user()
        builders.user_session(user=person)
        builders.one_time_token(user=person)
        builders.second_factor(user=person)
        builders.recovery_code(user=person)
        for result in LoginResult:
            builders.login_entry(user=person, result=result)
        note_login("li", LoginResult.success, user_id=lead.id, ip="127.0.0.1")
        with unit_of_work():
            note_move(customer, "edit", actor=lead, changes={"name": ["旧名", "新名"]})


def lengthen(size: int) -> None:
    """`size` items more of every list of the dictionary, as many account managers, and all teams there may be. Commits.

    Levels are fewer: a report sets each against each.
    """
    db.session.add_all(
        DictionaryItem(type=kind, code=f"long-{n}", label_zh=f"项{n}", label_en=f"Item {n}", sort_order=900 + n)
        for kind in DictionaryType
        for n in range(size if kind != DictionaryType.level else 20)
    )
    manager = builders.seeded_role("account_manager")
    teams = [Team(name=f"长{n}组") for n in range(MOST_TEAMS - 2)]
    people = [
        User(
            username=f"long{n}", first_name="悦", last_name="孙", email=f"long{n}@liuke.example", active=True,
            roles=[manager],
        )
        for n in range(size)
    ]  # fmt: skip
    db.session.add_all([*teams, *people])
    db.session.flush()
    db.session.add_all(UserProfile(user_id=p.id, team=team) for p, team in zip(people, teams, strict=False))
    db.session.commit()


def multiply(times: int) -> None:
    """`times` customers more, each with a contact, an interaction, two orders, their sums and a warning. Commits.

    They are copies of the first of each, made by the database. What refers to a customer refers to those added.
    """
    if db.engine.dialect.name == "postgresql":  # the rows are right: no foreign key is looked up
        db.session.execute(sa.text("SET LOCAL session_replication_role = replica"))
    last = db.session.execute(sa.select(sa.func.max(Customer.id))).scalar_one()
    _copy(Customer, times, lambda n: {"id": last + n, "number": _named(n)})
    for model in (CustomerStats, Contact, Interaction, ChurnCase):
        _copy(model, times, lambda n: {"customer_id": last + n})
    _copy(Order, 2 * times, lambda n: {"customer_id": last + 1 + n % times, "external_id": _named(n)})
    db.session.execute(sa.text("ANALYZE"))
    db.session.commit()


def _copy(model: Any, times: int, change: Callable[[Any], dict[str, Any]]) -> None:
    """`times` copies of the first row of `model`; of the n-th, from 1 on, `change` says what is another."""
    table = model.__table__
    numbers = sa.select(sa.literal(1).label("n")).cte("numbers", recursive=True)
    numbers = numbers.union_all(sa.select(numbers.c.n + 1).where(numbers.c.n < times))
    key = table.primary_key.columns[0]
    values = {column.name: column for column in table.columns if column.name != "id"} | change(numbers.c.n)
    first = key == sa.select(sa.func.min(key)).scalar_subquery()
    rows = sa.select(*(value.label(name) for name, value in values.items())).join_from(table, numbers, first)
    made = sa.insert(table).from_select(list(values), rows, include_defaults=False)
    db.session.execute(made.execution_options(**TOLD))  # nobody reads their history


def _named(number: Any) -> Any:
    return sa.literal("N") + sa.cast(number, sa.String)


def first_ids(views: Any) -> dict[str, int]:
    """The smallest id of each screen's rows the signed-in reader may see, by the screen's endpoint."""
    found = {}
    for view in views:
        key = sa.inspect(view.datamodel.obj).primary_key[0]
        found[view.endpoint] = db.session.execute(sa.select(sa.func.min(key))).scalar() or 0
    return found
