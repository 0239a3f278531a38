"""销售机会: who enters, edits and deletes them, and who sees which."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from app.core.models import AuditEntry
from app.masterdata.models import DictionaryType
from app.sales.models import Opportunity, OpportunityStatus
from tests import builders
from tests.support import fields_of, rows, text_of

S = OpportunityStatus
FACTS = {
    "customer_name": "苏州恒锐精密机械有限公司", "title": "产线视觉检测设备采购", "probability": "70",
    "description": "客户计划在装配线末端增加视觉检测。",
}  # fmt: skip


def test_a_new_opportunity_is_unassigned_with_creator_and_time_set_by_the_server(db, sign_in, wang):
    source = builders.dictionary(DictionaryType.source, "fair")
    sent = {
        **FACTS, "source": source.id, "expected_amount": "1,260,000.50", "expected_close_on": "2027-03-31",
        "contact_name": "唐敏", "contact_phone": "010-68348438-668",
        # What the server decides cannot be sent along.
        "status": "won", "assignee": wang.id, "created_by": 1, "close_kind": "won", "customer": 1, "number": "X",
    }  # fmt: skip
    answer = sign_in(wang).post("/opportunities/add", sent)

    (made,) = rows(Opportunity)
    assert (answer.status_code, answer.location) == (302, f"/opportunities/show/{made.id}")
    assert (made.status, made.assignee_id, made.close_kind, made.customer_id) == (S.unassigned, None, None, None)
    assert made.created_by_id == wang.id
    assert made.created_at is not None
    assert (made.probability, made.source_id, made.contact_phone) == (70, source.id, "010-68348438-668")
    assert made.expected_amount == Decimal("1260000.50")
    (entry,) = rows(AuditEntry)
    assert (entry.action, entry.actor_id, entry.record_type, entry.record_id) == (
        "create",
        wang.id,
        "opportunity",
        made.id,
    )


@pytest.mark.parametrize(
    ("field", "typed", "sentence"),
    [
        ("customer_name", "", "Fill in this field."),
        ("customer_name", "  \u3000 ", "Fill in this field."),
        ("customer_name", "恒" * 101, "100"),
        ("title", "", "Fill in this field."),
        ("title", "采" * 201, "200"),
        ("probability", "", "Fill in this field."),
        ("probability", "101", "between 0 and 100"),
        ("probability", "-1", "between 0 and 100"),
        ("probability", "seventy", "Enter a whole number."),
        ("description", "", "Fill in this field."),
        ("description", "很" * 2001, "2000"),
        ("expected_amount", "12.345", "at most 12 digits and 2 decimals"),
        ("expected_amount", "a lot", "Enter an amount"),
        ("expected_amount", "-5", "Enter 0 or more."),
        ("expected_close_on", "2027-02-30", "Enter a date"),
        ("expected_close_on", "0099-01-01", "between 1900 and 2199"),
        ("contact_phone", "call me", "Use digits"),
        ("source", "999999", "Choose one of the list."),
    ],
)
def test_a_bad_value_is_named_at_its_field_and_everything_typed_stays(db, sign_in, wang, field, typed, sentence):
    answer = sign_in(wang).post("/opportunities/add", {**FACTS, field: typed})
    assert answer.status_code == 422
    assert sentence in text_of(answer)
    page = answer.get_data(as_text=True)
    for name, value in FACTS.items():
        if name != field:
            assert value in page
    if typed.strip() and field != "source":
        assert typed in page
    assert rows(Opportunity) == []


@pytest.mark.parametrize("probability", [0, 100])
def test_the_ends_of_the_scale_are_probabilities(db, sign_in, wang, probability):
    assert sign_in(wang).post("/opportunities/add", {**FACTS, "probability": probability}).status_code == 302
    assert rows(Opportunity)[0].probability == probability


def test_the_facts_are_changed_while_nobody_has_it(db, sign_in, wang, moves):
    opportunity = builders.opportunity(by=wang)
    sent = {**FACTS, "version": opportunity.version}
    assert sign_in(wang).post(f"/opportunities/edit/{opportunity.id}", sent).status_code == 302
    db.session.refresh(opportunity)
    assert opportunity.customer_name == FACTS["customer_name"]
    (move,) = moves(opportunity)
    assert move.action == "edit"
    assert fields_of(move)["probability"] == ("50", "70")


@pytest.mark.parametrize("status", [S.assigned, S.won, S.lost])
def test_an_assigned_opportunity_is_neither_edited_nor_deleted(db, sign_in, admin, wang, status, picture, refusals):
    opportunity = builders.opportunity(by=admin, given_to=wang, status=status)
    before, browser = picture(opportunity), sign_in(admin)
    for url in ("edit", "delete"):
        answer = browser.post(f"/opportunities/{url}/{opportunity.id}", {**FACTS, "version": 1})
        assert answer.status_code == {"edit": 409, "delete": 302}[url]
        assert "Only unassigned opportunities can be edited or deleted." in text_of(
            answer if url == "edit" else browser.get(answer.location)
        )
    assert picture(opportunity) == before
    assert [entry.action for entry in refusals(opportunity)] == ["edit", "delete"]


def test_its_creator_and_the_lead_delete_it(db, sign_in, li, wang):
    for person in (wang, li):
        opportunity = builders.opportunity(by=wang)
        browser = sign_in(person)
        answer = browser.post(f"/opportunities/delete/{opportunity.id}")
        assert (answer.status_code, answer.location) == (302, "/opportunities/list/")
        db.session.refresh(opportunity)
        assert opportunity.deleted_at is not None
        assert browser.get(f"/opportunities/show/{opportunity.id}").status_code == 404
        assert opportunity.title not in text_of(browser.get("/opportunities/list/")).split("Deleted:")[0]


def test_somebody_elses_opportunity_is_not_there(db, sign_in, wang, zhao, chen, sysadmin, picture):
    opportunity = builders.opportunity(by=wang)
    before = picture(opportunity)
    for person, code in ((zhao, 404), (chen, 403), (sysadmin, 403)):
        browser = sign_in(person)
        for url in (f"show/{opportunity.id}", f"edit/{opportunity.id}"):
            assert browser.get(f"/opportunities/{url}").status_code == code
        for url in (f"edit/{opportunity.id}", f"delete/{opportunity.id}"):
            assert browser.post(f"/opportunities/{url}", FACTS).status_code == code
    assert picture(opportunity) == before


def test_an_opportunity_given_to_somebody_by_his_lead_is_his_to_see_but_not_to_delete(db, sign_in, li, wang, picture):
    opportunity = builders.opportunity(by=li, given_to=wang)
    before, browser = picture(opportunity), sign_in(wang)
    assert browser.get(f"/opportunities/show/{opportunity.id}").status_code == 200
    browser.post(f"/opportunities/delete/{opportunity.id}")
    assert picture(opportunity) == before


def test_lists_show_own_created_and_own_assigned_and_all_to_the_lead(db, sign_in, li, wang, zhao):
    mine = builders.opportunity(by=wang, title="王录入的")
    given = builders.opportunity(by=li, given_to=wang, title="指派给王的")
    other = builders.opportunity(by=zhao, title="赵录入的")
    text = text_of(sign_in(wang).get("/opportunities/list/"))
    assert mine.title in text
    assert given.title in text
    assert other.title not in text
    assert all(o.title in text_of(sign_in(li).get("/opportunities/list/")) for o in (mine, given, other))


def test_an_assigned_opportunity_is_in_the_plans_of_its_assignee(db, sign_in, li, wang, zhao):
    plan, loose = (
        builders.opportunity(by=li, given_to=wang, title="有人开发"),
        builders.opportunity(by=wang, title="无人开发"),
    )
    text = text_of(sign_in(wang).get("/plans/list/"))
    assert plan.title in text
    assert loose.title not in text
    assert plan.title not in text_of(sign_in(zhao).get("/plans/list/"))


def test_the_list_finds_by_customer_title_and_contact(db, sign_in, li):
    builders.opportunity(by=li, customer_name="岳麓环保", title="污水监测", contact_name="唐敏")
    builders.opportunity(by=li, customer_name="楚天光电", title="激光传感", contact_name="顾维")
    browser = sign_in(li)
    for column, typed in (("customer_name", "麓环"), ("title", "水监"), ("contact_name", "唐")):
        text = text_of(browser.get(f"/opportunities/list/?_flt_0_{column}={typed}"))
        assert "污水监测" in text
        assert "激光传感" not in text
    assert "激光传感" not in text_of(browser.get("/opportunities/list/?_flt_0_customer_name=麓环&_flt_0_title=激光"))


def test_two_people_editing_at_once_lose_nothing(db, sign_in, li, wang, picture):
    opportunity = builders.opportunity(by=wang)
    page = sign_in(wang).get(f"/opportunities/edit/{opportunity.id}").get_data(as_text=True)
    version = re.search(r'name="version"[^>]*value="(\d+)"', page)[1]
    sent = {**FACTS, "version": version}
    assert sign_in(li).post(f"/opportunities/edit/{opportunity.id}", {**sent, "title": "主管改过"}).status_code == 302

    browser = sign_in(wang)
    answer = browser.post(f"/opportunities/edit/{opportunity.id}", {**sent, "title": "经理改的"})
    assert answer.status_code == 409
    assert "Somebody changed this record meanwhile. Your text is kept" in text_of(answer)
    assert "经理改的" in answer.get_data(as_text=True)
    assert picture(opportunity)["title"] == "主管改过"
    # Whoever has compared may save again.
    version = re.search(r'name="version"[^>]*value="(\d+)"', answer.get_data(as_text=True))[1]
    assert (
        browser.post(
            f"/opportunities/edit/{opportunity.id}", {**sent, "title": "经理改的", "version": version}
        ).status_code
        == 302
    )
    assert picture(opportunity)["title"] == "经理改的"


def test_a_form_without_its_version_overwrites_nothing(db, sign_in, wang, picture):
    opportunity = builders.opportunity(by=wang)
    before = picture(opportunity)
    assert sign_in(wang).post(f"/opportunities/edit/{opportunity.id}", FACTS).status_code == 422
    assert picture(opportunity) == before
