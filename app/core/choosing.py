"""The rows a form or filter may choose from: scoped, searched on the server, never loaded whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from flask import g

from app.core.scope import row_id
from app.core.text import like
from app.extensions import db

PAGE = 20
FEW = 150  # rows that the plain <select>s of one page may hold together; states and other closed lists come on top

CHOICES: dict[str, Any] = {}
"""What relations may point to, by table name; each domain adds its own when it is registered."""

SEARCH_CHOICES: dict[str, Any] = {}
"""What filters ask for where that is more than forms offer: those who left, items no longer used."""


def take_room(rows: int) -> None:
    """Note that this page shows so many options, whether or not there was room for them."""
    g.options_taken = g.get("options_taken", 0) + rows


def room_for(rows: int) -> bool:
    """Whether this page can hold so many options more; takes the room if so. No page loads more than 200 options."""
    there_is = bool(g.get("options_taken", 0) + rows <= FEW)
    if there_is:
        take_room(rows)
    return there_is


class Choices:
    """What one relation may point to.

    `model` and `where` bound the rows (the reader's scope included); `search` are the text columns a term is
    looked for in, or a function giving its WHERE; `remote` says whether the browser always asks for a page at a
    time. Other lists are shown whole as long as their page has room for them. `text` is what a row reads as,
    `loads` the loader options of what it reads.
    """

    def __init__(
        self,
        model: Any,
        *,
        where: Callable[[], sa.ColumnElement[bool]],
        search: tuple[Any, ...] | Callable[[str], sa.ColumnElement[bool]],
        order: tuple[Any, ...],
        remote: bool = True,
        text: Callable[[Any], str] = str,
        loads: tuple[Any, ...] = (),
    ) -> None:
        self.model, self.where, self.search, self.order = model, where, search, order
        self.remote, self.text, self.loads = remote, text, loads

    def _select(self) -> sa.Select[Any]:
        return sa.select(self.model).where(self.where()).options(*self.loads)

    def few(self) -> list[Any] | None:
        """Every choice of a list that is short enough to be shown whole, None when it has to be searched."""
        if self.remote:
            return None
        rows = list(db.session.execute(self._select().order_by(*self.order).limit(FEW + 1)).scalars())
        return rows if room_for(len(rows)) else None

    def all(self) -> list[Any]:
        """Every choice, however many; for boxes to tick."""
        return list(db.session.execute(self._select().order_by(*self.order)).scalars())

    def find(self, pk: Any) -> Any:
        """The choice with this id, None when there is none or it is not the reader's to choose."""
        number = row_id(pk)
        if number is None:
            return None
        return db.session.execute(self._select().where(self.model.id == number)).scalars().one_or_none()

    def page(self, term: str, page: int) -> tuple[list[Any], bool]:
        """One page of choices that hold `term`, and whether there are more."""
        query = self._select()
        if term:
            query = query.where(self.search(term) if callable(self.search) else self._holds(term, self.search))
        rows = list(db.session.execute(query.order_by(*self.order).offset(page * PAGE).limit(PAGE + 1)).scalars())
        return rows[:PAGE], len(rows) > PAGE

    @staticmethod
    def _holds(term: str, columns: tuple[Any, ...]) -> sa.ColumnElement[bool]:
        wanted = like(term.lower())
        return sa.or_(*(sa.func.lower(column).like(wanted, escape="\\") for column in columns))
