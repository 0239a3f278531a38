"""One live session per account, known to every node, dead at once when it ends."""

import json
from datetime import timedelta

import pytest
from itsdangerous import URLSafeTimedSerializer

from app.core.unit import unit_of_work
from app.security import operations, sessions
from app.security.models import LoginEntry, UserSession
from tests import builders
from tests.security.conftest import signed_in
from tests.support import PASSWORD, Browser, rows, statements, text_of


def live(user):
    return rows(UserSession, UserSession.user_id == user.id, UserSession.ended_at.is_(None))


def test_a_login_on_another_node_ends_the_older_session_and_says_when_and_where(client, node2, wang):
    client.login_page("wang")
    elsewhere = {"REMOTE_ADDR": "10.0.0.8"}
    node2.post("/login/", {"username": "wang", "password": PASSWORD}, environ_base=elsewhere)

    page = client.get("/profile/", follow_redirects=True)

    assert not signed_in(client)
    assert signed_in(node2)
    assert "from 10.0.0.8, so this session ended. Not you? Change your password now." in text_of(page)


def test_signing_out_twice_is_signing_out_once(client, wang):
    client.login_page("wang")
    client.post("/logout/")

    assert client.post("/logout/").location == "/login/"
    assert [entry.result.value for entry in rows(LoginEntry)] == ["success", "logout"]


def test_logout_leaves_no_token_in_the_cookie_and_nothing_in_the_cache(client, wang):
    client.login_page("wang")

    answer = client.post("/logout/")

    with client.session() as kept:
        assert "_user_id" not in kept
        assert "csrf_token" not in kept
    assert '"cache"' in answer.headers["Clear-Site-Data"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert "You are signed out." in text_of(client.get("/login/"))


def test_a_new_password_given_on_another_node_ends_the_session(client, node2, wang, admin):
    client.login_page("wang")
    node2.login_page("admin")
    answer = node2.post(f"/users/reset_password/{wang.id}", {"password": "seven green bicycles"})
    assert answer.status_code == 302

    page = client.get("/profile/", follow_redirects=True)

    assert "The password of this account was changed." in text_of(page)
    assert not signed_in(client)


def test_disabling_the_account_ends_the_session(client, wang, admin):
    client.login_page("wang")
    with unit_of_work():
        operations.disable(wang, actor=admin)

    page = client.get("/profile/", follow_redirects=True)

    assert "This account is disabled." in text_of(page)
    assert live(wang) == []


def test_an_account_disabled_behind_our_back_is_refused_too(client, db, wang):
    client.login_page("wang")
    wang.active = False
    db.session.commit()

    assert not signed_in(client)


@pytest.mark.parametrize(("pause", "stays"), [(29.9, True), (30, False)])
def test_a_pause_of_half_an_hour_ends_the_session(client, wang, clock, pause, stays):
    client.login_page("wang")
    clock.forward(minutes=pause)

    assert signed_in(client) is stays


@pytest.mark.parametrize(("hours", "stays"), [(11.9, True), (12, False)])
def test_nobody_stays_signed_in_longer_than_twelve_hours(client, wang, clock, hours, stays):
    client.login_page("wang")
    for _step in range(int(hours * 60) // 25):
        clock.forward(minutes=25)
        client.get("/profile/")
    clock.now = live(wang)[0].started_at + timedelta(hours=hours)

    page = client.get("/profile/", follow_redirects=True)

    assert ("as long as the rules allow" not in text_of(page)) is stays


def test_a_page_that_polls_keeps_no_session_alive(app, client, wang, clock, monkeypatch):
    client.login_page("wang")
    monkeypatch.setattr(app.view_functions["ProfileView.phone"].__func__, "passive", True, raising=False)
    clock.forward(minutes=20)
    assert client.get("/profile/phone").status_code == 200
    clock.forward(minutes=20)

    assert client.get("/profile/phone").status_code == 302


def test_last_seen_is_written_once_a_minute_at_most(app, client, wang, clock):
    client.login_page("wang")
    clock.forward(seconds=59)
    with statements(app) as quiet:
        client.get("/profile/")
    clock.forward(seconds=1)
    with statements(app) as minute:
        client.get("/profile/")

    assert not [s for s in quiet if s.startswith("UPDATE")]
    assert len([s for s in minute if s.startswith("UPDATE")]) == 1


@pytest.mark.parametrize(("days", "stays"), [(6.9, True), (7, False)])
def test_a_remembered_device_may_pause_for_a_week(client, wang, clock, days, stays):
    client.login_page("wang", remember="y")
    clock.forward(days=days)

    assert signed_in(client) is stays


@pytest.mark.parametrize(("days", "stays"), [(13.9, True), (14, False)])
def test_a_remembered_device_signs_in_again_after_two_weeks(client, wang, clock, days, stays):
    client.login_page("wang", remember="y")
    clock.forward(days=6)
    assert signed_in(client)
    clock.forward(days=6)
    assert signed_in(client)
    clock.forward(days=days - 12)

    assert signed_in(client) is stays


def test_whoever_administers_accounts_is_not_remembered(client, sysadmin, clock):
    answer = client.login_page("sysadmin", remember="y")

    assert "are not kept signed in" in text_of(client.get(answer.location, follow_redirects=True))
    assert client.flask.get_cookie("liuke").expires is None
    assert live(sysadmin)[0].remember is False


def test_whoever_becomes_an_administrator_is_remembered_no_longer(client, db, wang, clock):
    client.login_page("wang", remember="y")
    clock.forward(minutes=31)
    assert signed_in(client)
    wang.roles = [*wang.roles, builders.role(rights=[("can_edit", "User")])]
    db.session.commit()
    clock.forward(minutes=29)
    assert signed_in(client)
    clock.forward(minutes=31)

    assert not signed_in(client)


def test_the_cookie_changes_at_login_and_nothing_planted_survives(client, wang):
    client.get("/login/")
    with client.session() as kept:
        kept["_user_id"] = planted = "planted-" + "x" * 40
        kept["csrf_token"] = "planted"
        kept["cart"] = "planted"
    before = client.flask.get_cookie("liuke").value
    client.login_page("wang")

    assert client.flask.get_cookie("liuke").value != before
    with client.session() as kept:
        assert kept["_user_id"] != planted
        assert "cart" not in kept
        assert kept.get("csrf_token") != "planted"
    assert rows(UserSession, UserSession.token_hash == sessions.token_hash(planted)) == []


def test_the_cookie_names_no_account_and_the_database_no_token(client, wang):
    client.login_page("wang")
    with client.session() as kept:
        content = json.dumps(dict(kept))
        token = kept["_user_id"]

    assert "wang" not in content
    assert str(wang.id) not in token[:3] or len(token) > 40
    assert live(wang)[0].token_hash != token
    assert live(wang)[0].token_hash == sessions.token_hash(token)


def test_a_remember_cookie_of_the_login_library_opens_nothing(app, client, wang):
    from flask_login.utils import encode_cookie

    with app.test_request_context():
        client.flask.set_cookie("remember_token", encode_cookie(str(wang.id)))

    assert not signed_in(client)


def test_no_bit_of_a_cookie_may_be_changed(app, client, wang):
    client.login_page("wang")
    cookie = client.flask.get_cookie("liuke").value
    browser = Browser(app)
    for place in range(0, len(cookie), 3):
        changed = "A" if cookie[place] != "A" else "B"
        browser.flask.set_cookie("liuke", cookie[:place] + changed + cookie[place + 1 :])
        assert not signed_in(browser), place


@pytest.mark.parametrize(
    "header",
    [
        {"Authorization": "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.x"},
        {"Authorization": "Basic YWRtaW46YWRtaW4="},
        {"Authorization": "Bearer sst_0123456789"},
        {"Remote-User": "admin", "X-Remote-User": "admin", "X-Forwarded-User": "admin"},
        {"X-Original-URL": "/static/css/liuke.css", "X-HTTP-Method-Override": "GET"},
    ],
)
def test_no_header_is_a_way_in(client, header):
    assert client.get("/users/list/", headers=header).status_code == 302


@pytest.mark.parametrize("path", ["/api/v1/security/login", "/api/v1/security/refresh", "/api/v1/menu/", "/register/"])
def test_the_side_doors_of_the_framework_do_not_exist(client, path):
    assert client.get(path).status_code == 404
    assert client.post(path, {"username": "admin", "password": PASSWORD, "provider": "db"}).status_code == 404


def test_the_index_not_the_code_keeps_a_second_live_session_out(db, wang):
    import sqlalchemy as sa

    sessions.start(wang.id, remember=False, ip=None, user_agent=None)
    first = live(wang)[0]
    second = UserSession(
        token_hash="0" * 64, user_id=wang.id, expires_at=first.expires_at, idle_seconds=60, remember=False
    )
    db.session.add(second)

    with pytest.raises(sa.exc.IntegrityError):
        db.session.commit()


# -- the older session stays (LIUKE_SECOND_LOGIN=refuse) ------------------------------------------------------------


@pytest.fixture
def refusing(app):
    app.config["LIUKE_SECOND_LOGIN"] = "refuse"


def test_a_second_login_can_be_refused_instead(app, client, wang, refusing, sign_in):
    first = sign_in(wang)

    answer = client.login_page("wang")

    assert answer.status_code == 403
    assert "This account has been signed in since" in text_of(answer)
    assert "from 127.0.0.1" in text_of(answer)
    assert signed_in(first)
    assert not signed_in(client)


def test_a_login_without_a_known_address_says_where_less_exactly(app, client, wang, sign_in):
    first = sign_in(wang)
    sessions.start(wang.id, remember=False, ip=None, user_agent=None)
    assert "signed in somewhere else at" in text_of(first.get("/profile/", follow_redirects=True))
    app.config["LIUKE_SECOND_LOGIN"] = "refuse"

    answer = client.login_page("wang")

    assert answer.status_code == 403
    assert "This account has been signed in since" in text_of(answer)


def test_a_session_that_ran_out_refuses_nobody(client, wang, refusing, sign_in, clock):
    sign_in(wang)
    clock.forward(minutes=30)

    assert client.login_page("wang").status_code == 302


def test_a_remembered_session_that_ran_out_for_an_administrator_refuses_him_nothing(
    app, db, client, wang, clock, refusing
):
    assert Browser(app).login_page("wang", remember="y").status_code == 302
    wang.roles = [*wang.roles, builders.role(rights=[("can_edit", "User")])]
    db.session.commit()
    assert client.login_page("wang").status_code == 403
    clock.forward(minutes=31)

    assert client.login_page("wang").status_code == 302


def test_the_browser_that_is_signed_in_may_sign_in_again(wang, refusing, sign_in):
    browser = sign_in(wang)

    assert browser.login_page("wang").status_code == 302
    assert signed_in(browser)


def test_the_sign_of_a_csrf_token_is_not_the_sign_of_a_session(app, client, wang):
    serializer = URLSafeTimedSerializer(str(app.secret_key), salt="wtf-csrf-token")
    client.flask.set_cookie("liuke", serializer.dumps({"_user_id": str(wang.id)}))

    assert not signed_in(client)
