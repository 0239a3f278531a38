"""Steps: the only way from one state to another, checked, guarded, and remembered with one row."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.core.errors import BusinessError, NotYours, StepRefused
from app.core.lifecycle import perform, step
from app.core.models import AuditEntry, Outcome
from app.sales.models import Opportunity, OpportunityStatus
from tests import builders
from tests.support import rows

S = OpportunityStatus
AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


@step(sources={S.unassigned}, target=None, label="Touch", done="Touched.", icon="point")
def touch(opportunity: Opportunity, *, actor, at, text=None):
    """Change nothing, as another measure would."""
    return "result"


@step(sources={S.unassigned}, target=S.assigned, label="Give", done="Given.")
def give(opportunity: Opportunity, *, actor, at, to, fail=False):
    """Give it to somebody."""
    opportunity.assignee, opportunity.assigned_at = to, at
    if fail:
        raise BusinessError("Not today.")


def test_a_step_knows_its_name_right_and_where_it_may_be_taken():
    assert (touch.name, touch.right, touch.tone) == ("touch", "can_touch", "quiet")
    assert touch.open_to(Opportunity(status=S.unassigned))
    assert not touch.open_to(Opportunity(status=S.won))


def test_it_moves_the_record_and_writes_one_row_with_its_moment(db, li, wang):
    opportunity = builders.opportunity(by=li)
    give(opportunity, actor=li, at=AT, to=wang)
    db.session.commit()
    (entry,) = rows(AuditEntry)
    assert (opportunity.status, opportunity.assigned_at, opportunity.version) == (S.assigned, AT, 2)
    assert (entry.at, entry.actor_id, entry.action, entry.outcome) == (AT, li.id, "give", Outcome.done)
    assert (entry.from_status, entry.to_status, entry.record_id) == ("unassigned", "assigned", opportunity.id)
    assert entry.ip is None


def test_a_step_that_changes_nothing_still_claims_the_row_and_keeps_its_text(db, li):
    opportunity = builders.opportunity(by=li)
    assert touch(opportunity, actor=None, text="打了电话") == "result"
    db.session.commit()
    assert opportunity.version == 2
    assert [(e.actor_id, e.note, e.from_status, e.to_status) for e in rows(AuditEntry)] == [
        (None, "打了电话", "unassigned", "unassigned")
    ]


def test_who_it_is_for_is_asked_before_the_guard_and_by_the_button(db, li, wang):
    asked = []

    def whose(record, actor):
        if actor is not wang:
            raise NotYours("Not yours.")

    @step(
        sources={S.unassigned}, target=None, label="Peek", done="Peeked.",
        whose=whose, guard=lambda _record, actor: asked.append(actor),
    )  # fmt: skip
    def peek(opportunity, *, actor, at):
        """Only for one person."""

    opportunity = builders.opportunity(by=li)
    assert (peek.is_for(opportunity, wang), peek.is_for(opportunity, li), touch.is_for(opportunity, li)) == (
        True,
        False,
        True,
    )
    assert peek.why_not(opportunity, actor=li) == "Not yours."
    with pytest.raises(NotYours, match="Not yours"):
        peek(opportunity, actor=li)
    assert asked == []
    peek(opportunity, actor=wang)
    assert asked == [wang]


def test_from_another_state_it_says_what_the_record_is(db, li, wang):
    opportunity = builders.opportunity(by=li, given_to=wang, status=S.lost)
    with pytest.raises(StepRefused, match="“Give” is not possible: the record is “Not won”"):
        give(opportunity, actor=li, to=wang)


def test_performing_commits_and_a_refusal_leaves_one_row_alone(db, li, wang):
    opportunity = builders.opportunity(by=li)
    with pytest.raises(BusinessError, match="Not today"):
        perform(give, opportunity, actor=li, to=wang, fail=True)
    db.session.rollback()
    (entry,) = rows(AuditEntry)
    assert (entry.outcome, entry.note, entry.from_status, entry.to_status) == (
        Outcome.refused,
        "Not today.",
        "unassigned",
        None,
    )
    assert rows(Opportunity)[0].assignee_id is None
    perform(give, opportunity, actor=li, to=wang)
    db.session.rollback()
    assert rows(Opportunity)[0].assignee_id == wang.id


def test_an_error_that_is_no_refusal_leaves_nothing(db, li):
    opportunity = builders.opportunity(by=li)
    with pytest.raises(AttributeError):
        perform(give, opportunity, actor=li, to="nobody")
    assert rows(AuditEntry) == []


def test_whoever_is_slower_is_told_and_changes_nothing(db, li, wang):
    opportunity = builders.opportunity(by=li)
    with db.engine.begin() as other:
        other.execute(Opportunity.__table__.update().values(version=5))
    with pytest.raises(StepRefused, match="Somebody else was faster"):
        perform(touch, opportunity, actor=li)
    assert [e.outcome for e in rows(AuditEntry)] == [Outcome.refused]


def test_long_texts_are_cut_to_what_the_history_holds(db, li):
    opportunity = builders.opportunity(by=li)
    touch(opportunity, actor=li, text="长" * 5000)
    db.session.commit()
    assert len(rows(AuditEntry)[0].note) == 2000


def test_a_guard_is_asked_after_the_lock_and_by_the_page(db, li, wang):
    asked = []

    def lock(opportunity):
        asked.append("lock")

    def guard(opportunity, actor):
        asked.append("guard")
        if actor != wang:
            raise BusinessError("Only Wang may.")

    @step(
        sources={S.unassigned}, target=None, label="Look", done="Looked.", lock=lock, guard=guard,
        note=lambda opportunity: f"saw {opportunity.customer_name}",
    )  # fmt: skip
    def look(opportunity, *, actor, at):
        asked.append("work")

    opportunity = builders.opportunity(by=li, customer_name="东方纺织")
    assert look.why_not(opportunity, actor=li) == "Only Wang may."
    assert look.why_not(opportunity, actor=wang) is None
    assert asked == ["guard", "guard"]
    with pytest.raises(BusinessError, match="Only Wang may"):
        perform(look, opportunity, actor=li)
    perform(look, opportunity, actor=wang)
    assert asked[2:] == ["lock", "guard", "lock", "guard", "work"]
    assert [(e.outcome, e.note) for e in rows(AuditEntry)] == [
        (Outcome.refused, "Only Wang may."), (Outcome.done, "saw 东方纺织"),
    ]  # fmt: skip
    closed = builders.opportunity(by=li, given_to=wang, status=S.won)
    assert look.why_not(closed, actor=wang) == "“Look” is not possible: the record is “Won”."
