"""`crm close`: keep a month's figures as they are now."""

from __future__ import annotations

import click
from flask.cli import AppGroup
from flask_babel import gettext as _

from app.core.command import Mistyped, Refused


def register(crm: AppGroup) -> None:
    """Add this domain's commands."""
    crm.add_command(close_month)


@click.command("close")
@click.option("--month", metavar="MONTH", help="The month to close, 2026-10; without it the one before this.")
def close_month(month: str | None) -> None:
    """Keep the company's figures of a month as they are now, in every report that has months.

    From then on the month's page says what was reported; what late data changes stands beside it. It happens by itself
    on the day set by LIUKE_CLOSE_DAY. A month that is closed stays as it is, however often this runs.

    \b
    Example:  python -m flask --app run crm close --month 2026-10
    """
    from app.core.clock import utcnow
    from app.reports import closing, period

    wanted = period.parse(month) if month else closing.month_to_close(utcnow())
    if wanted is None or wanted.months != 1:
        raise Mistyped(_("“%(text)s” is no month such as 2026-10.", text=month))
    try:
        closed = closing.close(wanted)
    except ValueError:
        raise Refused(_("%(month)s is not over yet.", month=wanted.code)) from None
    click.echo(_("%(month)s: reports closed now: %(count)d", month=wanted.code, count=closed))
