"""What people are told when a bulk change is undone that had given them records: once, with how many."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

import sqlalchemy as sa
from flask import url_for
from flask_appbuilder.security.sqla.models import User
from flask_babel import lazy_gettext as _l

from app.core import bulk
from app.core.models import BulkChange
from app.core.scope import RowScope
from app.extensions import db
from app.notices.kinds import Leads, tell
from app.notices.operations import notify


class AnyBulkChange(RowScope):
    """Every one: who is told of it lost records by it."""

    rows = BulkChange

    @classmethod
    def visible(cls) -> sa.ColumnElement[bool] | None:
        return None


class ToList(Leads):
    """To the list of what is left: the records that were taken back are no longer the reader's."""

    def url(self, record_id: int) -> str:
        return url_for(self.endpoint)


def install() -> None:
    """Say how these notifications read, and tell them."""
    for table, view, icon, sentence in (
        ("customer", "Customer", "building", _l("A bulk change was undone. Customers taken back: %(number)s")),
        ("opportunity", "Opportunity", "target-arrow",
         _l("A bulk change was undone. Opportunities taken back: %(number)s")),
        ("ticket", "Ticket", "headset", _l("A bulk change was undone. Tickets taken back: %(number)s")),
    ):  # fmt: skip
        leads = ToList(AnyBulkChange, ("can_list", view), f"{view}View.list")
        tell(f"{table}.taken_back", icon=icon, tone="warn", sentence=sentence, leads=leads)
    bulk.ON_UNDONE["notices"] = tell_losers


def tell_losers(receipt: BulkChange, lost: Counter[int], actor: User, at: datetime) -> None:
    """Tell everybody but who did it how many records went away. Flushes; the caller commits."""
    for person in db.session.execute(sa.select(User).where(User.id.in_(lost)).order_by(User.id)).scalars():
        notify(
            f"{receipt.record_type}.taken_back",
            to=person,
            record=receipt,
            event=f"bulk.undone:{receipt.id}",
            at=at,
            but=actor,
            number=lost[person.id],
        )
