"""计划执行: how the opportunities closed in a period were developed, by manager or by the length of their plans."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from app.extensions import db
from app.mirror.bulk import days_between, local_day
from app.reports import charts
from app.reports.drawing import Drawing, alone
from app.reports.report import Ask, Column, Filter, Line, Report, Table, manager_filter, people
from app.sales.models import Opportunity, OpportunityStatus, PlanStep

MANY = 6  # plan steps: so many and more share a line
BARS = 20  # of a chart
_SUMS = ("won", "steps", "executed", "slip", "first_days", "begun")


class Plans(Report):
    """Closed opportunities with the plans behind them."""

    id = "plans"
    right = "PlanReport"
    icon = "calendar"
    title = _l("Plan execution")
    about = _l("How the opportunities closed in a time were developed, and how they ended.")
    line_label = _l("Group")
    filters = (
        Filter(
            "by", _l("Group by"),
            lambda: [("manager", _l("Account manager")), ("steps", _l("Number of plan steps"))], default="manager",
        ),
        manager_filter(right),
    )  # fmt: skip

    def columns(self, ask: Ask) -> list[Column]:
        return [
            Column("closed", _l("Closed opportunities"), "count", how=_l(
                "Opportunities won, failed or terminated in the period; terminated ones count also without a plan. "
                "They are those of the account manager who had them last.")),
            Column("won", _l("Won"), "count", good=True, how=_l("Those of them that were won.")),
            Column("rate", _l("Success rate"), "rate", of=("won", "closed"), good=True, how=_l(
                "The opportunities won of all that were closed, terminated ones among them.")),
            Column("steps", _l("Plan steps"), "count", how=_l(
                "Plan steps of these opportunities, whenever they were planned for.")),
            Column("executed", _l("Executed steps"), "count", how=_l("Those of them that have a result.")),
            Column("slip", _l("Days late"), "days", hidden=True),
            Column("mean_slip", _l("Average days late"), "mean", of=("slip", "executed"), good=False, how=_l(
                "Days from the planned day of a step to the day its result was written, on average; steps executed "
                "early count below zero.")),
            Column("first_days", _l("Days to the first step"), "days", hidden=True),
            Column("begun", "", "count", hidden=True),
            Column("mean_first", _l("Average days to the first step"), "mean", of=("first_days", "begun"), good=False,
                   how=_l("Days from the day an opportunity was last assigned to the day of the first result since, on "
                          "average over the opportunities that have one.")),
        ]  # fmt: skip

    def lines(
        self, ask: Ask, *, keys: Sequence[str] | None = None, first: int = 0, most: int | None = None
    ) -> list[Line]:
        c = _closed(ask).c
        sums = (sa.func.coalesce(sa.func.sum(c[name]), 0).label(name) for name in _SUMS)
        found = {
            r.line: {"closed": r.closed, **{name: int(getattr(r, name)) for name in _SUMS}}
            for r in db.session.execute(sa.select(c.line, sa.func.count().label("closed"), *sums).group_by(c.line))
        }
        if not found:
            return []
        if ask.values["by"] == "steps":
            nothing = {"closed": 0, **dict.fromkeys(_SUMS, 0)}
            return [Line(key, label, found.get(key, dict(nothing))) for key, label in self.words(ask).items()]
        names = people({int(key) for key in found})
        lines = [Line(key, names[int(key)], values) for key, values in found.items()]
        return sorted(lines, key=lambda line: (-line.values["closed"], line.label, int(line.key)))

    def words(self, ask: Ask, keys: Iterable[str] = ()) -> Mapping[str, Any]:
        """Of all lines of lengths, in order."""
        return {str(n): _steps(n) for n in range(MANY + 1)} if ask.values["by"] == "steps" else {}

    def rows(self, ask: Ask, column: Column) -> Any:
        closed = _closed(ask)
        c = closed.c
        if column.key in ("steps", "executed", "slip"):
            late = days_between(PlanStep.planned_on, local_day(PlanStep.executed_at))
            done = [] if column.key == "steps" else [PlanStep.executed_at.is_not(None)]
            return (
                sa.select(
                    c.line, c.number, (c.customer_name + " · " + PlanStep.todo).label("name"), c.owner_id,
                    PlanStep.planned_on.label("day"), (late if column.key == "slip" else sa.literal(1)).label("amount"),
                )
                .join(closed, c.id == PlanStep.opportunity_id)
                .where(PlanStep.deleted_at.is_(None), *done)
                .order_by(PlanStep.planned_on.desc(), PlanStep.id.desc())
            )  # fmt: skip
        which = {"won": c.won == 1, "first_days": c.begun == 1, "begun": c.begun == 1}.get(column.key, sa.true())
        amount = c.first_days if column.key == "first_days" else sa.literal(1)
        return (
            sa.select(
                c.line, c.number, (c.customer_name + " · " + c.title).label("name"), c.owner_id,
                c.closed_at.label("day"), amount.label("amount"),
            )
            .where(which)
            .order_by(c.closed_at.desc(), c.id.desc())
        )  # fmt: skip

    def charts(self, ask: Ask, table: Table, rows_url: Callable[[str, str], str | None]) -> list[Drawing]:
        lines = [line for line in table.lines if line.values["closed"]][:BARS]
        if not lines:
            return []
        bars = alone(
            charts.hbar, tuple(str(line.label) for line in lines), tuple(line.values["rate"] for line in lines),
            label=str(table.column("rate").label), formatter=_percentage,
            hrefs=tuple(rows_url(line.key, "closed") for line in lines),
        )  # fmt: skip
        return [Drawing(table.column("rate").label, *bars)]


def _percentage(value: Any) -> str:
    return f"{value}%"


def _steps(number: int) -> Any:
    """What a line of plans of this length is called."""
    if number == MANY:
        return _l("%(n)s or more plan steps", n=number)
    return ngettext("%(num)d plan step", "%(num)d plan steps", number)


def _closed(ask: Ask) -> sa.Subquery:
    """The opportunities closed in the period, each with the key of its line and the figures of its plan."""
    o = Opportunity
    wanted = [ask.opportunities, o.status.in_((OpportunityStatus.won, OpportunityStatus.lost))]
    if ask.period is not None:
        wanted += [o.closed_at >= ask.period.start, o.closed_at < ask.period.end]
    if ask.values["manager"]:
        wanted.append(o.assignee_id == int(ask.values["manager"]))
    steps = sa.func.count(PlanStep.id)
    # Results from before the last assignment are those of whoever had it then.
    first = sa.func.min(sa.case((PlanStep.executed_at >= o.assigned_at, PlanStep.executed_at)))
    line = sa.case((steps >= MANY, MANY), else_=steps) if ask.values["by"] == "steps" else o.assignee_id
    return (
        sa.select(
            sa.cast(line, sa.String).label("line"),
            o.id,
            sa.cast(o.id, sa.String).label("number"),
            o.customer_name,
            o.title,
            o.assignee_id.label("owner_id"),
            o.closed_at,
            sa.case((o.status == OpportunityStatus.won, 1), else_=0).label("won"),
            steps.label("steps"),
            sa.func.count(PlanStep.executed_at).label("executed"),
            sa.func.sum(days_between(PlanStep.planned_on, local_day(PlanStep.executed_at))).label("slip"),
            days_between(local_day(o.assigned_at), local_day(first)).label("first_days"),
            sa.case((first.is_not(None), 1), else_=0).label("begun"),
        )
        .outerjoin(PlanStep, sa.and_(PlanStep.opportunity_id == o.id, PlanStep.deleted_at.is_(None)))
        .where(*wanted)
        .group_by(o.id)
        .subquery()
    )
