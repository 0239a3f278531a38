"""Service, churn and retention: exact figures, the company's midnight, whose figures, and the rows behind each."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from datetime import date
from decimal import Decimal
from io import BytesIO

import pytest

from app.churn.models import ChurnStatus
from app.core.clock import utcnow
from app.customers.models import CustomerStatus
from app.masterdata.models import DictionaryType
from app.mirror.models import OrderStatus
from app.mirror.operations import refresh_totals
from app.reports.export import sheet_of
from app.reports.kinds.churn import Churn
from app.reports.kinds.returning import Returning
from app.reports.kinds.service import Service
from app.tickets.models import TicketStatus
from tests import builders
from tests.reports.cells import asked, figures, shanghai, totals, walk
from tests.support import text_of

S = ChurnStatus
SERVICE, CHURN, RETURNING = Service(), Churn(), Returning()


def ticket(code="inquiry", at=(2025, 5, 6, 10), **given):
    kind = builders.dictionary(DictionaryType.ticket_type, code)
    return builders.ticket(type=kind, created_at=shanghai(*at), **given)


@pytest.fixture
def tickets(db, wang, zhao):
    """Of 2025: two inquiries, three complaints; and neighbours that do not count."""
    done = {"status": TicketStatus.archived}
    ticket(at=(2024, 12, 31, 23, 59), given_to=wang, **done)
    ticket(at=(2025, 1, 1, 0, 0), given_to=wang, satisfaction=5, times_returned=2, **done)
    ticket(at=(2025, 12, 31, 23, 59), customer=builders.customer(owner=wang))
    ticket("complaint", given_to=zhao, satisfaction=3, **done)
    ticket("complaint", given_to=zhao, satisfaction=4, times_returned=1, **done)
    ticket("complaint", given_to=zhao, status=TicketStatus.handled, times_returned=3)
    ticket(at=(2026, 1, 1, 0, 0))
    ticket(deleted_at=utcnow())


SHOWN = ("tickets", "archived", "archived_share", "satisfaction", "returned")


def test_tickets_by_type(db, li, tickets):
    table = walk(asked(SERVICE, li, period="2025"))

    assert figures(table, *SHOWN) == {
        "Inquiry": (2, 1, Decimal("50.0"), Decimal("5.0"), 2),
        "Complaint": (3, 2, Decimal("66.7"), Decimal("3.5"), 4),
    }
    assert totals(table, *SHOWN) == (5, 3, Decimal("60.0"), Decimal("4.0"), 6)
    assert totals(table, "s5", "s4", "s3", "waiting") == (1, 1, 1, 2)
    suggestion = next(line for line in table.lines if line.label == "Suggestion")
    assert suggestion.values["archived_share"] is None
    assert suggestion.values["satisfaction"] is None
    assert table.total.before["tickets"] == 1


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("satisfaction", {"5 stars": (1, 2), "4 stars": (1, 1), "3 stars": (1, 0), "Not archived yet": (2, 3)}),
        ("month", {"Jan 2025": (1, 2), "May 2025": (3, 4), "Dec 2025": (1, 0)}),
        ("assignee", {"王强": (1, 2), "赵敏": (3, 4), "Not assigned yet": (1, 0)}),
    ],
)
def test_tickets_by_other_properties(db, li, tickets, by, expected):
    table = walk(asked(SERVICE, li, period="2025", by=by))

    found = figures(table, "tickets", "returned")
    assert list(found.items()) == list(expected.items())


@pytest.mark.parametrize("by", ["type", "month"])
def test_what_is_drawn_of_tickets_stands_in_the_table_and_the_file(db, li, sign_in, tickets, by):
    browser = sign_in(li)
    page = browser.get(f"/reports/service/?period=2025&by={by}").get_data(as_text=True)
    drawn = dict(re.findall(r'column=(s\d|waiting)".*?<desc class="value">(\d+)', page.replace("&amp;", "&"), re.S))
    assert {"s5", "s4", "s3"} <= drawn.keys()
    head = re.findall(r'<th scope="col"[^>]*>([^<]*)</th>', page)
    assert {"5 stars", "4 stars", "3 stars", "Not archived yet"} <= set(head)
    file = browser.post("/reports/service/export", data={"format": "csv", "period": "2025", "by": by})
    head, *_lines, total = csv.reader(io.StringIO(file.data.decode("utf-8-sig")))
    found = dict(zip(head, total, strict=True))
    assert [found[name] for name in ("5 stars", "4 stars", "3 stars", "Not archived yet")] == ["1", "1", "1", "2"]


def test_a_quarter_has_three_months(db, li, tickets):
    table = walk(asked(SERVICE, li, period="2025-Q2", by="month"))

    assert [(line.key, line.values["tickets"]) for line in table.lines] == [("1", 0), ("2", 3), ("3", 0)]


def test_a_manager_has_the_tickets_of_his_customers_and_his_own(db, wang, tickets):
    table = walk(asked(SERVICE, wang, period="2025"))

    assert figures(table, "tickets", "archived") == {"Inquiry": (2, 1)}


def test_tickets_archived_in_the_period_count_whenever_they_were_created(db, li, wang):
    done = {"status": TicketStatus.archived, "given_to": wang}
    ticket(at=(2024, 12, 3, 9), archived_at=shanghai(2025, 1, 1, 0, 0), satisfaction=3, **done)
    ticket(at=(2025, 5, 6, 9), archived_at=shanghai(2025, 12, 31, 23, 59), satisfaction=4, **done)
    ticket("complaint", at=(2025, 11, 6, 9), archived_at=shanghai(2026, 1, 1, 0, 0), satisfaction=5, **done)
    ticket(at=(2024, 11, 6, 9), archived_at=shanghai(2024, 12, 31, 23, 59), satisfaction=5, **done)
    ended = ("tickets", "ended", "ended_mean", "satisfaction")

    table = walk(asked(SERVICE, li, period="2025"))
    assert totals(table, *ended) == (2, 2, Decimal("3.5"), Decimal("4.5"))
    assert figures(table, *ended)["Complaint"] == (1, 0, None, Decimal("5.0"))
    monthly = walk(asked(SERVICE, li, period="2025", by="month"))
    assert [line.values["ended"] for line in monthly.lines] == [1, *[0] * 10, 1]


def test_no_tickets(db, li):
    table = walk(asked(SERVICE, li, period="2025"))

    assert figures(table, *SHOWN) == {}
    assert SERVICE.charts(asked(SERVICE, li, period="2025"), table, lambda line, column: None) == []


# -- churn --------------------------------------------------------------------------------------------------------


def case(customer, opened, status=S.warning, **given):
    moments = {key: shanghai(*given.pop(key)) for key in ("lost_at", "resolved_at") if key in given}
    return builders.churn_case(customer, opened_at=shanghai(*opened), status=status, **moments, **given)


def old(owner, **given):
    return builders.customer(owner=owner, registered_on=date(2023, 4, 1), **given)


@pytest.fixture
def cases(db, wang, zhao):
    """2025 of two managers: wang 3 warned, 2 recovered, one of them after a measure; zhao 2 lost, 1 won back."""
    price = builders.dictionary(DictionaryType.churn_reason, "price")
    case(old(wang), (2025, 1, 1, 0, 0))
    deferred = case(old(wang), (2025, 3, 1, 2), S.deferred)
    builders.measure(deferred, at=shanghai(2025, 3, 31, 23, 59))
    builders.measure(deferred, at=shanghai(2025, 7, 1))
    case(old(wang), (2025, 12, 31, 23, 59), S.recovered, resolved_at=(2026, 1, 1, 0, 0))
    kept = case(old(wang), (2024, 12, 31, 23, 58), S.recovered, resolved_at=(2025, 12, 31, 23, 59))
    builders.measure(kept, at=shanghai(2024, 12, 31, 23, 59))
    case(old(wang), (2024, 10, 5, 2), S.recovered, resolved_at=(2025, 12, 31, 23, 59))
    case(old(zhao), (2024, 11, 2, 2), S.lost, lost_at=(2025, 2, 1, 0, 0), reason_type=price)
    earlier = case(old(zhao), (2024, 11, 2, 2), S.won_back, lost_at=(2024, 12, 31, 23, 59), resolved_at=(2025, 6, 1))
    again = case(earlier.customer, (2025, 8, 2, 2), S.lost, lost_at=(2025, 9, 1, 12))
    assert again.customer.owner == zhao
    gone = old(zhao, status=CustomerStatus.deleted)
    case(gone, (2025, 5, 3, 2), S.lost, lost_at=(2025, 5, 4))
    late = builders.measure(case(old(zhao), (2024, 10, 5, 2), S.deferred), at=shanghai(2024, 12, 31, 23, 59))
    builders.measure(late.case, at=shanghai(2025, 2, 2))
    for _ in range(5):
        old(wang)
    builders.customer(owner=wang, registered_on=date(2025, 1, 1))


EVENTS = ("warned", "deferred", "recovered", "retained", "lost", "won_back")


def test_churn_by_the_manager_at_the_time(db, li, zhao, cases):
    builders.churn_case(builders.customer(owner=zhao), owner=builders.user(), opened_at=shanghai(2025, 4, 5, 2))

    table = walk(asked(CHURN, li, period="2025"))

    assert figures(table, *EVENTS) == {
        "王强": (3, 1, 2, 1, 0, 0),
        "赵敏": (1, 0, 0, 0, 2, 1),
        "孙悦": (1, 0, 0, 0, 0, 0),
    }
    assert totals(table, *EVENTS) == (5, 1, 2, 1, 2, 1)
    # 5 + 5 of wang, 3 of zhao; the one lost a minute before the year is not there, nor the one registered on its first
    # day.
    assert totals(table, "at_start", "rate") == (12, Decimal("16.7"))
    assert {line.values.get("rate") for line in table.lines} == {None}
    assert table.total.before["warned"] == 5


def test_the_customers_a_churn_rate_is_of_lead_to_them(db, li, sign_in, cases):
    page = sign_in(li).get("/reports/churn-analysis/?period=2025").get_data(as_text=True)

    (total,) = re.findall(r'n = <a href="([^"]*)"><span class="num">12</span>', page)
    assert text_of(sign_in(li).get(total.replace("&amp;", "&"))).count("KH") == 12
    assert page.count("n = ") == 1  # no manager has customers of his own to begin with
    assert "points" in re.search(r"(?s)n = <a .*?</td>", page)[0]  # and the rate of the year before stands beside it


def test_churn_by_reason_and_level(db, li, cases):
    by_reason = walk(asked(CHURN, li, period="2025", by="reason"))
    by_level = walk(asked(CHURN, li, period="2025", by="level"))

    assert figures(by_reason, "warned", "lost") == {"Price": (0, 1), "No reason given": (4, 1)}
    assert figures(by_level, *EVENTS) == {"Regular": (4, 1, 2, 1, 2, 1)}


def test_the_churn_rate_of_each_month(db, li, cases):
    table = walk(asked(CHURN, li, period="2025", by="month"))

    monthly = {line.key: line.values for line in table.lines}
    assert [monthly[str(n)]["at_start"] for n in range(1, 13)] == [12, 13, 12, 12, 12, 12, 13, 13, 13, 12, 12, 12]
    assert [monthly[str(n)]["warned"] for n in (1, 3, 8, 12)] == [1, 1, 1, 1]
    assert (monthly["3"]["deferred"], monthly["12"]["recovered"], monthly["6"]["won_back"]) == (1, 2, 1)
    assert monthly["2"]["rate"] == Decimal("7.7")
    assert monthly["9"]["rate"] == Decimal("7.7")
    assert monthly["1"]["rate"] == Decimal("0.0")
    assert totals(table, "at_start", "rate") == (12, Decimal("16.7"))


def test_a_month_that_has_not_begun_has_no_rate(db, li, cases):
    table = CHURN.table(asked(CHURN, li, period="2100", by="month"))

    assert {line.values.get("rate") for line in table.lines} == {None}
    assert CHURN.note(asked(CHURN, li, period="2100", by="month"), table) == ""


def test_a_rate_of_few_is_not_shown(db, zhao, cases):
    table = walk(asked(CHURN, zhao, period="2025"))

    assert figures(table, *EVENTS) == {"赵敏": (1, 0, 0, 0, 2, 1)}
    assert totals(table, "at_start", "rate") == (2, None)


# -- retention ----------------------------------------------------------------------------------------------------


@pytest.fixture
def ordering(db, wang, zhao):
    """wang's customer ordered in 2024 and 2025, zhao's two only in one of them, his lost one in both."""
    major = builders.dictionary(DictionaryType.level, "3")
    faithful = builders.customer(owner=wang)
    builders.order(faithful, at=shanghai(2024, 1, 1, 0, 0), amount="900.00")
    builders.order(faithful, at=shanghai(2025, 12, 31, 23, 59), amount="100.01")
    builders.order(faithful, at=shanghai(2025, 4, 1), amount="200.00", paid=False)
    builders.order(faithful, at=shanghai(2026, 1, 1, 0, 0), amount="7.00")
    gone = builders.customer(owner=zhao, level=major)
    builders.order(gone, at=shanghai(2024, 12, 31, 23, 59))
    builders.order(gone, at=shanghai(2025, 5, 5), status=OrderStatus.cancelled)
    builders.order(builders.customer(owner=zhao, level=major), at=shanghai(2025, 1, 1, 0, 0), amount="50.00")
    lost = builders.customer(owner=zhao, level=major, status=CustomerStatus.lost)
    builders.order(lost, at=shanghai(2024, 6, 1))
    builders.order(lost, at=shanghai(2025, 1, 2), amount="0.99")
    deleted = builders.customer(owner=zhao, status=CustomerStatus.deleted)
    builders.order(deleted, at=shanghai(2024, 6, 1))
    builders.order(deleted, at=shanghai(2025, 6, 1))
    refresh_totals()
    db.session.commit()


RETURNED = ("past", "again", "new", "amount")


def test_who_ordered_again(db, li, ordering):
    table = walk(asked(RETURNING, li, period="2025"))

    assert figures(table, *RETURNED) == {
        "Regular": (1, 1, 0, Decimal("300.01")),
        "Major": (2, 1, 1, Decimal("0.99")),
    }
    assert totals(table, *RETURNED, "rate") == (3, 2, 1, Decimal("301.00"), None)


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ("2025-Q1", (1, 0, 2, Decimal("0.00"))),
        ("2025-Q2", (2, 0, 1, Decimal("0.00"))),
        ("2025-01", (1, 0, 2, Decimal("0.00"))),
        ("2026-01", (1, 1, 0, Decimal("7.00"))),
        ("2026", (3, 1, 0, Decimal("7.00"))),
    ],
)
def test_who_ordered_again_in_quarters_months_and_years(db, li, ordering, period, expected):
    assert totals(walk(asked(RETURNING, li, period=period)), *RETURNED) == expected


def test_twelve_months_count_a_customer_once_however_many_months_he_ordered_in(db, li, wang):
    often, paused = builders.customer(owner=wang), builders.customer(owner=wang)
    for year, month, amount in (
        (2024, 2, "1.00"),
        (2024, 9, "2.00"),
        (2025, 2, "10.00"),
        (2025, 9, "20.00"),
        (2026, 1, "40.00"),
    ):
        builders.order(often, at=shanghai(year, month, 3), amount=amount)
    for year, month in ((2023, 5), (2025, 5), (2025, 6)):
        builders.order(paused, at=shanghai(year, month, 3), amount="100.00")
    refresh_totals()
    db.session.commit()

    table = walk(asked(RETURNING, li, period="2026-01-12m"))

    assert totals(table, *RETURNED) == (1, 1, 1, Decimal("70.00"))
    assert tuple(table.total.before[key] for key in RETURNED) == (1, 0, 1, Decimal("0.00"))


def test_the_rate_needs_ten(db, li, wang):
    for n in range(10):
        customer = builders.customer(owner=wang)
        builders.order(customer, at=shanghai(2024, 3, 1))
        if n < 7:
            builders.order(customer, at=shanghai(2025, 3, 1))
    refresh_totals()
    db.session.commit()

    assert totals(walk(asked(RETURNING, li, period="2025")), "rate") == (Decimal("70.0"),)


def test_a_manager_sees_his_customers_returning(db, wang, ordering):
    assert totals(walk(asked(RETURNING, wang, period="2025")), *RETURNED) == (1, 1, 0, Decimal("300.01"))


# -- pages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["type", "satisfaction", "month", "assignee"])
def test_the_page_of_service_leads_to_its_rows(sign_in, li, tickets, by):
    page = sign_in(li).get(f"/reports/service/?period=2025&by={by}").get_data(as_text=True)

    assert "lk-chart donut" in page
    assert ("lk-chart stacked" in page) == (by == "month")
    assert f"/reports/service/rows?{'by=' + by + '&amp;' if by != 'type' else ''}period=2025&amp;line=total" in page


def test_the_rows_of_a_slice(sign_in, li, tickets):
    page = text_of(sign_in(li).get("/reports/service/rows?period=2025&line=total&column=s5"))

    assert "2025-01-01 00:00" in page
    assert page.count("FW000000") == 1


@pytest.mark.parametrize(
    ("days", "by", "begin"),
    [
        ("2024-12-30..2025-01-12", "week", ["2024-12-30", "2025-01-06"]),
        ("2025-03-01..2025-03-10", "week", ["2025-03-01", "2025-03-03", "2025-03-10"]),  # a Saturday to a Monday
        ("2025-03-02..2025-03-02", "week", ["2025-03-02"]),
        ("2025-03-01..2025-03-31", "week", ["2025-03-01", *(f"2025-03-{n:02}" for n in (3, 10, 17, 24, 31))]),
        ("2025-02-27..2025-03-31", "month", ["2025-02-27 to 2025-02-28", "Mar 2025"]),
        ("2025-03-05..2025-03-06", "month", ["2025-03-05 to 2025-03-06"]),
    ],
)
def test_churn_by_the_weeks_and_months_of_any_days(db, li, cases, days, by, begin):
    table = walk(asked(CHURN, li, period=days, by=by))
    assert [line.label for line in table.lines] == begin


def test_churn_by_week_finds_each_case_in_its_week(db, li, cases):
    table = walk(asked(CHURN, li, period="2025", by="week"))
    found = {line.label: line.values for line in table.lines}
    assert len(found) == 53  # 2025 begins and ends on a Wednesday
    assert [label for label, values in found.items() if values["warned"]] == [
        "2025-01-01", "2025-02-24", "2025-07-28", "2025-12-29",
    ]  # fmt: skip
    assert (found["2025-01-27"]["lost"], found["2025-09-01"]["lost"], found["2025-05-26"]["won_back"]) == (1, 1, 1)
    assert (found["2025-12-29"]["recovered"], found["2025-03-31"]["deferred"]) == (2, 1)
    yearly = CHURN.table(asked(CHURN, li, period="2025"))
    assert table.total.values == yearly.total.values


@pytest.mark.parametrize(("days", "asks"), [("2024-01-01..2024-12-31", True), ("2024-01-01..2025-01-01", False)])
def test_churn_is_asked_of_the_days_of_a_year_at_most(db, li, days, asks):
    assert (asked(CHURN, li, period=f"{days}").period.first.year == 2024) is asks


@pytest.mark.parametrize("by", ["owner", "reason", "month", "week", "level"])
def test_the_page_of_churn(sign_in, chen, cases, by):
    answer = sign_in(chen).get(f"/reports/churn-analysis/?period=2025&by={by}")

    assert "16.7%" in text_of(answer)
    assert "lk-chart columns" in answer.get_data(as_text=True)


def test_the_pages_and_files_of_retention(sign_in, chen, ordering):
    reader = sign_in(chen)

    assert "301.00" in text_of(reader.get("/reports/retention-rate/?period=2025"))
    assert "301.00" in text_of(reader.get("/reports/retention-rate/print?period=2025"))
    sent = reader.post("/reports/retention-rate/export", {"period": "2025", "format": "csv"})
    assert "301.00" in sent.get_data(as_text=True)


def test_a_mean_is_no_percentage_in_a_file(db, li, tickets):
    ask = asked(SERVICE, li, period="2025")
    sheet = sheet_of(ask, SERVICE.table(ask, compare=False))

    assert sheet.kinds == ["text", "count", "count", "percent", "mean", "count", "mean", *["count"] * 5]
    assert sheet.rows[-1][1:] == [5, 3, Decimal("60.0"), Decimal("4.0"), 0, None, 6, 2, 1, 1, 1]
    assert zipfile.ZipFile(BytesIO(sheet.file("xlsx"))).read("xl/styles.xml").count(b'formatCode="0.0"') == 1


@pytest.mark.parametrize("report", ["service", "churn-analysis", "retention-rate", "levels"])
def test_the_system_admin_reads_no_figures(sign_in, sysadmin, report):
    assert sign_in(sysadmin).get(f"/reports/{report}/").status_code in (302, 403)
