"""Pages of accounts: signing in and out, one's own profile, users, roles, teams, logs."""

from __future__ import annotations

from typing import Any

from flask import current_app, flash, g, redirect, render_template, request, session, url_for
from flask_appbuilder import BaseView, expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import PasswordField, StringField

from app.core.forms import CrmForm
from app.security import sessions
from app.security.manager import token_of_request
from app.security.models import LoginResult


class LoginForm(CrmForm):
    username = StringField(_l("Username"))
    password = PasswordField(_l("Password"))


class CrmAuthView(BaseView):
    """Signing in and out."""

    route_base = ""
    class_permission_name = "Auth"

    @expose("/login/", methods=["GET", "POST"])
    def login(self) -> Any:
        form = LoginForm()
        if request.method == "POST" and form.validate():
            user = self.appbuilder.sm.verify(form.username.data, form.password.data)
            if user is None:
                form.refuse(_("Wrong username or password."))
            else:
                token = sessions.start(
                    user.id, remember=False, ip=request.remote_addr, user_agent=request.user_agent.string
                )
                session.clear()
                session["_user_id"] = token
                sessions.note_login(user.username, LoginResult.success, user_id=user.id, ip=request.remote_addr)
                return redirect(url_for(self.appbuilder.indexview.__name__ + ".index"))
        return render_template(
            "appbuilder/general/security/login_db.html", form=form, title=_("Sign in"), appbuilder=self.appbuilder
        )

    @expose("/logout/", methods=["POST"])
    def logout(self) -> Any:
        token = token_of_request()
        if token:
            sessions.end(token, "logout")
        session.clear()
        return redirect(url_for("CrmAuthView.login"))


def register_security_views(manager: Any) -> None:
    """Register the pages FAB needs by name, and nothing of FAB's own."""
    appbuilder = manager.appbuilder
    manager.auth_view = appbuilder.add_view_no_menu(CrmAuthView)


