"""A ticket's page: by when its step is due, precedents with their quote, and what the list says of both."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from app.core.changes import TOLD
from app.core.clock import utcnow
from app.masterdata.models import DictionaryType
from app.tickets import operations
from app.tickets.models import ServiceStep, ServiceTarget, Ticket, TicketStatus
from tests import builders
from tests.support import rows, text_of

S = TicketStatus


@pytest.fixture
def complaint_type(db):
    return builders.dictionary(DictionaryType.ticket_type, "complaint")


@pytest.fixture
def targets(db, complaint_type):
    """Two working hours to assign, eight to handle, sixteen to ask."""
    db.session.execute(sa.delete(ServiceTarget).execution_options(**TOLD))
    for step, hours in ((ServiceStep.assign, 2), (ServiceStep.handle, 8), (ServiceStep.feedback, 16)):
        db.session.add(ServiceTarget(type=complaint_type, step=step, hours=hours))
    db.session.commit()


def entered(kind, *, actor, at=None, title="离心机异响", request="高速运转时有周期性异响。"):
    ticket = Ticket(type=kind, customer=builders.customer(), title=title, request=request)
    return operations.create_ticket(ticket, actor=actor, at=at)


def test_every_move_sets_by_when_the_next_one_is_due(db, li, wang, complaint_type, targets):
    monday = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)  # 10:00 where the company works, from 9 to 18
    ticket = entered(complaint_type, actor=li, at=monday)
    assert ticket.due_at == monday + timedelta(hours=2)
    operations.assign(ticket, actor=li, at=monday + timedelta(hours=1), assignee=wang)
    assert ticket.due_at == datetime(2026, 11, 24, 2, 0, tzinfo=UTC)  # 7 hours on Monday, one on Tuesday
    operations.handle(ticket, actor=wang, at=datetime(2026, 11, 24, 1, 0, tzinfo=UTC), handling="紧固")
    assert ticket.due_at == datetime(2026, 11, 25, 8, 0, tzinfo=UTC)
    operations.give_feedback(
        ticket, actor=wang, at=datetime(2026, 11, 24, 2, 0, tzinfo=UTC), result="还响", satisfaction=1
    )
    assert ticket.due_at == datetime(2026, 11, 24, 10, 0, tzinfo=UTC)  # exactly at the end of the day
    operations.handle(ticket, actor=wang, handling="更换")
    operations.give_feedback(ticket, actor=wang, result="好了", satisfaction=4)
    assert ticket.due_at is None


def test_another_type_of_a_new_ticket_has_another_due_time(db, sign_in, li, complaint_type, targets):
    inquiry = builders.dictionary(DictionaryType.ticket_type, "inquiry")
    db.session.add(ServiceTarget(type=inquiry, step=ServiceStep.assign, hours=4))
    ticket = entered(inquiry, actor=li, at=datetime(2026, 11, 23, 2, 0, tzinfo=UTC))
    db.session.commit()
    sign_in(li).post(
        f"/tickets/edit/{ticket.id}",
        {
            "customer": ticket.customer_id, "type": complaint_type.id, "title": ticket.title,
            "request": ticket.request, "version": ticket.version,
        },
    )  # fmt: skip
    assert (ticket.type.code, ticket.due_at) == ("complaint", datetime(2026, 11, 23, 4, 0, tzinfo=UTC))


def test_without_a_target_nothing_is_due(db, li, complaint_type):
    db.session.execute(sa.delete(ServiceTarget).execution_options(**TOLD))
    assert entered(complaint_type, actor=li).due_at is None


def test_what_is_due_and_what_is_overdue_is_said(db, sign_in, li, wang):
    late = builders.ticket(by=li, given_to=wang, due_at=utcnow() - timedelta(minutes=1))
    soon = builders.ticket(by=li, given_to=wang, due_at=utcnow() + timedelta(hours=1))
    browser = sign_in(wang)
    assert "Overdue since" in text_of(browser.get(f"/tickets/show/{late.id}"))
    page = text_of(browser.get(f"/tickets/show/{soon.id}"))
    assert "Overdue since" not in page
    assert "By 20" in page
    listed = text_of(browser.get("/tickets/list/?tab=handle"))
    assert listed.count("Overdue since") == 1


@pytest.fixture
def archived(db, li, wang, complaint_type):
    """A ticket that was worked off, and is a precedent now."""
    ticket = entered(complaint_type, actor=li)
    for title in ("发票税号有误", "到货少一箱", "触摸屏死机"):  # others, so that words differ in what they tell
        _work_off(entered(complaint_type, actor=li, title=title, request=title), li, wang)
    _work_off(ticket, li, wang)
    db.session.commit()
    return ticket


def _work_off(ticket, li, wang):
    operations.assign(ticket, actor=li, assignee=wang)
    operations.handle(ticket, actor=wang, handling="更换轴承并做动平衡。")
    operations.give_feedback(ticket, actor=wang, result="好了", satisfaction=5)


def test_a_precedent_is_shown_while_handling_and_quoted_with_one_click(db, sign_in, li, wang, complaint_type, archived):
    ticket = entered(complaint_type, actor=li, title="离心机有异响", request="高速运转时异响。")
    operations.assign(ticket, actor=li, assignee=wang)
    db.session.commit()
    browser = sign_in(wang)
    page = browser.get(f"/tickets/show/{ticket.id}").get_data(as_text=True)
    assert f'name="quote" value="{archived.id}"' in page
    assert "更换轴承并做动平衡。" in page

    answer = browser.post(f"/tickets/handle/{ticket.id}", {"handling": "已电话联系。", "quote": archived.id})
    assert answer.status_code == 200
    assert "已电话联系。\n更换轴承并做动平衡。</textarea>" in answer.get_data(as_text=True)
    assert (ticket.status, ticket.handling) == (S.assigned, None)

    answer = browser.post(f"/tickets/handle/{ticket.id}", {"handling": "已电话联系。", "quote": ticket.id})
    assert answer.status_code == 404
    assert "已电话联系。</textarea>" in answer.get_data(as_text=True)


def test_a_lead_sees_precedents_but_quotes_nothing(db, sign_in, li, wang, complaint_type, archived):
    ticket = entered(complaint_type, actor=li, title="离心机有异响", request="高速运转时异响。")
    operations.assign(ticket, actor=li, assignee=wang)
    db.session.commit()
    page = sign_in(li).get(f"/tickets/show/{ticket.id}").get_data(as_text=True)
    assert f"/tickets/show/{archived.id}" in page
    assert 'name="quote"' not in page
    assert sign_in(li).post(f"/tickets/handle/{ticket.id}", {"quote": archived.id}).status_code == 403


def test_tickets_and_complaints_lead_to_their_customer_for_those_who_may_open_it(db, sign_in, li, wang):
    ticket, complaint = builders.ticket(by=li, given_to=wang), builders.complaint(accepted_by=wang)
    for url, customer in ((f"/tickets/show/{ticket.id}", ticket), (f"/complaints/show/{complaint.id}", complaint)):
        link = f'href="/customers/show/{customer.customer_id}"'
        assert link in sign_in(wang).get(url).get_data(as_text=True)
    rights = [("can_list", "Complaint"), ("can_show", "Complaint")]
    reader = builders.user(roles=[builders.role(rights=rights)])
    assert 'href="/customers/' not in sign_in(reader).get(f"/complaints/show/{complaint.id}").get_data(as_text=True)


def test_a_year_whose_holidays_are_not_known_is_said(db, sign_in, li, wang):
    ticket = builders.ticket(by=li, given_to=wang, due_at=datetime(2041, 3, 4, 2, 0, tzinfo=UTC))
    assert "The public holidays of 2041 are not known yet" in text_of(sign_in(wang).get(f"/tickets/show/{ticket.id}"))
    assert len(rows(Ticket)) == 1
