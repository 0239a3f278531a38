"""A forgotten password: a link by mail, the same answer for everybody, good once and not for long."""

import re
from datetime import timedelta
from email import message_from_string
from email.policy import default

import pytest
import sqlalchemy as sa

from app.core.clock import utcnow
from app.core.models import AuditEntry
from app.notices import post
from app.notices.models import Delivery
from app.security.models import LoginEntry, OneTimeToken, UserProfile
from tests import builders
from tests.security.conftest import signed_in
from tests.support import PASSWORD, Browser, rows, statements, text_of

NEW = "seven green bicycles"


@pytest.fixture
def outbox(app, tmp_path):
    """Where mails go while no server is set; `outbox()` sends what waits and gives the texts, oldest first."""
    app.config["LIUKE_VAR"] = tmp_path

    def mails():
        post.send_all()
        builders.db.session.rollback()
        files = sorted((tmp_path / "outbox").glob("*.eml"), key=lambda path: path.stat().st_mtime_ns)
        return [path.read_text() for path in files]

    return mails


def ask(browser, name="wang", **options):
    return browser.post("/login/forgotten", {"username": name}, **options)


def link_in(mail):
    body = message_from_string(mail, policy=default).get_content()
    return re.search(r"http://127\.0\.0\.1:5000(/login/link/[\w-]{43})\s", body)[1]


def test_a_link_lets_its_person_choose_another_password(app, client, outbox, wang, sign_in):
    signed = sign_in(wang)
    assert ask(client).location == "/login/"
    assert "If there is such an account, a mail with a link is on its way." in text_of(client.get("/login/"))
    [mail] = outbox()
    assert "To: wang@liuke.example" in mail
    assert "for your account wang" in mail
    link = link_in(mail)
    page = client.get(link)
    assert (page.status_code, page.headers["Cache-Control"]) == (200, "no-store")
    assert "For the account wang." in text_of(page)
    bad = client.post(link, {"password": "password123"})
    assert bad.status_code == 422
    assert "This password is among the first that attackers try." in text_of(bad)

    answer = client.post(link, {"password": NEW})

    assert answer.location == "/login/"
    assert not signed_in(signed)
    assert not signed_in(client), "the link itself signs nobody in"
    assert client.login_page("wang").status_code == 422
    assert client.login_page("wang", NEW).location == "/"
    assert [entry.result.value for entry in rows(LoginEntry)] == ["link", "reset", "wrong", "success"]
    assert [entry.action for entry in rows(AuditEntry)] == ["forgotten_password"]
    assert rows(UserProfile, UserProfile.user_id == wang.id)[0].password_due is False
    dead = Browser(app).post(link, {"password": "eight red bicycles"})
    assert dead.status_code == 404
    assert "This link does not work any more" in text_of(dead)


def test_the_token_stands_in_the_mail_alone(client, outbox, wang):
    ask(client)
    token = link_in(outbox()[0]).rpartition("/")[2]

    assert token not in str([vars(row) for row in (*rows(OneTimeToken), *rows(Delivery), *rows(LoginEntry))])


def test_it_is_asked_for_by_account_or_e_mail_in_any_case(client, outbox, wang):
    ask(client, " WANG ")
    ask(client, "Wang@Liuke.Example")

    assert len(outbox()) == 2


def test_only_the_newest_link_opens_something(client, outbox, wang):
    ask(client)
    older = link_in(outbox()[0])
    ask(client)
    newer = link_in(outbox()[1])

    assert (client.get(older).status_code, client.get(newer).status_code) == (404, 200)


@pytest.mark.parametrize(("minutes", "status"), [(29.9, 200), (30.1, 404)])
def test_a_link_is_good_for_half_an_hour_from_its_mail(client, outbox, db, wang, minutes, status):
    ask(client)
    link = link_in(outbox()[0])
    db.session.execute(
        sa.update(OneTimeToken).values(expires_at=rows(OneTimeToken)[0].expires_at - timedelta(minutes=minutes))
    )
    db.session.commit()

    assert client.get(link).status_code == status


def test_a_mail_that_could_not_go_out_for_a_day_is_not_sent(client, outbox, db, wang):
    ask(client)
    db.session.execute(sa.update(OneTimeToken).values(made_at=utcnow() - timedelta(hours=24, seconds=1)))
    db.session.commit()

    assert outbox() == []
    assert [row.status.value for row in rows(Delivery)] == ["dropped"]


def test_another_new_password_ends_the_link(client, outbox, sign_in, wang, sysadmin):
    ask(client)
    link = link_in(outbox()[0])
    sign_in(sysadmin).post(f"/users/reset_password/{wang.id}", {"password": "eight red bicycles"})

    assert client.post(link, {"password": NEW}).status_code == 404


def test_an_account_disabled_meanwhile_has_no_link(client, outbox, db, wang):
    ask(client)
    link = link_in(outbox()[0])
    ask(client)
    wang.active = False
    db.session.commit()

    assert client.get(link).status_code == 404
    assert len(outbox()) == 1


def test_known_and_unknown_accounts_differ_in_nothing_that_can_be_seen(app, db, wang, zhao):
    """The same page, headers and number of statements: nobody learns names by asking."""
    zhao.active = False
    db.session.commit()
    seen = []
    for name in ("wang", "gnaw", "zhao", "%", "wang'--", "x" * 300):
        browser = Browser(app)
        browser.get("/login/forgotten")
        with statements(app) as run:
            answer = ask(browser, name)
        page = browser.get("/login/").get_data(as_text=True)
        page = "\n".join(line for line in page.splitlines() if "csrf_token" not in line)
        seen.append((answer.status_code, answer.location, sorted(answer.headers.keys()), len(run), page))

    assert [one == seen[0] for one in seen] == [True] * len(seen)
    assert [row.recipient_id for row in rows(Delivery)] == [wang.id]


def test_one_address_asks_five_times_an_hour_for_one_name(client, wang):
    for name in ("wang", "gnaw"):
        assert [ask(client, name).status_code for _try in range(6)] == [302] * 5 + [429]


def test_an_account_gets_three_mails_an_hour_whoever_asks_from_wherever(app, outbox, db, wang):
    for number in range(5):
        assert ask(Browser(app), environ_base={"REMOTE_ADDR": f"10.0.0.{number}"}).status_code == 302
    assert len(outbox()) == 3
    db.session.execute(sa.update(OneTimeToken).values(made_at=utcnow() - timedelta(hours=1)))
    db.session.commit()

    ask(Browser(app), environ_base={"REMOTE_ADDR": "10.0.0.9"})

    assert len(outbox()) == 4


def test_links_are_not_guessed(app, client, outbox, wang):
    ask(client)
    outbox()
    app.config["LIUKE_LOGIN_LIMIT_PER_ADDRESS"] = "5 per 5 minutes"
    sent = [client.post(f"/login/link/{number:043}", {"password": NEW}).status_code for number in range(6)]

    assert sent == [404] * 5 + [429]


def test_nonsense_is_no_link(client, db):
    for token in ("x", "x" * 43, "x" * 5000, "%00", "..%2f..", "王"):
        assert client.get(f"/login/link/{token}").status_code == 404, token


def test_the_address_in_the_mail_is_ours_whatever_the_browser_called_us(app, client, outbox, wang):
    app.config["LIUKE_URL"] = "https://crm.example.com/"
    app.config["WTF_CSRF_ENABLED"] = False  # its cookie is not one of evil.example
    assert ask(client, csrf=False, base_url="http://evil.example").status_code == 302

    assert "https://crm.example.com/login/link/" in outbox()[0]
    assert "evil" not in outbox()[0]


def test_the_second_step_is_still_asked_for(client, outbox, wang):
    builders.second_factor(user=wang)
    ask(client)
    client.post(link_in(outbox()[0]), {"password": NEW})

    assert client.login_page("wang", NEW).location == "/login/code"


def test_the_mail_speaks_its_readers_language(app, client, outbox, db):
    person = builders.user(language="zh")
    ask(client, person.username)

    [mail] = outbox()

    assert link_in(mail)
    assert message_from_string(mail, policy=default)["Subject"] == "留客：找回密码"


# -- a password somebody else chose ---------------------------------------------------------------------------------


@pytest.fixture
def given(app, sign_in, sysadmin, wang):
    """A browser of wang's, who signed in with the password an administrator gave him."""
    sign_in(sysadmin).post(f"/users/reset_password/{wang.id}", {"password": NEW})
    browser = Browser(app)
    assert browser.login_page("wang", NEW).location == "/"
    return browser


def test_a_given_password_is_changed_before_anything_else(given, wang):
    for page in ("/", "/customers/list/", "/profile/", "/profile/phone", "/profile/second/", "/users/list/"):
        assert given.get(page).location == "/profile/password", page
    assert given.post("/profile/phone", {"phone": "12345"}).location == "/profile/password"
    script = given.get("/notices/bell", headers={"HX-Request": "true"})
    assert (script.status_code, "HX-Redirect" in script.headers) == (403, False)
    assert "Somebody else chose your password." in text_of(given.get("/profile/password"))
    wrong = given.post("/profile/password", {"current": PASSWORD, "new": "eight red bicycles"})
    same = given.post("/profile/password", {"current": NEW, "new": NEW})
    assert (wrong.status_code, same.status_code) == (422, 422)
    assert given.get("/profile/").location == "/profile/password"

    answer = given.post("/profile/password", {"current": NEW, "new": "eight red bicycles"})

    assert answer.location == "/"
    assert given.get("/profile/").status_code == 200


def test_language_and_leaving_are_free_before_the_change(given):
    assert given.post("/preferences/language", {"language": "zh"}).status_code == 302
    assert (
        "先换成你自己的" in text_of(given.get("/profile/password")) or given.get("/profile/password").status_code == 200
    )
    assert given.post("/logout/").location == "/login/"


def by_form(app, sign_in, sysadmin):
    role = builders.seeded_role("executive")
    sign_in(sysadmin).post(
        "/users/add",
        {"username": "sun", "password": NEW, "last_name": "孙", "first_name": "悦", "email": "sun@x.example",
         "roles": [str(role.id)]},
    )  # fmt: skip


def by_command(app, sign_in, sysadmin):
    args = ["crm", "user", "add", "sun", "--family", "孙", "--given", "悦", "--role", "executive"]
    assert app.test_cli_runner().invoke(args=args, input=f"{NEW}\n{NEW}\n").exit_code == 0


def by_the_framework(app, sign_in, sysadmin):
    role = builders.seeded_role("executive")
    assert app.appbuilder.sm.add_user("sun", "悦", "孙", "sun@x.example", role, NEW)


@pytest.mark.parametrize("made", [by_form, by_command, by_the_framework])
def test_a_new_account_chooses_its_own_password_at_the_first_sign_in(app, client, sign_in, sysadmin, made):
    made(app, sign_in, sysadmin)

    client.login_page("sun", NEW)

    assert client.get("/profile/").location == "/profile/password"


def test_accounts_of_before_and_of_the_demo_company_are_asked_nothing(db, client, wang):
    from app.security.people import create_user

    made = create_user("sun", last_name="孙", first_name="悦", roles=["executive"], hashed=wang.password)
    db.session.commit()

    client.login_page("sun")

    assert client.get("/profile/").status_code == 200
    assert rows(UserProfile, UserProfile.user_id == made.id)[0].password_due is False


# -- the log of one's own account -----------------------------------------------------------------------------------


def test_everybody_sees_what_was_tried_with_his_account_and_only_that(client, wang, zhao, sign_in, sysadmin):
    client.login_page("wang", "wrong password")
    client.login_page("zhao", "wrong password")
    ask(client)
    client.login_page("wang")
    client.post("/confirm/", {"password": "wrong password"})
    client.post("/confirm/", {"password": PASSWORD})
    client.post("/profile/password", {"current": "wrong password", "new": NEW})

    text = text_of(client.get("/profile/"))
    section = text[text.index("What was tried with your account lately") :]
    told = ["Wrong name or password", "Password typed again", "Signed in", "Link for a new password asked for"]
    assert re.findall("|".join(told), section) == [
        "Wrong name or password", "Password typed again", "Wrong name or password", "Signed in",
        "Link for a new password asked for", "Wrong name or password",
    ]  # fmt: skip
    admins = text_of(sign_in(sysadmin).get(f"/users/show/{wang.id}"))
    assert admins.count("Wrong name or password") == 3


def test_administrators_see_who_is_signed_in_and_end_it(sign_in, sysadmin, li, wang):
    his, browser = sign_in(wang), sign_in(sysadmin)
    builders.user_session(user=li, ended_at=utcnow(), end_reason="logout")

    page = browser.get("/sessions/list/")

    assert "王强" in text_of(page)
    assert "李娜" not in text_of(page)
    address = f"/users/end_sessions/{wang.id}"
    assert f'href="{address}"' in page.get_data(as_text=True)
    assert browser.post(address).status_code == 302
    assert not signed_in(his)
    assert "王强" not in text_of(browser.get("/sessions/list/"))
    assert sign_in(li).get("/sessions/list/").status_code == 403
