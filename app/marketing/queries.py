"""What followed an activity: orders and opportunities of the customers who took part, beside what it cost.

They followed it. Whether it caused them no figure says: a customer who would have ordered anyway counts too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import sqlalchemy as sa
from flask import current_app
from sqlalchemy.orm import joinedload

from app.core.clock import day_start
from app.core.scope import may
from app.core.types import CENT, Money
from app.customers.models import Customer
from app.extensions import db
from app.marketing.access import VisibleParticipants
from app.marketing.models import Activity, Participant
from app.mirror.access import VisibleOrders
from app.mirror.models import Order, OrderStatus
from app.sales.access import VisibleOpportunities
from app.sales.models import Opportunity, OpportunityStatus

FEW = 10  # newest orders and opportunities a page shows


@dataclass(frozen=True)
class Orders:
    """Orders in the window that are not cancelled: how many, of how many customers, CNY, the newest few."""

    count: int
    customers: int
    amount: Decimal
    newest: list[Order]


@dataclass(frozen=True)
class Opportunities:
    """Opportunities for participants: created in the window, won in the window, the newest few of both."""

    created: int
    won: int
    newest: list[Opportunity]


@dataclass(frozen=True)
class Followed:
    """What followed. `orders` or `opportunities` are None for readers without the right to list them."""

    participants: int
    first_day: date
    last_day: date
    orders: Orders | None
    opportunities: Opportunities | None
    cost_per_order: Decimal | None


def window(activity: Activity) -> tuple[datetime, datetime]:
    """From the first moment of the activity's first day (included), LIUKE_CAMPAIGN_DAYS company-local days long."""
    days = timedelta(days=current_app.config["LIUKE_CAMPAIGN_DAYS"])
    return day_start(activity.starts_on), day_start(activity.starts_on + days)


def followed(activity: Activity) -> Followed:
    """What followed this activity, for the participants the reader may see. At most five statements."""
    begin, end = window(activity)
    took_part = sa.select(Participant.customer_id).where(
        VisibleParticipants.criterion(), Participant.activity_id == activity.id
    )
    number = db.session.execute(sa.select(sa.func.count()).select_from(took_part.subquery())).scalar_one()
    orders = _orders(took_part, begin, end) if may("can_list", "Order") else None
    return Followed(
        number,
        activity.starts_on,
        activity.starts_on + timedelta(days=current_app.config["LIUKE_CAMPAIGN_DAYS"] - 1),
        orders,
        _opportunities(took_part, begin, end) if may("can_list", "Opportunity") else None,
        cost_per(activity.cost, orders.count if orders else 0),
    )


def cost_per(cost: Decimal | None, orders: int) -> Decimal | None:
    """CNY for each order, to the cent; None without a cost or without an order."""
    return (cost / orders).quantize(CENT, ROUND_HALF_UP) if cost is not None and orders else None


def _orders(took_part: Any, begin: datetime, end: datetime) -> Orders:
    which = [
        VisibleOrders.criterion(),
        Order.customer_id.in_(took_part),
        Order.ordered_at >= begin,
        Order.ordered_at < end,
        Order.status != OrderStatus.cancelled,
    ]
    nothing = sa.literal(Decimal(0), Money())
    count, customers, amount = db.session.execute(
        sa.select(
            sa.func.count(),
            sa.func.count(sa.distinct(Order.customer_id)),
            sa.func.coalesce(sa.func.sum(Order.amount), nothing),
        ).where(*which)
    ).one()
    newest = sa.select(Order).where(*which).order_by(Order.ordered_at.desc(), Order.id.desc()).limit(FEW)
    return Orders(
        count, customers, amount, list(db.session.execute(newest.options(joinedload(Order.customer))).scalars())
    )


def _opportunities(took_part: Any, begin: datetime, end: datetime) -> Opportunities:
    """An opportunity is for a participant when it led to that customer, or names it exactly while it is open."""
    names = sa.select(Customer.name).where(Customer.id.in_(took_part))
    open_for = sa.and_(Opportunity.customer_id.is_(None), Opportunity.customer_name.in_(names))
    for_them = sa.or_(Opportunity.customer_id.in_(took_part), open_for)
    created = sa.and_(Opportunity.created_at >= begin, Opportunity.created_at < end)
    won = sa.and_(
        Opportunity.status == OpportunityStatus.won, Opportunity.closed_at >= begin, Opportunity.closed_at < end
    )
    which = [VisibleOpportunities.criterion(), for_them, sa.or_(created, won)]
    one = lambda condition: sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0)  # noqa: E731
    numbers = db.session.execute(sa.select(one(created), one(won)).select_from(Opportunity).where(*which)).one()
    newest = sa.select(Opportunity).where(*which).order_by(Opportunity.created_at.desc(), Opportunity.id.desc())
    found = newest.options(joinedload(Opportunity.assignee)).limit(FEW)
    return Opportunities(int(numbers[0]), int(numbers[1]), list(db.session.execute(found).scalars()))


def matching(activity: Activity, criteria: list[Any]) -> tuple[int, int]:
    """How many customers the criteria name, and how many of them take part already. One statement."""
    taking_part = sa.select(Participant.id).where(
        Participant.activity_id == activity.id, Participant.customer_id == Customer.id, Participant.deleted_at.is_(None)
    )
    known = sa.func.coalesce(sa.func.sum(sa.case((taking_part.exists(), 1), else_=0)), 0)
    count, already = db.session.execute(sa.select(sa.func.count(), known).select_from(Customer).where(*criteria)).one()
    return int(count), int(already)
