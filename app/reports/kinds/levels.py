"""客户等级变动: from which level to which customers moved in a period, or between two dates, read back from their
history."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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
NOT_LEVELS = {NEW: _l("Newly registered"), BACK: _l("Won back")}  # lines of customers without a level at the beginning
TO = "to-"  # columns by the level at the end: "to-" and the item's id


class Levels(Report):
    """Lines are the levels at the beginning of the period, columns those at its end (or now, if it is not over)."""

    id = "levels"
    right = "LevelReport"
    icon = "arrows-exchange"
    title = _l("Level migration")
    about = _l("From which level to which customers moved.")
    line_label = _l("Level at the beginning")
    days = True

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
        return _moved(ask, [ask.span])[0]

    def both(self, ask: Ask, earlier: Ask) -> tuple[list[Line], list[Line]]:
        """In one statement: all customers would be read twice."""
        past, lines = _moved(ask, [earlier.span, ask.span])
        return lines, past

    def words(self, ask: Ask, keys: Iterable[str]) -> Mapping[str, Any]:
        return {**groups.words(keys, DictionaryType.level), **NOT_LEVELS}

    def rows(self, ask: Ask, column: Column) -> Any:
        f = _facts(
            ask, [ask.span], Customer.number.label("number"), Customer.name.label("name"),
            Customer.owner_id.label("owner_id"), Customer.registered_on.label("day"), sa.literal(1).label("amount"),
        ).subquery().c  # fmt: skip
        line = sa.case((f.registered == 1, NEW), (f.lost_0 == 1, BACK), else_=sa.cast(f.level_0, sa.String))
        found = sa.select(line.label("line"), f.number, f.name, f.owner_id, f.day, f.amount)
        found = found.where(sa.or_(f.registered == 1, f.lost_0 == 0, f.lost_1 == 0)).order_by(f.name, f.number)
        if column.key == "all":
            return found
        if column.key == LOST:
            return found.where(f.lost_1 == 1)
        return found.where(f.lost_1 == 0, f.level_1 == int(column.key.removeprefix(TO)))

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
        if not lines:
            return []
        own = [ends[n] for n in charts.told_apart([table.total.values[end.key] for end in ends])]
        parts = [(str(end.label), [end.key]) for end in own]
        if len(own) < len(ends):
            parts.append((_("Others"), [end.key for end in ends if end not in own]))
        names = [name for name, _keys in parts]
        told = {line.key: shares([sum(line.values[key] for key in keys) for _name, keys in parts]) for line in lines}
        stack = alone(
            charts.stacked, tuple(str(line.label) for line in lines),
            tuple((name, tuple(told[line.key][n] for line in lines)) for n, name in enumerate(names)),
            label=str(_l("Where the customers of each level are at the end")), formatter=_percentage, tall=240,
            hrefs=tuple(
                tuple(rows_url(line.key, keys[0]) if len(keys) == 1 else None for line in lines)
                for _name, keys in parts
            ),
        )  # fmt: skip
        numbers = [(str(line.label), *(_percentage(share) for share in told[line.key])) for line in lines]
        drawing = Drawing(
            _l("Where the customers of each level are at the end"), *stack, names,
            head=[str(self.line_label), *names], rows=numbers,
        )  # fmt: skip
        return [drawing]


def _percentage(value: Any) -> str:
    return f"{float(value):g}%"


def _levels() -> list[DictionaryItem]:
    """Every level there is, also those no longer offered: somebody may have had one."""
    found = sa.select(DictionaryItem).where(DictionaryItem.type == DictionaryType.level)
    return list(db.session.execute(found.order_by(DictionaryItem.sort_order, DictionaryItem.id)).scalars())


def _moved(ask: Ask, periods: Sequence[Period]) -> list[list[Line]]:
    """The lines of each of these periods, which follow one another. One statement over the customers."""
    moved: list[dict[str, dict[str, int]]] = [{} for _period in periods]
    for registered, number, *was in db.session.execute(_counted(ask, periods)):
        lost, levels = was[: len(periods) + 1], was[len(periods) + 1 :]
        for n, found in enumerate(moved):
            if registered > n + 1:
                continue  # later than this period
            new, was_lost, is_lost = registered == n + 1, lost[n] == 1, lost[n + 1] == 1
            if was_lost and is_lost and not new:
                continue
            values = found.setdefault(NEW if new else BACK if was_lost else str(levels[n]), {"all": 0})
            for key in (LOST if is_lost else f"{TO}{levels[n + 1]}", "all"):
                values[key] = values.get(key, 0) + int(number)
    answers = []
    for found in moved:
        kept = {key: values for key, values in found.items() if values["all"]}
        wanted = groups.items(DictionaryType.level, kept)
        wanted += [(key, label) for key, label in NOT_LEVELS.items() if key in kept or key == NEW]
        answers.append(groups.filled(wanted, kept, dict.fromkeys(ask.columns, 0)))
    return answers


def _counted(ask: Ask, periods: Sequence[Period]) -> sa.CompoundSelect[Any]:
    """registered, how many customers, and what `_facts` tells of them at each bound of the periods: rows of a kind are
    to be added up.

    First all are counted as if nothing had ever changed, from an index; then the few of whom the history tells
    something else are taken off and counted as they were.
    """
    bounds, registered, never, level = range(len(periods) + 1), _registered(periods), sa.literal(0), Customer.level_id
    plain = (
        sa.select(registered, sa.func.count(), *(never for _bound in bounds), *(level for _bound in bounds))
        .where(*_wanted(ask, periods))
        .group_by(sa.literal_column("1"), level)
    )
    f = _facts(ask, periods, level.label("now"), told=True).cte("told").c
    off = sa.select(f.registered, -sa.func.count(), *(never for _bound in bounds), *(f.now for _bound in bounds))
    kinds = [*(f[f"lost_{n}"] for n in bounds), *(f[f"level_{n}"] for n in bounds)]
    on = sa.select(f.registered, sa.func.count(), *kinds).group_by(f.registered, *kinds)
    return sa.union_all(plain, off.group_by(f.registered, f.now), on)


def _facts(ask: Ask, periods: Sequence[Period], *columns: Any, told: bool = False) -> sa.Select[Any]:
    """Every customer of the report's scope, and these columns: `registered` (in which of the periods, from 1 on; 0 is
    before them), and at the beginning of the first (0) and the end of each (1 ...) `lost_0` (1 or 0), `level_0` ...

    `told`: only those of whom the history tells that something was different from now.
    """
    past, bounds = _past(periods), range(len(periods) + 1)
    return (
        sa.select(
            _registered(periods).label("registered"),
            *(sa.func.coalesce(past.c[f"lost_{n}"], 0).label(f"lost_{n}") for n in bounds),
            *(value_at(Customer.level_id, past.c[f"at_{n}"]).label(f"level_{n}") for n in bounds),
            *columns,
        )
        .select_from(Customer)
        .join(past, past.c.id == Customer.id, isouter=not told)
        .where(*_wanted(ask, periods))
    )


def _past(periods: Sequence[Period]) -> Any:
    """A CTE of the customers of whom the history tells that something was different: `id`, and at each bound of the
    periods `at_0` ... (their level, to be read with `value_at`) and `lost_0` ... (1 or 0)."""
    bounds, nothing = [periods[0].start, *(period.end for period in periods)], sa.literal_column("0", sa.Integer())
    changed, lost = values_at(Customer.level_id, bounds, {item.id for item in _levels()}), _lost(periods)
    levels, flags = ([f"{name}_{n}" for n in range(len(bounds))] for name in ("at", "lost"))
    # Added up, not joined: SQLite would look at all of the one for every row of the other.
    both = sa.union_all(
        sa.select(changed.c.id, *(changed.c[name] for name in levels), *(nothing.label(name) for name in flags)),
        sa.select(lost.c.id, *(nothing.label(name) for name in levels), *(lost.c[name] for name in flags)),
    ).subquery()
    sums = (sa.func.sum(both.c[name]).label(name) for name in (*levels, *flags))
    found = sa.select(both.c.id, *sums).group_by(both.c.id).cte("past")
    return found.prefix_with("MATERIALIZED", dialect="sqlite")


def _registered(periods: Sequence[Period]) -> Any:
    """In which of the periods a customer was registered, from 1 on; 0 is before them."""
    last = len(periods)
    return sa.case(*((Customer.registered_on >= periods[n - 1].first, n) for n in range(last, 0, -1)), else_=0)


def _wanted(ask: Ask, periods: Sequence[Period]) -> tuple[Any, ...]:
    return ask.customers, Customer.registered_on < periods[-1].until


def _lost(periods: Sequence[Period]) -> sa.Subquery:
    """id, and `lost_0`, `lost_1` ... (1 or 0) of the customers who were lost when the first period began or when one of
    them ended."""
    when = [lost_at(periods[0]), *(lost_at(period, end=True) for period in periods)]
    flags = (sa.func.max(sa.case((lost, 1), else_=0)).label(f"lost_{n}") for n, lost in enumerate(when))
    return (
        sa.select(ChurnCase.customer_id.label("id"), *flags)
        .where(sa.or_(*when))
        .group_by(ChurnCase.customer_id)
        .subquery()
    )
