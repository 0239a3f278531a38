"""Which records may carry files. A domain declares its own in `register()`, with `attachable`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.core import recycle

Closed = Callable[[Any], str | None]

ATTACHABLE: dict[str, Closed] = {}
"""Table name -> why the files of this very record can no longer be changed, as a sentence; None while they can."""


def attachable(table: str, *, closed: Closed = lambda _record: None) -> None:
    """Let the records of this table carry files; `closed` says why not any more."""
    from app.attachments.models import Attachment

    ATTACHABLE[table] = closed
    recycle.hangs(Attachment, table, Attachment.record_id, typed=Attachment.record_type)
