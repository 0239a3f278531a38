"""Mails with a link for a new password. They go out like every message: once more when nobody saw the end of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from flask import current_app, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from app.core.clock import utcnow
from app.core.types import UtcDateTime
from app.core.unit import unit_of_work
from app.extensions import db
from app.notices.models import Channel, Delivery, DeliveryStatus
from app.notices.operations import insert
from app.notices.post import Mail, message_id
from app.notices.reading import reading_as
from app.security.models import OneTimeToken
from app.security.once import token_for_mail

MAIL = "link"


def queue(row_id: int) -> None:
    """Let the link of this row be mailed to whose it is: one statement, whether it is somebody's or nobody's."""
    key, now = f"{MAIL}-{row_id}", utcnow()
    values: dict[str, Any] = {
        "key": sa.literal(key),
        "channel": sa.literal(Channel.mail, Channel.column_type()),
        "recipient_id": OneTimeToken.user_id,
        "message_id": sa.literal(message_id(key)),
        "made_at": sa.literal(now, UtcDateTime()),
        "due_at": sa.literal(now, UtcDateTime()),
        "status": sa.literal(DeliveryStatus.waiting, DeliveryStatus.column_type()),
        "attempts": sa.literal(0),
        "repeats": sa.literal(0),
    }
    whose = sa.select(*(value.label(name) for name, value in values.items())).where(
        OneTimeToken.id == row_id, OneTimeToken.user_id.is_not(None)
    )
    db.session.execute(insert(Delivery).from_select(list(values), whose, include_defaults=False))


def compose(claimed: Delivery) -> Mail | None:
    """The mail of a delivery, with a token that is made now and stands nowhere else; None when it is not wanted.

    The address is the one of LIUKE_URL, never what a browser called us. Commits.
    """
    minutes = current_app.config["LIUKE_LINK_MINUTES"]
    with unit_of_work():
        number = int(claimed.key.removeprefix(f"{MAIL}-"))
        token = token_for_mail(number, at=utcnow(), lasts=timedelta(minutes=minutes))
    if token is None:
        return None
    with reading_as(claimed.recipient_id) as reader:
        if reader is None:
            return None
        path = url_for("CrmAuthView.by_link", token=token)
        text = [
            _("Somebody asked for a new password for your account %(account)s. Was it you? Then open this address:",
              account=reader.username),
            "", f"{_base()}{path}", "",
            ngettext("It is good once, for %(num)d minute.", "It is good once, for %(num)d minutes.", minutes),
            _("Was it not you? Then do nothing: your password stays as it is."),
            "",
        ]  # fmt: skip
        return Mail(reader.email, _("Liuke: %(what)s", what=_("a new password")), "\n".join(text))


def _base() -> str:
    config = current_app.config
    return (config["LIUKE_URL"] or f"http://{config['LIUKE_HOST']}:{config['LIUKE_PORT']}").rstrip("/")
