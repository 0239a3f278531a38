"""Which removed files may be brought back."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from app.attachments.models import Attachment
from app.attachments.owners import ATTACHABLE
from app.core.history import views_by_table
from app.core.models import Deletion
from app.core.scope import may, reader_id


def was_removable() -> sa.ColumnElement[bool]:
    """WHERE a removed file hangs on a record the reader may see and take files off.

    His own and those he removed; all of them where he may see everybody's records or change everybody's.
    """
    views, line, found = views_by_table(), aliased(Deletion), []
    removed = sa.select(line.record_id).where(line.record_type == "attachment", line.actor_id == reader_id())
    mine = sa.or_(Attachment.created_by_id == reader_id(), Attachment.id.in_(removed))
    for table in ATTACHABLE:
        view = views[table]
        screen = view.class_permission_name
        if not may("can_detach", screen):
            continue
        seen = sa.select(view.datamodel.obj.id).where(view.scope.criterion())
        every = may("can_see_all", screen) or may("can_edit_any", screen)
        its = (Attachment.record_type == table, Attachment.record_id.in_(seen))
        found.append(sa.and_(*its, *([] if every else [mine])))
    return sa.or_(sa.false(), *found)
