"""服务单, 客户反馈, 客户投诉: what customers ask for, say and complain about."""

from __future__ import annotations

from datetime import date, datetime
from typing import ClassVar

import sqlalchemy as sa
from flask_appbuilder import Model
from flask_appbuilder.security.sqla.models import User
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.core.choices import Choice
from app.core.clock import today, utcnow
from app.core.models import HasStatus, SoftDeleted, Stamped, partial_index, row_key, user_fk
from app.core.sentences import gettext as _
from app.core.types import UtcDateTime
from app.customers.models import Customer, customer_fk, dictionary_fk
from app.masterdata.models import DictionaryItem, DictionaryType


class TicketStatus(Choice):
    """The step a ticket waits at."""

    created = "created", _l("New"), "warn"
    assigned = "assigned", _l("Assigned"), "brand"
    handled = "handled", _l("Handled"), "hold"
    archived = "archived", _l("Archived"), "ok"


class RecordStatus(Choice):
    """Whether somebody still has to do something about a feedback or complaint."""

    open = "open", _l("In progress"), "warn"
    closed = "closed", _l("Closed"), "ok"


class ServiceStep(Choice):
    """What has to be done about a ticket next, each with its target hours."""

    assign = "assign", _l("Assignment")
    handle = "handle", _l("Handle")
    feedback = "feedback", _l("Feedback")


class Ticket(HasStatus, SoftDeleted, Model):
    """服务单: created, assigned, handled, then fed back and archived."""

    __tablename__ = "ticket"
    __table_args__ = (
        TicketStatus.check("status"),
        sa.UniqueConstraint("number", name="uq_ticket_number"),
        sa.CheckConstraint("satisfaction BETWEEN 1 AND 5", name="satisfaction_range"),
        sa.CheckConstraint("(status = 'created') = (assignee_id IS NULL)", name="assignee_iff_assigned"),
        sa.CheckConstraint(
            "status NOT IN ('handled', 'archived') OR (handled_at IS NOT NULL AND length(trim(handling)) > 0)",
            name="handled_has_text",
        ),
        sa.CheckConstraint(
            "(status = 'archived') = (archived_at IS NOT NULL)"
            " AND (status <> 'archived' OR (satisfaction >= 3 AND length(trim(result)) > 0))",
            name="archived_is_satisfied",
        ),
        sa.Index("ix_ticket_customer", "customer_id", "id"),
        sa.Index("ix_ticket_status", "status", "id"),
        sa.Index("ix_ticket_assignee", "assignee_id", "status", "id"),
        sa.Index("ix_ticket_created", "created_at", "id"),
        sa.Index("ix_ticket_archived", "archived_at", "id"),
        partial_index("ix_ticket_due", "due_at", "id", where="due_at IS NOT NULL", unique=False),
    )
    STATUS = TicketStatus

    id: Mapped[int] = row_key()
    number: Mapped[str] = mapped_column(sa.String(30), comment="FW + yyMMdd + counter")
    type_id: Mapped[int] = dictionary_fk("ticket type", nullable=False)  # type: ignore[assignment]
    title: Mapped[str] = mapped_column(sa.String(500), comment="what it is about, in a line")
    customer_id: Mapped[int] = customer_fk("who asks for service")
    request: Mapped[str] = mapped_column(sa.String(3000), comment="what the customer asks for, at length")
    status: Mapped[TicketStatus] = mapped_column(
        TicketStatus.column_type(),
        default=TicketStatus.created,
        comment="the step it waits at; set by its steps, never typed",
    )
    assignee_id: Mapped[int | None] = user_fk("who handles it")
    assigned_by_id: Mapped[int | None] = user_fk("who gave it to the assignee")
    assigned_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="UTC")
    handling: Mapped[str | None] = mapped_column(
        sa.String(3000), comment="what was done about it; null: not handled, or returned"
    )
    handled_by_id: Mapped[int | None] = user_fk("who handled it")
    handled_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="UTC")
    result: Mapped[str | None] = mapped_column(
        sa.String(500), comment="what the customer said in the end; null: not archived"
    )
    satisfaction: Mapped[int | None] = mapped_column(comment="1-5 stars", info={"stars": True})
    archived_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="UTC")
    times_returned: Mapped[int] = mapped_column(
        default=0, comment="how often the customer was not satisfied and it came back"
    )
    due_at: Mapped[datetime | None] = mapped_column(
        UtcDateTime, comment="UTC; by when its step is to be done; null: no target, or archived"
    )

    type: Mapped[DictionaryItem] = relationship(foreign_keys=[type_id], info={"dictionary": DictionaryType.ticket_type})
    customer: Mapped[Customer] = relationship()
    assignee: Mapped[User | None] = relationship(User, foreign_keys=[assignee_id])
    assigned_by: Mapped[User | None] = relationship(User, foreign_keys=[assigned_by_id])
    handled_by: Mapped[User | None] = relationship(User, foreign_keys=[handled_by_id])

    def __repr__(self) -> str:
        return self.number

    def why_not(self) -> str:
        """Why the step somebody asked for cannot be taken, judged by where the ticket is now."""
        who = self.assignee.get_full_name() if self.assignee is not None else ""
        if self.status == TicketStatus.created:
            return _("The ticket was not assigned to anybody yet.")
        if self.status == TicketStatus.assigned:
            return _("The ticket is already assigned to %(name)s.", name=who)
        if self.status == TicketStatus.handled:
            return _("The ticket was already handled by %(name)s.", name=who)
        return _("The ticket is archived and can no longer be changed.")


class TicketStep(Model):
    """The history of a ticket with its texts. Append-only."""

    without_history: ClassVar[str] = "is itself a history"

    __tablename__ = "ticket_step"
    __table_args__ = (sa.Index("ix_ticket_step_ticket", "ticket_id", "id"), sa.Index("ix_ticket_step_at", "at", "id"))

    id: Mapped[int] = row_key()
    ticket_id: Mapped[int] = mapped_column(sa.ForeignKey("ticket.id", ondelete="RESTRICT"), comment="whose history")
    step: Mapped[str] = mapped_column(sa.String(20), comment="created, assigned, reassigned, handled, returned ...")
    actor_id: Mapped[int | None] = user_fk("who took the step")
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, comment="UTC")
    text: Mapped[str | None] = mapped_column(
        sa.String(3000), comment="of that step: the assignee's name, the handling, the customer's answer"
    )
    satisfaction: Mapped[int | None] = mapped_column(comment="1-5 stars", info={"stars": True})

    ticket: Mapped[Ticket] = relationship()
    actor: Mapped[User | None] = relationship(User, foreign_keys=[actor_id])

    def __repr__(self) -> str:
        return f"{self.ticket!r} {self.step}"


class Feedback(HasStatus, SoftDeleted, Model):
    """客户反馈: what a customer said, good or bad."""

    __tablename__ = "feedback"
    __table_args__ = (
        RecordStatus.check("status"),
        sa.CheckConstraint("satisfaction BETWEEN 1 AND 5", name="satisfaction_range"),
        sa.Index("ix_feedback_customer", "customer_id", "id"),
        sa.Index("ix_feedback_received", "received_on", "id"),
    )
    STATUS = RecordStatus

    id: Mapped[int] = row_key()
    title: Mapped[str] = mapped_column(sa.String(200), comment="what it is about, in a line")
    customer_id: Mapped[int] = customer_fk("who said it")
    content: Mapped[str | None] = mapped_column(sa.String(3000), comment="what was said, at length")
    received_on: Mapped[date] = mapped_column(default=today, comment="company-local date")
    accepted_by_id: Mapped[int] = user_fk("who accepted it", nullable=False, index=True)
    satisfaction: Mapped[int | None] = mapped_column(comment="1-5 stars", info={"stars": True})
    status: Mapped[RecordStatus] = mapped_column(
        RecordStatus.column_type(),
        default=RecordStatus.open,
        comment="whether somebody still has to act; set by its steps",
    )
    memo: Mapped[str | None] = mapped_column(sa.String(2000), comment="whatever else is worth noting")

    customer: Mapped[Customer] = relationship()
    accepted_by: Mapped[User] = relationship(User, foreign_keys=[accepted_by_id])

    def __repr__(self) -> str:
        return self.title


class Complaint(HasStatus, SoftDeleted, Model):
    """客户投诉: what went wrong for a customer, and the remedy."""

    __tablename__ = "complaint"
    __table_args__ = (
        RecordStatus.check("status"),
        sa.CheckConstraint("satisfaction BETWEEN 1 AND 5", name="satisfaction_range"),
        sa.Index("ix_complaint_customer", "customer_id", "id"),
        sa.Index("ix_complaint_received", "received_on", "id"),
    )
    STATUS = RecordStatus

    id: Mapped[int] = row_key()
    customer_id: Mapped[int] = customer_fk("who complains")
    complainant: Mapped[str] = mapped_column(sa.String(50), comment="投诉人: the person there who complains, as typed")
    subject: Mapped[str] = mapped_column(sa.String(200), comment="what it is about, in a line")
    content: Mapped[str | None] = mapped_column(sa.String(3000), comment="what went wrong, at length")
    received_on: Mapped[date] = mapped_column(default=today, comment="company-local date")
    accepted_by_id: Mapped[int] = user_fk("who accepted it", nullable=False, index=True)
    remedy: Mapped[str | None] = mapped_column(
        sa.String(2000), comment="处理办法: what was done about it; an archived ticket fills it"
    )
    satisfaction: Mapped[int | None] = mapped_column(comment="1-5 stars", info={"stars": True})
    status: Mapped[RecordStatus] = mapped_column(
        RecordStatus.column_type(),
        default=RecordStatus.open,
        comment="whether somebody still has to act; set by its steps and its ticket",
    )
    memo: Mapped[str | None] = mapped_column(sa.String(2000), comment="whatever else is worth noting")
    ticket_id: Mapped[int | None] = mapped_column(
        sa.ForeignKey("ticket.id", ondelete="RESTRICT"), index=True, comment="the ticket it opened"
    )

    customer: Mapped[Customer] = relationship()
    accepted_by: Mapped[User] = relationship(User, foreign_keys=[accepted_by_id])
    ticket: Mapped[Ticket | None] = relationship()

    def __repr__(self) -> str:
        return self.subject


class TicketWord(Model):
    """Which words an archived ticket's title and request hold, written when it is archived: so precedents are found."""

    without_history: ClassVar[str] = "is worked out from the ticket"

    __tablename__ = "ticket_word"
    __table_args__ = (
        sa.PrimaryKeyConstraint("type_id", "word", "ticket_id", name="pk_ticket_word"),
        {"sqlite_with_rowid": False},
    )

    type_id: Mapped[int] = mapped_column(autoincrement=False, comment="the ticket's type")
    word: Mapped[str] = mapped_column(sa.String(40), comment="folded: an English stem, a model number, two characters")
    ticket_id: Mapped[int] = mapped_column(
        sa.ForeignKey("ticket.id", ondelete="CASCADE"), autoincrement=False, comment="which ticket holds the word"
    )


class ServiceTarget(Stamped, Model):
    """服务时限: within how many working hours a step of a ticket of one type is to be done."""

    __tablename__ = "service_target"
    __table_args__ = (
        ServiceStep.check("step"),
        sa.UniqueConstraint("type_id", "step", name="uq_service_target_type_step"),
        sa.CheckConstraint("hours > 0", name="hours_positive"),
    )

    id: Mapped[int] = row_key()
    type_id: Mapped[int] = dictionary_fk("ticket type", nullable=False)  # type: ignore[assignment]
    step: Mapped[ServiceStep] = mapped_column(
        ServiceStep.column_type(), comment="what has to be done within these hours"
    )
    hours: Mapped[int] = mapped_column(comment="working hours", info={"range": (1, 2000)})

    type: Mapped[DictionaryItem] = relationship(foreign_keys=[type_id], info={"dictionary": DictionaryType.ticket_type})

    def __repr__(self) -> str:
        return f"{self.type!r} · {self.step.label}"


class TicketReminder(Model):
    """That somebody was reminded of a ticket's step: each rung once for the step and the time it was due.

    Every move sets a new due time, so a step that comes again is a round of its own. A handover keeps the due time and
    deletes the first rung: whoever has the ticket now was not reminded.
    """

    without_history: ClassVar[str] = "remembers who was reminded"

    __tablename__ = "ticket_reminder"
    __table_args__ = (
        ServiceStep.check("step"),
        sa.UniqueConstraint("ticket_id", "step", "due_at", "rung", name="uq_ticket_reminder_round"),
        sa.CheckConstraint("rung BETWEEN 1 AND 2", name="rung_range"),
    )

    id: Mapped[int] = row_key()
    ticket_id: Mapped[int] = mapped_column(
        sa.ForeignKey("ticket.id", ondelete="CASCADE"), comment="what was reminded of"
    )
    step: Mapped[ServiceStep] = mapped_column(ServiceStep.column_type(), comment="the step that was due")
    due_at: Mapped[datetime] = mapped_column(UtcDateTime, comment="UTC; when the step was due")
    rung: Mapped[int] = mapped_column(comment="1: who has to act, 2: the leads")
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, comment="UTC")
