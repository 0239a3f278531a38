"""后台任务: the ledger of background jobs. What Redis forgets is still known here."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

import sqlalchemy as sa
from flask_appbuilder import Model
from flask_appbuilder.security.sqla.models import User
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.core.choices import Choice
from app.core.clock import utcnow
from app.core.models import row_key, user_fk
from app.core.types import Sentence, UtcDateTime


class RunStatus(Choice):
    """How a run stands."""

    waiting = "waiting", _l("Waiting"), "hold"
    running = "running", _l("Running"), "brand"
    done = "done", _l("Done"), "ok"
    failed = "failed", _l("Failed"), "bad"
    refused = "refused", _l("Refused"), "warn"


class JobRun(Model):
    """One run of one job for one period. Unique, so that two nodes, a hand and a schedule make one run."""

    without_history: ClassVar[str] = "is the ledger of the jobs"

    __tablename__ = "job_run"
    __table_args__ = (
        RunStatus.check("status"),
        sa.UniqueConstraint("job", "period", name="uq_job_run_period"),
        sa.Index("ix_job_run_job", "job", "status", "finished_at"),
    )

    id: Mapped[int] = row_key()
    job: Mapped[str] = mapped_column(sa.String(40), comment="name in PERIODIC")
    period: Mapped[str] = mapped_column(sa.String(40), comment="scheduled wall clock, or hand-<instant>")
    scheduled_for: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="UTC; the run's as-of")
    status: Mapped[RunStatus] = mapped_column(
        RunStatus.column_type(), default=RunStatus.running, comment="how it stands, or how it ended"
    )
    attempt: Mapped[int] = mapped_column(default=1, comment="how many times it was begun; 0: only asked for")
    owner: Mapped[str | None] = mapped_column(sa.String(80), comment="host:pid that runs it")
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="UTC")
    heartbeat_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="UTC")
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="UTC")
    counts: Mapped[dict[str, Any] | None] = mapped_column(
        sa.JSON, comment="what the job counted, by name; null: nothing yet"
    )
    error: Mapped[str | None] = mapped_column(Sentence(2000), comment="why it failed or was refused; null: neither")
    requested_by_id: Mapped[int | None] = user_fk("who ran it by hand; null: the schedule")

    requested_by: Mapped[User | None] = relationship(User, foreign_keys=[requested_by_id])

    def __repr__(self) -> str:
        return f"{self.job} {self.period}"


class Heartbeat(Model):
    """The last sign of life of a part of the product (scheduler, worker); read by /healthz."""

    without_history: ClassVar[str] = "is a sign of life"

    __tablename__ = "heartbeat"

    part: Mapped[str] = mapped_column(sa.String(40), primary_key=True, comment="scheduler, worker or sync")
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime, comment="UTC")


class Installation(Model):
    """What this database is for. One row; a demo database says so and is never served beyond this machine."""

    without_history: ClassVar[str] = "is about the database"

    __tablename__ = "installation"
    __table_args__ = (sa.CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, default=1, comment="always 1")
    demo: Mapped[bool] = mapped_column(default=False, comment="holds the invented demo company")
    loading: Mapped[bool] = mapped_column(
        default=False, server_default=sa.false(), comment="the demo company is not there to its end yet"
    )
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, comment="UTC")
