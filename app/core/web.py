"""What every response and template shares: headers, asset addresses, the menu, the reader's language and theme."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Flask, Response, current_app, g, request, session, url_for
from flask_babel import gettext as _
from flask_babel import get_locale

from app.core import format as formats

VERSION = "0.1.0"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
COUNTERS: dict[str, Any] = {}
"""Menu name -> function giving the number of things that wait for the reader; domains add theirs."""


@lru_cache(maxsize=256)
def _digest(path: str, _stamp: float) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:10]


def asset(name: str) -> str:
    """The address of a static file with a hash of its content: cached for a year, fresh when it changes."""
    path = Path(current_app.static_folder or "") / name
    if not path.exists():
        return url_for("static", filename=name)
    return url_for("static", filename=name, v=_digest(str(path), path.stat().st_mtime))


def language() -> str:
    """zh or en: the reader's own, else what this browser chose, else the company's."""
    locale = get_locale()
    return "en" if locale is not None and locale.language == "en" else "zh"


class Page:
    """`lk` in templates: what the frame of a page needs to know."""

    version = VERSION

    @property
    def lang(self) -> str:
        return language()

    @property
    def theme(self) -> str:
        profile = g.get("profile")
        own = getattr(profile, "theme", None) or session.get("theme")
        return own if own in ("light", "dark") else "light"

    @property
    def demo(self) -> bool:
        return bool(current_app.extensions["liuke_demo"]())

    @property
    def signed_in(self) -> bool:
        user = g.get("user")
        return user is not None and user.is_authenticated

    def count(self, name: str) -> int:
        """How many things of this menu item wait for the reader; asked once per request."""
        if name not in COUNTERS or not self.signed_in:
            return 0
        kept: dict[str, int] = g.setdefault("counts", {})
        if name not in kept:
            kept[name] = COUNTERS[name]()
        return kept[name]

    def menu(self) -> list[dict[str, Any]]:
        """The entries the reader may open, by group."""
        allowed = current_app.appbuilder.sm.get_user_menu_access()  # type: ignore[attr-defined]
        groups = []
        for group in current_app.appbuilder.menu.get_list():  # type: ignore[attr-defined]
            children = group.childs or [group]
            items = [
                {
                    "name": item.name,
                    "label": str(item.label),
                    "url": item.get_url(),
                    "icon": item.icon,
                    "current": request.path.startswith(_stem(item.get_url())),
                    "count": self.count(item.name),
                }
                for item in children
                if item.name in allowed
            ]
            if items:
                groups.append({"label": str(group.label) if group.childs else None, "items": items})
        return groups


def _stem(url: str) -> str:
    return url.removesuffix("list/")


def install(app: Flask) -> None:
    """Hook all of this into the application."""
    app.jinja_env.globals.update(asset=asset, lk=Page(), fmt=formats)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.extensions.setdefault("liuke_demo", lambda: False)

    @app.after_request
    def headers(response: Response) -> Response:
        response.headers.setdefault("Content-Security-Policy", CSP)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Referrer-Policy", "same-origin")
        response.headers.setdefault("X-Frame-Options", "DENY")
        response.headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
        if request.endpoint != "static":
            response.headers["Cache-Control"] = "no-store"
        if app.config["LIUKE_HTTPS"]:
            response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        return response

    @app.context_processor
    def words() -> dict[str, Any]:
        return {"_": _}
