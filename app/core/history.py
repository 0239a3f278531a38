"""操作记录: the moves of a record and of what hangs on it, as its page tells them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import User
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import selectinload

from app.core.lifecycle import LABELS
from app.core.models import AuditEntry, Outcome
from app.extensions import db

ACTIONS: dict[str, tuple[Any, str]] = {
    "create": (_l("created it"), "plus"),
    "edit": (_l("changed it"), "pencil"),
    "delete": (_l("deleted it"), "trash"),
}
"""Action -> (words, icon). Domains add theirs with `tell`."""

ATTEMPTS: dict[str, Any] = {"create": _l("Create"), "edit": _l("Change"), "delete": _l("Delete")}
"""What an action that is no step is called when it was refused; a step is called what its button says."""


@dataclass(frozen=True)
class Told:
    """One line of a history."""

    who: User | None
    words: Any
    icon: str
    at: datetime
    note: str | None
    refused: bool


def tell(record_type: str, action: str, words: Any, icon: str, *, attempt: Any = None) -> None:
    """Say how an action of one kind of record reads in a history: "assigned it".

    `attempt` is what it is called when it was refused; steps need none, they are called what their button says.
    """
    ACTIONS[f"{record_type}.{action}"] = (words, icon)
    if attempt is not None:
        ATTEMPTS[f"{record_type}.{action}"] = attempt


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
    states = getattr(record, "STATUS", None)
    return [_told(entry, LABELS.get((states, entry.action))) for entry in entries]


def _told(entry: AuditEntry, button: Any) -> Told:
    name, refused = f"{entry.record_type}.{entry.action}", entry.outcome == Outcome.refused
    words, icon = ACTIONS.get(name) or ACTIONS.get(entry.action, (entry.action, "point"))
    if refused:
        tried = button or ATTEMPTS.get(name) or ATTEMPTS.get(entry.action, words)
        words = _("tried “%(action)s”: refused", action=tried)
    return Told(entry.actor, words, icon, entry.at, entry.words, refused)
