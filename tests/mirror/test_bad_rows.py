"""Bad rows are reported and stop nothing; a feed that is wrong as a whole writes nothing."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

import pytest

from app.customers.models import Customer
from app.mirror.models import Order, OrderLine, Product, Stock, SyncRun, SyncStatus
from app.mirror.queries import wrong_totals
from app.mirror.sync import sync
from tests.mirror.conftest import HEADERS, SMALL, counts, mirror, rejected
from tests.support import rows

BAD = [
    ("products", ",轴承,6204,2026-01,个", "product_no is empty."),
    ("products", "P9,  ,6204,2026-01,个", "name is empty."),
    ("products", f"P9,{'长' * 201},6204,2026-01,个", "name: “" + "长" * 40 + "…” is longer than 200 characters."),
    ("products", "P9,轴承,6204,2026-01", "The row has other columns than the header."),
    ("products", "P9,轴承,6204,2026-01,个,x", "The row has other columns than the header."),
    ("products", 'P9,"轴承"x,6204,2026-01,个', "The row has other columns than the header."),
    ("customers", "C9,,2026-01-01", "name is empty."),
    ("customers", "C9,\x00\x07,2026-01-01", "name is empty."),
    ("customers", f"{'9' * 31},Nine,2026-01-01", "customer_no: “" + "9" * 31 + "…” is longer than 30 characters."),
    ("customers", "C9,Nine,2026-02-30", "registered_on: “2026-02-30” is no date such as 2026-11-22."),
    ("customers", "C9,Nine,1899-12-31", "registered_on: “1899-12-31” is no date such as 2026-11-22."),
    ("stock", "P9,北京一库,A-1,1,", "There is no product with the number “P9”."),
    ("stock", "P1,,A-1,1,", "warehouse is empty."),
    ("stock", "P1,北京一库,A-9,many,", "quantity: “many” is no number with at most 12 digits and 2 decimals."),
    ("orders", "O9,C7,2026-03-01,new,1", "There is no customer with the number “C7”."),
    ("orders", "O9,C1,01.03.2026,new,1",
     "ordered_at: “01.03.2026” is no time such as 2026-11-22 or 2026-11-22T14:30:00+08:00."),
    ("orders", "O9,C1,0001-01-01,new,1",
     "ordered_at: “0001-01-01” is no time such as 2026-11-22 or 2026-11-22T14:30:00+08:00."),
    ("orders", "O9,C1,9999-12-31T23:59:59-12:00,new,1",
     "ordered_at: “9999-12-31T23:59:59-12:00” is no time such as 2026-11-22 or 2026-11-22T14:30:00+08:00."),
    ("orders", "O9,C1,2026-03-01,lent,1", "status: “lent” is a status nobody knows. LIUKE_SYNC_STATUS can name it."),
    ("orders", "O9,C1,2026-03-01,,1", "status is empty."),
    ("orders", "O9,C1,2026-03-01,new,1.005", "amount: “1.005” is no number with at most 12 digits and 2 decimals."),
    ("orders", "O9,C1,2026-03-01,new,NaN", "amount: “NaN” is no number with at most 12 digits and 2 decimals."),
    ("orders", "O9,C1,2026-03-01,new,1e9", "amount: “1e9” is no number with at most 12 digits and 2 decimals."),
    ("orders", "O9,C1,2026-03-01,new,1234567890123",
     "amount: “1234567890123” is no number with at most 12 digits and 2 decimals."),
    ("orders", "O9,C1,2026-03-01,new,", "It has neither an amount nor lines."),
    ("order_lines", "O1,0,P1,1,1", "line_no: “0” is no whole number from 1."),
    ("order_lines", "O1,x,P1,1,1", "line_no: “x” is no whole number from 1."),
    ("order_lines", "O1,9,P9,1,1", "There is no product with the number “P9”."),
    ("order_lines", "O9,1,P1,1,1", "There is no order with the number “O9”."),
]  # fmt: skip


@pytest.mark.parametrize(("name", "row", "reason"), BAD)
def test_a_bad_row_is_reported_and_the_good_ones_are_taken(db, read, name, row, reason):
    run = read(**{**SMALL, name: f"{SMALL[name]}\n{row}"})

    assert run.status is SyncStatus.done
    assert counts(run) == (11, 0, 0, 1)
    line = len(SMALL[name].splitlines()) + 2
    [(file, at, _key, said)] = rejected(run)
    assert (file, at, said) == (f"{name}.csv", line, reason)
    assert run.counts[name]["rejected"] == 1
    assert wrong_totals() == []


@pytest.mark.parametrize("amount", ["0", "0.00", "-5.5", "999999999999.99", "1.5000"])
def test_every_amount_that_can_be_kept_is_taken(db, read, amount):
    run = read(customers=SMALL["customers"], orders=f"O9,C1,2026-03-01,new,{amount}")
    assert counts(run) == (3, 0, 0, 0)
    assert rows(Order)[0].amount == Decimal(amount)
    assert wrong_totals() == []


@pytest.mark.parametrize("name", list(SMALL))
def test_a_key_that_comes_twice_is_taken_once(db, read, name):
    first = SMALL[name].splitlines()[0]
    run = read(**{**SMALL, name: f"{SMALL[name]}\n{first}"})

    assert counts(run) == (11, 0, 0, 1)
    [(_file, _line, key, reason)] = rejected(run)
    assert first.startswith(key.replace("/", ","))
    assert reason == "The same key is in line 2 already."


def test_what_was_rejected_is_for_the_owner_of_the_files_alone(db, read):
    """Rows hold names and amounts, and `crm sync` runs with a shell's usual umask."""
    before = os.umask(0o022)
    try:
        run = read(orders="O1,C1,someday,new,1")
    finally:
        os.umask(before)
    assert Path(run.rejects_file).stat().st_mode & 0o777 == 0o600


def test_a_line_that_comes_twice_just_the_same_leaves_its_order_alone(db, read):
    headers = {"orders": "order_no,customer_no,ordered_at,status"}
    lines = "O1,1,P1,2,60.00\nO1,1,P1,2,60.0\nO1,2,P1,1,40.00"
    run = read(headers=headers, **{**SMALL, "orders": "O1,C1,2026-03-01,shipped", "order_lines": lines})
    assert counts(run) == (7, 0, 0, 1)
    assert rejected(run) == [("order_lines.csv", 3, "O1/1", "The same key is in line 2 already.")]
    assert [(order.external_id, order.amount) for order in rows(Order)] == [("O1", Decimal("100.00"))]


def test_a_line_that_comes_twice_and_differs_leaves_the_sum_unknown(db, read):
    headers = {"orders": "order_no,customer_no,ordered_at,status"}
    lines = "O1,1,P1,2,60.00\nO1,1,P1,2,61.00\nO1,2,P1,1,40.00"
    run = read(headers=headers, **{**SMALL, "orders": "O1,C1,2026-03-01,shipped", "order_lines": lines})
    assert rows(Order) == []
    assert "not all of its lines can be read" in rejected(run)[-3][3]


def test_the_first_readable_row_of_a_key_wins(db, read):
    run = read(
        customers=SMALL["customers"],
        orders="O1,C1,someday,new,1\nO1,C1,2026-03-01,new,2\nO1,C2,2026-03-02,new,3",
    )
    assert counts(run) == (3, 0, 0, 2)
    assert [(order.external_id, order.amount) for order in rows(Order)] == [("O1", Decimal("2.00"))]


@pytest.mark.parametrize("row", ["O1,C7,2026-03-01,new,1", "O1,C1,someday,new,1"])
def test_the_lines_of_a_rejected_order_are_rejected(db, read, row):
    run = read(**{**SMALL, "orders": row})

    reasons = {key: reason for _file, _line, key, reason in rejected(run)}
    assert reasons["O1/1"] == reasons["O1/2"] == "Its order was rejected."
    assert reasons["O2/1"] == "There is no order with the number “O2”."
    assert rows(Order) == []
    assert rows(OrderLine) == []


def test_the_lines_of_a_rejected_order_are_rejected_also_when_the_order_is_known(db, small, read):
    before = mirror(db)
    run = read(orders="O1,C1,someday,new,1", order_lines="O1,1,P1,9,900.00")
    assert counts(run) == (0, 0, 0, 2)
    assert mirror(db) == before


def test_an_order_whose_amount_hangs_on_a_bad_line_is_not_guessed_at(db, read):
    run = read(
        **{
            **SMALL,
            "orders": "O1,C1,2026-03-01,new,\nO2,C1,2026-03-01,new,\nO3,C1,2026-03-01,new,3.00",
            "order_lines": "O1,1,P1,1,1.00\nO1,2,P1,1,lots\nO2,1,P1,1,2.00\nO2,2,P9,1,2.00\n"
            "O3,1,P1,1,3.00\nO3,2,P1,1,lots",
        }
    )

    reasons = {key: reason for _file, _line, key, reason in rejected(run)}
    assert reasons["O1"] == reasons["O2"] == "It has no amount, and not all of its lines can be read."
    assert reasons["O1/1"] == reasons["O2/1"] == "Its order was rejected."
    assert [order.external_id for order in rows(Order)] == ["O3"]
    assert [line.line_no for line in rows(OrderLine)] == [1]


def test_a_quote_that_is_never_closed_costs_one_row(db, read):
    many = "\n".join(f"C{n},Customer {n},2026-01-01" for n in range(100))
    run = read(customers=f'C1000,"Northern,2026-01-01\n{many}')

    assert counts(run) == (100, 0, 0, 1)
    assert rejected(run) == [("customers.csv", 2, "", "The row has other columns than the header.")]


def test_blank_lines_are_no_rows(db, read):
    assert counts(read(customers="\n\nC1,One,2026-01-01\r\n\r\n   \nC2,Two,\n")) == (2, 0, 0, 0)


def test_the_report_names_file_line_key_reason_and_the_row_and_no_formula(db, read, app):
    run = read(customers='C1,One,\n=1+1,"=HYPERLINK(""x"")",someday')

    text = Path(run.rejects_file).read_text(encoding="utf-8-sig")
    assert Path(run.rejects_file) == app.config["LIUKE_VAR"] / "sync" / f"{run.id}-rejected.csv"
    assert text.splitlines()[0] == "file,line,key,reason,row,said"
    assert "customers.csv,3,'=1+1,registered_on: “someday” is no date such as 2026-11-22.,\"'=1+1," in text


# -- as a whole -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(SMALL))
def test_a_file_that_lacks_a_column_stops_everything_before_anything_is_written(db, feed, name):
    header = HEADERS[name].split(",")
    feed.write(**SMALL, headers={name: ",".join(["wrong", *header[1:]])})

    run = sync(feed.folder)

    assert run.status is SyncStatus.failed
    assert run.error == f"{name}.csv lacks the columns {header[0]}. Nothing was changed."
    assert [rows(model) for model in (Customer, Product, Stock, Order, OrderLine)] == [[], [], [], [], []]
    assert (run.rows_in, run.rejects_file, run.finished_at is not None) == (0, None, True)
    assert len(rows(SyncRun)) == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "customers.csv lacks the columns customer_no, name. Nothing was changed."),
        (b"customer_no;name\nC1;One\n", "customers.csv lacks the columns customer_no, name. Nothing was changed."),
        (b"customer_no,name,name\n", "customers.csv names a column twice. Nothing was changed."),
        (b"\xff\xfe" + "customer_no,name\n".encode("utf-16-le"),
         "customers.csv is neither UTF-8 nor GB18030 text. Nothing was changed."),
        (b"PK\x03\x04\xff\xff\xff", "customers.csv is neither UTF-8 nor GB18030 text. Nothing was changed."),
    ],
)  # fmt: skip
def test_a_file_that_is_none_stops_everything(db, feed, content, reason):
    feed.write(orders=SMALL["orders"])
    (feed.folder / "customers.csv").write_bytes(content)
    run = sync(feed.folder)
    assert (run.status, run.error) == (SyncStatus.failed, reason)
    assert rows(Order) == []


def test_a_folder_without_a_feed_is_refused(db, feed):
    (feed.folder / "readme.txt").write_text("hello")
    run = sync(feed.folder)
    assert run.status is SyncStatus.failed
    assert run.error.startswith("The folder holds none of the files of a feed: products.csv, customers.csv")
    assert sync(feed.folder / "nowhere").status is SyncStatus.failed


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "gbk"])
def test_chinese_is_read_in_every_usual_encoding(db, read, encoding):
    run = read(**SMALL, encoding=encoding)
    assert counts(run) == (11, 0, 0, 0)
    assert rows(Customer, Customer.number == "C1")[0].name == "北方机械有限公司"


def test_files_of_one_feed_may_differ_in_encoding(db, feed):
    feed.write(**SMALL, encoding="gb18030")
    (feed.folder / "orders.csv").write_text(f"{HEADERS['orders']}\n{SMALL['orders']}\n", encoding="utf-8-sig")
    assert counts(sync(feed.folder)) == (11, 0, 0, 0)
