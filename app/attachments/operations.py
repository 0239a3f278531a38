"""Attaching files and removing them. Flush, never commit: the caller's unit of work does."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import User
from sqlalchemy.exc import InvalidRequestError

from app.attachments import storage
from app.attachments.models import Attachment
from app.attachments.owners import ATTACHABLE
from app.attachments.storage import Incoming
from app.core import recycle
from app.core.clock import utcnow
from app.core.errors import BusinessError, NotYours, StepRefused
from app.core.lifecycle import FASTER, note_move
from app.core.sentences import gettext as _
from app.core.unit import after_commit
from app.extensions import db

MOST_FILES = 50  # of one record


def attach(
    record: Any, file: Incoming, *, name: str, mime: str, actor: User | None, at: datetime | None = None
) -> Attachment:
    """Hang a file on a record. Flushes; the file has its place before there is a row that names it.

    Raises `BusinessError` when the record's files can no longer be changed, when it has 50 files, or when it has a
    file with this content already (what is sent twice is there once).
    """
    _claim(record)
    _check_room(record, file.sha256)
    at = at or utcnow()
    attachment = Attachment(
        record_type=record.__tablename__,
        record_id=record.id,
        name=name,
        size=file.size,
        mime=mime,
        sha256=file.sha256,
        key=file.keep(),
        created_at=at,
        created_by_id=actor.id if actor is not None else None,
    )
    db.session.add(attachment)
    note_move(record, "attach_file", actor=actor, at=at, note=name)
    db.session.flush()
    return attachment


def detach(
    record: Any, attachment: Attachment, *, actor: User, may_edit: bool, at: datetime | None = None
) -> Attachment:
    """Take a file off its record, into the recycle bin: it is hidden, the file itself stays. Flushes.

    Only who attached it may, or who may edit the record (`may_edit`). Raises `NotYours` for others, `BusinessError`
    when the record's files can no longer be changed or somebody else was faster.
    """
    _claim(record)
    db.session.refresh(attachment, ["deleted_at"])
    if attachment.deleted_at is not None:
        raise StepRefused(str(FASTER))
    if attachment.created_by_id != actor.id and not may_edit:
        raise NotYours(_("Only who attached a file, or may edit the record, can remove it."))
    at = at or utcnow()
    recycle.delete(attachment, actor=actor, at=at)
    note_move(record, "remove_file", actor=actor, at=at, note=attachment.name)
    db.session.flush()
    return attachment


def owner_of(attachment: Attachment) -> Any:
    """The record a file hangs on, deleted or not."""
    return db.session.get_one(recycle.KINDS[attachment.record_type].model, attachment.record_id)


def check_return(attachment: Attachment, _actor: User | None) -> None:
    """Raises `BusinessError` when a removed file cannot come back: its record is closed or full, or has it again."""
    record = owner_of(attachment)
    if (why := why_closed(record)) is not None:
        raise BusinessError(why)
    _check_room(record, attachment.sha256)


def drop_files(attachments: list[Attachment]) -> None:
    """Remove the files of purged rows once that is certain."""
    for key in [attachment.key for attachment in attachments]:
        after_commit(partial(storage.drop, key))


def _check_room(record: Any, sha256: str) -> None:
    live = of_record(record)
    count = db.session.execute(sa.select(sa.func.count(Attachment.id)).where(*live)).scalar_one()
    if count >= MOST_FILES:
        raise BusinessError(_("%(num)d files are attached already. Remove one first.", num=count))
    same = sa.select(Attachment.name).where(*live, Attachment.sha256 == sha256)
    if (known := db.session.execute(same).scalar_one_or_none()) is not None:
        raise BusinessError(_("It is attached already as “%(name)s”.", name=known))


def of_record(record: Any) -> tuple[sa.ColumnElement[bool], ...]:
    """WHEREs of the files that hang on a record now."""
    return (
        Attachment.record_type == record.__tablename__,
        Attachment.record_id == record.id,
        Attachment.deleted_at.is_(None),
    )


def why_closed(record: Any) -> str | None:
    """Why the files of this record can no longer be changed, as a sentence; None while they can."""
    return ATTACHABLE[record.__tablename__](record)


def _claim(record: Any) -> None:
    """Hold the record until the end of the unit of work and look at it as it is now. One statement."""
    try:
        db.session.refresh(record, with_for_update={"of": type(record), "key_share": True})
    except InvalidRequestError as gone:
        raise StepRefused(str(FASTER)) from gone
    if getattr(record, "deleted_at", None) is not None:
        raise StepRefused(str(FASTER))
    if (why := why_closed(record)) is not None:
        raise BusinessError(why)
