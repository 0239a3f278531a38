"""营销活动: what the company does to be remembered, for whom and at what cost."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import sqlalchemy as sa
from flask_appbuilder import Model
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.core.choices import Choice
from app.core.models import SoftDeleted, Stamped, partial_index, row_key
from app.core.types import Money
from app.customers.models import Customer, customer_fk


class ActivityKind(Choice):
    """What sort of activity it is."""

    fair = "fair", _l("Trade fair")
    visit = "visit", _l("Customer visit")
    seminar = "seminar", _l("Seminar")
    promotion = "promotion", _l("Promotion")
    online = "online", _l("Online campaign")
    other = "other", _l("Other")


class Activity(Stamped, SoftDeleted, Model):
    """营销活动."""

    __tablename__ = "activity"
    __table_args__ = (
        ActivityKind.check("kind"),
        sa.CheckConstraint("ends_on IS NULL OR ends_on >= starts_on", name="ends_after_start"),
        sa.CheckConstraint("budget IS NULL OR budget >= 0", name="budget_not_negative"),
        sa.CheckConstraint("cost IS NULL OR cost >= 0", name="cost_not_negative"),
        sa.Index("ix_activity_starts", "starts_on", "id"),
    )

    id: Mapped[int] = row_key()
    title: Mapped[str] = mapped_column(sa.String(200), comment="what it is called in lists")
    kind: Mapped[ActivityKind] = mapped_column(ActivityKind.column_type(), comment="what sort of activity it is")
    starts_on: Mapped[date] = mapped_column(comment="company-local date")
    ends_on: Mapped[date | None] = mapped_column(comment="company-local date, included")
    plan: Mapped[str | None] = mapped_column(sa.String(3000), comment="what is to be done, by whom")
    budget: Mapped[Decimal | None] = mapped_column(Money(), comment="CNY")
    cost: Mapped[Decimal | None] = mapped_column(Money(), comment="CNY")
    outcome: Mapped[str | None] = mapped_column(sa.String(2000), comment="what came of it; null: not told yet")

    def __repr__(self) -> str:
        return self.title


class Participant(Stamped, SoftDeleted, Model):
    """A customer who takes part in an activity."""

    __tablename__ = "activity_participant"
    __table_args__ = (
        partial_index("uq_activity_participant", "activity_id", "customer_id", where="deleted_at IS NULL"),
        sa.Index("ix_activity_participant_activity", "activity_id", "id"),
    )

    id: Mapped[int] = row_key()
    activity_id: Mapped[int] = mapped_column(
        sa.ForeignKey("activity.id", ondelete="RESTRICT"), comment="what is taken part in"
    )
    customer_id: Mapped[int] = customer_fk("who takes part", index=True)

    activity: Mapped[Activity] = relationship()
    customer: Mapped[Customer] = relationship()

    def __repr__(self) -> str:
        return repr(self.customer)
