"""Reading a feed: what is created, changed, left alone; and that nothing is done twice or half."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from threading import Barrier, Thread

import pytest
import sqlalchemy as sa

from app.core.clock import day_start, today, utcnow
from app.core.errors import BusinessError
from app.core.unit import unit_of_work
from app.customers.models import Customer, CustomerStats
from app.extensions import db as database
from app.mirror import feed as feed_module
from app.mirror import sync as sync_module
from app.mirror.models import Order, OrderLine, OrderStatus, Product, Stock, SyncRun, SyncStatus
from app.mirror.operations import refresh_totals
from app.mirror.queries import wrong_totals
from app.mirror.sync import _claim, repair_totals, sync
from app.runs.models import Heartbeat, JobRun, RunStatus
from jobs import totals_check
from tests import builders
from tests.mirror.conftest import SMALL, counts, mirror
from tests.support import rows, statements


def customer_of(number):
    return database.session.execute(sa.select(Customer).where(Customer.number == number)).scalar_one()


def order_of(number):
    return database.session.execute(
        sa.select(Order).where(Order.external_id == number).execution_options(populate_existing=True)
    ).scalar_one()


# -- what a feed brings -----------------------------------------------------------------------------------------


def test_a_feed_brings_customers_products_stock_orders_and_lines(db, small):
    assert counts(small) == (11, 0, 0, 0)
    assert small.status is SyncStatus.done
    assert (small.rejects_file, small.error) == (None, None)
    assert small.high_water == datetime(2026, 4, 1, 16, tzinfo=UTC)
    assert len(small.checksum) == 64
    customer = customer_of("C1")
    assert (customer.name, customer.owner_id, customer.level.code) == ("北方机械有限公司", None, "1")
    assert (customer.registered_on, customer.satisfaction, customer.credit) == (date(2026, 1, 5), 3, 3)
    assert customer.name_key == "北方机械"
    assert "beifangjixie" in customer.search_key
    assert "c1" in customer.search_key
    [product], [stock] = rows(Product), rows(Stock)
    assert (product.name, product.model, product.batch, product.unit) == ("轴承", "6204", "2026-01", "个")
    assert (stock.product_id, stock.warehouse, stock.quantity, stock.memo) == (
        product.id,
        "北京一库",
        Decimal("12.50"),
        None,
    )
    order = order_of("O1")
    assert order.customer.number == "C1"
    assert [(line.line_no, line.product_id, line.amount) for line in order.lines] == [
        (1, product.id, Decimal("60.00")),
        (2, product.id, Decimal("40.00")),
    ]


def test_totals_and_months_stand_beside_the_customer(db, small):
    stats = customer_of("C1").stats
    assert stats.last_order_at == datetime(2026, 3, 31, 16, tzinfo=UTC)
    assert (stats.order_count, stats.order_total) == (2, Decimal("150.50"))
    first = customer_of("C1").id
    assert [month[1:4] for month in mirror(db)["months"] if month[0] == first] == [
        (date(2026, 3, 1), 1, Decimal("100.00")),
        (date(2026, 4, 1), 1, Decimal("50.50")),
    ]
    assert wrong_totals() == []


def test_the_same_feed_twice_changes_nothing(db, small, read):
    before = mirror(db)

    again = read(**SMALL)

    assert counts(again) == (0, 0, 11, 0)
    assert mirror(db) == before
    assert again.checksum == small.checksum


def test_a_changed_row_is_updated_and_the_others_are_not_touched(db, small, read):
    run = read(
        products="P1,深沟球轴承,6204,2026-01,个",
        orders="O1,C1,2026-03-01,shipped,100.00\nO2,C1,2026-04-01,completed,55.00",
        order_lines="O2,1,P1,3,55.00",
        stock="P1,北京一库,A-1,3,盘点",
    )

    assert counts(run) == (0, 4, 1, 0)
    assert rows(Product)[0].name == "深沟球轴承"
    order = order_of("O2")
    assert (order.status, order.source_status, order.amount) == (OrderStatus.shipped, "completed", Decimal("55.00"))
    assert (order.lines[0].quantity, order.lines[0].amount) == (Decimal("3.00"), Decimal("55.00"))
    assert (rows(Stock)[0].quantity, rows(Stock)[0].memo) == (Decimal("3.00"), "盘点")
    assert wrong_totals() == []


@pytest.mark.parametrize("name", list(SMALL))
def test_what_a_feed_does_not_mention_stays(db, small, read, name):
    before = mirror(db)

    run = read(**{name: SMALL[name].splitlines()[0]})

    assert counts(run) == (0, 0, 1, 0)
    assert mirror(db) == before


def test_a_column_that_is_not_there_leaves_its_value_an_empty_cell_clears_it(db, small, read):
    with_more = "order_no,customer_no,ordered_at,status,amount,delivery_address,paid"
    read(orders="O1,C1,2026-03-01,shipped,100.00,重庆渝中区,1", headers={"orders": with_more})
    assert (order_of("O1").delivery_address, order_of("O1").paid) == ("重庆渝中区", True)

    assert counts(read(orders="O1,C1,2026-03-01,shipped,100.00")) == (0, 0, 1, 0)
    assert (order_of("O1").delivery_address, order_of("O1").paid) == ("重庆渝中区", True)

    read(orders="O1,C1,2026-03-01,shipped,100.00,,", headers={"orders": with_more})
    assert (order_of("O1").delivery_address, order_of("O1").paid) == (None, None)


def test_optional_columns_are_taken(db, read):
    run = read(
        headers={
            "products": "Product_No , name,model,batch,list_price,memo,colour",
            "order_lines": "order_no,line_no,product_no,quantity,amount,unit,unit_price",
        },
        products='P1,"Bearing, small",6204,2026-01,7.5,"said ""good""\nin two lines",red',
        customers="C1,Northern,",
        orders="O1,C1,2026-03-01,shipped,15.00",
        order_lines="O1,1,P1,2,15,个,7.50",
    )

    assert counts(run) == (4, 0, 0, 0)
    [product] = rows(Product)
    assert (product.name, product.list_price) == ("Bearing, small", Decimal("7.50"))
    assert product.memo == 'said "good"\nin two lines'
    assert customer_of("C1").registered_on == today()
    [line] = rows(OrderLine)
    assert (line.unit, line.unit_price) == ("个", Decimal("7.50"))


def test_a_line_may_name_no_product(db, small, read):
    run = read(order_lines="O1,3,,1,5.00")
    assert counts(run) == (1, 0, 0, 0)
    assert rows(OrderLine, OrderLine.line_no == 3)[0].product_id is None


def test_a_known_customer_is_edited_here_and_nowhere_else(db, read, wang):
    ours = builders.customer(number="C1", name="我们起的名字", owner=wang)

    run = read(customers="C1,他们起的名字,2001-01-01", orders="O1,C1,2026-03-01,new,5")

    assert counts(run) == (1, 0, 1, 0)
    [kept] = rows(Customer)
    assert (kept.id, kept.name, kept.owner_id, kept.version) == (ours.id, "我们起的名字", wang.id, 1)
    assert order_of("O1").customer_id == ours.id


def test_who_asked_for_the_sync_is_named_on_the_customers_it_brings(db, feed, li):
    sync(feed.write(customers="C1,Northern,2026-01-01"), actor=li)
    assert (customer_of("C1").created_by_id, customer_of("C1").changed_by_id) == (li.id, li.id)


@pytest.mark.parametrize(
    ("code", "status", "paid"),
    [
        ("new", OrderStatus.new, None),
        ("paid", OrderStatus.confirmed, True),
        ("Unpaid", OrderStatus.new, False),
        ("CONFIRMED", OrderStatus.confirmed, None),
        ("已发货", OrderStatus.shipped, None),
        ("canceled", OrderStatus.cancelled, None),
        ("80", OrderStatus.shipped, None),
    ],
)
def test_status_codes_are_mapped_and_kept(app, db, small, read, code, status, paid):
    app.config["LIUKE_SYNC_STATUS"] = {"80": "shipped"}
    run = read(orders=f"O9,C1,2026-05-01,{code},1")
    assert counts(run) == (1, 0, 0, 0)
    assert (order_of("O9").status, order_of("O9").source_status, order_of("O9").paid) == (status, code, paid)


def test_a_later_status_does_not_forget_that_an_order_was_paid(db, small, read):
    read(orders="O3,C2,2026-04-02,shipped,7.00")
    assert (order_of("O3").status, order_of("O3").paid) == (OrderStatus.shipped, True)


# -- amounts ----------------------------------------------------------------------------------------------------


def test_an_order_without_an_amount_has_the_sum_of_its_lines(db, small, read):
    run = read(orders="O9,C1,2026-05-01,new,", order_lines="O9,1,P1,1,10.10\nO9,2,P1,1,0.05")
    assert counts(run) == (3, 0, 0, 0)
    assert order_of("O9").amount == Decimal("10.15")

    run = read(orders="O9,C1,2026-05-01,new,", order_lines="O9,2,P1,1,0.90")
    assert counts(run) == (0, 2, 0, 0)
    assert order_of("O9").amount == Decimal("11.00")
    assert wrong_totals() == []


NO_AMOUNT = {"orders": "order_no,customer_no,ordered_at,status"}


def test_a_line_that_changes_alone_changes_the_sum_of_an_order_without_an_amount(db, small, read):
    told = []
    read(headers=NO_AMOUNT, orders="O9,C1,2026-05-01,new", order_lines="O9,1,P1,1,60.00\nO9,2,P1,1,40.00")
    run = read(order_lines="O9,1,P1,1,10.00\nO1,1,P1,2,1.00", on_orders=lambda ids, _at: told.extend(ids))

    assert counts(run) == (0, 2, 0, 0)
    assert order_of("O9").amount == Decimal("50.00")
    assert wrong_totals() == []
    assert customer_of("C1").stats.order_total == Decimal("200.50")
    assert told == [order_of("O9").id]
    assert order_of("O1").amount == Decimal("100.00")  # the source's own is not repaired
    assert run.counts["differing"] == {"orders": 1, "first": ["O1"]}


def test_a_line_that_comes_later_adds_to_the_sum(db, small, read):
    read(headers=NO_AMOUNT, orders="O9,C1,2026-05-01,new", order_lines="O9,1,P1,1,60.00")
    read(order_lines="O9,2,P1,1,40.00")
    assert order_of("O9").amount == Decimal("100.00")
    assert counts(read(order_lines="O9,2,P1,1,40.00")) == (0, 0, 1, 0)


def test_the_sum_waits_for_lines_that_cannot_be_read(db, small, read):
    read(headers=NO_AMOUNT, orders="O9,C1,2026-05-01,new", order_lines="O9,1,P1,1,60.00\nO9,2,P1,1,40.00")
    run = read(order_lines="O9,1,P1,1,10.00\nO9,2,P7,1,much")
    assert counts(run) == (0, 1, 0, 1)
    assert order_of("O9").amount == Decimal("100.00")
    assert run.counts["differing"]["first"] == ["O9"]
    read(order_lines="O9,2,P1,1,40.00")
    assert order_of("O9").amount == Decimal("50.00")


def test_an_amount_that_the_source_names_later_is_the_sources_from_then_on(db, small, read):
    read(headers=NO_AMOUNT, orders="O9,C1,2026-05-01,new", order_lines="O9,1,P1,1,60.00")
    read(orders="O9,C1,2026-05-01,new,60.00")
    read(order_lines="O9,1,P1,1,10.00")
    assert order_of("O9").amount == Decimal("60.00")


def test_lines_of_an_order_that_is_rejected_change_nothing(db, small, read):
    read(headers=NO_AMOUNT, orders="O9,C1,2026-05-01,new", order_lines="O9,1,P1,1,60.00")
    run = read(headers=NO_AMOUNT, orders="O9,C7,2026-05-01,new", order_lines="O9,1,P1,1,10.00")
    assert counts(run) == (0, 0, 0, 2)
    assert order_of("O9").amount == Decimal("60.00")


def test_without_amount_and_lines_a_known_order_keeps_its_amount(db, small, read):
    read(orders="O8,C1,2026-05-01,new,12.00")
    assert counts(read(orders="O8,C1,2026-05-01,new,")) == (0, 0, 1, 0)
    assert order_of("O8").amount == Decimal("12.00")


def test_a_difference_between_amount_and_lines_is_reported_and_not_repaired(db, small, read):
    run = read(orders="O1,C1,2026-03-01,shipped,99.00\nO2,C1,2026-04-01,new,50.50", order_lines="O3,1,P1,1,8.00")

    assert run.counts["differing"] == {"orders": 2, "first": ["O1", "O3"]}
    assert order_of("O1").amount == Decimal("99.00")
    assert sum(line.amount for line in order_of("O1").lines) == Decimal("100.00")
    assert order_of("O3").amount == Decimal("7.00")


# -- time -------------------------------------------------------------------------------------------------------


def test_an_order_dated_far_ahead_is_kept_but_is_not_how_far_the_orders_reach(db, small, read):
    run = read(orders="O8,C1,2026-05-01,new,1.00\nO9,C1,2199-10-01,new,10.00")
    assert counts(run) == (2, 0, 0, 0)
    assert run.high_water == datetime(2026, 4, 30, 16, tzinfo=UTC)
    tomorrow = today() + timedelta(days=1)
    assert read(orders=f"O7,C1,{tomorrow},new,1.00").high_water == day_start(tomorrow)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-03-01", datetime(2026, 2, 28, 16, tzinfo=UTC)),
        ("2026-03-01 08:30", datetime(2026, 3, 1, 0, 30, tzinfo=UTC)),
        ("2026-03-01T08:30:15", datetime(2026, 3, 1, 0, 30, 15, tzinfo=UTC)),
        ("2026-03-01T08:30:00Z", datetime(2026, 3, 1, 8, 30, tzinfo=UTC)),
        ("2026-03-01T08:30:00-05:00", datetime(2026, 3, 1, 13, 30, tzinfo=UTC)),
    ],
)
def test_a_date_is_midnight_here_and_an_offset_is_obeyed(db, small, read, text, instant):
    read(orders=f"O9,C1,{text},new,1")
    assert order_of("O9").ordered_at == instant


@pytest.mark.parametrize(
    ("zone", "moment", "month"),
    [
        ("Asia/Shanghai", "2026-02-28T15:59:59Z", date(2026, 2, 1)),
        ("Asia/Shanghai", "2026-02-28T16:00:00Z", date(2026, 3, 1)),
        ("Asia/Shanghai", "1991-07-31T14:59:59Z", date(1991, 7, 1)),  # summer time, for the last year
        ("Asia/Shanghai", "1991-07-31T15:00:00Z", date(1991, 8, 1)),
        ("Asia/Shanghai", "1992-07-31T15:59:59Z", date(1992, 7, 1)),
        ("Asia/Kolkata", "2026-06-30T18:29:59Z", date(2026, 6, 1)),  # five hours and a half
        ("Asia/Kolkata", "2026-06-30T18:30:00Z", date(2026, 7, 1)),
        ("Europe/Berlin", "2026-02-28T23:00:00Z", date(2026, 3, 1)),  # winter: one hour
        ("Europe/Berlin", "2026-05-31T21:59:59Z", date(2026, 5, 1)),
        ("Europe/Berlin", "2026-05-31T22:00:00Z", date(2026, 6, 1)),  # summer: two hours
        ("America/New_York", "2026-12-01T04:59:59Z", date(2026, 11, 1)),
        ("America/New_York", "2026-12-01T05:00:00.500000Z", date(2026, 12, 1)),
    ],
)
def test_a_month_is_the_companys_also_with_summer_time(app, db, read, zone, moment, month):
    app.config["LIUKE_TIMEZONE"] = zone
    read(customers="C1,Northern,2026-01-01", orders=f"O1,C1,{moment},new,1.00")
    assert [found[1:4] for found in mirror(db)["months"]] == [(month, 1, Decimal("1.00"))]


# -- totals also go down ----------------------------------------------------------------------------------------


def test_a_cancelled_order_counts_no_more(db, small, read):
    read(orders="O2,C1,2026-04-01,cancelled,50.50")
    stats = rows(CustomerStats, CustomerStats.customer_id == customer_of("C1").id)[0]
    assert (stats.order_count, stats.order_total) == (1, Decimal("100.00"))
    assert stats.last_order_at == datetime(2026, 2, 28, 16, tzinfo=UTC)
    assert wrong_totals() == []

    read(orders="O1,C1,2026-03-01,void,100.00")
    stats = rows(CustomerStats, CustomerStats.customer_id == customer_of("C1").id)[0]
    assert (stats.order_count, stats.order_total, stats.last_order_at) == (0, Decimal("0.00"), None)
    assert [month for month in mirror(db)["months"] if month[0] == customer_of("C1").id] == []


def test_a_reduced_order_lowers_the_sum(db, small, read):
    read(orders="O2,C1,2026-04-01,new,0.50")
    stats = rows(CustomerStats, CustomerStats.customer_id == customer_of("C1").id)[0]
    assert (stats.order_count, stats.order_total) == (2, Decimal("100.50"))
    assert wrong_totals() == []


def test_an_order_that_moves_to_another_customer_leaves_the_first(db, small, read):
    read(orders="O2,C2,2026-04-01,new,50.50")
    by_number = {s.customer.number: (s.order_count, s.order_total) for s in rows(CustomerStats)}
    assert by_number == {"C1": (1, Decimal("100.00")), "C2": (2, Decimal("57.50"))}
    assert wrong_totals() == []


def test_an_order_that_moves_to_another_month_leaves_the_first(db, small, read):
    read(orders="O2,C1,2026-03-09,new,50.50")
    assert [month[1:3] for month in mirror(db)["months"] if month[0] == customer_of("C1").id] == [(date(2026, 3, 1), 2)]


# -- what the caller is told ------------------------------------------------------------------------------------


def test_the_caller_is_told_the_orders_that_are_new_or_changed_and_no_others(db, small, read):
    told = []
    before = utcnow()

    read(orders=SMALL["orders"].replace("50.50", "51.00") + "\nO4,C2,2026-06-01,new,1",
         on_orders=lambda ids, at: told.append((ids, at)))  # fmt: skip

    [(ids, at)] = told
    assert sorted(ids) == sorted([order_of("O2").id, order_of("O4").id])
    assert before <= at <= utcnow()
    read(**SMALL, on_orders=lambda ids, at: told.append((ids, at)))
    assert told[1][0] == [order_of("O2").id]


def test_an_order_that_comes_as_before_is_not_told(db, small, read):
    def unexpected(_ids, _at):
        raise AssertionError("nothing is new")

    assert counts(read(**SMALL, on_orders=unexpected)) == (0, 0, 11, 0)


# -- one at a time, whole or to be continued --------------------------------------------------------------------


def test_progress_goes_from_nothing_to_everything(db, feed):
    told = []
    sync(feed.write(**SMALL), progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1


def test_a_second_sync_is_refused_while_one_runs(db, feed):
    refusals = []

    def second(_ids, _at):
        database.session.commit()  # SQLite has one writer; the claim is another process's business
        with pytest.raises(
            BusinessError, match=r"A sync has been running since .*Start this one when it is over"
        ) as said:
            sync(feed.folder)
        refusals.append(str(said.value))

    run = sync(feed.write(**SMALL), on_orders=second)

    assert run.status is SyncStatus.done
    assert len(refusals) == 1
    assert [r.id for r in rows(SyncRun)] == [run.id]


def test_of_several_claims_at_the_same_moment_one_wins(app, db, world):
    world.everything = True
    start, outcomes = Barrier(4), []

    def claims():
        with app.app_context():
            start.wait()
            try:
                outcomes.append(_claim(Path("feed")))
            except BusinessError:
                outcomes.append("refused")
            database.session.remove()

    threads = [Thread(target=claims) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    [run] = rows(SyncRun)
    assert sorted(outcomes, key=str) == [run.id, "refused", "refused", "refused"]


@pytest.mark.parametrize(("minutes", "taken"), [(29, False), (31, True)])
def test_a_sync_without_a_sign_of_life_for_half_an_hour_is_over(db, read, minutes, taken):
    old = utcnow() - timedelta(minutes=minutes)
    dead = SyncRun(source="feed", started_at=old - timedelta(hours=1))
    db.session.add(dead)
    db.session.add(Heartbeat(part="sync", seen_at=old))
    db.session.commit()

    if taken:
        assert read(**SMALL).status is SyncStatus.done
        found = rows(SyncRun)[0]
        assert (found.status, found.error) == (SyncStatus.failed, "It stopped without a sign of life.")
    else:
        with pytest.raises(BusinessError, match="running since"):
            read(**SMALL)
        assert [r.status for r in rows(SyncRun)] == [SyncStatus.running]


def test_a_sync_that_was_taken_over_writes_nothing_more(db, feed):
    def somebody_takes_over(_ids, _at):
        database.session.execute(sa.update(SyncRun).values(status=SyncStatus.failed, error="It stopped."))

    run = sync(feed.write(**SMALL), on_orders=somebody_takes_over)

    assert rows(Order) == []
    assert run.status is SyncStatus.failed
    assert "Another sync took over" in run.error


def test_a_crash_between_batches_leaves_whole_batches_and_the_next_sync_does_the_rest(db, feed, monkeypatch):
    monkeypatch.setattr(feed_module, "AT_ONCE", 2)
    orders = "\n".join(f"O{n},C{n % 3 + 1},2026-0{n % 6 + 1}-15,new,{n}.25" for n in range(1, 10))
    lines = "\n".join(f"O{n},1,P1,1,{n}.25" for n in range(1, 10))
    customers = "C1,One,2026-01-01\nC2,Two,2026-01-01\nC3,Three,2026-01-01"
    feed.write(products=SMALL["products"], customers=customers, orders=orders, order_lines=lines)
    batches = []

    def breaks(ids, _at):
        batches.append(len(ids))
        if len(batches) == 3:
            raise RuntimeError("the plug was pulled\nwith details")

    with pytest.raises(RuntimeError):
        sync(feed.folder, on_orders=breaks)

    [run] = rows(SyncRun)
    assert run.status is SyncStatus.failed
    assert run.error == (
        "It broke off (RuntimeError the plug was pulled). The batches before are kept; read the feed again."
    )
    assert len(rows(Order)) == 4  # two batches of two, and nothing of the third
    assert len(rows(OrderLine)) == 4
    assert wrong_totals() == []

    told = []
    again = sync(feed.folder, on_orders=lambda ids, _at: told.extend(ids))

    assert again.status is SyncStatus.done
    assert counts(again) == (5 + 5, 0, 1 + 3 + 4 + 4, 0)
    assert len(told) == 5
    assert wrong_totals() == []
    assert sum(s.order_total for s in rows(CustomerStats)) == Decimal("47.25")


def test_an_interrupted_sync_is_recorded_as_failed_and_the_next_one_may_begin(db, feed):
    def interrupted(_ids, _at):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sync(feed.write(**SMALL), on_orders=interrupted)

    assert rows(SyncRun)[0].status is SyncStatus.failed
    assert sync(feed.folder).status is SyncStatus.done


def test_batches_of_any_size_make_the_same_mirror(db, read, monkeypatch):
    monkeypatch.setattr(feed_module, "AT_ONCE", 1)
    run = read(**SMALL)
    assert counts(run) == (11, 0, 0, 0)
    assert counts(read(**SMALL)) == (0, 0, 11, 0)
    assert wrong_totals() == []


def test_the_statements_of_a_batch_do_not_depend_on_its_rows(app, db, feed):
    def statements_of(number):
        customers = "\n".join(f"C{number}-{n},Customer {n},2026-01-01" for n in range(number))
        orders = "\n".join(f"O{number}-{n},C{number}-{n},2026-03-01,new,1.00" for n in range(number))
        lines = "\n".join(f"O{number}-{n},1,P1,1,1.00" for n in range(number))
        feed.write(products=SMALL["products"], customers=customers, orders=orders, order_lines=lines)
        with statements(app) as seen:
            assert sync(feed.folder).rows_rejected == 0
        return seen

    statements_of(1)
    few, many = statements_of(10), statements_of(500)
    assert len(many) == len(few)
    assert len(many) <= 35


def test_a_product_or_customer_that_somebody_adds_meanwhile_does_not_break_the_sync(db, small, read):
    with unit_of_work():
        database.session.add(Product(external_id="P2", name="x", model="x", batch="x"))
    assert counts(read(products="P2,链条,08B,2026-02,米\nP3,齿轮,M2,2026-02,个")) == (1, 1, 0, 0)


# -- every night ------------------------------------------------------------------------------------------------


def drift(*customers):
    for customer in customers:
        database.session.get(CustomerStats, customer.id).order_total += Decimal("0.01")
    database.session.commit()


@pytest.fixture
def three(db):
    """Three customers with an order each, their totals as they should be."""
    customers = [builders.customer() for _n in range(3)]
    for customer in customers:
        builders.order(customer, at=datetime(2026, 2, 10, tzinfo=UTC), amount="10.00")
    refresh_totals()
    db.session.commit()
    return customers


@pytest.mark.parametrize("at_a_time", [1, 2, 1000])
def test_totals_that_differ_from_the_orders_are_put_right(monkeypatch, three, at_a_time):
    monkeypatch.setattr(sync_module, "REPAIRED", at_a_time)
    assert repair_totals() == []
    drift(three[0], three[2])
    assert repair_totals() == [three[0].id, three[2].id]
    assert {stats.order_total for stats in rows(CustomerStats)} == {Decimal("10.00")}
    assert wrong_totals() == []


@pytest.mark.parametrize("at_a_time", [1, 1000])
def test_totals_that_cannot_be_put_right_end_the_check_and_are_named(monkeypatch, three, at_a_time):
    monkeypatch.setattr(sync_module, "REPAIRED", at_a_time)
    monkeypatch.setattr(sync_module, "refresh_totals", lambda _ids: None)
    drift(three[1])
    with pytest.raises(RuntimeError, match=rf"customers \[{three[1].id}\] differ"):
        repair_totals()


def test_while_a_sync_runs_totals_are_left_to_it(db, three):
    db.session.add(SyncRun(source="feed", started_at=utcnow()))
    db.session.commit()
    assert repair_totals() == []

    drift(three[1])
    with pytest.raises(BusinessError, match="running since"):
        repair_totals()
    assert wrong_totals() == [three[1].id]
    assert totals_check.run("2026-11-22T04:15") is None
    [run] = rows(JobRun)
    assert run.status is RunStatus.refused
    assert "running since" in run.error


def test_the_check_of_every_night_says_how_many_it_put_right(caplog, three):
    drift(three[1])
    assert totals_check.run("2026-11-22T04:15") == {"repaired": 1}
    assert f"totals of customers [{three[1].id}] differed" in caplog.text
    assert totals_check.run("2026-11-22T04:15") is None
    assert totals_check.run("2026-11-23T04:15") == {"repaired": 0}


def test_a_sync_is_done_even_if_the_database_cannot_look_at_its_tables(db, feed, monkeypatch, caplog):
    def busy():
        raise sa.exc.OperationalError("ANALYZE", {}, Exception("database is locked"))

    monkeypatch.setattr(sync_module, "MANY", 0)
    monkeypatch.setattr(sync_module, "count_again", busy)
    run = sync(feed.write(**SMALL))
    assert (run.status, run.error) == (SyncStatus.done, None)
    assert "did not look at its tables" in caplog.text
