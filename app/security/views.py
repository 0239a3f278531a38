"""The screens of users and teams, and what of the accounts' domain stands in the menu."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from flask import current_app, flash, g, redirect, render_template, request, url_for
from flask_appbuilder import expose
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_appbuilder.security.decorators import has_access
from flask_appbuilder.security.sqla.models import Role, User, assoc_user_role
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import selectinload

from app.core.format import NOTHING, cell, listed, when
from app.core.forms import CrmForm
from app.core.nav import add as add_to_menu
from app.core.scope import may
from app.core.search import Active, Control
from app.core.sentences import gettext as _
from app.core.stale import beside
from app.core.text import like
from app.core.views import CrmView
from app.extensions import db
from app.security import door, fresh, operations, queries, second_factor, throttle
from app.security.access import SEARCHED_NAMES, AllTeams, AllUsers
from app.security.account_views import PreferencesView, ProfileSecondFactorView, ProfileView
from app.security.attempts import STALE, asked, attempt, me, open_on
from app.security.bulk_views import BulkChangeView
from app.security.forms import AccountForm, NewAccountForm, ResetPasswordForm
from app.security.granting import may_change_account
from app.security.log_views import (
    AuditEntryView,
    FieldChangeView,
    LoginEntryView,
    RecordAccessView,
    SessionView,
    who_sees_url,
)
from app.security.login_views import CrmAuthView, PasswordView
from app.security.models import Team, UserProfile
from app.security.personal_views import PersonalDataView
from app.security.recycle_views import RecycleBinView
from app.security.role_views import RoleView


@dataclass(frozen=True)
class Move:
    """A button of a record's page, and the page behind it."""

    name: str
    label: Any
    icon: str
    tone: str = "quiet"


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
    extra_rights = ("can_give_any_role",)
    fresh_password = frozenset({"add", "edit", "reset_password", "reset_second_factor", "end_sessions"})
    fresh_password_first = frozenset({"add", "reset_password"})  # a new password typed there is never kept
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
        search, roles = page["search"], {str(role.id): str(role) for role in queries.all_roles()}
        name, role = asked("name"), asked("role")
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
        if name := asked("name"):
            wanted = like(name.lower())
            criteria.append(sa.or_(*(sa.func.lower(c).like(wanted, escape="\\") for c in SEARCHED_NAMES)))
        if role := asked("role"):
            held = sa.select(assoc_user_role.c.user_id).where(assoc_user_role.c.role_id == _number(role))
            criteria.append(User.id.in_(held))
        return criteria

    def protects(self, name: str) -> str | None:
        """The number is a column of the profile; the history and the forms call it `phone`."""
        return super().protects("profile.phone" if name == "phone" else name)

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
        page["logins"] = queries.recent_logins(record.id) if may("can_list", "LoginEntry") else None
        return page

    def moves(self, record: Any) -> list[Move]:
        """What may be done with this account beside editing it."""
        found = []
        if self.may_edit(record):
            if self.allows("reset_password"):
                found.append(RESET_PASSWORD)
            if self.allows("reset_second_factor") and second_factor.is_on(record.id):
                found.append(RESET_SECOND_FACTOR)
            if self.allows("end_sessions"):
                found.append(END_SESSIONS)
        return found

    def may_edit(self, record: Any) -> bool:
        return may_change_account(me(), record)

    def why_not_edit(self, record: Any) -> str:
        return _("Only a super admin may change the account of a super admin.")

    # -- new and edit ---------------------------------------------------------------------------------------

    def make_form(self, columns: list[str], record: Any = None) -> Any:
        if record is None:
            return NewAccountForm()
        profile = record.profile
        form = AccountForm(obj=record, phone=profile.phone if profile else None, team=profile.team if profile else None)
        if request.method == "GET" and not form.kept:
            open_on(form, record, operations.stamp_of_user(record))
        if record.id == g.user.id:  # nobody changes his own roles or disables himself
            del form.roles, form.active
        if profile and profile.phone and not self.sees_field("phone", record):
            del form.phone
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
            g.versus = beside(record, self._both(form, record), form.seen.data)
            open_on(form, record, operations.stamp_of_user(record))
            return False

        def change() -> None:
            operations.change_user(
                record, actor=me(), last_name=form.last_name.data, first_name=form.first_name.data,
                email=form.email.data, team=form.team.data,
                phone=form.phone.data if "phone" in form else record.profile.phone,
                active=form.active.data if "active" in form else bool(record.active),
                roles=form.roles.data if "roles" in form else record.roles,
            )  # fmt: skip

        return not attempt(form, change, about=("ab_user", record.id, action))

    def _both(self, form: Any, record: Any) -> Iterator[tuple[str, Any, Any, Any]]:
        """(field, label, what the account says now, what was typed) of every field of the form."""
        for name in self.edit_columns:
            if name in form:
                of_profile = name in ("phone", "team")
                now = getattr(record.profile, name, None) if of_profile else self.cell(record, name)
                mine = form[name].data
                shown = listed(mine) or NOTHING if name == "roles" else cell(mine)
                field = "team_id" if name == "team" else name
                yield field, self.label_columns[name], cell(now) if of_profile else now, shown

    # -- steps ----------------------------------------------------------------------------------------------

    @expose("/reset_password/<pk>", methods=["GET", "POST"])
    @has_access
    def reset_password(self, pk: Any) -> Any:
        user, form = self.load(pk), ResetPasswordForm()
        return self._move(
            RESET_PASSWORD, user, form,
            lambda: operations.reset_password(user, form.password.data, actor=me()),
            done=_("The password is changed. Every session of this account has ended. At the next sign-in its person "
                   "chooses another one."),
        )  # fmt: skip

    @expose("/reset_second_factor/<pk>", methods=["GET", "POST"])
    @has_access
    def reset_second_factor(self, pk: Any) -> Any:
        user = self.load(pk)
        return self._move(
            RESET_SECOND_FACTOR, user, CrmForm(), lambda: operations.reset_second_factor(user, actor=me()),
            done=_("The second step is switched off. The password alone signs this account in."),
        )  # fmt: skip

    @expose("/end_sessions/<pk>", methods=["GET", "POST"])
    @has_access
    def end_sessions(self, pk: Any) -> Any:
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
RESET_SECOND_FACTOR = Move("reset_second_factor", _l("Switch off the second step"), "shield-lock", "danger")
END_SESSIONS = Move("end_sessions", _l("End sessions"), "logout", "danger")


class TeamView(CrmView):
    """团队."""

    # with LIUKE_CUSTOMERS_SHARED=team it says who sees whose customers
    fresh_password = frozenset({"add", "edit", "delete"})
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


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def register_security_views(manager: Any) -> None:
    """Register the pages FAB needs by name, and nothing of FAB's own."""
    appbuilder = manager.appbuilder
    manager.auth_view = appbuilder.add_view_no_menu(CrmAuthView)
    profile = appbuilder.add_view_no_menu(ProfileView)
    appbuilder.add_view_no_menu(PreferencesView)
    second = appbuilder.add_view_no_menu(ProfileSecondFactorView)
    throttle.install(manager.limiter, manager.auth_view, appbuilder.add_view_no_menu(PasswordView), profile, second)
    door.install(current_app)
    fresh.install(current_app)


def register_admin_views(appbuilder: Any) -> None:
    """The screens of the menu group System."""
    add_to_menu(appbuilder, UserView, group="system", icon="users", label=_l("Users"))
    add_to_menu(appbuilder, RoleView, group="system", icon="shield-lock", label=_l("Roles and rights"))
    add_to_menu(appbuilder, TeamView, group="system", icon="users-group", label=_l("Teams"))
    add_to_menu(appbuilder, AuditEntryView, group="system", icon="history", label=_l("Change log"))
    add_to_menu(appbuilder, SessionView, group="system", icon="user-check", label=_l("Who is signed in"))
    appbuilder.add_view_no_menu(FieldChangeView)
    add_to_menu(appbuilder, BulkChangeView, group="system", icon="list-check", label=_l("Bulk changes"))
    add_to_menu(appbuilder, RecycleBinView, group="system", icon="trash", label=_l("Recycle bin"))
    add_to_menu(appbuilder, PersonalDataView, group="system", icon="user-circle", label=_l("Personal data"))
    add_to_menu(appbuilder, LoginEntryView, group="system", icon="key", label=_l("Login log"))
    appbuilder.add_view_no_menu(RecordAccessView)
    current_app.jinja_env.globals["who_sees_url"] = who_sees_url
