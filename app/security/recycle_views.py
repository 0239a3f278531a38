"""回收站: what was deleted, the way back, and the end of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from flask import current_app, flash, g, redirect, render_template, request, url_for
from flask_appbuilder import expose
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_appbuilder.security.decorators import has_access
from flask_babel import lazy_gettext as _l
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm.exc import StaleDataError

from app.core import recycle
from app.core.errors import BusinessError
from app.core.format import cell as plain
from app.core.history import views_by_table
from app.core.lifecycle import FASTER, note_refusal
from app.core.models import Deletion
from app.core.scope import RowScope, may
from app.core.search import Active, Control
from app.core.sentences import gettext as _
from app.core.sentences import ngettext
from app.core.unit import unit_of_work
from app.core.views import ReadOnlyView
from app.extensions import db
from app.security.access import all_users
from app.security.attempts import asked, me


class VisibleDeletions(RowScope):
    """Deleted records of the kinds the reader may delete, as far as he might delete them."""

    rows = Deletion

    @classmethod
    def visible(cls) -> sa.ColumnElement[bool]:
        found = []
        for table, kind in recycle.KINDS.items():
            if kind.right is not None and not may(*kind.right):
                continue
            ids, whose = sa.select(kind.model.id), kind.whose()
            its = Deletion.record_id.in_(ids if whose is None else ids.where(whose))
            found.append(sa.and_(Deletion.record_type == table, its))
        return sa.or_(sa.false(), *found)


class RecycleBinView(ReadOnlyView):
    """回收站: what was deleted, newest first; one line for each record, with what went with it."""

    datamodel = SQLAInterface(Deletion)
    scope = VisibleDeletions
    class_permission_name = "RecycleBin"
    route_base = "/recycle-bin"
    list_title = _l("Recycle bin")
    show_title = _l("Deleted record")
    label_columns = {
        "label": _l("Record"),
        "record_type": _l("Kind"),
        "actor": _l("Deleted by"),
        "at": _l("Deleted at"),
        "children": _l("Went with it"),
        "purge_from": _l("May be purged from"),
    }
    list_columns = ["label", "record_type", "actor", "children", "purge_from", "at"]
    show_columns = ["record_type", "actor", "at", "children", "purge_from"]
    search_columns = ["label", "actor", "at"]
    order_columns = ["at"]
    base_order = ("at", "desc")
    choices = {"actor": all_users}
    fresh_password = frozenset({"purge"})
    show_template = "security/deletion.html"
    note_text = staticmethod(lambda: keeps())  # noqa: PLW0108 - it stands below
    empty_text = _l("What is deleted is listed here and can be restored.")

    def list_page(self) -> dict[str, Any]:
        page = super().list_page()
        kinds = [(table, kind.label) for table, kind in recycle.KINDS.items() if kind.right is None or may(*kind.right)]
        label, given = self.label_columns["record_type"], asked("kind")
        page["search"].controls.insert(1, Control("kind", label, "select", given, options=kinds))
        if given:
            page["search"].active.append(Active(label, str(dict(kinds).get(given, given)), "kind"))
        return page

    def extra_criteria(self) -> list[Any]:
        return [Deletion.record_type == kind] if (kind := asked("kind")) else []

    def cell(self, record: Any, name: str) -> Any:
        if name == "record_type":
            return recycle.KINDS[record.record_type].label
        if name == "actor" and record.actor is None:
            return _("The system")
        if name == "purge_from":
            return plain(recycle.purge_from(record))
        return super().cell(record, name)

    def _head(self, name: str) -> dict[str, Any]:
        return {**super()._head(name), "sortable": name in self.order_columns}

    @expose("/restore/<pk>", methods=["GET", "POST"])
    @has_access
    def restore(self, pk: Any) -> Any:
        """Bring a record back with what went with it, after a question that says how many."""
        return self._decide(pk, "restore", lambda line: recycle.restore(line, actor=me()))

    @expose("/purge/<pk>", methods=["GET", "POST"])
    @has_access
    def purge(self, pk: Any) -> Any:
        """Remove a record for good, after a question. Asks for the password."""
        return self._decide(pk, "purge", lambda line: recycle.purge(line, actor=me()))

    def _decide(self, pk: Any, action: str, work: Callable[[Deletion], Any]) -> Any:
        """The page of one decision: GET asks, or says why it cannot be; POST does it. A refusal is written down."""
        line, mistake, status = self.load(pk), None, 200
        table, key, label = line.record_type, line.record_id, line.label
        if request.method == "POST":
            try:
                with unit_of_work():
                    done = work(line)
            except BusinessError as refusal:
                mistake, status = str(refusal), 409
            except (StaleDataError, IntegrityError):
                mistake, status = str(FASTER), 409
            except OperationalError:
                mistake, status = _("The database is busy: nothing was changed. Try again in a moment."), 503
            if mistake is None and action == "restore":
                flash(_("Restored: %(record)s", record=label), "success")
                view = views_by_table().get(table)
                url = view.show_url(done) if view is not None and view.scope.find(key) is not None else None
                return redirect(url or url_for("RecycleBinView.list"))
            if mistake is None:
                flash(ngettext("%(num)d record was purged for good.", "%(num)d records were purged for good.", done),
                      "success")  # fmt: skip
                return redirect(url_for("RecycleBinView.list"))
            if status == 409:
                note_refusal(table, key, action, actor_id=g.user.id, before=None, why=mistake)
            if (line := self.scope.find(pk)) is None:  # somebody else was faster
                flash(mistake, "warning")
                return redirect(url_for("RecycleBinView.list"))
        if mistake is None and action == "restore":
            mistake = recycle.why_not_restore(line, actor=me())
        elif mistake is None:
            mistake = recycle.why_not_purge(line)
        title = _("Restore") if action == "restore" else _("Purge for good")
        page = render_template(
            "security/deletion_step.html", title=title, action=action, record=line, mistake=mistake,
            facts=[(self.label_columns[c], self.cell(line, c)) for c in self.show_columns], **self.frame(),
        )  # fmt: skip
        db.session.rollback()
        return page, status


def keeps() -> str:
    """What the list says about how long it keeps."""
    days = current_app.config["LIUKE_PURGE_AFTER_DAYS"]
    return ngettext(
        "Nothing is purged by itself; after %(num)d day it may be purged by hand.",
        "Nothing is purged by itself; after %(num)d days it may be purged by hand.",
        days,
    )
