"""What tests look with: a browser without a window, the statements a block runs, the rows of a table."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from typing import Any

import sqlalchemy as sa
from flask import Flask
from flask_appbuilder.security.sqla.models import User
from itsdangerous import URLSafeTimedSerializer
from werkzeug.test import TestResponse

from app.core.database import tune
from app.core.models import AuditEntry, FieldChange
from app.core.unit import set_writing
from app.extensions import db
from app.security import sessions

PASSWORD = "three blue umbrellas"


class Browser:
    """One browser: cookies, a CSRF token with every post, and an application context of its own per request.

    Requests commit what the test has written so far, and the test reads afresh what a request has written.
    """

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.flask = app.test_client()

    def get(self, url: str, **options: Any) -> TestResponse:
        """GET `url`."""
        return self._open("GET", url, **options)

    def post(self, url: str, data: dict[str, Any] | None = None, *, csrf: bool = True, **options: Any) -> TestResponse:
        """POST `data` as a form; with a valid CSRF token unless `csrf` is false."""
        sent = dict(data or {})
        if csrf:
            sent.setdefault("csrf_token", self.csrf_token())
        return self._open("POST", url, data=sent, **options)

    def csrf_token(self) -> str:
        """A token that forms of this browser carry."""
        with self.session() as kept:
            raw = kept.setdefault("csrf_token", hashlib.sha1(os.urandom(64)).hexdigest())
        return URLSafeTimedSerializer(str(self.app.secret_key), salt="wtf-csrf-token").dumps(raw)

    @contextmanager
    def session(self) -> Iterator[Any]:
        """The cookie session, to read or change."""
        with self.app.app_context(), self.flask.session_transaction() as kept:
            yield kept

    def login(self, user: User, *, remember: bool = False) -> Browser:
        """Sign in without the page: a session row and its token in the cookie."""
        token = sessions.start(user.id, remember=remember, ip="127.0.0.1", user_agent="tests")
        with self.session() as kept:
            kept["_user_id"] = token
        return self

    def login_page(self, username: str, password: str = PASSWORD, **more: Any) -> TestResponse:
        """Sign in by the real page."""
        return self.post("/login/", {"username": username, "password": password, **more})

    def speak(self, language: str) -> Browser:
        """Read pages in zh or en from now on (as somebody without a language of his own)."""
        with self.session() as kept:
            kept["locale"] = language
        return self

    def _open(self, method: str, url: str, **options: Any) -> TestResponse:
        db.session.commit()
        try:
            # A context of its own, else `g` (who is asking, his rights) would be last request's.
            with self.app.app_context():
                return self.flask.open(url, method=method, **options)
        finally:
            set_writing(False)
            db.session.rollback()
            db.session.expire_all()


@contextmanager
def statements(app: Flask) -> Iterator[list[str]]:
    """The SQL statements that run inside the block, in order; BEGIN, COMMIT and savepoints are not counted."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not re.match(r"\s*(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|PRAGMA)", statement, re.I):
            seen.append(statement)

    with app.app_context():
        engine = db.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)


def rows(model: Any, *where: Any) -> list[Any]:
    """The rows of a model as they are in the database now, in the order of their ids."""
    key = sa.inspect(model).primary_key
    return list(
        db.session.execute(
            sa.select(model).where(*where).order_by(*key).execution_options(populate_existing=True)
        ).scalars()
    )


def fields_of(entry: AuditEntry) -> dict[str, tuple[str | None, str | None]]:
    """Field -> (from, to) of what a move changed in its record."""
    its = (FieldChange.record_type == entry.record_type, FieldChange.record_id == entry.record_id)
    found = rows(FieldChange, *its, FieldChange.unit == entry.unit, FieldChange.field.is_not(None))
    return {change.field: (change.before, change.after) for change in found}


def text_of(response: TestResponse) -> str:
    """What a person reads on the page: the text without tags, blanks folded."""
    body = re.sub(r"(?s)<(script|style|svg)\b.*?</\1>", " ", response.get_data(as_text=True))
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body)).strip()


def versus(response: TestResponse) -> dict[str, tuple[str, ...]]:
    """The table of both versions on the page of a stale form: field -> (when it was opened,) now, typed."""
    lines = {}
    for row in re.findall(r"(?s)<tr>\s*<th scope.*?</tr>", response.get_data(as_text=True)):
        cells = re.findall(r"(?s)<t[hd][^>]*>(.*?)</t[hd]>", row)
        label, *said = [re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", cell))).strip() for cell in cells]
        lines[label] = tuple(said)
    return lines


@contextmanager
def instead(app: Flask, url: str) -> Iterator[sa.Engine]:
    """The application's own code on another database; the first one comes back afterwards."""
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg2://"), poolclass=sa.NullPool)
    tune(engine)
    with app.app_context():
        engines = db._app_engines[app]
        first = engines[None]
        engines[None] = engine
        try:
            yield engine
        finally:
            db.session.remove()
            engine.dispose()
            engines[None] = first
