"""What every table of ours shares: names of constraints, stamps, versions, and the history of moves."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

import sqlalchemy as sa
from flask import g, has_request_context
from flask_appbuilder import Model
from flask_appbuilder.security.sqla.models import User
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Mapped, declared_attr, mapped_column, relationship

from app.core import people  # noqa: F401 - repairs User.get_full_name for every importer
from app.core.choices import Choice
from app.core.clock import utcnow
from app.core.sentences import SAID, said_again
from app.core.types import UtcDateTime

# Names for every constraint, so that a migration can find it again on both databases.
Model.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


def current_user_id() -> int | None:
    """The signed-in person's id; None for the system (jobs, command line, start-up)."""
    if not has_request_context():
        return None
    user = getattr(g, "user", None)
    return user.id if user is not None and user.is_authenticated else None


def row_key() -> Mapped[int]:
    """The primary key of most tables."""
    return mapped_column(primary_key=True, comment="key, given by the database")


def user_fk(comment: str, *, nullable: bool = True, index: bool = False, primary_key: bool = False) -> Mapped[Any]:
    """A column that names a user account; accounts are disabled, never deleted."""
    return mapped_column(
        sa.ForeignKey("ab_user.id", ondelete="RESTRICT"),
        nullable=nullable and not primary_key,
        index=index,
        primary_key=primary_key,
        comment=comment,
    )


def partial_index(name: str, *columns: str, where: str, unique: bool = True) -> sa.Index:
    """An index over some rows only, the same on SQLite and PostgreSQL."""
    condition = sa.text(where)
    return sa.Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


class Versioned:
    """A version number that every UPDATE checks and raises: the second of two simultaneous writers loses."""

    version: Mapped[int] = mapped_column(default=1, server_default="1", comment="raised by every change")

    @declared_attr.directive
    def __mapper_args__(cls) -> dict[str, Any]:  # noqa: N805
        return {"version_id_col": cls.version}


class Stamped(Versioned):
    """Who created and changed the row, and when. No person means the system did it."""

    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, comment="UTC")
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, onupdate=utcnow, comment="UTC")

    @declared_attr
    def created_by_id(cls) -> Mapped[int | None]:
        return mapped_column(
            sa.ForeignKey("ab_user.id", ondelete="RESTRICT"),
            default=current_user_id,
            index=True,
            comment="null: the system",
        )

    @declared_attr
    def changed_by_id(cls) -> Mapped[int | None]:
        return mapped_column(
            sa.ForeignKey("ab_user.id", ondelete="RESTRICT"),
            default=current_user_id,
            onupdate=current_user_id,
            comment="null: the system",
        )

    @declared_attr
    def created_by(cls) -> Mapped[User | None]:
        return relationship(User, foreign_keys=[cls.created_by_id])  # type: ignore[list-item]


class SoftDeleted:
    """Rows that history hangs on are hidden, not removed."""

    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="UTC; set: hidden everywhere")


class Outcome(Choice):
    """How a recorded action ended."""

    done = "done", _l("Done"), "ok"
    refused = "refused", _l("Refused"), "bad"


class AuditEntry(Model):
    """操作记录: who did what to which record, when and from where, done or refused. Append-only.

    Which fields a move changed, from what to what, is in `FieldChange`.
    """

    without_history: ClassVar[str] = "is itself a history"

    __tablename__ = "audit_entry"
    __table_args__ = (
        Outcome.check("outcome"),
        sa.Index("ix_audit_entry_record", "record_type", "record_id", "id"),
        sa.Index("ix_audit_entry_at", "at", "id"),
    )

    id: Mapped[int] = row_key()
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, comment="UTC")
    actor_id: Mapped[int | None] = user_fk("who; null: the system", index=True)
    record_type: Mapped[str] = mapped_column(sa.String(40), comment="table name")
    record_id: Mapped[int | None] = mapped_column(comment="row id in that table; null: never saved")
    action: Mapped[str] = mapped_column(sa.String(40), comment="step or create, edit, delete")
    outcome: Mapped[Outcome] = mapped_column(
        Outcome.column_type(), default=Outcome.done, comment="whether it was done or refused"
    )
    from_status: Mapped[str | None] = mapped_column(
        sa.String(20), comment="the record's status before; null: it has none, or did not move"
    )
    to_status: Mapped[str | None] = mapped_column(
        sa.String(20), comment="its status afterwards; null: it has none, or refused"
    )
    # Of a refusal: what was said, to be said again in the reader's language (core/sentences.py).
    changes: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON, comment="the sentence of a refusal")
    note: Mapped[str | None] = mapped_column(sa.String(2000), comment="reason, or why it was refused")
    ip: Mapped[str | None] = mapped_column(sa.String(45), comment="address the request came from; null: see `source`")
    source: Mapped[str | None] = mapped_column(sa.String(60), comment="job or command; null: a request, from `ip`")
    unit: Mapped[str | None] = mapped_column(sa.String(32), comment="what was written together")
    erased: Mapped[bool] = mapped_column(default=False, server_default=sa.false(), comment="its note was erased")

    actor: Mapped[User | None] = relationship(User, foreign_keys=[actor_id])

    @property
    def words(self) -> str | None:
        """The reason as it was typed, or why it was refused in the reader's language."""
        return said_again(self.changes) if self.changes and SAID in self.changes else self.note


class FieldChange(Model):
    """变更: one field of one record, from what to what. Written with every flush (core/changes.py). Append-only.

    The database refuses UPDATE and DELETE, but for one: the values of a personal field are erased for good.
    """

    without_history: ClassVar[str] = "is itself a history"

    __tablename__ = "field_change"
    __table_args__ = (
        sa.Index("ix_field_change_record", "record_type", "record_id", "id"),
        sa.Index("ix_field_change_field", "record_type", "field", "id"),
        sa.Index("ix_field_change_at", "at", "id"),
        partial_index("ix_field_change_bulk", "bulk_id", "record_id", where="bulk_id IS NOT NULL", unique=False),
    )

    id: Mapped[int] = row_key()
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, comment="UTC")
    actor_id: Mapped[int | None] = user_fk("who; null: the system", index=True)
    record_type: Mapped[str] = mapped_column(sa.String(40), comment="table name")
    record_id: Mapped[int] = mapped_column(comment="row id in that table")
    field: Mapped[str | None] = mapped_column(sa.String(160), comment="column; null: the record was made")
    before: Mapped[str | None] = mapped_column(sa.Text, comment="as text: a code, an id, an ISO date")
    after: Mapped[str | None] = mapped_column(sa.Text, comment="the same, afterwards")
    move: Mapped[str] = mapped_column(sa.String(80), comment="by which move: opportunity.win")
    ip: Mapped[str | None] = mapped_column(sa.String(45), comment="address the request came from; null: see `source`")
    source: Mapped[str | None] = mapped_column(sa.String(60), comment="job or command; null: a request, from `ip`")
    unit: Mapped[str | None] = mapped_column(sa.String(32), comment="what was written together")
    bulk_id: Mapped[int | None] = mapped_column(
        sa.ForeignKey("bulk_change.id", ondelete="RESTRICT"), comment="the bulk change it is part of"
    )
    erased: Mapped[bool] = mapped_column(default=False, server_default=sa.false(), comment="its values were erased")

    actor: Mapped[User | None] = relationship(User, foreign_keys=[actor_id])


class BulkChange(Model):
    """批量变更: one move taken for many records. What it changed is in the change log; undone at most once."""

    without_history: ClassVar[str] = "is itself a history"

    __tablename__ = "bulk_change"
    __table_args__ = (
        sa.CheckConstraint("(undone_at IS NULL) = (undone_by_id IS NULL)", name="undone_by_somebody"),
        sa.Index("ix_bulk_change_at", "at", "id"),
    )

    id: Mapped[int] = row_key()
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, comment="UTC")
    actor_id: Mapped[int] = user_fk("who did it", nullable=False, index=True)
    record_type: Mapped[str] = mapped_column(sa.String(40), comment="table name")
    action: Mapped[str] = mapped_column(sa.String(40), comment="the step's name")
    done: Mapped[int] = mapped_column(default=0, comment="records it was done for")
    skipped: Mapped[int] = mapped_column(default=0, comment="records that refused it")
    undone_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="UTC")
    undone_by_id: Mapped[int | None] = user_fk("who undid it", index=True)
    back: Mapped[int | None] = mapped_column(comment="records the undoing moved back; the others had changed since")

    actor: Mapped[User] = relationship(User, foreign_keys=[actor_id])
    undone_by: Mapped[User | None] = relationship(User, foreign_keys=[undone_by_id])


class Deletion(Model):
    """回收站: one deleted record; what hangs on it was hidden at the same instant (core/recycle.py).

    The line goes when the record is restored or purged: the logs keep both.
    """

    without_history: ClassVar[str] = "says what was deleted"

    __tablename__ = "deletion"
    __table_args__ = (
        sa.UniqueConstraint("record_type", "record_id", name="uq_deletion_record"),
        sa.Index("ix_deletion_at", "at", "id"),
    )

    id: Mapped[int] = row_key()
    record_type: Mapped[str] = mapped_column(sa.String(40), comment="table name")
    record_id: Mapped[int] = mapped_column(comment="row id in that table")
    label: Mapped[str] = mapped_column(sa.String(200), comment="what it was called")
    was: Mapped[str | None] = mapped_column(sa.String(20), comment="its status before, if deleting changed it")
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, comment="UTC; deleted_at of what went with it")
    actor_id: Mapped[int | None] = user_fk("who deleted it; null: the system", index=True)
    children: Mapped[int] = mapped_column(default=0, comment="records that went with it")

    actor: Mapped[User | None] = relationship(User, foreign_keys=[actor_id])

    def __repr__(self) -> str:
        return self.label


class Counter(Model):
    """One row per day and kind of number; raising it is what makes a visible number unique."""

    __tablename__ = "counter"

    without_history: ClassVar[str] = "counts numbers"

    name: Mapped[str] = mapped_column(sa.String(20), primary_key=True, comment="prefix and local day, KH071202")
    last: Mapped[int] = mapped_column(default=0, comment="last number given out")


class Submission(Model):
    """A form that was sent: sent again it makes nothing more (core/submissions.py). Kept for a week."""

    __tablename__ = "submission"
    __table_args__ = (sa.Index("ix_submission_at", "at"),)

    without_history: ClassVar[str] = "says that a form was sent, not what became of it"

    user_id: Mapped[int] = user_fk("who sent it", primary_key=True)
    nonce: Mapped[str] = mapped_column(sa.String(32), primary_key=True, comment="made when the form was shown")
    endpoint: Mapped[str] = mapped_column(sa.String(120), comment="the route it was sent to")
    fingerprint: Mapped[str] = mapped_column(sa.String(64), comment="keyed hash of address and fields")
    address: Mapped[str] = mapped_column(sa.String(500), comment="the page of the result")
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, comment="UTC")


class HasStatus(Stamped):
    """A record that moves through states only by declared steps (see lifecycle)."""

    STATUS: ClassVar[type[Choice]]
