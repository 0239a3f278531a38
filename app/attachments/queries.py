"""What hangs on a record. Reads only."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import joinedload

from app.attachments.models import Attachment
from app.attachments.operations import of_record
from app.core.scope import row_id
from app.extensions import db


def files_of(record: Any) -> list[Attachment]:
    """The files of a record with who attached them, oldest first; one statement. The record must be in scope."""
    found = sa.select(Attachment).where(*of_record(record)).options(joinedload(Attachment.created_by))
    return list(db.session.execute(found.order_by(Attachment.id)).scalars())


def file_of(record: Any, given: Any) -> Attachment | None:
    """The record's file with this id; None for another record's, a removed one, and ids that are none."""
    number = row_id(given)
    if number is None:
        return None
    return db.session.execute(
        sa.select(Attachment).where(*of_record(record), Attachment.id == number)
    ).scalar_one_or_none()


def named(keys: list[str]) -> set[str]:
    """Those of the keys that a row names, a removed file's too."""
    found: set[str] = set()
    for at in range(0, len(keys), 500):
        asked = sa.select(Attachment.key).where(Attachment.key.in_(keys[at : at + 500]))
        found |= set(db.session.execute(asked).scalars())
    return found
