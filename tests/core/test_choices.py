"""What forms and filters offer: short lists whole, long ones searched; filters also find what has left."""

from __future__ import annotations

import re

import pytest

from app.core.choosing import FEW
from app.customers.models import Customer
from app.masterdata.models import DictionaryItem, DictionaryType
from tests import builders
from tests.conformance.house import screens
from tests.support import rows, text_of

T = DictionaryType


def select_of(page, name):
    """The <select> of this name, as it stands in the page."""
    return re.search(rf'(?s)<select[^>]*name="{name}".*?</select>', page.get_data(as_text=True))[0]


def fill(db, kind, total, **given):
    """Add active items until the list holds `total`."""
    there = len(rows(DictionaryItem, DictionaryItem.type == kind, DictionaryItem.active))
    made = [
        DictionaryItem(type=kind, code=f"n{n}", label_zh=f"项{n:03}", label_en=f"Item {n:03}", sort_order=900 + n)
        for n in range(there, total)
    ]
    db.session.add_all(made)
    db.session.commit()
    return made[-1]


def test_a_list_that_has_grown_long_is_searched_in_forms_and_filters(db, sign_in, li, wang):
    last = fill(db, T.region, FEW + 1)
    customer = builders.customer(owner=wang, name="远方公司", region=last)
    browser = sign_in(li)
    form, filters = browser.get("/customers/add"), browser.get("/customers/list/")
    for page, name in ((form, "region"), (filters, "_flt_0_region")):
        shown = select_of(page, name)
        assert "data-remote=" in shown
        assert shown.count("<option") == 1
        assert "Item" not in shown
    page = select_of(browser.get(f"/customers/edit/{customer.id}"), "region")
    assert f'value="{last.id}" selected' in page
    found = browser.get(f"/customers/lookup/region?q={last.label_en}").json["results"]
    assert found == [{"id": last.id, "text": last.label_en}]
    chosen = browser.get(f"/customers/list/?_flt_0_region={last.id}")
    assert "远方公司" in text_of(chosen)
    assert f'value="{last.id}" selected' in select_of(chosen, "_flt_0_region")


@pytest.mark.parametrize(("total", "searched"), [(FEW, False), (FEW + 1, True)])
def test_the_question_of_a_step_searches_a_long_list_too(db, sign_in, wang, total, searched):
    last = fill(db, T.measure, total)
    case = builders.churn_case(builders.customer(owner=wang), owner=wang)
    browser = sign_in(wang)
    shown = select_of(browser.get(f"/churn/defer/{case.id}"), "type")
    assert ("data-remote=" in shown) is searched
    assert shown.count("<option") == (1 if searched else total + 1)
    found = browser.get(f"/retention-measures/lookup/type?q={last.label_en}").json["results"]
    assert found == [{"id": last.id, "text": last.label_en}]


def test_the_reasons_of_a_loss_are_looked_up_where_they_are_asked_for(db, sign_in, wang, sysadmin):
    last = fill(db, T.churn_reason, FEW + 1)
    case = builders.churn_case(builders.customer(owner=wang), owner=wang)
    shown = select_of(sign_in(wang).get(f"/churn/confirm-lost/{case.id}"), "reason_type")
    assert 'data-remote="/churn/lookup/reason_type"' in shown
    found = sign_in(wang).get(f"/churn/lookup/reason_type?q={last.label_en}").json["results"]
    assert found == [{"id": last.id, "text": last.label_en}]
    assert sign_in(sysadmin).get("/churn/lookup/reason_type").status_code == 403


def test_a_page_holds_so_many_options_in_all_lists_together(db, sign_in, li):
    """A short list is searched, too, where the others before it left no room."""
    levels = len(rows(DictionaryItem, DictionaryItem.type == T.level, DictionaryItem.active))
    fill(db, T.region, FEW - levels + 1)
    page = sign_in(li).get("/customers/add")
    remote = ["data-remote=" in select_of(page, name) for name in ("level", "region")]
    assert sorted(remote) == [False, True]


def test_filters_find_items_that_are_no_longer_used_and_forms_do_not_offer_them(db, sign_in, li, wang):
    item = builders.dictionary_item(type=T.region, label="Old town")
    builders.customer(owner=wang, name="老区公司", region=item)
    item.active = False
    db.session.commit()
    browser = sign_in(li)
    shown = browser.get(f"/customers/list/?_flt_0_region={item.id}")
    assert "老区公司" in text_of(shown)
    assert "Old town (no longer used)" in select_of(shown, "_flt_0_region")
    assert "Old town" not in select_of(browser.get("/customers/add"), "region")


@pytest.mark.parametrize(
    ("address", "column"),
    [
        ("/customers", "owner"), ("/opportunities", "assignee"), ("/plans", "assignee"),
        ("/plan-steps", "executed_by"), ("/interactions", "created_by"), ("/tickets", "assignee"),
        ("/feedback", "accepted_by"),
    ],
)  # fmt: skip
def test_filters_find_what_belongs_to_people_who_left(db, sign_in, li, address, column):
    left = builders.user(last_name="欧阳", first_name="远")
    customer = builders.customer(owner=left, name="归属公司")
    opportunity = builders.opportunity(by=left, given_to=left, title="归属公司", customer_name="归属公司")
    builders.plan_step(opportunity, todo="归属公司", result="好", by=left)
    builders.interaction(customer, by=left, title="归属公司")
    builders.ticket(customer, by=li, given_to=left, title="归属公司")
    builders.feedback(customer, accepted_by=left, title="归属公司")
    left.active = False
    db.session.commit()
    browser = sign_in(li)
    found = browser.get(f"{address}/lookup/{column}?filter=1&q=ouyang").json["results"]
    assert found == [{"id": left.id, "text": "欧阳远"}]
    assert browser.get(f"{address}/lookup/{column}?q=ouyang").json["results"] == []
    shown = browser.get(f"{address}/list/?_flt_0_{column}={left.id}").get_data(as_text=True)
    assert "归属公司" in shown.split("<tbody", 1)[-1].split("</tbody>")[0]
    assert "filter=1" in select_of(browser.get(f"{address}/list/"), f"_flt_0_{column}")


def test_nobody_who_left_is_given_anything(db, sign_in, li):
    left, customer = builders.user(active=False), builders.customer()
    assert sign_in(li).post(f"/customers/assign/{customer.id}", {"owner": left.id}).status_code == 422
    assert [c.owner_id for c in rows(Customer)] == [None]


def test_what_no_filter_asks_for_is_not_looked_up_as_one(app, db, sign_in, li, admin):
    """`filter` widens the choices of search columns only."""
    left = builders.user(last_name="欧阳", first_name="远", active=False)
    only_forms = [
        (view, name)
        for view in screens(app)
        for name in (*view.add_columns, *view.edit_columns)
        if name not in view.search_columns and getattr(view.datamodel.obj, f"{name}_id", None) is not None
    ]
    assert only_forms
    for view, name in only_forms:
        found = sign_in(admin).get(f"{view.route_base}/lookup/{name}?filter=1&q=ouyang").json["results"]
        assert left.id not in {row["id"] for row in found}
