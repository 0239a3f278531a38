"""Error pages in the product's own look: what happened, what is kept, what to do, and a reference number."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from typing import Any

from flask import Flask, current_app, g, render_template, request, url_for
from flask_babel import get_locale
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError, StatementError
from sqlalchemy.orm.exc import ObjectDeletedError
from werkzeug.exceptions import HTTPException, NotFound, SecurityError

from app.core import logs
from app.core.sentences import gettext as _
from app.core.sentences import ngettext
from app.core.taking import note_denied
from app.extensions import db


def install(app: Flask) -> None:
    """Answer every error with a page a person can use; never with internals."""
    app.register_error_handler(CSRFError, _csrf)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(OperationalError, _database)
    app.register_error_handler(StatementError, _statement)
    app.register_error_handler(ObjectDeletedError, _gone)
    app.register_error_handler(Exception, _unexpected)
    app.teardown_appcontext(_let_go)


def page(code: int, title: str, message: str, reference: str = "") -> tuple[str, int]:
    """The error page; kept simple enough to render when the database is away."""
    wants_json = request.path.endswith("/lookup") or request.accept_mimetypes.best == "application/json"
    if wants_json:
        return {"error": message, "reference": reference}, code  # type: ignore[return-value]
    try:
        current_user._get_current_object()
    except SQLAlchemyError:
        _as_nobody()
    text = render_template(
        "errors/error.html",
        code=code,
        title=title,
        message=message,
        reference=reference,
        typed=_typed() if code in (403, 404) else [],
        home_url=url_for(current_app.appbuilder.indexview.__name__ + ".index"),  # type: ignore[attr-defined]
    )
    return text, code


def _typed() -> list[str]:
    """What was typed into the form of a record that is no longer the reader's to see: to be copied, not to be lost."""
    if request.method != "POST" or "version" not in request.form:
        return []
    ours = {"version", "seen", "nonce", "csrf_token"}
    return [text for name, text in request.form.items(multi=True) if name not in ours and text.strip()]


def _as_nobody() -> None:
    """Ask no more who this is: the error page would look him up in the database that is away, and fail in its turn."""
    g.user = g._login_user = current_app.login_manager.anonymous_user()  # type: ignore[attr-defined]
    g.pop("profile", None)


def _csrf(_error: CSRFError) -> Any:
    return page(
        400,
        _("This page was open too long"),
        _("Nothing was changed. Go back, load the page again and repeat what you did."),
    )


def _http(error: HTTPException) -> Any:
    if error.code is None or error.code < 400 or error.response is not None:
        return error
    if isinstance(error, SecurityError):
        return error  # a host name that is not ours: no address could be made for our own page
    texts = {
        400: (_("The request could not be read"), _("Nothing was changed. Go back and try again.")),
        403: (_("You can't do this"), _("Your roles do not include this. Ask a system admin if you need it.")),
        404: (_("Not found"), _("There is no such page or record, or it is not yours to see.")),
        405: (_("Not possible this way"), _("Nothing was changed. Use the buttons of the page.")),
        413: (_("Too much at once"), _too_much()),
    }
    if error.code >= 500:
        return page(error.code, _("That did not work"), _("Nothing was changed. Go back and try again."), _log(error))
    if error.code == 429:
        return _too_many()
    if error.code == 413:
        _drain()
    title, message = texts.get(error.code, (_("That did not work"), _("Nothing was changed. Go back and try again.")))
    if error.code in (403, 404):
        note_denied(message)
    answer = page(error.code, title, message)
    if error.code == 405 and getattr(error, "valid_methods", None):
        return (*answer, {"Allow": ", ".join(error.valid_methods or ())})  # type: ignore[attr-defined]
    return answer


def _too_much() -> str:
    mb = (request.max_content_length or 0) // 2**20
    return _("What you sent is too large: %(mb)d MB are taken at once. Nothing was changed.", mb=mb)


def _drain() -> None:
    """Read on what nobody wants, up to a bound: a browser that is still sending shows no page, but a broken line."""
    try:
        for _piece in range(16 * (request.max_content_length or 0) // 2**18):
            if not request.environ["wsgi.input"].read(2**16):
                break
    except OSError:
        pass  # it is gone already


def _too_many() -> Any:
    """Says how long to wait, to people in minutes and to programs in seconds."""
    wait = max(1, int(_frees_at() - time.time()))  # it is rounded up already
    minutes = math.ceil(wait / 60)
    sentence = ngettext("Wait %(num)d minute, then try again.", "Wait %(num)d minutes, then try again.", minutes)
    return (*page(429, _("Too many tries"), sentence), {"Retry-After": str(wait)})


def _frees_at() -> float:
    """When the limit that was reached lets somebody in again, in seconds since 1970."""
    reached = [limiter.current_limit for limiter in current_app.extensions.get("limiter", ())]
    return max((float(limit.reset_at) for limit in reached if limit is not None), default=0.0)


def _statement(error: StatementError) -> Any:
    if isinstance(error, DBAPIError):
        return _database(error) if error.connection_invalidated else _unexpected(error)
    db.session.rollback()
    return page(400, _("The request could not be read"), _("Nothing was changed. Go back and try again."))


def _gone(_error: ObjectDeletedError) -> Any:
    """Somebody deleted the record while its page was made: for its reader it is as if he came a moment later."""
    db.session.rollback()
    return _http(NotFound())


def _let_go(_error: BaseException | None) -> None:
    """End what is still open before the session is put away: a database that went away after the page was made must
    not spoil the page."""
    try:
        db.session.rollback()
    except SQLAlchemyError:
        db.session().invalidate()


def _database(error: Exception) -> Any:
    reference = _log(error)
    _as_nobody()
    return page(
        503,
        _("The database is away or busy"),
        _("Nothing was changed. Try again in a minute; tell your admin the reference if it stays."),
        reference,
    )


def _unexpected(error: Exception) -> Any:
    if current_app.config.get("PROPAGATE_EXCEPTIONS") or current_app.testing:
        raise error
    reference = _log(error)
    return page(
        500,
        _("Something went wrong on our side"),
        _("Nothing was changed. Try again; tell your admin the reference if it stays."),
        reference,
    )


def _log(error: Exception) -> str:
    """Write the error down with who asked for what; what the answer tells of it is the reference alone."""
    reference = logs.reference()
    with suppress(SQLAlchemyError):
        get_locale()  # kept for this request: after the rollback the reader's choice would have to be read again
    current_app.logger.error(
        "error %s: user %s, %s %s, %r",
        reference,
        logs.reader(),
        request.method,
        request.url_rule,
        logs.path(),
        exc_info=error,
    )
    try:
        db.session.rollback()
    except Exception:  # the session is beyond repair; the request ends anyway
        db.session.remove()
    return reference
