"""What the reports write: who took figures away, who gets them by mail, whose dashboard has what. Never commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from urllib.parse import urlencode

import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import User

from app.core.changes import origin
from app.core.clock import utcnow
from app.core.errors import BusinessError
from app.core.models import AuditEntry
from app.core.sentences import gettext as _
from app.extensions import db
from app.mirror.bulk import insert_into
from app.notices import post
from app.notices.models import Channel
from app.notices.operations import insert, notify
from app.reports.models import DashboardTile, Every, FileKind, ReportMail, StopReason
from app.reports.period import month_of
from app.reports.tiles import BY_KEY

MAIL = "report"  # the first word of the keys of these mails
STOPPED = "report_mail.stopped"  # the kind of notification
LONGEST_ARGS = 1000


def note_export(what: str, *, actor: User) -> None:
    """Write down that somebody took a report's figures away as a file. Flushes; the caller commits."""
    db.session.add(AuditEntry(actor_id=actor.id, record_type="report", action="export", note=what[:2000], **origin()))
    db.session.flush()


def subscribe(user: User, report: str, args: Mapping[str, str], *, every: Every, kind: FileKind) -> None:
    """Send this person a report by mail from the next time on; one that stopped goes on. Whether he may export it is
    the caller's to ask, and asked again whenever it is sent.

    `args` are the report's filters; the period follows from when it is sent. The same report with the same filters
    comes once a week or a month: choosing another kind of file changes it. Raises `BusinessError` for filters that are
    too long to be kept. Flushes; the caller commits.
    """
    kept = urlencode(sorted((name, value) for name, value in args.items() if name != "period"))
    if len(kept) > LONGEST_ARGS:
        raise BusinessError(_("These filters are too long to be kept."))
    row = insert(ReportMail).values(
        user_id=user.id, report=report, args=kept, every=every, kind=kind, active=True, created_at=utcnow()
    )
    db.session.execute(
        row.on_conflict_do_update(
            index_elements=["user_id", "report", "every", "args"],
            set_={"kind": kind, "active": True, "stopped_why": None},
        )
    )


def unsubscribe(user: User, report: str, number: int) -> bool:
    """End a mail of this person's own; False if he has none of this id. Flushes; the caller commits."""
    own = sa.delete(ReportMail).where(
        ReportMail.id == number, ReportMail.report == report, ReportMail.user_id == user.id
    )
    return bool(db.session.execute(own).rowcount)


def stop(number: int, why: StopReason) -> None:
    """Stop a mail whose reader may not have it any more, and tell him. Flushes; the caller commits."""
    kept = db.session.get(ReportMail, number)
    if kept is not None and kept.active:
        kept.active, kept.stopped_why = False, why
        event = f"{STOPPED}:{number}:{kept.last_sent_for}"
        notify(STOPPED, to=kept.user, record=kept, event=event, report=kept.report)


def queue_mails(every: Every, day: date) -> int:
    """Make this week's or this month's mails, due at once; `day` is the company-local day they belong to.

    A weekly one is about the month in which the week before its Monday began, a monthly one about the month before.
    Made once: its key names the subscription and the week or month. Returns how many are new. Flushes; the caller
    commits.
    """
    when = date.fromordinal(day.toordinal() - day.weekday()).isoformat()
    if every is Every.monthly:
        when = month_of(day).before.code
    due = sa.select(ReportMail.id, ReportMail.user_id).where(
        ReportMail.every == every,
        ReportMail.active,
        sa.or_(ReportMail.last_sent_for.is_(None), ReportMail.last_sent_for != when),
    )
    found = db.session.execute(due.order_by(ReportMail.id)).all()
    new = [post.add(f"{MAIL}-{pk}-{when}", Channel.mail, user_id, None, utcnow()) for pk, user_id in found]
    made = sa.update(ReportMail).where(ReportMail.id.in_([pk for pk, _user in found])).values(last_sent_for=when)
    db.session.execute(made.execution_options(synchronize_session=False))
    return sum(one is not None for one in new)


def arrange(keys: Sequence[str], *, actor: User) -> None:
    """Have these tiles on the actor's own dashboard, in this order; keys there are no tiles of are left out.

    Raises `BusinessError` if none is left. Flushes; the caller commits.
    """
    wanted = [key for key in dict.fromkeys(keys) if key in BY_KEY]
    if not wanted:
        raise BusinessError(_("Choose at least one tile."))
    db.session.execute(
        sa.delete(DashboardTile).where(DashboardTile.user_id == actor.id, DashboardTile.key.not_in(wanted))
    )
    # Two clicks at once may both write: the later order holds.
    insert = insert_into(DashboardTile).values(
        [{"user_id": actor.id, "key": key, "position": position} for position, key in enumerate(wanted)]
    )
    db.session.execute(
        insert.on_conflict_do_update(index_elements=["user_id", "key"], set_={"position": insert.excluded.position})
    )
    db.session.flush()


def arrange_as_the_house(*, actor: User) -> None:
    """Forget what the actor chose: all tiles, in the order of the house. Flushes; the caller commits."""
    db.session.execute(sa.delete(DashboardTile).where(DashboardTile.user_id == actor.id))
    db.session.flush()
