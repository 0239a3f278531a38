"""How likely a customer is not to order in the next weeks: BG/NBD (Fader, Hardie and Lee 2005), in plain Python.

A customer orders at random at a rate of his own and, after any order, may leave for good with a probability of his
own; rates are gamma, the probabilities beta distributed over the customers. What is known of a customer is his
`History`. A first order is where it begins, so a history has no order that could have been the last before that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil, exp, inf, lgamma, log, log1p
from typing import Any, NamedTuple

SAMPLE = 10_000  # customers a fit reads at most, evenly picked; more change the time and the third digit
BANDS = 10
FAR = 12.0  # logarithms of parameters beyond this say only that the data have no spread
STEPS, NEAR = 600, 1e-6  # of the search: at most so many, and until corners differ by less than this per customer


class History(NamedTuple):
    """What one customer did: days with an order after the first one, weeks from the first to the last, and till now."""

    again: int
    last: float
    age: float


@dataclass(frozen=True)
class Model:
    """The four parameters: rates are gamma(r, alpha) per week, chances to leave after an order beta(a, b)."""

    r: float
    alpha: float
    a: float
    b: float

    def silent(self, history: History, weeks: float) -> float:
        """The probability, 0 to 1, of no order in the next `weeks`.

        How likely the history is with that silence added to its end, over how likely it is as it stands. The same as
        1 - P(alive) + P(alive) * ((alpha + age) / (alpha + age + weeks)) ** (r + again).
        """
        longer = history._replace(age=history.age + weeks)
        return min(exp(self._silence(longer) - self._silence(history)), 1.0)

    def _silence(self, history: History) -> float:
        """Logarithm of the part of a history's likelihood that depends on how long nothing has been ordered."""
        again, last, age = history
        stayed = -(self.r + again) * log(self.alpha + age)
        if not again:
            return stayed  # nobody leaves before a second order
        return _sum(stayed, log(self.a) - log(self.b + again - 1) - (self.r + again) * log(self.alpha + last))

    def likelihood(self, histories: Counter[History]) -> float:
        """Logarithm of how likely these histories (and how often each) are."""
        r, alpha, a, b = self.r, self.alpha, self.a, self.b
        begun = r * log(alpha) - lgamma(r) + lgamma(a + b) - lgamma(b)
        logs = {weeks: log(alpha + weeks) for history in histories for weeks in history[1:]}
        known = {n: begun + lgamma(r + n) + lgamma(b + n) - lgamma(a + b + n) for n in {h.again for h in histories}}
        left = {n: log(a) - log(b + n - 1) for n in known if n}
        total = 0.0
        for (again, last, age), number in histories.items():
            silence = -(r + again) * logs[age]
            if again:  # as in _silence, written out: this is where the time goes
                ahead = left[again] - (r + again) * logs[last] - silence
                silence += ahead + log1p(exp(-ahead)) if ahead > 0 else log1p(exp(ahead))
            total += number * (known[again] + silence)
        return total


def fit(histories: Iterable[History]) -> Model:
    """The model under which these histories are likeliest: always the same for the same ones, in whatever order.

    Raises `ValueError` without any.
    """
    ordered = sorted(histories)
    grouped = Counter(ordered[:: max(ceil(len(ordered) / SAMPLE), 1)])
    if not grouped:
        raise ValueError("no history to learn from")
    size = grouped.total()

    def cost(logs: Sequence[float]) -> float:
        if max(map(abs, logs)) > FAR:
            return inf
        return -Model(*map(exp, logs)).likelihood(grouped) / size

    return Model(*map(exp, lowest(cost, [0.0, 0.0, 0.0, 0.0])))


def lowest(cost: Callable[[Sequence[float]], float], start: Sequence[float]) -> list[float]:
    """Where `cost` is lowest, found from `start` on by Nelder and Mead's simplex."""
    corners = [list(start)] + [[v + (n == m) for m, v in enumerate(start)] for n in range(len(start))]
    found = sorted((cost(corner), corner) for corner in corners)
    for _step in range(STEPS):
        if found[-1][0] - found[0][0] < NEAR:
            break
        worst, others = found[-1], found[:-1]
        middle = [sum(values) / len(others) for values in zip(*(corner for _cost, corner in others), strict=True)]

        def at(factor: float, middle: list[float] = middle, away: list[float] = worst[1]) -> tuple[float, list[float]]:
            corner = [m + factor * (m - w) for m, w in zip(middle, away, strict=True)]
            return cost(corner), corner

        tried = at(1.0)
        if tried < found[0]:
            tried = min(tried, at(2.0))
        elif tried >= others[-1]:
            tried = min(at(0.5), at(-0.5))
        if tried < worst:
            found = sorted([*others, tried])
        else:  # nothing better this way: draw all corners towards the best
            best = found[0][1]
            corners = [[(b + c) / 2 for b, c in zip(best, corner, strict=True)] for _cost, corner in found[1:]]
            found = sorted([found[0], *((cost(corner), corner) for corner in corners)])
    return found[0][1]


def _sum(one: float, other: float) -> float:
    """log(exp(one) + exp(other)), also where exp(one) is too small to write."""
    return max(one, other) + log1p(exp(-abs(one - other)))


def auc(scored: Iterable[tuple[float, bool]]) -> float | None:
    """How often a customer who fell silent had a higher score than one who did not; equal ones count half.

    `scored` are (score, whether it happened). 0.5 is chance, 1 is perfect; None when all did the same.
    """
    counted: dict[float, list[int]] = {}
    for score, happened in scored:
        counted.setdefault(score, [0, 0])[happened] += 1
    right, active, silent = 0.0, 0, 0
    for _score, (no, yes) in sorted(counted.items()):
        right += yes * (active + no / 2)
        active, silent = active + no, silent + yes
    return right / (active * silent) if active and silent else None


def measured(scored: Iterable[tuple[float, bool]]) -> dict[str, Any]:
    """What probabilities were worth: {customers, silent (share), auc, brier, bands}.

    `scored` are (probability, whether it happened). A band is [customers, mean probability, share that fell silent];
    there are ten of (nearly) the same size, the lowest probabilities first.
    """
    ranked = sorted(scored)
    size = len(ranked)
    parts = [ranked[n * size // BANDS : (n + 1) * size // BANDS] for n in range(BANDS)]
    return {
        "customers": size,
        "silent": sum(happened for _p, happened in ranked) / max(size, 1),
        "auc": auc(ranked),
        "brier": sum((p - happened) ** 2 for p, happened in ranked) / max(size, 1),
        "bands": [
            [len(part), sum(p for p, _h in part) / len(part), sum(h for _p, h in part) / len(part)]
            for part in parts
            if part
        ],
    }
