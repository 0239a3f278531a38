"""重复提交: a form that is sent twice is done once.

Every form carries a nonce, made when it is shown. The next unit of work of its request first claims it: the row is
written in the same transaction as what the form asks for, so both are there or none. Whoever comes second, be it at the
same moment, is led to the page of the first one's result. No view does anything for this; one that knows a better page
than the one its form stood on says so with `leads_to`. Forms without a nonce are taken as they are.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import sqlalchemy as sa
from flask import Flask, Response, current_app, flash, g, has_request_context, redirect, request
from markupsafe import Markup
from sqlalchemy.dialects import postgresql, sqlite
from werkzeug.exceptions import HTTPException

from app.core.clock import utcnow
from app.core.models import Submission, current_user_id
from app.core.sentences import gettext as _
from app.core.unit import at_begin
from app.extensions import db

NONCE = "nonce"
KEEP = timedelta(days=7)
ROWS: Any = Submission.__table__  # the session keeps none of them, and need not be asked
FORM = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Sent:
    """A form as it was sent: by whom, with which nonce, where to, and a keyed hash of what it says."""

    user_id: int
    nonce: str
    endpoint: str
    fingerprint: str


class SentTwice(Exception):
    """Another request with this form was done meanwhile."""

    def __init__(self, sent: Sent, first: Any) -> None:
        super().__init__("this form was sent already")
        self.sent, self.first = sent, first


def install(app: Flask) -> None:
    """Look at every form that is sent, once it is known who sends it."""
    app.before_request(_look)
    app.register_error_handler(SentTwice, _second)
    app.after_request(_conflict)
    app.jinja_env.globals["nonce"] = tag


def tag() -> Markup:
    """The hidden input that makes a form count once; nothing for whoever is not signed in."""
    if current_user_id() is None:
        return Markup()
    return Markup('<input type="hidden" name="{}" value="{}">').format(NONCE, uuid4().hex)


def is_another() -> bool:
    """Whether this request's form was sent before, with something else in it: it is not done."""
    return bool(has_request_context() and g.get("sent_before"))


def leads_to(address: str) -> None:
    """Say where the result of this form is, before or inside the unit of work that does it. Never commits."""
    if not has_request_context():
        return
    claimed: Sent | None = g.get("claimed")
    if claimed is None:
        g.result_at = address
    else:
        which = (ROWS.c.user_id == claimed.user_id, ROWS.c.nonce == claimed.nonce)
        db.session.execute(sa.update(ROWS).where(*which).values(address=address[:500]))


def _look() -> Any:
    """Lead on who sends a form again; let the unit of work of every other form claim its nonce."""
    sent = _sent()
    if sent is None:
        return None
    first = _known(sent)
    if first is not None:
        return _answer(sent, first)
    at_begin(lambda: _claim(sent))
    return None


def _sent() -> Sent | None:
    user_id = current_user_id() if request.method == "POST" and request.endpoint else None
    nonce = request.form.get(NONCE, "") if user_id is not None else ""
    if user_id is None or not FORM.fullmatch(nonce):
        return None
    fields = [(k, v) for k, v in request.form.items(multi=True) if k not in (NONCE, "csrf_token")]
    text = json.dumps([request.full_path, fields]).encode("utf-8", "surrogatepass")
    key = current_app.secret_key or ""
    made = hmac.new(key.encode() if isinstance(key, str) else key, text, hashlib.sha256).hexdigest()
    return Sent(user_id, nonce, str(request.endpoint)[:120], made)


def _known(sent: Sent) -> Any:
    which = (ROWS.c.user_id == sent.user_id, ROWS.c.nonce == sent.nonce)
    return db.session.execute(sa.select(ROWS.c.fingerprint, ROWS.c.address).where(*which)).one_or_none()


def _claim(sent: Sent) -> None:
    """Write the nonce down. Waits for whoever writes the same one at this moment; raises `SentTwice` if he did."""
    dialect: Any = postgresql if db.engine.dialect.name == "postgresql" else sqlite
    row = {**vars(sent), "address": g.get("result_at") or _page(), "at": utcnow()}
    done: Any = db.session.execute(dialect.insert(ROWS).values(row).on_conflict_do_nothing())
    if not done.rowcount:
        raise SentTwice(sent, _known(sent))
    g.claimed = sent


def _page() -> str:
    """The page the form stood on, else the first one."""
    try:
        parts = urlsplit(request.referrer or "")
    except ValueError:
        parts = urlsplit("")
    if parts.netloc != request.host or not re.match(r"/(?![/\\])", parts.path):
        return f"{request.script_root}/"
    return (parts.path + (f"?{parts.query}" if parts.query else ""))[:500]


def _answer(sent: Sent, first: Any) -> Any:
    """The result of the first time; None where this is another form under the same nonce, which nobody does."""
    if hmac.compare_digest(first.fingerprint, sent.fingerprint):
        flash(_("This form was sent more than once. It was done once."), "info")
        return redirect(first.address)
    g.sent_before = True
    return None


def _second(late: SentTwice) -> Any:
    """The loser of two at the same moment: his unit of work is rolled back already."""
    answer = _answer(late.sent, late.first)
    if answer is not None:
        return answer
    try:
        return current_app.dispatch_request()  # shows the form again: it no longer counts as valid
    except HTTPException as error:
        return current_app.handle_user_exception(error)


def _conflict(response: Response) -> Response:
    if is_another() and response.status_code in (200, 422):
        response.status_code = 409
    return response
