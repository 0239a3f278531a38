"""How often a password may be tried. Only bad tries count; nobody is locked out of his account by somebody else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from flask import current_app, g, request
from flask_login import current_user

from app.core.text import fold

AGAIN = "PasswordView.again"


def install(limiter: Any, login: Any, again: Any, profile: Any) -> None:
    """Limit the login page per address and account, and per address; the change of one's own password per person.

    Whoever types his password again in a session has the tries of the login page, no further ones.
    """
    for view, endpoint in ((login, "CrmAuthView.login"), (again, AGAIN)):
        _limit(limiter, view, endpoint, "LIUKE_LOGIN_LIMIT", _address_and_account)
        _limit(limiter, view, endpoint, "LIUKE_LOGIN_LIMIT_PER_ADDRESS", _address)
    _limit(limiter, profile, "ProfileView.password", "LIUKE_LOGIN_LIMIT", _person)


def count_this() -> None:
    """The password of this request was wrong."""
    g.wrong_password = True


def _limit(limiter: Any, view: Any, endpoint: str, setting: str, key: Callable[[], str]) -> None:
    limiter.shared_limit(
        lambda: current_app.config[setting],
        scope=key.__name__,
        key_func=key,
        methods=["POST"],
        exempt_when=lambda: request.endpoint != endpoint,
        deduct_when=lambda _response: bool(g.get("wrong_password")),
    )(view.blueprint)


def _address() -> str:
    return request.remote_addr or "unknown"


def _address_and_account() -> str:
    own = current_user.username if request.endpoint == AGAIN and current_user.is_authenticated else None
    account = fold(own or request.form.get("username", "")[:128])
    return f"{_address()} {hashlib.sha256(account.encode()).hexdigest()[:16]}"


def _person() -> str:
    return f"user {current_user.id if current_user.is_authenticated else _address()}"
