"""The log: one line per event with the request it belongs to, and without secrets."""

from __future__ import annotations

import io
import json
import logging
import re
from pathlib import Path
from urllib.parse import unquote

import pytest
import sqlalchemy as sa
from flask import Flask

from app.core import logs
from app.core.logs import SECRET_PATH
from app.customers.views import CustomerView
from app.security.door import open_to_all
from tests.support import text_of
from tests.world import ROOT

pytestmark = pytest.mark.once


@pytest.fixture
def lines(app):
    """`lines()`: what was written as JSON lines since the last time. The log is put back afterwards."""
    root, stream, kept = logging.getLogger(), io.StringIO(), logging.getLogger().handlers[:]
    level, ours = root.level, logs.REQUESTS.level
    for handler in kept:
        root.removeHandler(handler)  # else they would be closed
    logs.write_lines(stream)

    def read():
        found = [json.loads(line) for line in stream.getvalue().splitlines()]
        stream.seek(0)
        stream.truncate()
        return found

    yield read
    root.handlers[:] = kept
    root.setLevel(level)
    logs.REQUESTS.setLevel(ours)


def test_every_request_is_a_line_with_its_number_and_its_reader(lines, sign_in, client, li):
    answer = sign_in(li).get("/customers/list/?_flt_0_name=机密")
    (line,) = lines()
    assert line["request"] == answer.headers["X-Request-ID"]
    assert {**line, "ms": 1, "at": ""} == {
        "at": "", "level": "INFO", "logger": "liuke.requests", "message": "request", "request": line["request"],
        "user": li.id, "method": "GET", "path": "/customers/list/", "status": 200, "ms": 1,
        "bytes": len(answer.get_data()),
    }  # fmt: skip
    assert line["at"].endswith("+00:00")
    assert client.get("/login/").headers["X-Request-ID"] != line["request"]
    assert [found["user"] for found in lines()] == ["-"]


def test_an_error_carries_the_number_that_its_page_shows(lines, app, sign_in, li, monkeypatch):
    def fails(_view):
        raise RuntimeError("no connection to postgresql://liuke:geheim@db/liuke")

    monkeypatch.setattr(CustomerView, "list_page", fails)
    app.config["TESTING"] = False
    answer = sign_in(li).get("/customers/list/")
    error, line = lines()
    number = answer.headers["X-Request-ID"]
    assert number in text_of(answer)
    assert (error["request"], line["request"], line["status"]) == (number, number, 500)
    assert "RuntimeError" in error["error"]
    assert "postgresql://liuke:***@db/liuke" in error["error"]
    assert "geheim" not in json.dumps([error, line])


def test_no_line_holds_what_a_statement_was_given_or_a_mailed_link(lines, app, client, db):
    client.get("/login/link/abcdefghijklmnop")
    client.get("/calendar/abcdefghijklmnop.ics")
    told = lines()
    assert [line["path"] for line in told] == ["/login/link/***", "/calendar/***"]
    with pytest.raises(sa.exc.OperationalError) as wrong:
        db.session.execute(sa.text("SELECT 1 FROM nowhere WHERE x = :x"), {"x": "13800138000"})
    assert "13800138000" not in str(wrong.value)


def test_only_addresses_that_hold_a_secret_are_masked(app):
    masked = {rule.rule for rule in app.url_map.iter_rules() if SECRET_PATH.search(rule.rule)}
    assert masked == {"/login/link/<token>", "/calendar/<token>.ics"}


TOKEN = "s3cr3t-Abcdefghijklmnopqrstuvwxyz_0123456789"
ASKED = [
    (method, path.replace("*", TOKEN))
    for path in (
        "/login/link/*", "/login/link/*/", "/login/link/*/x", "/login/link//*", "//login//link/*", "/LOGIN/Link/*",
        "/login/link/%20*", "/login/link/*%0A*", "/login/link/x/*", "/login%2Flink/*", "/login%252Flink%252F*",
        "/calendar/*.ics", "/calendar/*.ICS", "/calendar/*", "/calendar/*.ics/", "/calendar/*.ics.", "/calendar//*.ics",
        "//calendar/*.ics", "/Calendar/*.ics", "/calendar/%22*%22", "/crm/calendar/*.ics",
    )
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND", "REPORT")
]  # fmt: skip


def test_no_secret_of_an_address_is_written_whatever_comes_of_it(lines, app):
    """Also where no route knows the address or the method, and where the answer leads elsewhere."""
    ask, statuses = app.test_client(), set()
    for method, path in ASKED:
        answer = ask.open("/", method=method, environ_overrides={"PATH_INFO": unquote(path)})  # as a server gives it
        written = lines()
        assert [line["message"] for line in written] == ["request"], (method, path)
        assert TOKEN not in json.dumps(written), (method, path)
        assert "***" in written[0]["path"]
        statuses.add(answer.status_code)
    assert statuses >= {308, 400, 404, 405}


@pytest.mark.parametrize("name", ["gunicorn.error", "gunicorn.access", "werkzeug", "app", "urllib3"])
def test_what_others_write_about_an_address_has_no_secret_either(app, name):
    """As text, with a formatter of theirs: gunicorn names the address of a request that it could not answer."""
    stream = io.StringIO()
    handler, log = logging.StreamHandler(stream), logging.getLogger(name)
    handler.setFormatter(logging.Formatter("%(asctime)s [%(levelname)s] %(message)s"))
    log.addHandler(handler)
    try:
        for method, path in ASKED:
            log.error("Error handling request %s %s", method, path)
            log.error('127.0.0.1 - - "%s %s HTTP/1.1" 500 -', method, path)
            whole = f"Invalid request from ip=127.0.0.1: Invalid HTTP request line: '{method} {path} HTTP/x'"
            log.error(whole)
    finally:
        log.removeHandler(handler)
    written = stream.getvalue()
    assert written.count("\n") == written.count("***") == 3 * len(ASKED)
    assert TOKEN not in written
    assert len(ASKED) == 168


def test_an_error_about_such_an_address_is_written_without_its_secret(lines, app, monkeypatch):
    @open_to_all
    def fails(token):
        raise RuntimeError(f"no answer from /calendar/{TOKEN}.ics")

    monkeypatch.setitem(app.view_functions, "calendar_feed", fails)
    app.config["TESTING"] = False
    assert app.test_client().get(f"/calendar/{TOKEN}.ics").status_code == 500
    error, line = lines()
    assert "RuntimeError" in error["error"]
    assert TOKEN not in json.dumps([error, line])


def test_what_stands_before_the_product_logs_no_secret_either(app):
    """gunicorn and nginx write whole addresses, and where a reader came from, unless they are told not to."""
    for file in filter(Path.is_file, (ROOT / "deploy").iterdir()):
        assert "access-logfile" not in file.read_text()
        assert "accesslog" not in file.read_text()
    nginx = (ROOT / "deploy" / "nginx.conf.example").read_text()
    plain, served = (nginx[found.start() :] for found in re.finditer(r"^server \{", nginx, re.MULTILINE))
    assert "access_log off;" in plain.removesuffix(served)
    (kept,) = re.findall(r"log_format liuke (.+);", nginx)
    assert re.findall(r"\$(?:request|request_uri|args|query_string|http_referer|http_cookie|arg_\w+)\b", kept) == []
    assert re.findall(r"(?<=\n    )access_log [^;]+ (\w+);", served) == ["liuke"]
    assert re.findall(r"error_log \S+ (\w+);", served) == ["crit"]  # an error's line has the whole request
    unlogged = [
        re.compile(address, re.IGNORECASE)
        for address, inside in re.findall(r"location ~\* (\S+) \{([^}]+)\}", served)
        if "access_log off;" in inside
    ]
    secret = [rule.rule for rule in app.url_map.iter_rules() if "token" in rule.arguments]
    assert len(secret) == 2
    assert [rule for rule in secret if not logs.SECRET_PATH.match(rule)] == []
    assert [rule for rule in secret if not any(found.match(rule) for found in unlogged)] == []


def test_without_the_setting_nothing_is_written_for_a_request(sign_in, li, caplog):
    assert sign_in(li).get("/customers/list/").status_code == 200
    assert caplog.records == []


def test_a_job_has_no_request_and_goes_on_where_it_began(lines):
    job = Flask("job")
    job.config["LIUKE_LOG"] = "json"
    logs.install(job)
    logging.getLogger("jobs").warning("late")
    (line,) = lines()
    assert {**line, "at": ""} == {"at": "", "level": "WARNING", "logger": "jobs", "message": "late"}
