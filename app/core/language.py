"""Which language the reader has: one of config.LANGUAGES."""

from __future__ import annotations

from flask import current_app
from flask_babel import get_locale


def language() -> str:
    """The code of the reader's language (zh, en): his own, else what this browser chose, else the company's.

    Outside a request it is Chinese; a language nobody has set up is read in English, as its sentences are.
    """
    locale = get_locale()
    if locale is None:
        return "zh"
    return str(locale.language) if locale.language in current_app.config["LANGUAGES"] else "en"


def chinese() -> bool:
    """Whether the reader reads Chinese; whatever else is spoken here is set like English."""
    return language() == "zh"
