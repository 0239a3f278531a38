"""A form whose record was saved meanwhile: both versions, what was typed, and the way on."""

from __future__ import annotations

import re
from html import unescape

import pytest

from app.churn.models import ChurnCase, RetentionMeasure
from app.core.lifecycle import perform
from app.core.models import AuditEntry, FieldChange, Outcome
from app.customers.models import Contact, Customer
from app.sales import operations as sales
from app.sales.models import Opportunity
from app.security import role_operations
from app.tickets import operations as tickets
from app.tickets.models import Ticket, TicketStatus
from tests import builders
from tests.support import rows, text_of, versus

STALE = "Somebody changed this record meanwhile."


def fields_of(html, near):
    """What the form that holds the field `near` would send."""
    form = next(f for f in re.findall(r"(?s)<form.*?</form>", html) if f'name="{near}"' in f)
    sent = {}
    for tag in re.findall(r"<input[^>]*>", form):
        given = {k: unescape(v) for k, v in re.findall(r'([\w-]+)="([^"]*)"', tag)}
        if given.get("name") and (given.get("type") != "checkbox" or " checked" in tag):
            sent[given["name"]] = given.get("value", "")
    for name, inside in re.findall(r'(?s)<select[^>]*name="(\w+)"[^>]*>(.*?)</select>', form):
        chosen = re.search(r'<option selected value="([^"]*)"|value="([^"]*)"[^>]* selected', inside)
        sent[name] = (chosen[1] or chosen[2] or "") if chosen else ""
    for name, inside in re.findall(r'(?s)<textarea[^>]*name="(\w+)"[^>]*>(.*?)</textarea>', form):
        sent[name] = unescape(inside).strip("\r\n")
    return {name: value for name, value in sent.items() if name != "csrf_token"}


def opened(browser, address, near):
    """The form of a page as it would be sent."""
    page = browser.get(address)
    assert page.status_code == 200
    return fields_of(page.text, near)


@pytest.fixture
def contact(wang):
    customer = builders.customer(owner=wang)
    return builders.contact(customer, name="刘洋", position="经理", memo="旧备注", mobile="13800005678")


def test_both_versions_and_what_was_typed_stand_side_by_side(db, sign_in, li, wang, contact):
    address = f"/contacts/edit/{contact.id}"
    browser = sign_in(wang)
    mine = opened(browser, address, "position")
    theirs = opened(sign_in(li), address, "position")
    assert sign_in(li).post(address, {**theirs, "position": "总监", "email": "ly@firm.example"}).status_code == 302

    answer = browser.post(address, {**mine, "position": "采购经理", "memo": "我的备注"})

    assert answer.status_code == 409
    assert f"{STALE} Your text is kept; compare, then save again." in text_of(answer)
    said = versus(answer)
    assert list(said) == ["Position", "E-mail", "Memo"]
    opened_as, now, typed = said["Position"]
    assert (opened_as, typed) == ("经理", "采购经理")
    assert re.fullmatch(r"总监 李娜 · .*\d", now)
    assert said["E-mail"][0] == "—"
    assert said["E-mail"][1].startswith("ly@firm.example 李娜 · ")
    assert said["E-mail"][2] == "You did not change it: it stays as it is now."
    assert said["Memo"] == ("旧备注", "旧备注", "我的备注")
    assert rows(Contact)[0].position == "总监"

    again = fields_of(answer.text, "position")

    assert (again["position"], again["memo"], again["email"]) == ("采购经理", "我的备注", "ly@firm.example")
    assert again["version"] == str(int(mine["version"]) + 1)
    assert browser.post(address, again).status_code == 302
    (saved,) = rows(Contact)
    assert (saved.position, saved.memo, saved.email) == ("采购经理", "我的备注", "ly@firm.example")
    assert "<script>" not in answer.text
    assert " style=" not in answer.text


def test_what_is_saved_once_more_meanwhile_is_compared_once_more(db, sign_in, li, wang, contact):
    address, browser = f"/contacts/edit/{contact.id}", sign_in(wang)
    mine = opened(browser, address, "position")
    for position in ("总监", "副总"):
        contact.position = position
        db.session.commit()
        answer = browser.post(address, {**mine, "position": "采购经理"})
        assert answer.status_code == 409
        mine = fields_of(answer.text, "position")
    assert versus(answer)["Position"][0] == "总监"
    assert versus(answer)["Position"][1].startswith("副总 ")
    assert browser.post(address, mine).status_code == 302


def test_there_and_back_again_is_no_difference(db, sign_in, wang, contact):
    address, browser = f"/contacts/edit/{contact.id}", sign_in(wang)
    mine = opened(browser, address, "position")
    for position in ("总监", "经理"):
        contact.position = position
        db.session.commit()
    answer = browser.post(address, mine)
    assert (answer.status_code, versus(answer)) == (409, {})
    assert "In the fields of this form both say the same." in text_of(answer)


@pytest.mark.parametrize("seen", [None, "", "x", "9" * 30, "-1"])
def test_a_form_that_does_not_know_when_it_was_opened_shows_what_is_known(db, sign_in, wang, contact, seen):
    address, browser = f"/contacts/edit/{contact.id}", sign_in(wang)
    mine = opened(browser, address, "position")
    contact.position = "总监"
    db.session.commit()
    del mine["seen"]
    sent = {**mine, "position": "采购经理", **({"seen": seen} if seen is not None else {})}
    answer = browser.post(address, sent)
    assert answer.status_code == 409
    ((was, now, typed),) = versus(answer).values()
    assert (was, typed) == ("—", "采购经理")
    assert now.startswith("总监 ")
    assert fields_of(answer.text, "position")["position"] == "采购经理"


def test_a_wrong_value_is_said_first_and_the_form_stays_as_old_as_it_is(db, sign_in, wang, contact):
    address, browser = f"/contacts/edit/{contact.id}", sign_in(wang)
    mine = opened(browser, address, "position")
    contact.position = "总监"
    db.session.commit()
    answer = browser.post(address, {**mine, "birthday": "yesterday"})
    assert answer.status_code == 422
    again = fields_of(answer.text, "position")
    assert (again["version"], again["seen"]) == (mine["version"], mine["seen"])
    assert browser.post(address, {**again, "birthday": ""}).status_code == 409


def test_what_somebody_may_not_see_stays_masked(db, sign_in, admin, sysadmin, wang):
    role = role_operations.create_role(
        actor=admin, label_zh="录入员", label_en="Typist", active=True,
        rights={("can_list", "Customer"), ("can_show", "Customer"), ("can_edit", "Customer"),
                ("can_see_all", "Customer"), ("can_edit_any", "Customer")},
    )  # fmt: skip
    sysadmin.roles = [role]
    customer = builders.customer(
        owner=wang, phone="13800005678", bank_account="6222020200112345678", national_tax_no="430111222333444",
        address="旧街 1 号", postcode="410000", region=builders.dictionary_item(),
    )  # fmt: skip
    db.session.commit()
    address, browser = f"/customers/edit/{customer.id}", sign_in(sysadmin)
    mine = opened(browser, address, "address")
    assert "phone" not in mine
    customer.phone, customer.bank_account, customer.memo = "13911112222", "6222020200119999999", "别人的备注"
    customer.local_tax_no = "991122334455667788"  # nothing before: the form had an open field for it
    db.session.commit()

    answer = browser.post(address, {**mine, "address": "新街 2 号", "phone": "13700001111", "local_tax_no": "12345678"})

    assert answer.status_code == 409
    said = versus(answer)
    assert said["Phone"][0] == "138****5678"
    assert said["Phone"][1].startswith("139****2222 ")
    assert said["Bank account"][0] == "622****5678"
    assert said["Local tax no."][1].startswith("991****7788 ")
    assert said["Local tax no."][2] == "12345678"
    for secret in ("13800005678", "13911112222", "6222020200112345678", "6222020200119999999", "991122334455667788"):
        assert secret not in answer.text
    assert said["Address"][2] == "新街 2 号"
    assert browser.post(address, fields_of(answer.text, "address")).status_code == 302
    (saved,) = rows(Customer)
    assert (saved.phone, saved.local_tax_no, saved.address) == ("13911112222", "991122334455667788", "新街 2 号")


def test_relations_choices_and_moments_are_told_as_on_the_page(db, sign_in, wang, zhao, li):
    regions = [builders.dictionary_item(label=label) for label in ("华东区", "华南区")]
    customer = builders.customer(owner=wang, region=regions[0], address="一", postcode="410000", phone="010-5550 0101")
    address, browser = f"/customers/edit/{customer.id}", sign_in(li)
    mine = opened(browser, address, "address")
    customer.region = regions[1]
    db.session.commit()
    answer = browser.post(address, {**mine, "owner": str(zhao.id)})
    said = versus(answer)
    assert said["Region"][0] == "华东区"
    assert said["Region"][1].startswith("华南区 ")
    assert said["Account manager"][1].endswith("王强")
    assert said["Account manager"][2].endswith("赵敏")
    again = fields_of(answer.text, "address")
    assert (again["region"], again["owner"]) == (str(regions[1].id), str(zhao.id))


def test_a_record_that_can_no_longer_be_edited_still_shows_what_was_typed(db, sign_in, li, wang):
    opportunity = builders.opportunity(by=li, description="旧描述")
    address, browser = f"/opportunities/edit/{opportunity.id}", sign_in(li)
    mine = opened(browser, address, "title")
    opportunity.description = "新描述"
    db.session.commit()
    perform(sales.assign, opportunity, actor=li, assignee=wang)
    answer = browser.post(address, {**mine, "description": "很长的一段描述"})
    assert answer.status_code == 409
    text = text_of(answer)
    assert "Only unassigned opportunities can be edited or deleted." in text
    assert "What you typed is kept here, to be copied." in text
    assert "Save mine anyway" not in text
    assert versus(answer)["Description"][2] == "很长的一段描述"
    assert versus(answer)["Status"][0] == "Unassigned"
    assert rows(Opportunity)[0].description == "新描述"


def test_what_was_typed_is_given_back_when_its_person_may_no_longer_edit(db, sign_in, li, admin, contact):
    address, browser = f"/contacts/edit/{contact.id}", sign_in(li)
    mine = opened(browser, address, "position")
    role = role_operations.create_role(
        actor=admin, label_zh="读者", label_en="Reader", active=True,
        rights={("can_list", "Contact"), ("can_show", "Contact"), ("can_edit", "Contact"), ("can_see_all", "Customer")},
    )  # fmt: skip
    li.roles = [role]
    db.session.commit()
    answer = browser.post(address, {**mine, "position": "采购经理"})
    assert answer.status_code == 409
    assert "account manager or a sales lead can change this. What you typed is kept here" in text_of(answer)
    assert versus(answer)["Position"] == ("经理", "经理", "采购经理")
    assert rows(Contact)[0].position == "经理"


# -- steps ---------------------------------------------------------------------------------------------------------


def test_a_step_with_text_is_taken_by_decision_after_somebody_saved(db, sign_in, wang):
    case = builders.churn_case(builders.customer(owner=wang))
    address, browser = f"/churn/defer/{case.id}", sign_in(wang)
    mine, other_tab = opened(browser, address, "text"), opened(browser, address, "text")
    assert browser.post(address, {**other_tab, "text": "打了电话"}).status_code == 302

    answer = browser.post(address, {**mine, "text": "上门拜访"})

    assert answer.status_code == 409
    assert STALE in text_of(answer)
    assert versus(answer)["Measure"] == ("—", "—", "上门拜访")
    assert versus(answer)["Status"][0] == "Warning"
    assert "Defer anyway" in text_of(answer)
    assert [m.text for m in rows(RetentionMeasure)] == ["打了电话"]
    assert browser.post(address, fields_of(answer.text, "text")).status_code == 302
    assert [m.text for m in rows(RetentionMeasure)] == ["打了电话", "上门拜访"]
    assert rows(ChurnCase)[0].version == 3


def test_a_step_that_can_no_longer_be_taken_says_so_and_gives_the_text_back(db, sign_in, wang):
    case = builders.churn_case(builders.customer(owner=wang))
    browser = sign_in(wang)
    mine = opened(browser, f"/churn/defer/{case.id}", "text")
    lost = opened(browser, f"/churn/confirm-lost/{case.id}", "reason")
    assert browser.post(f"/churn/confirm-lost/{case.id}", {**lost, "reason": "转投他家"}).status_code == 302

    answer = browser.post(f"/churn/defer/{case.id}", {**mine, "text": "上门拜访。\n很长的说明"})

    assert answer.status_code == 409
    assert versus(answer)["Measure"][2] == "上门拜访。 很长的说明"
    assert versus(answer)["Status"][0] == "Warning"
    assert "What you typed is kept here, to be copied." in text_of(answer)
    assert "<textarea" not in answer.text
    assert len(rows(AuditEntry, AuditEntry.action == "defer", AuditEntry.outcome == Outcome.refused)) == 1


def test_a_ticket_given_to_somebody_else_meanwhile_gives_the_text_back(db, sign_in, li, wang, zhao):
    ticket = builders.ticket(given_to=wang)
    mine = opened(sign_in(wang), f"/tickets/show/{ticket.id}", "handling")
    assert mine["version"] == str(ticket.version)
    perform(tickets.reassign, ticket, actor=li, assignee=zhao)

    answer = sign_in(wang).post(f"/tickets/handle/{ticket.id}", {**mine, "handling": "更换了轴承 <b>"})

    assert answer.status_code == 404
    assert "This is what you typed, to be copied: 更换了轴承 &lt;b&gt;" in text_of(answer)
    assert mine["nonce"] not in answer.text
    assert rows(Ticket)[0].status is TicketStatus.assigned


def test_a_record_that_was_only_counted_up_stops_no_step(db, sign_in, wang):
    case = builders.churn_case(builders.customer(owner=wang))
    address, browser = f"/churn/defer/{case.id}", sign_in(wang)
    mine = opened(browser, address, "text")
    case.changed_at = case.changed_at.replace(year=2001)
    db.session.commit()
    assert rows(ChurnCase)[0].version == 2
    assert rows(FieldChange, FieldChange.record_type == "churn_case", FieldChange.field.is_not(None)) == []
    assert browser.post(address, {**mine, "text": "上门拜访"}).status_code == 302


def test_a_step_from_a_page_without_a_version_is_taken_as_it_is(db, sign_in, wang):
    case = builders.churn_case(builders.customer(owner=wang))
    case.opened_at = case.opened_at.replace(year=2001)
    db.session.commit()
    assert sign_in(wang).post(f"/churn/defer/{case.id}", {"text": "上门拜访"}).status_code == 302
