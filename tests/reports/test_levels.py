"""Level migration: exact cells read back from the history, the company's midnight, and the rows behind each."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from urllib.parse import unquote

import pytest

from app.churn.models import ChurnStatus
from app.core.changes import moving
from app.core.models import FieldChange
from app.customers.models import CustomerStatus
from app.masterdata.models import DictionaryType
from app.reports import closing, period
from app.reports.kinds.levels import Levels
from tests import builders
from tests.reports.cells import asked, figures, shanghai, totals, walk
from tests.support import statements, text_of

LEVELS = Levels()
BEFORE = date(2024, 12, 31)


@pytest.fixture
def level(db):
    """The level of a code."""
    return lambda code: builders.dictionary(DictionaryType.level, code)


@pytest.fixture
def customer(db, level):
    """A customer that went through these levels: the first one, then (code, when) for each change."""

    def make(first, *changes, owner=None, registered_on=BEFORE, **given):
        made = builders.customer(level=level(first), owner=owner, registered_on=registered_on, **given)
        for code, when in changes:
            with moving("customer", "edit", actor=None, at=shanghai(*when)):
                made.level, made.memo = level(code), f"{made.memo}x"
                db.session.flush()
        db.session.commit()
        return made

    return make


def cells(table, level):
    """Line label -> {level code or lost: customers} without zeros."""
    ends = {f"to-{level(code).id}": code for code in "12345"} | {"lost": "lost"}
    found = {str(line.label): {ends[k]: v for k, v in line.values.items() if k in ends and v} for line in table.lines}
    return {label: row for label, row in found.items() if row}


def test_customers_stay_rise_and_fall(db, li, customer, level):
    customer("1")
    customer("1", ("2", (2025, 3, 3, 9)))
    customer("1", ("2", (2025, 3, 3, 9)), ("3", (2025, 9, 9, 9)))
    customer("3", ("1", (2025, 5, 5, 9)))
    customer("2", ("4", (2025, 5, 5, 9)), ("2", (2025, 6, 6, 9)))
    customer("5", registered_on=date(2025, 1, 1))
    customer("1", ("2", (2025, 12, 31, 9)), registered_on=date(2025, 12, 31))
    customer("1", registered_on=date(2026, 1, 1))
    customer("1", status=CustomerStatus.deleted)

    ask = asked(LEVELS, li, period="2025")
    table = walk(ask)

    assert cells(table, level) == {
        "Regular": {"1": 1, "2": 1, "3": 1},
        "Focus": {"2": 1},
        "Major": {"1": 1},
        "Newly registered": {"5": 1, "2": 1},
    }
    assert figures(table, "all") == {"Regular": (3,), "Focus": (1,), "Major": (1,), "Newly registered": (2,)}
    assert totals(table, "all") == (7,)
    assert LEVELS.note(ask, table) == "Up: 2 · down: 1 · lost: 0"


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ((2024, 12, 31, 23, 59, 59), {"Focus": {"2": 1}}),
        ((2025, 1, 1, 0, 0), {"Regular": {"2": 1}}),
        ((2025, 12, 31, 23, 59, 59), {"Regular": {"2": 1}}),
        ((2026, 1, 1, 0, 0), {"Regular": {"1": 1}}),
    ],
)
def test_the_year_begins_and_ends_at_the_companys_midnight(db, li, customer, level, when, expected):
    customer("1", ("2", when))

    assert cells(walk(asked(LEVELS, li, period="2025")), level) == expected


DAYS = {"start": "2025-03-15", "end": "2025-07-20"}


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ((2025, 3, 14, 23, 59, 59), {"Focus": {"2": 1}}),
        ((2025, 3, 15, 0, 0), {"Regular": {"2": 1}}),
        ((2025, 7, 20, 23, 59, 59), {"Regular": {"2": 1}}),
        ((2025, 7, 21, 0, 0), {"Regular": {"1": 1}}),
    ],
)
def test_two_dates_are_asked_from_midnight_to_midnight(db, li, customer, level, when, expected):
    customer("1", ("2", when))
    customer("3", registered_on=date(2025, 7, 20))
    customer("3", registered_on=date(2025, 7, 21))

    ask = asked(LEVELS, li, **DAYS)
    table = walk(ask)
    assert cells(table, level) == {**expected, "Newly registered": {"3": 1}}
    assert (ask.args["period"], ask.at(ask.span.before).args["period"]) == (
        "2025-03-15..2025-07-20", "2024-11-07..2025-03-14",
    )  # fmt: skip
    assert cells(LEVELS.table(LEVELS.ask(ask.args)), level) == cells(table, level)


def test_beside_two_dates_stand_as_many_days_before_them(db, li, customer, level):
    customer("1", ("2", (2024, 11, 7, 0, 0)), ("3", (2025, 3, 15, 0, 0)), registered_on=date(2024, 11, 6))
    ask = asked(LEVELS, li, **DAYS)
    table = walk(ask)
    regular, focus, major = (level(code).id for code in "123")
    now = {line.key: line.values[f"to-{major}"] for line in table.lines if line.values["all"]}
    before = {line.key: line.before[f"to-{focus}"] for line in table.lines if line.before["all"]}
    assert (now, before) == ({str(focus): 1}, {str(regular): 1})
    assert cells(walk(ask.at(ask.span.before)), level) == {"Regular": {"2": 1}}


@pytest.mark.once
@pytest.mark.parametrize(
    ("start", "end", "code"),
    [
        ("2025-03-15", "2025-07-20", "2025-03-15..2025-07-20"),
        ("2025-07-20", "2025-03-15", "2025-03-15..2025-07-20"),
        ("2025-03-15", "2025-03-15", "2025-03-15..2025-03-15"),
        ("2025-01-01", "2025-12-31", "2025"),
        ("2025-04-01", "2025-06-30", "2025-Q2"),
        ("2025-02-01", "2025-04-30", "2025-02-01..2025-04-30"),
        ("2025-02-01", "2025-02-28", "2025-02"),
        ("2024-07-01", "2025-06-30", "2025-06-12m"),
        ("1970-01-01", "2100-12-31", "1970-01-01..2100-12-31"),
        ("1969-12-31", "2025-01-01", None),
        ("2025-01-01", "2101-01-01", None),
        ("2025-02-30", "2025-03-01", None),
        ("", "2025-03-01", None),
        ("٢٠٢٥-01-01", "2025-03-01", None),
    ],
)
def test_two_dates_in_an_address(start, end, code):
    found = period.between(start, end)
    assert (found.code if found else None) == code
    if found is not None:
        assert (period.parse(code) or period.parse_days(code)) == found
        assert found.before.until == found.first
    assert period.parse(f"{start}..{end}") is None  # only a report that may be asked so reads it


def test_two_dates_go_along_into_rows_files_print_and_back(db, li, customer, level, sign_in):
    customer("1", ("2", (2025, 3, 15, 0, 0)), name="恒锐精密")
    browser = sign_in(li)
    page = browser.get("/reports/levels/", query_string={"start": "2025-07-20", "end": "2025-03-15", "team": "x"})
    assert "Small figures: the change from 2024-11-07 to 2025-03-14." in text_of(page)
    html = page.get_data(as_text=True)
    assert '<option value="2025-03-15..2025-07-20" selected>Custom dates</option>' in html
    assert re.findall(r'type="date" name="(\w+)" required value="([^"]*)"', html) == [
        ("start", "2025-03-15"), ("end", "2025-07-20"),
    ]  # fmt: skip
    links = [link.replace("&amp;", "&") for link in re.findall(r'href="(/reports/levels/[^"]*)"', html)]
    rows, printed = (next(link for link in links if word in link) for word in ("column=all", "/print"))
    assert "恒锐精密" in text_of(browser.get(rows))
    assert "Time span: 2025-03-15 to 2025-07-20" in text_of(browser.get(printed))
    code = "2025-03-15..2025-07-20"
    answer = browser.post("/reports/levels/export", {"format": "csv", "period": code})
    assert "2025-03-15 to 2025-07-20-The whole company.csv" in unquote(answer.headers["Content-Disposition"])
    assert "Customers 2024-11-07 to 2025-03-14" in answer.data.decode()
    for start, end in (("2025-03-15", ""), ("0001-01-01", "9999-12-31"), ("x", "2025-03-15")):
        wrong = browser.get("/reports/levels/", query_string={"start": start, "end": end})
        assert "Give two dates from 1970 to 2100, for example 2026-03-15 and 2026-07-20." in text_of(wrong)
        assert f'name="start" required value="{start}"' in wrong.get_data(as_text=True)
    for report in ("contribution", "churn-analysis"):
        other = browser.get(f"/reports/{report}/?period={code}").get_data(as_text=True)
        assert "2025-03-15 to" not in other
        assert 'name="start"' not in other


def test_between_two_dates_whole_closed_months_are_told_and_a_month_is_as_reported(db, li, customer, level):
    customer("1", ("2", (2025, 5, 5, 9)))
    closing.close(period.parse("2025-05"))
    for month in (3, 7):  # parts of which lie in it
        builders.report_close(report="levels", month=date(2025, month, 1))
    assert closing.table_of(asked(LEVELS, li, **DAYS)).recounted == 1
    table = closing.table_of(LEVELS.ask({"start": "2025-05-01", "end": "2025-05-31"}))
    assert table.closed_at is not None
    assert table.recounted == 0


def test_changes_after_the_period_are_undone_at_both_its_ends(db, li, customer, level):
    customer("1", ("3", (2025, 2, 2)), ("5", (2026, 2, 2)), ("4", (2026, 3, 3)))

    assert cells(walk(asked(LEVELS, li, period="2025")), level) == {"Regular": {"3": 1}}
    assert cells(walk(asked(LEVELS, li, period="2026-Q1")), level) == {"Major": {"4": 1}}


def test_beside_the_moves_stand_those_of_the_period_before(db, li, customer, level):
    customer("1", ("2", (2024, 5, 5)), ("3", (2025, 5, 5)), registered_on=date(2023, 12, 31))
    customer("1", ("2", (2025, 6, 6)), registered_on=date(2023, 12, 31))

    table = walk(asked(LEVELS, li, period="2025"))

    regular = next(line for line in table.lines if str(line.label) == "Regular")
    to_two, to_one = (f"to-{level(code).id}" for code in "21")
    assert (regular.values[to_two], regular.before[to_two]) == (1, 1)
    assert (regular.values[to_one], regular.before[to_one]) == (0, 1)
    assert (table.total.values["all"], table.total.before["all"]) == (2, 2)


def test_other_changes_refusals_and_other_records_change_no_level(db, li, customer, level):
    kept = customer("2")
    given = {"record_id": kept.id, "move": "customer.edit", "at": shanghai(2025, 3, 3)}
    other = {"field": "level_id", "before": str(level("1").id), "after": str(level("2").id)}
    db.session.add_all(
        [
            FieldChange(record_type="contact", **given, **other),
            FieldChange(record_type="customer", field="memo", before=other["before"], after="level_id", **given),
            FieldChange(record_type="customer", **given),
            FieldChange(record_type="customer", **given, **{**other, "before": str(2**31 - 1)}),
        ]
    )
    db.session.commit()

    assert cells(walk(asked(LEVELS, li, period="2025")), level) == {"Focus": {"2": 1}}


def test_lost_and_won_back(db, li, customer, level):
    def case(who, lost_at, resolved_at=None):
        builders.churn_case(
            who, status=ChurnStatus.won_back if resolved_at else ChurnStatus.lost, opened_at=shanghai(2024, 11, 2),
            lost_at=shanghai(*lost_at), resolved_at=shanghai(*resolved_at) if resolved_at else None,
        )  # fmt: skip

    case(customer("1", status=CustomerStatus.lost), (2025, 12, 31, 23, 59))
    case(customer("1", status=CustomerStatus.lost), (2026, 1, 1, 0, 0))
    case(customer("2", status=CustomerStatus.lost), (2024, 12, 31, 23, 59))
    case(customer("3"), (2024, 12, 31, 23, 59), (2025, 1, 1, 0, 0))
    case(customer("4"), (2025, 2, 2), (2025, 3, 3))
    both = customer("5", status=CustomerStatus.lost)
    case(both, (2024, 12, 1), (2025, 3, 3))
    case(both, (2025, 10, 1))
    case(customer("2", registered_on=date(2025, 1, 1), status=CustomerStatus.lost), (2025, 10, 1))

    table = walk(asked(LEVELS, li, period="2025"))

    assert cells(table, level) == {
        "Regular": {"1": 1, "lost": 1},
        "Partner": {"4": 1},
        "Newly registered": {"lost": 1},
        "Won back": {"3": 1},
    }
    assert totals(table, "lost") == (2,)


def test_a_manager_sees_his_own_customers(db, wang, zhao, customer, level):
    customer("1", ("2", (2025, 3, 3)), owner=wang)
    customer("1", ("3", (2025, 3, 3)), owner=zhao)

    assert cells(walk(asked(LEVELS, wang, period="2025")), level) == {"Regular": {"2": 1}}


def test_nobody(db, li):
    ask = asked(LEVELS, li, period="2025")
    table = walk(ask)

    assert totals(table, "all") == (0,)
    assert LEVELS.charts(ask, table, lambda line, column: None) == []


def test_the_page_and_the_rows_of_a_cell(app, sign_in, chen, customer, level):
    risen = customer("1", ("2", (2025, 3, 3)), name="东方机械有限公司")
    for _ in range(3):
        customer("2", ("1", (2025, 3, 3)))
    reader = sign_in(chen)

    page = reader.get("/reports/levels/?period=2025").get_data(as_text=True)
    cell = f"line={level('1').id}&column=to-{level('2').id}"
    assert "lk-chart stacked" in page
    assert cell.replace("&", "&amp;") in page
    rows = text_of(reader.get(f"/reports/levels/rows?period=2025&{cell}"))
    assert "东方机械有限公司" in rows
    assert rows.count("KH000000") == 1
    assert risen.number in rows

    with statements(app) as few:
        reader.get("/reports/levels/?period=2025")
    for _ in range(5):
        customer("3", ("1", (2025, 3, 3)))
    with statements(app) as many:
        reader.get("/reports/levels/?period=2025")
    assert len(many) == len(few)


def test_with_more_levels_than_colours_the_smallest_are_drawn_together(db, sign_in, chen, level, customer):
    more = [builders.dictionary_item(type=DictionaryType.level, label=f"第{n}级") for n in range(3)]
    for code in "12345":
        for _ in range(int(code) + 1):
            customer(code)
    for item in more:
        builders.customer(level=item, registered_on=BEFORE)
    db.session.commit()

    page = sign_in(chen).get("/reports/levels/?period=2025").get_data(as_text=True)
    legend = re.findall(r'<i class="k(\d)"></i>([^<]*)<', page)
    assert [colour for colour, _name in legend[:6]] == list("123456")
    assert legend[5][1] == "Others"
    assert {name for _colour, name in legend[:5]} == {f"To {level(code).label}" for code in "12345"}
    table = re.search(r"(?s)Show as a table</summary>.*?</table>", page)[0]
    rows = [re.sub(r"<[^>]+>", " ", row).split() for row in re.findall(r"(?s)<tr>(.*?)</tr>", table)[1:]]
    assert len(rows) == 8
    for row in rows:  # what each column of the chart says, adding up to a hundred
        assert sum(Decimal(part.rstrip("%")) for part in row[-6:]) == 100
    assert [row[-1] for row in rows if row[0].startswith("第")] == ["100%"] * 3
    ring = re.search(r'(?s)<section class="card [^"]*" aria-labelledby="card-composition">.*?</section>',
                     sign_in(chen).get("/dashboard/").get_data(as_text=True))[0]  # fmt: skip
    own = re.findall(r'<li><i class="k(\d)"></i>([^<]*)<', ring)
    assert [colour for colour, _name in own] == list("123456")
    assert own[5][1] == "Others"
