"""The sales system's export as files: which columns there are, how each is read, what makes a row bad.

The rows go into a scratch database of their own, a temporary file that vanishes with its connection. There double
keys are found and orders meet their lines, whatever the size of the feed and without holding a lock, a transaction
or a table in the product's database.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

from flask import current_app

from app.core.errors import BusinessError
from app.core.files import open_private
from app.core.sentences import gettext as _
from app.core.sentences import to_keep
from app.core.text import clean
from app.mirror.models import OrderStatus

AT_ONCE = 5_000  # rows per batch: half a second of one transaction, a few megabytes of memory
TALLEST = 20  # lines one row may run over; a quote that is never closed costs one row, not the rest of the file
LONGEST = 30_000  # characters of a reported row; a spreadsheet's cell holds 32,767


class FeedRefused(BusinessError):
    """The feed as a whole cannot be read; nothing of it is taken."""


class BadRow(BusinessError):
    """One row cannot be taken."""


# -- values -----------------------------------------------------------------------------------------------------
# Each reader turns a text that is not empty into what the scratch database keeps, or raises `BadRow`.

AMOUNT = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,2})0*)?")
YES, NO = {"1", "true", "yes", "y", "是", "已付"}, {"0", "false", "no", "n", "否", "未付"}


def text(limit: int) -> Callable[[str], str]:
    """A text of at most `limit` characters."""

    def read(value: str) -> str:
        if len(value) > limit:
            raise BadRow(_("“%(value)s…” is longer than %(limit)d characters.", value=value[:40], limit=limit))
        return value

    return read


def cents(value: str) -> int:
    """An amount or a quantity with at most 12 digits and 2 decimals, as a whole number of hundredths."""
    found = AMOUNT.fullmatch(value)
    if found is None:
        raise BadRow(_("“%(value)s” is no number with at most 12 digits and 2 decimals.", value=value[:40]))
    sign, whole, part = found.groups()
    return int(sign + whole + (part or "").ljust(2, "0"))


def position(value: str) -> int:
    """The number of a line on its order."""
    if not (value.isascii() and value.isdigit() and len(value) < 10 and int(value)):
        raise BadRow(_("“%(value)s” is no whole number from 1.", value=value[:40]))
    return int(value)


def yes_no(value: str) -> int:
    """Yes or no."""
    folded = value.casefold()
    if folded not in YES and folded not in NO:
        raise BadRow(_("“%(value)s” is neither 1 (yes) nor 0 (no).", value=value[:40]))
    return int(folded in YES)


@lru_cache(maxsize=10_000)  # feeds repeat their days
def day(value: str) -> str:
    """A date."""
    try:
        found = date.fromisoformat(value)
    except ValueError:
        found = date.min
    if not 1900 <= found.year < 2200:
        raise BadRow(_("“%(value)s” is no date such as 2026-11-22.", value=value[:40]))
    return found.isoformat()


def moments(zone: ZoneInfo) -> Callable[[str], str]:
    """A date (midnight in the company's zone) or a date and time; without an offset it is the company's wall clock."""

    @lru_cache(maxsize=10_000)
    def read(value: str) -> str:
        try:
            found = datetime.fromisoformat(value)
            instant = (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
        except (ValueError, OverflowError):
            instant = datetime.min.replace(tzinfo=UTC)
        if not 1900 <= instant.year < 2200:
            raise BadRow(_("“%(value)s” is no time such as 2026-11-22 or 2026-11-22T14:30:00+08:00.", value=value[:40]))
        return instant.replace(tzinfo=None).isoformat(" ")

    return read


# The sales system's words -> ours; a company adds its own by the setting LIUKE_SYNC_STATUS.
CODES = {
    "new": "new open created pending unpaid 新建 待确认 待付款 未付款",
    "confirmed": "confirmed accepted approved processing paid 已确认 处理中 已付款",
    "shipped": "shipped delivered completed complete fulfilled closed done 已发货 已送达 已签收 已完成",
    "cancelled": "cancelled canceled void voided 已取消 取消 已作废 作废",
}
SAYS_PAID = {"paid": True, "已付款": True, "unpaid": False, "待付款": False, "未付款": False}


def statuses(own: dict[str, str]) -> dict[str, OrderStatus]:
    """What each code of the sales system means here; `own` are the company's, which win."""
    known = {code: OrderStatus(ours) for ours, codes in CODES.items() for code in codes.split()}
    return known | {code.casefold(): OrderStatus(ours) for code, ours in own.items()}


def status_codes() -> Callable[[str], str]:
    """The sales system's own code, as it is, of a status that is known."""
    known = statuses(current_app.config["LIUKE_SYNC_STATUS"])

    def read(value: str) -> str:
        if value.casefold() not in known or len(value) > 40:
            raise BadRow(_("“%(value)s” is a status nobody knows. LIUKE_SYNC_STATUS can name it.", value=value[:40]))
        return value

    return read


# -- files ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Column:
    """One column of a file. A needed one is in every header and filled in every row."""

    name: str
    read: Callable[[str], Any]
    needed: bool = False


@dataclass(frozen=True)
class File:
    """One file of the feed; `key` is what makes a row of it the same row in the next feed."""

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def path(self) -> str:
        """The file's name in the folder."""
        return f"{self.name}.csv"


def files_of_a_feed() -> dict[str, File]:
    """Every file a feed may have, in the order they are read."""
    zone = ZoneInfo(current_app.config["LIUKE_TIMEZONE"])
    files = (
        File("products", ("product_no",), (
            Column("product_no", text(60), True), Column("name", text(200), True), Column("model", text(100), True),
            Column("batch", text(100), True), Column("unit", text(20)), Column("list_price", cents),
            Column("memo", text(500)),
        )),
        File("customers", ("customer_no",), (
            Column("customer_no", text(30), True), Column("name", text(100), True), Column("registered_on", day),
        )),
        File("stock", ("product_no", "warehouse", "location"), (
            Column("product_no", text(60), True), Column("warehouse", text(100), True),
            Column("location", text(100), True), Column("quantity", cents, True), Column("memo", text(500)),
        )),
        File("orders", ("order_no",), (
            Column("order_no", text(60), True), Column("customer_no", text(30), True),
            Column("ordered_at", moments(zone), True), Column("status", status_codes(), True),
            Column("amount", cents), Column("paid", yes_no), Column("cancelled", yes_no),
            Column("delivery_address", text(300)),
        )),
        File("order_lines", ("order_no", "line_no"), (
            Column("order_no", text(60), True), Column("line_no", position, True), Column("product_no", text(60)),
            Column("quantity", cents, True), Column("unit", text(20)), Column("unit_price", cents),
            Column("amount", cents, True),
        )),
    )  # fmt: skip
    return {file.name: file for file in files}


class Rejects:
    """The rows that were not taken, with reasons: counted, and written to a CSV file that a person opens.

    The last column is for the sync's page, which gives the reason in its reader's language.
    """

    HEADER = ("file", "line", "key", "reason", "row", "said")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count: dict[str, int] = {}
        self._out: Any = None

    def add(self, file: File, line: int, key: str, reason: str, row: str) -> None:
        """Report one row."""
        if self._out is None:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Row by row: its page reads the file while it grows, and when the sync was killed.
            self._out = open_private(self.path, encoding="utf-8-sig", newline="", buffering=1)
            self._csv = csv.writer(self._out)
            self._csv.writerow(self.HEADER)
        self.count[file.name] = self.count.get(file.name, 0) + 1
        said = json.dumps(to_keep(reason), ensure_ascii=False)
        self._csv.writerow([file.path, line, _inert(key), reason, _inert(row[:LONGEST]), said])

    def close(self) -> None:
        """Finish the file; without a rejected row there is none."""
        if self._out is not None:
            self._out.close()


def _inert(cell: str) -> str:
    """A cell no spreadsheet takes for a formula."""
    return "'" + cell if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


class Feed:
    """A folder of CSV files, read into scratch tables named like the files.

    `present` says which columns each file of this feed has: a feed is partial, and what it does not mention stays.
    Use as a context manager. `tick` is told how much of the reading is done (0 to 1).
    """

    def __init__(self, folder: Path, rejects: Rejects, tick: Callable[[float], None]) -> None:
        self.folder, self.rejects, self.tick = folder, rejects, tick
        self.files = files_of_a_feed()
        self.present: dict[str, list[str]] = {}
        self.rows_in: dict[str, int] = {}
        self.checksum = ""
        self._encodings: dict[str, str] = {}

    def __enter__(self) -> Self:
        self.scratch = sqlite3.connect("", isolation_level=None)  # a temporary file, gone when closed
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-65536", "temp_store=FILE"):
            self.scratch.execute(f"PRAGMA {pragma}")
        self.scratch.execute("BEGIN")  # one transaction for good: by itself every row would be one
        return self

    def __exit__(self, *_failure: object) -> None:
        self.scratch.close()

    def open(self) -> None:
        """Look at every file's encoding and header. Raises `FeedRefused` before a single row is read."""
        digest = hashlib.sha256()
        for file in self.files.values():
            path = self.folder / file.path
            if path.is_file():
                digest.update(file.path.encode())
                self._encodings[file.name] = _encoding(path, digest)
                self.present[file.name] = self._header(file)
        if not self.present:
            names = ", ".join(file.path for file in self.files.values())
            raise FeedRefused(_("The folder holds none of the files of a feed: %(names)s.", names=names))
        self.checksum = digest.hexdigest()

    def _header(self, file: File) -> list[str]:
        with self._reader(file) as reader:
            cells = next((cells for _line, _raw, cells in reader.rows()), None)
        header = [(clean(cell) or "").casefold() for cell in cells or []]
        missing = [column.name for column in file.columns if column.needed and column.name not in header]
        if missing:
            names = ", ".join(missing)
            raise FeedRefused(
                _("%(file)s lacks the columns %(names)s. Nothing was changed.", file=file.path, names=names)
            )
        known = [name for name in header if name in {column.name for column in file.columns}]
        if len(known) != len(set(known)):
            raise FeedRefused(_("%(file)s names a column twice. Nothing was changed.", file=file.path))
        return header

    def _reader(self, file: File) -> _Reader:
        return _Reader(self.folder / file.path, self._encodings[file.name])

    def load(self) -> None:
        """Read every row. Bad ones and all but the first of a key are reported and left out."""
        self.scratch.execute("CREATE TABLE lost (file, order_no)")  # which orders and orders' lines were reported
        self._bytes = sum((self.folder / self.files[name].path).stat().st_size for name in self.present) or 1
        self._bytes_read = 0
        for name, header in self.present.items():
            file = self.files[name]
            columns = ", ".join(column.name for column in file.columns)
            self.scratch.execute(f"CREATE TABLE {name} (line INTEGER PRIMARY KEY, raw, {columns})")
            with self._reader(file) as reader:
                self._read(file, header, reader)
                self._bytes_read += reader.read
            self._drop_doubles(file)
        for name in self.files.keys() - self.present.keys():
            columns = ", ".join(column.name for column in self.files[name].columns)
            self.scratch.execute(f"CREATE TABLE {name} (line INTEGER PRIMARY KEY, raw, {columns})")
        self.scratch.execute("CREATE INDEX lost_order ON lost (order_no, file)")

    def _read(self, file: File, header: list[str], reader: _Reader) -> None:
        places = [(column, header.index(column.name)) for column in file.columns if column.name in header]
        columns = ", ".join(column.name for column, _place in places)
        insert = f"INSERT INTO {file.name} (line, raw, {columns}) VALUES (?, ?{', ?' * len(places)})"  # noqa: S608
        rows = reader.rows()
        next(rows)  # the header
        kept: list[tuple[Any, ...]] = []
        count = 0
        for line, raw, cells in rows:
            count += 1
            try:
                if cells is None or len(cells) != len(header):
                    raise BadRow(_("The row has other columns than the header."))  # noqa: TRY301
                kept.append((line, raw, *[_value(column, cells[place]) for column, place in places]))
            except BadRow as reason:
                self.reject(file, line, raw, dict(zip(header, cells or [], strict=False)), str(reason))
            if count % AT_ONCE == 0:
                self.scratch.executemany(insert, kept)
                kept.clear()
                self.tick((self._bytes_read + reader.read) / self._bytes)
        self.scratch.executemany(insert, kept)
        self.rows_in[file.name] = count

    def reject(self, file: File, line: int, raw: str, values: Any, reason: str, *, missed: bool = True) -> None:
        """Report a row (`values` by column), and remember its order, whose other rows may depend on it.

        Nobody misses a row of which there is another one just the same: then `missed` is False.
        """
        given = [str(values[part]).strip() if part in values.keys() else "" for part in file.key]  # noqa: SIM118
        self.rejects.add(file, line, "/".join(given), reason, raw)
        if missed and file.key[0] == "order_no":
            self.scratch.execute("INSERT INTO lost VALUES (?, ?)", (file.name, given[0]))

    def _drop_doubles(self, file: File) -> None:
        """Keep the first row of each key."""
        key = ", ".join(file.key)
        same = " AND ".join(f"earlier.{part} = {file.name}.{part}" for part in file.key)
        self.scratch.execute(f"CREATE INDEX {file.name}_key ON {file.name} ({key}, line)")
        doubles = self._all(
            f"SELECT *, (SELECT min(line) FROM {file.name} AS earlier WHERE {same}) AS first"  # noqa: S608
            f" FROM {file.name} WHERE first < line"
        )
        for row in doubles:
            [first] = self._all(f"SELECT * FROM {file.name} WHERE line = ?", [row["first"]])  # noqa: S608
            differs = any(row[column.name] != first[column.name] for column in file.columns)
            reason = _("The same key is in line %(line)d already.", line=row["first"])
            self.reject(file, row["line"], row["raw"], row, reason, missed=differs)
        self.scratch.executemany(f"DELETE FROM {file.name} WHERE line = ?", [(row["line"],) for row in doubles])  # noqa: S608

    # -- reading it back ------------------------------------------------------------------------------------

    def rows(self, name: str, order: str = "line") -> Iterator[list[sqlite3.Row]]:
        """The good rows of a file, some thousand at a time."""
        yield from self._batches(f"SELECT * FROM {name} ORDER BY {order}")  # noqa: S608

    def lines_without_order(self) -> Iterator[list[str]]:
        """The numbers of orders that this feed has lines of but no row, some thousand at a time."""
        numbers = "SELECT DISTINCT order_no FROM order_lines WHERE order_no NOT IN (SELECT order_no FROM orders)"
        for batch in self._batches(numbers + " ORDER BY order_no"):
            yield [row["order_no"] for row in batch]

    def lines_of(self, numbers: list[str]) -> list[sqlite3.Row]:
        """The good lines of these orders."""
        marks = ", ".join("?" * len(numbers))
        return self._all(f"SELECT * FROM order_lines WHERE order_no IN ({marks}) ORDER BY order_no, line_no", numbers)  # noqa: S608

    def lost(self, name: str, numbers: list[str]) -> set[str]:
        """Which of these orders had a row of this file reported."""
        marks = ", ".join("?" * len(numbers))
        found = self._all(f"SELECT order_no FROM lost WHERE file = ? AND order_no IN ({marks})", [name, *numbers])  # noqa: S608
        return {row["order_no"] for row in found}

    def _all(self, statement: str, values: Sequence[str | int] = ()) -> list[sqlite3.Row]:
        cursor = self.scratch.cursor()
        cursor.row_factory = sqlite3.Row
        return cursor.execute(statement, values).fetchall()

    def _batches(self, statement: str) -> Iterator[list[sqlite3.Row]]:
        cursor = self.scratch.cursor()
        cursor.row_factory = sqlite3.Row
        cursor.execute(statement)
        while batch := cursor.fetchmany(AT_ONCE):
            yield batch


class _Reader:
    """One CSV file, row by row."""

    def __init__(self, path: Path, encoding: str) -> None:
        self.path, self.encoding = path, encoding

    def __enter__(self) -> Self:
        self._bytes = self.path.open("rb")
        self._file = io.TextIOWrapper(self._bytes, encoding=self.encoding, newline="")
        return self

    def __exit__(self, *_failure: object) -> None:
        self._file.close()

    @property
    def read(self) -> int:
        """Bytes read so far."""
        return self._bytes.tell()

    def rows(self) -> Iterator[tuple[int, str, list[str] | None]]:
        """(line it begins on, its text, its cells); no cells for a row that is no CSV. Blank lines are skipped."""
        ahead: deque[str] = deque()
        number = 0
        while line := (ahead.popleft() if ahead else self._file.readline()):
            number += 1
            if '"' not in line:
                raw = line.rstrip("\r\n")
                if raw.strip():
                    yield number, raw, raw.split(",")
                continue
            taken, cells = self._quoted(line, ahead)
            raw = "".join([line, *taken]).rstrip("\r\n")
            yield number, raw, cells
            number += len(taken)

    def _quoted(self, line: str, ahead: deque[str]) -> tuple[list[str], list[str] | None]:
        """The further lines that a row with quotes runs over, and its cells.

        Lines that turn out not to belong to it go back to `ahead`.
        """
        taken: list[str] = []
        while True:
            try:
                return taken, next(csv.reader(["".join([line, *taken])], strict=True))
            except csv.Error as error:
                unfinished = str(error) == "unexpected end of data"
            more = (ahead.popleft() if ahead else self._file.readline()) if unfinished and len(taken) < TALLEST else ""
            if not more:
                ahead.extendleft(reversed(taken))
                return [], None
            taken.append(more)


def _value(column: Column, cell: str) -> Any:
    """What a cell holds; None for nothing. Raises `BadRow`."""
    value = cell.strip() if cell.isprintable() else clean(cell)
    if not value:
        if column.needed:
            raise BadRow(_("%(column)s is empty.", column=column.name))
        return None
    try:
        return column.read(value)
    except BadRow as reason:
        raise BadRow(_("%(column)s: %(reason)s", column=column.name, reason=str(reason))) from None


def _encoding(path: Path, digest: Any) -> str:
    """UTF-8 when the whole file is, else GB18030. Adds the file's bytes to the checksum."""
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            with path.open(encoding=encoding) as text_file:
                while text_file.read(2**20):
                    pass
        except UnicodeDecodeError:
            continue
        return encoding
    raise FeedRefused(_("%(file)s is neither UTF-8 nor GB18030 text. Nothing was changed.", file=path.name))
