"""Which files are taken: a closed list, told by their content; the name must say the same (docs/decisions).

Nothing is ever unpacked. Of a ZIP only its directory is read, and of an Office document the one small part that says
what it is, both up to a bound.
"""

from __future__ import annotations

import codecs
import mmap
import re
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import olefile

from app.core.errors import BusinessError
from app.core.sentences import gettext as _

HEAD = 1024  # bytes in which a browser that guesses would look for a page
MOST_ENTRIES = 20_000  # of a ZIP
MOST_DIRECTORY = 4 * 2**20  # bytes of a ZIP's directory
MOST_CONTENT_TYPES = 2**20  # bytes of the part in which an Office document says what it is

Content = bytes | mmap.mmap


@dataclass(frozen=True)
class Kind:
    """A kind of file: what it is, the endings its name may have, and the icon it gets."""

    mime: str
    endings: tuple[str, ...]
    icon: str = "file-text"


OOXML = "application/vnd.openxmlformats-officedocument."
PDF = Kind("application/pdf", ("pdf",))
PNG = Kind("image/png", ("png",))
JPEG = Kind("image/jpeg", ("jpg", "jpeg"))
GIF = Kind("image/gif", ("gif",))
WEBP = Kind("image/webp", ("webp",))
DOCX = Kind(OOXML + "wordprocessingml.document", ("docx",))
XLSX = Kind(OOXML + "spreadsheetml.sheet", ("xlsx",), "file-spreadsheet")
PPTX = Kind(OOXML + "presentationml.presentation", ("pptx",))
DOC = Kind("application/msword", ("doc",))
XLS = Kind("application/vnd.ms-excel", ("xls",), "file-spreadsheet")
PPT = Kind("application/vnd.ms-powerpoint", ("ppt",))
MSG = Kind("application/vnd.ms-outlook", ("msg",), "mail")
EML = Kind("message/rfc822", ("eml",), "mail")
TXT = Kind("text/plain", ("txt", "log"))
CSV = Kind("text/csv", ("csv",))
ZIP = Kind("application/zip", ("zip",), "archive")
MP3 = Kind("audio/mpeg", ("mp3",))
AMR = Kind("audio/amr", ("amr",))
M4A = Kind("audio/mp4", ("m4a",))
MP4 = Kind("video/mp4", ("mp4",))

KINDS = (
    PDF, PNG, JPEG, GIF, WEBP, DOCX, XLSX, PPTX, DOC, XLS, PPT, MSG, EML, TXT, CSV, ZIP, MP3, AMR, M4A, MP4,
)  # fmt: skip
BY_ENDING = {ending: kind for kind in KINDS for ending in kind.endings}
BY_MIME = {kind.mime: kind for kind in KINDS}
# Nothing in a text says that it is a table, nor in a recording whether it has pictures.
FITS = {TXT: (TXT, CSV), EML: (EML, TXT, CSV), M4A: (M4A, MP4)}
ENDINGS = tuple(f".{ending}" for ending in BY_ENDING)

# What browsers take for a page, whatever is around it, and what they take for one at the beginning of a text.
PAGE = re.compile(rb"<(?:!doctype\s+html|html|head|body|script|svg|iframe|object|embed|style|meta|img)[\s>/]", re.I)
MARKUP = re.compile(r"\s*<[a-z!?/]", re.I)
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
HEADER = re.compile(r"([!-9;-~]+):")  # a field of a mail: printable ASCII without the colon
SOUND_AND_VIDEO = frozenset(
    (b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"M4A ", b"M4B ", b"M4V ", b"dash",
     b"3gp4", b"3gp5", b"3gp6", b"MSNV")
)  # fmt: skip
MACROS = {"macros", "vba", "_vba_project_cur", "_vba_project"}


class NotTaken(BusinessError):
    """A file that is not taken; the sentence says why."""


def check(name: str, path: Path) -> Kind:
    """What kind of file this is, by its content. Raises `NotTaken` unless it is on the list and named like it."""
    wanted = BY_ENDING.get(ending_of(name))
    if wanted is None:
        raise NotTaken(
            _(
                "Files of this kind are not taken. Possible are PDF, pictures, Word, Excel, PowerPoint, text, CSV, "
                "ZIP, e-mails, sound and MP4 video."
            )
        )
    with path.open("rb") as file:
        if not path.stat().st_size:
            raise NotTaken(_("The file is empty."))
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            found = kind_of(content, file)
    if found is not None and wanted in FITS.get(found, (found,)):
        return wanted
    raise NotTaken(_("The content of the file is not what its name says (.%(ending)s).", ending=ending_of(name)))


def ending_of(name: str) -> str:
    """What stands behind the last point of a name, in small letters."""
    stem, _point, ending = name.rpartition(".")
    return ending.lower() if stem else ""


def kind_of(content: Content, file: IO[bytes]) -> Kind | None:
    """What this is, None for whatever is not on the list. Raises `NotTaken` for macros and for ZIPs out of bounds."""
    head = bytes(content[:HEAD])
    for begins, looks in LOOKS:
        if head.startswith(begins) and (found := looks(content, file)) is not None:
            return found if found is ZIP or not PAGE.search(head) else None
    if head[4:8] == b"ftyp":
        return M4A if head[8:12] in SOUND_AND_VIDEO and not PAGE.search(head) else None
    return _text(content)


def _is(kind: Kind) -> Callable[[Content, IO[bytes]], Kind | None]:
    return lambda _content, _file: kind


def _gif(content: Content, _file: IO[bytes]) -> Kind | None:
    """A GIF from its beginning to its very end: nothing else may hang on it."""
    try:
        at = 13 + _colours(content[10])
        while content[at] != 0x3B:
            if content[at] == 0x21:
                at += 2
            elif content[at] == 0x2C:
                at += 11 + _colours(content[at + 9])
            else:
                return None
            while content[at]:
                at += content[at] + 1
            at += 1
    except IndexError:
        return None
    return GIF if not bytes(content[at + 1 :]).strip(b"\x00") else None


def _colours(flags: int) -> int:
    """Bytes of the colour table that follows these flags."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _webp(content: Content, _file: IO[bytes]) -> Kind | None:
    return WEBP if content[8:12] == b"WEBP" else None


def _mp3(content: Content, _file: IO[bytes]) -> Kind | None:
    """One frame of MPEG audio, layer III, with a rate that exists."""
    second, third = content[1:3] if len(content) > 3 else b"\0\0"
    right = second & 0xE6 == 0xE2 and second & 0x18 != 0x08 and third >> 4 not in (0, 15) and third & 12 != 12
    return MP3 if right else None


def _zip(content: Content, file: IO[bytes]) -> Kind | None:
    """A ZIP, or the Office document it is; by the directory at its end."""
    end = content.rfind(b"PK\x05\x06", max(0, len(content) - 22 - 0xFFFF))
    if end < 0 or end + 22 > len(content):
        return None
    entries, size = struct.unpack_from("<HI", content, end + 10)
    if content[max(0, end - 20) : end].startswith(b"PK\x06\x07") or entries > MOST_ENTRIES or size > MOST_DIRECTORY:
        raise NotTaken(_("The archive holds too many files."))
    try:
        with zipfile.ZipFile(file) as archive:
            names = {name.lower() for name in archive.namelist()}
            if "[content_types].xml" not in names:
                return ZIP
            with archive.open("[Content_Types].xml") as part:
                says = part.read(MOST_CONTENT_TYPES + 1).lower()
    except Exception:  # the file is broken, in one of many ways
        return None
    if len(says) > MOST_CONTENT_TYPES:
        return None
    macros = any(name.endswith(("vbaproject.bin", "vbadata.xml")) for name in names)
    if macros or re.search(rb"macroenabled|vbaproject|macrosheet", says):
        raise NotTaken(_("The file contains macros. Save it without them, then attach it."))
    for kind in (DOCX, XLSX, PPTX):
        if f"{kind.mime}.main+xml".encode() in says:
            return kind
    return None


def _ole(_content: Content, file: IO[bytes]) -> Kind | None:
    """An Office document of before 2007, or a mail of Outlook; by the names of its streams."""
    file.seek(0)
    try:
        with olefile.OleFileIO(file) as document:
            entries = [[part.lower() for part in entry] for entry in document.listdir(streams=True, storages=True)]
    except Exception:  # the file is broken, in one of many ways
        return None
    if any(part in MACROS for entry in entries for part in entry):
        raise NotTaken(_("The file contains macros. Save it without them, then attach it."))
    streams = {entry[0] for entry in entries if len(entry) == 1}
    known = {
        "worddocument": DOC, "workbook": XLS, "book": XLS, "powerpoint document": PPT, "__properties_version1.0": MSG,
    }  # fmt: skip
    return next((kind for name, kind in known.items() if name in streams), None)


LOOKS: tuple[tuple[bytes, Callable[[Any, IO[bytes]], Kind | None]], ...] = (
    (b"%PDF-", _is(PDF)),
    (b"\x89PNG\r\n\x1a\n", _is(PNG)),
    (b"\xff\xd8\xff", _is(JPEG)),
    (b"GIF87a", _gif),
    (b"GIF89a", _gif),
    (b"RIFF", _webp),
    (b"PK\x03\x04", _zip),
    (b"PK\x05\x06", _zip),  # an empty one
    (olefile.MAGIC, _ole),
    (b"#!AMR\n", _is(AMR)),
    (b"#!AMR-WB\n", _is(AMR)),
    (b"ID3", _is(MP3)),
    (b"\xff", _mp3),
)
"""How a file begins, and what looks closer."""


def _text(content: Content) -> Kind | None:
    """A text, or a mail; not a page, not a script for a shell, nothing with characters only programs use."""
    for encoding in _encodings(bytes(content[:4])):
        decoder = codecs.getincrementaldecoder(encoding)()
        first = ""
        try:
            for at in range(0, len(content), 2**16):
                piece = decoder.decode(bytes(content[at : at + 2**16]), final=at + 2**16 >= len(content))
                first = first or piece
                if CONTROLS.search(piece):
                    return None
        except UnicodeDecodeError:
            continue
        if MARKUP.match(first) or first.startswith("#!"):
            return None
        return EML if _is_mail(first) else TXT
    return None


def _encodings(head: bytes) -> tuple[str, ...]:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return ("utf-16",)
    return ("utf-8-sig", "gb18030")


def _is_mail(text: str) -> bool:
    """Whether a text begins with the fields of a mail."""
    seen = set()
    for line in text.splitlines():
        if not line:
            break
        field = HEADER.match(line)
        if field is None and not line.startswith((" ", "\t")):
            return False
        if field is not None:
            seen.add(field[1].lower())
    return "from" in seen and bool(seen & {"date", "subject", "message-id", "received"})
