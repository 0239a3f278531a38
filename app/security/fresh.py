"""Sensitive actions ask who is at the keyboard: the password must have been typed in this session a short while ago.

A view names them by its methods:

    fresh_password = frozenset({"edit", "delete"})  # asked when something is sent to them
    fresh_password_first = frozenset({"reset_password"})  # asked before their page, too: what is typed there is secret

What was typed is kept as when a session is over (kept.py), and shown again after the password. A method that has no
page of its own is a button: the page it stands on is shown again. The password page does nothing but note that the
password was typed; the action waits for its own button.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, current_app, g, jsonify, redirect, request, session, url_for
from flask_babel import gettext as _
from flask_login import current_user

from app.core.scope import may
from app.security import door, kept, sessions
from app.security.throttle import AGAIN

TYPED, PRESSED = "typed", "pressed"  # what waits for the password: a form that was filled in, or a button


def install(app: Flask) -> None:
    """Ask at every route of this application, after the door."""
    app.before_request(_ask)


def wanted(view: Any, method: str, verb: str) -> bool:
    """Whether this method of a view wants a password that was typed a short while ago."""
    if verb in ("GET", "HEAD"):
        return method in getattr(view, "fresh_password_first", ())
    return method in getattr(view, "fresh_password", ())


def _ask() -> Any:
    handler = current_app.view_functions.get(request.endpoint or "")
    view: Any = getattr(handler, "__self__", None)
    method = getattr(handler, "__name__", "")
    if not wanted(view, method, request.method) or not current_user.is_authenticated or sessions.fresh(g.sign_in):
        return None
    own = getattr(view, "for_everyone", False)
    if not own and not may(f"can_{view.get_method_permission(method)}", view.class_permission_name):
        return None  # refused by the page itself
    page = door.page_asked_for()
    if not door.wants_page():
        again = url_for(AGAIN, next=page, waits=PRESSED)
        answer = jsonify(error=_("Type your password again to do this."), login=again)
        answer.status_code = 401
        answer.headers["HX-Redirect"] = again
        return answer
    if request.method in ("GET", "HEAD"):
        return redirect(url_for(AGAIN, next=page))
    form = "GET" in (request.url_rule.methods or ()) if request.url_rule else False
    typed = door.own_page(kept.keep(session.get("_user_id"), page)) if form else None
    return redirect(url_for(AGAIN, next=typed or page, waits=TYPED if typed else PRESSED))
