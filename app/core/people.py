"""People's names as their owners write them."""

from __future__ import annotations

import unicodedata

from flask_appbuilder.security.sqla.models import User


def _is_han(text: str) -> bool:
    return bool(text) and all(unicodedata.name(c, "").startswith("CJK") for c in text)


def full_name(user: User) -> str:
    """Family name first and without a space in Chinese (林晓雯), given name first otherwise (Anna Li)."""
    given, family = (user.first_name or "").strip(), (user.last_name or "").strip()
    if _is_han(given + family):
        return family + given
    return f"{given} {family}".strip()


# FAB prints "given family" everywhere (navigation, lists, selects); one assignment repairs them all.
User.get_full_name = full_name
