"""The stage of the demo company: who and what there is while it is made, and its random numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

from flask_appbuilder.security.sqla.models import User

from app.core.clock import company_zone, local
from app.core.lifecycle import note_move
from app.desk.demo.names import Company, Names
from app.masterdata.models import DictionaryItem, DictionaryType
from app.runs.periodic import CHURN_SCAN, MONTH_CLOSE, instant

SEED = 20261122
DIRECT, BY_FEED, WON = 175, 8, 17  # where the 200 customers come from; won ones by opportunities
WEEKS = 60  # Saturdays that were scanned
MONTHS = 3  # whose reports were closed
T = DictionaryType  # whose items the stages name by their codes


@dataclass
class Fate:
    """A silence that is part of the story: warned on one Saturday, and what happens then."""

    warned: datetime
    silent_since: datetime
    end: str  # warning, deferred, lost, recovered, won_back
    defers: list[datetime] = field(default_factory=list)
    lost_at: datetime | None = None
    returns_on: date | None = None
    by_sync: bool = False  # the return is noticed by a sync, not by the scan
    never_ordered: bool = False


@dataclass
class Kept:
    """A customer of the scene."""

    customer_id: int
    number: str
    company: Company
    level: str
    owner: str
    since: date
    gap: float | None
    fate: Fate | None = None

    @property
    def busy(self) -> bool:
        """Whether it goes on as usual."""
        return self.fate is None


@dataclass
class Scene:
    """Who and what there is so far."""

    now: datetime
    people: dict[str, User] = field(default_factory=dict)
    items: dict[tuple[DictionaryType, str], DictionaryItem] = field(default_factory=dict)
    customers: list[Kept] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.today = local(self.now).date()
        self.names = Names(self.rng("names"))

    def rng(self, stage: str) -> Random:
        """Random numbers of one stage: what another one draws changes nothing here."""
        return Random(f"{SEED} {stage}")  # noqa: S311 - a story, not a secret

    def ago(self, days: float) -> date:
        """The company-local date so many days ago."""
        return self.today - timedelta(days=days)

    def item(self, kind: DictionaryType, code: str) -> DictionaryItem:
        """A dictionary item by its code."""
        return self.items[kind, code]

    def any_item(self, kind: DictionaryType, rng: Random) -> DictionaryItem:
        """One of the items of a list."""
        return rng.choice([item for (type_, _code), item in self.items.items() if type_ == kind])

    def closings(self) -> list[datetime]:
        """The instants at which the last months were closed, oldest first."""
        zone, found = company_zone(), [self.now]
        for _n in range(MONTHS):
            found.append(instant(MONTH_CLOSE.rule.last(found[-1] - timedelta(minutes=1), zone), zone))
        return found[:0:-1]

    def saturdays(self) -> list[datetime]:
        """The instants of the weekly scans so far, oldest first."""
        zone = company_zone()
        newest = CHURN_SCAN.rule.last(self.now, zone)
        return [instant(newest - timedelta(weeks=n), zone) for n in range(WEEKS - 1, -1, -1)]


class Move(NamedTuple):
    """Something to be done between two Saturdays."""

    at: datetime
    do: Callable[[], None]


def entered(record: Any, *, actor: User | None, at: datetime) -> None:
    """The history row that the page would have written."""
    note_move(record, "create", actor=actor, at=at)
