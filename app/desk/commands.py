"""`crm sync`: above the mirror and churn, because reading a feed also settles churn cases. Above all: `crm demo`,
`crm backup` and `crm restore`."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click
from flask import current_app
from flask.cli import AppGroup, with_appcontext
from flask_babel import gettext as _

from app.core.command import Refused, refusals_as_messages

FINE = 1000  # steps of the progress bar


def register(crm: AppGroup) -> None:
    """Add this domain's commands."""
    crm.add_command(sync)
    crm.add_command(demo)
    crm.add_command(backup)
    crm.add_command(restore)


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
                                            [amount, paid, cancelled, delivery_address]
    order_lines.csv  order_no, line_no, quantity, amount
                                            [product_no, unit, unit_price]

    Columns in brackets may be missing, others are ignored. ordered_at is a date (midnight here) or 2026-11-22T14:30:00,
    with or without an offset. An order without an amount gets the sum of its lines. The product knows the usual status
    codes; LIUKE_SYNC_STATUS="10=new,80=shipped" adds your own. paid and cancelled are 1 or 0; an order that is marked
    as cancelled is, whatever its status says.

    Unknown customers are created without an account manager; known ones are never overwritten. Bad rows are left out
    and listed with reasons in var/sync; the good ones are taken. Reading a feed again changes nothing, so after a crash
    read it again. One sync runs at a time.

    \b
    Example:  python -m flask --app run crm sync /srv/feed/2026-11-22
    """
    from jobs.sales_sync import run

    with refusals_as_messages(), _bar() as bar:
        counts = run(str(folder), progress=_progress(bar))
    for name, tally in counts["files"].items():
        if "rows" in tally:
            row = {what: f"{count:,}" for what, count in tally.items()} | {
                "file": f"{name + '.csv':<16}", "rows": f"{tally['rows']:>9,}",
            }  # fmt: skip
            click.echo(_(
                "%(file)s %(rows)s rows: %(created)s created, %(updated)s updated, %(unchanged)s unchanged,"
                " %(rejected)s rejected", **row,
            ))  # fmt: skip
    differing = counts["files"].get("differing")
    if differing:
        click.echo(_(
            "Amount and sum of the lines differ: %(count)s of the orders, the first %(first)s",
            count=f"{differing['orders']:,}", first=", ".join(differing["first"]),
        ))  # fmt: skip
    sums = {what: f"{counts[what]:,}" for what in ("created", "updated", "unchanged", "rejected")}
    click.echo(_(
        "Sync %(run)d: created %(created)s, updated %(updated)s, unchanged %(unchanged)s, rejected %(rejected)s.",
        run=counts["run"], **sums,
    ))  # fmt: skip
    if counts["rejects_file"]:
        click.echo(_("Rejected rows with reasons: %(file)s", file=counts["rejects_file"]))


def _bar() -> Any:
    """A progress bar, where somebody looks at it."""
    if not sys.stdout.isatty():
        return nullcontext()
    return click.progressbar(length=FINE, label=_("Reading the feed"))


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
    from app.desk.demo.company import load_demo
    from app.desk.demo.loading import begin_again

    with refusals_as_messages():
        if begin_again():
            click.echo(_("Loading it was broken off here; what there was is removed."))
        company = load_demo(click.echo)
    click.echo()
    click.echo(_("Account         Password             Role"))
    for account in company.accounts:
        click.echo(f"{account.name:<16}{account.password:<21}{account.who}")
    click.echo("\n" + " · ".join(f"{name} {count:,}" for name, count in company.counts.items()))


@click.command("backup")
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@with_appcontext
def backup(file: Path | None) -> None:
    """Write the database and the attached files into one FILE, while the product is in use.

    Without FILE it goes where the nightly backups go (LIUKE_BACKUPS, else var/backups), and all but the newest 14 there
    are removed. Whatever was committed before is in it. PostgreSQL needs pg_dump of its version or newer (LIUKE_PG_BIN
    names its folder). The key in var/secret_key is not in it. Copy backups to another machine.

    \b
    Example:  python -m flask --app run crm backup /mnt/safe/liuke.zip
    """
    from jobs.backup import run

    with refusals_as_messages():
        counts = run(target=file and file.resolve())
    if counts is None:
        raise Refused(_("Another backup was begun by hand in this very second. Try again."))
    where = file or current_app.config["LIUKE_BACKUPS"]
    sizes = {what: f"{counts[what]:,}" for what in ("rows", "files", "mb")}
    click.echo(_("Backed up to %(where)s: %(rows)s rows, %(files)s files, %(mb)s MB.", where=where, **sizes))
    if file is None:
        click.echo(_("Backups kept there: %(count)d", count=counts["kept"]))
    if counts["missing"]:
        click.echo(_(
            "%(count)s attached files are missing or damaged; `crm restore FILE --check` names them.",
            count=f"{counts['missing']:,}",
        ))  # fmt: skip


@click.command("restore")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--check", is_flag=True, help="Compare every checksum and say what is in it; change nothing.")
@click.option("--replace", is_flag=True, help="Replace a database that is not empty.")
@with_appcontext
def restore(file: Path, check: bool, replace: bool) -> None:
    """Put the backup FILE into the configured database and LIUKE_UPLOADS. Stop the product first.

    Every checksum is compared before anything is changed, and what arrived is counted before it is kept: it is
    restored whole, or everything is as it was. A database that is not empty is refused without --replace.

    \b
    Example:  DATABASE_URL=postgresql://... python -m flask --app run crm restore /mnt/safe/liuke.zip
    """
    from app.desk import backups
    from app.desk.dumps import database_at
    from app.extensions import db

    db.engine.dispose()  # nobody may have the database open
    config = current_app.config
    with refusals_as_messages():
        if check:
            manifest, kept = backups.verify(file), ""
        else:
            target = database_at(config["SQLALCHEMY_DATABASE_URI"], config["LIUKE_PG_BIN"])
            manifest, kept = backups.restore(file, target, uploads=config["LIUKE_UPLOADS"], replace=replace)
    click.echo(_(
        "%(file)s: %(kind)s of %(time)s, migration %(revision)s, %(tables)d tables with %(rows)s rows,"
        " %(files)s attached files.",
        file=file.name, kind=manifest.kind, time=manifest.made_at, revision=manifest.revision,
        tables=len(manifest.tables), rows=f"{manifest.rows:,}", files=f"{manifest.files:,}",
    ))  # fmt: skip
    for name in manifest.missing:
        click.echo(_("Was missing or damaged when it was made: %(file)s", file=name))
    if check:
        click.echo(_("Every checksum is right. Nothing was changed."))
        return
    click.echo(_("Restored; every checksum and every count is right."))
    if kept:
        click.echo(_("The old database is %(place)s.", place=kept))
    click.echo()
    click.echo(_(
        """\
Now, before it is started:
  python -m flask --app run db upgrade      if the code is newer than the backup
  python -m flask --app run crm init
Then start it and look at /healthz. What was missed meanwhile (churn scans, closed months) runs by itself."""
    ))  # fmt: skip
