"""经营看板: from figures to cards, each a chart with its table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from flask import url_for
from flask_babel import format_date, ngettext
from flask_babel import gettext as _
from markupsafe import Markup

from app.core import format as fmt
from app.core.web import language
from app.reports import charts
from app.reports.drawing import drawn
from app.reports.figures import money_parts, shares, short_money
from app.reports.queries import ChurnWeek, Contribution, Headline, LevelCount, StageCount

WIDE, NARROW = 520, 320  # half a desktop page, and a phone


@dataclass(frozen=True)
class Kpi:
    """One figure of the strip: its name, the number with its unit, a line below, and how it changed."""

    label: str
    value: str
    unit: str = ""
    note: str = ""
    change: str = ""
    rises: bool = True


@dataclass(frozen=True)
class Card:
    """One chart with its legend and its table. Without anything to show it says why."""

    key: str
    title: str
    note: str
    span: str
    empty: tuple[str, str, str]  # icon, what is missing, where it comes from
    wide: str = ""
    narrow: str = ""
    middle: tuple[str, str] | None = None  # of a ring: number and word
    legend: Sequence[tuple[str, str]] = ()  # name, figure; coloured like the chart
    facts: Sequence[tuple[str, str]] = ()  # name, figure; what the chart has no room for
    head: Sequence[str] = ()
    numeric: frozenset[int] = frozenset()
    rows: list[list[Any]] = field(default_factory=list)


def kpis(figures: Headline, *, day: date) -> list[Kpi]:
    """The strip over the charts. `day` is the company's today."""
    this_year, unit = money_parts(figures.ordered_this_year)
    last_year, last_unit = money_parts(figures.ordered_last_year)
    change = ""
    if figures.ordered_last_year > 0:
        grown = (figures.ordered_this_year / figures.ordered_last_year - 1) * 100
        change = f"{abs(grown):,.1f}%"
    return [
        Kpi(
            _("Order amount %(year)s", year=day.year),
            this_year,
            unit,
            note=_("vs %(year)s", year=day.year - 1) if change else _("since 1 January"),
            change=change,
            rises=figures.ordered_this_year >= figures.ordered_last_year,
        ),
        Kpi(
            _("Same period %(year)s", year=day.year - 1),
            last_year,
            last_unit,
            note=_("until %(day)s", day=short_day(day)),
        ),
        Kpi(
            _("Active customers"),
            f"{figures.active_customers:,}",
            note=_("%(n)s new this year", n=f"{figures.new_customers:,}"),
        ),
        Kpi(
            _("Churn warnings"),
            f"{figures.warnings:,}",
            note=_("%(n)s deferred", n=f"{figures.deferred:,}"),
        ),
        Kpi(
            _("Open opportunities"),
            f"{figures.open_opportunities:,}",
            note=_("%(amount)s expected", amount=short_money(figures.expected)),
        ),
    ]


def churn_card(weeks: Sequence[ChurnWeek]) -> Card:
    """客户流失: warnings, recoveries and losses week by week."""
    names = [_("New warnings"), _("Recovered"), _("Lost")]
    happened = any(w.opened or w.recovered or w.lost for w in weeks)
    series = tuple(zip(names, zip(*((w.opened, w.recovered, w.lost) for w in weeks), strict=True), strict=True))
    labels = tuple(short_day(w.monday) for w in weeks)

    def draw(width: int, height: int) -> Markup:
        label = _("Churn cases by week: new warnings, recovered, lost")
        # Columns, not lines: most weeks have nothing of one kind, and lines would lie upon each other at zero.
        return drawn(charts.columns, labels, series, label=label, width=width, height=height)

    return Card(
        key="churn",
        title=_("Churn cases"),
        note=_("last %(n)d weeks", n=len(weeks)),
        span="s8",
        empty=("heart-handshake", _("No churn cases in this time"), _("The churn run opens them on Saturdays.")),
        wide=draw(720, 240) if happened else "",
        narrow=draw(NARROW, 200) if happened else "",
        legend=[(name, "") for name in names],
        head=[_("Week"), *names],
        numeric=frozenset({1, 2, 3}),
        rows=[[_span(w.monday), w.opened, w.recovered, w.lost] for w in weeks],
    )


def level_card(levels: Sequence[LevelCount]) -> Card:
    """客户构成 by level."""
    total = sum(count.customers for count in levels)
    percent = shares([count.customers for count in levels])
    parts = tuple((count.level.label, count.customers) for count in levels)
    ring = drawn(charts.donut, parts, label=_("Active customers by level"))
    return Card(
        key="levels",
        title=_("Customers by level"),
        note=_("active customers"),
        span="s4",
        empty=("users", _("No active customers"), _("They come from won opportunities and from the sales system.")),
        wide=ring,
        middle=(f"{total:,}", ngettext("customer", "customers", total)),
        legend=[(count.level.label, f"{share}%") for count, share in zip(levels, percent, strict=True)],
        head=[_("Level"), _("Customers"), _("Share")],
        numeric=frozenset({1, 2}),
        rows=[
            [count.level.label, f"{count.customers:,}", f"{share}%"]
            for count, share in zip(levels, percent, strict=True)
        ],
    )


def contribution_card(best: Sequence[Contribution], *, year: int, openable: set[int]) -> Card:
    """客户贡献前 10. Bars and names lead to the customers the reader may open."""
    urls = tuple(url_for("CustomerView.show", pk=c.customer_id) if c.customer_id in openable else None for c in best)

    def draw(width: int) -> Markup:
        return drawn(
            charts.hbar,
            tuple(c.customer for c in best),
            tuple(c.total for c in best),
            label=_("The customers with the highest order amount in %(year)s", year=year),
            formatter=short_money,
            hrefs=urls,
            width=width,
        )

    return Card(
        key="contribution",
        title=_("Top 10 customers"),
        note=_("order amount %(year)s", year=year),
        span="s6",
        empty=("receipt", _("No orders this year"), _("Orders come from the sales system.")),
        wide=draw(WIDE),
        narrow=draw(NARROW),
        head=[_("Rank"), _("Customer"), _("Order amount")],
        numeric=frozenset({2}),
        rows=[
            [rank, _link(c.customer, url), fmt.money(c.total)]
            for rank, (c, url) in enumerate(zip(best, urls, strict=True), start=1)
        ],
    )


def opportunity_card(stages: Sequence[StageCount]) -> Card:
    """销售机会 by state."""
    some = any(stage.opportunities for stage in stages)
    names = tuple(str(stage.status.label) for stage in stages)
    counts, label = tuple(stage.opportunities for stage in stages), _("Opportunities by status")
    return Card(
        key="opportunities",
        title=_("Opportunities"),
        note=_("by status"),
        span="s6",
        empty=("target-arrow", _("No opportunities yet"), _("They are entered under Opportunities.")),
        wide=drawn(charts.bars, names, counts, label=label, width=WIDE) if some else "",
        narrow=drawn(charts.hbar, names, counts, label=label, width=NARROW) if some else "",
        facts=[
            (_("%(status)s, expected amount", status=name), short_money(stage.expected))
            for name, stage in zip(names, stages, strict=True)
            if stage.expected
        ],
        head=[_("Status"), _("Opportunities"), _("Expected amount")],
        numeric=frozenset({1, 2}),
        rows=[[stage.status.label, f"{stage.opportunities:,}", fmt.money(stage.expected)] for stage in stages],
    )


def short_day(day: date) -> str:
    """A day without its year: 11-22, or 22 Nov in English."""
    return str(format_date(day, "MM-dd" if language() == "zh" else "d MMM"))


def _span(monday: date) -> str:
    """A week by its first and last day."""
    return f"{monday.isoformat()} – {(monday + timedelta(days=6)).isoformat()}"


def _link(text: str, url: str | None) -> str | Markup:
    return text if url is None else Markup('<a href="{}">{}</a>').format(url, text)
