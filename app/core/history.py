"""操作记录: the moves of a record and of what hangs on it, as its page tells them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import User
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import selectinload

from app.core.models import AuditEntry, Outcome
from app.extensions import db

ACTIONS: dict[str, tuple[Any, str]] = {
    "create": (_l("created it"), "plus"),
    "edit": (_l("changed it"), "pencil"),
    "delete": (_l("deleted it"), "trash"),
}
"""Action -> (words, icon). Domains add theirs with `tell`."""


@dataclass(frozen=True)
class Told:
    """One line of a history."""

    who: User | None
    words: Any
    icon: str
    at: datetime
    note: str | None
    refused: bool


def tell(record_type: str, action: str, words: Any, icon: str) -> None:
    """Say how an action of one kind of record reads in a history: "assigned it"."""
    ACTIONS[f"{record_type}.{action}"] = (words, icon)


def history_of(record: Any, parts: Iterable[Any] = (), *, limit: int = 30) -> list[Told]:
    """The newest moves of a record and its parts, newest first, done and refused, in one statement (and people)."""
    wanted = [sa.and_(AuditEntry.record_type == record.__tablename__, AuditEntry.record_id == record.id)]
    ids = [part.id for part in parts]
    if ids:
        kind = next(iter(parts)).__tablename__
        wanted.append(sa.and_(AuditEntry.record_type == kind, AuditEntry.record_id.in_(ids)))
    entries = db.session.execute(
        sa.select(AuditEntry)
        .where(sa.or_(*wanted))
        .options(selectinload(AuditEntry.actor))
        .order_by(AuditEntry.at.desc(), AuditEntry.id.desc())
        .limit(limit)
    ).scalars()
    return [_told(entry) for entry in entries]


def _told(entry: AuditEntry) -> Told:
    words, icon = ACTIONS.get(f"{entry.record_type}.{entry.action}") or ACTIONS.get(
        entry.action, (entry.action, "point")
    )
    return Told(entry.actor, words, icon, entry.at, entry.note, entry.outcome == Outcome.refused)
