"""The rules of a handover as a table: who gets which bundle, and that nothing that belongs together is torn apart."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from app.handover.models import RecordKind, RuleKind
from app.handover.rule import Bundle, Owned, Rule, share

pytestmark = pytest.mark.once

A, B, C = 11, 12, 13
EAST, SOUTH, WEST = 101, 102, 103


def bundle(number, *, tickets=0, region=None, level=None, customer=True):
    """A customer with some tickets; or tickets of somebody else's customer."""
    records = [Owned(RecordKind.customer, number, 1, f"客户{number}")] if customer else []
    records += [Owned(RecordKind.ticket, number * 100 + n, 1, "FW") for n in range(tickets)]
    return Bundle((0 if customer else 1, number, ""), tuple(records), region, level)


BUNDLES = [
    bundle(1, region=EAST, level=1),
    bundle(2, region=SOUTH, level=5, tickets=2),
    bundle(3, region=WEST, level=1),
    bundle(4, region=None, level=5),
    bundle(5, region=EAST, level=1, customer=False, tickets=1),
]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule(RuleKind.one, people=(A,)), [A, A, A, A, A]),
        (Rule(RuleKind.region, lines=((EAST, A), (SOUTH, B)), rest=C), [A, B, C, C, A]),
        (Rule(RuleKind.region, lines=(), rest=C), [C, C, C, C, C]),
        (Rule(RuleKind.level, lines=((5, B),), rest=A), [A, B, A, B, A]),
        # The customer with most records first: 2 to A, then 1, 3, 4 to whoever has fewest customers; 5 has none.
        (Rule(RuleKind.evenly, people=(A, B)), [B, A, B, A, B]),
    ],
)
def test_every_rule_gives_every_bundle_one_person(rule, expected):
    assert [share(BUNDLES, rule)[b.key] for b in BUNDLES] == expected


def test_a_rule_without_anybody_for_the_rest_is_refused():
    with pytest.raises(ValueError, match="rest"):
        share(BUNDLES, Rule(RuleKind.region, lines=((EAST, A),)))


@pytest.mark.parametrize("people", [(A, B), (A, B, C), tuple(range(1, 8))])
@pytest.mark.parametrize("seed", range(20))
def test_evenly_is_even_whatever_comes(people, seed):
    dice = random.Random(seed)
    bundles = [bundle(n, tickets=dice.choice([0, 0, 1, 5]), customer=dice.random() < 0.8) for n in range(1, 200)]
    bundles = [b for b in bundles if b.records]
    found = share(bundles, Rule(RuleKind.evenly, people=people))
    customers = Counter(dict.fromkeys(people, 0))
    for b in bundles:
        customers[found[b.key]] += b.customers
    assert max(customers.values()) - min(customers.values()) <= 1
    dice.shuffle(bundles)
    assert share(bundles, Rule(RuleKind.evenly, people=people)) == found


def test_evenly_evens_out_what_belongs_to_no_customer():
    bundles = [bundle(1, tickets=6), bundle(2), *(bundle(n, customer=False, tickets=1) for n in range(3, 9))]
    found = share(bundles, Rule(RuleKind.evenly, people=(A, B)))
    assert Counter({A: 7, B: 7}) == Counter(
        {p: sum(len(b.records) for b in bundles if found[b.key] == p) for p in (A, B)}
    )


@pytest.mark.parametrize(
    "rule",
    [
        Rule(RuleKind.one, people=(A,)),
        Rule(RuleKind.evenly, people=(B, A)),
        Rule(RuleKind.region, lines=((EAST, A), (WEST, B)), rest=C),
    ],
)
def test_a_rule_is_kept_as_it_is(rule):
    assert Rule.from_json(rule.to_json()) == rule
    assert len(rule.successors()) == len(set(rule.successors()))
