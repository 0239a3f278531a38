"""经营看板: figures with their change and charts with their tables, of a company, a team, or one's own customers."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html import unescape
from urllib.parse import parse_qsl

import pytest

from app.churn.models import ChurnStatus
from app.core.clock import local, utcnow
from app.customers.models import Customer, CustomerStatus
from app.mirror.operations import refresh_totals
from app.reports import closing, dashboard, period, queries, views
from app.reports.catalogue import BY_ID
from app.reports.figures import money_parts, ratio, short_money
from app.reports.kinds import forecast
from app.reports.queries import Figure
from app.reports.report import rows_behind
from app.reports.span import running
from app.reports.tiles import BY_KEY
from app.sales.models import Opportunity, OpportunityStatus
from app.tickets.models import Ticket, TicketStatus
from tests import builders
from tests.reports.reading import reading
from tests.support import rows, statements, text_of

NOW = datetime(2026, 5, 20, 7, 30, tzinfo=UTC)  # 15:30 on 20 May in Shanghai
CARDS = ("churn-trend", "funnel", "best", "composition", "states", "weekly", "answers")


@pytest.fixture
def at_noon(monkeypatch):
    """It is 20 May 2026, and rates of one customer are rates."""
    monkeypatch.setattr(views, "utcnow", lambda: NOW)
    monkeypatch.setattr(forecast, "today", lambda: local(NOW).date())
    monkeypatch.setattr(queries, "HIDDEN", 1)


@pytest.fixture
def company(db, at_noon, wang, zhao):
    """Two managers with two customers each: orders, cases, opportunities and tickets of April and May."""
    april, may, old = NOW - timedelta(days=40), NOW - timedelta(days=10), NOW - timedelta(days=500)
    for owner, name, amount in ((wang, "恒锐精密", "268430.50"), (zhao, "秦岭航空", "1200")):
        given = {"owner": owner, "registered_on": date(2026, 5, 1)}
        customer = builders.customer(name=name, **given)
        builders.order(customer, amount=amount, at=may)
        builders.order(customer, amount="200", at=april)
        builders.order(customer, amount="7", at=old)
        builders.churn_case(customer, opened_at=may)
        case = builders.churn_case(builders.customer(**given), status=ChurnStatus.deferred, opened_at=april)
        builders.measure(case, at=may)
        builders.opportunity(given_to=owner, expected_amount=amount, created_at=may)
        ticket = builders.ticket(
            customer, status=TicketStatus.archived, satisfaction=5, created_at=may, archived_at=may, given_to=owner
        )
        builders.ticket_step(ticket, step="handled", at=may + timedelta(hours=3))
        builders.ticket_step(ticket, step="archived", at=may, satisfaction=5)
        builders.ticket(customer, given_to=owner)
    builders.opportunity(status=OpportunityStatus.lost, created_at=may, closed_at=may)
    refresh_totals()
    db.session.commit()
    builders.sync_run()


def page_of(browser, query=""):
    answer = browser.get(f"/dashboard/{query}")
    assert answer.status_code == 200
    return answer


def kpis_on(answer):
    """Label -> (value with its unit, change), of the strip."""
    strip = re.search(r'(?s)<dl class="kpis.*?</dl>', answer.get_data(as_text=True))[0]
    found = re.findall(r'(?s)<dt>(.*?)</dt>.*?<div class="v">(.*?)</div>\s*<div class="d">(.*?)</div>', strip)

    def words(html):
        return " ".join(re.sub("<[^>]+>", "", html).split())

    return {words(label): (words(value), words(change)) for label, value, change in found}


def values_on(answer):
    """Label -> value, of the strip."""
    return {label: value for label, (value, _change) in kpis_on(answer).items()}


def table_on(answer, key):
    """The rows of a chart's table, as texts."""
    card = re.search(rf'(?s)aria-labelledby="card-{key}".*?</section>', answer.get_data(as_text=True))[0]
    body = re.search(r"(?s)<tbody>(.*?)</tbody>", card)
    return [
        [re.sub("<[^>]+>", "", cell).strip() for cell in re.findall(r"(?s)<td.*?</td>", row)]
        for row in re.findall(r"(?s)<tr>(.*?)</tr>", body[1])
    ]


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("name", ["admin", "li", "wang", "chen"])
def test_it_opens_with_its_charts_and_their_tables(company, request, sign_in, name, language):
    answer = page_of(sign_in(request.getfixturevalue(name)).speak(language))
    html = answer.get_data(as_text=True)
    assert html.count('<details class="mt-2"') == len(CARDS)
    for key in CARDS:
        card = re.search(rf'(?s)aria-labelledby="card-{key}".*?</section>', html)[0]
        assert 'class="lk-chart' in card
        assert table_on(answer, key)
    assert html.count('class="lk-chart spark"') == 6 - 1  # of satisfaction there is nothing yet in the months before
    assert not re.search(r"<style|<script(?![^>]* src=)|\sstyle=|\son\w+=", html)


@pytest.mark.parametrize("name", ["sysadmin"])
def test_without_the_right_there_is_no_dashboard(company, request, sign_in, name):
    browser = sign_in(request.getfixturevalue(name))
    assert browser.get("/dashboard/").status_code == 403
    assert "/dashboard/" not in browser.get("/dictionary/list/").get_data(as_text=True)


def test_it_is_the_first_entry_and_the_first_page(company, chen, sign_in):
    browser = sign_in(chen)
    assert browser.get("/").location.endswith("/dashboard/")
    menu = re.findall(r'class="side-a" href="([^"]*)"', page_of(browser).get_data(as_text=True))
    assert menu[0] == "/dashboard/"


@pytest.mark.parametrize("name", ["li", "chen"])
def test_leads_and_executives_see_the_whole_company(company, request, sign_in, name):
    answer = page_of(sign_in(request.getfixturevalue(name)))
    assert kpis_on(answer) == {
        "Order amount": ("¥270K", "up 67,307.6% vs last month"),
        "New customers": ("4", "up 4 vs last month"),
        "Service satisfaction": ("5.0/ 5", "nothing to compare with"),
        "Churn warnings": ("2", "±0 vs last month"),
        "Retention of old customers": ("100.0%", "up 100.0 points vs last month"),
        "Open opportunities": ("2", "up 2 vs last month"),
    }
    assert table_on(answer, "best") == [["1", "恒锐精密", "¥268,630.50"], ["2", "秦岭航空", "¥1,400.00"]]
    assert table_on(answer, "funnel") == [
        ["New opportunities", "3", "100%"], ["Assigned to somebody", "3", "100%"],
        ["Plan under way", "0", "0%"], ["Won", "0", "0%"],
    ]  # fmt: skip
    assert table_on(answer, "churn-trend")[-2:] == [["2026-04", "2", "0", "0"], ["2026-05", "2", "2", "0"]]
    assert table_on(answer, "weekly")[-1] == ["2026-05-18", "0", "0", "0"]
    assert [sum(int(row[n]) for row in table_on(answer, "weekly")) for n in (1, 2, 3)] == [4, 0, 0]
    assert [row[:2] for row in table_on(answer, "states")] == [
        ["Unassigned", "0"], ["In development", "2"], ["Won", "0"], ["Not won", "1"],
    ]  # fmt: skip
    assert ('href="/opportunities/list/?_flt_0_status=assigned"' in answer.get_data(as_text=True)) is (name == "li")
    assert table_on(answer, "answers")[-1] == ["2026-05", "2", "0", "0", "0"]
    text = text_of(answer)
    for words in (
        "May 2026 · The whole company", "Conversion 0.0%", "Expected amount ¥270K", "Open now 2", "Not archived 2",
        "Hours to the first handling 3.0",
    ):  # fmt: skip
        assert words in text


def test_a_manager_sees_his_own_figures(company, wang, sign_in):
    answer = page_of(sign_in(wang))
    assert values_on(answer) == {
        "Order amount": "¥268K", "New customers": "2", "Service satisfaction": "5.0/ 5", "Churn warnings": "1",
        "Retention of old customers": "100.0%", "Open opportunities": "1",
    }  # fmt: skip
    assert table_on(answer, "best") == [["1", "恒锐精密", "¥268,630.50"]]
    assert table_on(answer, "funnel")[0] == ["New opportunities", "1", "100%"]
    assert ["Regular", "2", "100.0%"] in table_on(answer, "composition")
    assert table_on(answer, "churn-trend")[-1] == ["2026-05", "1", "1", "0"]
    assert table_on(answer, "answers")[-1] == ["2026-05", "1", "0", "0", "0"]
    assert "秦岭航空" not in answer.get_data(as_text=True)


@pytest.mark.parametrize(
    ("query", "amount", "period"),
    [
        ("", "¥270K", "May 2026"),
        ("?span=month", "¥270K", "May 2026"),
        ("?span=quarter", "¥270K", "Q2 2026"),
        ("?span=year", "¥270K", "2026"),
        ("?span=nonsense", "¥270K", "May 2026"),
    ],
)
def test_the_span_is_in_the_address(company, li, sign_in, query, amount, period):
    answer = page_of(sign_in(li), query)
    assert values_on(answer)["Order amount"] == amount
    assert f"{period} · The whole company" in text_of(answer)
    assert answer.get_data(as_text=True).count('aria-current="true"') == 1


def test_a_longer_span_holds_more(db, company, li, sign_in):
    builders.order(rows(Customer, Customer.name == "秦岭航空")[0], amount="30000", at=NOW - timedelta(days=60))
    refresh_totals()
    db.session.commit()
    browser = sign_in(li)
    found = [values_on(page_of(browser, f"?span={code}"))["Order amount"] for code in ("month", "quarter", "year")]
    assert found == ["¥270K", "¥270K", "¥300K"]


# -- teams --------------------------------------------------------------------------------------------------------


@pytest.fixture
def teams(company, wang, zhao):
    return builders.team(name="华东组", members=(wang,)), builders.team(name="华南组", members=(zhao,))


def test_a_lead_looks_at_one_team(teams, li, sign_in):
    east, south = teams
    browser = sign_in(li)
    answer = page_of(browser, f"?team={south.id}&span=quarter")
    assert values_on(answer) == {
        "Order amount": "¥1.4K", "New customers": "2", "Service satisfaction": "5.0/ 5", "Churn warnings": "2",
        "Retention of old customers": "100.0%", "Open opportunities": "1",
    }  # fmt: skip
    assert table_on(answer, "best") == [["1", "秦岭航空", "¥1,400.00"]]
    assert table_on(answer, "answers")[-1] == ["2026-05", "1", "0", "0", "0"]
    assert "Q2 2026 · 华南组" in text_of(answer)
    html = answer.get_data(as_text=True)
    assert f'href="/dashboard/?span=year&amp;team={south.id}"' in html  # the other spans stay with the team
    assert f'href="/dashboard/?span=quarter&amp;team={east.id}"' in html
    assert 'href="/dashboard/?span=quarter"' in html


@pytest.mark.parametrize("given", ["0", "99999999999", "x", "-1", "77"])
def test_a_team_there_is_none_of_is_no_filter(teams, li, sign_in, given):
    assert values_on(page_of(sign_in(li), f"?team={given}"))["New customers"] == "4"


def test_whoever_sees_only_his_own_has_no_teams_to_choose(teams, wang, sign_in):
    _east, south = teams
    answer = page_of(sign_in(wang), f"?team={south.id}")
    assert values_on(answer)["New customers"] == "2"
    assert "秦岭航空" not in answer.get_data(as_text=True)
    assert "华南组" not in text_of(answer)


# -- where figures lead -------------------------------------------------------------------------------------------


def test_figures_lead_to_their_reports_about_the_same_period(company, li, sign_in):
    html = page_of(sign_in(li), "?span=quarter").get_data(as_text=True)
    assert '<a class="stretched-link" href="/reports/contribution/?period=2026-Q2">Order amount</a>' in html
    assert '<a class="stretched-link" href="/reports/levels/?period=2026-Q2">New customers</a>' in html
    retained = "/reports/retention-rate/?period=2026-04-12m"
    assert f'<a class="stretched-link" href="{retained}">Retention of old customers</a>' in html
    assert html.count('href="/reports/contribution/?period=2026-Q2"') == 1
    assert html.count('href="/reports/contribution/?period=2026"') == 1  # the best customers are those of the year


def test_a_team_goes_with_its_figures_into_every_report(teams, li, sign_in):
    _east, south = teams
    browser = sign_in(li)
    html = page_of(browser, f"?team={south.id}").get_data(as_text=True)
    links = set(re.findall(r'href="(/reports/[\w-]+/\?[^"]*)"', html))
    assert len(links) == 12  # six figures and seven charts, one of them as a figure does
    behind = set(re.findall(r'href="(/reports/[\w-]+/rows\?[^"]*)"', html))
    assert behind
    assert all(f"team={south.id}&" in link for link in behind)
    assert all(re.search(rf"[?;]team={south.id}$", link) for link in links)
    page = browser.get(next(link for link in links if "contribution" in link).replace("&amp;", "&"))
    assert "华南组" in text_of(page)
    assert "秦岭航空" in text_of(page)
    assert "恒锐精密" not in text_of(page)
    rows = browser.get(f"/reports/contribution/rows?period=2026-05&team={south.id}&line=total&column=amount")
    assert "秦岭航空" in text_of(rows)
    assert "恒锐精密" not in text_of(rows)
    assert "Team: 华南组" in text_of(rows)


def test_who_sees_only_his_own_sees_no_other_team_in_a_report_either(teams, wang, sign_in):
    _east, south = teams
    text = text_of(sign_in(wang).get(f"/reports/contribution/?period=2026-05&team={south.id}"))
    assert "Your own customers" in text
    assert "恒锐精密" in text
    assert "秦岭航空" not in text
    assert "华南组" not in text


# Of each tile: its figure in the table of the report it opens, as the tile writes it.
STANDS = {
    "Order amount": lambda table: "".join(money_parts(table.total.values["amount"])),
    "New customers": lambda table: str(next(line.values["all"] for line in table.lines if line.key == "new")),
    "Service satisfaction": lambda table: f"{table.total.values['ended_mean']}/ 5",
    "Churn warnings": lambda table: str(table.total.values["warned"]),
    "Retention of old customers": lambda table: (
        f"{ratio(table.total.values['again'], table.total.values['past'], 100)}%"
    ),
    "Open opportunities": lambda table: str(table.total.values["opportunities"]),
}


def cases(line, *keys):
    return [str(line.values[key]) for key in keys]


# Of each chart: the rows of its table in the report it opens.
DRAWN = {
    "best": lambda table: [
        [str(rank), line.label, f"¥{line.values['amount']:,}"]
        for rank, line in enumerate(table.lines, 1) if line.values["amount"]
    ],
    "funnel": lambda table: [
        [str(line.label), str(line.values["opportunities"]), f"{line.values['of_all']:.0f}%"] for line in table.lines
    ],
    "composition": lambda table: [
        [str(line.label), str(line.values["customers"]), f"{line.values['share']}%"] for line in table.lines
    ],
    "states": lambda table: [
        [str(line.label), str(line.values["opportunities"]), f"{line.values['share']:g}%"] for line in table.lines
    ],
    "churn-trend": lambda table: [
        [f"{datetime.strptime(line.label, '%b %Y'):%Y-%m}", *cases(line, "warned", "deferred", "lost")]  # noqa: DTZ007
        for line in table.lines
    ],
    "weekly": lambda table: [[line.label, *cases(line, "warned", "recovered", "lost")] for line in table.lines],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "queries"), [("chen", ("?span=month", "?span=year")), ("li", ("?span=quarter", "?span=month&team={}"))]
)
def test_every_tile_is_a_figure_of_the_report_it_opens(app, db, teams, request, sign_in, wang, name, queries):
    east, _south = teams
    mine, other = (rows(Customer, Customer.name == name)[0] for name in ("恒锐精密", "秦岭航空"))
    won = {"status": OpportunityStatus.won, "customer": mine, "created_at": NOW - timedelta(days=50)}
    builders.plan_step(builders.opportunity(given_to=wang, **won), result="已联系")
    builders.order(other, amount="30000", at=NOW - timedelta(days=100))
    for days, status, given in (
        (84, ChurnStatus.warning, {}), (78, ChurnStatus.warning, {}),
        (80, ChurnStatus.recovered, {"resolved_at": NOW - timedelta(hours=1)}),
        (360, ChurnStatus.lost, {"lost_at": NOW - timedelta(days=20)}),
    ):  # fmt: skip
        gone = CustomerStatus.lost if status is ChurnStatus.lost else CustomerStatus.active
        customer = builders.customer(owner=wang, registered_on=date(2025, 3, 1), status=gone)
        builders.churn_case(customer, status=status, opened_at=NOW - timedelta(days=days), **given)
    refresh_totals()
    db.session.commit()
    person = request.getfixturevalue(name)
    browser = sign_in(person)
    for query in (query.format(east.id) for query in queries):
        answer = page_of(browser, query)
        html, tiles = answer.get_data(as_text=True), values_on(answer)
        links = {label: url for url, label in re.findall(r'<a class="stretched-link" href="([^"]*)">([^<]*)<', html)}
        for key in DRAWN:
            card = re.search(rf'(?s)aria-labelledby="card-{key}".*?</section>', html)[0]
            links[key] = re.search(r'href="(/reports/[^"]*)" aria-label', card)[1]
        with reading(app, person):
            for label, url in links.items():
                path, _sep, args = url.replace("&amp;", "&").partition("?")
                report = BY_ID[path.split("/")[2]]
                table = report.table(report.ask(dict(parse_qsl(args))))
                if label in STANDS:
                    assert tiles[label] == STANDS[label](table), (query, label)
                else:
                    shown = table_on(answer, label)
                    assert shown[: len(table.lines)] == DRAWN[label](table), (query, label)
                    assert table.lines
        assert links.keys() == {*STANDS, *DRAWN}


@pytest.mark.parametrize(
    ("month", "tile", "told"),
    [
        ("2026-04", None, True), ("2026-04", "amount", True), ("2026-04", "warnings", True),
        ("2026-04", "weekly", True), ("2025-06", None, True), ("2025-06", "churn-trend", True),
        ("2025-06", "weekly", False), ("2025-06", "amount", False), ("2024-04", "amount", False),
        ("2026-04", "retention", True),
        ("2026-04", "funnel", False), ("2026-04", "open", True), ("2026-04", "states", False),
        ("2026-04", "composition", False),
    ],
)  # fmt: skip
def test_closed_months_among_its_figures_are_said_to_be_counted_anew(company, li, sign_in, month, tile, told):
    closing.close(period.parse(month))
    if tile is not None:
        builders.dashboard_tile(user=li, key=tile)
    text = text_of(page_of(sign_in(li)))
    assert ("1 month counted here is closed: what the company reported then stands in the reports" in text) is told


def test_a_longer_span_counts_more_closed_months_and_without_any_nothing_is_said(company, li, sign_in):
    builders.dashboard_tile(user=li, key="funnel")
    browser = sign_in(li)
    assert "closed" not in text_of(page_of(browser, "?span=year"))
    for month in ("2025-12", "2026-01", "2026-04"):
        closing.close(period.parse(month))
    assert "closed" not in text_of(page_of(browser))
    assert "1 month counted here is closed" in text_of(page_of(browser, "?span=quarter"))
    assert "2 months counted here are closed" in text_of(page_of(browser, "?span=year"))


@pytest.mark.parametrize("name", ["li", "wang"])
def test_the_open_opportunities_stand_in_the_report_the_tile_opens(teams, request, sign_in, wang, zhao, li, name):
    east, _south = teams
    for given in (
        {"by": li}, {"by": zhao}, {"by": wang, "expected_amount": "0.10"}, {"by": li, "given_to": zhao},
        {"given_to": wang, "expected_close_on": date(2026, 4, 1)}, {"by": wang, "deleted_at": NOW},
        {"given_to": wang, "status": OpportunityStatus.won, "closed_at": NOW - timedelta(days=1)},
    ):  # fmt: skip
        builders.opportunity(created_at=NOW - timedelta(days=9), **given)
    everything, one_team = ("3", "3") if name == "wang" else ("7", "3")
    browser = sign_in(request.getfixturevalue(name))
    for query, number in (("?span=year", everything), (f"?team={east.id}", one_team)):
        answer = page_of(browser, query)
        assert values_on(answer)["Open opportunities"] == number
        assert f"Open now {number}" in text_of(answer)
        html = answer.get_data(as_text=True)
        (link,) = re.findall(r'<a class="stretched-link" href="([^"]*)">Open opportunities</a>', html)
        below = re.search(r'(?s)aria-labelledby="card-funnel".*?</section>', html)[0]
        assert below.count(f'href="{link}"') == 2  # the number and the amount below the funnel lead there, too
        page = browser.get(link.replace("&amp;", "&")).get_data(as_text=True)
        total = re.search(r"(?s)<tfoot>.*?</tfoot>", page)[0]
        assert re.findall(r'<td class="n"><a href="([^"]*)"><span class="num">(\d+)</span></a>', total)[0][1] == number
        rows_of = re.search(r'href="(/reports/forecast/rows[^"]*line=total&amp;column=opportunities)"', total)[1]
        assert f"Opportunities {number} " in text_of(browser.get(rows_of.replace("&amp;", "&")))


def drawn_links(answer):
    """Of every chart: where its marks lead, and the number each says."""
    found = {}
    for key in CARDS:
        card = re.search(rf'(?s)aria-labelledby="card-{key}".*?</section>', answer.get_data(as_text=True))[0]
        found[key] = {
            unescape(href): said.replace(",", "").split(" (")[0]
            for href, mark in re.findall(r'(?s)<a href="([^"]*)" tabindex="0"[^>]*>(.*?)</a>', card)
            for said in re.findall(r'<desc class="value">([^<]*)</desc>', mark)
        }
        found[key] |= {
            unescape(href): number.replace(",", "")
            for href, number in re.findall(
                r'(?s)<span class="w2 truncate"><a href="([^"]*)".*?class="num">([\d,]+)<', card
            )
        }
    return found


@pytest.mark.parametrize(("name", "query"), [("chen", "?span=year"), ("wang", "?span=quarter"), ("li", "?team={}")])
def test_every_mark_of_a_chart_leads_to_the_rows_it_counts(app, db, teams, request, sign_in, wang, name, query):
    gone = builders.customer(owner=wang, registered_on=date(2025, 3, 1), status=CustomerStatus.lost)
    builders.churn_case(
        gone, status=ChurnStatus.lost, opened_at=NOW - timedelta(days=60), lost_at=NOW - timedelta(days=12)
    )
    builders.customer(owner=wang, registered_on=date(2026, 5, 2))
    db.session.commit()
    person = request.getfixturevalue(name)
    links = drawn_links(page_of(sign_in(person), query.format(teams[0].id)))
    assert {key for key, found in links.items() if not found} == {"answers"}  # what was said is no report's rows
    columns = {dict(parse_qsl(url))["column"] for found in links.values() for url in found}
    assert columns == {"warned", "deferred", "lost", "opportunities", "amount", "customers"}
    with reading(app, person):
        for url, said in ((url, said) for found in links.values() for url, said in found.items()):
            path, _sep, query = url.partition("?")
            given = dict(parse_qsl(query))
            ask = BY_ID[path.split("/")[2]].ask(given)
            behind = rows_behind(ask, ask.columns[given["column"]], given["line"])
            if given["column"] == "amount":
                assert short_money(behind.amount).replace(",", "") == said, url
            else:
                assert str(behind.count) == said, url
    browser = sign_in(person)
    assert all(browser.get(next(iter(found))).status_code == 200 for found in links.values() if found)


@pytest.mark.parametrize("report", ["ChurnReport", "FunnelReport", "ContributionReport", "CompositionReport"])
def test_marks_lead_nowhere_without_the_right_on_their_report(company, sign_in, report):
    """Nor where the report would show others than the dashboard counts."""
    own = {"ChurnReport": {"churn-trend", "weekly"}, "FunnelReport": {"funnel", "states"},
           "ContributionReport": {"best"}, "CompositionReport": {"composition"}}  # fmt: skip
    every = [(right, view) for view in ("Dashboard", *own) for right in ("can_show", "can_see_all")]
    for missing in ("can_show", "can_see_all"):
        rights = [right for right in every if right != (missing, report)]
        reader = builders.user(roles=[builders.role(rights=rights)])
        links = drawn_links(page_of(sign_in(reader)))
        assert {key for key, found in links.items() if not found} == {"answers", *own[report]}


@pytest.mark.once
@pytest.mark.parametrize(
    ("keys", "height"),
    [
        (("weekly",), dashboard.LOW), (("weekly", "churn-trend"), dashboard.LOW), (("weekly", "best"), dashboard.TALL),
        (("best", "weekly"), dashboard.TALL), (("best", "states", "weekly"), dashboard.LOW),
        (("best", "states", "funnel", "weekly", "answers"), dashboard.TALL), (("amount", "weekly"), dashboard.LOW),
    ],
)  # fmt: skip
def test_a_wide_chart_is_as_high_as_the_card_beside_it(keys, height):
    assert dashboard._height("weekly", [BY_KEY[key] for key in keys]) == height


def test_a_report_one_may_not_open_is_no_link(company, sign_in):
    reader = builders.user(roles=[builders.role(rights=[("can_show", "Dashboard"), ("can_see_all", "Dashboard")])])
    html = page_of(sign_in(reader)).get_data(as_text=True)
    assert "/reports/" not in html
    assert "<dt>Order amount</dt>" in html


def test_without_any_right_on_customers_figures_are_not_withheld_but_carry_no_links(company, chen, li, sign_in):
    customer_page = re.compile(r'href="/customers/show/\d+"')
    assert not customer_page.search(page_of(sign_in(chen)).get_data(as_text=True))
    assert len(customer_page.findall(page_of(sign_in(li)).get_data(as_text=True))) == 2  # names in a table


def test_a_figure_leads_only_to_customers_the_reader_may_open(app, company, sign_in):
    app.config["LIUKE_CUSTOMERS_SHARED"] = "own"
    rights = [("can_show", "Dashboard"), ("can_see_all", "Dashboard"), ("can_show", "Customer")]
    reader = builders.user(roles=[builders.role(rights=rights)])
    answer = page_of(sign_in(reader))
    assert len(table_on(answer, "best")) == 2
    assert "/customers/show/" not in answer.get_data(as_text=True)


# -- nothing, and much --------------------------------------------------------------------------------------------


def test_the_states_of_opportunities_lead_to_a_list_that_shows_the_same(app, company, sign_in):
    rights = [("can_show", "Dashboard"), ("can_see_all", "Dashboard"), ("can_list", "Opportunity")]
    for more, linked in ((), False), ([("can_see_all", "Opportunity")], True):
        person = builders.user(roles=[builders.role(rights=[*rights, *more])])
        page = page_of(sign_in(person)).get_data(as_text=True)
        assert ("/opportunities/list/?_flt_0_status=" in page) is linked


def test_deleted_records_count_nowhere(db, company, li, sign_in):
    for customer in rows(Customer):
        customer.status = CustomerStatus.deleted
    for record in (*rows(Opportunity), *rows(Ticket)):
        record.deleted_at = utcnow()
    db.session.commit()
    answer = page_of(sign_in(li))
    assert set(values_on(answer).values()) == {"¥0", "0", "—"}
    charts = re.findall(r'class="lk-chart (\w+)', answer.get_data(as_text=True))
    assert set(charts) == {"spark"}


def test_an_empty_company_is_told_where_figures_come_from(db, li, sign_in):
    text = text_of(page_of(sign_in(li)))
    for sentence in (
        "No churn cases in this time", "No active customers", "No orders in this time", "No opportunities in this time",
        "No answers in this time", "The sales system has not been read yet.",
    ):  # fmt: skip
        assert sentence in text


@pytest.mark.parametrize(
    ("now", "before", "change", "rises"),
    [
        ("150", "100", "50.0%", True), ("100", "100", "±0", None), ("99", "100", "1.0%", False),
        ("0", "100", "100.0%", False), ("100", "0", "from 0", True), ("0", "0", "", None),
    ],
)  # fmt: skip
def test_growth_is_told_in_per_cent(app, li, sign_in, now, before, change, rises):
    with app.test_request_context("/dashboard/"):
        span = running("year", NOW)
        kpi = dashboard.amount_kpi(Figure(Decimal(now), Decimal(before), (Decimal(0),) * 6), span)
    assert (kpi.value, kpi.change, kpi.rises, kpi.good) == (f"¥{now}", change, rises, rises)
    assert str(kpi.against) == ("vs last year" if change else "")


@pytest.mark.parametrize(("now", "before", "good"), [(3, 5, True), (5, 3, False), (4, 4, None)])
def test_fewer_warnings_are_good(app, li, now, before, good):
    with app.test_request_context("/dashboard/"):
        kpi = dashboard.count_kpi("warnings", Figure(now, before, (0,) * 6), running("month", NOW), good=False)
    assert (kpi.good, kpi.change) == (good, "±0" if good is None else "2")


@pytest.mark.parametrize(("days", "warned"), [(8, False), (9, True)])
def test_old_orders_are_called_old(db, li, sign_in, days, warned):
    builders.sync_run(finished_at=utcnow() - timedelta(days=days) + timedelta(minutes=5))
    builders.customer()
    text = text_of(page_of(sign_in(li)))
    assert ("The sales system was last read" in text) is warned
    assert "Orders as of" in text


def test_the_page_costs_the_same_number_of_statements_however_much_there_is(app, db, company, li, sign_in):
    builders.team()
    browser = sign_in(li)
    page_of(browser)
    with statements(app) as few:
        page_of(browser)
    for _ in range(15):
        customer = builders.customer()
        builders.order(customer, at=NOW - timedelta(days=3))
        builders.measure(builders.churn_case(customer, opened_at=NOW - timedelta(days=3)))
        builders.opportunity()
        builders.ticket_step(builders.ticket(customer), step="handled", at=NOW - timedelta(days=3))
    refresh_totals()
    db.session.commit()
    with statements(app) as many:
        page_of(browser)
    assert len(many) == len(few) <= 16  # with those of the menu and its counters


def test_what_is_not_shown_is_not_asked_for(app, db, company, li, sign_in):
    builders.dashboard_tile(user=li, key="warnings")
    browser = sign_in(li)
    page_of(browser)
    with statements(app) as seen:
        page_of(browser)
    assert not [s for s in seen if "customer_month" in s or "plan_step" in s or "ticket_step" in s]


def test_a_kept_chart_is_never_another_languages_or_out_of_date(db, company, li, sign_in):
    browser = sign_in(li)
    for language, amount in (("zh", "¥26.9 万"), ("en", "¥269K")):
        html = page_of(browser.speak(language)).get_data(as_text=True)
        assert [a for a in ("¥26.9 万", "¥269K") if f">{a}</text>" in html] == [amount]

    customer = rows(Customer, Customer.name == "恒锐精密")[0]
    builders.order(customer, amount="1000", at=NOW)
    refresh_totals()
    db.session.commit()

    assert ">¥270K</text>" in page_of(browser).get_data(as_text=True)


def test_a_name_is_only_text(db, li, sign_in):
    customer = builders.customer(name="<script>alert(1)</script>&co")
    builders.order(customer)
    builders.team(name="<b>team</b>")
    refresh_totals()
    db.session.commit()
    html = page_of(sign_in(li)).get_data(as_text=True)
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "<b>team" not in html
