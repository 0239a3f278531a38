"""`crm churn`: the scan by hand, and what it would do as of a date. `crm estimate`: the estimates, likewise."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime

import click
from flask.cli import AppGroup
from flask_babel import gettext as _
from flask_babel import ngettext

from app.core.command import Mistyped, refusals_as_messages


def register(crm: AppGroup) -> None:
    """Add this domain's commands."""
    crm.add_command(churn)
    crm.add_command(estimate)


@click.command("churn")
@click.option("--as-of", metavar="TIME", help="Scan as of this wall-clock time of the company, 1997-12-06T02:00.")
@click.option("--preview", is_flag=True, help="Say what a scan would do, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
def churn(as_of: str | None, preview: bool, as_json: bool) -> None:
    """Warn about customers who stopped ordering, and close the cases of those who ordered again.

    Without --as-of it scans as of now, and refuses (exit code 1) when the last successful sync of the sales system is
    too long ago. With --as-of it sees what existed then; the time may also carry an offset, and one to come is only
    previewed. Running it again adds nothing. Every run that writes is listed under the job runs.

    \b
    Example:  python -m flask --app run crm churn --as-of 1997-12-06T02:00 --preview
    """
    from app.churn import operations, scan
    from app.core.clock import local, utcnow
    from app.mirror.queries import freshness

    moment = _instant(as_of) if as_of else None
    if preview or moment is not None:
        days = freshness().days
        if days is None:
            click.echo(_("The sales system was never synced."), err=as_json)
        else:
            click.echo(ngettext("Last synced %(num)d day ago.", "Last synced %(num)d days ago.", days), err=as_json)
    with refusals_as_messages():
        if preview:
            moment = moment or utcnow()
            result = operations.scan(as_of=moment, preview=True)
        else:
            result = scan.run_by_hand(as_of=moment)
    if as_json:
        when = {"as_of": moment.astimezone(UTC).isoformat() if moment else None, "preview": preview}
        click.echo(json.dumps({**when, **asdict(result)}))
        return
    if moment is not None:
        time = f"{local(moment):%Y-%m-%d %H:%M}"
        preview_of = _("As of %(time)s, preview, nothing is written:", time=time)
        click.echo(preview_of if preview else _("As of %(time)s:", time=time))
    told = _("due %(due)d, opened %(opened)d, recovered %(recovered)d, open %(open)d", **asdict(result))
    click.echo(told)


@click.command("estimate")
@click.option("--as-of", metavar="TIME", help="Estimate from the orders up to this wall-clock time of the company.")
def estimate(as_of: str | None) -> None:
    """Estimate how likely each customer is not to order in the next 26 weeks, and measure estimates of 26 weeks ago.

    Without --as-of it estimates as of now, and refuses (exit code 1) when the last successful sync of the sales system
    is too long ago. With a past --as-of it says what would have been said then and leaves newer estimates as they are:
    run it with 26 weeks ago, then without, to see how right the estimates are for your customers.

    \b
    Example:  python -m flask --app run crm estimate --as-of 1997-12-30T03:30
    """
    from app.churn.estimating import FEWEST, WEEKS, estimate_all
    from app.churn.scan import check_mirror
    from app.core.clock import local, utcnow

    now = utcnow()
    moment = _instant(as_of) if as_of else now
    if moment > now:
        raise Mistyped(_("Orders of the future are not known."))
    with refusals_as_messages():
        if as_of is None:
            check_mirror(now)
    done = estimate_all(as_of=moment)
    time = f"{local(moment):%Y-%m-%d %H:%M}"
    click.echo(_("As of %(time)s: %(count)d customers with an order.", time=time, count=done.run.customers))
    if done.run.parameters is None:
        click.echo(_("No estimates: fewer than %(least)d customers.", least=FEWEST))
    else:
        named = ", ".join(f"{name} {value:.3f}" for name, value in done.run.parameters.items())
        fit = f"{done.run.log_likelihood:.1f}"
        told = _("%(named)s, log-likelihood %(fit)s; %(count)d estimates kept.", named=named, fit=fit, count=done.kept)
        click.echo(told)
    for run in done.measured:
        hits = run.hits or {}
        auc = "-" if hits["auc"] is None else f"{hits['auc']:.3f}"
        told = _(
            "Estimates as of %(time)s: %(silent)s of %(count)d customers placed no order in %(weeks)d weeks;"
            " AUC %(auc)s, Brier %(brier)s.",
            time=f"{local(run.as_of):%Y-%m-%d %H:%M}", silent=f"{hits['silent']:.1%}", count=hits["customers"],
            weeks=WEEKS, auc=auc, brier=f"{hits['brier']:.3f}",
        )  # fmt: skip
        click.echo(told)
        for size, expected, happened in hits["bands"]:
            told = _("%(count)s customers: estimated %(expected)s, happened %(happened)s",
                     count=f"  {size:7d}", expected=f"{expected:6.1%}", happened=f"{happened:6.1%}")  # fmt: skip
            click.echo(told)


def _instant(text: str) -> datetime:
    """The UTC instant of a wall-clock time of the company, or of a time with its own offset."""
    from app.core.clock import from_local
    from app.core.forms import EARLIEST, LATEST

    try:
        wall = datetime.fromisoformat(text)
    except ValueError:
        wall = None
    if wall is None or not EARLIEST.year <= wall.year < LATEST.year:
        raise Mistyped(_("“%(text)s” is no time such as 1997-12-06T02:00.", text=text))
    return from_local(wall) if wall.tzinfo is None else wall.astimezone(UTC)
