"""销售漏斗: the opportunities entered in a period, by how far they have come since."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from app.core.types import Money
from app.extensions import db
from app.masterdata.access import items_ever_of
from app.masterdata.models import DictionaryType
from app.mirror.bulk import days_between, local_day
from app.reports import charts
from app.reports.counted import OPEN, stage
from app.reports.drawing import Drawing, alone
from app.reports.report import Ask, Column, Filter, Line, Report, Table, manager_filter
from app.sales.models import Opportunity, OpportunityStatus, PlanStep

NOTHING = Decimal("0.00")
NONE = "none"  # the source of the opportunities of which it is not known

STAGES = {
    "created": _l("New opportunities"),
    "assigned": _l("Assigned to somebody"),
    "under_way": _l("Plan under way"),
    "won": _l("Won"),
}


class Funnel(Report):
    """A cohort: whoever enters late in the period has had less time to come far. A closed month keeps how far it had
    come then, beside which stands how far it has come since. By status it tells where each of them stands now."""

    id = "funnel"
    right = "FunnelReport"
    icon = "filter"
    title = _l("Sales funnel")
    about = _l("How far the opportunities entered in a time have come.")
    line_label = _l("Group")
    whole = True
    filters = (
        Filter("by", _l("Group by"), lambda: [("stage", _l("Stage")), ("status", _l("Status"))], default="stage"),
        manager_filter(right),
        Filter(
            "source",
            _l("Opportunity source"),
            empty=_l("All sources"),
            choices=lambda: items_ever_of(DictionaryType.source),
            besides=((NONE, _l("Not known")),),
        ),
    )

    def columns(self, ask: Ask) -> list[Column]:
        if _by_status(ask):
            return [
                Column("opportunities", _l("Opportunities"), "count", how=_l(
                    "Opportunities entered in the period, by where they stand now.")),
                Column("expected", _l("Expected amount"), "money", how=_l(
                    "Sum of these opportunities' expected amounts; those without one count nothing.")),
                Column("share", _l("Share"), "share", of=("opportunities", "opportunities"), how=_l(
                    "These opportunities of all that were entered in the period.")),
            ]  # fmt: skip
        return [
            Column("opportunities", _l("Opportunities"), "count", good=True, how=_l(
                "Opportunities entered in the period that have reached this stage by now: all of them, those assigned "
                "to somebody, those with the result of a plan step or won, those won. A closed month says what they "
                "had reached when it was closed; what they reached since stands beside it.")),
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
        c = _entered(ask).c
        kind = c.status if _by_status(ask) else c.far
        sums = (sa.func.sum(what).label(what.key) for what in (c.expected, c.open, c.days_1, c.days_2, c.days_3))
        found = db.session.execute(sa.select(kind, sa.func.count().label("number"), *sums).group_by(kind)).all()
        if not found:
            return []
        if _by_status(ask):
            return [_standing(status, [r for r in found if r.status == status]) for status in OpportunityStatus]
        everything = sum(r.number for r in found)
        lines: list[Line] = []
        for n, (key, label) in enumerate(STAGES.items()):
            here = [r for r in found if r.far >= n]
            values: dict[str, Any] = {
                "opportunities": sum(r.number for r in here),
                "expected": sum((r.expected for r in here), start=NOTHING),
                "all": everything,
                "from_before": lines[-1].values["opportunities"] if lines else None,
                "days": sum(int(getattr(r, f"days_{n}")) for r in here) if n else None,
                "open": sum(int(r.open) for r in here),
            }
            lines.append(Line(key, label, values))
        return lines

    def total(self, ask: Ask, lines: Sequence[Line]) -> dict[str, Any]:
        """Every opportunity is in the first stage, but has one status only."""
        if _by_status(ask):
            return {**super().total(ask, lines), "open": sum(line.values["open"] for line in lines)}
        if lines:
            return dict(lines[0].values)
        return {"opportunities": 0, "expected": NOTHING, "all": 0, "open": 0}

    def words(self, ask: Ask, keys: Iterable[str]) -> Mapping[str, Any]:
        return {status.value: status.label for status in OpportunityStatus} if _by_status(ask) else STAGES

    def label_of(self, ask: Ask, key: str) -> Any:
        return self.words(ask, [key]).get(key)

    def rows(self, ask: Ask, column: Column) -> Any:
        if _by_status(ask):
            c = _entered(ask).c
            amount: Any = c.expected if column.key == "expected" else sa.literal(1)
            return sa.select(sa.cast(c.status, sa.String).label("line"), *_row(c), amount.label("amount")).order_by(
                c.created_at.desc(), c.id.desc()
            )
        ahead = {"all": len(STAGES), "from_before": 1}.get(column.key, 0)  # once more for so many stages to come
        c, stage = _entered(ask).c, _stages()
        days = sa.case(*((stage.c.n == n, c[f"days_{n}"]) for n in range(1, len(STAGES))))
        amount = {"expected": c.expected, "days": days}.get(column.key, sa.literal(1))
        return (
            sa.select(stage.c.line, *_row(c), amount.label("amount"))
            .join(stage, stage.c.n <= c.far + ahead)
            .order_by(c.created_at.desc(), c.id.desc())
        )

    def of_total(self, ask: Ask, column: Column, rows: Any) -> Any:
        return rows if _by_status(ask) else self.of_line(ask, column, rows, "created")

    def note(self, ask: Ask, table: Table) -> str:
        number = table.total.values["open"]
        if not number:
            return ""
        if table.closed_at:
            return ngettext(
                "%(num)d of these opportunities was still open when the month was closed.",
                "%(num)d of these opportunities were still open when the month was closed.",
                number,
            )
        return ngettext(
            "%(num)d of these opportunities is still open and may come further.",
            "%(num)d of these opportunities are still open and may come further.",
            number,
        )

    def charts(self, ask: Ask, table: Table, rows_url: Callable[[str, str], str | None]) -> list[Drawing]:
        if not table.total.values["opportunities"]:
            return []
        if _by_status(ask):
            title = _l("Opportunities by status")
            bars = alone(
                charts.hbar, tuple(str(line.label) for line in table.lines),
                tuple(line.values["opportunities"] for line in table.lines),
                label=str(title), hrefs=tuple(rows_url(line.key, "opportunities") for line in table.lines),
            )  # fmt: skip
            return [Drawing(title, *bars)]
        picture = alone(
            charts.funnel, tuple((str(line.label), line.values["opportunities"]) for line in table.lines),
            label=str(self.title), hrefs=tuple(rows_url(line.key, "opportunities") for line in table.lines), tall=220,
        )  # fmt: skip
        legend = [f"{line.label} {line.values['opportunities']:,} ({line.values['of_all']}%)" for line in table.lines]
        return [Drawing(self.title, *picture, legend)]


def _by_status(ask: Ask) -> bool:
    return ask.values["by"] == "status"


def _standing(status: OpportunityStatus, found: Sequence[Any]) -> Line:
    """The line of the opportunities of one status."""
    return Line(
        status.value,
        status.label,
        {
            "opportunities": sum(r.number for r in found),
            "expected": sum((r.expected for r in found), start=NOTHING),
            "open": sum(int(r.open) for r in found),
        },
    )


def _row(c: Any) -> tuple[Any, ...]:
    """What the page of rows says of an opportunity."""
    return (
        sa.cast(c.id, sa.String).label("number"), (c.customer_name + " · " + c.title).label("name"),
        c.assignee_id.label("owner_id"), c.created_at.label("day"),
    )  # fmt: skip


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


def _entered(ask: Ask) -> sa.Subquery:
    """Every wanted opportunity once: `far`, the number of the stage it has reached, and of each stage after the first
    the days it took there (of no meaning for a stage it has not reached)."""
    o, begun = Opportunity, sa.func.min(PlanStep.executed_at)
    reached = (o.assigned_at, sa.func.coalesce(begun, o.closed_at), o.closed_at)
    return (
        sa.select(
            o.id, o.customer_name, o.title, o.assignee_id, o.created_at, o.status,
            sa.func.coalesce(o.expected_amount, sa.literal(0, Money())).label("expected"),
            sa.case((OPEN, 1), else_=0).label("open"),
            stage(begun.is_not(None)).label("far"),
            *(
                days_between(local_day(o.created_at), local_day(when)).label(f"days_{n}")
                for n, when in enumerate(reached, start=1)
            ),
        )
        .outerjoin(PlanStep, sa.and_(PlanStep.opportunity_id == o.id, PlanStep.deleted_at.is_(None)))
        .where(*_wanted(ask))
        .group_by(o.id)
        .subquery()
    )  # fmt: skip


def _stages() -> sa.Subquery:
    """The stages' keys (`line`) by their numbers (`n`)."""
    rows = (sa.select(sa.literal(key).label("line"), sa.literal(n).label("n")) for n, key in enumerate(STAGES))
    return sa.union_all(*rows).subquery()
