"""The reports as a careful Django developer puts them into an admin: aggregates of the ORM over the tables, one page.

This year's figures without those of the year before, charts and the rows behind a figure.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db.models import Avg, Case, Count, Exists, F, Min, OuterRef, Q, Subquery, Sum, When
from django.db.models.functions import Coalesce, Round, TruncDate, TruncMonth
from django.utils import timezone

from .models import (
    ChurnCase,
    Customer,
    DictionaryItem,
    FieldChange,
    Opportunity,
    Order,
    Person,
    PlanStep,
    RetentionMeasure,
    Ticket,
)

EIGHT_HOURS = timedelta(hours=8)
WINDOWS = (30, 60, 90, 180)
Table = tuple[list[str], Iterable[Iterable[Any]]]


def first_of(year: int, month: int = 1) -> datetime:
    """The first instant of a company month, UTC without a zone as the tables keep it."""
    return datetime.combine(date(year, month, 1), time.min) - EIGHT_HOURS


def this_year() -> tuple[datetime, datetime]:
    """The first instant of the company's year and of the next."""
    year = (datetime.now(UTC) + EIGHT_HOURS).year
    return first_of(year), first_of(year + 1)


def within(name: str) -> Q:
    """In this year."""
    start, end = this_year()
    return Q(**{f"{name}__gte": start, f"{name}__lt": end})


def items(kind: str) -> dict[int | None, str]:
    """The labels of a list."""
    return dict(DictionaryItem.objects.filter(type=kind).values_list("id", "label_zh")) | {None: "-"}


def people(ids: Iterable[int | None]) -> dict[int | None, str]:
    """The names of these people."""
    return {pk: str(person) for pk, person in Person.objects.in_bulk([i for i in ids if i]).items()} | {None: "-"}


def contribution() -> Table:
    """Orders and amounts by customer, the first hundred."""
    orders = Order.objects.filter(within("ordered_at")).exclude(status="cancelled")
    best = (
        orders.values("customer_id")
        .annotate(number=Count("id"), total=Sum("amount"))
        .order_by("-total", "customer_id")[:100]
    )
    whole = orders.aggregate(number=Count("id"), total=Sum("amount"))
    customers = Customer.objects.exclude(status="deleted").count()
    rows = list(best)
    named = Customer.objects.only("name", "number").in_bulk([row["customer_id"] for row in rows])
    lines = [
        (named[row["customer_id"]].name, named[row["customer_id"]].number, row["number"], row["total"],
         f"{row['total'] * 100 / whole['total']:.2f}")
        for row in rows
    ]  # fmt: skip
    head = ["客户", "编号", "订单", "金额", "占比"]
    return head, [*lines, (f"合计 {customers} 位客户", "", whole["number"], whole["total"], "100")]


def composition() -> Table:
    """Active customers by level."""
    found = Customer.objects.filter(status="active").values_list("level_id").annotate(number=Count("id"))
    counts, labels = dict(found), items("level")
    whole = sum(counts.values())
    return ["等级", "客户", "占比"], [(labels[pk], n, f"{n * 100 / whole:.1f}") for pk, n in counts.items()]


def lost(when: datetime) -> Exists:
    """Whether the customer was lost then."""
    open_then = Q(resolved_at=None) | Q(resolved_at__gte=when)
    return Exists(ChurnCase.objects.filter(open_then, customer_id=OuterRef("id"), lost_at__lt=when))


def levels() -> Table:
    """From which level to which: everybody by the level of today, then those moved whose history says otherwise."""
    start, end = this_year()
    first: dict[int, int] = {}
    history = FieldChange.objects.filter(record_type="customer", field="level_id", at__gte=start)
    for pk, before in history.order_by("at", "id").values_list("record_id", "before"):
        first.setdefault(pk, int(before))
    customers = (
        Customer.objects.exclude(status="deleted")
        .annotate(
            new=Case(When(registered_on__gte=(start + EIGHT_HOURS).date(), then=True), default=False),
            was=lost(start),
            gone=lost(end),
        )
        .exclude(was=True, gone=True)
    )
    cells: Counter[tuple[Any, Any]] = Counter()
    for level, new, was, gone, number in customers.values_list("level_id", "new", "was", "gone").annotate(
        number=Count("id")
    ):
        cells["新登记" if new else "赢回" if was else level, "流失" if gone else level] += number
    moved = customers.filter(id__in=list(first), new=False, was=False).values_list("id", "level_id", "gone")
    for pk, level, gone in moved:
        to = "流失" if gone else level
        cells[level, to] -= 1
        cells[first[pk], to] += 1
    labels = items("level")
    ends = [*(pk for pk in labels if pk), "流失"]
    starts = [*(pk for pk in labels if pk), "新登记", "赢回"]
    rows = [(labels.get(line, line), *(cells[line, to] for to in ends)) for line in starts]
    return ["期初等级", *(str(labels.get(to, to)) for to in ends)], rows


def service() -> Table:
    """Tickets by type."""
    archived = Q(status="archived")
    found = (
        Ticket.objects.filter(within("created_at"), deleted_at=None)
        .values_list("type_id")
        .annotate(
            tickets=Count("id"), archived=Count("id", filter=archived), stars=Avg("satisfaction", filter=archived),
            returned=Sum("times_returned"),
            **{f"s{n}": Count("id", filter=archived & Q(satisfaction=n)) for n in (5, 4, 3)},
        )
    )  # fmt: skip
    labels = items("ticket_type")
    return ["类型", "服务单", "已归档", "满意度", "退回", "五星", "四星", "三星"], [
        (labels[pk], *rest) for pk, *rest in found
    ]


def churn() -> Table:
    """What became of warnings, by owner."""
    start, _end = this_year()
    taken = RetentionMeasure.objects.filter(case_id=OuterRef("id")).order_by("at").values("at")[:1]
    recovered = Q(status="recovered") & within("resolved_at")
    found = list(
        ChurnCase.objects.annotate(first=Subquery(taken))
        .values_list("owner_id")
        .annotate(
            warned=Count("id", filter=within("opened_at")),
            deferred=Count("id", filter=within("first")),
            recovered=Count("id", filter=recovered),
            retained=Count("id", filter=recovered & Q(first__isnull=False)),
            lost=Count("id", filter=within("lost_at")),
            won_back=Count("id", filter=Q(status="won_back") & within("resolved_at")),
        )
    )
    registered = Q(registered_on__lt=(start + EIGHT_HOURS).date())
    there = Customer.objects.exclude(status="deleted").filter(registered)
    number = there.count() - there.filter(lost(start)).count()
    names = people(row[0] for row in found)
    total = sum(row[5] for row in found)
    lines = [(names[pk], *rest) for pk, *rest in found]
    head = ["客户经理", "预警", "暂缓", "挽回", "措施后挽回", "流失", "赢回"]
    return head, [*lines, (f"期初 {number} 位客户, 流失率 {total * 100 / max(number, 1):.1f}%", *[""] * 6)]


def ledger() -> Table:
    """Where every case stood at the end of each month."""
    start, _end = this_year()
    now = timezone.now()
    year = (start + EIGHT_HOURS).year
    ends = [first_of(year, month) for month in range(2, 13)]
    ends = [end for end in ends if end < now] + [now]
    counts = [[0] * 6 for _end in ends]
    never = len(ends)

    def known(moment: datetime | None) -> int:
        return never if moment is None else bisect_right(ends, moment)

    cases = ChurnCase.objects.annotate(first=Min("retentionmeasure__at"))
    for opened, first, gone, resolved, status in cases.values_list(
        "opened_at", "first", "lost_at", "resolved_at", "status"
    ):
        measured, lost_from, ended = known(first), known(gone), known(resolved)
        for n in range(known(opened), never):
            line = counts[n]
            line[0] += 1
            if lost_from <= n:
                line[4] += 1
            elif status == "recovered" and ended <= n:
                line[3] += 1
            else:
                line[2 if measured <= n else 1] += 1
            if status == "won_back" and ended <= n:
                line[5] += 1
    rows = [(f"{end + EIGHT_HOURS:%Y-%m-%d}", *line) for end, line in zip(ends, counts, strict=True)]
    return ["截至", "累计预警", "未处理", "暂缓", "挽回", "流失", "赢回"], rows


def measures() -> Table:
    """Who ordered again after the first measure, by its kind, and who without one."""
    now = timezone.now()
    longest = timedelta(days=WINDOWS[-1])

    def outcomes(found: Any, kind: str | None, since: str, customer: str) -> Any:
        orders = Order.objects.filter(
            customer_id=OuterRef(customer), ordered_at__gt=OuterRef(since), ordered_at__lt=OuterRef(since) + longest
        ).exclude(status="cancelled")
        summed = orders.order_by().values("customer_id").annotate(total=Sum("amount")).values("total")
        named = found.annotate(
            next=Subquery(orders.order_by("ordered_at").values("ordered_at")[:1]), value=Subquery(summed)
        )
        return named.values_list(*([kind] if kind else []), since, "next", "value")

    earlier = RetentionMeasure.objects.filter(case_id=OuterRef("case_id")).filter(
        Q(at__lt=OuterRef("at")) | Q(at=OuterRef("at"), id__lt=OuterRef("id"))
    )
    taken = RetentionMeasure.objects.filter(within("at")).exclude(Exists(earlier))
    alone = ChurnCase.objects.filter(within("opened_at"), lost_at=None).exclude(
        Exists(RetentionMeasure.objects.filter(case_id=OuterRef("id")))
    )
    lines: dict[Any, list[Any]] = defaultdict(lambda: [0] * 10)
    for kind, since, ordered, value in [
        *outcomes(taken, "type_id", "at", "case__customer_id"),
        *(("无措施", *row) for row in outcomes(alone, None, "opened_at", "customer_id")),
    ]:
        line = lines[kind]
        line[0] += 1
        for n, days in enumerate(WINDOWS):
            if since <= now - timedelta(days=days):
                line[1 + n] += 1
                if ordered is not None and ordered < since + timedelta(days=days):
                    line[5 + n] += 1
        if since <= now - longest and value:
            line[9] += value
    labels = items("measure")
    head = ["措施", "客户", *(f"满{n}天" for n in WINDOWS), *(f"{n}天内" for n in WINDOWS), "金额"]
    return head, [(labels.get(kind, kind), *line) for kind, line in lines.items()]


def returning() -> Table:
    """Who ordered last year and again, by level."""
    start, end = this_year()
    before = first_of((start + EIGHT_HOURS).year - 1)
    counted = Order.objects.exclude(status="cancelled")
    past = Exists(counted.filter(customer_id=OuterRef("id"), ordered_at__gte=before, ordered_at__lt=start))
    now = Exists(counted.filter(customer_id=OuterRef("id"), ordered_at__gte=start, ordered_at__lt=end))
    customers = Customer.objects.exclude(status="deleted").annotate(past=past, now=now)
    again: Counter[tuple[int, bool, bool]] = Counter()
    for level, was, is_, number in customers.values_list("level_id", "past", "now").annotate(number=Count("id")):
        again[level, was, is_] = number
    earlier = counted.filter(customer_id=OuterRef("customer_id"), ordered_at__gte=before, ordered_at__lt=start)
    amounts = dict(
        counted.filter(Exists(earlier), ordered_at__gte=start, ordered_at__lt=end)
        .exclude(customer__status="deleted")
        .values_list("customer__level_id")
        .annotate(total=Sum("amount"))
    )
    rows = [
        (label, again[pk, True, True] + again[pk, True, False], again[pk, True, True], again[pk, False, True],
         amounts.get(pk, 0))
        for pk, label in items("level").items() if pk
    ]  # fmt: skip
    return ["等级", "上期下单", "再次下单", "新增", "金额"], rows


def funnel() -> Table:
    """How far the opportunities of the year have come."""
    done = PlanStep.objects.filter(opportunity_id=OuterRef("id"), executed_at__isnull=False)
    begun = done.order_by().values("opportunity_id").annotate(first=Min("executed_at")).values("first")
    stages = {
        "assigned": (~Q(status="unassigned"), F("assigned_at")),
        "begun": (Q(status="won") | (~Q(status="unassigned") & Q(first__isnull=False)), Coalesce("first", "closed_at")),
        "won": (Q(status="won"), F("closed_at")),
    }
    sums: dict[str, Any] = {"all_n": Count("id"), "all_sum": Sum("expected_amount")}
    for name, (which, when) in stages.items():
        sums[f"{name}_n"] = Count("id", filter=which)
        sums[f"{name}_sum"] = Sum("expected_amount", filter=which)
        sums[f"{name}_days"] = Avg(when - F("created_at"), filter=which)
    found = (
        Opportunity.objects.filter(within("created_at"), deleted_at=None)
        .annotate(first=Subquery(begun))
        .aggregate(**sums)
    )
    rows = [
        (label, found[f"{name}_n"], found[f"{name}_sum"], found.get(f"{name}_days"))
        for name, label in (("all", "新建"), ("assigned", "已分配"), ("begun", "开发中"), ("won", "成功"))
    ]
    return ["阶段", "机会", "预计金额", "平均时间"], rows


def forecast() -> Table:
    """What open opportunities may bring, by month."""
    found = (
        Opportunity.objects.filter(status__in=("unassigned", "assigned"), deleted_at=None)
        .annotate(month=TruncMonth("expected_close_on"))
        .values_list("month")
        .annotate(
            number=Count("id"),
            expected=Sum("expected_amount"),
            weighted=Sum(Round(F("expected_amount") * F("probability") / 100, precision=2)),
        )
        .order_by("month")
    )
    return ["预计成交", "机会", "预计金额", "加权金额"], found


def plans() -> Table:
    """How the opportunities closed in the year were developed, by manager."""
    closed = Opportunity.objects.filter(within("closed_at"), status__in=("won", "lost"), deleted_at=None)
    day = TruncDate(F("planstep__executed_at") + EIGHT_HOURS)
    found = list(
        closed.values_list("assignee_id").annotate(
            number=Count("id", distinct=True),
            won=Count("id", distinct=True, filter=Q(status="won")),
            steps=Count("planstep"),
            done=Count("planstep__executed_at"),
            late=Avg(day - F("planstep__planned_on")),
        )
    )
    since = PlanStep.objects.filter(opportunity_id=OuterRef("id"), executed_at__gte=OuterRef("assigned_at"))
    first = since.order_by().values("opportunity_id").annotate(first=Min("executed_at")).values("first")
    days = dict(
        closed.annotate(first=Subquery(first))
        .values_list("assignee_id")
        .annotate(days=Avg(F("first") - F("assigned_at")))
    )
    names = people(row[0] for row in found)
    head = ["客户经理", "已结束", "成功", "计划项", "已执行", "平均延迟", "首次执行"]
    return head, [(names[pk], *rest, days[pk]) for pk, *rest in found]


REPORTS: dict[str, Callable[[], Table]] = {
    "contribution": contribution, "composition": composition, "levels": levels, "service": service,
    "churn-analysis": churn, "churn-ledger": ledger, "measures": measures, "retention-rate": returning,
    "funnel": funnel, "forecast": forecast, "plans": plans,
}  # fmt: skip
