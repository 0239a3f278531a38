"""Screens of 客户流失: the list of cases, one case with what was done, and the two decisions about it."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from flask import g, request, url_for
from flask_appbuilder import expose
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_appbuilder.security.decorators import has_access
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from sqlalchemy.orm import joinedload

from app.churn import operations
from app.churn.access import VisibleChurnCases, VisibleMeasures, customers_to_choose, owners_to_choose
from app.churn.estimating import FEWEST
from app.churn.forms import ConfirmLostForm, DeferForm
from app.churn.models import OPEN, ChurnCase, ChurnStatus, RetentionMeasure
from app.churn.queries import Checks, buying, checks, last_contact, open_case_of, silent_days
from app.core.clock import company_zone, local, utcnow
from app.core.format import amount, beside, chance, day_of, explained, person, when
from app.core.history import history_of
from app.core.language import language
from app.core.lifecycle import Step
from app.core.scope import may
from app.core.views import CrmView, ReadOnlyView
from app.customers.models import Customer
from app.customers.queries import likeliest
from app.customers.views import NOTES
from app.runs.models import RunStatus
from app.runs.periodic import CHURN_SCAN


def _owned_by(owner: Any) -> sa.ColumnElement[bool]:
    """WHERE the customer of a case belongs to this person today, whoever it was when the warning was given."""
    return ChurnCase.customer_id.in_(sa.select(Customer.id).where(Customer.owner_id == owner.id))


class ChurnCaseView(CrmView):
    """流失预警."""

    datamodel = SQLAInterface(ChurnCase)
    scope = VisibleChurnCases
    class_permission_name = "ChurnCase"
    route_base = "/churn"
    list_title = _l("Churn warnings")
    show_title = _l("Churn warning")
    label_columns = {
        "customer": _l("Customer"),
        "last_order": _l("Last order"),
        "last_order_at": _l("Last order"),
        "last_order_no": _l("Last order"),
        "silent_days": _l("Days without order"),
        "estimate": _l("No order in the next 26 weeks (estimate)"),
        "rule": _l("Rule"),
        "rule_months": _l("Rule"),
        "rule_cutoff": _l("Rule"),
        "opened_at": _l("Warned as of"),
        "owner": _l("Account manager"),
        "owner_then": _l("Account manager then"),
        "owner_name": _l("Account manager then"),
        "status": _l("Status"),
        "reason_type": _l("Kind of reason"),
        "reason": _l("Reason"),
        "lost_at": _l("Lost at"),
        "resolved_at": _l("Ended at"),
        "run": _l("Opened by run"),
    }
    list_columns = [
        "customer", "last_order_at", "silent_days", "estimate", "rule_months", "opened_at", "owner", "status",
    ]  # fmt: skip
    show_columns = [
        "last_order", "rule", "opened_at", "owner_then", "owner", "reason_type", "reason", "lost_at", "resolved_at",
    ]  # fmt: skip
    numeric_columns = frozenset({"silent_days", "estimate"})
    search_columns = ["customer", "owner", "status"]
    asked_columns = ["reason_type"]
    order_columns = ["opened_at", "last_order_at"]
    order_by = {"estimate": likeliest(ChurnCase.customer_id)}
    base_order = ("opened_at", "desc")
    choices = {"customer": customers_to_choose, "owner": owners_to_choose}
    search_choices = {"owner": owners_to_choose}
    search_relations = {"owner": _owned_by}
    tab_of = {"CustomerView": "customer_id"}
    exclude_route_methods = set(CrmView.exclude_route_methods) | {"add", "edit", "delete"}
    steps = operations.STEPS
    extra_rights = ("can_see_all", "can_act_for_others", "can_act_for_absent")
    list_template = "churn/list.html"
    show_template = "churn/show.html"
    step_template = "churn/step.html"
    empty_text = _l("Customers who stop ordering are listed here every Saturday at 02:00.")

    # -- list -----------------------------------------------------------------------------------------------

    def _loads(self, columns: list[str]) -> list[Any]:
        """The customer, his owner of today and his estimate come with the row: no statement of their own."""
        customer = joinedload(ChurnCase.customer)
        return [
            customer.load_only(
                Customer.name, Customer.number, Customer.registered_on, Customer.owner_id, Customer.status
            ),
            customer.joinedload(Customer.owner),
            customer.joinedload(Customer.estimate),
        ]

    def cell(self, record: ChurnCase, name: str) -> Any:
        made = CELLS.get(name)
        return made(record) if made is not None else super().cell(record, name)

    def note_text(self) -> str:
        """When it was checked last and is checked next, and of when the estimates are."""
        return f"{_scanned()} · {_estimates()}"

    def list_page(self) -> dict[str, Any]:
        page = super().list_page()
        page["tab"] = request.args.get("_flt_0_status", "")
        page["tabs"] = [("", _("All")), *((choice.value, choice.label) for choice in ChurnStatus)]
        page["alert"] = _alert()
        return page

    # -- one case -------------------------------------------------------------------------------------------

    def open_steps(self, record: ChurnCase) -> list[Step]:
        theirs = operations.may_act(record, g.user._get_current_object())
        return [s for s in super().open_steps(record) if theirs]

    def show_page(self, record: ChurnCase) -> dict[str, Any]:
        page = super().show_page(record)
        now = utcnow()
        found = buying(record.customer_id, now)
        page.update(
            fields=[(label, value) for label, value in page["fields"] if str(value)],
            customer=record.customer,
            buying=found,
            shows_orders=may("can_list", "Order"),
            silent=silent_days(record, now, found.last.ordered_at if found.last and record.status in OPEN else None),
            contact=last_contact(record.customer_id) if may("can_list", "Interaction") else None,
            shows_contact=may("can_list", "Interaction"),
            customer_url=url_for("CustomerView.show", pk=record.customer_id) if may("can_show", "Customer") else None,
            history=history_of(record),
            notes=[note for made in NOTES if made is not note_for and (note := made(record.customer)) is not None],
        )
        return page

    @expose("/defer/<pk>", methods=["GET", "POST"])
    @has_access
    def defer(self, pk: Any) -> Any:
        return self.run_step(operations.defer, pk, DeferForm)

    @expose("/confirm-lost/<pk>", methods=["GET", "POST"])
    @has_access
    def confirm_lost(self, pk: Any) -> Any:
        return self.run_step(operations.confirm_lost, pk, ConfirmLostForm)


class RetentionMeasureView(ReadOnlyView):
    """暂缓措施: what was done, on the page of its case."""

    datamodel = SQLAInterface(RetentionMeasure)
    scope = VisibleMeasures
    class_permission_name = "RetentionMeasure"
    route_base = "/retention-measures"
    exclude_route_methods = set(ReadOnlyView.exclude_route_methods) | {"show"}
    list_title = _l("Retention measures")
    label_columns = {
        "case": _l("Churn warning"),
        "case.customer": _l("Customer"),
        "text": _l("Measure"),
        "type": _l("Kind of measure"),
        "cost": _l("Cost"),
        "by": _l("By"),
        "at": _l("Time"),
    }
    list_columns = ["case.customer", "text", "type", "cost", "by", "at"]
    show_columns: list[str] = []
    search_columns = ["text", "type"]
    order_columns: list[str] = []
    base_order = ("id", "desc")
    tab_of = {"ChurnCaseView": "case_id"}
    empty_text = _l("Measures are written when a customer's loss is deferred.")


def _last_order(case: ChurnCase) -> Any:
    if case.last_order_at is None:
        return _("Never ordered")
    if not case.last_order_no:
        return day_of(case.last_order_at)
    return beside(day_of(case.last_order_at), case.last_order_no)


def _rule(case: ChurnCase) -> tuple[str, str]:
    """The rule's months, and since when that was; most cases of a page were warned by the same one."""
    return _rule_in((language(), company_zone().key), case.rule_months, case.rule_cutoff)


@lru_cache(maxsize=1024)
def _rule_in(_reader: tuple[str, str], months: int, cutoff: datetime) -> tuple[str, str]:
    since = _("no order since %(time)s", time=f"{local(cutoff):%Y-%m-%d %H:%M}")
    return str(ngettext("%(num)d month", "%(num)d months", months)), str(since)


def _owner(case: ChurnCase) -> Any:
    owner = case.customer.owner
    return person(owner) if owner is not None else _("Without owner")


CELLS: dict[str, Any] = {
    "estimate": lambda case: chance(case.customer.estimate and case.customer.estimate.probability),
    "last_order": _last_order,
    "last_order_at": _last_order,
    "silent_days": lambda case: amount(silent_days(case, utcnow())),
    "rule": lambda case: beside(f"{_rule(case)[0]} ·", _rule(case)[1]),
    "rule_months": lambda case: explained(*_rule(case)),
    "owner": _owner,
    "owner_then": lambda case: case.owner_name or _("Without owner"),
    "opened_at": lambda case: when(case.opened_at),
}


def _checks() -> Checks:
    """How the warnings came about; several places of the list's page tell of it."""
    if "checks" not in g:
        g.checks = checks(utcnow())
    found: Checks = g.checks
    return found


def _scanned() -> str:
    """When it was checked last and is checked next."""
    run = _checks().scan
    coming = CHURN_SCAN.rule.next(utcnow(), company_zone())
    next_check = _("Next check %(time)s", time=f"{coming:%Y-%m-%d %H:%M}")
    if run is None or run.status != RunStatus.done or run.scheduled_for is None:
        return next_check
    opened = int((run.counts or {}).get("opened", 0))
    found = ngettext(
        "Last check as of %(time)s: %(num)d new warning",
        "Last check as of %(time)s: %(num)d new warnings",
        opened,
        time=f"{local(run.scheduled_for):%Y-%m-%d %H:%M}",
    )
    return f"{found} · {next_check}"


def _estimates() -> str:
    """Of when the estimates are, or why there are none."""
    run = _checks().estimates
    if run is None:
        return _("No estimates yet: they are made every Saturday at 03:30")
    if run.parameters is None:
        return ngettext(
            "No estimates: they need %(least)d customers with orders, there is %(num)d",
            "No estimates: they need %(least)d customers with orders, there are %(num)d",
            run.customers,
            least=FEWEST,
        )
    return _("Estimates as of %(time)s", time=f"{local(run.as_of):%Y-%m-%d %H:%M}")


def _alert() -> str | None:
    """Why nobody is warned at present, if the mirror is stale."""
    mirror = _checks().mirror
    if mirror.days is None:
        return _("The sales system was never synced. Until it is, nobody is warned.")
    if mirror.stale:
        return _(
            "The sales system was last synced %(days)d days ago. Until it is synced, nobody is warned.",
            days=mirror.days,
        )
    return None


def note_for(customer: Customer) -> tuple[str, str, list[tuple[str, str]]] | None:
    """The note on a customer's page about its open case, for readers who may open the case."""
    if not may("can_show", "ChurnCase"):
        return None
    case = open_case_of(customer.id)
    if case is None:
        return None
    days = silent_days(case, utcnow())
    sentence = (
        ngettext("No order for %(num)d day.", "No order for %(num)d days.", days)
        if case.last_order_at is not None
        else _("This customer never ordered.")
    )
    tone = "bad" if case.status == ChurnStatus.warning else "hold"
    return tone, sentence, [(_("Open the churn warning"), url_for("ChurnCaseView.show", pk=case.id))]
