"""A period beside the one before it: lines that only one of both has, and parts that have not begun."""

from __future__ import annotations

import csv
import io
import re
from datetime import date

import pytest

from app.churn.models import ChurnStatus
from app.masterdata.models import DictionaryType
from app.mirror.operations import refresh_totals
from app.reports import closing, groups, period
from app.reports.catalogue import BY_ID
from app.sales.models import OpportunityStatus
from app.tickets.models import TicketStatus
from tests import builders
from tests.reports.cells import asked, shanghai
from tests.reports.walking import walk
from tests.support import text_of

APRIL, MAY = (2026, 4, 10, 9), (2026, 5, 10, 9)
KINDS = [
    ("churn-analysis", {"by": "owner"}, "warned"),
    ("churn-analysis", {"by": "reason"}, "lost"),
    ("measures", {"by": "owner"}, "deferred"),
    ("measures", {"by": "owner"}, "value"),
    ("plans", {"by": "manager"}, "closed"),
    ("service", {"by": "assignee"}, "tickets"),
    ("service", {"by": "type"}, "archived"),
    ("levels", {}, "all"),
    ("funnel", {}, "opportunities"),
    ("retention-rate", {}, "new"),
    ("contribution", {}, "amount"),
]


@pytest.fixture
def moved(db, wang, zhao):
    """What happened in April was Wang's or nobody's, what happened in May was Zhao's."""
    for owner, month in ((wang, APRIL), (wang, (2026, 4, 20, 9)), (zhao, MAY)):
        hers = builders.customer(owner=owner, registered_on=date(2024, 1, 1))
        first = builders.churn_case(hers, opened_at=shanghai(*month), status=ChurnStatus.deferred)
        builders.measure(first, at=shanghai(*month))
        builders.order(hers, amount="100.50", at=shanghai(month[0], month[1], month[2] + 2))
        builders.opportunity(
            created_at=shanghai(*month), closed_at=shanghai(*month), status=OpportunityStatus.won, given_to=owner
        )
        builders.ticket(
            created_at=shanghai(*month), given_to=owner, satisfaction=4, status=TicketStatus.archived,
            type=builders.dictionary(DictionaryType.ticket_type, "inquiry" if owner is wang else "complaint"),
        )  # fmt: skip
    reason = builders.dictionary(DictionaryType.churn_reason, "price")
    reason.active = False
    gone = builders.customer(owner=wang, registered_on=date(2024, 1, 1))
    builders.churn_case(
        gone, opened_at=shanghai(2026, 1, 5, 9), status=ChurnStatus.won_back, lost_at=shanghai(2026, 3, 5, 9),
        resolved_at=shanghai(*APRIL), reason_type=reason,
    )  # fmt: skip
    lost = builders.customer(owner=wang, registered_on=date(2024, 1, 1))
    builders.churn_case(
        lost, opened_at=shanghai(2026, 1, 5, 9), status=ChurnStatus.lost, lost_at=shanghai(*APRIL), reason_type=reason
    )
    refresh_totals()
    db.session.commit()


@pytest.mark.parametrize(("report", "given", "column"), KINDS)
@pytest.mark.parametrize("kept", [False, True])
def test_what_was_adds_up_to_its_total_though_nothing_is_left_of_it(
    db, li, sign_in, moved, report, given, column, kept
):
    if kept:  # two closed months side by side
        closing.close(period.parse("2026-04"))
        closing.close(period.parse("2026-05"))
    walk(asked(BY_ID[report], li, period="2026-05", **given))
    table = closing.table_of(asked(BY_ID[report], li, period="2026-05", **given))
    added = [line for line in table.lines if line.key != "none-acted"]  # which no total holds
    stages = added[:1] if report == "funnel" else added  # every one is in the first
    assert sum(line.before[column] for line in stages) == table.total.before[column] > 0
    assert sum(line.values[column] for line in stages) == table.total.values[column]
    assert [line.key for line in table.lines if line.key in ("none", "none-acted")] == [
        line.key for line in table.lines
    ][-1:] * any(line.key in ("none", "none-acted") for line in table.lines)


def test_a_manager_who_has_nothing_any_more_is_there_and_leads_to_what_he_had(db, li, wang, zhao, sign_in, moved):
    browser = sign_in(li)
    page = browser.get("/reports/plans/?period=2026-05").get_data(as_text=True)
    body = re.search(r'(?s)<table class="lk-table" id="figures">.*?</table>', page)[0]
    his = re.search(rf"(?s)<tr><th scope=\"row\">{wang.get_full_name()}.*?</tr>", body)[0]
    links = [link.replace("&amp;", "&") for link in re.findall(r'href="([^"]*column=closed[^"]*)"', his)]
    now, before = (text_of(browser.get(link)) for link in links)
    assert "Closed opportunities 0" in now
    assert "Closed opportunities 2" in before
    hers = re.search(rf"(?s)<tr><th scope=\"row\">{zhao.get_full_name()}.*?</tr>", body)[0]
    assert "from 0" in hers  # and what was nothing leads nowhere
    assert not [link for link in re.findall(r'href="([^"]*)"', hers) if "period=2026-04" in link]
    file = browser.post("/reports/plans/export", data={"format": "csv", "period": "2026-05"}).get_data(as_text=True)
    lines = {row[0]: row for row in csv.reader(io.StringIO(file.lstrip("\ufeff")))}
    place = lines["Group"].index("Closed opportunities Apr 2026")
    assert [lines[name][place] for name in (wang.get_full_name(), zhao.get_full_name(), "Total")] == ["2", "0", "2"]
    assert browser.get("/reports/plans/rows?period=2026-05&line=99999&column=closed").status_code == 404


def test_who_ordered_nothing_before_is_told_like_everybody_else(db, li, sign_in):
    builders.order(builders.customer(), amount="10", at=shanghai(*MAY))
    builders.order(builders.customer(), amount="10", at=shanghai(*APRIL))
    refresh_totals()
    db.session.commit()
    page = text_of(sign_in(li).get("/reports/contribution/?period=2026-05"))
    assert page.count("from 0") == 2  # orders and amount of the first


@pytest.mark.parametrize(
    ("report", "by", "last", "open_ones"),
    [("service", "month", 5, 7), ("churn-analysis", "month", 5, 7), ("churn-analysis", "week", 21, 32)],
)
def test_what_has_not_begun_is_not_compared(db, li, sign_in, monkeypatch, report, by, last, open_ones):
    for module in (groups, *([__import__("app.reports.kinds.churn", fromlist=["x"])] if by == "month" else [])):
        monkeypatch.setattr(module, "today", lambda: date(2026, 5, 20))
    for at in ((2025, 12, 3, 9), (2026, 5, 3, 9)):
        builders.ticket(created_at=shanghai(*at), type=builders.dictionary(DictionaryType.ticket_type, "inquiry"))
        builders.churn_case(builders.customer(registered_on=date(2024, 1, 1)), opened_at=shanghai(*at))
    column = "tickets" if report == "service" else "warned"
    ask = asked(BY_ID[report], li, period="2026", by=by)
    walk(ask)
    table = ask.report.table(ask)
    assert [line.values[column] is None for line in table.lines] == [False] * last + [True] * open_ones
    assert (table.total.values[column], table.total.before[column]) == (1, 1)
    assert sum(line.before[column] for line in table.lines) == 1
    browser = sign_in(li)
    page = browser.get(f"/reports/{report}/?period=2026&by={by}").get_data(as_text=True)
    body = re.search(r"(?s)<tbody>.*?</tbody>", page)[0]
    assert "100.0%" not in body
    december = re.findall(r"(?s)<tr>.*?</tr>", body)[-1]
    assert "delta" not in december
    assert not re.search(r">(Dec 2026|2026-12-\d\d)</text>", page)  # nor drawn
    file = browser.post(f"/reports/{report}/export", data={"format": "csv", "period": "2026", "by": by})
    row = list(csv.reader(io.StringIO(file.get_data(as_text=True))))[-2]
    assert row[1] == ""
