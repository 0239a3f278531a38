"""One's own dates as a calendar (RFC 5545) at a secret address: follow-ups, plan steps, birthdays of contacts.

Whoever knows the address reads the dates, without a session: calendars cannot sign in. Only the secret's hash is kept;
a new one kills the old one, and a disabled account's leads nowhere.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

import sqlalchemy as sa
from flask import Flask, Response, abort
from flask_babel import gettext as _
from icalendar import Calendar, Event, vRecur
from sqlalchemy.orm import contains_eager

from app.core.clock import today, utcnow
from app.core.scope import may
from app.customers.models import Contact, Customer, CustomerStatus, Interaction
from app.desk.reminders import open_follow_ups, open_steps
from app.extensions import db
from app.notices.models import NoticeSettings
from app.notices.operations import calendar_hash
from app.notices.reading import reading_as
from app.sales.models import Opportunity, PlanStep
from app.security.door import open_to_all

BACK, AHEAD = timedelta(days=60), timedelta(days=365)  # overdue things stay for two months
MOST = 1_000  # of each kind


def install(app: Flask) -> None:
    """Answer at /calendar/<secret>.ics."""
    app.add_url_rule("/calendar/<token>.ics", "calendar_feed", feed)


@open_to_all
def feed(token: str) -> Response:
    """The calendar of whoever made this address; 404 for every other one."""
    if not 20 <= len(token) <= 100:
        abort(404)
    owner = db.session.execute(
        sa.select(NoticeSettings.user_id).where(NoticeSettings.calendar_hash == calendar_hash(token))
    ).scalar_one_or_none()
    db.session.rollback()
    if owner is None:
        abort(404)
    with reading_as(owner) as reader:
        text = calendar_of(reader.id, today(), utcnow()) if reader is not None else None
    if text is None:
        abort(404)
    return Response(text, mimetype="text/calendar", headers={"Content-Disposition": 'inline; filename="liuke.ics"'})


def calendar_of(person: int, day: date, now: datetime) -> bytes:
    """This person's dates around `day`, in his language and as far as his rights reach. At most three statements."""
    calendar = Calendar()
    calendar.add("prodid", "-//Liuke//CRM//EN")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", _("Liuke"))
    calendar.add("refresh-interval", timedelta(hours=1), parameters={"VALUE": "DURATION"})
    if may("can_show", "Interaction"):
        for talk in _follow_ups(person, day):
            title = _("Contact %(customer)s: %(title)s", customer=talk.customer.name, title=talk.title)
            calendar.add_component(_event(f"follow-up-{talk.id}", talk.next_follow_up_on or day, title, now))
    if may("can_show", "Opportunity"):
        for step in _steps(person, day):
            title = f"{step.opportunity.customer_name}: {step.todo}"
            calendar.add_component(_event(f"plan-step-{step.id}", step.planned_on, title, now))
    if may("can_list", "Contact"):
        for contact in _birthdays(person):
            title = _("Birthday of %(name)s, %(customer)s", name=contact.name, customer=contact.customer.name)
            event = _event(f"birthday-{contact.id}", contact.birthday or day, title, now)
            event.add("rrule", vRecur(freq="yearly"))
            calendar.add_component(event)
    return bytes(calendar.to_ical())


def _event(uid: str, day: date, title: str, now: datetime) -> Event:
    event = Event()
    event.add("uid", f"{uid}@liuke")
    event.add("dtstamp", now.replace(microsecond=0))
    event.add("dtstart", day)
    event.add("dtend", day + timedelta(days=1))
    event.add("summary", title)
    event.add("transp", "TRANSPARENT")
    return event


def _follow_ups(person: int, day: date) -> list[Interaction]:
    found = (
        sa.select(Interaction)
        .join(Interaction.customer)
        .where(Customer.owner_id == person, Customer.status == CustomerStatus.active, open_follow_ups())
        .where(Interaction.next_follow_up_on.between(day - BACK, day + AHEAD))
        .options(contains_eager(Interaction.customer))
        .order_by(Interaction.next_follow_up_on, Interaction.id)
        .limit(MOST)
    )
    return list(db.session.execute(found).scalars())


def _steps(person: int, day: date) -> list[PlanStep]:
    found = (
        sa.select(PlanStep)
        .join(PlanStep.opportunity)
        .where(Opportunity.assignee_id == person, open_steps())
        .where(PlanStep.planned_on.between(day - BACK, day + AHEAD))
        .options(contains_eager(PlanStep.opportunity))
        .order_by(PlanStep.planned_on, PlanStep.id)
        .limit(MOST)
    )
    return list(db.session.execute(found).scalars())


def _birthdays(person: int) -> list[Contact]:
    found = (
        sa.select(Contact)
        .join(Contact.customer)
        .where(Customer.owner_id == person, Customer.status == CustomerStatus.active)
        .where(Contact.birthday.is_not(None), Contact.deleted_at.is_(None))
        .options(contains_eager(Contact.customer))
        .order_by(Contact.id)
        .limit(MOST)
    )
    return list(db.session.execute(found).scalars())
