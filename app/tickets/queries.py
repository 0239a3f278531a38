"""What the service screens tell beside the tickets themselves. Reads only."""

from __future__ import annotations

import sqlalchemy as sa

from app.extensions import db
from app.tickets.access import waits_for_reader
from app.tickets.models import Ticket

MANY = 100  # waiting tickets nobody counts on every page


def waiting() -> int:
    """How many tickets are at a step that is the reader's to take; 100 for more. On every page, one statement."""
    branches = [
        sa.select(Ticket.id).where(whose, Ticket.deleted_at.is_(None)).limit(MANY).subquery().select()
        for whose in waits_for_reader()
    ]
    if not branches:
        return 0
    counted = sa.select(sa.func.count()).select_from(sa.union_all(*branches).limit(MANY).subquery())
    return int(db.session.execute(counted).scalar_one())
