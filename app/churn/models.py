"""客户流失: a warning about a customer who stopped ordering, and what was done to keep it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

import sqlalchemy as sa
from flask_appbuilder import Model
from flask_appbuilder.security.sqla.models import User
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.core.choices import Choice
from app.core.clock import utcnow
from app.core.models import HasStatus, partial_index, row_key, user_fk
from app.core.types import Money, UtcDateTime
from app.customers.models import Customer, customer_fk, dictionary_fk
from app.masterdata.models import DictionaryItem, DictionaryType
from app.runs.models import JobRun


class ChurnStatus(Choice):
    """Where a churn case stands."""

    warning = "warning", _l("Warning"), "bad"
    deferred = "deferred", _l("Deferred"), "hold"
    lost = "lost", _l("Lost"), "mute"
    recovered = "recovered", _l("Recovered"), "ok"
    won_back = "won_back", _l("Won back"), "ok"


OPEN = (ChurnStatus.warning, ChurnStatus.deferred)
ONE_OPEN_CASE = partial_index("uq_churn_case_open", "customer_id", where="status IN ('warning', 'deferred')")


class ChurnCase(HasStatus, Model):
    """流失预警: one customer, one silence. At most one open case per customer."""

    __tablename__ = "churn_case"
    __table_args__ = (
        ChurnStatus.check("status"),
        ONE_OPEN_CASE,
        sa.CheckConstraint(
            "status NOT IN ('lost', 'won_back') OR (lost_at IS NOT NULL AND length(trim(reason)) > 0)",
            name="lost_has_reason",
        ),
        sa.CheckConstraint(
            "(status IN ('recovered', 'won_back')) = (resolved_at IS NOT NULL)", name="resolved_iff_ordered"
        ),
        sa.Index("ix_churn_case_status", "status", "opened_at", "id", postgresql_include=["customer_id"]),
        sa.Index("ix_churn_case_opened", "opened_at", "id"),
        sa.Index("ix_churn_case_last_order", "last_order_at", "id"),
        sa.Index("ix_churn_case_owner", "owner_id", "status", "id"),
        sa.Index("ix_churn_case_customer", "customer_id", "id"),
    )
    STATUS = ChurnStatus

    id: Mapped[int] = row_key()
    customer_id: Mapped[int] = customer_fk("who stopped ordering")
    owner_id: Mapped[int | None] = user_fk("owner when the warning was given")
    owner_name: Mapped[str | None] = mapped_column(sa.String(130), comment="the owner's name then")
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime, comment="the run's as-of, UTC")
    last_order_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="UTC; null: never ordered")
    last_order_no: Mapped[str | None] = mapped_column(
        sa.String(60), comment="the sales system's number of that order; null: never ordered"
    )
    rule_months: Mapped[int] = mapped_column(comment="calendar months without an order")
    rule_cutoff: Mapped[datetime] = mapped_column(UtcDateTime, comment="UTC; due when strictly before")
    status: Mapped[ChurnStatus] = mapped_column(
        ChurnStatus.column_type(),
        default=ChurnStatus.warning,
        comment="set by the churn run, steps and orders, never typed",
    )
    reason_type_id: Mapped[int | None] = dictionary_fk("why it was lost")
    reason: Mapped[str | None] = mapped_column(
        sa.String(500), comment="why it was lost, as the owner typed it; filled once lost"
    )
    lost_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="UTC")
    resolved_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="UTC; when an order ended it")
    run_id: Mapped[int | None] = mapped_column(
        sa.ForeignKey("job_run.id", ondelete="RESTRICT"), index=True, comment="the run that opened it"
    )

    customer: Mapped[Customer] = relationship()
    owner: Mapped[User | None] = relationship(User, foreign_keys=[owner_id])
    reason_type: Mapped[DictionaryItem | None] = relationship(
        foreign_keys=[reason_type_id], info={"dictionary": DictionaryType.churn_reason}
    )
    run: Mapped[JobRun | None] = relationship()
    measures: Mapped[list[RetentionMeasure]] = relationship(
        back_populates="case", order_by="RetentionMeasure.at, RetentionMeasure.id"
    )

    def __repr__(self) -> str:
        return repr(self.customer)


class RetentionMeasure(Model):
    """暂缓措施: what was done to keep the customer. Only added to, never overwritten."""

    __tablename__ = "retention_measure"
    __table_args__ = (
        sa.CheckConstraint("length(trim(text)) > 0", name="text_filled"),
        sa.Index("ix_retention_measure_case", "case_id", "id"),
        sa.Index("ix_retention_measure_at", "at", "case_id"),
    )

    id: Mapped[int] = row_key()
    case_id: Mapped[int] = mapped_column(
        sa.ForeignKey("churn_case.id", ondelete="RESTRICT"), comment="the case it is to turn"
    )
    type_id: Mapped[int | None] = dictionary_fk("kind of measure")
    text: Mapped[str] = mapped_column(sa.String(500), comment="what was done, as typed")
    cost: Mapped[Decimal | None] = mapped_column(Money(), comment="CNY")
    by_id: Mapped[int | None] = user_fk("who took it")
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, comment="UTC")

    case: Mapped[ChurnCase] = relationship(back_populates="measures")
    type: Mapped[DictionaryItem | None] = relationship(
        foreign_keys=[type_id], info={"dictionary": DictionaryType.measure}
    )
    by: Mapped[User | None] = relationship(User, foreign_keys=[by_id])


class EstimateRun(Model):
    """流失估计: one working-out of the estimates of all customers, and later how right they were."""

    without_history: ClassVar[str] = "is worked out from orders"

    __tablename__ = "estimate_run"
    __table_args__ = (sa.UniqueConstraint("as_of", name="uq_estimate_run_as_of"),)

    id: Mapped[int] = row_key()
    as_of: Mapped[datetime] = mapped_column(UtcDateTime, comment="UTC; orders up to then were read")
    made_at: Mapped[datetime] = mapped_column(UtcDateTime, comment="UTC")
    customers: Mapped[int] = mapped_column(comment="customers with an order by then")
    parameters: Mapped[dict[str, float] | None] = mapped_column(
        sa.JSON(none_as_null=True), comment="r, alpha, a, b; null: too few customers, no estimates"
    )
    log_likelihood: Mapped[float | None] = mapped_column(comment="of all customers' orders")
    hits: Mapped[dict[str, Any] | None] = mapped_column(
        sa.JSON(none_as_null=True), comment="what happened: customers, silent, auc, brier, bands"
    )
    measured_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="UTC; null: not over yet")
