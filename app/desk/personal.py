"""What was made of records that name a person: files, notifications, lines of handovers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import User
from flask_babel import lazy_gettext as _l

from app.attachments.models import Attachment
from app.core import personal
from app.core.personal import Holding
from app.extensions import db
from app.handover.models import HandoverItem, RecordKind
from app.notices.models import Notification


def install() -> None:
    """Let these be shown and erased with whoever stands in the records; all other domains said what they hold."""
    for kind in ("contact", "opportunity", "complaint"):
        held = tuple(holding for holding in personal.HOLDINGS[kind] if holding.told)
        personal.holds(
            kind,
            Holding(_l("Files"), _about(Attachment, held), (), ("name",), only_naming=True),
            Holding(_l("Notifications"), _about(Notification, held), (), ("words",), told=False, only_naming=True),
            Holding(_l("Handovers"), _about(HandoverItem, held), (), ("label",), told=False, only_naming=True),
        )
    personal.copies("user", _forget_people)


def _about(model: Any, held: tuple[Holding, ...]) -> Callable[[Any], list[Any]]:
    """What finds the rows of `model` that belong to the records of a person, removed ones too."""

    def found(person: Any) -> list[Any]:
        ids: dict[str, set[int]] = {}
        for holding in held:
            for row in holding.rows(person):
                if model is not HandoverItem or row.__tablename__ in map(str, RecordKind):
                    ids.setdefault(row.__tablename__, set()).add(row.id)
        its = [sa.and_(model.record_type == table, model.record_id.in_(keys)) for table, keys in ids.items()]
        where = sa.or_(sa.false(), *its)
        return list(db.session.execute(sa.select(model).where(where).order_by(model.id)).scalars())

    return found


def _forget_people(_user: User, names: list[str]) -> None:
    """Notifications that name colleagues: who handed over, who has still not handled a ticket."""
    kinds = sa.or_(Notification.kind.startswith("handover."), Notification.kind.startswith("ticket."))
    named = sa.select(Notification).where(kinds, Notification.words["name"].as_string().in_(names))
    for told in db.session.execute(named).scalars():
        told.words = personal.without(told.words, names)
    db.session.flush()
