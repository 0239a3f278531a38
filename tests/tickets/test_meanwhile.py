"""What somebody else did between reading a complaint and opening its ticket."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from app.core.clock import utcnow
from app.core.errors import StepRefused
from app.tickets import operations
from app.tickets.models import Complaint, Ticket
from tests import builders
from tests.support import rows


def test_a_complaint_that_was_deleted_a_moment_ago_opens_no_ticket(db, wang):
    complaint = builders.complaint(accepted_by=wang)
    assert complaint.deleted_at is None
    db.session.commit()
    with db.engine.begin() as other:
        gone = {"deleted_at": utcnow(), "version": Complaint.version + 1}
        other.execute(sa.update(Complaint).where(Complaint.id == complaint.id).values(gone))
    with pytest.raises(StepRefused, match="Somebody else was faster"):
        operations.open_ticket(complaint, actor=wang)
    db.session.rollback()
    assert rows(Ticket) == []
