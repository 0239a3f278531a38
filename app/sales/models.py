"""销售机会 and 开发计划: a chance to win a new customer, and the plan that wins it."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import sqlalchemy as sa
from flask_appbuilder import Model
from flask_appbuilder.security.sqla.models import User
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.core.choices import Choice
from app.core.models import HasStatus, SoftDeleted, Stamped, partial_index, row_key, user_fk
from app.core.sentences import gettext as _
from app.core.types import Money, UtcDateTime
from app.customers.models import Customer, customer_fk, dictionary_fk
from app.masterdata.models import DictionaryItem, DictionaryType


class OpportunityStatus(Choice):
    """Where an opportunity stands."""

    unassigned = "unassigned", _l("Unassigned"), "warn"
    assigned = "assigned", _l("In development"), "brand"
    won = "won", _l("Won"), "ok"
    lost = "lost", _l("Not won"), "mute"


class CloseKind(Choice):
    """How an opportunity ended."""

    won = "won", _l("Won"), "ok"
    failed = "failed", _l("Development failed"), "mute"
    terminated = "terminated", _l("Terminated"), "mute"


class Opportunity(HasStatus, SoftDeleted, Model):
    """销售机会: a chance to win a new customer. Orders of existing customers are not opportunities."""

    __tablename__ = "opportunity"
    __table_args__ = (
        OpportunityStatus.check("status"),
        CloseKind.check("close_kind"),
        sa.CheckConstraint("expected_amount >= 0", name="expected_amount_not_negative"),
        sa.CheckConstraint("probability BETWEEN 0 AND 100", name="probability_range"),
        sa.CheckConstraint(
            "(status = 'unassigned') = (assignee_id IS NULL) AND (assignee_id IS NULL) = (assigned_at IS NULL)",
            name="assignee_iff_assigned",
        ),
        sa.CheckConstraint(
            "(status IN ('won', 'lost')) = (close_kind IS NOT NULL) AND (close_kind IS NULL) = (closed_at IS NULL)",
            name="closed_iff_ended",
        ),
        sa.CheckConstraint("(status = 'won') = (customer_id IS NOT NULL)", name="customer_iff_won"),
        sa.CheckConstraint(
            "status <> 'lost' OR (close_kind <> 'won' AND length(trim(close_reason)) > 0)", name="lost_has_reason"
        ),
        sa.CheckConstraint("NOT created_customer OR customer_id IS NOT NULL", name="created_a_customer"),
        partial_index("uq_opportunity_created_customer", "customer_id", where="created_customer"),
        sa.Index("ix_opportunity_customer", "customer_id"),
        sa.Index("ix_opportunity_status", "status", "id"),
        sa.Index("ix_opportunity_assignee", "assignee_id", "status", "id"),
        sa.Index("ix_opportunity_name", "customer_name", "id"),
        sa.Index("ix_opportunity_created", "created_at", "id"),
    )
    STATUS = OpportunityStatus

    id: Mapped[int] = row_key()
    customer_name: Mapped[str] = mapped_column(sa.String(100), comment="prospect, free text")
    source_id: Mapped[int | None] = dictionary_fk("opportunity source")
    title: Mapped[str] = mapped_column(sa.String(200), comment="概要: what it is about, in a line")
    probability: Mapped[int] = mapped_column(comment="percent, 0-100", info={"range": (0, 100)})
    contact_name: Mapped[str | None] = mapped_column(
        sa.String(50), comment="whom to ask for there; becomes the first contact"
    )
    contact_phone: Mapped[str | None] = mapped_column(
        sa.String(50), comment="as typed; becomes the customer's phone", info={"phone": True}
    )
    description: Mapped[str] = mapped_column(sa.String(2000), comment="what the prospect wants, at length")
    expected_amount: Mapped[Decimal | None] = mapped_column(Money(), comment="CNY", info={"not_negative": True})
    expected_close_on: Mapped[date | None] = mapped_column(comment="company-local date")
    status: Mapped[OpportunityStatus] = mapped_column(
        OpportunityStatus.column_type(), default=OpportunityStatus.unassigned, comment="set by its steps, never typed"
    )
    assignee_id: Mapped[int | None] = user_fk("account manager who develops it")
    assigned_by_id: Mapped[int | None] = user_fk("who gave it to the assignee")
    assigned_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="UTC")
    close_kind: Mapped[CloseKind | None] = mapped_column(
        CloseKind.column_type(), comment="how it ended; null: still open"
    )
    close_reason: Mapped[str | None] = mapped_column(
        sa.String(500), comment="why it ended without a customer, as typed; filled once lost"
    )
    closed_by_id: Mapped[int | None] = user_fk("who closed it")
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="UTC")
    customer_id: Mapped[int | None] = customer_fk("created by it or attached to it")
    created_customer: Mapped[bool] = mapped_column(default=False, comment="it created the customer")

    source: Mapped[DictionaryItem | None] = relationship(
        foreign_keys=[source_id], info={"dictionary": DictionaryType.source}
    )
    assignee: Mapped[User | None] = relationship(User, foreign_keys=[assignee_id])
    assigned_by: Mapped[User | None] = relationship(User, foreign_keys=[assigned_by_id])
    closed_by: Mapped[User | None] = relationship(User, foreign_keys=[closed_by_id])
    customer: Mapped[Customer | None] = relationship()

    def why_not(self) -> str | None:
        """The sentence for whoever assigns an opportunity that another has just assigned."""
        if self.status == OpportunityStatus.assigned and self.assignee is not None:
            return _("Already assigned to %(name)s.", name=self.assignee.get_full_name())
        return None

    def __repr__(self) -> str:
        return self.title


class PlanStep(Stamped, SoftDeleted, Model):
    """计划项: one thing to do on one day; executed once its result is written."""

    __tablename__ = "plan_step"
    __table_args__ = (
        sa.CheckConstraint(
            "(result IS NULL) = (executed_at IS NULL) AND (result IS NULL OR length(trim(result)) > 0)",
            name="executed_iff_result",
        ),
        sa.Index("ix_plan_step_opportunity", "opportunity_id", "planned_on", "id"),
        sa.Index("ix_plan_step_planned", "planned_on", "id"),
    )

    id: Mapped[int] = row_key()
    opportunity_id: Mapped[int] = mapped_column(
        sa.ForeignKey("opportunity.id", ondelete="RESTRICT"), comment="what is to be won by it"
    )
    planned_on: Mapped[date] = mapped_column(comment="company-local date")
    todo: Mapped[str] = mapped_column(sa.String(500), comment="what is to be done, as typed")
    result: Mapped[str | None] = mapped_column(sa.String(500), comment="what came of it")
    executed_by_id: Mapped[int | None] = user_fk("who wrote the result")
    executed_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="UTC")

    opportunity: Mapped[Opportunity] = relationship()
    executed_by: Mapped[User | None] = relationship(User, foreign_keys=[executed_by_id])

    def __repr__(self) -> str:
        return self.todo
