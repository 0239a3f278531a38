"""服务时限: by when a step is due, and who is reminded when it is not done: each rung once, none after it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import User

from app.core.changes import TOLD
from app.core.lifecycle import perform
from app.core.unit import set_writing
from app.handover.models import RuleKind
from app.handover.operations import hand_over
from app.handover.plan import plan_for
from app.handover.rule import Rule
from app.masterdata.models import DictionaryType
from app.notices.models import Notification
from app.tickets import escalation, operations
from app.tickets.escalation import escalate
from app.tickets.levels import due_of
from app.tickets.models import ServiceStep, ServiceTarget, Ticket, TicketReminder, TicketStatus
from app.tickets.seed import TARGETS, seed_targets
from tests import builders
from tests.support import rows, text_of

S, SECOND = TicketStatus, timedelta(seconds=1)


def wall(*parts):
    """The instant of a wall-clock time in Shanghai."""
    return datetime(*parts, tzinfo=ZoneInfo("Asia/Shanghai")).astimezone(UTC)


MONDAY = wall(2026, 11, 23, 10, 0)
DUE = MONDAY  # of the tickets below
LATE = wall(2026, 11, 23, 14, 0)  # four working hours later


@pytest.fixture
def writing(db):
    """As a job: the next transactions write."""
    db.session.rollback()
    set_writing(True)
    yield
    set_writing(False)


def overdue(status=S.assigned, **given):
    return builders.ticket(status=status, due_at=DUE, **given)


def run(now):
    """One run of the job at that moment; what it counted."""
    counted = {"reminded": 0, "escalated": 0}
    for counts in escalate(now):
        counted = counts
    return counted["reminded"], counted["escalated"]


def told():
    """(account, kind) of every notification, in the order they were written."""
    return [(row.recipient.username, row.kind) for row in rows(Notification)]


def leads(kind):
    """What the leads (and the super admin, who may everything) are told."""
    return {("li", kind), ("admin", kind)}


# -- by when ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("inquiry", S.created, (2026, 11, 23, 14, 0)),
        ("inquiry", S.assigned, (2026, 11, 24, 10, 0)),
        ("inquiry", S.handled, (2026, 11, 25, 10, 0)),
        ("suggestion", S.assigned, (2026, 11, 30, 10, 0)),
        ("complaint", S.created, (2026, 11, 23, 12, 0)),
        ("complaint", S.handled, (2026, 11, 24, 10, 0)),
    ],
)
def test_a_step_is_due_after_the_working_hours_of_its_type(db, code, status, expected):
    ticket = builders.ticket(type=builders.dictionary(DictionaryType.ticket_type, code))
    assert due_of(ticket, MONDAY, status) == wall(*expected)


def test_without_a_state_the_ticket_s_own_counts(db):
    ticket = builders.ticket(status=S.assigned)
    assert due_of(ticket, MONDAY) == due_of(ticket, MONDAY, S.assigned)


def test_a_ticket_that_was_not_saved_yet_has_a_due_time(db):
    new = Ticket(type=builders.dictionary(DictionaryType.ticket_type, "inquiry"), status=S.created)
    assert due_of(new, MONDAY) == wall(2026, 11, 23, 14, 0)


def test_nothing_is_due_once_it_is_archived_or_without_a_target(db):
    ticket = builders.ticket(status=S.handled)
    assert due_of(ticket, MONDAY, S.archived) is None
    db.session.execute(
        sa.delete(ServiceTarget).where(ServiceTarget.step == ServiceStep.feedback).execution_options(**TOLD)
    )
    assert due_of(ticket, MONDAY) is None


def test_the_seeded_targets_are_set_once_and_for_all(db):
    assert len(rows(ServiceTarget)) == len(TARGETS) * len(ServiceStep)
    assert seed_targets() == 0
    db.session.execute(
        sa.delete(ServiceTarget).where(ServiceTarget.step != ServiceStep.assign).execution_options(**TOLD)
    )
    assert seed_targets() == 0
    assert len(rows(ServiceTarget)) == len(TARGETS)


@pytest.mark.parametrize("name", ["sysadmin", "li"])
def test_targets_are_changed_on_their_screen(db, request, sign_in, name):
    target = rows(ServiceTarget)[0]
    browser = sign_in(request.getfixturevalue(name))
    assert browser.get("/service-targets/list/").status_code == 200
    assert browser.post(f"/service-targets/edit/{target.id}", {"hours": 3, "version": 1}).status_code == 302
    assert rows(ServiceTarget)[0].hours == 3


@pytest.mark.parametrize("hours", [0, -1, 2001, "soon"])
def test_hours_that_make_no_sense_are_refused_on_the_screen(db, sysadmin, sign_in, hours):
    target = rows(ServiceTarget)[0]
    answer = sign_in(sysadmin).post(f"/service-targets/edit/{target.id}", {"hours": hours, "version": 1})
    assert answer.status_code == 422
    assert rows(ServiceTarget)[0].hours == target.hours


@pytest.mark.parametrize("name", ["wang", "chen"])
def test_nobody_else_changes_them(db, request, sign_in, name):
    target = rows(ServiceTarget)[0]
    sign_in(request.getfixturevalue(name)).post(f"/service-targets/edit/{target.id}", {"hours": 3, "version": 1})
    assert rows(ServiceTarget)[0].hours == target.hours


def test_a_type_has_one_target_per_step(db, sysadmin, sign_in):
    target = rows(ServiceTarget)[0]
    sent = {"type": target.type_id, "step": target.step.value, "hours": 5}
    answer = sign_in(sysadmin).post("/service-targets/add", sent)
    assert answer.status_code == 422
    assert "already" in text_of(answer)


# -- reminders ----------------------------------------------------------------------------------------------------


def test_the_assignee_is_reminded_when_it_is_due_and_not_a_moment_before(writing, wang):
    overdue(given_to=wang)
    assert run(DUE - SECOND) == (0, 0)
    assert run(DUE) == (1, 0)
    assert told() == [("wang", "ticket.due_handle")]


def test_the_leads_hear_of_it_four_working_hours_later(writing, wang):
    overdue(given_to=wang)
    assert run(DUE) == (1, 0)
    assert run(LATE - SECOND) == (0, 0)
    assert run(LATE) == (0, 1)
    assert told()[0] == ("wang", "ticket.due_handle")
    assert set(told()[1:]) == leads("ticket.late_handle")


def test_the_hours_to_the_leads_are_a_setting_and_working_hours(app, writing, wang):
    app.config["LIUKE_ESCALATE_HOURS"] = 10
    overdue(given_to=wang)
    assert run(wall(2026, 11, 24, 11, 0) - SECOND) == (1, 0)
    assert run(wall(2026, 11, 24, 11, 0)) == (0, 1)


def test_each_rung_is_said_once_however_often_the_job_runs(writing, wang):
    overdue(given_to=wang)
    assert [run(now) for now in (DUE, DUE, LATE, LATE, LATE + timedelta(days=30))] == [
        (1, 0), (0, 0), (0, 1), (0, 0), (0, 0),
    ]  # fmt: skip
    assert len(told()) == 3
    assert [row.rung for row in rows(TicketReminder)] == [1, 2]


def test_after_a_long_outage_both_rungs_are_said_at_once(writing, wang):
    overdue(given_to=wang)
    assert run(LATE + timedelta(days=3)) == (1, 1)
    assert set(told()) == {("wang", "ticket.due_handle"), *leads("ticket.late_handle")}


def test_of_a_ticket_nobody_was_given_the_leads_are_reminded(writing):
    overdue(S.created)
    assert run(DUE) == (1, 0)
    assert set(told()) == leads("ticket.due_assign")
    assert run(LATE) == (0, 1)
    assert set(told()) == leads("ticket.due_assign") | leads("ticket.late_assign")


def test_whoever_is_on_both_rungs_at_once_hears_the_urgent_one_only(writing):
    overdue(S.created)
    assert run(LATE) == (1, 1)
    assert set(told()) == leads("ticket.late_assign")


def test_of_a_ticket_of_somebody_disabled_the_leads_are_reminded(db, writing):
    overdue(given_to=builders.user(active=False))
    assert run(DUE) == (1, 0)
    assert set(told()) == leads("ticket.due_handle")


def test_a_rung_waits_for_somebody_who_can_be_told(db, writing, li, wang):
    overdue(given_to=wang)
    everybody = rows(User)
    for person in everybody:
        person.active = False
    db.session.commit()
    assert run(LATE) == (0, 0)
    li.active = True
    db.session.commit()
    assert run(LATE) == (1, 1)
    assert told() == [("li", "ticket.late_handle")]


def test_who_is_handed_an_overdue_ticket_is_reminded_and_the_leads_not_again(writing, li, wang, zhao):
    overdue(given_to=wang)
    assert run(LATE) == (1, 1)
    before = told()
    rule = Rule(RuleKind.one, people=(zhao.id,))
    hand_over(wang, rule, stamp=plan_for(wang, rule).stamp, actor=li)
    builders.db.session.commit()

    assert [run(LATE), run(LATE)] == [(1, 0), (0, 0)]
    assert [one for one in told() if one[1] != "handover.received"] == [*before, ("zhao", "ticket.due_handle")]


def test_asking_the_customer_is_a_step_too(writing, wang):
    overdue(S.handled, given_to=wang)
    assert run(LATE) == (1, 1)
    assert set(told()) == {("wang", "ticket.due_feedback"), *leads("ticket.late_feedback")}


@pytest.mark.parametrize("given", [{"deleted_at": DUE}, {"due_at": None}, {"due_at": LATE + SECOND}])
def test_what_is_not_due_is_not_reminded_of(db, writing, wang, given):
    builders.ticket(given_to=wang, **{"due_at": DUE, **given})
    assert run(LATE) == (0, 0)
    assert told() == []


def test_an_archived_ticket_is_not_reminded_of_even_if_its_due_time_stayed(writing, wang):
    overdue(S.archived, given_to=wang)
    assert run(LATE) == (0, 0)


def test_a_step_that_is_done_between_reading_and_locking_is_not_reminded_of(writing, wang, monkeypatch):
    ticket = overdue(given_to=wang)
    found = list(escalation._overdue(LATE))
    ticket.status, ticket.handling, ticket.handled_at = S.handled, "已更换轴承。", LATE
    builders.db.session.commit()
    monkeypatch.setattr(escalation, "_overdue", lambda _now: iter(found))

    assert run(LATE) == (0, 0)
    assert told() == []


def test_what_another_run_said_meanwhile_is_not_said_again(writing, wang, monkeypatch):
    overdue(given_to=wang)
    found = list(escalation._overdue(LATE))
    assert run(LATE) == (1, 1)
    monkeypatch.setattr(escalation, "_overdue", lambda _now: iter(found))

    assert run(LATE) == (0, 0)
    assert len(told()) == 3


def test_a_step_that_comes_again_is_reminded_of_again(writing, wang):
    ticket = overdue(given_to=wang)
    assert run(LATE) == (1, 1)
    ticket.due_at, ticket.times_returned = LATE + timedelta(days=1), 1
    builders.db.session.commit()
    assert run(LATE + timedelta(days=1)) == (1, 0)
    assert [row.due_at for row in rows(TicketReminder)] == [DUE, DUE, LATE + timedelta(days=1)]


def test_more_tickets_than_a_batch_are_all_reminded_of(writing, wang, monkeypatch):
    monkeypatch.setattr(escalation, "BATCH", 2)
    for _number in range(5):
        overdue(given_to=wang)
    assert run(DUE) == (5, 0)
    assert run(LATE) == (0, 5)
    assert run(LATE) == (0, 0)


def test_a_move_is_not_hindered_by_a_reminder(db, wang):
    ticket = overdue(given_to=wang)
    db.session.commit()
    set_writing(True)
    assert run(DUE) == (1, 0)
    set_writing(False)
    ticket = rows(Ticket)[0]
    perform(operations.handle, ticket, actor=wang, handling="已更换轴承。")
    assert rows(Ticket)[0].status == S.handled
