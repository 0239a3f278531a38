"""The filters of a list: which columns, how each is asked for, and the WHERE they make.

Texts match anywhere, filters combine with AND; %, _ and quotes are plain characters. The grammar of the URL is
FAB's `_flt_<operator>_<column>`: 0 is "contains" or "is", 1 "from", 2 "to".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

import sqlalchemy as sa
from flask import request
from flask_babel import gettext as _
from sqlalchemy.orm import RelationshipProperty

from app.core.choices import ChoiceType
from app.core.clock import day_end, day_start
from app.core.text import clean, fold, like, slices
from app.core.types import MONEY_MAX, Money, UtcDateTime
from app.extensions import db

IS, FROM, TO = 0, 1, 2


@dataclass
class Control:
    """One input of the filter bar."""

    name: str
    label: Any
    kind: str  # text | select | remote | date | number
    value: str = ""
    text: str = ""  # the chosen option as people read it
    options: list[tuple[str, Any]] = field(default_factory=list)
    url: str = ""


@dataclass
class Active:
    """One filter that is on: what the chip says and the URL without it."""

    label: Any
    text: str
    arg: str


def contains(column: Any, text: str, *, folded: bool = False) -> sa.ColumnElement[bool]:
    """WHERE `column` holds `text` anywhere, ignoring case.

    A folded column (see text.search_key) is narrowed by the index over its two-character slices on PostgreSQL.
    """
    if not folded:
        return sa.func.lower(column).like(like(text.lower()), escape="\\")
    wanted = fold(text)
    found = column.like(like(wanted), escape="\\")
    if db.engine.dialect.name == "postgresql" and len(wanted) >= 2:
        from sqlalchemy.dialects.postgresql import ARRAY

        pieces = sa.cast(sa.literal(slices(wanted), ARRAY(sa.Text)), ARRAY(sa.Text))
        return sa.and_(sa.func.liuke_slices(column, type_=ARRAY(sa.Text)).op("@>")(pieces), found)
    return found


class Search:
    """The filters of one view for one request; nothing is kept between requests."""

    def __init__(self, view: Any) -> None:
        self.view = view
        self.model = view.datamodel.obj
        self.controls: list[Control] = []
        self.active: list[Active] = []
        self.criteria: list[sa.ColumnElement[bool]] = []
        for column in view.search_columns:
            self._add(column)

    def _arg(self, operator: int, column: str) -> tuple[str, str]:
        name = f"_flt_{operator}_{column}"
        return name, clean(request.args.get(name, "")[:200]) or ""

    def _switch_on(self, control: Control, text: str, criterion: sa.ColumnElement[bool] | None) -> None:
        self.active.append(Active(control.label, text, control.name))
        self.criteria.append(sa.false() if criterion is None else criterion)

    def _add(self, name: str) -> None:
        attribute = getattr(self.model, name)
        label = self.view.label_columns[name]
        if isinstance(attribute.property, RelationshipProperty):
            self._relation(name, attribute, label)
            return
        kind = attribute.type
        if isinstance(kind, ChoiceType):
            never = self.view.never_found.get(name, ())
            self._choice(name, attribute, label, [(c.value, c.label) for c in kind.choices if c not in never])
        elif isinstance(kind, sa.Boolean):
            self._choice(name, attribute, label, [("1", _("Yes")), ("0", _("No"))])
        elif isinstance(kind, (sa.Date, UtcDateTime)):
            self._range(name, attribute, label, "date")
        elif isinstance(kind, (Money, sa.Integer)):
            self._range(name, attribute, label, "number")
        else:
            self._text(name, label)

    def _text(self, name: str, label: Any) -> None:
        arg, value = self._arg(IS, name)
        control = Control(arg, label, "text", value)
        if value:
            self._switch_on(control, value, self.view.search_text(name, value))
        if self.view.searches(name):
            self.controls.append(control)

    def _choice(self, name: str, attribute: Any, label: Any, options: list[tuple[str, Any]]) -> None:
        arg, value = self._arg(IS, name)
        control = Control(arg, label, "select", value, options=options)
        self.controls.append(control)
        if value:
            shown = dict(options).get(value)
            wanted: Any = value == "1" if isinstance(attribute.type, sa.Boolean) else value
            self._switch_on(control, str(shown or value), attribute == wanted if shown is not None else None)

    def _range(self, name: str, attribute: Any, label: Any, kind: str) -> None:
        for operator, words in ((FROM, _("%(field)s (from)", field=label)), (TO, _("%(field)s (to)", field=label))):
            arg, value = self._arg(operator, name)
            control = Control(arg, words, kind, value)
            self.controls.append(control)
            if value:
                self._switch_on(control, value, self._compare(attribute, operator, value))

    @staticmethod
    def _compare(attribute: Any, operator: int, value: str) -> sa.ColumnElement[bool] | None:
        """The bound, both ends included; None for a text that is no date or number (matches nothing)."""
        try:
            if isinstance(attribute.type, UtcDateTime):
                given = date.fromisoformat(value)
                return attribute >= day_start(given) if operator == FROM else attribute < day_end(given)
            bound: Any
            if isinstance(attribute.type, sa.Date):
                bound = date.fromisoformat(value)
            else:
                bound = Decimal(value)
                if not bound.is_finite() or abs(bound) > MONEY_MAX:
                    return None
                if isinstance(attribute.type, sa.Integer):
                    bound = int(bound)
        except (ValueError, InvalidOperation, OverflowError):
            return None
        return attribute >= bound if operator == FROM else attribute <= bound

    def _relation(self, name: str, attribute: Any, label: Any) -> None:
        arg, value = self._arg(IS, name)
        choices = self.view.choices_for(name, search=True)
        few = choices.few()
        control = Control(arg, label, "remote" if few is None else "select", value)
        offered: dict[str, Any] = {}
        if few is None:
            control.url = self.view.lookup_url(name, search=True)
        else:
            offered = {str(row.id): row for row in few}
            control.options = [(pk, choices.text(row)) for pk, row in offered.items()]
        self.controls.append(control)
        if value:
            chosen = choices.find(value) if few is None else offered.get(value)
            control.text = choices.text(chosen) if chosen is not None else value
            local_key = next(iter(attribute.property.local_columns))
            key = self.model.__mapper__.get_property_by_column(local_key).class_attribute
            points = self.view.search_relations.get(name, lambda row: key == row.id)
            self._switch_on(control, control.text, points(chosen) if chosen is not None else None)
