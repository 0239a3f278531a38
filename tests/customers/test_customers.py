"""客户: entering, completing, giving to somebody, deleting; who may, and what stays typed."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import quote

import pytest

from app.core.clock import today
from app.core.errors import BusinessError, NotYours
from app.customers import operations
from app.customers.models import Customer, CustomerStatus
from app.masterdata.models import DictionaryType
from tests import builders
from tests.support import fields_of, rows, statements, text_of

T = DictionaryType


def facts(manager, **given):
    """What the form sends when everything that is required is filled in."""
    return {
        "name": "苏州恒锐精密机械有限公司", "region": builders.dictionary(T.region, "east").id, "owner": manager.id,
        "level": builders.dictionary(T.level, "2").id, "satisfaction": "4", "credit": "5",
        "address": "苏州市工业园区星湖街328号", "postcode": "015021", "phone": "0512-0555 0101 转 668", **given,
    }  # fmt: skip


def edited(customer, manager=None, **given):
    return facts(manager or customer.owner, version=customer.version, **given)


# -- new ----------------------------------------------------------------------------------------------------------


def test_a_customer_entered_by_hand_gets_number_day_and_status_from_the_server(db, sign_in, wang, moves):
    answer = sign_in(wang).post("/customers/add", facts(wang, number="KH1", status="lost", registered_on="1999-01-01"))
    (made,) = rows(Customer)
    assert (answer.status_code, answer.location) == (302, f"/customers/show/{made.id}")
    assert made.number == f"KH{today():%y%m%d}001"
    assert (made.status, made.registered_on, made.created_by_id) == (CustomerStatus.active, today(), wang.id)
    assert (made.postcode, made.satisfaction, made.credit) == ("015021", 4, 5)  # the leading zero lives
    assert [move.action for move in moves(made)] == ["create"]


def test_the_form_of_a_new_customer_names_its_reader_as_account_manager(db, sign_in, wang, li):
    assert f'<option value="{wang.id}" selected>王强</option>' in sign_in(wang).get("/customers/add").get_data(
        as_text=True
    )
    assert f'<option value="{li.id}" selected' not in sign_in(li).get("/customers/add").get_data(as_text=True)


@pytest.mark.parametrize(
    "column", ["name", "region", "owner", "level", "satisfaction", "credit", "address", "postcode", "phone"]
)
def test_what_a_person_completes_is_required(db, sign_in, wang, column):
    answer = sign_in(wang).post("/customers/add", facts(wang, **{column: ""}))
    assert answer.status_code == 422
    assert "Fill in this field." in text_of(answer)
    page = answer.get_data(as_text=True)
    assert all(str(value) in page for name, value in facts(wang).items() if name != column)
    assert rows(Customer) == []


@pytest.mark.parametrize(
    ("column", "typed", "sentence"),
    [
        ("name", "恒" * 101, "100"),
        ("address", "街" * 301, "300"),
        ("satisfaction", "6", "Choose one of the list."),
        ("satisfaction", "0", "Choose one of the list."),
        ("credit", "many", "Choose one of the list."),
        ("level", "999999", "Choose one of the list."),
        ("region", "-1", "Choose one of the list."),
        ("owner", "abc", "Choose one of the list."),
        ("phone", "1234", "5 to 50 characters"),
        ("phone", "1" * 51, "50"),
        ("phone", "<script>", "Use digits"),
        ("registered_capital", "1e30", "at most 12 digits"),
        ("registered_capital", "NaN", "at most 12 digits"),
        ("annual_turnover", "--5", "Enter an amount"),
        ("registered_capital", "-1", "Enter 0 or more."),
        ("annual_turnover", "-0.01", "Enter 0 or more."),
        ("social_credit_code", "9" * 19, "Enter 18 digits and capital letters."),
        ("social_credit_code", "123", "Enter 18 digits and capital letters."),
        ("social_credit_code", "91320594MA1TXXXX0-", "Enter 18 digits and capital letters."),
        ("website", "javascript:alert(1)", "Enter a web address such as https://www.example.com."),
        ("website", "ftp://www.example.com", "Enter a web address such as https://www.example.com."),
        ("website", "sales@example.com", "Enter a web address such as https://www.example.com."),
        ("website", "https://", "Enter a web address such as https://www.example.com."),
        ("website", "https://example.com/<b>", "Enter a web address such as https://www.example.com."),
        ("website", "example.com:port", "Enter a web address such as https://www.example.com."),
        ("website", "10.0.5", "Enter a web address such as https://www.example.com."),
        ("website", "no site", "Enter a web address such as https://www.example.com."),
        ("website", "a.cn/" + "x" * 190, "200"),
        ("postcode", "<b>", "Use digits and letters, with spaces or hyphens between them."),
        ("postcode", "2151-", "Use digits and letters, with spaces or hyphens between them."),
    ],
)
def test_a_bad_value_is_named_and_all_that_was_typed_stays(db, sign_in, wang, column, typed, sentence):
    answer = sign_in(wang).post("/customers/add", facts(wang, **{column: typed}))
    assert answer.status_code == 422
    assert sentence in text_of(answer)
    page = answer.get_data(as_text=True)
    assert all(str(value) in page for name, value in facts(wang).items() if name not in (column, "owner"))
    assert rows(Customer) == []


@pytest.mark.parametrize(
    "typed", ["010-68348438-668", "+86 (0)512 0555 0101", "12345", "1" * 50, "0571-0555 0101 ext 12"]
)
def test_phones_are_written_as_people_write_them(db, sign_in, wang, typed):
    assert sign_in(wang).post("/customers/add", facts(wang, phone=typed)).status_code == 302
    assert rows(Customer)[0].phone == typed


@pytest.mark.parametrize(
    ("column", "typed", "kept"),
    [
        ("website", "www.example.com", "https://www.example.com"),
        ("website", "http://示例.example.com:8080/a?b=c", "http://示例.example.com:8080/a?b=c"),
        ("website", "HTTPS://Example.com", "HTTPS://Example.com"),
        ("website", "www.xn--55qx5d.xn--fiqs8s", "https://www.xn--55qx5d.xn--fiqs8s"),
        ("website", "http://10.0.0.5:8080/crm", "http://10.0.0.5:8080/crm"),
        ("social_credit_code", "91320594ma1t2b3c4d", "91320594MA1T2B3C4D"),
        ("social_credit_code", "９1320594MA1T2B3C4D", "91320594MA1T2B3C4D"),
        ("postcode", "015021", "015021"),
        ("postcode", "SW1A 1AA", "SW1A 1AA"),
        ("postcode", "100-8111", "100-8111"),
        ("postcode", "２1５０00", "215000"),
        ("registered_capital", "0", Decimal("0.00")),
    ],
)
def test_what_is_written_in_several_ways_is_kept_in_the_usual_one(db, sign_in, wang, column, typed, kept):
    assert sign_in(wang).post("/customers/add", facts(wang, **{column: typed})).status_code == 302
    assert getattr(rows(Customer)[0], column) == kept


def test_money_keeps_its_cents(db, sign_in, wang):
    assert sign_in(wang).post("/customers/add", facts(wang, annual_turnover="¥12,345.60")).status_code == 302
    assert rows(Customer)[0].annual_turnover == Decimal("12345.60")


@pytest.mark.parametrize(
    ("spoken", "shown", "as_yuan"),
    [("zh", ["500 万元", "12,345.6 万元"], "¥500"), ("en", ["¥5,000,000.00", "¥123,456,000.00"], "¥500.00")],
)
def test_what_is_kept_in_ten_thousands_is_never_shown_as_yuan(db, sign_in, wang, spoken, shown, as_yuan):
    customer = builders.customer(owner=wang)
    browser = sign_in(wang).speak(spoken)
    typed = edited(customer, registered_capital="500", annual_turnover="12,345.60")
    assert browser.post(f"/customers/edit/{customer.id}", typed).status_code == 302
    page = text_of(browser.get(f"/customers/show/{customer.id}"))
    assert [page.count(words) for words in shown] == [2, 2]  # among the facts and among the changes
    assert as_yuan not in page
    assert "10,000 CNY" in text_of(sign_in(wang).speak("en").get(f"/customers/edit/{customer.id}"))


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("晓雯", ["林晓雯"]), ("xiaowen", ["林晓雯"]), ("LXW", ["林晓雯"]), ("zengq", ["曾强"]), ("zq", ["曾强"]),
        ("anna li", ["Anna Li"]), ("liann", ["Anna Li"]), ("account7", ["Anna Li"]), ("%", []), ("王 ", ["王强"]),
        ("wang", ["王强"]),
    ],
)  # fmt: skip
def test_account_managers_are_found_by_name_pinyin_initials_and_account(app, db, sign_in, li, typed, names):
    for family, given, account in (("林", "晓雯", "account1"), ("曾", "强", "account2"), ("Li", "Anna", "account7")):
        builders.user(last_name=family, first_name=given, username=account)
    builders.user(last_name="林", first_name="晓雯", username="account3", role_code="executive")
    browser = sign_in(li)
    browser.get("/customers/lookup/owner")
    with statements(app) as seen:
        found = browser.get(f"/customers/lookup/owner?q={quote(typed)}").get_json()
    assert [row["text"] for row in found["results"]] == names
    assert sum("FROM ab_user" in statement and "last_name" in statement for statement in seen) <= 2  # reader, people


def test_people_are_looked_up_a_page_at_a_time(db, sign_in, li):
    for n in range(41):
        builders.user(last_name="欧", first_name=f"阳{n:02}", username=f"ouyang{n:02}")
    browser = sign_in(li)
    pages = [browser.get(f"/customers/lookup/owner?q=ouyang&page={page}").get_json() for page in range(4)]
    assert [len(page["results"]) for page in pages] == [20, 20, 1, 0]
    assert [page["more"] for page in pages] == [True, True, False, False]
    assert len({row["id"] for page in pages for row in page["results"]}) == 41


def test_only_people_who_may_be_given_customers_are_offered_as_owners(db, sign_in, admin, li, wang, zhao, chen):
    builders.user(active=False)
    found = sign_in(li).get("/customers/lookup/owner").json["results"]
    assert {row["id"] for row in found} == {admin.id, wang.id, zhao.id}
    answer = sign_in(li).post("/customers/add", facts(chen))
    assert answer.status_code == 422


# -- edit ---------------------------------------------------------------------------------------------------------


def test_its_account_manager_and_the_lead_edit_a_customer(db, sign_in, li, wang, moves):
    customer = builders.customer(owner=wang)
    for person, name in ((wang, "王强改的"), (li, "李娜改的")):
        assert sign_in(person).post(f"/customers/edit/{customer.id}", edited(customer, name=name)).status_code == 302
        db.session.refresh(customer)
        assert customer.name == name
    assert [(m.action, m.actor_id) for m in moves(customer)] == [("edit", wang.id), ("edit", li.id)]
    assert fields_of(moves(customer)[1])["name"] == ("王强改的", "李娜改的")


def test_colleagues_see_a_customer_but_do_not_edit_it(db, sign_in, wang, zhao, picture, refusals):
    customer = builders.customer(owner=wang)
    before, browser = picture(customer), sign_in(zhao)
    assert browser.get(f"/customers/show/{customer.id}").status_code == 200
    answer = browser.post(f"/customers/edit/{customer.id}", edited(customer, name="赵敏改的"))
    assert answer.status_code == 409  # with what was typed, and why it is not taken
    assert "Only the account manager or a sales lead can edit this customer." in text_of(answer)
    assert picture(customer) == before
    assert [(r.action, r.actor_id) for r in refusals(customer)] == [("edit", zhao.id)]


@pytest.mark.parametrize("who", ["chen", "sysadmin"])
def test_who_has_no_right_on_customers_opens_none(request, db, sign_in, wang, who, picture):
    customer = builders.customer(owner=wang)
    before, browser = picture(customer), sign_in(request.getfixturevalue(who))
    for address in ("list/", f"show/{customer.id}", f"edit/{customer.id}", "add", f"assign/{customer.id}"):
        assert browser.get(f"/customers/{address}").status_code == 403
    for address in (f"edit/{customer.id}", f"assign/{customer.id}", f"delete/{customer.id}", "add", "bulk-assign"):
        assert browser.post(f"/customers/{address}", edited(customer)).status_code == 403
    assert picture(customer) == before


def test_an_account_manager_gives_his_customer_to_nobody_else(db, sign_in, wang, zhao, picture, refusals):
    customer = builders.customer(owner=wang)
    before = picture(customer)
    answer = sign_in(wang).post(f"/customers/edit/{customer.id}", edited(customer, manager=zhao, name="想送给赵敏"))
    assert answer.status_code == 422
    assert "Only a sales lead can give a customer to somebody else." in text_of(answer)
    assert "想送给赵敏" in answer.get_data(as_text=True)
    assert picture(customer) == before
    (refusal,) = refusals(customer)
    assert (refusal.action, refusal.actor_id, refusal.from_status) == ("edit", wang.id, "active")
    assert refusal.note in text_of(answer)


def test_an_account_manager_enters_customers_for_himself_only(db, sign_in, li, wang, zhao, refusals):
    answer = sign_in(wang).post("/customers/add", facts(zhao))
    assert answer.status_code == 422
    assert "Only a sales lead can give a customer to somebody else." in text_of(answer)
    assert rows(Customer) == []
    assert [(r.record_type, r.record_id, r.action) for r in refusals()] == [("customer", None, "create")]
    assert sign_in(li).post("/customers/add", facts(zhao)).status_code == 302


def test_nobody_gives_away_what_nobody_owns_without_the_right_to_assign(db, sign_in, wang, picture):
    role = builders.role(rights=[(right, "Customer") for right in ("can_edit", "can_show", "can_list", "can_edit_any")])
    customer = builders.customer(owner=None)
    before = picture(customer)
    answer = sign_in(builders.user(roles=[role])).post(f"/customers/edit/{customer.id}", edited(customer, manager=wang))
    assert answer.status_code == 422
    assert picture(customer) == before


def test_a_lead_changes_the_owner_also_on_the_edit_page(db, sign_in, li, wang, zhao):
    customer = builders.customer(owner=wang)
    assert sign_in(li).post(f"/customers/edit/{customer.id}", edited(customer, manager=zhao)).status_code == 302
    db.session.refresh(customer)
    assert customer.owner_id == zhao.id


def test_an_owner_who_left_stays_until_somebody_else_is_chosen(db, sign_in, li):
    """The stored choice is kept although it is no longer offered."""
    left = builders.user()
    customer = builders.customer(owner=left)
    left.active = False
    db.session.commit()
    assert sign_in(li).post(f"/customers/edit/{customer.id}", edited(customer, name="改个名")).status_code == 302
    db.session.refresh(customer)
    assert (customer.name, customer.owner_id) == ("改个名", left.id)


def test_an_inactive_dictionary_item_stays_where_it_is_used(db, sign_in, wang):
    customer = builders.customer(owner=wang, region=builders.dictionary_item(label="旧区域"))
    customer.region.active = False
    db.session.commit()
    page = sign_in(wang).get(f"/customers/edit/{customer.id}").get_data(as_text=True)
    assert "旧区域" in page
    sent = edited(customer, region=customer.region_id)
    assert sign_in(wang).post(f"/customers/edit/{customer.id}", sent).status_code == 302
    assert "旧区域" not in sign_in(wang).get("/customers/add").get_data(as_text=True)


def test_two_people_editing_at_once_lose_nothing(db, sign_in, li, wang, picture):
    customer = builders.customer(owner=wang)
    sent = edited(customer)
    assert sign_in(li).post(f"/customers/edit/{customer.id}", {**sent, "address": "主管改的地址"}).status_code == 302
    answer = sign_in(wang).post(f"/customers/edit/{customer.id}", {**sent, "address": "经理改的地址"})
    assert answer.status_code == 409
    assert "Somebody changed this record meanwhile." in text_of(answer)
    assert "经理改的地址" in answer.get_data(as_text=True)
    assert picture(customer)["address"] == "主管改的地址"


def test_the_folded_keys_follow_the_name(db, wang):
    customer = builders.customer(owner=wang, name="Ｋｅｓｔｒｅｌ GmbH", phone="010-555")
    assert customer.name_key == "kestrel"
    customer.name = "重庆单氏仪器有限公司"
    db.session.commit()
    assert customer.name_key == "重庆单氏仪器"
    assert "chongqing" in customer.search_key
    assert "010555" in customer.search_key


# -- assign -------------------------------------------------------------------------------------------------------


def test_a_lead_assigns_an_owner_and_it_is_remembered(db, sign_in, li, wang, zhao, moves):
    customer = builders.customer(owner=None)
    for owner in (wang, zhao):
        assert sign_in(li).post(f"/customers/assign/{customer.id}", {"owner": owner.id}).status_code == 302
        db.session.refresh(customer)
        assert customer.owner_id == owner.id
    assert [(m.action, m.actor_id) for m in moves(customer)] == [("assign", li.id)] * 2


def test_an_account_manager_assigns_nobody(db, sign_in, wang, zhao, picture, refusals):
    customer = builders.customer(owner=wang)
    before = picture(customer)
    assert sign_in(wang).post(f"/customers/assign/{customer.id}", {"owner": zhao.id}).status_code == 403
    assert picture(customer) == before
    assert [r.action for r in refusals(customer)] == ["assign"]
    with pytest.raises(NotYours, match="Only a sales lead"):
        operations.assign(customer, actor=wang, owner=zhao)


def test_the_owner_is_not_assigned_again(db, li, wang):
    with pytest.raises(BusinessError, match="王强 is already the owner"):
        operations.assign(builders.customer(owner=wang), actor=li, owner=wang)


def test_customers_are_given_to_account_managers_only(db, li, chen):
    for person in (chen, builders.user(active=False)):
        with pytest.raises(BusinessError, match="cannot be given customers"):
            operations.assign(builders.customer(), actor=li, owner=person)


def test_customers_are_assigned_in_bulk_with_a_line_for_each(db, sign_in, li, wang, zhao):
    mine, his = builders.customer(owner=wang, name="给赵的"), builders.customer(owner=zhao, name="已是赵的")
    gone = builders.customer(name="删掉的", status=CustomerStatus.deleted)
    sent = {"rowid": [mine.id, his.id, gone.id, "x"], "owner": zhao.id, "confirmed": "1"}
    text = text_of(sign_in(li).post("/customers/bulk-assign", sent))
    assert "1 record done · 3 skipped" in text
    assert "赵敏 is already the owner." in text
    assert text.count("Not found.") == 2
    assert "删掉的" not in text
    assert {c.owner_id for c in rows(Customer, Customer.status == CustomerStatus.active)} == {zhao.id}


# -- delete -------------------------------------------------------------------------------------------------------


def test_a_deleted_customer_is_hidden_everywhere_and_its_number_is_not_given_out_again(db, sign_in, admin, wang):
    browser = sign_in(admin)
    browser.post("/customers/add", facts(wang))
    (customer,) = rows(Customer)
    builders.contact(customer, name="藏起来的人")
    builders.interaction(customer, by=wang, title="藏起来的话")
    assert browser.post(f"/customers/delete/{customer.id}").status_code == 302
    assert rows(Customer)[0].status == CustomerStatus.deleted
    assert browser.get(f"/customers/show/{customer.id}").status_code == 404
    browser.get("/customers/list/")  # reads the notice "Deleted"
    for address in ("/customers/list/", "/contacts/list/", "/interactions/list/"):
        text = text_of(browser.get(address))
        assert not any(hidden in text for hidden in (customer.name, "藏起来的人", "藏起来的话"))
    assert browser.get("/contacts/lookup/customer").json["results"] == []
    browser.post("/customers/add", facts(wang))
    assert rows(Customer)[1].number == f"KH{today():%y%m%d}002"


def test_only_a_super_admin_deletes_customers(db, sign_in, li, wang, picture):
    customer = builders.customer(owner=wang)
    before = picture(customer)
    for person in (li, wang):
        assert sign_in(person).post(f"/customers/delete/{customer.id}").status_code == 403
    assert picture(customer) == before


# -- lists and pages ----------------------------------------------------------------------------------------------


def test_the_tabs_show_ones_own_and_those_nobody_owns(db, sign_in, wang, zhao):
    for owner, name in ((wang, "王的客户"), (zhao, "赵的客户"), (None, "无主客户")):
        builders.customer(owner=owner, name=name)
    browser = sign_in(wang)
    for tab, shown in (
        ("", {"王的客户", "赵的客户", "无主客户"}),
        ("mine", {"王的客户"}),
        ("unowned", {"无主客户"}),
        ("x", {"王的客户", "赵的客户", "无主客户"}),
    ):
        text = text_of(browser.get(f"/customers/list/?tab={tab}"))
        assert {name for name in ("王的客户", "赵的客户", "无主客户") if name in text} == shown


def test_the_page_of_a_customer_shows_what_hangs_on_it(db, sign_in, wang):
    customer = builders.customer(owner=wang)
    builders.contact(customer, name="唐敏")
    builders.interaction(customer, by=wang, title="确认第四季度采购计划")
    builders.order(customer, amount="1234.50")
    browser = sign_in(wang)
    text = text_of(browser.get(f"/customers/show/{customer.id}"))
    assert "唐敏" in text
    assert "确认第四季度采购计划" in text
    assert "¥1,234.50" in text
    for tab in ("ContactView", "InteractionView", "OrderView", "OpportunityView", "ChurnCaseView", "nonsense", ""):
        assert browser.get(f"/customers/show/{customer.id}?tab={tab}").status_code == 200


def test_a_customer_of_the_sales_system_may_have_no_owner_but_leaves_the_edit_screen_with_one(db, sign_in, li, wang):
    customer = builders.customer(owner=None)
    sent = {**facts(wang, version=customer.version), "owner": ""}
    assert sign_in(li).post(f"/customers/edit/{customer.id}", sent).status_code == 422
    assert sign_in(li).post(f"/customers/edit/{customer.id}", {**sent, "owner": wang.id}).status_code == 302


def test_opening_an_account_sets_what_the_rules_say(db, wang):
    at = datetime(2026, 2, 28, 16, 0, tzinfo=UTC)  # midnight of 1 March where the company works
    customer = operations.open_account(name=" 新客户 ", owner=wang, phone="010-555 0101", actor=wang, at=at)
    assert (customer.name, customer.number) == ("新客户", "KH260301001")
    assert (customer.registered_on.isoformat(), customer.created_at) == ("2026-03-01", at)
    assert (customer.level.code, customer.satisfaction, customer.credit) == ("1", 3, 3)
    assert customer.status == CustomerStatus.active


def test_the_version_is_in_the_form_and_not_in_the_record(db, sign_in, wang):
    customer = builders.customer(owner=wang)
    page = sign_in(wang).get(f"/customers/edit/{customer.id}").get_data(as_text=True)
    assert re.search(rf'<input[^>]*name="version"[^>]*value="{customer.version}"', page)
    sign_in(wang).post(f"/customers/edit/{customer.id}", edited(customer))
    db.session.refresh(customer)
    assert customer.version == 2
