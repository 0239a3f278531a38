"""The marketing of the demo company: what was done to be remembered, and what is planned."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from app.customers.models import Customer
from app.desk.demo import names as words
from app.desk.demo.orders import moment
from app.desk.demo.scene import Scene, entered
from app.extensions import db
from app.marketing import operations as marketing
from app.marketing.models import Activity, ActivityKind, Participant


def make_marketing(scene: Scene) -> None:
    """What was done to be remembered, and what is planned."""
    rng, lead = scene.rng("marketing"), scene.people["lijianguo"]
    for n, (kind, title, budget, outcome) in enumerate(words.ACTIVITIES):
        past = outcome is not None
        starts = scene.ago(400 - n * 60) if past else scene.ago(-15 - n * 3)
        at = moment(rng, min(starts, scene.today) - timedelta(days=20), scene.now)
        spent = Decimal(budget) * rng.randint(80, 112) / 100 if past else None
        activity = Activity(
            title=title, kind=ActivityKind(kind), starts_on=starts, ends_on=starts + timedelta(days=rng.randint(0, 3)),
            budget=Decimal(budget), cost=spent, outcome=outcome, created_at=at, changed_at=at, created_by_id=lead.id,
        )  # fmt: skip
        marketing.keep_activity(activity)
        entered(activity, actor=lead, at=at)
        fitting = [k for k in scene.customers if k.since < starts and k.company.foreign == title.isascii()]
        for kept in rng.sample(fitting, min(len(fitting), rng.randint(6, 18))):
            customer = db.session.get_one(Customer, kept.customer_id)
            marketing.add_participant(
                Participant(activity=activity, customer=customer, created_at=at, changed_at=at, created_by_id=lead.id)
            )
