"""Notifications as somebody reads them: in his language, and only what he may still see."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa
from flask import current_app, g
from flask_appbuilder.security.sqla.models import User
from flask_babel import force_locale, format_date
from flask_babel import gettext as _

from app.core.scope import may
from app.core.unit import is_writing, set_writing
from app.extensions import db
from app.notices.kinds import KINDS, Kind
from app.notices.models import Notification
from app.security.models import UserProfile


@dataclass(frozen=True)
class Line:
    """One notification on a page or in a message; without an address the reader may not see what it is about."""

    id: int
    at: Any
    read: bool
    icon: str
    tone: str
    text: str
    url: str | None


class _Words(dict[str, Any]):
    """The values of a sentence; one that is missing leaves a gap and breaks nothing."""

    def __missing__(self, _name: str) -> str:
        return "…"


def sentence(kind: Kind, words: dict[str, Any]) -> str:
    """The sentence of a notification in the reader's language."""
    given = _Words(words)
    for name in kind.days:
        given[name] = day_text(str(words.get(name) or ""))
    for name, called in (kind.codes or {}).items():
        given[name] = called(str(words.get(name) or ""))
    return str(kind.sentence) % given


def day_text(text: str) -> str:
    """An ISO date as people say it: 22 Nov 2026, 2026年11月22日."""
    try:
        return str(format_date(date.fromisoformat(text), format="medium"))
    except ValueError:
        return text


def lines_of(told: Iterable[Notification]) -> list[Line]:
    """These notifications for the signed-in reader. One statement per kind of record that is among them.

    What he may not see any more, or is gone, keeps its line without its words and leads nowhere.
    """
    told = list(told)
    wanted: dict[Any, set[int]] = defaultdict(set)
    for one in told:
        kind = KINDS.get(one.kind)
        if kind is not None:
            wanted[kind.leads].add(one.record_id)
    seen: dict[Any, set[int]] = {}
    for leads, ids in wanted.items():
        rows = leads.scope.rows
        visible = sa.select(rows.id).where(rows.id.in_(ids), leads.scope.criterion())
        allowed = leads.right is None or may(*leads.right)
        seen[leads] = set(db.session.execute(visible).scalars()) if allowed else set()
    return [_line(one, seen) for one in told]


def _line(one: Notification, seen: dict[Any, set[int]]) -> Line:
    kind = KINDS.get(one.kind)
    if kind is None or one.record_id not in seen[kind.leads]:
        return Line(
            one.id, one.at, one.read_at is not None, "ban", "", _("You can no longer see what this is about."), None
        )
    url = kind.leads.url(one.record_id)
    return Line(one.id, one.at, one.read_at is not None, kind.icon, kind.tone, sentence(kind, one.words), url)


@contextmanager
def reading_as(user_id: int) -> Iterator[User | None]:
    """Read as this person does, outside a request of his: his language, his rights, his rows; None if disabled.

    It has a session of its own that only reads; the caller's has nothing open. For messages and calendars.
    """
    app: Any = current_app._get_current_object()  # type: ignore[attr-defined]
    before = is_writing()
    set_writing(False)
    try:
        with app.app_context(), app.test_request_context("/", base_url=app.config["LIUKE_URL"] or None):
            user = db.session.get(User, user_id)
            if user is None or not user.active:
                yield None
                return
            g.user = user
            chosen = db.session.execute(
                sa.select(UserProfile.language).where(UserProfile.user_id == user_id)
            ).scalar_one_or_none()
            with force_locale(chosen or app.config["LIUKE_LANGUAGE"]):
                yield user
    finally:
        set_writing(before)
