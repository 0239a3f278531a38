"""The two jobs as a careful Django developer writes them: querysets, bulk statements, no loop over the database."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import Count, Exists, F, Max, OuterRef, Q, Subquery, Sum, Value
from django.db.models.functions import Coalesce, ExtractYear, TruncMonth
from django.utils import timezone

from .models import AuditEntry, ChurnCase, Customer, CustomerMonth, CustomerStats, CustomerYear, Order

OPEN = ("warning", "deferred")
AT_ONCE = 5_000
EIGHT_HOURS = timedelta(hours=8)
FIELDS = ["customer_id", "ordered_at", "status", "source_status", "amount", "paid", "delivery_address"]


def sync(folder: Path) -> int:
    """Take the orders of a feed: upsert them, work out the totals again, close churn cases. Returns how many."""
    taken = 0
    with (folder / "orders.csv").open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        while rows := list(islice(reader, AT_ONCE)):
            with transaction.atomic():
                taken += _take(rows)
    return taken


def _take(rows: Any) -> int:
    customers = dict(
        Customer.objects.filter(number__in={row["customer_no"] for row in rows}).values_list("number", "id")
    )
    known = Order.objects.in_bulk([row["order_no"] for row in rows], field_name="external_id")
    changed, touched = [], set()
    for row in rows:
        order = Order(
            external_id=row["order_no"], customer_id=customers[row["customer_no"]],
            ordered_at=datetime.fromisoformat(row["ordered_at"]).replace(tzinfo=None), status=row["status"],
            source_status=row["status"], amount=Decimal(row["amount"]), paid=row["paid"] == "1",
            delivery_address=row["delivery_address"] or None,
        )  # fmt: skip
        order.clean_fields(exclude=("id", "customer"))
        before = known.get(order.external_id)
        if before is None or any(getattr(before, name) != getattr(order, name) for name in FIELDS):
            changed.append(order)
            touched.add(order.customer_id)
            if before is not None:
                touched.add(before.customer_id)
    Order.objects.bulk_create(
        changed, batch_size=1000, update_conflicts=True, unique_fields=["external_id"], update_fields=FIELDS
    )
    _totals(touched)
    newer = Order.objects.filter(
        external_id__in=[order.external_id for order in changed], customer_id=OuterRef("customer_id"),
        ordered_at__gt=OuterRef("opened_at"),
    ).exclude(status="cancelled")  # fmt: skip
    ChurnCase.objects.filter(Exists(newer), status__in=OPEN).update(
        status="recovered", resolved_at=timezone.now(), version=F("version") + 1
    )
    return len(changed)


def _totals(customers: set[int]) -> None:
    counted = Order.objects.filter(customer_id__in=customers).exclude(status="cancelled")
    stats = counted.values("customer_id").annotate(last=Max("ordered_at"), count=Count("id"), total=Sum("amount"))
    CustomerStats.objects.bulk_create(
        [
            CustomerStats(
                customer_id=s["customer_id"], last_order_at=s["last"], order_count=s["count"], order_total=s["total"]
            )
            for s in stats
        ],
        batch_size=1000, update_conflicts=True, unique_fields=["customer_id"],
        update_fields=["last_order_at", "order_count", "order_total"],
    )  # fmt: skip
    paid = Q(paid=True)
    sums = {
        "order_count": Count("id"), "order_total": Sum("amount"), "paid_count": Count("id", filter=paid),
        "paid_total": Coalesce(Sum("amount", filter=paid), Decimal(0)),
    }  # fmt: skip
    months = counted.annotate(month=TruncMonth(F("ordered_at") + EIGHT_HOURS)).values("customer_id", "month")
    years = counted.annotate(year=ExtractYear(F("ordered_at") + EIGHT_HOURS)).values("customer_id", "year")
    ever = counted.values("customer_id").annotate(year=Value(0))
    yearly = list(years.annotate(**sums))
    known = {(y["customer_id"], y["year"]) for y in yearly}
    for y in yearly:
        y["returned"] = (y["customer_id"], y["year"] - 1) in known
    for model, found in (
        (CustomerMonth, [m | {"month": m["month"].date()} for m in months.annotate(**sums)]),
        (CustomerYear, [*yearly, *ever.annotate(**sums)]),
    ):
        model.objects.filter(customer_id__in=customers).delete()
        model.objects.bulk_create([model(**row) for row in found], batch_size=1000)


def scan(as_of: datetime, cutoff: datetime) -> int:
    """Close the cases of those who ordered again and warn about everybody who is due. Returns how many."""
    now = timezone.now()
    with transaction.atomic():
        orders = Order.objects.filter(customer_id=OuterRef("customer_id"), ordered_at__lte=as_of).exclude(
            status="cancelled"
        )
        recovering = ChurnCase.objects.filter(
            Exists(orders.filter(ordered_at__gt=OuterRef("opened_at"))), status__in=OPEN, opened_at__lte=as_of
        )
        moved = list(recovering.values_list("id", "status"))
        ChurnCase.objects.filter(id__in=[pk for pk, _status in moved]).update(
            status="recovered", resolved_at=as_of, version=F("version") + 1, changed_at=now
        )
        _history(((pk, before) for pk, before in moved), "recover", "recovered", now)
        newest = (
            Order.objects.filter(customer_id=OuterRef("id"), ordered_at__lte=as_of)
            .exclude(status="cancelled")
            .order_by("-ordered_at", "-id")
        )
        counts = Q(order__ordered_at__lte=as_of) & ~Q(order__status="cancelled")
        due = (
            Customer.objects.filter(status="active", registered_on__lte=as_of.date())
            .exclude(churncase__status__in=OPEN)
            .values("id", "owner_id", "owner__last_name", "owner__first_name", "registered_on")
            .annotate(last=Max("order__ordered_at", filter=counts))
            .filter(Q(last__lt=cutoff) | Q(last=None, registered_on__lt=cutoff.date()))
            .annotate(last_no=Subquery(newest.values("external_id")[:1]))
        )
        cases = ChurnCase.objects.bulk_create(
            [
                ChurnCase(
                    customer_id=row["id"], owner_id=row["owner_id"],
                    owner_name=f"{row['owner__last_name'] or ''}{row['owner__first_name'] or ''}" or None,
                    opened_at=as_of, last_order_at=row["last"], last_order_no=row["last_no"], rule_months=6,
                    rule_cutoff=cutoff, status="warning",
                )
                for row in due.order_by("id").iterator(AT_ONCE)
            ],
            batch_size=1000,
        )  # fmt: skip
        _history(((case.pk, None) for case in cases), "warn", "warning", now)
    return len(cases)


def _history(moved: Iterator[tuple[int, str | None]], action: str, to: str, now: datetime) -> None:
    AuditEntry.objects.bulk_create(
        [
            AuditEntry(
                at=now, record_type="churn_case", record_id=pk, action=action, outcome="done", from_status=before,
                to_status=to,
            )
            for pk, before in moved
        ],
        batch_size=1000,
    )  # fmt: skip
