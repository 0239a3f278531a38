"""The seventeen cases of a sign-in session, on two application instances over one database: 17/17."""

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest
from flask_jwt_extended import create_access_token

from app.security import operations, sessions
from app.security.models import UserSession
from tests.security.conftest import Clock, signed_in
from tests.support import PASSWORD, Browser, rows, text_of


@dataclass
class Nodes:
    """A browser at each node, a way to copy cookies between them, and what the cases are about."""

    app: Any
    one: Browser
    two: Browser
    move: Any
    clock: Clock
    wang: Any
    admin: Any
    environment: dict[str, str]

    def stolen(self, *, node: str = "one") -> Browser:
        """Another browser with the cookie of the first one."""
        return self.move(self.one, self.two if node == "two" else Browser(self.app))

    def live(self) -> list[UserSession]:
        return rows(UserSession, UserSession.user_id == self.wang.id, UserSession.ended_at.is_(None))


def login(n):
    assert n.one.login_page("wang").status_code == 302
    assert signed_in(n.one)
    assert len(n.live()) == 1


def the_same_cookie_on_the_second_node(n):
    n.one.login_page("wang")
    assert signed_in(n.stolen(node="two"))


def a_login_on_the_second_node_ends_the_one_on_the_first(n):
    n.one.login_page("wang")
    n.two.login_page("wang")
    assert (signed_in(n.one), signed_in(n.two)) == (False, True)


def a_cookie_replayed_after_logout_is_dead_on_both(n):
    n.one.login_page("wang")
    here, there = n.stolen(), n.stolen(node="two")
    n.one.post("/logout/")
    assert [signed_in(browser) for browser in (n.one, here, there)] == [False] * 3


def logout_by_get_is_no_way_out(n):
    n.one.login_page("wang")
    assert n.one.get("/logout/").status_code == 405
    assert signed_in(n.one)


def a_password_reset_on_the_second_node_ends_it(n):
    n.one.login_page("wang")
    n.two.login_page("admin")
    n.two.post(f"/users/reset_password/{n.wang.id}", {"password": "seven green bicycles"})
    assert "The password of this account was changed." in text_of(n.one.get("/profile/", follow_redirects=True))


def disabling_the_account_ends_it(n):
    n.one.login_page("wang")
    there = n.stolen(node="two")
    operations.disable(n.wang, actor=n.admin)
    assert (signed_in(n.one), signed_in(there)) == (False, False)


def the_idle_limit_slides_and_then_ends_it(n):
    n.one.login_page("wang")
    there = n.stolen(node="two")
    for browser in (n.one, there, n.one):
        n.clock.forward(minutes=20)
        assert signed_in(browser)
    n.clock.forward(minutes=30)
    assert "You were away for a while" in text_of(there.get("/profile/", follow_redirects=True))


def the_absolute_limit_ends_it_however_busy_it_is(n):
    n.one.login_page("wang")
    for _step in range(28):  # 11 hours 40 minutes
        n.clock.forward(minutes=25)
        assert signed_in(n.one)
    n.clock.forward(minutes=26)
    assert "as long as the rules allow" in text_of(n.one.get("/profile/", follow_redirects=True))


def a_remembered_cookie_outlives_the_browser_and_no_other(n):
    n.one.login_page("wang")
    assert n.one.flask.get_cookie("liuke").expires is None
    n.one.login_page("wang", remember="y")
    assert n.one.flask.get_cookie("liuke").expires is not None


def a_remembered_device_survives_six_days(n):
    n.one.login_page("wang", remember="y")
    n.clock.forward(days=6)
    assert signed_in(n.stolen(node="two"))


def a_remembered_device_dies_at_the_next_login(n):
    n.one.login_page("wang", remember="y")
    n.two.login_page("wang")
    assert not signed_in(n.one)


def the_cookie_is_another_one_after_the_login(n):
    n.one.get("/login/")
    before = n.one.flask.get_cookie("liuke").value
    planted = n.stolen()
    n.one.login_page("wang")
    assert n.one.flask.get_cookie("liuke").value != before
    assert not signed_in(planted)


def no_id_stands_in_the_cookie(n):
    n.one.login_page("wang")
    with n.one.session() as kept:
        content = dict(kept)
    assert sessions.token_hash(content["_user_id"]) == n.live()[0].token_hash
    content.pop("_user_id")
    assert str(n.wang.id) not in json.dumps({k: v for k, v in content.items() if k != "csrf_token"})
    assert "wang" not in json.dumps(content)


def a_cookie_forged_with_the_real_key_is_refused_on_both(n):
    sign = n.app.session_interface.get_signing_serializer(n.app).dumps
    n.one.login_page("wang")
    hashed = n.live()[0].token_hash
    for forged in (str(n.wang.id), n.wang.id, [n.wang.id] * 30, n.wang.username, hashed, "0" * 43, True, None):
        for node in (n.app, n.two.app):
            browser = Browser(node)
            browser.flask.set_cookie("liuke", sign({"_user_id": forged, "_fresh": True, "second": [forged, True]}))
            assert not signed_in(browser), forged
            assert browser.get("/login/code").location == "/login/", forged


def no_signed_token_is_a_way_in(n):
    with n.app.test_request_context():
        token = create_access_token(identity=str(n.wang.id), fresh=True)
    bearer = {"Authorization": f"Bearer {token}"}
    assert n.one.get("/profile/", headers=bearer).location == "/login/?next=/profile/"
    assert n.one.get("/profile/", headers={**bearer, "Accept": "application/json"}).status_code == 401
    sent = {"username": "wang", "password": PASSWORD, "provider": "db"}
    assert n.two.post("/api/v1/security/login", sent).status_code == 404


SIMULTANEOUS = """
import os, sys, time
from app import create_app
from tests.support import Browser
app = create_app(TESTING=True)
start = time.time() + 1.0
children = []
for number in range(8):
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            with app.app_context():
                browser = Browser(app)
                browser.csrf_token()
                time.sleep(max(0, start - time.time()))
                status = 0 if browser.login_page("wang").status_code == 302 else 2
        finally:
            os._exit(status)
    children.append(pid)
bad = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
print(bad)
sys.exit(any(bad))
"""


def of_eight_simultaneous_logins_exactly_one_lives(n):
    done = subprocess.run(
        [sys.executable, "-c", SIMULTANEOUS],
        env=n.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert len(rows(UserSession, UserSession.user_id == n.wang.id)) == 8
    assert len(n.live()) == 1


CASES = (
    login,
    the_same_cookie_on_the_second_node,
    a_login_on_the_second_node_ends_the_one_on_the_first,
    a_cookie_replayed_after_logout_is_dead_on_both,
    logout_by_get_is_no_way_out,
    a_password_reset_on_the_second_node_ends_it,
    disabling_the_account_ends_it,
    the_idle_limit_slides_and_then_ends_it,
    the_absolute_limit_ends_it_however_busy_it_is,
    a_remembered_cookie_outlives_the_browser_and_no_other,
    a_remembered_device_survives_six_days,
    a_remembered_device_dies_at_the_next_login,
    the_cookie_is_another_one_after_the_login,
    no_id_stands_in_the_cookie,
    a_cookie_forged_with_the_real_key_is_refused_on_both,
    no_signed_token_is_a_way_in,
    of_eight_simultaneous_logins_exactly_one_lives,
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_case(case, app, client, node2, move, clock, db, wang, admin, other_processes):
    db.session.commit()
    case(Nodes(app, client, node2, move, clock, wang, admin, other_processes))


def test_there_are_seventeen():
    assert len(set(CASES)) == 17


REFUSING = """
import os, sys, time
from app import create_app
from app.security import sessions
from tests.support import Browser
app = create_app(TESTING=True)
look = sessions._open_session
def and_wait(user_id):  # until all have looked; on SQLite, where one writes at a time, they look one after the other
    found = look(user_id)
    time.sleep(0.3)
    return found
start = time.time() + 1.0
children = []
for number in range(8):
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            with app.app_context():
                browser = Browser(app)
                browser.csrf_token()
                sessions._open_session = and_wait
                time.sleep(max(0, start - time.time()))
                status = {302: 0, 403: 3}[browser.login_page("wang").status_code]
        finally:
            os._exit(status)
    children.append(pid)
print(*sorted(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children))
"""


@pytest.mark.parametrize("before", [False, True], ids=["nobody before", "one that ran out"])
def test_where_the_second_is_refused_one_of_eight_simultaneous_logins_gets_in(before, db, wang, other_processes):
    db.session.commit()
    if before:
        sessions.start(wang.id, remember=False, ip=None, user_agent=None)
        (old,) = rows(UserSession, UserSession.user_id == wang.id)
        old.expires_at = old.started_at
        db.session.commit()
    done = subprocess.run(
        [sys.executable, "-c", REFUSING],
        env={**other_processes, "LIUKE_SECOND_LOGIN": "refuse"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.split() == ["0"] + ["3"] * 7, done.stdout + done.stderr[-2000:]
    kept = rows(UserSession, UserSession.user_id == wang.id)
    assert [row.end_reason for row in sorted(kept, key=lambda row: row.id)] == ["superseded"] * before + [None]
