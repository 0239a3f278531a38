"""Taking workflow steps from a page: one record's step with its question, or the same step for many rows."""

from __future__ import annotations

import logging
from typing import Any, ClassVar
from urllib.parse import urlencode as url_encode

import sqlalchemy as sa
from flask import current_app, flash, g, redirect, render_template, request, url_for
from sqlalchemy.exc import OperationalError

from app.core import bulk, personal
from app.core.changes import in_bulk
from app.core.errors import BusinessError, NotYours
from app.core.forms import CrmForm
from app.core.lifecycle import Step, check_or_note, note_refusal, perform
from app.core.models import BulkChange, FieldChange
from app.core.scope import may, row_id
from app.core.screen import Screen
from app.core.search import Search
from app.core.sentences import gettext as _
from app.core.sentences import ngettext
from app.core.stale import compare, is_stale
from app.core.submissions import leads_to
from app.core.unit import at_begin, unit_of_work
from app.extensions import db

log = logging.getLogger(__name__)

AT_ONCE = 200  # rows of one request: two or three seconds
SHOWN = 100  # lines of rows of a list that were done; those that were refused all have theirs

Line = tuple[str, str | None, bool, str]  # id, name, whether it was done, what happened


class TakesSteps(Screen):
    """The part of a screen that offers and takes the steps of its records."""

    steps: ClassVar[list[Step]] = []
    bulk: ClassVar[list[tuple[str, Any, str]]] = []  # (method, label, right)
    step_template = "crm/step.html"

    def open_steps(self, record: Any) -> list[Step]:
        """The steps this reader may take from here; buttons follow the rights, they do not make them."""
        actor = g.user._get_current_object()
        allowed = [s for s in self.steps if s.open_to(record) and may(s.right, self.class_permission_name)]
        return [s for s in allowed if s.is_for(record, actor)]

    def run_step(self, taken: Step, pk: Any, form_type: Any = None, **given: Any) -> Any:
        """The page of one step: GET shows what it will do and asks, or says why it cannot be taken; POST does it.

        The right was checked by the route, the row is loaded in scope, the rule is the operation's. After a refusal
        the page comes back with the reason and the typed text; nothing is half done. An incomplete form is asked for
        what is missing only where the step could be taken.
        """
        record = self.load(pk)
        form = form_type() if form_type is not None else CrmForm()
        actor, status = g.user._get_current_object(), 200
        back = self.show_url(record) or url_for(f"{self.endpoint}.list")
        if request.method == "POST" and form.validate():
            values = {f.name: f.data for f in form if f.name != "csrf_token"}
            if is_stale(record, form) and taken.why_not(record, actor=actor) is None:
                return self._stale_step(taken, record, form)
            leads_to(back)
            try:
                result = perform(taken, record, actor=actor, **values, **given)
            except BusinessError as refusal:
                form.refuse(str(refusal))
                status = 403 if isinstance(refusal, NotYours) else 409
            else:
                flash(str(taken.done), "success")
                return redirect(self.after_step(taken, record, result))
            record = self.load(pk)
            if is_stale(record, form):
                why = taken.why_not(record, actor=actor)
                return self._stale_step(taken, record, form, why=why)
        elif request.method == "POST":
            status = 422
            try:
                check_or_note(taken, record, actor=actor)
            except BusinessError as refusal:
                form.refuse_only(str(refusal))
                status = 403 if isinstance(refusal, NotYours) else 409
                record = self.load(pk)
        page = render_template(
            self.step_template,
            title=taken.label,
            step=taken,
            record=record,
            form=form,
            why_not=taken.why_not(record, actor=actor),
            facts=self.step_facts(taken, record),
            back_url=back,
            **self.frame(),
        )
        return page, status

    def _stale_step(self, taken: Step, record: Any, form: Any, *, why: str | None = None) -> Any:
        """The same for a step whose form asks for text; `why` says that the step can no longer be taken."""
        g.saw_newer = True
        lines = compare(self, record, form, request.form.get("seen"))
        fields = [field for field in form if field.name != "csrf_token"]
        return self.stale_page(record, form, lines, [(None, fields)], title=taken.label, why=why, step=taken)

    def stale_page(
        self,
        record: Any,
        form: Any,
        lines: Any,
        sections: Any,
        *,
        title: Any,
        why: str | None,
        step: Step | None = None,
    ) -> Any:
        """The page of a form whose record was saved meanwhile: both versions, what was typed, and the way on."""
        page = render_template(
            "crm/stale.html",
            title=title,
            record=record,
            form=form,
            lines=lines,
            sections=sections,
            why_not=why,
            step=step,
            back_url=self.show_url(record) or url_for(f"{self.endpoint}.list"),
            **self.frame(),
        )
        return page, 409

    def step_facts(self, taken: Step, record: Any) -> list[tuple[Any, Any]]:
        """A few facts shown beside the question."""
        return [(self.label_columns[c], self.cell(record, c)) for c in self.list_columns[:5]]

    def after_step(self, taken: Step, record: Any, result: Any) -> str:
        """Where a taken step leads: back to the record."""
        return self.show_url(record) or url_for(f"{self.endpoint}.list")

    def name_in_bulk(self, record: Any) -> str:
        """What a row is called among many, of which some may have the same name."""
        return str(record)

    def run_bulk(self, taken: Step, form_type: Any, *, title: Any, label: Any) -> Any:
        """The same step for many rows: first the question, then one line per row with what happened to it.

        The rows are those that were selected, or all that the list's filters match (its arguments are in the address,
        and asked again here, in the reader's scope): then in the order of their ids, at most 200 at a time, and the
        result offers to go on with the rest, tells every row that was refused and the first hundred that were done, of
        all the parts. Each row is a unit of work of its own: one refusal stops nothing. A row outside the reader's
        scope counts as not found. When the database goes away, what was done before still has its lines. By GET (the
        result's address, opened again) there is nothing to do but to go back to the list.
        """
        everything = request.form.get("reach") == "all"
        pks = list(dict.fromkeys(request.form.getlist("rowid")))[:AT_ONCE]
        if request.method == "POST" and not pks and not everything:
            flash(_("Select at least one row first."), "warning")
        if request.method == "GET" or not (pks or everything):
            return redirect(self._list_with_filters())
        form = form_type(formdata=request.form if "confirmed" in request.form else None)
        search = Search(self)
        matching = [self.scope.criterion(), *search.criteria, *self.extra_criteria()]
        if "confirmed" not in request.form or not form.validate():
            page = render_template(
                "crm/bulk.html",
                title=title,
                label=label,
                form=form,
                rows=[self.name_in_bulk(row) for row in map(self.scope.find, pks[:50]) if row is not None],
                pks=pks,
                everything=everything,
                matching=self._count(matching, exact=True),
                filters=search.active,
                back_url=self._list_with_filters(),
                **self.frame(),
            )
            return page, (422 if "confirmed" in request.form else 200)
        values = {f.name: f.data for f in form if f.name not in ("csrf_token", "confirmed")}
        left = after = more = 0
        if everything:
            key, after = self.scope.rows.id, _number_given("after")
            matching.append(key > after)
            left = self._count(matching, exact=True)
            found = sa.select(key).where(*matching).order_by(key).limit(AT_ONCE)
            pks = [str(pk) for pk in db.session.execute(found).scalars()]
        at_begin(None)  # sent again it goes on where it was broken off; each row refuses what was done to it already
        receipt = self._receipt(taken)
        with in_bulk(receipt.id):
            lines, missed = self._take_many(taken, pks, values)
        done = sum(1 for line in lines if line[2])
        number = self._finish(receipt, done=done, skipped=len(lines) - done)
        skipped = len(lines) - done + (0 if everything else len(missed))
        if everything:
            left, after = left - len(lines), int(lines[-1][0]) if lines else after
        refused = [line for line in lines if not line[2]]
        if everything:
            told = self._first_done(receipt, lines, str(taken.done)) if number else []
            lines, more = refused + told, max(receipt.done - len(told), 0) if number else 0
        done, skipped = done + _number_given("done"), skipped + _number_given("skipped")
        return render_template(
            "crm/bulk_result.html",
            title=title,
            summary=ngettext("%(num)d record done", "%(num)d records done", done),
            done=done,
            skipped=skipped,
            lines=[*lines, *((pk, None, False, _("The database is away or busy")) for pk in missed)],
            more=more,
            left=left,
            to_read=bool(refused or missed),
            carried={
                **{name: request.form[name] for name in values if name in request.form},
                "after": after,
                "receipt": number or "",
            },
            receipt=number if number and may("can_show", "BulkChange") else None,
            back_url=self._list_with_filters(),
            **self.frame(),
        )

    def _first_done(self, receipt: BulkChange, lines: list[Line], sentence: str) -> list[Line]:
        """The first hundred rows that were done, those of earlier parts too: by name while in reach."""
        names = {pk: name for pk, name, done, _sentence in lines if done}
        own = (FieldChange.bulk_id == receipt.id, FieldChange.record_type == receipt.record_type)
        changed = sa.select(FieldChange.record_id).where(*own).distinct().order_by(FieldChange.record_id).limit(SHOWN)
        pks = [str(pk) for pk in db.session.execute(changed).scalars()]
        earlier = self.scope.select().where(self.scope.rows.id.in_([int(pk) for pk in pks if pk not in names]))
        names |= {str(row.id): self.name_in_bulk(row) for row in db.session.execute(earlier).scalars()}
        return [(pk, names.get(pk), True, sentence) for pk in pks]

    def _receipt(self, taken: Step) -> BulkChange:
        """The receipt of this bulk change: a new one, or that of the part before. Commits."""
        actor, table = g.user._get_current_object(), self.scope.rows.__tablename__
        known = db.session.get(BulkChange, _number_given("receipt")) if _number_given("receipt") else None
        same = known is not None and (known.actor_id, known.record_type, known.action) == (actor.id, table, taken.name)
        if known is not None and same and known.undone_at is None:
            return known
        with unit_of_work():
            return bulk.begin(table, taken.name, actor=actor)

    @staticmethod
    def _finish(receipt: BulkChange, *, done: int, skipped: int) -> int | None:
        """Write down what became of the rows; the number of the receipt, None if there is nothing to undo. Commits."""
        try:
            with unit_of_work():
                bulk.finish(receipt, done=done, skipped=skipped)
        except OperationalError:
            log.exception("the counts of bulk change %s were not written", receipt.id)
        return receipt.id if receipt.done else None

    def _list_with_filters(self) -> str:
        """The list as it was when its rows were selected."""
        address, query = url_for(f"{self.endpoint}.list"), url_encode(request.args)
        return f"{address}?{query}" if query else address

    def _take_many(self, taken: Step, pks: list[str], values: dict[str, Any]) -> tuple[list[Line], list[str]]:
        """Take the step for these rows, one line each; and the rows that were missed when the database went away."""
        actor, lines = g.user._get_current_object(), []
        for pk in pks:
            try:
                lines.append((pk, *self._take_one(taken, pk, actor, values)))
            except OperationalError:
                log.exception("the database did not take row %s and those after it", pk)
                db.session.rollback()
                break
        return lines, pks[len(lines) :]

    def _take_one(self, taken: Step, pk: str, actor: Any, values: dict[str, Any]) -> tuple[str | None, bool, str]:
        """What became of one row of many: its name, whether the step was taken, and the sentence that says so."""
        record = self.scope.find(pk)
        number = row_id(pk)
        row = record or (db.session.get(self.scope.rows, number) if number else None)
        if row is None:
            return None, False, _("Not found.")
        if record is None:
            why, table = _("Not found."), row.__tablename__
            note_refusal(table, row.id, taken.name, actor_id=actor.id, before=getattr(row, "status", None), why=why)
            return None, False, why
        name = self.name_in_bulk(record)
        try:
            perform(taken, record, actor=actor, **values)
        except BusinessError as refusal:
            return name, False, str(refusal)
        return name, True, str(taken.done)


def _number_given(name: str) -> int:
    """A number that a page of ours carried on in its form; 0 for anything else."""
    return row_id(request.form.get(name)) or 0


def note_denied(why: str) -> None:
    """Write down that somebody was turned away before a rule was asked: no right (403), or not his row (404).

    Only POSTs of people who are signed in count, and of rows only those there are. Where there are no records (a
    report, somebody's personal data, the jobs), a missing right counts. Commits.
    """
    endpoint, _dot, method = (request.endpoint or "").partition(".")
    views = current_app.appbuilder.baseviews  # type: ignore[attr-defined]
    view: Any = next((v for v in views if v.endpoint == endpoint), None)
    user, given = g.get("user"), request.view_args or {}
    if request.method != "POST" or view is None or user is None or not user.is_authenticated:
        return
    actor_id = user.id
    db.session.rollback()  # whatever was begun is not done
    if isinstance(view, TakesSteps):
        table, action = view.scope.rows.__tablename__, view.get_method_permission(method)
        record = db.session.get(view.scope.rows, row_id(given["pk"]) or 0) if "pk" in given else None
        if record is None and "pk" in given:
            return
    else:
        right = getattr(getattr(view, method, None), "_permission_name", None)
        if right is None or may(f"can_{right}", view.class_permission_name):
            return
        if "person" in given:
            record = personal.person(given["person"])
            if record is None:
                return
            table, action = record.__tablename__, "export_personal" if right == "export" else right
        else:
            record, (table, action, what) = None, view.denied(method)
            why = _("%(what)s: %(why)s", what=what, why=why)
    note_refusal(
        table,
        record.id if record is not None else None,
        "create" if action == "add" else action,
        actor_id=actor_id,
        before=getattr(record, "status", None),
        why=why,
    )
