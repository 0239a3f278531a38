"""States and other closed lists: a short stable code in the database, a label and a tone on the screen."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator


class Choice(StrEnum):
    """A closed list. Members are written `code = "code", _l("Label"), "tone"`.

    The tone is one of ok, warn, bad, hold, mute, brand (DESIGN: status map).
    """

    label: Any
    tone: str

    def __new__(cls, code: str, label: Any = "", tone: str = "mute") -> Self:
        member = str.__new__(cls, code)
        member._value_ = code
        member.label = label or code
        member.tone = tone
        return member

    @classmethod
    def column_type(cls) -> ChoiceType:
        """The column type: text in the database, a member in Python."""
        return ChoiceType(cls)

    @classmethod
    def check(cls, column: str) -> sa.CheckConstraint:
        """The CHECK that keeps other codes out, named after the column."""
        codes = ", ".join(f"'{member.value}'" for member in cls)
        return sa.CheckConstraint(f"{column} IN ({codes})", name=f"{column}_code")


class ChoiceType(TypeDecorator[Choice]):
    """Stores a Choice as its code."""

    impl = sa.String
    cache_ok = True

    def __init__(self, choices: type[Choice]) -> None:
        super().__init__(20)
        self.choices = choices

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:
        return None if value is None else self.choices(value).value

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Choice | None:
        return None if value is None else self.choices(value)
