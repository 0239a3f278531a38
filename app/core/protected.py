"""敏感字段: phone numbers, bank accounts and tax numbers are shown masked to whoever has no right to see them.

A column says what it is by its `info`: `{"phone": True}` or `{"protected": "bank_account"}`. Every screen that shows it
then knows two rights: `can_see_<kind>` for the reader's own records and `can_see_any_<kind>` for everybody's.
"""

from __future__ import annotations

import re
from typing import Any

from markupsafe import Markup
from sqlalchemy.orm import RelationshipProperty
from wtforms import Field
from wtforms.widgets import html_params

from app.core.scope import may

PHONE, BANK_ACCOUNT, TAX_NO = KINDS = ("phone", "bank_account", "tax_no")
HIDDEN = "****"


def kind_of(model: Any, path: str) -> str | None:
    """What a column protects (`phone`, `bank_account`, `tax_no`), by its path from the model; None for nothing."""
    attribute: Any = None
    for part in path.split("."):
        attribute = getattr(model, part, None)
        found = getattr(attribute, "property", None)
        if isinstance(found, RelationshipProperty):
            model = found.mapper.class_
    columns = getattr(getattr(attribute, "property", None), "columns", None)
    if not columns:
        return None
    info = columns[0].info
    return info.get("protected") or (PHONE if info.get("phone") else None)


def rights_on(kind: str) -> tuple[str, str]:
    """The rights that show what is protected: of one's own records, and of everybody's."""
    return f"can_see_{kind}", f"can_see_any_{kind}"


def sees(kind: str, view: str, *, own: bool) -> bool:
    """Whether the reader sees values of this kind on a screen; `own`: the record is the reader's own."""
    of_own, of_any = rights_on(kind)
    return may(of_any, view) or (own and may(of_own, view))


def masked(value: str) -> str:
    """What is left to tell numbers apart: 138****5678. The last four signs, of eleven and more the first three, too.

    Of a number with fewer than eight signs nothing is left: four of them would be most of it.
    """
    signs = re.sub(r"[^0-9A-Za-z]", "", value)
    if len(signs) < 8:
        return HIDDEN
    return f"{signs[:3] if len(signs) >= 11 else ''}{HIDDEN}{signs[-4:]}"


def shown_masked(value: Any, why: str) -> Any:
    """A masked value on a page, with a tip that says why; nothing stays nothing."""
    if value is None or value == "":
        return value
    return Markup('<span class="num" title="{}">{}</span>').format(why, masked(str(value)))


class SealedField(Field):
    """In a form: what the reader may not see. It is shown masked, and nothing that is sent for it is taken."""

    def __init__(self, label: Any = None, validators: Any = None, **kwargs: Any) -> None:
        super().__init__(label, [], **kwargs)
        self.widget = lambda field, **kw: Markup("<input {}>").format(
            Markup(html_params(**{**kw, "type": "text", "id": field.id, "value": field.shown, "disabled": True}))  # noqa: S704 - WTForms escapes each value
        )

    @property
    def shown(self) -> str:
        """The masked value."""
        return masked(str(self.object_data or ""))

    def process_formdata(self, valuelist: list[str]) -> None:
        """Whatever is sent, the value stays what it was."""
        self.data = self.object_data

    def populate_obj(self, obj: Any, name: str) -> None:
        """The real value stays in its record."""
