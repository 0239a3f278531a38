"""The pages of a handover: choosing, the plan, the receipt, the way back; and whom they open for."""

from __future__ import annotations

import re

import pytest
from flask_appbuilder.security.sqla.models import User

from app.core.choosing import FEW
from app.core.models import AuditEntry, Outcome
from app.customers.models import Customer
from app.handover.models import Handover, HandoverItem
from app.masterdata.models import DictionaryType
from app.security.rights import holders
from tests import builders
from tests.support import rows, text_of


def stamp_of(page):
    """The stamp the plan's form would send."""
    return re.search(r'name="stamp" value="(\w+)"', page.get_data(as_text=True))[1]


def confirm(browser, leaver, **fields):
    """Look at the plan, then confirm it."""
    plan = browser.get(f"/handovers/plan/{leaver.id}", query_string=fields)
    return browser.post(f"/handovers/confirm/{leaver.id}", {**fields, "stamp": stamp_of(plan)})


def test_everybody_who_owns_anything_is_offered_the_disabled_first(db, li, wang, zhao, sign_in):
    builders.customer(owner=zhao)
    builders.ticket(builders.customer(owner=wang), given_to=wang)
    wang.active = False
    text = text_of(sign_in(li).get("/handovers/new"))
    assert text.index("王强") < text.index("赵敏")
    assert "陈立" not in text.split("Choose the person")[1]


def test_from_the_choice_to_the_receipt_in_three_pages(db, li, wang, zhao, sign_in):
    customer = builders.customer(name="恒锐精密", owner=wang)
    builders.ticket(customer, given_to=wang)
    browser = sign_in(li)
    assert f"/handovers/rule/{wang.id}" in browser.get("/handovers/new").get_data(as_text=True)
    rule = browser.get(f"/handovers/rule/{wang.id}")
    assert "Show the plan" in text_of(rule)
    plan = browser.get(f"/handovers/plan/{wang.id}?by=one&to={zhao.id}")
    assert "Hand over 2 records" in text_of(plan)
    assert "恒锐精密" in text_of(plan)
    assert rows(Handover) == []

    answer = browser.post(
        f"/handovers/confirm/{wang.id}", {"by": "one", "to": zhao.id, "stamp": stamp_of(plan)}, follow_redirects=True
    )

    text = text_of(answer)
    assert "2 records were handed over." in text
    assert "Handover of what 王强 owned" in text
    assert f'href="/customers/show/{customer.id}"' in answer.get_data(as_text=True)
    assert "王强" in text_of(browser.get("/handovers/list/"))
    assert customer.owner_id == zhao.id


def test_by_region_only_regions_that_occur_are_asked_for(db, li, wang, zhao, sign_in):
    east = builders.dictionary_item(type=DictionaryType.region, label="华东")
    south = builders.dictionary_item(type=DictionaryType.region, label="华南")
    customer, other = builders.customer(owner=wang, region=east), builders.customer(owner=wang)
    browser = sign_in(li)
    page = browser.get(f"/handovers/rule/{wang.id}?by=region").get_data(as_text=True)
    assert f'name="line_{east.id}"' in page
    assert f'name="line_{south.id}"' not in page
    third = builders.user(role_code="account_manager")
    answer = confirm(browser, wang, by="region", **{f"line_{east.id}": zhao.id}, rest=third.id)
    assert answer.status_code == 302
    assert (customer.owner_id, other.owner_id) == (zhao.id, third.id)
    assert "华东 → 赵敏" in text_of(browser.get(answer.location))


@pytest.mark.parametrize(
    "query", ["", "by=one", "by=one&to=", "by=one&to=0", "by=one&to=x", "by=one&to=999999", "by=evenly", "by=region",
              "by=level&line_1=x&rest=1", "by=nothing&to=99999999999999999999"],
)  # fmt: skip
def test_a_rule_that_is_none_comes_back_with_the_reason(db, li, wang, sign_in, query):
    builders.customer(owner=wang)
    answer = sign_in(li).get(f"/handovers/plan/{wang.id}?{query}")
    assert answer.status_code == 422
    assert "hoose" in text_of(answer)


@pytest.mark.parametrize(("people", "searched"), [(FEW, False), (FEW + 1, True)])
def test_many_successors_are_searched_and_who_was_chosen_stays(db, li, wang, zhao, sign_in, people, searched):
    builders.customer(owner=wang)
    able = [builders.seeded_role("account_manager")]
    there = len(rows(User, User.id.in_(holders("can_be_assigned", "Customer")))) - 1  # without him who leaves
    more = [User(username=f"u{n}", first_name="悦", last_name="孙", email=f"u{n}@x.cn") for n in range(there, people)]
    db.session.add_all(more)
    for person in more:
        person.active, person.roles = True, able
    db.session.commit()
    browser = sign_in(li)
    for by, several in (("one", False), ("evenly", True)):
        page = browser.get(f"/handovers/rule/{wang.id}?by={by}&to={zhao.id}&to={wang.id}").get_data(as_text=True)
        assert ("data-remote=" in page) is searched
        assert (f'value="{more[0].id}"' in page) is not searched
        assert re.search(rf'value="{zhao.id}" (?:selected|checked)', page)
        assert f'value="{wang.id}"' not in page
        assert (" multiple" in page) is (searched and several)


def test_a_plan_that_is_no_longer_so_is_shown_again_and_nothing_moves(db, li, wang, zhao, sign_in):
    customer = builders.customer(owner=wang)
    browser = sign_in(li)
    stamp = stamp_of(browser.get(f"/handovers/plan/{wang.id}?by=one&to={zhao.id}"))
    builders.customer(owner=wang, name="新来的")
    answer = browser.post(f"/handovers/confirm/{wang.id}", {"by": "one", "to": zhao.id, "stamp": stamp})
    assert answer.status_code == 409
    assert "has changed. Look at the plan again." in text_of(answer)
    assert "新来的" in text_of(answer)
    assert customer.owner_id == wang.id
    [refused] = rows(AuditEntry, AuditEntry.action == "handover")
    assert (refused.outcome, refused.record_id, refused.actor_id) == (Outcome.refused, wang.id, li.id)


def test_a_double_click_makes_one_handover_and_leads_to_it(db, li, wang, zhao, sign_in):
    builders.customer(owner=wang)
    browser = sign_in(li)
    fields = {"by": "one", "to": zhao.id}
    fields["stamp"] = stamp_of(browser.get(f"/handovers/plan/{wang.id}?by=one&to={zhao.id}"))
    assert browser.post(f"/handovers/confirm/{wang.id}", fields).status_code == 302
    again = browser.post(f"/handovers/confirm/{wang.id}", fields)
    assert again.status_code == 409
    [handover] = rows(Handover)
    assert f"/handovers/show/{handover.id}" in again.get_data(as_text=True)


def test_a_successor_who_was_disabled_meanwhile_is_refused(db, li, wang, zhao, sign_in):
    builders.customer(owner=wang)
    browser = sign_in(li)
    stamp = stamp_of(browser.get(f"/handovers/plan/{wang.id}?by=one&to={zhao.id}"))
    zhao.active = False
    answer = browser.post(f"/handovers/confirm/{wang.id}", {"by": "one", "to": zhao.id, "stamp": stamp})
    assert answer.status_code == 409
    assert "disabled or cannot be given customers" in text_of(answer)
    assert rows(Handover) == []


def test_the_plan_says_what_to_look_at_first(db, li, wang, zhao, sign_in):
    builders.ticket(builders.customer(owner=zhao), given_to=wang)
    third = builders.user(role_code="account_manager")
    text = text_of(sign_in(li).get(f"/handovers/plan/{wang.id}?by=level&rest={third.id}"))
    assert "1 record fits no line of the rule" in text
    assert "1 record is about a customer somebody else looks after" in text


def test_that_the_leaver_leads_a_team_is_said_before_and_after(db, li, wang, zhao, admin, sign_in):
    builders.customer(owner=wang)
    team = builders.team(name="华东一组", lead=wang)
    for url in (f"/handovers/rule/{wang.id}", f"/handovers/plan/{wang.id}?by=one&to={zhao.id}"):
        assert "王强 leads a team." in text_of(sign_in(li).get(url))
        assert "华东一组" in text_of(sign_in(li).get(url))
    assert confirm(sign_in(li), wang, by="one", to=zhao.id).status_code == 302
    assert team.lead_id == wang.id
    receipt = sign_in(admin).get(f"/handovers/show/{rows(Handover)[0].id}")
    assert f'href="/teams/edit/{team.id}">华东一组' in receipt.text
    team.lead_id = zhao.id
    db.session.commit()
    assert "leads a team" not in text_of(sign_in(li).get(f"/handovers/rule/{wang.id}"))


@pytest.fixture
def done(li, wang, zhao, sign_in):
    """A handover of two customers from wang to zhao and another manager."""
    third = builders.user(role_code="account_manager", last_name="钱", first_name="多")
    for name in ("恒锐精密", "东海贸易"):
        builders.customer(owner=wang, name=name)
    assert confirm(sign_in(li), wang, by="evenly", to=[zhao.id, third.id]).status_code == 302
    [handover] = rows(Handover)
    return handover


def test_undoing_asks_first_and_is_done_once(db, li, wang, sign_in, done):
    browser = sign_in(li)
    page = browser.get(f"/handovers/undo/{done.id}")
    assert "goes back to 王强" in text_of(page)
    assert {c.owner_id for c in rows(Customer)} != {wang.id}
    answer = browser.post(f"/handovers/undo/{done.id}", follow_redirects=True)
    assert "The handover was undone." in text_of(answer)
    assert {c.owner_id for c in rows(Customer)} == {wang.id}
    assert browser.post(f"/handovers/undo/{done.id}").status_code == 409
    assert "undone already" in text_of(browser.get(f"/handovers/undo/{done.id}"))


def test_a_successor_reads_his_own_part_of_the_receipt_only(db, zhao, sign_in, done):
    browser = sign_in(zhao)
    [own] = rows(Customer, Customer.owner_id == zhao.id)
    [other] = rows(Customer, Customer.owner_id != zhao.id)
    text = text_of(browser.get(f"/handovers/show/{done.id}"))
    assert own.name in text
    assert other.name not in text
    assert "钱多" not in text
    assert other.name not in text_of(browser.get("/handover-items/list/"))
    assert "Undo handover" not in text


def test_somebody_elses_receipt_is_not_there(db, wang, sign_in, done):
    browser = sign_in(wang)
    assert browser.get(f"/handovers/show/{done.id}").status_code == 404
    assert browser.post(f"/handovers/undo/{done.id}").status_code == 403


def test_a_receipt_links_no_record_the_reader_may_not_open(db, sign_in, done):
    rights = [("can_show", "Handover"), ("can_see_all", "Handover"), ("can_list", "HandoverItem")]
    reader = builders.user(roles=[builders.role(rights=rights)], role_code="")
    page = sign_in(reader).get(f"/handovers/show/{done.id}")
    assert "恒锐精密" in text_of(page)
    assert "/customers/show/" not in page.get_data(as_text=True)


@pytest.mark.parametrize("name", ["wang", "chen", "sysadmin"])
def test_without_the_right_nobody_hands_anything_over(db, request, zhao, sign_in, name):
    leaver = builders.user(role_code="account_manager")
    customer = builders.customer(owner=leaver)
    browser = sign_in(request.getfixturevalue(name))
    for url in ("/handovers/list/", "/handovers/new", f"/handovers/rule/{leaver.id}",
                f"/handovers/plan/{leaver.id}?by=one&to={zhao.id}"):  # fmt: skip
        assert browser.get(url).status_code == 403
    assert browser.post(f"/handovers/confirm/{leaver.id}", {"by": "one", "to": zhao.id}).status_code == 403
    assert (customer.owner_id, rows(Handover)) == (leaver.id, [])


def test_a_lead_may_not_disable_the_account_but_a_super_admin_may(db, li, wang, admin, sign_in, done):
    lead = sign_in(li)
    page = lead.get(f"/handovers/show/{done.id}").get_data(as_text=True)
    assert f"/handovers/disable/{done.id}" not in page
    assert lead.post(f"/handovers/disable/{done.id}").status_code == 403
    browser = sign_in(admin)
    assert f"/handovers/disable/{done.id}" in browser.get(f"/handovers/show/{done.id}").get_data(as_text=True)
    browser.post(f"/handovers/disable/{done.id}")
    assert not wang.active
    assert [i.to_id == wang.id for i in rows(HandoverItem)] == [False, False]


def test_nobody_is_offered_to_hand_over_his_own(db, li, zhao, sign_in):
    builders.complaint(accepted_by=li)
    browser = sign_in(li)
    assert f"/handovers/rule/{li.id}" not in browser.get("/handovers/new").get_data(as_text=True)
    assert "Nobody hands over what he owns himself" in text_of(browser.get(f"/handovers/rule/{li.id}"))
    plan = browser.get(f"/handovers/plan/{li.id}?by=one&to={zhao.id}")
    assert 'name="stamp"' not in plan.get_data(as_text=True)
    sent = {"by": "one", "to": zhao.id, "stamp": "x"}
    assert browser.post(f"/handovers/confirm/{li.id}", sent).status_code == 409


def test_the_notification_of_a_successor_leads_to_his_receipt(db, zhao, sign_in, done):
    from app.notices.kinds import KINDS

    kind = KINDS["handover.received"]
    assert kind.leads.right == ("can_show", "Handover")
    assert sign_in(zhao).get(f"/handovers/show/{done.id}").status_code == 200


def test_an_unknown_person_is_not_found(db, li, sign_in):
    browser = sign_in(li)
    for url in ("/handovers/rule/999999", "/handovers/plan/x", "/handovers/rule/99999999999999"):
        assert browser.get(url).status_code == 404
