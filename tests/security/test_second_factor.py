"""The second step of signing in: switched on and off by its person, never good twice, no way around it."""

import re
from base64 import b64decode
from datetime import timedelta
from urllib.parse import unquote

import pyotp
import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from app.core.clock import utcnow
from app.core.models import AuditEntry
from app.core.unit import unit_of_work
from app.security import second_factor
from app.security.models import LoginEntry, OneTimeToken, RecoveryCode, SecondFactor, UserSession
from tests import builders
from tests.security.conftest import signed_in
from tests.support import PASSWORD, Browser, rows, text_of

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
PHONE = pyotp.TOTP(SECRET)


def results():
    return [entry.result.value for entry in rows(LoginEntry)]


@pytest.fixture
def protected(db, wang):
    """wang's account asks for a code."""
    return builders.second_factor(user=wang, secret=SECRET)


@pytest.fixture
def typed(client, protected):
    """A browser in which wang typed his password."""
    answer = client.login_page("wang")
    assert (answer.status_code, answer.location) == (302, "/login/code")
    return client


def code(browser, text, **options):
    return browser.post("/login/code", {"code": text}, **options)


def test_the_password_alone_does_not_sign_in(typed):
    assert not signed_in(typed)
    assert rows(UserSession) == []
    assert "Second step" in text_of(typed.get("/login/code"))
    assert results() == []


def test_the_code_of_the_phone_signs_in_once(app, typed, wang):
    now = PHONE.now()

    answer = code(typed, f" {now[:3]} {now[3:]} ")

    assert (answer.status_code, answer.location) == (302, "/")
    assert signed_in(typed)
    assert results() == ["success"]
    other = Browser(app)
    other.login_page("wang")
    again = code(other, now)
    assert again.status_code == 422
    assert "This code is wrong, too old or was used already." in text_of(again)
    assert results() == ["success", "code"]
    assert signed_in(typed)


def test_where_the_login_was_to_lead_and_what_was_to_be_remembered_survives_the_step(client, protected):
    answer = client.post("/login/?next=/customers/list/", {"username": "wang", "password": PASSWORD, "remember": "y"})

    assert answer.location == "/login/code?next=/customers/list/"
    assert client.post(answer.location, {"code": PHONE.now()}).location == "/customers/list/"
    assert rows(UserSession)[0].remember is True


@pytest.mark.parametrize(
    ("seconds", "takes"), [(-61, False), (-30, True), (30, True), (61, False)], ids=["old", "late", "early", "far"]
)
def test_a_clock_may_be_half_a_minute_off(db, wang, protected, seconds, takes):
    noon = utcnow().replace(minute=0, second=1, microsecond=0)

    with unit_of_work():
        right = second_factor.accept(wang.id, PHONE.at(noon + timedelta(seconds=seconds)), at=noon)

    assert right is takes


def test_an_older_code_is_worth_nothing_after_a_newer_one(db, wang, protected):
    noon = utcnow().replace(minute=0, second=1, microsecond=0)
    with unit_of_work():
        assert second_factor.accept(wang.id, PHONE.at(noon), at=noon)
        assert not second_factor.accept(wang.id, PHONE.at(noon), at=noon)
        assert not second_factor.accept(wang.id, PHONE.at(noon - timedelta(seconds=30)), at=noon)
        assert second_factor.accept(wang.id, PHONE.at(noon + timedelta(seconds=30)), at=noon)


def test_nothing_else_is_a_code(typed):
    for text in ("", "000000", "12345", "1234567", "一二三四五六", "' OR 1=1 --", "x" * 100, "\x00"):
        assert code(typed, text).status_code == 422, text
    assert not signed_in(typed)


def test_a_recovery_code_signs_in_once_however_it_is_typed(app, typed, wang):
    builders.recovery_code(user=wang, code="abcdefghjkmnpqr")

    answer = code(typed, "ABCDE FGHJK－MNPQR")

    assert answer.status_code == 302
    assert "You have 0 recovery codes left. Make new ones in your profile." in text_of(typed.get("/profile/"))
    other = Browser(app)
    other.login_page("wang")
    assert code(other, "abcde-fghjk-mnpqr").status_code == 422


def test_the_code_of_another_account_does_not_count(typed, zhao):
    builders.second_factor(user=zhao, secret="KRSXG5CTMVRXEZLUKRSXG5CTMVRXEZLU")
    builders.recovery_code(user=zhao, code="abcdefghjkmnpqr")

    assert code(typed, "abcde-fghjk-mnpqr").status_code == 422
    assert code(typed, pyotp.TOTP("KRSXG5CTMVRXEZLUKRSXG5CTMVRXEZLU").now()).status_code == 422


def test_without_the_password_there_is_no_second_step(client, protected):
    assert client.get("/login/code").location == "/login/"
    assert code(client, PHONE.now()).location == "/login/"
    assert not signed_in(client)
    assert rows(SecondFactor)[0].last_step == 0


def test_the_step_waits_five_minutes(typed, db):
    db.session.execute(sa.update(OneTimeToken).values(expires_at=utcnow() - timedelta(seconds=1)))

    assert code(typed, PHONE.now()).location == "/login/"
    assert "Too much time passed. Type your password again." in text_of(typed.get("/login/"))
    assert not signed_in(typed)


def test_the_step_of_one_password_opens_one_session(app, typed, move):
    copied = move(typed, Browser(app))
    assert code(typed, PHONE.now()).status_code == 302

    assert copied.get("/login/code").location == "/login/"


def test_an_account_disabled_or_given_a_new_password_meanwhile_gets_no_further(typed, sign_in, sysadmin, wang, db):
    sign_in(sysadmin).post(f"/users/reset_password/{wang.id}", {"password": "seven green bicycles"})

    assert code(typed, PHONE.now()).location == "/login/"
    typed.login_page("wang", "seven green bicycles")
    wang.active = False
    db.session.commit()
    assert code(typed, PHONE.now()).location == "/login/"


def test_wrong_codes_are_limited_per_account_from_wherever_they_come(app, typed, move):
    assert [code(typed, "000000").status_code for _try in range(5)] == [422] * 5
    other = Browser(app)
    elsewhere = {"environ_base": {"REMOTE_ADDR": "10.0.0.9"}}
    other.post("/login/", {"username": "wang", "password": PASSWORD}, **elsewhere)
    assert [code(other, "000000", **elsewhere).status_code for _try in range(5)] == [422] * 5

    assert code(typed, PHONE.now()).status_code == 429
    assert code(other, PHONE.now(), **elsewhere).status_code == 429
    assert results() == ["code"] * 10


def test_a_number_of_wrong_codes_a_day_is_enough(app, typed):
    app.config["LIUKE_CODE_LIMIT"] = "3 per day"

    assert [code(typed, "000000").status_code for _try in range(4)] == [422, 422, 422, 429]


def test_a_second_login_can_be_refused_at_the_second_step(app, typed, sign_in, wang):
    app.config["LIUKE_SECOND_LOGIN"] = "refuse"
    first = sign_in(wang)

    answer = code(typed, PHONE.now())

    assert answer.status_code == 403
    assert "This account has been signed in since" in text_of(answer)
    assert (signed_in(first), results()) == (True, ["busy"])


# -- switching it on and off ----------------------------------------------------------------------------------------


def set_up(browser):
    """Begin, and what the page shows for the phone: the key, and the picture as SVG."""
    assert browser.post("/profile/second/begin").location == "/profile/second/setup"
    page = browser.get("/profile/second/setup").get_data(as_text=True)
    key = re.search(r'by time, 6 digits:\s*<span class="mono">([A-Z2-7 ]+)</span>', page)[1].replace(" ", "")
    address = re.search(r'<img src="(data:image/svg[^"]+)"', page)[1]
    picture = b64decode(address.partition(",")[2]).decode() if ";base64" in address else unquote(address)
    return key, picture


def test_it_is_switched_on_with_a_code_of_the_phone(app, sign_in, wang):
    browser = sign_in(wang)
    key, picture = set_up(browser)
    assert len(key) == 32
    assert "<svg" in picture
    assert "<script" not in picture
    assert Browser(app).login_page("wang").location == "/", "nothing is asked for before it is switched on"
    browser = sign_in(wang)
    wrong = browser.post("/profile/second/setup", {"code": "000000"})
    assert wrong.status_code == 422
    assert "This code is wrong or too old." in text_of(wrong)

    page = browser.post("/profile/second/setup", {"code": pyotp.TOTP(key).now()})

    codes = re.findall(r"<li>([a-z2-9]{5}-[a-z2-9]{5}-[a-z2-9]{5})</li>", page.get_data(as_text=True))
    assert len(set(codes)) == 10
    kept = rows(SecondFactor)[0]
    assert key not in kept.secret
    assert len(rows(RecoveryCode)) == 10
    assert not {code.replace("-", "") for code in codes} & {row.code_hash for row in rows(RecoveryCode)}
    assert [entry.action for entry in rows(AuditEntry)] == ["second_factor_on"]
    assert "Two-step sign-in Switched on" in text_of(browser.get("/profile/"))
    assert browser.get("/profile/second/setup").status_code == 302, "the secret is shown no more"
    other = Browser(app)
    assert other.login_page("wang").location == "/login/code"
    assert code(other, codes[3]).status_code == 302


def test_new_recovery_codes_end_the_old_ones(app, sign_in, wang, protected):
    builders.recovery_code(user=wang)

    page = sign_in(wang).post("/profile/second/codes")

    assert len(re.findall(r"<li>[a-z2-9]{5}-", page.get_data(as_text=True))) == 10
    with unit_of_work():
        assert not second_factor.accept(wang.id, "abcdefghjkmnpqr", at=utcnow())


def test_switched_off_the_password_is_enough(app, sign_in, wang, protected):
    builders.recovery_code(user=wang)

    sign_in(wang).post("/profile/second/off")

    assert rows(SecondFactor) == rows(RecoveryCode) == []
    assert Browser(app).login_page("wang").location == "/"


def test_all_of_it_asks_for_the_password_first(sign_in, wang, clock, protected):
    browser = sign_in(wang)
    clock.forward(minutes=15)

    for action in ("begin", "setup", "codes", "off"):
        assert browser.post(f"/profile/second/{action}").location.startswith("/confirm/"), action
    assert browser.get("/profile/second/setup").location.startswith("/confirm/")
    assert browser.get("/profile/second/").status_code == 200
    assert len(rows(SecondFactor)) == 1


def test_what_does_not_fit_changes_nothing(sign_in, wang, zhao, protected):
    browser = sign_in(wang)
    assert "is switched on already" in text_of(browser.post("/profile/second/begin", follow_redirects=True))
    assert rows(SecondFactor)[0].secret == protected.secret
    hers = sign_in(zhao)
    assert "The second step is switched off." in text_of(hers.post("/profile/second/codes", follow_redirects=True))
    assert hers.post("/profile/second/setup", {"code": "000000"}).location == "/profile/second/"
    assert hers.post("/profile/second/off").location == "/profile/second/"
    assert rows(AuditEntry) == []


def test_an_administrator_switches_it_off_for_who_lost_his_phone(app, sign_in, sysadmin, li, wang, zhao, protected):
    browser = sign_in(sysadmin)
    assert "Switch off the second step" in text_of(browser.get(f"/users/show/{wang.id}"))
    assert "Switch off the second step" not in text_of(browser.get(f"/users/show/{zhao.id}"))

    answer = browser.post(f"/users/reset_second_factor/{wang.id}")

    assert answer.status_code == 302
    assert Browser(app).login_page("wang").location == "/"
    assert [(e.action, e.actor_id) for e in rows(AuditEntry)] == [("second_factor_off", sysadmin.id)]
    again = browser.post(f"/users/reset_second_factor/{zhao.id}")
    assert again.status_code == 409
    assert "This account has no second step." in text_of(again)
    assert sign_in(li).post(f"/users/reset_second_factor/{wang.id}").status_code == 403


def test_the_command_line_switches_it_off_for_the_last_administrator(app, protected):
    run = app.test_cli_runner().invoke

    assert run(args=["crm", "user", "second-step-off", "wang"]).exit_code == 0
    again = run(args=["crm", "user", "second-step-off", "wang"])

    assert (again.exit_code, again.output) == (1, "Error: This account has no second step.\n")
    assert rows(SecondFactor) == []


def test_a_system_admin_does_not_switch_it_off_for_a_super_admin(sign_in, sysadmin, admin):
    builders.second_factor(user=admin)

    assert sign_in(sysadmin).post(f"/users/reset_second_factor/{admin.id}").status_code == 403
    assert len(rows(SecondFactor)) == 1


def test_under_another_key_no_code_is_right_and_a_recovery_code_still_is(app, typed, db, wang, protected):
    protected.secret = Fernet(Fernet.generate_key()).encrypt(SECRET.encode()).decode()
    db.session.commit()
    builders.recovery_code(user=wang, code="abcdefghjkmnpqr")

    assert code(typed, PHONE.now()).status_code == 422
    assert code(typed, "abcde-fghjk-mnpqr").status_code == 302
