"""What a page says, in text and in the attributes people read or hear, and which of it is in the wrong language."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

UNREAD = re.compile(r"<!--.*?-->|<(script|style|template)\b.*?</\1>", re.S)
ELSEWHERE = {
    language: re.compile(rf'<(\w+)\b[^>]*\blang="{other}"[^>]*>.*?</\1>', re.S)
    for language, other in (("zh", "en"), ("en", "zh-CN"))
}
"""What a page marks as spoken in the other language: the switch, the product's other name."""
TAG = re.compile(r"<[^>]*>")
HEARD = re.compile(
    r'\s(?:aria-label|title|placeholder|alt|label|data-(?:confirm|title|ok|empty|placeholder|clear|default))="([^"]*)"'
)
LATIN = re.compile(r"[A-Za-z]{3,}")
HAN = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\u3000-\u303f]+")
SAME_IN_BOTH = re.compile(
    r"[\w.+-]+@[\w.-]+\w"  # e-mail addresses
    r"|https?://\S+"
    r"|\bLIUKE_[A-Z_]+|“crm \w+”"  # settings and commands are typed as they are
    r"|\b[\w-]+\.csv\b|\b[a-z]+_[a-z_]+\b"  # files of a feed, and their columns
    r"|\b(?:PDF|Word|Excel|PowerPoint|Office|CSV|XLSX|ZIP)\b|\b\w+\.pdf\b"  # kinds of files
    r"|\b(?:Liuke|CNY|Redis|AAA|Asia/Shanghai|UTF-8|GB18030)\b"
)


def said(page: str, language: str) -> Iterator[str]:
    """Every piece of text and every spoken attribute of a page in `language`, blanks folded."""
    page = ELSEWHERE[language].sub(" ", UNREAD.sub(" ", page))
    for tag in TAG.findall(page):
        for value in HEARD.findall(tag):
            yield html.unescape(value).strip()
    for piece in TAG.split(page):
        if text := " ".join(html.unescape(piece).split()):
            yield text


def foreign(pieces: Iterable[str], language: str, known: frozenset[str] = frozenset()) -> Iterator[str]:
    """The pieces that hold words of the other language; `known` are words of the rows themselves."""
    for piece in pieces:
        if piece in known:
            continue
        if language == "zh":
            words = LATIN.findall(SAME_IN_BOTH.sub(" ", piece))
            if any(word not in known for word in words):
                yield piece
        elif HAN.search(piece):
            yield piece


def said_by(answer: Any, language: str) -> list[str]:
    """The pieces of an answer: of a page, or the texts of a JSON one."""
    body = answer.get_data(as_text=True)
    if answer.mimetype == "application/json":
        return list(_texts(json.loads(body)))
    return list(said(body, language))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value
