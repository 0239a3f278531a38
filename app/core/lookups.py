"""The choices of a screen: what its relations may point to in forms and filters, for the browser a page at a time."""

from __future__ import annotations

from typing import Any, ClassVar

from flask import abort, jsonify, request, url_for
from flask_appbuilder import expose
from flask_appbuilder.security.decorators import has_access, permission_name
from sqlalchemy.orm import RelationshipProperty

from app.core.choosing import CHOICES, SEARCH_CHOICES, Choices
from app.core.screen import Screen, number_arg


class OffersChoices(Screen):
    """The part of a screen that says what may be chosen and asked for."""

    asked_columns: ClassVar[list[str]] = []  # relations that only steps ask for
    choices: ClassVar[dict[str, Any]] = {}
    search_choices: ClassVar[dict[str, Any]] = {}
    search_relations: ClassVar[dict[str, Any]] = {}  # relation -> WHERE it is the chosen row, if not by its own key

    def choices_for(self, name: str, *, search: bool = False) -> Choices:
        """The rows a relation of this view may point to in its forms; with `search` those its filters may ask for.

        Filters look into the past: unless the view says otherwise they also find what forms no longer offer.
        """
        relation = getattr(self.datamodel.obj, name).property
        kind = relation.info.get("dictionary")
        table = "dictionary" if kind is not None else relation.mapper.class_.__tablename__
        own = self.search_choices if search else self.choices
        if name in own:
            return own[name]()
        if search and table not in SEARCH_CHOICES and name in self.choices:
            return self.choices[name]()
        made = {**CHOICES, **SEARCH_CHOICES}[table] if search else CHOICES[table]
        return made(kind) if kind is not None else made()

    def lookup_url(self, name: str, *, search: bool = False) -> str:
        """Where the browser asks for a page of choices, of a form or of a filter."""
        return url_for(f"{self.endpoint}.lookup", column=name, filter=1 if search else None)

    @expose("/lookup/<column>")
    @has_access
    @permission_name("list")
    def lookup(self, column: str) -> Any:
        """A page of choices for one relation, as JSON; only what the reader may choose."""
        relations = {*self.search_columns, *self.add_columns, *self.edit_columns, *self.asked_columns}
        if column not in relations or not isinstance(
            getattr(self.datamodel.obj, column).property, RelationshipProperty
        ):
            abort(404)
        return choices_page(self.choices_for(column, search="filter" in request.args and column in self.search_columns))


def choices_page(choices: Choices) -> Any:
    """The page of choices that the address asks for (`q`, `page` from 0), as JSON."""
    rows, more = choices.page(
        (request.args.get("q") or "").replace("\x00", "")[:100], number_arg("page", 0, low=0, high=1000)
    )
    return jsonify(results=[{"id": row.id, "text": choices.text(row)} for row in rows], more=more)
