"""客户流失分析: what became of churn warnings in a period, and the rate at which customers were lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from sqlalchemy.orm import aliased

from app.churn.models import ChurnCase, ChurnStatus
from app.core.clock import today
from app.customers.models import Customer
from app.extensions import db
from app.masterdata.models import DictionaryType
from app.reports import charts, groups
from app.reports.counted import CHURN_MOMENTS, FIRST_MEASURE
from app.reports.drawing import Drawing, alone
from app.reports.figures import HIDDEN
from app.reports.period import Period, parse_days
from app.reports.report import TOTAL, Ask, Column, Filter, Line, Report, Table

KINDS = ("warned", "deferred", "recovered", "retained", "lost", "won_back")
DRAWN = ("warned", "recovered", "lost")
ITEMS = {"reason": DictionaryType.churn_reason, "level": DictionaryType.level}
OF_NONE = {"owner": _l("Without owner"), "reason": _l("No reason given")}
YEAR = 366  # days
MOST = 12  # groups that a chart shows side by side
Whose = aliased(Customer)  # the case's customer: ask.cases asks for customers of its own


class Churn(Report):
    """Events of churn cases, each in the period in which it happened."""

    id = "churn-analysis"
    right = "ChurnReport"
    icon = "trending-down"
    title = _l("Customer churn")
    about = _l("Warnings, and what became of them.")
    line_label = _l("Group")
    filters = (
        Filter(
            "by", _l("Group by"),
            lambda: [("owner", _l("Account manager")), ("reason", _l("Reason type")), ("month", _l("Month")),
                     ("week", _l("Week")), ("level", _l("Customer level"))],
            default="owner",
        ),
    )  # fmt: skip

    def _period(self, given: Mapping[str, str]) -> Period | None:
        """Also the days of at most a year, as the dashboard's weeks are."""
        days = parse_days(given.get("period", ""))
        short = days is not None and (days.until - days.first).days <= YEAR
        return days if short else super()._period(given)

    def columns(self, ask: Ask) -> list[Column]:
        return [
            Column("warned", _l("Warned"), "count", good=False, how=_l(
                "Cases opened in the period. By account manager: who owned the customer at the time of the warning. "
                "By customer level: the level of today.")),
            Column("deferred", _l("Deferred"), "count", how=_l(
                "Cases whose first retention measure was taken in the period, whenever they were opened.")),
            Column("recovered", _l("Recovered"), "count", good=True, how=_l(
                "Cases that an order ended in the period before the customer was lost.")),
            Column("retained", _l("Retained after a measure"), "count", good=True, how=_l(
                "The recovered cases in which a retention measure had been taken.")),
            Column("lost", _l("Lost"), "count", good=False, how=_l(
                "Cases confirmed lost in the period, also when the customer was won back later.")),
            Column("won_back", _l("Won back"), "count", good=True, how=_l(
                "Lost customers who ordered again in the period.")),
            Column("at_start", _l("Customers at the beginning"), "count", hidden=True),
            Column("rate", _l("Churn rate"), "rate", of=("lost", "at_start"), least=HIDDEN, good=False, how=_l(
                "Cases confirmed lost, of the customers registered before the first day and not lost then. Only for "
                "months and the whole; not shown of fewer than ten.")),
        ]  # fmt: skip

    def lines(
        self, ask: Ask, *, keys: Sequence[str] | None = None, first: int = 0, most: int | None = None
    ) -> list[Line]:
        events = sa.union_all(*(_cases(ask, key, _kind(key), _line(ask, key)) for key in KINDS)).subquery()
        found: dict[str, dict[str, Any]] = {}
        counted = sa.select(events.c.kind, events.c.line, sa.func.count()).group_by(events.c.kind, events.c.line)
        for kind, line, number in db.session.execute(counted):
            found.setdefault(line, {})[kind] = number
        by = ask.values["by"]
        happened = set(found)
        if by == "owner":
            wanted = groups.persons(found)
        elif by in ITEMS:
            wanted = groups.items(ITEMS[by], found)
        elif by == "week":
            wanted = groups.weeks(ask.span)
        else:
            wanted, begun = groups.months(ask.span), [m for m in ask.span.each_month() if m.first <= today()]
            for n, number in enumerate(customers_at(ask, begun), start=1):
                found.setdefault(str(n), {})["at_start"] = number
        lines = groups.filled(wanted, found, {**dict.fromkeys(KINDS, 0), "at_start": None}, none=OF_NONE.get(by))
        return groups.begun(lines, _parts(ask), happened) if self.by_time(ask) else lines

    def total(self, ask: Ask, lines: Sequence[Line]) -> dict[str, Any]:
        """Their sum, and the customers there were at the beginning of the whole period."""
        monthly = ask.values["by"] == "month"
        at_start = lines[0].values.get("at_start") if monthly else customers_at(ask, [ask.span])[0]
        return {**super().total(ask, lines), "at_start": at_start}

    def note(self, ask: Ask, table: Table) -> str:
        number = table.total.values["at_start"]
        if number is None:
            return ""
        return ngettext(
            "There was %(num)d customer at the beginning of the period.",
            "There were %(num)d customers at the beginning of the period.",
            number,
        )

    def words(self, ask: Ask, keys: Iterable[str]) -> Mapping[str, Any]:
        by = ask.values["by"]
        return groups.words(keys, ITEMS.get(by), none=OF_NONE.get(by))

    def rows(self, ask: Ask, column: Column) -> Any:
        if column.key == "at_start":
            # Only months have customers of their own to begin with.
            months = enumerate(ask.span.each_month(), start=1) if ask.values["by"] == "month" else ()
            begun = [_customers_at(ask, m, str(n)) for n, m in months if m.first <= today()]
            return sa.union_all(*begun) if begun else _customers_at(ask, ask.span, TOTAL).where(sa.false())
        day = CHURN_MOMENTS[column.key]
        return _cases(
            ask,
            column.key,
            _line(ask, column.key),
            Whose.number.label("number"),
            Whose.name.label("name"),
            ChurnCase.owner_id.label("owner_id"),
            day.label("day"),
            sa.literal(1).label("amount"),
            named=True,
        ).order_by(day.desc(), ChurnCase.id.desc())

    def of_total(self, ask: Ask, column: Column, rows: Any) -> Any:
        """Customers there were: those of the first day, not of each month."""
        return _customers_at(ask, ask.span, TOTAL) if column.key == "at_start" else rows

    def charts(self, ask: Ask, table: Table, rows_url: Callable[[str, str], str | None]) -> list[Drawing]:
        lines = table.lines
        if self.by_time(ask):
            lines = [line for line in lines if line.values["warned"] is not None]
        else:
            lines = [line for line in lines if any(line.values[key] for key in DRAWN)]
            lines = sorted(lines, key=lambda line: -sum(line.values[key] for key in DRAWN))[:MOST]
        if not any(line.values[key] for line in lines for key in DRAWN):
            return []
        names = [str(ask.columns[key].label) for key in DRAWN]
        columns = alone(
            charts.columns, tuple(str(line.label) for line in lines),
            tuple((name, tuple(line.values[key] for line in lines)) for name, key in zip(names, DRAWN, strict=True)),
            label=str(_l("Cases warned, recovered and lost")), tall=240,
            hrefs=tuple(tuple(rows_url(line.key, key) for line in lines) for key in DRAWN),
        )  # fmt: skip
        return [Drawing(_l("Cases warned, recovered and lost"), *columns, names)]


def customers_at(ask: Ask, periods: Sequence[Period]) -> list[int]:
    """How many customers there were at the beginning of each period, which come in order: registered before its first
    day and not lost then. Two statements."""
    if not periods:
        return []
    registered = db.session.execute(
        sa.select(*(sa.func.sum(sa.case((Customer.registered_on < p.first, 1), else_=0)) for p in periods)).where(
            ask.customers
        )
    ).one()
    lost = db.session.execute(
        sa.select(
            *(
                sa.func.count(sa.distinct(sa.case((sa.and_(lost_at(p), Whose.registered_on < p.first), Whose.id))))
                for p in periods
            )
        )
        .select_from(ChurnCase)
        .join(Whose, Whose.id == ChurnCase.customer_id)
        .where(ask.cases, ChurnCase.lost_at < periods[-1].start)
    ).one()
    return [int(there or 0) - int(gone or 0) for there, gone in zip(registered, lost, strict=True)]


def _customers_at(ask: Ask, period: Period, line: str) -> Any:
    """The customers that `customers_at` counts at the beginning of a period."""
    lost = sa.select(ChurnCase.customer_id).where(ask.cases, lost_at(period))
    return sa.select(
        sa.literal(line).label("line"),
        Customer.number.label("number"),
        Customer.name.label("name"),
        Customer.owner_id.label("owner_id"),
        Customer.registered_on.label("day"),
        sa.literal(1).label("amount"),
    ).where(ask.customers, Customer.registered_on < period.first, Customer.id.not_in(lost))


def lost_at(period: Period, *, end: bool = False) -> sa.ColumnElement[bool]:
    """WHERE a case's customer was lost, and not won back yet, when the period began (or with `end`, ended)."""
    when = period.end if end else period.start
    return sa.and_(ChurnCase.lost_at < when, sa.or_(ChurnCase.resolved_at.is_(None), ChurnCase.resolved_at >= when))


def _kind(kind: str) -> Any:
    return sa.literal_column(f"'{kind}'", sa.String()).label("kind")


def _cases(ask: Ask, kind: str, *columns: Any, named: bool = False) -> Any:
    """These columns of the cases that one column of the report counts; with `named` also of their customers."""
    at = CHURN_MOMENTS[kind]
    found = sa.select(*columns).select_from(ChurnCase)
    if named or ask.values["by"] == "level":
        found = found.join(Whose, Whose.id == ChurnCase.customer_id)
    if kind in ("deferred", "retained"):
        found = found.join(FIRST_MEASURE, FIRST_MEASURE.c.case_id == ChurnCase.id)
    if kind in ("recovered", "retained"):
        found = found.where(ChurnCase.status == ChurnStatus.recovered)
    if kind == "won_back":
        found = found.where(ChurnCase.status == ChurnStatus.won_back)
    return found.where(ask.cases, at >= ask.span.start, at < ask.span.end)


def _line(ask: Ask, kind: str) -> Any:
    by = ask.values["by"]
    if by in ("month", "week"):
        return groups.part_of(_parts(ask), CHURN_MOMENTS[kind]).label("line")
    column = {"owner": ChurnCase.owner_id, "reason": ChurnCase.reason_type_id, "level": Whose.level_id}[by]
    return groups.key_of(column).label("line")


def _parts(ask: Ask) -> list[Period]:
    """The months or weeks of its period."""
    return ask.span.each_month() if ask.values["by"] == "month" else ask.span.each_week()
