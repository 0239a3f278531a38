"""Text as people type it: cleaned for the database, folded for searching."""

from __future__ import annotations

import re
import unicodedata

# Readings of family names that differ from the character's usual one.
SURNAMES = {
    "解": "xie", "仇": "qiu", "曾": "zeng", "单": "shan", "查": "zha", "盖": "ge", "区": "ou", "朴": "piao",
    "尉": "yu", "任": "ren", "华": "hua", "翟": "zhai", "覃": "qin", "缪": "miao", "冼": "xian",
}  # fmt: skip

SUFFIXES = (
    "股份有限公司", "有限责任公司", "集团有限公司", "有限公司", "集团公司", "总公司", "分公司", "公司", "集团",
    "company limited", "corporation", "incorporated", "company", "limited", "co ltd", "corp", "inc", "llc", "ltd",
    "gmbh", "plc", "co",
)  # fmt: skip


# Blanks around a text, and joiners that join nothing.
AROUND = "".join(c for c in map(chr, range(0x3001)) if c.isspace()) + "\u200d"


def clean(text: str | None) -> str | None:
    """What the database may store: no NUL, no lone surrogates, no blanks around; None for nothing."""
    if text is None:
        return None
    if text.isprintable():  # then nothing is dropped; ten times faster for nearly every text there is
        return text.strip() or None
    return "".join(filter(_is_text, text)).strip(AROUND) or None


def _is_text(c: str) -> bool:
    """Whether a character means something. One this Python does not know yet may well be part of a name."""
    if c in "\n\t\u200d":
        return True
    return unicodedata.category(c) not in ("Cc", "Cf", "Cs") and ord(c) & 0xFFFE != 0xFFFE


def fold(text: str | None) -> str:
    """One form for searching: full and half width, upper and lower case, and runs of blanks are the same."""
    folded = unicodedata.normalize("NFKC", clean(text) or "").casefold()
    return re.sub(r"\s+", " ", folded).strip()


def name_key(name: str) -> str:
    """A company's name for comparing: folded, without punctuation and without the company suffix."""
    key = re.sub(r"[^\w\s]", " ", fold(name))
    key = re.sub(r"\s+", " ", key).strip()
    shorter = True
    while shorter:
        shorter = False
        for suffix in SUFFIXES:
            if key.endswith(suffix) and len(key) > len(suffix):
                head = key[: -len(suffix)]
                if suffix.isascii() and not head.endswith(" "):
                    continue
                key, shorter = head.strip(), True
                break
    return key.replace(" ", "")


def _pinyin(text: str) -> tuple[str, str]:
    if text.isascii():
        return "", ""
    from pypinyin import Style, lazy_pinyin  # its dictionary is an eighth of all that a process loads to begin

    full = lazy_pinyin(text, style=Style.NORMAL, errors=lambda _c: "")
    if text and text[0] in SURNAMES and len(text) <= 4:
        full[0] = SURNAMES[text[0]]
    return "".join(full), "".join(syllable[0] for syllable in full if syllable)


def search_key(name: str, *, number: str = "", phone: str | None = None) -> str:
    """What a search box matches: folded name, pinyin, initials, number and phone digits, 600 characters at most."""
    folded = fold(name)
    full, initials = _pinyin(folded)
    digits = re.sub(r"\D", "", phone or "")
    return " ".join(part for part in (folded, full, initials, fold(number), digits) if part)[:600]


def slices(text: str) -> list[str]:
    """The two-character slices of a folded text, each once; the index on PostgreSQL holds the same."""
    return sorted({text[i : i + 2] for i in range(len(text) - 1)})


def like(text: str) -> str:
    r"""A LIKE pattern that finds `text` anywhere; %, _ and \ in it are plain characters (ESCAPE '\')."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
