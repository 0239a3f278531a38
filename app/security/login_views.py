"""登录: signing in and out, the second step, a forgotten password, and typing the password again.

There is no other way in.
"""

from __future__ import annotations

from typing import Any

from flask import current_app, flash, g, redirect, render_template, request, session, url_for
from flask_appbuilder import BaseView, expose
from flask_appbuilder.security.sqla.models import User
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user

from app.core.clock import utcnow
from app.core.errors import BusinessError
from app.core.unit import unit_of_work
from app.core.web import language
from app.security import door, fresh, kept, once, operations, second_factor, sessions, throttle
from app.security.forms import CodeForm, ForgottenForm, LoginForm, PasswordForm, ResetPasswordForm
from app.security.manager import token_of_request
from app.security.models import LoginResult, Purpose
from app.security.rights import administers, has_active_role
from app.security.throttle import PENDING

KEPT = ("locale", "theme")  # what a browser chose for itself survives signing in and out


class CrmAuthView(BaseView):
    """Signing in and out."""

    route_base = ""
    class_permission_name = "Auth"

    @expose("/login/", methods=["GET", "POST"])
    @door.open_to_all
    def login(self) -> Any:
        form = LoginForm()
        target = door.own_page(request.args.get("next"))
        if request.method == "GET":
            if current_user.is_authenticated:
                return redirect(target or door.home())
            return self._page(form, door.notice())
        if not form.validate():
            return self._page(form, None), 422
        account, password, ip = form.username.data or "", form.password.data, request.remote_addr
        user_id, user = self.appbuilder.sm.verify(account, password)
        if user is None:
            throttle.count_this()
            sessions.note_login(account, LoginResult.wrong, user_id=user_id, ip=ip)
            form.refuse(_("Wrong username or password."), "password")
            return self._page(form, None), 422
        refusal = _refusal(user)
        if refusal is None:
            self._rehash(user, password)
            remember = bool(form.remember.data)
            if second_factor.is_on(user.id):
                with unit_of_work():
                    token = once.make(Purpose.code, user.id, at=utcnow(), lasts=once.CODE_LASTS)
                session[PENDING] = [token, remember]
                return redirect(url_for(throttle.CODE, next=target))
            refusal = self._enter(user, remember=remember)
        if refusal is not None:
            result, sentence = refusal
            sessions.note_login(account, result, user_id=user.id, ip=ip)
            return self._page(form, sentence), 403
        sessions.note_login(account, LoginResult.success, user_id=user.id, ip=ip)
        return redirect(target or door.home())

    @expose("/login/code", methods=["GET", "POST"])
    @door.open_to_all
    def code(self) -> Any:
        """The second step: a code of the phone, or a recovery code. Who has not typed his password gets no page."""
        form, ip = CodeForm(), request.remote_addr
        target = door.own_page(request.args.get("next"))
        owes = session.get(PENDING)
        token, remember = owes if isinstance(owes, list) and len(owes) == 2 else (None, False)
        user = once.holder(Purpose.code, token, at=utcnow())
        if token is None or user is None:
            session.pop(PENDING, None)
            flash(_("Too much time passed. Type your password again."), "info")
            return redirect(url_for(door.LOGIN, next=target))
        if request.method == "GET":
            return self._code_page(form)
        if not form.validate():
            return self._code_page(form), 422
        account, user_id = user.username, user.id
        with unit_of_work():
            right = second_factor.accept(user_id, form.code.data or "", at=utcnow())
            right = right and once.use(Purpose.code, token, at=utcnow())
        if not right:
            throttle.count_this()
            sessions.note_login(account, LoginResult.code, user_id=user_id, ip=ip)
            form.refuse(_("This code is wrong, too old or was used already."), "code")
            return self._code_page(form), 422
        refusal = _refusal(user) or self._enter(user, remember=bool(remember))
        if refusal is not None:
            result, sentence = refusal
            session.pop(PENDING, None)
            sessions.note_login(account, result, user_id=user_id, ip=ip)
            return self._page(LoginForm(formdata=None), sentence), 403
        sessions.note_login(account, LoginResult.success, user_id=user_id, ip=ip)
        left = second_factor.codes_left(user_id)
        if left < 3:
            flash(
                ngettext(
                    "You have %(num)d recovery code left. Make new ones in your profile.",
                    "You have %(num)d recovery codes left. Make new ones in your profile.",
                    left,
                ),
                "warning",
            )
        return redirect(target or door.home())

    def _rehash(self, user: User, password: str) -> None:
        """Keep the password as strongly as today's settings say, now that it is known."""
        manager = self.appbuilder.sm
        if manager.needs_rehash(user):
            hashed = manager.hash_password(password)
            with unit_of_work():
                user.password = hashed

    def _enter(self, user: User, *, remember: bool) -> tuple[LoginResult, str] | None:
        """Start the one session of this account and give this browser its token, in a fresh cookie.

        Why not, where the setting says that the session of before stays.
        """
        if remember and administers(user.id):
            remember = False
            flash(_("Accounts that administer users are not kept signed in."), "info")
        # Whoever signs in again in the very browser that is signed in replaces nobody.
        own = current_user.is_authenticated and current_user.id == user.id
        replace = own or current_app.config["LIUKE_SECOND_LOGIN"] != "refuse"
        try:
            token = sessions.start(
                user.id,
                remember=remember,
                ip=request.remote_addr,
                user_agent=request.user_agent.string,
                replace=replace,
            )
        except sessions.SignedInElsewhere as live:
            return LoginResult.busy, _busy_sentence(live)
        kept.hand_over(token_of_request(), token, user.id)
        _forget_all_but_messages()
        session["_user_id"] = token
        session.permanent = remember
        return None

    def _page(self, form: LoginForm, notice: str | None) -> str:
        known = current_app.extensions
        accounts, password = known["liuke_demo_accounts"]() if known["liuke_demo"]() else ([], None)
        return self._render(
            "appbuilder/general/security/login_db.html",
            form=form,
            notice=notice,
            demo_accounts=accounts,
            demo_password=password,
            title=_("Sign in"),
        )

    def _code_page(self, form: CodeForm) -> str:
        return self._render("security/outside.html", form=form, title=_("Second step"), verb=_("Sign in"),
            lead=_("Open the app on your phone that makes your codes, and type the one it shows now."))  # fmt: skip

    def _render(self, template: str, **given: Any) -> str:
        return render_template(template, appbuilder=self.appbuilder, **given)

    # -- a forgotten password -------------------------------------------------------------------------------

    @expose("/login/forgotten", methods=["GET", "POST"])
    @door.open_to_all
    def forgotten(self) -> Any:
        """Ask for a link by mail. The answer is the same for every account, known or not."""
        form = ForgottenForm()
        minutes = current_app.config["LIUKE_LINK_MINUTES"]
        if request.method == "POST" and form.validate():
            throttle.count_this()
            typed = form.username.data or ""
            with unit_of_work():
                user_id = once.ask_for_link(typed, at=utcnow())
                sessions.add_entry(typed, LoginResult.link, user_id=user_id, ip=request.remote_addr)
            flash(
                ngettext(
                    "If there is such an account, a mail with a link is on its way. The link is good for %(num)d "
                    "minute. No mail? Ask a system admin.",
                    "If there is such an account, a mail with a link is on its way. The link is good for %(num)d "
                    "minutes. No mail? Ask a system admin.",
                    minutes,
                ),
                "info",
            )
            return redirect(url_for(door.LOGIN))
        page = self._render("security/outside.html", form=form, title=_("Forgotten password"), verb=_("Send the link"),
            lead=_("You get a link by mail. With it you choose another password."))  # fmt: skip
        return page, (200 if request.method == "GET" else 422)

    @expose("/login/link/<token>", methods=["GET", "POST"])
    @door.open_to_all
    def by_link(self, token: str) -> Any:
        """Choose another password with a mailed link. Looking at the page uses nothing up."""
        form = ResetPasswordForm()
        user = once.holder(Purpose.reset, token, at=utcnow())
        if user is None:
            throttle.count_this()
            return self._render("security/outside.html", title=_("This link does not work any more"),
                lead=_("A link is good once, for a short time, and only the newest one. Ask for another one."),
                again=url_for(throttle.FORGOTTEN)), 404  # fmt: skip
        if request.method == "POST" and form.validate():
            account = user.username
            try:
                with unit_of_work():
                    user_id = operations.set_forgotten_password(token, form.password.data, at=utcnow()).id
                    sessions.add_entry(account, LoginResult.reset, user_id=user_id, ip=request.remote_addr)
            except operations.LinkIsDead:
                return redirect(request.path)  # somebody else was faster with it
            except BusinessError as refusal:
                form.refuse(str(refusal), "password")
            else:
                flash(_("Your password is changed. Sign in with it."), "success")
                return redirect(url_for(door.LOGIN))
        page = self._render("security/outside.html", form=form, title=_("New password"), verb=_("Save password"),
            lead=_("For the account %(account)s. Whoever is signed in with it now is signed out.",
                   account=user.username))  # fmt: skip
        return page, (200 if request.method == "GET" else 422)

    # -- out ------------------------------------------------------------------------------------------------

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
        if token is None or self.appbuilder.sm.verify(account, form.password.data).user is None:
            throttle.count_this()
            sessions.note_login(account, LoginResult.wrong, user_id=user_id, ip=request.remote_addr)
            form.refuse(_("This is not your password."), "password")
            return self._page(form, target, waits), 422
        with unit_of_work():
            session["_user_id"] = sessions.renew(token)
            sessions.add_entry(account, LoginResult.confirmed, user_id=user_id, ip=request.remote_addr)
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


def _refusal(user: User) -> tuple[LoginResult, str] | None:
    """Why this account does not get in although its password is right; None if it does."""
    if not user.active:
        return LoginResult.disabled, _("This account is disabled. Ask a system admin if you need it.")
    if not has_active_role(user.id):
        return LoginResult.no_role, _("This account has no active role, so it cannot sign in. Ask a system admin.")
    return None


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
