"""Owners by filter: what the list's filters match is given away, in the reader's scope, part by part."""

from __future__ import annotations

import re

import pytest

from app.core import taking
from app.core.models import AuditEntry, Outcome
from app.customers.models import Customer, CustomerStatus
from app.masterdata.models import DictionaryType
from tests import builders
from tests.support import rows, text_of


@pytest.fixture
def north(db, wang, zhao):
    """Seven customers of the north without an owner, one of the south, one of the north that is deleted."""
    region = builders.dictionary_item(type=DictionaryType.region, label="北境")
    made = [builders.customer(name=f"北方{n}", region=region) for n in range(7)]
    builders.customer(name="南方", owner=wang)
    builders.customer(name="删掉的", region=region, status=CustomerStatus.deleted)
    return region, made


def address(region):
    return f"/customers/bulk-assign?_flt_0_region={region.id}&tab=unowned"


def owned_by(person):
    return {c.name for c in rows(Customer, Customer.owner_id == person.id)}


def hidden_fields(page):
    """The fields a form carries on, without its token."""
    form = re.search(r"(?s)<form[^>]*>(?:(?!</form>).)*name=\"after\".*?</form>", page)[0]
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))
    fields.pop("csrf_token")
    return fields, "data-go-on" in form


def test_the_list_hands_its_filters_to_the_question_which_offers_all_that_match(db, sign_in, li, north):
    region, made = north
    browser = sign_in(li)
    page = browser.get(f"/customers/list/?_flt_0_region={region.id}&tab=unowned").get_data(as_text=True)
    assert f'formaction="/customers/bulk-assign?_flt_0_region={region.id}&amp;tab=unowned"' in page
    asked = browser.post(address(region), {"rowid": [made[0].id]})
    text = text_of(asked)
    assert "The 1 selected row" in text
    assert "All 7 rows of the list" in text
    assert "Region 北境" in text
    assert f'href="/customers/list/?_flt_0_region={region.id}&amp;tab=unowned"' in asked.get_data(as_text=True)


def test_nothing_is_offered_beyond_what_was_selected_when_that_is_all(db, sign_in, li, north):
    region, made = north
    asked = sign_in(li).post(address(region), {"rowid": [c.id for c in made]})
    assert "Which rows" not in text_of(asked)


def test_all_that_match_are_given_away_and_only_they(db, sign_in, li, zhao, north):
    region, made = north
    sent = {"confirmed": "1", "reach": "all", "rowid": [made[0].id], "owner": zhao.id}
    answer = sign_in(li).post(address(region), sent)
    text = text_of(answer)
    assert "7 records done" in text
    assert text.count("The owner was assigned.") == 7
    assert [c.number for c in made if f"{c.name} · {c.number}" not in text] == []
    assert "more record" not in text
    assert owned_by(zhao) == {c.name for c in made}
    told = rows(AuditEntry, AuditEntry.action == "assign", AuditEntry.outcome == Outcome.done)
    assert sorted(e.record_id for e in told) == sorted(c.id for c in made)


def test_only_the_selected_rows_are_given_away_when_so_chosen(db, sign_in, li, zhao, north):
    region, made = north
    sent = {"confirmed": "1", "reach": "selected", "rowid": [made[0].id], "owner": zhao.id}
    assert "1 record done" in text_of(sign_in(li).post(address(region), sent))
    assert owned_by(zhao) == {made[0].name}


def test_of_many_the_first_that_were_done_are_named_whichever_part_did_them(
    app, db, sign_in, wang, zhao, north, monkeypatch
):
    """Also who gives away what he sees no longer then has a line for each."""
    monkeypatch.setattr(taking, "AT_ONCE", 2)
    monkeypatch.setattr(taking, "SHOWN", 3)
    app.config["LIUKE_CUSTOMERS_SHARED"] = "own"
    region, made = north
    rights = [("can_list", "Customer"), ("can_assign", "Customer"), ("can_be_assigned", "Customer")]
    helper = builders.user(roles=[builders.role(rights=rights)])
    for customer in made:
        customer.owner = helper
    db.session.commit()
    browser, url = sign_in(helper), f"/customers/bulk-assign?_flt_0_region={region.id}"
    answer = browser.post(url, {"confirmed": "1", "reach": "all", "owner": zhao.id})
    text = text_of(answer)
    assert (text.count("The owner was assigned."), "more record" in text) == (2, False)
    assert made[0].number in text
    assert made[1].number in text
    fields, by_itself = hidden_fields(answer.get_data(as_text=True))
    assert by_itself
    text = text_of(browser.post(url, fields))
    assert text.count("The owner was assigned.") == 3
    assert made[2].number in text
    assert f"Row {made[0].id}" in text
    assert made[0].number not in text
    assert "1 more record was done." in text


def test_many_are_given_away_part_by_part_until_none_is_left(db, sign_in, li, zhao, north, monkeypatch):
    monkeypatch.setattr(taking, "AT_ONCE", 3)
    region, made = north
    browser = sign_in(li)
    answer = browser.post(address(region), {"confirmed": "1", "reach": "all", "owner": zhao.id})
    assert "3 records done · 4 left" in text_of(answer)
    fields, by_itself = hidden_fields(answer.get_data(as_text=True))
    assert by_itself
    answer = browser.post(address(region), fields)
    assert "6 records done · 1 left" in text_of(answer)
    answer = browser.post(address(region), hidden_fields(answer.get_data(as_text=True))[0])
    assert "7 records done" in text_of(answer)
    assert [c.number for c in made if c.number not in text_of(answer)] == []
    assert "left" not in text_of(answer).partition("7 records done")[2].partition("Back")[0]
    assert 'name="after"' not in answer.get_data(as_text=True)
    assert owned_by(zhao) == {c.name for c in made}


def test_a_refused_row_stops_the_going_on_to_be_read_and_is_named_once(db, sign_in, li, zhao, north, monkeypatch):
    monkeypatch.setattr(taking, "AT_ONCE", 3)
    region, made = north
    made[1].owner = zhao
    db.session.commit()
    browser, url = sign_in(li), f"/customers/bulk-assign?_flt_0_region={region.id}"
    answer = browser.post(url, {"confirmed": "1", "reach": "all", "owner": zhao.id})
    text = text_of(answer)
    assert "2 records done · 1 skipped · 4 left" in text
    assert text.count("赵敏 is already the owner.") == 1
    assert text.index(made[1].number) < text.index(made[0].number) < text.index(made[2].number)
    fields, by_itself = hidden_fields(answer.get_data(as_text=True))
    assert not by_itself
    text = text_of(browser.post(url, fields))
    assert "5 records done · 1 skipped · 1 left" in text
    assert "already the owner" not in text
    assert made[1].number not in text
    assert made[0].number in text


def test_the_filter_reaches_no_further_than_the_reader(app, db, sign_in, wang, zhao, north):
    app.config["LIUKE_CUSTOMERS_SHARED"] = "own"
    region, made = north
    made[0].owner = made[1].owner = builders.user()
    db.session.commit()
    rights = [("can_list", "Customer"), ("can_assign", "Customer"), ("can_be_assigned", "Customer")]
    helper = builders.user(roles=[builders.role(rights=rights)])
    made[2].owner = helper
    db.session.commit()
    sent = {"confirmed": "1", "reach": "all", "owner": zhao.id}
    text = text_of(sign_in(helper).post(f"/customers/bulk-assign?_flt_0_region={region.id}", sent))
    assert "1 record done" in text
    assert owned_by(zhao) == {made[2].name}


def test_who_may_not_assign_gives_nothing_away_by_filter(db, sign_in, wang, zhao, north):
    sent = {"confirmed": "1", "reach": "all", "owner": zhao.id}
    assert sign_in(wang).post(address(north[0]), sent).status_code == 403
    assert owned_by(zhao) == set()


def test_nothing_happens_before_it_is_known_to_whom(db, sign_in, li, north):
    region, _made = north
    answer = sign_in(li).post(address(region), {"confirmed": "1", "reach": "all", "owner": ""})
    assert answer.status_code == 422
    assert 'value="all" checked' in answer.get_data(as_text=True)
    assert rows(AuditEntry) == []


@pytest.mark.parametrize("after", ["x", "-1", "9" * 30])
def test_nonsense_in_what_is_carried_on_begins_at_the_beginning(db, sign_in, li, zhao, north, after):
    region, _made = north
    sent = {"confirmed": "1", "reach": "all", "owner": zhao.id, "after": after, "done": "x", "skipped": "-3"}
    assert "7 records done" in text_of(sign_in(li).post(address(region), sent))


def test_a_row_out_of_reach_is_refused_and_written_down_without_its_name(app, db, sign_in, wang, zhao):
    app.config["LIUKE_CUSTOMERS_SHARED"] = "own"
    helper = builders.user(roles=[builders.role(rights=[("can_list", "Customer"), ("can_assign", "Customer")])])
    foreign = builders.customer(owner=wang, name="别人的")
    sent = {"confirmed": "1", "rowid": [foreign.id, 987654, "abc"], "owner": zhao.id}
    text = text_of(sign_in(helper).post("/customers/bulk-assign", sent))
    assert "0 records done · 3 skipped" in text
    assert "别人的" not in text
    (entry,) = rows(AuditEntry)
    assert (entry.record_type, entry.record_id, entry.action) == ("customer", foreign.id, "assign")
    assert (entry.outcome, entry.actor_id, entry.from_status) == (Outcome.refused, helper.id, "active")
