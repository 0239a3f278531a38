"""What the reports keep of their own: which tiles a person has on the dashboard."""

from __future__ import annotations

import sqlalchemy as sa
from flask_appbuilder import Model
from sqlalchemy.orm import Mapped, mapped_column


class DashboardTile(Model):
    """One tile somebody chose for his dashboard. Whoever has none has the tiles of the house, in its order."""

    __tablename__ = "dashboard_tile"
    __table_args__ = (sa.UniqueConstraint("user_id", "key", name="uq_dashboard_tile_user_key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(sa.ForeignKey("ab_user.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(sa.String(40), comment="name in reports/tiles.py")
    position: Mapped[int] = mapped_column(comment="from 0")
