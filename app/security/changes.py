"""How a kept change reads: the field by its label, the values as its own screen shows them, in the reader's language.

The history keeps codes, ids and ISO times; what it kept may be older than today's columns, so nothing here fails.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import Role, User
from flask_babel import gettext as _
from sqlalchemy.orm import RelationshipProperty

from app.core.choices import ChoiceType
from app.core.format import cell, listed
from app.core.protected import shown_masked
from app.core.sentences import SAID
from app.core.types import Money, UtcDateTime
from app.core.web import language
from app.extensions import db
from app.security.labels import right_label, view_label
from app.security.models import Team


def told(view: Any, changes: dict[str, Any] | None, record: Any = None) -> list[tuple[Any, Any, Any]]:
    """(field, before, after) of every change a history row keeps about a record of this screen.

    Protected fields are masked as on the record's page; without the `record` it is nobody's own.
    """
    return [
        (_label(view, name), *(_seen(view, name, value, record) for value in (before, after)))
        for name, (before, after) in (changes if changes and SAID not in changes else {}).items()
    ]


def _label(view: Any, name: str) -> Any:
    permission, blank, screen = name.partition(" ")
    if blank:  # a right given to a role or taken from it
        return f"{view_label(screen)}{'：' if language() == 'zh' else ': '}{right_label(permission, screen)}"
    relation = name.removesuffix("_id")
    return view.label_columns.get(relation if name != relation else name, name)


def _seen(view: Any, name: str, kept: Any, record: Any) -> Any:
    if kept and not view.sees_field(name, record):
        return shown_masked(kept, _("Your role does not show this in full."))
    return _value(view, name, kept)


def _value(view: Any, name: str, kept: Any) -> Any:
    if kept is None or kept == "":
        return cell(None)
    if name == "roles" and isinstance(kept, str):
        named = {role.name: str(role) for role in db.session.execute(sa.select(Role)).scalars()}
        return listed(named.get(role, role) for role in kept.split(", "))
    model = view.datamodel.obj
    relation = getattr(getattr(model, name.removesuffix("_id"), None), "property", None)
    if name.endswith("_id") and isinstance(relation, RelationshipProperty):
        target = relation.mapper.class_
        known = "dictionary" in relation.info or target in (User, Team)
        found = db.session.get(target, kept) if known and isinstance(kept, int) else None
        return cell(found if found is not None else kept)
    try:
        return cell(_typed(getattr(getattr(model, name, None), "type", None), kept))
    except (ValueError, ArithmeticError):
        return cell(kept)


def _typed(kind: Any, kept: Any) -> Any:
    """The value the kept text stands for."""
    if not isinstance(kept, str):
        return kept
    if isinstance(kind, ChoiceType):
        return kind.choices(kept)
    if isinstance(kind, Money):
        return Decimal(kept)
    if isinstance(kind, UtcDateTime):
        return datetime.fromisoformat(kept)
    if isinstance(kind, sa.Date):
        return date.fromisoformat(kept)
    return kept
