"""How old the mirror is, and whether the kept totals are right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.customers.models import CustomerStats
from app.mirror.feed import Rejects, files_of_a_feed
from app.mirror.models import ALL_YEARS, ROLLED, CustomerMonth, CustomerYear, OrderStatus, SyncStatus
from app.mirror.operations import complete_totals, refresh_totals
from app.mirror.queries import RejectedRow, freshness, rejected_rows, wrong_totals
from tests import builders
from tests.support import rows, statements

NOW = datetime(2026, 11, 22, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("age", "days", "stale"),
    [
        (timedelta(0), 0, False),
        (timedelta(days=1) - timedelta(seconds=1), 0, False),
        (timedelta(days=8), 8, False),
        (timedelta(days=8, seconds=1), 8, True),
        (timedelta(minutes=-5), 0, False),
    ],
)
def test_the_mirror_is_stale_after_more_than_eight_days(db, age, days, stale):
    builders.sync_run(finished_at=NOW - age, source="/srv/feeds/nightly/")
    seen = freshness(NOW)
    assert (seen.days, seen.stale, seen.feed, seen.finished_at) == (days, stale, "nightly", NOW - age)


def test_how_many_days_is_a_setting(app, db):
    app.config["LIUKE_MIRROR_STALE_DAYS"] = 1
    builders.sync_run(finished_at=NOW - timedelta(days=2))
    assert freshness(NOW).stale


def test_without_a_sync_that_succeeded_the_mirror_is_stale(db):
    builders.sync_run(status=SyncStatus.failed)
    builders.sync_run(status=SyncStatus.running)
    seen = freshness()
    assert (seen.finished_at, seen.feed, seen.newest_order_at, seen.days, seen.stale) == (None, None, None, None, True)


def test_the_newest_sync_that_succeeded_counts(app, db):
    builders.order(at=NOW - timedelta(days=10))
    builders.sync_run(finished_at=NOW - timedelta(days=3), source="newer", high_water=NOW - timedelta(days=20))
    builders.sync_run(finished_at=NOW - timedelta(days=9), source="older")
    with statements(app) as seen:
        found = freshness(NOW)
    assert found.feed == "newer"
    assert found.newest_order_at == NOW - timedelta(days=10)  # as the list shows it, whichever feed it came with
    assert len(seen) == 1


def of_orders(rows, rejected):
    return {"orders": {"rows": rows, "rejected": rejected}}


@pytest.mark.parametrize(
    ("counts", "days"),
    [
        ({"products": {"rows": 3, "rejected": 0}, "order_lines": {"rows": 3, "rejected": 0}}, 9),
        (of_orders(2, rejected=2), 9),
        (of_orders(2, rejected=1), 1),
        (of_orders(0, rejected=0), 1),  # nobody ordered, and that is known
        ({}, 9),
        (None, 9),
    ],
)
def test_only_a_sync_that_read_orders_makes_the_mirror_fresh(db, counts, days):
    builders.sync_run(finished_at=NOW - timedelta(days=9))
    builders.sync_run(finished_at=NOW - timedelta(days=1), counts=counts)
    seen = freshness(NOW)
    assert (seen.days, seen.stale) == (days, days > 8)


def test_an_order_dated_ahead_is_not_the_newest(db):
    builders.sync_run(finished_at=NOW)
    for at in (NOW + timedelta(days=1), NOW + timedelta(days=1, seconds=1)):
        builders.order(at=at)
    assert freshness(NOW).newest_order_at == NOW + timedelta(days=1)


@pytest.fixture
def ordered(db):
    """A customer with two orders that count and one that does not, and one without."""
    customer = builders.customer()
    builders.order(customer, at=datetime(2026, 1, 31, 16, tzinfo=UTC), amount="10.10", paid=False)
    builders.order(customer, at=datetime(2026, 2, 10, tzinfo=UTC), amount="0.20", paid=True)
    builders.order(customer, at=datetime(2026, 3, 10, tzinfo=UTC), amount="99.00", status=OrderStatus.cancelled)
    return customer, builders.customer()


@pytest.mark.parametrize("everybody", [False, True])
def test_totals_are_worked_out_from_the_orders(app, ordered, everybody):
    customer, other = ordered
    assert wrong_totals() == [customer.id]

    with statements(app) as seen:
        refresh_totals(None if everybody else [customer.id, other.id])

    assert len(seen) == 6
    first, second = rows(CustomerStats)
    assert (first.last_order_at, first.order_count, first.order_total) == (
        datetime(2026, 2, 10, tzinfo=UTC), 2, Decimal("10.30"),
    )  # fmt: skip
    assert (second.last_order_at, second.order_count, second.order_total) == (None, 0, Decimal(0))
    [month] = rows(CustomerMonth)
    assert (month.month.isoformat(), month.order_count, month.order_total) == ("2026-02-01", 2, Decimal("10.30"))
    assert (month.paid_count, month.paid_total) == (1, Decimal("0.20"))
    years = [(y.year, y.order_count, y.order_total, y.paid_count, y.paid_total) for y in rows(CustomerYear)]
    assert years == [(year, 2, Decimal("10.30"), 1, Decimal("0.20")) for year in (ALL_YEARS, 2026)]
    assert wrong_totals() == []


def test_a_year_says_whether_the_customer_ordered_in_the_year_before(db):
    customer, other = builders.customer(), builders.customer()
    for year in (2021, 2023, 2024, 2025):
        builders.order(customer, at=datetime(year, 6, 1, tzinfo=UTC), amount="10.00")
    builders.order(customer, at=datetime(2022, 6, 1, tzinfo=UTC), amount="10.00", status=OrderStatus.cancelled)
    builders.order(other, at=datetime(2022, 6, 1, tzinfo=UTC), amount="10.00")
    refresh_totals()
    db.session.commit()

    kept = {year.year: year.returned for year in rows(CustomerYear) if year.customer_id == customer.id}
    assert kept == {ALL_YEARS: False, 2021: False, 2023: False, 2024: True, 2025: True}
    assert wrong_totals() == []
    for year in rows(CustomerYear):
        year.returned = not year.returned if (year.customer_id, year.year) == (customer.id, 2023) else year.returned
    db.session.commit()
    assert wrong_totals() == [customer.id]


def test_after_an_upgrade_everything_is_summed_up_once(db, ordered):
    refresh_totals()
    assert complete_totals() is False
    for year in rows(CustomerYear):
        db.session.delete(year)
    db.session.commit()
    assert wrong_totals() == [ordered[0].id]
    assert complete_totals() is True
    assert wrong_totals() == []


def test_other_customers_totals_are_left_alone(ordered):
    customer, other = ordered
    refresh_totals([other.id])
    assert [stats.customer_id for stats in rows(CustomerStats)] == [other.id]
    assert wrong_totals() == [customer.id]


@pytest.mark.parametrize(
    "drift",
    [
        {"last_order_at": None},
        {"last_order_at": datetime(2026, 2, 10, 0, 0, 1, tzinfo=UTC)},
        {"order_count": 3},
        {"order_total": Decimal("10.31")},
    ],
)
def test_a_total_that_drifted_is_noticed(db, ordered, drift):
    customer, _other = ordered
    refresh_totals()
    stats = db.session.get(CustomerStats, customer.id)
    for name, value in drift.items():
        setattr(stats, name, value)
    db.session.commit()
    assert wrong_totals() == [customer.id]


@pytest.mark.parametrize("name", ROLLED)
@pytest.mark.parametrize("rollup", [CustomerMonth, CustomerYear])
def test_a_part_that_drifted_is_noticed(db, ordered, rollup, name):
    customer, _other = ordered
    refresh_totals()
    part = rows(rollup)[0]
    setattr(part, name, getattr(part, name) + 1)
    db.session.commit()
    assert wrong_totals() == [customer.id]
    assert wrong_totals(limit=0) == []


def test_rejected_rows_of_a_file_without_kept_sentences_are_told_as_they_were_worded(db, tmp_path):
    file = tmp_path / "1-rejected.csv"
    file.write_text('file,line,key,reason,row\norders.csv,2,O1,一句话,"O1,C1"\n', encoding="utf-8-sig")
    run = builders.sync_run(rows_rejected=1, rejects_file=str(file))
    assert rejected_rows(run, 10) == [RejectedRow("orders.csv", "2", "O1", "一句话")]


@pytest.mark.parametrize("kept", range(1, 9))
def test_a_rejected_row_that_was_cut_short_is_told_as_far_as_it_came(db, tmp_path, kept):
    row = 'orders.csv,3,O2,第二句话,"O2,C2","[""Fill in this field."", {}]"'
    file = tmp_path / "1-rejected.csv"
    whole = 'file,line,key,reason,row,said\norders.csv,2,O1,一句话,"O1,C1",null\n'
    file.write_text(whole + row[: len(row) * kept // 9], encoding="utf-8-sig")
    run = builders.sync_run(rows_rejected=2, rejects_file=str(file))
    first, *cut = rejected_rows(run, 10)
    assert first == RejectedRow("orders.csv", "2", "O1", "一句话")
    assert len(cut) <= 1
    assert all(one.file == "orders.csv" and one.reason in "第二句话" for one in cut)


def test_every_rejected_row_is_in_its_file_at_once(db, tmp_path):
    orders = files_of_a_feed()["orders"]
    rejects = Rejects(tmp_path / "1-rejected.csv")
    for line in range(2, 200):
        rejects.add(orders, line, "O1", "一句话", "O1,C1,2026-01-02,new,1")
        assert rejects.path.read_bytes().endswith(b"\r\n")
        assert rejects.path.read_bytes().count(b"\n") == line
    rejects.close()
