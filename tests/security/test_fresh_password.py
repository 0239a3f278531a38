"""Sensitive actions ask for a password that was typed a short while ago, lose nothing typed, and wait for a click."""

import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from flask_appbuilder.security.sqla.models import Role, User
from werkzeug.security import generate_password_hash

from app.core.models import AuditEntry
from app.handover.views import HandoverView
from app.notices.models import NoticeSettings, Robot
from app.security import fresh
from app.security.models import LoginEntry, LoginResult, Team, UserSession
from app.security.role_views import RoleView
from app.security.views import TeamView, UserView
from tests import builders
from tests.conformance.house import routes
from tests.security.conftest import signed_in
from tests.support import PASSWORD, rows, text_of

SENSITIVE = (UserView, RoleView, TeamView, HandoverView)


def asked(answer):
    """Whether the answer leads to the password page."""
    return answer.status_code == 302 and urlsplit(answer.location).path == "/confirm/"


def of(answer, name):
    """What the address of the password page says under this name."""
    return parse_qs(urlsplit(answer.location).query).get(name, [None])[0]


@pytest.fixture
def role(db):
    return builders.role()


@pytest.fixture
def stale(clock, sysadmin, sign_in):
    """The system admin's browser, 20 minutes after the password was typed."""
    browser = sign_in(sysadmin)
    clock.forward(minutes=20)
    return browser


# -- when ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "asks"), [(15 * 60 - 1, False), (15 * 60, True), (15 * 60 + 1, True)], ids=["before", "at", "after"]
)
def test_a_password_typed_fifteen_minutes_ago_is_asked_again(clock, sign_in, sysadmin, wang, seconds, asks):
    browser = sign_in(sysadmin)
    clock.forward(seconds=seconds)

    assert asked(browser.post(f"/users/end_sessions/{wang.id}")) is asks


def test_the_time_is_a_setting(app, clock, sign_in, sysadmin, wang):
    app.config["LIUKE_REAUTH_MINUTES"] = 2
    browser = sign_in(sysadmin)
    clock.forward(minutes=3)

    answer = browser.post(f"/users/end_sessions/{wang.id}")

    assert asked(answer)
    assert "more than 2 minutes ago" in text_of(browser.speak("en").get(answer.location))


def test_using_the_application_is_no_password(clock, sign_in, sysadmin, wang):
    browser = sign_in(sysadmin)
    for _minute in range(16):
        clock.forward(minutes=1)
        assert signed_in(browser)

    assert asked(browser.post(f"/users/end_sessions/{wang.id}"))


def test_a_browser_that_was_remembered_is_asked_however_it_came(clock, sign_in, sysadmin, wang):
    browser = sign_in(sysadmin, remember=True)
    clock.forward(minutes=16)

    assert asked(browser.post(f"/users/end_sessions/{wang.id}"))


def test_a_session_of_which_nobody_knows_when_the_password_was_typed_is_asked(db, sign_in, sysadmin, wang):
    browser = sign_in(sysadmin)
    (row,) = rows(UserSession)
    row.auth_at = None
    db.session.commit()

    assert asked(browser.post(f"/users/end_sessions/{wang.id}"))


def test_changing_ones_own_password_counts_as_typing_it(stale, wang):
    stale.post("/profile/password", {"current": PASSWORD, "new": "seven green bicycles"})

    assert not asked(stale.post(f"/users/end_sessions/{wang.id}"))


def test_everything_else_is_not_asked(stale, wang):
    for page in (f"/users/show/{wang.id}", f"/users/edit/{wang.id}", "/roles/list/", f"/users/end_sessions/{wang.id}"):
        assert stale.get(page).status_code == 200
    assert stale.post("/profile/phone", {"phone": "13800138000"}).location == "/profile/"
    assert signed_in(stale)


def test_who_leads_a_team_may_see_its_customers_so_that_is_asked(app, stale, li):
    app.config["LIUKE_CUSTOMERS_SHARED"] = "team"
    team = builders.team(name="Nordteam")
    sent = {"name": "Nordteam", "lead": str(li.id), "version": str(team.version)}

    answer = stale.post(f"/teams/edit/{team.id}", sent)

    assert asked(answer)
    assert [row.lead_id for row in rows(Team)] == [None]
    assert stale.post(answer.location, {"password": PASSWORD}).location == f"/teams/edit/{team.id}?kept=1"
    assert stale.post(f"/teams/edit/{team.id}", sent).location == f"/teams/show/{team.id}"
    assert [row.lead_id for row in rows(Team)] == [li.id]


# -- where --------------------------------------------------------------------------------------------------------


def changes(app):
    """(endpoint, address) of everything that can be sent to the screens of accounts and roles."""
    found = []
    for rule in app.url_map.iter_rules():
        view = getattr(app.view_functions[rule.endpoint], "__self__", None)
        if isinstance(view, SENSITIVE) and "POST" in rule.methods:
            found.append((rule.endpoint, rule.rule))
    return sorted(found)


def test_every_change_of_accounts_roles_and_owners_is_asked(app, clock, sign_in, admin, wang, role):
    """A new address of these screens that forgets to ask is named here."""
    browser = sign_in(admin)
    clock.forward(minutes=20)
    team = builders.team()
    ids = {"UserView": wang.id, "RoleView": role.id, "TeamView": team.id, "HandoverView": wang.id}
    found, before = changes(app), [(row.id, row.changed_on) for row in rows(User)]
    assert {endpoint for endpoint, _address in found} == {
        "UserView.add", "UserView.edit", "UserView.end_sessions",
        "UserView.reset_password", "UserView.reset_second_factor",
        "RoleView.add", "RoleView.edit", "RoleView.delete",
        "TeamView.add", "TeamView.edit", "TeamView.delete",
        "HandoverView.confirm", "HandoverView.undo", "HandoverView.disable",
    }  # fmt: skip
    not_asked = [
        address
        for endpoint, address in found
        if not asked(browser.post(address.replace("<pk>", str(ids[endpoint.partition(".")[0]])), {"label_en": "X"}))
    ]
    assert not_asked == []
    assert [(row.id, row.changed_on) for row in rows(User)] == before
    assert role.id in [row.id for row in rows(Role)]
    assert [(row.id, row.lead_id) for row in rows(Team)] == [(team.id, None)]


def test_whatever_takes_many_records_away_or_removes_them_for_good_is_asked(app):
    """By the right it needs: an export or a purge that forgets to ask is named here, whichever domain it stands in."""
    takes = re.compile(r"can_(export|purge|download_all)")
    harmless = {"stop_mail"}  # ends a mail of one's own
    found = [
        (route.endpoint, fresh.wanted(route.view, route.endpoint.partition(".")[2], "POST"))
        for route in routes(app)
        if route.right and takes.match(route.right[0]) and "POST" in route.methods
        if route.endpoint.partition(".")[2] not in harmless
    ]
    assert {asks for _endpoint, asks in found} == {True}, found
    assert {"LedgerReportView.export", "LedgerReportView.mail"} <= {endpoint for endpoint, _asks in found}


def test_an_export_waits_for_the_password(clock, sign_in, li):
    browser = sign_in(li)
    sent = {"format": "csv", "period": "2026-10"}
    assert browser.post("/reports/churn-ledger/export", sent).mimetype == "text/csv"
    clock.forward(minutes=15)

    answer = browser.post(
        "/reports/churn-ledger/export", sent, headers={"Referer": "http://localhost/reports/churn-ledger/"}
    )

    assert asked(answer)
    assert (of(answer, "next"), of(answer, "waits")) == ("/reports/churn-ledger/", "pressed")
    assert browser.post(answer.location, {"password": PASSWORD}).location == "/reports/churn-ledger/"
    assert browser.post("/reports/churn-ledger/export", sent).mimetype == "text/csv"


def test_no_mark_names_a_method_that_is_gone(app):
    known = set(app.view_functions)
    marked = [
        f"{view.endpoint}.{name}"
        for view in app.appbuilder.baseviews
        for name in {*getattr(view, "fresh_password", ()), *getattr(view, "fresh_password_first", ())}
    ]
    assert {"UserView.edit", "RoleView.delete"} <= set(marked)
    assert sorted(set(marked) - known) == []


def test_what_is_asked_before_its_page_is_asked_when_it_is_sent_too(app):
    for view in app.appbuilder.baseviews:
        assert getattr(view, "fresh_password_first", frozenset()) <= getattr(view, "fresh_password", frozenset())


def test_a_page_of_these_screens_asks_before_it_is_shown_if_a_secret_is_typed_there(app, sign_in, admin, wang, role):
    """Secrets are never kept, so they must not be typed in vain."""
    browser, secret = sign_in(admin), set()
    receipt = builders.handover(leaver=wang)
    ids = {
        "UserView": str(wang.id), "RoleView": str(role.id), "TeamView": str(builders.team().id),
        "HandoverView": str(receipt.id),
    }  # fmt: skip
    for endpoint, address in changes(app):
        page = browser.get(address.replace("<pk>", ids[endpoint.partition(".")[0]]))
        if 'type="password"' in page.get_data(as_text=True):
            secret.add(endpoint)
    assert secret == {
        f"{view.__name__}.{name}" for view in SENSITIVE for name in getattr(view, "fresh_password_first", ())
    }


def test_a_page_for_a_new_password_asks_before_it_is_typed(stale, sysadmin, wang):
    for page in (f"/users/reset_password/{wang.id}", "/users/add"):
        answer = stale.get(page)
        assert asked(answer)
        assert of(answer, "next") == page
        assert stale.post(answer.location, {"password": "wrong"}).status_code == 422

    assert stale.post(answer.location, {"password": PASSWORD}).location == "/users/add"
    assert stale.get("/users/add").status_code == 200
    assert stale.get(f"/users/reset_password/{wang.id}").status_code == 200


def test_whoever_has_no_right_is_refused_and_not_asked(clock, sign_in, li, wang):
    browser = sign_in(li)
    clock.forward(minutes=20)

    assert browser.post(f"/users/edit/{wang.id}").status_code == 403
    assert browser.get("/users/add").status_code == 403


def test_without_a_token_of_the_page_nothing_is_asked_and_nothing_kept(stale, wang):
    assert stale.post(f"/users/edit/{wang.id}", {"email": "x@y.z"}, csrf=False).status_code == 400
    assert [row.kept for row in rows(UserSession)] == [None]


def test_without_a_session_it_is_the_login_that_is_asked(client, db):
    assert urlsplit(client.get("/confirm/").location).path == "/login/"
    assert urlsplit(client.post("/confirm/", {"password": PASSWORD}).location).path == "/login/"


# -- what becomes of it -------------------------------------------------------------------------------------------


def account_fields(browser, user):
    """What the form of this account would send."""
    page = browser.get(f"/users/edit/{user.id}").get_data(as_text=True)
    sent = {}
    for tag in re.findall(r"<input[^>]*>", page):
        given = {k: unescape(v) for k, v in re.findall(r'([\w-]+)="([^"]*)"', tag)}
        if given.get("name") and (given.get("type") != "checkbox" or " checked" in tag):
            sent[given["name"]] = given.get("value", "")
    return sent


def test_what_was_typed_is_shown_again_unsaved_and_saved_by_the_button(stale, wang):
    stale.speak("en")
    sent = account_fields(stale, wang)

    away = stale.post(f"/users/edit/{wang.id}", {**sent, "email": "new@liuke.example"})
    page = stale.get(away.location)

    assert page.status_code == 200
    assert "Nothing was changed yet. What you typed is kept" in text_of(page)
    assert "new@liuke.example" not in page.get_data(as_text=True)
    back = stale.post(away.location, {"password": PASSWORD})
    assert back.location == f"/users/edit/{wang.id}?kept=1"
    shown = stale.get(back.location)
    assert 'value="new@liuke.example"' in shown.get_data(as_text=True)
    assert "Not saved yet. This is what you typed before you were asked for your password" in text_of(shown)
    assert wang.email == "wang@liuke.example"

    assert stale.post(back.location, {**sent, "email": "new@liuke.example"}).status_code == 302

    assert wang.email == "new@liuke.example"
    assert [row.kept for row in rows(UserSession)] == [None]


def test_the_rights_of_a_role_that_were_ticked_are_ticked_again(stale, role):
    given = {"label_zh": "测试", "label_en": "Testers", "rights": ["can_list:Ticket", "can_show:Ticket"], "stamp": "x"}

    away = stale.post(f"/roles/edit/{role.id}", given)
    back = stale.post(away.location, {"password": PASSWORD})
    page = stale.get(back.location).get_data(as_text=True)

    assert 'value="Testers"' in page
    ticked = [tag for tag in page.split("<input")[1:] if " checked" in tag.split(">")[0] and 'name="rights"' in tag]
    assert sorted(tag.split('value="')[1].split('"')[0] for tag in ticked) == ["can_list:Ticket", "can_show:Ticket"]


def test_a_button_without_a_page_of_its_own_waits_for_another_press(stale, role):
    stale.speak("en")
    role_id, page = role.id, f"/roles/show/{role.id}"

    away = stale.post(f"/roles/delete/{role_id}", headers={"Referer": f"http://localhost{page}"})

    assert "press the button again" in text_of(stale.get(away.location))
    back = stale.post(away.location, {"password": PASSWORD})
    assert back.location == page
    assert "Nothing was done yet: press the button again." in text_of(stale.get(back.location))
    assert role_id in [row.id for row in rows(Role)]
    stale.post(f"/roles/delete/{role_id}")
    assert role_id not in [row.id for row in rows(Role)]


def test_a_handover_waits_on_its_plan(clock, sign_in, admin, wang, zhao):
    customer = builders.customer(owner=wang)
    browser = sign_in(admin)
    clock.forward(minutes=20)
    plan = f"/handovers/plan/{wang.id}?by=one&to={zhao.id}"
    assert browser.get(plan).status_code == 200

    away = browser.post(
        f"/handovers/confirm/{wang.id}",
        {"by": "one", "to": str(zhao.id)},
        headers={"Referer": f"http://localhost{plan}"},
    )

    assert of(away, "waits") == "pressed"
    assert browser.post(away.location, {"password": PASSWORD}).location == plan
    assert browser.get(plan).status_code == 200
    assert customer.owner_id == wang.id
    assert [row.kept for row in rows(UserSession)] == [None]


def test_the_password_gives_the_session_another_token_and_another_fifteen_minutes(
    app, clock, move, client, stale, wang
):
    stolen = move(stale, client)
    (before,) = [row.token_hash for row in rows(UserSession)]

    stale.post("/confirm/", {"password": PASSWORD})

    (row,) = rows(UserSession)
    assert row.token_hash != before
    assert row.auth_at == clock.now
    assert signed_in(stale)
    assert not signed_in(stolen)
    clock.forward(minutes=14, seconds=59)
    assert not asked(stale.post(f"/users/end_sessions/{wang.id}"))


def test_the_page_of_another_site_is_not_led_to(stale):
    for evil in ("https://evil.example/", "//evil.example", "/\\evil.example", "/logout/"):
        answer = stale.post("/confirm/", {"password": PASSWORD}, query_string={"next": evil})
        assert answer.location == "/"


def test_whoever_typed_the_password_just_now_is_led_on(sign_in, sysadmin):
    assert sign_in(sysadmin).get("/confirm/?next=/users/list/").location == "/users/list/"


def test_a_new_password_is_not_kept_while_the_own_one_is_asked(stale, wang):
    stale.post(f"/users/reset_password/{wang.id}", {"password": "seven green bicycles"})
    stale.post("/users/add", {"username": "newone", "password": "seven green bicycles"})

    assert [row.kept["fields"] for row in rows(UserSession)] == [[["username", "newone"]]]


@pytest.mark.parametrize("headers", [{"HX-Request": "true"}, {"X-Requested-With": "XMLHttpRequest"}])
def test_a_script_is_told_in_a_sentence(stale, wang, headers):
    answer = stale.speak("en").post(f"/users/end_sessions/{wang.id}", headers=headers)

    assert answer.status_code == 401
    assert answer.json["error"] == "Type your password again to do this."
    assert urlsplit(answer.headers["HX-Redirect"]).path == "/confirm/"


# -- the wrong password -------------------------------------------------------------------------------------------


def test_a_wrong_password_changes_nothing_and_stands_in_the_login_log(stale, wang, sysadmin):
    stale.speak("en")
    away = stale.post(f"/users/end_sessions/{wang.id}")
    (before,) = [(row.token_hash, row.auth_at) for row in rows(UserSession)]

    answer = stale.post(away.location, {"password": "wrong password"})

    assert answer.status_code == 422
    assert "This is not your password." in text_of(answer)
    assert "wrong password" not in answer.get_data(as_text=True)
    assert [(row.token_hash, row.auth_at) for row in rows(UserSession)] == [before]
    (entry,) = rows(LoginEntry)
    assert (entry.account, entry.user_id, entry.result, entry.ip) == (
        "sysadmin", sysadmin.id, LoginResult.wrong, "127.0.0.1",
    )  # fmt: skip
    assert asked(stale.post(f"/users/end_sessions/{wang.id}"))


def test_an_empty_password_is_not_tried(stale):
    assert stale.post("/confirm/", {"password": ""}).status_code == 422
    assert rows(LoginEntry) == []


def test_the_password_of_another_account_does_not_count(db, stale, admin, wang):
    admin.password = generate_password_hash("seven green bicycles", method="scrypt:1024:8:1")
    db.session.commit()

    answer = stale.post("/confirm/", {"password": "seven green bicycles", "username": "admin"})

    assert answer.status_code == 422
    assert asked(stale.post(f"/users/end_sessions/{wang.id}"))


def test_the_eleventh_wrong_password_is_not_tried(stale):
    assert [stale.post("/confirm/", {"password": "wrong"}).status_code for _try in range(10)] == [422] * 10

    assert stale.post("/confirm/", {"password": PASSWORD}).status_code == 429
    assert len(rows(LoginEntry)) == 10


def test_wrong_passwords_here_and_at_the_login_are_one_count(client, stale):
    for _try in range(5):
        stale.post("/confirm/", {"password": "wrong", "username": "somebody"})
        client.login_page("SYSADMIN", "wrong")

    assert stale.post("/confirm/", {"password": "wrong"}).status_code == 429
    assert client.login_page("sysadmin").status_code == 429
    assert client.login_page("wang").status_code == 302


# -- in both languages --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "title", "button"),
    [("en", "Type your password to go on", "Confirm password"), ("zh", "请输入密码以继续", "确认密码")],
)
def test_the_page_speaks_the_readers_language(stale, language, title, button):
    page = text_of(stale.speak(language).get("/confirm/?waits=typed"))

    assert title in page
    assert button in page
    assert "sysadmin" not in page


# -- what outlasts the session ------------------------------------------------------------------------------------

ROBOT = {"wecom-url": "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=0123456789abcdef"}


def test_a_calendar_address_and_a_robot_are_made_with_the_password_and_told_in_the_history(clock, sign_in, wang):
    browser = sign_in(wang)
    assert "Type it now" not in text_of(browser.get("/notices/settings"))
    clock.forward(minutes=20)
    for page, sent in (("calendar", {}), ("robot/wecom", ROBOT)):
        assert asked(browser.post(f"/notices/settings/{page}", sent)), page
    assert rows(Robot) == []
    assert rows(NoticeSettings) == []
    hint = browser.get("/notices/settings").get_data(as_text=True)
    again = unescape(re.search(r'<a href="([^"]*)">Type it now', hint)[1])

    assert browser.post(again, {"password": PASSWORD}).location == "/notices/settings"
    drop, remove = ("calendar", {"drop": "1"}), ("robot/wecom/remove", {})
    for page, sent in (("calendar", {}), ("robot/wecom", ROBOT), drop, drop, remove, remove):
        assert browser.post(f"/notices/settings/{page}", sent).status_code in (200, 302)

    told = rows(AuditEntry, AuditEntry.record_type == "ab_user", AuditEntry.record_id == wang.id)
    assert [(entry.action, entry.actor_id, entry.note) for entry in told] == [
        ("make_calendar", wang.id, None), ("save_robot", wang.id, "qyapi.weixin.qq.com"),
        ("drop_calendar", wang.id, None), ("remove_robot", wang.id, None),
    ]  # fmt: skip
