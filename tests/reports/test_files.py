"""Files of reports: whose figures they say they are, n beside rates, amounts, sheets, and what is written down."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime

import pytest
from flask import g
from python_calamine import CalamineWorkbook
from werkzeug.http import parse_options_header

from app.core.models import AuditEntry
from app.mirror.operations import refresh_totals
from app.reports import export
from app.reports.catalogue import BY_ID
from app.reports.report import TOTAL, Column, Line, Table
from tests import builders
from tests.support import rows, text_of


def file_of(browser, report, kind="csv", **given):
    answer = browser.post(f"/reports/{report}/export", {"format": kind, **given})
    assert answer.status_code == 200
    return answer


def name_of(answer):
    _kind, options = parse_options_header(answer.headers["Content-Disposition"])
    return options["filename"]


def in_columns(answer):
    """First cell of every row -> head -> cell."""
    head, *body = csv.reader(io.StringIO(answer.data.decode("utf-8-sig")))
    return {row[0]: dict(zip(head, row, strict=True)) for row in body}


@pytest.fixture
def came_back(db, wang, zhao):
    """Of Wang's eleven customers of 2024 six ordered again in 2025, of Zhao's nine all."""
    for owner, number, again in ((wang, 11, 6), (zhao, 9, 9)):
        for n in range(number):
            customer = builders.customer(owner=owner, registered_on=date(2023, 1, 1))
            for year in (2024, 2025) if n < again else (2024,):
                builders.order(customer, at=datetime(year, 5, 1, tzinfo=UTC), amount="10", lines=0)
    refresh_totals()
    db.session.commit()


def test_beside_a_rate_stands_its_n_and_a_hidden_one_says_so(came_back, sign_in, wang, zhao, chen):
    for reader, rate, n in ((wang, "54.5", "11"), (zhao, "hidden, n is below 10", "9"), (chen, "75.0", "20")):
        browser = sign_in(reader).speak("en")
        total = in_columns(file_of(browser, "retention-rate", period="2025"))["Total"]
        assert (total["Retention rate"], total["Retention rate: n"]) == (rate, n)
        page = text_of(browser.get("/reports/retention-rate/?period=2025"))
        assert f"{rate}% n = {n}" in page or (rate.startswith("hidden") and f"— n = {n}" in page)


def test_beside_the_rate_of_the_period_before_stands_its_n_too(came_back, sign_in, wang):
    total = in_columns(file_of(sign_in(wang).speak("en"), "retention-rate", period="2026"))["Total"]
    assert (total["Retention rate"], total["Retention rate: n"]) == ("hidden, n is below 10", "6")
    assert (total["Retention rate 2025"], total["Retention rate: n 2025"]) == ("54.5", "11")


def test_no_money_has_two_decimals_wherever_it_comes_from(app, chen):
    columns = [Column("n", "N", "count"), Column("amount", "Amount", "money")]
    line = Line("1", "Nothing", {"n": 0, "amount": 0}, before={"n": 0, "amount": 0})
    with app.test_request_context():
        g.user = chen
        ask = BY_ID["measures"].ask({"period": "2025"})
        table = Table(columns, [line], Line(TOTAL, "", dict(line.values), dict(line.before)), 1)
        told = export.sheet_of(ask, table).file("csv").decode().splitlines()
    assert told[1:] == ["Nothing,0,0.00,0,0.00", "Total,0,0.00,0,0.00"]


@pytest.mark.parametrize(
    ("language", "sheet", "name"),
    [("zh", "客户贡献", "客户贡献-2025年-全公司.xlsx"),
     ("en", "Customer contribution", "Customer contribution-2025-The whole company.xlsx")],
)  # fmt: skip
def test_a_sheet_is_called_as_the_report_and_the_file_says_whose_it_is(came_back, sign_in, chen, language, sheet, name):
    answer = file_of(sign_in(chen).speak(language), "contribution", "xlsx", period="2025")
    book = CalamineWorkbook.from_filelike(io.BytesIO(answer.data))
    assert (book.sheet_names, name_of(answer)) == ([sheet], name)
    facts = [line[0] for line in book.get_sheet_by_index(0).to_python()[:5]]
    assert any(("全公司" if language == "zh" else "Figures of: The whole company") in fact for fact in facts)


@pytest.mark.parametrize("who", ["own", "team"])
def test_ones_own_figures_and_a_teams_are_told_from_the_companys(db, came_back, sign_in, chen, wang, who):
    team = builders.team(name="华东一组")
    browser = sign_in(wang if who == "own" else chen).speak("en")
    given = {"period": "2025"} if who == "own" else {"period": "2025", "team": str(team.id)}
    whose = "王强" if who == "own" else "华东一组"
    told = "Own customers and opportunities of 王强" if who == "own" else "Team: 华东一组"
    answer = file_of(browser, "contribution", "xlsx", **given)
    assert name_of(answer) == f"Customer contribution-2025-{whose}.xlsx"
    lines = CalamineWorkbook.from_filelike(io.BytesIO(answer.data)).get_sheet_by_index(0).to_python()
    assert told in [line[0] for line in lines[:6]]
    printed = text_of(browser.get("/reports/contribution/print", query_string=given))
    assert told in printed
    assert "The whole company" not in printed


@pytest.mark.parametrize(
    ("language", "report", "given", "name"),
    [
        ("en", "measures", {"measures": "every"},
         "Retention effect-2025-The whole company-Measures Every measure.csv"),
        ("zh", "contribution", {"orders": "paid"}, "客户贡献-2025年-全公司-付款情况 仅已付款.csv"),
        ("zh", "contribution", {"name": " ../恒锐: <精密>|*?"}, "客户贡献-2025年-全公司-客户名称 .. 恒锐 精密.csv"),
        ("en", "composition", {"by": "region"}, "Customer composition-2025-The whole company-Group by Region.csv"),
        ("en", "composition", {"by": "level"}, "Customer composition-2025-The whole company.csv"),
        ("en", "plans", {"manager": "wang"}, "Plan execution-2025-The whole company-Account manager 王强.csv"),
        ("zh", "funnel", {"by": "status", "manager": "wang", "source": "none"},
         "销售漏斗-2025年-全公司-分组方式 状态-客户经理 王强-机会来源 未填写.csv"),
    ],
)  # fmt: skip
def test_the_name_of_a_file_tells_what_its_figures_are_narrowed_by(
    came_back, sign_in, chen, wang, language, report, given, name
):
    builders.opportunity(given_to=wang)
    given = {key: str(wang.id) if value == "wang" else value for key, value in given.items()}
    answer = file_of(sign_in(chen).speak(language), report, period="2025", **given)
    assert name_of(answer) == name


def test_the_name_of_a_file_is_never_too_long_and_tells_a_bit_of_everything(db, came_back, sign_in, chen):
    customer = rows(builders.Customer)[0]
    customer.name = "恒锐精密仪器制造" * 12
    db.session.commit()
    given = {"period": "2025", "name": customer.name, "orders": "paid"}
    answer = file_of(sign_in(chen).speak("zh"), "contribution", line=str(customer.id), column="amount", **given)
    name = name_of(answer)
    assert 190 <= len(name.encode()) <= 204
    title, line, *others = name.split("-")
    assert (title, others[:3], others[-1]) == ("客户贡献", ["订单金额", "2025年", "全公司"], "付款情况 仅已付款.csv")
    assert line.startswith("恒锐精密仪器制造")
    assert others[3].startswith("客户名称 恒锐精密仪器制造")


def test_the_rows_behind_a_figure_are_written_down_with_their_place_and_named_by_it(came_back, sign_in, chen):
    browser = sign_in(chen).speak("en")
    first = rows(builders.Customer)[0]
    names = [
        name_of(file_of(browser, "contribution", period="2025", line=line, column=column))
        for line, column in (("total", "amount"), ("total", "orders"), (str(first.id), "amount"))
    ]
    assert names == [
        "Customer contribution-All-Order amount-2025-The whole company.csv",
        "Customer contribution-All-Number of orders-2025-The whole company.csv",
        f"Customer contribution-{first.name}-Order amount-2025-The whole company.csv",
    ]
    assert [entry.note for entry in rows(AuditEntry, AuditEntry.record_type == "report")] == [
        "contribution?period=2025&line=total&column=amount csv 15",
        "contribution?period=2025&line=total&column=orders csv 15",
        f"contribution?period=2025&line={first.id}&column=amount csv 1",
    ]
