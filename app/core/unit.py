"""One unit of work: everything or nothing, and what to do once it is certain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from app.extensions import db

_writing: ContextVar[bool] = ContextVar("liuke_writing", default=False)


def is_writing() -> bool:
    """Whether the next transaction will write (SQLite then takes its write lock at once)."""
    return _writing.get()


def set_writing(value: bool) -> None:
    """Say beforehand that transactions of this request or job will write (or only read)."""
    _writing.set(value)


@contextmanager
def only_reading() -> Iterator[None]:
    """A transaction of its own that only reads, within work that writes: it holds up nobody, however long it takes."""
    before = _writing.get()
    db.session.rollback()
    _writing.set(False)
    try:
        yield
    finally:
        db.session.rollback()
        _writing.set(before)


@contextmanager
def unit_of_work() -> Iterator[None]:
    """Commit at the end, roll back on any error; then run what `after_commit` collected.

    What `at_begin` said comes first. On SQLite a transaction that reads first and writes later fails at once under
    load, so the write lock is taken at its start. An open read transaction is closed first.
    """
    before = _writing.get()
    if not before:
        db.session.rollback()
        _writing.set(True)
    try:
        first = db.session.info.pop("at_begin", None)
        if first is not None:
            first()
        yield
        db.session.commit()
    except BaseException:
        db.session.rollback()
        db.session.info.pop("after_commit", None)
        raise
    finally:
        _writing.set(before)
    for call in db.session.info.pop("after_commit", []):
        call()


def after_commit(call: Callable[[], object]) -> None:
    """Run `call` once the current unit of work is committed (to queue a job, say); never if it is not."""
    db.session.info.setdefault("after_commit", []).append(call)


def at_begin(call: Callable[[], object] | None) -> None:
    """Run `call` as the first thing inside the next unit of work, to claim what it is done for; None: nothing."""
    db.session.info["at_begin"] = call
