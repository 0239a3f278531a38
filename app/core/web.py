"""What every response and template shares: headers, asset addresses, the menu, the reader's language and theme."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode as url_encode

from flask import Flask, Response, current_app, g, request, session, url_for
from flask_babel import get_translations
from markupsafe import Markup

from app.core import format as formats
from app.core import nav
from app.core.language import language
from app.core.stale import opened_input

VERSION = "0.1.0"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
COUNTERS: dict[str, Any] = {}
"""Menu name -> function giving the number of things that wait for the reader; domains add theirs."""


def asset(name: str) -> str:
    """The address of a static file with a hash of its content: cached for a year, fresh when it changes.

    The file is looked at once per process, while developing at every page.
    """
    path = f"{current_app.static_folder}/{name}"
    stamp = os.stat(path).st_mtime if current_app.debug and os.path.exists(path) else 0.0
    return _asset(path, stamp, request.script_root, name)


@lru_cache(maxsize=512)
def _asset(path: str, _stamp: float, _root: str, name: str) -> str:
    if not Path(path).exists():
        return url_for("static", filename=name)
    return url_for("static", filename=name, v=hashlib.sha256(Path(path).read_bytes()).hexdigest()[:10])


def icon(name: str, cls: str = "") -> Markup:
    """One of the sprite's icons as SVG; always decorative. A page shows dozens of them."""
    return _icon(asset("img/icons.svg"), name, cls)


@lru_cache(maxsize=512)
def _icon(sprite: str, name: str, cls: str) -> Markup:
    return Markup(
        '<svg class="icon{}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2"'
        ' stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><use href="{}#i-{}"/></svg>'
    ).format(f" {cls}" if cls else "", sprite, name)


class Page:
    """`lk` in templates: what the frame of a page needs to know."""

    version = VERSION

    @property
    def lang(self) -> str:
        return language()

    @property
    def html_lang(self) -> str:
        return str(current_app.config["LANGUAGES"][language()].get("html", language()))

    @property
    def other_languages(self) -> list[tuple[str, dict[str, str]]]:
        """What the reader may switch to: (code, its words in config.LANGUAGES)."""
        return [(code, words) for code, words in current_app.config["LANGUAGES"].items() if code != language()]

    @property
    def theme(self) -> str:
        profile = g.get("profile")
        own = getattr(profile, "theme", None) or session.get("theme")
        return own if own in ("light", "dark") else "light"

    @property
    def demo(self) -> bool:
        return bool(current_app.extensions["liuke_demo"]())

    @property
    def notifications(self) -> Any:
        """The bell: how many unread (`unread`) and where they are (`url`); none without a notification centre."""
        made = current_app.extensions.get("liuke_notifications")
        return made() if made is not None and self.signed_in else None

    @property
    def breadcrumbs(self) -> list[tuple[str, str]]:
        """The list a record belongs to: (label, address) of the menu entry the page stands under."""
        for group in self.menu() if self.signed_in else []:
            for item in group["items"]:
                if item["current"] and item["url"] != request.path:
                    return [(item["label"], item["url"])]
        return []

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
        """The entries the reader may open, by group. Made once per request."""
        if "menu" not in g:
            g.menu = self._menu()
        return g.menu

    def _menu(self) -> list[dict[str, Any]]:
        allowed = current_app.appbuilder.sm.get_user_menu_access()  # type: ignore[attr-defined]
        groups = []
        order = list(nav.GROUPS)
        # Asked once: a menu has three dozen entries, and each look at the request costs as much as writing one.
        path, root, sprite, spoken = request.path, request.script_root, asset("img/icons.svg"), language()
        entries = current_app.appbuilder.menu.get_list()  # type: ignore[attr-defined]
        for group in sorted(entries, key=lambda e: order.index(e.name) if e.name in order else -1):
            children = [item for item in group.childs or [group] if item.name in allowed]
            items = [
                {
                    "name": item.name,
                    "label": _label(item, spoken),
                    "url": url,
                    "icon": _icon(sprite, item.icon or "point", ""),
                    "current": path.startswith(_stem(url)),
                    "count": self.count(item.name),
                    "counted": item.name in COUNTERS,
                }
                for item in children
                for url in [_address(item, root)]
            ]
            if items:
                groups.append({"label": _label(group, spoken) if group.childs else None, "items": items})
        return groups


def list_url(view: Any, **change: Any) -> str:
    """This list's address with one thing changed: order and direction, page, count, or one filter taken off."""
    name = type(view).__name__
    args = request.args.to_dict()
    args.pop("count", None)
    if "without" in change:
        args.pop(change["without"], None)
        args.pop(f"page_{name}", None)
    if "order" in change:
        args.update({f"_oc_{name}": change["order"], f"_od_{name}": change["direction"]})
        args.pop(f"page_{name}", None)
    if "size" in change:
        args[f"psize_{name}"] = change["size"]
        args.pop(f"page_{name}", None)
    if "page" in change:
        args[f"page_{name}"] = change["page"]
    if "count" in change:
        args["count"] = change["count"]
    query = url_encode({key: value for key, value in args.items() if value != ""})
    return f"{request.path}?{query}" if query else request.path


def size_urls(view: Any, sizes: Any) -> list[tuple[int, str]]:
    """Page sizes with their addresses."""
    return [(size, list_url(view, size=size)) for size in sizes]


def kept_args(search: Any) -> list[tuple[str, str]]:
    """The address's arguments that a new search keeps: order and page size, not the filters and the page."""
    return [(k, v) for k, v in request.args.items() if k.startswith(("_oc_", "_od_", "psize_", "tab"))]


def page_note(view: Any) -> Any:
    """The line of facts under a page's title, if its view has one."""
    note = view.note_text
    return note() if callable(note) else note


@lru_cache(maxsize=512)
def _address(item: Any, _root: str) -> str:
    return str(item.get_url())


@lru_cache(maxsize=1024)
def _label(item: Any, _language: str) -> str:
    return str(item.label)


def _stem(url: str) -> str:
    return url.removesuffix("list/")


def translate(text: str, found: Any = None, /, **values: Any) -> str:
    """A sentence in the reader's language; `found` is its catalogue where the caller has it."""
    sentence: str = (found or get_translations()).ugettext(text)
    return sentence % values if values else sentence


def install(app: Flask) -> None:
    """Hook all of this into the application."""
    app.jinja_env.globals.update(
        asset=asset, lk=Page(), fmt=formats, list_url=list_url, size_urls=size_urls, kept_args=kept_args,
        page_note=page_note, icon_svg=icon, _=translate, opened=opened_input,
    )  # fmt: skip
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.extensions.setdefault("liuke_demo", lambda: False)

    @app.after_request
    def headers(response: Response) -> Response:
        response.headers.setdefault("Content-Security-Policy", CSP)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Referrer-Policy", "same-origin")
        response.headers.setdefault("X-Frame-Options", "DENY")
        response.headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
        if request.endpoint != "static" or response.status_code >= 400:
            response.headers["Cache-Control"] = "no-store"
        if app.config["LIUKE_HTTPS"]:
            response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        return response

    @app.context_processor
    def words() -> dict[str, Any]:
        """`_` for templates: the catalogue is found once per page, not once per sentence."""
        found = get_translations()
        return {"_": lambda text, **values: translate(text, found, **values)}
