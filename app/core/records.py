"""Records: the page of one, with its facts, the steps open now, its changes and what hangs on it."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import urlencode as url_encode

from flask import render_template, request
from flask_appbuilder import expose
from flask_appbuilder.security.decorators import has_access
from markupsafe import Markup

from app.core.history import changes_of, has_changes
from app.core.screen import Screen, number_arg


class ShowsRecords(Screen):
    """The part of a screen that shows one record."""

    page_links: ClassVar[dict[str, str]] = {}  # relation -> view whose page it leads to from the record's page
    show_template = "crm/show.html"

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
