"""服务单催办: the job that reminds says everything once, killed or run several times at once."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta

import pytest

from app.core.clock import utcnow
from app.notices.models import Notification
from app.runs.models import JobRun, RunStatus
from app.runs.periodic import TICKET_ESCALATION, period_of
from app.tickets import escalation
from app.tickets.models import Ticket, TicketReminder
from jobs import session_sweep, ticket_escalation
from tests import builders
from tests.jobs.conftest import SHANGHAI
from tests.support import rows


def overdue(person):
    """A ticket of his that was due long ago: his leads hear of it too."""
    return builders.ticket(given_to=person, due_at=utcnow() - timedelta(days=30))


def told():
    """Every notification there is."""
    return rows(Notification)


def test_the_job_runs_every_ten_minutes():
    assert (
        period_of(TICKET_ESCALATION.rule.next(datetime(2026, 11, 23, 2, 0, 1, tzinfo=UTC), SHANGHAI))
        == "2026-11-23T10:10"
    )


def test_a_run_is_in_the_ledger_with_what_it_counted(db, wang):
    overdue(wang)

    assert ticket_escalation.run("2026-11-23T10:10") == {"reminded": 1, "escalated": 1}
    assert ticket_escalation.run("2026-11-23T10:10") is None
    assert ticket_escalation.run("2026-11-23T10:20") == {"reminded": 0, "escalated": 0}
    assert [row.status for row in rows(JobRun)] == [RunStatus.done] * 2
    assert len(told()) == 3


@pytest.mark.parametrize("place", ["claimed", "told"])
def test_a_run_killed_in_the_middle_leaves_what_it_said_and_the_next_one_says_the_rest(db, wang, fork, place):
    for _number in range(3):
        overdue(wang)
    ear, mouth = os.pipe()

    def die():
        left = iter(range(2))
        name = {"claimed": "_claim", "told": "notify"}[place]
        real = getattr(escalation, name)

        def doomed(*args, **given):
            done = real(*args, **given)
            if next(left, None) is None:  # in the middle of the second ticket
                os.write(mouth, b"!")
                signal.pause()
            return done

        setattr(escalation, name, doomed)
        ticket_escalation.run("2026-11-23T10:10")

    child = fork(die)
    assert os.read(ear, 1) == b"!"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert {row.ticket_id for row in rows(TicketReminder)} == {rows(Ticket)[0].id}

    assert ticket_escalation.run("2026-11-23T10:20") == {"reminded": 2, "escalated": 2}
    assert len(rows(TicketReminder)) == 6
    assert len(told()) == 9
    assert len({(row.event, row.recipient_id) for row in rows(Notification)}) == 9


def test_two_runs_at_once_say_everything_once(db, wang, fork):
    for _number in range(12):
        overdue(wang)

    children = [fork(lambda n=n: ticket_escalation.run(f"2026-11-23T10:{n}0")) for n in range(3)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    ticket_escalation.run("2026-11-23T10:50")

    assert len(rows(TicketReminder)) == 24
    assert len(told()) == 36


def test_finished_runs_of_frequent_jobs_are_swept_after_two_days(db):
    now = utcnow()
    old, fresh = now - timedelta(days=2, minutes=1), now - timedelta(days=2) + timedelta(minutes=1)
    kept = [
        builders.job_run(job="ticket-escalation", finished_at=fresh),
        builders.job_run(job="ticket-escalation", finished_at=old, status=RunStatus.failed),
        builders.job_run(job="churn-scan", finished_at=old),
    ]
    gone = builders.job_run(job="ticket-escalation", finished_at=old)
    assert session_sweep.run("2026-11-23T03:30")["runs"] == 1
    left = {row.id for row in rows(JobRun)}
    assert {row.id for row in kept} <= left
    assert gone.id not in left
