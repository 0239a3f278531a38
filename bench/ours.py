"""The product's side: its application in this process, a signed-in browser, and how many statements a page takes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

ME = "bench.lead"
_app: Any = None


def app() -> Any:
    """The application; made once, after the environment names the database."""
    global _app  # noqa: PLW0603
    if _app is None:
        from app import create_app

        _app = create_app()
    return _app


def context() -> Any:
    """An application context."""
    return app().app_context()


def people(count: int) -> list[int]:
    """Make the account managers and the sales lead who looks at the pages. Returns the managers' ids."""
    from flask_appbuilder.security.sqla.models import User

    from app.core.unit import unit_of_work
    from app.extensions import db
    from app.security.models import RoleProfile

    from .data import FAMILY, GIVEN

    with unit_of_work():
        roles = {profile.code: profile.role for profile in db.session.execute(sa.select(RoleProfile)).scalars()}
        made = [
            User(
                username=f"bench.{n}", first_name=GIVEN[n % len(GIVEN)], last_name=FAMILY[n % len(FAMILY)],
                email=f"{n}@example.com", password="!", active=True, roles=[roles["account_manager"]],
            )
            for n in range(count)
        ]  # fmt: skip
        lead = User(
            username=ME, first_name="远", last_name="陈", email="lead@example.com", password="!", active=True,
            roles=[roles["sales_lead"]],
        )  # fmt: skip
        db.session.add_all([*made, lead])
    return [user.id for user in made]


def totals() -> None:
    """Work out the totals beside every customer."""
    from app.core.unit import unit_of_work
    from app.mirror.operations import refresh_totals

    with unit_of_work():
        refresh_totals()


def sign_in(account: str = ME) -> dict[str, str]:
    """A new session, of the sales lead who sees every customer if nobody is named; the cookies a browser would send."""
    from flask_appbuilder.security.sqla.models import User

    from app.extensions import db
    from app.security import sessions

    with app().test_request_context():
        user_id = db.session.execute(sa.select(User.id).where(User.username == account)).scalar_one()
        token = sessions.start(user_id, remember=False, ip="127.0.0.1", user_agent="bench")
        kept = {
            "_user_id": token,
            "_fresh": True,
            "locale": "zh",
            "csrf_token": hashlib.sha1(os.urandom(64)).hexdigest(),
        }
        signed = app().session_interface.get_signing_serializer(app()).dumps(kept)
        return {app().config["SESSION_COOKIE_NAME"]: signed}


def statements(cookies: dict[str, str]) -> Callable[[str], tuple[int, list[str]]]:
    """A function that opens an address in this process and tells the status and the SQL statements it took."""
    client = app().test_client()
    for name, value in cookies.items():
        client.set_cookie(name, value)
    seen: list[str] = []

    from app.extensions import db

    with context():
        engine = db.engine

    @sa.event.listens_for(engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    def open_(address: str) -> tuple[int, list[str]]:
        seen.clear()
        with context():
            answer = client.get(address)
        return answer.status_code, list(seen)

    return open_


@contextmanager
def reading() -> Iterator[list[str]]:
    """Signed in as the sales lead in this process; gives the list that SQL statements are added to."""
    from flask import g
    from flask_appbuilder.security.sqla.models import User

    from app.extensions import db

    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    with app().test_request_context():
        g.user = db.session.execute(sa.select(User).where(User.username == ME)).scalar_one()
        sa.event.listen(db.engine, "before_cursor_execute", note)
        try:
            yield seen
        finally:
            sa.event.remove(db.engine, "before_cursor_execute", note)


def scan(as_of: Any) -> int:
    """The churn scan as `crm churn --as-of` runs it. Returns how many were warned."""
    from app.churn.scan import run_by_hand

    with context():
        return run_by_hand(as_of=as_of).opened


def sync(folder: Path) -> int:
    """A feed read as `crm sync` does it. Returns how many orders were changed."""
    from app.churn.operations import settle
    from app.mirror.sync import sync as read

    with context():
        ended = read(folder, on_orders=settle)
        if ended.rows_rejected or ended.error:
            raise SystemExit(f"The feed was not taken whole: {ended.rows_rejected} rejected. {ended.error or ''}")
        return ended.rows_updated
