"""kill -9 of whoever tells people things and sends them: each is told once, and sent at least once, visibly."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta

import pytest
import sqlalchemy as sa

from app.core.clock import company_zone, local, today, utcnow
from app.core.unit import unit_of_work
from app.notices import operations
from app.notices.models import Delivery, DeliveryStatus, Notification
from app.runs.models import JobRun, RunStatus
from app.runs.periodic import MORNING, instant, period_of
from jobs import notify
from jobs.schedule import CrmScheduler, ledger_due
from tests import builders
from tests.notices.conftest import MailServer
from tests.support import rows, text_of

ENTRIES = CrmScheduler.scheduled_jobs_key


def kill(child):
    """kill -9, and wait until it is gone."""
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def this_morning():
    """The instant, the name and the day of the newest period on the real clock."""
    wall = MORNING.rule.last(utcnow(), company_zone())
    return instant(wall, company_zone()), period_of(wall), wall.date()


def fill(wang, zhao, day, size=10):
    """Things to tell both of them; returns how many notifications that makes."""
    for person in (wang, zhao):
        for _n in range(size):
            customer = builders.customer(owner=person)
            late = day - timedelta(days=2)  # what is due today is told today only, and the morning may be yesterday's
            builders.interaction(customer, occurred_at=utcnow() - timedelta(days=9), next_follow_up_on=late)
            builders.churn_case(customer)
            builders.plan_step(builders.opportunity(given_to=person), planned_on=day - timedelta(days=1))
    return 2 * size * 3


def each_once(expected):
    """Whether every event was told to its person once, and all of them were."""
    pairs = [(told.event, told.recipient_id) for told in rows(Notification)]
    assert len(pairs) == len(set(pairs)) == expected


PLACES = {
    "told, not committed": "tell_churn",
    "committed, not swept": "sweep",
    "done, not written down": "_finish",
}


@pytest.mark.parametrize("place", PLACES)
def test_a_worker_killed_anywhere_in_the_morning_tells_everything_once(db, fork, wang, zhao, place):
    _at, period, day = this_morning()
    expected = fill(wang, zhao, day)
    ear, mouth = os.pipe()

    def doomed():
        def wait(*anything, **given):
            if place == "told, not committed":
                kept(*anything, **given)
            os.write(mouth, b"!")
            signal.pause()

        name = PLACES[place]
        module = {"tell_churn": notify.reminders, "sweep": operations}.get(name) or sys.modules["jobs.context"]
        kept = getattr(module, name)
        setattr(module, name, wait)
        notify.run(period)

    child = fork(doomed)
    assert os.read(ear, 1) == b"!"
    kill(child)
    assert len(rows(Notification)) == (0 if place == "told, not committed" else expected)

    again = notify.run(period)

    assert again["told"] == (expected if place == "told, not committed" else 0)
    each_once(expected)
    (run,) = rows(JobRun)
    assert (run.status, run.attempt) == (RunStatus.done, 2)
    assert notify.run(period) is None


def test_six_tellers_at_once_and_killed_at_random_tell_everything_once(db, fork, wang, zhao):
    expected = fill(wang, zhao, today(), size=15)
    ear, mouth = os.pipe()

    def teller():
        os.write(mouth, b"!")
        for _time in range(50):
            with unit_of_work():
                notify.reminders.tell_dated(today(), utcnow())
            notify.tell_churn()

    children = [fork(teller) for _n in range(6)]
    for _child in children:
        os.read(ear, 1)
    for child in children[:4]:
        kill(child)
    for child in children[4:]:
        assert os.waitpid(child, 0)[1] == 0
    with unit_of_work():
        notify.reminders.tell_dated(today(), utcnow())
    notify.tell_churn()

    each_once(expected)


class Doomed(CrmScheduler):
    """A scheduler that stands still at a place of its round, to be killed."""

    place = ""
    tell = 0

    def pause(self, place):
        """Say so and wait, at the place the test is about."""
        if place == self.place:
            os.write(self.tell, b"!")
            signal.pause()

    def rearm(self, periodic, now):
        self.pause("taken, not re-armed")
        super().rearm(periodic, now)
        self.pause("re-armed, not queued")

    def fire(self, periodic, period, why):
        fired = super().fire(periodic, period, why)
        self.pause("queued, still holding the lock")
        return fired


@pytest.mark.parametrize("place", ["taken, not re-armed", "re-armed, not queued", "queued, still holding the lock"])
def test_a_scheduler_killed_anywhere_in_its_round_tells_the_morning_once(
    db, redis, make_scheduler, work, fork, wang, zhao, place
):
    at, period, day = this_morning()
    expected = fill(wang, zhao, day, size=2)
    redis.zadd(ENTRIES, {MORNING.id: at.timestamp()})
    ear, mouth = os.pipe()

    def doomed():
        scheduler = Doomed(redis, zone=company_zone(), due=ledger_due, periodic=(MORNING,))
        scheduler.place, scheduler.tell = place, mouth
        scheduler.run()

    child = fork(doomed)
    assert os.read(ear, 1) == b"!"
    kill(child)
    redis.delete(CrmScheduler.scheduler_lock_key)  # it runs out by itself after 25 seconds

    successor = make_scheduler(zone=company_zone(), due=ledger_due, periodic=(MORNING,), now=utcnow)
    for _round in range(3):
        successor.tick()
        work()

    assert [(run.period, run.status) for run in rows(JobRun)] == [(period, RunStatus.done)]
    each_once(expected)


# -- sending ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def mail_server(app, db):
    """A mail server that stands still once it has a mail, until it is told to go on."""
    server = MailServer()
    app.config["LIUKE_MAIL_URL"] = server.url
    yield server
    server.close()


def one_mail(wang):
    """A daily mail that is due."""
    record = builders.opportunity(given_to=wang)
    with unit_of_work():
        operations.notify("opportunity.assigned", to=wang, record=record, event="e", prospect="云栖", title="仓储")
        operations.set_digest(wang.id, local(utcnow()).hour, at=utcnow())
        operations.settings_of(wang.id).digested_on = None


def mail_ids(server):
    """The Message-IDs of the mails that arrived."""
    return [re.search(r"^Message-ID: (.+?)\r?$", mail, re.M)[1] for mail in server.mails]


def test_a_worker_killed_after_sending_sends_again_under_the_same_name_and_the_log_shows_it(
    db, redis, work, mail_server, other_processes, wang, sysadmin, sign_in
):

    one_mail(wang)
    db.session.remove()
    mail_server.pause = threading.Event()
    assert notify.queue_post(redis, utcnow())
    process = subprocess.Popen(
        [sys.executable, "-m", "jobs.worker"],
        env={**other_processes, "LIUKE_MAIL_URL": mail_server.url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert mail_server.got.wait(60)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    mail_server.pause.set()
    mail_server.pause = None
    (row,) = rows(Delivery)
    assert (row.status, row.attempts, row.repeats) == (DeliveryStatus.sending, 1, 0)

    for _try in range(50):  # the horse dies with the worker, a moment later
        if notify.queue_post(redis, utcnow()):
            break
        time.sleep(0.1)
    work()

    (row,) = rows(Delivery)
    assert (row.status, row.attempts, row.repeats) == (DeliveryStatus.sent, 2, 1)
    assert mail_ids(mail_server) == [row.message_id] * 2
    page = text_of(sign_in(sysadmin).get(f"/deliveries/show/{row.id}"))
    assert "Perhaps sent twice 1" in page


def test_a_scheduler_killed_while_queueing_sends_once(db, redis, make_scheduler, work, fork, mail_server, wang):
    one_mail(wang)
    ear, mouth = os.pipe()

    def doomed():
        def wait(*anything, **given):
            kept(*anything, **given)
            os.write(mouth, b"!")
            signal.pause()

        kept, notify.enqueue = notify.enqueue, wait
        CrmScheduler(redis, zone=company_zone(), due=lambda *_a: [], periodic=()).run()

    child = fork(doomed)
    assert os.read(ear, 1) == b"!"
    kill(child)

    make_scheduler(periodic=(), now=utcnow).post()
    work()
    work()

    (row,) = rows(Delivery)
    assert (row.status, row.attempts, row.repeats) == (DeliveryStatus.sent, 1, 0)
    assert len(mail_server.mails) == 1


def test_an_emptied_queue_forgets_no_message(db, redis, make_scheduler, work, mail_server, wang):
    one_mail(wang)
    scheduler = make_scheduler(periodic=(), now=utcnow)
    scheduler.post()
    redis.flushall()
    assert not work()
    scheduler.post()
    assert work()
    assert len(mail_server.mails) == 1


def test_what_waits_in_the_queue_is_not_queued_again(db, redis, wang, mail_server):
    one_mail(wang)
    assert notify.queue_post(redis, utcnow())
    assert not notify.queue_post(redis, utcnow() + timedelta(seconds=15))


def test_six_senders_at_once_send_each_message_once(db, fork, mail_server, wang, zhao, li, admin, sysadmin, chen):
    people = [wang, zhao, li, admin, sysadmin, chen]
    record = builders.opportunity(by=admin)
    for person in people:
        person.roles = list(admin.roles)
    db.session.commit()
    for person in people:
        with unit_of_work():
            operations.notify(
                "opportunity.assigned", to=person, record=record, event="e", prospect="云栖", title="仓储"
            )
            operations.set_digest(person.id, local(utcnow()).hour, at=utcnow())
            operations.settings_of(person.id).digested_on = None
    children = [fork(notify.post) for _n in range(6)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 6

    assert len(mail_server.mails) == 6
    assert {(row.status, row.attempts, row.repeats) for row in rows(Delivery)} == {(DeliveryStatus.sent, 1, 0)}
    assert len(set(mail_ids(mail_server))) == 6
    assert db.session.execute(sa.select(sa.func.count()).select_from(Delivery)).scalar_one() == 6
