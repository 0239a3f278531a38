"""客户服务分析: tickets of a period, their archiving, how satisfied the customers were, how often they came back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from flask_babel import lazy_gettext as _l

from app.customers.models import Customer
from app.extensions import db
from app.masterdata.models import DictionaryType
from app.reports import charts, groups
from app.reports.counted import ARCHIVED, FINAL
from app.reports.drawing import Drawing, both, drawn
from app.reports.figures import shares
from app.reports.report import Ask, Column, Filter, Line, Report, Table
from app.tickets.models import Ticket
from app.tickets.operations import SATISFIED

STARS = tuple(range(5, SATISFIED - 1, -1))  # what an archived ticket can have: with fewer it goes back to be done again
OF_NONE = {"satisfaction": _l("Not archived yet"), "assignee": _l("Not assigned yet")}
ENDED = ("ended", "ended_stars")  # columns of the tickets archived in the period; the others are of those created in it


class Service(Report):
    """Tickets created in the period; each once, with the satisfaction it was archived with. Beside them those archived
    in it, whose satisfaction the dashboard shows."""

    id = "service"
    right = "ServiceReport"
    icon = "headset"
    title = _l("Customer service")
    about = _l("Tickets, how satisfied their customers were, how often they were returned.")
    line_label = _l("Group")
    filters = (
        Filter(
            "by", _l("Group by"),
            lambda: [("type", _l("Ticket type")), ("satisfaction", _l("Final satisfaction")), ("month", _l("Month")),
                     ("assignee", _l("Assignee"))],
            default="type",
        ),
    )  # fmt: skip

    def columns(self, ask: Ask) -> list[Column]:
        alone = ask.values["by"] == "satisfaction"  # each line is one of these columns
        return [
            Column("tickets", _l("Tickets"), "count", how=_l(
                "Tickets created in the period, by the company's calendar; deleted ones are left out.")),
            Column("archived", _l("Archived"), "count", how=_l(
                "Those of them that are archived by now, whenever that was.")),
            Column("archived_share", _l("Archived share"), "rate", of=("archived", "tickets"), good=True, how=_l(
                "Archived tickets of all tickets of the line.")),
            Column("satisfaction", _l("Mean satisfaction"), "mean", of=("stars", "archived"), good=True, how=_l(
                "Mean of the stars that archived tickets ended with; what was said before a return does not count.")),
            Column("ended", _l("Archived in the period"), "count", how=_l(
                "Tickets archived in the period, whenever they were created.")),
            Column("ended_mean", _l("Satisfaction of these"), "mean", of=("ended_stars", "ended"), good=True, how=_l(
                "Mean of the stars that the tickets archived in the period ended with; the figure of the dashboard.")),
            Column("returned", _l("Times returned"), "number", good=False, how=_l(
                "How often these tickets were given back because the customer was not satisfied.")),
            Column("stars", _l("Sum of the stars"), "number", hidden=True),
            Column("ended_stars", _l("Sum of the stars of those archived in the period"), "number", hidden=True),
            Column("waiting", _l("Not archived yet"), "count", hidden=alone, how=_l(
                "Tickets created in the period that are not archived by now.")),
            *(Column(f"s{n}", _l("%(n)s stars", n=n), "count", hidden=alone, how=_l(
                "Tickets created in the period that were archived with so many stars.")) for n in STARS),
        ]  # fmt: skip

    def lines(
        self, ask: Ask, *, keys: Sequence[str] | None = None, first: int = 0, most: int | None = None
    ) -> list[Line]:
        amounts = _amounts()
        nothing: Any = sa.literal_column("0")
        facts = (
            sa.select(
                _line(ask, ended),
                *((what if (key in ENDED) is ended else nothing).label(key) for key, what in amounts.items()),
            ).where(*_wanted(ask, ended))
            for ended in (False, True)
        )
        sub = sa.union_all(*facts).subquery()
        summed = sa.select(sub.c.line, *(sa.func.sum(sub.c[key]).label(key) for key in amounts)).group_by(sub.c.line)
        found = {row.line: {key: int(getattr(row, key)) for key in amounts} for row in db.session.execute(summed)}
        by = ask.values["by"]
        if by == "type":
            wanted = groups.items(DictionaryType.ticket_type, found)
        elif by == "month":
            wanted = groups.months(ask.span)
        elif by == "satisfaction":
            wanted = [(str(n), _l("%(n)s stars", n=n)) for n in STARS]
        else:
            wanted = groups.persons(found)
        lines = groups.filled(wanted, found, dict.fromkeys(amounts, 0), none=OF_NONE.get(by))
        return groups.begun(lines, ask.span.each_month(), found) if by == "month" else lines

    def words(self, ask: Ask, keys: Iterable[str]) -> Mapping[str, Any]:
        by = ask.values["by"]
        return groups.words(keys, DictionaryType.ticket_type if by == "type" else None, none=OF_NONE.get(by))

    def rows(self, ask: Ask, column: Column) -> Any:
        amount, ended = _amounts()[column.key], column.key in ENDED
        return (
            sa.select(
                _line(ask, ended),
                Ticket.number.label("number"),
                Customer.name.label("name"),
                Customer.owner_id.label("owner_id"),
                _moment(ended).label("day"),
                amount.label("amount"),
            )
            .join(Customer, Customer.id == Ticket.customer_id)
            .where(*_wanted(ask, ended), amount > 0)
            .order_by(_moment(ended).desc(), Ticket.id.desc())
        )

    def charts(self, ask: Ask, table: Table, rows_url: Callable[[str, str], str | None]) -> list[Drawing]:
        drawings = []
        total, by = table.total.values, ask.values["by"]
        names = [str(_l("%(n)s stars", n=n)) for n in STARS]
        counts = [total[f"s{n}"] for n in STARS]
        if total["archived"]:
            ring = drawn(
                charts.donut, tuple(zip(names, counts, strict=True)), label=str(_l("Archived tickets by satisfaction")),
                hrefs=tuple(rows_url("total", f"s{n}") for n in STARS), size=180,
            )  # fmt: skip
            legend = [f"{name} {share:.1f}%" for name, share in zip(names, shares(counts), strict=True)]
            middle = (f"{total['archived']:,}", str(_l("archived")))
            drawings.append(Drawing(_l("Satisfaction of archived tickets"), ring, ring, legend, middle))
        lines = [line for line in table.lines if line.values["tickets"]]
        if not lines or by == "satisfaction":
            return drawings
        if by == "month":
            lines = [line for line in table.lines if line.values["tickets"] is not None]
            series = {
                **{f"s{n}": name for n, name in zip(STARS, names, strict=True)},
                "waiting": str(_l("Not archived yet")),
            }
            stack = both(
                charts.stacked, tuple(str(line.label) for line in lines),
                tuple((name, tuple(line.values[key] for line in lines)) for key, name in series.items()),
                label=str(_l("Tickets by month and satisfaction")), tall=240,
                hrefs=tuple(tuple(rows_url(line.key, key) for line in lines) for key in series),
            )  # fmt: skip
            return [Drawing(_l("Tickets by month"), *stack, list(series.values())), *drawings]
        most = sorted(lines, key=lambda line: -line.values["tickets"])[:12]
        bars = both(
            charts.hbar, tuple(str(line.label) for line in most), tuple(line.values["tickets"] for line in most),
            label=str(_l("Tickets by group")), hrefs=tuple(rows_url(line.key, "tickets") for line in most),
        )  # fmt: skip
        return [Drawing(_l("Tickets by group"), *bars), *drawings]


def _moment(ended: bool) -> Any:
    """What puts a ticket into the period."""
    return Ticket.archived_at if ended else Ticket.created_at


def _wanted(ask: Ask, ended: bool) -> list[Any]:
    """WHEREs over tickets: the reader's, of the period."""
    moment = _moment(ended)
    archived = [ARCHIVED] if ended else []
    return [ask.tickets, moment >= ask.span.start, moment < ask.span.end, *archived]


def _line(ask: Ask, ended: bool) -> Any:
    by = ask.values["by"]
    if by == "month":
        return groups.part_of(ask.span.each_month(), _moment(ended)).label("line")
    column = {"type": Ticket.type_id, "satisfaction": FINAL, "assignee": Ticket.assignee_id}[by]
    return groups.key_of(column).label("line")


def _amounts() -> dict[str, Any]:
    """What one ticket adds to each column."""

    def one(when: Any) -> Any:
        return sa.case((when, 1), else_=0)

    return {
        "tickets": one(sa.true()),
        "archived": one(ARCHIVED),
        "returned": Ticket.times_returned,
        "stars": sa.func.coalesce(FINAL, 0),
        "waiting": one(~ARCHIVED),
        "ended": one(ARCHIVED),
        "ended_stars": sa.func.coalesce(FINAL, 0),
        **{f"s{n}": one(n == FINAL) for n in STARS},
    }
