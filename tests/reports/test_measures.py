"""挽留效果: orders after the first measure, in windows that are over, beside the warnings nobody acted on."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from app.churn.models import ChurnCase, ChurnStatus, RetentionMeasure
from app.core.changes import TOLD
from app.customers.models import Customer, CustomerStatus
from app.masterdata.models import DictionaryType
from app.mirror.models import Order, OrderStatus
from app.reports import queries
from app.reports.catalogue import BY_ID
from app.reports.kinds import measures
from app.reports.kinds.measures import NOBODY, NONE, WINDOWS, Retention
from app.reports.span import running
from tests import builders
from tests.reports.reading import figures, reading, table_of, walked
from tests.support import rows, statements, text_of

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 5, 20, 7, 30, tzinfo=UTC)
OPENED = datetime(2025, 2, 28, 18, tzinfo=UTC)
AT = datetime(2025, 3, 10, 6, 7, 8, 9, tzinfo=UTC)  # the measure's microsecond, so that nothing is cut off
DAY, SECOND, MICROSECOND = timedelta(days=1), timedelta(seconds=1), timedelta(microseconds=1)
ORDERED = tuple(f"ordered_{n}" for n in WINDOWS)
KNOWN = tuple(f"known_{n}" for n in WINDOWS)


@pytest.fixture(autouse=True)
def now(monkeypatch):
    monkeypatch.setattr(measures, "utcnow", lambda: NOW)


def shanghai(*wall):
    """An instant by the company's wall clock."""
    return datetime(*wall, tzinfo=SHANGHAI).astimezone(UTC)


def kind(code):
    return builders.dictionary(DictionaryType.measure, code)


def deferred(at=AT, *, customer=None, type="call", opened_at=OPENED, **given):
    """A case with one measure."""
    case = builders.churn_case(customer, status=ChurnStatus.deferred, opened_at=opened_at, **given)
    builders.measure(case, at=at, type=kind(type) if type else None)
    return case


def report(app, person, *columns, period="2025", by="type"):
    """Line key -> these columns' values."""
    return figures(table_of(app, person, Retention(), period=period, by=by), *columns)


# -- what was planted is found ------------------------------------------------------------------------------------


def test_a_planted_effect_comes_back_exactly(app, db, li, sign_in):
    level = builders.customer().level_id
    names = [f"P{n}" for n in range(500)]
    db.session.add_all([Customer(name=name, number=name, level_id=level) for name in names])
    db.session.commit()
    ids = {c.number: c.id for c in rows(Customer)}
    opened = {
        n: {"id": 1_000_000 + n, "customer_id": ids[name], "opened_at": OPENED, "rule_months": 6,
            "rule_cutoff": OPENED, "status": ChurnStatus.deferred if n < 250 else ChurnStatus.warning}
        for n, name in enumerate(names)
    }  # fmt: skip
    db.session.execute(sa.insert(ChurnCase).execution_options(**TOLD), list(opened.values()))
    call = kind("call").id
    db.session.execute(
        sa.insert(RetentionMeasure).execution_options(**TOLD),
        [{"case_id": 1_000_000 + n, "text": "电话", "at": AT, "type_id": call} for n in range(250)],
    )
    orders = []
    for n in range(500):
        since = AT if n < 250 else OPENED
        bought = n < 100 or 250 <= n < 300
        on = since + (n % 90) * DAY + SECOND if bought else since + (90 + n % 90) * DAY
        status = OrderStatus.shipped
        orders.append((n, on, status))
        orders.append((n, since - DAY, OrderStatus.shipped))
        orders.append((n, since + 5 * DAY, OrderStatus.cancelled))
    db.session.execute(
        sa.insert(Order),
        [{"customer_id": ids[names[n]], "external_id": f"O{n}-{i}", "ordered_at": at, "status": status,
          "amount": Decimal("10.01"), "amount_derived": False} for i, (n, at, status) in enumerate(orders)],
    )  # fmt: skip
    db.session.commit()

    table = walked(app, li, Retention(), period="2025")
    found = figures(table, "deferred", "ordered_90", "rate_90", "ordered_180", "value")
    acted = (250, 100, Decimal("40.0"), 250, Decimal("2502.50"))
    assert found[f"{call}"] == found["total"] == acted
    assert found[NOBODY] == (250, 50, Decimal("20.0"), 250, Decimal("2502.50"))
    page = sign_in(li).speak("en").get("/reports/measures/?period=2025")
    assert (
        "Within 90 days of a measure 40.0 per cent of the customers ordered again, of those nobody did anything for "
        "20.0 per cent." in text_of(page)
    )
    html = page.get_data(as_text=True)
    assert html.count('class="lk-chart hbar"') == html.count('class="lk-chart columns"') == 2
    assert "(n=250)" in html
    assert ">40.0%</text>" in html


# -- windows ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "windows"),
    [
        (-DAY, (0, 0, 0, 0)),
        (-SECOND, (0, 0, 0, 0)),
        (timedelta(0), (0, 0, 0, 0)),
        (MICROSECOND, (1, 1, 1, 1)),
        (SECOND, (1, 1, 1, 1)),
        (timedelta(hours=3), (1, 1, 1, 1)),  # later the same day
        (30 * DAY - SECOND, (1, 1, 1, 1)),
        (30 * DAY - MICROSECOND, (1, 1, 1, 1)),
        (30 * DAY, (0, 1, 1, 1)),
        (60 * DAY - SECOND, (0, 1, 1, 1)),
        (60 * DAY, (0, 0, 1, 1)),
        (90 * DAY - SECOND, (0, 0, 1, 1)),
        (90 * DAY, (0, 0, 0, 1)),
        (180 * DAY - SECOND, (0, 0, 0, 1)),
        (180 * DAY, (0, 0, 0, 0)),
    ],
)
@pytest.mark.parametrize("measured", [True, False])
def test_an_order_counts_from_just_after_to_the_last_second_of_its_window(app, db, li, after, windows, measured):
    since = AT if measured else OPENED
    case = deferred() if measured else builders.churn_case(opened_at=OPENED)
    builders.order(case.customer, at=since + after, amount="12.34")
    line = f"{kind('call').id}" if measured else NOBODY
    found = report(app, li, *ORDERED, "value")
    assert found[line] == (*windows, Decimal("12.34") * windows[-1])


def test_cancelled_orders_and_other_customers_orders_are_none(app, db, li):
    case = deferred()
    builders.order(case.customer, at=AT + DAY, status=OrderStatus.cancelled)
    builders.order(at=AT + DAY)
    assert report(app, li, "deferred", *ORDERED, "value")["total"] == (1, 0, 0, 0, 0, Decimal("0.00"))
    builders.order(case.customer, at=AT + 2 * DAY, paid=False, status=OrderStatus.new)
    assert report(app, li, "deferred", *ORDERED)["total"] == (1, 1, 1, 1, 1)


@pytest.mark.parametrize(
    ("ago", "known"),
    [
        (30 * DAY - SECOND, (0, 0, 0, 0)),
        (30 * DAY, (1, 0, 0, 0)),
        (90 * DAY - MICROSECOND, (1, 1, 0, 0)),
        (90 * DAY, (1, 1, 1, 0)),
        (180 * DAY - SECOND, (1, 1, 1, 0)),
        (180 * DAY, (1, 1, 1, 1)),
    ],
)
def test_a_window_that_is_not_over_is_not_judged(app, db, li, ago, known):
    case = deferred(NOW - ago, opened_at=NOW - ago - DAY)
    builders.order(case.customer, at=NOW - ago + SECOND, amount="7")
    period = f"{(NOW - ago).astimezone(SHANGHAI).year}"
    found = report(app, li, *KNOWN, *ORDERED, "value", period=period)
    assert found["total"] == (*known, *known, Decimal(7) * known[-1])


def test_all_orders_of_the_window_are_summed_once_for_each_case(app, db, li):
    customer = builders.customer()
    builders.measure(
        builders.churn_case(customer, status=ChurnStatus.recovered, opened_at=OPENED, resolved_at=AT + 3 * DAY),
        at=AT, type=kind("call"),
    )  # fmt: skip
    deferred(AT + 10 * DAY, customer=customer, opened_at=AT + 9 * DAY, type="visit")
    for after, amount in ((-1, "1"), (2, "10.10"), (20, "100.20"), (185, "1000.40"), (200, "9999")):
        builders.order(customer, at=AT + after * DAY, amount=amount)
    found = report(app, li, "deferred", "ordered_180", "value")
    assert found[f"{kind('call').id}"] == (1, 1, Decimal("110.30"))
    assert found[f"{kind('visit').id}"] == (1, 1, Decimal("1100.60"))
    assert found["total"] == (2, 2, Decimal("1210.90"))
    walked(app, li, Retention(), period="2025")


@pytest.mark.parametrize(("cases", "rate"), [(9, None), (10, Decimal("10.0"))])
def test_a_rate_of_fewer_than_ten_is_not_shown(app, db, li, cases, rate):
    for n in range(cases):
        case = deferred()
        if n == 0:
            builders.order(case.customer, at=AT + DAY)
    deferred(NOW - 31 * DAY, opened_at=NOW - 32 * DAY)  # another period, and not 90 days old
    assert report(app, li, "ordered_90", "rate_90")["total"] == (1, rate)
    found = report(app, li, "deferred", "known_90", "rate_90", period="2026")
    assert found["total"] == (1, 0, None)


# -- which measure, which period, which group ---------------------------------------------------------------------


def test_the_first_measure_decides(app, db, li):
    case = deferred(AT + DAY, type="visit")
    builders.measure(case, at=AT, type=kind("discount"))  # written later, taken earlier
    builders.measure(case, at=AT, type=kind("call"))  # at the same moment, but behind it
    builders.order(case.customer, at=AT + SECOND)
    found = report(app, li, "deferred", "ordered_30")
    assert {key: values for key, values in found.items() if values[0]} == {
        f"{kind('discount').id}": (1, 1), "total": (1, 1),
    }  # fmt: skip


def test_every_measure_of_a_case_is_judged_by_what_came_after_it(app, db, li):
    case = deferred(AT, type="call")
    builders.measure(case, at=AT + 40 * DAY, type=kind("call"))
    builders.measure(case, at=AT + 50 * DAY, type=kind("visit"))
    builders.order(case.customer, at=AT + 45 * DAY, amount="100.00")
    builders.order(case.customer, at=AT + 55 * DAY, amount="7.00")
    untouched = builders.churn_case(builders.customer(), opened_at=OPENED)
    builders.order(untouched.customer, at=OPENED + DAY, amount="3.00")

    def asked(which):
        table = table_of(app, li, Retention(), period="2025", by="type", measures=which)
        found = figures(table, "deferred", *ORDERED, "value")
        return {key: found[key] for key in (str(kind("call").id), str(kind("visit").id), NOBODY) if any(found[key])}

    nobody = (1, 1, 1, 1, 1, Decimal("3.00"))
    assert asked("first") == {str(kind("call").id): (1, 0, 1, 1, 1, Decimal("107.00")), NOBODY: nobody}
    assert asked("every") == {
        str(kind("call").id): (2, 1, 2, 2, 2, Decimal("214.00")),
        str(kind("visit").id): (1, 1, 1, 1, 1, Decimal("7.00")), NOBODY: nobody,
    }  # fmt: skip


def test_every_figure_knows_the_same_first_measure(app, db, li):
    """Written in March, but taken in February: dashboard, churn, ledger and effect all say February, by that one."""
    case = deferred(shanghai(2026, 3, 2), opened_at=shanghai(2026, 1, 3), type="visit")
    for code in ("discount", "call"):
        builders.measure(case, at=shanghai(2026, 2, 28, 23, 59), type=kind(code))
    with reading(app, li):
        happened = queries.happened(span=running("month", shanghai(2026, 3, 20)), customers=sa.true(), cases=sa.true())
        trend = dict(zip(happened.months, happened.trend[1], strict=True))
        assert [number for month, number in trend.items() if month == date(2026, 2, 1)] == [sum(trend.values())] == [1]
        for month, number in (("2026-02", 1), ("2026-03", 0)):
            for name in ("churn-analysis", "measures"):
                found = BY_ID[name].ask({"period": month})
                assert found.report.table(found).total.values["deferred"] == number, name
        effect = BY_ID["measures"].ask({"period": "2026-02"})
        assert [line.key for line in effect.report.table(effect).lines if line.values["deferred"]] == [
            str(kind("discount").id)
        ]
        ledger = BY_ID["churn-ledger"].ask({"period": "2026-02"})
        days = [line.values["deferred"] for line in ledger.report.table(ledger).lines]
        assert days == [0] * 27 + [1]


@pytest.mark.parametrize(
    ("at", "years"),
    [
        (shanghai(2025, 1, 1) - MICROSECOND, (1, 0, 0)),
        (shanghai(2025, 1, 1), (0, 1, 0)),
        (shanghai(2026, 1, 1) - MICROSECOND, (0, 1, 0)),
        (shanghai(2026, 1, 1), (0, 0, 1)),
    ],
)
def test_a_case_counts_in_the_companys_year_of_its_first_measure_or_of_its_warning(app, db, li, at, years):
    case = deferred(at, opened_at=at - 60 * DAY)
    builders.measure(case, at=at + 400 * DAY, type=kind("visit"))
    builders.churn_case(opened_at=at)
    for year, number in zip((2024, 2025, 2026), years, strict=True):
        found = report(app, li, "deferred", period=f"{year}")
        assert (found["total"], found[NOBODY]) == ((number,), (number,))


def test_groups_are_the_measures_kind_the_owner_at_the_warning_or_the_level(app, db, li, wang, zhao):
    customer = builders.customer(owner=zhao, level=builders.dictionary(DictionaryType.level, "3"))
    deferred(customer=customer, owner=wang)  # zhao has the customer now
    deferred(owner=wang, type="visit")
    deferred(type=None)
    assert report(app, li, "deferred", by="owner") == {
        f"{wang.id}": (2,), NONE: (1,), NOBODY: (0,), "total": (3,),
    }  # fmt: skip
    level = {code: f"{builders.dictionary(DictionaryType.level, code).id}" for code in "12345"}
    assert report(app, li, "deferred", by="level") == {
        level["1"]: (2,), level["2"]: (0,), level["3"]: (1,), level["4"]: (0,), level["5"]: (0,), NOBODY: (0,),
        "total": (3,),
    }  # fmt: skip
    for by in ("owner", "level", "type"):
        walked(app, li, Retention(), period="2025", by=by)
    by_type = report(app, li, "deferred")
    assert (by_type[f"{kind('call').id}"], by_type[f"{kind('visit').id}"], by_type[NONE]) == ((1,), (1,), (1,))
    with reading(app, li):
        labels = [str(line.label) for line in Retention().lines(Retention().ask({"period": "2025", "by": "owner"}))]
    assert labels == [wang.get_full_name(), "Not known", "Warnings nobody acted on"]


def test_owners_come_with_most_cases_first(app, db, li, wang, zhao):
    deferred(owner=wang)
    deferred(owner=zhao)
    deferred(owner=zhao)
    found = report(app, li, "deferred", by="owner")
    assert list(found) == [f"{zhao.id}", f"{wang.id}", NOBODY, "total"]


# -- those nobody acted on ----------------------------------------------------------------------------------------


def test_warnings_nobody_acted_on_stand_apart_from_the_total(app, db, li):
    deferred()
    builders.churn_case(opened_at=OPENED)
    ended = builders.churn_case(status=ChurnStatus.recovered, opened_at=OPENED, resolved_at=AT)
    builders.order(ended.customer, at=OPENED + DAY, amount="5")
    for status in (ChurnStatus.lost, ChurnStatus.won_back):
        builders.churn_case(status=status, opened_at=OPENED)  # giving up is acting
    found = report(app, li, "deferred", "known_30", "ordered_30", "value")
    assert found["total"] == (1, 1, 0, Decimal("0.00"))
    assert found[NOBODY] == (2, 2, 1, Decimal("5.00"))
    walked(app, li, Retention(), period="2025")


def test_a_measure_in_another_period_is_a_measure(app, db, li):
    deferred(shanghai(2026, 1, 3), opened_at=shanghai(2025, 12, 27))
    assert report(app, li, "deferred")[NOBODY] == (0,)


# -- scope, pages -------------------------------------------------------------------------------------------------


def test_managers_see_their_own_customers_cases_and_nobody_deleted_ones(app, db, li, wang, zhao, chen):
    mine = builders.customer(owner=wang)
    for customer in (mine, builders.customer(owner=zhao), builders.customer(status=CustomerStatus.deleted)):
        deferred(customer=customer)
    builders.churn_case(builders.customer(owner=zhao), opened_at=OPENED)
    found = [report(app, who, "deferred") for who in (li, chen, wang, zhao)]
    assert [one["total"] for one in found] == [(2,), (2,), (1,), (1,)]
    assert [one[NOBODY] for one in found] == [(1,), (1,), (0,), (1,)]
    with reading(app, wang):
        ask = Retention().ask({"period": "2025"})
        behind = db.session.execute(Retention().rows(ask, Retention().columns(ask)[0])).all()
    assert [(r.number, r.name, r.day) for r in behind] == [(mine.number, mine.name, AT)]


def test_the_figures_are_two_statements_whatever_there_is(app, db, li):
    for _ in range(5):
        builders.order(deferred().customer, at=AT + DAY)
    with reading(app, li):
        ask = Retention().ask({"period": "2025"})
        assert ask.sees_all
        with statements(app) as seen:
            Retention().lines(ask)
    assert len(seen) == 2  # the figures, and the dictionary's words


def test_the_rows_of_a_figure_have_a_page_and_the_total_is_without_the_comparison(db, li, sign_in):
    deferred(customer=builders.customer(name="电话客户"))
    builders.churn_case(builders.customer(name="没人管"), opened_at=OPENED)
    browser = sign_in(li)
    found = {}
    for line in ("total", NOBODY):
        page = browser.get(f"/reports/measures/rows?period=2025&line={line}&column=deferred")
        assert page.status_code == 200
        found[line] = [name for name in ("电话客户", "没人管") if name in page.get_data(as_text=True)]
    assert found == {"total": ["电话客户"], NOBODY: ["没人管"]}
    assert browser.get("/reports/measures/rows?period=2025&line=99999&column=deferred").status_code == 404


@pytest.mark.parametrize(("which", "numbers"), [("first", ("2", "1")), ("every", ("3", "1"))])
def test_the_counts_are_drawn_however_few(db, li, sign_in, which, numbers):
    case = deferred()
    builders.order(case.customer, at=AT + DAY)
    builders.measure(deferred(), at=AT + 9 * DAY, type=kind("call"))
    builders.churn_case(opened_at=OPENED)
    page = sign_in(li).speak("en").get(f"/reports/measures/?period=2025&measures={which}")
    html = page.get_data(as_text=True)
    assert "lk-chart hbar" not in html  # the rates are of fewer than ten
    picture = re.search(r'(?s)<svg[^>]*class="lk-chart columns".*?</svg>', html)[0].replace("&amp;", "&")
    marks = re.findall(r'(?s)<a href="([^"]*)".*?<desc class="value">(\d+)</desc>', picture)
    call = {re.search(r"column=(\w+)", url)[1]: (url, n) for url, n in marks if f"line={kind('call').id}&" in url}
    assert {key: n for key, (_url, n) in call.items()} == dict(zip(("known_180", "ordered_180"), numbers, strict=True))
    assert [n for url, n in marks if f"line={NOBODY}&" in url] == ["1", "0"]
    assert re.findall(r'<i class="k[12]"></i>([^<]*)<', html)[:2] == ["At least 180 days old", "Within 180 days"]
    assert case.customer.name in text_of(sign_in(li).get(call["ordered_180"][0]))


def test_warnings_nobody_acted_on_are_drawn_alone(db, li, sign_in):
    builders.churn_case(opened_at=OPENED)
    html = sign_in(li).get("/reports/measures/?period=2025").get_data(as_text=True)
    assert html.count('class="lk-chart columns"') == 2


def test_without_a_case_there_are_zeros_no_rates_and_no_picture(app, db, li, sign_in):
    zeros = (0, *(0 for _ in WINDOWS), None, Decimal("0.00"))
    found = figures(walked(app, li, Retention(), period="2025"), "deferred", *ORDERED, "rate_90", "value")
    assert set(found.values()) == {zeros}
    for by in ("type", "owner", "level"):
        page = sign_in(li).get(f"/reports/measures/?period=2025&by={by}")
        assert page.status_code == 200
        assert "lk-chart" not in page.get_data(as_text=True)


def drawn(html):
    """(line, column) -> what the first column chart of a page draws."""
    picture = re.search(r'(?s)<svg[^>]*class="lk-chart columns".*?</svg>', html)[0].replace("&amp;", "&")
    marks = re.findall(r'(?s)<a href="[^"]*line=([^&"]*)&column=(\w+)".*?<desc class="value">(\d+)</desc>', picture)
    return {(line, column): int(number) for line, column, number in marks}


def test_only_what_can_be_judged_is_drawn_and_the_amount_says_of_how_many_it_is(db, li, sign_in):
    builders.order(deferred().customer, at=AT + DAY, amount="80.00")
    builders.churn_case(opened_at=OPENED)
    late = datetime(2025, 12, 10, tzinfo=UTC)  # 161 days old
    for _ in range(3):
        builders.order(deferred(late, opened_at=late - DAY).customer, at=late + DAY)
        builders.churn_case(opened_at=late)
    browser, call = sign_in(li).speak("en"), f"{kind('call').id}"
    html = browser.get("/reports/measures/?period=2025").get_data(as_text=True)
    assert drawn(html) == {
        (call, "known_180"): 1, (call, "ordered_180"): 1, (NOBODY, "known_180"): 1, (NOBODY, "ordered_180"): 0,
    }  # fmt: skip
    amounts = [cell for cell in re.findall(r"(?s)<td.*?</td>", html) if "column=value" in cell and "80.00" in cell]
    assert len(amounts) == 2  # of the calls and of the total
    for cell in amounts:
        assert re.search(r"n = <a href=[^>]*column=known_180[^>]*><span class=\"num\">1</span>", cell)

    html = browser.get("/reports/measures/?period=2025-12").get_data(as_text=True)
    assert "Ordered within 90 days, in numbers" in html  # nothing is older yet
    assert drawn(html) == {
        (call, "known_90"): 3, (call, "ordered_90"): 3, (NOBODY, "known_90"): 3, (NOBODY, "ordered_90"): 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("report", "said"),
    [("churn-analysis", "By customer level: the level of today."), ("measures", "Customer levels are those of today.")],
)
def test_what_is_of_today_is_said(db, li, sign_in, report, said):
    builders.churn_case(opened_at=OPENED)
    for page in ("", "print"):
        text = text_of(sign_in(li).speak("en").get(f"/reports/{report}/{page}?period=2025&by=level"))
        assert said in text
        assert "who is in a team, is that of today" in text
