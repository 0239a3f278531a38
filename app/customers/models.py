"""客户, 联系人, 交往记录: who buys, who answers the phone there, and what was said."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar

import sqlalchemy as sa
from flask_appbuilder import Model
from flask_appbuilder.security.sqla.models import User
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.core.choices import Choice
from app.core.clock import today, utcnow
from app.core.models import HasStatus, SoftDeleted, Stamped, partial_index, row_key, user_fk
from app.core.types import Money, UtcDateTime
from app.masterdata.models import DictionaryItem, DictionaryType


class CustomerStatus(Choice):
    """Whether the customer still is one."""

    active = "active", _l("Active"), "ok"
    lost = "lost", _l("Lost"), "mute"
    deleted = "deleted", _l("Deleted"), "mute"


class Gender(Choice):
    """As the contact gives it."""

    male = "male", _l("Male")
    female = "female", _l("Female")


def dictionary_fk(comment: str, *, nullable: bool = True, index: bool = False) -> Mapped[int | None]:
    """A column that names a dictionary item; items in use cannot be deleted, only deactivated."""
    return mapped_column(
        sa.ForeignKey("dictionary_item.id", ondelete="RESTRICT"), nullable=nullable, index=index, comment=comment
    )


def customer_fk(comment: str, *, primary_key: bool = False, index: bool = False) -> Mapped[Any]:
    """A column that names a customer; one that is named cannot be removed, only hidden."""
    return mapped_column(
        sa.ForeignKey("customer.id", ondelete="RESTRICT"), primary_key=primary_key, index=index, comment=comment
    )


class Customer(HasStatus, Model):
    """客户: a company that buys, or was won and is about to."""

    __tablename__ = "customer"
    __table_args__ = (
        CustomerStatus.check("status"),
        sa.UniqueConstraint("number", name="uq_customer_number"),
        sa.CheckConstraint("satisfaction BETWEEN 1 AND 5", name="satisfaction_range"),
        sa.CheckConstraint("credit BETWEEN 1 AND 5", name="credit_range"),
        sa.CheckConstraint("length(trim(name)) > 0", name="name_filled"),
        sa.CheckConstraint("registered_capital >= 0", name="registered_capital_not_negative"),
        sa.CheckConstraint("annual_turnover >= 0", name="annual_turnover_not_negative"),
        # Lists leave deleted customers out: with the status in the index PostgreSQL pages and counts without the table.
        sa.Index("ix_customer_name", "name", "id", postgresql_include=["status"]),
        sa.Index("ix_customer_level_name", "level_id", "name", "id", postgresql_include=["status"]),
        # Reports count customers by level from this index alone.
        sa.Index("ix_customer_registered", "registered_on", "id", "status", "level_id", "owner_id"),
        # A report that reads what customers ordered in the order of their keys takes what it counts by from this one.
        sa.Index("ix_customer_key", "id", "status", "level_id", "owner_id"),
        sa.Index("ix_customer_owner_name", "owner_id", "name", "id", postgresql_include=["status"]),
        sa.Index("ix_customer_status_registered", "status", "registered_on"),
        sa.Index("ix_customer_name_key", "name_key"),
    )
    STATUS = CustomerStatus

    id: Mapped[int] = row_key()
    number: Mapped[str] = mapped_column(sa.String(30), comment="KH + yyMMdd + counter, or the feed's")
    name: Mapped[str] = mapped_column(sa.String(100), comment="the company's full name, as typed or fed")
    name_key: Mapped[str] = mapped_column(sa.String(100), default="", comment="folded name without company suffix")
    search_key: Mapped[str] = mapped_column(
        sa.String(600), default="", comment="folded name, pinyin, initials, number, phone digits"
    )
    region_id: Mapped[int | None] = dictionary_fk("region", index=True)
    owner_id: Mapped[int | None] = user_fk("account manager; null: not given to anyone yet")
    registered_on: Mapped[date] = mapped_column(default=today, comment="company-local date")
    level_id: Mapped[int] = dictionary_fk("customer level", nullable=False)  # type: ignore[assignment]
    satisfaction: Mapped[int] = mapped_column(default=3, comment="1-5 stars", info={"stars": True})
    credit: Mapped[int] = mapped_column(default=3, comment="1-5 stars", info={"stars": True})
    nature_id: Mapped[int | None] = dictionary_fk("ownership nature")
    company_type_id: Mapped[int | None] = dictionary_fk("company type")
    standing_id: Mapped[int | None] = dictionary_fk("credit standing")
    industry_id: Mapped[int | None] = dictionary_fk("industry")
    province: Mapped[str | None] = mapped_column(sa.String(50), comment="of the address, as typed")
    city: Mapped[str | None] = mapped_column(sa.String(50), comment="of the address, as typed")
    address: Mapped[str | None] = mapped_column(sa.String(300), comment="street and house, as typed")
    postcode: Mapped[str | None] = mapped_column(
        sa.String(12), comment="text: leading zeros live", info={"postcode": True}
    )
    phone: Mapped[str | None] = mapped_column(
        sa.String(50), comment="office switchboard, as typed", info={"phone": True}
    )
    fax: Mapped[str | None] = mapped_column(sa.String(50), comment="number, as typed", info={"phone": True})
    website: Mapped[str | None] = mapped_column(
        sa.String(200), comment="address, http or https", info={"website": True}
    )
    licence_no: Mapped[str | None] = mapped_column(sa.String(50), comment="business licence number")
    social_credit_code: Mapped[str | None] = mapped_column(
        sa.String(18), comment="unified social credit code", info={"credit_code": True}
    )
    legal_representative: Mapped[str | None] = mapped_column(sa.String(50), comment="name of the 法人 on the licence")
    registered_capital: Mapped[Decimal | None] = mapped_column(
        Money(), comment="in 10,000 CNY", info={"not_negative": True}
    )
    annual_turnover: Mapped[Decimal | None] = mapped_column(
        Money(), comment="in 10,000 CNY", info={"not_negative": True}
    )
    bank_id: Mapped[int | None] = dictionary_fk("bank")
    bank_account: Mapped[str | None] = mapped_column(
        sa.String(50),
        comment="number, digits as typed; masked without the right to it",
        info={"protected": "bank_account"},
    )
    local_tax_no: Mapped[str | None] = mapped_column(
        sa.String(50), comment="地税登记号; masked without the right to it", info={"protected": "tax_no"}
    )
    national_tax_no: Mapped[str | None] = mapped_column(
        sa.String(50), comment="国税登记号; masked without the right to it", info={"protected": "tax_no"}
    )
    status: Mapped[CustomerStatus] = mapped_column(
        CustomerStatus.column_type(), default=CustomerStatus.active, comment="set by moves and orders, never typed"
    )
    memo: Mapped[str | None] = mapped_column(sa.String(2000), comment="whatever else the account manager notes")

    region: Mapped[DictionaryItem | None] = relationship(
        foreign_keys=[region_id], info={"dictionary": DictionaryType.region}
    )
    owner: Mapped[User | None] = relationship(User, foreign_keys=[owner_id])
    level: Mapped[DictionaryItem] = relationship(foreign_keys=[level_id], info={"dictionary": DictionaryType.level})
    nature: Mapped[DictionaryItem | None] = relationship(
        foreign_keys=[nature_id], info={"dictionary": DictionaryType.nature}
    )
    company_type: Mapped[DictionaryItem | None] = relationship(
        foreign_keys=[company_type_id], info={"dictionary": DictionaryType.company_type}
    )
    standing: Mapped[DictionaryItem | None] = relationship(
        foreign_keys=[standing_id], info={"dictionary": DictionaryType.standing}
    )
    industry: Mapped[DictionaryItem | None] = relationship(
        foreign_keys=[industry_id], info={"dictionary": DictionaryType.industry}
    )
    bank: Mapped[DictionaryItem | None] = relationship(foreign_keys=[bank_id], info={"dictionary": DictionaryType.bank})
    stats: Mapped[CustomerStats | None] = relationship(back_populates="customer", uselist=False, viewonly=True)
    estimate: Mapped[CustomerEstimate | None] = relationship(back_populates="customer", uselist=False, viewonly=True)

    def __repr__(self) -> str:
        return self.name


class CustomerStats(Model):
    """Last order, order count and sum of a customer, kept by the sync beside the customer for display."""

    without_history: ClassVar[str] = "is worked out from orders"

    __tablename__ = "customer_stats"
    __table_args__ = (sa.Index("ix_customer_stats_last_order", "last_order_at", "customer_id"),)

    customer_id: Mapped[int] = customer_fk("whose orders these are", primary_key=True)
    last_order_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="newest order not cancelled, UTC")
    order_count: Mapped[int] = mapped_column(default=0, comment="orders not cancelled")
    order_total: Mapped[Decimal] = mapped_column(Money(), default=Decimal(0), comment="CNY, orders not cancelled")

    customer: Mapped[Customer] = relationship(back_populates="stats")


class CustomerEstimate(Model):
    """未来26周无订单概率, kept by a weekly job beside the customer for display. It opens and closes no churn case."""

    without_history: ClassVar[str] = "is worked out from orders"

    __tablename__ = "customer_estimate"
    __table_args__ = (sa.CheckConstraint("probability BETWEEN 0 AND 1", name="probability_range"),)

    customer_id: Mapped[int] = customer_fk("whom it is about", primary_key=True)
    as_of: Mapped[datetime] = mapped_column(UtcDateTime, comment="UTC; orders up to then were read")
    probability: Mapped[float] = mapped_column(comment="of no order in the 26 weeks after as_of, 0 to 1")
    made_at: Mapped[datetime] = mapped_column(UtcDateTime, comment="UTC")

    customer: Mapped[Customer] = relationship(back_populates="estimate")


class Contact(Stamped, SoftDeleted, Model):
    """联系人: a person at a customer. A customer with contacts has exactly one primary contact."""

    __tablename__ = "contact"
    __table_args__ = (
        Gender.check("gender"),
        partial_index("uq_contact_primary", "customer_id", where="is_primary AND deleted_at IS NULL"),
        sa.Index("ix_contact_customer", "customer_id", "id"),
        sa.Index("ix_contact_name", "name", "id"),
    )

    id: Mapped[int] = row_key()
    customer_id: Mapped[int] = customer_fk("where the person works")
    name: Mapped[str] = mapped_column(sa.String(50), comment="the person's full name")
    gender: Mapped[Gender | None] = mapped_column(Gender.column_type(), comment="null: not said")
    position: Mapped[str | None] = mapped_column(sa.String(50), comment="job at the customer, as typed")
    office_phone: Mapped[str] = mapped_column(
        sa.String(50), comment="as typed; empty: a won opportunity gave none", info={"phone": True}
    )
    mobile: Mapped[str | None] = mapped_column(sa.String(50), comment="number, as typed", info={"phone": True})
    email: Mapped[str | None] = mapped_column(sa.String(200), comment="address, as typed")
    home_address: Mapped[str | None] = mapped_column(sa.String(300), comment="private, as typed")
    birthday: Mapped[date | None] = mapped_column(comment="a date without time zone; null: not said")
    is_primary: Mapped[bool] = mapped_column(
        default=False, comment="whom to call first; exactly one of a customer's contacts"
    )
    memo: Mapped[str | None] = mapped_column(sa.String(2000), comment="whatever else is worth knowing about the person")

    customer: Mapped[Customer] = relationship()

    def __repr__(self) -> str:
        return self.name


class Interaction(Stamped, SoftDeleted, Model):
    """交往记录: one talk, visit or message with a customer."""

    __tablename__ = "interaction"
    __table_args__ = (
        sa.Index("ix_interaction_customer", "customer_id", "occurred_at"),
        sa.Index("ix_interaction_occurred", "occurred_at", "id"),
        sa.Index("ix_interaction_follow_up", "next_follow_up_on", "id"),
    )

    id: Mapped[int] = row_key()
    customer_id: Mapped[int] = customer_fk("with whom it was")
    contact_id: Mapped[int | None] = mapped_column(
        sa.ForeignKey("contact.id", ondelete="RESTRICT"),
        index=True,
        comment="who was met or spoken to; null: nobody in particular",
    )
    occurred_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, comment="UTC")
    place: Mapped[str] = mapped_column(sa.String(200), comment="where it was, or by what means, as typed")
    title: Mapped[str] = mapped_column(sa.String(500), comment="概要: what it was about, in a line")
    detail: Mapped[str | None] = mapped_column(sa.String(2000), comment="what was said, at length")
    memo: Mapped[str | None] = mapped_column(sa.String(2000), comment="for oneself and colleagues")
    next_follow_up_on: Mapped[date | None] = mapped_column(comment="company-local date")

    customer: Mapped[Customer] = relationship()
    contact: Mapped[Contact | None] = relationship()

    def __repr__(self) -> str:
        return self.title
