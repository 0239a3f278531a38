"""Taking workflow steps from a page: one record's step with its question, or the same step for many rows."""

from __future__ import annotations

import builtins
import logging
from typing import Any, ClassVar

from flask import current_app, flash, g, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy.exc import OperationalError

from app.core.errors import BusinessError, NotYours
from app.core.forms import CrmForm
from app.core.lifecycle import Step, note_refusal, perform
from app.core.scope import RowScope, may
from app.extensions import db

log = logging.getLogger(__name__)


class TakesSteps:
    """The part of a screen that offers and takes the steps of its records."""

    scope: ClassVar[type[RowScope]]
    steps: ClassVar[builtins.list[Step]] = []
    bulk: ClassVar[builtins.list[tuple[str, Any, str]]] = []  # (method, label, right)
    step_template = "crm/step.html"
    endpoint: Any
    class_permission_name: Any
    label_columns: Any
    list_columns: Any

    # what the screen it is mixed into brings
    load: Any
    cell: Any
    frame: Any
    show_url: Any

    def open_steps(self, record: Any) -> builtins.list[Step]:
        """The steps this reader may take from here; buttons follow the rights, they do not make them."""
        actor = g.user._get_current_object()
        allowed = [s for s in self.steps if s.open_to(record) and may(s.right, self.class_permission_name)]
        return [s for s in allowed if s.is_for(record, actor)]

    def run_step(self, taken: Step, pk: Any, form_type: Any = None, **given: Any) -> Any:
        """The page of one step: GET shows what it will do and asks, or says why it cannot be taken; POST does it.

        The right was checked by the route, the row is loaded in scope, the rule is the operation's. After a refusal
        the page comes back with the reason and the typed text; nothing is half done.
        """
        record = self.load(pk)
        form = form_type() if form_type is not None else CrmForm()
        actor, status = g.user._get_current_object(), 200
        if request.method == "POST" and form.validate():
            values = {f.name: f.data for f in form if f.name != "csrf_token"}
            try:
                result = perform(taken, record, actor=actor, **values, **given)
            except NotYours as refusal:
                form.refuse(str(refusal))
                status = 403
            except BusinessError as refusal:
                form.refuse(str(refusal))
                status = 409
            else:
                flash(str(taken.done), "success")
                return redirect(self.after_step(taken, record, result))
            record = self.load(pk)
        elif request.method == "POST":
            status = 422
        page = render_template(
            self.step_template,
            title=taken.label,
            step=taken,
            record=record,
            form=form,
            why_not=taken.why_not(record, actor=actor),
            facts=self.step_facts(taken, record),
            back_url=self.show_url(record) or url_for(f"{self.endpoint}.list"),
            **self.frame(),
        )
        return page, status

    def step_facts(self, taken: Step, record: Any) -> builtins.list[tuple[Any, Any]]:
        """A few facts shown beside the question."""
        return [(self.label_columns[c], self.cell(record, c)) for c in self.list_columns[:5]]

    def after_step(self, taken: Step, record: Any, result: Any) -> str:
        """Where a taken step leads: back to the record."""
        return self.show_url(record) or url_for(f"{self.endpoint}.list")

    def run_bulk(self, taken: Any, form_type: Any, *, title: Any, label: Any) -> Any:
        """The same step for many rows: first the question, then one line per row with what happened to it.

        `taken` is a Step, or a function of the record that gives the step to take. Each row is a unit of work of
        its own: one refusal stops nothing. A row outside the reader's scope counts as not found. When the database
        goes away, what was done before still has its lines. By GET (the result's address, opened again) there is
        nothing to do but to go back to the list.
        """
        if request.method == "GET":
            return redirect(url_for(f"{self.endpoint}.list"))
        pks = builtins.list(dict.fromkeys(request.form.getlist("rowid")))[:500]
        if not pks:
            flash(_("Select at least one row first."), "warning")
            return redirect(url_for(f"{self.endpoint}.list"))
        form = form_type(formdata=request.form if "confirmed" in request.form else None)
        if "confirmed" not in request.form or not form.validate():
            rows = [row for row in map(self.scope.find, pks) if row is not None]
            page = render_template(
                "crm/bulk.html", title=title, label=label, form=form, rows=rows, pks=pks, **self.frame()
            )
            return page, (422 if "confirmed" in request.form else 200)
        values = {f.name: f.data for f in form if f.name not in ("csrf_token", "confirmed")}
        actor = g.user._get_current_object()
        lines: builtins.list[tuple[str, str | None, bool, str]] = []
        for pk in pks:
            try:
                lines.append((pk, *self._take_one(taken, pk, actor, values)))
            except OperationalError:
                log.exception("the database did not take row %s and those after it", pk)
                db.session.rollback()
                rest = pks[len(lines) :]
                lines += [(left, None, False, _("The database is away or busy")) for left in rest]
                break
        done = sum(1 for line in lines if line[2])
        summary = ngettext("%(num)d record done", "%(num)d records done", done)
        return render_template(
            "crm/bulk_result.html",
            title=title,
            summary=summary,
            skipped=len(lines) - done,
            lines=lines,
            **self.frame(),
        )

    def _take_one(self, taken: Any, pk: str, actor: Any, values: dict[str, Any]) -> tuple[str | None, bool, str]:
        """What became of one row of many: its name, whether the step was taken, and the sentence that says so."""
        record = self.scope.find(pk)
        if record is None:
            return None, False, _("Not found.")
        name = str(record)
        step = taken(record) if callable(taken) and not isinstance(taken, Step) else taken
        try:
            perform(step, record, actor=actor, **values)
        except BusinessError as refusal:
            return name, False, str(refusal)
        return name, True, str(step.done)


def note_denied(why: str) -> None:
    """Write down that somebody was turned away before a rule was asked: no right (403), or not his row (404).

    Only POSTs of people who are signed in count, and of rows only those there are. Commits.
    """
    endpoint, _dot, method = (request.endpoint or "").partition(".")
    views = current_app.appbuilder.baseviews  # type: ignore[attr-defined]
    view: Any = next((v for v in views if v.endpoint == endpoint and isinstance(v, TakesSteps)), None)
    user, given = g.get("user"), (request.view_args or {}).get("pk")
    if request.method != "POST" or view is None or user is None or not user.is_authenticated:
        return
    actor_id, model, record = user.id, view.scope.rows, None
    db.session.rollback()  # whatever was begun is not done
    if given is not None:
        short = given.isdecimal() and len(given) < 10
        record = db.session.get(model, int(given)) if short else None
        if record is None:
            return
    action = view.get_method_permission(method)
    note_refusal(
        model.__tablename__,
        record.id if record is not None else None,
        "create" if action == "add" else action,
        actor_id=actor_id,
        before=getattr(record, "status", None),
        why=why,
    )
