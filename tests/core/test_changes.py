"""变更: what a record's page tells, to whom; who made it and from where."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from app.core.changes import coming_from, moving
from app.core.lifecycle import perform
from app.core.models import AuditEntry, FieldChange
from app.core.unit import unit_of_work
from app.masterdata.models import DictionaryType
from app.sales import operations as sales
from tests import builders
from tests.support import rows, statements, text_of


def told(record, *fields):
    """(field, from, to, by whom, by which move) of a record's changes."""
    its = (FieldChange.record_type == record.__tablename__, FieldChange.record_id == record.id)
    found = rows(FieldChange, *its, FieldChange.field.is_not(None))
    return [(c.field, c.before, c.after, c.actor_id, c.move) for c in found if not fields or c.field in fields]


@pytest.fixture
def customer(db, wang):
    return builders.customer(owner=wang, name="东方重工有限公司", phone="010-1", memo="旧")


def test_a_step_tells_what_it_changed_in_every_record_it_touched(db, li, wang):
    opportunity = builders.opportunity(by=li, given_to=wang, customer_name="新客户有限公司", contact_name="刘洋")
    builders.plan_step(opportunity, result="有意向")
    perform(sales.win, opportunity, actor=wang, create_anyway=True)

    by_win = rows(FieldChange, FieldChange.move == "opportunity.win")
    assert {(c.record_type, c.field) for c in by_win} >= {
        ("opportunity", "status"), ("opportunity", "close_kind"), ("opportunity", "customer_id"), ("customer", None),
        ("contact", None), ("contact", "is_primary"),
    }  # fmt: skip
    assert told(opportunity, "status", "close_kind") == [
        ("status", "assigned", "won", wang.id, "opportunity.win"),
        ("close_kind", None, "won", wang.id, "opportunity.win"),
    ]
    units = {c.unit for c in by_win}
    assert units == {rows(AuditEntry, AuditEntry.action == "win")[0].unit}  # one transaction, one unit


def test_what_is_rolled_back_is_not_told(db, customer):
    def broken_off():
        with unit_of_work():
            customer.memo = "新"
            db.session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken_off()
    assert told(customer) == []


def test_values_are_kept_as_text_that_means_the_same_later(db, wang, zhao, customer):
    with unit_of_work():
        customer.credit, customer.owner, customer.annual_turnover = 5, zhao, Decimal("1200.50")
        customer.registered_on = date(2026, 1, 2)
    assert sorted(told(customer)) == sorted(
        [
            ("credit", "3", "5", None, "customer.edit"),
            ("owner_id", str(wang.id), str(zhao.id), None, "customer.edit"),
            ("annual_turnover", None, "1200.50", None, "customer.edit"),
            ("registered_on", told(customer, "registered_on")[0][1], "2026-01-02", None, "customer.edit"),
        ]
    )


def test_a_job_and_a_command_are_named_as_where_it_came_from(app, db, customer):
    with coming_from("job churn-scan"), unit_of_work():
        customer.memo = "一"
    assert [(c.source, c.ip) for c in rows(FieldChange, FieldChange.field == "memo")] == [("job churn-scan", None)]
    answer = app.test_cli_runner().invoke(args=["crm", "user", "disable", "wang"])
    assert answer.exit_code == 0, answer.output
    (change,) = rows(FieldChange, FieldChange.field == "active", FieldChange.record_type == "ab_user")
    assert (change.source, change.before, change.after, change.actor_id) == ("crm user disable", "1", "0", None)
    assert rows(AuditEntry)[-1].source == "crm user disable"


def test_a_deleted_record_is_known_from_its_last_values(db, sign_in, sysadmin):
    item = builders.dictionary_item(label="没人用的")
    pk = item.id
    sign_in(sysadmin).post(f"/dictionary/delete/{pk}")
    gone = rows(FieldChange, FieldChange.record_type == "dictionary_item", FieldChange.record_id == pk)
    assert ("label_zh", "没人用的", None, "dictionary_item.delete", sysadmin.id) in {
        (c.field, c.before, c.after, c.move, c.actor_id) for c in gone
    }


# -- the record's page --------------------------------------------------------------------------------------------


def test_the_page_of_a_record_tells_its_changes_in_words(app, db, sign_in, li, wang, zhao, customer):
    browser = sign_in(li)
    with unit_of_work(), moving("customer", "edit", actor=li):
        customer.owner, customer.credit, customer.level = zhao, 5, builders.dictionary(DictionaryType.level, "2")
        customer.memo, customer.search_key = "很重要", "hidden"
    text = text_of(browser.get(f"/customers/show/{customer.id}"))

    changes = text[text.index("When Who Action Field Before After") :]
    assert "李娜 changed it Account manager 王 王强 赵 赵敏" in changes
    assert "李娜 changed it Level Regular Focus" in changes
    assert "李娜 changed it Memo 旧 很重要" in changes
    assert "The system created it The record was made." in changes
    assert "search_key" not in text
    assert "Search Key" not in text

    chinese = text_of(sign_in(li).speak("zh").get(f"/customers/show/{customer.id}"))
    assert "普通客户 重点" in chinese


def test_older_changes_are_behind_a_link(db, sign_in, li, customer):
    for number in range(25):
        with unit_of_work():
            customer.memo = f"第{number}次"
    browser = sign_in(li)
    page = browser.get(f"/customers/show/{customer.id}")
    assert "第24次" in text_of(page)
    assert "第3次" not in text_of(page)
    link = page.get_data(as_text=True).split("#changes")[0].rsplit('"', 1)[1]
    older = text_of(browser.get(link))
    assert "第3次" in older
    assert "第24次" not in older.partition("When Who")[2]
    assert "The record was made." in older
    assert "Newest changes" in older


def test_who_cannot_see_the_record_cannot_see_its_history(app, db, sign_in, zhao, customer):
    app.config["LIUKE_CUSTOMERS_SHARED"] = "own"
    with unit_of_work():
        customer.memo = "秘密"
    assert sign_in(zhao).get(f"/customers/show/{customer.id}").status_code == 404


def test_what_a_change_points_to_is_named_only_to_who_may_see_it(app, db, sign_in, wang, zhao):
    """A manager sees the contact he edits, and not that it was another's customer before."""
    app.config["LIUKE_CUSTOMERS_SHARED"] = "own"
    foreign, own = builders.customer(owner=zhao, name="别人的客户"), builders.customer(owner=wang, name="自己的客户")
    contact = builders.contact(foreign)
    with unit_of_work():
        contact.customer = own
    text = text_of(sign_in(wang).get(f"/contacts/show/{contact.id}"))
    assert "Customer a record you cannot see 自己的客户" in text
    assert "别人的客户" not in text


def test_a_field_the_screen_does_not_name_is_not_in_its_history(app, db, sign_in, li, customer, monkeypatch):
    with unit_of_work():
        customer.phone, customer.memo = "010-99999", "看得见"
    browser, told = sign_in(li), []
    view = next(view for view in app.appbuilder.baseviews if type(view).__name__ == "CustomerView")
    for without in ("", "phone"):
        for columns in ("show_columns", "list_columns", "add_columns", "edit_columns"):
            monkeypatch.setattr(view, columns, [name for name in getattr(view, columns) if name != without])
        history = text_of(browser.get(f"/customers/show/{customer.id}")).partition("When Who Action")[2]
        assert "看得见" in history
        told.append("010-99999" in history)
    assert told == [True, False]


def test_the_history_costs_a_page_two_statements_whatever_it_tells(app, db, sign_in, li, wang, customer):
    browser = sign_in(li)
    counts = []
    for more in (0, 8):
        for number in range(more):
            with unit_of_work():
                customer.memo, customer.city = f"第{number}次", f"城{number}"
        browser.get(f"/customers/show/{customer.id}")
        with statements(app) as seen:
            browser.get(f"/customers/show/{customer.id}")
        counts.append(len([s for s in seen if "field_change" in s]))
    assert counts == [1, 1]


# -- searching ------------------------------------------------------------------------------------------------------


def test_changed_fields_are_searched_by_person_record_field_move_and_day(
    app, db, sign_in, sysadmin, li, zhao, customer
):
    with unit_of_work(), moving("customer", "assign", actor=li):
        customer.owner = zhao
    (change,) = rows(FieldChange, FieldChange.field == "owner_id")
    browser = sign_in(sysadmin)
    for query, found in (
        (f"_flt_0_actor={li.id}", True), (f"_flt_0_actor={zhao.id}", False), ("record=customer", True),
        (f"record=customer&row={customer.id}", True), ("record=customer&row=999", False), ("row=abc", False),
        ("record=contact", False), ("field=owner", True), ("field=memo", False), ("move=assign", True),
        ("move=win", False), ("_flt_1_at=2020-01-01", True), ("_flt_1_at=2999-01-01", False),
    ):  # fmt: skip
        page = browser.get(f"/changes/list/?{query}").get_data(as_text=True)
        assert (f"/changes/show/{change.id}" in page) is found, query
    assert "赵敏" not in text_of(browser.get(f"/changes/show/{change.id}")).replace("赵 赵敏", "赵敏")
    assert sign_in(li).get("/changes/list/").status_code == 403


def test_values_of_a_changed_field_are_for_who_may_open_the_record(db, sign_in, admin, sysadmin, customer):
    with unit_of_work():
        customer.memo = "新的备注"
    (change,) = rows(FieldChange, FieldChange.field == "memo")
    assert "Memo 旧 新的备注" in text_of(sign_in(admin).get(f"/changes/show/{change.id}"))
    page = text_of(sign_in(sysadmin).get(f"/changes/show/{change.id}"))
    assert "新的备注" not in page
    assert "people who may open the record" in page


def test_moves_are_searched_by_number_move_and_field(db, sign_in, admin, li, customer):
    browser = sign_in(li)
    browser.post(f"/customers/delete/{customer.id}")
    (entry,) = rows(AuditEntry)
    for query, found in (
        (f"record=customer&row={customer.id}", True), ("row=999", False), (f"move={entry.action}", True),
        ("move=win", False), ("field=memo", False),
    ):  # fmt: skip
        page = sign_in(admin).get(f"/audit/list/?{query}").get_data(as_text=True)
        assert (f"/audit/show/{entry.id}" in page) is found, query
