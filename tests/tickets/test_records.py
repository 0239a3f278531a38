"""客户反馈 and 客户投诉: everybody may enter them, only who accepted one (or a lead) changes it."""

from __future__ import annotations

import pytest

from app.core.errors import BusinessError, NotYours, StepRefused
from app.core.models import AuditEntry, Outcome
from app.tickets import operations
from app.tickets.models import Complaint, Feedback, RecordStatus
from tests import builders
from tests.support import rows, text_of

KINDS = {"feedback": (builders.feedback, Feedback), "complaints": (builders.complaint, Complaint)}


def form_of(record, **given):
    """What the form of a record sends."""
    words = {"title": record.title} if isinstance(record, Feedback) else {
        "subject": record.subject, "complainant": record.complainant, "remedy": record.remedy or "",
    }  # fmt: skip
    return {
        "customer": record.customer_id, "received_on": record.received_on.isoformat(),
        "accepted_by": record.accepted_by_id, "memo": record.memo or "", "version": record.version, **words, **given,
    }  # fmt: skip


@pytest.fixture(params=list(KINDS))
def kind(request):
    return request.param


def made(kind, **given):
    return KINDS[kind][0](**given)


@pytest.mark.parametrize("name", ["li", "wang"])
def test_leads_and_managers_enter_records_accepted_by_themselves(db, request, sign_in, kind, name):
    person = request.getfixturevalue(name)
    browser = sign_in(person)
    assert f'<option value="{person.id}" selected>' in browser.get(f"/{kind}/add").get_data(as_text=True)

    like = made(kind)
    answer = browser.post(f"/{kind}/add", form_of(like, accepted_by=person.id, status="closed"))

    assert answer.status_code == 302
    record = rows(KINDS[kind][1])[-1]
    assert (record.accepted_by_id, record.created_by_id, record.status) == (person.id, person.id, RecordStatus.open)


def test_what_is_missing_is_asked_for(db, wang, sign_in, kind):
    record = made(kind)
    for field in ("customer", "received_on", "accepted_by"):
        assert sign_in(wang).post(f"/{kind}/add", form_of(record, **{field: ""})).status_code == 422
    assert len(rows(KINDS[kind][1])) == 1


def test_nobody_accepts_a_record_who_could_not_enter_one(db, wang, chen, sign_in, kind):
    record = made(kind)
    answer = sign_in(wang).post(f"/{kind}/add", form_of(record, accepted_by=chen.id))
    assert answer.status_code == 422
    assert len(rows(KINDS[kind][1])) == 1


def test_who_accepted_it_changes_it(db, wang, sign_in, kind):
    record = made(kind, accepted_by=wang)
    answer = sign_in(wang).post(f"/{kind}/edit/{record.id}", form_of(record, memo="已回电"))
    assert answer.status_code == 302
    assert record.memo == "已回电"


def test_somebody_else_does_not(db, wang, zhao, sign_in, kind):
    record = made(kind, accepted_by=zhao)
    browser = sign_in(wang)

    page = browser.get(f"/{kind}/show/{record.id}").get_data(as_text=True)
    assert f"/{kind}/edit/" not in page
    assert f"/{kind}/delete/" not in page
    assert f"/{kind}/close/" not in page
    for action in ("edit", "delete"):
        answer = browser.post(f"/{kind}/{action}/{record.id}", form_of(record, memo="改了"), follow_redirects=True)
        assert "Only the person who accepted it" in text_of(answer)
    assert (record.memo, record.deleted_at) == (None, None)


def test_nobody_takes_a_record_over_by_naming_himself(db, wang, zhao, sign_in, kind):
    record = made(kind, accepted_by=zhao)
    sign_in(wang).post(f"/{kind}/edit/{record.id}", form_of(record, accepted_by=wang.id))
    assert record.accepted_by_id == zhao.id


def test_who_gives_a_record_away_cannot_change_it_any_more(db, wang, zhao, sign_in, kind):
    record = made(kind, accepted_by=wang)
    browser = sign_in(wang)
    assert browser.post(f"/{kind}/edit/{record.id}", form_of(record, accepted_by=zhao.id)).status_code == 302
    assert record.accepted_by_id == zhao.id
    browser.post(f"/{kind}/edit/{record.id}", form_of(record, memo="改了"))
    assert record.memo is None


def test_a_lead_changes_and_deletes_any(db, li, zhao, sign_in, kind):
    record = made(kind, accepted_by=zhao)
    browser = sign_in(li)
    assert browser.post(f"/{kind}/edit/{record.id}", form_of(record, memo="已核实")).status_code == 302
    assert record.memo == "已核实"
    assert browser.post(f"/{kind}/delete/{record.id}").status_code == 302
    assert record.deleted_at is not None


def test_who_accepted_it_deletes_it_and_nobody_sees_it_again(db, wang, sign_in, kind):
    record = made(kind, accepted_by=wang)
    browser = sign_in(wang)
    assert browser.post(f"/{kind}/delete/{record.id}").status_code == 302
    assert record.deleted_at is not None
    assert browser.get(f"/{kind}/show/{record.id}").status_code == 404


@pytest.mark.parametrize("name", ["chen", "sysadmin"])
def test_without_the_right_there_is_no_record(db, request, sign_in, kind, name):
    record = made(kind)
    browser = sign_in(request.getfixturevalue(name))
    for url in ("list/", f"show/{record.id}", "add", f"edit/{record.id}", f"close/{record.id}"):
        assert browser.get(f"/{kind}/{url}").status_code == 403
    assert browser.post(f"/{kind}/delete/{record.id}").status_code == 403


def test_a_record_is_seen_by_whoever_sees_its_customer(app, db, wang, zhao, sign_in, kind):
    record = made(kind, customer=builders.customer(owner=zhao, name="恒锐精密"))
    browser = sign_in(wang)
    assert "恒锐精密" in text_of(browser.get(f"/{kind}/list/"))
    assert browser.get(f"/{kind}/show/{record.id}").status_code == 200

    app.config["LIUKE_CUSTOMERS_SHARED"] = "own"

    assert "恒锐精密" not in text_of(browser.get(f"/{kind}/list/"))
    assert browser.get(f"/{kind}/show/{record.id}").status_code == 404


# -- closing and opening again ------------------------------------------------------------------------------------


def test_feedback_is_closed_and_opened_again_by_who_accepted_it(db, wang, sign_in):
    feedback = builders.feedback(accepted_by=wang)
    browser = sign_in(wang)
    assert browser.post(f"/feedback/close/{feedback.id}", {"satisfaction": "4"}).status_code == 302
    assert (feedback.status, feedback.satisfaction) == (RecordStatus.closed, 4)
    assert browser.post(f"/feedback/reopen/{feedback.id}").status_code == 302
    assert (feedback.status, feedback.satisfaction) == (RecordStatus.open, 4)


def test_a_complaint_is_closed_with_its_remedy(db, wang, sign_in):
    complaint = builders.complaint(accepted_by=wang)
    browser = sign_in(wang)
    assert browser.post(f"/complaints/close/{complaint.id}", {"remedy": " "}).status_code == 422
    assert complaint.status == RecordStatus.open
    assert browser.post(f"/complaints/close/{complaint.id}", {"remedy": "换货并致歉"}).status_code == 302
    assert (complaint.status, complaint.remedy, complaint.satisfaction) == (RecordStatus.closed, "换货并致歉", None)


def test_a_closed_complaint_is_not_asked_for_a_remedy(db, wang, sign_in):
    complaint = builders.complaint(accepted_by=wang, status=RecordStatus.closed, remedy="换货并致歉")
    answer = sign_in(wang).post(f"/complaints/close/{complaint.id}", {"remedy": " "})
    assert answer.status_code == 409
    assert "the record is “Closed”" in text_of(answer)
    (entry,) = rows(AuditEntry)
    assert (entry.action, entry.outcome) == ("close", Outcome.refused)


def test_the_page_that_closes_shows_the_remedy_written_before(db, wang, sign_in):
    complaint = builders.complaint(accepted_by=wang, remedy="已安排换货", satisfaction=2)
    page = sign_in(wang).get(f"/complaints/close/{complaint.id}").get_data(as_text=True)
    assert "已安排换货" in page
    assert '<option selected value="2">' in page


def test_a_complaint_without_a_remedy_stays_open(db, wang):
    complaint = builders.complaint(accepted_by=wang)
    with pytest.raises(BusinessError, match="Write down the remedy first"):
        operations.close(complaint, actor=wang)
    assert complaint.status == RecordStatus.open


def test_the_wrong_person_closes_nothing(db, wang, zhao, sign_in, kind):
    record = made(kind, accepted_by=zhao)
    answer = sign_in(wang).post(f"/{kind}/close/{record.id}", {"remedy": "换货"})
    assert answer.status_code == 403
    assert record.status == RecordStatus.open
    [refusal] = rows(AuditEntry, AuditEntry.outcome == Outcome.refused)
    assert (refusal.action, refusal.actor_id, refusal.record_id) == ("close", wang.id, record.id)


def test_the_wrong_person_reopens_nothing(db, wang, zhao, kind):
    record = made(kind, accepted_by=zhao, status=RecordStatus.closed)
    with pytest.raises(NotYours):
        operations.reopen(record, actor=wang)
    assert record.status == RecordStatus.closed


@pytest.mark.parametrize(("move", "status"), [("close", RecordStatus.closed), ("reopen", RecordStatus.open)])
def test_no_move_is_made_twice(db, wang, kind, move, status):
    record = made(kind, accepted_by=wang, status=status)
    with pytest.raises(StepRefused):
        getattr(operations, move)(record, actor=wang)
