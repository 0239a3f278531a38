"""统计报表: months as they were reported, who gets a report by mail, who has which tiles on the dashboard."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar
from urllib.parse import parse_qsl

import sqlalchemy as sa
from flask_appbuilder import Model
from flask_appbuilder.security.sqla.models import User
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.core.choices import Choice
from app.core.clock import utcnow
from app.core.models import row_key, user_fk
from app.core.types import UtcDateTime


class ReportClose(Model):
    """The whole company's figures of one report for one month, as they were when the month was closed.

    Each grouping is a row of its own; `report` says those that are not the report's first as an address does:
    composition?by=region.
    """

    without_history: ClassVar[str] = "is written once, from the figures"

    __tablename__ = "report_close"
    __table_args__ = (sa.UniqueConstraint("report", "month", name="uq_report_close_month"),)

    id: Mapped[int] = row_key()
    report: Mapped[str] = mapped_column(sa.String(40), comment="id in the catalogue")
    month: Mapped[date] = mapped_column(comment="its first day, company-local")
    closed_at: Mapped[datetime] = mapped_column(UtcDateTime, comment="UTC")
    closed_by_id: Mapped[int | None] = user_fk("who closed it by hand; null: the schedule", index=True)
    table: Mapped[dict[str, Any]] = mapped_column(sa.JSON, comment="total and lines; decimals exactly, as text")

    closed_by: Mapped[User | None] = relationship(User, foreign_keys=[closed_by_id])

    def __repr__(self) -> str:
        return f"{self.report} {self.month:%Y-%m}"


class Every(Choice):
    """How often a report comes by mail."""

    weekly = "weekly", _l("Every week")
    monthly = "monthly", _l("Every month")


class FileKind(Choice):
    """What kind of file comes with it."""

    xlsx = "xlsx", _l("Excel")
    csv = "csv", _l("CSV")


class StopReason(Choice):
    """Why a mail stopped by itself."""

    right = "right", _l("you may no longer export this report")
    account = "account", _l("the account was disabled")


class ReportMail(Model):
    """A report that one person gets by mail, with his filters. What he ends himself is no longer here."""

    without_history: ClassVar[str] = "is a person's own setting"

    __tablename__ = "report_mail"
    __table_args__ = (
        Every.check("every"),
        FileKind.check("kind"),
        StopReason.check("stopped_why"),
        sa.CheckConstraint("active = (stopped_why IS NULL)", name="stopped_for_a_reason"),
        sa.UniqueConstraint("user_id", "report", "every", "args", name="uq_report_mail_user"),
        sa.Index("ix_report_mail_every", "every", "active"),
    )

    id: Mapped[int] = row_key()
    user_id: Mapped[int] = user_fk("who gets it", nullable=False)
    report: Mapped[str] = mapped_column(sa.String(40), comment="id in the catalogue")
    args: Mapped[str] = mapped_column(sa.String(1000), comment="its filters without the period, as an address has them")
    every: Mapped[Every] = mapped_column(Every.column_type(), comment="how often it comes")
    kind: Mapped[FileKind] = mapped_column(FileKind.column_type(), comment="format of the attached file")
    active: Mapped[bool] = mapped_column(default=True, comment="false: it stopped by itself")
    stopped_why: Mapped[StopReason | None] = mapped_column(
        StopReason.column_type(), comment="why it stopped by itself; null: it still comes"
    )
    last_sent_for: Mapped[str | None] = mapped_column(sa.String(10), comment="newest week (Monday) or month mailed")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, comment="UTC")

    user: Mapped[User] = relationship(User, foreign_keys=[user_id])

    @property
    def given(self) -> dict[str, str]:
        """Its filters, by name."""
        return dict(parse_qsl(self.args, keep_blank_values=True))

    def __repr__(self) -> str:
        return f"{self.report} {self.every.value}"


class DashboardTile(Model):
    """One tile somebody chose for his dashboard. Whoever has none has the tiles of the house, in its order."""

    without_history: ClassVar[str] = "is a person's own setting"

    __tablename__ = "dashboard_tile"
    __table_args__ = (sa.UniqueConstraint("user_id", "key", name="uq_dashboard_tile_user_key"),)

    id: Mapped[int] = row_key()
    user_id: Mapped[int] = user_fk("whose dashboard", nullable=False)
    key: Mapped[str] = mapped_column(sa.String(40), comment="name in reports/tiles.py")
    position: Mapped[int] = mapped_column(comment="from 0")
