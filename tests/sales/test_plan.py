"""开发计划: the assignee plans, executes and changes steps while the opportunity is in development, nobody else."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from app.core.changes import TOLD
from app.core.clock import today
from app.core.errors import BusinessError, NotYours, StepRefused
from app.sales import operations
from app.sales.models import Opportunity, OpportunityStatus, PlanStep
from tests import builders
from tests.support import fields_of, rows, text_of

S = OpportunityStatus
SOON = date.today() + timedelta(days=9)
LATER = SOON + timedelta(days=7)
STEP = {"planned_on": f"{SOON}", "todo": "上门勘测现场"}


@pytest.fixture
def plan(db, li, wang):
    """An opportunity that wang develops."""
    return builders.opportunity(by=li, given_to=wang)


def url(opportunity, step=None, what=""):
    return f"/opportunities/{opportunity.id}/plan" + (f"/{step.id}" if step else "") + what


# -- the way it goes ----------------------------------------------------------------------------------------------


def test_a_step_is_planned_changed_and_executed(db, sign_in, wang, plan, moves):
    browser = sign_in(wang)
    assert browser.post(url(plan), STEP).status_code == 302
    (step,) = rows(PlanStep)
    assert (step.planned_on, step.todo, step.result, step.created_by_id) == (
        SOON,
        "上门勘测现场",
        None,
        wang.id,
    )

    assert browser.get(url(plan, step)).status_code == 200
    assert browser.post(url(plan, step), {**STEP, "planned_on": f"{LATER}"}).status_code == 302
    assert rows(PlanStep)[0].planned_on == LATER

    assert browser.post(url(plan, step, "/result"), {"result": " 现场条件符合 "}).status_code == 302
    (step,) = rows(PlanStep)
    assert (step.result, step.executed_by_id) == ("现场条件符合", wang.id)
    assert step.executed_at is not None
    assert [m.action for m in moves(step)] == ["create", "edit", "execute"]
    assert fields_of(moves(step)[1]) == {"planned_on": (f"{SOON}", f"{LATER}")}


def test_a_step_without_a_result_is_taken_out_of_the_plan_and_the_opportunity_remembers_it(
    db, sign_in, wang, plan, moves
):
    step, browser = builders.plan_step(plan, todo="参观工厂"), sign_in(wang)
    assert browser.post(url(plan, step, "/delete")).status_code == 302
    assert rows(PlanStep, PlanStep.deleted_at.is_(None)) == []
    assert [(m.action, m.actor_id, m.note) for m in moves(plan)] == [("remove_step", wang.id, "参观工厂")]
    assert "王强 removed a planned step" in text_of(browser.get(f"/opportunities/show/{plan.id}"))


def test_planning_for_a_day_that_is_past_is_possible_because_people_write_things_down_later(db, li, wang):
    plan = builders.opportunity(by=li, given_to=wang, created_at=datetime(2026, 1, 4, 16, 30, tzinfo=UTC))
    step = operations.add_step(plan, actor=wang, planned_on=date(2026, 1, 5), todo="补记一次拜访")
    assert step.planned_on == date(2026, 1, 5)  # 16:30 UTC is 00:30 on the 5th where the company works


def test_nothing_is_planned_for_a_day_before_the_opportunity_was_entered(db, sign_in, li, wang, refusals):
    plan = builders.opportunity(by=li, given_to=wang, created_at=datetime(2026, 1, 4, 16, 30, tzinfo=UTC))
    step = builders.plan_step(plan, planned_on=date(2026, 1, 5))
    old = builders.plan_step(plan, planned_on=date(2025, 12, 31))
    browser, sent = sign_in(wang), {**STEP, "planned_on": "2026-01-04"}
    for address in (url(plan), url(plan, step)):
        answer = browser.post(address, sent)
        assert answer.status_code == 409
        assert "The opportunity was entered on 2026-01-05. Plan its steps for that day or later." in text_of(answer)
        assert sent["todo"] in answer.get_data(as_text=True)
    assert {s.planned_on for s in rows(PlanStep)} == {date(2026, 1, 5), date(2025, 12, 31)}
    assert len(refusals(plan)) == 2
    # What stands there already may stay while the rest is changed.
    assert browser.post(url(plan, old), {**STEP, "planned_on": "2025-12-31"}).status_code == 302


def test_the_page_shows_the_plan_in_the_order_of_its_days(db, sign_in, wang, plan):
    builders.plan_step(plan, planned_on=LATER, todo="第三件事")
    builders.plan_step(plan, planned_on=SOON, todo="第一件事", result="做完了")
    builders.plan_step(plan, planned_on=SOON, todo="第二件事")
    text = text_of(sign_in(wang).get(f"/opportunities/show/{plan.id}"))
    assert text.index("第一件事") < text.index("第二件事") < text.index("第三件事")


# -- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("planned_on", ""),
        ("planned_on", "soon"),
        ("planned_on", "1899-12-31"),
        ("todo", ""),
        ("todo", " "),
        ("todo", "做" * 501),
    ],
)
def test_a_bad_step_is_asked_for_again_with_what_was_typed(db, sign_in, wang, plan, field, typed):
    answer = sign_in(wang).post(url(plan), {**STEP, field: typed})
    assert answer.status_code == 422
    assert (STEP["todo"] if field == "planned_on" else STEP["planned_on"]) in answer.get_data(as_text=True)
    assert typed in answer.get_data(as_text=True)
    assert rows(PlanStep) == []


@pytest.mark.parametrize("typed", ["", "  ", "做" * 501])
def test_a_result_has_text_that_fits(db, sign_in, wang, plan, typed):
    step = builders.plan_step(plan)
    assert sign_in(wang).post(url(plan, step, "/result"), {"result": typed}).status_code == 422
    assert rows(PlanStep)[0].result is None


def test_a_result_is_never_blank_below_the_pages_either(db, wang, plan):
    step = builders.plan_step(plan)
    with pytest.raises(BusinessError, match="Write what came of this step"):
        operations.execute_step(step, actor=wang, result="  ")


def test_what_has_a_result_stays_as_it_is(db, sign_in, wang, plan, picture, refusals):
    step = builders.plan_step(plan, result="客户确认有预算")
    before, browser = picture(step), sign_in(wang)
    for what, sent in (("", STEP), ("/result", {"result": "改一下"})):
        answer = browser.post(url(plan, step, what), sent)
        assert answer.status_code == 409
        assert "already has a result and can no longer be changed." in text_of(answer)
        assert list(sent.values())[-1] in answer.get_data(as_text=True)
    assert browser.post(url(plan, step, "/delete")).status_code == 302
    assert picture(step) == before
    assert [r.action for r in refusals(plan)] == ["plan"] * 3


@pytest.mark.parametrize("status", [S.unassigned, S.won, S.lost])
def test_only_a_plan_in_development_changes(db, sign_in, admin, wang, status, picture, refusals):
    opportunity = builders.opportunity(by=wang, given_to=None if status is S.unassigned else wang, status=status)
    step = builders.plan_step(opportunity)
    before, browser = picture(step), sign_in(admin)
    for address, sent in (
        (url(opportunity, step), STEP), (url(opportunity), STEP),
        (url(opportunity, step, "/result"), {"result": "做完了"}),
    ):  # fmt: skip
        answer = browser.post(address, sent)
        assert answer.status_code == 409
        assert "so its plan can no longer be changed." in text_of(answer)
        assert list(sent.values())[-1] in answer.get_data(as_text=True)
    browser.post(url(opportunity, step, "/delete"))
    assert picture(step) == before
    assert len(rows(PlanStep)) == 1
    assert {r.note for r in refusals(opportunity)} == {
        "This opportunity is not in development, so its plan can no longer be changed."
    }
    assert len(refusals(opportunity)) == 4


@pytest.mark.parametrize("status", [S.unassigned, S.won, S.lost])
def test_a_plan_that_is_closed_says_so_however_little_was_typed(db, sign_in, admin, wang, status, picture, refusals):
    opportunity = builders.opportunity(by=wang, given_to=None if status is S.unassigned else wang, status=status)
    step = builders.plan_step(opportunity)
    before, browser = picture(step), sign_in(admin)
    for address in (url(opportunity, step), url(opportunity), url(opportunity, step, "/result")):
        answer = browser.post(address, {})
        assert answer.status_code == 409
        assert "so its plan can no longer be changed." in text_of(answer)
        assert "Fill in this field." not in text_of(answer)
    assert picture(step) == before
    assert [r.action for r in refusals(opportunity)] == ["plan"] * 3


def test_a_step_that_has_a_result_says_so_however_little_was_typed(db, sign_in, wang, plan, refusals):
    step = builders.plan_step(plan, result="客户确认有预算")
    for what in ("", "/result"):
        answer = sign_in(wang).post(url(plan, step, what), {})
        assert answer.status_code == 409
        assert "already has a result and can no longer be changed." in text_of(answer)
    assert [r.action for r in refusals(plan)] == ["plan"] * 2


@pytest.mark.parametrize(("who", "code"), [("li", 403), ("zhao", 404), ("chen", 403), ("sysadmin", 403)])
def test_nobody_else_touches_the_plan(request, db, sign_in, plan, who, code, picture, refusals):
    step, person = builders.plan_step(plan), request.getfixturevalue(who)
    before, browser = picture(step), sign_in(person)
    for address, sent in (
        (url(plan), STEP), (url(plan, step), STEP), (url(plan, step, "/result"), {"result": "x"}),
        (url(plan, step, "/delete"), {}),
    ):  # fmt: skip
        assert browser.post(address, sent).status_code == code
    assert picture(step) == before
    assert [(r.action, r.actor_id) for r in refusals(plan)] == [("plan", person.id)] * 4


def test_who_entered_the_opportunity_reads_the_plan_but_does_not_write_it(db, sign_in, wang, zhao, picture, refusals):
    opportunity = builders.opportunity(by=zhao, given_to=wang)
    step = builders.plan_step(opportunity, todo="等王强去做")
    before, browser = picture(step), sign_in(zhao)
    assert "等王强去做" in text_of(browser.get(f"/opportunities/show/{opportunity.id}"))
    assert browser.post(url(opportunity), STEP).status_code == 403
    assert browser.post(url(opportunity, step, "/result"), {"result": "x"}).status_code == 403
    browser.post(url(opportunity, step, "/delete"))
    assert picture(step) == before
    assert {r.note for r in refusals(opportunity)} == {"Only the assignee can do this."}


def test_the_former_assignee_works_on_it_no_longer(db, li, wang, zhao):
    opportunity = builders.opportunity(by=li, given_to=wang)
    step = builders.plan_step(opportunity)
    operations.reassign(opportunity, actor=li, assignee=zhao)
    for move in (
        lambda: operations.add_step(opportunity, actor=wang, planned_on=today(), todo="x"),
        lambda: operations.change_step(step, actor=wang, planned_on=today(), todo="x"),
        lambda: operations.execute_step(step, actor=wang, result="x"),
        lambda: operations.remove_step(step, actor=wang),
    ):
        with pytest.raises(NotYours):
            move()


# -- addresses ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step_id", ["0", "987654", "abc", "²", "１２", "9" * 30, "-1", "1e3", "%00"])
def test_a_step_that_is_none_is_not_found(db, sign_in, wang, plan, step_id):
    browser = sign_in(wang)
    for what in ("", "/result", "/delete"):
        assert browser.post(f"/opportunities/{plan.id}/plan/{step_id}{what}", STEP).status_code == 404
    assert browser.get(f"/opportunities/{plan.id}/plan/{step_id}").status_code == 404


def test_a_step_is_reached_by_its_own_opportunity_only(db, sign_in, li, wang, plan, picture):
    other = builders.opportunity(by=li, given_to=wang)
    step = builders.plan_step(other)
    before = picture(step)
    assert sign_in(wang).post(url(plan, step, "/result"), {"result": "x"}).status_code == 404
    assert picture(step) == before


# -- simultaneous -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("move", "given"),
    [("change_step", {"planned_on": today, "todo": "x"}), ("execute_step", {"result": "x"}), ("remove_step", {})],
)
def test_a_step_that_somebody_else_took_out_meanwhile_is_a_refusal(db, wang, plan, move, given):
    step = builders.plan_step(plan)
    assert step.opportunity is plan
    given = {name: value() if callable(value) else value for name, value in given.items()}
    with db.engine.begin() as other:
        other.execute(PlanStep.__table__.delete())
    with pytest.raises(StepRefused, match="Somebody else was faster"):
        getattr(operations, move)(step, actor=wang, **given)


def test_the_page_keeps_what_was_typed_for_a_step_that_is_gone(db, sign_in, wang, plan, monkeypatch):
    """Another request takes the step out between loading it and writing the result."""
    step = builders.plan_step(plan)
    planned = operations.execute_step

    def late(step, **given):
        db.session.execute(PlanStep.__table__.delete().execution_options(**TOLD))
        db.session.commit()
        return planned(step, **given)

    monkeypatch.setattr(operations, "execute_step", late)
    answer = sign_in(wang).post(url(plan, step, "/result"), {"result": "白写的结果"})
    assert answer.status_code == 409
    assert "Somebody else was faster" in text_of(answer)
    assert "白写的结果" in answer.get_data(as_text=True)


def test_a_result_written_by_somebody_else_meanwhile_stays(db, wang, plan):
    step = builders.plan_step(plan)
    step_id = step.id
    with db.engine.begin() as other:
        table = PlanStep.__table__
        other.execute(table.update().values(result="先写的", executed_at=plan.assigned_at, version=2))
    with pytest.raises(BusinessError, match="already has a result"):
        operations.execute_step(step, actor=wang, result="后写的")
    db.session.rollback()
    assert db.session.get(PlanStep, step_id).result == "先写的"


def test_a_step_for_an_opportunity_that_was_closed_meanwhile_is_refused(db, wang, plan):
    with db.engine.begin() as other:
        other.execute(
            Opportunity.__table__.update().values(
                status=S.lost, close_kind="failed", close_reason="x", closed_at=plan.assigned_at, version=2
            )
        )
    with pytest.raises(BusinessError):
        operations.add_step(plan, actor=wang, planned_on=today(), todo="太晚了")
    db.session.rollback()
    assert rows(PlanStep) == []
