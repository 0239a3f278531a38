"""The page of the background jobs: what runs when, running the scan by hand, trying it on another date."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.churn.models import ChurnCase
from app.core.clock import local, utcnow
from app.core.redis import QUEUE, JsonQueue
from app.core.unit import unit_of_work
from app.runs.models import JobRun, RunStatus
from app.runs.operations import beat
from tests import builders
from tests.support import rows, text_of


@pytest.fixture
def page(sign_in, sysadmin, redis):
    """The system admin's browser, with everything running."""
    with unit_of_work():
        beat("worker", utcnow())
        beat("scheduler", utcnow())
    return sign_in(sysadmin)


def waiting(redis):
    return JsonQueue(QUEUE, connection=redis).jobs


def test_it_shows_when_each_job_runs_next_and_how_it_went(page):
    builders.sync_run()
    builders.job_run(status=RunStatus.done, counts={"due": 12, "opened": 12, "recovered": 3, "open": 40})

    text = text_of(page.get("/jobs/"))

    assert "Churn scan" in text
    assert "Session clean-up" in text
    assert " 02:00 " in text
    assert "Due 12 · Opened 12 · Recovered 3 · Open cases 40" in text
    assert "sign of life" not in text
    assert "feed was read" not in text


def test_it_says_what_background_jobs_wait_for(app, sign_in, sysadmin, monkeypatch):
    monkeypatch.setitem(app.config, "REDIS_URL", "unix:///nowhere/redis.sock?db=0")
    builders.sync_run(finished_at=utcnow() - timedelta(days=9))

    text = text_of(sign_in(sysadmin).get("/jobs/"))

    assert "The queue (Redis) is away" in text
    assert "No worker has given a sign of life" in text
    assert "The scheduler has given no sign of life" in text
    assert "read 9 days ago" in text


def test_the_runs_are_listed_with_their_reasons(page):
    builders.job_run(status=RunStatus.refused, period="2026-11-21T02:00", error="The mirror is stale.")

    answer = page.get("/jobs/runs/list/")
    shown = page.get(f"/jobs/runs/show/{rows(JobRun)[0].id}")

    assert "2026-11-21 02:00 Refused" in text_of(answer)
    assert "The mirror is stale." in text_of(answer)
    assert shown.status_code == 200


def test_a_click_queues_the_scan_under_the_persons_name(page, redis, sysadmin):
    answer = page.post("/jobs/run", follow_redirects=True)

    (job,) = waiting(redis)
    assert job.func_name == "jobs.churn_scan.run"
    assert job.kwargs["period"].startswith("hand-")
    assert job.kwargs["requested_by"] == sysadmin.id
    assert "The churn scan is queued. Load the page again" in text_of(answer)


def test_a_queued_scan_runs_as_that_person(page, redis, work, sysadmin):
    builders.sync_run()
    person = sysadmin.id
    page.post("/jobs/run")

    assert work()

    (run,) = rows(JobRun)
    assert (run.status, run.requested_by_id) == (RunStatus.done, person)


def test_without_a_worker_the_click_says_that_it_waits(sign_in, sysadmin, redis):
    answer = sign_in(sysadmin).post("/jobs/run", follow_redirects=True)

    assert len(waiting(redis)) == 1
    assert "No worker is running: it starts as soon as one does." in text_of(answer)


def test_without_redis_the_click_says_that_nothing_was_started(app, sign_in, sysadmin, monkeypatch):
    monkeypatch.setitem(app.config, "REDIS_URL", "unix:///nowhere/redis.sock?db=0")

    answer = sign_in(sysadmin).post("/jobs/run", follow_redirects=True)

    assert answer.status_code == 200
    assert "Nothing was started: the queue (Redis) is away." in text_of(answer)


def test_a_preview_counts_and_writes_nothing(page, db, wang):
    silent = builders.customer(owner=wang, registered_on=(utcnow() - timedelta(days=800)).date())
    ordered = builders.customer(owner=wang, registered_on=(utcnow() - timedelta(days=800)).date())
    builders.order(ordered, at=utcnow() - timedelta(days=100))

    def due(at):
        answer = page.post("/jobs/preview", {"as_of": local(at).strftime("%Y-%m-%dT%H:%M")})
        assert answer.status_code == 200
        text = text_of(answer)
        return int(text.split("Customers due ")[1].split()[0])

    assert due(utcnow()) == 1
    assert due(utcnow() + timedelta(days=365)) == 2
    assert due(utcnow() - timedelta(days=790)) == 0
    assert rows(ChurnCase) == []
    assert rows(JobRun) == []
    assert silent.status == ordered.status == "active"


def test_a_preview_beyond_what_is_known_says_that_it_supposes(page):
    def said(at):
        return text_of(page.post("/jobs/preview", {"as_of": local(at).strftime("%Y-%m-%dT%H:%M")}))

    assert "every customer counts as one who never ordered" in said(utcnow())

    read = utcnow() - timedelta(days=2)
    builders.sync_run(finished_at=read)

    assert "if nobody ordered after that" not in said(read + timedelta(hours=23))
    supposed = f"known up to {local(read):%Y-%m-%d %H:%M} only. These figures are what would be if nobody ordered after"
    assert supposed in said(read + timedelta(hours=25))
    assert supposed in said(utcnow() + timedelta(days=365))


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "Fill in this field."),
        ("yesterday", "Enter a date and time"),
        ("1066-10-14T09:00", "between 1900 and 2199"),
    ],
)
def test_a_moment_that_is_none_is_asked_for_again(page, typed, said):
    answer = page.post("/jobs/preview", {"as_of": typed})

    assert answer.status_code == 422
    assert said in text_of(answer)
    assert "Customers due" not in text_of(answer)


def test_a_rule_that_cannot_be_is_refused_with_its_reason(app, page):
    app.config["LIUKE_CHURN_MONTHS"] = 0

    answer = page.post("/jobs/preview", {"as_of": "2026-11-21T02:00"})

    assert answer.status_code == 409
    assert "Set the months without an order to 1 or more." in text_of(answer)


@pytest.mark.parametrize("method", ["run", "preview"])
def test_looking_by_get_starts_nothing(page, redis, method):
    assert page.get(f"/jobs/{method}").status_code == 405
    assert waiting(redis) == []


@pytest.mark.parametrize("person", ["li", "wang", "chen"])
def test_whoever_may_not_gets_no_page_and_starts_nothing(request, sign_in, redis, person):
    browser = sign_in(request.getfixturevalue(person))

    for answer in (
        browser.get("/jobs/"),
        browser.get("/jobs/runs/list/"),
        browser.post("/jobs/run"),
        browser.post("/jobs/preview", {"as_of": "2026-11-21T02:00"}),
    ):
        assert answer.status_code == 403
        assert "Customers due" not in answer.get_data(as_text=True)
    assert waiting(redis) == []


def test_seeing_is_not_running(sign_in, redis):
    watcher = builders.user(roles=[builders.role(rights=[("can_list", "JobRun")])])
    browser = sign_in(watcher)

    text = text_of(browser.get("/jobs/"))

    assert "Churn scan" in text
    assert "Run churn scan now" not in text
    assert "Preview as of" not in text
    assert browser.post("/jobs/run").status_code == 403
    assert waiting(redis) == []
