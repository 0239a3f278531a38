"""Bulk changes are undone from their receipt for 7 days; what was changed since is left alone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.core import bulk
from app.core.clock import utcnow
from app.core.errors import BusinessError
from app.core.lifecycle import perform
from app.core.models import AuditEntry, BulkChange, Deletion, FieldChange, Outcome
from app.core.unit import unit_of_work
from app.customers import operations as customers
from app.customers.models import Customer, CustomerStatus
from app.marketing.models import Participant
from app.notices.models import Notification
from app.sales.models import Opportunity, OpportunityStatus
from app.tickets.models import Ticket, TicketStatus, TicketStep
from tests import builders
from tests.support import rows, text_of


@pytest.fixture
def given(db, sign_in, li, wang, zhao):
    """Four customers of 王强's (one without an owner) that 李娜 gave to 赵敏 in one go; and her browser."""
    made = [builders.customer(owner=wang) for _n in range(3)] + [builders.customer()]
    browser = sign_in(li)
    answer = browser.post(
        "/customers/bulk-assign", {"confirmed": "1", "rowid": [c.id for c in made], "owner": str(zhao.id)}
    )
    assert "4 records done" in text_of(answer)
    (receipt,) = rows(BulkChange)
    assert f"/bulk-changes/show/{receipt.id}" in answer.get_data(as_text=True)
    return made, receipt, browser


def owners(made):
    return [c.owner_id for c in sorted(rows(Customer, Customer.id.in_([m.id for m in made])), key=lambda c: c.id)]


def test_the_receipt_says_what_was_done_and_undoes_it(db, li, wang, given):
    made, receipt, browser = given
    page = text_of(browser.get(f"/bulk-changes/show/{receipt.id}"))
    assert "Records changed 4" in page
    question = text_of(browser.get(f"/bulk-changes/undo/{receipt.id}"))
    assert "Would move back 4 Left alone 0" in question

    answer = browser.post(f"/bulk-changes/undo/{receipt.id}")

    assert answer.location == f"/bulk-changes/show/{receipt.id}"
    assert owners(made) == [wang.id] * 3 + [None]
    (receipt,) = rows(BulkChange)
    assert (receipt.back, receipt.undone_by_id) == (4, li.id)
    back = rows(FieldChange, FieldChange.move == "customer.undo_bulk")
    assert {(c.field, c.actor_id) for c in back} == {("owner_id", li.id)}
    assert len(rows(AuditEntry, AuditEntry.action == "undo_bulk")) == 4
    again = browser.post(f"/bulk-changes/undo/{receipt.id}")
    assert again.status_code == 409
    assert "undone already" in text_of(again)


def test_what_was_changed_since_is_left_alone_even_if_it_came_back(db, li, wang, zhao, given):
    made, receipt, browser = given
    perform(customers.assign, made[0], actor=li, owner=wang)
    perform(customers.assign, made[0], actor=li, owner=zhao)  # to him again: but by another decision
    with unit_of_work():
        made[1].memo, made[2].status = "别的字段", CustomerStatus.lost
    assert "Would move back 2 Left alone 2" in text_of(browser.get(f"/bulk-changes/undo/{receipt.id}"))
    browser.post(f"/bulk-changes/undo/{receipt.id}")
    assert owners(made) == [zhao.id, wang.id, zhao.id, None]
    assert rows(BulkChange)[0].back == 2


def test_after_seven_days_it_is_too_late(db, li, given):
    _made, receipt, _browser = given
    bulk.check_undo(receipt, receipt.at + timedelta(days=7))
    with pytest.raises(BusinessError, match="for 7 days"):
        bulk.undo(receipt, actor=li, at=receipt.at + timedelta(days=7, seconds=1))
    with unit_of_work():
        receipt = db.session.get(BulkChange, receipt.id)
        receipt.at = utcnow() - timedelta(days=8)
    answer = _browser.post(f"/bulk-changes/undo/{receipt.id}")
    assert answer.status_code == 409
    assert [e.outcome for e in rows(AuditEntry, AuditEntry.record_type == "bulk_change")] == [Outcome.refused]


def test_others_neither_see_nor_undo_it(db, sign_in, wang, sysadmin, given):
    made, receipt, _browser = given
    before = owners(made)
    assert sign_in(wang).get(f"/bulk-changes/show/{receipt.id}").status_code == 403
    lead = builders.user(role_code="sales_lead")
    assert sign_in(lead).get(f"/bulk-changes/show/{receipt.id}").status_code == 404
    assert sign_in(lead).post(f"/bulk-changes/undo/{receipt.id}").status_code == 404
    rights = [("can_show", "BulkChange"), ("can_undo", "BulkChange"), ("can_see_all", "BulkChange")]
    without = builders.user(roles=[builders.role(rights=rights)])
    refused = sign_in(without).post(f"/bulk-changes/undo/{receipt.id}")
    assert refused.status_code == 403
    assert "Only who may do this can undo it." in text_of(refused)
    assert owners(made) == before


def test_a_part_that_goes_on_has_the_same_receipt_and_nothing_done_has_none(db, monkeypatch, sign_in, li, wang, zhao):
    from app.core import taking

    monkeypatch.setattr(taking, "AT_ONCE", 2)
    made = [builders.customer(owner=wang) for _n in range(3)]
    browser, sent = sign_in(li), {"confirmed": "1", "reach": "all", "owner": str(zhao.id)}
    page = browser.post("/customers/bulk-assign", sent).get_data(as_text=True)
    (receipt,) = rows(BulkChange)
    assert f'name="receipt" value="{receipt.id}"' in page
    browser.post("/customers/bulk-assign", {**sent, "receipt": receipt.id, "after": made[1].id, "done": 2})
    assert [r.done for r in rows(BulkChange)] == [3]
    browser.post("/customers/bulk-assign", {"confirmed": "1", "rowid": [made[0].id], "owner": str(zhao.id)})
    assert len(rows(BulkChange)) == 1  # he is the owner already: refused
    browser.post("/customers/bulk-assign", {**sent, "owner": str(wang.id), "receipt": 10**6})
    assert len(rows(BulkChange)) == 2  # a number of nobody's begins another


def test_tickets_and_opportunities_go_back_to_nobody_unless_work_has_begun(db, sign_in, li, wang):
    tickets, chances = [builders.ticket() for _n in range(2)], [builders.opportunity(by=li) for _n in range(2)]
    due = tickets[0].due_at
    browser = sign_in(li)
    for address, made in (("/tickets", tickets), ("/opportunities", chances)):
        sent = {"confirmed": "1", "rowid": [one.id for one in made], "assignee": str(wang.id)}
        assert "2 records done" in text_of(browser.post(f"{address}/bulk-assign", sent))
    builders.plan_step(chances[1])
    sign_in(wang).post(f"/tickets/handle/{tickets[1].id}", {"handling": "已上门"})
    for receipt in rows(BulkChange):
        assert browser.post(f"/bulk-changes/undo/{receipt.id}").status_code == 302
    assert [(t.status, t.assignee_id) for t in rows(Ticket)] == [
        (TicketStatus.created, None), (TicketStatus.handled, wang.id),
    ]  # fmt: skip
    assert rows(Ticket)[0].due_at == due
    assert [(o.status, o.assignee_id) for o in rows(Opportunity)] == [
        (OpportunityStatus.unassigned, None), (OpportunityStatus.assigned, wang.id),
    ]  # fmt: skip
    assert [s.step for s in rows(TicketStep, TicketStep.ticket_id == tickets[0].id)] == ["assigned", "unassigned"]
    assert "took the assignment back" in text_of(browser.get(f"/tickets/show/{tickets[0].id}"))
    assert [r.back for r in rows(BulkChange)] == [1, 1]
    told = rows(Notification, Notification.kind.endswith(".taken_back"))
    assert {(n.kind, n.recipient_id, n.words["number"]) for n in told} == {
        ("ticket.taken_back", wang.id, 1), ("opportunity.taken_back", wang.id, 1),
    }  # fmt: skip


def test_who_loses_records_by_it_is_told_once_how_many(db, sign_in, li, wang, zhao, given):
    made, receipt, browser = given
    perform(customers.assign, made[0], actor=li, owner=wang)  # since: is left alone, so zhao does not lose it again

    browser.post(f"/bulk-changes/undo/{receipt.id}")

    (told,) = rows(Notification)
    assert (told.kind, told.recipient_id, told.words) == ("customer.taken_back", zhao.id, {"number": 3})
    page = sign_in(zhao).speak("en").get("/notices/")
    assert "A bulk change was undone. Customers taken back: 3" in text_of(page)
    assert sign_in(zhao).post(f"/notices/open/{told.id}").location == "/customers/list/"


def test_participants_added_or_removed_by_the_dozen_come_and_go_back(db, sign_in, li):
    activity, made = builders.activity(), [builders.customer() for _n in range(3)]
    browser = sign_in(li)

    def taking_part():
        return {p.customer_id for p in rows(Participant, Participant.deleted_at.is_(None))}

    builders.participant(activity, made[0])
    browser.post(f"/participants/choose/{activity.id}")
    assert taking_part() == {c.id for c in made}
    (added,) = rows(BulkChange)
    assert added.done == 2
    browser.post(f"/participants/clear/{activity.id}")
    assert taking_part() == set()
    assert {line.label for line in rows(Deletion)} == {c.name for c in made}
    browser.post(f"/bulk-changes/undo/{rows(BulkChange)[1].id}")
    assert taking_part() == {c.id for c in made}
    assert rows(Deletion) == []
    browser.post(f"/bulk-changes/undo/{added.id}")  # they were taken off and put back since: another's decision
    assert taking_part() == {c.id for c in made}
