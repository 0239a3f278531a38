"""客户等级变动: from which level to which customers moved in a period, read back from their history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from app.churn.models import ChurnCase
from app.customers.models import Customer
from app.extensions import db
from app.masterdata.models import DictionaryItem, DictionaryType
from app.reports import charts, groups
from app.reports.drawing import Drawing, alone
from app.reports.figures import shares
from app.reports.kinds.churn import lost_at
from app.reports.past import value_at, values_at
from app.reports.period import Period
from app.reports.report import Ask, Column, Line, Report, Table

NEW, BACK, LOST = "new", "back", "lost"
TO = "to-"  # columns by the level at the end: "to-" and the item's id


class Levels(Report):
    """Lines are the levels at the beginning of the period, columns those at its end (or now, if it is not over)."""

    id = "levels"
    right = "LevelReport"
    icon = "arrows-exchange"
    title = _l("Level migration")
    about = _l("From which level to which customers moved.")
    line_label = _l("Level at the beginning")

    def columns(self, ask: Ask) -> list[Column]:
        return [
            Column("all", _l("Customers"), "count", how=_l(
                "Customers registered before the period, by their level when it began, and those registered in it. Who "
                "was lost both when it began and when it ended is left out, and so are deleted customers.")),
            *(Column(f"{TO}{item.id}", _l("To %(level)s", level=item.label), "count", how=_l(
                "Those of them who were of this level when the period ended, or are now if it is not over."))
              for item in _levels()),
            Column(LOST, _l("Lost"), "count", good=False, how=_l(
                "Those of them who were lost when the period ended.")),
        ]  # fmt: skip

    def lines(
        self, ask: Ask, *, keys: Sequence[str] | None = None, first: int = 0, most: int | None = None
    ) -> list[Line]:
        found: dict[str, dict[str, Any]] = {}
        for registered, was_lost, is_lost, at_start, at_end, number in db.session.execute(_counted(ask)):
            line = NEW if registered else BACK if was_lost else str(at_start)
            values = found.setdefault(line, {"all": 0})
            for key in (LOST if is_lost else f"{TO}{at_end}", "all"):
                values[key] = values.get(key, 0) + int(number)
        found = {key: values for key, values in found.items() if values["all"]}
        wanted = [*groups.items(DictionaryType.level, found), (NEW, _l("Newly registered"))]
        if BACK in found:
            wanted.append((BACK, _l("Won back")))
        return groups.filled(wanted, found, dict.fromkeys(ask.columns, 0))

    def rows(self, ask: Ask, column: Column) -> Any:
        f = _facts(
            ask, Customer.number.label("number"), Customer.name.label("name"), Customer.owner_id.label("owner_id"),
            Customer.registered_on.label("day"), sa.literal(1).label("amount"),
        ).subquery().c  # fmt: skip
        line = sa.case((f.registered == 1, NEW), (f.was_lost == 1, BACK), else_=sa.cast(f.at_start, sa.String))
        found = sa.select(line.label("line"), f.number, f.name, f.owner_id, f.day, f.amount).where(_shown(f))
        found = found.order_by(f.name, f.number)
        if column.key == "all":
            return found
        if column.key == LOST:
            return found.where(f.is_lost == 1)
        return found.where(f.is_lost == 0, f.at_end == int(column.key.removeprefix(TO)))

    def note(self, ask: Ask, table: Table) -> str:
        order = [key for key in ask.columns if key.startswith(TO)]
        rose = fell = 0
        for line in table.lines:
            if TO + line.key in order:
                place = order.index(TO + line.key)
                rose += sum(line.values[key] for key in order[place + 1 :])
                fell += sum(line.values[key] for key in order[:place])
        return _("Up: %(up)s · down: %(down)s · lost: %(lost)s", up=rose, down=fell, lost=table.total.values[LOST])

    def charts(self, ask: Ask, table: Table, rows_url: Callable[[str, str], str | None]) -> list[Drawing]:
        lines = [line for line in table.lines if line.values["all"]]
        ends = [column for column in table.shown if column.key != "all" and table.total.values[column.key]]
        if not lines or len(ends) > charts.COLOURS:
            return []
        parts = {line.key: shares([line.values[end.key] for end in ends]) for line in lines}
        names = [str(end.label) for end in ends]
        stack = alone(
            charts.stacked, tuple(str(line.label) for line in lines),
            tuple((name, tuple(parts[line.key][n] for line in lines)) for n, name in enumerate(names)),
            label=str(_l("Where the customers of each level are at the end")), formatter=_percentage, tall=240,
            hrefs=tuple(tuple(rows_url(line.key, end.key) for line in lines) for end in ends),
        )  # fmt: skip
        return [Drawing(_l("Where the customers of each level are at the end"), *stack, names)]


def _percentage(value: Any) -> str:
    return f"{float(value):g}%"


def _levels() -> list[DictionaryItem]:
    """Every level there is, also those no longer offered: somebody may have had one."""
    found = sa.select(DictionaryItem).where(DictionaryItem.type == DictionaryType.level)
    return list(db.session.execute(found.order_by(DictionaryItem.sort_order, DictionaryItem.id)).scalars())


def _counted(ask: Ask) -> sa.CompoundSelect[Any]:
    """registered, was_lost, is_lost, at_start, at_end and how many customers: rows of a kind are to be added up.

    First all are counted as if nothing had ever changed, from an index; then the few of whom the history tells
    something else are taken off and counted as they were.
    """
    registered, never, level = _registered(ask), sa.literal(0), Customer.level_id
    plain = (
        sa.select(registered, never, never, level, level, sa.func.count())
        .where(*_wanted(ask))
        .group_by(sa.literal_column("1"), level)
    )
    f = _facts(ask, level.label("now"), told=True).cte("told").c
    kinds = (f.registered, f.was_lost, f.is_lost, f.at_start, f.at_end)
    off = sa.select(f.registered, never, never, f.now, f.now, -sa.func.count()).group_by(f.registered, f.now)
    on = sa.select(*kinds, sa.func.count()).where(_shown(f)).group_by(*kinds)
    return sa.union_all(plain, off, on)


def _facts(ask: Ask, *columns: Any, told: bool = False) -> sa.Select[Any]:
    """Every customer of the report's scope: `registered` in the period, `was_lost` when it began, `is_lost` when it
    ended (1 or 0), `at_start` and `at_end` (levels), and these columns.

    `told`: only those of whom the history tells that something was different from now.
    """
    changed = values_at(Customer.level_id, (ask.span.start, ask.span.end), {item.id for item in _levels()})
    at_start, at_end = (value_at(Customer.level_id, at) for at in (changed.c.at_0, changed.c.at_1))
    lost = _lost(ask.span)
    was_lost, is_lost = (sa.func.coalesce(flag, 0) for flag in (lost.c.was_lost, lost.c.is_lost))
    every = (
        sa.select(
            _registered(ask).label("registered"), was_lost.label("was_lost"), is_lost.label("is_lost"),
            at_start.label("at_start"), at_end.label("at_end"), *columns,
        )
        .select_from(Customer)
        .outerjoin(changed, changed.c.id == Customer.id)
        .outerjoin(lost, lost.c.id == Customer.id)
        .where(*_wanted(ask))
    )  # fmt: skip
    if told:
        every = every.where(Customer.id.in_(sa.union(sa.select(changed.c.id), sa.select(lost.c.id))))
    return every


def _registered(ask: Ask) -> Any:
    return sa.case((Customer.registered_on >= ask.span.first, 1), else_=0)


def _wanted(ask: Ask) -> tuple[Any, ...]:
    return ask.customers, Customer.registered_on < ask.span.until


def _shown(f: Any) -> Any:
    """WHERE a customer is in the report: not whoever was lost all the time."""
    return sa.or_(f.registered == 1, f.was_lost == 0, f.is_lost == 0)


def _lost(span: Period) -> sa.Subquery:
    """id, was_lost and is_lost (1 or 0) of the customers who were lost when a period began or when it ended."""
    was, gone = lost_at(span), lost_at(span, end=True)
    was_lost, is_lost = (sa.func.max(sa.case((which, 1), else_=0)) for which in (was, gone))
    return (
        sa.select(ChurnCase.customer_id.label("id"), was_lost.label("was_lost"), is_lost.label("is_lost"))
        .where(sa.or_(was, gone))
        .group_by(ChurnCase.customer_id)
        .subquery()
    )
