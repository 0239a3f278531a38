"""No text in a file is ever a formula, and every text comes out of it as it went in."""

from __future__ import annotations

import csv
import io
import zipfile
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from app.core.sheets import BOM, csv_bytes, harmless, sheet_name, xlsx_into

STARTS = "=+-@\t\r\n＝＋－＠"
BLANKS = ["", " ", "\u3000", "\u00a0", "\ufeff", "\0", " \0 "]
DANGEROUS = st.tuples(st.sampled_from(BLANKS), st.sampled_from(STARTS), st.text())
SEEN: list[str] = []


def is_formula(cell):
    """Whether a spreadsheet would take this text for a formula, blanks and all."""
    return cell.lstrip(" \u3000\u00a0\ufeff\0")[:1] in {*STARTS} - {""} and bool(cell.strip(" \u3000\u00a0\ufeff\0"))


@settings(max_examples=2000)
@given(st.one_of(st.text(max_size=40), DANGEROUS.map("".join)))
def test_no_text_begins_a_formula_and_none_is_lost(text):
    SEEN.append(text)
    safe = harmless(text)
    assert not is_formula(safe)
    assert safe.removeprefix("'") == text.replace("\0", "").removeprefix("'")
    assert (safe == text.replace("\0", "")) == (not is_formula(text))


def test_two_thousand_texts_in_files_are_texts():
    assert len(SEEN) >= 2000
    texts = [text.encode("utf-8", "replace").decode() for text in SEEN]
    read = list(
        csv.reader(
            io.StringIO(csv_bytes(["a", "b"], [(text, Decimal("-1.50")) for text in texts]).decode(), newline="")
        )
    )
    assert read[0][0] == BOM + "a"
    assert len(read) == len(texts) + 1
    assert [row for row in read[1:] if is_formula(row[0]) or row[1] != "-1.50"] == []
    assert [row[0] for row in read[1:]] == [harmless(text) for text in texts]
    out = io.BytesIO()
    xlsx_into(
        out, title="=1", facts=["=2"], head=["=3", "b"], kinds=["text", "count"], rows=[(text, -1) for text in texts]
    )
    with zipfile.ZipFile(out) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet
    assert "<f " not in sheet
    assert "<hyperlink" not in sheet
    out.seek(0)
    rows = CalamineWorkbook.from_filelike(out).get_sheet_by_index(0).to_python()
    assert [row[1] for row in rows[-len(texts) :]] == [-1.0] * len(texts)
    assert [row[0] for row in rows[-len(texts) :]] == texts


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("客户贡献", "客户贡献"),
        ("[a]:b*c?d/e\\f", "a b c d e f"),
        ("'Quoted'", "Quoted"),
        ("x" * 30 + " 'y", "x" * 30),
        ("x" * 40, "x" * 31),
        ("History", "_"),
        ("//", "_"),
    ],
)
def test_a_sheet_is_named_as_excel_takes_it(title, name):
    out = io.BytesIO()
    xlsx_into(out, title=title, facts=[], head=["a"], kinds=["text"], rows=[["b"]])
    out.seek(0)
    assert CalamineWorkbook.from_filelike(out).sheet_names == [name] == [sheet_name(title)]
