"""What somebody else did between reading a row and moving it: the loser is told so, and has changed nothing."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from app.core.clock import today, utcnow
from app.core.errors import NotYours, StepRefused
from app.core.lifecycle import perform
from app.core.taking import TakesSteps
from app.customers.models import Customer, CustomerStatus
from app.sales import operations
from app.sales.models import Opportunity, OpportunityStatus
from tests import builders
from tests.support import rows, text_of

S = OpportunityStatus
FASTER = "Somebody else was faster"


@pytest.fixture
def meanwhile(db):
    """`meanwhile(record, **values)`: another connection changes the row that this session has read already."""

    def change(record, **values):
        db.session.commit()
        table = type(record).__table__
        with db.engine.begin() as other:
            other.execute(sa.update(table).where(table.c.id == record.id).values(version=table.c.version + 1, **values))

    return change


@pytest.fixture
def ready(db, li, wang):
    opportunity = builders.opportunity(
        by=li, given_to=wang, customer_name="杭州云栖智造科技有限公司", contact_name="顾维"
    )
    builders.plan_step(opportunity, result="合同已签")
    return opportunity


def test_who_was_the_assignee_a_moment_ago_wins_nothing(db, wang, zhao, ready, meanwhile):
    assert ready.assignee_id == wang.id
    meanwhile(ready, assignee_id=zhao.id)
    with pytest.raises(NotYours, match="Only the assignee can do this"):
        operations.win(ready, actor=wang)
    db.session.rollback()
    assert {o.status for o in rows(Opportunity)} == {S.assigned}
    assert rows(Customer) == []


def test_what_was_deleted_a_moment_ago_is_not_assigned(db, li, wang, meanwhile):
    opportunity = builders.opportunity(by=li)
    assert opportunity.deleted_at is None
    meanwhile(opportunity, deleted_at=utcnow())
    with pytest.raises(StepRefused, match=FASTER):
        operations.assign(opportunity, actor=li, assignee=wang)
    db.session.rollback()
    assert [o.assignee_id for o in rows(Opportunity)] == [None]


@pytest.mark.parametrize("contact_name", ["顾维", None])
def test_a_customer_that_was_deleted_a_moment_ago_is_not_attached_to(db, li, wang, ready, meanwhile, contact_name):
    customer = builders.customer(owner=wang, name=ready.customer_name)
    ready.contact_name = contact_name
    namesakes = operations.same_name(ready.customer_name)
    meanwhile(customer, status=CustomerStatus.deleted)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(operations, "same_name", lambda _name, *_where: namesakes)
        with pytest.raises(StepRefused, match=FASTER):
            operations.win(ready, actor=wang, attach_to=customer)


def test_attaching_to_a_customer_that_changed_is_refused_in_words(db, wang, ready, meanwhile):
    customer = builders.customer(owner=None, name="杭州云栖智造科技有限公司")
    assert customer.version == 1
    meanwhile(customer, memo="刚刚改过")
    with pytest.raises(StepRefused, match=FASTER):
        operations.win(ready, actor=wang, attach_to=customer)


@pytest.mark.parametrize(
    "move",
    [
        lambda step, actor: operations.change_step(step, actor=actor, planned_on=today(), todo="另一件事"),
        lambda step, actor: operations.execute_step(step, actor=actor, result="做完了"),
        lambda step, actor: operations.remove_step(step, actor=actor),
    ],
)
def test_a_planned_step_that_changed_is_refused_in_words(db, wang, ready, meanwhile, move):
    step = builders.plan_step(ready)
    assert step.version == 1
    meanwhile(step, todo="刚刚改过")
    with pytest.raises(StepRefused, match=FASTER):
        move(step, wang)


def test_a_row_that_vanished_under_a_step_is_refused_and_remembered(db, li, refusals):
    opportunity = builders.opportunity(by=li)

    @operations.step(sources={S.unassigned}, target=None, label="Try", done="Tried")
    def give(opportunity, *, actor, at):
        opportunity.source_id = 987654

    with pytest.raises(StepRefused, match=FASTER):
        perform(give, opportunity, actor=li)
    assert [r.action for r in refusals(opportunity)] == ["give"]


def test_when_the_database_goes_away_the_rows_before_keep_their_lines(db, sign_in, li, wang, monkeypatch):
    pks = [builders.opportunity(by=li).id for _ in range(3)]
    take, tried = TakesSteps._take_one, []

    def once(self, taken, pk, actor, values):
        tried.append(pk)
        if len(tried) == 2:
            raise OperationalError("UPDATE", {}, Exception("database is locked"))
        return take(self, taken, pk, actor, values)

    monkeypatch.setattr(TakesSteps, "_take_one", once)
    sent = {"rowid": pks, "confirmed": "1", "assignee": wang.id}
    answer = sign_in(li).post("/opportunities/bulk-assign", sent)
    assert answer.status_code == 200
    assert text_of(answer).count("The opportunity was assigned.") == 1
    assert text_of(answer).count("The database is away or busy") == 2
    assert len(tried) == 2
    assert [o.status for o in rows(Opportunity)] == [S.assigned, S.unassigned, S.unassigned]
