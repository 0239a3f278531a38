"""Related tabs: lists that hang on a record and stand on its page, each in its own scope and under its own right."""

from __future__ import annotations

from typing import Any, ClassVar

import sqlalchemy as sa
from flask import url_for

from app.core.screen import Screen
from app.extensions import db


class ShowsRelated(Screen):
    """The part of a screen that shows other screens' rows on its records' pages, and its own on theirs."""

    tab_of: ClassVar[dict[str, str]] = {}  # name of a view whose record page shows this list -> our foreign key

    def tab_columns(self) -> list[str]:
        """The columns this list has on another record's page; a subclass's business."""
        return self.shown_columns()

    def load_tab(self, rows: list[Any]) -> None:
        """Load what rows on another record's page show beside themselves, for all at once; a subclass's business."""

    def related_views_of(self) -> list[tuple[ShowsRelated, str]]:
        """The lists that hang on this view's records and that the reader may open, with their foreign keys."""
        name = type(self).__name__
        views = [v for v in self.appbuilder.baseviews if isinstance(v, ShowsRelated) and name in v.tab_of]
        return [(view, view.tab_of[name]) for view in views if view.allows("list")]

    def related_lists(self, record: Any) -> list[dict[str, Any]]:
        """The first rows of each related list the reader may open."""
        return [self.related_list(record, view, key) for view, key in self.related_views_of()]

    def related_list(self, record: Any, view: ShowsRelated, key: str, *, size: int = 25) -> dict[str, Any]:
        """The first rows of one related list, in that view's own scope and order."""
        column = getattr(view.datamodel.obj, key)
        relation = key.removesuffix("_id")
        criteria = [view.scope.criterion(), column == record.id]
        rows, more = view.rows(criteria, *view.base_order, page=0, size=size, without=relation)
        view.load_tab(rows)
        columns = [view._column(c) for c in view.tab_columns() if c.split(".")[0] != relation]
        return {
            "view": view,
            "rows": rows,
            "columns": columns,
            "all_url": url_for(f"{view.endpoint}.list", **{f"_flt_0_{relation}": record.id})
            if more and relation in view.search_columns
            else None,
            "add_url": url_for(f"{view.endpoint}.add", **{relation: record.id})
            if relation in view.add_columns and view.allows("add")
            else None,
        }

    def related_counts(self, record: Any, views: list[tuple[ShowsRelated, str]]) -> list[int]:
        """How many rows each related list has (at most 1,000), in one statement."""
        if not views:
            return []
        counts = []
        for view, key in views:
            model = view.datamodel.obj
            some = sa.select(model.id).where(view.scope.criterion(), getattr(model, key) == record.id).limit(1000)
            counts.append(sa.select(sa.func.count()).select_from(some.subquery()).scalar_subquery())
        return [int(n) for n in db.session.execute(sa.select(*counts)).one()]
