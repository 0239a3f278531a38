"""Who reads which receipts: all of them, or the part that concerns oneself."""

from __future__ import annotations

import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import User

from app.core.choosing import Choices
from app.core.scope import RowScope, may, reader_id
from app.handover.models import Handover, HandoverItem


class VisibleHandovers(RowScope):
    """Those by which the reader got something; all with the right can_see_all."""

    rows = Handover

    @classmethod
    def visible(cls) -> sa.ColumnElement[bool] | None:
        if may("can_see_all", "Handover"):
            return None
        got = sa.select(HandoverItem.id).where(
            HandoverItem.handover_id == Handover.id, HandoverItem.to_id == reader_id()
        )
        return got.exists()


class VisibleHandoverItems(RowScope):
    """The records the reader got himself; all with the right to see all handovers."""

    rows = HandoverItem

    @classmethod
    def visible(cls) -> sa.ColumnElement[bool] | None:
        if may("can_see_all", "Handover"):
            return None
        return HandoverItem.to_id == reader_id()


def handovers_to_choose() -> Choices:
    """Visible handovers, the newest first; searched by the account of whose records they were."""
    return Choices(
        Handover,
        where=VisibleHandovers.criterion,
        search=(sa.select(User.username).where(User.id == Handover.leaver_id).scalar_subquery(),),
        order=(Handover.id.desc(),),
    )
