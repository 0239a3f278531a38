"""What the administrators' forms share: taking a change as a whole, and saying why not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import g, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy.exc import IntegrityError

from app.core.changes import moving
from app.core.errors import BusinessError, NotYours
from app.core.lifecycle import note_refusal
from app.core.stale import newest_change
from app.core.text import clean
from app.core.unit import unit_of_work
from app.security import operations

STALE = _l("Somebody changed this record meanwhile. Your text is kept; compare, then save again.")


def attempt(form: Any, work: Callable[[], Any], *, about: tuple[str, int | None, str]) -> int:
    """Do `work` in one unit of work. 0 when it is done, else the status of the page that says why not.

    A refusal stands on the form, and in the history of `about` (table, id, action).
    """
    try:
        with unit_of_work(), moving(about[0], about[2], actor=me()):
            work()
    except BusinessError as refusal:
        form.refuse(str(refusal), getattr(refusal, "field", None))
        if not isinstance(refusal, operations.Mistake):
            record_type, record_id, action = about
            note_refusal(record_type, record_id, action, actor_id=g.user.id, before=None, why=str(refusal))
        return 403 if isinstance(refusal, NotYours) else 409
    except IntegrityError:
        form.refuse(_("There is already such a record."))
        return 409
    return 0


def open_on(form: Any, record: Any, stamp: str) -> None:
    """Let the form say on which state of the account or role, and after which of its changes, it was opened."""
    for field, value in ((form.stamp, stamp), (form.seen, str(newest_change(record)))):
        field.raw_data, field.data = None, value


def me() -> Any:
    """The signed-in person."""
    return g.user._get_current_object()


def asked(name: str) -> str:
    """What the address asks for under this name, cleaned; '' for nothing."""
    return clean(request.args.get(name, "")[:200]) or ""
