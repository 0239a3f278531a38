"""Sentences that remember what they say: kept in the history, they are read in the reader's language later.

Whoever raises a refusal imports `gettext as _` from here instead of from flask_babel; nothing else changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flask_babel
from flask_babel.speaklater import LazyString
from markupsafe import Markup, escape

_single: Callable[..., str] = flask_babel.gettext
_plural: Callable[..., str] = flask_babel.ngettext


def _as_text(sentence: LazyString) -> Markup:
    return escape(str(sentence))


# Flask-Babel's own says that a lazy sentence is markup; in ours stand people's words: "To %(level)s".
LazyString.__html__ = _as_text

SAID = "said"
"""The key under which a history row keeps a sentence, beside its wording of that day."""


class Said(str):
    """A translated sentence with its source, one wording or singular and plural, and the values in it."""

    __slots__ = ("source", "values")
    source: tuple[str, ...]
    values: dict[str, Any]

    def __str__(self) -> str:
        return self  # so that str() of it, and of an error raised with it, remembers too


def gettext(text: str, **values: Any) -> str:
    """The sentence in the reader's language."""
    return _said(_single(text, **values), (text,), values)


def ngettext(one: str, many: str, num: int, **values: Any) -> str:
    """The sentence in the reader's language, with the number in it."""
    return _said(_plural(one, many, num, **values), (one, many), {**values, "num": num})


def lazy_gettext(text: str, **values: Any) -> LazyString:
    """The sentence in the language of whoever reads it when it is shown."""
    return LazyString(gettext, text, **values)


def _said(words: str, source: tuple[str, ...], values: dict[str, Any]) -> str:
    made = Said(words)
    made.source, made.values = source, values
    return made


def to_keep(sentence: Any) -> Any:
    """What JSON has to keep of a sentence, or of a value in one, to say it again; None for plain text."""
    if isinstance(sentence, Said):
        return {SAID: sentence.source, "values": {k: to_keep(v) or _plain(v) for k, v in sentence.values.items()}}
    if isinstance(sentence, LazyString):
        return {SAID: [str(a) for a in sentence._args[:1]], "values": {}}
    return None


def said_again(kept: dict[str, Any]) -> str:
    """A sentence that was kept, in the reader's language."""
    values = {k: said_again(v) if isinstance(v, dict) else v for k, v in kept["values"].items()}
    return (_single if len(kept[SAID]) == 1 else _plural)(*kept[SAID], **values)


def _plain(value: Any) -> Any:
    return value if isinstance(value, int) else str(value)
