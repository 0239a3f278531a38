"""By which rule records find their successors. Nothing here asks the database: a rule is a table of people.

What belongs together, a customer with its tickets and the opportunities that name it, is a `Bundle` and goes to one
person.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from app.handover.models import RecordKind, RuleKind


@dataclass(frozen=True)
class Owned:
    """One record that a person owns."""

    kind: RecordKind
    id: int
    version: int
    label: str


@dataclass(frozen=True)
class Bundle:
    """Records that stay together. `key` orders bundles and never changes for the same records."""

    key: tuple[int, int, str]
    records: tuple[Owned, ...]
    region_id: int | None = None
    level_id: int | None = None

    @property
    def customers(self) -> int:
        """1 if the customer itself is among the records."""
        return sum(1 for record in self.records if record.kind == RecordKind.customer)


@dataclass(frozen=True)
class Rule:
    """Who gets what.

    `people` are the successors of `one` (exactly one) and `evenly` (two or more, in their order). `lines` give each
    region or level (the id of the dictionary item) its person, `rest` gets what no line names.
    """

    kind: RuleKind
    people: tuple[int, ...] = ()
    lines: tuple[tuple[int, int], ...] = ()
    rest: int | None = None

    def successors(self) -> list[int]:
        """Everybody the rule names, each once, in a fixed order."""
        named = [*self.people, *(person for _item, person in self.lines)]
        return list(dict.fromkeys([*named, self.rest] if self.rest is not None else named))

    def to_json(self) -> dict[str, Any]:
        """As the database keeps it."""
        return {
            "kind": self.kind.value,
            "people": list(self.people),
            "lines": [list(line) for line in self.lines],
            "rest": self.rest,
        }

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Rule:
        """What `to_json` wrote."""
        lines = tuple((int(item), int(person)) for item, person in kept["lines"])
        return cls(RuleKind(kept["kind"]), tuple(kept["people"]), lines, kept["rest"])


def share(bundles: Iterable[Bundle], rule: Rule) -> dict[tuple[int, int, str], int]:
    """Bundle -> successor. The same bundles and the same rule always give the same answer.

    `evenly` deals customers first, the ones with most records first, each to whoever has the fewest customers so far
    (then the fewest records, then stands first); the numbers of customers differ by one at most. What belongs to no
    customer of the leaver then goes to whoever has the fewest records.
    """
    if rule.kind == RuleKind.evenly:
        return _evenly(bundles, rule.people)
    if rule.kind == RuleKind.one:
        return dict.fromkeys((bundle.key for bundle in bundles), rule.people[0])
    lines = dict(rule.lines)
    found = {}
    for bundle in bundles:
        person = lines.get(item_of(bundle, rule.kind) or 0, rule.rest)
        if person is None:
            raise ValueError("the rule names nobody for the rest")
        found[bundle.key] = person
    return found


def item_of(bundle: Bundle, kind: RuleKind) -> int | None:
    """The region or level a bundle is judged by; None when it has none."""
    return bundle.region_id if kind == RuleKind.region else bundle.level_id


def _evenly(bundles: Iterable[Bundle], people: tuple[int, ...]) -> dict[tuple[int, int, str], int]:
    customers, records, found = Counter[int](), Counter[int](), {}
    order = {person: place for place, person in enumerate(people)}
    for bundle in sorted(bundles, key=lambda b: (-b.customers, -len(b.records), b.key)):
        if bundle.customers:
            chosen = min(people, key=lambda p: (customers[p], records[p], order[p]))
        else:
            chosen = min(people, key=lambda p: (records[p], order[p]))
        customers[chosen] += bundle.customers
        records[chosen] += len(bundle.records)
        found[bundle.key] = chosen
    return found
