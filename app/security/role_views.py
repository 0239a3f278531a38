"""角色与权限: who may do what, as a table of check boxes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import flash, g, redirect, render_template, request, url_for
from flask_appbuilder import expose
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_appbuilder.security.decorators import has_access
from flask_appbuilder.security.sqla.models import Role
from flask_babel import lazy_gettext as _l
from markupsafe import Markup
from sqlalchemy.orm import joinedload

from app.core.format import cell, listed, yes_no
from app.core.history import field_label
from app.core.protected import KINDS, rights_on
from app.core.scope import may
from app.core.sentences import gettext as _
from app.core.sentences import ngettext
from app.core.stale import beside
from app.core.submissions import leads_to
from app.core.views import CrmView
from app.security import queries, role_operations
from app.security.access import AllRoles
from app.security.attempts import STALE, attempt, me, open_on
from app.security.forms import RoleForm
from app.security.granting import is_super_admin
from app.security.labels import COLUMNS, EVERYBODYS, SEE, VIEW_LABELS, right_label, view_label
from app.security.models import RoleProfile
from app.security.rights import rights_of, rights_of_role
from app.security.roles import SUPER_ADMIN


class RoleView(CrmView):
    """角色: labels in both languages, active or not, and a table of rights anybody can read."""

    datamodel = SQLAInterface(Role)
    scope = AllRoles
    class_permission_name = "Role"
    route_base = "/roles"
    list_title = _l("Roles and rights")
    show_title = _l("Role")
    add_title = _l("New role")
    edit_title = _l("Edit role")
    note_text = _l("A change takes effect with the next page the people concerned open.")
    exclude_route_methods = {"download", "action", "action_post", "lookup"}
    fresh_password = frozenset({"add", "edit", "delete"})
    label_columns = {
        "label_zh": _l("Name in Chinese"),
        "label_en": _l("Name in English"),
        "active": _l("Enabled"),
        "profile.label_zh": _l("Name in Chinese"),
        "profile.label_en": _l("Name in English"),
        "profile.active": _l("Enabled"),
        "people": _l("People"),
        "rights": _l("Rights"),
    }
    list_columns = ["profile.label_zh", "profile.label_en", "profile.active", "people"]
    show_columns = ["profile.label_zh", "profile.label_en", "profile.active", "people"]
    add_columns = edit_columns = ["label_zh", "label_en", "active"]
    search_columns: list[str] = []
    order_columns: list[str] = []
    base_order = ("id", "asc")
    numeric_columns = frozenset({"people"})
    show_template = "security/role.html"
    add_template = edit_template = "security/role_form.html"

    def _loads(self, columns: list[str]) -> list[Any]:
        return [joinedload(Role.profile)]

    def frame(self) -> dict[str, Any]:
        return {
            **super().frame(),
            "columns_of_rights": COLUMNS,
            "see_labels": SEE,
            "everybodys": EVERYBODYS,
            "mine": g.get("mine"),
        }

    def cell(self, record: Any, name: str) -> Any:
        if name == "people":
            if "people_by_role" not in g:
                g.people_by_role = queries.people_by_role()
            number = g.people_by_role.get(record.id, 0)
            if number and may("can_list", "User"):
                return Markup('<a href="{}">{}</a>').format(url_for("UserView.list", role=record.id), number)
            return number
        return super().cell(record, name)

    def show_page(self, record: Any) -> dict[str, Any]:
        page = super().show_page(record)
        return {
            **page,
            "all_rights": queries.rights_table(),
            "held": rights_of_role(record),
            "roles": queries.all_roles(),
            "people": queries.people_by_role(),
            "log_url": url_for("AuditEntryView.list", record="ab_role") if may("can_list", "AuditEntry") else None,
        }

    def make_form(self, columns: list[str], record: Any = None) -> Any:
        if record is None:
            form = RoleForm()
        else:
            profile = record.profile
            form = RoleForm(
                label_zh=profile.label_zh if profile else record.name,
                label_en=profile.label_en if profile else record.name,
                active=profile.active if profile else True,
                rights=rights_of_role(record),
            )
            if request.method == "GET" and not form.kept:
                open_on(form, record, role_operations.stamp_of_role(record))
        if self.rights_are_fixed(record):
            del form.rights, form.active
        g.rights_table = queries.rights_table()
        return form

    @staticmethod
    def rights_are_fixed(record: Any) -> bool:
        """Super admin holds every right and stays active; one's own role is changed by somebody else."""
        if record is None:
            return False
        profile = record.profile
        if profile is not None and profile.code == SUPER_ADMIN:
            return True
        return role_operations.holds_role(me(), record) and not is_super_admin(me())

    @expose("/add", methods=["GET", "POST"])
    @has_access
    def add(self) -> Any:
        form = self.make_form(self.add_columns)
        made: list[Role] = []

        def create() -> None:
            made.append(
                role_operations.create_role(
                    actor=me(), label_zh=form.label_zh.data, label_en=form.label_en.data, active=form.active.data,
                    rights=form.rights.data,
                )
            )  # fmt: skip
            leads_to(self.after_save(made[0]))

        if (
            request.method == "POST"
            and form.validate()
            and not attempt(form, create, about=("ab_role", None, "create"))
        ):
            flash(_("Saved: %(record)s", record=str(made[0])), "success")
            return redirect(self.after_save(made[0]))
        return self._form_page(form, self.add_title, None)

    def save(self, form: Any, record: Any, action: str) -> bool:
        if form.stamp.data != role_operations.stamp_of_role(record):
            form.refuse(str(STALE))
            g.versus = beside(record, self._both(form, record), form.seen.data)
            open_on(form, record, role_operations.stamp_of_role(record))
            return False
        rights = self.rights_asked_for(form, record)
        active = form.active.data if "active" in form else _is_active(record)
        if "back" in request.form:
            return False
        if "confirmed" not in request.form:
            g.preview = self.preview(record, rights, active)
            if g.preview is not None:
                return False

        def change() -> None:
            role_operations.change_role(
                record, actor=me(), label_zh=form.label_zh.data, label_en=form.label_en.data, active=active,
                rights=rights,
            )  # fmt: skip

        return not attempt(form, change, about=("ab_role", record.id, action))

    def _both(self, form: Any, record: Role) -> Iterator[tuple[str, Any, Any, Any]]:
        """(field, label, what the role says now, what was typed): names, whether it is enabled, rights that differ."""
        profile = record.profile
        for name in ("label_zh", "label_en"):
            yield name, self.label_columns[name], getattr(profile, name, record.name), form[name].data
        if "active" in form:
            yield "active", self.label_columns["active"], cell(_is_active(record)), cell(form.active.data)
        held = rights_of_role(record)
        asked = self.rights_asked_for(form, record)
        for right in sorted(held ^ (held if asked is None else asked), key=_place):
            field, held_now = " ".join(right), right in held
            yield field, field_label(self, field), yes_no(held_now), yes_no(not held_now)

    @staticmethod
    def rights_asked_for(form: Any, record: Role) -> set[tuple[str, str]] | None:
        """What the table says; None where it is not the reader's to change.

        What it does not show (screens that are gone) stays as it is; so does the right to see one's own where
        everybody's was chosen, of which it is a part.
        """
        if "rights" not in form:
            return None
        held: set[tuple[str, str]] = rights_of_role(record)
        shown = {(p, s.view) for _g, screens in g.rights_table for s in screens for p in s.permissions}
        asked: set[tuple[str, str]] = form.rights.data
        parts = {(own, view) for own, of_any in map(rights_on, KINDS) for right, view in asked if right == of_any}
        return asked | (held - shown) | (held & parts)

    def preview(self, role: Role, rights: set[tuple[str, str]] | None, active: bool) -> dict[str, Any] | None:
        """What a change of a role's rights means, and for whom; None when nothing of that changes."""
        held, was_active = rights_of_role(role), _is_active(role)
        wanted = held if rights is None else rights
        if wanted == held and active == was_active:
            return None
        changed = sorted(wanted ^ held, key=_place)
        people = queries.concerned_by(role.id, held if was_active else set(), wanted if active else set())
        state = None
        if active != was_active:
            state = _("The role is enabled.") if active else _("The role is disabled: it grants nothing any more.")
        return {
            "record": str(role),
            "state": state,
            "changes": [(view_label(v), right_label(p, v), (p, v) in wanted) for p, v in changed],
            "number": len(changed) + (active != was_active),
            "people": [(c.user.get_full_name(), c.user.username, _effect(c)) for c in people],
            "affected": sum(1 for c in people if c.gains or c.loses),
            "carried": [
                (name, value)
                for name, values in request.form.lists()
                if name not in ("csrf_token", "confirmed", "back")
                for value in values
            ],
        }

    def _form_page(self, form: Any, title: Any, record: Any) -> Any:
        g.mine = None if is_super_admin(me()) else rights_of(me().id)
        preview = g.get("preview")
        if preview is not None and not form.errors:
            return render_template(
                "security/role_preview.html", title=_("Look before you save"), **preview, **self.frame()
            )
        page, status = super()._form_page(form, title, record)
        return page, 200 if "back" in request.form and not form.errors else status

    def may_delete(self, record: Any) -> bool:
        return role_operations.why_not_delete_role(record) is None

    def why_not_delete(self, record: Any) -> str:
        return role_operations.why_not_delete_role(record) or ""

    def delete_record(self, record: Any) -> None:
        role_operations.delete_role(record)


def _is_active(role: Role) -> bool:
    profile: RoleProfile | None = role.profile
    return profile is None or profile.active


def _place(right: tuple[str, str]) -> tuple[int, str]:
    """Rights in the order of the screens on the page."""
    permission, view = right
    views = list(VIEW_LABELS)
    return (views.index(view) if view in VIEW_LABELS else len(views), permission)


def _effect(concerned: queries.Concerned) -> str:
    """What a change means for one person, in words."""
    gains = ngettext("gains %(num)d right", "gains %(num)d rights", concerned.gains) if concerned.gains else ""
    loses = ngettext("loses %(num)d right", "loses %(num)d rights", concerned.loses) if concerned.loses else ""
    return listed(part for part in (gains, loses) if part) or _("Nothing: another role gives the same.")
