"""附件: files on tickets, interactions, customers and opportunities."""

from __future__ import annotations

from typing import Any

from flask import current_app, request, session
from flask_babel import lazy_gettext as _l


def register(_appbuilder: Any) -> None:
    """The words of the history, and how much a request may carry that brings files."""
    from app.attachments.access import was_removable
    from app.attachments.models import Attachment
    from app.attachments.operations import check_return, drop_files, owner_of
    from app.core import recycle
    from app.core.history import ACTIONS, ATTEMPTS, KINDS

    KINDS["attachment"] = _l("File")
    recycle.KINDS["attachment"] = recycle.Kind(
        _l("Attached file"), Attachment, None, was_removable,
        check=check_return, purged=drop_files, part_of=("file", owner_of),
    )  # fmt: skip
    ACTIONS["restore_file"] = (_l("put a removed file back"), "arrow-back-up")
    ACTIONS["purge_file"] = (_l("purged a removed file for good"), "trash")
    ACTIONS["attach_file"] = (_l("attached a file"), "paperclip")
    ACTIONS["remove_file"] = (_l("removed a file"), "paperclip")
    # The second is what is written down when somebody was turned away at the door: the name of the right.
    ATTEMPTS["attach_file"] = ATTEMPTS["attach"] = _l("Attach files")
    ATTEMPTS["remove_file"] = ATTEMPTS["detach"] = _l("Remove a file")
    current_app.url_value_preprocessor(_let_files_in)


def _let_files_in(endpoint: str | None, _values: Any) -> None:
    """Raise the limit of this request if its address takes files and somebody is signed in, before it is read."""
    from app.attachments.views import most_sent

    view = current_app.view_functions.get(endpoint or "")
    if getattr(view, "takes_files", False) and "_user_id" in session:
        request.max_content_length = most_sent()
