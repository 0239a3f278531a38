"""A report's page, the rows behind a figure, its files, its printed page: what they show, and to whom."""

from __future__ import annotations

import csv
import io
import random
import re
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from flask import g
from python_calamine import CalamineWorkbook

from app.core.models import AuditEntry, Outcome
from app.mirror.models import OrderStatus
from app.mirror.operations import refresh_totals
from app.reports import closing, export, period
from app.reports.catalogue import BY_ID, REPORTS
from app.reports.report import LINES
from app.reports.views import DRAWN
from tests import builders
from tests.support import rows, text_of

NEW_YEAR = datetime(2025, 12, 31, 16, tzinfo=UTC)  # midnight in Shanghai


@pytest.fixture
def ordered(db, wang, zhao):
    """Two customers of wang and one of zhao, with orders around New Year."""
    first, second = (builders.customer(owner=wang, name=name) for name in ("恒锐精密", "=HYPERLINK(1)"))
    third = builders.customer(owner=zhao, name="东海贸易")
    builders.customer(owner=wang, name="从未下单")
    builders.order(first, at=NEW_YEAR, amount="700.10", lines=0)
    builders.order(first, at=datetime(2025, 12, 31, 15, 59, 59, tzinfo=UTC), amount="5.00", lines=0)
    builders.order(first, at=datetime(2026, 12, 31, 15, 59, 59, tzinfo=UTC), amount="50.20", paid=False, lines=0)
    builders.order(first, at=datetime(2026, 12, 31, 16, tzinfo=UTC), amount="9.00", lines=0)
    builders.order(first, at=datetime(2026, 5, 1, tzinfo=UTC), amount="99.00", status=OrderStatus.cancelled, lines=0)
    builders.order(second, at=datetime(2026, 5, 1, tzinfo=UTC), amount="200.00", lines=0)
    builders.order(third, at=datetime(2026, 5, 2, tzinfo=UTC), amount="49.70", lines=0)
    refresh_totals()
    db.session.commit()
    return first, second, third


def file_of(browser, report, kind, **given):
    answer = browser.post(f"/reports/{report}/export", {"format": kind, **given})
    assert answer.status_code == 200, answer.status_code
    return answer


def csv_rows(answer):
    return list(csv.reader(io.StringIO(answer.data.decode("utf-8-sig"))))


def test_contribution_counts_the_companys_year_and_says_who_brings_80_per_cent(ordered, sign_in, chen):
    text = text_of(sign_in(chen).get("/reports/contribution/?period=2026"))
    assert "The whole company" in text
    assert "¥1,000.00" in text
    assert "2 customers bring 80 per cent of the whole: ¥950" in text
    lines = csv_rows(file_of(sign_in(chen), "contribution", "csv", period="2026"))
    assert [line[1:7] for line in lines[1:]] == [
        ["恒锐精密", "2", "750.30", "75.03", "75.03", "A"],
        ["'=HYPERLINK(1)", "1", "200.00", "20.00", "95.03", "A"],
        ["东海贸易", "1", "49.70", "4.97", "100.00", "C"],
        ["从未下单", "0", "0.00", "0.00", "", "C"],
        ["Total", "4", "1000.00", "100.00", "", ""],
    ]


def test_paid_only_leaves_unpaid_orders_out(ordered, sign_in, chen):
    lines = csv_rows(file_of(sign_in(chen), "contribution", "csv", period="2026", orders="paid"))
    assert lines[1][1:4] == ["恒锐精密", "1", "700.10"]
    assert lines[-1][1:4] == ["Total", "3", "949.80"]


@pytest.mark.parametrize(
    ("period", "orders", "amount"),
    [("2025", "1", "5.00"), ("2026-Q1", "1", "700.10"), ("2026-05", "2", "249.70"), ("2027", "1", "9.00"),
     ("2024", "0", "0.00"), ("all", "6", "1014.00")],
)  # fmt: skip
def test_quarters_months_and_all_years(ordered, sign_in, chen, period, orders, amount):
    assert csv_rows(file_of(sign_in(chen), "contribution", "csv", period=period))[-1][1:4] == ["Total", orders, amount]


def test_beside_a_year_stands_the_one_before(ordered, sign_in, chen):
    lines = csv_rows(file_of(sign_in(chen), "contribution", "csv", period="2026"))
    assert lines[0][-2:] == ["Number of orders 2025", "Order amount 2025"]
    assert (lines[1][-2:], lines[-1][-2:]) == (["1", "5.00"], ["1", "5.00"])


def test_a_manager_reads_his_own_customers_and_nobody_elses_rows(ordered, sign_in, wang):
    first, _second, third = ordered
    browser = sign_in(wang)
    text = text_of(browser.get("/reports/contribution/?period=2026"))
    assert "Your own customers" in text
    assert "恒锐精密" in text
    assert "东海贸易" not in text
    url = "/reports/contribution/rows?period=2026&column=amount&line="
    assert browser.get(f"{url}{first.id}").status_code == 200
    assert browser.get(f"{url}{third.id}").status_code == 404
    assert "东海贸易" not in text_of(browser.get(f"{url}total"))
    answer = browser.post(
        "/reports/contribution/export", {"format": "csv", "line": str(third.id), "column": "amount", "period": "2026"}
    )
    assert answer.status_code == 404


def test_the_rows_of_a_figure_add_up_to_it_and_name_no_links(ordered, sign_in, chen):
    answer = sign_in(chen).get(f"/reports/contribution/rows?period=2026&column=amount&line={ordered[0].id}")
    text = text_of(answer)
    assert "¥750.30" in text
    assert "2 rows" in text
    assert "¥700.10" in text
    assert "王强" in text
    assert 'href="/orders/' not in answer.text
    assert 'href="/customers/' not in answer.text


def test_the_cumulative_share_and_the_class_lead_to_their_customers(ordered, sign_in, chen):
    first, second, third = ordered
    browser = sign_in(chen)
    page = browser.get("/reports/contribution/?period=2026").get_data(as_text=True)
    rows = "/reports/contribution/rows?period=2026"
    behind, whole = {}, ["恒锐精密", "HYPERLINK", "东海贸易"]
    for customer in ordered:
        for column in ("down", "in_class"):
            assert f"{rows}&line={customer.id}&column={column}".replace("&", "&amp;") in page
            text = text_of(browser.get(f"{rows}&line={customer.id}&column={column}"))
            found = [name for name in (*whole, "从未下单") if name in text.partition("Number")[2]]
            behind[customer.id, column] = (found, re.search(r"(?:customer|class) (¥[\d,.]+)", text)[1])
    assert behind == {
        (first.id, "down"): (whole[:1], "¥750.30"), (second.id, "down"): (whole[:2], "¥950.30"),
        (third.id, "down"): (whole, "¥1,000.00"), (first.id, "in_class"): (whole[:2], "¥950.30"),
        (second.id, "in_class"): (whole[:2], "¥950.30"), (third.id, "in_class"): (["东海贸易", "从未下单"], "¥49.70"),
    }  # fmt: skip


def test_classes_and_curve_are_those_of_counting_one_by_one_also_among_equals(db, app, chen):
    chance = random.Random(7)
    years = {
        2023: [chance.randrange(1, 500) for _ in range(60)],
        2024: [9] * 22 + [2] * 14 + [1] * 24,
        2025: [Decimal(100_000) + Decimal(n) / 100 for n in range(60)],  # all of one size
        2026: [5000] + [chance.choice((7, 8, 9)) for _ in range(59)],
        2022: [Decimal("0.01")] * 30 + [Decimal(n) / 100 for n in range(30)],
        2021: [0] * 60,
    }
    customers = [builders.customer() for _ in range(60)]
    for year, amounts in years.items():
        for customer, amount in zip(customers, amounts, strict=True):
            builders.order(customer, at=datetime(year, 5, 1, tzinfo=UTC), amount=amount, lines=0)
    refresh_totals()
    db.session.commit()
    for year, amounts in years.items():
        with app.test_request_context():
            g.user = chen
            total = BY_ID["contribution"].total(BY_ID["contribution"].ask({"period": str(year)}), [])
        best, whole, expected = sorted(amounts, reverse=True), sum(amounts), {}
        for n, amount in enumerate(best):
            letter = "A" if sum(best[:n]) * 100 < 80 * whole else "B" if sum(best[:n]) * 100 < 95 * whole else "C"
            count, brought = expected.get(letter, (0, 0))
            expected[letter] = (count + 1, brought + amount)
        curve = tuple(round(Decimal(sum(best[: n * 3])) * 100 / (whole or 1), 2) for n in range(1, 21))
        assert {letter: found for letter, found in total["classes"].items() if found[0]} == expected, year
        assert total["curve"] == curve, year


@pytest.mark.parametrize("query", ["column=share&line=total", "column=nothing&line=total", "line=total",
                                   "column=amount&line=x", "column=amount&line=99999999999"])  # fmt: skip
def test_a_figure_that_is_none_is_not_found(ordered, sign_in, chen, query):
    assert sign_in(chen).get(f"/reports/contribution/rows?period=2026&{query}").status_code == 404


def test_a_workbook_holds_what_the_page_shows_typed_and_without_formulas(ordered, sign_in, chen):
    answer = file_of(sign_in(chen).speak("zh"), "contribution", "xlsx", period="2026")
    assert (
        "%E5%AE%A2%E6%88%B7%E8%B4%A1%E7%8C%AE-2026%E5%B9%B4-%E5%85%A8%E5%85%AC%E5%8F%B8.xlsx"
        in answer.headers["Content-Disposition"]
    )
    found = CalamineWorkbook.from_filelike(io.BytesIO(answer.data)).get_sheet_by_index(0).to_python()
    head = next(n for n, line in enumerate(found) if line[1] == "客户")
    assert found[0][0] == "客户贡献"
    assert found[head + 1][1:4] == ["恒锐精密", 2.0, 750.3]
    assert found[head + 2][1] == "=HYPERLINK(1)"
    assert found[head + 5][1:4] == ["合计", 4.0, 1000.0]
    assert b"<f>" not in answer.data


def test_a_file_says_what_it_leaves_out(ordered, sign_in, chen, monkeypatch):
    browser = sign_in(chen)
    monkeypatch.setattr(export, "MOST", 2)
    lines = file_of(browser, "contribution", "csv", period="2026").get_data(as_text=True).splitlines()
    assert len(lines) == 1 + 2 + 1 + 1
    assert "Not in this file: 2 more lines. A file holds at most 2." in lines[3]
    assert "1000.00" in lines[4]

    whole = {"period": "2026", "line": "total", "column": "orders"}
    lines = file_of(browser, "contribution", "csv", **whole).get_data(as_text=True).splitlines()
    assert len(lines) == 1 + 2 + 1
    assert "Not in this file: 2 more lines." in lines[3]


def test_who_took_figures_away_is_written_down(ordered, sign_in, chen):
    file_of(sign_in(chen), "contribution", "csv", period="2026")
    [entry] = rows(AuditEntry, AuditEntry.record_type == "report")
    assert (entry.action, entry.actor_id, entry.note) == ("export", chen.id, "contribution?period=2026 csv 5")


def test_without_the_right_to_export_there_is_no_button_and_no_file(ordered, sign_in, chen, db):
    [role] = chen.roles
    role.permissions = [p for p in role.permissions if str(p) != "can export on ContributionReport"]
    db.session.commit()
    browser = sign_in(chen)
    assert "XLSX" not in browser.get("/reports/contribution/").text
    assert browser.post("/reports/contribution/export", {"format": "csv"}).status_code == 403
    assert browser.get("/reports/contribution/").status_code == 200
    [entry] = rows(AuditEntry, AuditEntry.record_type == "report")
    assert (entry.action, entry.outcome, entry.actor_id) == ("export", Outcome.refused, chen.id)


def test_the_printed_page_has_the_lines_of_the_page_and_no_more(db, sign_in, chen):
    """Whoever takes away a whole table needs the right to export, and is written down."""
    customers, count = [builders.customer() for _number in range(LINES + 20)], LINES + 20
    for customer in customers:
        builders.order(customer)
    refresh_totals()
    db.session.commit()
    browser = sign_in(chen).speak("en")
    last = 20 + DRAWN  # and the biggest, whom the chart shows on every page
    for more, lines, words in (("", LINES, f"1–{LINES} of {count}"), (f"&from={LINES}", last, f"{LINES + 1}–{count}")):
        page, paper = (browser.get(f"/reports/contribution/{one}?period=all{more}") for one in ("", "print"))
        shown, printed = ({c.id for c in customers if c.name in answer.text} for answer in (page, paper))
        assert printed == shown
        assert len(printed) == lines
        assert words in text_of(paper)
    assert f"/reports/contribution/print?period=all&amp;from={LINES}" in page.text
    assert browser.get("/reports/contribution/print?period=all&from=1000").status_code == 404


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.id)
def test_every_report_opens_prints_and_exports_also_empty(db, sign_in, report, li, wang, sysadmin):
    for reader in (li, wang):
        browser = sign_in(reader)
        for url in (f"/reports/{report.id}/", f"/reports/{report.id}/print"):
            assert browser.get(url).status_code == 200
        for kind in ("csv", "xlsx"):
            file_of(browser, report.id, kind)
        assert browser.post(f"/reports/{report.id}/export", {"format": "pdf"}).status_code == 400
        assert browser.get(f"/reports/{report.id}/export").status_code == 405
    assert sign_in(sysadmin).get(f"/reports/{report.id}/").status_code == 403


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.id)
def test_whatever_an_address_says_a_report_answers(db, sign_in, chen, report):
    names = [one.key for one in report.filters] + ["period", "from"]
    browser = sign_in(chen)
    for nonsense in ("", "x", "2026-13", "2026-Q5", "99999", "-1", "'; --", "%", "\x00", "٢٠٢٦"):
        answer = browser.get(f"/reports/{report.id}/", query_string=dict.fromkeys(names, nonsense))
        assert answer.status_code in (200, 404)


def test_the_printed_page_says_what_stands_beside_its_figures(db, sign_in, chen):
    builders.customer(registered_on=date(2020, 1, 1))
    browser = sign_in(chen)
    for report, words in (("composition", "As of now. Small figures: the change from the end of 2"),
                          ("levels", "is not over yet; beside it stands all of 2")):  # fmt: skip
        for page in ("", "print"):
            assert words in text_of(browser.get(f"/reports/{report}/{page}")), (report, page)


def test_every_figure_says_how_it_is_counted(app):
    with app.test_request_context():
        for report in REPORTS:
            ask = report.ask({})
            assert [c.key for c in report.columns(ask) if not c.hidden and not str(c.how)] == [], report.id


def test_the_shares_of_a_composition_add_up_to_exactly_100(db, sign_in, chen):
    for _number in range(3):
        builders.customer(region=None)
    for credit in (1, 2, 3):
        builders.customer(credit=credit)
    lines = csv_rows(file_of(sign_in(chen), "composition", "csv", by="credit"))
    assert sum(Decimal(line[2]) for line in lines[1:-1]) == 100
    assert {len(line[2].partition(".")[2]) for line in lines[1:]} == {1}  # 50.0, not 50
    assert lines[-1][:3] == ["Total", "6", "100.0"]
    assert BY_ID["composition"].filter("by").read("nonsense") == "level"


def test_crumbs_name_the_figure_and_rows_end_where_they_end(ordered, sign_in, chen):
    browser = sign_in(chen)
    here = r'(?s)<ol class="crumb">.*?</ol>'
    for address, crumb, title in (
        (
            "rows?period=2026&line=total&column=amount",
            "All · Order amount",
            "Customer contribution · All · Order amount",
        ),
        (f"rows?period=2026&line={ordered[0].id}&column=orders", "恒锐精密 · Number of orders", "恒锐精密"),
        ("print?period=2026", "Print", "Customer contribution 2026 ·"),
    ):
        page = browser.get(f"/reports/contribution/{address}").get_data(as_text=True)
        found = re.sub("<[^>]+>", " ", re.search(here, page)[0])
        assert " ".join(found.split()) == f"Customer contribution {crumb}"
        assert title in re.search("(?s)<title>(.*?)</title>", page)[1]
    rows = "/reports/contribution/rows?period=2026&line=total&column=amount&from="
    assert [browser.get(rows + first).status_code for first in ("0", "3", "50", "999999")] == [200, 200, 404, 404]
    empty = f"/reports/contribution/rows?period=2020&line={ordered[0].id}&column=amount"
    assert browser.get(empty).status_code == 200


@pytest.mark.parametrize("kept", [False, True])
def test_the_ten_biggest_are_drawn_on_every_page(db, sign_in, chen, kept):
    for n in range(103):
        builders.order(builders.customer(name=f"客户{n:03d}"), at=NEW_YEAR, amount=f"{2000 - n}.00", lines=0)
    refresh_totals()
    db.session.commit()
    if kept:
        closing.close(period.parse("2026-01"))
    browser = sign_in(chen)
    drawn, listed = [], []
    for first in ("0", "100", "10"):
        page = browser.get(f"/reports/contribution/?period=2026-01&from={first}").get_data(as_text=True)
        picture = re.search(r'(?s)<svg[^>]*class="lk-chart hbar".*?</svg>', page)[0]
        drawn.append(sorted(re.findall(r'<desc class="label">(.*?)</desc>', picture)))
        listed.append(re.findall(r'(?s)<tbody>.*?<th scope="row">(.*?)<', page)[-1])
    assert drawn == [[f"客户{n:03d}" for n in range(10)]] * 3
    assert listed == ["客户000", "客户100", "客户010"]


def test_the_curve_is_told_in_numbers_which_are_those_of_the_file(db, sign_in, chen):
    for n in range(30):
        builders.order(builders.customer(), at=NEW_YEAR, amount=f"{(n + 1) ** 2}.10", lines=0)
    refresh_totals()
    db.session.commit()
    browser = sign_in(chen)
    lines = csv_rows(file_of(browser, "contribution", "csv", period="2026"))
    place = lines[0].index("Cumulative")
    for address in ("", "print"):
        page = browser.get(f"/reports/contribution/{address}?period=2026").get_data(as_text=True)
        picture = re.search(r'(?s)<svg[^>]*class="lk-chart lines".*?</svg>', page)[0]
        table = re.search(r"(?s)</svg></div>\s*(?:<details.*?)?(<div class=\"t-wrap mt-2\">.*?</table>)", page)[1]
        told = [re.sub(r"<[^>]+>", " ", row).split() for row in re.findall(r"(?s)<tr>(.*?)</tr>", table)[1:]]
        assert [share for share, _customers, _point in told] == [f"{n}%" for n in range(5, 101, 5)]
        drawn = [float(point) for point in re.findall(r'<desc class="value">([\d.]+)%</desc>', picture)]
        assert [float(point.rstrip("%")) for _share, _customers, point in told] == drawn
        for _share, customers, point in told:
            assert Decimal(lines[int(customers)][place]) == Decimal(point.rstrip("%"))
        assert ("<details" in table) is False
