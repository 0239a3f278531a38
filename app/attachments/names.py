"""What a file is called: the name its owner gave it, without what could mislead a reader or a program."""

from __future__ import annotations

import re
import unicodedata

from app.attachments.models import LONGEST_NAME
from app.core.text import clean


def clean_name(given: str | None) -> str:
    """The name of an uploaded file as it is kept and shown: composed, on one line, without folders, at most 200
    characters with its ending; "-" where nothing is left.

    Control characters and those that turn the direction of writing are gone: what looks like a picture
    shows its real ending.
    """
    name = re.split(r"[/\\]", given or "")[-1]
    name = re.sub(r"\s+", " ", clean(unicodedata.normalize("NFC", name)) or "").strip(" .")
    if len(name) > LONGEST_NAME:
        stem, dot, ending = name.rpartition(".")
        keep = LONGEST_NAME - len(dot + ending)
        name = stem[:keep].rstrip(" .") + dot + ending if stem and keep > 0 else name[:LONGEST_NAME]
    return name or "-"
