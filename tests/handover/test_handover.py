"""离职交接: what moves, what stays as it is, what is told, and who may not."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from app.core.changes import TOLD
from app.core.clock import utcnow
from app.core.errors import BusinessError, NotYours
from app.core.models import AuditEntry
from app.customers.models import Customer, CustomerStatus
from app.handover import operations
from app.handover.models import Handover, HandoverItem, ItemOutcome, RecordKind, RuleKind, UndoOutcome
from app.handover.operations import PlanChanged
from app.handover.plan import plan_for
from app.handover.rule import Rule
from app.masterdata.models import DictionaryType
from app.notices.models import Notification
from app.sales.models import Opportunity, OpportunityStatus
from app.security.models import UserSession
from app.tickets.models import RecordStatus, Ticket, TicketStatus, TicketStep
from tests import builders
from tests.support import rows, statements

K = RecordKind


def to(person):
    """All to one person."""
    return Rule(RuleKind.one, people=(person.id,))


def hand_over(leaver, rule, actor, **given):
    """Plan and confirm in one go."""
    handover = operations.hand_over(leaver, rule, stamp=plan_for(leaver, rule).stamp, actor=actor, **given)
    afresh()
    return handover


def undo(handover, actor, **given):
    operations.undo(handover, actor=actor, **given)
    afresh()


def afresh():
    """What was written so far, as the database has it."""
    builders.db.session.commit()
    builders.db.session.expire_all()


@pytest.fixture
def belongings(wang, li):
    """One record of every kind and state that wang owns."""
    customer = builders.customer(name="恒锐精密", owner=wang)
    return {
        "customer": customer,
        "lost": builders.customer(owner=wang, status=CustomerStatus.lost),
        "deleted": builders.customer(owner=wang, status=CustomerStatus.deleted),
        "opportunity": builders.opportunity(by=li, given_to=wang),
        "won": builders.opportunity(status=OpportunityStatus.won, given_to=wang, customer=builders.customer()),
        "assigned": builders.ticket(customer, given_to=wang),
        "handled": builders.ticket(customer, given_to=wang, status=TicketStatus.handled),
        "archived": builders.ticket(customer, given_to=wang, status=TicketStatus.archived),
        "feedback": builders.feedback(customer, accepted_by=wang),
        "closed feedback": builders.feedback(customer, accepted_by=wang, status=RecordStatus.closed),
        "complaint": builders.complaint(customer, accepted_by=wang),
        "closed complaint": builders.complaint(customer, accepted_by=wang, status=RecordStatus.closed),
    }


MOVES = {"customer", "lost", "opportunity", "assigned", "handled", "feedback", "complaint"}


def owner_of(record):
    column = {"customer": "owner_id", "opportunity": "assignee_id", "ticket": "assignee_id"}
    return getattr(record, column.get(record.__tablename__, "accepted_by_id"))


def columns_of(record):
    return {c.key: getattr(record, c.key) for c in sa.inspect(type(record)).column_attrs}


def test_everything_somebody_has_to_go_on_with_moves_and_the_rest_stays(db, li, wang, zhao, belongings):
    hand_over(wang, to(zhao), li)
    assert {name for name, record in belongings.items() if owner_of(record) == zhao.id} == MOVES
    assert {name for name, record in belongings.items() if owner_of(record) == wang.id} == {*belongings} - MOVES


def test_nothing_but_the_owner_changes(db, li, wang, zhao, belongings):
    plan = builders.plan_step(belongings["opportunity"], result="客户有意向")
    before = {name: columns_of(record) for name, record in belongings.items()} | {"step": columns_of(plan)}
    at = utcnow()
    hand_over(wang, to(zhao), li, at=at)
    changed = {"owner_id", "assignee_id", "accepted_by_id"}
    for name, record in belongings.items():
        after = columns_of(record)
        if name not in MOVES:
            assert after == before[name]
            continue
        assert (after["version"], after["changed_at"], after["changed_by_id"]) == (
            before[name]["version"] + 1,
            at,
            li.id,
        )
        other = {key for key in after if after[key] != before[name][key]}
        assert other <= changed | {"version", "changed_at", "changed_by_id"}
        assert len(other & changed) == 1
    assert columns_of(plan) == before["step"]


def test_every_record_tells_it_once_with_both_names_and_the_real_actor(db, li, wang, zhao, belongings):
    hand_over(wang, to(zhao), li)
    told = rows(AuditEntry, AuditEntry.action == "handover", AuditEntry.record_type != "ab_user")
    assert len(told) == len(MOVES)
    assert {entry.note for entry in told} == {"王强 → 赵敏"}
    assert {entry.actor_id for entry in told} == {li.id}
    assert {(e.record_type, e.record_id) for e in told} == {
        (r.__tablename__, r.id) for n, r in belongings.items() if n in MOVES
    }
    assert all(entry.from_status == entry.to_status for entry in told)
    steps = rows(TicketStep, TicketStep.step == "handed_over")
    assert [(step.ticket_id, step.text, step.actor_id) for step in steps] == [
        (belongings[name].id, "王强 → 赵敏", li.id) for name in ("assigned", "handled")
    ]


def test_the_receipt_counts_what_moved(db, li, wang, zhao, belongings):
    handover = hand_over(wang, to(zhao), li)
    assert handover.counts == {
        "moved": {"customer": 2, "opportunity": 1, "ticket": 2, "feedback": 1, "complaint": 1}, "skipped": {},
    }  # fmt: skip
    assert (handover.moved, handover.skipped) == (7, 0)
    items = rows(HandoverItem)
    assert {(i.from_id, i.to_id, i.outcome, i.undone) for i in items} == {(wang.id, zhao.id, ItemOutcome.moved, None)}


def test_what_belongs_to_a_customer_goes_with_it(db, li, wang, zhao):
    third = builders.user(role_code="account_manager")
    customers = [builders.customer(name=f"第{n}公司", owner=wang) for n in range(4)]
    for customer in customers:
        builders.ticket(customer, given_to=wang)
        builders.feedback(customer, accepted_by=wang)
        builders.opportunity(by=li, given_to=wang, customer_name=f" {customer.name.upper()}有限公司")
    hand_over(wang, Rule(RuleKind.evenly, people=(zhao.id, third.id)), li)
    by_customer = {customer.id: customer.owner_id for customer in customers}
    assert sorted(by_customer.values()) == sorted([zhao.id, third.id] * 2)
    for ticket in rows(Ticket):
        assert ticket.assignee_id == by_customer[ticket.customer_id]
    for customer, opportunity in zip(customers, rows(Opportunity), strict=True):
        assert opportunity.assignee_id == customer.owner_id


def test_by_region_every_customer_goes_where_its_region_says(db, li, wang, zhao):
    east = builders.dictionary_item(type=DictionaryType.region, label="华东")
    third = builders.user(role_code="account_manager")
    here, there = builders.customer(owner=wang, region=east), builders.customer(owner=wang)
    foreign = builders.ticket(builders.customer(owner=zhao, region=east), given_to=wang)
    unknown = builders.opportunity(by=li, given_to=wang, customer_name="谁也不认识")
    rule = Rule(RuleKind.region, lines=((east.id, third.id),), rest=zhao.id)
    plan = plan_for(wang, rule)
    assert (len(plan), plan.by_rest, plan.foreign) == (4, 2, 1)
    hand_over(wang, rule, li)
    assert (here.owner_id, there.owner_id) == (third.id, zhao.id)
    assert (foreign.assignee_id, foreign.customer.owner_id) == (third.id, zhao.id)
    assert unknown.assignee_id == zhao.id


def test_the_leavers_sessions_end_and_nobody_elses(db, li, wang, zhao, sign_in, belongings):
    sign_in(wang)
    browser = sign_in(zhao)
    hand_over(wang, to(zhao), li)
    assert [(s.user_id, s.ended_at is None) for s in rows(UserSession)] == [(wang.id, False), (zhao.id, True)]
    assert browser.get("/customers/list/").status_code == 200


def test_every_successor_is_told_once_how_much_he_got(db, li, wang, zhao, belongings):
    handover = hand_over(wang, to(zhao), li)
    [told] = rows(Notification)
    assert (told.recipient_id, told.kind, told.event) == (zhao.id, "handover.received", f"handover:{handover.id}")
    assert told.words == {"name": "王强", "customers": 2, "opportunities": 1, "tickets": 2, "others": 2}


# -- refusals -----------------------------------------------------------------------------------------------------


def test_what_changed_between_plan_and_confirming_is_shown_again(db, li, wang, zhao, belongings):
    stamp = plan_for(wang, to(zhao)).stamp
    builders.customer(owner=wang)
    with pytest.raises(PlanChanged, match="has changed"):
        operations.hand_over(wang, to(zhao), stamp=stamp, actor=li)
    db.session.rollback()
    assert rows(Handover) == []


def test_a_plan_is_confirmed_once(db, li, wang, zhao, belongings):
    stamp = plan_for(wang, to(zhao)).stamp
    operations.hand_over(wang, to(zhao), stamp=stamp, actor=li)
    with pytest.raises(PlanChanged):
        operations.hand_over(wang, to(zhao), stamp=stamp, actor=li)


def test_nothing_can_not_be_handed_over(db, li, wang, zhao):
    with pytest.raises(BusinessError, match="owns nothing"):
        hand_over(wang, to(zhao), li)


def test_a_record_that_changes_at_that_moment_is_left_alone_and_listed(db, li, wang, zhao, monkeypatch):
    kept, given, edited = (builders.customer(owner=wang) for _ in range(3))

    def meanwhile(handover, plan):
        write(handover, plan)
        table = Customer.__table__
        for pk, values in ((given.id, {"owner_id": li.id}), (edited.id, {"memo": "新的电话"})):
            change = sa.update(table).where(table.c.id == pk).values(version=table.c.version + 1, **values)
            db.session.execute(change.execution_options(**TOLD))

    write = operations._write_items
    monkeypatch.setattr(operations, "_write_items", meanwhile)
    handover = hand_over(wang, to(zhao), li)
    db.session.expire_all()
    assert (kept.owner_id, given.owner_id, edited.owner_id) == (zhao.id, li.id, wang.id)
    assert (handover.moved, handover.skipped) == (1, 2)
    assert {i.record_id for i in rows(HandoverItem, HandoverItem.outcome == ItemOutcome.skipped)} == {
        given.id,
        edited.id,
    }
    assert len(rows(AuditEntry, AuditEntry.action == "handover", AuditEntry.record_type == "customer")) == 1


def test_nobody_hands_over_his_own(db, li, zhao):
    builders.complaint(accepted_by=li)
    with pytest.raises(NotYours, match="himself"):
        hand_over(li, to(zhao), li)


def test_only_a_super_admin_hands_over_what_a_super_admin_owns(db, li, zhao, admin):
    builders.customer(owner=admin)
    with pytest.raises(NotYours, match="super admin"):
        hand_over(admin, to(zhao), li)


@pytest.mark.parametrize("whose", ["a disabled account", "no account manager", "the leaver"])
def test_a_successor_is_active_and_may_be_given_customers(db, li, wang, zhao, chen, belongings, whose):
    if whose == "a disabled account":
        zhao.active = False
        db.session.commit()
    successor = {"a disabled account": zhao, "no account manager": chen, "the leaver": wang}[whose]
    with pytest.raises(BusinessError, match="successor"):
        hand_over(wang, to(successor), li)
    db.session.rollback()
    assert rows(Handover) == []


@pytest.mark.parametrize("kind", list(RuleKind))
def test_a_rule_without_people_is_refused(db, li, wang, kind):
    with pytest.raises(BusinessError, match="Choose"):
        operations.check_rule(Rule(kind), wang)


def test_evenly_needs_two(db, wang, zhao):
    with pytest.raises(BusinessError, match="at least two"):
        operations.check_rule(Rule(RuleKind.evenly, people=(zhao.id,)), wang)


# -- undoing ------------------------------------------------------------------------------------------------------


@pytest.fixture
def done(li, wang, zhao, belongings):
    """A handover of everything from wang to zhao."""
    return hand_over(wang, to(zhao), li)


def test_undoing_gives_everything_back(db, li, wang, zhao, belongings, done):
    undo(done, li)
    assert {owner_of(record) for record in belongings.values()} == {wang.id}
    assert {i.undone for i in rows(HandoverItem)} == {UndoOutcome.back}
    assert (done.undone_by_id, done.undone_at is not None) == (li.id, True)
    back = rows(AuditEntry, AuditEntry.action == "undo_handover", AuditEntry.record_type != "ab_user")
    assert (len(back), {e.note for e in back}) == (len(MOVES), {"赵敏 → 王强"})
    [told] = rows(Notification, Notification.kind == "handover.undone")
    assert (told.recipient_id, told.words["customers"], told.event) == (zhao.id, 2, f"handover.undone:{done.id}")


def test_undoing_ends_nothing_else(db, li, wang, zhao, sign_in, belongings, done):
    operations.disable(wang, actor=None)
    db.session.commit()
    sign_in(zhao)
    undo(done, li)
    assert not wang.active
    assert [s.ended_at for s in rows(UserSession, UserSession.user_id == zhao.id)] == [None]


def test_it_is_undone_once(db, li, done):
    undo(done, li)
    with pytest.raises(BusinessError, match="undone already"):
        operations.undo(done, actor=li)


@pytest.mark.parametrize(("seconds", "works"), [(-1, True), (0, True), (1, False)])
def test_it_can_be_undone_for_seven_days(db, li, wang, belongings, done, seconds, works):
    at = done.at + timedelta(days=7, seconds=seconds)
    if works:
        undo(done, li, at=at)
    else:
        with pytest.raises(BusinessError, match="7 days"):
            operations.undo(done, actor=li, at=at)
        db.session.rollback()
    assert (belongings["customer"].owner_id == wang.id) is works


def test_nobody_takes_back_what_was_his(db, wang, done):
    with pytest.raises(NotYours):
        operations.undo(done, actor=wang)


def test_what_the_successor_worked_on_still_goes_back(db, li, wang, zhao, sign_in, belongings, done):
    customer, ticket = belongings["customer"], belongings["assigned"]
    assert sign_in(zhao).post(f"/tickets/handle/{ticket.id}", {"handling": "换了轴承"}).status_code == 302
    customer.memo = "改了备注"
    db.session.commit()
    undo(done, li)
    assert (customer.owner_id, customer.memo) == (wang.id, "改了备注")
    assert (ticket.assignee_id, ticket.handled_by_id, ticket.status) == (wang.id, zhao.id, TicketStatus.handled)


def test_what_was_given_on_or_closed_since_is_left_alone(db, li, wang, zhao, admin, sign_in, belongings, done):
    third = builders.user(role_code="account_manager")
    browser = sign_in(li)
    customer, lost = belongings["customer"], belongings["lost"]
    assert browser.post(f"/customers/assign/{customer.id}", {"owner": third.id}).status_code == 302
    for person in (third, zhao):  # away and back again: not by this handover any more
        assert browser.post(f"/customers/assign/{lost.id}", {"owner": person.id}).status_code == 302
    zhaos = sign_in(zhao)
    ticket = belongings["handled"]
    assert zhaos.post(f"/tickets/give-feedback/{ticket.id}", {"result": "满意", "satisfaction": "5"}).status_code == 302
    feedback = belongings["feedback"]
    sent = {"title": "交货及时", "received_on": "2026-11-22", "accepted_by": third.id, "customer": feedback.customer_id,
            "version": feedback.version}  # fmt: skip
    assert zhaos.post(f"/feedback/edit/{feedback.id}", sent).status_code == 302
    undo(done, li)
    assert (customer.owner_id, lost.owner_id, ticket.assignee_id) == (third.id, zhao.id, zhao.id)
    assert feedback.accepted_by_id == third.id
    left = {(i.record_type, i.record_id) for i in rows(HandoverItem, HandoverItem.undone == UndoOutcome.left)}
    assert left == {(K.customer, customer.id), (K.customer, lost.id), (K.ticket, ticket.id), (K.feedback, feedback.id)}
    assert belongings["opportunity"].assignee_id == wang.id


def test_a_handover_that_was_handed_on_is_left_alone_until_that_is_undone(db, li, wang, zhao, belongings, done):
    third = builders.user(role_code="account_manager")
    later = hand_over(zhao, to(third), li)
    undo(later, li)
    undo(done, li)
    assert {owner_of(belongings[name]) for name in MOVES} == {wang.id}


def test_what_came_back_by_another_handover_is_left_alone(db, li, wang, zhao, belongings, done):
    third = builders.user(role_code="account_manager")
    hand_over(zhao, to(third), li)
    hand_over(third, to(zhao), li)
    undo(done, li)
    assert {owner_of(belongings[name]) for name in MOVES} == {zhao.id}
    assert {i.undone for i in rows(HandoverItem, HandoverItem.handover_id == done.id)} == {UndoOutcome.left}


def test_it_needs_as_many_statements_for_many_as_for_few(app, db, li, wang, zhao):
    def cost(size):
        for _number in range(size):
            builders.ticket(builders.customer(owner=wang), given_to=wang)
        stamp = plan_for(wang, to(zhao)).stamp
        with statements(app) as there:
            handover = operations.hand_over(wang, to(zhao), stamp=stamp, actor=li)
        db.session.commit()
        with statements(app) as back:
            operations.undo(handover, actor=li)
        db.session.commit()
        return len(there), len(back)

    assert cost(2) == cost(30)
