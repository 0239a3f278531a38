"""A file keeps the name its owner gave it, without what could mislead."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.attachments.names import clean_name

TURNS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c"


@pytest.mark.parametrize(("given_name", "kept"), [
    ("采购合同 2026.pdf", "采购合同 2026.pdf"),
    ("../../etc/passwd", "passwd"),
    ("..\\..\\windows\\合同.pdf", "合同.pdf"),
    ("C:\\Users\\wang\\合同.pdf", "合同.pdf"),
    ("/", "-"),
    ("..", "-"),
    (".htaccess", "htaccess"),
    ("a.pdf.", "a.pdf"),
    ("a.pdf. .", "a.pdf"),
    ("a\x00b\x07.pdf", "ab.pdf"),
    ("a\r\nSet-Cookie: x.pdf", "a Set-Cookie: x.pdf"),
    ("照片\u202egpj.exe", "照片gpj.exe"),
    ("\ufeffa.pdf", "a.pdf"),
    ("\ud800a.pdf", "a.pdf"),
    ("e\u0301.pdf", "é.pdf"),
    ("a" * 300, "a" * 200),
    ("a" * 300 + ".pdf", "a" * 196 + ".pdf"),
    ("a." + "b" * 300, "a." + "b" * 198),
    ("", "-"),
    (None, "-"),
])  # fmt: skip
def test_a_name_is_cleaned(given_name, kept):
    assert clean_name(given_name) == kept


@given(st.text(max_size=400))
@example("\u202e" * 300 + "a.pdf")
@example("🙂" * 250 + ".docx")
def test_whatever_is_sent_the_name_is_short_on_one_line_and_harmless(text):
    name = clean_name(text)
    assert 0 < len(name) <= 200
    assert not set(name) & set("/\\\x00\r\n" + TURNS)
    assert name == name.strip(" .")
    assert unicodedata.is_normalized("NFC", name)
    assert clean_name(name) == name
    name.encode()
