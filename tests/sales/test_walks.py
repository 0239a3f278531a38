"""Opportunities: long random walks beside an independent, smaller copy of what the specification says."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from app.core.clock import today
from app.core.errors import BusinessError
from app.sales import operations
from app.sales.models import Opportunity, OpportunityStatus, PlanStep
from tests.support import rows

MOVES = ("assign", "reassign", "add_step", "add_step", "change_step", "remove_step", "execute_step", "execute_step",
         "win", "lose", "terminate")  # fmt: skip


@dataclass
class Model:
    """What an opportunity is after some moves; `plan` is whether each of its steps has a result."""

    status: str = "unassigned"
    assignee: int | None = None
    plan: list[bool] = field(default_factory=list)

    def allows(self, move: str, who: int, to: int, nth: int | None) -> bool:
        """Whether this person may do this now."""
        if move == "assign":
            return self.status == "unassigned"
        if self.status != "assigned":
            return False
        if move == "reassign":
            return to != self.assignee and not any(self.plan)
        if who != self.assignee:
            return False
        if nth is not None:
            return not self.plan[nth]
        return {"win": bool(self.plan) and all(self.plan), "lose": bool(self.plan)}.get(move, True)

    def take(self, move: str, to: int, nth: int | None) -> None:
        """The state after an allowed move."""
        if move in ("assign", "reassign"):
            self.status, self.assignee = "assigned", to
        elif move == "add_step":
            self.plan.append(False)
        elif move == "remove_step" and nth is not None:
            del self.plan[nth]
        elif move == "execute_step" and nth is not None:
            self.plan[nth] = True
        elif move in ("win", "lose", "terminate"):
            self.status = "won" if move == "win" else "lost"


def do(opportunity, steps, move, actor, to, nth):
    """The move itself, and what it makes of the list of planned steps."""
    if nth is not None:
        given = {"execute_step": {"result": "谈过了"}, "change_step": {"planned_on": today(), "todo": "改期"}}
        getattr(operations, move)(steps[nth], actor=actor, **given.get(move, {}))
        if move == "remove_step":
            del steps[nth]
    elif move == "add_step":
        steps.append(operations.add_step(opportunity, actor=actor, planned_on=today(), todo="拜访"))
    else:
        given = {"assign": {"assignee": to}, "reassign": {"assignee": to}, "win": {}}
        getattr(operations, move)(opportunity, actor=actor, **given.get(move, {"reason": "预算取消"}))


def test_200_random_walks_of_30_moves_never_leave_the_model(db, li, wang, zhao):
    chance, seen = random.Random(20261123), set()
    for walk in range(200):
        model, steps = Model(), []
        opportunity = operations.create(
            Opportunity(
                customer_name=f"东方纺织{walk}有限公司", title="新生产线", probability=50, description="扩建。"
            ),
            actor=li,
        )
        for _move in range(30):
            # Closing ends a walk, so it is tried less often; and mostly by somebody who may.
            move = chance.choice(MOVES[:-3] if chance.random() < 0.6 else MOVES)
            actor, to = chance.choice((wang, zhao, opportunity.assignee or li)), chance.choice((wang, zhao))
            nth = chance.randrange(len(steps)) if steps and move.endswith("_step") and move != "add_step" else None
            if nth is None and move in ("change_step", "remove_step", "execute_step"):
                continue  # there is no step yet
            allowed = model.allows(move, actor.id, to.id, nth)
            seen.add((model.status, move, allowed))
            try:
                do(opportunity, steps, move, actor, to, nth)
            except BusinessError:
                assert not allowed, (model, move)
            else:
                assert allowed, (model, move)
                model.take(move, to.id, nth)
            assert (opportunity.status.value, opportunity.assignee_id) == (model.status, model.assignee)
        plan = rows(PlanStep, PlanStep.opportunity_id == opportunity.id, PlanStep.deleted_at.is_(None))
        assert [bool(planned.result) for planned in plan] == model.plan
        (kept,) = rows(Opportunity, Opportunity.id == opportunity.id)
        assert (kept.customer_id is not None, kept.closed_at is not None, bool(kept.close_reason)) == (
            model.status == "won", model.status in ("won", "lost"), model.status == "lost",
        )  # fmt: skip
    assert {status for status, _move, _allowed in seen} == {status.value for status in OpportunityStatus}
    assert {move for _status, move, allowed in seen if allowed} == set(MOVES)
    assert {move for _status, move, allowed in seen if not allowed} == set(MOVES)
