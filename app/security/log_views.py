"""变更记录 and 登录日志: what was done, and who signed in. Nobody edits them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from flask import abort, render_template, url_for
from flask_appbuilder import BaseView, expose
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_appbuilder.security.decorators import has_access
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from markupsafe import Markup

from app.core.clock import utcnow
from app.core.format import NOTHING
from app.core.history import (
    ACTIONS,
    OFF_SCREENS,
    field_label,
    move_words,
    named_columns,
    record_kind,
    told,
    views_by_table,
)
from app.core.language import language
from app.core.models import AuditEntry, FieldChange
from app.core.scope import may, row_id, scope_for
from app.core.search import Active, Control
from app.core.views import ReadOnlyView
from app.extensions import db
from app.security import sessions
from app.security.access import all_users
from app.security.attempts import asked
from app.security.models import LoginEntry, UserSession
from app.security.seeing import who_sees


class AuditEntryView(ReadOnlyView):
    """变更记录: who did what to which record. What was written there is shown only to who may open that record."""

    datamodel = SQLAInterface(AuditEntry)
    scope = scope_for(AuditEntry)
    class_permission_name = "AuditEntry"
    route_base = "/audit"
    list_title = _l("Change log")
    note_text = staticmethod(lambda: _elsewhere("FieldChangeView.list", _("Search changed fields")))
    show_title = _l("Entry of the change log")
    label_columns = {
        "at": _l("When"),
        "actor": _l("Who"),
        "record": _l("Record"),
        "action": _l("Action"),
        "outcome": _l("Outcome"),
        "ip": _l("From address"),
        "source": _l("Job or command"),
    }
    list_columns = ["at", "actor", "record", "action", "outcome"]
    card_columns = frozenset({"record", "action"})
    show_columns = ["at", "actor", "record", "action", "outcome", "ip", "source"]
    search_columns = ["at", "actor", "outcome"]
    order_columns = ["at"]
    base_order = ("at", "desc")
    choices = {"actor": all_users}
    show_template = "security/audit_entry.html"

    def list_page(self) -> dict[str, Any]:
        page = super().list_page()
        _ask_for(page["search"], ("record", "row", "field", "move"))
        return page

    def extra_criteria(self) -> list[Any]:
        found = [*_of_record(AuditEntry), *([AuditEntry.action == move] if (move := asked("move")) else [])]
        if field := asked("field"):
            changed = sa.select(FieldChange.id).where(
                FieldChange.record_type == AuditEntry.record_type, FieldChange.record_id == AuditEntry.record_id,
                FieldChange.unit == AuditEntry.unit, _of_field(field),
            )  # fmt: skip
            found.append(changed.exists())
        return found

    def cell(self, record: Any, name: str) -> Any:
        if name == "actor" and record.actor is None:
            return _("The system")
        if name == "record":
            return _record_words(record)
        if name == "action":
            words = ACTIONS.get(f"{record.record_type}.{record.action}") or ACTIONS.get(record.action)
            return words[0] if words else record.action
        return super().cell(record, name)

    def show_page(self, record: Any) -> dict[str, Any]:
        page = super().show_page(record)
        page["title"] = _("Entry of the change log")
        view, about = _opens(record)
        page["opens"] = view
        page["changes"] = told(view, _changes_of_entry(record), about) if view else []
        page["record_url"] = view.show_url(about) if view else None
        return page


class FieldChangeView(ReadOnlyView):
    """变更明细: which field of which record was changed. The values are shown only to who may open that record."""

    datamodel = SQLAInterface(FieldChange)
    scope = scope_for(FieldChange)
    class_permission_name = "AuditEntry"
    route_base = "/changes"
    list_title = _l("Changed fields")
    note_text = staticmethod(lambda: _elsewhere("AuditEntryView.list", _("Change log")))
    show_title = _l("Changed field")
    label_columns = {
        "at": _l("When"),
        "actor": _l("Who"),
        "record": _l("Record"),
        "field": _l("Field"),
        "move": _l("Action"),
        "ip": _l("From address"),
        "source": _l("Job or command"),
    }
    list_columns = ["at", "actor", "record", "field", "move"]
    card_columns = frozenset({"record", "field"})
    show_columns = ["at", "actor", "record", "field", "move", "ip", "source"]
    search_columns = ["at", "actor"]
    order_columns = ["at"]
    base_order = ("at", "desc")
    choices = {"actor": all_users}
    show_template = "security/audit_entry.html"

    def list_page(self) -> dict[str, Any]:
        page = super().list_page()
        _ask_for(page["search"], ("record", "row", "field", "move"))
        return page

    def extra_criteria(self) -> list[Any]:
        found = _of_record(FieldChange)
        if field := asked("field"):
            found.append(_of_field(field))
        if move := asked("move"):
            found.append(FieldChange.move.endswith(f".{move}", autoescape=True))
        return found

    def cell(self, record: Any, name: str) -> Any:
        if name == "actor" and record.actor is None:
            return _("The system")
        if name == "record":
            return _record_words(record)
        if name == "move":
            return move_words(record.move, record.record_type)
        if name == "field":
            view = views_by_table().get(record.record_type)
            if record.field is None:
                return _("The record was made.")
            return field_label(view, record.field) if view is not None else OFF_SCREENS.get(record.field, record.field)
        return super().cell(record, name)

    def show_page(self, record: Any) -> dict[str, Any]:
        page = super().show_page(record)
        page["title"] = _("Changed field")
        view, about = _opens(record)
        page["opens"] = view
        page["changes"] = told(view, [record], about) if view and record.field else []
        page["record_url"] = view.show_url(about) if view else None
        return page


def _elsewhere(endpoint: str, words: str) -> Markup:
    return Markup('<a href="{}">{}</a>').format(url_for(endpoint), words)


def _opens(entry: Any) -> tuple[Any, Any]:
    """The screen of the entry's record and the record, if the reader may open that very record, else nothing."""
    view = views_by_table().get(entry.record_type)
    record = view.scope.find(entry.record_id) if view is not None and view.allows("show") else None
    return (view, record) if record is not None else (None, None)


def _record_words(entry: Any) -> str:
    return f"{record_kind(entry.record_type)} {entry.record_id or ''}".strip()


def _changes_of_entry(entry: Any) -> list[FieldChange]:
    """What was written together with an entry about its record."""
    if entry.unit is None:
        return []
    its = (FieldChange.record_type == entry.record_type, FieldChange.record_id == entry.record_id)
    found = sa.select(FieldChange).where(*its, FieldChange.unit == entry.unit, FieldChange.field.is_not(None))
    return list(db.session.execute(found.order_by(FieldChange.id)).scalars())


def _of_record(model: Any) -> list[Any]:
    kind, row = asked("record"), row_id(asked("row"))
    found = [model.record_type == kind] if kind else []
    return found + ([model.record_id == row] if row else [sa.false()] if asked("row") else [])


def _of_field(field: str) -> Any:
    """WHERE it is the chosen field of a kind of record; as long as no kind is chosen, whatever is called so there."""
    wanted: list[Any] = [FieldChange.field.in_((field, f"{field}_id"))]
    if not asked("record"):
        for kind, view in views_by_table().items():
            fields = _labels(view, language())
            names = [name for name, label in fields.items() if field.lower() in label.lower()]
            if names:
                its = FieldChange.field.in_([*names, *(f"{name}_id" for name in names)])
                wanted.append(sa.and_(FieldChange.record_type == kind, its))
    return sa.or_(*wanted)


def _ask_for(search: Any, names: tuple[str, ...]) -> None:
    """Filters that are no columns: the kind of record, its number, the field, the move.

    The fields of a kind of record are chosen from a list; those of all kinds are too many for one and are typed.
    """
    kinds = {kind: str(record_kind(kind)) for kind in sorted(views_by_table())}
    fields = _fields_of(asked("record")) if asked("record") in kinds else {}
    moves = {name.rpartition(".")[2]: str(words) for name, (words, _icon) in ACTIONS.items()}
    labels = {"record": _("Record"), "row": _("Number of the record"), "field": _("Field"), "move": _("Action")}
    options = {"record": kinds, "field": fields, "move": dict(sorted(moves.items(), key=lambda pair: pair[1]))}
    for name in names:
        given, offered = asked(name), options.get(name)
        kind = "select" if offered else "text"
        listed = list(offered.items()) if offered else []
        search.controls.append(Control(name, labels[name], kind, given, options=listed))
        if given:
            search.active.append(Active(labels[name], (offered or {}).get(given, given), name))


def _fields_of(kind: str) -> dict[str, str]:
    """The fields of a kind of record by label."""
    return _labels(views_by_table()[kind], language())


@lru_cache(maxsize=1024)
def _labels(view: Any, _language: str) -> dict[str, str]:
    """The same of a screen, made once per language: a field that is typed is looked for among those of all screens."""
    named = {name.rpartition(".")[2]: str(view.label_columns[name]) for name in named_columns(view)}
    return dict(sorted(named.items(), key=lambda pair: pair[1]))


class LoginEntryView(ReadOnlyView):
    """登录日志."""

    datamodel = SQLAInterface(LoginEntry)
    scope = scope_for(LoginEntry)
    class_permission_name = "LoginEntry"
    route_base = "/logins"
    list_title = _l("Login log")
    exclude_route_methods = {*ReadOnlyView.exclude_route_methods, "show"}
    label_columns = {
        "at": _l("When"),
        "account": _l("Account as typed"),
        "user": _l("Whose account"),
        "ip": _l("From address"),
        "result": _l("Outcome"),
    }
    list_columns = ["at", "account", "user", "result", "ip"]
    card_columns = frozenset({"result"})
    show_columns: list[str] = []
    search_columns = ["at", "account", "user", "result"]
    order_columns = ["at"]
    base_order = ("at", "desc")
    choices = {"user": all_users}


class SessionView(ReadOnlyView):
    """登录中: who is signed in now, from where, on what; each can be ended."""

    datamodel = SQLAInterface(UserSession)
    scope = scope_for(UserSession)
    class_permission_name = "UserSession"
    route_base = "/sessions"
    list_title = _l("Who is signed in")
    exclude_route_methods = {*ReadOnlyView.exclude_route_methods, "show"}
    label_columns = {
        "user": _l("Full name"),
        "started_at": _l("Signed in at"),
        "seen_at": _l("Last seen"),
        "ip": _l("From address"),
        "user_agent": _l("Device"),
        "end": _l("Action"),
    }
    list_columns = ["user", "started_at", "seen_at", "ip", "user_agent", "end"]
    show_columns: list[str] = []
    search_columns = ["user"]
    order_columns: list[str] = []
    base_order = ("id", "desc")  # who signed in last
    choices = {"user": all_users}

    def extra_criteria(self) -> list[Any]:
        now = utcnow()
        seen = [
            sa.and_(UserSession.remember.is_(kept), UserSession.seen_at > now - sessions.limits(remember=kept)[0])
            for kept in (False, True)
        ]
        return [UserSession.ended_at.is_(None), UserSession.expires_at > now, sa.or_(*seen)]

    def cell(self, record: Any, name: str) -> Any:
        if name == "user_agent":
            return (record.user_agent or NOTHING)[:80]
        if name == "end":
            if not may("can_end_sessions", "User"):
                return NOTHING
            address = url_for("UserView.end_sessions", pk=record.user_id)
            return Markup('<a href="{}">{}</a>').format(address, _("End"))
        return super().cell(record, name)


class RecordAccessView(BaseView):
    """谁能看到: for any record, everybody with an account, whether he sees it, and why. Opened from the record."""

    route_base = "/who-sees"
    class_permission_name = "RecordAccess"
    default_view = "show"

    @expose("/<table>/<pk>", methods=["GET"])
    @has_access
    def show(self, table: str, pk: Any) -> Any:
        view, number = views_by_table().get(table), row_id(pk)
        record = db.session.get(view.datamodel.obj, number) if view is not None and number is not None else None
        if view is None or record is None:
            abort(404)
        opens = view.allows("show") and view.scope.find(number) is not None
        return render_template(
            "security/who_sees.html",
            title=_("Who can see this record"),
            # Whoever may not open the record learns nothing of what stands in it.
            record=f"{record_kind(table)} · {record}" if opens else f"{record_kind(table)} {record.id}",
            record_url=view.show_url(record) if opens else None,
            sights=who_sees(view, record, views_by_table().get),
            view=self,
            appbuilder=self.appbuilder,
            base_template=self.appbuilder.base_template,
        )


def who_sees_url(table: str, pk: int | None) -> str | None:
    """Where it says who can see this record; None for those who may not know, and for what has no screen."""
    if pk is None or not may("can_show", "RecordAccess") or table not in views_by_table():
        return None
    return url_for("RecordAccessView.show", table=table, pk=pk)
