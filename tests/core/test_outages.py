"""The database or Redis away: a page that says so, or pages that go on; and well again without a restart."""

from __future__ import annotations

import socket
import time

import pytest

from app.customers.views import CustomerView
from app.extensions import db as database
from tests.support import Browser, text_of

PAGES = ("/customers/list/", "/", "/tickets/list/")


PATIENCE = 5  # seconds: nobody waits longer for a part that is away, nor for one that came back


def asked(browser, address, **given):
    """A request without the bookkeeping of tests, which needs the database. It has to be answered in time."""
    began = time.monotonic()
    with browser.app.app_context():
        answer = browser.flask.open(address, **given)
    assert time.monotonic() - began < PATIENCE, address
    return answer


@pytest.fixture
def database_away(app, world):
    """`database_away(True)` ends every connection to the database and lets nobody in; `False` lets them in again."""
    name = database.engine.url.database
    admin = world._server_engine()

    def switch(away):
        with admin.connect() as connection:
            connection.exec_driver_sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {not away}")
            if away:
                others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
                connection.exec_driver_sql(others, (name,))

    yield switch
    switch(False)


@pytest.mark.once("postgresql")
def test_without_the_database_every_page_says_so_and_it_heals_without_a_restart(app, sign_in, li, database_away):
    app.config["TESTING"] = False
    browser = sign_in(li)
    assert browser.get(PAGES[0]).status_code == 200
    database.session.remove()

    database_away(True)
    answers = {page: asked(browser, page) for page in PAGES}
    sent = asked(browser, "/login/", data={"username": "li", "password": "x"}, method="POST")
    database_away(False)
    back = time.monotonic()
    again = [asked(browser, page).status_code for page in (PAGES[0], PAGES[-1])]
    assert time.monotonic() - back < PATIENCE

    assert {page: answer.status_code for page, answer in answers.items()} == dict.fromkeys(PAGES, 503)
    assert "The database is away or busy" in text_of(answers[PAGES[0]])
    assert "Try again in a minute" in text_of(answers[PAGES[0]])
    assert sent.status_code == 400  # it had no token; the page that says so needs no database
    assert again == [200, 200]  # still signed in


@pytest.mark.once("postgresql")
def test_a_database_that_goes_in_the_middle_of_a_page_is_said_in_the_readers_language(
    app, sign_in, li, database_away, monkeypatch
):
    app.config["TESTING"] = False
    browser = sign_in(li).speak("zh")
    database.session.commit()

    def goes(_view):
        database_away(True)
        database.session.execute(database.text("SELECT 1"))

    monkeypatch.setattr(CustomerView, "list_page", goes)
    answer = asked(browser, PAGES[0])

    assert answer.status_code == 503
    assert "数据库不可用或繁忙" in text_of(answer)


@pytest.mark.once("postgresql")
def test_a_connection_that_broke_while_nobody_looked_is_not_noticed(app, sign_in, li, database_away):
    app.config["TESTING"] = False
    browser = sign_in(li)
    assert browser.get(PAGES[0]).status_code == 200
    database.session.remove()

    database_away(True)
    database_away(False)

    assert asked(browser, PAGES[0]).status_code == 200


@pytest.fixture
def silent():
    """The address of somebody who takes every connection and never answers: a Redis that hangs."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


@pytest.mark.parametrize("how", ["away", "silent"])
def test_without_redis_every_page_goes_on(app, sign_in, sysadmin, li, monkeypatch, silent, how):
    monkeypatch.setitem(app.config, "REDIS_URL", silent if how == "silent" else "redis://127.0.0.1:1/0")
    lead, admin = sign_in(li), sign_in(sysadmin)

    codes = {page: asked(lead, page, follow_redirects=True).status_code for page in PAGES}
    codes |= {page: asked(admin, page).status_code for page in ("/jobs/", "/jobs/runs/list/", "/healthz")}
    signed_in = Browser(app).login_page("li")

    assert codes == dict.fromkeys(codes, 200)
    assert signed_in.status_code == 302
