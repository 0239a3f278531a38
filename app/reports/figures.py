"""How figures read: short amounts where there is little room, shares that add up, rates and means."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from app.core.web import language

TENTH = Decimal("0.1")
HIDDEN = 10  # a rate of fewer is an accident, not a rate
CHINESE = ((Decimal(1), "", 2), (Decimal(10_000), "万", 1))
ENGLISH = ((Decimal(1), "", 2), (Decimal(1_000), "K", 1), (Decimal(1_000_000), "M", 2))


def money_parts(amount: Decimal) -> tuple[str, str]:
    """A CNY amount shortened for a reader: the number and its unit, ("¥268", "万") or ("¥2.68", "M").

    Chinese counts in 万 (10,000), English in K and M; below the first unit there is none. From 100 on the number is
    whole, below it has a decimal or two. A number that rounding lifts to the next unit is shown in that one.
    """
    units = CHINESE if language() == "zh" else ENGLISH
    sign, size = ("−" if amount < 0 else ""), abs(amount)
    for position, (worth, unit, decimals) in enumerate(units):
        number = _rounded(size / worth, decimals)
        if number >= 100:
            number = _rounded(size / worth, 0)
        if position + 1 == len(units) or number * worth < units[position + 1][0]:
            return f"{sign}¥{_plain(number)}", unit
    raise AssertionError("unreachable")


def short_money(amount: Decimal) -> str:
    """A CNY amount in few characters: ¥268 万, or ¥2.68M in English."""
    number, unit = money_parts(amount)
    return f"{number} {unit}" if unit == "万" else f"{number}{unit}"


def shares(parts: Sequence[int]) -> list[Decimal]:
    """The percentages of the parts of a whole, with one decimal, adding up to exactly 100.0.

    What rounding leaves over goes to the parts that lost most by it, of equal ones to the first. Of nothing: zeros.
    """
    whole = sum(parts)
    if whole == 0:
        return [Decimal("0.0")] * len(parts)
    tenths = [part * 1000 // whole for part in parts]
    lost = sorted(range(len(parts)), key=lambda i: (-(parts[i] * 1000 % whole), i))
    for i in lost[: 1000 - sum(tenths)]:
        tenths[i] += 1
    return [(Decimal(t) / 10).quantize(TENTH) for t in tenths]


def ratio(what: Any, whole: Any, times: int, *, least: int = 0) -> Decimal | None:
    """`what` of `whole`, times 100 for a percentage, to one decimal; None of nothing, or of fewer than `least`."""
    if not whole or what is None or whole < least:
        return None
    return (Decimal(what) * times / Decimal(whole)).quantize(TENTH, ROUND_HALF_UP)


def _rounded(value: Decimal, decimals: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)


def _plain(value: Decimal) -> str:
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
