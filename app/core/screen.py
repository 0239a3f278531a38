"""What every generated screen declares, and what all its pages share: rights, protected fields, how a value reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import sqlalchemy as sa
from flask import abort, g, request, url_for
from flask_appbuilder import ModelView
from sqlalchemy.orm import RelationshipProperty, joinedload, selectinload

from app.core.errors import NotFound
from app.core.format import cell, stars
from app.core.protected import KINDS, kind_of, rights_on, sees, shown_masked
from app.core.scope import RowScope, may
from app.core.search import contains
from app.core.sentences import gettext as _

LOADERS: dict[str, Any] = {"selectinload": selectinload, "joinedload": joinedload}


class Screen(ModelView):
    """The ground of a screen. Its pages come on top, each kind from a file of its own; `views.CrmView` is all of them.

    A subclass declares everything it shows; nothing is taken from the model by default.
    """

    scope: ClassVar[type[RowScope]]
    list_title: Any = None
    list_columns: Any = None
    show_columns: Any = None
    search_columns: Any = None
    order_columns: Any = None
    add_columns: Any = None
    edit_columns: Any = None
    label_columns: Any = None
    base_permissions: Any = None
    show_title: Any = None
    add_title: Any = None
    edit_title: Any = None
    exclude_route_methods = {"download", "action", "action_post"}
    extra_rights: ClassVar[tuple[str, ...]] = ()  # rights that are no method: can_see_all, can_be_assigned ...
    note_text: Any = None

    def _init_properties(self) -> None:
        for needed in ("list_columns", "show_columns", "search_columns", "order_columns", "label_columns"):
            if getattr(self, needed, None) is None:
                raise TypeError(f"{type(self).__name__} declares no {needed}")
        self.add_columns = self.add_columns or []
        self.edit_columns = self.edit_columns or []
        wanted = (self.search_columns, self.order_columns, self.add_columns, self.edit_columns, self.show_columns)
        super()._init_properties()
        self.search_columns, self.order_columns, self.add_columns, self.edit_columns, self.show_columns = wanted
        self.base_filters = [["id", self.scope, None]]
        self._base_filters = self.datamodel.get_filters().add_filter_list(self.base_filters)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._cells: dict[str, tuple[list[str], Callable[[Any], Any], bool]] = {}
        self._made_loads: dict[tuple[str, ...], list[Any]] = {}
        self.base_permissions = [*self.base_permissions, *self.extra_rights, *self.rights_of_fields()]

    def _init_forms(self) -> None:
        """Forms are made per request: their choices are the reader's."""

    def _init_titles(self) -> None:
        self.title = self.list_title

    def frame(self) -> dict[str, Any]:
        """What every page of ours needs."""
        return {"view": self, "appbuilder": self.appbuilder, "base_template": self.appbuilder.base_template}

    def allows(self, method: str, record: Any = None) -> bool:
        """Whether the reader may open this method (and it exists here); rules about one record come on top."""
        if method in self.exclude_route_methods:
            return False
        right = "can_" + self.get_method_permission(method)
        return right in self.base_permissions and may(right, self.class_permission_name)

    def show_url(self, record: Any) -> str | None:
        """The record's own page, None where there is none."""
        roots: dict[str, str | None] = g.setdefault("record_pages", {})
        if self.endpoint not in roots:
            address = url_for(f"{self.endpoint}.show", pk=0) if self.allows("show") else None
            roots[self.endpoint] = address and address.removesuffix("0")
        root = roots[self.endpoint]
        return root and f"{root}{record.id}"

    def load(self, pk: Any) -> Any:
        """The record if the reader may see it, else 404: loading is checking."""
        try:
            return self.scope.get(pk, *self.loads(self.show_columns))
        except NotFound:
            abort(404)

    # -- protected fields -----------------------------------------------------------------------------------

    def protects(self, name: str) -> str | None:
        """What this column keeps from whoever has no right to see it: phone, bank_account or tax_no; None: nothing."""
        return kind_of(self.datamodel.obj, name)

    def rights_of_fields(self) -> list[str]:
        """The rights that show this screen's protected fields; of one's own only where a record is somebody's."""
        pages = (("list", self.list_columns), ("show", self.show_columns), ("edit", self.edit_columns))
        there = {self.protects(c) for page, columns in pages if page not in self.exclude_route_methods for c in columns}
        owned = self.scope.is_own.__func__ is not RowScope.is_own.__func__  # type: ignore[attr-defined]
        return [r for kind in KINDS if kind in there for r in rights_on(kind) if owned or "_any_" in r]

    def sees_field(self, name: str, record: Any = None) -> bool:
        """Whether the reader sees this field, of this record or (without one) of everybody's."""
        kind = self.protects(name)
        own = record is not None and self.scope.is_own(record)
        return kind is None or sees(kind, self.class_permission_name, own=own)

    def searches(self, name: str) -> bool:
        """Whether the reader may ask for this column of text: a protected one he sees at least of his own records."""
        kind = self.protects(name)
        return kind is None or sees(kind, self.class_permission_name, own=True)

    def search_text(self, name: str, text: str) -> sa.ColumnElement[bool] | None:
        """WHERE a column of text holds `text`; None for nothing. A protected one is searched where it may be seen."""
        found = contains(getattr(self.datamodel.obj, name), text)
        kind = self.protects(name)
        if kind is None or sees(kind, self.class_permission_name, own=False):
            return found
        return sa.and_(found, self.scope.owned()) if sees(kind, self.class_permission_name, own=True) else None

    # -- values ---------------------------------------------------------------------------------------------

    def cell(self, record: Any, name: str) -> Any:
        """One value of one record as the page shows it."""
        parts, shown, protected = self._cells.get(name) or self._cells.setdefault(name, self._cell(name))
        value = record
        for part in parts:
            value = getattr(value, part, None) if value is not None else None
        if protected and not self.sees_field(name, record):
            value = shown_masked(value, _("Your role does not show this in full."))
        return shown(value)

    def _cell(self, name: str) -> tuple[list[str], Callable[[Any], Any], bool]:
        """The way from a record to a value, how such a value is shown, and whether it is for everybody's eyes."""
        attribute = getattr(self.datamodel.obj, name, None)
        columns = getattr(getattr(attribute, "property", None), "columns", None)
        usual = stars if columns and columns[0].info.get("stars") else cell
        return name.split("."), (self.formatters_columns or {}).get(name, usual), self.protects(name) is not None

    def loads(self, columns: list[str]) -> list[Any]:
        """Loader options for the relations among `columns`, made once: with the rows, never row by row."""
        key = tuple(columns)
        return self._made_loads.get(key) or self._made_loads.setdefault(key, self._loads(columns))

    def _loads(self, columns: list[str]) -> list[Any]:
        loads: dict[str, Any] = {}
        for column in columns:
            model, path, load = self.datamodel.obj, "", None
            for part in column.split("."):
                attribute: Any = getattr(model, part, None)
                relationship = getattr(attribute, "property", None)
                if not isinstance(relationship, RelationshipProperty):
                    break
                how = "selectinload" if relationship.uselist else "joinedload"
                load = getattr(load, how)(attribute) if load is not None else LOADERS[how](attribute)
                model, path = relationship.mapper.class_, f"{path}.{part}"
            if load is not None:
                loads[path] = load
        return list(loads.values())


def number_arg(name: str, default: int, *, low: int, high: int) -> int:
    """A whole number from the address; anything else is the default, out of bounds is the bound."""
    text = request.args.get(name, "")
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        return default
    return max(low, min(int(text), high))
