"""`crm churn`: the scan by hand, and what it would do as of a date. `crm estimate`: the estimates, likewise."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime

import click
from flask.cli import AppGroup


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
    from app.core.errors import BusinessError
    from app.mirror.queries import freshness

    moment = _instant(as_of) if as_of else None
    if preview or moment is not None:
        days = freshness().days
        age = "The sales system was never synced." if days is None else f"Last synced {days} days ago."
        click.echo(age, err=as_json)
    try:
        if preview:
            moment = moment or utcnow()
            result = operations.scan(as_of=moment, preview=True)
        else:
            result = scan.run_by_hand(as_of=moment)
    except BusinessError as refusal:
        raise click.ClickException(str(refusal)) from None
    if as_json:
        when = {"as_of": moment.astimezone(UTC).isoformat() if moment else None, "preview": preview}
        click.echo(json.dumps({**when, **asdict(result)}))
        return
    if moment is not None:
        click.echo(f"As of {local(moment):%Y-%m-%d %H:%M}{', preview, nothing is written' if preview else ''}:")
    click.echo(f"due {result.due}, opened {result.opened}, recovered {result.recovered}, open {result.open}")


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
    from app.core.errors import BusinessError

    now = utcnow()
    moment = _instant(as_of) if as_of else now
    if moment > now:
        raise click.BadParameter("Orders of the future are not known.", param_hint="--as-of")
    try:
        if as_of is None:
            check_mirror(now)
    except BusinessError as refusal:
        raise click.ClickException(str(refusal)) from None
    done = estimate_all(as_of=moment)
    click.echo(f"As of {local(moment):%Y-%m-%d %H:%M}: {done.run.customers} customers with an order.")
    if done.run.parameters is None:
        click.echo(f"No estimates: fewer than {FEWEST} customers.")
    else:
        named = ", ".join(f"{name} {value:.3f}" for name, value in done.run.parameters.items())
        click.echo(f"{named}, log-likelihood {done.run.log_likelihood:.1f}; {done.kept} estimates kept.")
    for run in done.measured:
        hits = run.hits or {}
        auc = "-" if hits["auc"] is None else f"{hits['auc']:.3f}"
        click.echo(
            f"Estimates as of {local(run.as_of):%Y-%m-%d %H:%M}: {hits['silent']:.1%} of {hits['customers']} customers"
            f" placed no order in {WEEKS} weeks; AUC {auc}, Brier {hits['brier']:.3f}."
        )
        for size, expected, happened in hits["bands"]:
            click.echo(f"  {size:7d} customers: estimated {expected:6.1%}, happened {happened:6.1%}")


def _instant(text: str) -> datetime:
    """The UTC instant of a wall-clock time of the company, or of a time with its own offset."""
    from app.core.clock import from_local
    from app.core.forms import EARLIEST, LATEST

    try:
        wall = datetime.fromisoformat(text)
    except ValueError:
        wall = None
    if wall is None or not EARLIEST.year <= wall.year < LATEST.year:
        raise click.BadParameter(f"{text!r} is no time such as 1997-12-06T02:00.", param_hint="--as-of")
    return from_local(wall) if wall.tzinfo is None else wall.astimezone(UTC)
