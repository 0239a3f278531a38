"""Screens of 客户, 联系人 and 交往记录."""

from __future__ import annotations

from typing import Any

from flask import abort, flash, g, request, url_for
from flask_appbuilder import expose
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_appbuilder.security.decorators import has_access, permission_name
from flask_babel import lazy_gettext as _l
from markupsafe import Markup
from sqlalchemy import inspect

from app.attachments.views import CarriesFiles
from app.core.clock import local, today, utcnow
from app.core.errors import NotYours
from app.core.format import chance, day_of, money
from app.core.history import history_of
from app.core.scope import may, reader_id
from app.core.sentences import gettext as _
from app.core.views import CrmView
from app.customers import operations
from app.customers.access import (
    VisibleContacts,
    VisibleCustomers,
    VisibleInteractions,
    contacts_to_choose,
    editable,
    found_by,
)
from app.customers.forms import owner_form
from app.customers.models import Contact, Customer, CustomerStatus, Interaction
from app.customers.queries import likeliest
from app.security.access import account_managers, active_users

ESTIMATE = "estimate.probability"
LABELS = {
    "number": _l("Number"),
    "name": _l("Customer name"),
    "region": _l("Region"),
    "owner": _l("Account manager"),
    "registered_on": _l("Registered on"),
    "level": _l("Level"),
    "satisfaction": _l("Satisfaction"),
    "credit": _l("Credit"),
    "nature": _l("Ownership nature"),
    "company_type": _l("Company type"),
    "standing": _l("Credit standing"),
    "industry": _l("Industry"),
    "province": _l("Province"),
    "city": _l("City"),
    "address": _l("Address"),
    "postcode": _l("Postcode"),
    "phone": _l("Phone"),
    "fax": _l("Fax"),
    "website": _l("Website"),
    "licence_no": _l("Business licence no."),
    "social_credit_code": _l("Unified social credit code"),
    "legal_representative": _l("Legal representative"),
    "registered_capital": _l("Registered capital (10,000 CNY)"),
    "annual_turnover": _l("Annual turnover (10,000 CNY)"),
    "bank": _l("Bank"),
    "bank_account": _l("Bank account"),
    "local_tax_no": _l("Local tax no."),
    "national_tax_no": _l("National tax no."),
    "status": _l("Status"),
    "memo": _l("Memo"),
    "stats.last_order_at": _l("Last order"),
    "stats.order_total": _l("Orders in total"),
    ESTIMATE: _l("No order in the next 26 weeks (estimate)"),
    "customer": _l("Customer"),
}


NOTES: list[Any] = []
"""Functions of a customer giving a note for the top of its page, or None: (tone, sentence, [(label, url)])."""


class CustomerView(CarriesFiles, CrmView):
    """客户."""

    datamodel = SQLAInterface(Customer)
    scope = VisibleCustomers
    class_permission_name = "Customer"
    route_base = "/customers"
    list_title = _l("Customers")
    show_title = _l("Customer")
    add_title = _l("New customer")
    edit_title = _l("Edit customer")
    label_columns = LABELS
    list_columns = [
        "name", "number", "status", "level", "region", "owner", "stats.last_order_at", ESTIMATE, "stats.order_total",
    ]  # fmt: skip
    numeric_columns = frozenset({"stats.order_total", ESTIMATE})
    show_columns = [
        "number", "registered_on", "region", "level", "satisfaction", "credit", "nature", "company_type", "standing",
        "industry", "province", "city", "address", "postcode", "phone", "fax", "website", "licence_no",
        "social_credit_code", "legal_representative", "registered_capital", "annual_turnover", "bank", "bank_account",
        "local_tax_no", "national_tax_no", "memo",
    ]  # fmt: skip
    search_columns = ["name", "number", "region", "owner", "level", "status"]
    order_columns = ["name", "number", "registered_on"]
    order_by = {ESTIMATE: likeliest(Customer.id)}
    base_order = ("registered_on", "desc")
    add_columns = edit_columns = [
        "name", "region", "owner", "level", "satisfaction", "credit", "phone", "fax", "website", "province", "city",
        "address", "postcode", "nature", "company_type", "standing", "industry", "licence_no", "social_credit_code",
        "legal_representative", "registered_capital", "annual_turnover", "bank", "bank_account", "local_tax_no",
        "national_tax_no", "memo",
    ]  # fmt: skip
    add_fieldsets = edit_fieldsets = [
        (_l("Basics"), {"fields": ["name", "region", "owner", "level", "satisfaction", "credit"]}),
        (_l("Address and phone"), {"fields": [
            "address", "postcode", "phone", "fax", "website", "province", "city",
        ]}),
        (_l("Company"), {"fields": [
            "nature", "company_type", "standing", "industry", "legal_representative", "registered_capital",
            "annual_turnover",
        ]}),
        (_l("Registration and bank"), {"fields": [
            "licence_no", "social_credit_code", "bank", "bank_account", "local_tax_no", "national_tax_no",
        ]}),
        (_l("Memo"), {"fields": ["memo"]}),
    ]  # fmt: skip
    # What a person has to complete (补入) beyond what the table asks for.
    required_columns = frozenset(
        {"name", "region", "owner", "level", "satisfaction", "credit", "address", "postcode", "phone"}
    )
    formatters_columns = {"stats.last_order_at": day_of, "stats.order_total": money, ESTIMATE: chance}
    choices = {"owner": account_managers}
    steps = operations.STEPS
    bulk = [("bulk_assign", _l("Assign owner"), "can_assign")]
    extra_rights = ("can_see_all", "can_edit_any", "can_be_assigned")
    list_template = "customers/list.html"
    show_template = "customers/customer.html"
    empty_text = _l("Customers come from won opportunities and from the sales system; you can also enter one.")

    def extra_criteria(self) -> Any:
        """The tab: all, the reader's own, or those nobody owns yet."""
        tabs: dict[str, Any] = {
            "mine": [Customer.owner_id == reader_id()],
            "unowned": [Customer.owner_id.is_(None)],
        }
        return tabs.get(request.args.get("tab", ""), [])

    def shown_columns(self) -> Any:
        """What a customer ordered is for those who may see orders, the estimate for readers of churn warnings."""
        rights = {"stats": "Order", "estimate": "ChurnCase"}
        return [c for c in self.list_columns if (of := rights.get(c.split(".")[0])) is None or may("can_list", of)]

    def search_text(self, name: str, text: str) -> Any:
        return found_by(text) if name == "name" else super().search_text(name, text)

    def list_page(self) -> dict[str, Any]:
        page = super().list_page()
        tab = request.args.get("tab", "")
        page["tab"] = tab if tab in ("mine", "unowned") else ""
        page["may_assign"] = may("can_assign", "Customer")
        return page

    def show_page(self, record: Customer) -> dict[str, Any]:
        """The 360 page: facts, contacts and what happened last; every other list on a tab of its own."""
        page = super().show_page(record)
        views: Any = self.related_views_of()
        chosen = request.args.get("tab", "")
        current = next(((v, key) for v, key in views if v.endpoint == chosen), None)
        overview = [(v, key) for v, key in views if v.endpoint in ("ContactView", "InteractionView", "OrderView")]
        page.update(
            tabs=[
                (v.endpoint, v.list_title, n)
                for (v, _key), n in zip(views, self.related_counts(record, views), strict=True)
            ],
            tab=chosen if current else "",
            related_lists=[self.related_list(record, *current)]
            if current
            else [self.related_list(record, v, key, size=5) for v, key in overview],
            shows_orders=may("can_list", "Order"),
            fields=page["fields"] if current else [*page["fields"], *self.estimated(record)],
            notes=[note for made in NOTES if (note := made(record)) is not None],
            days_silent=(today() - local(record.stats.last_order_at).date()).days
            if record.stats and record.stats.last_order_at
            else None,
            history=[] if current else history_of(record, limit=8),
            told=None if current else page["told"],
        )
        return page

    def estimated(self, record: Customer) -> list[tuple[Any, Any]]:
        """The estimate among the facts, for readers of churn warnings, with its day and what it does not do."""
        if not may("can_list", "ChurnCase") or record.estimate is None:
            return []
        day = _("as of %(day)s", day=local(record.estimate.as_of).date())
        hint = _("Warnings follow the rule of months without an order alone, whatever the estimate.")
        told = Markup('{} · {}<br><span class="t3">{}</span>').format(chance(record.estimate.probability), day, hint)
        return [(self.label_columns[ESTIMATE], told)]

    def related_lists(self, record: Customer) -> Any:
        return []

    def prefill(self, form: Any) -> None:
        if may("can_be_assigned", "Customer"):
            form.owner.data = g.user._get_current_object()

    def create_record(self, record: Customer) -> None:
        self.check_owner(record)
        operations.register(record, actor=g.user._get_current_object())

    def check_owner(self, record: Customer) -> None:
        """Raises `NotYours` when somebody without the right to assign chose another account manager than himself.

        Asked before the flush: until then the foreign key still says who was the owner.
        """
        chosen = record.owner.id if record.owner is not None else None
        before = record.owner_id if record.id is not None else reader_id()
        if chosen != before and not may("can_assign", "Customer"):
            raise NotYours(_("Only a sales lead can give a customer to somebody else."))

    def may_edit(self, record: Customer) -> bool:
        return record.status != CustomerStatus.deleted and editable(record, record.owner_id)

    def why_not_edit(self, record: Customer) -> str:
        return _("Only the account manager or a sales lead can edit this customer.")

    def change_record(self, record: Customer) -> None:
        self.check_owner(record)

    @expose("/assign/<pk>", methods=["GET", "POST"])
    @has_access
    def assign(self, pk: Any) -> Any:
        return self.run_step(operations.assign, pk, owner_form(lambda: self.lookup_url("owner")))

    def name_in_bulk(self, record: Customer) -> str:
        return f"{record.name} · {record.number}"

    @expose("/bulk-assign", methods=["GET", "POST"])
    @has_access
    @permission_name("assign")
    def bulk_assign(self) -> Any:
        return self.run_bulk(
            operations.assign,
            owner_form(lambda: self.lookup_url("owner")),
            title=_("Assign owner"),
            label=_("Assign owner"),
        )


def _before(record: Any, column: str) -> Any:
    """The column's value before this change."""
    history = inspect(record).attrs[column].history
    return history.deleted[0] if history.deleted else getattr(record, column)


class _OfCustomer(CrmView):
    """What hangs on a customer: entered from its page, editable by its account manager."""

    tab_of = {"CustomerView": "customer_id"}
    extra_rights = ("can_edit_any",)

    def prefill(self, form: Any) -> None:
        given = request.args.get("customer")
        if given:
            form.customer.data = VisibleCustomers.find(given) or abort(404)

    def may_edit(self, record: Any) -> bool:
        return editable(record, record.customer.owner_id)

    def may_delete(self, record: Any) -> bool:
        return self.may_edit(record)

    def why_not_edit(self, record: Any) -> str:
        return _("Only the customer's account manager or a sales lead can change this.")

    def why_not_delete(self, record: Any) -> str:
        return self.why_not_edit(record)

    def after_save(self, record: Any) -> str:
        return (
            url_for("CustomerView.show", pk=record.customer_id)
            if may("can_show", "Customer")
            else super().after_save(record)
        )

    def check_owner(self, record: Any) -> None:
        """Raises `NotYours` unless the reader may add to this customer."""
        if not editable(record, record.customer.owner_id):
            raise NotYours(self.why_not_edit(record))


class ContactView(_OfCustomer):
    """联系人."""

    datamodel = SQLAInterface(Contact)
    scope = VisibleContacts
    class_permission_name = "Contact"
    route_base = "/contacts"
    page_links = {"customer": "CustomerView"}
    list_title = _l("Contacts")
    show_title = _l("Contact")
    add_title = _l("New contact")
    edit_title = _l("Edit contact")
    label_columns = {
        "customer": _l("Customer"),
        "name": _l("Contact name"),
        "gender": _l("Gender"),
        "position": _l("Position"),
        "office_phone": _l("Office phone"),
        "mobile": _l("Mobile"),
        "email": _l("E-mail"),
        "home_address": _l("Home address"),
        "birthday": _l("Birthday"),
        "is_primary": _l("Primary contact"),
        "memo": _l("Memo"),
    }
    list_columns = ["name", "customer", "position", "office_phone", "mobile", "is_primary"]
    show_columns = [
        "customer", "name", "is_primary", "gender", "position", "office_phone", "mobile", "email", "home_address",
        "birthday", "memo",
    ]  # fmt: skip
    search_columns = ["name", "customer", "office_phone", "mobile"]
    order_columns = ["name"]
    base_order = ("name", "asc")
    add_columns = [
        "customer", "name", "gender", "position", "office_phone", "mobile", "email", "home_address", "birthday",
        "is_primary", "memo",
    ]  # fmt: skip
    edit_columns = add_columns[1:]
    description_columns = {"is_primary": _l("Every customer with contacts has exactly one.")}
    empty_text = _l("Contacts are entered on a customer's page.")

    def create_record(self, record: Contact) -> None:
        self.check_owner(record)
        operations.add_contact(record, actor=g.user._get_current_object())

    def change_record(self, record: Contact) -> None:
        operations.change_contact(record, was_primary=bool(_before(record, "is_primary")))

    def delete_record(self, record: Contact) -> None:
        heir = operations.remove_contact(record)
        if heir is not None:
            flash(_("%(name)s is the primary contact now.", name=heir.name), "info")


class InteractionView(CarriesFiles, _OfCustomer):
    """交往记录."""

    datamodel = SQLAInterface(Interaction)
    scope = VisibleInteractions
    class_permission_name = "Interaction"
    route_base = "/interactions"
    page_links = {"customer": "CustomerView"}
    list_title = _l("Interactions")
    show_title = _l("Interaction")
    add_title = _l("Record an interaction")
    edit_title = _l("Edit interaction")
    label_columns = {
        "customer": _l("Customer"),
        "contact": _l("Contact"),
        "occurred_at": _l("Time"),
        "place": _l("Place"),
        "title": _l("Summary"),
        "detail": _l("Detail"),
        "memo": _l("Memo"),
        "next_follow_up_on": _l("Next follow-up"),
        "created_by": _l("Recorded by"),
    }
    list_columns = ["title", "customer", "contact", "occurred_at", "next_follow_up_on", "created_by"]
    show_columns = [
        "customer", "contact", "occurred_at", "place", "title", "detail", "memo", "next_follow_up_on", "created_by",
    ]  # fmt: skip
    search_columns = ["title", "customer", "created_by", "occurred_at", "next_follow_up_on"]
    order_columns = ["occurred_at", "next_follow_up_on"]
    base_order = ("occurred_at", "desc")
    add_columns = [
        "customer", "contact", "occurred_at", "place", "title", "detail", "next_follow_up_on", "memo",
    ]  # fmt: skip
    edit_columns = add_columns[1:]
    choices = {"created_by": active_users, "contact": contacts_to_choose}
    show_template = "customers/interaction.html"
    empty_text = _l("Interactions are recorded on a customer's page: calls, visits, messages.")

    def create_record(self, record: Interaction) -> None:
        self.check_owner(record)
        record.occurred_at = record.occurred_at or utcnow()
        operations.record_interaction(record, actor=g.user._get_current_object())

    def change_record(self, record: Interaction) -> None:
        operations.check_interaction(record)
