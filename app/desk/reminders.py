"""What people are told because a day has come or a customer fell silent: over several domains, in a few statements.

Each of them tells everybody at once and can be repeated: an event is told to a person once (UNIQUE), so a morning that
is caught up, a killed job and two nodes add nothing. Flush, never commit.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import aliased

from app.churn.access import VisibleChurnCases
from app.churn.models import ChurnCase, ChurnStatus
from app.core.clock import local
from app.core.types import UtcDateTime
from app.customers.access import VisibleCustomers, VisibleInteractions
from app.customers.models import Contact, Customer, CustomerStatus, Interaction
from app.notices.kinds import Leads, tell
from app.notices.operations import notify_all
from app.sales.access import VisibleOpportunities
from app.sales.models import Opportunity, OpportunityStatus, PlanStep

BACK = timedelta(days=7)  # days that passed longer ago are told no more: "my work" still shows them


def declare() -> None:
    """Say how these notifications read and where they lead."""
    customer = Leads(VisibleCustomers, ("can_show", "Customer"), "CustomerView.show")
    interaction = Leads(VisibleInteractions, ("can_show", "Interaction"), "InteractionView.show")
    opportunity = Leads(VisibleOpportunities, ("can_show", "Opportunity"), "OpportunityView.show")
    case = Leads(VisibleChurnCases, ("can_show", "ChurnCase"), "ChurnCaseView.show")
    for name, icon, tone, sentence, leads in (
        ("follow_up.due", "phone", "brand", _l("Contact %(customer)s today: %(title)s"), interaction),
        ("follow_up.late", "phone", "bad", _l("%(customer)s was to be contacted on %(day)s: %(title)s"), interaction),
        ("plan.due", "route", "brand", _l("To do today for %(prospect)s: %(todo)s"), opportunity),
        ("plan.late", "route", "bad", _l("Planned for %(day)s for %(prospect)s: %(todo)s"), opportunity),
        ("birthday", "cake", "warn", _l("%(name)s of %(customer)s has birthday today."), customer),
        ("churn.warned", "alert-triangle", "bad", _l("%(customer)s has stopped ordering."), case),
        ("churn.won_back", "shield-check", "ok", _l("%(customer)s ordered again and is won back."), case),
    ):
        tell(name, icon=icon, tone=tone, sentence=sentence, leads=leads, days=("day",))


def newest_talk(column: Any, customer_id: Any) -> sa.ScalarSelect[Any]:
    """A column of the newest interaction with a customer: the only one whose follow-up may still be to be made."""
    talk = aliased(Interaction)
    return (
        sa.select(getattr(talk, column.key))
        .where(talk.customer_id == customer_id, talk.deleted_at.is_(None))
        .order_by(talk.occurred_at.desc(), talk.id.desc())
        .limit(1)
        .scalar_subquery()
    )


def open_follow_ups() -> sa.ColumnElement[bool]:
    """WHERE a follow-up of an interaction is still to be made: nobody has talked with the customer since."""
    return sa.and_(
        Interaction.next_follow_up_on.is_not(None),
        Interaction.id == newest_talk(Interaction.id, Interaction.customer_id),
    )


def open_steps() -> sa.ColumnElement[bool]:
    """WHERE a plan step (joined with its opportunity) is still to be executed."""
    return sa.and_(
        PlanStep.result.is_(None),
        PlanStep.deleted_at.is_(None),
        Opportunity.status == OpportunityStatus.assigned,
        Opportunity.deleted_at.is_(None),
    )


def tell_dated(day: date, at: datetime) -> int:
    """Tell people what falls on the company-local `day` and what they left undone in the week before it.

    Follow-ups go to the customer's owner, plan steps to the assignee, birthdays of contacts to the owner. A day that is
    over by `at` (a morning that is caught up) has no "today" any more: the next morning tells what was left undone on
    it. Returns how many notifications are new. Two statements, or five.
    """
    told = _tell_follow_ups("follow_up.late", _lately(Interaction.next_follow_up_on, day), at)
    told += _tell_steps("plan.late", _lately(PlanStep.planned_on, day), at)
    if day == local(at).date():
        told += _tell_follow_ups("follow_up.due", Interaction.next_follow_up_on == day, at)
        told += _tell_steps("plan.due", PlanStep.planned_on == day, at)
        told += _tell_birthdays(day, at)
    return told


def _lately(column: Any, day: date) -> sa.ColumnElement[bool]:
    return sa.and_(column < day, column >= day - BACK)


def _tell_follow_ups(kind: str, when: sa.ColumnElement[bool], at: datetime) -> int:
    source = (
        sa.select(Interaction.id)
        .select_from(Interaction)
        .join(Customer, Customer.id == Interaction.customer_id)
        .where(when, open_follow_ups(), Customer.status == CustomerStatus.active)
    )
    return notify_all(
        kind,
        source,
        recipient=Customer.owner_id,
        record_id=Interaction.id,
        event=_event(kind, Interaction.id, Interaction.next_follow_up_on),
        at=at,
        words={"customer": Customer.name, "title": Interaction.title, "day": _text(Interaction.next_follow_up_on)},
    )


def _tell_steps(kind: str, when: sa.ColumnElement[bool], at: datetime) -> int:
    source = (
        sa.select(PlanStep.id)
        .select_from(PlanStep)
        .join(Opportunity, Opportunity.id == PlanStep.opportunity_id)
        .where(when, open_steps())
    )
    return notify_all(
        kind,
        source,
        recipient=Opportunity.assignee_id,
        record_id=Opportunity.id,
        event=_event(kind, PlanStep.id, PlanStep.planned_on),
        at=at,
        words={"prospect": Opportunity.customer_name, "todo": PlanStep.todo, "day": _text(PlanStep.planned_on)},
    )


def birthdays_on(days: list[date]) -> sa.ColumnElement[bool]:
    """WHERE a contact has birthday on one of these days; who was born on 29 February has it on the 28th otherwise."""
    wanted = {(day.month, day.day) for day in days}
    wanted |= {(2, 29) for day in days if (day.month, day.day) == (2, 28) and (day + timedelta(days=1)).day != 29}
    born = sa.extract("month", Contact.birthday) * 100 + sa.extract("day", Contact.birthday)
    return sa.and_(Contact.birthday.is_not(None), born.in_([month * 100 + d for month, d in sorted(wanted)]))


def _tell_birthdays(day: date, at: datetime) -> int:
    source = (
        sa.select(Contact.id)
        .select_from(Contact)
        .join(Customer, Customer.id == Contact.customer_id)
        .where(birthdays_on([day]), Contact.deleted_at.is_(None), Customer.status == CustomerStatus.active)
    )
    return notify_all(
        "birthday",
        source,
        recipient=Customer.owner_id,
        record_id=Customer.id,
        event=_event("birthday", Contact.id, sa.literal(str(day.year), sa.String())),
        at=at,
        words={"name": Contact.name, "customer": Customer.name},
    )


def tell_churn(at: datetime) -> int:
    """Tell owners of customers they were warned about and of customers who came back, in the week before `at`.

    Right after a scan, after a sync, and every morning for whatever was killed in between. Returns how many are new.
    Two statements.
    """
    return sum(
        _tell_cases(kind, state, moment, at)
        for kind, state, moment in (
            ("churn.warned", ChurnStatus.warning, ChurnCase.created_at),
            ("churn.won_back", ChurnStatus.won_back, ChurnCase.resolved_at),
        )
    )


def _tell_cases(kind: str, state: ChurnStatus, moment: Any, at: datetime) -> int:
    source = (
        sa.select(ChurnCase.id)
        .select_from(ChurnCase)
        .join(Customer, Customer.id == ChurnCase.customer_id)
        .where(ChurnCase.status == state, moment >= sa.literal(at - BACK, UtcDateTime()))
        .where(Customer.status != CustomerStatus.deleted)
    )
    return notify_all(
        kind,
        source,
        recipient=Customer.owner_id,
        record_id=ChurnCase.id,
        event=sa.literal(f"{kind}:") + _text(ChurnCase.id),
        at=at,
        words={"customer": Customer.name},
    )


def _event(kind: str, id: Any, day: Any) -> Any:
    return sa.literal(f"{kind}:") + _text(id) + sa.literal(":") + _text(day)


def _text(value: Any) -> Any:
    return sa.cast(value, sa.String())
