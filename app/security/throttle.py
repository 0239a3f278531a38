"""How often a password or a code may be tried. Only bad tries count; nobody is locked out by somebody else.

Asking for a link by mail counts every time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from flask import current_app, g, request, session
from flask_login import current_user

from app.core.clock import utcnow
from app.core.text import fold
from app.security import once
from app.security.models import Purpose

AGAIN = "PasswordView.again"
LOGIN, CODE = "CrmAuthView.login", "CrmAuthView.code"
FORGOTTEN, BY_LINK = "CrmAuthView.forgotten", "CrmAuthView.by_link"
PENDING = "second"  # in the browser's cookie: the token of whoever typed his password and owes a code


def install(limiter: Any, login: Any, again: Any, profile: Any, second: Any) -> None:
    """Limit the pages of the login per address and account, and per address; what somebody does in his own account
    per person.

    Whoever types his password again in a session has the tries of the login page, no further ones. Codes have six
    digits, so an account has a number of tries a day as well, from wherever they come: only who knows the password
    can use them up.
    """
    for view, endpoint in ((login, LOGIN), (again, AGAIN)):
        _limit(limiter, view, endpoint, ("LIUKE_LOGIN_LIMIT",), _address_and_account)
        _limit(limiter, view, endpoint, ("LIUKE_LOGIN_LIMIT_PER_ADDRESS",), _address)
    for view, endpoint in ((profile, "ProfileView.password"), (second, "ProfileSecondFactorView.setup")):
        _limit(limiter, view, endpoint, ("LIUKE_LOGIN_LIMIT",), _person)
    _limit(limiter, login, CODE, ("LIUKE_LOGIN_LIMIT", "LIUKE_CODE_LIMIT"), _pending_person)
    _limit(limiter, login, CODE, ("LIUKE_LOGIN_LIMIT_PER_ADDRESS",), _address)
    _limit(limiter, login, FORGOTTEN, ("LIUKE_LINK_LIMIT",), _address_and_account_asked)
    for endpoint in (FORGOTTEN, BY_LINK):
        _limit(limiter, login, endpoint, ("LIUKE_LOGIN_LIMIT_PER_ADDRESS",), _address)


def count_this() -> None:
    """The password of this request was wrong."""
    g.wrong_password = True


def _limit(limiter: Any, view: Any, endpoint: str, settings: tuple[str, ...], key: Callable[[], str]) -> None:
    limiter.shared_limit(
        lambda: ";".join(current_app.config[setting] for setting in settings),
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


def _address_and_account_asked() -> str:
    return _address_and_account()


def _person() -> str:
    return f"user {current_user.id if current_user.is_authenticated else _address()}"


def _pending_person() -> str:
    """Whoever owes a code; the address for a browser in which nobody does."""
    owes = session.get(PENDING)
    user = once.holder(Purpose.code, owes[0], at=utcnow()) if isinstance(owes, list) and owes else None
    return f"user {user.id}" if user is not None else _address()
