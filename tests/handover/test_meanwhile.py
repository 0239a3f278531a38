"""kill -9 inside a handover, somebody else at the same records, and a person who owns thousands."""

from __future__ import annotations

import os
import signal

import pytest
import sqlalchemy as sa

from app.core.changes import TOLD
from app.core.clock import utcnow
from app.core.models import AuditEntry
from app.core.unit import unit_of_work
from app.customers.models import Customer
from app.handover import operations
from app.handover.models import Handover, HandoverItem, ItemOutcome, RuleKind
from app.handover.plan import plan_for
from app.handover.rule import Rule
from app.notices.models import Notification
from app.security.models import UserSession
from app.tickets.models import Ticket
from tests import builders
from tests.jobs.conftest import fork  # noqa: F401 - a fixture
from tests.support import rows

MANY = 5_000


def to(person):
    """All to one person."""
    return Rule(RuleKind.one, people=(person.id,))


@pytest.mark.parametrize("place", ["_write_items", "_transfer", "_tell"])
def test_a_handover_killed_anywhere_leaves_everything_or_nothing(
    db, li, wang, zhao, sign_in, fork, monkeypatch, place  # noqa: F811
):  # fmt: skip
    for _n in range(3):
        builders.ticket(builders.customer(owner=wang), given_to=wang)
    sign_in(wang)
    stamp, ids = plan_for(wang, to(zhao)).stamp, (wang.id, zhao.id, li.id)
    ear, mouth = os.pipe()
    work, calls = getattr(operations, place), []

    def doomed():
        """Stop in the middle: the third time where there are several."""

        def stop(*args, **given):
            work(*args, **given)
            calls.append(1)
            if place != "_transfer" or len(calls) == 3:
                os.write(mouth, b"!")
                signal.pause()

        setattr(operations, place, stop)
        leaver, successor, actor = (db.session.get_one(type(wang), pk) for pk in ids)
        with unit_of_work():
            operations.hand_over(leaver, to(successor), stamp=stamp, actor=actor)

    child = fork(doomed)
    assert os.read(ear, 1) == b"!"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)

    leaver, successor, actor = (db.session.get_one(type(wang), pk) for pk in ids)
    assert (rows(Handover), rows(HandoverItem), rows(Notification)) == ([], [], [])
    assert {c.owner_id for c in rows(Customer)} == {t.assignee_id for t in rows(Ticket)} == {leaver.id}
    assert [s.ended_at for s in rows(UserSession)] == [None]
    db.session.rollback()

    with unit_of_work():
        operations.hand_over(leaver, to(successor), stamp=stamp, actor=actor)
    assert {c.owner_id for c in rows(Customer)} == {t.assignee_id for t in rows(Ticket)} == {successor.id}
    assert (len(rows(Handover)), len(rows(Notification))) == (1, 1)
    assert [s.ended_at is None for s in rows(UserSession)] == [False]


def test_thousands_of_customers_change_hands_and_back(db, li, wang, zhao):
    level = builders.customer(owner=wang).level_id
    at = utcnow()
    made = [
        {"number": f"KH{n:06}", "name": f"第{n}公司", "owner_id": wang.id, "level_id": level, "created_at": at,
         "changed_at": at}
        for n in range(1, MANY)
    ]  # fmt: skip
    db.session.execute(sa.insert(Customer).execution_options(**TOLD), made)
    db.session.commit()
    third = builders.user(role_code="account_manager")
    rule = Rule(RuleKind.evenly, people=(zhao.id, third.id))

    stamp = plan_for(wang, rule).stamp
    with unit_of_work():
        handover = operations.hand_over(wang, rule, stamp=stamp, actor=li)
    with unit_of_work():
        operations.undo(handover, actor=li)

    count = sa.select(sa.func.count())
    moved = count.select_from(HandoverItem).where(HandoverItem.outcome == ItemOutcome.moved)
    assert db.session.execute(moved).scalar_one() == MANY
    told = count.select_from(AuditEntry).where(AuditEntry.action.in_(("handover", "undo_handover")))
    assert db.session.execute(told.where(AuditEntry.record_type == "customer")).scalar_one() == 2 * MANY
    owned = count.select_from(Customer).where(Customer.owner_id == wang.id)
    assert db.session.execute(owned).scalar_one() == MANY
