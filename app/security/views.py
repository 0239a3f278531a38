"""The administrators' screens: users, roles and rights, teams, the change log and the login log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from flask import current_app, flash, g, redirect, render_template, request, url_for
from flask_appbuilder import expose
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_appbuilder.security.decorators import has_access
from flask_appbuilder.security.sqla.models import Role, User, assoc_user_role
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from markupsafe import Markup
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload, selectinload

from app.core.errors import BusinessError, NotYours
from app.core.format import NOTHING, listed, when
from app.core.history import ACTIONS
from app.core.lifecycle import note_refusal
from app.core.models import AuditEntry
from app.core.nav import add as add_to_menu
from app.core.scope import may, scope_for
from app.core.search import Active, Control
from app.core.text import clean, like
from app.core.unit import unit_of_work
from app.core.views import CrmView, ReadOnlyView
from app.extensions import db
from app.security import changes, door, operations, queries, throttle
from app.security.access import SEARCHED_NAMES, AllRoles, AllTeams, AllUsers, all_users
from app.security.account_views import PreferencesView, ProfileView
from app.security.forms import AccountForm, NewAccountForm, ResetPasswordForm, RoleForm
from app.security.labels import COLUMNS, view_label
from app.security.login_views import CrmAuthView
from app.security.models import LoginEntry, RoleProfile, Team, UserProfile
from app.security.roles import SUPER_ADMIN

STALE = _l("Somebody changed this record meanwhile. Your text is kept; compare, then save again.")


@dataclass(frozen=True)
class Move:
    """A button of a record's page, and the page behind it."""

    name: str
    label: Any
    icon: str
    tone: str = "quiet"


def attempt(form: Any, work: Callable[[], Any], *, about: tuple[str, int | None, str]) -> int:
    """Do `work` in one unit of work. 0 when it is done, else the status of the page that says why not.

    A refusal stands on the form, and in the history of `about` (table, id, action).
    """
    try:
        with unit_of_work():
            work()
    except BusinessError as refusal:
        form.refuse(str(refusal), getattr(refusal, "field", None))
        if not isinstance(refusal, operations.Mistake):
            record_type, record_id, action = about
            note_refusal(record_type, record_id, action, actor_id=g.user.id, before=None, why=str(refusal))
        return 403 if isinstance(refusal, NotYours) else 409
    except IntegrityError:
        form.refuse(_("There is already such a record."))
        return 409
    return 0


def me() -> Any:
    """The signed-in person."""
    return g.user._get_current_object()


class UserView(CrmView):
    """用户. Accounts are disabled, never deleted."""

    datamodel = SQLAInterface(User)
    scope = AllUsers
    class_permission_name = "User"
    route_base = "/users"
    list_title = _l("Users")
    show_title = _l("User")
    add_title = _l("New user")
    edit_title = _l("Edit user")
    exclude_route_methods = {"download", "action", "action_post", "delete", "lookup"}
    label_columns = {
        "full_name": _l("Full name"),
        "last_name": _l("Family name"),
        "first_name": _l("Given name"),
        "username": _l("Account"),
        "password": _l("First password"),
        "email": _l("E-mail"),
        "phone": _l("Phone"),
        "team": _l("Team"),
        "profile.phone": _l("Phone"),
        "profile.team": _l("Team"),
        "roles": _l("Roles"),
        "active": _l("Enabled"),
        "seen": _l("Last seen"),
    }
    list_columns = ["full_name", "username", "roles", "profile.team", "active", "seen"]
    show_columns = ["username", "email", "profile.phone", "profile.team", "roles", "active", "seen"]
    add_columns = ["username", "password", "last_name", "first_name", "email", "phone", "team", "roles"]
    edit_columns = ["last_name", "first_name", "email", "phone", "team", "roles", "active"]
    search_columns = ["active"]
    order_columns = ["username"]
    base_order = ("username", "asc")
    show_template = "security/user.html"

    # -- list -----------------------------------------------------------------------------------------------

    def list_page(self) -> dict[str, Any]:
        page = super().list_page()
        search, roles = page["search"], {str(role.id): str(role) for role in _roles()}
        name, role = _asked("name"), _asked("role")
        search.controls.insert(0, Control("name", _("Full name"), "text", name))
        search.controls.append(Control("role", _("Role"), "select", role, options=list(roles.items())))
        if name:
            search.active.insert(0, Active(_("Full name"), name, "name"))
        if role:
            search.active.append(Active(_("Role"), roles.get(role, role), "role"))
        g.last_seen = queries.last_seen([row.id for row in page["rows"]])
        return page

    def extra_criteria(self) -> list[Any]:
        criteria = []
        if name := _asked("name"):
            wanted = like(name.lower())
            criteria.append(sa.or_(*(sa.func.lower(c).like(wanted, escape="\\") for c in SEARCHED_NAMES)))
        if role := _asked("role"):
            held = sa.select(assoc_user_role.c.user_id).where(assoc_user_role.c.role_id == _number(role))
            criteria.append(User.id.in_(held))
        return criteria

    def _loads(self, columns: list[str]) -> list[Any]:
        return [
            selectinload(User.profile).joinedload(UserProfile.team),
            selectinload(User.roles).joinedload(Role.profile),
        ]

    def cell(self, record: Any, name: str) -> Any:
        if name == "full_name":
            return record.get_full_name()
        if name == "roles":
            return listed(record.roles) or NOTHING
        if name == "seen":
            return when(g.last_seen.get(record.id))
        return super().cell(record, name)

    # -- record ---------------------------------------------------------------------------------------------

    def show_page(self, record: Any) -> dict[str, Any]:
        g.last_seen = queries.last_seen([record.id])
        page = super().show_page(record)
        page["steps"] = self.moves(record)
        page["sessions"] = queries.recent_sessions(record.id, 5) if self.allows("end_sessions") else None
        return page

    def moves(self, record: Any) -> list[Move]:
        """What may be done with this account beside editing it."""
        found = []
        if self.may_edit(record):
            if self.allows("reset_password"):
                found.append(RESET_PASSWORD)
            if self.allows("end_sessions"):
                found.append(END_SESSIONS)
        return found

    def may_edit(self, record: Any) -> bool:
        return operations.may_change_account(me(), record)

    def why_not_edit(self, record: Any) -> str:
        return _("Only a super admin may change the account of a super admin.")

    # -- new and edit ---------------------------------------------------------------------------------------

    def make_form(self, columns: list[str], record: Any = None) -> Any:
        if record is None:
            return NewAccountForm()
        profile = record.profile
        form = AccountForm(obj=record, phone=profile.phone if profile else None, team=profile.team if profile else None)
        if request.method == "GET" and not form.kept:
            form.stamp.data = operations.stamp_of_user(record)
        if record.id == g.user.id:  # nobody changes his own roles or disables himself
            del form.roles, form.active
        return form

    @expose("/add", methods=["GET", "POST"])
    @has_access
    def add(self) -> Any:
        form = self.make_form(self.add_columns)
        made: list[User] = []

        def create() -> None:
            made.append(
                operations.create_user(
                    actor=me(), account=form.username.data, last_name=form.last_name.data,
                    first_name=form.first_name.data, email=form.email.data, roles=form.roles.data,
                    password=form.password.data, phone=form.phone.data, team=form.team.data,
                )
            )  # fmt: skip

        if (
            request.method == "POST"
            and form.validate()
            and not attempt(form, create, about=("ab_user", None, "create"))
        ):
            flash(_("Saved: %(record)s", record=str(made[0])), "success")
            return redirect(self.after_save(made[0]))
        return self._form_page(form, self.add_title, None)

    def save(self, form: Any, record: Any, action: str) -> bool:
        if form.stamp.data != operations.stamp_of_user(record):
            form.refuse(str(STALE))
            form.stamp.raw_data, form.stamp.data = None, operations.stamp_of_user(record)
            return False

        def change() -> None:
            operations.change_user(
                record, actor=me(), last_name=form.last_name.data, first_name=form.first_name.data,
                email=form.email.data, phone=form.phone.data, team=form.team.data,
                active=form.active.data if "active" in form else bool(record.active),
                roles=form.roles.data if "roles" in form else record.roles,
            )  # fmt: skip

        return not attempt(form, change, about=("ab_user", record.id, action))

    # -- steps ----------------------------------------------------------------------------------------------

    @expose("/reset_password/<pk>", methods=["GET", "POST"])
    @has_access
    def reset_password(self, pk: Any) -> Any:
        user, form = self.load(pk), ResetPasswordForm()
        return self._move(
            RESET_PASSWORD, user, form,
            lambda: operations.reset_password(user, form.password.data, actor=me()),
            done=_("The password is changed. Every session of this account has ended."),
        )  # fmt: skip

    @expose("/end_sessions/<pk>", methods=["GET", "POST"])
    @has_access
    def end_sessions(self, pk: Any) -> Any:
        from app.core.forms import CrmForm

        user = self.load(pk)
        return self._move(
            END_SESSIONS, user, CrmForm(), lambda: operations.end_sessions(user, actor=me()),
            done=_("Every session of this account has ended."),
        )  # fmt: skip

    def _move(self, move: Move, user: Any, form: Any, work: Callable[[], None], *, done: str) -> Any:
        status, pk = 200, user.id
        if request.method == "POST":
            status = attempt(form, work, about=("ab_user", pk, move.name)) if form.validate() else 422
            if not status:
                flash(done, "success")
                return redirect(self.show_url(user) or url_for("UserView.list"))
        g.last_seen = queries.last_seen([pk])
        page = render_template(
            "crm/step.html",
            title=move.label,
            step=move,
            record=user,
            form=form,
            facts=[(self.label_columns[c], self.cell(user, c)) for c in self.list_columns],
            back_url=self.show_url(user) or url_for("UserView.list"),
            **self.frame(),
        )
        return page, status


RESET_PASSWORD = Move("reset_password", _l("Reset password"), "key")
END_SESSIONS = Move("end_sessions", _l("End sessions"), "logout", "danger")


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


class TeamView(CrmView):
    """团队."""

    datamodel = SQLAInterface(Team)
    scope = AllTeams
    class_permission_name = "Team"
    route_base = "/teams"
    list_title = _l("Teams")
    show_title = _l("Team")
    add_title = _l("New team")
    edit_title = _l("Edit team")
    label_columns = {
        "name": _l("Name"),
        "lead": _l("Team lead"),
        "parent": _l("Part of"),
        "people": _l("People"),
        "members": _l("Members"),
    }
    list_columns = ["name", "lead", "parent", "people"]
    show_columns = ["name", "lead", "parent", "members"]
    add_columns = edit_columns = ["name", "lead", "parent"]
    search_columns = ["name", "lead"]
    order_columns = ["name"]
    base_order = ("name", "asc")
    numeric_columns = frozenset({"people"})

    def cell(self, record: Any, name: str) -> Any:
        if name == "people":
            if "people_by_team" not in g:
                g.people_by_team = queries.people_by_team()
            return g.people_by_team.get(record.id, 0)
        if name == "members":
            return listed(person.get_full_name() for person in queries.members_of(record)) or NOTHING
        return super().cell(record, name)

    def create_record(self, record: Any) -> None:
        operations.check_team(record)
        db.session.add(record)

    def change_record(self, record: Any) -> None:
        operations.check_team(record)


class AuditEntryView(ReadOnlyView):
    """变更记录: who did what to which record. What was written there is shown only to who may open that record."""

    datamodel = SQLAInterface(AuditEntry)
    scope = scope_for(AuditEntry)
    class_permission_name = "AuditEntry"
    route_base = "/audit"
    list_title = _l("Change log")
    show_title = _l("Entry of the change log")
    label_columns = {
        "at": _l("When"),
        "actor": _l("Who"),
        "record": _l("Record"),
        "action": _l("Action"),
        "outcome": _l("Outcome"),
        "ip": _l("From address"),
    }
    list_columns = ["at", "actor", "record", "action", "outcome"]
    show_columns = ["at", "actor", "record", "action", "outcome", "ip"]
    search_columns = ["at", "actor", "outcome"]
    order_columns = ["at"]
    base_order = ("at", "desc")
    choices = {"actor": all_users}
    show_template = "security/audit_entry.html"

    def list_page(self) -> dict[str, Any]:
        page = super().list_page()
        kinds = {kind: str(record_kind(kind)) for kind in sorted(views_by_table())}
        kind = _asked("record")
        page["search"].controls.append(Control("record", _("Record"), "select", kind, options=list(kinds.items())))
        if kind:
            page["search"].active.append(Active(_("Record"), kinds.get(kind, kind), "record"))
        return page

    def extra_criteria(self) -> list[Any]:
        kind = _asked("record")
        return [AuditEntry.record_type == kind] if kind else []

    def cell(self, record: Any, name: str) -> Any:
        if name == "actor" and record.actor is None:
            return _("The system")
        if name == "record":
            return f"{record_kind(record.record_type)} {record.record_id or ''}".strip()
        if name == "action":
            words = ACTIONS.get(f"{record.record_type}.{record.action}") or ACTIONS.get(record.action)
            return words[0] if words else record.action
        return super().cell(record, name)

    def show_page(self, record: Any) -> dict[str, Any]:
        page = super().show_page(record)
        page["title"] = _("Entry of the change log")
        page["opens"] = view = self._view_of(record)
        page["changes"] = changes.told(view, record.changes) if view else []
        page["record_url"] = view.show_url(view.scope.find(record.record_id)) if view else None
        return page

    def _view_of(self, entry: Any) -> Any:
        """The screen of the entry's record if the reader may open that very record, else None."""
        view = views_by_table().get(entry.record_type)
        if view is None or not view.allows("show") or view.scope.find(entry.record_id) is None:
            return None
        return view


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
    show_columns: list[str] = []
    search_columns = ["at", "account", "user", "result"]
    order_columns = ["at"]
    base_order = ("at", "desc")
    choices = {"user": all_users}


def views_by_table() -> dict[str, Any]:
    """Table name -> the screen of its records."""
    views = [view for view in current_app.appbuilder.baseviews if isinstance(view, CrmView)]  # type: ignore[attr-defined]
    return {view.datamodel.obj.__tablename__: view for view in reversed(views)}


def record_kind(table: str) -> Any:
    """What people call the records of a table."""
    view = views_by_table().get(table)
    return (view.show_title or view_label(view.class_permission_name)) if view is not None else table


def _roles() -> list[Role]:
    return list(db.session.execute(sa.select(Role).options(joinedload(Role.profile)).order_by(Role.id)).scalars())


def _asked(name: str) -> str:
    return clean(request.args.get(name, "")[:200]) or ""


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def register_security_views(manager: Any) -> None:
    """Register the pages FAB needs by name, and nothing of FAB's own."""
    appbuilder = manager.appbuilder
    manager.auth_view = appbuilder.add_view_no_menu(CrmAuthView)
    profile = appbuilder.add_view_no_menu(ProfileView)
    appbuilder.add_view_no_menu(PreferencesView)
    throttle.install(manager.limiter, manager.auth_view, profile)
    door.install(current_app)


def register_admin_views(appbuilder: Any) -> None:
    """The screens of the menu group System."""
    add_to_menu(appbuilder, UserView, group="system", icon="users", label=_l("Users"))
    add_to_menu(appbuilder, RoleView, group="system", icon="shield-lock", label=_l("Roles and rights"))
    add_to_menu(appbuilder, TeamView, group="system", icon="users-group", label=_l("Teams"))
    add_to_menu(appbuilder, AuditEntryView, group="system", icon="history", label=_l("Change log"))
    add_to_menu(appbuilder, LoginEntryView, group="system", icon="key", label=_l("Login log"))
