"""数据字典 and 工作日历: the closed lists a company words for itself, and the days it works."""

from __future__ import annotations

from datetime import date

import sqlalchemy as sa
from flask_appbuilder import Model
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Mapped, mapped_column

from app.core.choices import Choice
from app.core.language import chinese
from app.core.models import Stamped, row_key


class DictionaryType(Choice):
    """The lists there are; a company adds items, not lists."""

    level = "level", _l("Customer level")
    region = "region", _l("Region")
    ticket_type = "ticket_type", _l("Ticket type")
    source = "source", _l("Opportunity source")
    nature = "nature", _l("Ownership nature")
    company_type = "company_type", _l("Company type")
    standing = "standing", _l("Credit standing")
    industry = "industry", _l("Industry")
    measure = "measure", _l("Retention measure type")
    churn_reason = "churn_reason", _l("Churn reason")
    bank = "bank", _l("Bank")


class DictionaryItem(Stamped, Model):
    """One entry of one list. A system row keeps its code and cannot be deleted; a row in use is deactivated."""

    __tablename__ = "dictionary_item"
    __table_args__ = (
        DictionaryType.check("type"),
        sa.UniqueConstraint("type", "code", name="uq_dictionary_item_type_code"),
        sa.Index("ix_dictionary_item_order", "type", "sort_order", "id"),
    )

    id: Mapped[int] = row_key()
    type: Mapped[DictionaryType] = mapped_column(DictionaryType.column_type(), comment="which list")
    code: Mapped[str] = mapped_column(sa.String(40), comment="stable, never shown")
    label_zh: Mapped[str] = mapped_column(sa.String(100), comment="as Chinese readers see it")
    label_en: Mapped[str] = mapped_column(sa.String(100), comment="as English readers see it")
    value: Mapped[str | None] = mapped_column(sa.String(100), comment="number or text a rule reads")
    sort_order: Mapped[int] = mapped_column(default=0, comment="small first")
    active: Mapped[bool] = mapped_column(default=True, comment="offered in forms")
    system: Mapped[bool] = mapped_column(default=False, comment="code fixed, not deletable")

    @property
    def label(self) -> str:
        """The label in the reader's language; outside a request, Chinese."""
        return self.label_zh if chinese() else self.label_en

    def __repr__(self) -> str:
        return self.label


class CalendarDay(Stamped, Model):
    """工作日历: a day on which the company works or not, whatever is announced for it."""

    __tablename__ = "calendar_day"
    __table_args__ = (sa.UniqueConstraint("day", name="uq_calendar_day_day"),)

    id: Mapped[int] = row_key()
    day: Mapped[date] = mapped_column(comment="company-local date")
    working: Mapped[bool] = mapped_column(default=False, comment="the company works on it")
    note: Mapped[str | None] = mapped_column(sa.String(100), comment="why: which holiday, which make-up day")

    def __repr__(self) -> str:
        return self.day.isoformat()
