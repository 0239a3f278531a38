"""经营看板: from figures to tiles, each number with its change, each chart with its table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from flask import url_for
from flask_babel import format_date, ngettext
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from markupsafe import Markup

from app.core import format as fmt
from app.core.scope import may
from app.core.web import language
from app.masterdata.models import DictionaryType
from app.reports import access, charts, queries
from app.reports.access import Scopes
from app.reports.catalogue import BY_ID
from app.reports.closing import closed_since
from app.reports.drawing import drawn
from app.reports.figures import money_parts, shares, short_money
from app.reports.groups import NONE
from app.reports.kinds.funnel import STAGES
from app.reports.period import Period, twelve_months, year_of
from app.reports.queries import Chances, Contribution, Figure, Group, Happened, Service
from app.reports.span import RECENT, Span, months_on
from app.reports.tiles import BY_KEY, Tile
from app.sales.models import OpportunityStatus

WIDE, THIRD, NARROW = 720, 340, 320  # two thirds of a desktop page, one third, and a phone
LOW, TALL = 240, 308  # a wide chart that has its row for itself, and one beside a card that is as high
WIDE_CARDS = frozenset({"churn-trend", "weekly"})  # two thirds of a row; the others a third
REGIONS = 5  # that have room beside the ring

SPANS = (("month", _l("This month")), ("quarter", _l("This quarter")), ("year", _l("This year")))
_AGAINST = {"month": _l("vs last month"), "quarter": _l("vs last quarter"), "year": _l("vs last year")}

HOW = {
    "amount": _l(
        "Sum of the orders of the span so far; cancelled ones are left out, unpaid ones count. All figures of this page"
        " are counted as the records are now."
    ),
    "new": _l("Customers registered in the span so far, whatever became of them; deleted ones are left out."),
    "satisfaction": _l("Mean of the final satisfaction, 1 to 5, of the tickets archived in the span so far."),
    "warnings": _l("Churn warnings opened in the span so far, whatever became of them."),
    "retention": _l(
        "The retention rate of the report “Customer retention” for the last 12 whole months: of the customers who"
        " ordered in the 12 months before them, the per cent who ordered again; not shown of fewer than ten. It is"
        " compared with the same figure one month, quarter or year earlier."
    ),
    "open": _l(
        "Opportunities that are unassigned or in development now, the total of the report “Sales forecast”, and those"
        " that were at the moment compared with."
    ),
    "churn-trend": _l(
        "By month: warnings opened, cases whose first measure was taken, cases confirmed lost (also if the customer"
        " was won back later)."
    ),
    "funnel": _l(
        "Opportunities entered in the span, and how many of them were assigned, have a plan of which a step is done"
        " (or were won) and were won by now: the stages of the sales funnel."
    ),
    "states": _l("All opportunities, whenever they were entered, by where they stand now; deleted ones are left out."),
    "weekly": _l(
        "By week, Monday to Sunday: warnings opened, cases that an order ended before the customer was lost, cases"
        " confirmed lost (also if the customer was won back later)."
    ),
    "best": _l("The customers with the highest order amount this year so far; cancelled orders are left out."),
    "composition": _l("Active customers by level and by region; lost and deleted ones are left out."),
    "answers": _l(
        "What customers said when a ticket was fed back, in the month they said it; a returned ticket has more than one"
        " answer, of which the report “Customer service” counts the last. The hours run from a ticket's entry to its"
        " first handling, of tickets first handled in the span. Not archived are the tickets that are open now,"
        " whenever they were created."
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Kpi:
    """One figure of the strip: the number with its unit, how it changed, and a small line of what it was."""

    tile: Tile
    value: str
    unit: str = ""
    change: str = ""
    rises: bool | None = None  # None: as before
    good: bool | None = None  # whether the change is; None: neither
    against: Any = ""
    line: str = ""
    url: str | None = None


@dataclass(frozen=True)
class Card:
    """One chart with its legend and its table. Without anything to show it says why."""

    tile: Tile
    note: str
    empty: tuple[str, str, str]  # icon, what is missing, where it comes from
    wide: str = ""
    narrow: str = ""  # where it is another
    middle: tuple[str, str] | None = None  # of a ring: number and word
    corner: str = ""
    legend: Sequence[tuple[str, str]] = ()  # name, figure; coloured like the chart
    colours: str = "k"  # classes of the legend: k1, k2 ...
    bars: Sequence[tuple[str | Markup, int, int]] = ()  # name, number, of which whole
    facts: Sequence[tuple[str | Markup, str | Markup]] = ()  # name, figure; what the chart has no room for
    head: Sequence[str] = ()
    numeric: frozenset[int] = frozenset()
    rows: list[list[Any]] = field(default_factory=list)
    url: str | None = None

    @property
    def span(self) -> str:
        """How much of a row it takes, as a class."""
        return "s8" if self.key in WIDE_CARDS else "s4"

    @property
    def key(self) -> str:
        """Its name in addresses of the page."""
        return self.tile.key


def tiles(
    shown: Sequence[Tile], *, span: Span, scopes: Scopes, team: int | None = None
) -> tuple[list[Kpi], list[Card]]:
    """The strip and the charts of these tiles, in their order, each with the address of its report about the same
    `team`. Only what is shown is asked for."""
    asked = _Asked(span, scopes)

    def happened() -> Happened:
        found: Happened = asked(queries.happened, "customers", "cases")
        return found

    def rows(key: str, **more: str) -> Rows:
        return rows_of(BY_KEY[key], span, team, **more)

    makers: dict[str, Callable[[], Any]] = {
        "amount": lambda: amount_kpi(asked(queries.ordered, "of_customers"), span),
        "new": lambda: count_kpi("new", happened().new, span, good=True),
        "satisfaction": lambda: satisfaction_kpi(asked(queries.service, "tickets").satisfaction, span),
        "warnings": lambda: count_kpi("warnings", happened().warnings, span, good=False),
        "retention": lambda: retention_kpi(asked(queries.retention, "of_customers"), span),
        "open": lambda: count_kpi("open", asked(queries.chances, "opportunities").open, span, good=None),
        "churn-trend": lambda: churn_card(happened(), span, rows("churn-trend"), height=_height("churn-trend", shown)),
        "funnel": lambda: funnel_card(
            asked(queries.chances, "opportunities"),
            span,
            rows("funnel"),
            forecast=report_url(BY_KEY["open"], span, team),
        ),
        "states": lambda: states_card(asked(queries.chances, "opportunities"), rows("states"), team=team),
        "weekly": lambda: weekly_card(happened(), rows("weekly"), height=_height("weekly", shown)),
        "best": lambda: _best(span, scopes, rows("best")),
        "composition": lambda: composition_card(
            queries.composition(customers=scopes.customers), rows("composition"), rows("composition", by="region")
        ),
        "answers": lambda: service_card(asked(queries.service, "tickets"), span),
    }
    made = {tile.key: replace(makers[tile.key](), url=report_url(tile, span, team)) for tile in shown}
    return ([made[tile.key] for tile in shown if not tile.chart], [made[tile.key] for tile in shown if tile.chart])


Rows = Callable[[Any, str, Any], str | None]
"""Of a line, a column and the number they hold in a report: where its rows are, None for nobody's and for none."""


def _height(key: str, shown: Sequence[Tile]) -> int:
    """How high a wide chart is drawn: as the card it has beside it, or low where it has none."""
    row: list[str] = []
    for tile in (tile for tile in shown if tile.chart):
        if sum(8 if one in WIDE_CARDS else 4 for one in (*row, tile.key)) > 12:
            if key in row:
                break
            row = []
        row.append(tile.key)
    return TALL if len(row) > 1 else LOW


def closed_months(shown: Sequence[Tile], span: Span, *, company: bool) -> str:
    """The sentence that says how many of the months these tiles count are closed; '' if none is. One statement.

    Only the `company`'s figures are kept: of others nothing is said to stand in the reports.
    """
    months = -24 - max(RECENT - 1, span.period.months)  # two years before the earliest rate
    since = {
        "retention": months_on(span.today.replace(day=1), months),
        "churn-trend": span.months(queries.TREND)[0],
        "weekly": span.weeks(queries.WEEKS)[0],
        "answers": span.months(queries.ANSWERED)[0],
        "funnel": span.period.first,
        "best": year_of(span.today).first,
    }
    first: dict[str, date] = {}
    for tile in shown:
        if tile.key not in ("composition", "states"):  # as of now
            day = since.get(tile.key, min(span.recent[0], span.period.before.first))
            first[tile.report] = min(day, first.get(tile.report, day))
    number = closed_since(first)
    if not number:
        return ""
    if not company:
        return ngettext(
            "%(num)d month counted here is closed, but figures like these were not kept. They are counted as of today, "
            "comparisons too.",
            "%(num)d months counted here are closed, but figures like these were not kept. They are counted as of "
            "today, comparisons too.",
            number,
        )
    return ngettext(
        "%(num)d month counted here is closed: what the company reported then stands in the reports of that month. "
        "Here everything is counted as of today, comparisons too.",
        "%(num)d months counted here are closed: what the company reported then stands in the reports of those months. "
        "Here everything is counted as of today, comparisons too.",
        number,
    )


class _Asked:
    """Figures that several tiles show, asked for once."""

    def __init__(self, span: Span, scopes: Scopes) -> None:
        self.span, self.scopes = span, scopes
        self.known: dict[Any, Any] = {}

    def __call__(self, query: Any, *scopes: str) -> Any:
        if query not in self.known:
            self.known[query] = query(span=self.span, **{name: getattr(self.scopes, name) for name in scopes})
        return self.known[query]


# -- figures ------------------------------------------------------------------------------------------------------


def amount_kpi(figure: Figure, span: Span) -> Kpi:
    """订单金额, with its growth in per cent."""
    value, unit = money_parts(figure.now)
    change = ""
    if figure.before > 0:
        change = f"{abs(figure.now / figure.before - 1) * 100:,.1f}%"
    elif figure.now:
        change = _("from 0")
    return _kpi("amount", value, figure, span, unit=unit, change=change, good=True)


def count_kpi(key: str, figure: Figure, span: Span, *, good: bool | None) -> Kpi:
    """A number of records. `good`: whether more of them are."""
    return _kpi(key, f"{figure.now:,}", figure, span, change=f"{abs(figure.now - figure.before):,}", good=good)


def satisfaction_kpi(figure: Figure, span: Span) -> Kpi:
    """服务满意度, 1 to 5."""
    if figure.now is None:
        return _kpi("satisfaction", "—", figure, span, good=True)
    change = "" if figure.before is None else f"{abs(figure.now - figure.before)}"
    return _kpi("satisfaction", f"{figure.now}", figure, span, unit="/ 5", change=change, good=True)


def retention_kpi(figure: Figure, span: Span) -> Kpi:
    """老客户留存率, with its change in percentage points."""
    if figure.now is None:
        return _kpi("retention", "—", figure, span, good=True)
    change = "" if figure.before is None else _("%(n)s points", n=abs(figure.now - figure.before))
    return _kpi("retention", f"{figure.now}", figure, span, unit="%", change=change, good=True)


def _kpi(
    key: str, value: str, figure: Figure, span: Span, *, good: bool | None, unit: str = "", change: str = ""
) -> Kpi:
    tile = BY_KEY[key]
    rises = None if not change or figure.now == figure.before else figure.now > figure.before
    line = drawn(
        charts.spark, tuple(None if v is None else float(v) for v in figure.recent),
        label=_("%(name)s: the last six whole months", name=tile.label),
    )  # fmt: skip
    return Kpi(
        tile, value, unit=unit, change="±0" if change and rises is None else change, rises=rises,
        good=None if rises is None or good is None else rises == good,
        against=_AGAINST[span.code] if change else "", line=line,
    )  # fmt: skip


# -- charts -------------------------------------------------------------------------------------------------------


def churn_card(found: Happened, span: Span, rows: Rows, *, height: int) -> Card:
    """客户流失趋势: warnings, deferred and lost cases of twelve months."""
    names = [_("New warnings"), _("Deferred"), _("Lost")]
    some = any(any(series) for series in found.trend)
    series, labels = tuple(zip(names, found.trend, strict=True)), tuple(short_month(m) for m in found.months)
    links = _parts(rows, ("warned", "deferred", "lost"), found.trend)

    def draw(width: int, height: int) -> Markup:
        label = _("Churn cases by month: new warnings, deferred, lost")
        # Columns, not lines: many months have nothing of one kind, and lines would lie upon each other at zero.
        return drawn(charts.columns, labels, series, label=label, hrefs=links, width=width, height=height)

    return Card(
        BY_KEY["churn-trend"],
        note=_("last %(n)d months", n=len(found.months)),
        empty=("heart-handshake", _("No churn cases in this time"), _("The churn run opens them on Saturdays.")),
        wide=draw(WIDE, height) if some else "",
        narrow=draw(NARROW, 200) if some else "",
        legend=[(name, "") for name in names],
        head=[_("Month"), *names],
        numeric=frozenset({1, 2, 3}),
        rows=[[f"{m:%Y-%m}", *numbers] for m, *numbers in zip(found.months, *found.trend, strict=True)],
    )


def _parts(rows: Rows, columns: Sequence[str], numbers: Sequence[Sequence[int]]) -> tuple[tuple[str | None, ...], ...]:
    """Where the marks of months or weeks lead: a report calls these by their places, from 1 on."""
    return tuple(
        tuple(rows(place, column, number) for place, number in enumerate(of_column, start=1))
        for column, of_column in zip(columns, numbers, strict=True)
    )


def weekly_card(found: Happened, rows: Rows, *, height: int) -> Card:
    """每周流失: cases opened, recovered and lost of twelve weeks, each named by its Monday."""
    names = [_("New warnings"), _("Recovered"), _("Lost")]
    some = any(any(series) for series in found.weekly)
    series, labels = tuple(zip(names, found.weekly, strict=True)), tuple(short_day(week) for week in found.weeks)
    links = _parts(rows, ("warned", "recovered", "lost"), found.weekly)

    def draw(width: int, height: int) -> Markup:
        label = _("Churn cases by week: new warnings, recovered, lost")
        return drawn(charts.columns, labels, series, label=label, hrefs=links, width=width, height=height)

    return Card(
        BY_KEY["weekly"],
        note=_("last %(n)d weeks, each named by its Monday", n=len(found.weeks)),
        empty=("heart-handshake", _("No churn cases in this time"), _("The churn run opens them on Saturdays.")),
        wide=draw(WIDE, height) if some else "",
        narrow=draw(NARROW, 200) if some else "",
        legend=[(name, "") for name in names],
        head=[_("Week"), *names],
        numeric=frozenset({1, 2, 3}),
        rows=[[f"{week}", *numbers] for week, *numbers in zip(found.weeks, *found.weekly, strict=True)],
    )


def states_card(found: Chances, rows: Rows, *, team: int | None) -> Card:
    """机会状态: all opportunities by where they stand. Bars lead to their rows in the report, names to their list where
    the reader may open it; not those of one team, for lists know no teams, nor where the list shows others than are
    counted here."""
    same = access.sees_all("Dashboard") == may("can_see_all", "Opportunity")
    opens = team is None and same and may("can_list", "Opportunity")
    urls = tuple(
        url_for("OpportunityView.list", _flt_0_status=status.value) if opens else None for status in OpportunityStatus
    )
    names = tuple(str(status.label) for status in OpportunityStatus)
    total, parts = sum(found.states), shares(found.states)
    links = tuple(
        rows(status.value, "opportunities", number)
        for status, number in zip(OpportunityStatus, found.states, strict=True)
    )
    label = _("Opportunities by status")
    return Card(
        BY_KEY["states"],
        note=ngettext("%(num)d opportunity", "%(num)d opportunities", total),
        empty=("target-arrow", _("No opportunities yet"), _("They are entered under Opportunities.")),
        wide=drawn(charts.hbar, names, found.states, label=label, hrefs=links, width=THIRD, step=46) if total else "",
        facts=[
            (_link(name, url), f"{number:,} · {share}%")
            for name, url, number, share in zip(names, urls, found.states, parts, strict=True)
        ]
        if total
        else (),
        head=[_("Status"), _("Opportunities"), _("Share")],
        numeric=frozenset({1, 2}),
        rows=[
            [_link(name, url), f"{number:,}", f"{share}%"]
            for name, url, number, share in zip(names, urls, found.states, parts, strict=True)
        ],
    )


def funnel_card(found: Chances, span: Span, rows: Rows, *, forecast: str | None) -> Card:
    """销售漏斗: how far the opportunities entered in the span came. Those open now lead to the forecast."""
    names = [str(label) for label in STAGES.values()]
    entered, *_others, won = found.stages
    share = [f"{number * 100 / entered:.0f}%" if entered else "" for number in found.stages]
    links = tuple(rows(key, "opportunities", number) for key, number in zip(STAGES, found.stages, strict=True))
    drawing = tuple(zip(names, found.stages, strict=True))
    picture = drawn(charts.funnel, drawing, label=_("Sales funnel"), hrefs=links)
    stages = list(zip(names, found.stages, share, strict=True))
    return Card(
        BY_KEY["funnel"],
        note=span.period.label,
        empty=("target-arrow", _("No opportunities in this time"), _("They are entered under Opportunities.")),
        wide=picture,
        corner=_("Conversion %(share)s", share=f"{won * 100 / entered:.1f}%") if entered else "",
        legend=[(name, f"{number:,} · {part}") for name, number, part in stages],
        colours="f",
        facts=[
            (_("Open now"), _link(f"{found.open.now:,}", forecast)),
            (_("Expected amount"), _link(short_money(found.expected), forecast)),
        ],
        head=[_("Stage"), _("Opportunities"), _("Share")],
        numeric=frozenset({1, 2}),
        rows=[[name, f"{number:,}", part] for name, number, part in stages],
    )


def _best(span: Span, scopes: Scopes, rows: Rows) -> Card:
    best = queries.top_customers(period=year_of(span.today), of_customers=scopes.of_customers)
    return contribution_card(best, span, rows, openable=access.openable_customers([c.customer_id for c in best]))


def contribution_card(best: Sequence[Contribution], span: Span, rows: Rows, *, openable: set[int]) -> Card:
    """客户贡献前 10. Bars lead to the orders, names to the customers the reader may open."""
    urls = tuple(url_for("CustomerView.show", pk=c.customer_id) if c.customer_id in openable else None for c in best)
    bars = drawn(
        charts.hbar,
        tuple(c.customer for c in best),
        tuple(c.total for c in best),
        label=_("The customers with the highest order amount"),
        formatter=short_money,
        hrefs=tuple(rows(c.customer_id, "amount", c.total) for c in best),
        width=THIRD,
        step=32,
    )
    return Card(
        BY_KEY["best"],
        note=year_of(span.today).label,
        empty=("receipt", _("No orders in this time"), _("Orders come from the sales system.")),
        wide=bars,
        head=[_("Rank"), _("Customer"), _("Order amount")],
        numeric=frozenset({2}),
        rows=[
            [rank, _link(c.customer, url), fmt.money(c.total)]
            for rank, (c, url) in enumerate(zip(best, urls, strict=True), start=1)
        ],
    )


def composition_card(found: dict[DictionaryType, list[Group]], rows: Rows, by_region: Rows) -> Card:
    """客户构成: a ring by level, the biggest regions as bars."""
    levels, regions = found[DictionaryType.level], found[DictionaryType.region]
    total = sum(group.customers for group in levels)
    percent = shares([group.customers for group in levels])
    parts = [(_name(group), group.customers, share) for group, share in zip(levels, percent, strict=True)]
    biggest = sorted((g for g in regions if g.customers), key=lambda g: -g.customers)
    own = charts.told_apart([count for _n, count, _share in parts])
    told, links = [parts[n] for n in own], [_rows_of_group(levels[n], rows) for n in own]
    if len(own) < len(parts):
        others = [part for n, part in enumerate(parts) if n not in own]
        share = sum((share for _n, _c, share in others), start=Decimal(0))
        told.append((_("Others"), sum(count for _n, count, _s in others), share))
        links.append(None)
    drawing = tuple((name, count) for name, count, _share in told)
    ring = drawn(charts.donut, drawing, label=_("Active customers by level"), hrefs=tuple(links))
    return Card(
        BY_KEY["composition"],
        note=_("active customers"),
        empty=("users", _("No active customers"), _("They come from won opportunities and from the sales system.")),
        wide=ring,
        middle=(f"{total:,}", ngettext("customer", "customers", total)),
        legend=[(name, f"{share}%") for name, _count, share in told],
        bars=[
            (_link(_name(group), _rows_of_group(group, by_region)), group.customers, total)
            for group in biggest[:REGIONS]
        ],
        head=[_("Group"), _("Customers"), _("Share")],
        numeric=frozenset({1, 2}),
        rows=[
            *([name, f"{count:,}", f"{share}%"] for name, count, share in parts),
            *(
                [_name(group), f"{group.customers:,}", f"{share}%"]
                for group, share in zip(regions, shares([g.customers for g in regions]), strict=True)
            ),
        ],
    )


def service_card(found: Service, span: Span) -> Card:
    """服务满意度 by month, with how fast tickets are handled and how many wait."""
    names = [_("Very satisfied"), _("Satisfied"), _("Neutral"), _("Dissatisfied")]
    labels = tuple(short_month(month) for month in found.months)
    series = tuple(zip(names, found.answers, strict=True))
    return Card(
        BY_KEY["answers"],
        note=_("by month, per cent"),
        empty=("mood-smile", _("No answers in this time"), _("They are given when a ticket is fed back.")),
        wide=drawn(charts.answers, labels, series, label=_("Answers about service by month"), width=THIRD),
        legend=[(name, "") for name in names],
        colours="q",
        facts=[
            (_("Hours to the first handling"), "—" if found.hours is None else f"{found.hours:,}"),
            (_("Not archived"), f"{found.waiting:,}"),
        ],
        head=[_("Month"), *names],
        numeric=frozenset({1, 2, 3, 4}),
        rows=[[f"{m:%Y-%m}", *numbers] for m, *numbers in zip(found.months, *found.answers, strict=True)],
    )


# -- words --------------------------------------------------------------------------------------------------------


def report_url(tile: Tile, span: Span, team: int | None) -> str | None:
    """Where the figures of a tile stand in a report, about the same team; None if the reader may not open it."""
    report = BY_ID.get(tile.report)
    if report is None or not may("can_show", report.right):
        return None
    return url_for(f"{report.right}View.show", **_asked_of(tile, span), team=team)


def rows_of(tile: Tile, span: Span, team: int | None, **more: str) -> Rows:
    """Where the records behind the marks of a chart are: the rows of the same figures in the report its tile opens,
    with the filters `more`. Nowhere if the reader may not open it, or would see others there than are counted here."""
    report = BY_ID[tile.report]
    same = access.sees_all(report.right) == access.sees_all("Dashboard")
    if not same or not may("can_show", report.right):
        return lambda _line, _column, _number: None
    address, asked = url_for(f"{report.right}View.rows"), _asked_of(tile, span) | more
    if team is not None:
        asked["team"] = team

    def url(line: Any, column: str, number: Any) -> str | None:
        return f"{address}?{urlencode({**asked, 'line': line, 'column': column})}" if number else None

    return url


def _asked_of(tile: Tile, span: Span) -> dict[str, Any]:
    """What the address of a tile's report says of time and groups."""
    given: dict[str, Any] = {"period": span.period.code} if BY_ID[tile.report].timed else {}
    return (
        given
        | {  # what does not go by the span
            "retention": lambda: {"period": twelve_months(span.today).code},
            "best": lambda: {"period": year_of(span.today).code},
            "churn-trend": lambda: {"by": "month", "period": _trend(span).code},
            "weekly": lambda: {"by": "week", "period": _weeks(span).code},
            "states": lambda: {"by": "status", "period": "all"},
        }.get(tile.key, dict)()
    )


def _trend(span: Span) -> Period:
    """The twelve months of the churn trend."""
    return twelve_months(months_on(span.today, 1))


def _weeks(span: Span) -> Period:
    """The twelve weeks of the churn cases."""
    weeks = span.weeks(queries.WEEKS)
    return Period(weeks[0], weeks[-1] + timedelta(weeks=1))


def short_day(day: date) -> str:
    """A day without its year: 11月21日, or 21 Nov in English."""
    return str(format_date(day, "M月d日" if language() == "zh" else "d MMM"))


def short_month(month: date) -> str:
    """A month without its year: 11月, or Nov in English."""
    return str(format_date(month, "M月" if language() == "zh" else "MMM"))


def _rows_of_group(group: Group, rows: Rows) -> str | None:
    return rows(NONE if group.item is None else group.item.id, "customers", group.customers)


def _name(group: Group) -> str:
    return group.item.label if group.item is not None else _("Not known")


def _link(text: str, url: str | None) -> str | Markup:
    return text if url is None else Markup('<a href="{}">{}</a>').format(url, text)
