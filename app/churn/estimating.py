"""The estimates of all customers: worked out from their orders, kept, and later compared with what happened.

They order lists and tell people where to look. No case is opened or closed by them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app.churn.estimate import History, Model, fit, measured
from app.churn.models import EstimateRun
from app.core.clock import local, utcnow
from app.core.unit import only_reading, unit_of_work
from app.customers.models import Customer, CustomerEstimate, CustomerStatus
from app.extensions import db
from app.mirror.bulk import local_day, upsert
from app.mirror.models import Order, OrderStatus

WEEKS = 26  # what is estimated: no order in so many weeks
SLICE = 20_000  # rows in one statement
FEWEST = 100  # customers with an order below whom the parameters would be chance


@dataclass(frozen=True)
class Estimated:
    """What a run did: customers with an order, estimates kept, and the runs measured with it, oldest first.

    `kept` is 0 with fewer than 100 customers, or when there are estimates of a later as-of.
    """

    run: EstimateRun
    kept: int
    measured: list[EstimateRun]


def estimate_all(*, as_of: datetime, still_ours: Callable[[], None] | None = None) -> Estimated:
    """Estimate every customer who ordered by `as_of`, and measure the runs that are 26 weeks old by then. Commits.

    Only orders up to `as_of` are read, so a past one gives what would have been said then; estimates of a later one
    are left. Running it again gives the same rows. Nothing is locked while it computes. `still_ours` is called before
    each writing and raises when somebody else does this meanwhile.
    """
    ours = still_ours or (lambda: None)
    with only_reading():
        histories = histories_at(as_of)
    run: dict[str, Any] = {
        "as_of": as_of, "customers": len(histories), "parameters": None, "log_likelihood": None, "hits": None,
        "measured_at": None,
    }  # fmt: skip
    silent: dict[int, float] = {}
    if len(histories) >= FEWEST:
        model, known = fit(histories.values()), Counter(histories.values())
        run.update(parameters=asdict(model), log_likelihood=model.likelihood(known))
        silent = probabilities(model, histories)
    with unit_of_work():
        ours()
        run["made_at"] = at = utcnow()
        upsert(EstimateRun, [run], ["as_of"])
        newest = db.session.execute(sa.select(sa.func.max(EstimateRun.as_of))).scalar_one() == as_of
        if newest:
            db.session.execute(sa.delete(CustomerEstimate))
            rows = [{"customer_id": id, "as_of": as_of, "probability": p, "made_at": at} for id, p in silent.items()]
            for start in range(0, len(rows), SLICE):
                upsert(CustomerEstimate, rows[start : start + SLICE], ["customer_id"])
    return Estimated(run_at(as_of), len(silent) if newest else 0, _measure(as_of, ours))


def _measure(until: datetime, ours: Callable[[], None]) -> list[EstimateRun]:
    """Compare every run whose 26 weeks are over at `until` with what its customers ordered. Commits each.

    What was estimated is worked out again from the kept parameters and the orders up to then: estimates themselves
    are kept of the newest run only.
    """
    over = [
        EstimateRun.parameters.is_not(None), EstimateRun.measured_at.is_(None),
        EstimateRun.as_of <= until - timedelta(weeks=WEEKS),
    ]  # fmt: skip
    found = sa.select(EstimateRun.as_of).where(*over).order_by(EstimateRun.as_of)
    with only_reading():
        due = list(db.session.execute(found).scalars())
    for as_of in due:
        with only_reading():
            hits = hits_of(as_of)
        with unit_of_work():
            ours()
            db.session.execute(
                sa.update(EstimateRun).where(EstimateRun.as_of == as_of).values(hits=hits, measured_at=utcnow())
            )
    return [run_at(as_of) for as_of in due]


def histories_at(as_of: datetime) -> dict[int, History]:
    """The history of every customer who ordered by `as_of` and is not deleted, by id. One statement.

    Orders of one company-local day are one order, cancelled ones none; time is counted in days, as weeks.
    """
    days = (
        sa.select(Order.customer_id, local_day(Order.ordered_at).label("day"))
        .distinct()
        .join(Customer, Customer.id == Order.customer_id)
        .where(Order.status != OrderStatus.cancelled, Order.ordered_at <= as_of)
        .where(Customer.status != CustomerStatus.deleted)
        .subquery()
    )
    found = sa.select(days.c.customer_id, sa.func.min(days.c.day), sa.func.max(days.c.day), sa.func.count()).group_by(
        days.c.customer_id
    )
    today = local(as_of).date()
    return {
        id: History(number - 1, (last - first).days / 7, (today - first).days / 7)
        for id, first, last, number in db.session.execute(found.order_by(days.c.customer_id))
    }


def probabilities(model: Model, histories: dict[int, History]) -> dict[int, float]:
    """The probability of no order in the next 26 weeks of each customer, by id."""
    known = {history: model.silent(history, WEEKS) for history in set(histories.values())}
    return {id: known[history] for id, history in histories.items()}


def hits_of(as_of: datetime) -> dict[str, Any]:
    """What the estimates of the run of this as-of were worth, once its 26 weeks are over; see `estimate.measured`."""
    came = (
        sa.select(Order.customer_id)
        .where(Order.status != OrderStatus.cancelled, Order.ordered_at > as_of)
        .where(Order.ordered_at <= as_of + timedelta(weeks=WEEKS))
        .distinct()
    )
    ordered = set(db.session.execute(came).scalars())
    silent = probabilities(Model(**(run_at(as_of).parameters or {})), histories_at(as_of))
    return measured((probability, id not in ordered) for id, probability in silent.items())


def run_at(as_of: datetime) -> EstimateRun:
    """The run of this as-of."""
    return db.session.execute(sa.select(EstimateRun).where(EstimateRun.as_of == as_of)).scalar_one()
