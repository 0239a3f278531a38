"""离职交接: what one person owned and others got, record by record, so that it can be shown and undone."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

import sqlalchemy as sa
from flask_appbuilder import Model
from flask_appbuilder.security.sqla.models import User
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.core.choices import Choice
from app.core.clock import local, utcnow
from app.core.models import row_key, user_fk
from app.core.types import UtcDateTime


class RuleKind(Choice):
    """By what the records find their successors."""

    one = "one", _l("All to one person")
    region = "region", _l("By region")
    level = "level", _l("By customer level")
    evenly = "evenly", _l("Evenly")


class RecordKind(Choice):
    """What can be handed over; the codes are the tables' names."""

    customer = "customer", _l("Customer")
    opportunity = "opportunity", _l("Opportunity")
    ticket = "ticket", _l("Ticket")
    feedback = "feedback", _l("Customer feedback")
    complaint = "complaint", _l("Complaint")


class ItemOutcome(Choice):
    """What became of one planned record."""

    moved = "moved", _l("Handed over"), "ok"
    skipped = "skipped", _l("Left alone: changed meanwhile"), "warn"


class UndoOutcome(Choice):
    """What became of one moved record when the handover was undone."""

    back = "back", _l("Moved back"), "ok"
    left = "left", _l("Left alone: changed since"), "warn"


class Handover(Model):
    """交接: one action that moved all that a person owned. Written once; undone at most once."""

    __tablename__ = "handover"
    __table_args__ = (
        sa.CheckConstraint("(undone_at IS NULL) = (undone_by_id IS NULL)", name="undone_by_somebody"),
        sa.CheckConstraint("undone_at IS NULL OR undone_at >= at", name="undone_afterwards"),
        sa.Index("ix_handover_at", "at", "id"),
        sa.Index("ix_handover_leaver", "leaver_id", "id"),
    )

    id: Mapped[int] = row_key()
    actor_id: Mapped[int] = user_fk("who did it", nullable=False, index=True)
    leaver_id: Mapped[int] = user_fk("whose records they were", nullable=False)
    rule: Mapped[dict[str, Any]] = mapped_column(sa.JSON, comment="as app.handover.rule.Rule writes it")
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, comment="UTC")
    counts: Mapped[dict[str, Any]] = mapped_column(sa.JSON, comment="moved and skipped, by kind of record")
    undone_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="UTC")
    undone_by_id: Mapped[int | None] = user_fk("who undid it", index=True)

    actor: Mapped[User] = relationship(User, foreign_keys=[actor_id])
    leaver: Mapped[User] = relationship(User, foreign_keys=[leaver_id])
    undone_by: Mapped[User | None] = relationship(User, foreign_keys=[undone_by_id])

    @property
    def moved(self) -> int:
        """How many records were handed over."""
        return sum(self.counts.get("moved", {}).values())

    @property
    def skipped(self) -> int:
        """How many records had changed between the plan and the handover and were left alone."""
        return sum(self.counts.get("skipped", {}).values())

    def __repr__(self) -> str:
        return f"{self.leaver.get_full_name()} · {local(self.at):%Y-%m-%d}"


class HandoverItem(Model):
    """One record of a handover: whose it was, whose it became, and what the undoing did with it."""

    without_history: ClassVar[str] = "is itself a history"

    __tablename__ = "handover_item"
    __table_args__ = (
        RecordKind.check("record_type"),
        ItemOutcome.check("outcome"),
        UndoOutcome.check("undone"),
        sa.CheckConstraint("undone IS NULL OR outcome = 'moved'", name="undone_was_moved"),
        sa.UniqueConstraint("handover_id", "record_type", "record_id", name="uq_handover_item_record"),
        sa.Index("ix_handover_item_record", "record_type", "record_id", "id"),
        sa.Index("ix_handover_item_to", "to_id", "handover_id"),
    )

    id: Mapped[int] = row_key()
    handover_id: Mapped[int] = mapped_column(
        sa.ForeignKey("handover.id", ondelete="CASCADE"), comment="the handover it is part of"
    )
    record_type: Mapped[RecordKind] = mapped_column(RecordKind.column_type(), comment="table name")
    record_id: Mapped[int] = mapped_column(comment="row id in that table")
    version: Mapped[int] = mapped_column(comment="of the record, when it was planned")
    label: Mapped[str] = mapped_column(sa.String(200), comment="what it was called then")
    from_id: Mapped[int] = user_fk("whose it was", nullable=False, index=True)
    to_id: Mapped[int] = user_fk("whose it became", nullable=False)
    outcome: Mapped[ItemOutcome] = mapped_column(
        ItemOutcome.column_type(), comment="moved, or left alone because it had changed since the plan"
    )
    undone: Mapped[UndoOutcome | None] = mapped_column(UndoOutcome.column_type(), comment="null: not undone")

    handover: Mapped[Handover] = relationship()
    to: Mapped[User] = relationship(User, foreign_keys=[to_id])

    def __repr__(self) -> str:
        return self.label
