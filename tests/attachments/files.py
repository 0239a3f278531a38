"""Files as people send them, made by hand: a few bytes of each kind, and some that only look like one."""

from __future__ import annotations

import io
import struct
import zipfile

TYPES = (
    '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Override PartName="/{part}" ContentType="{type}"/></Types>'
)
OOXML = "application/vnd.openxmlformats-officedocument."
WORD = ("word/document.xml", OOXML + "wordprocessingml.document.main+xml")
EXCEL = ("xl/workbook.xml", OOXML + "spreadsheetml.sheet.main+xml")
SLIDES = ("ppt/presentation.xml", OOXML + "presentationml.presentation.main+xml")
WORD_MACROS = ("word/document.xml", "application/vnd.ms-word.document.macroEnabled.main+xml")


def archive(**parts: bytes | str) -> bytes:
    """A ZIP with these parts."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in parts.items():
            made.writestr(name, content)
    return out.getvalue()


def office(kind: tuple[str, str] = WORD, *, first: bool = True, also: str = "", **parts: bytes | str) -> bytes:
    """An Office document; LibreOffice puts the part that says what it is last (`first` is false)."""
    part, type_ = kind
    says = {"[Content_Types].xml": TYPES.format(part=part, type=type_).replace("</Types>", also + "</Types>")}
    rest = {part: "<x/>", **parts}
    return archive(**(says | rest if first else rest | says))


def ole(*streams: str, storage: str | None = None) -> bytes:
    """A compound file with these (empty) streams, and a storage with one stream if named."""
    entries = [("Root Entry", 5, 1, -1), *((name, 2, -1, -1) for name in streams)]
    if storage is not None:
        entries += [(storage, 1, len(entries) + 1, -1), ("dir", 2, -1, -1)]
    directory = b""
    top = len(streams) + (storage is not None)
    for number, (name, kind, child, _left) in enumerate(entries):
        text = name.encode("utf-16-le") + b"\0\0"
        right = number + 1 if 0 < number < top else -1
        directory += text.ljust(64, b"\0") + struct.pack("<HBBiii", len(text), kind, 1, -1, right, child)
        directory += bytes(36) + struct.pack("<iII", -2, 0, 0)
    sectors = -(-len(directory) // 512)
    directory = directory.ljust(sectors * 512, b"\0")
    fat = struct.pack("<i", -3) + b"".join(struct.pack("<i", n + 2 if n < sectors - 1 else -2) for n in range(sectors))
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    header += struct.pack("<iiiIIiiii", 0, 1, 1, 0, 4096, -2, 0, -2, 0) + struct.pack("<i", 0)
    return header.ljust(512, b"\xff") + fat.ljust(512, b"\xff") + directory


PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Type /Catalog >>\nendobj\n%%EOF\n"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0" + bytes(40)
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1" + bytes(60) + b"\xff\xd9"
GIF = b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\4\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"
WEBP = b"RIFF\x1a\0\0\0WEBPVP8 " + bytes(18)
MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(40)
M4A = b"\0\0\0\x1cftypM4A \0\0\0\0M4A mp42" + bytes(40)
MP3 = b"\xff\xfb\x90\x64" + bytes(417)
MP3_TAGGED = b"ID3\4\0\0\0\0\0\x0a" + bytes(10) + MP3
AMR = b"#!AMR\n" + b"\x3c" + bytes(31)
MAIL = "From: 王强 <wang@example.com>\r\nSubject: 报价\r\nDate: Mon, 2 Nov 2026 09:00:00 +0800\r\n\r\n你好\r\n".encode()
TEXT = "客户说：机器又响了。\n".encode()
GBK_TEXT = "客户说：机器又响了。\n".encode("gb18030")
UTF16_TEXT = "客户说：机器又响了。\n".encode("utf-16")
CSV = "编号,名称\nKH1,北京设备\n".encode("utf-8-sig")
HTML = b"<!doctype html><html><script>alert(document.cookie)</script></html>"
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'

TAKEN = {
    "合同.pdf": PDF,
    "铭牌.png": PNG,
    "现场.JPG": JPEG,
    "现场.jpeg": JPEG,
    "动图.gif": GIF,
    "铭牌.webp": WEBP,
    "合同.docx": office(),
    "合同2.docx": office(first=False),
    "报价.xlsx": office(EXCEL),
    "介绍.pptx": office(SLIDES),
    "合同.doc": ole("WordDocument"),
    "报价.xls": ole("Workbook"),
    "旧报价.xls": ole("Book"),
    "介绍.ppt": ole("PowerPoint Document"),
    "来信.msg": ole("__properties_version1.0"),
    "来信.eml": MAIL,
    "来信.txt": MAIL,
    "说明.txt": TEXT,
    "说明2.txt": GBK_TEXT,
    "说明3.txt": UTF16_TEXT,
    "名单.csv": CSV,
    "资料.zip": archive(**{"index.html": HTML, "说明.txt": TEXT}),
    "空.zip": archive(),
    "异响录音.m4a": M4A,
    "异响录音2.m4a": MP4,
    "录像.mp4": MP4,
    "异响录音.mp3": MP3,
    "异响录音2.mp3": MP3_TAGGED,
    "语音.amr": AMR,
}
"""Name -> content of what is taken."""

NOT_TAKEN = {
    "page.html": HTML,
    "page.htm": HTML,
    "picture.svg": SVG,
    "script.js": b"alert(1)",
    "setup.exe": b"MZ" + bytes(200),
    "run.sh": b"#!/bin/sh\n",
    "link.lnk": b"L\0\0\0" + bytes(60),
    "macros.docm": office(WORD_MACROS),
    "macros.xlsm": office(EXCEL),
    "no ending": PDF,
    ".pdf": PDF,
    "": PDF,
    "a.pdf.exe": PDF,
}
"""Names that are not on the list, whatever is in them."""

DISGUISED = {
    "page.png": HTML,
    "page.txt": HTML,
    "late page.txt": b"\n \t" + HTML,
    "page.csv": b"\xef\xbb\xbf" + HTML,
    "page.pdf": HTML,
    "page.eml": HTML,
    "picture.png": SVG,
    "picture.txt": SVG,
    "shell.txt": b"#!/bin/sh\nrm -rf /\n",
    "setup.pdf": b"MZ" + bytes(200),
    "setup.txt": b"MZ" + bytes(200),
    "elf.jpg": b"\x7fELF" + bytes(200),
    "zip.pdf": archive(a="b"),
    "zip.docx": archive(a="b"),
    "word.zip": office(),
    "word.xlsx": office(),
    "word.doc": office(),
    "old word.docx": ole("WordDocument"),
    "old word.xls": ole("WordDocument"),
    "old.zip": ole("Workbook"),
    "nothing known.doc": ole("Contents"),
    "broken.doc": ole("WordDocument")[:520],
    "picture.pdf": PNG,
    "text.eml": TEXT,
    "text.pdf": TEXT,
    "sound.mp4": MP3,
    "video.mp3": MP4,
    "heic.mp4": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40),
    "quicktime.mp4": b"\0\0\0\x14ftypqt  \0\0\0\0qt  " + bytes(40),
    "wave.webp": b"RIFF\x1a\0\0\0WAVEfmt " + bytes(18),
    "cut.zip": archive(a="b")[:-5],
    "cut.docx": office()[:60],
    "cut.gif": GIF[:-4],
    "bits.txt": bytes(range(256)),
    "nul.txt": b"text\0text",
    # two things at once
    "pdf and page.pdf": b"%PDF-1.7\n" + HTML,
    "page and pdf.pdf": HTML + PDF,
    "late pdf.pdf": b"\n" + PDF,
    "gif and script.gif": b"GIF89a/*" + bytes(20) + b"*/=1;alert(1)//;",
    "whole gif and script.gif": GIF + b"*/=1;alert(1)//;",
    "png and page.png": PNG + HTML,
    "jpeg and page.jpg": b"\xff\xd8\xff\xfe\0\x90" + HTML + JPEG,
    "video and page.mp4": MP4 + HTML,
    "mp3 and page.mp3": b"ID3\4\0\0\0\0\0\x0a" + HTML,
}
"""Contents that are not what their names say."""

MACRO_SHEET = '<Override PartName="/xl/m.xml" ContentType="application/vnd.ms-excel.macrosheet+xml"/>'
PROJECT = '<Override PartName="/xl/x.bin" ContentType="application/vnd.ms-office.vbaProject"/>'
MACROS = {
    "macros.docx": office(WORD_MACROS),
    "project.docx": office(**{"word/vbaProject.bin": b"x"}),
    "PROJECT.docx": office(**{"WORD/VBAPROJECT.BIN": b"x"}),
    "renamed.xlsx": office(EXCEL, also=PROJECT),
    "sheet.xlsx": office(EXCEL, also=MACRO_SHEET),
    "macros.doc": ole("WordDocument", storage="Macros"),
    "macros.xls": ole("Workbook", storage="_VBA_PROJECT_CUR"),
}
