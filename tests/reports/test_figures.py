"""Figures where there is little room."""

from __future__ import annotations

from decimal import Decimal

import pytest

from app.reports.figures import money_parts, shares, short_money


@pytest.fixture
def speaking(app):
    """Run the block as a reader of this language."""

    def read(language):
        app.config["BABEL_DEFAULT_LOCALE"] = language
        return app.app_context()

    return read


@pytest.mark.parametrize(
    ("amount", "zh", "en"),
    [
        ("0", "¥0", "¥0"),
        ("12.50", "¥12.5", "¥12.5"),
        ("999.49", "¥999", "¥999"),
        ("999.50", "¥1,000", "¥1K"),
        ("9999.49", "¥9,999", "¥10K"),
        ("9999.50", "¥1 万", "¥10K"),
        ("12345", "¥1.2 万", "¥12.3K"),
        ("753000", "¥75.3 万", "¥753K"),
        ("999499", "¥99.9 万", "¥999K"),
        ("999500", "¥100 万", "¥1M"),
        ("2684300", "¥268 万", "¥2.68M"),
        ("12860000", "¥1,286 万", "¥12.86M"),
        ("128600000", "¥12,860 万", "¥129M"),
        ("-2684300", "−¥268 万", "−¥2.68M"),
    ],
)
def test_amounts_are_shortened_as_readers_count(speaking, amount, zh, en):
    for language, short in (("zh", zh), ("en", en)):
        with speaking(language):
            assert short_money(Decimal(amount)) == short


def test_the_unit_stands_apart_from_the_number(speaking):
    with speaking("zh"):
        assert money_parts(Decimal("2684300")) == ("¥268", "万")
        assert money_parts(Decimal("99")) == ("¥99", "")
    with speaking("en"):
        assert money_parts(Decimal("2684300")) == ("¥2.68", "M")


@pytest.mark.parametrize(
    ("parts", "percent"),
    [
        ([1, 1, 1], ["33.4", "33.3", "33.3"]),
        ([2, 1], ["66.7", "33.3"]),
        ([1, 0], ["100", "0"]),
        ([5, 5, 5, 5, 5, 5], ["16.7", "16.7", "16.7", "16.7", "16.6", "16.6"]),
        ([], []),
        ([0, 0], ["0", "0"]),
    ],
)
def test_shares_add_up_to_a_hundred(parts, percent):
    found = shares(parts)
    assert found == [Decimal(p) for p in percent]
    assert sum(found) == (100 if any(parts) else 0)
