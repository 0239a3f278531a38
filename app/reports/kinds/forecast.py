"""销售预测: what the open opportunities may bring, by the month in which they are expected to close."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from dateutil.relativedelta import relativedelta
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from app.core.clock import today
from app.core.types import Money
from app.extensions import db
from app.mirror.bulk import on_postgresql
from app.reports import charts
from app.reports.counted import OPEN
from app.reports.drawing import Drawing, alone
from app.reports.figures import short_money
from app.reports.past import values_then
from app.reports.period import Period, month_of
from app.reports.report import Ask, Column, Line, Report, Table, manager_filter
from app.sales.models import Opportunity

OVERDUE, LATER, NONE = "overdue", "later", "none"
MONTHS = 12  # with a line of their own, from this one on


class Forecast(Report):
    """Opportunities that were open at the end of the period, or are now if it is not over."""

    id = "forecast"
    right = "ForecastReport"
    icon = "trending-up"
    title = _l("Sales forecast")
    about = _l("What the open opportunities may bring, and when.")
    line_label = _l("Expected to close")
    at_end = True
    filters = (manager_filter(right),)

    def default_period(self) -> Period:
        """This month: as of now, beside the end of the month before."""
        return month_of(today())

    def columns(self, ask: Ask) -> list[Column]:
        return [
            Column("opportunities", _l("Opportunities"), "count", how=_l(
                "Unassigned opportunities and those in development, by the month of their expected close date; months "
                "before this one are overdue. The total is the figure of the dashboard. Of a period that is over, "
                "those open when it ended, with the date, amount and probability of then, by the account manager of "
                "today; overdue are the months up to its end.")),
            Column("expected", _l("Expected amount"), "money", how=_l(
                "Sum of these opportunities' expected amounts; those without one count nothing.")),
            Column("weighted", _l("Weighted amount"), "money", how=_l(
                "Each opportunity's expected amount times its win probability, rounded to the cent, then added up.")),
        ]  # fmt: skip

    def lines(
        self, ask: Ask, *, keys: Sequence[str] | None = None, first: int = 0, most: int | None = None
    ) -> list[Line]:
        c = _open(ask).c
        found = {
            r.line: {"opportunities": r.number, "expected": r.expected, "weighted": r.weighted}
            for r in db.session.execute(
                sa.select(
                    c.line,
                    sa.func.count().label("number"),
                    sa.func.sum(c.expected).label("expected"),
                    sa.func.sum(c.weighted).label("weighted"),
                ).group_by(c.line)
            )
        }
        if not found:
            return []
        nothing = {"opportunities": 0, "expected": Decimal("0.00"), "weighted": Decimal("0.00")}
        return [Line(key, label, found.get(key, dict(nothing))) for key, label in self.words(ask).items()]

    def words(self, ask: Ask, keys: Iterable[str] = ()) -> Mapping[str, Any]:
        """Of all lines, in order."""
        months = {month.code: month.label for month in _months(ask)}
        return {OVERDUE: _l("Overdue"), **months, LATER: _l("After these months"), NONE: _l("No date")}

    def same_lines(self, ask: Ask, earlier: Ask) -> bool:
        """The months go on from the end of the period: those of now and of the end of last month are the same."""
        return _months(ask) == _months(earlier)

    def rows(self, ask: Ask, column: Column) -> Any:
        c = _open(ask).c
        amount = {"expected": c.expected, "weighted": c.weighted}.get(column.key, sa.literal(1))
        return sa.select(
            c.line, c.number, c.name, c.owner_id, c.expected_close_on.label("day"), amount.label("amount")
        ).order_by(c.expected_close_on, c.id)

    def note(self, ask: Ask, table: Table) -> str:
        number = sum(line.values["opportunities"] for line in table.lines if line.key in (OVERDUE, NONE))
        if not number:
            return ""
        return ngettext(
            "%(num)d open opportunity is overdue or has no expected close date.",
            "%(num)d open opportunities are overdue or have no expected close date.",
            number,
        )

    def charts(self, ask: Ask, table: Table, rows_url: Callable[[str, str], str | None]) -> list[Drawing]:
        months = [line for line in table.lines if line.key not in (OVERDUE, LATER, NONE)]
        if not any(line.values["expected"] for line in months):
            return []
        shown = [(str(table.column(key).label), key) for key in ("expected", "weighted")]
        columns = alone(
            charts.columns, tuple(str(line.label) for line in months),
            tuple((name, tuple(line.values[key] for line in months)) for name, key in shown),
            label=str(_l("Expected and weighted amount by month")), formatter=_short,
            hrefs=tuple(tuple(rows_url(line.key, key) for line in months) for _name, key in shown), tall=240,
        )  # fmt: skip
        return [Drawing(_l("Expected and weighted amount by month"), *columns, [name for name, _key in shown])]


def _short(value: Any) -> str:
    return short_money(Decimal(value))


def _months(ask: Ask) -> list[Period]:
    """The months with a line of their own: from this one on, or from the one after a period that is over."""
    this = month_of(ask.span.until if ask.span.is_over(today()) else today())
    return [month_of(this.first + relativedelta(months=n)) for n in range(MONTHS)]


def _open(ask: Ask) -> sa.Subquery:
    """The reader's open opportunities with the key of their line and what they weigh."""
    wanted, source = [ask.opportunities], sa.inspect(Opportunity).local_table
    weight = [Opportunity.expected_amount, Opportunity.probability, Opportunity.expected_close_on]
    if ask.span.is_over(today()):
        changed, weight = values_then(weight, ask.span.end)
        source = sa.outerjoin(Opportunity, changed, changed.c.id == Opportunity.id)
        ended = Opportunity.closed_at
        wanted += [Opportunity.created_at < ask.span.end, sa.or_(ended.is_(None), ended >= ask.span.end)]
    else:
        wanted.append(OPEN)
    if ask.values["manager"]:
        wanted.append(Opportunity.assignee_id == int(ask.values["manager"]))
    amount, probability, closes = weight
    months = _months(ask)
    line = sa.case(
        (closes.is_(None), NONE),
        (closes < months[0].first, OVERDUE),
        *((closes < month.until, month.code) for month in months),
        else_=LATER,
    )
    return (
        sa.select(
            line.label("line"),
            Opportunity.id,
            sa.cast(Opportunity.id, sa.String).label("number"),
            (Opportunity.customer_name + " · " + Opportunity.title).label("name"),
            Opportunity.assignee_id.label("owner_id"),
            closes.label("expected_close_on"),
            sa.func.coalesce(amount, sa.literal(0, Money())).label("expected"),
            sa.func.coalesce(_weighted(amount, probability), sa.literal(0, Money())).label("weighted"),
        )
        .select_from(source)
        .where(*wanted)
        .subquery()
    )


def _weighted(amount: Any, probability: Any) -> sa.ColumnElement[Any]:
    """Expected amount x probability, half a cent up, exact on both databases: SQLite keeps whole cents."""
    if on_postgresql():
        yuan: Any = sa.type_coerce(amount, sa.Numeric())
        return sa.func.round(yuan * probability / 100, 2, type_=Money())
    cents: Any = sa.type_coerce(amount, sa.BigInteger())
    half = sa.case((cents < 0, -50), else_=50)  # SQLite cuts off towards zero
    return sa.type_coerce((cents * probability + half) // 100, Money())
