"""No way around the sign-in: no other spelling of an address, no method, no header, no cookie but the right one."""

from __future__ import annotations

import random
from urllib.parse import unquote, urlsplit

import pytest
from werkzeug.middleware.proxy_fix import ProxyFix

from tests import builders
from tests.conformance.house import is_public, routes
from tests.support import Browser

pytestmark = pytest.mark.once

SEEN_BY_NOBODY = "绝密客户有限公司"
SPELLINGS = {
    "as it is": lambda path: path,
    "two slashes before": lambda path: f"/{path}",
    "three slashes before": lambda path: f"//{path}",
    "two slashes inside": lambda path: path[0] + path[1:].replace("/", "//", 1),
    "two slashes at the end": lambda path: f"{path}/",
    "no slash at the end": lambda path: path.rstrip("/"),
    "a letter in code": lambda path: path[0] + f"%{ord(path[1]):02X}" + path[2:],
    "a letter twice in code": lambda path: path[0] + f"%25{ord(path[1]):02X}" + path[2:],
    "every letter in code": lambda path: "".join(c if c == "/" else f"%{ord(c):02x}" for c in path),
    "slashes in code": lambda path: path[0] + path[1:].replace("/", "%2F"),
    "capitals": lambda path: path.upper(),
    "a dot behind": lambda path: f"{path}.",
    "a dot before the last slash": lambda path: f"{path.rstrip('/')}./",
    "dots behind": lambda path: f"{path}...",
    "here": lambda path: f"/.{path}",
    "there and back": lambda path: f"/static/..{path}",
    "there and back in code": lambda path: f"/static/%2e%2e{path}",
    "from the page for all": lambda path: f"/login/..{path}",
    "a parameter of the path": lambda path: f"/login;{path}",
    "a file's ending": lambda path: f"{path.rstrip('/')}.css",
    "a blank behind": lambda path: f"{path}%20",
    "a zero behind": lambda path: f"{path}%00",
    "a question mark in code": lambda path: f"{path}%3f/static/css/liuke.css",
    "a number sign in code": lambda path: f"/login/%23{path}",
    "backslashes": lambda path: path.replace("/", "\\"),
    "a whole address": lambda path: f"http://localhost{path}",
}
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PROPFIND", "TRACE", "get")
HEADERS = [
    *({name: value} for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")
      for value in ("GET", "HEAD", "OPTIONS", "DELETE")),
    *({name: value} for name in ("X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Path", "X-Forwarded-Uri")
      for value in ("/login/", "/static/css/liuke.css", "/healthz")),
    *({name: value} for name in ("X-Forwarded-For", "X-Real-IP", "X-Client-IP", "X-Originating-IP", "Forwarded")
      for value in ("127.0.0.1", "::1", "for=127.0.0.1;host=localhost")),
    {"X-Forwarded-Host": "localhost"}, {"X-Forwarded-Host": "127.0.0.1:5000"}, {"X-Forwarded-Proto": "https"},
    {"X-Forwarded-Prefix": "/login"}, {"X-Forwarded-Prefix": "/static"}, {"X-Forwarded-Port": "443"},
    {"X-Forwarded-Server": "localhost"}, {"X-Forwarded-User": "admin"}, {"Referer": "http://localhost/customers/list/"},
    {"X-Script-Name": "/login"}, {"X-Custom-IP-Authorization": "127.0.0.1"},
]  # fmt: skip


@pytest.fixture
def closed(app, db, wang):
    """The addresses without placeholders that ask for a right or a session, with rows to be seen on them."""
    builders.customer(name=SEEN_BY_NOBODY, owner=wang)
    db.session.commit()
    found = [route.url for route in routes(app) if not is_public(route) and "<" not in route.url]
    assert len(set(found)) > 80
    assert "/customers/list/" in found
    return sorted(set(found))


def ask(browser, path, method="GET", **more):
    """Ask for `path` as it stands in the request; a server decodes it once."""
    there = {"PATH_INFO": unquote(path).encode().decode("latin-1")}
    return browser._open(method, "/", environ_overrides=there, **more)


def leads_in(answer):
    """Whether this answer shows, does or opens anything to whoever is not signed in."""
    if answer.status_code in (301, 302, 308):
        parts = urlsplit(answer.location)
        return parts.netloc not in ("", "localhost") or (answer.status_code == 302 and parts.path != "/login/")
    return answer.status_code not in (400, 401, 404, 405) or SEEN_BY_NOBODY in answer.get_data(as_text=True)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_other_spelling_of_an_address_leads_in(client, closed, spelling):
    wrong = [path for url in closed if leads_in(ask(client, path := SPELLINGS[spelling](url)))]
    assert wrong == []


@pytest.mark.parametrize("method", METHODS)
def test_no_method_leads_in(client, closed, method):
    assert [url for url in closed if leads_in(ask(client, url, method, headers={"Accept": "text/html"}))] == []


@pytest.mark.parametrize("proxies", [0, 1])
def test_no_header_leads_in(app, client, closed, monkeypatch, proxies):
    """Neither to the page that it names, nor as whom it says; also where one proxy is believed."""
    if proxies:
        monkeypatch.setattr(app, "wsgi_app", ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1))
    some = [*closed[::8], "/customers/list/"]
    wrong = [(headers, url) for headers in HEADERS for url in some if leads_in(ask(client, url, headers=headers))]
    assert wrong == []
    for name in ("X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Path", "X-Forwarded-Uri"):
        answer = ask(client, "/login/", headers={name: "/customers/list/"})
        assert (answer.status_code, SEEN_BY_NOBODY in answer.get_data(as_text=True)) == (200, False)


def test_of_a_thousand_cookies_with_one_bit_flipped_none_is_signed_in(app, client, wang):
    client.login_page("wang")
    right = client.flask.get_cookie("liuke").value.encode()
    # The last character of a signature has two bits more than the signature: flipped, it is the same one.
    bits = range(len(right) * 8 - 2 * (len(right.rpartition(b".")[2]) % 4 == 3))

    def status(cookie):
        sent = {"HTTP_COOKIE": f"liuke={cookie.decode('latin-1')}"}
        browser = Browser(app)
        browser.flask = app.test_client(use_cookies=False)  # what stands in the header alone
        return browser.get("/profile/", environ_overrides=sent).status_code

    assert status(right) == 200
    seen = []
    for bit in random.Random(13).sample(bits, 1000):
        place, which = divmod(bit, 8)
        flipped = bytearray(right)
        flipped[place] ^= 0x80 >> which
        seen.append(status(bytes(flipped)))
    assert (len(seen), set(seen)) == (1000, {302})
    assert status(right) == 200


def test_these_tests_see_who_is_let_in(sign_in, wang, closed):
    """So many ways; and asked by somebody who is signed in, they find the customer where they mean the page."""
    assert (len(SPELLINGS), len(METHODS), len(HEADERS) > 40) == (26, 9, True)
    browser = sign_in(wang)
    let_in = {name for name, spell in SPELLINGS.items() if leads_in(ask(browser, spell("/customers/list/")))}
    assert {"as it is", "a letter in code", "every letter in code", "slashes in code"} <= let_in
    assert all(leads_in(ask(browser, "/customers/list/", headers=headers)) for headers in HEADERS)
