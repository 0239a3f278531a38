"""What everybody may do with his own account: look at it, change phone and password, switch on a second step, choose
language and theme."""

from __future__ import annotations

from typing import Any

from flask import current_app, flash, g, redirect, render_template, request, session, url_for
from flask_appbuilder import BaseView, expose
from flask_babel import gettext as _
from flask_login import current_user

from app.core.clock import utcnow
from app.core.errors import BusinessError
from app.core.unit import unit_of_work
from app.security import door, operations, queries, second_factor, sessions, throttle
from app.security.forms import CodeForm, OwnPasswordForm, PhoneForm
from app.security.manager import token_of_request
from app.security.models import LoginResult

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
            logins=queries.recent_logins(user.id),
            second=second_factor.is_on(user.id),
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
        form, due = OwnPasswordForm(), door.owes_a_password()
        if request.method == "POST" and form.validate():
            try:
                with unit_of_work():
                    token = operations.change_own_password(
                        _me(), current=form.current.data, new=form.new.data, token=token_of_request() or ""
                    )
            except BusinessError as refusal:
                throttle.count_this()
                form.refuse(str(refusal), getattr(refusal, "field", "new"))
                if getattr(refusal, "field", None) == "current":
                    me = _me()
                    sessions.note_login(me.username, LoginResult.wrong, user_id=me.id, ip=request.remote_addr)
            else:
                session["_user_id"] = token
                flash(_("Your password is changed. Other devices were signed out."), "success")
                return redirect(door.home() if due else url_for("ProfileView.show"))
        lead = _("Somebody else chose your password. Choose one of your own, then go on.") if due else None
        return self._form(form, _("Change password"), _("Change password"), lead=lead)

    def _form(self, form: Any, title: str, verb: str, *, lead: str | None = None) -> Any:
        back = None if lead else url_for("ProfileView.show")
        page = self._page("security/own_form.html", title=title, verb=verb, form=form, back_url=back, lead=lead)
        return page, (200 if request.method == "GET" else 422)

    def _page(self, template: str, **given: Any) -> str:
        return render_template(
            template, view=self, appbuilder=self.appbuilder, base_template=self.appbuilder.base_template, **given
        )


class ProfileSecondFactorView(BaseView):
    """The second step of one's own sign-in. Switching it on or off asks for the password first."""

    route_base = "/profile/second"
    default_view = "show"
    for_everyone = True
    fresh_password = frozenset({"begin", "setup", "codes", "off"})
    fresh_password_first = frozenset({"setup"})  # the secret stands on its page

    @expose("/", methods=["GET"])
    def show(self) -> Any:
        row = second_factor.of(_me().id)
        on = row is not None and row.since is not None
        return self._page(since=row.since if row and on else None, left=second_factor.codes_left(_me().id))

    @expose("/begin", methods=["POST"])
    def begin(self) -> Any:
        try:
            with unit_of_work():
                second_factor.begin(_me())
        except BusinessError as refusal:
            flash(str(refusal), "warning")
            return redirect(url_for("ProfileSecondFactorView.show"))
        return redirect(url_for("ProfileSecondFactorView.setup"))

    @expose("/setup", methods=["GET", "POST"])
    def setup(self) -> Any:
        row, form = second_factor.of(_me().id), CodeForm()
        secret = second_factor.secret_of(row) if row is not None and row.since is None else None
        if secret is None:
            return redirect(url_for("ProfileSecondFactorView.show"))
        form.code.description = _("Six digits")
        if request.method == "POST" and form.validate():
            try:
                with unit_of_work():
                    codes = second_factor.switch_on(_me(), form.code.data or "", at=utcnow())
            except BusinessError as refusal:
                throttle.count_this()
                form.refuse(str(refusal), "code")
            else:
                return self._page(codes=codes)
        page = self._page(
            form=form, secret=secret, picture=second_factor.picture(secret, _me().username), issuer=second_factor.ISSUER
        )
        return page, (200 if request.method == "GET" else 422)

    @expose("/codes", methods=["POST"])
    def codes(self) -> Any:
        try:
            with unit_of_work():
                codes = second_factor.renew_codes(_me())
        except BusinessError as refusal:
            flash(str(refusal), "warning")
            return redirect(url_for("ProfileSecondFactorView.show"))
        return self._page(codes=codes)

    @expose("/off", methods=["POST"])
    def off(self) -> Any:
        with unit_of_work():
            was_on = second_factor.switch_off(_me(), actor=_me())
        if was_on:
            flash(_("The second step is switched off. Your password alone signs you in."), "success")
        return redirect(url_for("ProfileSecondFactorView.show"))

    def _page(self, **given: Any) -> str:
        return render_template(
            "security/second_factor.html", title=_("Two-step sign-in"), view=self, appbuilder=self.appbuilder,
            base_template=self.appbuilder.base_template, **given,
        )  # fmt: skip


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
