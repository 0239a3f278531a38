"""django-import-export for the orders, set up for bulk as its documentation says."""

from __future__ import annotations

from typing import Any

from import_export import fields, resources, widgets
from import_export.instance_loaders import CachedInstanceLoader

from .models import Customer, Order


class KnownCustomer(widgets.Widget):
    """A customer by its number, all of a file looked up at once instead of row by row."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[str, Customer] = {}

    def clean(self, value: Any, row: Any = None, **_given: Any) -> Customer:
        return self.known[value]


class OrderResource(resources.ModelResource):
    """A file of orders."""

    customer = fields.Field(attribute="customer", column_name="customer_no", widget=KnownCustomer())
    ordered_at = fields.Field(attribute="ordered_at", widget=widgets.DateTimeWidget(format="%Y-%m-%dT%H:%M:%S"))
    external_id = fields.Field(attribute="external_id", column_name="order_no")

    class Meta:
        model = Order
        import_id_fields = ("external_id",)
        fields = ("external_id", "customer", "ordered_at", "status", "amount", "paid", "delivery_address")
        use_bulk = True
        batch_size = 1000
        use_transactions = True
        skip_unchanged = True
        report_skipped = False
        skip_diff = True
        skip_html_diff = True
        instance_loader_class = CachedInstanceLoader

    def before_import(self, dataset: Any, **_given: Any) -> None:
        numbers = set(dataset["customer_no"])
        found = Customer.objects.filter(number__in=numbers).only("id", "number")
        self.fields["customer"].widget.known = {customer.number: customer for customer in found}
