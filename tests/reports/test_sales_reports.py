"""销售漏斗, 销售预测 and 计划执行: figures to the cent and to the day, whose they are, and the rows behind them."""

from __future__ import annotations

import random
import re
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from dateutil.relativedelta import relativedelta
from flask_appbuilder.security.sqla.models import User

from app.core.choosing import FEW, PAGE
from app.core.clock import today
from app.extensions import db as database
from app.masterdata.models import DictionaryType
from app.notices.reading import reading_as
from app.reports import closing, period
from app.reports.catalogue import BY_ID
from app.reports.report import TOTAL, rows_behind
from app.sales.models import CloseKind, Opportunity, OpportunityStatus
from tests import builders
from tests.support import statements, text_of

SHANGHAI = ZoneInfo("Asia/Shanghai")
WON, LOST = OpportunityStatus.won, OpportunityStatus.lost
MAY = {"period": "2026-05"}


def at(*wall):
    """An instant by the company's wall clock."""
    return datetime(*wall, tzinfo=SHANGHAI).astimezone(UTC)


def opportunity(*, entered=(2026, 5, 4, 9), **given):
    """An opportunity entered in May 2026 unless another time is given."""
    return builders.opportunity(created_at=at(*entered), **given)


def done(opportunity, planned, *executed):
    """A plan step with a result."""
    return builders.plan_step(opportunity, planned_on=date(*planned), result="已联系", executed_at=at(*executed))


@contextmanager
def asked(report, person, **given):
    """The question and its answer, as this person reads them."""
    database.session.commit()
    with reading_as(person.id) as reader:
        assert reader is not None
        ask = BY_ID[report].ask(given)
        yield ask, BY_ID[report].table(ask)


def figures(report, person, *keys, **given):
    """Line key -> values of these columns."""
    with asked(report, person, **given) as (_ask, table):
        return {line.key: tuple(line.values[key] for key in keys) for line in table.lines}


def check_rows(ask, table):
    """For every line and column that adds up the rows come to the figure; those of the total, opened as a page, too."""
    seen = 0
    for column in table.columns:
        if not column.adds_up or (column.hidden and column.kind == "count"):
            continue
        inner = ask.report.rows(ask, column).order_by(None).subquery()
        what = sa.func.count() if column.kind == "count" else sa.func.sum(inner.c.amount)
        grouped = sa.select(inner.c.line, what.label("came")).group_by(inner.c.line)
        behind = {row.line: row.came for row in database.session.execute(grouped)}
        assert set(behind) <= {line.key for line in table.lines}
        for line in table.lines:
            if line.values[column.key] is not None:
                assert behind.get(line.key, 0) == line.values[column.key], (line.key, column.key)
                seen += 1
        if table.total.values[column.key] is not None:
            assert came(ask, column, TOTAL) == table.total.values[column.key], column.key
            seen += 1
    return seen


def came(ask, column, key):
    """What the page of the rows behind a figure says they come to."""
    rows = rows_behind(ask, column, key)
    assert len(rows.rows) == rows.count
    return rows.count if column.kind == "count" else rows.amount


# -- funnel -------------------------------------------------------------------------------------------------------


@pytest.fixture
def cohort(db, wang, zhao):
    """Eight opportunities of May: one more for each stage, and one that failed after it began."""
    fair, site = (builders.dictionary_item(type=DictionaryType.source, label=label) for label in ("展会", "官网"))
    opportunity(expected_amount="100.01", source=fair)
    opportunity(expected_amount=None, source=site)
    opportunity(given_to=wang, assigned_at=at(2026, 5, 6, 9), expected_amount="200.02", source=fair)
    opportunity(status=LOST, given_to=zhao, assigned_at=at(2026, 5, 4, 10), expected_amount="400.04")
    begun = opportunity(given_to=wang, assigned_at=at(2026, 5, 5, 9), expected_amount="800.08", source=fair)
    builders.plan_step(begun, planned_on=date(2026, 5, 6))
    done(begun, (2026, 5, 8), 2026, 5, 9, 0, 30)
    done(begun, (2026, 5, 9), 2026, 5, 12, 9)
    failed = opportunity(given_to=zhao, status=LOST, assigned_at=at(2026, 5, 4, 10), expected_amount="1600.16")
    done(failed, (2026, 5, 8), 2026, 5, 4, 23, 59)
    unplanned = {"assigned_at": at(2026, 5, 4, 11), "closed_at": at(2026, 6, 3, 9), "expected_amount": "3200.32"}
    opportunity(given_to=wang, status=WON, source=site, **unplanned)
    won = opportunity(given_to=zhao, status=WON, assigned_at=at(2026, 5, 7, 9), closed_at=at(2026, 5, 20, 9))
    done(won, (2026, 5, 10), 2026, 5, 10, 9)
    db.session.commit()


FUNNEL = ("opportunities", "expected", "of_all", "of_before")


def test_the_funnel_counts_how_far_each_opportunity_came(cohort, chen):
    assert figures("funnel", chen, *FUNNEL, **MAY) == {
        "created": (8, Decimal("6300.63"), Decimal("100.0"), None),
        "assigned": (6, Decimal("6200.62"), Decimal("75.0"), Decimal("75.0")),
        "under_way": (4, Decimal("5600.56"), Decimal("50.0"), Decimal("66.7")),
        "won": (2, Decimal("3200.32"), Decimal("25.0"), Decimal("50.0")),
    }


def test_days_to_a_stage_are_the_companys(cohort, chen):
    assert figures("funnel", chen, "days", "mean_days", **MAY) == {
        "created": (None, None),
        "assigned": (2 + 0 + 1 + 0 + 0 + 3, Decimal("1.0")),
        "under_way": (5 + 0 + 30 + 6, Decimal("10.3")),
        "won": (30 + 16, Decimal("23.0")),
    }


def test_the_total_of_the_funnel_is_its_first_stage(cohort, chen):
    with asked("funnel", chen, **MAY) as (ask, table):
        assert table.total.values == table.lines[0].values
        assert (table.total.values["opportunities"], table.total.values["of_all"]) == (8, Decimal("100.0"))
        assert rows_behind(ask, table.column("expected"), TOTAL).amount == Decimal("6300.63")
        assert check_rows(ask, table) == 2 * 5 + 3
        assert BY_ID["funnel"].note(ask, table).startswith("4 of these opportunities are still open")


def test_the_funnel_by_status_tells_where_they_stand_now(cohort, db, chen, sign_in):
    opportunity(entered=(2024, 1, 2, 9), status=WON, expected_amount="1.00")
    keys = ("opportunities", "expected", "share")
    may = {
        "unassigned": (2, Decimal("100.01"), Decimal("25.0")), "assigned": (2, Decimal("1000.10"), Decimal("25.0")),
        "won": (2, Decimal("3200.32"), Decimal("25.0")), "lost": (2, Decimal("2000.20"), Decimal("25.0")),
    }  # fmt: skip
    assert figures("funnel", chen, *keys, by="status", **MAY) == may
    with asked("funnel", chen, by="status", period="all") as (ask, table):
        assert [(line.key, line.values["opportunities"]) for line in table.lines] == [
            ("unassigned", 2), ("assigned", 2), ("won", 3), ("lost", 2),
        ]  # fmt: skip
        assert sum(line.values["share"] for line in table.lines) == 100
        assert (table.total.values["opportunities"], table.total.values["expected"]) == (9, Decimal("6301.63"))
        assert check_rows(ask, table) == 2 * 4 + 2
        assert BY_ID["funnel"].note(ask, table).startswith("4 of these opportunities are still open")
    page = sign_in(chen).get("/reports/funnel/?by=status&period=all").get_data(as_text=True)
    assert page.count("lk-chart hbar") == 2
    assert "Opportunities 3 " in text_of(sign_in(chen).get(
        "/reports/funnel/rows?by=status&period=all&line=won&column=opportunities"
    ))  # fmt: skip


def test_the_funnel_stands_beside_that_of_the_month_before(cohort, chen):
    opportunity(entered=(2026, 4, 30, 23, 59), given_to=chen, expected_amount="5")
    opportunity(entered=(2026, 4, 1, 0, 0))
    with asked("funnel", chen, **MAY) as (_ask, table):
        before = {line.key: (line.before["opportunities"], line.before["of_all"]) for line in table.lines}
        assert before == {
            "created": (2, Decimal("100.0")), "assigned": (1, Decimal("50.0")), "under_way": (0, Decimal("0.0")),
            "won": (0, Decimal("0.0")),
        }  # fmt: skip
        assert table.total.before["expected"] == Decimal("5.00")


def test_a_closed_month_of_the_funnel_stays_and_what_came_later_stands_beside_it(cohort, chen, sign_in, wang):
    opportunity(entered=(2026, 4, 30, 23, 59), expected_amount="5")
    with asked("funnel", chen, **MAY) as (ask, _table):
        open_month = closing.table_of(ask)
        for month in ("2026-04", "2026-05"):
            closing.close(period.parse(month))
        table = closing.table_of(ask)
        assert table.closed_at is not None
        assert (table.lines, table.total) == (open_month.lines, open_month.total)

    first, _second = (database.session.get(Opportunity, pk) for pk in sorted(unassigned()))
    its = builders.customer()
    first.status, first.assignee, first.assigned_at = WON, wang, at(2026, 6, 2, 9)
    first.customer, first.close_kind, first.closed_at = its, CloseKind.won, at(2026, 6, 4, 9)
    database.session.commit()
    with asked("funnel", chen, **MAY) as (ask, _table):
        table = closing.table_of(ask)
        assert {line.key: (line.values["opportunities"], line.now.get("opportunities")) for line in table.lines} == {
            "created": (8, None), "assigned": (6, 7), "under_way": (4, 5), "won": (2, 3),
        }  # fmt: skip
        won = table.lines[-1]
        assert (won.values["expected"], won.now["expected"]) == (Decimal("3200.32"), Decimal("3300.33"))
        assert (won.values["of_all"], won.now["of_all"]) == (Decimal("25.0"), Decimal("37.5"))
        assert (won.values["mean_days"], won.now["mean_days"]) == (Decimal("23.0"), Decimal("25.7"))
        assert table.total.now == {}
        assert (table.total.values["opportunities"], table.total.before["opportunities"]) == (8, 1)
        assert BY_ID["funnel"].note(ask, table) == (
            "4 of these opportunities were still open when the month was closed."
        )
    with asked("funnel", chen, manager=str(wang.id), **MAY) as (ask, _table):  # nobody reported him alone
        table = closing.table_of(ask)
        assert (table.closed_at, table.unkept) == (None, 1)

    browser = sign_in(chen)
    page = text_of(browser.get("/reports/funnel/?period=2026-05"))
    assert "This month is closed" in page
    assert "Won 2 now 3 ¥3,200.32 now ¥3,300.33 25.0% now 37.5%" in page
    rows = text_of(browser.get("/reports/funnel/rows?period=2026-05&line=won&column=opportunities"))
    assert "Opportunities 3 " in rows
    assert "This month is closed: 2 was reported on" in rows
    file = browser.post("/reports/funnel/export", {"format": "csv", **MAY}).data.decode("utf-8-sig").splitlines()
    assert file[0].startswith("Group,Opportunities (reported),Expected amount (reported),")
    won_of = dict(zip(file[0].split(","), file[4].split(","), strict=True))
    assert (won_of["Opportunities (reported)"], won_of["Opportunities (now)"]) == ("2", "3")


def unassigned():
    """The ids of those that nobody has been given."""
    found = sa.select(Opportunity.id).where(Opportunity.status == OpportunityStatus.unassigned)
    return database.session.execute(found.where(Opportunity.created_at >= at(2026, 5, 1))).scalars()


def test_a_closed_month_without_opportunities_is_one_too(db, chen):
    closing.close(period.parse("2026-05"))
    opportunity(expected_amount="5")
    with asked("funnel", chen, **MAY) as (ask, _table):
        table = closing.table_of(ask)
        assert [(line.values["opportunities"], line.now.get("opportunities")) for line in table.lines] == [
            (0, 1), (0, None), (0, None), (0, None),
        ]  # fmt: skip
        assert (table.total.values["opportunities"], table.total.now["opportunities"]) == (0, 1)


@pytest.mark.parametrize(
    ("entered", "period"),
    [
        ((2025, 12, 31, 23, 59, 59), "2025"),
        ((2026, 1, 1, 0, 0), "2026"),  # 31 December in UTC
        ((2026, 12, 31, 23, 59, 59), "2026"),
        ((2027, 1, 1, 0, 0), "2027"),
    ],
)
def test_an_opportunity_is_of_the_companys_year(db, chen, entered, period):
    opportunity(entered=entered)
    found = {y: figures("funnel", chen, "opportunities", period=y).get("created") for y in ("2025", "2026", "2027")}
    assert {y: one for y, one in found.items() if one and any(one)} == {period: (1,)}


def test_the_funnel_of_one_manager_and_one_source(cohort, chen, wang):
    with asked("funnel", chen, manager=str(wang.id), **MAY) as (ask, table):
        assert [line.values["opportunities"] for line in table.lines] == [3, 3, 2, 1]
        assert came(ask, table.column("expected"), "under_way") == Decimal("4000.40")
        assert check_rows(ask, table) == 2 * 5 + 3
        codes = {str(label): code for code, label in ask.report.filter("source").offered()}
    assert figures("funnel", chen, "opportunities", source=codes["展会"], **MAY)["created"] == (3,)
    assert figures("funnel", chen, "opportunities", source="none", **MAY)["created"] == (3,)
    both = figures("funnel", chen, "opportunities", source=codes["官网"], manager=str(wang.id), **MAY)
    assert both == dict.fromkeys(("created", "assigned", "under_way", "won"), (1,))


def test_a_funnel_of_nothing_says_so(db, chen, sign_in):
    gone = opportunity()
    gone.deleted_at = at(2026, 5, 5)
    with asked("funnel", chen, **MAY) as (ask, table):
        assert (table.lines, table.total.values["opportunities"]) == ([], 0)
        assert BY_ID["funnel"].charts(ask, table, lambda line, column: None) == []
    assert "Nothing to count" in text_of(sign_in(chen).get("/reports/funnel/?period=2026-05"))


def test_every_stage_of_the_picture_leads_to_its_rows(cohort, chen, sign_in):
    browser = sign_in(chen)
    page = browser.get("/reports/funnel/?period=2026-05").get_data(as_text=True)
    picture = re.search(r'(?s)<svg[^>]*class="lk-chart funnel".*?</svg>', page)[0]
    links = [link.replace("&amp;", "&") for link in re.findall(r'<a href="([^"]*)"', picture)]
    assert [re.search(r"line=(\w+)", link)[1] for link in links] == ["created", "assigned", "under_way", "won"]
    shown = [text_of(browser.get(link)) for link in links]
    assert [int(re.search(r"Opportunities (\d+)", text)[1]) for text in shown] == [8, 6, 4, 2]


# -- forecast -----------------------------------------------------------------------------------------------------

FORECAST = ("opportunities", "expected", "weighted")


def month(n):
    """The first day of the month `n` months from now."""
    return today().replace(day=1) + relativedelta(months=n)


def test_the_forecast_has_a_line_for_each_month(db, chen, wang):
    last_of_before, last = month(0) - timedelta(days=1), month(12) - timedelta(days=1)
    for day, amount in (
        (last_of_before, "1"), (month(0), "2"), (month(1) - timedelta(days=1), "4"), (month(1), "8"), (last, "16"),
        (month(12), "32"), (month(30), "64"), (None, "128"),
    ):  # fmt: skip
        opportunity(expected_close_on=day, expected_amount=amount, given_to=wang if amount > "2" else None)
    opportunity(expected_close_on=month(0), given_to=wang, expected_amount=None)
    for status in (WON, LOST):
        opportunity(expected_close_on=month(0), expected_amount="256", status=status)
    opportunity(expected_close_on=month(0), expected_amount="512").deleted_at = at(2026, 5, 5)

    found = figures("forecast", chen, *FORECAST)
    assert list(found) == ["overdue", *(f"{month(n):%Y-%m}" for n in range(12)), "later", "none"]
    assert {key: values for key, values in found.items() if values[0]} == {
        "overdue": (1, Decimal("1.00"), Decimal("0.50")),
        f"{month(0):%Y-%m}": (3, Decimal("6.00"), Decimal("3.00")),
        f"{month(1):%Y-%m}": (1, Decimal("8.00"), Decimal("4.00")),
        f"{month(11):%Y-%m}": (1, Decimal("16.00"), Decimal("8.00")),
        "later": (2, Decimal("96.00"), Decimal("48.00")),
        "none": (1, Decimal("128.00"), Decimal("64.00")),
    }
    with asked("forecast", chen) as (ask, table):
        assert tuple(table.total.values[key] for key in FORECAST) == (9, Decimal("255.00"), Decimal("127.50"))
        assert check_rows(ask, table) == 3 * 16
        assert BY_ID["forecast"].note(ask, table).startswith("2 open opportunities are overdue or")


@pytest.mark.parametrize(
    ("amount", "probability", "weighted"),
    [
        ("0.01", 49, "0.00"),
        ("0.01", 50, "0.01"),
        ("0.01", 100, "0.01"),
        ("0.03", 50, "0.02"),  # 1.5 cents; half to even would say the same
        ("0.05", 50, "0.03"),  # 2.5 cents; half to even would say 0.02
        ("33.33", 33, "11.00"),
        ("99.99", 0, "0.00"),
        ("999999999999.99", 99, "989999999999.99"),
        (None, 50, "0.00"),
    ],
)
def test_an_opportunity_is_weighted_to_the_cent(db, chen, amount, probability, weighted):
    opportunity(expected_amount=amount, probability=probability)
    assert figures("forecast", chen, "weighted")["none"] == (Decimal(weighted),)


def test_weighted_amounts_are_rounded_before_they_are_added_up(db, chen):
    for _ in range(3):
        opportunity(expected_amount="0.01", probability=50)
    with asked("forecast", chen) as (ask, table):
        rows = rows_behind(ask, table.column("weighted"), "none")
        assert [row.amount for row in rows.rows] == [Decimal("0.01")] * 3
        assert table.total.values["weighted"] == rows.amount == Decimal("0.03")


def test_the_forecast_of_one_manager(db, chen, wang, zhao):
    opportunity(given_to=wang, expected_amount="10", expected_close_on=month(2))
    opportunity(given_to=zhao, expected_amount="20", expected_close_on=month(2))
    opportunity(expected_amount="40", expected_close_on=month(2))
    with asked("forecast", chen) as (ask, _table):
        offered = ask.report.filter("manager").offered()
    assert {code for code, _name in offered} == {str(wang.id), str(zhao.id)}
    line = f"{month(2):%Y-%m}"
    assert figures("forecast", chen, "expected", manager=str(wang.id))[line] == (Decimal("10.00"),)
    assert figures("forecast", chen, "expected", manager="7' OR 1")[line] == (Decimal("70.00"),)


def entered(n):
    """The wall clock on the tenth of the month `n` months from now."""
    return (month(n).year, month(n).month, 10, 9)


def test_the_forecast_of_a_month_that_is_over_says_what_was_expected_when_it_ended(db, chen, wang):
    date_then, date_now = month(1), month(2)
    changed = opportunity(entered=entered(-3), expected_amount="100.10", probability=50, expected_close_on=date_then)
    dated = opportunity(entered=entered(-3), expected_amount=None, probability=10, expected_close_on=None)
    as_it_was = opportunity(entered=entered(-3), expected_amount="7", probability=100, expected_close_on=date_then)
    opportunity(entered=entered(-2), expected_amount="20", expected_close_on=month(-1), status=WON, given_to=wang)
    opportunity(entered=entered(-3), expected_amount="40", status=WON, closed_at=at(*entered(-2)))
    opportunity(entered=(month(0).year, month(0).month, 1, 0, 0, 1), expected_amount="80", expected_close_on=date_then)
    db.session.commit()
    for amount, probability in (("300", 90), ("700.70", 100)):  # twice: the first change says what was before
        changed.expected_amount, changed.probability, changed.expected_close_on = Decimal(amount), probability, date_now
        dated.expected_amount, dated.expected_close_on = Decimal(amount), date_now
        db.session.commit()
    as_it_was.title = "别的采购"  # another field's change says nothing
    db.session.commit()

    then, now, nothing = f"{date_then:%Y-%m}", f"{date_now:%Y-%m}", (0, Decimal("0.00"), Decimal("0.00"))
    with asked("forecast", chen, period=f"{month(-1):%Y-%m}") as (ask, table):
        assert check_rows(ask, table) == 3 * 16
        lines = {line.key: tuple(line.values[key] for key in FORECAST) for line in table.lines}
    assert {key: values for key, values in lines.items() if values != nothing} == {
        "overdue": (1, Decimal("20.00"), Decimal("10.00")),
        then: (2, Decimal("107.10"), Decimal("57.05")),
        "none": (1, Decimal("0.00"), Decimal("0.00")),
    }
    with asked("forecast", chen) as (ask, table):
        line = next(line for line in table.lines if line.key == then)
        assert tuple(line.values[key] for key in FORECAST) == (2, Decimal("87.00"), Decimal("47.00"))
        assert tuple(line.before[key] for key in FORECAST) == lines[then]
        line = next(line for line in table.lines if line.key == now)
        assert tuple(line.values[key] for key in FORECAST) == (2, Decimal("1401.40"), Decimal("770.77"))
        assert tuple(line.before[key] for key in FORECAST) == nothing
        assert (table.total.values["opportunities"], table.total.before["opportunities"]) == (4, 4)


def test_lines_of_the_forecast_are_compared_only_with_the_same_months(db, chen, wang):
    opportunity(entered=entered(-4), expected_amount="100", expected_close_on=month(-1), given_to=wang)
    opportunity(entered=entered(-4), expected_amount="40", expected_close_on=month(11))
    with asked("forecast", chen) as (ask, table):  # as of now beside the end of last month: the same months
        assert sum(line.before["expected"] for line in table.lines) == table.total.before["expected"] == Decimal("140")
    for code in (f"{month(-1):%Y-%m}", f"{month(-12).year}"):
        with asked("forecast", chen, period=code) as (ask, table):
            assert {bool(line.before) for line in table.lines} <= {False}
            closing.close(period.month_of(month(-2)))
            assert {bool(line.before) for line in closing.table_of(ask).lines} <= {False}
    with asked("forecast", chen, period=f"{month(-1):%Y-%m}") as (ask, _table):
        assert closing.table_of(ask).total.before["expected"] == Decimal("140.00")


def test_the_forecast_of_a_closed_month_stays_as_it_was_reported(db, chen, sign_in):
    one = opportunity(entered=entered(-3), expected_amount="100", probability=50, expected_close_on=month(1))
    db.session.commit()
    over = period.month_of(month(-1))
    closing.close(over)
    opportunity(entered=entered(-2), expected_amount="11", probability=50, expected_close_on=month(1))  # entered late
    one.expected_amount = Decimal("900")
    db.session.commit()

    with asked("forecast", chen, period=over.code) as (ask, _table):
        table = closing.table_of(ask)
    assert (table.total.values["expected"], table.total.now["expected"]) == (Decimal("100.00"), Decimal("111.00"))


def test_months_of_the_forecast_lead_to_their_rows(db, chen, sign_in):
    opportunity(expected_amount="10", expected_close_on=month(2), customer_name="恒锐精密")
    browser = sign_in(chen)
    page = browser.get("/reports/forecast/").get_data(as_text=True)
    picture = re.search(r'(?s)<svg[^>]*class="lk-chart columns".*?</svg>', page)[0]
    links = [link.replace("&amp;", "&") for link in re.findall(r'<a href="([^"]*)"', picture)]
    assert len(links) == 2 * 12
    (weighted,) = [link for link in links if f"line={month(2):%Y-%m}" in link and "column=weighted" in link]
    rows = text_of(browser.get(weighted))
    assert "恒锐精密 · 采购新生产线" in rows
    assert "¥5.00" in rows


# -- plans --------------------------------------------------------------------------------------------------------

PLANS = ("closed", "won", "rate", "steps", "executed", "mean_slip", "mean_first")


@pytest.fixture
def closed(db, wang, zhao):
    """Closed in May: three of wang with 2, 0 and 7 steps, one of zhao with a step too many."""
    given = {"given_to": wang, "entered": (2026, 4, 1, 9), "assigned_at": at(2026, 4, 2, 23, 59)}
    first = opportunity(status=WON, closed_at=at(2026, 5, 1, 0, 0), **given)
    done(first, (2026, 4, 10), 2026, 4, 13, 0, 10)  # 3 days late: still the 12th in UTC; 11 days after it was given
    done(first, (2026, 4, 20), 2026, 4, 19, 9)  # 1 day early
    opportunity(status=LOST, close_kind=CloseKind.terminated, closed_at=at(2026, 5, 31, 23, 59, 59), **given)
    long = opportunity(status=LOST, closed_at=at(2026, 5, 9, 9), **given)
    for day in range(1, 7):
        builders.plan_step(long, planned_on=date(2026, 5, day))
    done(long, (2026, 4, 4), 2026, 4, 4, 9)  # on its day, 2 days after it was given
    other = opportunity(status=LOST, closed_at=at(2026, 5, 9, 9), **{**given, "given_to": zhao})
    done(other, (2026, 4, 1), 2026, 4, 1, 18)  # before zhao got it
    db.session.commit()


def test_plans_by_manager(closed, chen, wang, zhao):
    found = figures("plans", chen, *PLANS, **MAY)
    assert found == {
        str(wang.id): (3, 1, Decimal("33.3"), 9, 3, Decimal("0.7"), Decimal("6.5")),
        str(zhao.id): (1, 0, Decimal("0.0"), 1, 1, Decimal("0.0"), None),
    }
    assert list(found) == [str(wang.id), str(zhao.id)]
    with asked("plans", chen, **MAY) as (ask, table):
        assert [line.label for line in table.lines] == ["王强", "赵敏"]
        assert tuple(table.total.values[key] for key in PLANS) == (
            4, 1, Decimal("25.0"), 10, 4, Decimal("0.5"), Decimal("6.5"),
        )  # fmt: skip
        assert check_rows(ask, table) == 3 * 6
        slips = rows_behind(ask, table.column("slip"), str(wang.id))
        assert sorted(row.amount for row in slips.rows) == [-1, 0, 3]
        assert (slips.amount, rows_behind(ask, table.column("first_days"), TOTAL).amount) == (2, 13)


def test_plans_of_one_manager_by_their_length(closed, chen, wang, zhao):
    """Success rate by number of steps, slip and days to the first step can be asked of one person."""
    one = {"by": "steps", "manager": str(wang.id), **MAY}
    with asked("plans", chen, **one) as (ask, table):
        assert {
            line.key: tuple(line.values[key] for key in PLANS) for line in table.lines if line.values["closed"]
        } == {
            "0": (1, 0, Decimal("0.0"), 0, 0, None, None),
            "2": (1, 1, Decimal("100.0"), 2, 2, Decimal("1.0"), Decimal("11.0")),
            "6": (1, 0, Decimal("0.0"), 7, 1, Decimal("0.0"), Decimal("2.0")),
        }
        assert tuple(table.total.values[key] for key in PLANS) == (
            3, 1, Decimal("33.3"), 9, 3, Decimal("0.7"), Decimal("6.5"),
        )  # fmt: skip
        assert check_rows(ask, table) == 8 * 6
        assert ask.args == {**one, "period": "2026-05"}
    assert figures("plans", chen, "closed", manager=str(zhao.id), **MAY) == {str(zhao.id): (1,)}
    with asked("plans", zhao, **one) as (_ask, table):  # wang is nobody of hers: she reads what she reads without him
        assert table.total.values["closed"] == 1


def test_the_manager_goes_along_into_rows_file_and_print(closed, chen, sign_in, wang):
    browser, asked_for = sign_in(chen), {"manager": str(wang.id), "by": "steps", **MAY}
    page = browser.get("/reports/plans/", query_string=asked_for).get_data(as_text=True)
    assert f'<option value="{wang.id}" selected>王强</option>' in page
    links = {link.replace("&amp;", "&") for link in re.findall(r'href="(/reports/plans/[^"]*)"', page)}
    assert links
    assert all(f"manager={wang.id}" in link for link in links if "?" in link)
    rows = text_of(browser.get("/reports/plans/rows", query_string={**asked_for, "line": "total", "column": "closed"}))
    assert "Closed opportunities 3" in rows
    assert "Account manager: 王强" in rows
    assert "Account manager: 王强" in text_of(browser.get("/reports/plans/print", query_string=asked_for))
    file = browser.post("/reports/plans/export", {"format": "csv", **asked_for}).data.decode("utf-8-sig")
    assert [line.split(",")[:2] for line in file.splitlines()[-1:]] == [["Total", "3"]]


def test_a_closed_month_of_plans_was_reported_of_all_managers(closed, chen, wang, zhao):
    closing.close(period.parse("2026-05"))
    opportunity(status=WON, given_to=zhao, closed_at=at(2026, 5, 9, 9), entered=(2026, 1, 1, 0))
    with asked("plans", chen, **MAY) as (ask, _table):
        table = closing.table_of(ask)
        assert (table.total.values["closed"], table.total.now["closed"]) == (4, 5)
    with asked("plans", chen, manager=str(zhao.id), **MAY) as (ask, _table):
        table = closing.table_of(ask)
        assert (table.closed_at, table.unkept, table.total.values["closed"], table.total.now) == (None, 1, 2, {})


def test_plans_by_their_length(closed, chen):
    with asked("plans", chen, by="steps", **MAY) as (ask, table):
        assert [str(line.label) for line in table.lines][::3] == [
            "0 plan steps",
            "3 plan steps",
            "6 or more plan steps",
        ]
        assert {line.key: tuple(line.values[key] for key in PLANS) for line in table.lines} == {
            "0": (1, 0, Decimal("0.0"), 0, 0, None, None),
            "1": (1, 0, Decimal("0.0"), 1, 1, Decimal("0.0"), None),
            "2": (1, 1, Decimal("100.0"), 2, 2, Decimal("1.0"), Decimal("11.0")),
            **dict.fromkeys("345", (0, 0, None, 0, 0, None, None)),
            "6": (1, 0, Decimal("0.0"), 7, 1, Decimal("0.0"), Decimal("2.0")),
        }
        assert check_rows(ask, table) == 8 * 6


@pytest.mark.parametrize(
    ("closed_at", "month"),
    [
        ((2026, 4, 30, 23, 59, 59), "2026-04"),
        ((2026, 5, 1, 0, 0), "2026-05"),  # 30 April in UTC
        ((2026, 5, 31, 23, 59, 59), "2026-05"),
        ((2026, 6, 1, 0, 0), "2026-06"),
    ],
)
def test_an_opportunity_is_closed_in_the_companys_month(db, chen, wang, closed_at, month):
    opportunity(status=WON, given_to=wang, closed_at=at(*closed_at), entered=(2026, 1, 1, 0))
    found = {m: figures("plans", chen, "closed", period=m) for m in ("2026-04", "2026-05", "2026-06")}
    assert {m: one for m, one in found.items() if any(closed for (closed,) in one.values())} == {
        month: {str(wang.id): (1,)}
    }


def test_plans_stand_beside_those_of_the_month_before(closed, chen, wang):
    opportunity(status=WON, given_to=wang, closed_at=at(2026, 4, 30, 23, 59), entered=(2026, 1, 1, 0))
    with asked("plans", chen, **MAY) as (_ask, table):
        assert [line.before.get("rate") for line in table.lines] == [Decimal("100.0"), None]
        assert table.total.before["closed"] == 1


def test_open_and_deleted_opportunities_are_no_executed_plans(db, chen, wang, sign_in):
    opportunity(given_to=wang)
    opportunity(status=LOST, given_to=wang, closed_at=at(2026, 5, 5)).deleted_at = at(2026, 5, 6)
    assert figures("plans", chen, "closed", **MAY) == figures("plans", chen, "closed", by="steps", **MAY) == {}
    assert "Nothing to count" in text_of(sign_in(chen).get("/reports/plans/?period=2026-05"))


def test_success_rates_are_drawn_and_lead_to_their_opportunities(closed, chen, sign_in, wang):
    browser = sign_in(chen)
    page = browser.get("/reports/plans/?period=2026-05").get_data(as_text=True)
    picture = re.search(r'(?s)<svg[^>]*class="lk-chart hbar".*?</svg>', page)[0]
    assert ">33.3%</text>" in picture
    assert ">0.0%</text>" in picture
    link = re.search(r'<a href="([^"]*)"', picture)[1].replace("&amp;", "&")
    assert f"line={wang.id}" in link
    assert "Closed opportunities 3" in text_of(browser.get(link))


# -- all three ----------------------------------------------------------------------------------------------------


@pytest.fixture
def of_many(db, wang, zhao, li):
    """Open and won opportunities: wang's own, one he entered for zhao, and two that are none of his."""
    for given in (
        {"given_to": wang}, {"by": wang, "given_to": zhao}, {"by": li, "given_to": zhao}, {"by": li},
        {"given_to": wang, "status": WON}, {"given_to": zhao, "status": WON},
    ):  # fmt: skip
        opportunity(expected_amount="10", closed_at=at(2026, 5, 9, 9) if "status" in given else None, **given)
    db.session.commit()


@pytest.mark.parametrize(
    ("name", "seen"), [("wang", (3, 2, 1)), ("zhao", (3, 2, 1)), ("li", (6, 4, 2)), ("chen", (6, 4, 2))]
)
def test_a_manager_sees_what_he_entered_or_was_given(of_many, request, name, seen):
    person = request.getfixturevalue(name)
    columns = ("opportunities", "opportunities", "closed")
    for report, column, number in zip(("funnel", "forecast", "plans"), columns, seen, strict=True):
        with asked(report, person, **MAY) as (ask, table):
            assert table.total.values[column] == number
            assert came(ask, table.column(column), TOTAL) == number


def test_nobody_chooses_a_manager_whose_opportunities_he_does_not_see(of_many, wang, zhao, chen):
    other = builders.user()
    opportunity(given_to=other)
    opportunity(given_to=other, status=LOST, closed_at=at(2026, 5, 9, 9))
    for report, column, number in (
        ("funnel", "opportunities", 2),
        ("forecast", "opportunities", 1),
        ("plans", "closed", 1),
    ):
        with asked(report, wang, manager=str(other.id), **MAY) as (ask, _table):
            assert {code for code, _n in ask.report.filter("manager").offered()} == {str(wang.id), str(zhao.id)}
            assert ask.values["manager"] == ""
        with asked(report, chen, manager=str(other.id), **MAY) as (_ask, table):
            assert table.total.values[column] == number


def people(number):
    """So many more who have had an opportunity."""
    made = [
        User(username=f"staff{n}", first_name=f"{n:03}", last_name="员工", email=f"staff{n}@liuke.example", active=True)
        for n in range(1, number + 1)
    ]
    made[-1].last_name, made[-1].first_name = "林", "静雯"
    database.session.add_all(made)
    database.session.flush()
    rest = {"status": WON, "created_customer": False, "customer": builders.customer(), "close_kind": CloseKind.won}
    for one in made:
        given = {"customer_name": "恒锐", "title": "产线", "probability": 50, "description": "扩建", "assignee": one}
        now = {"created_at": at(2026, 5, 4), "assigned_at": at(2026, 5, 5), "closed_at": at(2026, 5, 6)}
        database.session.add(Opportunity(**given, **now, **rest))
    database.session.commit()
    return made


def test_a_long_list_of_managers_is_searched_not_shown(app, db, chen, sysadmin, wang, sign_in):
    shown = FEW - len(period.offered(today()))  # so many beside the time spans
    *_others, last = people(shown)
    browser = sign_in(chen)
    for report in ("funnel", "forecast", "plans"):
        page = browser.get(f"/reports/{report}/").get_data(as_text=True)
        picked = re.search(r'(?s)<select[^>]*name="manager".*?</select>', page)[0]
        assert (picked.count("<option"), "data-remote" in picked) == (1 + shown, False)

    for _number in range(FEW - shown + 1):  # so many that not even a page without time spans holds them
        opportunity(given_to=builders.user())
    opportunity(given_to=wang)
    db.session.commit()
    for report in ("funnel", "forecast", "plans"):
        page = browser.get(f"/reports/{report}/?manager={last.id}&period=2026").get_data(as_text=True)
        picked = re.search(r'(?s)<select[^>]*name="manager".*?</select>', page)[0]
        assert re.findall(r'<option value="(\d*)"( selected)?>([^<]*)<', picked) == [
            ("", "", "Everybody"), (str(last.id), " selected", "林静雯"),
        ]  # fmt: skip
        lookup = re.search(r'data-remote="([^"]*)"', picked)[1]
        assert browser.get(f"{lookup}?q=ljw").json == {"results": [{"id": last.id, "text": "林静雯"}], "more": False}
        first = browser.get(lookup).json
        assert (len(first["results"]), first["more"]) == (PAGE, True)
        assert browser.get(f"{lookup}?page=10").json["more"] is False
        facts = text_of(browser.get(f"/reports/{report}/print?manager={last.id}"))
        assert "Account manager: 林静雯" in facts
    own = sign_in(wang).get("/reports/funnel/lookup/manager").json
    assert own == {"results": [{"id": wang.id, "text": "王强"}], "more": False}
    assert browser.get("/reports/funnel/lookup/nonsense").status_code == 404
    assert browser.get("/reports/composition/lookup/manager").status_code == 404
    assert sign_in(sysadmin).get("/reports/funnel/lookup/manager").status_code == 403


@pytest.mark.parametrize("report", ["funnel", "forecast", "plans"])
def test_without_the_right_there_is_no_report(of_many, sysadmin, sign_in, report):
    browser = sign_in(sysadmin)
    assert browser.get(f"/reports/{report}/").status_code == 403
    assert browser.get(f"/reports/{report}/rows?line=total&column=opportunities").status_code == 403


def test_figures_are_their_rows_whatever_happened(db, chen, wang, zhao):
    chance = random.Random(11)
    for _ in range(40):
        status = chance.choice(list(OpportunityStatus))
        entered = at(2026, 4, 25) + timedelta(minutes=chance.randrange(60 * 24 * 60))
        later = entered + timedelta(minutes=chance.randrange(30 * 24 * 60))
        given = {"expected_amount": chance.choice([None, Decimal(chance.randrange(1, 10**7)) / 100])}
        if status is not OpportunityStatus.unassigned:
            given |= {"given_to": chance.choice([wang, zhao]), "assigned_at": later}
        if status in (WON, LOST):
            given["closed_at"] = later + timedelta(minutes=chance.randrange(20 * 24 * 60))
        made = builders.opportunity(
            created_at=entered, status=status, probability=chance.randrange(101),
            expected_close_on=chance.choice([None, month(0) + timedelta(days=chance.randrange(-40, 500))]), **given,
        )  # fmt: skip
        for _ in range(chance.randrange(9) if status is not OpportunityStatus.unassigned else 0):
            when = later + timedelta(minutes=chance.randrange(-9999, 9999))
            ran = {"result": "已联系", "executed_at": when} if chance.random() < 0.6 else {}
            builders.plan_step(made, planned_on=date(2026, 5, chance.randrange(1, 32)), **ran)
    for report, given in (
        ("funnel", {}), ("funnel", {"manager": str(wang.id)}), ("forecast", {}), ("plans", {}),
        ("plans", {"by": "steps"}), ("plans", {"by": "steps", "manager": str(zhao.id)}),
    ):  # fmt: skip
        with asked(report, chen, period="2026-Q2", **given) as (ask, table):
            assert table.total.values[table.columns[0].key] > 2
            assert check_rows(ask, table) > 10


def test_the_figures_of_a_report_are_one_statement(app, of_many, chen):
    for report in ("funnel", "forecast", "plans"):
        with asked(report, chen, **MAY) as (ask, _table), statements(app) as seen:
            BY_ID[report].table(ask, compare=False)
        assert len([s for s in seen if "opportunity" in s]) == 1
