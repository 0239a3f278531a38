"""People's names as their owners write them."""

from __future__ import annotations

import re
import unicodedata

from flask_appbuilder.security.sqla.models import User

DOTS = "·•・‧"  # between the parts of names that other languages write in Chinese characters: 古丽·艾山


def _is_han(text: str) -> bool:
    return bool(text) and all(unicodedata.name(c, "").startswith("CJK") for c in text)


def full_name(user: User) -> str:
    """Family name first and without a space in Chinese (林晓雯), given name first otherwise (Anna Li, 古丽·艾山)."""
    given, family = (user.first_name or "").strip(), (user.last_name or "").strip()
    bare = (family + given).translate(dict.fromkeys(map(ord, DOTS)))
    if not _is_han(bare):
        return f"{given} {family}".strip()
    if len(bare) == len(family + given):
        return family + given
    return _dotted(given, family)


def _dotted(given: str, family: str) -> str:
    """A Chinese name with a dot: the given name first, unless the dot itself says how its two fields go together."""
    for whole, part in ((given, family), (family, given)):
        if part.strip(DOTS) in ["", *re.split(f"[{DOTS}]", whole)]:  # the whole name in one field, perhaps repeated
            return whole
    if family[-1] in DOTS or given[0] in DOTS:
        return family + given
    return f"{given.rstrip(DOTS)}·{family.lstrip(DOTS)}"


# FAB prints "given family" everywhere (navigation, lists, selects); one assignment repairs them all.
User.get_full_name = full_name
