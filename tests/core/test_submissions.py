"""A form that is sent twice is done once."""

from __future__ import annotations

import json
import os
import re
import sys
import traceback
from collections import Counter
from datetime import timedelta

import pytest

from app.core import submissions
from app.core.clock import utcnow
from app.core.models import AuditEntry, Outcome, Submission
from app.customers.models import Contact, Interaction
from app.sales.models import Opportunity, PlanStep
from app.tickets.models import Ticket
from jobs import session_sweep
from tests import builders
from tests.support import Browser, rows, text_of

NONCE = "0123456789abcdef0123456789abcdef"
OTHER = "f" * 32
TWICE = "This form was sent more than once. It was done once."
DIFFERS = "This form was sent and done already, with something else in it."


@pytest.fixture
def customer(wang):
    return builders.customer(owner=wang)


@pytest.fixture
def typed(customer):
    return {"customer": customer.id, "name": "唐敏", "office_phone": "0731-0555 0101", "is_primary": "y"}


def nonces(answer):
    return re.findall(r'name="nonce" value="([0-9a-f]{32})"', answer.text)


@pytest.fixture
def at_once(world, db):
    """`at_once([send, ...])` does each in a process of its own, all from the same moment on; the answers of each."""
    world.everything = True

    def begin(send, gate, mouth):
        code = 1
        try:
            db.engine.dispose(close=False)  # the connections are the parent's
            gate.read()
            mouth.write(json.dumps([(answer.status_code, answer.location) for answer in send()]))
            mouth.close()
            code = 0
        except BaseException:
            traceback.print_exc()  # nobody else would ever see it
            sys.stderr.flush()
        finally:
            os._exit(code)

    def work(sends):
        db.session.remove()
        gate, key = (os.fdopen(end, mode) for end, mode in zip(os.pipe(), "rw", strict=True))
        running = []
        for send in sends:
            ear, mouth = (os.fdopen(end, mode) for end, mode in zip(os.pipe(), "rw", strict=True))
            child = os.fork()
            if child == 0:
                key.close()
                begin(send, gate, mouth)
            mouth.close()
            running.append((child, ear))
        gate.close()
        key.close()  # the gate opens for all
        answers = []
        for child, ear in running:
            with ear:
                answers.append([tuple(answer) for answer in json.loads(ear.read() or "[]")])
            os.waitpid(child, 0)
        return answers

    return work


def test_twenty_forms_sent_by_twenty_at_the_same_moment_are_twenty(db, at_once, sign_in, wang, typed):
    browser = sign_in(wang)
    sent = {**typed, "csrf_token": browser.csrf_token()}
    forms = [{**sent, "nonce": f"{number:032x}", "name": f"唐敏{number}"} for number in range(20)]
    db.session.commit()

    answers = at_once([lambda: [browser.post("/contacts/add", form) for form in forms]] * 20)

    page = f"/customers/show/{typed['customer']}"
    assert answers == [[(302, page)] * 20] * 20
    assert sorted(contact.name for contact in rows(Contact)) == sorted(form["name"] for form in forms)
    assert [e.action for e in rows(AuditEntry, AuditEntry.record_type == "contact")].count("create") == 20
    kept = {(s.nonce, s.user_id, s.endpoint, s.address) for s in rows(Submission)}
    assert kept == {(form["nonce"], wang.id, "ContactView.add", page) for form in forms}


def test_two_forms_under_one_nonce_at_the_same_moment_are_one_and_a_conflict(db, at_once, sign_in, wang, typed):
    browser = sign_in(wang)
    sent = {**typed, "nonce": NONCE, "csrf_token": browser.csrf_token()}
    db.session.commit()

    answers = at_once([lambda n=n: [browser.post("/contacts/add", {**sent, "name": f"唐敏{n % 2}"})] for n in range(6)])

    assert Counter(status for ((status, _location),) in answers) == {302: 3, 409: 3}
    assert len(rows(Contact)) == 1


def test_the_page_gives_every_form_a_nonce_and_says_that_it_was_done_once(db, sign_in, wang, typed):
    browser = sign_in(wang)
    first, second = (nonces(browser.get("/contacts/add")) for _ in range(2))
    assert (len(first), len(second)) == (1, 1)
    assert first != second
    sent = {**typed, "nonce": first[0]}
    once, twice = (browser.post("/contacts/add", sent) for _ in range(2))
    assert (once.status_code, twice.status_code) == (302, 302)
    assert once.location == twice.location
    assert TWICE in text_of(browser.get(twice.location))
    assert len(rows(Contact)) == 1
    assert browser.post("/contacts/add", {**sent, "nonce": second[0]}).status_code == 302
    assert len(rows(Contact)) == 2  # asked for by another form


def test_the_same_nonce_with_something_else_is_refused_and_kept(db, sign_in, wang, typed):
    browser = sign_in(wang)
    browser.post("/contacts/add", {**typed, "nonce": NONCE})

    answer = browser.post("/contacts/add", {**typed, "nonce": NONCE, "name": "唐敏敏"})

    assert answer.status_code == 409
    assert DIFFERS in text_of(answer)
    assert "唐敏敏" in answer.text
    assert [c.name for c in rows(Contact)] == ["唐敏"]
    (fresh,) = nonces(answer)
    assert fresh != NONCE
    assert browser.post("/contacts/add", {**typed, "nonce": fresh, "name": "唐敏敏"}).status_code == 302
    assert [c.name for c in rows(Contact)] == ["唐敏", "唐敏敏"]


def test_at_another_address_it_is_something_else(db, sign_in, wang, typed, customer):
    browser = sign_in(wang)
    browser.post("/contacts/add", {**typed, "nonce": NONCE})
    sent = {
        "customer": customer.id,
        "title": "电话",
        "place": "电话",
        "occurred_at": "2020-01-01T10:00",
        "nonce": NONCE,
    }
    assert browser.post("/interactions/add", sent).status_code == 409
    assert rows(Interaction) == []


def test_somebody_elses_nonce_is_his_own(db, sign_in, li, wang, typed):
    sent = {**typed, "nonce": NONCE}
    assert sign_in(wang).post("/contacts/add", sent).status_code == 302
    answer = sign_in(li).post("/contacts/add", sent)
    assert answer.status_code == 302
    assert TWICE not in text_of(sign_in(li).get(answer.location))
    assert [c.created_by_id for c in rows(Contact)] == [wang.id, li.id]
    assert [s.user_id for s in rows(Submission)] == sorted([wang.id, li.id])


def test_a_form_that_failed_may_be_sent_again_with_its_nonce(db, sign_in, wang, li, typed, monkeypatch):
    browser = sign_in(wang)
    assert browser.post("/contacts/add", {**typed, "nonce": NONCE, "name": ""}).status_code == 422
    foreign = builders.customer(owner=li)
    refused = browser.post("/contacts/add", {**typed, "nonce": NONCE, "customer": foreign.id})
    assert refused.status_code == 422
    assert rows(Submission) == []
    assert browser.post("/contacts/add", {**typed, "nonce": NONCE}).status_code == 302
    assert len(rows(Contact)) == len(rows(Submission)) == 1


@pytest.mark.parametrize("nonce", [None, "", "x", NONCE.upper(), NONCE + "0", "0" * 31 + "\n", "' OR 1=1 --"])
def test_without_a_nonce_of_ours_everything_is_as_it_was(db, sign_in, wang, typed, nonce):
    browser = sign_in(wang)
    sent = {**typed, **({"nonce": nonce} if nonce is not None else {})}
    for _ in range(2):
        assert browser.post("/contacts/add", sent).status_code == 302
    assert len(rows(Contact)) == 2
    assert rows(Submission) == []


def test_a_step_and_an_edit_sent_twice_are_done_once(db, sign_in, wang, customer):
    case, browser = builders.churn_case(customer), sign_in(wang)
    sent = {"text": "上门拜访", "nonce": NONCE}
    answers = [browser.post(f"/churn/defer/{case.id}", sent) for _ in range(2)]
    assert [a.location for a in answers] == [f"/churn/show/{case.id}"] * 2
    assert [e.action for e in rows(AuditEntry)] == ["defer"]

    contact = builders.contact(customer, name="刘洋")
    sent = {"name": "刘海", "office_phone": "0731-0555 0101", "is_primary": "y", "version": "1", "nonce": OTHER}
    answers = [browser.post(f"/contacts/edit/{contact.id}", sent) for _ in range(2)]
    assert [a.status_code for a in answers] == [302, 302]
    assert rows(Contact)[0].version == 2


def test_a_plan_step_on_the_opportunitys_page_is_planned_once(db, sign_in, li, wang):
    opportunity = builders.opportunity(by=li, given_to=wang)
    browser = sign_in(wang)
    page = f"/opportunities/show/{opportunity.id}"
    (nonce,) = nonces(browser.get(page))
    sent = {"planned_on": "2099-01-05", "todo": "拜访采购经理", "nonce": nonce}
    for _ in range(2):
        answer = browser.post(
            f"/opportunities/{opportunity.id}/plan", sent, headers={"Referer": f"http://localhost{page}"}
        )
    assert answer.location == page
    assert len(rows(PlanStep)) == 1
    assert DIFFERS in text_of(browser.post(f"/opportunities/{opportunity.id}/plan", {**sent, "todo": "别的"}))
    assert len(rows(PlanStep)) == 1


@pytest.mark.parametrize(
    "referrer", ["", "http://evil.example/x", "http://localhost//evil.example", "http://[", "http://localhost/\\evil"]
)
def test_nobody_is_led_away_from_here(db, sign_in, li, wang, referrer):
    opportunity = builders.opportunity(by=li, given_to=wang)
    sent = {"planned_on": "2099-01-05", "todo": "拜访采购经理", "nonce": NONCE}
    browser, where = sign_in(wang), f"/opportunities/{opportunity.id}/plan"
    for _ in range(2):
        answer = browser.post(where, sent, headers={"Referer": referrer})
    assert (answer.status_code, answer.location) == (302, "/")


def test_a_form_beside_a_password_and_one_of_nobody_carry_none(db, sign_in, client, wang):
    assert nonces(sign_in(wang).get("/profile/password")) == []
    assert nonces(client.get("/login/")) == []
    assert client.post("/contacts/add", {"nonce": NONCE}).status_code == 302
    assert rows(Submission) == []


def test_what_was_sent_cannot_be_read_from_the_table(db, sign_in, wang, typed):
    sign_in(wang).post("/contacts/add", {**typed, "nonce": NONCE})
    (row,) = rows(Submission)
    assert re.fullmatch(r"[0-9a-f]{64}", row.fingerprint)
    assert "唐敏" not in row.address


@pytest.mark.parametrize(("hours", "there"), [(-1, True), (1, False)])
def test_after_a_week_it_is_forgotten(db, wang, hours, there):
    long_ago = utcnow() - submissions.KEEP - timedelta(hours=hours)
    row = {"nonce": NONCE, "endpoint": "x", "fingerprint": "0" * 64, "address": "/", "at": long_ago}
    db.session.add(Submission(user_id=wang.id, **row))
    db.session.commit()
    assert session_sweep.run("2026-11-23T03:30")["submissions"] == int(not there)
    assert bool(rows(Submission)) is there


def test_a_form_sent_again_from_another_browser_of_its_person_is_done_once(db, app, li, sign_in):
    sent = {
        "customer_name": "东方纺织",
        "title": "新生产线",
        "probability": "50",
        "description": "扩建",
        "nonce": NONCE,
    }
    browser = sign_in(li)
    first = browser.post("/opportunities/add", sent)
    assert first.status_code == 302
    again = Browser(app).login(li).post("/opportunities/add", sent)
    assert again.location == first.location == f"/opportunities/show/{rows(Opportunity)[0].id}"
    assert len(rows(Opportunity)) == 1


def test_a_button_without_fields_counts_once_too(db, sign_in, li):
    complaint = builders.complaint(accepted_by=li)
    browser, page = sign_in(li), f"/complaints/show/{complaint.id}"
    (nonce,) = nonces(browser.get(page))
    answers = [browser.post(f"/complaints/open-ticket/{complaint.id}", {"nonce": nonce}) for _ in range(2)]
    (ticket,) = rows(Ticket)
    assert [a.location for a in answers] == [f"/tickets/show/{ticket.id}"] * 2
    assert rows(AuditEntry, AuditEntry.outcome == Outcome.refused) == []


def test_a_bulk_action_sent_again_goes_on_with_what_was_not_done(db, sign_in, li, wang):
    first, second = (builders.opportunity(by=li) for _ in range(2))
    sent = {"rowid": [first.id], "confirmed": "1", "assignee": wang.id, "nonce": NONCE}
    browser = sign_in(li)
    for rowid in ([first.id], [first.id, second.id]):
        assert browser.post("/opportunities/bulk-assign", {**sent, "rowid": rowid}).status_code == 200
    assert [o.assignee_id for o in rows(Opportunity)] == [wang.id] * 2
    assert rows(Submission) == []
