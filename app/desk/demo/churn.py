"""The churn story of the demo company: who falls silent, and what is done about it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any

import sqlalchemy as sa
from flask import current_app

from app.churn import operations as churn
from app.churn.models import OPEN, ChurnCase
from app.core.clock import local, months_before
from app.core.lifecycle import Step
from app.core.unit import unit_of_work
from app.desk.demo import names as words
from app.desk.demo.orders import moment
from app.desk.demo.scene import WEEKS, Fate, Kept, Move, Scene, T
from app.extensions import db


def make_fates(scene: Scene) -> list[Fate]:
    """The silences of the story: 35 customers are silent today, 13 came back."""
    rng, saturdays = scene.rng("fates"), scene.saturdays()

    def fate(end: str, first: int, last: int) -> Fate:
        number = WEEKS - rng.randint(last, first)
        warned = saturdays[number]
        latest, earliest = months_before(warned, _months()), months_before(saturdays[number - 1], _months())
        quiet = earliest + (latest - earliest) * rng.uniform(0.1, 0.9)
        return Fate(warned, moment(rng, local(quiet).date(), min(latest, scene.now)), end)

    found = [fate("warning", 10, 1) for _ in range(14)]
    for _n in range(3):
        new = fate("warning", 8, 2)
        # Never ordered: counted from the start of the day of registration.
        new.silent_since, new.never_ordered = months_before(new.warned, _months()) - timedelta(days=2), True
        found.append(new)
    for _n in range(9):
        new = fate("deferred", 26, 4)
        new.defers = [_later(scene, rng, new.warned, 2, 9)]
        if rng.random() < 0.6:
            new.defers.append(_later(scene, rng, new.defers[0], 6, 15))
        found.append(new)
    for end, first, last, count in (("lost", 57, 12, 9), ("won_back", 57, 34, 3)):
        for _n in range(count):
            new = fate(end, first, last)
            if rng.random() < 0.7 or end == "won_back":
                new.defers = [_later(scene, rng, new.warned, 2, 9)]
            new.lost_at = _later(scene, rng, new.warned, 20, 50)
            if end == "won_back":
                new.returns_on, new.by_sync = local(new.lost_at).date() + timedelta(days=rng.randint(50, 110)), True
            found.append(new)
    for n in range(10):
        new = fate("recovered", 57, 9)
        if n % 2:
            new.defers = [_later(scene, rng, new.warned, 2, 9)]
        new.returns_on, new.by_sync = local(new.warned).date() + timedelta(days=rng.randint(14, 45)), n % 3 == 0
        found.append(new)
    return found


def _later(scene: Scene, rng: Random, at: datetime, low: int, high: int) -> datetime:
    return moment(rng, local(at).date() + timedelta(days=rng.randint(low, high)), scene.now)


def _months() -> int:
    return int(current_app.config["LIUKE_CHURN_MONTHS"])


def moves_of(scene: Scene) -> Iterator[Move]:
    """Measures and confirmed losses, by whoever looks after the customer."""
    rng = scene.rng("moves")
    for kept in scene.customers:
        fate, foreign = kept.fate, kept.company.foreign
        for at in fate.defers if fate else ():
            code, text = rng.choice(words.FOREIGN_MEASURES if foreign else words.MEASURES)
            cost = Decimal(rng.choice((200, 500, 1200, 3000))) if rng.random() < 0.5 else None
            given = {"text": text, "type": scene.item(T.measure, code), "cost": cost}
            yield Move(at, partial(_act, scene, kept, churn.defer, at, given))
        if fate and fate.lost_at is not None:
            code, text = rng.choice(words.FOREIGN_LOSSES if foreign else words.LOSSES)
            given = {"reason": text, "reason_type": scene.item(T.churn_reason, code)}
            yield Move(fate.lost_at, partial(_act, scene, kept, churn.confirm_lost, fate.lost_at, given))


def _act(scene: Scene, kept: Kept, step: Step, at: datetime, given: dict[str, Any]) -> None:
    """Take a step on a customer's open case, as its account manager.

    Where the company's own rule (LIUKE_CHURN_MONTHS_BY_LEVEL) gave no warning there is nothing to do.
    """
    with unit_of_work():
        case = db.session.execute(
            sa.select(ChurnCase)
            .where(ChurnCase.customer_id == kept.customer_id, ChurnCase.status.in_(OPEN))
            .execution_options(populate_existing=True)
        ).scalar_one_or_none()
        if case is not None:
            step(case, actor=scene.people[kept.owner], at=at, **given)
