"""What everybody may do with his own account, whatever his roles."""

import pytest

from app.core.models import AuditEntry
from app.security.models import UserProfile, UserSession
from tests import builders
from tests.security.conftest import signed_in
from tests.support import PASSWORD, Browser, rows, statements, text_of

NEW = "seven green bicycles"


def test_everybody_sees_his_own_account_and_sign_ins(sign_in):
    person = builders.user(roles=[builders.role(label="见习")], team=builders.team(name="华北组"), phone="12345")

    text = text_of(sign_in(person).get("/profile/"))

    assert f"{person.username} Change phone Change password" in text
    assert "Phone 12345 Team 华北组 Roles 见习" in text
    assert "127.0.0.1 tests This device" in text


def test_home_of_somebody_without_any_screen_is_his_profile(sign_in):
    person = builders.user(roles=[builders.role()])

    page = sign_in(person).get("/", follow_redirects=True)

    assert page.status_code == 200
    assert person.username in text_of(page)


@pytest.mark.parametrize(("phone", "status"), [("010-68348438-668", 302), ("", 302), ("1234", 422), ("x" * 51, 422)])
def test_the_phone_number_is_ones_own_to_change(sign_in, db, phone, status):
    person = builders.user(phone="99999")

    answer = sign_in(person).post("/profile/phone", {"phone": phone})

    assert answer.status_code == status
    kept = rows(UserProfile, UserProfile.user_id == person.id)[0].phone
    assert kept == ((phone or None) if status == 302 else "99999")


def change(browser, current=PASSWORD, new=NEW, **options):
    return browser.post("/profile/password", {"current": current, "new": new}, **options)


def test_the_password_is_changed_by_who_knows_it_and_this_session_goes_on(app, sign_in, wang):
    browser = sign_in(wang)
    with browser.session() as kept:
        before = kept["_user_id"]
    stolen = Browser(app)
    stolen.flask.set_cookie("liuke", browser.flask.get_cookie("liuke").value)
    assert signed_in(stolen)

    answer = change(browser)

    assert answer.location == "/profile/"
    assert "Your password is changed." in text_of(browser.get("/profile/"))
    with browser.session() as kept:
        assert kept["_user_id"] != before
    assert not signed_in(stolen)
    assert len(rows(UserSession, UserSession.ended_at.is_(None))) == 1
    assert Browser(app).login_page("wang").status_code == 422
    assert Browser(app).login_page("wang", NEW).status_code == 302
    assert [(e.action, e.changes) for e in rows(AuditEntry)] == [("change_password", None)]


@pytest.mark.parametrize(
    ("current", "new", "sentence"),
    [
        ("wrong password", NEW, "This is not your current password."),
        ("", NEW, "Fill in this field."),
        (PASSWORD, "", "Fill in this field."),
        (PASSWORD, PASSWORD, "Choose a password that differs from the current one."),
        (PASSWORD, "short", "Use at least 10 characters for the password."),
        (PASSWORD, "password123", "This password is among the first that attackers try."),
        (PASSWORD, "wang's own secret", "must not contain your name"),
    ],
)
def test_a_refused_change_says_why_and_changes_nothing(app, sign_in, wang, current, new, sentence):
    browser = sign_in(wang)

    answer = change(browser, current, new)

    assert answer.status_code == 422
    assert sentence in text_of(answer)
    assert PASSWORD not in answer.get_data(as_text=True)
    assert signed_in(browser)
    assert Browser(app).login_page("wang").status_code == 302


def test_whoever_finds_a_browser_open_cannot_guess_the_password(sign_in, wang):
    browser = sign_in(wang)

    assert [change(browser, f"guess number {n}").status_code for n in range(11)] == [422] * 10 + [429]
    assert change(browser).status_code == 429


def test_the_new_password_is_needed_with_the_forms_token(app, sign_in, wang):
    assert change(sign_in(wang), csrf=False).status_code == 400
    assert Browser(app).login_page("wang").status_code == 302


# -- language and theme ---------------------------------------------------------------------------------------------


def test_the_language_is_kept_with_the_account_and_the_page_stays(app, sign_in, wang):
    browser = sign_in(wang)

    answer = browser.post("/preferences/language", {"language": "zh", "next": "/profile/phone?a=1"})

    assert answer.location == "/profile/phone?a=1"
    assert rows(UserProfile, UserProfile.user_id == wang.id)[0].language == "zh"
    assert 'lang="zh-CN"' in sign_in(wang).get("/profile/").get_data(as_text=True)


def test_the_theme_is_kept_with_the_account(sign_in, wang):
    browser = sign_in(wang)

    browser.post("/preferences/theme", {"theme": "dark", "next": "/profile/"})

    assert 'data-bs-theme="dark"' in sign_in(wang).get("/profile/").get_data(as_text=True)


def test_before_signing_in_this_browser_remembers_the_choice(client, db):
    answer = client.post("/preferences/language", {"language": "zh", "next": "/login/?next=/profile/"})
    client.post("/preferences/theme", {"theme": "dark"})

    page = client.get("/login/").get_data(as_text=True)

    assert answer.location == "/login/?next=/profile/"
    assert 'lang="zh-CN"' in page
    assert 'data-bs-theme="dark"' in page
    assert {p.language for p in rows(UserProfile)} == {None}


@pytest.mark.parametrize("sent", [{"language": "fr"}, {"language": ""}, {}, {"language": "zh' OR 1"}])
def test_an_unknown_language_changes_nothing(sign_in, wang, sent):
    answer = sign_in(wang).post("/preferences/language", {**sent, "next": "/profile/"})

    assert answer.location == "/profile/"
    assert rows(UserProfile, UserProfile.user_id == wang.id)[0].language is None


@pytest.mark.parametrize("target", ["//evil.com", "http://evil.com", "/\\evil.com", "/logout/", ""])
def test_a_choice_leads_to_no_address_outside(sign_in, wang, target):
    answer = sign_in(wang).post("/preferences/theme", {"theme": "dark", "next": target})

    assert answer.location == "/"


@pytest.mark.parametrize("path", ["/preferences/language", "/preferences/theme"])
def test_choices_are_posted_with_a_token(client, db, path):
    assert client.get(path).status_code == 405
    assert client.post(path, {"language": "zh"}, csrf=False).status_code == 400


def test_an_account_without_a_profile_row_gets_one_when_it_is_needed(db, sign_in, wang):
    db.session.delete(db.session.get(UserProfile, wang.id))
    db.session.commit()
    browser = sign_in(wang)
    assert browser.get("/profile/").status_code == 200

    browser.post("/preferences/theme", {"theme": "dark"})

    assert rows(UserProfile, UserProfile.user_id == wang.id)[0].theme == "dark"


READ = [
    "/login/", "/profile/", "/profile/phone", "/profile/password", "/users/list/", "/users/add", "/users/show/{}",
    "/users/edit/{}", "/users/reset_password/{}", "/users/end_sessions/{}", "/roles/list/", "/roles/add",
    "/roles/show/1", "/roles/edit/2", "/teams/list/", "/teams/add", "/audit/list/", "/logins/list/", "/logout/",
    "/preferences/language",
]  # fmt: skip


@pytest.mark.parametrize("path", READ)
def test_looking_at_a_page_changes_nothing(app, sign_in, admin, wang, path):
    browser = sign_in(admin)

    with statements(app) as seen:
        answer = browser.get(path.format(wang.id))

    assert answer.status_code in (200, 302, 405)
    assert [s for s in seen if not s.startswith(("SELECT", "WITH"))] == []
