"""A demo database holds invented people whose passwords everybody knows: it is served on this machine only."""

from __future__ import annotations

import ipaddress
import logging
import time
from typing import Any

from flask import Flask, current_app, request
from flask_babel import gettext as _
from sqlalchemy.exc import SQLAlchemyError

from app.core.errorpages import page
from app.extensions import db
from app.runs.queries import is_demo

log = logging.getLogger(__name__)

ASK_AGAIN = 600.0  # seconds after which a database that was no demo is looked at again


class DemoFlag:
    """Whether the database is a demo, asked rarely: a demo stays one, anything else may be filled later."""

    def __init__(self) -> None:
        self.known = False
        self.until = 0.0

    def __call__(self) -> bool:
        """True for a demo database; the last known answer while the database is away."""
        if not self.known and time.monotonic() >= self.until:
            try:
                self.known = is_demo()
            except SQLAlchemyError:
                db.session.rollback()
                return False
            self.until = time.monotonic() + ASK_AGAIN
        return self.known

    def forget(self) -> None:
        """Ask the database again (a demo was just loaded)."""
        self.known, self.until = False, 0.0


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine only: localhost, 127.x.x.x, ::1. A port is ignored."""
    name = host.strip().lower()
    if name.startswith("["):
        name = name[1:].split("]", 1)[0]
    elif name.count(":") == 1:
        name = name.split(":", 1)[0]
    if name in ("localhost", "localhost."):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def install(app: Flask | None = None) -> None:
    """Tell pages whether this is a demo, and refuse to serve one to other machines."""
    app = app or current_app
    app.extensions["liuke_demo"] = DemoFlag()

    @app.before_request
    def on_this_machine_only() -> Any:
        """Both the caller's address and the name he asked for must be this machine's: one alone can be forged."""
        if request.endpoint in ("static", "healthz") or not current_app.extensions["liuke_demo"]():
            return None
        if is_loopback(request.remote_addr or "") and is_loopback(request.host):
            return None
        return page(
            403,
            _("Demo data stays on this machine"),
            _(
                "This database holds the demo company with passwords that everybody knows, so it is not served to "
                "other machines. For real work start with an empty database and LIUKE_DEMO=0."
            ),
        )
