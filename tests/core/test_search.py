"""Lists: what is typed into filters is text and nothing else; order and size are bounded; nonsense breaks nothing."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime
from urllib.parse import quote

import pytest
from markupsafe import escape

from app.customers.models import Customer, CustomerStatus
from app.extensions import db as database
from app.masterdata.models import DictionaryType
from tests import builders
from tests.support import text_of

NAMES = [
    "100%纯棉",
    "100分纯棉",
    "a_b公司",
    "axb公司",
    "O'Neill Ltd.",
    'Say "Cheese"',
    "back\\slash",
    "<b>bold</b>",
    "恒锐精密",
]


@pytest.fixture
def browser(db, sign_in, li):
    """A lead's browser, and customers with awkward names."""
    for name in NAMES:
        builders.customer(name=name, owner=li)
    return sign_in(li)


def table_of(answer):
    """The rows of a list, without the filters above it that repeat what was typed."""
    assert answer.status_code == 200
    return answer.get_data(as_text=True).split("<tbody", 1)[-1].split("</tbody>")[0]


def shown(browser, **filters):
    """The names a list with these filters shows."""
    query = "&".join(f"{key}={quote(value)}" for key, value in filters.items())
    table = table_of(browser.get(f"/customers/list/?{query}"))
    return {name for name in NAMES if f">{escape(name)}<" in table}


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("%", {"100%纯棉"}), ("100%", {"100%纯棉"}), ("_", {"a_b公司"}), ("a_b", {"a_b公司"}), ("'", {"O'Neill Ltd."}),
        ('"', {'Say "Cheese"'}), ("\\", {"back\\slash"}), ("<b>", {"<b>bold</b>"}), ("' OR 1=1 --", set()),
        ("%%", set()), ("锐精", {"恒锐精密"}), ("hengrui", {"恒锐精密"}), ("hrjm", {"恒锐精密"}),
        ("Ｏ'ＮＥＩＬＬ", {"O'Neill Ltd."}), ("纯棉", {"100%纯棉", "100分纯棉"}),
        (" 纯棉 ", {"100%纯棉", "100分纯棉"}), ("  ", set(NAMES)), ("", set(NAMES)),
    ],
)  # fmt: skip
def test_a_name_is_found_by_any_part_of_it_and_signs_are_signs(browser, typed, found):
    assert shown(browser, _flt_0_name=typed) == found


@pytest.mark.parametrize("typed", ["Élodie", "élodie", "ÉLODIE", "lod", "Straße", "%", "_"])
def test_columns_without_a_folded_key_ignore_case_too(db, sign_in, li, typed):
    customer = builders.customer()
    builders.contact(customer, name="Élodie Straße 5%_")
    builders.contact(customer, name="另一个人", is_primary=False)
    table = table_of(sign_in(li).get(f"/contacts/list/?_flt_0_name={quote(typed)}"))
    assert "Élodie" in table
    assert "另一个人" not in table


def test_choices_are_searched_alike(db, sign_in, li):
    contact = builders.contact(name="Élodie 5%_")
    builders.contact(name="别人")
    browser = sign_in(li)
    for typed in ("Élodie", "ÉLODIE", "5%", "%_", "_"):
        found = browser.get(f"/interactions/lookup/contact?q={quote(typed)}").json["results"]
        assert [row["id"] for row in found] == [contact.id], typed


def test_filters_combine_with_and_and_say_so(db, sign_in, li, wang, zhao):
    level = builders.dictionary(DictionaryType.level, "3")
    builders.customer(name="大客户甲", owner=wang, level=level)
    builders.customer(name="大客户乙", owner=zhao, level=level)
    builders.customer(name="小客户丙", owner=wang)
    browser = sign_in(li)
    text = text_of(browser.get(f"/customers/list/?_flt_0_owner={wang.id}&_flt_0_level={level.id}&_flt_0_status=active"))
    assert "大客户甲" in text
    assert "大客户乙" not in text
    assert "小客户丙" not in text
    assert all(said in text for said in ("王强", "Major", "Active"))


@pytest.mark.parametrize(
    "query",
    [
        "page_CustomerView=abc", "page_CustomerView=-1", "page_CustomerView=99999999999999999999",
        "page_CustomerView=1e3", "page_CustomerView=²", "psize_CustomerView=abc", "psize_CustomerView=0",
        "psize_CustomerView=-5",
        "psize_CustomerView=1000000", "_oc_CustomerView=nosuch&_od_CustomerView=desc",
        "_oc_CustomerView=name&_od_CustomerView=sideways",
        "_oc_CustomerView=status", "_oc_CustomerView=", "_flt_9_x=1", "_flt_0_nosuch=1", "_flt_0_owner=abc",
        "_flt_0_owner=99999999999999999999999", "_flt_0_owner=-1", "_flt_0_status=nosuch", "_flt_0_status=deleted",
        "_flt_1_name=x", "_flt_0_name=%00", "_flt_0_name=%ED%A0%80", "_flt_0_name=%FF%FE", "_flt_0_name=" + "x" * 5000,
        "tab=nosuch", "count=exact", "count=nosuch", "%00=%00", "a[]=1&a[]=2", "_flt_0_name=a&_flt_0_name=b", "=",
        "&&&",
    ],
)  # fmt: skip
def test_nonsense_in_the_address_is_no_error(browser, query):
    answer = browser.get(f"/customers/list/?{query}")
    assert answer.status_code == 200
    assert "Customers" in text_of(answer)


@pytest.mark.parametrize(
    "query",
    [
        "_flt_1_occurred_at=0001-01-01", "_flt_2_occurred_at=9999-12-31", "_flt_1_occurred_at=soon",
        "_flt_1_next_follow_up_on=2026-02-30", "_flt_2_next_follow_up_on=9999-99-99",
        "_flt_1_occurred_at=2026-W47-6", "_flt_0_created_by=0",
    ],
)  # fmt: skip
def test_dates_that_are_none_find_nothing_and_break_nothing(db, sign_in, li, query):
    builders.interaction(title="会面")
    assert sign_in(li).get(f"/interactions/list/?{query}").status_code == 200


@pytest.mark.parametrize("typed", ["5", "4.5", "1e2", "-1", "abc", "NaN", "Infinity", "9" * 30, "１"])
def test_numbers_that_are_none_break_nothing(db, sign_in, li, typed):
    builders.feedback(satisfaction=3)
    for operator in (1, 2):
        assert sign_in(li).get(f"/feedback/list/?_flt_{operator}_satisfaction={quote(typed)}").status_code == 200


@pytest.mark.parametrize(
    ("asked", "rows"),
    [("1", 1), ("25", 25), ("50", 50), ("100", 100), ("101", 100), ("1000000", 100), ("abc", 25), ("0", 1)],
)
def test_a_page_has_a_hundred_rows_at_most(db, sign_in, li, asked, rows):
    level = builders.dictionary(DictionaryType.level, "1")
    database.session.add_all([Customer(number=f"KH{n}", name=f"客户{n}", level=level) for n in range(120)])
    database.session.commit()
    page = sign_in(li).get(f"/customers/list/?psize_CustomerView={asked}").get_data(as_text=True)
    assert page.split("<tbody", 1)[1].split("</tbody>")[0].count("<tr") == rows


def test_pages_follow_each_other_without_gap_or_repeat(db, sign_in, li):
    names = [builders.customer(name=f"客户{n:03d}", registered_on=date(2026, 1, 1 + n % 3)).name for n in range(60)]
    browser, seen = sign_in(li), []
    for page in range(4):
        text = text_of(browser.get(f"/customers/list/?psize_CustomerView=25&page_CustomerView={page}"))
        seen += [name for name in names if name in text]
    assert sorted(seen) == names


@pytest.mark.parametrize(("order", "first"), [("name", "阿尔法"), ("number", "贝塔"), ("registered_on", "伽马")])
def test_lists_are_ordered_by_the_columns_that_say_so(db, sign_in, li, order, first):
    facts = {"阿尔法": ("KH3", 3, "a"), "贝塔": ("KH1", 2, "b"), "伽马": ("KH2", 1, "c")}
    for name, (number, day, letter) in facts.items():
        builders.customer(name=f"{letter}{name}", number=number, registered_on=date(2026, 1, day))
    browser = sign_in(li)
    for direction in ("asc", "desc"):
        text = text_of(browser.get(f"/customers/list/?_oc_CustomerView={order}&_od_CustomerView={direction}"))
        order_of = sorted(facts, key=text.index)
        assert order_of[0 if direction == "asc" else -1] == first


def test_no_other_column_orders(db, sign_in, li):
    old = builders.customer(name="老客户", registered_on=date(2020, 1, 1), memo="a", satisfaction=1)
    new = builders.customer(name="新客户", registered_on=date(2026, 1, 1), memo="b", satisfaction=5)
    browser = sign_in(li)
    for column in ("memo", "satisfaction", "owner", "stats.order_total", "id", "search_key"):
        text = text_of(browser.get(f"/customers/list/?_oc_CustomerView={column}&_od_CustomerView=asc"))
        assert text.index(new.name) < text.index(old.name)


def test_the_days_of_a_filter_are_the_companys(db, sign_in, li):
    builders.opportunity(by=li, title="凌晨录入")
    builders.ticket(by=li, title="凌晨报修", created_at=datetime(2026, 11, 20, 16, 30, tzinfo=UTC))  # 00:30 on the 21st
    browser = sign_in(li)
    for day, found in (("2026-11-20", False), ("2026-11-21", True)):
        text = text_of(browser.get(f"/tickets/list/?_flt_1_created_at={day}&_flt_2_created_at={day}"))
        assert ("凌晨报修" in text) == found


def test_a_deleted_customer_is_not_found_by_asking_for_deleted_ones(db, sign_in, li):
    builders.customer(name="删掉的客户", status=CustomerStatus.deleted)
    assert "删掉的客户" not in text_of(sign_in(li).get("/customers/list/?_flt_0_status=deleted"))


def test_choices_come_a_page_at_a_time_and_nonsense_is_the_first_page(db, sign_in, li):
    for n in range(45):
        builders.customer(name=f"客户{n:03d}")
    browser = sign_in(li)
    pages = [browser.get(f"/contacts/lookup/customer?page={page}").json for page in (0, 1, 2, 3)]
    assert [len(page["results"]) for page in pages] == [20, 20, 5, 0]
    assert [page["more"] for page in pages] == [True, True, False, False]
    for query in ("page=abc", "page=-1", "page=9999999999", "q=%00", "q=%ED%A0%80", "q=" + "x" * 5000):
        assert browser.get(f"/contacts/lookup/customer?{query}").status_code == 200


@pytest.mark.parametrize("column", ["nosuch", "name", "password", "search_key", "deleted_at", "__class__", "metadata"])
def test_only_relations_of_the_screen_can_be_looked_up(db, sign_in, li, column):
    assert sign_in(li).get(f"/contacts/lookup/{column}").status_code == 404


def test_eight_people_at_once_see_their_own_filters_only(db, app, sign_in, li):
    """Filters live in the address; nothing of one request is left for another, whatever the thread."""
    for n in range(8):
        builders.customer(name=f"甲乙丙丁{n}号")
    browsers, wrong, start = [sign_in(builders.user()) for _ in range(8)], [], threading.Barrier(8)

    def look(number):
        start.wait()
        for _round in range(12):
            with app.app_context():
                answer = browsers[number].flask.get(f"/customers/list/?_flt_0_name={quote(f'丁{number}')}")
            text = text_of(answer)
            others = [other for other in range(8) if other != number and f"甲乙丙丁{other}号" in text]
            if answer.status_code != 200 or f"甲乙丙丁{number}号" not in text or others:
                wrong.append((number, answer.status_code, others))

    db.session.commit()
    threads = [threading.Thread(target=look, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
