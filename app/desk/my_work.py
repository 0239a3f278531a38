"""我的工作: what is to be done today, in one place; every line has its next deed one click away."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from typing import Any

from flask import g, render_template, request, url_for
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.decorators import has_access, permission_name
from flask_babel import format_date, ngettext
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from app.churn.models import ChurnCase
from app.churn.queries import silent_days
from app.core.clock import local, today, utcnow
from app.core.format import money
from app.core.scope import may
from app.customers.models import Contact, Interaction
from app.desk import my_work_queries as queries
from app.desk.my_work_queries import Reader
from app.sales.models import Opportunity, PlanStep
from app.tickets.models import Ticket, TicketStatus

NOON, EVENING = 12, 18


@dataclass(frozen=True)
class Deed:
    """What can be done about a line: a word, where it leads, and whether it stays on phones."""

    label: str
    url: str
    keep: bool = True


@dataclass(frozen=True)
class Line:
    """One thing to do."""

    icon: str
    tone: str
    title: str
    url: str | None
    facts: tuple[Any, ...]
    badge: tuple[str, str]  # tone, words
    deeds: tuple[Deed, ...]


@dataclass(frozen=True)
class Card:
    """Things of one kind."""

    key: str
    title: str
    tone: str
    lines: list[Line]
    note: str = ""
    more: Deed | None = None


@dataclass
class Work:
    """The whole page."""

    cards: list[Card] = field(default_factory=list)
    agenda: list[tuple[date, str, str, str | None]] = field(default_factory=list)  # day, title, about, address
    birthdays: list[tuple[Contact, date]] = field(default_factory=list)
    shows_dates: bool = False

    @property
    def count(self) -> int:
        return sum(len(card.lines) for card in self.cards)

    @property
    def late(self) -> int:
        return sum(len(card.lines) for card in self.cards if card.key == "late")


class MyWorkView(BaseView):
    """The first page of whoever works with customers."""

    route_base = "/my-work"
    class_permission_name = "MyWork"
    default_view = "show"
    base_permissions = ["can_show"]

    @expose("/")
    @has_access
    def show(self) -> Any:
        work = self._work()
        body = self._body(work)
        return render_template(
            "desk/my_work.html",
            title=_("My work"),
            greeting=greeting(),
            may_record=may("can_add", "Interaction"),
            may_enter=may("can_add", "Opportunity"),
            body=body,
            fingerprint=fingerprint(body),
            view=self,
            appbuilder=self.appbuilder,
            base_template=self.appbuilder.base_template,
        )

    @expose("/part")
    @has_access
    @permission_name("show")
    def part(self) -> Any:
        """The page's body for a page that asks every 20 seconds; nothing (204) if it is the one it has (`has`)."""
        body = self._body(self._work())
        if request.args.get("has") == fingerprint(body):
            return "", 204
        return render_template("desk/_my_work_part.html", body=body, has=fingerprint(body))

    part.passive = True

    def _work(self) -> Work:
        return work_of(queries.reader(), today())

    def _body(self, work: Work) -> Any:
        return render_template("desk/_my_work.html", work=work, day=today(), day_text=day_text())


def fingerprint(body: str) -> str:
    """What a page calls the body it has."""
    return hashlib.sha256(body.encode()).hexdigest()[:16]


def greeting() -> str:
    """Good morning, at the company."""
    hour, name = local(utcnow()).hour, g.user.get_full_name()
    if hour < NOON:
        return _("Good morning, %(name)s", name=name)
    return _("Good afternoon, %(name)s", name=name) if hour < EVENING else _("Good evening, %(name)s", name=name)


def day_text() -> str:
    """Today, with its weekday."""
    return str(format_date(today(), format="full"))


def work_of(who: Reader, day: date) -> Work:
    """Everything that waits for this reader on the company-local `day`. At most six statements."""
    until = day + timedelta(days=queries.AHEAD - 1)
    dated = [*_follow_ups(queries.follow_ups(who, day, until), day), *_steps(queries.plan_steps(who, day, until), day)]
    dated.sort(key=lambda one: one[0])
    late = [line for on, line in dated if on < day]
    due = [line for on, line in dated if on == day]
    found = queries.tickets(who)
    plans = Deed(_("All plans"), url_for("PlanView.list")) if may("can_list", "Plan") else None
    churn = Deed(_("All warnings"), url_for("ChurnCaseView.list")) if may("can_list", "ChurnCase") else None
    service = Deed(_("All tickets"), url_for("TicketView.list")) if may("can_list", "Ticket") else None
    sales = Deed(_("All opportunities"), url_for("OpportunityView.list")) if may("can_list", "Opportunity") else None
    cards = [
        Card("late", _("Overdue"), "bad", late, _("the oldest first")),
        Card("due", _("Due today"), "brand", due, more=plans),
        Card("churn", _("Churn warnings"), "bad", [_warning(case) for case in queries.warnings(who)], more=churn),
        Card(
            "tickets", _("Tickets to work on"), "",
            [_ticket(t) for t in found if t.status != TicketStatus.created], more=service,
        ),
        Card(
            "new-tickets", _("Tickets to assign"), "warn",
            [_ticket(t) for t in found if t.status == TicketStatus.created], more=service,
        ),
        Card(
            "opportunities", _("Opportunities to assign"), "warn",
            [_opportunity(o, day) for o in queries.unassigned(who)], more=sales,
        ),
    ]  # fmt: skip
    return Work(
        cards=[card for card in cards if card.lines],
        agenda=[(on, line.title, str(line.facts[0]), line.url) for on, line in dated if on >= day],
        birthdays=sorted(
            ((c, _next(c.birthday, day)) for c in queries.birthdays(who, day) if c.birthday is not None),
            key=lambda pair: pair[1],
        ),
        shows_dates=who.follows_up or who.develops,
    )


def _at(page: str, **ids: int) -> str:
    """The address of a record's page; made once per kind and request, which takes longer than all else of a line."""
    made: dict[str, str] = g.setdefault("work_addresses", {})
    if page not in made:
        made[page] = url_for(page, **dict[str, Any]({name: f"~{name}~" for name in ids}))
    address = made[page]
    for name, id in ids.items():
        address = address.replace(f"~{name}~", str(id))
    return address


def _when(on: date, day: date) -> tuple[str, str]:
    days = (day - on).days
    if days > 0:
        return "bad", ngettext("%(num)d day overdue", "%(num)d days overdue", days)
    return ("brand", _("Today")) if days == 0 else ("mute", on.isoformat())


def _follow_ups(talks: list[Interaction], day: date) -> Iterator[tuple[date, Line]]:
    """The lines of these follow-ups with their days; what all of them say is translated once."""
    write, planned, who = _("Write interaction"), _("planned for %(day)s"), _("Contact: %(name)s")
    change = _("Reschedule") if may("can_edit", "Interaction") else None
    when = cache(_when)
    for talk in talks:
        on = talk.next_follow_up_on or day
        contact = who % {"name": talk.contact.name} if talk.contact is not None else ""
        deeds = [Deed(write, _at("InteractionView.add", customer=talk.customer_id))]
        if change is not None:
            deeds.append(Deed(change, _at("InteractionView.edit", pk=talk.id), keep=False))
        yield on, Line(
            "phone", "bad" if on < day else "brand", talk.title, _at("InteractionView.show", pk=talk.id),
            (talk.customer.name, contact, planned % {"day": on.isoformat()}), when(on, day), tuple(deeds),
        )  # fmt: skip


def _steps(steps: list[PlanStep], day: date) -> Iterator[tuple[date, Line]]:
    """The lines of these plan steps with their days; what all of them say is translated once."""
    write, planned, change = _("Write result"), _("planned for %(day)s"), _("Reschedule")
    when = cache(_when)
    for step in steps:
        plan, on = step.opportunity, step.planned_on
        page = _at("OpportunityView.show", pk=plan.id) + "#plan"
        changed = _at("OpportunityView.change_plan_step", pk=plan.id, step_id=step.id) + "#plan"
        amount = money(plan.expected_amount) if plan.expected_amount is not None else ""
        yield on, Line(
            "route", "bad" if on < day else "brand", step.todo, page,
            (plan.customer_name, plan.title, amount, planned % {"day": on.isoformat()}),
            when(on, day), (Deed(write, page), Deed(change, changed, keep=False)),
        )  # fmt: skip


def _warning(case: ChurnCase) -> Line:
    days = silent_days(case, utcnow())
    silence = (
        ngettext("%(num)d day without an order", "%(num)d days without an order", days)
        if case.last_order_at is not None
        else _("Never ordered")
    )
    return Line(
        "alert-triangle", "warn", case.customer.name,
        _at("ChurnCaseView.show", pk=case.id) if may("can_show", "ChurnCase") else None,
        (silence, case.customer.level), ("bad", str(case.status.label)),
        (Deed(_("Defer"), _at("ChurnCaseView.defer", pk=case.id)),),
    )  # fmt: skip


TICKET_DEEDS = {
    TicketStatus.created: (_l("Assign ticket"), "TicketView.assign"),
    TicketStatus.assigned: (_l("Handle"), "TicketView.handle"),
    TicketStatus.handled: (_l("Give feedback"), "TicketView.give_feedback"),
}


def _ticket(ticket: Ticket) -> Line:
    deed, page = TICKET_DEEDS[ticket.status]
    late = ticket.due_at is not None and ticket.due_at < utcnow()
    facts: list[Any] = [ticket.customer.name, ticket.type]
    if ticket.due_at is not None:
        facts.append(_("due %(time)s", time=f"{local(ticket.due_at):%Y-%m-%d %H:%M}"))
    return Line(
        "headset", "bad" if late else "hold", f"{ticket.number} {ticket.title}",
        _at("TicketView.show", pk=ticket.id) if may("can_show", "Ticket") else None,
        tuple(facts), ("bad", _("Overdue")) if late else (ticket.status.tone, str(ticket.status.label)),
        (Deed(str(deed), _at(page, pk=ticket.id)),),
    )  # fmt: skip


def _opportunity(found: Opportunity, day: date) -> Line:
    days = max((day - local(found.created_at).date()).days, 0)
    waits = _("entered today") if days == 0 else ngettext("waiting for %(num)d day", "waiting for %(num)d days", days)
    amount = money(found.expected_amount) if found.expected_amount is not None else ""
    return Line(
        "target-arrow", "warn", found.title,
        _at("OpportunityView.show", pk=found.id) if may("can_show", "Opportunity") else None,
        (found.customer_name, amount, _("Win probability %(n)s%%", n=found.probability), waits),
        (found.status.tone, str(found.status.label)),
        (Deed(_("Assign"), _at("OpportunityView.assign", pk=found.id)),),
    )  # fmt: skip


def _next(birthday: date, day: date) -> date:
    """When somebody born on `birthday` next has birthday, from `day` on."""
    for year in (day.year, day.year + 1):
        try:
            on = birthday.replace(year=year)
        except ValueError:  # 29 February
            on = date(year, 2, 28)
        if on >= day:
            return on
    raise AssertionError
