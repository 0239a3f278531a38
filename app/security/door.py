"""The front door: nothing is reachable without a live session, except what says so itself.

A view function is open to everybody with `open_to_all = True`; there are few: the login page, its language and
theme buttons. The style sheet and the health check are open too.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import Flask, current_app, flash, g, jsonify, redirect, request, session, url_for
from flask_babel import gettext as _
from flask_login import current_user

from app.core.clock import local, today
from app.security import kept
from app.security.sessions import Ended

View = TypeVar("View", bound=Callable[..., Any])

LOGIN = "CrmAuthView.login"
OWN_PASSWORD = "ProfileView.password"  # noqa: S105 - an address
OPEN = ("static", "appbuilder.static", "healthz")  # endpoints below us that cannot say it themselves


def open_to_all(view: View) -> View:
    """Mark a view function that needs no session."""
    view.open_to_all = True  # type: ignore[attr-defined]
    return view


def install(app: Flask) -> None:
    """Stand at the door of every route of this application."""
    app.before_request(_ask)


def _ask() -> Any:
    endpoint = request.endpoint
    if endpoint is None or endpoint in OPEN:
        return None  # no such page, or one for everybody
    if getattr(current_app.view_functions[endpoint], "open_to_all", False):
        return None
    token = session.get("_user_id")
    if current_user.is_authenticated:
        if owes_a_password() and endpoint != OWN_PASSWORD:
            return _password_first()
        kept.offer(token)
        return None
    page = page_asked_for()
    typed = kept.keep(token, page) if wants_page() and g.get("session_ended") else None
    if typed is not None:
        flash(_("What you typed is kept. Sign in with the same account, and it is there again."), "info")
    login = url_for(LOGIN, next=own_page(typed) or page)
    if not wants_page():
        answer = jsonify(error=notice() or _("Sign in first."), login=login)
        answer.status_code = 401
        answer.headers["HX-Redirect"] = login
        return answer
    return redirect(login)


def owes_a_password() -> bool:
    """Whether somebody else chose this person's password, so that it is changed before anything else."""
    return bool(getattr(g.get("profile"), "password_due", False))


def _password_first() -> Any:
    if wants_page():
        return redirect(url_for(OWN_PASSWORD))
    answer = jsonify(error=_("Choose a password of your own first."))  # nothing that moves the page he types on
    answer.status_code = 403
    return answer


def wants_page() -> bool:
    """Whether a person waits for a page; false for scripts, which get JSON."""
    headers = request.headers
    script = "HX-Request" in headers or headers.get("X-Requested-With") == "XMLHttpRequest" or request.is_json
    fetched = headers.get("Sec-Fetch-Dest", "document") == "empty"
    accepts = request.accept_mimetypes
    return not (script or fetched or (accepts.best == "application/json" and "text/html" not in accepts))


def page_asked_for() -> str | None:
    """The address to come back to after signing in: this page; for a form or a script the page it stands on."""
    if request.method in ("GET", "HEAD") and wants_page():
        target: str | None = request.full_path.removesuffix("?")
    else:
        target = _own_path(request.headers.get("HX-Current-URL") or request.referrer)
    safe = own_page(target)
    return None if safe == "/" else safe


def _own_path(url: str | None) -> str | None:
    try:
        parts = urlsplit(url or "")
    except ValueError:
        return None
    if parts.netloc != request.host:
        return None
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def own_page(target: str | None, *, login: bool = False) -> str | None:
    """`target` if it is a page of this application, else None.

    Only a path counts: no scheme, no host (//evil, a Host header), no backslash (browsers read it as a slash), no
    control character (browsers drop them); not the logout, and the login only if `login` says so.
    """
    if not target or not target.startswith("/") or target.startswith("//") or "\\" in target:
        return None
    if any(ord(character) < 33 or ord(character) == 127 for character in target):
        return None
    parts = urlsplit(target)
    closed = {url_for("CrmAuthView.logout")} if login else {url_for("CrmAuthView.logout"), url_for(LOGIN)}
    return None if parts.scheme or parts.netloc or parts.path in closed else target


def home() -> str:
    """The first page after signing in."""
    return url_for(current_app.appbuilder.indexview.__name__ + ".index")  # type: ignore[attr-defined]


def notice() -> str | None:
    """Why the session this browser still names is over, as a sentence; None if there is nothing to say."""
    ended: Ended | None = g.get("session_ended")
    if ended is None:
        return None
    if ended.reason == "superseded":
        if ended.ip:
            return _(
                "Your account signed in at %(time)s from %(ip)s, so this session ended. Not you? "
                "Change your password now.",
                time=clock_time(ended.at),
                ip=ended.ip,
            )
        return _(
            "Your account signed in somewhere else at %(time)s, so this session ended. Not you? "
            "Change your password now.",
            time=clock_time(ended.at),
        )
    return {
        "idle": _("You were away for a while, so you were signed out. Sign in to go on."),
        "expired": _("You were signed in for as long as the rules allow. Sign in to go on."),
        "password": _("The password of this account was changed. Sign in with the new one."),
        "disabled": _("This account is disabled. Ask a system admin if you need it."),
        "no_role": _("Your account has no active role any more, so this session ended. Ask a system admin."),
        "ended": _("A system admin ended this session. Sign in to go on."),
    }.get(ended.reason)


def clock_time(moment: datetime) -> str:
    """The company's wall clock: 14:05 for today, with the date for another day."""
    wall = local(moment)
    return f"{wall:%H:%M}" if wall.date() == today() else f"{wall:%Y-%m-%d %H:%M}"


__all__ = ["clock_time", "home", "install", "notice", "open_to_all", "own_page", "wants_page"]
