"""What the reports write: who took which figures away. Flush, never commit."""

from __future__ import annotations

from flask_appbuilder.security.sqla.models import User

from app.core.models import AuditEntry
from app.extensions import db


def note_export(what: str, *, actor: User, ip: str | None) -> None:
    """Write down that somebody took a report's figures away as a file. Flushes; the caller commits."""
    db.session.add(AuditEntry(actor_id=actor.id, record_type="report", action="export", note=what[:2000], ip=ip))
    db.session.flush()
