"""销售漏斗: the opportunities entered in a period, by how far they have come since."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from app.core.types import Money
from app.extensions import db
from app.masterdata.models import DictionaryItem, DictionaryType
from app.mirror.bulk import days_between, local_day
from app.reports import access, charts
from app.reports.drawing import Drawing, alone
from app.reports.report import Ask, Column, Filter, Line, Report, Table
from app.sales.models import Opportunity, OpportunityStatus, PlanStep

S = OpportunityStatus
NOTHING = Decimal("0.00")
NONE = "none"  # the source of the opportunities of which it is not known

STAGES = {
    "created": _l("New opportunities"),
    "assigned": _l("Assigned to somebody"),
    "under_way": _l("Plan under way"),
    "won": _l("Won"),
}


def _sources() -> list[tuple[str, Any]]:
    """What the source filter offers: the whole dictionary, since old opportunities keep their source."""
    items = db.session.execute(
        sa.select(DictionaryItem)
        .where(DictionaryItem.type == DictionaryType.source)
        .order_by(DictionaryItem.sort_order, DictionaryItem.id)
    ).scalars()
    return [*((str(item.id), item.label) for item in items), (NONE, _l("Not known"))]


class Funnel(Report):
    """A cohort: whoever enters late in the period has had less time to come far, so its months are never closed."""

    id = "funnel"
    right = "FunnelReport"
    icon = "filter"
    title = _l("Sales funnel")
    about = _l("How far the opportunities entered in a time have come.")
    line_label = _l("Stage")
    closes = False
    filters = (
        Filter(
            "manager",
            _l("Account manager"),
            lambda: access.assignees_in(everybody=access.sees_all(Funnel.right)),
            empty=_l("Everybody"),
        ),
        Filter("source", _l("Opportunity source"), _sources, empty=_l("All sources")),
    )

    def columns(self, ask: Ask) -> list[Column]:
        return [
            Column("opportunities", _l("Opportunities"), "count", good=True, how=_l(
                "Opportunities entered in the period that have reached this stage by now: all of them, those assigned "
                "to somebody, those with the result of a plan step or won, those won.")),
            Column("expected", _l("Expected amount"), "money", good=True, how=_l(
                "Sum of these opportunities' expected amounts; those without one count nothing.")),
            Column("of_all", _l("Of all"), "rate", of=("opportunities", "all"), good=True, how=_l(
                "These opportunities of all that were entered in the period.")),
            Column("of_before", _l("Of the stage before"), "rate", of=("opportunities", "from_before"), good=True,
                   how=_l("These opportunities of those that have reached the stage before.")),
            Column("mean_days", _l("Average days"), "mean", of=("days", "opportunities"), good=False, how=_l(
                "Days from the day an opportunity was entered to the day it reached the stage, on average: its last "
                "assignment, the first result of a plan step, the day it was won.")),
            Column("all", "", "count", hidden=True),
            Column("from_before", "", "count", hidden=True),
            Column("days", _l("Days to the stage"), "days", hidden=True),
        ]  # fmt: skip

    def lines(
        self, ask: Ask, *, keys: Sequence[str] | None = None, first: int = 0, most: int | None = None
    ) -> list[Line]:
        reached = _reached(ask)
        c = reached.c
        found = {
            r.line: r
            for r in db.session.execute(
                sa.select(
                    c.line,
                    sa.func.count().label("number"),
                    sa.func.sum(c.expected).label("expected"),
                    sa.func.sum(c.days).label("days"),
                    sa.func.sum(c.open).label("open"),
                ).group_by(c.line)
            )
        }
        if not found:
            return []
        lines: list[Line] = []
        for key, label in STAGES.items():
            at = found.get(key)
            values: dict[str, Any] = {
                "opportunities": at.number if at else 0,
                "expected": at.expected if at else NOTHING,
                "all": found["created"].number,
                "from_before": lines[-1].values["opportunities"] if lines else None,
                "days": None if key == "created" else int(at.days) if at else 0,
                "open": int(at.open) if at else 0,
            }
            lines.append(Line(key, label, values))
        return lines

    def total(self, ask: Ask, lines: Sequence[Line]) -> dict[str, Any]:
        """Every opportunity is in the first stage."""
        if lines:
            return dict(lines[0].values)
        return {"opportunities": 0, "expected": NOTHING, "all": 0, "open": 0}

    def label_of(self, ask: Ask, key: str) -> Any:
        return STAGES.get(key)

    def rows(self, ask: Ask, column: Column) -> Any:
        c = _reached(ask, ahead={"all": len(STAGES), "from_before": 1}.get(column.key, 0)).c
        amount = {"expected": c.expected, "days": c.days}.get(column.key, sa.literal(1))
        return sa.select(
            c.line, c.number, c.name, c.owner_id, c.created_at.label("day"), amount.label("amount")
        ).order_by(c.created_at.desc(), c.id.desc())

    def of_total(self, ask: Ask, column: Column, rows: Any) -> Any:
        return self.of_line(ask, column, rows, "created")

    def note(self, ask: Ask, table: Table) -> str:
        number = table.total.values["open"]
        if not number:
            return ""
        return ngettext(
            "%(num)d of these opportunities is still open and may come further.",
            "%(num)d of these opportunities are still open and may come further.",
            number,
        )

    def charts(self, ask: Ask, table: Table, rows_url: Callable[[str, str], str | None]) -> list[Drawing]:
        if not table.lines:
            return []
        picture = alone(
            charts.funnel, tuple((str(line.label), line.values["opportunities"]) for line in table.lines),
            label=str(self.title), hrefs=tuple(rows_url(line.key, "opportunities") for line in table.lines), tall=220,
        )  # fmt: skip
        legend = [f"{line.label} {line.values['opportunities']:,} ({line.values['of_all']}%)" for line in table.lines]
        return [Drawing(self.title, *picture, legend)]


def _wanted(ask: Ask) -> list[Any]:
    """WHEREs over opportunities: the reader's, entered in the period, with what the filters say."""
    wanted = [ask.opportunities]
    if ask.period is not None:
        wanted += [Opportunity.created_at >= ask.period.start, Opportunity.created_at < ask.period.end]
    if ask.values["manager"]:
        wanted.append(Opportunity.assignee_id == int(ask.values["manager"]))
    if ask.values["source"] == NONE:
        wanted.append(Opportunity.source_id.is_(None))
    elif ask.values["source"]:
        wanted.append(Opportunity.source_id == int(ask.values["source"]))
    return wanted


def _reached(ask: Ask, *, ahead: int = 0) -> sa.Subquery:
    """Every wanted opportunity once for each stage it has reached, or will have after `ahead` more."""
    of_plan = (PlanStep.opportunity_id == Opportunity.id, PlanStep.deleted_at.is_(None))
    begun = sa.select(sa.func.min(PlanStep.executed_at)).where(*of_plan)
    came = (
        sa.select(
            Opportunity.id,
            sa.cast(Opportunity.id, sa.String).label("number"),
            (Opportunity.customer_name + " · " + Opportunity.title).label("name"),
            Opportunity.assignee_id.label("owner_id"),
            Opportunity.created_at,
            Opportunity.assigned_at,
            Opportunity.closed_at,
            Opportunity.status,
            sa.func.coalesce(Opportunity.expected_amount, sa.literal(0, Money())).label("expected"),
            begun.correlate(Opportunity).scalar_subquery().label("begun_at"),
        )
        .where(*_wanted(ask))
        .cte("came")
        .prefix_with("MATERIALIZED")  # each plan is looked at once, not for every stage
    ).c
    far = sa.case((came.status == S.won, 3), (came.status == S.unassigned, 0), (came.begun_at.is_not(None), 2), else_=1)
    stage = sa.union_all(
        *(sa.select(sa.literal(key).label("line"), sa.literal(n).label("n")) for n, key in enumerate(STAGES))
    ).subquery()
    when = sa.case(
        (stage.c.n == 1, came.assigned_at),
        (stage.c.n == 2, sa.func.coalesce(came.begun_at, came.closed_at)),
        (stage.c.n == 3, came.closed_at),
    )
    return (
        sa.select(
            stage.c.line, came.id, came.number, came.name, came.owner_id, came.created_at, came.expected,
            days_between(local_day(came.created_at), local_day(when)).label("days"),
            sa.case((came.status.in_((S.unassigned, S.assigned)), 1), else_=0).label("open"),
        )
        .join(stage, stage.c.n <= far + ahead)
        .subquery()
    )  # fmt: skip
