"""A node that comes up starts all its processes at the same moment, and every node does."""

from __future__ import annotations

import os


def test_five_processes_that_start_at_once_all_answer(db, redis, fork):
    from app import create_app

    gate, opens = os.pipe()

    def serve():
        os.read(gate, 1)
        browser = create_app(TESTING=True).test_client()
        for address in ("/healthz", "/login/"):
            assert browser.get(address).status_code == 200, address

    children = [fork(serve) for _process in range(5)]
    os.write(opens, b"!" * len(children))
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 5
