"""FAB's security manager with our sessions, our rights and our passwords; nothing it opens by itself stays open."""

from __future__ import annotations

import secrets
from typing import Any, NamedTuple

from flask import Flask, current_app, g, request, session
from flask_appbuilder.security.sqla.manager import SecurityManager
from flask_appbuilder.security.sqla.models import User
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_login import LoginManager
from werkzeug.security import check_password_hash, generate_password_hash

from app.core.errors import BusinessError
from app.core.sentences import gettext as _
from app.core.text import fold
from app.security import sessions
from app.security.passwords import common
from app.security.rights import rights_of

MIN_LENGTH = 10
REDIS_PATIENCE = 1  # seconds a login waits for Redis before it counts in memory


class Tried(NamedTuple):
    """A name and a password that somebody typed."""

    user_id: int | None  # of the account of this name, for the log
    user: User | None  # the account if the password was right


class CrmSecurityManager(SecurityManager):
    """Users, roles and rights. Who is asking is decided by the session table on every request."""

    userstatschartview = None  # FAB's chart page needs scripts from abroad and counts in Python

    def __init__(self, appbuilder: Any) -> None:
        super().__init__(appbuilder)
        method = current_app.config["FAB_PASSWORD_HASH_METHOD"]
        # An unknown account must cost what a wrong password costs.
        current_app.config["AUTH_DB_FAKE_PASSWORD_HASH_CHECK"] = generate_password_hash(
            secrets.token_hex(16), method=method
        )

    # -- who is asking --------------------------------------------------------------------------------------

    def create_login_manager(self, app: Any) -> LoginManager:
        manager = super().create_login_manager(app)
        manager.session_protection = None  # the token is the session; nothing else decides
        manager.login_view = "CrmAuthView.login"
        return manager

    def create_limiter(self, app: Flask) -> Limiter:
        """Counts bad logins in Redis, for all nodes together; in this process alone while Redis is away."""
        uri = app.config["RATELIMIT_STORAGE_URI"] or app.config["REDIS_URL"]
        patience: dict[str, str | int] = {} if uri.startswith("memory") else {
            "socket_connect_timeout": REDIS_PATIENCE, "socket_timeout": REDIS_PATIENCE,
        }  # fmt: skip
        limiter = Limiter(
            key_func=get_remote_address,
            storage_uri=uri.replace("unix://", "redis+unix://", 1) if uri.startswith("unix://") else uri,
            storage_options=patience,
            in_memory_fallback_enabled=True,
            key_prefix="liuke",
        )
        limiter.logger = app.logger  # its own one is silent unless somebody sets it up
        limiter.init_app(app)
        return limiter

    def load_user(self, token: Any) -> User | None:
        """The person behind this request's token, or nobody. Remembers why a session was over, for the notice.

        A view function with `passive = True` is asked by a page on its own, not by a person: it keeps no session alive.
        """
        handler = current_app.view_functions.get(request.endpoint or "")
        found = sessions.person_of(token, touch=not getattr(handler, "passive", False))
        if isinstance(found, sessions.Ended):
            g.session_ended = found
            return None
        if found is None:
            return None
        g.profile, g.sign_in = found.profile, found.session
        return found.user

    def load_user_jwt(self, *_args: Any) -> None:
        """No second way in."""
        return

    # -- what they may do -----------------------------------------------------------------------------------

    def has_access(self, permission_name: str, view_name: str) -> bool:
        """Whether the signed-in person holds a right; the public holds nothing."""
        user = g.get("user")
        if user is None or not user.is_authenticated or not user.is_active:
            return False
        return (permission_name, view_name) in rights_of(user.id)

    def is_item_public(self, permission_name: str, view_name: str) -> bool:
        return False

    def get_user_menu_access(self, menu_names: list[str] | None = None) -> set[str]:
        user = g.get("user")
        if user is None or not user.is_authenticated:
            return set()
        return {view for permission, view in rights_of(user.id) if permission == "menu_access"}

    # -- passwords ------------------------------------------------------------------------------------------

    def check_password_rule(self, password: str, *, about: tuple[str, ...] = ()) -> None:
        """Long enough, not among the common ones, not the person's own words. Raises `BusinessError`."""
        if len(password) < MIN_LENGTH:
            raise BusinessError(_("Use at least %(n)d characters for the password.", n=MIN_LENGTH))
        folded = fold(password)
        stem = folded.rstrip("0123456789!?.,-_*#@$+=")  # a common word and a few signs are tried right after the word
        known = common()
        if folded in known or len(set(folded)) < 4 or (stem in known and len(folded) - len(stem) <= 4):
            raise BusinessError(_("This password is among the first that attackers try. Choose another one."))
        if any(len(word) >= 4 and fold(word) in folded for word in (*about, "liuke")):
            raise BusinessError(_("The password must not contain your name, your account or the product's name."))

    def hash_password(self, password: str) -> str:
        """The stored form of a password, at the configured strength."""
        return generate_password_hash(password, method=current_app.config["FAB_PASSWORD_HASH_METHOD"])

    def reset_password(self, userid: int, password: str) -> None:
        """Set a password, by the rule; every session of the account ends. Commits. FAB's command line comes here."""
        from app.security import operations

        operations.reset_password(self.get_user_by_id(int(userid)), password, actor=None)
        self.session.commit()

    def add_user(
        self,
        username: str,
        first_name: str,
        last_name: str,
        email: str,
        role: Any = None,
        password: str = "",
        hashed_password: str = "",
        groups: Any = None,
        commit: bool = True,
    ) -> Any:
        """FAB's way to make an account, with the rule for passwords. False on error, the reason in the log."""
        from app.security import operations

        if not hashed_password:
            try:
                self.check_password_rule(password, about=(username, first_name, last_name))
            except BusinessError as refusal:
                current_app.logger.error("account %r not made: %s", username, refusal)  # noqa: TRY400 - a refusal
                return False
            hashed_password = self.hash_password(password)
            due = True
        else:
            due = False
        made = super().add_user(
            username, first_name, last_name, email, role, "", hashed_password, groups=groups, commit=commit
        )
        if made and due:
            operations.profile_of(made).password_due = True
            if commit:
                self.session.commit()
        return made

    def verify(self, username: str, password: str) -> Tried:
        """Whose account it is, and whether the password is right; an account that is not there costs the same."""
        user = self.find_user(username=username) if username else None
        stored = user.password if user is not None and user.password else None
        user_id = user.id if user is not None else None
        fake = current_app.config["AUTH_DB_FAKE_PASSWORD_HASH_CHECK"]
        self.session.rollback()  # hashing takes a third of a second; hold no lock meanwhile
        right = check_password_hash(stored or fake, password)
        return Tried(user_id, user if right and stored else None)

    def needs_rehash(self, user: User) -> bool:
        """Whether the stored hash was made with other parameters than today's."""
        return not (user.password or "").startswith(current_app.config["FAB_PASSWORD_HASH_METHOD"] + "$")

    # -- views ----------------------------------------------------------------------------------------------

    def register_views(self) -> None:
        """Only our own pages: no security API, no JWT, no user registration, no chart page."""
        from app.security.views import register_security_views

        register_security_views(self)


def token_of_request() -> str | None:
    """The token this browser sent."""
    value = session.get("_user_id")
    return value if isinstance(value, str) else None
