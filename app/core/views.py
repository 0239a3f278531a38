"""The one hardened base of every generated screen.

FAB gives routes, rights and the menu; what it does with lists, forms and errors is done here again, because its
own lists load relations row by row, count everything, keep filters between requests, take related ids from the
URL, lose typed text after an error and show raw SQL (docs/decisions/0002).
"""

from __future__ import annotations

import builtins
import logging
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, NamedTuple
from urllib.parse import urlencode as url_encode

import sqlalchemy as sa
from flask import abort, flash, g, jsonify, redirect, render_template, request, url_for
from flask_appbuilder import ModelView, expose
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_appbuilder.security.decorators import has_access, permission_name
from markupsafe import Markup, escape
from sqlalchemy.exc import DataError, IntegrityError, OperationalError
from sqlalchemy.orm import RelationshipProperty, joinedload, selectinload
from sqlalchemy.orm.exc import StaleDataError
from wtforms import HiddenField

from app.core import recycle
from app.core.changes import moving
from app.core.choosing import Choices
from app.core.errors import BusinessError, NotFound, NotYours
from app.core.format import cell, stars
from app.core.forms import form_class
from app.core.history import changes_of, has_changes
from app.core.lifecycle import note_move, note_refusal
from app.core.protected import KINDS, SealedField, kind_of, rights_on, sees, shown_masked
from app.core.scope import RowScope, may
from app.core.search import Search, contains
from app.core.sentences import gettext as _
from app.core.stale import compare, newest_change
from app.core.submissions import leads_to
from app.core.taking import TakesSteps
from app.core.unit import unit_of_work
from app.extensions import db

log = logging.getLogger(__name__)

PAGE_SIZES = (25, 50, 100)
LOADERS: dict[str, Any] = {"selectinload": selectinload, "joinedload": joinedload}
COUNT_CAP = 10_000  # nobody reads page 401; counting a million rows costs more than showing them
DEEPEST = 100_000  # pages beyond are asked for by filters


class Line(NamedTuple):
    """One row of a list on the page."""

    id: int
    url: str | None
    name: tuple[str, Any]  # class and value of the first column, which leads to the record
    cells: Markup  # of the others
    select: str  # what its checkbox says


class CrmView(TakesSteps, ModelView):
    """A generated screen: list, record, new, edit, delete of one model.

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
    base_order: ClassVar[tuple[str, str]]
    order_by: ClassVar[dict[str, Any]] = {}  # further columns to order by that are none of the model -> expression
    then_by: ClassVar[tuple[str, ...]] = ()  # columns that order rows alike in the ordered one, before the id
    asked_columns: ClassVar[builtins.list[str]] = []  # relations that only steps ask for
    search_relations: ClassVar[dict[str, Any]] = {}  # relation -> WHERE it is the chosen row, if not by its own key
    required_columns: ClassVar[frozenset[str]] = frozenset()
    tab_of: ClassVar[dict[str, str]] = {}  # name of a view whose record page shows this list -> our foreign key
    choices: ClassVar[dict[str, Any]] = {}
    page_links: ClassVar[dict[str, str]] = {}  # relation -> view whose page it leads to from the record's page
    search_choices: ClassVar[dict[str, Any]] = {}
    page_size = 25
    exclude_route_methods = {"download", "action", "action_post"}
    extra_rights: ClassVar[tuple[str, ...]] = ()  # rights that are no method: can_see_all, can_be_assigned ...
    empty_text: Any = None
    note_text: Any = None
    list_template = "crm/list.html"
    show_template = "crm/show.html"
    add_template = "crm/form.html"
    edit_template = "crm/form.html"

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
        self._cells: dict[str, tuple[builtins.list[str], Callable[[Any], Any], bool]] = {}
        self._heads: dict[str, dict[str, Any]] = {}
        self._made_loads: dict[tuple[str, ...], builtins.list[Any]] = {}
        self.base_permissions = [*self.base_permissions, *self.extra_rights, *self.rights_of_fields()]

    def _init_forms(self) -> None:
        """Forms are made per request: their choices are the reader's."""

    def _init_titles(self) -> None:
        self.title = self.list_title

    # -- protected fields -----------------------------------------------------------------------------------

    def protects(self, name: str) -> str | None:
        """What this column keeps from whoever has no right to see it: phone, bank_account or tax_no; None: nothing."""
        return kind_of(self.datamodel.obj, name)

    def rights_of_fields(self) -> builtins.list[str]:
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

    # -- what may be chosen ---------------------------------------------------------------------------------

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

    # -- list -----------------------------------------------------------------------------------------------

    @expose("/list/")
    @has_access
    def list(self) -> Any:
        return render_template(self.list_template, **self.list_page(), **self.frame())

    def frame(self) -> dict[str, Any]:
        """What every page of ours needs."""
        return {"view": self, "appbuilder": self.appbuilder, "base_template": self.appbuilder.base_template}

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

    def tab_columns(self) -> builtins.list[str]:
        """Those of these rows on another record's page; a subclass's business."""
        return self.shown_columns()

    def load_tab(self, rows: builtins.list[Any]) -> None:
        """Load what rows on another record's page show beside themselves, for all at once; a subclass's business."""

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

    def loads(self, columns: builtins.list[str]) -> builtins.list[Any]:
        """Loader options for the relations among `columns`, made once: with the rows, never row by row."""
        key = tuple(columns)
        return self._made_loads.get(key) or self._made_loads.setdefault(key, self._loads(columns))

    def _loads(self, columns: builtins.list[str]) -> builtins.list[Any]:
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
        return builtins.list(loads.values())

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

    numeric_columns: ClassVar[frozenset[str]] = frozenset()
    card_columns: ClassVar[frozenset[str]] = frozenset()
    """What phones show of a row beside its first two columns and its last."""

    def cell(self, record: Any, name: str) -> Any:
        """One value of one record as the page shows it."""
        parts, shown, protected = self._cells.get(name) or self._cells.setdefault(name, self._cell(name))
        value = record
        for part in parts:
            value = getattr(value, part, None) if value is not None else None
        if protected and not self.sees_field(name, record):
            value = shown_masked(value, _("Your role does not show this in full."))
        return shown(value)

    def _cell(self, name: str) -> tuple[builtins.list[str], Callable[[Any], Any], bool]:
        """The way from a record to a value, how such a value is shown, and whether it is for everybody's eyes."""
        attribute = getattr(self.datamodel.obj, name, None)
        columns = getattr(getattr(attribute, "property", None), "columns", None)
        usual = stars if columns and columns[0].info.get("stars") else cell
        return name.split("."), (self.formatters_columns or {}).get(name, usual), self.protects(name) is not None

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

    def show_url(self, record: Any) -> str | None:
        """The record's own page, None where there is none."""
        roots: dict[str, str | None] = g.setdefault("record_pages", {})
        if self.endpoint not in roots:
            address = url_for(f"{self.endpoint}.show", pk=0) if self.allows("show") else None
            roots[self.endpoint] = address and address.removesuffix("0")
        root = roots[self.endpoint]
        return root and f"{root}{record.id}"

    def allows(self, method: str, record: Any = None) -> bool:
        """Whether the reader may open this method (and it exists here); rules about one record come on top."""
        if method in self.exclude_route_methods:
            return False
        right = "can_" + self.get_method_permission(method)
        return right in self.base_permissions and may(right, self.class_permission_name)

    # -- record ---------------------------------------------------------------------------------------------

    def load(self, pk: Any) -> Any:
        """The record if the reader may see it, else 404: loading is checking."""
        try:
            return self.scope.get(pk, *self.loads(self.show_columns))
        except NotFound:
            abort(404)

    @expose("/show/<pk>", methods=["GET"])
    @has_access
    def show(self, pk: Any) -> Any:
        record = self.load(pk)
        return render_template(self.show_template, **self.show_page(record), **self.frame())

    def told_changes(self, record: Any) -> dict[str, Any] | None:
        """变更 of a record, newest first, and the address of the older ones; None where nothing is told."""
        if not has_changes(self):
            return None
        older = number_arg("older", 0, low=0, high=2**31 - 1)
        lines, rest = changes_of(self, record, older_than=older or None)
        here = request.path
        return {
            "lines": lines,
            "older": f"{here}?{url_encode({'older': rest})}#changes" if rest else None,
            "newest": f"{here}#changes" if older else None,
        }

    def show_page(self, record: Any) -> dict[str, Any]:
        """What the record's page shows: facts, the steps open now, related lists under their own rights."""
        return {
            "told": self.told_changes(record),
            "title": str(record),
            "record": record,
            "fields": [(self.label_columns[c], self._linked(record, c)) for c in self.show_columns],
            "steps": self.open_steps(record),
            "related_lists": self.related_lists(record),
            "can_edit": self.allows("edit") and self.may_edit(record),
            "can_delete": self.allows("delete") and self.may_delete(record),
        }

    def _linked(self, record: Any, name: str) -> Any:
        """A value on the record's page; a relation among `page_links` leads to its page, if the reader may open it."""
        shown, target = self.cell(record, name), getattr(record, name, None) if name in self.page_links else None
        if target is None:
            return shown
        view = next(v for v in self.appbuilder.baseviews if v.endpoint == self.page_links[name])
        url = view.show_url(target)
        return Markup('<a href="{}">{}</a>').format(url, shown) if url else shown

    def may_edit(self, record: Any) -> bool:
        """Whether this very record may be edited now (rules beyond the right)."""
        return True

    def may_delete(self, record: Any) -> bool:
        """Whether this very record may be deleted now (rules beyond the right)."""
        return True

    def related_views_of(self) -> builtins.list[tuple[CrmView, str]]:
        """The lists that hang on this view's records and that the reader may open, with their foreign keys."""
        name = type(self).__name__
        views = [v for v in self.appbuilder.baseviews if isinstance(v, CrmView) and name in v.tab_of]
        return [(view, view.tab_of[name]) for view in views if view.allows("list")]

    def related_lists(self, record: Any) -> builtins.list[dict[str, Any]]:
        """The first rows of each related list the reader may open."""
        return [self.related_list(record, view, key) for view, key in self.related_views_of()]

    def related_list(self, record: Any, view: CrmView, key: str, *, size: int = 25) -> dict[str, Any]:
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

    def related_counts(self, record: Any, views: builtins.list[tuple[CrmView, str]]) -> builtins.list[int]:
        """How many rows each related list has (at most 1,000), in one statement."""
        if not views:
            return []
        counts = []
        for view, key in views:
            model = view.datamodel.obj
            some = sa.select(model.id).where(view.scope.criterion(), getattr(model, key) == record.id).limit(1000)
            counts.append(sa.select(sa.func.count()).select_from(some.subquery()).scalar_subquery())
        return [int(n) for n in db.session.execute(sa.select(*counts)).one()]

    # -- new, edit, delete ----------------------------------------------------------------------------------

    def make_form(self, columns: builtins.list[str], record: Any = None) -> Any:
        """The form of this screen, filled from the record or from what was posted."""
        made = form_class(self, columns, self.required_columns)
        for name in columns:
            if record is not None and getattr(record, name) and not self.sees_field(name, record):
                hint = _("Your role does not show this in full. It stays as it is.")
                setattr(made, name, SealedField(self.label_columns[name], description=hint))
        if record is not None and hasattr(record, "version"):
            made.version = HiddenField(default=str(record.version), name="version")
            made.seen = HiddenField(name="seen")
        form = made(obj=record)
        if record is not None and hasattr(record, "version") and request.method == "GET" and not form.kept:
            form.version.data, form.seen.data = str(record.version), str(newest_change(record))
        return form

    def prefill(self, form: Any) -> None:
        """Start values of a new record taken from the address, checked like a choice; a subclass's business."""

    @expose("/add", methods=["GET", "POST"])
    @has_access
    def add(self) -> Any:
        form = self.make_form(self.add_columns)
        record = self.datamodel.obj()
        if request.method == "GET":
            if not form.kept:
                self.prefill(form)
        elif form.validate() and self.save(form, record, "create"):
            flash(_("Saved: %(record)s", record=str(record)), "success")
            return redirect(self.after_save(record))
        return self._form_page(form, self.add_title, None)

    @expose("/edit/<pk>", methods=["GET", "POST"])
    @has_access
    def edit(self, pk: Any) -> Any:
        record = self.load(pk)
        if not self.may_edit(record):
            why, status = self.why_not_edit(record), getattr(record, "status", None)
            back = self.show_url(record) or url_for(f"{self.endpoint}.list")
            if request.method == "POST":
                note_refusal(record.__tablename__, record.id, "edit", actor_id=g.user.id, before=status, why=why)
                form = self.make_form(self.edit_columns, record)
                if "version" in form and form.version.raw_data:  # it was open when editing was still possible
                    return self._stale_form(pk, form, why=why)
            flash(why, "warning")
            return redirect(back)
        form = self.make_form(self.edit_columns, record)
        if request.method == "POST" and form.validate():
            if self._is_newer(form, record):
                return self._stale_form(pk, form)
            if "version" in form and not form.version.raw_data:
                form.refuse(_("Somebody changed this record meanwhile. Your text is kept; compare, then save again."))
                form.version.data = str(record.version)
            elif self.save(form, record, "edit"):
                flash(_("Saved: %(record)s", record=str(record)), "success")
                return redirect(self.after_save(record))
            db.session.rollback()
            if self._is_newer(form, record):
                return self._stale_form(pk, form)
        return self._form_page(form, self.edit_title, record)

    @staticmethod
    def _is_newer(form: Any, record: Any) -> bool:
        """Whether the record was saved since this form, which says its version, was opened."""
        return "version" in form and bool(form.version.raw_data) and form.version.data != str(record.version)

    def _stale_form(self, pk: Any, form: Any, *, why: str | None = None) -> Any:
        """What somebody else saved since the form was opened beside what was typed; with `why` nothing to save again.

        The form then carries the newer version: who saves it has seen what it writes over.
        """
        db.session.rollback()
        record = self.load(pk)
        lines = compare(self, record, form, form.seen.data)
        form.version.raw_data = form.seen.raw_data = None
        form.version.data, form.seen.data = str(record.version), str(newest_change(record))
        return self.stale_page(record, form, lines, self._sections(form, record), title=self.edit_title, why=why)

    def why_not_edit(self, record: Any) -> str:
        """The sentence for a record that may not be edited now."""
        return _("This record can no longer be edited.")

    def _form_page(self, form: Any, title: Any, record: Any) -> Any:
        status = 200 if request.method == "GET" else 422
        db.session.rollback()  # a form that is shown again leaves nothing behind
        cancel = url_for(f"{self.endpoint}.list") if record is None else self.show_url(record)
        page = render_template(
            self.edit_template if record is not None else self.add_template,
            title=title,
            form=form,
            record=record,
            sections=self._sections(form, record),
            cancel_url=cancel or url_for(f"{self.endpoint}.list"),
            **self.frame(),
        )
        return page, status

    def _sections(self, form: Any, record: Any) -> builtins.list[tuple[Any, builtins.list[Any]]]:
        """The fields of the form under the headings of this screen."""
        columns = self.edit_columns if record is not None else self.add_columns
        sections = self.edit_fieldsets if record is not None else self.add_fieldsets
        named = {c for _name, section in sections or [] for c in section["fields"]}
        left = [c for c in columns if c not in named]  # a field that is not shown would be emptied by saving
        sections = [*(sections or []), *([(None, {"fields": left})] if left else [])]
        return [(name, [form[c] for c in s["fields"] if c in form]) for name, s in sections]

    def after_save(self, record: Any) -> str:
        """Where a saved record leads: to itself."""
        return self.show_url(record) or url_for(f"{self.endpoint}.list")

    def save(self, form: Any, record: Any, action: str) -> bool:
        """Write the form into the record in one unit of work; on refusal say why on the form and keep the text.

        Who was turned away because the record is somebody else's is written down.
        """
        pk, status = (record.id, getattr(record, "status", None)) if action == "edit" else (None, None)
        try:
            actor = g.user._get_current_object()
            with unit_of_work(), db.session.no_autoflush, moving(record.__tablename__, action, actor=actor):
                form.populate_obj(_Fields(record))
                if action == "create":
                    self.create_record(record)
                else:
                    self.change_record(record)
                db.session.flush()
                note_move(record, action, actor=actor)
                leads_to(self.after_save(record))
        except BusinessError as refusal:
            form.refuse(str(refusal))
            if isinstance(refusal, NotYours):
                who, why = g.user.id, str(refusal)
                note_refusal(record.__tablename__, pk, action, actor_id=who, before=status, why=why)
        except StaleDataError:
            form.refuse(_("Somebody changed this record meanwhile. Your text is kept; compare, then save again."))
        except IntegrityError as error:
            self._explain(form, error)
        except DataError:
            form.refuse(_("A value is too long or too large for its field. Shorten it and save again."))
        except OperationalError:
            log.exception("the database did not take a change")
            form.refuse(_("The database is busy or away. Your text is kept; save again in a moment."))
        else:
            return True
        return False

    def create_record(self, record: Any) -> None:
        """Add the new record; a domain with more to do calls its operation here."""
        db.session.add(record)

    def change_record(self, record: Any) -> None:
        """Keep the changed record; a domain with more to do calls its operation here."""

    def delete_record(self, record: Any) -> None:
        """Remove the record: into the recycle bin with what hangs on it; settings that nothing uses for good."""
        if record.__tablename__ in recycle.KINDS:
            recycle.delete(record, actor=g.user._get_current_object())
        else:
            db.session.delete(record)

    def _explain(self, form: Any, error: IntegrityError) -> None:
        text = str(error.orig)
        for column in [*self.add_columns, *self.edit_columns]:
            if column in form and ("UNIQUE" in text.upper() or "unique" in text) and column in text:
                form.refuse(_("There is already a record with this value."), column)
                return
        if "UNIQUE" in text.upper():
            form.refuse(_("There is already such a record."))
        else:
            log.warning("integrity error on %s: %s", type(self).__name__, text.splitlines()[0])
            form.refuse(_("The values do not fit together. Check the fields and save again."))

    @expose("/delete/<pk>", methods=["POST"])
    @has_access
    def delete(self, pk: Any) -> Any:
        record = self.load(pk)
        actor, name, key = g.user._get_current_object(), str(record), (record.__tablename__, record.id)
        back = url_for(f"{self.endpoint}.list")
        why = None
        try:
            if not self.may_delete(record):
                raise BusinessError(self.why_not_delete(record))  # noqa: TRY301
            with unit_of_work(), moving(record.__tablename__, "delete", actor=actor):
                note_move(record, "delete", actor=actor)
                self.delete_record(record)
        except BusinessError as refusal:
            why = str(refusal)
        except IntegrityError:
            why = _("“%(record)s” is still in use and cannot be deleted.", record=name)
        except StaleDataError:
            why = _("Somebody changed this record meanwhile. Load the page again.")
        if why is None:
            flash(_("Deleted: %(record)s", record=name), "success")
            return redirect(back)
        note_refusal(*key, "delete", actor_id=actor.id, before=None, why=why)
        flash(why, "warning")
        return redirect(self.show_url(record) or back)

    def why_not_delete(self, record: Any) -> str:
        """The sentence for a record that may not be deleted now."""
        return _("This record can no longer be deleted.")


class ReadOnlyView(CrmView):
    """A screen nobody edits: mirror tables and logs. The routes to change them do not exist."""

    exclude_route_methods = {"download", "action", "action_post", "add", "edit", "delete"}


CHOICES: dict[str, Any] = {}
"""What relations may point to, by table name; each domain adds its own when it is registered."""

SEARCH_CHOICES: dict[str, Any] = {}
"""What filters ask for where that is more than forms offer: those who left, items no longer used."""


class _Fields:
    """Lets a form fill a record without touching what is no field of it (the version, the token)."""

    _record: Any

    def __init__(self, record: Any) -> None:
        object.__setattr__(self, "_record", record)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in ("version", "seen", "csrf_token"):
            setattr(self._record, name, value)


def choices_page(choices: Choices) -> Any:
    """The page of choices that the address asks for (`q`, `page` from 0), as JSON."""
    rows, more = choices.page(
        (request.args.get("q") or "").replace("\x00", "")[:100], number_arg("page", 0, low=0, high=1000)
    )
    return jsonify(results=[{"id": row.id, "text": choices.text(row)} for row in rows], more=more)


def number_arg(name: str, default: int, *, low: int, high: int) -> int:
    """A whole number from the address; anything else is the default, out of bounds is the bound."""
    text = request.args.get(name, "")
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        return default
    return max(low, min(int(text), high))


__all__ = [
    "CHOICES",
    "SEARCH_CHOICES",
    "CrmView",
    "ReadOnlyView",
    "SQLAInterface",
    "choices_page",
    "number_arg",
]
