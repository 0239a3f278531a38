"""Lists: a page of rows in the reader's scope, filtered, ordered and counted, and how its table shows them."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple
from urllib.parse import urlencode as url_encode

import sqlalchemy as sa
from flask import render_template, request
from flask_appbuilder import expose
from flask_appbuilder.security.decorators import has_access
from markupsafe import Markup, escape

from app.core.scope import may
from app.core.screen import Screen, number_arg
from app.core.search import Search
from app.core.sentences import gettext as _
from app.extensions import db

PAGE_SIZES = (25, 50, 100)
COUNT_CAP = 10_000  # nobody reads page 401; counting a million rows costs more than showing them
DEEPEST = 100_000  # pages beyond are asked for by filters


class Line(NamedTuple):
    """One row of a list on the page."""

    id: int
    url: str | None
    name: tuple[str, Any]  # class and value of the first column, which leads to the record
    cells: Markup  # of the others
    select: str  # what its checkbox says


class ShowsLists(Screen):
    """The part of a screen that shows its rows."""

    base_order: ClassVar[tuple[str, str]]
    order_by: ClassVar[dict[str, Any]] = {}  # further columns to order by that are none of the model -> expression
    then_by: ClassVar[tuple[str, ...]] = ()  # columns that order rows alike in the ordered one, before the id
    page_size = 25
    empty_text: Any = None
    numeric_columns: ClassVar[frozenset[str]] = frozenset()
    card_columns: ClassVar[frozenset[str]] = frozenset()
    """What phones show of a row beside its first two columns and its last."""
    list_template = "crm/list.html"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._heads: dict[str, dict[str, Any]] = {}

    @expose("/list/")
    @has_access
    def list(self) -> Any:
        return render_template(self.list_template, **self.list_page(), **self.frame())

    def list_page(self) -> dict[str, Any]:
        """The list for this request's filters, order and page: one statement for the rows, mostly one to count."""
        name = type(self).__name__
        search = Search(self)
        criteria = [self.scope.criterion(), *search.criteria, *self.extra_criteria()]
        order, direction = self._order(name)
        size = number_arg(f"psize_{name}", self.page_size, low=1, high=max(PAGE_SIZES))
        page = number_arg(f"page_{name}", 0, low=0, high=DEEPEST)
        rows, more = self.rows(criteria, order, direction, page=page, size=size)
        exact = request.args.get("count") == "exact"
        known = not more and (rows or not page)  # this page is the last one
        count = page * size + len(rows) if known else self._count(criteria, exact=exact)
        return {
            "title": self.list_title,
            "search": search,
            "rows": rows,
            "columns": [self._column(c) for c in self.shown_columns()],
            "order": order,
            "direction": direction,
            "page": page,
            "size": size,
            "sizes": PAGE_SIZES,
            "more": more,
            "count": count,
            "capped": count > COUNT_CAP and not exact,
            "count_cap": COUNT_CAP,
            "can_add": self.allows("add"),
            "list_query": f"?{query}" if (query := url_encode(request.args)) else "",
            "bulk_actions": [(m, label) for m, label, right in self.bulk if may(right, self.class_permission_name)],
        }

    def shown_columns(self) -> builtins.list[str]:
        """Those of the list's columns that the reader may see; a subclass's business."""
        return builtins.list(self.list_columns)

    def extra_criteria(self) -> builtins.list[Any]:
        """Further WHEREs of this list (a tab, say); a subclass's business."""
        return []

    def _order(self, name: str) -> tuple[str, str]:
        wanted, direction = request.args.get(f"_oc_{name}", ""), request.args.get(f"_od_{name}", "asc")
        if wanted in (*self.order_columns, *self.order_by) and direction in ("asc", "desc") and self.sees_field(wanted):
            return wanted, direction
        return self.base_order

    def rows(
        self, criteria: builtins.list[Any], order: str, direction: str, *, page: int, size: int, without: str = ""
    ) -> tuple[builtins.list[Any], bool]:
        """One page of records with the relations the list shows, and whether there are more.

        The ids are found first, from the index alone; only the page's rows are read in full.
        """
        model = self.datamodel.obj
        column = self.order_by[order] if order in self.order_by else getattr(model, order)
        by = [column, *(getattr(model, c) for c in self.then_by), model.id]
        by = [c.asc() if direction == "asc" else c.desc() for c in by]
        found = sa.select(model.id).where(*criteria).order_by(*by).offset(page * size).limit(size + 1).subquery()
        of_page = sa.select(model).join(found, found.c.id == model.id).order_by(*by)
        columns = [c for c in self.list_columns if c.split(".")[0] != without]
        rows = builtins.list(db.session.execute(of_page.options(*self.loads(columns))).scalars())
        return rows[:size], len(rows) > size

    def _count(self, criteria: builtins.list[Any], *, exact: bool) -> int:
        found = sa.select(self.datamodel.obj.id).where(*criteria)
        if not exact:
            found = found.limit(COUNT_CAP + 1)
        return int(db.session.execute(sa.select(sa.func.count()).select_from(found.subquery())).scalar_one())

    def _column(self, name: str) -> dict[str, Any]:
        """What the head of a column says and does."""
        return self._heads.get(name) or self._heads.setdefault(name, self._head(name))

    def _head(self, name: str) -> dict[str, Any]:
        attribute = getattr(self.datamodel.obj, name, None)
        kind = getattr(attribute, "type", None)
        numeric = isinstance(kind, (sa.Integer, sa.Numeric)) or getattr(kind, "impl", None).__class__ in (
            sa.Numeric,
            sa.Integer,
        )
        starred = bool(kind is not None and attribute.property.columns[0].info.get("stars"))  # type: ignore[union-attr]
        return {
            "name": name,
            "label": self.label_columns[name],
            "sortable": name in self.order_columns or name in self.order_by,
            "numeric": (numeric and not starred) or name in self.numeric_columns,
        }

    def lines(
        self, rows: builtins.list[Any], columns: builtins.list[dict[str, Any]], *, bulk: bool = False
    ) -> Iterator[Line]:
        """The rows as their table shows them: a template that asks for each value itself takes twice the time.

        On phones a row shows its first two columns, its `card_columns` and its last.
        """
        last, heads = len(columns) - 1, []
        for n, column in enumerate(columns):
            name, extra = column["name"], column["name"] in self.card_columns
            kinds = {"n": column["numeric"], "m": n < 2 or n == last or extra, "x": extra, "r": 0 < n == last}
            heads.append((name, " ".join(kind for kind, holds in kinds.items() if holds)))
        (first, of_first), *others = heads
        cells = [(f'<td class="{kind}">' if kind else "<td>", name) for name, kind in others]
        select = _("Select %(row)s") if bulk else ""
        for row in rows:
            more = "".join([f"{head}{escape(self.cell(row, name))}</td>" for head, name in cells])
            yield Line(
                row.id,
                self.show_url(row),
                (of_first, self.cell(row, first)),
                Markup(more),  # noqa: S704 - every value is escaped
                select and select % {"row": row},
            )
