"""The moves of an opportunity and its plan. Flush, never commit."""

from __future__ import annotations

from datetime import date, datetime

import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import User
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm.exc import StaleDataError

from app.core import recycle
from app.core.clock import local, utcnow
from app.core.errors import BusinessError, NotYours, StepRefused
from app.core.lifecycle import FASTER, Step, note_move, step
from app.core.sentences import gettext as _
from app.core.sentences import ngettext
from app.customers.access import in_reach_of
from app.customers.models import Contact, Customer, CustomerStatus
from app.customers.operations import add_contact, claim, claim_name, open_account, same_name
from app.extensions import db
from app.notices.operations import notify
from app.sales.models import CloseKind, Opportunity, OpportunityStatus, PlanStep
from app.security.rights import holders, holds

S = OpportunityStatus


def create(opportunity: Opportunity, *, actor: User | None, at: datetime | None = None) -> Opportunity:
    """Enter a new opportunity: unassigned, creator and time set by the server. Flushes."""
    at = at or utcnow()
    opportunity.status = S.unassigned
    opportunity.created_at = opportunity.changed_at = at
    opportunity.created_by_id = actor.id if actor is not None else None
    db.session.add(opportunity)
    db.session.flush()
    return opportunity


# -- what a step asks before anything is typed ------------------------------------------------------------------


def _lock(opportunity: Opportunity) -> None:
    """Writers of a plan and closers of its opportunity wait for each other (parent before child).

    On SQLite the whole transaction holds the write lock already. Raises `StepRefused` when another was faster, also
    by deleting it.
    """
    before = opportunity.status
    db.session.execute(sa.select(Opportunity.id).where(Opportunity.id == opportunity.id).with_for_update())
    db.session.refresh(opportunity, ["status", "assignee_id", "deleted_at", "version"])
    db.session.expire(opportunity, ["assignee"])  # the page may have loaded who had it before
    if opportunity.status != before or opportunity.deleted_at is not None:
        raise StepRefused(opportunity.why_not() or str(FASTER))


def _plan(opportunity: Opportunity) -> list[PlanStep]:
    return list(
        db.session.execute(
            sa.select(PlanStep)
            .where(PlanStep.opportunity_id == opportunity.id, PlanStep.deleted_at.is_(None))
            .order_by(PlanStep.planned_on, PlanStep.id)
        ).scalars()
    )


def _theirs(opportunity: Opportunity, actor: User | None) -> None:
    mine = actor is not None and actor.id == opportunity.assignee_id
    if not mine and not holds(actor, "can_act_for_others", "Opportunity"):
        raise NotYours(_("Only the assignee can do this."))


def _not_begun(opportunity: Opportunity, _actor: User | None) -> None:
    """Whoever begun goes on; but a plan whose assignee is gone needs another one."""
    if holds(opportunity.assignee, "can_be_assigned", "Customer") and any(
        plan_step.result for plan_step in _plan(opportunity)
    ):
        raise BusinessError(_("A plan step already has a result, so the opportunity stays with its assignee."))


def _planned(opportunity: Opportunity, _actor: User | None) -> None:
    if not _plan(opportunity):
        raise BusinessError(_("There is no plan step yet. Add one, or terminate the opportunity instead."))


def _finished(opportunity: Opportunity, actor: User | None) -> None:
    if holds(actor, "can_win_unfinished", "Opportunity"):
        return
    plan = _plan(opportunity)
    if not plan:
        raise BusinessError(_("Add at least one plan step and its result first."))
    unfinished = sum(1 for plan_step in plan if not plan_step.result)
    if unfinished:
        raise BusinessError(
            ngettext(
                "Fill in the result of %(num)d planned step first.",
                "Fill in the results of %(num)d planned steps first.",
                unfinished,
            )
        )


def _its_customer(opportunity: Opportunity) -> str:
    customer = opportunity.customer
    return f"{customer.number} {customer.name}" if customer is not None else ""


def _tell_assignee(opportunity: Opportunity, actor: User | None, at: datetime) -> None:
    """Whoever is given an opportunity hears of it, unless he gave it to himself."""
    notify(
        "opportunity.assigned",
        to=opportunity.assignee,
        record=opportunity,
        event=f"opportunity.assigned:{opportunity.id}:{opportunity.version}",  # its version counts its moves
        at=at,
        but=actor,
        prospect=opportunity.customer_name,
        title=opportunity.title[:100],
    )


def why_files_stay(opportunity: Opportunity) -> str | None:
    """Why the files of a closed opportunity are no longer changed; None while it is open."""
    closed = opportunity.status in (S.won, S.lost)
    return _("The opportunity is closed: its files stay as they are.") if closed else None


# -- the steps --------------------------------------------------------------------------------------------------


@step(
    sources={S.unassigned},
    target=S.assigned,
    label=_l("Assign"),
    done=_l("The opportunity was assigned."),
    tone="primary",
    icon="user-share",
    lock=_lock,
    after=_tell_assignee,
)
def assign(opportunity: Opportunity, *, actor: User, at: datetime, assignee: User) -> None:
    """Give an unassigned opportunity to an account manager (lead).

    The assignee must be an active holder of can_be_assigned. Of two simultaneous assigners one gets
    "already assigned to X".
    """
    _give(opportunity, assignee, actor=actor, at=at)


@step(
    sources={S.assigned},
    target=S.assigned,
    label=_l("Reassign"),
    done=_l("The opportunity was reassigned."),
    icon="user-share",
    lock=_lock,
    guard=_not_begun,
    after=_tell_assignee,
)
def reassign(opportunity: Opportunity, *, actor: User, at: datetime, assignee: User) -> None:
    """Give an assigned opportunity to somebody else, while no plan step has a result (lead).

    From an assignee who is disabled or may no longer be assigned it can always be taken; results and their authors
    stay as they are.
    """
    if assignee.id == opportunity.assignee_id:
        raise BusinessError(_("%(name)s is already the assignee.", name=assignee.get_full_name()))
    _give(opportunity, assignee, actor=actor, at=at)


def _give(opportunity: Opportunity, assignee: User, *, actor: User, at: datetime) -> None:
    able = sa.select(User.id).where(User.id == assignee.id, User.id.in_(holders("can_be_assigned", "Customer")))
    if db.session.execute(able).first() is None:
        raise BusinessError(
            _("%(name)s cannot be given opportunities. Choose an account manager.", name=assignee.get_full_name())
        )
    opportunity.assignee = assignee
    opportunity.assigned_by_id = actor.id
    opportunity.assigned_at = at


@step(
    sources={S.assigned},
    target=S.won,
    label=_l("Mark as won"),
    done=_l("Won. The customer is ready."),
    tone="primary",
    icon="circle-check",
    lock=_lock,
    whose=_theirs,
    guard=_finished,
    note=_its_customer,
)
def win(
    opportunity: Opportunity,
    *,
    actor: User,
    at: datetime,
    attach_to: Customer | None = None,
    create_anyway: bool = False,
) -> None:
    """Close the plan as a success and create the customer with its primary contact, exactly once.

    Needs at least one step and a result on every step, unless the actor holds can_win_unfinished. When a live
    customer has the same name, the actor chooses: `attach_to` it or `create_anyway`; never silently. Of two that
    win at the same moment, the second finds the customer of the first.
    """
    if attach_to is not None:
        # A colleague's customer that the actor does not see is not his to attach to.
        if attach_to.id not in {c.id for c in same_name(opportunity.customer_name, in_reach_of(actor))}:
            raise BusinessError(_("This customer does not have the opportunity's name. Choose another one."))
        customer = attach_to
        _attach(customer, opportunity, actor=actor, at=at)
    else:
        claim_name(opportunity.customer_name)  # after the opportunity, before the number: everybody in this order
        if not create_anyway and same_name(opportunity.customer_name):
            raise BusinessError(_("There is already a customer with this name. Attach to it, or create another one."))
        customer = open_account(
            name=opportunity.customer_name,
            owner=opportunity.assignee,
            phone=opportunity.contact_phone,
            contact_name=opportunity.contact_name,
            actor=actor,
            at=at,
        )
        opportunity.created_customer = True
    origin = "from_opportunity" if opportunity.created_customer else "attach"
    note_move(customer, origin, actor=actor, at=at, before=customer.status, note=opportunity.title)
    opportunity.customer = customer
    opportunity.close_kind = CloseKind.won
    opportunity.closed_by_id = actor.id
    opportunity.closed_at = at


def _attach(customer: Customer, opportunity: Opportunity, *, actor: User, at: datetime) -> None:
    """A customer that nobody owns goes to the assignee; the opportunity's contact is added if it is new."""
    claim(customer.id)
    if customer.owner_id is None and customer.status == CustomerStatus.active:
        customer.owner = opportunity.assignee
        note_move(customer, "assign", actor=actor, at=at, before=customer.status)
    name = (opportunity.contact_name or "").strip()
    known = db.session.execute(
        sa.select(Contact.id).where(
            Contact.customer_id == customer.id, Contact.name == name, Contact.deleted_at.is_(None)
        )
    ).first()
    if name and known is None:
        add_contact(
            Contact(customer=customer, name=name[:50], office_phone=opportunity.contact_phone or ""), actor=actor, at=at
        )


@step(
    sources={S.assigned},
    target=S.lost,
    label=_l("Mark as failed"),
    done=_l("The opportunity was closed as failed."),
    tone="danger",
    icon="circle-x",
    whose=_theirs,
    guard=_planned,
)
def lose(opportunity: Opportunity, *, actor: User, at: datetime, reason: str) -> None:
    """Close the plan as failed (开发失败); the reason is required and everything is read-only afterwards."""
    _close_lost(opportunity, CloseKind.failed, actor=actor, at=at, reason=reason)


@step(
    sources={S.assigned},
    target=S.lost,
    label=_l("Terminate"),
    done=_l("The opportunity was terminated."),
    tone="danger",
    icon="player-stop",
    whose=_theirs,
)
def terminate(opportunity: Opportunity, *, actor: User, at: datetime, reason: str) -> None:
    """Stop developing (终止开发), also without any step; the reason is required."""
    _close_lost(opportunity, CloseKind.terminated, actor=actor, at=at, reason=reason)


def _close_lost(opportunity: Opportunity, kind: CloseKind, *, actor: User, at: datetime, reason: str) -> None:
    if not (reason or "").strip():
        raise BusinessError(_("Say why, so that colleagues understand it later."))
    opportunity.close_kind = kind
    opportunity.close_reason = reason.strip()
    opportunity.closed_by_id = actor.id
    opportunity.closed_at = at


# -- the plan -------------------------------------------------------------------------------------------------


def _open_plan(opportunity: Opportunity, actor: User) -> None:
    _lock(opportunity)
    check_plan(opportunity, actor)


def check_plan(opportunity: Opportunity, actor: User | None, *planned: PlanStep) -> None:
    """Raises `BusinessError` when this person cannot change the plan now, or these steps of it."""
    if opportunity.status != S.assigned:
        raise BusinessError(_("This opportunity is not in development, so its plan can no longer be changed."))
    _theirs(opportunity, actor)
    for one in planned:
        _not_executed(one)


def _check_day(opportunity: Opportunity, planned_on: date) -> None:
    entered = local(opportunity.created_at).date()
    if planned_on < entered:
        raise BusinessError(
            _("The opportunity was entered on %(day)s. Plan its steps for that day or later.", day=entered.isoformat())
        )


def add_step(
    opportunity: Opportunity, *, actor: User, planned_on: date, todo: str, at: datetime | None = None
) -> PlanStep:
    """Plan one more thing to do. Flushes.

    Raises `BusinessError` when the opportunity is closed or is younger than the planned day, `NotYours` for anybody
    but the assignee.
    """
    _open_plan(opportunity, actor)
    _check_day(opportunity, planned_on)
    at = at or utcnow()
    planned = PlanStep(
        opportunity_id=opportunity.id,
        planned_on=planned_on,
        todo=todo,
        created_at=at,
        changed_at=at,
        created_by_id=actor.id,
    )
    db.session.add(planned)
    db.session.flush()
    note_move(planned, "create", actor=actor, at=at)
    return planned


def change_step(planned: PlanStep, *, actor: User, planned_on: date, todo: str, at: datetime | None = None) -> None:
    """Change what is planned, or when, until the step has a result. Flushes."""
    _open_plan(planned.opportunity, actor)
    _not_executed(planned)
    if planned_on != planned.planned_on:
        _check_day(planned.opportunity, planned_on)
    planned.planned_on, planned.todo = planned_on, todo
    _flush()
    note_move(planned, "edit", actor=actor, at=at)


def execute_step(planned: PlanStep, *, actor: User, result: str, at: datetime | None = None) -> None:
    """Write what came of a planned step (执行效果); once written it stays. Flushes."""
    _open_plan(planned.opportunity, actor)
    _not_executed(planned)
    if not (result or "").strip():
        raise BusinessError(_("Write what came of this step."))
    planned.result = result.strip()
    planned.executed_by_id = actor.id
    planned.executed_at = at or utcnow()
    _flush()
    note_move(planned, "execute", actor=actor, at=at, note=planned.result)


def remove_step(planned: PlanStep, *, actor: User, at: datetime | None = None) -> None:
    """Take a step out of the plan, until it has a result. Flushes."""
    _open_plan(planned.opportunity, actor)
    _not_executed(planned)
    note_move(planned, "delete", actor=actor, at=at, note=planned.todo)
    note_move(planned.opportunity, "remove_step", actor=actor, at=at, before=S.assigned, note=planned.todo)
    try:
        recycle.delete(planned, actor=actor, at=at)
    except StaleDataError as stale:
        raise StepRefused(str(FASTER)) from stale


def check_return(planned: PlanStep, actor: User | None) -> None:
    """Raises `BusinessError` unless a removed step may come back into its plan: as it might be changed now."""
    check_plan(planned.opportunity, actor)


def _flush() -> None:
    """Raises `StepRefused` when somebody changed or removed the planned step since it was read."""
    try:
        db.session.flush()
    except StaleDataError as stale:
        raise StepRefused(str(FASTER)) from stale


def _not_executed(planned: PlanStep) -> None:
    there = sa.select(PlanStep.result).where(PlanStep.id == planned.id, PlanStep.deleted_at.is_(None))
    result = db.session.execute(there).one_or_none()
    if result is None:
        raise StepRefused(str(FASTER))  # somebody else took the step out of the plan
    if result.result:
        raise BusinessError(_("This step already has a result and can no longer be changed."))


def check_editable(opportunity: Opportunity) -> None:
    """Raises `BusinessError` once the opportunity is assigned: facts are then fixed."""
    if opportunity.status != S.unassigned:
        raise BusinessError(_("Only unassigned opportunities can be edited or deleted."))


def check_unassignable(opportunity: Opportunity, _actor: User, _at: datetime) -> None:
    """Raises `BusinessError` when an assignment cannot be taken back: the assignee has begun to plan."""
    if _plan(opportunity):
        raise BusinessError(_("The assignee has planned steps already."))


STEPS: list[Step] = [assign, reassign, win, lose, terminate]
