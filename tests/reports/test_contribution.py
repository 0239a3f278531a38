"""客户贡献: pages of customers, and what the biggest of them bring."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from app.mirror.models import OrderStatus
from app.mirror.operations import refresh_totals
from app.reports.catalogue import BY_ID
from tests import builders
from tests.reports.cells import shanghai
from tests.reports.reading import reading

PERIODS = ("2025", "2025-04-12m", "2025-Q3", "2025-08", "all")
AMOUNTS = ("0.01", "0.99", "1", "9.99", "10", "100", "100.01", "99999.99", "1234567.89")


@pytest.fixture
def many(db, wang, zhao):
    """Customers of whom many ordered the same, some nothing, and some nothing that counts."""
    chance = random.Random(11)
    for number in range(45):
        customer = builders.customer(owner=(wang, zhao)[number % 2], name=f"客户{number % 40:02}")
        for _order in range(chance.choice((0, 0, 1, 3, 6, 12))):
            at = shanghai(2025, chance.randint(1, 12), chance.randint(1, 28), 9)
            status = chance.choice([OrderStatus.shipped] * 4 + [OrderStatus.cancelled])
            builders.order(
                customer, amount=chance.choice(AMOUNTS), at=at, status=status, paid=chance.random() < 0.7
            )  # fmt: skip
    refresh_totals()
    db.session.commit()


@pytest.mark.parametrize("filters", [{}, {"orders": "paid"}, {"name": "1"}])
@pytest.mark.parametrize("code", PERIODS)
@pytest.mark.parametrize("reader", ["chen", "wang"])
def test_the_pages_one_after_another_are_the_whole_list(app, request, many, reader, code, filters):
    report = BY_ID["contribution"]
    with reading(app, request.getfixturevalue(reader)):
        ask = report.ask({"period": code, **filters})
        every = report.lines(ask)
        total = report.total(ask, every)
        number = report.count(ask)
        assert len(every) == number > 0
        bought = [line for line in every if line.values["orders"]]
        assert [line.values["down"] for line in bought] == [
            sum((one.values["amount"] for one in bought[: n + 1]), Decimal("0.00")) for n in range(len(bought))
        ]
        assert sorted(bought, key=lambda one: (-one.values["amount"], int(one.key))) == bought
        for most in (1, 7, 100):
            pages = []
            for first in range(0, number + most, most):
                page = report.table(ask, first=first, most=most, compare=False)
                assert {name: page.total.values[name] for name in total} == total
                pages += page.lines
            assert [(line.key, line.label, line.sub) for line in pages] == [(o.key, o.label, o.sub) for o in every]
            for line, one in zip(pages, every, strict=True):
                assert {name: line.values[name] for name in one.values} == one.values


@pytest.mark.parametrize("code", PERIODS)
def test_the_classes_and_the_curve_are_those_of_adding_up_one_by_one(app, chen, many, code):
    report = BY_ID["contribution"]
    with reading(app, chen):
        ask = report.ask({"period": code})
        amounts = [line.values["amount"] for line in report.lines(ask) if line.values["orders"]]
        total = report.total(ask, [])
    whole, before, brought = sum(amounts), Decimal(0), {"A": [], "B": [], "C": []}
    for amount in amounts:
        brought["A" if before * 100 < whole * 80 else "B" if before * 100 < whole * 95 else "C"].append(amount)
        before += amount
    assert total["classes"] == {letter: (len(found), sum(found)) for letter, found in brought.items()}
    assert (total["amount"], total["customers"]) == (whole, len(amounts))
    steps = [-(-len(amounts) * n // 20) for n in range(1, 21)]
    exact = [sum(amounts[:step]) * 100 / whole for step in steps]
    assert [abs(shown - one) <= Decimal("0.005") for shown, one in zip(total["curve"], exact, strict=True)] == [
        True
    ] * 20
