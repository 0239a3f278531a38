"""What is done with activities and participants. Flush, never commit: the caller's unit of work does."""

from __future__ import annotations

import sqlalchemy as sa
from flask_babel import gettext as _

from app.core.errors import BusinessError
from app.extensions import db
from app.marketing.models import Activity, Participant


def keep_activity(activity: Activity) -> Activity:
    """Add or change an activity. Flushes.

    Raises `BusinessError` when it ends before it starts, or when budget or cost are below zero.
    """
    if activity.ends_on is not None and activity.ends_on < activity.starts_on:
        raise BusinessError(_("The activity ends before it starts. Correct one of the two dates."))
    if any(amount is not None and amount < 0 for amount in (activity.budget, activity.cost)):
        raise BusinessError(_("Budget and cost cannot be below zero."))
    db.session.add(activity)
    db.session.flush()
    return activity


def add_participant(participant: Participant) -> Participant:
    """Put a customer on the list of an activity. Flushes.

    Raises `BusinessError` when it is on it already; of two at once the database lets one through.
    """
    known = db.session.execute(
        sa.select(Participant.id).where(
            Participant.activity_id == participant.activity.id, Participant.customer_id == participant.customer.id
        )
    ).first()
    if known is not None:
        raise BusinessError(
            _(
                "%(customer)s already takes part in “%(activity)s”.",
                customer=participant.customer,
                activity=participant.activity,
            )
        )
    db.session.add(participant)
    db.session.flush()
    return participant
