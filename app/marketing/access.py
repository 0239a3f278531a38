"""Which activities and participants may be seen and chosen."""

from __future__ import annotations

import sqlalchemy as sa

from app.core.choosing import Choices
from app.core.scope import RowScope, scope_for
from app.customers.access import also_deleted, of_visible_customer
from app.customers.models import Customer
from app.marketing.models import Activity, Participant

AllActivities = scope_for(Activity)


class VisibleParticipants(RowScope):
    """Visible customers at activities that still are."""

    rows = Participant

    @classmethod
    def visible(cls) -> sa.ColumnElement[bool]:
        activity = sa.select(Activity.id).where(Activity.id == Participant.activity_id, AllActivities.criterion())
        return sa.and_(activity.exists(), of_visible_customer(Participant.customer_id))


def was_reachable() -> sa.ColumnElement[bool]:
    """WHERE a participant that was taken off is a customer in the reader's reach."""
    return sa.select(Customer.id).where(Customer.id == Participant.customer_id, also_deleted()).exists()


def activities_to_choose() -> Choices:
    """All activities, the newest first."""
    return Choices(
        Activity,
        where=AllActivities.criterion,
        search=(Activity.title,),
        order=(Activity.starts_on.desc(), Activity.id.desc()),
    )
