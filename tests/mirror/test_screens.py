"""What people see of the mirror: their customers' orders, how old it is, and no way to change it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.core import clock
from app.core.clock import utcnow
from app.mirror import queries
from app.mirror.models import Order, OrderStatus, SyncStatus
from app.mirror.operations import refresh_totals
from app.mirror.views import freshness_note
from tests import builders
from tests.mirror.conftest import SMALL
from tests.support import rows, statements, text_of

SCREENS = ["orders", "order-lines", "products", "stock", "syncs"]


@pytest.fixture
def filled(db, wang, zhao):
    """One row for every screen; the order is a customer's of wang."""
    customer = builders.customer(owner=wang, name="北方机械有限公司")
    order = builders.order(customer, external_id="DD-1", amount="120.00", at=datetime(2026, 4, 1, 16, tzinfo=UTC))
    product = builders.product(name="轴承")
    builders.order_line(order, line_no=1, product=product, amount=Decimal("100.00"))
    builders.order_line(order, line_no=2, product=product, amount=Decimal("19.00"))
    builders.stock(product, quantity="12.50", warehouse="北京一库")
    builders.sync_run(source="/srv/feeds/nightly")
    return order


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("page", ["add", "edit/1", "delete/1"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_nothing_of_it_can_be_changed_by_any_address(db, filled, sign_in, admin, screen, page, method):
    answer = getattr(sign_in(admin), method)(f"/{screen}/{page}")
    assert answer.status_code in (404, 405)
    assert len(rows(Order)) == 1


@pytest.mark.parametrize("screen", SCREENS)
def test_nobody_sees_it_without_signing_in(filled, client, screen):
    answer = client.get(f"/{screen}/list/")
    assert answer.status_code == 302
    assert "/login/" in answer.location


@pytest.mark.parametrize(
    ("name", "screens"),
    [
        ("li", {"orders", "order-lines", "products", "stock"}),
        ("wang", {"orders", "order-lines", "products", "stock"}),
        ("sysadmin", {"syncs"}),
        ("chen", set()),
        ("admin", set(SCREENS)),
    ],
)
def test_each_role_opens_its_screens_and_no_others(filled, request, sign_in, name, screens):
    browser = sign_in(request.getfixturevalue(name))
    assert {s for s in SCREENS if browser.get(f"/{s}/list/").status_code == 200} == screens
    assert {s for s in SCREENS if browser.get(f"/{s}/list/").status_code == 403} == set(SCREENS) - screens


def test_orders_are_as_visible_as_their_customers(app, filled, sign_in, wang, zhao, li):
    app.config["LIUKE_CUSTOMERS_SHARED"] = "own"

    for person, seen in ((wang, 200), (li, 200), (zhao, 404)):
        browser = sign_in(person)
        assert ("DD-1" in text_of(browser.get("/orders/list/"))) is (seen == 200)
        assert browser.get(f"/orders/show/{filled.id}").status_code == seen
        assert ("100.00" in text_of(browser.get("/order-lines/list/"))) is (seen == 200)
        assert bool(browser.get("/order-lines/lookup/order?q=DD").json["results"]) is (seen == 200)


def test_the_page_of_an_order_shows_its_lines_their_sum_and_the_difference(filled, sign_in, li):
    text = text_of(sign_in(li).get(f"/orders/show/{filled.id}"))

    assert "Number of lines 2" in text
    assert "Sum of the lines ¥119.00" in text
    assert "Amount less the sum of the lines ¥1.00" in text
    assert text.count("轴承") == 2


def test_the_lines_of_an_order_stand_in_their_order_whenever_they_came(db, sign_in, li):
    order = builders.order(amount="3.00")
    for line_no in (3, 1, 2):
        builders.order_line(order, line_no=line_no, product=builders.product(name=f"第{line_no}行"), amount=Decimal(1))
    text = text_of(sign_in(li).get(f"/orders/show/{order.id}"))
    assert text.index("第1行") < text.index("第2行") < text.index("第3行")


def test_an_order_whose_lines_agree_shows_no_difference(db, sign_in, li):
    order = builders.order(amount="50.00", lines=2)
    text = text_of(sign_in(li).get(f"/orders/show/{order.id}"))
    assert "Sum of the lines ¥50.00" in text
    assert "Amount less" not in text


def test_an_order_without_lines_has_no_sum(db, sign_in, li):
    text = text_of(sign_in(li).get(f"/orders/show/{builders.order().id}"))
    assert "Number of lines 0 Sum of the lines —" in text
    assert "Amount less" not in text


def test_the_customer_of_an_order_leads_to_its_page_where_that_may_be_opened(db, filled, sign_in, li):
    link = f'<a href="/customers/show/{filled.customer_id}">'
    assert link in sign_in(li).get("/orders/list/").get_data(as_text=True)

    only_orders = builders.user(roles=[builders.role(rights=[("can_list", "Order"), ("can_show", "Order")])])
    page = sign_in(only_orders).get("/orders/list/").get_data(as_text=True)
    assert "北方机械有限公司" in page
    assert link not in page
    assert "轴承" not in text_of(sign_in(only_orders).get(f"/orders/show/{filled.id}"))  # lines need their own right


def test_orders_are_found_by_customer_number_day_status_and_payment(db, sign_in, li):
    day = datetime(2026, 3, 1, 15, 59, tzinfo=UTC)  # 23:59 here
    first = builders.order(external_id="DD-100%", at=day, status=OrderStatus.new, paid=False)
    second = builders.order(external_id="DD-1000", at=day + timedelta(minutes=1), paid=True)
    browser = sign_in(li)

    def found(**filters):
        text = text_of(browser.get("/orders/list/", query_string=filters))
        return [order.external_id for order in (first, second) if f" {order.external_id} " in text]

    assert found(_flt_0_customer=first.customer_id) == ["DD-100%"]
    assert found(_flt_0_external_id="dd-100%") == ["DD-100%"]
    assert found(_flt_1_ordered_at="2026-03-02") == ["DD-1000"]
    assert found(_flt_2_ordered_at="2026-03-01") == ["DD-100%"]
    assert found(_flt_0_status="new") == ["DD-100%"]
    assert found(_flt_0_paid="1") == ["DD-1000"]
    assert found() == ["DD-100%", "DD-1000"]


def test_products_are_found_by_name_model_and_batch_and_stock_by_product_and_warehouse(db, sign_in, wang):
    bearing = builders.product(name="轴承", model="6204-2RS", batch="2026-01")
    chain = builders.product(name="链条", model="08B", batch="2026-02")
    builders.stock(bearing, warehouse="北京一库", quantity=16)
    builders.stock(chain, warehouse="重庆二库", quantity="2.50")
    browser = sign_in(wang)

    def both(text):
        return ["6204-2RS" in text, "08B" in text]

    def found(address):
        return both(text_of(browser.get(address)))

    assert found("/products/list/?_flt_0_name=轴") == [True, False]
    assert found("/products/list/?_flt_0_model=08b") == [False, True]
    assert found("/products/list/?_flt_0_batch=2026-0") == [True, True]
    assert found(f"/stock/list/?_flt_0_product={chain.id}") == [False, True]
    assert found("/stock/list/?_flt_0_warehouse=北京") == [True, False]
    assert browser.get("/stock/lookup/product?q=轴").json["results"] == [{"id": bearing.id, "text": "轴承"}]
    page = text_of(browser.get(f"/products/show/{chain.id}"))
    assert "重庆二库" in page
    assert "2.5" in page


@pytest.mark.parametrize(
    "address", ["orders/list/", "orders/show/{id}", "order-lines/list/", "products/list/", "stock/list/"]
)
def test_every_screen_says_how_old_what_it_shows_is(app, db, filled, sign_in, admin, address):
    text = text_of(sign_in(admin).get(f"/{address.format(id=filled.id)}"))
    assert "the feed “nightly” with orders up to 2026-04-02. The data is of today." in text


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (datetime(2026, 11, 21, 16, tzinfo=UTC), "The data is of today."),  # midnight in Shanghai
        (datetime(2026, 11, 21, 15, 59, 59, tzinfo=UTC), "The data is of yesterday."),
        (datetime(2026, 11, 21, 4, tzinfo=UTC), "The data is 1 day old."),
        (datetime(2026, 11, 20, 4, tzinfo=UTC), "The data is 2 days old."),
    ],
)
def test_the_age_is_told_in_the_companys_days(db, monkeypatch, read, said):
    now = datetime(2026, 11, 22, 4, tzinfo=UTC)  # noon in Shanghai
    for module in (clock, queries):
        monkeypatch.setattr(module, "utcnow", lambda: now)
    builders.sync_run(finished_at=read, source="nightly")
    assert said in freshness_note()


def test_old_data_is_marked_and_a_failed_sync_makes_nothing_fresh(db, sign_in, li):
    browser = sign_in(li)
    assert "No feed of the sales system has been read yet." in text_of(browser.get("/orders/list/"))

    builders.sync_run(finished_at=utcnow() - timedelta(days=9), source="weekly")
    builders.sync_run(status=SyncStatus.failed)

    page = browser.get("/orders/list/").get_data(as_text=True)
    assert "the feed “weekly”. " in page
    assert '<span class="badge-s warn"><i></i>The data is 9 days old.</span>' in page


def test_a_page_of_orders_takes_a_handful_of_statements(app, db, sign_in, wang):
    for _number in range(30):
        builders.order(lines=0)
    builders.sync_run()
    browser = sign_in(wang)
    browser.get("/orders/list/")
    with statements(app) as seen:
        text = text_of(browser.get("/orders/list/"))
    assert "1–25 of 30" in text
    assert len(seen) <= 10


def test_the_page_of_a_sync_counts_each_file_and_names_the_rejected_rows_without_their_values(
    db, read, sign_in, sysadmin
):
    run = read(
        **{**SMALL, "orders": SMALL["orders"] + "\nO9,C1,someday,new,1234567.00", "order_lines": "O1,1,P1,1,99.00"}
    )
    browser = sign_in(sysadmin)

    text = text_of(browser.get(f"/syncs/show/{run.id}"))
    assert "orders.csv 4 3 0 0 1" in text
    assert "orders.csv 5 O9 ordered_at: “someday” is no time such as" in text
    assert "The amount of 1 order is not the sum of its lines." in text
    assert "1234567" not in text
    assert "Done" in text_of(browser.get("/syncs/list/"))


def test_a_sync_that_ran_on_another_machine_says_where_its_report_is(db, sign_in, sysadmin):
    run = builders.sync_run(rows_rejected=3, rejects_file="/nowhere/1-rejected.csv", counts={})
    text = text_of(sign_in(sysadmin).get(f"/syncs/show/{run.id}"))
    assert "The file of rejected rows is not on this machine." in text


def test_a_long_report_shows_its_first_hundred_rows(db, read, sign_in, sysadmin):
    run = read(customers="\n".join(f"C{n},,2026-01-01" for n in range(101)))
    text = text_of(sign_in(sysadmin).get(f"/syncs/show/{run.id}"))
    assert "These are the first 100; the file has them all" in text
    assert "C99 name is empty." in text
    assert "C100 name is empty." not in text


def test_a_refused_feed_says_why(db, read, sign_in, sysadmin):
    run = read(customers="C1,One", headers={"customers": "number,name"})
    text = text_of(sign_in(sysadmin).get(f"/syncs/show/{run.id}"))
    assert "customers.csv lacks the columns customer_no. Nothing was changed." in text


def test_a_customers_orders_tell_their_first_lines_and_how_many_more_there_are(app, db, filled, sign_in, wang):
    product = builders.product(name="滤芯", unit="盒")
    for number in (3, 4, 5):
        amounts = {"quantity": Decimal("2.50"), "amount": Decimal(number)}
        builders.order_line(filled, line_no=number, product=product, unit=None, **amounts)
    bare = builders.order(filled.customer, external_id="DD-2")
    browser, page = sign_in(wang), f"/customers/show/{filled.customer_id}"
    for address in (page, f"{page}?tab=OrderView"):
        text = text_of(browser.get(address))
        assert "轴承 × 1 个 ¥100.00 轴承 × 1 个 ¥19.00 滤芯 × 2.5 盒 ¥3.00 2 lines more ¥120.00" in text, address
    for _number in range(3):
        builders.order_line(builders.order(filled.customer), product=product)
    with statements(app) as few:
        browser.get(f"{page}?tab=OrderView")
    assert len([asked for asked in few if "FROM order_line" in asked]) == 1
    assert queries.first_lines([bare.id]) == {}


def test_lines_are_told_to_readers_of_lines_only(db, filled, sign_in):
    rights = [("can_list", "Order"), ("can_show", "Customer"), ("can_see_all", "Customer")]
    person = builders.user(roles=[builders.role(rights=rights)])
    text = text_of(sign_in(person).get(f"/customers/show/{filled.customer_id}"))
    assert "DD-1" in text
    assert "轴承" not in text
    assert "Order lines" not in text


def test_a_customers_orders_say_how_old_they_are(filled, sign_in, wang, sysadmin):
    browser, page = sign_in(wang), f"/customers/show/{filled.customer_id}"
    for address in (page, f"{page}?tab=OrderView"):
        text = text_of(browser.get(address))
        assert text.count("the feed “nightly” with orders up to 2026-04-02") == 1, address
    assert "the feed “nightly”" not in text_of(browser.get(f"{page}?tab=ContactView"))


@pytest.mark.parametrize(
    ("cancelled", "told"),
    [
        (0, None),
        (1, "1 cancelled order is listed, but not counted"),
        (2, "2 cancelled orders are listed, but not counted"),
    ],
)
def test_a_customers_page_says_which_of_its_orders_are_not_counted(db, sign_in, wang, cancelled, told):
    customer = builders.customer(owner=wang)
    for status in [OrderStatus.shipped, *[OrderStatus.cancelled] * cancelled]:
        builders.order(customer, status=status)
    builders.order(status=OrderStatus.cancelled)  # somebody else's
    refresh_totals()
    text = text_of(sign_in(wang).get(f"/customers/show/{customer.id}"))
    assert ("listed, but not counted" in text) == bool(told)
    assert (told or "Number of orders") in text
