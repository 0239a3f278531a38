"""统计报表: months as they were reported."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from flask_appbuilder import Model
from flask_appbuilder.security.sqla.models import User
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.core.models import user_fk
from app.core.types import UtcDateTime


class ReportClose(Model):
    """The whole company's figures of one report for one month, as they were when the month was closed."""

    __tablename__ = "report_close"
    __table_args__ = (sa.UniqueConstraint("report", "month", name="uq_report_close_month"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    report: Mapped[str] = mapped_column(sa.String(40), comment="id in the catalogue")
    month: Mapped[date] = mapped_column(comment="its first day, company-local")
    closed_at: Mapped[datetime] = mapped_column(UtcDateTime, comment="UTC")
    closed_by_id: Mapped[int | None] = user_fk("who closed it by hand; null: the schedule", index=True)
    table: Mapped[dict[str, Any]] = mapped_column(sa.JSON, comment="total and lines; decimals exactly, as text")

    closed_by: Mapped[User | None] = relationship(User, foreign_keys=[closed_by_id])

    def __repr__(self) -> str:
        return f"{self.report} {self.month:%Y-%m}"
