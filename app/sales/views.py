"""Screens of 销售机会 and 开发计划."""

from __future__ import annotations

from typing import Any, ClassVar, cast

import sqlalchemy as sa
from flask import abort, flash, g, redirect, request, url_for
from flask_appbuilder import expose
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_appbuilder.security.decorators import has_access, permission_name
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import selectinload

from app.attachments.views import CarriesFiles
from app.core.clock import today
from app.core.errors import BusinessError, NotYours
from app.core.format import percent
from app.core.history import history_of
from app.core.lifecycle import Step, note_refusal
from app.core.scope import may, reader_id
from app.core.sentences import gettext as _
from app.core.unit import unit_of_work
from app.core.views import CrmView, ReadOnlyView
from app.customers.access import VisibleCustomers
from app.customers.operations import same_name
from app.extensions import db
from app.sales import operations
from app.sales.access import VisibleOpportunities, VisiblePlans, VisiblePlanSteps
from app.sales.forms import PlanStepForm, ReasonForm, ResultForm, WinForm, assign_form, namesake_form
from app.sales.models import Opportunity, OpportunityStatus, PlanStep
from app.security.access import account_managers, active_users

LABELS = {
    "customer_name": _l("Prospect"),
    "created_customer": _l("Became a new customer"),
    "title": _l("Title"),
    "source": _l("Source"),
    "probability": _l("Win probability"),
    "contact_name": _l("Contact"),
    "contact_phone": _l("Contact phone"),
    "description": _l("Description"),
    "expected_amount": _l("Expected amount"),
    "expected_close_on": _l("Expected close"),
    "status": _l("Status"),
    "assignee": _l("Assignee"),
    "assigned_by": _l("Assigned by"),
    "assigned_at": _l("Assigned at"),
    "created_by": _l("Created by"),
    "created_at": _l("Created at"),
    "close_kind": _l("Outcome"),
    "close_reason": _l("Reason"),
    "closed_by": _l("Closed by"),
    "closed_at": _l("Closed at"),
    "customer": _l("Customer"),
}


class OpportunityView(CarriesFiles, CrmView):
    """销售机会: from the first hint to won or lost, with the plan on the same page."""

    datamodel = SQLAInterface(Opportunity)
    scope = VisibleOpportunities
    class_permission_name = "Opportunity"
    route_base = "/opportunities"
    list_title = _l("Opportunities")
    show_title = _l("Opportunity")
    add_title = _l("New opportunity")
    edit_title = _l("Edit opportunity")
    label_columns = LABELS
    list_columns = ["title", "customer_name", "status", "probability", "expected_amount", "assignee", "created_at"]
    show_columns = [
        "customer_name", "source", "probability", "expected_amount", "expected_close_on", "contact_name",
        "contact_phone", "created_by", "created_at", "assignee", "assigned_by", "assigned_at", "close_kind",
        "close_reason", "closed_by", "closed_at", "customer",
    ]  # fmt: skip
    search_columns = ["customer_name", "title", "contact_name", "status", "assignee"]
    order_columns = ["customer_name", "created_at"]
    base_order = ("created_at", "desc")
    add_columns = edit_columns = [
        "customer_name", "title", "source", "probability", "expected_amount", "expected_close_on", "contact_name",
        "contact_phone", "description",
    ]  # fmt: skip
    add_fieldsets = edit_fieldsets = [
        (_l("Opportunity"), {"fields": [
            "customer_name", "title", "source", "probability", "expected_amount", "expected_close_on", "description",
        ]}),
        (_l("Contact"), {"fields": ["contact_name", "contact_phone"]}),
    ]  # fmt: skip
    description_columns = {
        "customer_name": _l("A prospect, in your own words. It becomes a customer when the opportunity is won."),
        "probability": _l("0 to 100 percent."),
    }
    formatters_columns = {"probability": percent}
    choices = {"assignee": account_managers}
    steps = operations.STEPS
    bulk = [("bulk_assign", _l("Assign"), "can_assign")]
    extra_rights: ClassVar[tuple[str, ...]] = (
        "can_see_all", "can_delete_any", "can_act_for_others", "can_win_unfinished", "can_plan",
    )  # fmt: skip
    tab_of = {"CustomerView": "customer_id"}
    show_template = "sales/opportunity.html"
    step_template = "sales/step.html"
    empty_text = _l("Opportunities come from fairs, referrals and calls. Enter the first one.")

    def create_record(self, record: Opportunity) -> None:
        operations.create(record, actor=g.user._get_current_object())

    def change_record(self, record: Opportunity) -> None:
        operations.check_editable(record)

    def may_edit(self, record: Opportunity) -> bool:
        return record.status == OpportunityStatus.unassigned

    def may_delete(self, record: Opportunity) -> bool:
        mine = record.created_by_id == reader_id() or may("can_delete_any", "Opportunity")
        return record.status == OpportunityStatus.unassigned and mine

    def why_not_edit(self, record: Opportunity) -> str:
        return _("Only unassigned opportunities can be edited or deleted.")

    def why_not_delete(self, record: Opportunity) -> str:
        if record.status == OpportunityStatus.unassigned:
            return _("Only its creator or a sales lead can delete an opportunity.")
        return self.why_not_edit(record)

    def may_develop(self, record: Opportunity) -> bool:
        """Whether the reader may work on this plan now."""
        return (
            record.status == OpportunityStatus.assigned
            and may("can_plan", "Opportunity")
            and (record.assignee_id == reader_id() or may("can_act_for_others", "Opportunity"))
        )

    def show_page(self, record: Opportunity, **forms: Any) -> dict[str, Any]:
        page = super().show_page(record)
        plan = (
            db.session.execute(
                sa.select(PlanStep)
                .where(PlanStep.opportunity_id == record.id, PlanStep.deleted_at.is_(None))
                .options(selectinload(PlanStep.executed_by))
                .order_by(PlanStep.planned_on, PlanStep.id)
            )
            .scalars()
            .all()
        )
        current = next((p for p in plan if not p.result), None)
        developing = self.may_develop(record)
        page.update(
            plan=plan,
            done_steps=sum(1 for p in plan if p.result),
            current=current,
            today=today(),
            developing=developing,
            editing=None,
            executing=None,
            step_form=forms.get("step_form") or PlanStepForm(formdata=None),
            result_form=forms.get("result_form") or ResultForm(formdata=None),
            history=history_of(record, plan),
        )
        page.update({k: v for k, v in forms.items() if k not in ("step_form", "result_form")})
        return page

    # -- steps ------------------------------------------------------------------------------------------------

    @expose("/assign/<pk>", methods=["GET", "POST"])
    @has_access
    def assign(self, pk: Any) -> Any:
        return self.run_step(operations.assign, pk, assign_form(lambda: self.lookup_url("assignee")))

    @expose("/reassign/<pk>", methods=["GET", "POST"])
    @has_access
    def reassign(self, pk: Any) -> Any:
        return self.run_step(operations.reassign, pk, assign_form(lambda: self.lookup_url("assignee")))

    def name_in_bulk(self, record: Opportunity) -> str:
        return f"{record.title} · {record.customer_name}"

    @expose("/bulk-assign", methods=["GET", "POST"])
    @has_access
    @permission_name("assign")
    def bulk_assign(self) -> Any:
        return self.run_bulk(
            operations.assign,
            assign_form(lambda: self.lookup_url("assignee")),
            title=_("Assign opportunities"),
            label=_("Assign"),
        )

    @expose("/win/<pk>", methods=["GET", "POST"])
    @has_access
    def win(self, pk: Any) -> Any:
        record = self.load(pk)
        known = self._known(record)
        if not known:
            answer = self.run_step(operations.win, pk, WinForm)
            if not (isinstance(answer, tuple) and answer[1] == 409):
                return answer
            record = self.load(pk)
            known = self._known(record)
            if not known or operations.win.why_not(record, actor=g.user._get_current_object()) is not None:
                return answer
            # Somebody made a customer of this name at the same moment: the question comes now.
        namesakes = same_name(record.customer_name, VisibleCustomers.criterion())
        made = namesake_form(namesakes, others=len(known) > len(namesakes))
        chosen = made().choice.data if request.method == "POST" else None
        given: dict[str, Any] = {"create_anyway": chosen == "new"}
        if chosen and chosen != "new":
            given["attach_to"] = next((c for c in namesakes if str(c.id) == chosen), None)
        return self.run_step(cast(Step, _Chosen(operations.win)), pk, made, **given)

    @staticmethod
    def _known(record: Opportunity) -> list[Any]:
        """The customers that have the prospect's name, while the opportunity can be won."""
        return same_name(record.customer_name) if record.status == OpportunityStatus.assigned else []

    @expose("/lose/<pk>", methods=["GET", "POST"])
    @has_access
    def lose(self, pk: Any) -> Any:
        return self.run_step(operations.lose, pk, ReasonForm)

    @expose("/terminate/<pk>", methods=["GET", "POST"])
    @has_access
    def terminate(self, pk: Any) -> Any:
        return self.run_step(operations.terminate, pk, ReasonForm)

    # -- the plan, on the opportunity's page ------------------------------------------------------------------

    @expose("/<pk>/plan", methods=["POST"])
    @has_access
    @permission_name("plan")
    def add_plan_step(self, pk: Any) -> Any:
        record = self.load(pk)
        form: Any = PlanStepForm()
        return self._plan_move(
            record,
            form,
            "step_form",
            lambda actor: operations.add_step(
                record, actor=actor, planned_on=form.planned_on.data, todo=form.todo.data
            ),
            _("The step was planned."),
        )

    @expose("/<pk>/plan/<step_id>", methods=["GET", "POST"])
    @has_access
    @permission_name("plan")
    def change_plan_step(self, pk: Any, step_id: Any) -> Any:
        record, planned = self._plan_step(pk, step_id)
        form: Any = PlanStepForm(obj=planned)
        if request.method == "GET":
            return self._again(record, 200, step_form=form, editing=planned)
        return self._plan_move(
            record,
            form,
            "step_form",
            lambda actor: operations.change_step(
                planned, actor=actor, planned_on=form.planned_on.data, todo=form.todo.data
            ),
            _("The step was changed."),
            editing=planned,
        )

    @expose("/<pk>/plan/<step_id>/result", methods=["POST"])
    @has_access
    @permission_name("plan")
    def execute_plan_step(self, pk: Any, step_id: Any) -> Any:
        record, planned = self._plan_step(pk, step_id)
        form: Any = ResultForm()
        return self._plan_move(
            record,
            form,
            "result_form",
            lambda actor: operations.execute_step(planned, actor=actor, result=form.result.data),
            _("The result was kept."),
            executing=planned,
        )

    @expose("/<pk>/plan/<step_id>/delete", methods=["POST"])
    @has_access
    @permission_name("plan")
    def remove_plan_step(self, pk: Any, step_id: Any) -> Any:
        record, planned = self._plan_step(pk, step_id)
        return self._plan_move(
            record,
            None,
            "step_form",
            lambda actor: operations.remove_step(planned, actor=actor),
            _("The step was removed from the plan."),
        )

    def _plan_step(self, pk: Any, step_id: Any) -> tuple[Opportunity, PlanStep]:
        record = self.load(pk)
        number = int(step_id) if str(step_id).isdecimal() and len(str(step_id)) < 10 else 0
        planned = db.session.get(PlanStep, number)
        if planned is None or planned.opportunity_id != record.id or planned.deleted_at is not None:
            abort(404)
        return record, planned

    def _plan_move(self, record: Opportunity, form: Any, name: str, move: Any, done: str, **shown: Any) -> Any:
        """Do one thing to the plan in a unit of work; on refusal show the page again with the typed text."""
        actor, pk, before = g.user._get_current_object(), record.id, record.status
        ids = {name: planned.id for name, planned in shown.items()}
        complete = form is None or form.validate()
        try:
            if complete:
                with unit_of_work():
                    move(actor)
            else:
                operations.check_plan(record, actor, *shown.values())
                return self._again(record, 422, **{name: form}, **shown)
        except BusinessError as refusal:
            note_refusal("opportunity", pk, "plan", actor_id=actor.id, before=before, why=str(refusal))
            status = 403 if isinstance(refusal, NotYours) else 409
            if form is None:
                flash(str(refusal), "warning")
                return redirect(url_for("OpportunityView.show", pk=pk))
            form.refuse_only(str(refusal))
            shown = {name: db.session.get(PlanStep, step_id) for name, step_id in ids.items()}  # None: it is gone
            return self._again(self.load(pk), status, **{name: form}, **shown)
        flash(done, "success")
        return redirect(url_for("OpportunityView.show", pk=pk) + "#plan")

    def _again(self, record: Opportunity, status: int, **forms: Any) -> Any:
        from flask import render_template

        return render_template(self.show_template, **self.show_page(record, **forms), **self.frame()), status


class _Chosen:
    """`win` without the radio's raw value: the page turned it into a customer or "create anyway"."""

    def __init__(self, taken: Any) -> None:
        self._taken = taken

    def __getattr__(self, name: str) -> Any:
        return getattr(self._taken, name)

    def __call__(self, record: Any, *, choice: str | None = None, **given: Any) -> Any:
        return self._taken(record, **given)


class PlanView(OpportunityView):
    """开发计划: the assigned opportunities with how far their plans are; each leads to the opportunity's page."""

    scope = VisiblePlans
    class_permission_name = "Plan"
    route_base = "/plans"
    exclude_route_methods = set(OpportunityView.exclude_route_methods) | {
        "show", "add", "edit", "delete",
        *(name for part in (OpportunityView, CarriesFiles) for name, m in vars(part).items() if hasattr(m, "_urls")),
    }  # fmt: skip
    list_title = _l("Development plans")
    list_columns = ["title", "customer_name", "status", "assignee", "assigned_at", "expected_close_on"]
    search_columns = ["customer_name", "title", "status", "assignee"]
    order_columns = ["customer_name", "created_at"]
    base_order = ("created_at", "desc")
    bulk = []
    tab_of = {}
    steps = []
    extra_rights = ()
    empty_text = _l("A plan appears here when an opportunity is assigned.")

    def show_url(self, record: Opportunity) -> str:
        return url_for("OpportunityView.show", pk=record.id)


class PlanStepView(ReadOnlyView):
    """计划项: what is planned for when, over all plans the reader may see; work is done on the opportunity's page."""

    datamodel = SQLAInterface(PlanStep)
    scope = VisiblePlanSteps
    class_permission_name = "PlanStep"
    route_base = "/plan-steps"
    exclude_route_methods = ReadOnlyView.exclude_route_methods | {"show"}
    list_title = _l("Plan steps")
    show_title = _l("Plan step")
    label_columns = {
        "planned_on": _l("Planned for"),
        "todo": _l("What to do"),
        "opportunity": _l("Opportunity"),
        "result": _l("Result"),
        "executed_by": _l("Executed by"),
        "executed_at": _l("Executed at"),
    }
    list_columns = ["todo", "planned_on", "opportunity", "result", "executed_by", "executed_at"]
    show_columns = list_columns
    search_columns = ["todo", "planned_on", "executed_by"]
    order_columns = ["planned_on"]
    base_order = ("planned_on", "desc")
    choices = {"executed_by": active_users}
    empty_text = _l("Steps are planned on the page of an assigned opportunity.")

    def show_url(self, record: PlanStep) -> str | None:
        if not may("can_show", "Opportunity"):
            return None
        return url_for("OpportunityView.show", pk=record.opportunity_id) + "#plan"
