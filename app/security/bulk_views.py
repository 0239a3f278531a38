"""批量变更: the receipts of bulk changes, and the way back."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from flask import flash, g, redirect, render_template, request, url_for
from flask_appbuilder import expose
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_appbuilder.security.decorators import has_access
from flask_babel import lazy_gettext as _l
from sqlalchemy.exc import OperationalError

from app.core import bulk
from app.core.clock import utcnow
from app.core.errors import BusinessError, NotYours
from app.core.history import record_kind
from app.core.lifecycle import note_move, note_refusal
from app.core.models import BulkChange
from app.core.scope import RowScope, may, reader_id
from app.core.sentences import gettext as _
from app.core.sentences import ngettext
from app.core.unit import unit_of_work
from app.core.views import ReadOnlyView
from app.security.access import all_users
from app.security.attempts import me


class VisibleBulkChanges(RowScope):
    """One's own; all with the right can_see_all."""

    rows = BulkChange

    @classmethod
    def visible(cls) -> sa.ColumnElement[bool] | None:
        return None if may("can_see_all", "BulkChange") else BulkChange.actor_id == reader_id()


class BulkChangeView(ReadOnlyView):
    """批量变更: one line for each action that changed many records, its receipt, and its undoing for 7 days."""

    datamodel = SQLAInterface(BulkChange)
    scope = VisibleBulkChanges
    class_permission_name = "BulkChange"
    route_base = "/bulk-changes"
    list_title = _l("Bulk changes")
    show_title = _l("Bulk change")
    label_columns = {
        "action": _l("Action"),
        "record_type": _l("Record"),
        "actor": _l("Who"),
        "at": _l("When"),
        "done": _l("Records changed"),
        "skipped": _l("Skipped"),
        "undone_at": _l("Undone at"),
        "undone_by": _l("Undone by"),
        "back": _l("Moved back"),
    }
    list_columns = ["action", "record_type", "actor", "at", "done", "undone_at"]
    card_columns = frozenset({"at"})
    show_columns = ["action", "record_type", "actor", "at", "done", "skipped", "undone_at", "undone_by", "back"]
    search_columns = ["actor", "at"]
    order_columns = ["at"]
    base_order = ("at", "desc")
    choices = {"actor": all_users}
    extra_rights = ("can_see_all",)
    fresh_password = frozenset({"undo"})
    show_template = "security/bulk_change.html"
    empty_text = _l("What one action changes in many records is listed here, and can be undone for 7 days.")

    def cell(self, record: Any, name: str) -> Any:
        if name == "action":
            kind = bulk.kind_of(record)
            return kind.label if kind is not None else record.action
        if name == "record_type":
            return record_kind(record.record_type)
        return super().cell(record, name)

    def show_page(self, record: Any) -> dict[str, Any]:
        page = super().show_page(record)
        until, kind = bulk.undo_until(record), bulk.kind_of(record)
        page["title"] = self.cell(record, "action")
        page["until"] = until
        page["can_undo"] = (
            self.allows("undo")
            and kind is not None
            and may(kind.right, kind.view)
            and record.undone_at is None
            and utcnow() <= until
        )
        return page

    @expose("/undo/<pk>", methods=["GET", "POST"])
    @has_access
    def undo(self, pk: Any) -> Any:
        """Give the records their values of before, after a question that says how many."""
        record, mistake, status = self.load(pk), None, 200
        if request.method == "POST":
            try:
                with unit_of_work():
                    _check_right(record)
                    back = bulk.undo(record, actor=me())
                    note_move(record, "undo", actor=me())
            except BusinessError as refusal:
                mistake, status = str(refusal), 403 if isinstance(refusal, NotYours) else 409
                note_refusal("bulk_change", record.id, "undo", actor_id=g.user.id, before=None, why=mistake)
            except OperationalError:
                mistake, status = _("The database is busy: nothing was moved back. Try again in a moment."), 503
            else:
                flash(ngettext("%(num)d record was moved back.", "%(num)d records were moved back.", back), "success")
                return redirect(url_for("BulkChangeView.show", pk=record.id))
            record = self.load(pk)
        try:
            _check_right(record)
            bulk.check_undo(record, utcnow())
        except BusinessError as refusal:
            mistake = mistake or str(refusal)
        back = 0 if mistake else bulk.would_go_back(record)
        page = render_template(
            "security/bulk_undo.html", title=_("Undo bulk change"), record=record, mistake=mistake, back=back,
            left=max(record.done - back, 0), label=self.cell(record, "action"), **self.frame(),
        )  # fmt: skip
        return page, status


def _check_right(record: BulkChange) -> None:
    """Raises `NotYours` unless the reader may still do what he wants to undo."""
    kind = bulk.kind_of(record)
    if kind is not None and not may(kind.right, kind.view):
        raise NotYours(_("Only who may do this can undo it."))
