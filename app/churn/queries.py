"""What the churn screens tell beside the cases themselves. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from app.churn.access import VisibleChurnCases, absences
from app.churn.models import OPEN, ChurnCase, ChurnStatus, EstimateRun
from app.core.clock import local, months_before
from app.core.database import KEEPS_PLAN
from app.core.scope import may, reader_id
from app.customers.access import VisibleInteractions
from app.customers.models import Customer, CustomerStatus, Interaction
from app.extensions import db
from app.mirror.models import AHEAD, Order, OrderStatus
from app.mirror.queries import Freshness, last_read, seen
from app.runs.models import JobRun
from app.runs.periodic import CHURN_SCAN
from app.runs.queries import is_last_run

MANY = 100  # waiting warnings nobody counts on every page
LOOKED_BACK = 24  # months of orders a case's page sums up


def waiting() -> int:
    """How many warnings wait for the reader: nothing was done yet, and he is the one to do it; 100 for more.

    On every page, hence one statement that is made once.
    """
    if not may("can_defer", "ChurnCase"):
        return 0
    counted = _waiting(absent=may("can_act_for_absent", "ChurnCase"))
    return int(db.session.execute(counted, {"reader": reader_id()}).scalar_one())


@cache
def _waiting(*, absent: bool) -> sa.Select[Any]:
    """SELECT of the number of warnings that wait for `reader`; made once."""
    branches = warned(sa.bindparam("reader", type_=sa.Integer()), absent=absent)
    return sa.select(sa.func.count()).select_from(sa.union_all(*branches).limit(MANY).subquery())


def warned(reader: Any, *, absent: bool) -> list[sa.Select[Any]]:
    """SELECTs of the ids of the warnings of this reader's customers, with `absent` also of those nobody looks after.

    Each kind of customer is a branch of its own and comes from an index; joined by OR they would all be read.
    """
    return [
        sa.select(ChurnCase.id)
        .join(Customer, Customer.id == ChurnCase.customer_id)
        .where(whose, ChurnCase.status == ChurnStatus.warning, Customer.status != CustomerStatus.deleted)
        for whose in (Customer.owner_id == reader, *(absences() if absent else ()))
    ]


@dataclass(frozen=True)
class Checks:
    """What the list of warnings says of itself: the last scan, the run of the estimates shown, how fresh orders are."""

    scan: JobRun | None
    estimates: EstimateRun | None
    mirror: Freshness


def checks(now: datetime) -> Checks:
    """How the warnings came about, seen from `now`. One statement."""
    found = db.session.execute(_checks(), {"ahead": now + AHEAD}).one()
    return Checks(found.JobRun, found.EstimateRun, seen(found, now))


@cache
def _checks() -> sa.Select[Any]:
    """SELECT of one row with those three, each of which may be missing; made once."""
    read, newest = last_read().subquery(), aliased(EstimateRun)
    shown = EstimateRun.as_of == sa.select(sa.func.max(newest.as_of)).scalar_subquery()
    return (
        sa.select(JobRun, EstimateRun, read)
        .select_from(sa.select(sa.literal(1)).subquery())
        .outerjoin(JobRun, is_last_run(CHURN_SCAN.id))
        .outerjoin(EstimateRun, shown)
        .outerjoin(read, sa.true())
        .execution_options(**{KEEPS_PLAN: ("ahead",)})
    )


def open_case_of(customer_id: int) -> ChurnCase | None:
    """The customer's open case, if there is one and the reader may see it."""
    return db.session.execute(
        VisibleChurnCases.select().where(ChurnCase.customer_id == customer_id, ChurnCase.status.in_(OPEN))
    ).scalar_one_or_none()


@dataclass(frozen=True)
class Buying:
    """How a customer buys: the newest order, and the orders of the last 24 months (number, CNY). Without cancelled."""

    last: Order | None
    count: int
    total: Decimal


def buying(customer_id: int, now: datetime) -> Buying:
    """How this customer buys, seen from `now`. Two statements, both by the index over a customer's orders."""
    orders = [Order.customer_id == customer_id, Order.status != OrderStatus.cancelled, Order.ordered_at <= now]
    last = db.session.execute(
        sa.select(Order).where(*orders).order_by(Order.ordered_at.desc(), Order.id.desc()).limit(1)
    ).scalar_one_or_none()
    count, total = db.session.execute(
        sa.select(sa.func.count(), sa.func.sum(Order.amount)).where(
            *orders, Order.ordered_at >= months_before(now, LOOKED_BACK)
        )
    ).one()
    return Buying(last, count, total or Decimal(0))


def last_contact(customer_id: int) -> Interaction | None:
    """The newest interaction with this customer that the reader may see."""
    return db.session.execute(
        VisibleInteractions.select()
        .where(Interaction.customer_id == customer_id)
        .order_by(Interaction.occurred_at.desc(), Interaction.id.desc())
        .limit(1)
    ).scalar_one_or_none()


def silent_days(case: ChurnCase, now: datetime, since: Any = None) -> int:
    """Company-local days without an order: since the last one, else since registration, until one ended the case.

    `since` is a newer last order than the case's own, where it is known.
    """
    start = since or case.last_order_at
    begun = local(start).date() if start is not None else case.customer.registered_on
    return max((local(case.resolved_at or now).date() - begun).days, 0)
