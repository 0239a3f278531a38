"""What every answer carries, what leads nowhere, and what no question can ask for: of every address there is."""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit

import flask.templating
import pytest
import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import User

from app.reports import catalogue
from tests.conformance import company
from tests.conformance.attacks import ELSEWHERE, HOSTS, QUERIES
from tests.conformance.house import routes, screens
from tests.conformance.test_reading import addresses, contents
from tests.conformance.test_rights import filled
from tests.support import PASSWORD, statements
from tests.world import ROOT

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; ",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=()",
    "Cache-Control": "no-store",
}


@pytest.fixture
def bare(monkeypatch):
    """Pages that say how many rows they would show, and nothing else: a tenth of their time."""

    def render(_app, _template, context):
        rows = context.get("rows")
        return f"{len(rows)} rows" if isinstance(rows, list) else "a page"

    monkeypatch.setattr(flask.templating, "_render", render)


def test_every_page_carries_the_headers_and_no_cookie_is_for_scripts(app, db, bare, li, wang, sign_in, admin, client):
    company.fill(lead=li, manager=wang)
    ids, wrong, pages = company.first_ids(screens(app)), [], 0
    for browser in (sign_in(admin), client):
        for url in addresses(app, ids):
            answer = browser.get(url)
            pages += answer.mimetype == "text/html"
            wrong += [
                f"{url}: {name}"
                for name, value in HEADERS.items()
                if not answer.headers.get(name, "").startswith(value)
            ]
            for cookie in answer.headers.getlist("Set-Cookie"):
                if "HttpOnly" not in cookie or "SameSite=Lax" not in cookie:
                    wrong.append(f"{url}: {cookie}")
            if "unsafe" in answer.headers["Content-Security-Policy"] or "Server" in answer.headers:
                wrong.append(f"{url}: {dict(answer.headers)}")
    assert wrong == []
    assert pages > 300


@pytest.mark.parametrize(
    ("method", "url", "status"),
    [
        ("GET", "/static/nothing.css", 404), ("GET", "/static/css/", 404), ("GET", "/static/..%2f..%2fconfig.py", 404),
        ("POST", "/static/css/liuke.css", 405), ("PROPFIND", "/static/css/liuke.css", 405),
        ("GET", "/static/appbuilder/nothing.css", 404),
    ],
)  # fmt: skip
def test_an_error_where_files_lie_is_kept_nowhere_either(client, method, url, status):
    answer = client.flask.open(url, method=method)
    assert answer.status_code == status
    assert [name for name, value in HEADERS.items() if not answer.headers.get(name, "").startswith(value)] == []


@pytest.mark.once
def test_nginx_hands_files_out_with_the_headers_of_the_product(app, client):
    app.config["LIUKE_HTTPS"] = True
    answer = client.get("/static/img/icons.svg", buffered=True)
    (inside,) = re.findall(r"location /static/ \{([^}]+)\}", (ROOT / "deploy" / "nginx.conf.example").read_text())
    said = dict(re.findall(r'add_header (\S+) "?([^"]+?)"? always;', inside))
    assert len(said) == inside.count("add_header") == 6
    assert {**answer.headers, **said} == dict(answer.headers)
    assert {*HEADERS, "Strict-Transport-Security"} - {"Cache-Control"} == set(said)
    assert (answer.headers["Cache-Control"], "expires 1y;" in inside) == ("public, max-age=31536000", True)


def test_over_https_cookies_and_pages_stay_there(app, client, wang):
    app.config.update(LIUKE_HTTPS=True, SESSION_COOKIE_SECURE=True, SESSION_COOKIE_NAME="__Host-liuke")
    answer = client.post(
        "/login/", {"username": "wang", "password": PASSWORD}, base_url="https://localhost",
        headers={"Referer": "https://localhost/login/"}, csrf=False,
    )  # fmt: skip
    page = client.get("/login/", base_url="https://localhost")
    assert "max-age=31536000" in page.headers["Strict-Transport-Security"]
    cookies = [*answer.headers.getlist("Set-Cookie"), *page.headers.getlist("Set-Cookie")]
    assert cookies
    for cookie in cookies:
        assert cookie.startswith("__Host-liuke=")
        assert all(word in cookie for word in ("Secure", "HttpOnly", "Path=/", "SameSite=Lax"))
        assert "Domain" not in cookie


def test_no_form_without_its_token_changes_a_row(app, db, li, wang, sign_in, admin):
    company.fill(lead=li, manager=wang)
    browser, asked = sign_in(admin), 0
    browser.csrf_token()
    before = contents(db)
    for route in routes(app):
        if "POST" in route.methods:
            for token in (None, "forged"):
                sent = {} if token is None else {"csrf_token": token}
                assert browser.post(filled(route.url), sent, csrf=False).status_code == 400, route.url
                asked += 1
    after = contents(db)
    assert [name for name in before if before[name] != after[name]] == []
    assert asked > 200


def test_forty_addresses_elsewhere_are_led_to_by_nothing(app, db, bare, sign_in, wang):
    browser, led = sign_in(wang), []
    assert len(set(ELSEWHERE)) == 40
    for target in ELSEWHERE:
        plain = "".join(character for character in target if character >= " ")
        led += [
            browser.post("/preferences/theme", {"theme": "dark", "next": target}).location,
            browser.post("/confirm/", {"password": PASSWORD}, query_string={"next": target}).location,
            browser.post("/preferences/language", {"language": "en"}, query_string={"next": target}).location,
            browser.post(
                "/profile/phone", {"phone": "12345"}, headers={"Referer": plain.encode().decode("latin-1")}
            ).location,
            browser.get("/login/", query_string={"next": target}).location,
        ]
    assert len(led) == 5 * 40
    assert [to for to in led if to is None or urlsplit(urljoin("http://localhost/", to)).netloc != "localhost"] == []
    assert [to for to in led if to.startswith(("//", "/\\"))] == []


def test_hosts_that_are_not_ours_are_refused_or_named_by_nothing(app, db, client):
    for ours in (None, ["crm.example.com"]):
        app.config["TRUSTED_HOSTS"] = ours
        for host in HOSTS:
            for headers in ({"Host": host}, {"X-Forwarded-Host": host}, {"X-Host": host, "Forwarded": f"host={host}"}):
                answer = client.get("/profile/", headers=headers)
                assert (
                    answer.status_code in ((302,) if ours is None else (302, 400))
                    or not host
                    or answer.status_code == 400
                )
                assert (answer.location or "/login/").startswith("/login/")
                assert "evil" not in answer.get_data(as_text=True).replace("next=", "") or answer.status_code == 400


# -- what a question can ask for ------------------------------------------------------------------------------------


def asked_with(app, turn):
    """Every list, choice and report, each of its arguments five of the texts; for no turn: with a word nobody uses."""

    def text(place):
        return (
            "qzqzqz" if turn is None else " ".join(QUERIES[((turn + place) * 5 + n) % len(QUERIES)] for n in range(5))
        )

    for view in screens(app):
        name, given = type(view).__name__, {}
        for place, column in enumerate(view.search_columns):
            given.update({f"_flt_{operator}_{column}": text(place * 3 + operator) for operator in (0, 1, 2)})
        if "list" not in view.exclude_route_methods:
            yield f"{view.route_base}/list/", given
            rest = ("_oc_" + name, "_od_" + name, "page_" + name, "psize_" + name, "count", "tab", "q", "nothing")
            yield f"{view.route_base}/list/", {key: text(place) for place, key in enumerate(rest)}
        relations = [c for c in view.search_columns if hasattr(getattr(view.datamodel.obj, c, None), "property")]
        for column in [c for c in relations if hasattr(getattr(view.datamodel.obj, c).property, "mapper")][:1]:
            yield f"{view.route_base}/lookup/{column}", {"q": text(1), "page": text(2), "filter": text(3)}
    for report in catalogue.REPORTS:
        filters = [one.key for one in report.filters]
        keys = ("period", "start", "end", "team", "page", "sort", "line", "column", *filters)
        yield f"/reports/{report.id}/", {key: text(place) for place, key in enumerate(keys)}
        yield f"/reports/{report.id}/rows", {key: text(place) for place, key in enumerate(keys)}


def test_forty_texts_in_every_argument_reach_no_statement_and_find_no_row_more(app, db, bare, li, wang, sign_in, admin):
    company.fill(lead=li, manager=wang, size=2)
    browser, wrong, asked = sign_in(admin), [], 0
    with statements(app) as ours:
        usual = [browser.get(url, query_string=given) for url, given in asked_with(app, None)]
    plain = "\n".join(ours)
    assert len(set(QUERIES)) == 40
    telling = [text for text in QUERIES if len(text) > 5 and text not in plain]
    counted = {(place, a.status_code): a.get_data(as_text=True) for place, a in enumerate(usual)}
    for turn in range(len(QUERIES) // 5):
        with statements(app) as seen:
            for place, (url, given) in enumerate(asked_with(app, turn)):
                answer, asked = browser.get(url, query_string=given), asked + len(given)
                body = answer.get_data(as_text=True)
                if answer.status_code >= 500:
                    wrong.append(f"{url} {given}: {answer.status_code}")
                if body.endswith(" rows") and body != counted.get((place, answer.status_code), body):
                    wrong.append(f"{url} {given}: {body} instead of {counted[place, answer.status_code]}")
        said = "\n".join(seen)
        wrong += [text for text in telling if text in said]
    assert len(telling) > 20
    assert wrong == []
    assert asked > 5_000
    assert db.session.query(User).count() >= 6


def test_no_list_is_filtered_or_ordered_by_what_it_does_not_offer(app, db, bare, li, wang, sign_in, admin):
    """Neither by a column of its records nor by one of what they refer to: the statements stay the same."""
    company.fill(lead=li, manager=wang)
    browser = sign_in(admin)

    def asked(url, table):
        with statements(app) as said:
            assert browser.get(url).status_code == 200, url
        return {one for one in said if re.search(rf"\bFROM {table}\b", one)}

    wrong, hidden, offered = [], 0, 0
    for view in screens(app):
        if "list" in view.exclude_route_methods:
            continue
        model, name, address = view.datamodel.obj, type(view).__name__, f"{view.route_base}/list/"
        mapper, table = sa.inspect(model), model.__tablename__
        asked(address, table)  # what is remembered between two requests is remembered now
        plain = asked(address, table)
        ordered = {*view.order_columns, *view.order_by}
        names = [column.key for column in mapper.column_attrs]
        for relation in mapper.relationships:
            names += [relation.key, *(f"{relation.key}.{c.key}" for c in relation.mapper.column_attrs)]
        for column in names:
            for open_to, query in (
                (column in view.search_columns, f"_flt_0_{column}=1"),
                (column in ordered, f"_oc_{name}={column}&_od_{name}=desc"),
            ):
                same = asked(f"{address}?{query}", table) == plain
                hidden += not open_to
                offered += open_to and not same
                if not same and not open_to:
                    wrong.append(f"{address}?{query}")
    assert wrong == []
    assert hidden > 1000, hidden
    assert offered > 90, offered  # the difference would be seen
