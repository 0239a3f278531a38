"""服务单: entered by whoever serves customers, changed and deleted only while nobody is at work on it."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from app.core.errors import BusinessError
from app.core.models import AuditEntry, Outcome
from app.masterdata.models import DictionaryType
from app.tickets import operations
from app.tickets.models import Ticket, TicketStatus, TicketStep
from tests import builders
from tests.support import rows, text_of


def inquiry():
    return builders.dictionary(DictionaryType.ticket_type, "inquiry")


def new(customer):
    return Ticket(type=inquiry(), customer=customer, title="离心机异响", request="请派工程师检查。")


def form_of(customer, **given):
    """What the form of a ticket sends."""
    return {"customer": customer.id, "type": inquiry().id, "title": "离心机异响", "request": "请检查。", **given}


def test_a_new_ticket_gets_number_state_creator_and_the_first_line_of_its_history(db, wang):
    at = datetime(2026, 11, 21, 17, 0, tzinfo=UTC)  # 01:00 on the 22nd where the company works
    customer = builders.customer(owner=wang)

    first, second = (operations.create_ticket(new(customer), actor=wang, at=at) for _ in range(2))

    assert (first.number, second.number) == ("FW261122001", "FW261122002")
    assert (first.status, first.created_by_id, first.created_at) == (TicketStatus.created, wang.id, at)
    [line] = rows(TicketStep, TicketStep.ticket_id == first.id)
    assert (line.step, line.actor_id, line.at) == ("created", wang.id, at)


def test_the_system_may_enter_a_ticket_too(db):
    ticket = operations.create_ticket(new(builders.customer()), actor=None)
    assert ticket.created_by_id is None


@pytest.mark.parametrize("status", [s for s in TicketStatus if s is not TicketStatus.created])
def test_a_ticket_somebody_is_at_work_on_is_neither_edited_nor_removed(db, status):
    ticket = builders.ticket(status=status)
    for refused in (operations.check_open, operations.remove_ticket):
        with pytest.raises(BusinessError, match="nobody was assigned to yet"):
            refused(ticket)
    assert ticket.deleted_at is None


# -- pages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["li", "wang"])
def test_leads_and_managers_enter_tickets(db, request, sign_in, name):
    person = request.getfixturevalue(name)
    answer = sign_in(person).post("/tickets/add", form_of(builders.customer()))

    [ticket] = rows(Ticket)
    assert answer.status_code == 302
    assert answer.location.endswith(f"/tickets/show/{ticket.id}")
    assert re.fullmatch(r"FW\d{9}", ticket.number)
    assert (ticket.status, ticket.created_by_id) == (TicketStatus.created, person.id)
    assert [line.step for line in rows(TicketStep)] == ["created"]


def test_what_the_server_decides_is_not_taken_from_the_form(db, li, zhao, sign_in):
    sent = form_of(
        builders.customer(), number="FW1", status="archived", assignee=zhao.id, created_by=zhao.id, result="x",
        satisfaction=5, times_returned=9,
    )  # fmt: skip
    sign_in(li).post("/tickets/add", sent)
    [ticket] = rows(Ticket)
    assert ticket.number != "FW1"
    assert (ticket.status, ticket.assignee_id, ticket.created_by_id) == (TicketStatus.created, None, li.id)
    assert (ticket.result, ticket.satisfaction, ticket.times_returned) == (None, None, 0)


def test_a_ticket_without_a_request_comes_back_with_what_was_typed(db, li, sign_in):
    answer = sign_in(li).post("/tickets/add", form_of(builders.customer(), request=" "))
    assert answer.status_code == 422
    assert "离心机异响" in answer.get_data(as_text=True)
    assert rows(Ticket) == []


def test_the_form_starts_from_the_customer_whose_page_led_to_it(db, wang, sign_in):
    customer = builders.customer(name="恒锐精密")
    browser = sign_in(wang)
    assert f'<option value="{customer.id}" selected>恒锐精密' in browser.get(
        f"/tickets/add?customer={customer.id}"
    ).get_data(as_text=True)
    assert browser.get("/tickets/add?customer=999999").status_code == 404


def test_a_ticket_is_for_a_customer_the_reader_may_see(app, db, wang, zhao, sign_in):
    app.config["LIUKE_CUSTOMERS_SHARED"] = "own"
    foreign = builders.customer(owner=zhao)
    answer = sign_in(wang).post("/tickets/add", form_of(foreign))
    assert answer.status_code == 422
    assert rows(Ticket) == []


def test_only_while_created_a_ticket_is_edited_and_deleted(db, li, zhao, sign_in):
    fresh, taken = builders.ticket(by=li), builders.ticket(by=li, given_to=zhao)
    browser = sign_in(li)

    changed = form_of(fresh.customer, title="换了标题", version=fresh.version)
    assert browser.post(f"/tickets/edit/{fresh.id}", changed).status_code == 302
    assert fresh.title == "换了标题"
    assert browser.post(f"/tickets/delete/{fresh.id}").status_code == 302
    assert fresh.deleted_at is not None
    assert browser.get(f"/tickets/show/{fresh.id}").status_code == 404

    for action in ("edit", "delete"):
        data = form_of(taken.customer, title="换了标题", version=taken.version)
        answer = browser.post(f"/tickets/{action}/{taken.id}", data, follow_redirects=True)
        assert "nobody was assigned to yet" in text_of(answer)
    assert (taken.title, taken.deleted_at) == ("设备有异响", None)
    refusals = rows(AuditEntry, AuditEntry.record_id == taken.id, AuditEntry.outcome == Outcome.refused)
    assert [(refusal.action, refusal.actor_id) for refusal in refusals] == [("edit", li.id), ("delete", li.id)]


def test_a_page_shows_the_buttons_that_work(db, li, zhao, sign_in):
    fresh, taken = builders.ticket(by=li), builders.ticket(by=li, given_to=zhao)
    browser = sign_in(li)
    for ticket, offered in ((fresh, True), (taken, False)):
        page = browser.get(f"/tickets/show/{ticket.id}").get_data(as_text=True)
        assert (f"/tickets/edit/{ticket.id}" in page) is offered
        assert (f"/tickets/delete/{ticket.id}" in page) is offered


def test_who_was_assigned_meanwhile_keeps_the_ticket(db, li, zhao, sign_in):
    ticket = builders.ticket(by=li)
    seen = ticket.version
    ticket.status, ticket.assignee = TicketStatus.assigned, zhao
    db.session.commit()
    sign_in(li).post(f"/tickets/edit/{ticket.id}", form_of(ticket.customer, title="换了标题", version=seen))
    assert ticket.title == "设备有异响"


# -- whose --------------------------------------------------------------------------------------------------------


def numbers_on(browser):
    return set(re.findall(r"FW\d+", text_of(browser.get("/tickets/list/"))))


def test_a_manager_sees_what_he_entered_what_he_was_given_and_what_his_customers_asked(db, wang, zhao, sign_in):
    entered = builders.ticket(by=wang)
    given = builders.ticket(given_to=wang)
    asked = builders.ticket(builders.customer(owner=wang), by=zhao)
    foreign = builders.ticket(builders.customer(owner=zhao), by=zhao, given_to=zhao)
    browser = sign_in(wang)

    assert numbers_on(browser) == {entered.number, given.number, asked.number}
    assert browser.get(f"/tickets/show/{foreign.id}").status_code == 404
    assert browser.get(f"/tickets/show/{asked.id}").status_code == 200


def test_a_lead_sees_every_ticket(db, li, wang, zhao, sign_in):
    tickets = {builders.ticket(by=wang).number, builders.ticket(given_to=zhao).number}
    assert numbers_on(sign_in(li)) == tickets


@pytest.mark.parametrize("name", ["chen", "sysadmin"])
def test_without_the_right_there_is_no_ticket(db, request, sign_in, name):
    ticket = builders.ticket()
    browser = sign_in(request.getfixturevalue(name))
    for url in ("/tickets/list/", f"/tickets/show/{ticket.id}", "/tickets/add", "/ticket-steps/list/"):
        assert browser.get(url).status_code == 403


def test_a_manager_neither_edits_nor_deletes(db, wang, sign_in):
    ticket = builders.ticket(by=wang)
    browser = sign_in(wang)
    assert browser.post(f"/tickets/edit/{ticket.id}", form_of(ticket.customer)).status_code == 403
    assert browser.post(f"/tickets/delete/{ticket.id}").status_code == 403
    assert ticket.deleted_at is None


def test_the_history_is_read_on_the_tickets_page_by_who_sees_the_ticket(db, wang, zhao, li, sign_in):
    ticket = builders.ticket(by=zhao)
    operations.note_step(ticket, "created", actor=zhao, at=ticket.created_at)
    db.session.commit()
    assert "History 赵敏 created it" in text_of(sign_in(li).get(f"/tickets/show/{ticket.id}"))
    assert ticket.number not in text_of(sign_in(wang).get("/ticket-steps/list/"))
    assert ticket.number in text_of(sign_in(zhao).get("/ticket-steps/list/"))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("_flt_0_title=异响", True), ("_flt_0_title=漏油", False), ("_flt_0_status=created", True),
        ("_flt_0_status=archived", False), ("_flt_1_created_at=2026-11-22&_flt_2_created_at=2026-11-22", True),
        ("_flt_2_created_at=2026-11-21", False), ("_flt_1_created_at=2026-11-23", False),
    ],
)  # fmt: skip
def test_tickets_are_found_by_title_state_and_company_day(db, li, sign_in, query, found):
    ticket = builders.ticket(created_at=datetime(2026, 11, 21, 16, 30, tzinfo=UTC))  # 00:30 on the 22nd
    page = text_of(sign_in(li).get(f"/tickets/list/?{query}"))
    assert (ticket.number in page) is found


def test_tickets_are_found_by_customer_and_type(db, li, sign_in):
    wanted = builders.ticket()
    other = builders.ticket(type=builders.dictionary(DictionaryType.ticket_type, "complaint"))
    browser = sign_in(li)
    page = text_of(browser.get(f"/tickets/list/?_flt_0_customer={wanted.customer_id}"))
    assert wanted.number in page
    assert other.number not in page
    page = text_of(browser.get(f"/tickets/list/?_flt_0_type={other.type_id}"))
    assert other.number in page
    assert wanted.number not in page
