"""通知: what a person is told: here, by mail, by a robot of his chat group, in his calendar."""

from __future__ import annotations

from typing import Any


def register(appbuilder: Any) -> None:
    """Nothing to see yet: other domains call `operations.notify` and declare what they tell in `kinds`."""
