"""Reports by mail: put together at the moment of sending, as their reader reads them then."""

from __future__ import annotations

from datetime import date, timedelta
from urllib.parse import urlencode

from flask import current_app
from flask_appbuilder.security.sqla.models import User
from flask_babel import gettext as _

from app.core.scope import may
from app.core.unit import unit_of_work
from app.extensions import db
from app.notices.models import Delivery
from app.notices.post import Mail
from app.notices.reading import reading_as
from app.notices.transport import File
from app.reports import closing, export
from app.reports.catalogue import BY_ID
from app.reports.models import Every, ReportMail, StopReason
from app.reports.operations import note_export, stop
from app.reports.period import Period, month_of
from app.reports.report import Ask


def compose(claimed: Delivery) -> Mail | None:
    """The mail of a delivery, with its file, in its reader's language, of the rows he may see now.

    None, and the subscription is stopped, when his account is disabled or he may not export the report any more; None
    too when he ended it meanwhile. Every attempt is written down as an export of his. Commits.
    """
    _word, number, when = claimed.key.split("-", 2)
    kept = db.session.get(ReportMail, int(number))
    if kept is None or not kept.active:
        db.session.rollback()
        return None
    every, kind, given, report = kept.every, kept.kind.value, kept.given, BY_ID.get(kept.report)
    db.session.rollback()  # nothing is held open while the report is read
    mail, note, why = None, "", StopReason.right
    with reading_as(claimed.recipient_id) as reader:
        if reader is None:
            why = StopReason.account
        elif report is not None and may("can_show", report.right) and may("can_export", report.right):
            ask = report.ask({**given, "period": _month(every, when).code})
            sheet = export.sheet_of(ask, closing.table_of(ask, most=export.MOST))
            file = File(export.file_name(ask, kind), export.MIME[kind], sheet.file(kind))
            subject = _("Liuke: %(what)s", what=export.title_of(ask))
            mail = Mail(reader.email, subject, _text(ask, every), file)
            note = export.note_of(ask, kind, sheet, mailed=True)
    with unit_of_work():
        if mail is None:
            stop(int(number), why)
        else:
            note_export(note, actor=db.session.get_one(User, claimed.recipient_id))
    return mail


def _month(every: Every, when: str) -> Period:
    """What a mail is about: of a week (named by its Monday) the month in which the week before it began, so that every
    day of a month is in one of that month; else the month it names."""
    if every is Every.weekly:
        return month_of(date.fromisoformat(when) - timedelta(weeks=1))
    return month_of(date.fromisoformat(f"{when}-01"))


def _text(ask: Ask, every: Every) -> str:
    base = current_app.config["LIUKE_URL"].rstrip("/")
    reason = (
        _("You get this mail every week because you chose so on the report\u2019s page; there you can stop it.")
        if every is Every.weekly
        else _("You get this mail every month because you chose so on the report\u2019s page; there you can stop it.")
    )
    link = [f"{base}/reports/{ask.report.id}/?{urlencode(ask.args)}", ""] if base else []
    return "\n".join(
        [_("The report is attached: %(report)s", report=export.title_of(ask)), "", *export.facts_of(ask), "", *link,
         "-- ", reason, ""]
    )  # fmt: skip
