"""Closed months: what was reported stays, and what late data changed stands beside it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from flask import g

from app.core.types import Money
from app.customers.models import Customer, CustomerStatus
from app.mirror.models import Order
from app.mirror.operations import refresh_totals
from app.reports import closing, export, period
from app.reports.catalogue import BY_ID, REPORTS
from app.reports.kinds.contribution import Contribution
from app.reports.models import ReportClose
from app.reports.report import Ask, Column, Line, Report
from app.runs.models import Installation, JobRun
from app.runs.periodic import MONTH_CLOSE
from jobs import month_close
from tests import builders
from tests.reports.walking import walk
from tests.support import rows, text_of

SHANGHAI = ZoneInfo("Asia/Shanghai")
CLOSED = sum(report.timed for report in REPORTS)
MARCH = period.parse("2026-03")
PAGE = "/reports/contribution/?period=2026-03"


def march(day, hour=12):
    return datetime(2026, 3, day, hour, tzinfo=SHANGHAI).astimezone(UTC)


def ordered(db, customer, amount, at=None):
    builders.order(customer, amount=amount, at=at or march(10))
    refresh_totals()
    db.session.commit()


@pytest.fixture
def company(db, wang, zhao):
    """Wang's customer ordered for 1000.10, Zhao's for 0.20; a third ordered nothing."""
    mine = builders.customer(owner=wang, name="恒锐精密")
    other = builders.customer(owner=zhao, name="秦岭航空")
    builders.customer(owner=zhao, name="东海仪表")
    ordered(db, mine, "1000.10")
    ordered(db, other, "0.20")
    return mine, other


@pytest.fixture
def closed(db, company):
    """The same, with March closed."""
    closing.close(MARCH)
    return company


def asked(code="2026-03", report=None):
    """What the whole company's page asks."""
    report = report or Contribution()
    return Ask(report, report.ask({}).values, period.parse(code), company=True)


def cells(table):
    """Label -> (reported, today's where that differs) of the amounts."""
    return {line.label: (line.values["amount"], line.now.get("amount")) for line in [*table.lines, table.total]}


def table_on(answer):
    """The first cell of every row -> the texts of the row's other cells."""
    body = re.search(r'(?s)<table class="lk-table" id="figures">.*?</table>', answer.get_data(as_text=True))[0]
    found = {}
    for row in re.findall(r"(?s)<tr>(.*?)</tr>", body)[1:]:
        cells = re.findall(r"(?s)<t[hd].*?</t[hd]>", re.sub(r'<div class="sub">.*?</div>', "", row))
        head, *texts = [re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", cell)).strip() for cell in cells]
        found[head] = texts
    return found


# -- what stays ---------------------------------------------------------------------------------------------------


def test_what_is_kept_is_exact(db, closed):
    (kept,) = rows(ReportClose, ReportClose.report == "contribution")
    assert (kept.report, kept.month, kept.closed_by_id) == ("contribution", date(2026, 3, 1), None)
    assert kept.table["total"]["amount"] == {"$": "1000.30"}
    assert [line["label"] for line in kept.table["lines"]] == ["恒锐精密", "秦岭航空"]
    assert kept.table["lines"][1]["values"]["amount"] == {"$": "0.20"}

    found = closing.kept_of(asked()).total.values["amount"]
    assert isinstance(found, Decimal)
    assert str(found) == "1000.30"


def test_until_something_changes_a_closed_month_reads_as_it_did(db, company):
    open_month = closing.table_of(asked())
    closing.close(MARCH)
    table = closing.table_of(asked())

    assert table.closed_at is not None
    assert open_month.closed_at is None
    assert (table.lines, table.total, table.count) == (open_month.lines, open_month.total, open_month.count)


def test_a_late_order_stands_beside_what_was_reported(db, closed):
    mine, _other = closed
    ordered(db, mine, "99.90", at=march(31, 23))

    table = closing.table_of(asked())
    assert cells(table) == {
        "恒锐精密": (Decimal("1000.10"), Decimal("1100.00")),
        "秦岭航空": (Decimal("0.20"), None),
        "东海仪表": (Decimal("0.00"), None),
        "": (Decimal("1000.30"), Decimal("1100.20")),
    }
    first = table.lines[0]
    assert (first.values["orders"], first.now["orders"]) == (1, 2)
    assert "share" in first.values
    assert first.values["share"] == Decimal("99.98")  # of what was reported


def test_lines_that_are_new_gone_or_overtaken_are_all_there_once(db, closed, zhao):
    mine, other = closed
    db.session.execute(sa.delete(Order).where(Order.customer_id == mine.id))
    ordered(db, builders.customer(owner=zhao, name="新客户"), "7000")
    other.status = CustomerStatus.deleted
    db.session.commit()

    table = closing.table_of(asked())
    assert cells(table) == {
        "恒锐精密": (Decimal("1000.10"), Decimal("0.00")),  # its order was taken back
        "秦岭航空": (Decimal("0.20"), Decimal("0.00")),  # deleted since
        "新客户": (Decimal("0.00"), Decimal("7000.00")),
        "东海仪表": (Decimal("0.00"), None),
        "": (Decimal("1000.30"), Decimal("7000.00")),
    }
    assert [line.label for line in table.lines[:2]] == ["恒锐精密", "秦岭航空"]
    assert table.count == 4
    pages = [closing.table_of(asked(), first=n, most=1).lines for n in range(4)]
    assert [line for page in pages for line in page] == table.lines


def test_of_a_long_report_the_first_lines_and_the_total_are_kept(db, company, monkeypatch):
    monkeypatch.setattr(closing, "KEPT", 1)
    closing.close(MARCH)
    mine, other = company
    ordered(db, mine, "1")
    ordered(db, other, "2")

    table = closing.table_of(asked())
    assert table.kept == 1
    assert cells(table) == {
        "恒锐精密": (Decimal("1000.10"), Decimal("1001.10")),
        "秦岭航空": (Decimal("2.20"), None),  # today's: the page says so
        "东海仪表": (Decimal("0.00"), None),
        "": (Decimal("1000.30"), Decimal("1003.30")),
    }


def test_closing_again_changes_nothing(db, closed):
    before = rows(ReportClose, ReportClose.report == "contribution")[0].table
    ordered(db, closed[0], "5")

    assert closing.close(MARCH) == 0
    (kept,) = rows(ReportClose, ReportClose.report == "contribution")
    assert kept.table == before


def test_a_month_that_is_not_over_cannot_be_closed(db, company):
    from app.core.clock import today

    for code in (period.month_of(today()).code, "2026", "2026-Q1"):
        with pytest.raises(ValueError, match="not a month that is over"):
            closing.close(period.parse(code))
    assert rows(ReportClose) == []


def test_the_next_month_is_compared_with_what_was_reported(db, closed):
    ordered(db, closed[0], "50")

    table = closing.table_of(asked("2026-04"))
    assert table.closed_at is None
    assert table.total.before["amount"] == Decimal("1000.30")
    by_label = {line.label: line.before.get("amount") for line in table.lines}
    assert by_label == {"恒锐精密": Decimal("1000.10"), "秦岭航空": Decimal("0.20"), "东海仪表": Decimal("0.00")}


# -- shares and means, words, a report shown whole ----------------------------------------------------------------


class ByNumber(Report):
    """Customers' orders by number: a report that is shown whole."""

    id, right, icon, title, about, line_label = "by-number", "ContributionReport", "chart-bar", "t", "a", "l"

    def columns(self, ask: Ask) -> list[Column]:
        return [
            Column("orders", "orders", "count"),
            Column("amount", "amount", "money"),
            Column("share", "share", "share", of=("orders", "orders")),
            Column("mean", "mean", "mean", of=("amount", "orders")),
        ]

    def lines(
        self, ask: Ask, *, keys: Sequence[str] | None = None, first: int = 0, most: int | None = None
    ) -> list[Line]:
        found = db_rows(ask)
        return [Line(str(r[0]), r[1], {"orders": r[2], "amount": r[3]}) for r in found]


def db_rows(ask: Ask) -> Any:
    from app.extensions import db

    return db.session.execute(
        sa.select(Customer.id, Customer.name, sa.func.count(Order.id), sa.func.sum(Order.amount, type_=Money()))
        .join(Order, Order.customer_id == Customer.id)
        .where(ask.customers, Order.ordered_at >= ask.period.start, Order.ordered_at < ask.period.end)
        .group_by(Customer.id, Customer.name)
        .order_by(Customer.id)
    ).all()


def test_shares_and_means_of_what_was_reported_come_from_what_was_reported(db, company, monkeypatch):
    _mine, other = company
    report = ByNumber()
    monkeypatch.setattr(closing, "REPORTS", (report,))
    assert closing.close(MARCH) == 1
    ordered(db, other, "0.40")
    ordered(db, builders.customer(name="新客户"), "3")

    table = closing.table_of(asked(report=report))
    found = {line.label: (line.values, line.now) for line in [*table.lines, table.total]}
    assert found == {
        "恒锐精密": (
            {"orders": 1, "amount": Decimal("1000.10"), "share": Decimal("50.0"), "mean": Decimal("1000.1")},
            {"share": Decimal("25.0")},  # the line did not change, but the whole did
        ),
        "秦岭航空": (
            {"orders": 1, "amount": Decimal("0.20"), "share": Decimal("50.0"), "mean": Decimal("0.2")},
            {"orders": 2, "amount": Decimal("0.60"), "mean": Decimal("0.3")},
        ),
        "新客户": (
            {"orders": 0, "amount": Decimal("0.00"), "share": Decimal("0.0"), "mean": None},
            {"orders": 1, "amount": Decimal("3.00"), "share": Decimal("25.0"), "mean": Decimal("3.0")},
        ),
        "": (
            {"orders": 2, "amount": Decimal("1000.30"), "share": Decimal("100.0"), "mean": Decimal("500.2")},
            {"orders": 4, "amount": Decimal("1003.70"), "mean": Decimal("250.9")},
        ),
    }  # fmt: skip


# -- every grouping ----------------------------------------------------------------------------------------------


def test_a_month_is_kept_in_every_grouping(db, company, chen, sign_in):
    mine, _other = company
    for customer in rows(Customer):
        customer.registered_on = date(2026, 1, 5)
    db.session.commit()
    closing.close(MARCH)
    for report in REPORTS:
        if report.timed:
            ways = report.filter("by").offered() if any(f.key == "by" for f in report.filters) else [("", "")]
            found = {kept.report for kept in rows(ReportClose) if kept.report.split("?")[0] == report.id}
            first = ways[0][0]
            assert found == {report.id, *(f"{report.id}?by={code}" for code, _label in ways if code != first)}

    mine.status = CustomerStatus.deleted
    db.session.commit()
    for by, _label in BY_ID["composition"].filter("by").offered():
        answer = sign_in(chen).speak("en").get(f"/reports/composition/?period=2026-03&by={by}")
        assert "This month is closed: the figures are those reported on" in text_of(answer)
        assert table_on(answer)["Total"][0] == "3 now 2"
        assert "3 now 2" in [row[0] for name, row in table_on(answer).items() if name != "Total"]


def test_a_grouping_that_was_not_kept_is_counted_anew_and_nothing_is_said_to_be_reported(db, closed, chen, sign_in):
    """Months closed before every grouping was kept."""
    db.session.execute(sa.delete(ReportClose).where(ReportClose.report.contains("?")))
    db.session.commit()
    browser = sign_in(chen).speak("en")
    for period_code in ("2026-03", "2026-Q1"):
        said = text_of(browser.get(f"/reports/composition/?period={period_code}&by=region"))
        assert "This month is closed" not in said
        assert NOT_KEPT in said
        assert REACHED not in said
    assert REACHED in text_of(browser.get("/reports/composition/?period=2026-Q1"))

    assert closing.close(MARCH) > 0  # by hand: what was not kept then, as of now
    said = text_of(browser.get("/reports/composition/?period=2026-03&by=region"))
    assert "This month is closed: the figures are those reported on" in said


# -- the pages ----------------------------------------------------------------------------------------------------


def test_the_page_says_the_reported_figure_and_todays(db, closed, chen, sign_in):
    ordered(db, closed[0], "99.90")
    answer = sign_in(chen).speak("en").get(PAGE)
    found = table_on(answer)

    assert "This month is closed: the figures are those reported on" in text_of(answer)
    assert found["恒锐精密"][:2] == ["1 now 2", "¥1,000.10 now ¥1,100.00"]
    assert found["秦岭航空"][1].startswith("¥0.20")
    assert "now" not in found["秦岭航空"][1]
    assert found["Total"][1] == "¥1,000.30 now ¥1,100.20"
    assert "¥1,000.10 now ¥1,100.00" in text_of(sign_in(chen).speak("en").get(PAGE.replace("?", "print?")))


def test_a_manager_sees_his_own_figures_as_they_are_now(db, closed, wang, sign_in):
    ordered(db, closed[0], "99.90")
    answer = sign_in(wang).speak("en").get(PAGE)

    assert "This month is closed" not in text_of(answer)
    assert NOT_KEPT in text_of(answer)
    assert REACHED not in text_of(answer)
    assert table_on(answer)["恒锐精密"][1].startswith("¥1,100.00")
    assert list(table_on(answer)) == ["恒锐精密", "Total"]


REACHED = "1 month in it is closed: what the company reported then stands in the report of that month"
NOT_KEPT = "1 month in it is closed, but figures like these were not kept. They are counted as of today."


@pytest.mark.parametrize(
    ("other", "told"),
    [("?period=2026-03&orders=paid", NOT_KEPT), ("?period=2026&orders=paid", NOT_KEPT), ("?period=2026-Q1", REACHED),
     ("?period=2026", REACHED)],
)  # fmt: skip
def test_with_a_filter_or_another_period_it_is_counted_now(db, closed, chen, sign_in, other, told):
    ordered(db, closed[0], "99.90")
    answer = sign_in(chen).speak("en").get("/reports/contribution/" + other)

    assert "This month is closed" not in text_of(answer)
    assert [sentence for sentence in (REACHED, NOT_KEPT) if sentence in text_of(answer)] == [told]
    assert table_on(answer)["恒锐精密"][1].startswith("¥1,100.00")


@pytest.mark.parametrize(
    ("report", "period", "told"),
    [("contribution", "2026-04", False), ("composition", "2026-Q1", True), ("composition", "2026", False)],
)
def test_only_what_closed_months_tell_is_said_to_be_counted_anew(db, closed, chen, sign_in, report, period, told):
    answer = sign_in(chen).speak("en").get(f"/reports/{report}/?period={period}")
    assert ("month in it is closed" in text_of(answer)) is told


def test_the_file_is_the_page(db, closed, chen, sign_in):
    ordered(db, closed[0], "99.90")
    answer = sign_in(chen).speak("en").post("/reports/contribution/export", {"format": "csv", "period": "2026-03"})
    head, *body = csv.reader(io.StringIO(answer.get_data().decode("utf-8-sig")))
    found = {row[1]: dict(zip(head, row, strict=True)) for row in body}

    amounts = {k: (v["Order amount (reported)"], v["Order amount (now)"]) for k, v in found.items()}
    assert amounts == {
        "恒锐精密": ("1000.10", "1100.00"), "秦岭航空": ("0.20", "0.20"), "东海仪表": ("0.00", "0.00"),
        "Total": ("1000.30", "1100.20"),
    }  # fmt: skip
    assert {k: (v["Class"], v["Share"]) for k, v in found.items()} == {  # nothing differs in them
        "恒锐精密": ("A", "99.98"), "秦岭航空": ("C", "0.02"), "东海仪表": ("C", "0.00"), "Total": ("", "100.00"),
    }  # fmt: skip


def test_what_is_now_in_the_file_is_todays_and_adds_up(db, closed, chen, zhao, sign_in):
    """A line that did not change has another share of a whole that did; a customer that is gone has none."""
    mine, other = closed
    ordered(db, other, "3000.60")
    ordered(db, builders.customer(owner=zhao, name="新客户"), "999.20")
    mine.status = CustomerStatus.deleted
    db.session.commit()
    browser = sign_in(chen).speak("en")
    answer = browser.post("/reports/contribution/export", {"format": "csv", "period": "2026-03"})
    head, *body = csv.reader(io.StringIO(answer.get_data().decode("utf-8-sig")))
    found = {row[1]: dict(zip(head, row, strict=True)) for row in body}

    now = {k: (v["Share (now)"], v["Cumulative (now)"], v["Class (now)"]) for k, v in found.items()}
    assert now == {
        "恒锐精密": ("0.00", "", ""), "秦岭航空": ("75.02", "75.02", "A"), "新客户": ("24.98", "100.00", "A"),
        "东海仪表": ("0.00", "", "C"), "Total": ("100.00", "", ""),
    }  # fmt: skip
    page = table_on(browser.get(PAGE))
    for name, row in found.items():
        reported, today = row["Share (reported)"], row["Share (now)"]
        assert page[name][2] == (f"{reported}%" if reported == today else f"{reported}% now {today}%")


def test_a_closed_month_with_late_data_adds_up_in_every_column(db, closed, chen, zhao, app, monkeypatch):
    """Also when a line is gone, or so many are kept one by one that the others are told together."""
    mine, other = closed
    g.user = chen
    for late in ("3000.60", None, "0.10"):
        if late is None:
            mine.status = CustomerStatus.deleted
        else:
            ordered(db, other, late)
        db.session.commit()
        assert walk(Contribution().ask({"period": "2026-03"})) > 10
    db.session.execute(sa.delete(ReportClose))
    db.session.commit()
    monkeypatch.setattr(closing, "KEPT", 1)
    ordered(db, builders.customer(owner=zhao, name="新客户"), "999.20")
    closing.close(MARCH)
    ordered(db, rows(Customer, Customer.name == "新客户")[0], "0.80")
    ask = Contribution().ask({"period": "2026-03"})
    assert walk(ask) > 10
    sheet = export.sheet_of(ask, closing.table_of(ask, most=None))
    assert ["All other lines, as reported" in row for row in sheet.rows] == [False] * 3 + [True, False]


def test_the_share_of_a_kept_customer_far_behind_is_todays_too(db, closed, zhao):
    mine, _other = closed
    for n in range(4):
        ordered(db, builders.customer(owner=zhao, name=f"新客户{n}"), "7000")
    table = closing.table_of(asked(), most=1)
    assert table.lines[0].label == mine.name
    assert table.lines[0].now == {
        key: value
        for line in asked().report.table(asked(), most=None).lines if line.label == mine.name
        for key, value in line.values.items() if table.lines[0].values[key] != value
    }  # fmt: skip
    assert table.lines[0].now["share"] == Decimal("3.45")


def test_beside_todays_rate_of_a_closed_month_stands_todays_n(db, li, sign_in):
    february = datetime(2026, 2, 10, 4, tzinfo=UTC)
    customers = [builders.customer(registered_on=date(2025, 1, 1)) for _ in range(12)]
    for customer in customers[:11]:
        builders.order(customer, amount="1", at=february)
        builders.order(customer, amount="1", at=march(10))
    refresh_totals()
    db.session.commit()
    closing.close(MARCH)
    ordered(db, customers[11], "1", at=february)

    browser = sign_in(li).speak("en")
    assert (
        "100.0% n = 11 now 91.7% (n = 12 )" in table_on(browser.get("/reports/retention-rate/?period=2026-03"))["Total"]
    )
    answer = browser.post("/reports/retention-rate/export", {"format": "csv", "period": "2026-03"})
    head, *_lines, total = csv.reader(io.StringIO(answer.get_data().decode("utf-8-sig")))
    found = dict(zip(head, total, strict=True))
    assert [found[f"Retention rate{n} ({when})"] for n in ("", ": n") for when in ("reported", "now")] == [
        "100.0", "91.7", "11", "12",
    ]  # fmt: skip


def test_the_file_of_a_month_that_nothing_changed_has_no_second_columns(db, closed, chen, sign_in):
    answer = sign_in(chen).speak("en").post("/reports/contribution/export", {"format": "csv", "period": "2026-03"})
    assert b"(now)" not in answer.get_data()


def test_the_rows_are_todays_and_say_what_was_reported(db, closed, chen, sign_in):
    mine, other = closed
    ordered(db, mine, "99.90")
    browser = sign_in(chen).speak("en")

    def behind(line, column="amount"):
        answer = browser.get(f"/reports/contribution/rows?period=2026-03&line={line}&column={column}")
        assert answer.status_code == 200
        return text_of(answer)

    assert "¥1,100.00 · 2 rows" in behind(mine.id)
    assert "This month is closed: ¥1,000.10 was reported on" in behind(mine.id)
    assert "This month is closed: 1 was reported on" in behind(mine.id, "orders")
    assert "This month is closed: ¥1,000.30 was reported on" in behind("total")
    assert "This month is closed" not in behind(other.id)

    db.session.execute(sa.delete(Order).where(Order.customer_id == other.id))
    db.session.get(Customer, other.id).status = CustomerStatus.deleted
    db.session.commit()
    assert "秦岭航空" in behind(other.id)
    assert "This month is closed: ¥0.20 was reported on" in behind(other.id)


def test_behind_the_class_of_a_customer_who_is_gone_there_are_no_other_customers(db, closed, chen, sign_in):
    mine, other = closed
    ordered(db, mine, "99.90")
    db.session.get(Customer, other.id).status = CustomerStatus.deleted
    db.session.commit()
    browser = sign_in(chen).speak("en")
    for column, reported in (("in_class", "¥0.20"), ("down", "¥1,000.30")):
        answer = browser.get(f"/reports/contribution/rows?period=2026-03&line={other.id}&column={column}")
        assert f"This month is closed: {reported} was reported on" in text_of(answer)
        assert "恒锐精密" not in text_of(answer)
        assert "东海仪表" not in text_of(answer)


# -- when ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def installed(db):
    """`installed(moment)` says when this database was set up."""

    def at(moment):
        db.session.execute(sa.update(Installation).values(created_at=moment))
        db.session.commit()

    return at


def test_a_month_that_was_over_before_the_installation_is_left_open(db, company, installed):
    installed(datetime(2026, 3, 31, 16, tzinfo=UTC))  # the first instant of April in Shanghai
    assert month_close.run("2026-04-03T05:00") == {"closed": 0}
    assert rows(ReportClose) == []

    installed(datetime(2026, 3, 31, 15, 59, tzinfo=UTC))
    assert month_close.run("2026-04-03T05:01") == {"closed": CLOSED}


def test_the_job_closes_the_month_before_its_period_once(db, company, installed):
    installed(datetime(2026, 1, 1, tzinfo=UTC))
    assert month_close.run("2026-04-03T05:00") == {"closed": CLOSED}
    assert [(k.report, k.month) for k in rows(ReportClose, ReportClose.report == "contribution")] == [
        ("contribution", date(2026, 3, 1))
    ]
    assert [(r.job, r.period) for r in rows(JobRun)] == [("month-close", "2026-04-03T05:00")]

    assert month_close.run("2026-04-03T05:00") is None
    assert month_close.run("2026-05-03T05:00") == {"closed": CLOSED}
    assert [k.month for k in rows(ReportClose, ReportClose.report == "contribution")] == [
        date(2026, 3, 1),
        date(2026, 4, 1),
    ]


def test_it_is_the_third_of_the_month_on_the_companys_clock(db):
    rule = MONTH_CLOSE.rule
    before = datetime(2026, 4, 2, 20, 59, tzinfo=UTC)  # 04:59 on the third in Shanghai
    assert rule.last(before, SHANGHAI) == datetime(2026, 3, 3, 5)
    assert rule.next(before, SHANGHAI) == datetime(2026, 4, 3, 5)
    assert rule.last(before.replace(hour=21, minute=0), SHANGHAI) == datetime(2026, 4, 3, 5)
    assert rule.next(datetime(2026, 12, 31, 23, tzinfo=UTC), SHANGHAI) == datetime(2027, 1, 3, 5)
    assert rule.between(datetime(2025, 11, 3, 5), datetime(2026, 2, 3, 5)) == [
        datetime(2025, 12, 3, 5), datetime(2026, 1, 3, 5), datetime(2026, 2, 3, 5),
    ]  # fmt: skip


def test_the_command_closes_by_hand(app, db, company):
    def run(*options):
        return app.test_cli_runner().invoke(args=["crm", "close", *options])

    assert run("--month", "2026-03").output == f"2026-03: reports closed now: {CLOSED}\n"
    assert run("--month", "2026-03").output == "2026-03: reports closed now: 0\n"
    for wrong in ("2026", "2099-01", "march"):
        assert run("--month", wrong).exit_code != 0
    assert len(rows(ReportClose, ReportClose.report == "contribution")) == 1
