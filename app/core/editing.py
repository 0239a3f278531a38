"""New, edit, delete: the form of a record, what is said when it cannot be saved, and nothing typed is lost."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

from flask import flash, g, redirect, render_template, request, url_for
from flask_appbuilder import expose
from flask_appbuilder.security.decorators import has_access
from sqlalchemy.exc import DataError, IntegrityError, OperationalError
from sqlalchemy.orm.exc import StaleDataError
from wtforms import HiddenField

from app.core import recycle
from app.core.changes import moving
from app.core.errors import BusinessError, NotYours
from app.core.forms import form_class
from app.core.lifecycle import note_move, note_refusal
from app.core.protected import SealedField
from app.core.screen import Screen
from app.core.sentences import gettext as _
from app.core.stale import compare, newest_change
from app.core.submissions import leads_to
from app.core.unit import unit_of_work
from app.extensions import db

log = logging.getLogger(__name__)


class EditsRecords(Screen):
    """The part of a screen that writes its records."""

    required_columns: ClassVar[frozenset[str]] = frozenset()
    add_template = "crm/form.html"
    edit_template = "crm/form.html"

    def make_form(self, columns: list[str], record: Any = None) -> Any:
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

    def may_edit(self, record: Any) -> bool:
        """Whether this very record may be edited now (rules beyond the right)."""
        return True

    def why_not_edit(self, record: Any) -> str:
        """The sentence for a record that may not be edited now."""
        return _("This record can no longer be edited.")

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

    def _sections(self, form: Any, record: Any) -> list[tuple[Any, list[Any]]]:
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

    def may_delete(self, record: Any) -> bool:
        """Whether this very record may be deleted now (rules beyond the right)."""
        return True

    def why_not_delete(self, record: Any) -> str:
        """The sentence for a record that may not be deleted now."""
        return _("This record can no longer be deleted.")

    def delete_record(self, record: Any) -> None:
        """Remove the record: into the recycle bin with what hangs on it; settings that nothing uses for good."""
        if record.__tablename__ in recycle.KINDS:
            recycle.delete(record, actor=g.user._get_current_object())
        else:
            db.session.delete(record)


class _Fields:
    """Lets a form fill a record without touching what is no field of it (the version, the token)."""

    _record: Any

    def __init__(self, record: Any) -> None:
        object.__setattr__(self, "_record", record)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in ("version", "seen", "csrf_token"):
            setattr(self._record, name, value)
