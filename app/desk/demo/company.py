"""The demo company: 200 customers and two years of work, made by the same operations people use, as of past days.

No state is written past its rules: opportunities were assigned and won, feeds of the sales system were read and the
weekly scan gave its warnings. It is the same company every time, and its dates move with today.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from flask import current_app
from flask_appbuilder.security.sqla.models import User
from flask_babel import lazy_gettext as _l

from app.churn.estimating import estimate_all
from app.churn.models import ChurnCase, RetentionMeasure
from app.core.clock import company_zone, utcnow
from app.core.errors import BusinessError
from app.core.sentences import gettext as _
from app.core.unit import unit_of_work
from app.customers.models import Contact, Customer, Interaction
from app.desk.demo.customers import make_customers
from app.desk.demo.feed import read_orders
from app.desk.demo.loading import alone
from app.desk.demo.marketing import make_marketing
from app.desk.demo.people import Account, accounts, make_people
from app.desk.demo.sales import make_opportunities
from app.desk.demo.scene import WEEKS, Scene
from app.desk.demo.service import make_service
from app.desk.demo.weeks import live_weeks
from app.extensions import db
from app.marketing.models import Activity, Participant
from app.masterdata.models import DictionaryItem
from app.mirror.models import Order, OrderLine, Product, Stock
from app.notices.models import Notification
from app.runs.models import Installation
from app.runs.operations import install
from app.runs.periodic import CHURN_ESTIMATE, instant
from app.sales.models import Opportunity
from app.security import operations as security
from app.tickets.models import Complaint, Feedback, Ticket

KINDS: tuple[tuple[Any, Any], ...] = (
    (_l("Customers"), Customer),
    (_l("Contacts"), Contact),
    (_l("Interactions"), Interaction),
    (_l("Opportunities"), Opportunity),
    (_l("Products"), Product),
    (_l("Stock"), Stock),
    (_l("Orders"), Order),
    (_l("Order lines"), OrderLine),
    (_l("Churn warnings"), ChurnCase),
    (_l("Retention measures"), RetentionMeasure),
    (_l("Tickets"), Ticket),
    (_l("Feedback"), Feedback),
    (_l("Complaints"), Complaint),
    (_l("Marketing activities"), Activity),
    (_l("Participants"), Participant),
)
UNREAD = timedelta(days=3)  # notifications nobody has read yet
Tell = Callable[[str], object]


@dataclass(frozen=True)
class DemoCompany:
    """What was loaded: who can sign in, and how many rows of each kind there are, in the words of whoever loads it."""

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
    return DemoCompany(accounts(), _counts())


def _load(scene: Scene, tell: Tell) -> None:
    with unit_of_work():
        mark_as_demo(scene.now)
        tell(_("Accounts and teams"))
        scene.people = make_people()
    with unit_of_work():
        scene.items = {(i.type, i.code): i for i in db.session.execute(sa.select(DictionaryItem)).scalars()}
        tell(_("Customers, contacts and what was talked about"))
        make_customers(scene)
        tell(_("Opportunities and development plans"))
        make_opportunities(scene)
        tell(_("Tickets, feedback, complaints and marketing"))
        make_service(scene)
        make_marketing(scene)
    tell(_("Orders, products and stock from the sales system"))
    returns = read_orders(scene)
    tell(_("Churn warnings of %(weeks)d weeks, and what was done about them", weeks=WEEKS))
    live_weeks(scene, returns)
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


def mark_as_demo(now: datetime) -> None:
    """A demo from here on, and not whole before the end."""
    install(demo=True, now=now)
    db.session.execute(sa.update(Installation).values(demo=True, loading=True))


def _counts() -> dict[str, int]:
    numbers = (sa.select(sa.func.count()).select_from(model).scalar_subquery() for _name, model in KINDS)
    found = db.session.execute(sa.select(*numbers)).one()
    return {str(name): int(count) for (name, _model), count in zip(KINDS, found, strict=True)}
