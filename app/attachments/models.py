"""附件: files that hang on a record."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from flask_appbuilder import Model
from flask_appbuilder.security.sqla.models import User
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.core.clock import utcnow
from app.core.models import SoftDeleted, partial_index, row_key, user_fk
from app.core.types import UtcDateTime

LONGEST_NAME = 200


class Attachment(SoftDeleted, Model):
    """附件: one file of one record. Never changed, only removed; the file itself stays."""

    __tablename__ = "attachment"
    __table_args__ = (
        sa.UniqueConstraint("key", name="uq_attachment_key"),
        sa.CheckConstraint("size > 0", name="size_positive"),
        sa.CheckConstraint("length(trim(name)) > 0", name="name_filled"),
        sa.Index("ix_attachment_record", "record_type", "record_id", "id"),
        partial_index("uq_attachment_content", "record_type", "record_id", "sha256", where="deleted_at IS NULL"),
    )

    id: Mapped[int] = row_key()
    record_type: Mapped[str] = mapped_column(sa.String(40), comment="table name of the record it hangs on")
    record_id: Mapped[int] = mapped_column(comment="row id in that table")
    name: Mapped[str] = mapped_column(sa.String(LONGEST_NAME), comment="as uploaded, cleaned")
    size: Mapped[int] = mapped_column(comment="bytes")
    mime: Mapped[str] = mapped_column(sa.String(100), comment="told by the content")
    sha256: Mapped[str] = mapped_column(sa.String(64), comment="of the content, hexadecimal")
    key: Mapped[str] = mapped_column(sa.String(32), comment="random name below LIUKE_UPLOADS")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow, comment="UTC")
    created_by_id: Mapped[int | None] = user_fk("who attached it; null: the system", index=True)

    created_by: Mapped[User | None] = relationship(User, foreign_keys=[created_by_id])

    def __repr__(self) -> str:
        return self.name
