"""The kinds of things people are told. A domain declares its own in `register()`; the sentence is the reader's.

    tell("ticket.assigned", icon="headset", sentence=_l("%(number)s was assigned to you: %(title)s"), leads=TICKET)

A sentence has named places; `operations.notify` gives their values, which are kept as they are (names, numbers,
dates as ISO text, codes) and put in when it is shown, in the language of whoever reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import url_for

from app.core.scope import RowScope


@dataclass(frozen=True)
class Leads:
    """Where a notification leads: a record's page, the right it needs, and whose rows are seen there."""

    scope: type[RowScope]
    right: (
        tuple[str, str] | None
    )  # (permission, view), asked again whenever it is shown or opened; None: nobody lacks it
    endpoint: str  # of the page, asked with pk=<id of the record>

    def url(self, record_id: int) -> str:
        """The record's page."""
        return url_for(self.endpoint, pk=record_id)


@dataclass(frozen=True)
class Kind:
    """One kind of notification."""

    name: str
    icon: str
    sentence: Any  # lazy, with named places
    leads: Leads
    tone: str = ""  # of its icon: bad, warn, brand, hold, ok
    days: tuple[str, ...] = ()  # places that hold a day (ISO), shown as people write it
    codes: Mapping[str, Callable[[str], Any]] | None = None  # places that hold a code: who knows what it is called


KINDS: dict[str, Kind] = {}
"""Every kind that was declared, by name."""


def tell(
    name: str,
    *,
    icon: str,
    sentence: Any,
    leads: Leads,
    tone: str = "",
    days: tuple[str, ...] = (),
    codes: Mapping[str, Callable[[str], Any]] | None = None,
) -> Kind:
    """Declare a kind of notification; again with the same name replaces it (a second application in one process)."""
    KINDS[name] = Kind(name, icon, sentence, leads, tone, days, codes)
    return KINDS[name]
