"""Everybody at once: six processes with their own engines at one barrier. What happens once, happens exactly once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

import pytest

from app.core.models import AuditEntry, Outcome
from app.core.models import Counter as CounterRow
from app.customers.models import Contact, Customer
from app.handover.models import Handover, HandoverItem, ItemOutcome, RuleKind
from app.handover.plan import plan_for
from app.handover.rule import Rule
from app.notices.models import Notification
from app.sales.models import Opportunity, OpportunityStatus, PlanStep
from app.tickets.models import Ticket, TicketStatus, TicketStep
from tests import builders
from tests.support import rows
from tests.world import ROOT

S = OpportunityStatus


@pytest.fixture(scope="module")
def starter(app):
    """The process that forks the racers."""
    command = [sys.executable, "-m", "tests.workflows.racers"]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert json.loads(process.stdout.readline()) == "ready"
        yield process
    assert process.returncode == 0


@pytest.fixture
def race(db, starter, other_processes):
    """`race("assign", people=6, ids=[...])`: how each process's tries ended, added up, and what they returned."""

    def hold(name, *, people, ids):
        db.session.commit()
        print(json.dumps({"race": name, "people": people, "ids": ids}), file=starter.stdin, flush=True)
        found = json.loads(starter.stdout.readline())
        crashed = [one["crashed"] for one in found if "crashed" in one]
        assert not crashed, crashed[0]
        db.session.expire_all()
        return sum((Counter(one["ended"]) for one in found), Counter()), [r for one in found for r in one["results"]]

    return hold


def history(action, outcome):
    return len(rows(AuditEntry, AuditEntry.action == action, AuditEntry.outcome == outcome))


def test_200_opportunities_assigned_by_six_are_assigned_200_times(race, li):
    ids = [builders.opportunity(by=li).id for _ in range(200)]
    ended, _results = race("assign", people=6, ids=ids)
    assert ended["done"] == 200
    assert ended["busy"] == 0
    refused = {sentence: count for sentence, count in ended.items() if sentence not in ("done", "busy")}
    assert sum(refused.values()) == 1000
    assert set(refused) <= {"Already assigned to 王强.", "Already assigned to 赵敏."}
    assert {o.status for o in rows(Opportunity)} == {S.assigned}
    assert {o.version for o in rows(Opportunity)} == {2}
    assert (history("assign", Outcome.done), history("assign", Outcome.refused)) == (200, 1000)


def test_100_opportunities_won_by_six_make_100_customers(race, li, wang):
    ids = []
    for number in range(100):
        opportunity = builders.opportunity(
            by=li, given_to=wang, contact_name=f"联系人{number}", contact_phone="010-555 0101"
        )
        builders.plan_step(opportunity, result="合同已签")
        ids.append(opportunity.id)
    ended, _results = race("win", people=6, ids=ids)
    assert (ended["done"], ended["busy"]) == (100, 0)
    won = rows(Opportunity)
    assert {o.status for o in won} == {S.won}
    assert len({o.customer_id for o in won}) == len(rows(Customer)) == 100
    assert sorted(c.name for c in rows(Contact)) == sorted(f"联系人{n}" for n in range(100))
    assert all(contact.is_primary for contact in rows(Contact))
    assert len({c.number for c in rows(Customer)}) == 100
    assert (history("win", Outcome.done), history("win", Outcome.refused)) == (100, 500)


def test_12_opportunities_of_one_prospect_won_by_six_make_one_customer(race, li, wang):
    """The others hear that there is one by now, as if they had come later."""
    ids = []
    for _number in range(12):
        opportunity = builders.opportunity(by=li, given_to=wang, customer_name="同名公司")
        builders.plan_step(opportunity, result="合同已签")
        ids.append(opportunity.id)
    ended, _results = race("win", people=6, ids=ids)
    assert (ended["done"], ended["busy"]) == (1, 0)
    (customer,) = rows(Customer)
    (won,) = rows(Opportunity, Opportunity.status == S.won)
    assert (won.customer_id, won.created_customer) == (customer.id, True)
    asked = "There is already a customer with this name. Attach to it, or create another one."
    refused = rows(AuditEntry, AuditEntry.action == "win", AuditEntry.outcome == Outcome.refused)
    assert {e.note for e in refused if e.record_id != won.id} == {asked}
    assert ended[asked] >= 66  # all six tried all the eleven others
    assert len(refused) == 71


def test_no_step_is_planned_after_the_end(race, li, wang):
    ids = [builders.opportunity(by=li, given_to=wang).id for _ in range(20)]
    ended, _results = race("plan or close", people=6, ids=ids)
    assert ended["busy"] == 0
    assert {o.status for o in rows(Opportunity)} == {S.lost}
    ends = {
        e.record_id: e.id
        for e in rows(AuditEntry, AuditEntry.action == "terminate", AuditEntry.outcome == Outcome.done)
    }
    assert len(ends) == 20
    planned = {e.record_id: e.id for e in rows(AuditEntry, AuditEntry.record_type == "plan_step")}
    steps = rows(PlanStep)
    assert ended["done"] == 20 + len(steps)
    assert [step.id for step in steps if planned[step.id] > ends[step.opportunity_id]] == []


def test_a_handover_confirmed_by_six_is_one_handover(race, li, wang, zhao):
    for _number in range(200):
        builders.ticket(builders.customer(owner=wang), given_to=wang)
    stamp = plan_for(wang, Rule(RuleKind.one, people=(zhao.id,))).stamp
    ended, _results = race("confirm handover", people=6, ids=[(wang.id, zhao.id, stamp)])
    assert ended == {"done": 1, "What 王强 owns has changed. Look at the plan again.": 5}
    [handover] = rows(Handover)
    assert (handover.moved, handover.skipped) == (400, 0)
    assert {item.outcome for item in rows(HandoverItem)} == {ItemOutcome.moved}
    assert {c.owner_id for c in rows(Customer)} == {t.assignee_id for t in rows(Ticket)} == {zhao.id}
    assert {c.version for c in rows(Customer)} == {2}
    assert history("handover", Outcome.done) == 401  # the records and the person
    assert len(rows(Notification)) == 1


def told(step):
    return len(rows(TicketStep, TicketStep.step == step))


def test_20_tickets_worked_on_by_six_are_each_taken_through_every_step_once(race, li, wang, zhao):
    ids = [builders.ticket(by=li).id for _ in range(20)]
    ended, _results = race("assign ticket", people=6, ids=ids)
    assert (ended["done"], ended["busy"], told("assigned")) == (20, 0, 20)
    assert (history("assign", Outcome.done), history("assign", Outcome.refused)) == (20, 100)

    for ticket in rows(Ticket, Ticket.assignee_id != wang.id):
        ticket.assignee = wang
    ended, _results = race("handle ticket", people=6, ids=ids)
    assert (ended["done"], ended["busy"], told("handled")) == (20, 0, 20)
    assert (history("handle", Outcome.done), history("handle", Outcome.refused)) == (20, 100)

    ended, _results = race("ask about ticket", people=6, ids=ids)
    assert (ended["done"], ended["busy"]) == (20, 0)
    tickets = rows(Ticket)
    archived = [t for t in tickets if t.status is TicketStatus.archived]
    returned = [t for t in tickets if t.status is TicketStatus.assigned]
    assert (len(archived) + len(returned), told("archived"), told("returned")) == (20, len(archived), len(returned))
    assert {t.times_returned for t in returned} <= {1}
    assert {t.satisfaction for t in archived} <= {4}
    assert (history("give_feedback", Outcome.done), history("give_feedback", Outcome.refused)) == (20, 100)


def test_six_processes_take_600_different_numbers(race):
    ended, numbers = race("take number", people=6, ids=list(range(100)))
    assert (ended["done"], ended["busy"]) == (600, 0)
    assert sorted(numbers, key=lambda n: int(n[8:])) == [f"KH071202{n:03d}" for n in range(1, 601)]
    assert [counter.last for counter in rows(CounterRow)] == [600]
