"""What the tests of opportunities share: a look at the history, and a picture of the row to compare with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from app.core.models import AuditEntry, Outcome
from tests.support import rows


@pytest.fixture
def refusals() -> Callable[..., list[AuditEntry]]:
    """`refusals(record)`: the refused rows in its history; without a record all there are."""

    def find(record: Any = None) -> list[AuditEntry]:
        its = (
            []
            if record is None
            else [AuditEntry.record_type == record.__tablename__, AuditEntry.record_id == record.id]
        )
        return rows(AuditEntry, AuditEntry.outcome == Outcome.refused, *its)

    return find


@pytest.fixture
def moves() -> Callable[[Any], list[AuditEntry]]:
    """`moves(record)`: what was done to it, oldest first."""

    def find(record: Any) -> list[AuditEntry]:
        its = (AuditEntry.record_type == record.__tablename__, AuditEntry.record_id == record.id)
        return rows(AuditEntry, AuditEntry.outcome == Outcome.done, *its)

    return find


@pytest.fixture
def picture(db: Any) -> Callable[[Any], dict[str, Any]]:
    """`picture(record)`: its row as it is in the database, to compare before and after."""

    def take(record: Any) -> dict[str, Any]:
        table = type(record).__table__
        found = db.session.execute(sa.select(table).where(table.c.id == record.id)).mappings().one()
        db.session.rollback()
        return dict(found)

    return take
