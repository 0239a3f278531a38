"""营销活动: what was planned, what it cost, and which customers took part."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from app.core.errors import BusinessError
from app.marketing import operations
from app.marketing.models import Activity, ActivityKind, Participant
from tests import builders
from tests.support import rows, text_of


def form_of(**given):
    """What the form of an activity sends."""
    return {"title": "春季展会", "kind": "fair", "starts_on": "2026-11-22", "ends_on": "2026-11-24", **given}


@pytest.mark.parametrize(("last", "fits"), [("2026-11-21", False), ("2026-11-22", True), ("", True)])
def test_an_activity_does_not_end_before_it_starts(db, li, sign_in, last, fits):
    answer = sign_in(li).post("/activities/add", form_of(ends_on=last))
    assert answer.status_code == (302 if fits else 422)
    assert ("The activity ends before it starts." in text_of(answer)) is not fits
    assert len(rows(Activity)) == int(fits)


@pytest.mark.parametrize("column", ["budget", "cost"])
@pytest.mark.parametrize(("amount", "fits"), [("-0.01", False), ("0", True), ("1,200.50", True)])
def test_budget_and_cost_are_not_below_zero(db, li, sign_in, column, amount, fits):
    answer = sign_in(li).post("/activities/add", form_of(**{column: amount}))
    assert answer.status_code == (302 if fits else 422)
    assert ("cannot be below zero" in text_of(answer)) is not fits


def test_an_activity_is_kept_changed_and_hidden(db, li, sign_in):
    browser = sign_in(li)
    browser.post("/activities/add", form_of(budget="5000", outcome="三位新客户"))
    [activity] = rows(Activity)
    assert (activity.kind, activity.starts_on, activity.budget) == (
        ActivityKind.fair, date(2026, 11, 22), Decimal("5000.00"),
    )  # fmt: skip
    assert activity.created_by_id == li.id

    browser.post(f"/activities/edit/{activity.id}", form_of(title="秋季展会", cost="1", version=activity.version))
    assert (activity.title, activity.cost, activity.budget) == ("秋季展会", Decimal("1.00"), None)

    browser.post(f"/activities/delete/{activity.id}")
    assert activity.deleted_at is not None
    assert "Nothing here yet" in text_of(browser.get("/activities/list/"))


def test_the_newest_activity_is_read_first(db, li, sign_in):
    builders.activity(title="早的", starts_on=date(2026, 1, 5))
    builders.activity(title="晚的", starts_on=date(2026, 9, 5))
    text = text_of(sign_in(li).get("/activities/list/"))
    assert text.index("晚的") < text.index("早的")


def test_a_participant_is_added_from_the_activitys_page_and_seen_there(db, li, sign_in):
    activity, customer = builders.activity(), builders.customer(name="恒锐精密")
    browser = sign_in(li)
    page = browser.get(f"/activities/show/{activity.id}").get_data(as_text=True)
    assert "No customer takes part yet." in page
    assert f"/participants/add?activity={activity.id}" in page
    form = browser.get(f"/participants/add?activity={activity.id}").get_data(as_text=True)
    assert f'<option value="{activity.id}" selected>' in form

    answer = browser.post("/participants/add", {"activity": activity.id, "customer": customer.id})

    assert answer.location.endswith(f"/activities/show/{activity.id}")
    assert "恒锐精密" in text_of(browser.get(answer.location))
    assert rows(Participant)[0].created_by_id == li.id


def test_a_customer_takes_part_once(db, li, sign_in):
    activity, customer = builders.activity(), builders.customer(name="恒锐精密")
    builders.participant(activity, customer)
    answer = sign_in(li).post("/participants/add", {"activity": activity.id, "customer": customer.id})
    assert answer.status_code == 422
    assert "恒锐精密 already takes part in “春季展会”." in text_of(answer)
    assert len(rows(Participant)) == 1


def test_a_customer_may_take_part_in_several_activities(db):
    first, second, customer = builders.activity(), builders.activity(), builders.customer()
    builders.participant(first, customer)
    assert operations.add_participant(Participant(activity=second, customer=customer)).id
    with pytest.raises(BusinessError, match="already takes part"):
        operations.add_participant(Participant(activity=second, customer=customer))


def test_a_participant_is_taken_off_the_list_and_the_page_stays(db, li, sign_in):
    taking_part = builders.participant(builders.activity())
    pk, activity = taking_part.id, taking_part.activity_id
    answer = sign_in(li).post(f"/participants/delete/{pk}")
    assert answer.location.endswith(f"/activities/show/{activity}")
    assert rows(Participant, Participant.deleted_at.is_(None)) == []


def test_a_hidden_activity_hides_its_participants(db, li, sign_in):
    taking_part = builders.participant(builders.activity())
    browser = sign_in(li)
    browser.post(f"/activities/delete/{taking_part.activity_id}")
    assert browser.get(f"/participants/add?activity={taking_part.activity_id}").status_code == 404
    assert browser.post(f"/participants/delete/{taking_part.id}").status_code == 404


@pytest.mark.parametrize("name", ["wang", "chen", "sysadmin"])
def test_without_the_right_there_is_no_activity(db, request, sign_in, name):
    taking_part = builders.participant(builders.activity())
    browser = sign_in(request.getfixturevalue(name))
    for url in ("/activities/list/", f"/activities/show/{taking_part.activity_id}", "/activities/add",
                "/participants/list/", "/participants/add"):  # fmt: skip
        assert browser.get(url).status_code == 403
    assert browser.post("/activities/add", form_of()).status_code == 403
    assert browser.post(f"/participants/delete/{taking_part.id}").status_code == 403
    assert (len(rows(Activity)), len(rows(Participant))) == (1, 1)


def test_participants_are_customers_the_reader_may_see(app, db, zhao, sign_in):
    reader = builders.user(
        roles=[builders.role(rights=[("can_list", "Participant"), ("can_add", "Participant")])], role_code=""
    )
    taking_part = builders.participant(builders.activity(), builders.customer(owner=zhao, name="恒锐精密"))
    browser = sign_in(reader)
    assert "恒锐精密" in text_of(browser.get("/participants/list/"))
    app.config["LIUKE_CUSTOMERS_SHARED"] = "own"
    assert "恒锐精密" not in text_of(browser.get("/participants/list/"))
    sent = {"activity": taking_part.activity_id, "customer": taking_part.customer_id}
    assert browser.post("/participants/add", sent).status_code == 422
