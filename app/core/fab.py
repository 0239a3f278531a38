"""FAB's entry point with what we do not want left out: pages that change state by GET, its own API."""

from __future__ import annotations

from typing import Any

from flask import current_app, g, has_request_context, session
from flask_appbuilder import AppBuilder
from flask_appbuilder.babel.manager import BabelManager
from flask_babel import Domain


class LiukeBabel(BabelManager):
    """The reader's language: his own, else what this browser chose, else the company's."""

    def get_locale(self) -> str:
        known = current_app.config["LANGUAGES"]
        if has_request_context():
            for wish in (getattr(g.get("profile"), "language", None), session.get("locale")):
                if wish in known:
                    return str(wish)
        return str(current_app.config["BABEL_DEFAULT_LOCALE"])


class Catalogue(Domain):
    """The sentences of a language, found once per request and language: a page asks for some two hundred."""

    def get_translations(self) -> Any:
        asked = g.get("_flask_babel") if g else None  # where Flask-Babel keeps the language of this request
        locale = getattr(asked, "babel_locale", None)
        kept = getattr(asked, "liuke_sentences", None)
        if kept is not None and kept[0] is locale:
            return kept[1]
        found = super().get_translations()
        if asked is not None:
            asked.liuke_sentences = (asked.babel_locale, found)
        return found


class LiukeAppBuilder(AppBuilder):
    """Registers the home page and our security pages; no /lang, no /back, no menu or OpenAPI API."""

    def _add_admin_views(self) -> None:
        self.bm = LiukeBabel.__new__(LiukeBabel)
        self.bm.appbuilder = self
        babel = current_app.extensions["babel"]
        babel.locale_selector = self.bm.get_locale
        babel.instance.domain_instance = Catalogue(domain=babel.default_domain)
        self._indexview: Any = self.add_view_no_menu(self.indexview)
        self.sm.register_views()
