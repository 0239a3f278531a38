"""个人信息: find a person, see what is kept about him, take it away as one file, erase it."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from flask import Response, abort, flash, g, redirect, render_template, request, url_for
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.decorators import has_access, permission_name
from flask_appbuilder.security.sqla.models import User
from sqlalchemy.exc import OperationalError

from app.core import personal
from app.core.clock import local, utcnow
from app.core.errors import BusinessError, NotYours
from app.core.format import cell
from app.core.history import field_label, move_words, record_kind, views_by_table
from app.core.lifecycle import note_move, note_refusal
from app.core.scope import may, row_id
from app.core.search import contains
from app.core.sentences import gettext as _
from app.core.sentences import ngettext
from app.core.unit import unit_of_work
from app.extensions import db
from app.security.attempts import asked, me
from app.security.models import LoginEntry, UserSession
from app.security.queries import recent_sessions

MOST = 50  # people found at once


class PersonalDataView(BaseView):
    """个人信息. Whoever holds these rights sees everybody's, also what was deleted: that is what they are for."""

    route_base = "/personal"
    class_permission_name = "PersonalData"
    default_view = "index"
    base_permissions = ["can_show", "can_export", "can_erase"]
    fresh_password = frozenset({"export", "erase"})

    @expose("/")
    @has_access
    @permission_name("show")
    def index(self) -> Any:
        wanted = asked("q")
        found = [(key, kind, _find(kind, wanted)) for key, kind in personal.KINDS.items()] if wanted else []
        return self._page("security/personal_list.html", title=_("Personal data"), wanted=wanted, found=found)

    @expose("/show/<person>")
    @has_access
    def show(self, person: str) -> Any:
        key, kind, found = _load(person)
        return self._page(
            "security/personal.html",
            title=kind.name(found),
            person=person,
            kind=kind,
            held=_held(key, found),
            changes=_changes(key, found),
            sign_ins=_sign_ins(found),
            sessions=_sessions(found),
            can_export=may("can_export", "PersonalData"),
            can_erase=may("can_erase", "PersonalData"),
        )

    @expose("/export/<person>", methods=["POST"])
    @has_access
    def export(self, person: str) -> Any:
        """All that is kept about the person, as one JSON file. Who took it is written down."""
        key, kind, found = _load(person)
        with unit_of_work():
            note_move(found, "export_personal", actor=me())
        told = {
            "person": kind.name(found),
            "kind": key,
            "exported_at": utcnow().isoformat(),
            "held": [
                {"table": row.__tablename__, "id": sa.inspect(row).identity[0],
                 "values": {name: personal.as_kept(row, name) for name in holding.fields}}
                for holding, row in personal.rows_about(key, found)
            ],
            "changes": [
                {"at": change.at.isoformat(), "table": change.record_type, "id": change.record_id,
                 "field": change.field, "from": change.before, "to": change.after, "move": change.move}
                for change in personal.changes_about(key, found)
            ],
            "sign_ins": [
                {"at": entry.at.isoformat(), "account": entry.account, "ip": entry.ip, "result": entry.result.value}
                for entry in _sign_ins(found, most=None)
            ],
            "sessions": [
                {"started_at": one.started_at.isoformat(), "seen_at": one.seen_at.isoformat(), "ip": one.ip,
                 "device": one.user_agent}
                for one in _sessions(found, most=None)
            ],
        }  # fmt: skip
        name = f"personal-{person}-{local(utcnow()):%Y%m%d}.json"
        answer = Response(json.dumps(told, ensure_ascii=False, indent=1), mimetype="application/json")
        answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        return answer

    @expose("/erase/<person>", methods=["GET", "POST"])
    @has_access
    def erase(self, person: str) -> Any:
        """Anonymise the person, after a question."""
        key, kind, found = _load(person)
        mistake, status = None, 200
        if request.method == "POST":
            table, pk = found.__tablename__, found.id
            try:
                with unit_of_work():
                    count = personal.erase(key, found, actor=me())
            except BusinessError as refusal:
                mistake, status = str(refusal), 403 if isinstance(refusal, NotYours) else 409
                note_refusal(table, pk, "erase", actor_id=g.user.id, before=None, why=mistake)
            except OperationalError:
                mistake, status = _("The database is busy: nothing was erased. Try again in a moment."), 503
            else:
                told = ngettext(
                    "The person's data was erased in %(num)d row and in the change log.",
                    "The person's data was erased in %(num)d rows and in the change log.",
                    count,
                )
                flash(told, "success")
                return redirect(url_for("PersonalDataView.show", person=person))
            key, kind, found = _load(person)
        try:
            personal.check(key, found, me())
        except BusinessError as refusal:
            mistake = mistake or str(refusal)
        page = self._page(
            "security/personal_erase.html", title=_("Erase personal data"), person=person, name=kind.name(found),
            mistake=mistake, held=_held(key, found), log=len(personal.changes_about(key, found)),
        )  # fmt: skip
        return page, status

    def _page(self, template: str, **given: Any) -> Any:
        return render_template(
            template, appbuilder=self.appbuilder, base_template=self.appbuilder.base_template, **given
        )


def _load(person: str) -> tuple[str, personal.Kind, Any]:
    """The person an address names, contact-12 say; 404 for whatever is none."""
    key, _dash, number = person.partition("-")
    kind, pk = personal.KINDS.get(key), row_id(number)
    found = db.session.get(kind.model, pk) if kind is not None and pk else None
    if kind is None or found is None:
        abort(404)
    return key, kind, found


def _find(kind: personal.Kind, wanted: str) -> list[Any]:
    named = sa.or_(*(contains(column, wanted) for column in kind.found_by))
    return list(db.session.execute(sa.select(kind.model).where(named).order_by(kind.model.id).limit(MOST)).scalars())


def _held(key: str, person: Any) -> list[tuple[Any, list[list[tuple[Any, Any]]]]]:
    """(what it is called, rows of (field, value)) of all that is kept."""
    found: dict[str, tuple[Any, list[list[tuple[Any, Any]]]]] = {}
    for holding, row in personal.rows_about(key, person):
        view = views_by_table().get(getattr(type(row), "history_as", row.__tablename__))
        fields = [
            (field_label(view, name) if view is not None else holding.label, _shown(getattr(row, name)))
            for name in holding.fields
            if getattr(row, name) not in (None, "")
        ]
        found.setdefault(str(holding.label), (holding.label, []))[1].append(fields)
    return list(found.values())


def _shown(value: Any) -> Any:
    return " · ".join(str(one) for one in value.values()) if isinstance(value, dict) else cell(value)


def _changes(key: str, person: Any) -> list[tuple[Any, Any, Any, Any, Any, Any]]:
    """When, which record, which field, from what to what: what the log still keeps."""
    lines = []
    for change in reversed(personal.changes_about(key, person)[-MOST:]):
        view = views_by_table().get(change.record_type)
        label = field_label(view, change.field) if view is not None else change.field
        words = move_words(change.move, change.record_type)
        lines.append((change.at, record_kind(change.record_type), words, label, change.before, change.after))
    return lines


def _sign_ins(person: Any, most: int | None = MOST) -> list[LoginEntry]:
    """Who signed in when, for a user of the back office."""
    if not isinstance(person, User):
        return []
    found = sa.select(LoginEntry).where(LoginEntry.user_id == person.id).order_by(LoginEntry.id.desc()).limit(most)
    return list(db.session.execute(found).scalars())


def _sessions(person: Any, most: int | None = MOST) -> list[UserSession]:
    """From where and on what a user of the back office signed in."""
    return recent_sessions(person.id, most) if isinstance(person, User) else []
