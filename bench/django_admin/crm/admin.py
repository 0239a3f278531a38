"""The admin pages, tuned the way Django's documentation says: relations joined, raw ids, no second count."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone
from import_export.admin import ImportExportMixin

from .models import ChurnCase, Contact, Counter, Customer, Interaction, Order
from .reports import REPORTS
from .resources import OrderResource


class ReadOnly:
    """A mirror table: seen, not edited."""

    def has_add_permission(self, *_given: Any) -> bool:
        return False

    def has_change_permission(self, *_given: Any) -> bool:
        return False

    def has_delete_permission(self, *_given: Any) -> bool:
        return False


class ContactInline(admin.TabularInline):
    """The contacts on a customer's page."""

    model = Contact
    extra = 0
    fields = ("name", "gender", "position", "office_phone", "mobile", "is_primary")

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).filter(deleted_at=None)


class OrderInline(ReadOnly, admin.TabularInline):
    """The orders on a customer's page."""

    model = Order
    extra = 0
    fields = ("external_id", "ordered_at", "amount", "paid", "status")
    ordering = ("-ordered_at",)


@admin.register(Customer)
class CustomerAdmin(admin.ModelAdmin):
    """客户."""

    list_display = (
        "name", "number", "status", "level", "region", "owner", "last_order_at", "order_total", "estimate",
    )  # fmt: skip
    list_select_related = ("level", "region", "owner", "stats", "estimate")
    list_filter = ("status", "level", "region")
    list_per_page = 25
    show_full_result_count = False
    search_fields = ("name", "number")
    ordering = ("-registered_on", "-id")
    sortable_by = ("name", "number")
    raw_id_fields = ("owner",)
    inlines = (ContactInline, OrderInline)
    fieldsets = (
        ("基本信息", {"fields": ("name", "region", "owner", "level", "satisfaction", "credit")}),
        ("地址电话", {"fields": ("address", "postcode", "phone", "fax", "website", "province", "city")}),
        ("企业", {"fields": (
            "nature", "company_type", "standing", "industry", "legal_representative", "registered_capital",
            "annual_turnover",
        )}),
        ("登记与银行", {"fields": (
            "licence_no", "social_credit_code", "bank", "bank_account", "local_tax_no", "national_tax_no",
        )}),
        ("备注", {"fields": ("memo",)}),
    )  # fmt: skip

    @admin.display(description="上次下单")
    def last_order_at(self, customer: Customer) -> Any:
        stats = getattr(customer, "stats", None)
        return stats.last_order_at.date() if stats is not None and stats.last_order_at else None

    @admin.display(description="未来 26 周无订单概率（估计）")
    def estimate(self, customer: Customer) -> Any:
        found = getattr(customer, "estimate", None)
        return f"{found.probability:.0%}" if found is not None else None

    @admin.display(description="累计金额")
    def order_total(self, customer: Customer) -> Any:
        stats = getattr(customer, "stats", None)
        return stats.order_total if stats is not None else None

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).exclude(status="deleted")

    def get_urls(self) -> list[Any]:
        own = [
            path(f"report/{name}/", self.admin_site.admin_view(self.report), {"name": name}, f"crm_report_{name}")
            for name in REPORTS
        ]
        return own + super().get_urls()

    def report(self, request: HttpRequest, name: str) -> TemplateResponse:
        """A report as a table."""
        head, rows = REPORTS[name]()
        given = {**self.admin_site.each_context(request), "title": name, "head": head, "rows": rows}
        return TemplateResponse(request, "admin/report.html", given)

    def get_inlines(self, request: HttpRequest, obj: Customer | None = None) -> Any:
        return self.inlines if obj is not None else (ContactInline,)

    def save_model(self, request: HttpRequest, obj: Customer, form: Any, change: bool) -> None:
        """Give a new customer its number, and both kinds their folded keys, as the product does."""
        from app.core.text import name_key, search_key

        if not change:
            obj.registered_on = timezone.now().date()
            obj.number = next_number("KH", obj.registered_on)
        obj.name_key = name_key(obj.name)[:100]
        obj.search_key = search_key(obj.name, number=obj.number, phone=obj.phone)
        super().save_model(request, obj, form, change)


def next_number(prefix: str, day: date) -> str:
    """The next number of the day, from a locked row."""
    name = f"{prefix}{day:%y%m%d}"
    with transaction.atomic():
        counter, _made = Counter.objects.select_for_update().get_or_create(name=name, defaults={"last": 0})
        counter.last += 1
        counter.save(update_fields=["last"])
    return f"{name}{counter.last:03d}"


@admin.register(Contact)
class ContactAdmin(admin.ModelAdmin):
    """联系人."""

    list_display = ("name", "customer", "position", "office_phone", "mobile", "is_primary")
    list_select_related = ("customer",)
    list_per_page = 25
    show_full_result_count = False
    search_fields = ("name", "mobile")
    ordering = ("name", "id")
    raw_id_fields = ("customer",)

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).filter(deleted_at=None)


@admin.register(Interaction)
class InteractionAdmin(admin.ModelAdmin):
    """交往记录."""

    list_display = ("title", "customer", "contact", "occurred_at", "next_follow_up_on", "created_by")
    list_select_related = ("customer", "contact", "created_by")
    list_per_page = 25
    show_full_result_count = False
    search_fields = ("title",)
    ordering = ("-occurred_at", "-id")
    raw_id_fields = ("customer", "contact", "created_by")

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).filter(deleted_at=None)


@admin.register(Order)
class OrderAdmin(ImportExportMixin, ReadOnly, admin.ModelAdmin):
    """历史订单."""

    list_display = ("external_id", "customer", "ordered_at", "amount", "paid", "status")
    list_select_related = ("customer",)
    list_filter = ("status", "paid")
    list_per_page = 25
    show_full_result_count = False
    search_fields = ("external_id",)
    ordering = ("-ordered_at", "-id")
    resource_classes = (OrderResource,)


@admin.register(ChurnCase)
class ChurnCaseAdmin(admin.ModelAdmin):
    """客户流失."""

    list_display = ("customer", "last_order_at", "silent", "estimate", "rule", "opened_at", "looked_after", "status")
    list_select_related = ("customer", "customer__owner", "customer__estimate")
    list_filter = ("status",)
    list_per_page = 25
    show_full_result_count = False
    search_fields = ("customer__name",)
    ordering = ("-opened_at", "-id")
    raw_id_fields = ("customer", "owner")

    @admin.display(description="未下单天数")
    def silent(self, case: ChurnCase) -> int | None:
        """Days without an order, as the product's list shows them."""
        return (timezone.now() - case.last_order_at).days if case.last_order_at else None

    @admin.display(description="未来 26 周无订单概率（估计）")
    def estimate(self, case: ChurnCase) -> Any:
        """How likely the customer is not to order."""
        found = getattr(case.customer, "estimate", None)
        return f"{found.probability:.0%}" if found is not None else None

    @admin.display(description="规则")
    def rule(self, case: ChurnCase) -> str:
        """The rule that warned."""
        return f"{case.rule_months} 个月，早于 {case.rule_cutoff:%Y-%m-%d}"

    @admin.display(description="客户经理")
    def looked_after(self, case: ChurnCase) -> str:
        """Who looks after the customer now."""
        return str(case.customer.owner or "-")
