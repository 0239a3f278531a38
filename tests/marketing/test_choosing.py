"""Participants chosen by the filters of the customers list: shown and counted, then added, each once."""

from __future__ import annotations

import pytest

from app.core.models import AuditEntry
from app.customers.models import CustomerStatus
from app.marketing import operations
from app.marketing.models import Participant
from app.masterdata.models import DictionaryType
from tests import builders
from tests.support import rows, statements, text_of


@pytest.fixture
def fair(db):
    return builders.activity()


def test_the_filters_of_the_customers_list_choose_and_one_button_adds(db, li, wang, sign_in, fair):
    east = builders.dictionary_item(type=DictionaryType.region, label="华东")
    fits = [builders.customer(owner=wang, region=east, name=f"恒锐{n}") for n in range(30)]
    builders.customer(owner=wang, name="恒锐在别处")
    builders.participant(fair, fits[0])
    query = f"_flt_0_region={east.id}&_flt_0_name=恒锐&_flt_0_owner={wang.id}&_flt_0_status=active"
    browser = sign_in(li)

    page = browser.get(f"/participants/choose/{fair.id}?{query}")
    text = text_of(page)
    assert "30 customers fit." in text
    assert "1 of them takes part already." in text
    assert "Add 29 customers" in text
    assert len(rows(Participant)) == 1

    answer = browser.post(f"/participants/choose/{fair.id}?{query}", follow_redirects=True)

    assert "29 customers were added." in text_of(answer)
    assert {p.customer_id for p in rows(Participant)} == {customer.id for customer in fits}
    added = [p for p in rows(Participant) if p.customer_id != fits[0].id]
    assert {(p.created_by_id, p.version) for p in added} == {(li.id, 1)}
    [told] = rows(AuditEntry, AuditEntry.action == "add_participants")
    assert told.note == "29 · Customer name: 恒锐 · Region: 华东 · Account manager: 王强 · Status: Active"
    assert "29 ·" in text_of(answer)


def test_adding_again_adds_nobody_twice(db, li, sign_in, fair):
    builders.customer(name="恒锐精密")
    browser = sign_in(li)
    for number in (1, 0):
        answer = browser.post(f"/participants/choose/{fair.id}?_flt_0_name=恒锐", follow_redirects=True)
        assert f"{number} customer{'' if number == 1 else 's'} {'was' if number == 1 else 'were'} added." in text_of(
            answer
        )
    assert len(rows(Participant)) == 1
    assert len(rows(AuditEntry, AuditEntry.action == "add_participants")) == 1


@pytest.mark.parametrize("status", [CustomerStatus.active, CustomerStatus.lost])
def test_the_status_is_a_filter_and_deleted_customers_never_take_part(db, li, sign_in, fair, status):
    wanted = builders.customer(status=status)
    for other in set(CustomerStatus) - {status}:
        builders.customer(status=other)
    browser = sign_in(li)
    browser.post(f"/participants/choose/{fair.id}?_flt_0_status={status}")
    assert [p.customer_id for p in rows(Participant)] == [wanted.id]
    browser.post(f"/participants/choose/{fair.id}?_flt_0_status=deleted")
    assert len(rows(Participant)) == 1


def test_only_customers_one_may_see_are_added_and_taken_off(app, db, wang, fair, sign_in):
    foreign = builders.customer(owner=wang)
    rights = [("can_list", "Participant"), ("can_add", "Participant"), ("can_delete", "Participant"),
              ("can_list", "Customer"), ("can_show", "Activity")]  # fmt: skip
    reader = builders.user(roles=[builders.role(rights=rights)], role_code="")
    own = builders.customer(owner=reader)
    app.config["LIUKE_CUSTOMERS_SHARED"] = "own"
    browser = sign_in(reader)
    assert "1 customer fits." in text_of(browser.get(f"/participants/choose/{fair.id}"))
    browser.post(f"/participants/choose/{fair.id}")
    assert [p.customer_id for p in rows(Participant)] == [own.id]
    builders.participant(fair, foreign)
    browser.post(f"/participants/clear/{fair.id}")
    assert [p.customer_id for p in rows(Participant, Participant.deleted_at.is_(None))] == [foreign.id]


def test_all_are_taken_off_and_another_activity_keeps_its_own(db, li, sign_in, fair):
    other = builders.participant(builders.activity())
    for _n in range(3):
        builders.participant(fair)
    answer = sign_in(li).post(f"/participants/clear/{fair.id}", follow_redirects=True)
    assert "3 customers were taken off." in text_of(answer)
    assert [p.id for p in rows(Participant, Participant.deleted_at.is_(None))] == [other.id]
    assert [e.note for e in rows(AuditEntry, AuditEntry.action == "remove_participants")] == ["3"]


def test_a_filter_that_fits_nobody_offers_no_button(db, li, sign_in, fair):
    text = text_of(sign_in(li).get(f"/participants/choose/{fair.id}?_flt_0_name=谁也不是"))
    assert "Nothing matches" in text
    assert "Add 0" not in text


def test_adding_takes_as_many_statements_for_many_as_for_few(app, db, li, fair):
    def cost():
        with statements(app) as seen:
            operations.add_matching(fair, [], actor=li)
        db.session.commit()
        return len(seen)

    builders.customer()
    few = cost()
    for _n in range(40):
        builders.customer()
    assert cost() == few
    assert len(rows(Participant)) == 41


@pytest.mark.parametrize("name", ["wang", "chen", "sysadmin"])
def test_without_the_right_nobody_is_added_or_taken_off(db, request, sign_in, fair, name):
    builders.participant(fair)
    builders.customer()
    browser = sign_in(request.getfixturevalue(name))
    assert browser.get(f"/participants/choose/{fair.id}").status_code == 403
    assert browser.post(f"/participants/choose/{fair.id}").status_code == 403
    assert browser.post(f"/participants/clear/{fair.id}").status_code == 403
    assert len(rows(Participant)) == 1


def test_a_hidden_activity_gets_nobody(db, li, sign_in, fair):
    browser = sign_in(li)
    browser.post(f"/activities/delete/{fair.id}")
    assert browser.get(f"/participants/choose/{fair.id}").status_code == 404
    assert browser.post(f"/participants/choose/{fair.id}").status_code == 404
    assert browser.post(f"/participants/clear/{fair.id}").status_code == 404


def test_the_plan_is_kept_and_shown(db, li, sign_in):
    browser = sign_in(li)
    sent = {"title": "春季展会", "kind": "fair", "starts_on": "2026-11-22", "plan": "布展：王强\n邀请函：赵敏"}
    answer = browser.post("/activities/add", sent, follow_redirects=True)
    assert "布展：王强 邀请函：赵敏" in text_of(answer)


def test_who_may_not_look_at_customers_adds_none_by_filter(db, sign_in, fair):
    builders.customer(name="恒锐精密")
    rights = [
        ("can_list", "Activity"),
        ("can_show", "Activity"),
        ("can_list", "Participant"),
        ("can_add", "Participant"),
    ]
    browser = sign_in(builders.user(roles=[builders.role(rights=rights)]))
    assert browser.get(f"/participants/choose/{fair.id}").status_code == 403
    assert browser.post(f"/participants/choose/{fair.id}").status_code == 403
    assert rows(Participant) == []
    assert "Add by filter" not in text_of(browser.get(f"/activities/show/{fair.id}"))
