"""Row scope: which rows of a model the reader may see. One class per model, used everywhere.

Lists, pages, steps, choices and counts all ask the same class; loading is checking.
"""

from __future__ import annotations

from typing import Any, ClassVar

import sqlalchemy as sa
from flask import current_app, g
from flask_appbuilder.models.filters import BaseFilter

from app.core.errors import NotFound
from app.extensions import db


def may(right: str, view: str) -> bool:
    """Whether the signed-in person holds `right` (say can_assign) on `view` (say Opportunity)."""
    return bool(current_app.extensions["appbuilder"].sm.has_access(right, view))


class RowScope(BaseFilter):
    """Base of every scope; as a FAB base filter it also guards FAB's own list, page, edit and delete.

    Subclasses say in `visible()` what the signed-in person may see; soft-deleted rows never are.
    """

    name = "scope"
    arg_name = "scope"
    rows: ClassVar[Any]

    def apply(self, query: Any, value: Any = None) -> Any:
        return query.filter(self.criterion())

    @classmethod
    def criterion(cls) -> sa.ColumnElement[bool]:
        """The WHERE of this scope for the signed-in person."""
        parts: list[sa.ColumnElement[bool]] = [sa.true()]
        if hasattr(cls.rows, "deleted_at"):
            parts.append(cls.rows.deleted_at.is_(None))
        narrower = cls.visible()
        if narrower is not None:
            parts.append(narrower)
        return sa.and_(*parts)

    @classmethod
    def visible(cls) -> sa.ColumnElement[bool] | None:
        """What the signed-in person may see; None for all rows. The narrower rows without a right."""
        raise NotImplementedError

    @classmethod
    def owned(cls) -> sa.ColumnElement[bool]:
        """WHERE a row is the signed-in person's own: what he may see of its protected fields hangs on it."""
        return sa.false()

    @classmethod
    def is_own(cls, record: Any) -> bool:
        """The same for one record, without a statement."""
        return False

    @classmethod
    def select(cls) -> sa.Select[Any]:
        """SELECT of the rows in scope."""
        return sa.select(cls.rows).where(cls.criterion())

    @classmethod
    def get(cls, pk: Any, *options: Any) -> Any:
        """The row with this id if it is in scope. Raises `NotFound`, also for ids that are no ids.

        `options` say which relations come with it.
        """
        row = cls.find(pk, *options)
        if row is None:
            raise NotFound
        return row

    @classmethod
    def find(cls, pk: Any, *options: Any) -> Any:
        """The row with this id if it is in scope, else None."""
        number = row_id(pk)
        if number is None:
            return None
        found = cls.select().where(cls.rows.id == number).options(*options)
        return db.session.execute(found).scalars().one_or_none()


class Everyone(RowScope):
    """No narrower than the right on the view itself. `scope_for(Model)` makes one."""

    @classmethod
    def visible(cls) -> None:
        return None


def row_id(given: Any) -> int | None:
    """An id that came from outside as a number, None for whatever no row can have."""
    try:
        number = int(given)
    except (TypeError, ValueError):
        return None
    return number if 0 < number < 2**31 else None


def scope_for(model: Any) -> type[RowScope]:
    """A scope that shows every (not deleted) row of `model` to whoever may open its view."""
    return type(f"All{model.__name__}", (Everyone,), {"rows": model})


def reader_id() -> int | None:
    """The signed-in person's id."""
    return g.user.id if g.user is not None and g.user.is_authenticated else None
