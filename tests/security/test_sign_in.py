"""The login page: who gets in, who does not, what is said and what is not."""

import logging
from urllib.parse import quote

import pytest

from app.core.clock import utcnow
from app.security import manager as manager_module
from app.security.models import LoginEntry, LoginResult, UserProfile, UserSession
from app.security.people import roles_by_code
from tests import builders
from tests.security.conftest import signed_in
from tests.support import PASSWORD, Browser, rows, statements, text_of

WRONG = "Wrong username or password."


def results():
    return [(entry.account, entry.result, entry.ip) for entry in rows(LoginEntry)]


def test_a_login_is_written_down_with_time_address_and_result(client, wang):
    client.login_page("wang")

    assert results() == [("wang", LoginResult.success, "127.0.0.1")]
    entry = rows(LoginEntry)[0]
    assert entry.user_id == wang.id
    assert abs((utcnow() - entry.at).total_seconds()) < 60


def test_the_account_may_be_typed_in_any_case_and_with_blanks_around(client, wang):
    assert client.login_page("  WANG ").status_code == 302


@pytest.mark.parametrize(
    ("account", "password"),
    [("wang", "wrong password"), ("nobody", PASSWORD), ("wang", PASSWORD.upper()), ("wang'--", PASSWORD),
     ("%", PASSWORD), ("wang\x00", "x" * 11), ("王", "字" * 20), ("x" * 128, "y" * 200)],
)  # fmt: skip
def test_a_wrong_name_and_a_wrong_password_read_the_same(client, wang, account, password):
    answer = client.login_page(account, password)

    assert answer.status_code == 422
    assert WRONG in text_of(answer)
    assert not signed_in(client)
    assert [entry.result for entry in rows(LoginEntry)] == [LoginResult.wrong]


def test_only_the_typed_name_differs_between_an_unknown_and_a_known_account(app, wang):
    pages = [Browser(app).login_page(name, "wrong password") for name in ("wang", "gnaw")]

    texts = [page.get_data(as_text=True).replace("gnaw", "wang") for page in pages]
    stripped = ["\n".join(line for line in text.splitlines() if "csrf_token" not in line) for text in texts]
    assert stripped[0] == stripped[1]
    assert dict(pages[0].headers).keys() == dict(pages[1].headers).keys()


def test_an_unknown_account_costs_what_a_known_one_costs(app, client, wang, monkeypatch):
    """One hash of the same strength and as many statements: names cannot be timed."""
    hashes, real = [], manager_module.check_password_hash
    monkeypatch.setattr(
        manager_module,
        "check_password_hash",
        lambda stored, given: hashes.append(stored.split("$")[0]) or real(stored, given),
    )
    counts = []
    for name in ("wang", "gnaw"):
        with statements(app) as seen:
            client.login_page(name, "wrong password")
        counts.append(len(seen))

    assert hashes == [app.config["FAB_PASSWORD_HASH_METHOD"]] * 2
    assert counts[0] == counts[1]


def test_what_was_typed_stays_except_the_password(client, wang):
    page = client.login_page("wang", "wrong password").get_data(as_text=True)

    assert 'value="wang"' in page
    assert "wrong password" not in page


def test_an_empty_form_names_the_fields(client, db):
    answer = client.login_page("", "")

    assert answer.status_code == 422
    assert text_of(answer).count("Fill in this field.") == 2
    assert rows(LoginEntry) == []


def test_a_disabled_account_learns_it_only_with_the_right_password(client, db, wang):
    wang.active = False
    db.session.commit()

    assert WRONG in text_of(client.login_page("wang", "wrong password"))
    answer = client.login_page("wang")

    assert answer.status_code == 403
    assert "This account is disabled." in text_of(answer)
    assert [entry.result for entry in rows(LoginEntry)] == [LoginResult.wrong, LoginResult.disabled]
    assert rows(UserSession) == []


@pytest.mark.parametrize("roles", ["none", "inactive"])
def test_nobody_signs_in_without_an_active_role(client, db, roles):
    person = builders.user(roles=[] if roles == "none" else [builders.role(active=False)], password=PASSWORD)

    answer = client.login_page(person.username)

    assert answer.status_code == 403
    assert "no active role" in text_of(answer)
    assert [entry.result for entry in rows(LoginEntry)] == [LoginResult.no_role]


def test_a_role_by_group_is_enough(client, db):
    from flask_appbuilder.security.sqla.models import Group

    person = builders.user(roles=[], password=PASSWORD)
    db.session.add(Group(name="night shift", users=[person], roles=roles_by_code(["account_manager"])))
    db.session.commit()

    assert client.login_page(person.username).status_code == 302


def test_deactivating_the_last_role_shuts_everybody_who_has_it_out_of_the_login(client, db, wang):
    db.session.get(builders.RoleProfile, wang.roles[0].id).active = False
    db.session.commit()

    assert client.login_page("wang").status_code == 403


def test_a_password_hashed_with_weaker_parameters_is_hashed_again(client, db, wang, app):
    from werkzeug.security import generate_password_hash

    wang.password = generate_password_hash(PASSWORD, method="pbkdf2:sha256:10")
    db.session.commit()

    client.login_page("wang")

    db.session.expire_all()
    assert wang.password.startswith(app.config["FAB_PASSWORD_HASH_METHOD"] + "$")
    assert Browser(app).login_page("wang").status_code == 302


@pytest.mark.once
def test_passwords_are_hashed_at_owasp_strength(tmp_path):
    """The tests run with a cheap hash; an installation does not."""
    import os
    import subprocess
    import sys

    environment = {k: v for k, v in os.environ.items() if not k.startswith("LIUKE_")} | {"LIUKE_VAR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", "import config; print(config.Config.FAB_PASSWORD_HASH_METHOD)"],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip

    method, n, r, p = done.stdout.strip().split(":")
    assert (method, int(n) >= 2**15, int(r), int(p) >= 3) == ("scrypt", True, 8, True)


@pytest.mark.once
def test_the_key_of_the_cookies_is_made_once_and_only_its_owner_reads_it(tmp_path):
    from config import secret_key

    var = tmp_path / "var"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SECRET_KEY", raising=False)
        first = secret_key(var)
        assert secret_key(var) == first
    assert len(first) >= 32
    assert (var / "secret_key").stat().st_mode & 0o777 == 0o600


def test_the_page_is_never_stored(client, db):
    answer = client.get("/login/")

    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_login_without_the_token_of_the_form_is_refused(client, wang):
    answer = client.post("/login/", {"username": "wang", "password": PASSWORD}, csrf=False)

    assert answer.status_code == 400
    assert rows(UserSession) == []


def test_whoever_is_signed_in_is_led_on_by_the_login_page(sign_in, wang):
    assert sign_in(wang).get("/login/").location == "/"
    assert sign_in(wang).get("/login/?next=/profile/").location == "/profile/"


def test_the_language_is_the_one_of_the_profile(client, db, wang):
    db.session.get(UserProfile, wang.id).language = "zh"
    db.session.commit()

    client.login_page("wang")

    assert 'lang="zh-CN"' in client.get("/profile/").get_data(as_text=True)


def test_the_language_chosen_on_the_login_page_stays_without_one_in_the_profile(client, wang):
    client.speak("zh")

    client.login_page("wang")

    assert 'lang="zh-CN"' in client.get("/profile/").get_data(as_text=True)


def test_the_login_page_after_logout_speaks_the_language_of_before(client, db, wang):
    db.session.get(UserProfile, wang.id).language = "zh"
    db.session.commit()
    client.login_page("wang")

    client.post("/logout/")

    assert 'lang="zh-CN"' in client.get("/login/").get_data(as_text=True)
    assert [entry.result for entry in rows(LoginEntry)] == [LoginResult.success, LoginResult.logout]


# -- back to the page asked for -------------------------------------------------------------------------------------


def test_after_the_login_the_page_asked_for_opens(client, wang):
    asked = client.get("/profile/phone?from=here&name=%E7%8E%8B")
    assert asked.status_code == 302

    answer = client.post(asked.location, {"username": "wang", "password": PASSWORD})

    assert answer.location == "/profile/phone?from=here&name=%E7%8E%8B"


def test_a_form_posted_too_late_comes_back_to_the_page_it_stands_on(client, wang):
    answer = client.post("/preferences/theme", {}, headers={"Referer": "http://localhost/users/list/?page_UserView=2"})
    assert answer.status_code == 302  # open to all

    answer = client.post("/profile/phone", {"phone": "12345"}, headers={"Referer": "http://localhost/users/list/?a=2"})

    assert answer.location == "/login/?next=" + quote("/users/list/?a=2", safe="/?")


EVIL = [
    "http://evil.com", "https://evil.com/x", "//evil.com", "///evil.com", "////evil.com/x", "/\\evil.com",
    "\\\\evil.com", "\\/evil.com", "/\t/evil.com", "/\n/evil.com", "\t//evil.com", " //evil.com", "/\r\n/evil.com",
    "javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "http:evil.com", "https:///evil.com",
    "http:/evil.com", "evil.com", "//evil.com/%2f..", "/%09\\evil.com", "http://localhost@evil.com",
    "//localhost@evil.com", "http://[::1", "/x\x00", "?next=//evil.com", "#//evil.com", "", "/login/", "/logout/",
    "/login/?next=//evil.com", "http://localhost.evil.com", "/\x7f/evil.com", "../evil", "ftp://evil.com/",
    "mailto:a@evil.com", "/\\/evil.com", "//evil%E3%80%82com", "/ /evil.com",
]  # fmt: skip


@pytest.mark.parametrize("target", EVIL)
def test_no_address_outside_is_led_to(client, wang, target):
    assert len(set(EVIL)) == 40
    answer = client.post("/login/?next=" + quote(target, safe=""), {"username": "wang", "password": PASSWORD})

    assert answer.status_code == 302
    assert answer.location == "/"


def test_a_forged_host_leads_nowhere(app, client, wang):
    host = {"base_url": "http://evil.com"}
    answer = client.post(
        "/login/?next=http://evil.com/x", {"username": "wang", "password": PASSWORD}, csrf=False, **host
    )
    assert "evil.com" not in answer.headers.get("Location", "")

    asked = client.get("/profile/", **host)

    assert asked.location == "/login/?next=/profile/"


def test_unknown_hosts_can_be_refused(client, app):
    app.config["TRUSTED_HOSTS"] = ["crm.example.com"]

    assert client.get("/login/", base_url="http://evil.com").status_code == 400
    assert client.get("/login/", base_url="http://crm.example.com").status_code == 200


# -- nothing without a login ----------------------------------------------------------------------------------------


def test_whoever_is_not_signed_in_reads_no_scolding(client, db):
    page = client.get("/users/list/", follow_redirects=True)

    assert "Access is Denied" not in text_of(page)
    assert "Use your company account" in text_of(page)


@pytest.mark.parametrize(
    "headers",
    [
        {"HX-Request": "true", "HX-Current-URL": "http://localhost/users/list/"},
        {"Accept": "application/json"},
        {"X-Requested-With": "XMLHttpRequest"},
        {"Sec-Fetch-Dest": "empty", "Accept": "*/*"},
        {"Content-Type": "application/json"},
    ],
)
def test_scripts_get_401_in_json_when_the_session_is_over(client, headers, db):
    answer = client.get("/users/list/", headers=headers)

    assert answer.status_code == 401
    assert answer.json["error"]
    assert answer.json["login"].startswith("/login/")
    assert answer.headers["HX-Redirect"] == answer.json["login"]


@pytest.mark.parametrize("referrer", ["http://[::1", "http://evil.com/users/", "nonsense", "", "//localhost//evil.com"])
def test_a_strange_referrer_leads_nowhere(client, db, referrer):
    answer = client.post("/profile/phone", {"phone": "12345"}, headers={"Referer": referrer})

    assert answer.location == "/login/"


def test_a_fragment_that_comes_too_late_leads_back_to_its_page(client, db):
    headers = {"HX-Request": "true", "HX-Current-URL": "http://localhost/users/list/?role=1"}
    assert client.get("/profile/", headers=headers).json["login"] == "/login/?next=/users/list/?role%3D1"

    headers["HX-Current-URL"] = "http://evil.com/users/list/"
    assert client.get("/profile/", headers=headers).json["login"] == "/login/"


@pytest.mark.parametrize(
    "path",
    ["//users/list/", "/%75sers/list/", "/users/list/.", "/users/./list/", "/static/../users/list/", "/USERS/LIST/",
     "/users/list/;x", "/users//list/", "/users/list", "/users/list/%00"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_no_spelling_of_an_address_is_a_way_in(client, admin, path, method):
    answer = client.flask.open(path, method=method)

    assert answer.status_code in (302, 308, 400, 404, 405) or (method == "OPTIONS" and not answer.data)
    assert "周毅" not in answer.get_data(as_text=True)


# -- how often ------------------------------------------------------------------------------------------------------


def fail(browser, name="wang", **options):
    return browser.post("/login/", {"username": name, "password": "wrong password"}, **options).status_code


def test_the_eleventh_bad_login_is_not_tried(client, wang):
    assert [fail(client) for _try in range(10)] == [422] * 10

    answer = client.login_page("wang")

    assert answer.status_code == 429
    assert "Too many tries" in text_of(answer)
    assert 'class="code"' in answer.get_data(as_text=True)
    assert len(rows(LoginEntry)) == 10


@pytest.mark.parametrize(("limit", "most"), [("1 per 5 minutes", 300), ("1 per minute", 60)])
def test_whoever_tried_too_often_is_told_how_long_to_wait(app, client, wang, limit, most):
    app.config["LIUKE_LOGIN_LIMIT"] = limit
    assert [fail(client) for _try in range(2)] == [422, 429]

    answer = client.login_page("wang")

    assert answer.status_code == 429
    wait = int(answer.headers["Retry-After"])
    assert most - 30 <= wait <= most
    minutes = -(-wait // 60)
    assert f"Wait {minutes} minute{'s' if minutes > 1 else ''}, then try again." in text_of(answer)


def test_neither_another_account_nor_another_address_is_hindered(client, wang, zhao, app):
    for _try in range(11):
        fail(client)

    assert client.login_page("zhao").status_code == 302
    elsewhere = Browser(app).post(
        "/login/", {"username": "wang", "password": PASSWORD}, environ_base={"REMOTE_ADDR": "10.0.0.9"}
    )
    assert elsewhere.status_code == 302


def test_the_same_account_in_other_letters_is_the_same_account(client, wang):
    for name in ("wang", "WANG", "Wang", " wang ", "wAnG") * 2:
        fail(client, name)

    assert fail(client, "wanG") == 429


def test_good_logins_are_not_counted(client, wang):
    for _try in range(12):
        assert client.login_page("wang").status_code == 302


def test_one_address_may_not_try_many_accounts(app, client, wang):
    app.config["LIUKE_LOGIN_LIMIT_PER_ADDRESS"] = "5 per 5 minutes"

    assert [fail(client, f"name{n}") for n in range(6)] == [422] * 5 + [429]
    assert fail(client, "wang") == 429


def test_the_limit_is_a_setting(app, client, wang):
    app.config["LIUKE_LOGIN_LIMIT"] = "2 per minute"

    assert [fail(client) for _try in range(3)] == [422, 422, 429]


def test_an_address_cannot_be_forged_by_a_header(client, wang):
    for number in range(10):
        fail(client, headers={"X-Forwarded-For": f"10.1.1.{number}"})

    assert fail(client, headers={"X-Forwarded-For": "10.2.2.2"}) == 429


def test_without_redis_the_login_works_counts_in_memory_and_says_so(app, wang, db, world, caplog, tmp_path):
    from app import create_app

    world.everything = True
    alone = create_app(TESTING=True, RATELIMIT_STORAGE_URI=None, REDIS_URL=f"unix://{tmp_path}/no-redis.sock?db=0")
    browser = Browser(alone)
    with caplog.at_level(logging.WARNING):
        assert browser.login_page("wang").status_code == 302

    assert "storage unreachable" in caplog.text
    other = Browser(alone)
    assert [fail(other, "zhao") for _try in range(11)] == [422] * 10 + [429]
    with alone.app_context():
        db.engine.dispose()


def test_with_redis_the_nodes_count_together(app, wang, db, world, redis):
    from app import create_app

    world.everything = True
    nodes = [create_app(TESTING=True, RATELIMIT_STORAGE_URI=None) for _node in range(2)]
    browsers = [Browser(node) for node in nodes]

    assert [fail(browsers[n % 2]) for n in range(10)] == [422] * 10
    assert [fail(browser) for browser in browsers] == [429, 429]
    assert [key for key in redis.scan_iter("*") if b"wang" in key] == []
    for node in nodes:
        with node.app_context():
            db.engine.dispose()


def test_the_accounts_of_the_demo_company_stand_on_its_login_page_only(app, client, db, monkeypatch):
    assert "wangxiaowen" not in text_of(client.get("/login/"))
    monkeypatch.setitem(app.extensions, "liuke_demo", lambda: True)

    text = text_of(client.get("/login/"))

    assert "wangxiaowen Account manager" in text
    assert "password: bright-lantern-28" in text
