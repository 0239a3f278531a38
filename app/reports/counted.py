"""What counts: the definitions that the dashboard and several reports share, each of them once."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from app.churn.models import ChurnCase, RetentionMeasure

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
