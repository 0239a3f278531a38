"""The log: one line per event with the request it belongs to, and without secrets."""

from __future__ import annotations

import io
import json
import logging
import re

import pytest
import sqlalchemy as sa
from flask import Flask

from app.core import logs
from app.customers.views import CustomerView
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
    assert [line["path"] for line in told] == ["/login/link/***", "/calendar/***.ics"]
    with pytest.raises(sa.exc.OperationalError) as wrong:
        db.session.execute(sa.text("SELECT 1 FROM nowhere WHERE x = :x"), {"x": "13800138000"})
    assert "13800138000" not in str(wrong.value)


def test_what_stands_before_the_product_logs_no_secret_either(app):
    """gunicorn and nginx write whole addresses, and where a reader came from, unless they are told not to."""
    for file in (ROOT / "deploy").iterdir():
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
        re.compile(address)
        for address, inside in re.findall(r"location ~ (\S+) \{([^}]+)\}", served)
        if "access_log off;" in inside
    ]
    secret = [rule.rule for rule in app.url_map.iter_rules() if set(logs.SECRET_ARGUMENTS) & rule.arguments]
    assert len(secret) == 2
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
