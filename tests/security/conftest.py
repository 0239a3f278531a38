"""A second node over the same database, and a clock that can be turned."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.support import Browser
from tests.world import World


@pytest.fixture(scope="session")
def second_app(app: Any) -> Any:
    """Another web process, as far as the application can tell."""
    from app import create_app

    return create_app(TESTING=True)


@pytest.fixture
def node2(second_app: Any, db: Any, world: World) -> Iterator[Browser]:
    """A browser that talks to the second node."""
    world.everything = True  # its statements are not watched
    yield Browser(second_app)
    for limiter in second_app.extensions["limiter"]:
        limiter.reset()
    with second_app.app_context():
        db.engine.dispose()


@pytest.fixture
def move(db: Any) -> Callable[[Browser, Browser], Browser]:
    """`move(a, b)` copies the cookie of browser a into browser b."""

    def copy(source: Browser, target: Browser) -> Browser:
        cookie = source.flask.get_cookie("liuke")
        target.flask.delete_cookie("liuke")
        if cookie is not None:
            target.flask.set_cookie("liuke", cookie.value)
        return target

    return copy


class Clock:
    """What the sessions take for now."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **time: float) -> None:
        """Let time pass: `forward(minutes=29)`."""
        self.now += timedelta(**time)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the sign-in sessions, standing still until it is moved."""
    from app.core.clock import utcnow
    from app.security import sessions

    clock = Clock(utcnow())
    monkeypatch.setattr(sessions, "utcnow", clock)
    return clock


def signed_in(browser: Browser) -> bool:
    """Whether this browser gets to see its own account."""
    answer = browser.get("/profile/")
    assert answer.status_code in (200, 302)
    return answer.status_code == 200
