"""`crm close`: keep a month's figures as they are now."""

from __future__ import annotations

import click
from flask.cli import AppGroup


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
        raise click.BadParameter(f"{month!r} is no month such as 2026-10.", param_hint="--month")
    try:
        closed = closing.close(wanted)
    except ValueError:
        raise click.ClickException(f"{wanted.code} is not over yet.") from None
    click.echo(f"{wanted.code}: reports closed now: {closed}")
