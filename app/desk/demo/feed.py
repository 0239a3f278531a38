"""The feeds of the demo company's sales system: most orders at once, some in the nights in which they were told."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random

import sqlalchemy as sa

from app.churn import operations as churn
from app.core.clock import local
from app.core.unit import unit_of_work
from app.customers import operations as customers
from app.customers.models import Customer
from app.desk.demo.orders import Bought, Buyer, SalesSystem, moment, plan_orders
from app.desk.demo.people import MANAGERS
from app.desk.demo.scene import BY_FEED, Move, Scene
from app.desk.demo.weeks import close_month
from app.extensions import db
from app.mirror.models import SyncStatus
from app.mirror.sync import sync
from app.reports import closing
from app.reports.period import Period

LATE = 3  # orders of the newest closed month that the sales system told afterwards


def read_orders(scene: Scene) -> list[Move]:
    """Read the sales system's first feed. Left are those of some orders after a silence, and that of the last days."""
    rng = scene.rng("orders")
    buyers = [
        Buyer(
            k.number, k.company.address, k.level, k.since, k.gap,
            silent_since=k.fate.silent_since if k.fate else None, returns_on=k.fate.returns_on if k.fate else None,
        )
        for k in scene.customers
    ]  # fmt: skip
    unowned = []
    for n in range(BY_FEED):
        company, since = scene.names.company(), scene.ago(rng.randint(25, 360))
        number = f"XS{since:%y%m}{n + 1:03d}"
        unowned.append({"customer_no": number, "name": company.name, "registered_on": since.isoformat()})
        buyers.append(Buyer(number, company.address, "1", since, rng.uniform(40, 90)))
    planned = plan_orders(buyers, scene.now, rng)
    system = SalesSystem(scene.now, rng)
    late = [kept.number for kept in scene.customers if kept.fate and kept.fate.by_sync]
    scanned = scene.saturdays()
    latest = [order for order in planned if order.at > scanned[-1]]
    planned = planned[: len(planned) - len(latest)]
    closings = scene.closings()
    told_late = _told_late(planned, closing.month_to_close(closings[-1]), rng)
    now = [
        order for order in planned
        if not (order.returning and order.buyer.number in late) and not any(order is one for one in told_late)
    ]  # fmt: skip
    _read(system, now, at=scanned[0] - timedelta(days=7), customers=unowned)
    _give_out(scene, [row["customer_no"] for row in unowned[: BY_FEED // 2]])
    moves = []
    for number in late:
        orders = [order for order in planned if order.returning and order.buyer.number == number]
        if orders:
            at = min(orders[0].at + timedelta(hours=rng.randint(10, 16)), scene.now)
            moves.append(Move(at, partial(_read, system, orders, at=at)))
    moves += [Move(at, partial(close_month, at)) for at in closings]
    at = min(closings[-1] + timedelta(days=2, hours=rng.randint(1, 4)), scene.now)
    moves.append(Move(at, partial(_read, system, told_late, at=at)))
    return [*moves, Move(scene.now, partial(_read, system, latest, at=scene.now, customers=()))]


def _told_late(planned: list[Bought], month: Period, rng: Random) -> list[Bought]:
    """Some orders of a month that the sales system told only after its reports were closed."""
    found = [o for o in planned if o.buyer.steady and not o.returning and month.start <= o.at < month.end]
    return rng.sample(found, min(len(found), LATE))


def _read(
    system: SalesSystem, orders: list[Bought], *, at: datetime, customers: Sequence[dict[str, str]] | None = None
) -> None:
    """Write these orders as the feed of that night and read it as the nightly job does, settling churn cases.

    With `customers` the feed also has those, products and stock.
    """
    with tempfile.TemporaryDirectory(prefix="liuke-") as folder:
        feed = Path(folder) / "feed"
        system.export(feed, orders, customers=customers or (), whole=customers is not None)
        run = sync(feed, on_orders=lambda ids, _at: churn.settle(ids, at))
        if run.status != SyncStatus.done or run.rows_rejected:
            raise RuntimeError(f"the demo feed was not read whole: {run.error or run.counts}")
    with unit_of_work():  # where such feeds lie in a company, and when they were read
        run.source, run.started_at, run.finished_at = f"/srv/feed/{local(at).date()}", at - timedelta(seconds=4), at
        run.high_water = max((order.at for order in orders if order.at <= at), default=None)


def _give_out(scene: Scene, numbers: list[str]) -> None:
    """A lead gives some of the customers that the sales system brought to managers; the others wait."""
    lead = db.session.merge(scene.people["lijianguo"])
    with unit_of_work():
        found = db.session.execute(sa.select(Customer).where(Customer.number.in_(numbers)).order_by(Customer.id))
        for n, customer in enumerate(found.scalars()):
            day = max(customer.registered_on, scene.ago(20 - n))
            owner = scene.people[MANAGERS[n % 3]]
            customers.assign(customer, actor=lead, at=moment(scene.rng("owners"), day, scene.now), owner=owner)
