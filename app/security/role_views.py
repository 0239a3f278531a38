"""角色与权限: who may do what, as a table of check boxes."""

from __future__ import annotations

from typing import Any

from flask import flash, g, redirect, request, url_for
from flask_appbuilder import expose
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_appbuilder.security.decorators import has_access
from flask_appbuilder.security.sqla.models import Role
from flask_babel import lazy_gettext as _l
from markupsafe import Markup
from sqlalchemy.orm import joinedload

from app.core.scope import may
from app.core.sentences import gettext as _
from app.core.views import CrmView
from app.security import operations, queries
from app.security.access import AllRoles
from app.security.attempts import STALE, attempt, me
from app.security.forms import RoleForm
from app.security.labels import COLUMNS
from app.security.models import RoleProfile
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
        return {**super().frame(), "columns_of_rights": COLUMNS}

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
        held = operations.rights_of_role(record)
        return {**page, "all_rights": queries.rights_table(), "held": held}

    def make_form(self, columns: list[str], record: Any = None) -> Any:
        if record is None:
            form = RoleForm()
        else:
            profile = record.profile
            form = RoleForm(
                label_zh=profile.label_zh if profile else record.name,
                label_en=profile.label_en if profile else record.name,
                active=profile.active if profile else True,
                rights=operations.rights_of_role(record),
            )
            if request.method == "GET" and not form.kept:
                form.stamp.data = operations.stamp_of_role(record)
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
        return operations.holds_role(me(), record) and not operations.is_super_admin(me())

    @expose("/add", methods=["GET", "POST"])
    @has_access
    def add(self) -> Any:
        form = self.make_form(self.add_columns)
        made: list[Role] = []

        def create() -> None:
            made.append(
                operations.create_role(
                    actor=me(), label_zh=form.label_zh.data, label_en=form.label_en.data, active=form.active.data,
                    rights=form.rights.data,
                )
            )  # fmt: skip

        if (
            request.method == "POST"
            and form.validate()
            and not attempt(form, create, about=("ab_role", None, "create"))
        ):
            flash(_("Saved: %(record)s", record=str(made[0])), "success")
            return redirect(self.after_save(made[0]))
        return self._form_page(form, self.add_title, None)

    def save(self, form: Any, record: Any, action: str) -> bool:
        if form.stamp.data != operations.stamp_of_role(record):
            form.refuse(str(STALE))
            form.stamp.raw_data, form.stamp.data = None, operations.stamp_of_role(record)
            return False
        shown = {(p, s.view) for _g, screens in g.rights_table for s in screens for p in _permissions_of(s)}

        def change() -> None:
            rights = None
            if "rights" in form:  # what the page does not show (screens that are gone) stays as it is
                rights = form.rights.data | (operations.rights_of_role(record) - shown)
            operations.change_role(
                record, actor=me(), label_zh=form.label_zh.data, label_en=form.label_en.data,
                active=form.active.data if "active" in form else _is_active(record), rights=rights,
            )  # fmt: skip

        return not attempt(form, change, about=("ab_role", record.id, action))

    def may_delete(self, record: Any) -> bool:
        return operations.why_not_delete_role(record) is None

    def why_not_delete(self, record: Any) -> str:
        return operations.why_not_delete_role(record) or ""

    def delete_record(self, record: Any) -> None:
        operations.delete_role(record)


def _permissions_of(screen: queries.Screen) -> list[str]:
    return [p for p, there in screen.common.items() if there] + [p for p, _label in screen.others]


def _is_active(role: Role) -> bool:
    profile: RoleProfile | None = role.profile
    return profile is None or profile.active
