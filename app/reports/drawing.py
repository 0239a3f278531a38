"""A chart as a report's page shows it: a picture for desks and one for phones, with its legend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from markupsafe import Markup

from app.core.web import language

WIDE, NARROW = 560, 320  # half a page, and a phone
ALONE = 760  # a chart that has the page for itself


@dataclass(frozen=True)
class Drawing:
    """One chart: its title, the picture in both sizes, the legend in the order of the colours."""

    title: Any
    wide: Markup
    narrow: Markup
    legend: Sequence[str] = ()
    middle: tuple[str, str] | None = None  # of a ring: number and word
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    """What it is drawn from, where the report's own table does not say so."""


def drawn(draw: Callable[..., Markup], *figures: Any, **given: Any) -> Markup:
    """The chart of these figures, drawn once per process and language: drawing costs more than asking for them.

    Everything the chart shows is an argument (and hashable), so a kept one is never out of date.
    """
    return _kept(draw, language(), *figures, **given)


@lru_cache(maxsize=256)  # some 2 MB
def _kept(draw: Callable[..., Markup], _spoken: str, *figures: Any, **given: Any) -> Markup:
    return draw(*figures, **given)


def alone(draw: Callable[..., Markup], *figures: Any, **given: Any) -> tuple[Markup, Markup]:
    """The only chart of a page for a desk, which has room for more words, and for a phone."""
    return both(draw, *figures, wide=ALONE, **given)


def both(
    draw: Callable[..., Markup], *figures: Any, tall: int | None = None, wide: int = WIDE, **given: Any
) -> tuple[Markup, Markup]:
    """The chart for a desk and for a phone; `tall` is the height of the first where the chart does not choose it."""
    size = {} if tall is None else {"height": tall}
    small = {} if tall is None else {"height": 200}
    return drawn(draw, *figures, width=wide, **size, **given), drawn(draw, *figures, width=NARROW, **small, **given)
