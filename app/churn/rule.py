"""The churn rule at one instant, in Python and as SQL (docs/decisions/0012)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from flask import current_app

from app.core.clock import day_start, local, months_before
from app.core.errors import BusinessError
from app.core.sentences import gettext as _
from app.core.types import UtcDateTime
from app.customers.models import Customer
from app.extensions import db
from app.masterdata.models import DictionaryItem, DictionaryType


@dataclass(frozen=True)
class Rule:
    """How long a customer may be silent, seen from one instant.

    `months` are calendar months; `by_level` has the levels (dictionary row ids) that differ from it.
    """

    as_of: datetime
    months: int
    by_level: dict[int, int]

    @cached_property
    def today(self) -> date:
        """The company-local day of the as-of: customers registered later do not exist yet."""
        return local(self.as_of).date()

    def cutoff(self, months: int) -> datetime:
        """The instant before which the newest order has to lie, strictly; UTC."""
        return months_before(self.as_of, months)

    def last_registration(self, months: int) -> date:
        """The last company-local day that began before the cut-off, for customers who never ordered."""
        cutoff = self.cutoff(months)
        day = local(cutoff).date()
        return day if day_start(day) < cutoff else day - timedelta(days=1)

    # As SQL over Customer: one value, or one per level.

    @property
    def sql_cutoff(self) -> sa.ColumnElement[datetime]:
        """`cutoff` of each customer's level."""
        return self._of_level(self.cutoff, UtcDateTime())

    @property
    def sql_last_registration(self) -> sa.ColumnElement[date]:
        """`last_registration` of each customer's level."""
        return self._of_level(self.last_registration, sa.Date())

    @property
    def sql_months(self) -> sa.ColumnElement[int]:
        """The months of each customer's level."""
        return self._of_level(lambda months: months, sa.Integer())

    def _of_level(self, value: Callable[[int], Any], kind: Any) -> Any:
        usual = sa.literal(value(self.months), kind)
        if not self.by_level:
            return usual
        others = {level: sa.literal(value(months), kind) for level, months in self.by_level.items()}
        return sa.case(others, value=Customer.level_id, else_=usual)


def rule_at(as_of: datetime) -> Rule:
    """The rule of the settings, seen from `as_of`. One statement.

    LIUKE_CHURN_MONTHS_BY_LEVEL names levels by code or value. Raises `BusinessError` for a level the dictionary does
    not have and for months below one: a scan with another rule than meant would warn wrongly.
    """
    months = current_app.config["LIUKE_CHURN_MONTHS"]
    wanted: dict[str, int] = current_app.config["LIUKE_CHURN_MONTHS_BY_LEVEL"]
    levels = db.session.execute(
        sa.select(DictionaryItem.id, DictionaryItem.code, DictionaryItem.value).where(
            DictionaryItem.type == DictionaryType.level
        )
    ).all()
    by_level = {}
    for name, given in wanted.items():
        found = [row.id for row in levels if name == row.code] or [row.id for row in levels if name == row.value]
        if not found:
            raise BusinessError(
                _("LIUKE_CHURN_MONTHS_BY_LEVEL names the customer level “%(level)s”, which does not exist.", level=name)
            )
        by_level.update(dict.fromkeys(found, given))
    if min([months, *by_level.values()]) < 1:
        raise BusinessError(_("Set the months without an order to 1 or more."))
    return Rule(as_of, months, by_level)
