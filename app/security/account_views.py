"""What everybody may do with his own account: look at it, change phone and password, choose language and theme."""

from __future__ import annotations

from typing import Any

from flask import current_app, flash, g, redirect, render_template, request, session, url_for
from flask_appbuilder import BaseView, expose
from flask_babel import gettext as _
from flask_login import current_user

from app.core.errors import BusinessError
from app.core.unit import unit_of_work
from app.security import door, operations, queries, throttle
from app.security.forms import OwnPasswordForm, PhoneForm
from app.security.manager import token_of_request

CHOICES = {"language": "locale", "theme": "theme"}
"""Preference -> where a browser keeps it."""


class ProfileView(BaseView):
    """One's own account. No right is needed, only to be signed in."""

    route_base = "/profile"
    default_view = "show"
    for_everyone = True

    @expose("/", methods=["GET"])
    def show(self) -> Any:
        user = _me()
        return self._page(
            "security/profile.html",
            title=_("Profile"),
            user=user,
            profile=user.profile,
            roles=[str(role) for role in user.roles],
            history=queries.recent_sessions(user.id),
            this=g.get("sign_in"),
        )

    @expose("/phone", methods=["GET", "POST"])
    def phone(self) -> Any:
        user = _me()
        form = PhoneForm(obj=user.profile)
        if request.method == "POST" and form.validate():
            with unit_of_work():
                operations.change_own_phone(user, form.phone.data)
            flash(_("Your phone number is saved."), "success")
            return redirect(url_for("ProfileView.show"))
        return self._form(form, _("Change phone"), _("Save phone"))

    @expose("/password", methods=["GET", "POST"])
    def password(self) -> Any:
        form = OwnPasswordForm()
        if request.method == "POST" and form.validate():
            try:
                with unit_of_work():
                    token = operations.change_own_password(
                        _me(), current=form.current.data, new=form.new.data, token=token_of_request() or ""
                    )
            except BusinessError as refusal:
                throttle.count_this()
                form.refuse(str(refusal), getattr(refusal, "field", "new"))
            else:
                session["_user_id"] = token
                flash(_("Your password is changed. Other devices were signed out."), "success")
                return redirect(url_for("ProfileView.show"))
        return self._form(form, _("Change password"), _("Change password"))

    def _form(self, form: Any, title: str, verb: str) -> Any:
        page = self._page(
            "security/own_form.html", title=title, verb=verb, form=form, back_url=url_for("ProfileView.show")
        )
        return page, (200 if request.method == "GET" else 422)

    def _page(self, template: str, **given: Any) -> str:
        return render_template(
            template, view=self, appbuilder=self.appbuilder, base_template=self.appbuilder.base_template, **given
        )


class PreferencesView(BaseView):
    """Language and theme: kept with the account when signed in, else in this browser."""

    route_base = "/preferences"
    default_view = "language"
    for_everyone = True

    @expose("/language", methods=["POST"])
    @door.open_to_all
    def language(self) -> Any:
        return self._choose("language")

    @expose("/theme", methods=["POST"])
    @door.open_to_all
    def theme(self) -> Any:
        return self._choose("theme")

    @staticmethod
    def _choose(name: str) -> Any:
        """Keep a known value; anything else changes nothing. Back to the page it was chosen on."""
        known = current_app.config["LANGUAGES"] if name == "language" else ("light", "dark")
        value = request.form.get(name)
        if value in known:
            session[CHOICES[name]] = value
            if current_user.is_authenticated:
                with unit_of_work():
                    setattr(operations.profile_of(_me()), name, value)
        return redirect(door.own_page(request.form.get("next"), login=True) or door.home())


def _me() -> Any:
    return current_user._get_current_object()
