"""What a sync settles: cases of customers who ordered again, and lost customers won back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from app.churn import operations
from app.churn.models import ChurnCase, ChurnStatus
from app.churn.operations import Settled, settle
from app.core.models import AuditEntry
from app.customers.models import Customer, CustomerStatus
from app.mirror.models import Order, OrderStatus
from tests import builders
from tests.support import rows, statements

OPENED = datetime(2026, 6, 6, 2, tzinfo=UTC)
NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def moves():
    """The history as (record, action, from, to)."""
    return [(e.record_type, e.action, e.from_status, e.to_status) for e in rows(AuditEntry)]


@pytest.mark.parametrize("status", [ChurnStatus.warning, ChurnStatus.deferred])
@pytest.mark.parametrize(
    ("ordered", "order_status", "recovered"),
    [
        (OPENED, OrderStatus.new, 0),
        (OPENED + SECOND, OrderStatus.new, 1),
        (OPENED + SECOND, OrderStatus.cancelled, 0),
        (OPENED - SECOND, OrderStatus.new, 0),  # an old order that arrives late
    ],
)
def test_an_order_after_the_warning_recovers_the_customer(db, status, ordered, order_status, recovered):
    case = builders.churn_case(status=status, opened_at=OPENED)
    order = builders.order(case.customer, at=ordered, status=order_status)

    assert settle([order.id], NOW) == Settled(recovered, 0)

    (case,) = rows(ChurnCase)
    assert case.status == (ChurnStatus.recovered if recovered else status)
    assert case.resolved_at == (NOW if recovered else None)
    assert case.version == 1 + recovered
    assert moves() == ([("churn_case", "recover", status.value, "recovered")] if recovered else [])
    assert [c.status for c in rows(Customer)] == [CustomerStatus.active]


def test_only_the_orders_of_this_sync_settle_anything(db):
    old, new = (builders.churn_case(opened_at=OPENED) for _ in range(2))
    builders.order(old.customer, at=OPENED + SECOND)
    order = builders.order(new.customer, at=OPENED + SECOND)
    assert settle([order.id], NOW) == Settled(1, 0)
    assert [case.status for case in rows(ChurnCase)] == [ChurnStatus.warning, ChurnStatus.recovered]
    assert settle([], NOW) == Settled(0, 0)


def test_settling_again_changes_nothing(db):
    case = builders.churn_case(opened_at=OPENED)
    order = builders.order(case.customer, at=OPENED + SECOND)
    settle([order.id], NOW)
    assert settle([order.id], NOW + SECOND) == Settled(0, 0)
    (case,) = rows(ChurnCase)
    assert (case.resolved_at, case.version) == (NOW, 2)
    assert len(moves()) == 1


def test_two_orders_of_one_customer_are_one_recovery(db):
    case = builders.churn_case(opened_at=OPENED)
    orders = [builders.order(case.customer, at=OPENED + SECOND * n).id for n in (1, 2)]
    assert settle(orders, NOW) == Settled(1, 0)
    assert len(moves()) == 1


def lost_case(owner, **given):
    """A customer given up on the day of the warning."""
    customer = builders.customer(owner=owner, status=CustomerStatus.lost)
    given.setdefault("lost_at", OPENED)
    return builders.churn_case(customer, status=ChurnStatus.lost, opened_at=OPENED - timedelta(days=7), **given)


def test_a_lost_customer_who_orders_again_is_won_back_with_the_old_owner(db, wang):
    case = lost_case(wang, reason="改用竞品，价格更低。")
    order = builders.order(case.customer, at=OPENED + SECOND)

    assert settle([order.id], NOW) == Settled(0, 1)

    (case,) = rows(ChurnCase)
    assert (case.status, case.resolved_at, case.lost_at) == (ChurnStatus.won_back, NOW, OPENED)
    assert case.reason == "改用竞品，价格更低。"
    (customer,) = rows(Customer)
    assert (customer.status, customer.owner_id, customer.version) == (CustomerStatus.active, wang.id, 2)
    assert moves() == [
        ("customer", "win_back", "lost", "active"),
        ("churn_case", "win_back", "lost", "won_back"),
    ]
    assert {e.actor_id for e in rows(AuditEntry)} == {None}


@pytest.mark.parametrize(
    ("ordered", "order_status"), [(OPENED, OrderStatus.new), (OPENED + SECOND, OrderStatus.cancelled)]
)
def test_an_older_or_cancelled_order_wins_nobody_back(db, wang, ordered, order_status):
    case = lost_case(wang)
    order = builders.order(case.customer, at=ordered, status=order_status)
    assert settle([order.id], NOW) == Settled(0, 0)
    assert [c.status for c in rows(Customer)] == [CustomerStatus.lost]
    assert moves() == []


def test_a_deleted_customer_stays_deleted(db, wang):
    case = lost_case(wang)
    case.customer.status = CustomerStatus.deleted
    order = builders.order(case.customer, at=OPENED + SECOND)
    assert settle([order.id], NOW) == Settled(0, 0)
    assert [c.status for c in rows(ChurnCase)] == [ChurnStatus.lost]
    assert [c.status for c in rows(Customer)] == [CustomerStatus.deleted]


def test_who_was_won_back_can_be_warned_about_again(db, wang):
    case = lost_case(wang)
    settle([builders.order(case.customer, at=OPENED + SECOND).id], NOW)
    result = operations.scan(as_of=OPENED + timedelta(days=200))
    assert result.opened == 1
    assert [c.status for c in rows(ChurnCase)] == [ChurnStatus.won_back, ChurnStatus.warning]


def test_orders_may_be_named_by_a_select_and_many_take_few_statements(app, db, monkeypatch):
    cases = [builders.churn_case(opened_at=OPENED) for _ in range(7)]
    ids = [builders.order(case.customer, at=OPENED + SECOND).id for case in cases]
    with statements(app) as seen:
        assert settle(sa.select(Order.id).where(Order.id.in_(ids[:3])), NOW) == Settled(3, 0)
    assert len(seen) <= 6
    monkeypatch.setattr(operations, "SLICE", 3)
    assert settle(iter(ids), NOW) == Settled(4, 0)
    assert {case.status for case in rows(ChurnCase)} == {ChurnStatus.recovered}
