"""The moves of an opportunity: from every state, by everybody. A refusal leaves one refused row and nothing else."""

from __future__ import annotations

import pytest

from app.core.clock import utcnow
from app.core.errors import BusinessError, NotYours, StepRefused
from app.core.lifecycle import perform
from app.sales import operations
from app.sales.models import CloseKind, Opportunity, OpportunityStatus
from tests import builders
from tests.support import rows, text_of

S = OpportunityStatus
FROM = {
    "assign": {S.unassigned},
    "reassign": {S.assigned},
    "win": {S.assigned},
    "lose": {S.assigned},
    "terminate": {S.assigned},
}
WRONG = [(step, status) for step, sources in FROM.items() for status in S if status not in sources]


def form_of(step, assignee):
    """What the page of a step sends."""
    if step in ("assign", "reassign"):
        return {"assignee": assignee.id}
    return {"reason": "预算取消"} if step in ("lose", "terminate") else {}


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize(("step", "status"), WRONG)
def test_from_another_state_a_move_is_refused(
    db, sign_in, admin, wang, zhao, step, status, complete, picture, refusals
):
    given_to = None if status is S.unassigned else wang
    opportunity = builders.opportunity(by=admin, given_to=given_to, status=status)
    before = picture(opportunity)
    answer = sign_in(admin).post(f"/opportunities/{step}/{opportunity.id}", form_of(step, zhao) if complete else {})
    assert answer.status_code == 409
    assert "Fill in this field." not in text_of(answer)
    assert picture(opportunity) == before
    (refusal,) = refusals()
    assert (refusal.record_type, refusal.record_id, refusal.action) == ("opportunity", opportunity.id, step)
    assert (refusal.actor_id, refusal.from_status) == (admin.id, status.value)
    assert refusal.note in text_of(answer)


@pytest.mark.parametrize("step", ["assign", "reassign", "lose", "terminate"])
def test_where_a_move_is_possible_what_is_missing_is_asked_for(db, sign_in, admin, wang, chen, step, picture, refusals):
    opportunity = builders.opportunity(by=admin, given_to=None if step == "assign" else wang)
    builders.plan_step(opportunity)
    before = picture(opportunity)
    sent = {"assignee": chen.id} if "assign" in step else {"reason": " " * 3 + "长" * 501}
    answer = sign_in(admin).post(f"/opportunities/{step}/{opportunity.id}", sent)
    assert answer.status_code == 422
    assert sent.get("reason", "") in answer.get_data(as_text=True)
    assert button(step) in answer.get_data(as_text=True)
    assert picture(opportunity) == before
    assert refusals() == []


@pytest.mark.parametrize("typed", [{"assignee": 99999}, {"assignee": ""}])
def test_whom_it_was_given_to_is_said_whatever_was_chosen(db, sign_in, li, wang, typed, refusals):
    opportunity = builders.opportunity(by=li, given_to=wang)
    answer = sign_in(li).post(f"/opportunities/assign/{opportunity.id}", typed)
    assert answer.status_code == 409
    assert "Already assigned to 王强." in text_of(answer)
    assert "Choose one of the list." not in text_of(answer)
    assert [r.note for r in refusals()] == ["Already assigned to 王强."]


def test_whose_it_is_not_hears_that_before_what_is_missing(db, sign_in, wang, zhao, refusals):
    opportunity = builders.opportunity(by=zhao, given_to=wang)
    answer = sign_in(zhao).post(f"/opportunities/terminate/{opportunity.id}", {"reason": ""})
    assert answer.status_code == 403
    assert "Only the assignee can do this." in text_of(answer)
    assert [(r.action, r.actor_id) for r in refusals(opportunity)] == [("terminate", zhao.id)]


@pytest.mark.parametrize("step", FROM)
def test_the_page_of_a_move_changes_nothing_and_names_it(db, sign_in, admin, wang, step, picture):
    opportunity = builders.opportunity(by=admin, given_to=None if step == "assign" else wang)
    before = picture(opportunity)
    answer = sign_in(admin).get(f"/opportunities/{step}/{opportunity.id}")
    assert answer.status_code == 200
    assert str(getattr(operations, step).label) in text_of(answer)
    assert picture(opportunity) == before


def button(step):
    """The button of a step's page."""
    return f'type="submit">{getattr(operations, step).label}</button>'


@pytest.mark.parametrize("step", FROM)
def test_the_page_of_a_move_that_can_be_made_offers_it(db, sign_in, li, wang, step):
    opportunity = builders.opportunity(by=li, given_to=None if step == "assign" else wang)
    if step in ("win", "lose"):
        builders.plan_step(opportunity, result="已完成")
    page = sign_in(li if "assign" in step else wang).get(f"/opportunities/{step}/{opportunity.id}")
    assert button(step) in page.get_data(as_text=True)


@pytest.mark.parametrize(("step", "status"), WRONG)
def test_the_page_of_a_move_from_another_state_says_why_not_and_offers_nothing(
    db, sign_in, admin, wang, step, status, refusals
):
    given_to = None if status is S.unassigned else wang
    opportunity = builders.opportunity(by=admin, given_to=given_to, status=status)
    answer = sign_in(admin).get(f"/opportunities/{step}/{opportunity.id}")
    sentence = "Already assigned to 王强." if status is S.assigned else f"the record is “{status.label}”"
    assert answer.status_code == 200
    assert sentence in text_of(answer)
    page = answer.get_data(as_text=True)
    assert button(step) not in page
    assert 'name="reason"' not in page
    assert f'href="/opportunities/show/{opportunity.id}"' in page
    assert refusals() == []


@pytest.mark.parametrize(
    ("step", "who", "steps", "sentence"),
    [
        ("reassign", "li", ["做完了"], "A plan step already has a result"),
        ("win", "wang", [], "Add at least one plan step and its result first."),
        ("win", "wang", ["做完了", None, None], "Fill in the results of 2 planned steps first."),
        ("win", "zhao", ["做完了"], "Only the assignee can do this."),
        ("lose", "wang", [], "There is no plan step yet."),
        ("lose", "zhao", [None], "Only the assignee can do this."),
        ("terminate", "zhao", [], "Only the assignee can do this."),
    ],
)
def test_the_page_of_a_move_that_a_rule_forbids_says_so_before_anything_is_typed(
    request, db, sign_in, wang, zhao, step, who, steps, sentence
):
    opportunity = builders.opportunity(by=zhao, given_to=wang)
    for result in steps:
        builders.plan_step(opportunity, result=result)
    answer = sign_in(request.getfixturevalue(who)).get(f"/opportunities/{step}/{opportunity.id}")
    assert answer.status_code == 200
    assert sentence in text_of(answer)
    assert button(step) not in answer.get_data(as_text=True)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (S.unassigned, None),
        (S.assigned, "In development, no longer editable"),
        (S.won, "Closed, no longer editable"),
        (S.lost, "Closed, no longer editable"),
    ],
)
def test_the_facts_say_why_they_are_fixed(db, sign_in, wang, status, words):
    opportunity = builders.opportunity(by=wang, given_to=None if status is S.unassigned else wang, status=status)
    text = text_of(sign_in(wang).get(f"/opportunities/show/{opportunity.id}"))
    assert (words or "no longer editable") in text if words else "no longer editable" not in text


@pytest.mark.parametrize(
    ("step", "who", "code"),
    [
        # assigning is the lead's, developing the assignee's
        ("assign", "wang", 403), ("assign", "zhao", 403), ("assign", "chen", 403), ("assign", "sysadmin", 403),
        ("reassign", "wang", 403), ("reassign", "zhao", 403), ("reassign", "chen", 403),
        ("win", "li", 403), ("win", "zhao", 404), ("win", "chen", 403),
        ("lose", "li", 403), ("lose", "zhao", 404), ("lose", "sysadmin", 403),
        ("terminate", "li", 403), ("terminate", "zhao", 404), ("terminate", "chen", 403),
    ],
)  # fmt: skip
def test_the_wrong_person_moves_nothing(request, db, sign_in, li, wang, step, who, code, picture, refusals):
    person = request.getfixturevalue(who)
    opportunity = builders.opportunity(by=li, given_to=None if step == "assign" else wang)
    if step != "assign":
        builders.plan_step(opportunity, result="已完成")
    before, browser = picture(opportunity), sign_in(person)
    assert browser.get(f"/opportunities/{step}/{opportunity.id}").status_code == code
    assert browser.post(f"/opportunities/{step}/{opportunity.id}", form_of(step, wang)).status_code == code
    assert picture(opportunity) == before
    (refusal,) = refusals()
    assert (refusal.record_type, refusal.record_id, refusal.action) == ("opportunity", opportunity.id, step)
    assert refusal.actor_id == person.id
    assert refusal.note


@pytest.mark.parametrize("step", ["win", "lose", "terminate"])
def test_who_entered_it_sees_it_but_does_not_close_it(db, sign_in, wang, zhao, step, picture, refusals):
    opportunity = builders.opportunity(by=zhao, given_to=wang)
    builders.plan_step(opportunity, result="已完成")
    before, browser = picture(opportunity), sign_in(zhao)
    assert browser.get(f"/opportunities/show/{opportunity.id}").status_code == 200
    answer = browser.post(f"/opportunities/{step}/{opportunity.id}", form_of(step, wang))
    assert answer.status_code == 403
    assert "Only the assignee can do this." in text_of(answer)
    assert picture(opportunity) == before
    assert [(r.action, r.note) for r in refusals()] == [(step, "Only the assignee can do this.")]


def test_a_super_admin_may_make_every_move(db, sign_in, admin, wang, zhao, moves):
    browser = sign_in(admin)
    opportunity = builders.opportunity(by=wang)
    assert browser.post(f"/opportunities/assign/{opportunity.id}", {"assignee": wang.id}).status_code == 302
    assert browser.post(f"/opportunities/reassign/{opportunity.id}", {"assignee": zhao.id}).status_code == 302
    assert browser.post(f"/opportunities/terminate/{opportunity.id}", {"reason": "不再跟进"}).status_code == 302
    assert [(m.action, m.actor_id) for m in moves(opportunity)] == [
        ("assign", admin.id), ("reassign", admin.id), ("terminate", admin.id),
    ]  # fmt: skip


def test_a_stranger_gets_no_hint_whether_a_row_exists(db, sign_in, li, zhao, wang):
    opportunity = builders.opportunity(by=li, given_to=wang)
    browser = sign_in(zhao)
    there, away = (browser.post(f"/opportunities/lose/{pk}", {"reason": "x"}) for pk in (opportunity.id, 987654))
    assert text_of(there) == text_of(away)


def test_a_move_on_a_row_that_is_not_there_is_written_down_for_no_row(db, sign_in, wang, refusals):
    assert sign_in(wang).post("/opportunities/lose/987654", {"reason": "x"}).status_code == 404
    assert refusals() == []


# -- assign -------------------------------------------------------------------------------------------------------


def test_a_lead_assigns_and_it_is_remembered(db, sign_in, li, wang, moves):
    opportunity = builders.opportunity(by=li)
    answer = sign_in(li).post(f"/opportunities/assign/{opportunity.id}", {"assignee": wang.id})
    assert (answer.status_code, answer.location) == (302, f"/opportunities/show/{opportunity.id}")
    db.session.refresh(opportunity)
    assert (opportunity.status, opportunity.assignee_id, opportunity.assigned_by_id) == (S.assigned, wang.id, li.id)
    assert opportunity.assigned_at is not None
    (move,) = moves(opportunity)
    assert (move.action, move.actor_id, move.from_status, move.to_status) == ("assign", li.id, "unassigned", "assigned")


def test_the_second_assigner_reads_who_has_it(db, sign_in, li, wang, zhao):
    opportunity = builders.opportunity(by=li, given_to=wang)
    answer = sign_in(li).post(f"/opportunities/assign/{opportunity.id}", {"assignee": zhao.id})
    assert answer.status_code == 409
    assert "Already assigned to 王强." in text_of(answer)


@pytest.mark.parametrize("who", ["li", "chen", "sysadmin"])
def test_only_somebody_who_may_be_assigned_gets_it(request, db, sign_in, li, who, picture):
    person, opportunity = request.getfixturevalue(who), builders.opportunity(by=li)
    before = picture(opportunity)
    assert sign_in(li).post(f"/opportunities/assign/{opportunity.id}", {"assignee": person.id}).status_code == 422
    assert picture(opportunity) == before
    with pytest.raises(BusinessError, match="cannot be given opportunities"):
        operations.assign(opportunity, actor=li, assignee=person)


def test_nobody_disabled_gets_it(db, li, wang):
    left, opportunity = builders.user(active=False), builders.opportunity(by=li)
    with pytest.raises(BusinessError, match="cannot be given opportunities"):
        operations.assign(opportunity, actor=li, assignee=left)


def test_a_role_of_the_companys_own_can_be_assigned_to(db, li):
    role = builders.role(rights=[("can_be_assigned", "Customer")])
    helper, opportunity = builders.user(roles=[role]), builders.opportunity(by=li)
    operations.assign(opportunity, actor=li, assignee=helper)
    assert opportunity.assignee is helper


def test_nobody_chosen_is_asked_again(db, sign_in, li):
    opportunity = builders.opportunity(by=li)
    answer = sign_in(li).post(f"/opportunities/assign/{opportunity.id}", {"assignee": ""})
    assert answer.status_code == 422
    assert "Fill in this field." in text_of(answer)


# -- reassign -----------------------------------------------------------------------------------------------------


def test_it_goes_to_somebody_else_while_no_step_has_a_result(db, sign_in, li, wang, zhao, moves):
    opportunity = builders.opportunity(by=li, given_to=wang)
    builders.plan_step(opportunity)
    assert sign_in(li).post(f"/opportunities/reassign/{opportunity.id}", {"assignee": zhao.id}).status_code == 302
    db.session.refresh(opportunity)
    assert (opportunity.status, opportunity.assignee_id, opportunity.assigned_by_id) == (S.assigned, zhao.id, li.id)
    assert [m.action for m in moves(opportunity)] == ["reassign"]


def test_with_one_result_it_stays_with_its_assignee(db, sign_in, li, wang, zhao, picture, refusals):
    opportunity = builders.opportunity(by=li, given_to=wang)
    builders.plan_step(opportunity, result="客户有预算")
    before = picture(opportunity)
    answer = sign_in(li).post(f"/opportunities/reassign/{opportunity.id}", {"assignee": zhao.id})
    assert answer.status_code == 409
    assert "already has a result, so the opportunity stays with its assignee." in text_of(answer)
    assert picture(opportunity) == before
    assert len(refusals()) == 1


def test_when_the_assignee_is_gone_another_goes_on_with_the_plan_as_it_is(db, sign_in, li, wang, zhao, moves):
    opportunity = builders.opportunity(by=li, given_to=wang)
    done = builders.plan_step(opportunity, result="客户有预算")
    wang.active = False
    db.session.commit()
    browser = sign_in(li)
    assert button("reassign") in browser.get(f"/opportunities/reassign/{opportunity.id}").get_data(as_text=True)
    assert browser.post(f"/opportunities/reassign/{opportunity.id}", {"assignee": zhao.id}).status_code == 302
    db.session.refresh(opportunity)
    assert (opportunity.status, opportunity.assignee_id, opportunity.assigned_by_id) == (S.assigned, zhao.id, li.id)
    assert (done.result, done.executed_by_id) == ("客户有预算", wang.id)
    assert [m.action for m in moves(opportunity)] == ["reassign"]
    assert sign_in(zhao).post(f"/opportunities/win/{opportunity.id}").status_code == 302


def test_who_may_no_longer_be_assigned_gives_up_what_he_has_begun(db, li, wang, zhao):
    opportunity = builders.opportunity(by=li, given_to=wang)
    builders.plan_step(opportunity, result="客户有预算")
    wang.roles = [builders.seeded_role("executive")]
    db.session.commit()
    perform(operations.reassign, opportunity, actor=li, assignee=zhao)
    assert opportunity.assignee is zhao
    with pytest.raises(BusinessError, match="already has a result"):
        perform(operations.reassign, opportunity, actor=li, assignee=builders.user())


def test_it_is_not_reassigned_to_who_has_it(db, li, wang):
    opportunity = builders.opportunity(by=li, given_to=wang)
    with pytest.raises(BusinessError, match="王强 is already the assignee"):
        operations.reassign(opportunity, actor=li, assignee=wang)


# -- lose and terminate -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("step", "kind"), [("lose", CloseKind.failed), ("terminate", CloseKind.terminated)])
def test_it_ends_with_a_reason(db, sign_in, li, wang, step, kind, moves):
    opportunity = builders.opportunity(by=li, given_to=wang)
    builders.plan_step(opportunity)
    answer = sign_in(wang).post(f"/opportunities/{step}/{opportunity.id}", {"reason": "  竞争对手低价中标 "})
    assert answer.status_code == 302
    db.session.refresh(opportunity)
    assert (opportunity.status, opportunity.close_kind, opportunity.close_reason) == (S.lost, kind, "竞争对手低价中标")
    assert (opportunity.closed_by_id, opportunity.customer_id) == (wang.id, None)
    assert opportunity.closed_at is not None
    (move,) = moves(opportunity)
    assert (move.action, move.to_status, move.note) == (step, "lost", "竞争对手低价中标")


@pytest.mark.parametrize("reason", ["", "   ", "\u3000"])
@pytest.mark.parametrize("step", ["lose", "terminate"])
def test_without_a_reason_it_goes_on(db, sign_in, li, wang, step, reason, picture):
    opportunity = builders.opportunity(by=li, given_to=wang)
    builders.plan_step(opportunity)
    before = picture(opportunity)
    assert sign_in(wang).post(f"/opportunities/{step}/{opportunity.id}", {"reason": reason}).status_code == 422
    assert picture(opportunity) == before
    with pytest.raises(BusinessError, match="Say why"):
        getattr(operations, step)(opportunity, actor=wang, reason=reason)


def test_a_reason_that_is_too_long_stays_typed(db, sign_in, li, wang):
    opportunity = builders.opportunity(by=li, given_to=wang)
    answer = sign_in(wang).post(f"/opportunities/terminate/{opportunity.id}", {"reason": "长" * 501})
    assert answer.status_code == 422
    assert "长" * 501 in answer.get_data(as_text=True)


def test_it_is_terminated_without_any_step_but_fails_only_with_one(db, li, wang):
    opportunity = builders.opportunity(by=li, given_to=wang)
    with pytest.raises(BusinessError, match="There is no plan step yet"):
        operations.lose(opportunity, actor=wang, reason="预算取消")
    operations.terminate(opportunity, actor=wang, reason="预算取消")
    assert opportunity.status == S.lost


def test_a_refused_step_is_kept_on_the_page_with_its_text(db, sign_in, li, wang):
    opportunity = builders.opportunity(by=li, given_to=wang)
    answer = sign_in(wang).post(f"/opportunities/lose/{opportunity.id}", {"reason": "客户预算被取消，今年不再采购。"})
    assert answer.status_code == 409
    assert "客户预算被取消，今年不再采购。" in answer.get_data(as_text=True)
    assert "What you typed is kept." in text_of(answer)


def test_a_refused_step_without_fields_does_not_speak_of_what_was_typed(db, sign_in, li, wang):
    opportunity = builders.opportunity(by=li, given_to=wang)
    answer = sign_in(wang).post(f"/opportunities/win/{opportunity.id}")
    assert answer.status_code == 409
    assert "Nothing was changed. Add at least one plan step" in text_of(answer)
    assert "What you typed is kept." not in text_of(answer)


# -- simultaneous -------------------------------------------------------------------------------------------------


def test_somebody_faster_is_noticed(db, li, wang, zhao, refusals):
    """The row changes between loading and taking the step."""
    opportunity = builders.opportunity(by=li)
    opportunity_id = opportunity.id
    with db.engine.begin() as other:
        other.execute(
            Opportunity.__table__.update()
            .where(Opportunity.id == opportunity_id)
            .values(status=S.assigned, assignee_id=zhao.id, assigned_at=opportunity.created_at, version=2)
        )
    with pytest.raises(StepRefused, match="Already assigned to 赵敏"):
        perform(operations.assign, opportunity, actor=li, assignee=wang)
    db.session.expire_all()
    assert opportunity.assignee_id == zhao.id
    assert [r.note for r in refusals()] == ["Already assigned to 赵敏."]


def test_a_closer_who_was_slower_changes_nothing(db, li, wang, refusals):
    opportunity = builders.opportunity(by=li, given_to=wang)
    with db.engine.begin() as other:
        other.execute(Opportunity.__table__.update().values(version=Opportunity.version + 1, title="别人改过"))
    with pytest.raises(StepRefused, match="Somebody else was faster"):
        perform(operations.terminate, opportunity, actor=wang, reason="不再跟进")
    db.session.expire_all()
    assert opportunity.status == S.assigned
    assert len(refusals()) == 1


# -- in bulk ------------------------------------------------------------------------------------------------------


def test_bulk_assignment_says_what_happened_to_each_row(db, sign_in, li, wang, zhao):
    free = [builders.opportunity(by=li, title=f"空闲{n}") for n in range(3)]
    taken = builders.opportunity(by=li, given_to=zhao, title="赵在开发")
    gone = builders.opportunity(by=li, title="已删除", deleted_at=utcnow())
    browser = sign_in(li)
    chosen = [*(o.id for o in free), free[0].id, taken.id, gone.id, 987654, "abc", "9" * 50, ""]
    answer = browser.post("/opportunities/bulk-assign", {"rowid": chosen, "assignee": wang.id, "confirmed": "1"})

    text = text_of(answer)
    assert answer.status_code == 200
    assert "3 records done · 6 skipped" in text
    assert text.count("The opportunity was assigned.") == 3
    assert text.count("Already assigned to 赵敏.") == 1
    assert text.count("Not found.") == 5
    assert "已删除" not in text
    assert {o.assignee_id for o in rows(Opportunity, Opportunity.id.in_([o.id for o in free]))} == {wang.id}
    assert rows(Opportunity, Opportunity.id == taken.id)[0].assignee_id == zhao.id


@pytest.mark.parametrize("reach", ["all", "selected"])
def test_opportunities_of_one_title_are_told_apart_by_their_prospects(db, sign_in, li, wang, zhao, reach):
    made = [builders.opportunity(by=li, title="金属检测机", customer_name=name) for name in ("云栖", "北辰")]
    taken = builders.opportunity(by=li, given_to=zhao, title="金属检测机", customer_name="南山")
    browser, sent = sign_in(li), {"rowid": [o.id for o in (*made, taken)]}
    names = ("金属检测机 · 云栖", "金属检测机 · 北辰", "金属检测机 · 南山")
    asked = text_of(browser.post("/opportunities/bulk-assign", sent))
    assert [name for name in names if name not in asked] == []
    sent |= {"reach": reach, "assignee": wang.id, "confirmed": "1"}
    text = text_of(browser.post("/opportunities/bulk-assign", sent))
    assert [name for name in names if text.count(name) != 1] == []
    assert text.count("The opportunity was assigned.") == 2
    assert text.count("Already assigned to 赵敏.") == 1


def test_bulk_assignment_first_asks_whom(db, sign_in, li):
    chosen = builders.opportunity(by=li, title="要指派的")
    browser = sign_in(li)
    answer = browser.post("/opportunities/bulk-assign", {"rowid": [chosen.id]})
    assert answer.status_code == 200
    assert "要指派的" in text_of(answer)
    answer = browser.post("/opportunities/bulk-assign", {"rowid": [chosen.id], "confirmed": "1"})
    assert answer.status_code == 422
    assert "Fill in this field." in text_of(answer)
    assert rows(Opportunity)[0].status == S.unassigned


@pytest.mark.parametrize("screen", ["opportunities", "customers"])
def test_the_address_of_a_bulk_result_opened_again_leads_to_the_list(db, sign_in, li, screen):
    answer = sign_in(li).get(f"/{screen}/bulk-assign")
    assert (answer.status_code, answer.location) == (302, f"/{screen}/list/")


def test_bulk_assignment_of_nothing_asks_for_rows(db, sign_in, li):
    browser = sign_in(li)
    answer = browser.post("/opportunities/bulk-assign", {})
    assert answer.status_code == 302
    assert "Select at least one row first." in text_of(browser.get(answer.location))


@pytest.mark.parametrize("who", ["wang", "chen", "sysadmin"])
def test_bulk_assignment_is_the_leads(request, db, sign_in, li, who, picture):
    opportunity = builders.opportunity(by=li)
    before = picture(opportunity)
    browser = sign_in(request.getfixturevalue(who))
    sent = {"rowid": [opportunity.id], "assignee": li.id, "confirmed": "1"}
    assert browser.post("/opportunities/bulk-assign", sent).status_code == 403
    assert picture(opportunity) == before


def test_rows_out_of_the_assigners_scope_are_not_found(db, sign_in, wang, zhao):
    """A role that may assign but sees only its own rows."""
    role = builders.role(rights=[("can_assign", "Opportunity"), ("can_list", "Opportunity")])
    assigner = builders.user(roles=[role])
    own, foreign = builders.opportunity(by=assigner, title="自己的"), builders.opportunity(by=zhao, title="别人的")
    sent = {"rowid": [own.id, foreign.id], "assignee": wang.id, "confirmed": "1"}
    text = text_of(sign_in(assigner).post("/opportunities/bulk-assign", sent))
    assert "1 record done · 1 skipped" in text
    assert "Not found." in text
    assert "别人的" not in text
    assert rows(Opportunity, Opportunity.id == foreign.id)[0].status == S.unassigned


# -- the operations themselves ------------------------------------------------------------------------------------


def test_closing_is_the_assignees_also_below_the_pages(db, li, wang, zhao):
    opportunity = builders.opportunity(by=li, given_to=wang)
    builders.plan_step(opportunity, result="已完成")
    for step, given in (("win", {}), ("lose", {"reason": "x"}), ("terminate", {"reason": "x"})):
        with pytest.raises(NotYours, match="Only the assignee"):
            getattr(operations, step)(opportunity, actor=zhao, **given)
    assert opportunity.status == S.assigned
