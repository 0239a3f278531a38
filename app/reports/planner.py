"""What PostgreSQL is told about statements over whole tables, because it does not foresee it. Nothing of it concerns
SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from app.extensions import db
from app.mirror.bulk import on_postgresql


def read_much() -> None:
    """Until this transaction ends, let PostgreSQL use a second core and more memory: the statements of a report read
    whole tables, while those of other pages are short and have both turned off."""
    _set(work_mem="64MB", max_parallel_workers_per_gather="1", random_page_cost="1.1")


@contextmanager
def side_by_side() -> Iterator[None]:
    """Let PostgreSQL join whole tables in the order of their keys, from indexes that hold all that is asked for:
    looking every row up in a hash of the other table takes half as long again."""
    _set(enable_hashjoin="off")
    yield
    _set(enable_hashjoin="on")


def in_key_order(asked: sa.Select[Any], key: Any) -> sa.Select[Any]:
    """The rows in this order, that of an index that holds all that is asked for, when all of them are to be added up by
    it: PostgreSQL would rather keep a sum for every key in a hash, which takes twice as long. SQLite does it so anyway.
    """
    return asked.order_by(key).offset(0) if on_postgresql() else asked  # without the offset the order would be dropped


def _set(**settings: str) -> None:
    if on_postgresql():
        db.session.execute(sa.select(*(sa.func.set_config(name, value, True) for name, value in settings.items())))
