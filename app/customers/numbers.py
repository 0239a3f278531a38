"""Visible numbers from a counter row: two requests, processes or nodes never get the same one."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite

from app.core.models import Counter
from app.extensions import db

COUNTERS: Any = Counter.__table__  # the session keeps none of them, and need not be asked


def next_number(prefix: str, day: date) -> str:
    """The next number of the company-local `day`: prefix + yyMMdd + counter of at least three digits.

    KH071202001 is the first customer of 2 December 2007; the 1,000th of a day is KH0712021000. The counter row is
    locked until the caller's transaction ends; a number given out and rolled back is given out again.
    """
    name = f"{prefix}{day:%y%m%d}"
    dialect: Any = postgresql if db.engine.dialect.name == "postgresql" else sqlite
    last = COUNTERS.c.last
    row = dialect.insert(COUNTERS).values(name=name, last=1)
    raised = row.on_conflict_do_update(index_elements=["name"], set_={"last": last + 1}).returning(last)
    return f"{name}{db.session.execute(raised).scalar_one():03d}"
