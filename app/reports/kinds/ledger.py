"""流失台账: how many customers were warned of so far, and where each of those cases stood, day by day."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from app.churn.models import ChurnCase, ChurnStatus
from app.core.clock import day_start, utcnow
from app.core.format import month_day
from app.core.types import UtcDateTime
from app.customers.models import Customer
from app.extensions import db
from app.reports import charts
from app.reports.counted import FIRST_MEASURE
from app.reports.drawing import Drawing, alone
from app.reports.report import Ask, Column, Line, Report, Table

STATES = ("waiting", "deferred", "recovered", "lost")  # each case is in one of them


@dataclass(frozen=True)
class End:
    """One line: its key (1 is the first month of the year or day of the month), its name, the instant it is over."""

    key: str
    label: str
    until: datetime


class Ledger(Report):
    """Cases as they stood at the end of each month of a year or a quarter, or of each day of a month."""

    id = "churn-ledger"
    right = "LedgerReport"
    icon = "table"
    title = _l("Churn ledger")
    about = _l("All warnings so far, and where each stood at the end of each month or day.")
    line_label = _l("At the end of")
    stock = True

    def columns(self, ask: Ask) -> list[Column]:
        return [
            Column("warned", _l("Warned so far"), "count", how=_l(
                "All cases opened by then, since the beginning; always waiting + deferred + recovered + lost.")),
            Column("waiting", _l("Nothing done yet"), "count", good=False, how=_l(
                "Open then, and without a measure.")),
            Column("deferred", _l("Deferred"), "count", how=_l(
                "Open then, with at least one measure.")),
            Column("recovered", _l("Recovered"), "count", good=True, how=_l(
                "Ended by an order by then, before anybody confirmed the loss.")),
            Column("lost", _l("Lost"), "count", good=False, how=_l(
                "Confirmed lost by then, also if the customer was won back afterwards.")),
            Column("won_back", _l("Lost, then won back"), "count", good=True, how=_l(
                "Those of the lost who had ordered again by then; not a part of the sum of its own.")),
        ]  # fmt: skip

    def lines(
        self, ask: Ask, *, keys: Sequence[str] | None = None, first: int = 0, most: int | None = None
    ) -> list[Line]:
        ends = _ends(ask)
        lines = [Line(end.key, end.label, {c.key: 0 for c in self.columns(ask)}) for end in ends]
        for opened, first_at, lost, resolved, recovered, number in _dated(ask, ends):
            for n, line in enumerate(lines[opened:], opened):
                state = "deferred" if first_at <= n else "waiting"
                if lost <= n:
                    state = "lost"
                elif recovered and resolved <= n:
                    state = "recovered"
                line.values["warned"] += number
                line.values[state] += number
                if resolved <= n and not recovered:
                    line.values["won_back"] += number
        return lines

    def total(self, ask: Ask, lines: Sequence[Line]) -> dict[str, Any]:
        """How it stood last: stocks do not add up."""
        return dict(lines[-1].values) if lines else super().total(ask, lines)

    def by_time(self, ask: Ask) -> bool:
        return True

    def rows(self, ask: Ask, column: Column) -> Any:
        stood = _stood(ask, _ends(ask)).subquery()
        which = {"warned": sa.true(), "won_back": stood.c.won_back == 1}
        return (
            sa.select(
                stood.c.line,
                Customer.number.label("number"),
                Customer.name.label("name"),
                Customer.owner_id.label("owner_id"),
                ChurnCase.opened_at.label("day"),
                sa.literal(1).label("amount"),
            )
            .select_from(stood)
            .join(ChurnCase, ChurnCase.id == stood.c.case_id)
            .join(Customer, Customer.id == ChurnCase.customer_id)
            .where(which.get(column.key, stood.c.state == column.key))
            .order_by(ChurnCase.opened_at.desc(), Customer.number)
        )

    def of_total(self, ask: Ask, column: Column, rows: Any) -> Any:
        """Those of the last line, as the total."""
        ends = _ends(ask)
        return self.of_line(ask, column, rows, ends[-1].key if ends else "")

    def label_of(self, ask: Ask, key: str) -> str | None:
        return next((end.label for end in _ends(ask) if end.key == key), None)

    def note(self, ask: Ask, table: Table) -> str:
        if not table.lines:
            return ""
        last = table.lines[-1]
        return _(
            "%(end)s: %(warned)s warned = %(waiting)s nothing done yet + %(deferred)s deferred"
            " + %(recovered)s recovered + %(lost)s lost.",
            end=last.label,
            **{key: f"{last.values[key]:,}" for key in ("warned", *STATES)},
        )

    def charts(self, ask: Ask, table: Table, rows_url: Callable[[str, str], str | None]) -> list[Drawing]:
        if not table.total.values["warned"]:
            return []
        shown = [column for column in table.shown if column.key in STATES]
        lines = alone(
            charts.lines,
            tuple(line.label for line in table.lines),
            tuple((str(c.label), tuple(line.values[c.key] for line in table.lines)) for c in shown),
            label=str(_l("Where the cases stood at the end of each month or day")),
            hrefs=tuple(tuple(rows_url(line.key, c.key) for line in table.lines) for c in shown),
            tall=240,
        )
        return [Drawing(_l("Where the cases stood"), *lines, [str(c.label) for c in shown])]


def _ends(ask: Ask) -> list[End]:
    """The lines of its period: up to now only, the running month or day counts up to this moment."""
    now, period = utcnow(), ask.period
    if period is None:
        return []
    if period.months == 1:
        days = [period.first + timedelta(days=n) for n in range((period.until - period.first).days)]
        parts = [(day, day + timedelta(days=1), month_day(day)) for day in days]
    else:
        parts = [(month.first, month.until, month.label) for month in period.each_month()]
    begun = [(label, min(day_start(until), now)) for first, until, label in parts if day_start(first) < now]
    return [End(str(n), _("Today") if until == now else label, until) for n, (label, until) in enumerate(begun, 1)]


def _dated(ask: Ask, ends: Sequence[End]) -> Sequence[Any]:
    """The cases by the first line that knows of the warning, the first measure, the loss and what an order ended, and
    by whether that was a recovery (else a win-back). One look at each case; a join with every line takes ten times as
    long."""
    if not ends:
        return []

    def known(moment: Any) -> Any:
        return sa.case(*((moment < end.until, n) for n, end in enumerate(ends)), else_=len(ends))

    moments = (ChurnCase.opened_at, FIRST_MEASURE.c.at, ChurnCase.lost_at, ChurnCase.resolved_at)
    case = (
        sa.select(
            *(known(moment).label(f"known_{n}") for n, moment in enumerate(moments)),
            sa.case((ChurnCase.status == ChurnStatus.recovered, 1), else_=0).label("recovered"),
        )
        .outerjoin(FIRST_MEASURE, FIRST_MEASURE.c.case_id == ChurnCase.id)
        .where(ask.cases)
        .subquery()
    )
    return db.session.execute(sa.select(*case.c, sa.func.count()).group_by(*case.c)).all()


def _stood(ask: Ask, ends: Sequence[End]) -> sa.Select[Any]:
    """line, case_id, state, won_back (0 or 1): every case opened by the end of a line, once, as it stood then.

    What is stored of a case says it for every instant: only an order ends an open case (resolved_at), only a loss has
    lost_at, which a win-back leaves alone (resolved_at is then when it was won back), and measures stay.
    """
    columns = (sa.column("line", sa.String()), sa.column("until", UtcDateTime()))
    data = [(end.key, end.until) for end in ends] or [("", datetime.min.replace(tzinfo=UTC))]  # nothing has begun yet
    end = sa.values(*columns, name="line_end").data(data).cte("ended")
    until = end.c.until
    resolved = ChurnCase.resolved_at < until
    state = sa.case(
        (ChurnCase.lost_at < until, "lost"),
        (sa.and_(ChurnCase.status == ChurnStatus.recovered, resolved), "recovered"),
        (FIRST_MEASURE.c.at < until, "deferred"),
        else_="waiting",
    )
    won_back = sa.case((sa.and_(ChurnCase.status == ChurnStatus.won_back, resolved), 1), else_=0)
    return (
        sa.select(end.c.line, ChurnCase.id.label("case_id"), state.label("state"), won_back.label("won_back"))
        .select_from(ChurnCase)
        .join(end, ChurnCase.opened_at < until)
        .outerjoin(FIRST_MEASURE, FIRST_MEASURE.c.case_id == ChurnCase.id)
        .where(ask.cases)
    )
