"""A unit of work is whole or not at all, and what waits for it runs only when it is certain."""

from __future__ import annotations

import pytest

from app.core.unit import after_commit, is_writing, unit_of_work
from app.customers.models import Customer
from tests import builders
from tests.support import rows


def fails(work, error=ZeroDivisionError):
    """Do the work in a unit that breaks off with this error at its end."""

    def unit():
        with unit_of_work():
            work()
            raise error

    with pytest.raises(error):
        unit()


def test_everything_is_kept_or_nothing(db):
    customer = builders.customer(name="原名")
    with unit_of_work():
        customer.name = "新名"

    def rename():
        customer.name = "半途"
        db.session.flush()

    fails(rename)
    fails(rename, KeyboardInterrupt)
    assert [c.name for c in rows(Customer)] == ["新名"]


def test_what_waits_for_the_commit_runs_after_it_and_only_then(db):
    done = []
    with unit_of_work():
        after_commit(lambda: done.append("kept"))
        assert done == []
    assert done == ["kept"]
    fails(lambda: after_commit(lambda: done.append("undone")))
    with unit_of_work():
        pass
    assert done == ["kept"]


def test_it_says_that_it_will_write_and_nothing_afterwards(db):
    assert not is_writing()
    with unit_of_work():
        assert is_writing()
    assert not is_writing()
    fails(lambda: None)
    assert not is_writing()
