"""Typed text outlives a session that ends while somebody types, and the question for the password.

What is posted with a dead session is kept, without secrets, in that session's row. Whoever signs in next in the same
browser gets it if it is the same account: the form is shown again as it was typed, never sent by itself. The same for
a form that has to wait because its person must type the password again (fresh.py).
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from flask import flash, g, request
from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict

from app.core.unit import unit_of_work
from app.extensions import db
from app.security.models import UserSession
from app.security.sessions import token_hash

MARK = "kept"  # in the address of a page that shows what was kept
LONGEST = 64_000  # characters of all fields together
SECRETS = frozenset({"csrf_token", "password", "current", "new", "secret"})  # no field of these names is ever kept
TECHNICAL = frozenset({"version", "seen", "nonce", "stamp", "rowid", "confirmed", "next"})  # nobody typed these


def keep(token: str | None, page: str | None) -> str | None:
    """Keep the fields of this request in the row of its session; where they are shown again, None if nothing is kept.

    Of a form that has a page of its own that is its address. Of one that has none only the text is kept, and shown on
    `page`, where it stood. Commits.
    """
    if token is None or request.method != "POST" or request.files:
        return None
    fields = [(name, value) for name, value in request.form.items(multi=True) if name not in SECRETS]
    own = "GET" in (request.url_rule.methods or ()) if request.url_rule else False
    target = request.full_path.removesuffix("?") if own else page
    if target is None or not _typed(fields) or sum(len(name) + len(value) for name, value in fields) > LONGEST:
        return None
    if MARK not in request.args or not own:
        target += f"{'&' if '?' in target else '?'}{MARK}=1"
    if len(target) > UserSession.kept_at.type.length:
        return None
    with unit_of_work():
        done = _write(token, kept_at=target, kept={"form": own, "fields": fields})
    return target if done else None


def hand_over(old: str | None, new: str, user_id: int) -> None:
    """Give what the browser's old session kept to its new one, if both are of one account; else drop it. Commits."""
    if old is None:
        return
    with unit_of_work():
        row = db.session.execute(
            sa.select(UserSession.user_id, UserSession.kept_at, UserSession.kept).where(
                UserSession.token_hash == token_hash(old), UserSession.kept_at.is_not(None)
            )
        ).one_or_none()
        if row is None:
            return
        _write(old, kept_at=None, kept=None)
        if row.user_id == user_id:
            _write(new, kept_at=row.kept_at, kept=row.kept)


def offer(token: str | None) -> None:
    """Let the form of this page show what was kept for it; once it is posted, forget it (commits)."""
    if MARK not in request.args or token is None:
        return
    row: UserSession = g.sign_in
    if row.kept_at != request.full_path or row.kept is None:
        return
    if request.method == "POST":
        with unit_of_work():
            _write(token, kept_at=None, kept=None)
    elif row.kept["form"]:
        g.kept_form = MultiDict(row.kept["fields"])  # the page's form takes it (core/forms.py)
    else:
        typed = " · ".join(_typed(row.kept["fields"]))
        note = _("Not saved yet. Before you were asked for your password you had typed: %(text)s", text=typed)
        flash(note, "warning")


def _typed(fields: list[Any]) -> list[str]:
    return [value for name, value in fields if name not in TECHNICAL and value.strip()]


def _write(token: str, **values: Any) -> bool:
    done: Any = db.session.execute(
        sa.update(UserSession)
        .where(UserSession.token_hash == token_hash(token))
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    return bool(done.rowcount == 1)
