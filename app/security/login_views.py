"""登录: signing in and out, and typing the password again. There is no other way in."""

from __future__ import annotations

from typing import Any

from flask import current_app, flash, g, redirect, render_template, request, session, url_for
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.sqla.models import User
from flask_babel import gettext as _
from flask_login import current_user

from app.core.unit import unit_of_work
from app.core.web import language
from app.security import door, fresh, kept, sessions, throttle
from app.security.forms import LoginForm, PasswordForm
from app.security.manager import token_of_request
from app.security.models import LoginResult
from app.security.rights import administers, has_active_role

KEPT = ("locale", "theme")  # what a browser chose for itself survives signing in and out


class CrmAuthView(BaseView):
    """Signing in and out."""

    route_base = ""
    class_permission_name = "Auth"

    @expose("/login/", methods=["GET", "POST"])
    @door.open_to_all
    def login(self) -> Any:
        form = LoginForm()
        target = door.own_page(request.args.get("next")) or door.home()
        if request.method == "GET":
            return redirect(target) if current_user.is_authenticated else self._page(form, door.notice())
        if not form.validate():
            return self._page(form, None), 422
        account, ip = form.username.data or "", request.remote_addr
        user = self.appbuilder.sm.verify(account, form.password.data)
        if user is None:
            throttle.count_this()
            sessions.note_login(account, LoginResult.wrong, user_id=None, ip=ip)
            form.refuse(_("Wrong username or password."), "password")
            return self._page(form, None), 422
        try:
            refusal = self._refusal(user)
            if refusal is None:
                self._begin(user, form)
        except sessions.SignedInElsewhere as live:
            refusal = LoginResult.busy, _busy_sentence(live)
        if refusal is not None:
            result, sentence = refusal
            sessions.note_login(account, result, user_id=user.id, ip=ip)
            return self._page(form, sentence), 403
        sessions.note_login(account, LoginResult.success, user_id=user.id, ip=ip)
        return redirect(target)

    @staticmethod
    def _refusal(user: User) -> tuple[LoginResult, str] | None:
        """Why this account does not get in although its password is right; None if it does."""
        if not user.active:
            return LoginResult.disabled, _("This account is disabled. Ask a system admin if you need it.")
        if not has_active_role(user.id):
            return LoginResult.no_role, _("This account has no active role, so it cannot sign in. Ask a system admin.")
        return None

    def _begin(self, user: User, form: LoginForm) -> None:
        """Start the one session of this account and give this browser its token, in a fresh cookie."""
        manager = self.appbuilder.sm
        if manager.needs_rehash(user):
            hashed = manager.hash_password(form.password.data)
            with unit_of_work():
                user.password = hashed
        remember = bool(form.remember.data)
        if remember and administers(user.id):
            remember = False
            flash(_("Accounts that administer users are not kept signed in."), "info")
        # Whoever signs in again in the very browser that is signed in replaces nobody.
        own = current_user.is_authenticated and current_user.id == user.id
        replace = own or current_app.config["LIUKE_SECOND_LOGIN"] != "refuse"
        token = sessions.start(
            user.id,
            remember=remember,
            ip=request.remote_addr,
            user_agent=request.user_agent.string,
            replace=replace,
        )
        kept.hand_over(token_of_request(), token, user.id)
        _forget_all_but_messages()
        session["_user_id"] = token
        session.permanent = remember

    def _page(self, form: LoginForm, notice: str | None) -> str:
        known = current_app.extensions
        accounts, password = known["liuke_demo_accounts"]() if known["liuke_demo"]() else ([], None)
        return render_template(
            "appbuilder/general/security/login_db.html",
            form=form,
            notice=notice,
            demo_accounts=accounts,
            demo_password=password,
            title=_("Sign in"),
            appbuilder=self.appbuilder,
        )

    @expose("/logout/", methods=["POST"])
    @door.open_to_all
    def logout(self) -> Any:
        spoken = language()
        if current_user.is_authenticated:
            sessions.note_login(
                current_user.username, LoginResult.logout, user_id=current_user.id, ip=request.remote_addr
            )
        token = token_of_request()
        if token:
            sessions.end(token, "logout")
        session.clear()
        if spoken != current_app.config["BABEL_DEFAULT_LOCALE"]:
            session["locale"] = spoken
        flash(_("You are signed out."), "success")
        answer = redirect(url_for(door.LOGIN))
        # Pages of the last person must not come back from the cache of a shared computer. Not "cookies": that would
        # also clear those of other applications on this host; ours is dead in the database.
        answer.headers["Clear-Site-Data"] = '"cache", "storage"'
        return answer


class PasswordView(BaseView):
    """Typing the password again before something sensitive (fresh.py). It notes that, and does nothing else."""

    route_base = "/confirm"
    default_view = "again"
    for_everyone = True

    @expose("/", methods=["GET", "POST"])
    def again(self) -> Any:
        form = PasswordForm()
        target = door.own_page(request.args.get("next")) or door.home()
        waits = request.args.get("waits")
        if request.method == "GET":
            return redirect(target) if sessions.fresh(g.sign_in) else self._page(form, target, waits)
        if not form.validate():
            return self._page(form, target, waits), 422
        account, user_id, token = current_user.username, current_user.id, token_of_request()
        if token is None or self.appbuilder.sm.verify(account, form.password.data) is None:
            throttle.count_this()
            sessions.note_login(account, LoginResult.wrong, user_id=user_id, ip=request.remote_addr)
            form.refuse(_("This is not your password."), "password")
            return self._page(form, target, waits), 422
        with unit_of_work():
            session["_user_id"] = sessions.renew(token)
        if waits == fresh.PRESSED:
            flash(_("Your password is confirmed. Nothing was done yet: press the button again."), "info")
        return redirect(target)

    def _page(self, form: PasswordForm, target: str, waits: str | None) -> str:
        return render_template(
            "security/confirm.html",
            title=_("Type your password to go on"),
            form=form,
            waits=waits,
            back_url=target if waits in (fresh.TYPED, fresh.PRESSED) else door.home(),
            minutes=current_app.config["LIUKE_REAUTH_MINUTES"],
            account=current_user.username,
            view=self,
            appbuilder=self.appbuilder,
            base_template=self.appbuilder.base_template,
        )


def _busy_sentence(live: sessions.SignedInElsewhere) -> str:
    if live.ip:
        return _(
            "This account has been signed in since %(time)s from %(ip)s. Sign out there first, or ask a system admin "
            "to end that session.",
            time=door.clock_time(live.since),
            ip=live.ip,
        )
    return _(
        "This account has been signed in since %(time)s. Sign out there first, or ask a system admin to end that "
        "session.",
        time=door.clock_time(live.since),
    )


def _forget_all_but_messages() -> None:
    """A new session begins with an empty cookie: nothing planted before signing in is in it."""
    kept = {name: session[name] for name in (*KEPT, "_flashes") if name in session}
    session.clear()
    session.update(kept)
