"""Warnings: long random walks beside an independent, smaller copy of what the specification says."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app.churn.models import ChurnCase, ChurnStatus, RetentionMeasure
from app.churn.operations import confirm_lost, defer, settle
from app.core.errors import BusinessError
from app.customers.models import Customer
from app.mirror.models import OrderStatus
from tests import builders
from tests.support import rows

OPENED = datetime(2026, 6, 6, 2, tzinfo=UTC)
MOVES = ("defer", "confirm_lost", "order", "cancelled", "late")


@dataclass
class Model:
    """What a case and its customer are after some moves."""

    status: str = "warning"
    customer: str = "active"
    measures: int = 0

    def allows(self, move: str, *, own: bool) -> bool:
        """Whether the move changes anything: people decide about their own open cases, orders about every one."""
        if move in ("defer", "confirm_lost"):
            return own and self.status in ("warning", "deferred")
        return move == "order" and self.status in ("warning", "deferred", "lost")

    def take(self, move: str) -> None:
        """The state after such a move."""
        if move == "defer":
            self.status, self.measures = "deferred", self.measures + 1
        elif move == "confirm_lost":
            self.status = self.customer = "lost"
        else:
            self.status = "won_back" if self.status == "lost" else "recovered"
            self.customer = "active"


def test_200_random_walks_of_30_moves_never_leave_the_model(db, li, wang, zhao):
    chance, seen = random.Random(20261123), set()
    for _walk in range(200):
        model, case = Model(), builders.churn_case(builders.customer(owner=wang), opened_at=OPENED)
        for day in range(1, 31):
            # An order ends a warning, so it comes less often.
            move, at = chance.choice(MOVES[:2] if chance.random() < 0.7 else MOVES), OPENED + timedelta(days=day)
            actor = chance.choice((wang, wang, zhao, li))
            if move == "confirm_lost" and chance.random() < 0.7:
                move = "defer"
            changes = model.allows(move, own=actor is wang)
            seen.add((model.status, move, changes))
            if move in ("defer", "confirm_lost"):
                try:
                    if move == "defer":
                        defer(case, actor=actor, at=at, text="电话回访。")
                    else:
                        confirm_lost(case, actor=actor, at=at, reason="改用竞品。")
                except BusinessError:
                    done = False
                else:
                    done = True
            else:
                status = OrderStatus.cancelled if move == "cancelled" else OrderStatus.new
                order = builders.order(case.customer, at=OPENED if move == "late" else at, status=status)
                settled = settle([order.id], at)
                done = settled.recovered + settled.won_back == 1
                assert (settled.won_back == 1) is (changes and model.status == "lost")
                db.session.refresh(case)
            assert done is changes, (model, move)
            if changes:
                model.take(move)
            assert case.status.value == model.status
        (customer,) = rows(Customer, Customer.id == case.customer_id)
        measures = rows(RetentionMeasure, RetentionMeasure.case_id == case.id)
        assert (customer.status.value, len(measures)) == (model.customer, model.measures)
        (case,) = rows(ChurnCase, ChurnCase.id == case.id)
        assert (case.lost_at is not None, case.resolved_at is not None) == (
            model.status in ("lost", "won_back"), model.status in ("recovered", "won_back"),
        )  # fmt: skip
    assert {status for status, _move, _changes in seen} == {status.value for status in ChurnStatus}
    assert {move for _status, move, changes in seen if changes} == {"defer", "confirm_lost", "order"}
