"""What the reports write: who took which figures away, who arranged his dashboard how. Flush, never commit."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import User

from app.core.errors import BusinessError
from app.core.models import AuditEntry
from app.core.sentences import gettext as _
from app.extensions import db
from app.mirror.bulk import insert_into
from app.reports.models import DashboardTile
from app.reports.tiles import BY_KEY


def note_export(what: str, *, actor: User, ip: str | None) -> None:
    """Write down that somebody took a report's figures away as a file. Flushes; the caller commits."""
    db.session.add(AuditEntry(actor_id=actor.id, record_type="report", action="export", note=what[:2000], ip=ip))
    db.session.flush()


def arrange(keys: Sequence[str], *, actor: User) -> None:
    """Have these tiles on the actor's own dashboard, in this order; keys there are no tiles of are left out.

    Raises `BusinessError` if none is left. Flushes; the caller commits.
    """
    wanted = [key for key in dict.fromkeys(keys) if key in BY_KEY]
    if not wanted:
        raise BusinessError(_("Choose at least one tile."))
    db.session.execute(
        sa.delete(DashboardTile).where(DashboardTile.user_id == actor.id, DashboardTile.key.not_in(wanted))
    )
    # Two clicks at once may both write: the later order holds.
    insert = insert_into(DashboardTile).values(
        [{"user_id": actor.id, "key": key, "position": position} for position, key in enumerate(wanted)]
    )
    db.session.execute(
        insert.on_conflict_do_update(index_elements=["user_id", "key"], set_={"position": insert.excluded.position})
    )
    db.session.flush()


def arrange_as_the_house(*, actor: User) -> None:
    """Forget what the actor chose: all tiles, in the order of the house. Flushes; the caller commits."""
    db.session.execute(sa.delete(DashboardTile).where(DashboardTile.user_id == actor.id))
    db.session.flush()
