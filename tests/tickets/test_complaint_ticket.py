"""A complaint and the ticket by which it is worked off: opened once, followed to the end, seen where it matters."""

from __future__ import annotations

import pytest

from app.core.errors import BusinessError, NotYours
from app.core.models import AuditEntry
from app.masterdata.models import DictionaryType
from app.tickets import operations
from app.tickets.models import RecordStatus, Ticket, TicketStatus
from tests import builders
from tests.support import rows, text_of


@pytest.fixture
def complaint(db, wang):
    builders.dictionary(DictionaryType.ticket_type, "complaint")
    return builders.complaint(accepted_by=wang, subject="货物受潮", content="三箱货物受潮。")


def test_a_complaint_opens_one_ticket_and_ends_with_it(db, sign_in, li, wang, complaint):
    browser = sign_in(wang)
    answer = browser.post(f"/complaints/open-ticket/{complaint.id}")
    [ticket] = rows(Ticket)
    assert answer.headers["Location"] == f"/tickets/show/{ticket.id}"
    assert (ticket.title, ticket.request, ticket.customer_id) == ("货物受潮", "三箱货物受潮。", complaint.customer_id)
    assert (ticket.type.code, ticket.created_by_id) == ("complaint", wang.id)
    assert complaint.ticket_id == ticket.id

    browser.post(f"/complaints/open-ticket/{complaint.id}")
    assert len(rows(Ticket)) == 1
    assert f"/complaints/close/{complaint.id}" not in browser.get(f"/complaints/show/{complaint.id}").get_data(True)
    answer = browser.post(f"/complaints/close/{complaint.id}", {"remedy": "换货"})
    assert answer.status_code == 409
    assert f"Its ticket {ticket.number} is still open." in text_of(answer)

    sign_in(li).post(f"/tickets/assign/{ticket.id}", {"assignee": wang.id})
    browser = sign_in(wang)
    browser.post(f"/tickets/handle/{ticket.id}", {"handling": "重新发货。"})
    browser.post(f"/tickets/give-feedback/{ticket.id}", {"result": "不满意", "satisfaction": "1"})
    assert complaint.status is RecordStatus.open
    browser.post(f"/tickets/handle/{ticket.id}", {"handling": "重新发货并赔偿。"})
    browser.post(f"/tickets/give-feedback/{ticket.id}", {"result": "满意", "satisfaction": "4"})
    assert (ticket.status, complaint.status) == (TicketStatus.archived, RecordStatus.closed)
    assert (complaint.remedy, complaint.satisfaction) == ("重新发货并赔偿。", 4)
    told = rows(AuditEntry, AuditEntry.record_type == "complaint", AuditEntry.record_id == complaint.id)
    assert [(e.action, e.outcome.value, e.note) for e in told] == [
        ("open_ticket", "done", ticket.number),
        ("open_ticket", "refused", f"The complaint already has the ticket {ticket.number}."),
        ("close", "refused", f"Its ticket {ticket.number} is still open. The complaint closes with it."),
        ("close", "done", ticket.number),
    ]


def test_a_remedy_that_was_written_by_hand_stays(db, li, wang, complaint):
    ticket = operations.open_ticket(complaint, actor=wang)
    complaint.remedy = "已电话致歉"
    operations.assign(ticket, actor=li, assignee=wang)
    operations.handle(ticket, actor=wang, handling="重新发货。")
    operations.give_feedback(ticket, actor=li, result="满意", satisfaction=5)
    assert (complaint.remedy, complaint.status) == ("已电话致歉", RecordStatus.closed)


def test_only_who_accepted_it_or_a_lead_opens_the_ticket(db, sign_in, li, zhao, chen, complaint):
    with pytest.raises(NotYours):
        operations.open_ticket(complaint, actor=zhao)
    db.session.rollback()
    sign_in(zhao).post(f"/complaints/open-ticket/{complaint.id}")
    assert sign_in(chen).post(f"/complaints/open-ticket/{complaint.id}").status_code == 403
    assert rows(Ticket) == []
    sign_in(li).post(f"/complaints/open-ticket/{complaint.id}")
    assert len(rows(Ticket)) == 1


def test_a_closed_complaint_opens_no_ticket(db, wang, complaint):
    operations.close(complaint, actor=wang, remedy="已换货")
    with pytest.raises(BusinessError, match=r"The complaint is closed\."):
        operations.open_ticket(complaint, actor=wang)


def test_the_ticket_of_a_complaint_is_not_deleted(db, sign_in, li, wang, complaint):
    ticket = operations.open_ticket(complaint, actor=wang)
    db.session.commit()
    answer = sign_in(li).post(f"/tickets/delete/{ticket.id}", follow_redirects=True)
    assert "It belongs to the complaint “货物受潮” and stays with it." in text_of(answer)
    assert ticket.deleted_at is None


@pytest.mark.parametrize("who", ["li", "wang"])
def test_an_open_complaint_is_said_on_the_customers_page_and_on_its_churn_warning(
    request, db, sign_in, wang, complaint, who
):
    person = request.getfixturevalue(who)
    complaint.customer.owner = wang
    case = builders.churn_case(complaint.customer)
    browser, sentence = sign_in(person), "Open complaint since"
    pages = (f"/customers/show/{complaint.customer_id}", f"/churn/show/{case.id}")
    for page in pages:
        assert sentence in text_of(browser.get(page)), page
    operations.close(complaint, actor=wang, remedy="已换货")
    db.session.commit()
    for page in pages:
        assert sentence not in text_of(browser.get(page)), page


def edit_form(complaint, **changed):
    """What the form of a complaint sends."""
    given = {
        "customer": complaint.customer_id, "complainant": complaint.complainant, "subject": complaint.subject,
        "received_on": complaint.received_on.isoformat(), "accepted_by": complaint.accepted_by_id,
        "remedy": complaint.remedy or "", "version": complaint.version,
    }  # fmt: skip
    return {**given, **changed}


def test_a_complaint_stays_with_its_customer_and_is_not_deleted_while_its_ticket_is_open(
    db, sign_in, li, wang, complaint
):
    ticket = operations.open_ticket(complaint, actor=wang)
    other = builders.customer()
    db.session.commit()
    browser, first = sign_in(wang), complaint.customer_id

    answer = browser.post(f"/complaints/edit/{complaint.id}", edit_form(complaint, customer=other.id))
    assert "is still open, so the customer stays." in text_of(answer)
    assert complaint.customer_id == first
    answer = browser.post(f"/complaints/delete/{complaint.id}", follow_redirects=True)
    assert f"Its ticket {ticket.number} is still open, so the complaint stays." in text_of(answer)
    assert complaint.deleted_at is None

    answer = browser.post(f"/complaints/edit/{complaint.id}", edit_form(complaint, subject="货物受潮两箱"))
    assert (answer.status_code, complaint.subject) == (302, "货物受潮两箱")


def test_a_closed_complaint_keeps_its_remedy(db, sign_in, wang, complaint):
    operations.close(complaint, actor=wang, remedy="已换货")
    db.session.commit()
    answer = sign_in(wang).post(f"/complaints/edit/{complaint.id}", edit_form(complaint, remedy=""))
    assert "A closed complaint keeps its remedy." in text_of(answer)
    assert complaint.remedy == "已换货"


def test_a_reopened_complaint_opens_another_ticket(db, li, wang, complaint):
    first = operations.open_ticket(complaint, actor=wang)
    operations.assign(first, actor=li, assignee=wang)
    operations.handle(first, actor=wang, handling="重新发货。")
    operations.give_feedback(first, actor=wang, result="满意", satisfaction=5)
    operations.reopen(complaint, actor=wang)
    second = operations.open_ticket(complaint, actor=wang)
    assert (complaint.ticket, second.status) == (second, TicketStatus.created)
    assert (operations.complaint_of(first), operations.complaint_of(second)) == (None, complaint)


def test_the_ticket_of_a_complaint_is_shown_to_those_only_who_may_see_it(db, sign_in, li, wang, zhao, complaint):
    ticket = operations.open_ticket(complaint, actor=wang)
    db.session.commit()
    assert ticket.number in text_of(sign_in(li).get(f"/complaints/show/{complaint.id}"))
    page = sign_in(zhao).get(f"/complaints/show/{complaint.id}")
    assert page.status_code == 200
    assert ticket.number not in text_of(page)
