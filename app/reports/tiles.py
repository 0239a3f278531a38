"""The tiles of the dashboard (看板): what there is, in the order of the house, and which report each opens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext as _l


@dataclass(frozen=True)
class Tile:
    """One figure of the strip, or one chart below it."""

    key: str
    label: Any
    report: str  # id of the report it opens, once there is one
    chart: bool = False


TILES: tuple[Tile, ...] = (
    Tile("amount", _l("Order amount"), "contribution"),
    Tile("new", _l("New customers"), "levels"),
    Tile("satisfaction", _l("Service satisfaction"), "service"),
    Tile("warnings", _l("Churn warnings"), "churn-analysis"),
    Tile("retention", _l("Retention of old customers"), "retention-rate"),
    Tile("open", _l("Open opportunities"), "forecast"),
    Tile("churn-trend", _l("Churn trend"), "churn-analysis", chart=True),
    Tile("funnel", _l("Sales funnel"), "funnel", chart=True),
    Tile("best", _l("Top 10 customers"), "contribution", chart=True),
    Tile("composition", _l("Customer composition"), "composition", chart=True),
    Tile("states", _l("Opportunities by status"), "funnel", chart=True),
    Tile("weekly", _l("Churn by week"), "churn-analysis", chart=True),
    Tile("answers", _l("Answers about service"), "service", chart=True),
)
BY_KEY = {tile.key: tile for tile in TILES}


def arranged(chosen: Sequence[str]) -> list[Tile]:
    """The tiles of these keys, in their order; all of the house's without a choice. What is gone is left out."""
    return [BY_KEY[key] for key in chosen if key in BY_KEY] or list(TILES)


def moved(keys: Sequence[str], key: str, by: int) -> list[str]:
    """The keys with one of them moved up (`by` -1) or down (1) among those of its kind; at the end it stays.

    Figures come before charts. Raises `ValueError` for a key that is not among them.
    """
    kinds = [[k for k in keys if BY_KEY[k].chart is chart] for chart in (False, True)]
    kind = kinds[BY_KEY[key].chart] if key in BY_KEY else []
    at = kind.index(key)
    kind.insert(max(0, at + by), kind.pop(at))
    return [*kinds[0], *kinds[1]]
