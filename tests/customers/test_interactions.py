"""交往记录: what was said, when, where, and when to call again."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from app.core.clock import local, utcnow
from app.core.errors import BusinessError
from app.customers import operations
from app.customers.models import Interaction
from tests import builders
from tests.support import rows, text_of


def facts(at, **given):
    return {
        "customer": at.id, "occurred_at": "2025-01-20T14:30", "place": "客户办公室", "title": "讨论年度采购计划",
        "detail": "客户下季度产量持平。", "next_follow_up_on": "2026-12-01", **given,
    }  # fmt: skip


def typed(moment):
    """A moment as the form takes it."""
    return f"{local(moment):%Y-%m-%dT%H:%M}"


def test_an_interaction_is_kept_with_who_recorded_it_on_the_companys_clock(db, sign_in, wang, moves):
    customer = builders.customer(owner=wang)
    contact = builders.contact(customer)
    answer = sign_in(wang).post("/interactions/add", facts(customer, contact=contact.id))
    (made,) = rows(Interaction)
    assert (answer.status_code, answer.location) == (302, f"/customers/show/{customer.id}")
    assert made.occurred_at == datetime(2025, 1, 20, 6, 30, tzinfo=UTC)  # 14:30 in Shanghai
    assert (made.contact_id, made.created_by_id, made.next_follow_up_on) == (contact.id, wang.id, date(2026, 12, 1))
    assert [m.action for m in moves(made)] == ["create"]


def test_the_form_begins_with_this_moment_and_the_customer_it_was_opened_from(db, sign_in, wang):
    customer = builders.customer(owner=wang, name="鹭岛冷链")
    page = sign_in(wang).get(f"/interactions/add?customer={customer.id}").get_data(as_text=True)
    assert f'<option value="{customer.id}" selected>鹭岛冷链</option>' in page
    assert f'value="{local(utcnow()):%Y-%m-%dT%H}' in page


@pytest.mark.parametrize(
    ("column", "sent"),
    [
        ("place", ""), ("place", "址" * 201), ("title", ""), ("title", "要" * 501), ("detail", "细" * 2001),
        ("occurred_at", ""), ("occurred_at", "yesterday"), ("occurred_at", "0001-01-01T00:00"),
        ("occurred_at", "9999-12-31T23:59"), ("next_follow_up_on", "2026-13-01"), ("contact", "987654"),
        ("customer", ""),
    ],
)  # fmt: skip
def test_a_bad_value_is_asked_for_again_with_all_that_was_typed(db, sign_in, wang, column, sent):
    customer = builders.customer(owner=wang)
    answer = sign_in(wang).post("/interactions/add", facts(customer, memo="别丢了我", **{column: sent}))
    assert answer.status_code == 422
    assert "别丢了我" in answer.get_data(as_text=True)
    assert rows(Interaction) == []


def test_an_interaction_has_taken_place(db, sign_in, wang, picture):
    talk, browser = builders.interaction(by=wang), sign_in(wang)
    before, customer = picture(talk), talk.customer
    for address, more in (("/interactions/add", {}), (f"/interactions/edit/{talk.id}", {"version": talk.version})):
        sent = facts(customer, occurred_at=typed(utcnow() + timedelta(hours=1)), next_follow_up_on="", **more)
        answer = browser.post(address, sent)
        assert answer.status_code == 422
        assert "The time lies in the future." in text_of(answer)
        assert sent["detail"] in answer.get_data(as_text=True)
    assert picture(talk) == before
    assert len(rows(Interaction)) == 1
    # Clocks may be a few minutes apart.
    soon = facts(customer, occurred_at=typed(utcnow() + timedelta(minutes=3)), next_follow_up_on="")
    assert browser.post("/interactions/add", soon).status_code == 302


@pytest.mark.parametrize(("minutes", "possible"), [(5, True), (6, False)])
def test_how_far_clocks_may_be_apart(db, wang, minutes, possible):
    at = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
    talk = Interaction(occurred_at=at + timedelta(minutes=minutes))
    if possible:
        operations.check_interaction(talk, at=at)
    else:
        with pytest.raises(BusinessError, match="lies in the future"):
            operations.check_interaction(talk, at=at)


def test_the_follow_up_is_on_the_day_of_the_interaction_or_later(db, sign_in, wang):
    customer, browser = builders.customer(owner=wang), sign_in(wang)
    late = "2025-01-20T23:30"  # still 15:30 in UTC
    answer = browser.post("/interactions/add", facts(customer, occurred_at=late, next_follow_up_on="2025-01-19"))
    assert answer.status_code == 422
    assert "The next follow-up is before the day of the interaction." in text_of(answer)
    same = facts(customer, occurred_at="2025-01-21T00:30", next_follow_up_on="2025-01-20")
    assert browser.post("/interactions/add", same).status_code == 422  # though it is the 20th in UTC
    assert browser.post("/interactions/add", {**same, "next_follow_up_on": "2025-01-21"}).status_code == 302
    assert len(rows(Interaction)) == 1


def test_the_contact_is_one_of_the_customers(db, sign_in, wang):
    customer, stranger = builders.customer(owner=wang), builders.contact()
    answer = sign_in(wang).post("/interactions/add", facts(customer, contact=stranger.id))
    assert answer.status_code == 422
    assert "This contact belongs to another customer." in text_of(answer)
    with pytest.raises(BusinessError, match="belongs to another customer"):
        operations.record_interaction(
            Interaction(customer=customer, contact=stranger, title="x", place="y"), actor=wang
        )


def test_the_contact_stays_one_of_the_customers_when_the_record_is_edited(db, sign_in, wang, picture):
    talk, stranger = builders.interaction(by=wang), builders.contact()
    before = picture(talk)
    sent = facts(talk.customer, contact=stranger.id, version=talk.version)
    assert sign_in(wang).post(f"/interactions/edit/{talk.id}", sent).status_code == 422
    assert picture(talk) == before


def test_only_who_looks_after_the_customer_or_a_lead_records_and_changes(db, sign_in, li, wang, zhao, picture):
    talk = builders.interaction(by=wang)
    before = picture(talk)
    browser = sign_in(zhao)
    assert browser.post("/interactions/add", facts(talk.customer)).status_code == 422
    browser.post(f"/interactions/edit/{talk.id}", facts(talk.customer, version=talk.version))
    browser.post(f"/interactions/delete/{talk.id}")
    assert picture(talk) == before
    assert len(rows(Interaction)) == 1
    sent = facts(talk.customer, version=talk.version, title="主管补充")
    assert sign_in(li).post(f"/interactions/edit/{talk.id}", sent).status_code == 302
    assert rows(Interaction)[0].title == "主管补充"


def test_the_newest_is_first(db, sign_in, wang):
    customer = builders.customer(owner=wang)
    for days, title in ((3, "三天前"), (1, "昨天"), (2, "前天")):
        builders.interaction(customer, by=wang, title=title, occurred_at=utcnow() - timedelta(days=days))
    text = text_of(sign_in(wang).get("/interactions/list/"))
    assert text.index("昨天") < text.index("前天") < text.index("三天前")


def test_follow_ups_are_found_by_their_day_both_ends_included(db, sign_in, wang):
    for day in (1, 2, 3):
        builders.interaction(by=wang, title=f"第{day}件", next_follow_up_on=date(2026, 12, day))
    builders.interaction(by=wang, title="没有回访")
    text = text_of(
        sign_in(wang).get("/interactions/list/?_flt_1_next_follow_up_on=2026-12-02&_flt_2_next_follow_up_on=2026-12-03")
    )
    assert [f"第{day}件" in text for day in (1, 2, 3)] == [False, True, True]
    assert "没有回访" not in text


def test_the_day_of_an_interaction_is_the_companys(db, sign_in, wang):
    builders.interaction(by=wang, title="深夜的电话", occurred_at=datetime(2026, 11, 20, 16, 30, tzinfo=UTC))
    browser = sign_in(wang)
    found = {
        day: "深夜的电话"
        in text_of(browser.get(f"/interactions/list/?_flt_1_occurred_at={day}&_flt_2_occurred_at={day}"))
        for day in ("2026-11-20", "2026-11-21", "2026-11-22")
    }
    assert found == {"2026-11-20": False, "2026-11-21": True, "2026-11-22": False}  # 00:30 on the 21st


def test_a_deleted_interaction_is_hidden(db, sign_in, wang):
    talk = builders.interaction(by=wang, title="说错了")
    browser = sign_in(wang)
    assert browser.post(f"/interactions/delete/{talk.id}").status_code == 302
    browser.get("/interactions/list/")
    assert "说错了" not in text_of(browser.get("/interactions/list/"))
    assert "说错了" not in text_of(browser.get(f"/customers/show/{talk.customer_id}?tab=InteractionView"))
    assert rows(Interaction)[0].deleted_at is not None
