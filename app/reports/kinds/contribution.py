"""客户贡献分析: what each customer ordered, biggest first, with the 80/20 curve and ABC classes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from itertools import accumulate
from typing import Any, NamedTuple

import sqlalchemy as sa
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from app.core.scope import row_id
from app.core.text import like
from app.core.types import Money
from app.customers.models import Customer
from app.extensions import db
from app.mirror.bulk import among, on_postgresql
from app.mirror.models import COUNTED, Order
from app.reports import charts
from app.reports.counted import ordered_in
from app.reports.drawing import Drawing, both
from app.reports.figures import short_money
from app.reports.report import Ask, Column, Filter, Line, Report, Table

CLASSES = {"A": 80, "B": 95}  # per cent of the whole that the customers of a class and of those before it bring
REST = "C"
STEPS = 20  # points of the curve
CENT = Decimal("0.01")
DOWN, CLASS = "down", "in_class"  # columns of whose rows the cumulative share and the class consist


class Contribution(Report):
    """Orders that are not cancelled, from the rollups the sync keeps."""

    id = "contribution"
    right = "ContributionReport"
    icon = "chart-bar"
    title = _l("Customer contribution")
    about = _l("What each customer ordered, biggest first.")
    line_label = _l("Customer")
    whole = True
    filters = (
        Filter("name", _l("Customer name")),
        Filter(
            "orders", _l("Payment"), lambda: [("all", _l("Paid and unpaid")), ("paid", _l("Paid only"))], default="all"
        ),
    )

    def columns(self, ask: Ask) -> list[Column]:
        return [
            Column("orders", _l("Number of orders"), "count", good=True, how=_l(
                "Orders of the period, by the company's calendar; cancelled ones are left out.")),
            Column("amount", _l("Order amount"), "money", good=True, how=_l(
                "Sum of these orders' amounts. Unpaid orders count unless “Paid only” is chosen.")),
            Column("share", _l("Share"), "percent", of=("amount", "amount"), how=_l(
                "What the customer adds to the cumulative share.")),
            Column("cumulative", _l("Cumulative"), "percent", of=(DOWN, "amount"), how=_l(
                "The order amount of this customer and all before it, of the whole.")),
            Column("class", _l("Class"), "text", of=(CLASS, "amount"), how=_l(
                "A: the biggest who bring 80 per cent of the whole, B: those up to 95 per cent, C: the rest.")),
            Column(DOWN, _l("Order amount down to this customer"), "money", hidden=True),
            Column(CLASS, _l("Order amount of the customers of its class"), "money", hidden=True),
        ]  # fmt: skip

    def lines(
        self, ask: Ask, *, keys: Sequence[str] | None = None, first: int = 0, most: int | None = None
    ) -> list[Line]:
        ordered = _ordered(ask)
        if keys is not None:
            found = sa.select(ordered).where(among(ordered.c.customer_id, [int(key) for key in keys]))
            rows = db.session.execute(found).all()
            return [Line(str(r.customer_id), "", {"orders": r.orders, "amount": r.amount}) for r in rows]
        if most is None:
            return self._every(ask, ordered)
        best = ask.known["best"] = _Best(ask, page=range(first, first + most))
        page = best.page
        who = sa.select(Customer.id, Customer.name, Customer.number)
        found = db.session.execute(who.where(among(Customer.id, [one.customer_id for one in page])))
        named = {pk: (name, number) for pk, name, number in found}
        lines, running = [], best.bring(first)
        for one in page:
            running += one.amount
            name, number = named[one.customer_id]
            values = {"orders": one.orders, "amount": one.amount, DOWN: running}
            lines.append(Line(str(one.customer_id), name, values, sub=number))
        if len(lines) == most:
            return lines
        return lines + self._without(ask, ordered, max(0, first - best.number), most - len(lines))

    def _every(self, ask: Ask, ordered: Any) -> list[Line]:
        """All lines, for a file."""
        order = (ordered.c.amount.desc(), ordered.c.customer_id)
        running = sa.func.sum(ordered.c.amount).over(order_by=order, rows=(None, 0)).label("running")
        ranked = sa.select(ordered, running).subquery()
        every = sa.select(Customer.name, Customer.number, ranked).join(ranked, ranked.c.customer_id == Customer.id)
        found = db.session.execute(every.order_by(ranked.c.amount.desc(), ranked.c.customer_id))
        lines = [
            Line(str(r.customer_id), r.name, {"orders": r.orders, "amount": r.amount, DOWN: r.running}, sub=r.number)
            for r in found
        ]
        return lines + self._without(ask, ordered, 0, None)

    def _without(self, ask: Ask, ordered: Any, skipped: int, most: int | None) -> list[Line]:
        """The customers without orders, who come last: at most so many of them after those skipped."""
        found = (
            sa.select(Customer.id, Customer.name, Customer.number)
            .where(*_wanted(ask), Customer.id.not_in(sa.select(ordered.c.customer_id)))
            .order_by(Customer.id)
            .offset(skipped)
            .limit(most)
        )
        none = {"orders": 0, "amount": Decimal("0.00"), DOWN: None}
        return [Line(str(pk), name, dict(none), sub=number) for pk, name, number in db.session.execute(found)]

    def count(self, ask: Ask) -> int:
        return int(db.session.execute(sa.select(sa.func.count(Customer.id)).where(*_wanted(ask))).scalar_one())

    def total(self, ask: Ask, lines: Sequence[Line]) -> dict[str, Any]:
        """All customers' orders and amounts, the classes and the curve, of the same look at the rollup as the lines."""
        best = ask.known.pop("best", None) or _Best(ask)
        counts = {letter: best.within(percent) for letter, percent in CLASSES.items()} | {REST: best.number}
        classes, before = {}, (0, Decimal("0.00"))
        for letter, count in counts.items():
            brought = best.bring(count)
            classes[letter] = (count - before[0], brought - before[1])
            before = (count, brought)
        return {
            "orders": sum(size.orders for size in best.sizes), "amount": best.whole, "classes": classes,
            "customers": best.number, "curve": tuple(_percent(best.bring(step), best.whole) for step in best.steps),
        }  # fmt: skip

    def total_before(self, ask: Ask, lines: Sequence[Line]) -> dict[str, Any]:
        """Without the curve, which takes twice as long as everything else together, and so without the customers."""
        parts = _ordered(ask, each=False)
        orders, amount = db.session.execute(sa.select(sa.func.sum(parts.c.orders), sa.func.sum(parts.c.amount))).one()
        return {"orders": int(orders or 0), "amount": amount if amount is not None else Decimal("0.00")}

    def table(self, ask: Ask, **how: Any) -> Table:
        """Shares are the steps of the cumulative share, so that they add up to what it says."""
        table = super().table(ask, **how)
        table.total.values["share"] = Decimal("100.00") if table.total.values["amount"] > 0 else Decimal("0.00")
        return replace(table, lines=[_placed(line, table.total) for line in table.lines])

    def of_keys(self, ask: Ask, keys: Sequence[str], total: Line) -> list[Line]:
        ordered = _ordered(ask)
        running = sa.func.sum(ordered.c.amount).over(
            order_by=(ordered.c.amount.desc(), ordered.c.customer_id), rows=(None, 0)
        )
        every = sa.select(ordered, running.label("running")).subquery()
        found = (
            sa.select(Customer.id, every.c.orders, every.c.amount, every.c.running)
            .outerjoin(every, every.c.customer_id == Customer.id)
            .where(*_wanted(ask), among(Customer.id, [int(key) for key in keys]))
        )
        none = Decimal("0.00")
        return [
            _placed(Line(str(pk), "", {"orders": orders or 0, "amount": amount or none, DOWN: running}), total)
            for pk, orders, amount, running in db.session.execute(found)
        ]

    def note(self, ask: Ask, table: Table) -> str:
        number, amount = table.total.values["classes"]["A"]
        if not number:
            return ""
        return ngettext(
            "%(num)d customer brings 80 per cent of the whole: %(amount)s.",
            "%(num)d customers bring 80 per cent of the whole: %(amount)s.",
            number,
            amount=short_money(amount),
        )

    def rows(self, ask: Ask, column: Column) -> Any:
        if column.key in (DOWN, CLASS):
            return self._standing(ask, column)
        amount = Order.amount if column.key == "amount" else sa.literal(1)
        return (
            sa.select(
                sa.cast(Order.customer_id, sa.String).label("line"),
                Order.external_id.label("number"),
                Customer.name.label("name"),
                Customer.owner_id.label("owner_id"),
                Order.ordered_at.label("day"),
                amount.label("amount"),
            )
            .join(Customer, Customer.id == Order.customer_id)
            .where(*_wanted(ask), *_counts(ask))
            .order_by(Order.ordered_at.desc(), Order.id.desc())
        )

    def _standing(self, ask: Ask, column: Column) -> Any:
        """The customers in the order of their amounts: those with orders, or, by their class, all."""
        by_class = column.key == CLASS
        ranked = _ranked(ask) if by_class else _ordered(ask)
        who = (
            Customer.id.label("id"),
            Customer.number.label("number"),
            Customer.name.label("name"),
            Customer.owner_id.label("owner_id"),
            Customer.registered_on.label("day"),
        )
        line = ranked.c.letter if by_class else sa.cast(ranked.c.customer_id, sa.String)
        found: Any = sa.select(line.label("line"), *who, ranked.c.amount.label("amount")).join(
            ranked, ranked.c.customer_id == Customer.id
        )
        if by_class:
            nothing = sa.literal(Decimal(0), Money()).label("amount")
            without = Customer.id.not_in(sa.select(ranked.c.customer_id))
            found = found.union_all(sa.select(sa.literal(REST), *who, nothing).where(*_wanted(ask), without))
        every = found.subquery()
        return sa.select(every).order_by(every.c.amount.desc(), every.c.id)

    def of_line(self, ask: Ask, column: Column, rows: Any, key: str) -> Any:
        """The orders of a customer; of its cumulative share the customers down to it, of its class all of that. Of a
        customer who is not in the report (any more) there are no rows."""
        pk = row_id(key) or 0
        if column.key not in (DOWN, CLASS):
            return rows.where(Order.customer_id == pk)
        found = rows.order_by(None).subquery()
        if column.key == CLASS:
            ranked = _ranked(ask)
            its = sa.select(ranked.c.letter).where(ranked.c.customer_id == pk).scalar_subquery()
            there = sa.exists().where(Customer.id == pk, *_wanted(ask))
            wanted = sa.and_(there, found.c.line == sa.func.coalesce(its, REST))
        else:
            ordered = _ordered(ask)
            its = sa.select(ordered.c.amount).where(ordered.c.customer_id == pk).scalar_subquery()
            wanted = sa.or_(found.c.amount > its, sa.and_(found.c.amount == its, found.c.id <= pk))
        return sa.select(found).where(wanted).order_by(found.c.amount.desc(), found.c.id)

    def label_of(self, ask: Ask, key: str) -> str | None:
        number = row_id(key)
        found = sa.select(Customer.name).where(Customer.id == number, *_wanted(ask))
        return db.session.execute(found).scalar_one_or_none() if number is not None else None

    def charts(self, ask: Ask, table: Table, rows_url: Callable[[str, str], str | None]) -> list[Drawing]:
        best = [line for line in table.lines[:10] if line.values["amount"] > 0]
        if not best:
            return []
        bars = both(
            charts.hbar, tuple(line.label for line in best), tuple(line.values["amount"] for line in best),
            label=str(_l("The customers with the highest order amount")), formatter=short_money,
            hrefs=tuple(rows_url(line.key, "amount") for line in best),
        )  # fmt: skip
        labels = tuple(f"{(n + 1) * 100 // STEPS}%" for n in range(STEPS))
        name, points = str(_l("Cumulative share")), table.total.values["curve"]
        numbers = _steps(table.total.values["customers"])
        curve = both(
            charts.lines, labels, ((name, points),),
            label=str(_l("Cumulative share of the order amount by share of the customers")),
            formatter=_percentage, tall=220,
        )  # fmt: skip
        return [
            Drawing(_l("Top 10 customers"), *bars),
            Drawing(
                _l("80/20 curve: so many of the customers with orders bring so much"), *curve,
                head=[str(_l("Share of the customers")), str(_l("Customers")), name],
                rows=[
                    (label, f"{number:,}", f"{point}%")
                    for label, number, point in zip(labels, numbers, points, strict=True)
                ],
            ),
        ]  # fmt: skip


def _steps(number: int) -> list[int]:
    """How many customers each point of the curve speaks of: the first so many lines of the table."""
    return [-(-number * n // STEPS) for n in range(1, STEPS + 1)]


def _placed(line: Line, total: Line) -> Line:
    """The line with its shares and its class."""
    running, whole = line.values[DOWN], total.values["amount"]
    values = dict(line.values, share=Decimal("0.00"), cumulative=None, **{"class": REST})
    if running is not None and whole > 0:
        earlier = running - values["amount"]
        values["cumulative"] = _percent(running, whole)
        values["share"] = values["cumulative"] - _percent(earlier, whole)
        values["class"] = _class(earlier, whole)
    values[CLASS] = total.values["classes"][values["class"]][1]
    return replace(line, values=values)


def _percentage(value: Any) -> str:
    return f"{float(value):g}%"


def _short_of(percent: int, whole: Any, brought: Any) -> Any:
    """Whether this is less than so many per cent of the whole, of numbers or in SQL. While it is so of those before a
    customer, the customer belongs to the class."""
    return brought * 100 < percent * whole


def _class(earlier: Decimal, whole: Decimal) -> str:
    """The class of a customer before whom others brought `earlier` of the whole."""
    return next((letter for letter, percent in CLASSES.items() if _short_of(percent, whole, earlier)), REST)


class Size(NamedTuple):
    """Customers whose amounts are of about one size: how many, what they ordered, the least and the most of them."""

    customers: int
    orders: int
    amount: Decimal
    least: Decimal
    most: Decimal


def _sizes(ordered: sa.Subquery) -> list[Size]:
    """All customers by the size of their amounts, biggest first. One statement.

    A size spans less than half a per cent of the amount (SQLite: its first three digits). Nothing is put in order, so
    that PostgreSQL works on both cores: migration 0030 tells it how few sizes there are.
    """
    amount = ordered.c.amount
    if on_postgresql():
        # Literals, as in the migration: what has parameters is not recognized.
        least: Any = sa.literal_column("0.01")
        fine: Any = sa.literal_column("512")
        size: Any = sa.func.floor(sa.func.ln(sa.cast(sa.func.greatest(amount, least), sa.Double)) * fine)
    else:
        cents = sa.type_coerce(amount, sa.Integer)
        digits = sa.func.length(cents) * 1000 + sa.cast(sa.func.substr(cents, 1, 3), sa.Integer)
        size = sa.case((cents > 0, digits), else_=0)
    sums = (sa.func.sum(ordered.c.orders), sa.func.sum(amount), sa.func.min(amount), sa.func.max(amount))
    found = db.session.execute(sa.select(sa.func.count(), *sums).group_by(size))
    made = [Size(count, int(orders), *values) for count, orders, *values in found]
    return sorted(made, key=lambda size: size.most, reverse=True)


class One(NamedTuple):
    """A customer with orders."""

    customer_id: int
    orders: int
    amount: Decimal


def _ones(ordered: sa.Subquery, sizes: list[Size], inside: Sequence[int]) -> list[One]:
    """The customers of these sizes, biggest first; of equal amounts the older record first. One statement."""
    runs: list[list[Size]] = []  # neighbours are asked for as one: the fewer bounds, the less there is to compare
    for before, n in zip([-2, *inside], inside, strict=False):
        if n == before + 1:
            runs[-1].append(sizes[n])
        else:
            runs.append([sizes[n]])
    wanted = sa.or_(*(ordered.c.amount.between(run[-1].least, run[0].most) for run in runs))
    found = db.session.execute(sa.select(ordered.c.customer_id, ordered.c.orders, ordered.c.amount).where(wanted))
    ones = [One(pk, int(orders), amount) for pk, orders, amount in found]
    return sorted(ones, key=lambda one: (-one.amount, one.customer_id))


class _Best:
    """The customers with orders, biggest first: what so many of them bring, how many bring so much, and who stands on a
    page.

    Sizes add up most of it; single customers are asked for only of the sizes in which a line of the page, one of the
    steps of the curve or the bound of a class lies, all at once. Two statements over the rollup.
    """

    def __init__(self, ask: Ask, page: range = range(0)) -> None:
        ordered = _ordered(ask, whole=True)
        self.sizes = sizes = _sizes(ordered)
        self.whole = _sum(size.amount for size in sizes)
        self.counts = [0, *accumulate(size.customers for size in sizes)]  # how many come before each size
        self.sums = list(accumulate((size.amount for size in sizes), initial=Decimal("0.00")))
        self.number = self.counts[-1]
        self.steps = _steps(self.number)
        lines = range(min(page.start, self.number), min(page.stop, self.number))
        inside = {self._of(step) for step in self.steps if step not in self.counts}
        inside |= {n for n in (self._reaching(percent) for percent in CLASSES.values()) if n is not None}
        of_page = range(self._of(lines.start), self._of(lines[-1]) + 1) if lines else range(0)
        inside.update(of_page)
        found = _ones(ordered, sizes, sorted(inside)) if inside else []
        self.ones: dict[int, list[One]] = {}
        for n in sorted(inside):
            self.ones[n], found = found[: sizes[n].customers], found[sizes[n].customers :]
        near = [one for n in of_page for one in self.ones[n]]
        skipped = lines.start - self.counts[of_page.start]
        self.page = near[skipped : skipped + len(lines)]

    def _of(self, customers: int) -> int:
        """The size of the customer before whom there are so many."""
        return bisect_right(self.counts, customers) - 1

    def _reaching(self, percent: int) -> int | None:
        """The size with which so much of the whole is reached."""
        return next((n for n, by in enumerate(self.sums[1:]) if not _short_of(percent, self.whole, by)), None)

    def within(self, percent: int) -> int:
        """How many customers bring this part of the whole: the last of them is the one who reaches it."""
        n = self._reaching(percent)
        if n is None:
            return self.number
        before = list(accumulate((one.amount for one in self.ones[n]), initial=self.sums[n]))[:-1]
        return self.counts[n] + sum(1 for one in before if _short_of(percent, self.whole, one))

    def bring(self, customers: int) -> Decimal:
        """What the first so many customers bring: one of the steps, where the page begins, or what `within` says."""
        n = self._of(customers)
        return self.sums[n] + _sum(one.amount for one in self.ones.get(n, [])[: customers - self.counts[n]])


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, start=Decimal("0.00"))


def _percent(part: Decimal, whole: Decimal) -> Decimal:
    return (part * 100 / whole).quantize(CENT, ROUND_HALF_UP) if whole else Decimal("0.00")


def _wanted(ask: Ask) -> list[Any]:
    """WHEREs over customers: the reader's, of this name."""
    return [ask.customers, *_named(ask)]


def _named(ask: Ask) -> list[Any]:
    """WHERE over customers: those of the name that is searched for; nothing if none is."""
    name = ask.values["name"]
    return [sa.func.lower(Customer.name).like(like(name.lower()), escape="\\")] if name else []


def _counts(ask: Ask) -> list[Any]:
    """WHEREs over orders: those that count in the period."""
    counts = [COUNTED]
    if ask.values["orders"] == "paid":
        counts.append(Order.paid.is_(True))
    if ask.period is not None:
        counts += [Order.ordered_at >= ask.period.start, Order.ordered_at < ask.period.end]
    return counts


def _ranked(ask: Ask) -> sa.Subquery:
    """The customers with orders in the period, biggest first: customer_id, orders, amount, rank, number (how many there
    are) and the letter of the class."""
    ordered = _ordered(ask)
    order = (ordered.c.amount.desc(), ordered.c.customer_id)
    each = sa.select(
        ordered,
        sa.func.sum(ordered.c.amount).over(order_by=order, rows=(None, 0)).label("running"),
        sa.func.row_number().over(order_by=order).label("rank"),
        sa.func.sum(ordered.c.amount).over().label("whole"),
        sa.func.count().over().label("number"),
    ).subquery()
    r = each.c
    whens = [(_short_of(percent, r.whole, r.running - r.amount), letter) for letter, percent in CLASSES.items()]
    letter = sa.case(*whens, else_=REST)
    return sa.select(r.customer_id, r.orders, r.amount, r.rank, r.number, letter.label("letter")).subquery()


def _ordered(ask: Ask, *, each: bool = True, whole: bool = False) -> sa.Subquery:
    """customer_id, orders, amount of every customer with orders in the period; not `each`: of any part of it; `whole`:
    all of them are read."""
    named = _named(ask)
    return ordered_in(
        ask.period, lambda customer_id: ask.of_customers(customer_id, *named), paid=ask.values["orders"] == "paid",
        each=each, whole=whole and ask.whole_company and not named,
    ).subquery()  # fmt: skip
