"""Whose opportunities: those the reader entered or was given; all with the right can_see_all."""

from __future__ import annotations

import sqlalchemy as sa

from app.core.scope import RowScope, may, reader_id
from app.sales.models import Opportunity, OpportunityStatus, PlanStep


def _mine() -> sa.ColumnElement[bool] | None:
    return None if may("can_see_all", "Opportunity") else VisibleOpportunities.owned()


class VisibleOpportunities(RowScope):
    """Own created and own assigned; all with the right."""

    rows = Opportunity

    @classmethod
    def visible(cls) -> sa.ColumnElement[bool] | None:
        return _mine()

    @classmethod
    def owned(cls) -> sa.ColumnElement[bool]:
        person = reader_id()
        return sa.or_(Opportunity.created_by_id == person, Opportunity.assignee_id == person)

    @classmethod
    def is_own(cls, record: Opportunity) -> bool:
        return reader_id() in (record.created_by_id, record.assignee_id)


class VisiblePlans(RowScope):
    """开发计划: opportunities that were assigned, of those the reader may see."""

    rows = Opportunity

    @classmethod
    def visible(cls) -> sa.ColumnElement[bool]:
        planned = Opportunity.status != OpportunityStatus.unassigned
        mine = _mine()
        return planned if mine is None else sa.and_(planned, mine)


class VisiblePlanSteps(RowScope):
    """Steps of the plans the reader may see."""

    rows = PlanStep

    @classmethod
    def visible(cls) -> sa.ColumnElement[bool]:
        plan = sa.select(Opportunity.id).where(
            Opportunity.id == PlanStep.opportunity_id, VisibleOpportunities.criterion()
        )
        return plan.exists()


def was_deletable() -> sa.ColumnElement[bool]:
    """WHERE a deleted opportunity was the reader's to delete: nobody's yet, entered by him or by anybody."""
    mine = _mine()
    theirs = [] if may("can_delete_any", "Opportunity") else [Opportunity.created_by_id == reader_id()]
    return sa.and_(sa.true() if mine is None else mine, *theirs)


def was_in_own_plan() -> sa.ColumnElement[bool]:
    """WHERE a removed plan step was the reader's to remove."""
    mine = _mine()
    theirs = [] if may("can_act_for_others", "Opportunity") else [Opportunity.assignee_id == reader_id()]
    seen = sa.true() if mine is None else mine
    return sa.select(Opportunity.id).where(Opportunity.id == PlanStep.opportunity_id, seen, *theirs).exists()
