"""Tables as files for spreadsheets: CSV and XLSX in which no text is ever taken for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import IO, Any

import xlsxwriter

from app.core.clock import local

BOM = "\ufeff"  # by which Excel knows UTF-8
_STARTS = frozenset("=+-@\t\r\n\0＝＋－＠")
_NOT_IN_NAMES = dict.fromkeys(map(ord, "[]:*?/\\"), " ")
_BLANKS = " \u3000\u00a0\ufeff"
FORMATS = {
    "money": "#,##0.00",
    "count": "#,##0",
    "percent": '0.0#"%"',
    "mean": "0.0",
    "date": "yyyy-mm-dd",
    "time": "yyyy-mm-dd hh:mm",
}


def harmless(text: str) -> str:
    """The text so that no spreadsheet reads it as a formula: with an apostrophe before what could begin one."""
    text = text.replace("\0", "")
    return f"'{text}" if text.lstrip(_BLANKS)[:1] in _STARTS and text.strip(_BLANKS) else text


def sheet_name(title: str) -> str:
    """The title as Excel takes it for the name of a sheet: 31 characters without []:*?/\\, no apostrophe at an end."""
    plain = " ".join(title.translate(_NOT_IN_NAMES).split())[:31].strip(" '")
    return plain if plain and plain.lower() != "history" else "_"


def csv_bytes(head: Sequence[Any], rows: Iterable[Sequence[Any]]) -> bytes:
    """A CSV of these rows: UTF-8 with a mark, comma, CRLF; amounts with two decimals, times on the company's clock."""
    out = io.StringIO()
    write = csv.writer(out)
    write.writerow([harmless(str(name)) for name in head])
    write.writerows([_plain(value) for value in row] for row in rows)
    return (BOM + out.getvalue()).encode()


def xlsx_into(
    file: IO[bytes],
    *,
    title: str,
    facts: Sequence[str],
    head: Sequence[Any],
    kinds: Sequence[str],
    rows: Iterable[Sequence[Any]],
) -> None:
    """Write a workbook of one sheet: title and facts, a frozen head, typed rows. In little memory, however many.

    `kinds` names the format of each column: text, count, money, percent, mean, date or time.
    """
    book = xlsxwriter.Workbook(
        file,
        {
            "constant_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
            "nan_inf_to_errors": True,
        },
    )
    sheet = book.add_worksheet(sheet_name(title))
    bold, big = book.add_format({"bold": True, "bottom": 1}), book.add_format({"bold": True, "font_size": 14})
    formats = {kind: book.add_format({"num_format": number}) for kind, number in FORMATS.items()}
    sheet.write_string(0, 0, title, big)
    for n, fact in enumerate(facts, start=1):
        sheet.write_string(n, 0, fact)
    top = len(facts) + 2
    for n, (name, kind) in enumerate(zip(head, kinds, strict=True)):
        sheet.set_column(n, n, 32 if n == 0 else 22 if kind == "text" else 16)
        sheet.write_string(top, n, str(name), bold)
    sheet.freeze_panes(top + 1, 1)
    last = top
    for last, row in enumerate(rows, start=top + 1):
        for n, (value, kind) in enumerate(zip(row, kinds, strict=True)):
            _write(sheet, last, n, value, formats.get(kind))
    sheet.autofilter(top, 0, max(last, top), len(head) - 1)
    book.close()


def _write(sheet: Any, row: int, column: int, value: Any, shape: Any) -> None:
    if value is None or value == "":
        return
    if isinstance(value, datetime):
        sheet.write_datetime(row, column, local(value).replace(tzinfo=None), shape)
    elif isinstance(value, date):
        sheet.write_datetime(row, column, datetime(value.year, value.month, value.day), shape)  # noqa: DTZ001 - a day
    elif isinstance(value, int | Decimal) and not isinstance(value, bool):
        sheet.write_number(row, column, value, shape)
    else:
        sheet.write_string(row, column, str(value)[:32767])


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{local(value):%Y-%m-%d %H:%M}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return str(value)
    return harmless(str(value))
