"""What counts: the definitions that the dashboard and several reports share, each of them once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from app.churn.models import ChurnCase, RetentionMeasure
from app.mirror.models import ALL_YEARS, CustomerMonth, CustomerYear
from app.reports.period import Period
from app.reports.planner import in_key_order
from app.sales.models import Opportunity, OpportunityStatus
from app.tickets.models import Ticket, TicketStatus

# -- orders -------------------------------------------------------------------------------------------------------


def ordered_in(
    period: Period | None, whose: Callable[[Any], Any], *, paid: bool = False, each: bool = True, whole: bool = False
) -> sa.Select[Any]:
    """SELECT of customer_id, orders, amount in CNY of every customer with orders in a period (None: ever), from the
    rollups that the sync keeps: orders that are `COUNTED`, or those of them that are `paid`.

    `whose`: WHERE over the column that says of which customer they are. A customer is there once, or, if `each` does
    not matter, once for each month. `whole`: `whose` leaves hardly anybody out.
    """
    kept: Any = CustomerMonth
    if period is None or period.is_year:
        kept, when = CustomerYear, [CustomerYear.year == (ALL_YEARS if period is None else period.first.year)]
    else:
        when = [CustomerMonth.month >= period.first, CustomerMonth.month < period.until]
    names = ("paid_count", "paid_total") if paid else ("order_count", "order_total")
    orders, amount = (getattr(kept, name) for name in names)
    found = sa.select(kept.customer_id, orders.label("orders"), amount.label("amount"))
    found = found.where(*when, whose(kept.customer_id))
    if paid:
        found = found.where(orders > 0)
    if not each or kept is CustomerYear or period is None or period.months == 1:
        return found
    if whole:
        found = in_key_order(found, kept.customer_id)
    month = found.subquery().c
    sums = sa.func.sum(month.orders).label("orders"), sa.func.sum(month.amount).label("amount")
    return sa.select(month.customer_id, *sums).group_by(month.customer_id)


# -- opportunities ------------------------------------------------------------------------------------------------

OPEN = Opportunity.status.in_((OpportunityStatus.unassigned, OpportunityStatus.assigned))


def reached(begun: sa.ColumnElement[bool]) -> tuple[sa.ColumnElement[bool], ...]:
    """WHERE an opportunity, once entered, has reached each stage: it is assigned to somebody; its plan is under way (a
    step has a result: `begun`), also if it failed later, or it is won without one; it is won."""
    assigned, won = Opportunity.status != OpportunityStatus.unassigned, Opportunity.status == OpportunityStatus.won
    return assigned, sa.or_(won, sa.and_(assigned, begun)), won


def stage(begun: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    """The number of the last stage it has reached, 0 if it is only entered."""
    return sa.case(*reversed([(one, n) for n, one in enumerate(reached(begun), start=1)]), else_=0)


# -- tickets ------------------------------------------------------------------------------------------------------

ARCHIVED = Ticket.status == TicketStatus.archived
FINAL = sa.case((ARCHIVED, Ticket.satisfaction))
"""The satisfaction a ticket ended with; what was said before a return does not count."""

# -- churn cases --------------------------------------------------------------------------------------------------


def is_first() -> sa.ColumnElement[bool]:
    """WHERE a retention measure is the first of its case: the earliest; of several of one instant the one that was
    entered first."""
    earlier = aliased(RetentionMeasure)
    before = sa.or_(
        earlier.at < RetentionMeasure.at,
        sa.and_(earlier.at == RetentionMeasure.at, earlier.id < RetentionMeasure.id),
    )
    return ~sa.exists().where(earlier.case_id == RetentionMeasure.case_id, before)


# The same of all cases, in one look at all measures, which is quicker than a look at each: case_id, at.
FIRST_MEASURE = (
    sa.select(RetentionMeasure.case_id, sa.func.min(RetentionMeasure.at).label("at"))
    .group_by(RetentionMeasure.case_id)
    .subquery("first_measure")
)
CHURN_MOMENTS: dict[str, Any] = {
    "warned": ChurnCase.opened_at,
    "deferred": FIRST_MEASURE.c.at,
    "recovered": ChurnCase.resolved_at,
    "retained": ChurnCase.resolved_at,
    "lost": ChurnCase.lost_at,
    "won_back": ChurnCase.resolved_at,
}
"""When a case counts as what."""
