"""A node that comes up starts all its processes at the same moment, and every node does."""

from __future__ import annotations

import os

import pytest
import sqlalchemy as sa


@pytest.fixture
def five_start(fork):
    """`five_start(act)`: how five processes ended that did this at the same moment; 0 is well."""

    def at_once(act):
        gate, opens = os.pipe()

        def start():
            os.read(gate, 1)
            act()

        children = [fork(start) for _process in range(5)]
        os.write(opens, b"!" * len(children))
        return [os.waitpid(child, 0)[1] for child in children]

    return at_once


def answering(**settings):
    """What a process does: make the application and answer."""

    def serve():
        from app import create_app

        browser = create_app(TESTING=True, **settings).test_client()
        for address in ("/healthz", "/login/"):
            assert browser.get(address).status_code == 200, address

    return serve


def test_five_processes_that_start_at_once_all_answer(db, redis, five_start):
    assert five_start(answering()) == [0] * 5


def test_five_that_start_before_there_are_tables_answer_too_and_make_none(db, redis, world, five_start):
    """Tables are made by `flask db upgrade`, in one place."""
    url = world.scratch_database()
    assert five_start(answering(SQLALCHEMY_DATABASE_URI=url)) == [0] * 5
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg2://"), poolclass=sa.NullPool)
    assert sa.inspect(engine).get_table_names() == []
    engine.dispose()
