"""The page of the background jobs: what runs when, running the scan by hand, trying it on another date."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.churn.models import ChurnCase
from app.core.clock import local, utcnow
from app.core.models import AuditEntry, Outcome
from app.core.redis import QUEUE, JsonQueue
from app.core.unit import unit_of_work
from app.runs.models import JobRun, RunStatus
from app.runs.operations import beat
from jobs.schedule import ledger_due
from tests import builders
from tests.support import rows, text_of


@pytest.fixture
def page(sign_in, sysadmin, redis):
    """The system admin's browser, with everything running."""
    with unit_of_work():
        beat("worker", utcnow())
        beat("scheduler", utcnow())
    return sign_in(sysadmin)


def noted():
    """What the history says: table, row, action and by whom."""
    return [(entry.record_type, entry.record_id, entry.action, entry.actor_id) for entry in rows(AuditEntry)]


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
    (run,) = rows(JobRun)
    assert run.period == job.kwargs["period"]
    assert run.period.startswith("hand-")
    assert (run.status, run.attempt, run.requested_by_id) == (RunStatus.waiting, 0, sysadmin.id)
    assert ("job_run", run.id, "run", sysadmin.id) in noted()
    assert "Churn scan is queued. Load the page again" in text_of(answer)


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


def test_without_redis_it_is_written_down_and_runs_when_the_queue_is_back(
    app, sign_in, sysadmin, redis, work, make_scheduler, monkeypatch
):
    person = sysadmin.id
    builders.sync_run()
    with monkeypatch.context() as away:
        away.setitem(app.config, "REDIS_URL", "unix:///nowhere/redis.sock?db=0")
        answer = sign_in(sysadmin).post("/jobs/run", follow_redirects=True)
    (asked,) = rows(JobRun)
    assert answer.status_code == 200
    assert "Churn scan is written down. The queue (Redis) is away" in text_of(answer)
    assert waiting(redis) == []

    scheduler = make_scheduler(due=ledger_due, now=utcnow)
    scheduler.tick()
    assert work()

    (run,) = rows(JobRun, JobRun.period == asked.period)
    assert (run.status, run.attempt, run.requested_by_id) == (RunStatus.done, 1, person)
    assert run.scheduled_for == asked.scheduled_for  # as of the click, not of the end of the outage


# -- what failed ----------------------------------------------------------------------------------------------------


@pytest.fixture
def failed(db):
    """A churn scan of last month that failed."""
    return builders.job_run(
        status=RunStatus.failed, period="2026-10-31T02:00", error="OSError: disk full\nand more", attempt=3,
        scheduled_for=datetime(2026, 10, 30, 18, tzinfo=UTC), finished_at=utcnow(),
    )  # fmt: skip


def test_failures_are_shown_until_they_were_made_up_for(page, failed):
    def run(job, status, day, **given):
        at = datetime(2026, 11, day, tzinfo=UTC)
        period = f"2026-11-{day:02}T03:30"
        builders.job_run(job=job, status=status, period=period, scheduled_for=at, finished_at=at, **given)

    run("churn-scan", RunStatus.done, 7)  # another week's: that of October is still owed
    run("session-sweep", RunStatus.failed, 5, error="made up for")
    run("session-sweep", RunStatus.done, 6)
    run("session-sweep", RunStatus.refused, 8, error="the newest sweep")

    text = text_of(page.get("/jobs/"))

    assert "2026-10-31 02:00 Failed 3" in text
    assert "OSError: disk full" in text
    assert "and more" not in text
    assert "the newest sweep" in text
    assert "made up for" not in text


def test_a_click_runs_it_again_as_of_what_it_was(page, redis, work, sysadmin, failed):
    person, as_of = sysadmin.id, failed.scheduled_for
    builders.sync_run()

    answer = page.post(f"/jobs/retry/{failed.id}", follow_redirects=True)
    assert "Churn scan is queued." in text_of(answer)
    assert work()

    (run,) = rows(JobRun)
    assert (run.status, run.attempt, run.scheduled_for, run.error) == (RunStatus.done, 4, as_of, None)
    assert ("job_run", run.id, "retry", person) in noted()
    assert "disk full" not in text_of(page.get("/jobs/"))


@pytest.mark.parametrize("status", [RunStatus.done, RunStatus.running, RunStatus.waiting])
def test_what_did_not_fail_is_not_repeated(page, redis, failed, status):
    failed.status = status

    answer = page.post(f"/jobs/retry/{failed.id}", follow_redirects=True)

    (run,) = rows(JobRun)
    assert "there is nothing to repeat" in text_of(answer)
    assert (run.status, waiting(redis)) == (status, [])
    assert rows(AuditEntry)[-1].outcome is Outcome.refused


def test_there_is_nothing_to_retry_where_there_is_no_run(page, db, redis):
    gone = builders.job_run(job="no-longer-there", status=RunStatus.failed)

    assert page.post("/jobs/retry/999999").status_code == 404
    assert page.post(f"/jobs/retry/{gone.id}").status_code == 404
    assert waiting(redis) == []


@pytest.mark.parametrize("method", ["get", "without a token", "without the right"])
def test_only_who_may_retries_by_a_form_of_ours(app, page, sign_in, li, redis, failed, method):
    app.config["WTF_CSRF_ENABLED"] = True
    browser = sign_in(li) if method == "without the right" else page
    address = f"/jobs/retry/{failed.id}"
    answer = browser.get(address) if method == "get" else browser.post(address, csrf=method != "without a token")

    assert answer.status_code == {"get": 405, "without a token": 400, "without the right": 403}[method]
    assert ([run.status for run in rows(JobRun)], waiting(redis)) == ([RunStatus.failed], [])


@pytest.mark.parametrize(("hours", "said"), [(1, "1 hour ago"), (47, "47 hours ago"), (49, "2 days ago")])
def test_it_says_how_old_the_last_backup_is(page, hours, said):
    assert "There is no backup yet." in text_of(page.get("/jobs/"))
    builders.job_run(job="backup", status=RunStatus.done, finished_at=utcnow() - timedelta(hours=hours, minutes=1))

    text = text_of(page.get("/jobs/"))

    assert f"Last backup: {said}." in text
    assert "The newest 14 are kept." in text
    assert ("The last backup is too old" in text) == (hours > 26)


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
    builders.job_run(status=RunStatus.failed, error="no")
    watcher = builders.user(roles=[builders.role(rights=[("can_list", "JobRun")])])
    browser = sign_in(watcher)

    text = text_of(browser.get("/jobs/"))

    assert "Churn scan" in text
    assert "Run churn scan now" not in text
    assert "Run again" not in text
    assert "Preview as of" not in text
    assert browser.post("/jobs/run").status_code == 403
    assert waiting(redis) == []
