"""The service department as it comes out of the box. `flask crm init` adds what is missing and changes nothing."""

from __future__ import annotations

import sqlalchemy as sa

from app.extensions import db
from app.masterdata.models import DictionaryItem, DictionaryType
from app.tickets.models import ServiceStep, ServiceTarget

# code of the ticket type -> working hours to assign, to handle, to ask the customer; a working day has nine
TARGETS: dict[str, tuple[int, int, int]] = {
    "inquiry": (4, 9, 18),
    "suggestion": (9, 45, 18),
    "complaint": (2, 9, 9),
}


def seed_targets() -> int:
    """Set the targets of the seeded ticket types, if no target was ever set. Returns how many. The caller commits."""
    if db.session.execute(sa.select(ServiceTarget.id).limit(1)).first() is not None:
        return 0
    types = db.session.execute(
        sa.select(DictionaryItem.id, DictionaryItem.code).where(
            DictionaryItem.type == DictionaryType.ticket_type, DictionaryItem.code.in_(TARGETS)
        )
    ).all()
    for type_id, code in types:
        for step, hours in zip(ServiceStep, TARGETS[code], strict=True):
            db.session.add(ServiceTarget(type_id=type_id, step=step, hours=hours))
    return len(types) * len(ServiceStep)
