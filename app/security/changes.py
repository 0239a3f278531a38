"""How changes of accounts and roles read: rights and roles by their labels."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from flask import g
from flask_appbuilder.security.sqla.models import Role
from flask_babel import lazy_gettext as _l

from app.core import history
from app.core.format import listed, yes_no
from app.core.language import chinese
from app.extensions import db
from app.security.labels import right_label, view_label

CHOSEN = {"zh": "中文", "en": "English", "light": _l("Light"), "dark": _l("Dark")}
"""What a person chooses for himself: each language by its own name."""


def install() -> None:
    """Tell the history how to read what is no column of a screen."""
    account = {
        "password": _l("Password"),
        "password_due": _l("Must choose a password"),
        "language": _l("Language"),
        "theme": _l("Appearance"),
    }
    history.FIELD_LABELS.update(ab_role=_of_a_role, ab_user=account.get)
    history.VALUES.update(ab_role=_of_role, ab_user=_of_account)


def _of_a_role(field: str) -> Any:
    """A right given to a role or taken from it, or what the product itself calls the role."""
    permission, blank, screen = field.partition(" ")
    if not blank:
        return {"code": _l("Code"), "name": _l("Code")}.get(field)
    return f"{view_label(screen)}{'：' if chinese() else ': '}{right_label(permission, screen)}"


def _of_role(field: str, kept: str) -> Any:
    return yes_no(kept == "1") if field == "active" or " " in field else None


def _of_account(field: str, kept: str) -> Any:
    if field in ("active", "password_due"):
        return yes_no(kept == "1")
    if field in ("language", "theme"):
        return CHOSEN.get(kept)
    if field != "roles":
        return None
    if "role_names" not in g:
        g.role_names = {role.name: str(role) for role in db.session.execute(sa.select(Role)).scalars()}
    return listed(g.role_names.get(name, name) for name in kept.split(", "))
