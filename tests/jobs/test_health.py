"""/healthz tells a monitor what works and nothing else."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from app.core.clock import utcnow
from app.core.unit import unit_of_work
from app.desk.health import DOWN, LATE
from app.runs import demo as demo_guard
from app.runs.models import Installation, RunStatus
from app.runs.operations import beat, install
from tests import builders

PARTS = {"database", "redis", "worker", "scheduler", "churn_run", "mirror", "backup"}


@pytest.fixture
def all_well(db, redis):
    """Everything was seen just now."""
    now = utcnow()
    with unit_of_work():
        beat("worker", now)
        beat("scheduler", now)
    builders.job_run(status=RunStatus.done, finished_at=now)
    builders.job_run(job="backup", status=RunStatus.done, finished_at=now)
    builders.sync_run(finished_at=now)
    return now


def asked(client):
    answer = client.get("/healthz")
    return answer.status_code, answer.json


def test_it_needs_no_login_and_says_that_all_is_well(client, all_well):
    code, told = asked(client)

    assert (code, told["status"]) == (200, "ok")
    assert {name: part["state"] for name, part in told["parts"].items()} == dict.fromkeys(PARTS, "ok")
    assert all(0 <= part["age"] < 60 for part in told["parts"].values())


@pytest.mark.parametrize("part", ["worker", "scheduler"])
@pytest.mark.parametrize(
    ("age", "state"),
    [
        (LATE - timedelta(seconds=5), "ok"),
        (LATE + timedelta(seconds=1), "late"),
        (DOWN - timedelta(seconds=5), "late"),
        (DOWN + timedelta(seconds=1), "down"),
    ],
)
def test_a_silent_part_is_late_and_then_down_and_pages_stay_up(client, all_well, part, age, state):
    with unit_of_work():
        beat(part, utcnow() - age)

    code, told = asked(client)

    assert (code, told["status"]) == (200, "ok" if state == "ok" else "late")
    assert told["parts"][part]["state"] == state
    assert told["parts"][part]["age"] == pytest.approx(age.total_seconds(), abs=3)


@pytest.mark.parametrize(("days", "state"), [(0, "ok"), (7.9, "ok"), (8.1, "late")])
def test_a_new_company_has_eight_days_for_its_first_feed_and_scan(client, db, redis, days, state):
    db.session.execute(sa.update(Installation).values(created_at=utcnow() - timedelta(days=days)))

    code, told = asked(client)

    assert code == 200
    assert told["parts"]["worker"] == told["parts"]["scheduler"] == {"state": "down", "age": None}
    assert told["parts"]["churn_run"] == told["parts"]["mirror"] == {"state": state, "age": None}


def test_a_database_of_before_that_was_asked_is_late_without_a_feed(client, db, redis):
    db.session.execute(sa.delete(Installation))

    _code, told = asked(client)

    assert told["parts"]["churn_run"] == told["parts"]["mirror"] == {"state": "late", "age": None}


@pytest.mark.parametrize(("days", "state"), [(7.9, "ok"), (8.1, "late")])
def test_a_scan_and_a_feed_are_late_after_eight_days(client, db, redis, days, state):
    builders.job_run(status=RunStatus.done, finished_at=utcnow() - timedelta(days=days))
    builders.job_run(status=RunStatus.refused, finished_at=utcnow())
    builders.sync_run(finished_at=utcnow() - timedelta(days=days))

    _code, told = asked(client)

    assert (told["parts"]["churn_run"]["state"], told["parts"]["mirror"]["state"]) == (state, state)


@pytest.mark.parametrize(
    ("hours", "state"), [(25.9, "ok"), (26.1, "late"), (77.9, "late"), (78.1, "down")], ids=["ok", "1", "3", "4"]
)
def test_a_backup_is_late_after_a_night_and_down_after_three(client, db, redis, hours, state):
    long_ago, age = utcnow() - timedelta(days=9), timedelta(hours=hours)
    builders.job_run(job="backup", status=RunStatus.done, finished_at=long_ago, period="2026-01-01T01:30")
    builders.job_run(job="backup", status=RunStatus.done, finished_at=utcnow() - age)
    builders.job_run(job="backup", status=RunStatus.failed, finished_at=utcnow(), period="2026-01-02T01:30")

    _code, told = asked(client)

    assert told["parts"]["backup"]["state"] == state
    assert told["parts"]["backup"]["age"] == pytest.approx(age.total_seconds(), abs=3)


@pytest.mark.parametrize(("hours", "state"), [(25, "ok"), (27, "late"), (79, "down")])
def test_a_new_company_has_a_night_for_its_first_backup(client, db, redis, hours, state):
    db.session.execute(sa.update(Installation).values(created_at=utcnow() - timedelta(hours=hours)))

    assert asked(client)[1]["parts"]["backup"] == {"state": state, "age": None}


def test_without_redis_pages_work_and_it_says_so(app, client, all_well, monkeypatch):
    monkeypatch.setitem(app.config, "REDIS_URL", "unix:///nowhere/redis.sock?db=0")

    code, told = asked(client)

    assert (code, told["status"], told["parts"]["redis"]) == (200, "late", {"state": "down", "age": None})


def test_without_the_database_it_answers_503(client, db, all_well):
    def away(*_anything):
        raise OperationalError("SELECT 1", {}, Exception("could not connect to db.internal as liuke"))

    engine = db.engine
    sa.event.listen(engine, "before_cursor_execute", away)
    try:
        code, told = asked(client)
    finally:
        sa.event.remove(engine, "before_cursor_execute", away)

    assert (code, told["status"]) == (503, "down")
    assert told["parts"]["database"]["state"] == told["parts"]["worker"]["state"] == "down"
    assert told["parts"]["redis"]["state"] == "ok"
    assert "internal" not in json.dumps(told)
    assert asked(client)[0] == 200


def test_it_tells_nothing_but_states_and_ages(client, all_well):
    _code, told = asked(client)

    assert set(told) == {"status", "parts"}
    assert set(told["parts"]) == PARTS
    assert all(set(part) == {"state", "age"} for part in told["parts"].values())
    assert all(isinstance(part["age"], int) and part["state"] == "ok" for part in told["parts"].values())


# -- a demo is served on this machine only ------------------------------------------------------------------------


@pytest.fixture
def demo(app, db):
    """A database that holds the demo company."""
    with unit_of_work():
        install(demo=True, now=utcnow())
    app.extensions["liuke_demo"].forget()
    yield
    app.extensions["liuke_demo"].forget()


@pytest.mark.parametrize(
    ("caller", "host", "served"),
    [
        ("127.0.0.1", "localhost:5000", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("::1", "[::1]:5000", True),
        ("10.0.0.8", "localhost", False),  # from another machine, pretending
        ("127.0.0.1", "crm.example.com", False),  # by a proxy in front
        ("", "localhost", False),
    ],
)
def test_a_demo_is_served_on_this_machine_only(client, demo, caller, host, served):
    page = client.get("/login/", environ_base={"REMOTE_ADDR": caller}, headers={"Host": host})

    assert page.status_code == (200 if served else 403)
    if not served:
        assert "Demo data stays on this machine" in page.get_data(as_text=True)
        assert client.get("/healthz", environ_base={"REMOTE_ADDR": caller}).status_code == 200


@pytest.mark.parametrize(
    ("proxies", "said", "served"),
    [
        (0, {"X-Forwarded-For": "203.0.113.9"}, False),  # a proxy on this machine that asks for localhost
        (0, {"X-Forwarded-For": "127.0.0.1"}, False),  # nobody said that there is one: it is not believed
        (0, {"X-Real-IP": "203.0.113.9"}, False),
        (0, {"Forwarded": "for=203.0.113.9"}, False),
        (1, {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "::1", "Forwarded": 'proto=http;for="[::1]:4711"'}, True),
        (1, {"X-Forwarded-For": "203.0.113.9, 127.0.0.1"}, False),
        (1, {"X-Forwarded-For": ""}, False),
        (1, {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "203.0.113.9"}, False),
        (1, {"Forwarded": "for=127.0.0.1, for=_hidden;proto=https"}, False),
        (1, {}, True),
    ],
)
def test_a_demo_is_not_served_by_a_proxy_on_this_machine_to_others(app, client, demo, proxies, said, served):
    app.config["LIUKE_PROXIES"] = proxies
    page = client.get("/login/", environ_base={"REMOTE_ADDR": "127.0.0.1"}, headers={"Host": "localhost", **said})
    assert page.status_code == (200 if served else 403)


def test_a_real_company_is_served_to_everybody(client):
    page = client.get(
        "/login/",
        environ_base={"REMOTE_ADDR": "10.0.0.8"},
        headers={"Host": "crm.example.com", "X-Forwarded-For": "203.0.113.9"},
    )

    assert page.status_code == 200


def test_whether_it_is_a_demo_is_asked_once_and_kept_when_the_database_is_away(app, db, demo):
    flag = app.extensions["liuke_demo"]
    assert flag()
    with unit_of_work():
        db.session.execute(db.text("UPDATE installation SET demo = :no"), {"no": False})

    assert flag()
    flag.forget()
    assert not flag()


def test_while_the_database_is_away_the_answer_is_no_and_nothing_breaks(db, monkeypatch):
    def away():
        raise OperationalError("SELECT", {}, Exception("gone"))

    flag = demo_guard.DemoFlag()
    with monkeypatch.context() as broken:
        broken.setattr(demo_guard, "is_demo", away)
        assert not flag()
    with unit_of_work():
        install(demo=True, now=utcnow())

    assert flag()  # asked again at once: nothing was known
