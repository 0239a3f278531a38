"""通知: what a person was told, by which ways he wants to hear of it, and what was sent when."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit

import sqlalchemy as sa
from flask_appbuilder import Model
from flask_appbuilder.security.sqla.models import User
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.core.choices import Choice
from app.core.clock import utcnow
from app.core.models import partial_index, row_key, user_fk
from app.core.types import Sentence, UtcDateTime


class Notification(Model):
    """One thing told to one person. An event is told to a person once, whoever says it how often."""

    without_history: ClassVar[str] = "is a message"

    __tablename__ = "notification"
    __table_args__ = (
        sa.UniqueConstraint("event", "recipient_id", name="uq_notification_event"),
        sa.Index("ix_notification_recipient", "recipient_id", "read_at", "id"),
        sa.Index("ix_notification_recipient_newest", "recipient_id", "id"),
    )

    id: Mapped[int] = row_key()
    event: Mapped[str] = mapped_column(sa.String(150), comment="what happened, once: ticket.assigned:7:31")
    kind: Mapped[str] = mapped_column(sa.String(40), comment="name in KINDS")
    recipient_id: Mapped[int] = user_fk("who is told", nullable=False)
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, comment="UTC; when it happened")
    record_type: Mapped[str] = mapped_column(sa.String(40), comment="table name of what it is about")
    record_id: Mapped[int] = mapped_column(comment="row id in that table")
    words: Mapped[dict[str, Any]] = mapped_column(sa.JSON, comment="values for the sentence of its kind")
    read_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="UTC; null: unread")

    recipient: Mapped[User] = relationship(User, foreign_keys=[recipient_id])

    def __repr__(self) -> str:
        return self.event


class Channel(Choice):
    """A way to reach a person outside these pages."""

    mail = "mail", _l("E-mail")
    wecom = "wecom", _l("WeCom robot")
    dingtalk = "dingtalk", _l("DingTalk robot")
    feishu = "feishu", _l("Feishu robot")


class NoticeSettings(Model):
    """How one person wants to hear of things: the daily mail, and the address of his calendar."""

    without_history: ClassVar[str] = "is a person's own setting"

    __tablename__ = "notice_settings"
    __table_args__ = (
        sa.CheckConstraint("digest_hour BETWEEN 0 AND 23", name="digest_hour_range"),
        sa.UniqueConstraint("calendar_hash", name="uq_notice_settings_calendar_hash"),
        sa.Index("ix_notice_settings_digest", "digest_hour", "digested_on"),
    )

    user_id: Mapped[int] = user_fk("whose settings", primary_key=True)
    digest_hour: Mapped[int | None] = mapped_column(comment="company-local hour of the daily mail; null: none")
    digested_on: Mapped[date | None] = mapped_column(comment="company-local day the mail was last thought of")
    calendar_hash: Mapped[str | None] = mapped_column(sa.String(64), comment="SHA-256 of the secret in the address")
    calendar_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="UTC; when that secret was made")

    user: Mapped[User] = relationship(User, foreign_keys=[user_id])


class Robot(Model):
    """A group robot a person lets speak to him. Its address and its key are secrets: never shown in full."""

    without_history: ClassVar[str] = "is a person's own setting, with secrets"

    __tablename__ = "robot"
    __table_args__ = (
        Channel.check("channel"),
        sa.UniqueConstraint("user_id", "channel", name="uq_robot_user_channel"),
    )

    id: Mapped[int] = row_key()
    user_id: Mapped[int] = user_fk("whom it tells things", nullable=False)
    channel: Mapped[Channel] = mapped_column(Channel.column_type(), comment="the service it belongs to")
    url: Mapped[str] = mapped_column(sa.String(500), comment="secret")
    secret: Mapped[str | None] = mapped_column(sa.String(200), comment="secret; signs messages, if the robot asks")
    active: Mapped[bool] = mapped_column(default=True, comment="false: nothing is told by it")
    since: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, comment="UTC; older things are not told")

    user: Mapped[User] = relationship(User, foreign_keys=[user_id])

    @property
    def masked(self) -> str:
        """The address for eyes: the host and the last four characters."""
        return f"{urlsplit(self.url).hostname}/…{self.url[-4:]}"

    def __repr__(self) -> str:
        return str(self.channel.label)


class DeliveryStatus(Choice):
    """How a message to the outside stands."""

    waiting = "waiting", _l("Waiting"), "warn"
    sending = "sending", _l("Being sent"), "brand"
    sent = "sent", _l("Sent"), "ok"
    failed = "failed", _l("Failed"), "bad"
    dropped = "dropped", _l("No longer needed"), "mute"


class Delivery(Model):
    """One message to the outside. It goes out at least once; a repeat carries the same key and Message-ID."""

    without_history: ClassVar[str] = "is a message"

    __tablename__ = "delivery"
    __table_args__ = (
        Channel.check("channel"),
        DeliveryStatus.check("status"),
        sa.UniqueConstraint("key", name="uq_delivery_key"),
        sa.CheckConstraint("(status = 'sent') = (sent_at IS NOT NULL)", name="sent_iff_sent"),
        partial_index("ix_delivery_due", "due_at", "id", where="status IN ('waiting', 'sending')", unique=False),
        sa.Index("ix_delivery_made", "made_at", "id"),
        sa.Index("ix_delivery_status", "status", "id"),
    )

    id: Mapped[int] = row_key()
    key: Mapped[str] = mapped_column(sa.String(100), comment="stable name: the receiver knows a repeat by it")
    channel: Mapped[Channel] = mapped_column(Channel.column_type(), comment="the way it goes")
    recipient_id: Mapped[int] = user_fk("whom it is for", nullable=False, index=True)
    robot_id: Mapped[int | None] = mapped_column(
        sa.ForeignKey("robot.id", ondelete="SET NULL"),
        index=True,
        comment="the robot it goes to; null: a mail, or the robot was removed",
    )
    message_id: Mapped[str | None] = mapped_column(sa.String(200), comment="of the mail, the same for every attempt")
    made_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, comment="UTC")
    status: Mapped[DeliveryStatus] = mapped_column(
        DeliveryStatus.column_type(), default=DeliveryStatus.waiting, comment="how it stands; set by whoever sends it"
    )
    due_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, comment="UTC; next attempt, or end of lease")
    owner: Mapped[str | None] = mapped_column(sa.String(80), comment="host:pid that sends it")
    attempts: Mapped[int] = mapped_column(default=0, comment="tries to send it so far")
    repeats: Mapped[int] = mapped_column(default=0, comment="attempts after one whose end nobody saw")
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime, comment="UTC")
    error: Mapped[str | None] = mapped_column(Sentence(500), comment="of the last attempt, without addresses")

    recipient: Mapped[User] = relationship(User, foreign_keys=[recipient_id])
    robot: Mapped[Robot | None] = relationship()

    def __repr__(self) -> str:
        return self.key


class DeliveryItem(Model):
    """A notification in a message; by one way a notification goes out in one message only."""

    without_history: ClassVar[str] = "is a message"

    __tablename__ = "delivery_item"
    __table_args__ = (
        sa.UniqueConstraint("way", "notification_id", name="uq_delivery_item_way"),
        sa.Index("ix_delivery_item_notification", "notification_id"),
    )

    delivery_id: Mapped[int] = mapped_column(
        sa.ForeignKey("delivery.id", ondelete="CASCADE"), primary_key=True, comment="the message"
    )
    notification_id: Mapped[int] = mapped_column(
        sa.ForeignKey("notification.id", ondelete="CASCADE"), primary_key=True, comment="what it tells"
    )
    way: Mapped[str] = mapped_column(sa.String(40), comment="mail, or robot-<id>")
