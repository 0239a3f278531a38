"""`crm sync`: above the mirror and churn, because reading a feed also settles churn cases. `crm demo`: above all."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click
from flask.cli import AppGroup, with_appcontext

FINE = 1000  # steps of the progress bar


def register(crm: AppGroup) -> None:
    """Add this domain's commands."""
    crm.add_command(sync)
    crm.add_command(demo)


@click.command("sync")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def sync(folder: Path) -> None:
    """Read the sales system's feed in FOLDER into the mirror.

    A feed is a folder of CSV files (UTF-8, else GB18030), each with a header; none of them has to be there, and what a
    feed does not mention stays as it is:

    \b
    customers.csv    customer_no, name                        [registered_on]
    products.csv     product_no, name, model, batch           [unit, list_price, memo]
    stock.csv        product_no, warehouse, location, quantity            [memo]
    orders.csv       order_no, customer_no, ordered_at, status
                                            [amount, paid, delivery_address]
    order_lines.csv  order_no, line_no, quantity, amount
                                            [product_no, unit, unit_price]

    Columns in brackets may be missing, others are ignored. ordered_at is a date (midnight here) or 2026-11-22T14:30:00,
    with or without an offset. An order without an amount gets the sum of its lines. The product knows the usual status
    codes; LIUKE_SYNC_STATUS="10=new,80=shipped" adds your own.

    Unknown customers are created without an account manager; known ones are never overwritten. Bad rows are left out
    and listed with reasons in var/sync; the good ones are taken. Reading a feed again changes nothing, so after a crash
    read it again. One sync runs at a time.

    \b
    Example:  python -m flask --app run crm sync /srv/feed/2026-11-22
    """
    from app.core.errors import BusinessError
    from jobs.sales_sync import run

    try:
        with _bar() as bar:
            counts = run(str(folder), progress=_progress(bar))
    except BusinessError as refusal:
        raise click.ClickException(str(refusal)) from None
    for name, tally in counts["files"].items():
        if "rows" in tally:
            told = ", ".join(f"{tally[what]:,} {what}" for what in ("created", "updated", "unchanged", "rejected"))
            click.echo(f"{name + '.csv':<16} {tally['rows']:>9,} rows: {told}")
    differing = counts["files"].get("differing")
    if differing:
        click.echo(
            f"Amount and sum of the lines differ: {differing['orders']:,} of the orders, the first"
            f" {', '.join(differing['first'])}"
        )
    click.echo(
        f"Sync {counts['run']}: created {counts['created']:,}, updated {counts['updated']:,},"
        f" unchanged {counts['unchanged']:,}, rejected {counts['rejected']:,}."
    )
    if counts["rejects_file"]:
        click.echo(f"Rejected rows with reasons: {counts['rejects_file']}")


def _bar() -> Any:
    """A progress bar, where somebody looks at it."""
    if not sys.stdout.isatty():
        return nullcontext()
    return click.progressbar(length=FINE, label="Reading the feed")


def _progress(bar: Any) -> Any:
    if bar is None:
        return None
    shown = 0

    def tell(share: float) -> None:
        nonlocal shown
        step = int(share * FINE) - shown
        shown += step
        bar.update(step)

    return tell


@click.command("demo")
@with_appcontext
def demo() -> None:
    """Load the demo company into an empty database: 200 customers and two years of work.

    Everybody in it is invented and has the same password, so a database with it is served on this machine only.
    For real work start with an empty database and LIUKE_DEMO=0.

    \b
    Example:  python -m flask --app run crm demo
    """
    from app.core.errors import BusinessError
    from app.desk.demo import load_demo
    from app.desk.demo_loading import begin_again

    try:
        if begin_again():
            click.echo("Loading it was broken off here; what there was is removed.")
        company = load_demo(click.echo)
    except BusinessError as refusal:
        raise click.ClickException(str(refusal)) from None
    click.echo("\nAccount         Password             Role")
    for account in company.accounts:
        click.echo(f"{account.name:<16}{account.password:<21}{account.who}")
    click.echo("\n" + ", ".join(f"{count:,} {name}" for name, count in company.counts.items()))
