"""A demo database holds invented people whose passwords everybody knows: it is served on this machine only."""

from __future__ import annotations

import logging
import re
import time
from typing import Any

from flask import Flask, current_app, request
from flask_babel import gettext as _
from sqlalchemy.exc import SQLAlchemyError

from app.core.errorpages import page
from app.core.starting import is_loopback
from app.extensions import db
from app.runs.queries import is_demo

log = logging.getLogger(__name__)

PASSED_ON = ("X-Forwarded-For", "Forwarded", "X-Real-IP")  # headers in which proxies say for whom they ask
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


def passed_on_from_elsewhere() -> bool:
    """Whether a proxy passed this request on for another machine, or for whom we cannot tell.

    A proxy on this machine calls from it, and may ask for localhost whoever asked the proxy. What it says about that
    is believed against it, and for it only when LIUKE_PROXIES says that there is one.
    """
    said = [value for name in PASSED_ON for value in request.headers.getlist(name)]
    if not said:
        return False
    if not current_app.config["LIUKE_PROXIES"]:
        return True
    return not all(is_loopback(_caller(part)) for part in ",".join(said).split(","))


def _caller(said: str) -> str:
    """The address in one element of such a header: bare, or as RFC 7239's for="[...]:port"."""
    found = re.search(r"(?:^|;)\s*for=([^;]*)", said, re.IGNORECASE)
    return (found[1] if found else said).strip().strip('"')


def install(app: Flask | None = None) -> None:
    """Tell pages whether this is a demo, and refuse to serve one to other machines."""
    app = app or current_app
    app.extensions["liuke_demo"] = DemoFlag()

    @app.before_request
    def on_this_machine_only() -> Any:
        """The caller's address, the name he asked for and whom a proxy names must all be this machine's.

        Any one alone can be forged, or hide who really asks.
        """
        if request.endpoint in ("static", "healthz") or not current_app.extensions["liuke_demo"]():
            return None
        here = is_loopback(request.remote_addr or "") and is_loopback(request.host)
        if here and not passed_on_from_elsewhere():
            return None
        return page(
            403,
            _("Demo data stays on this machine"),
            _(
                "This database holds the demo company with passwords that everybody knows, so it is not served to "
                "other machines. For real work start with an empty database and LIUKE_DEMO=0."
            ),
        )
