"""`python -m bench.drill`: save a large company while it is written to, put it back elsewhere, look for what is lost.

Two processes write orders the whole time, each with two lines in one transaction, and say which are committed. The
commands are those of docs/backup.md, in processes of their own. What was committed before the backup began must be in
what was restored, no transaction by half, every table with the rows and the checksum that the backup says; then the
product is started on it. The times are those of this machine: docs/backup.md has the last ones.
"""

from __future__ import annotations

import argparse
import io
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench import data, ours, sizes
from bench.place import ROOT, Place, machine
from bench.web import Server

WRITERS = 2
FILES, FILE_KB = 1000, 100
ENOUGH = 50  # orders of each writer before the backup begins


def main() -> int:
    """Load, save, restore, compare, print. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.drill", description=__doc__)
    parser.add_argument("--customers", type=int, default=200_000)
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument(
        "--database", choices=("postgresql", "sqlite"), default="postgresql",
        help="sqlite copies the rows that the drill of postgresql left in the same folder",
    )  # fmt: skip
    parser.add_argument("--folder", type=Path, required=True, help="keep the data here and use it again next time")
    parser.add_argument("--write", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.write is not None:
        return write(given.write)
    place = Place(given.folder)
    os.environ["LIUKE_PG_BIN"] = place.pg_bin
    try:
        if given.database == "sqlite":  # a copy of the rows that the drill of PostgreSQL left in this folder
            sizes.copy(place, place.folder / "drill.db")
            place.url = os.environ["DATABASE_URL"]
        else:
            data.load(place, customers=given.customers, orders=given.orders, say=sizes.say)
        attach()
        return drill(place)
    finally:
        place.close()


def write(number: int) -> int:
    """Write orders until killed; the id of each on a line of its own once it is committed."""
    from decimal import Decimal

    from app.core.unit import unit_of_work
    from app.extensions import db
    from app.mirror.models import Order, OrderLine, OrderStatus

    begun = time.time_ns()
    with ours.context():
        for n in range(10**9):
            lines = [OrderLine(line_no=line, quantity=Decimal(1), amount=Decimal(1)) for line in (1, 2)]
            with unit_of_work():
                order = Order(
                    external_id=f"DR{begun}-{number}-{n}", customer_id=n % 1000 + 1, ordered_at=datetime.now(UTC),
                    amount=Decimal(2), status=OrderStatus.shipped, lines=lines,
                )  # fmt: skip
                db.session.add(order)
                db.session.flush()
                told = order.id
            sys.stdout.write(f"{told}\n")
            sys.stdout.flush()
    return 0


def attach() -> None:
    """Files on the first customers, stored as uploads are; nothing if they are there."""
    from app.attachments import storage
    from app.attachments.models import Attachment
    from app.core.unit import unit_of_work
    from app.extensions import db

    with ours.context():
        if db.session.execute(sa.select(Attachment.id).limit(1)).first() is not None:
            return
        sizes.say(f"Storing {FILES:,} files.")
        for n in range(1, FILES + 1):
            content = io.BytesIO(secrets.token_bytes(FILE_KB * 1024))
            with unit_of_work(), storage.receive(content, most=2**20) as incoming:
                db.session.add(
                    Attachment(
                        record_type="customer", record_id=n, name=f"{n}.pdf", size=incoming.size,
                        mime="application/pdf", sha256=incoming.sha256, key=incoming.keep(),
                    )
                )  # fmt: skip


@contextmanager
def writers(log: Path) -> Iterator[Any]:
    """Processes that write; gives a function that reads which ids they have committed so far."""
    argv = [sys.executable, "-m", "bench.drill", "--folder", ".", "--write"]
    files = [log.with_name(f"{log.name}{n}") for n in range(WRITERS)]
    processes = []
    for n, file in enumerate(files):
        with file.open("wb") as out:
            processes.append(subprocess.Popen([*argv, str(n)], cwd=ROOT, env=dict(os.environ), stdout=out))

    def committed() -> set[int]:
        return {int(line) for file in files for line in file.read_text().split("\n")[:-1]}

    try:
        while any(len(file.read_text().split("\n")) < ENOUGH for file in files):
            if any(process.poll() is not None for process in processes):
                raise SystemExit("A writer ended.")
            time.sleep(0.1)
        yield committed
    finally:
        for process in processes:
            process.kill()
            process.wait()


def crm(*arguments: str, **environment: str) -> float:
    """One of the product's commands in a process of its own; how many seconds it took."""
    began = time.monotonic()
    argv = [sys.executable, "-m", "flask", "--app", "run", "crm", *arguments]
    env = {**os.environ, **environment}
    done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"crm {arguments[0]}: {done.stdout}{done.stderr}")
    print(done.stdout, file=sys.stderr)
    return time.monotonic() - began


def drill(place: Place) -> int:
    """Save, restore, compare, start. Prints the report; returns the exit code."""
    from app import create_app
    from app.desk import backups

    kind = sa.make_url(place.url).get_backend_name()
    backup, uploads = place.folder / f"drill-{kind}.zip", place.folder / f"restored-{kind}"
    backup.unlink(missing_ok=True)
    target = place.another("restored")
    with writers(place.folder / f"writer-{kind}-") as committed:
        sizes.say("Saving while it is written to.")
        before = committed()
        saving = crm("backup", str(backup))
        after = committed()
    sizes.say("Restoring.")
    restoring = crm("restore", str(backup), DATABASE_URL=target, LIUKE_UPLOADS=str(uploads))
    manifest = backups.verify(backup)
    os.environ.update(DATABASE_URL=target, LIUKE_UPLOADS=str(uploads))
    ours._app = create_app(SQLALCHEMY_DATABASE_URI=target, LIUKE_UPLOADS=uploads)
    wrong = compare(place, manifest, before)
    began = time.monotonic()
    server = Server("the restored product", "run:app", ours.sign_in(), place.folder / "web.log")
    with _stopping(server):
        for address in ("/customers/list/", "/customers/show/1", "/tickets/list/", "/churn/list/"):
            server.page(address)
        starting = time.monotonic() - began
    size = backup.stat().st_size / 1e6
    lines = [
        f"{manifest.rows:,} rows, {manifest.files:,} files, {manifest.kind}; the backup has {size:,.0f} MB",
        f"committed before it began: {len(before):,} orders; while it ran: {len(after - before):,}",
        f"saving, while {WRITERS} processes write: {saving:.0f} s",
        f"restoring, every checksum and count compared: {restoring:.0f} s",
        f"from its start to four pages: {starting:.0f} s",
        f"**together, from an empty database to pages: {(restoring + starting) / 60:.1f} minutes**",
        f"lost: {'nothing that was committed' if not wrong else '; '.join(wrong)}",
    ]
    for line in [*machine(place), f"load of the machine at the end: {os.getloadavg()[0]:.1f}", *lines]:
        print(f"- {line}")
    return 1 if wrong else 0


@contextmanager
def _stopping(server: Server) -> Iterator[None]:
    try:
        yield
    finally:
        server.stop()


def compare(place: Place, manifest: Any, before: set[int]) -> list[str]:
    """What is not as it should be, in sentences; the restored database is the application's."""
    from app.extensions import db

    source = sa.create_engine(ours_url(place.url), poolclass=sa.NullPool)
    same = ("customer", "contact", "interaction", "customer_stats", "ab_user", "attachment")
    wrong = []
    with ours.context(), source.connect() as old:
        asked = sa.text("SELECT id FROM sales_order WHERE id >= :first")
        found = set(db.session.execute(asked, {"first": min(before)}).scalars())
        if lost := before - found:
            wrong.append(f"{len(lost)} orders that were committed before the backup began")
        half = db.session.execute(
            sa.text(
                "SELECT count(*) FROM sales_order o WHERE o.external_id LIKE 'DR%'"
                " AND (SELECT count(*) FROM order_line l WHERE l.order_id = o.id) <> 2"
            )
        ).scalar_one()
        if half:
            wrong.append(f"{half} orders without both of their lines")
        for name, (rows, _checksum) in manifest.tables.items():
            counted = db.session.execute(sa.text(f'SELECT count(*) FROM "{name}"')).scalar_one()
            if counted != rows:
                wrong.append(f"{name}: {counted} rows instead of {rows}")
        for name in same:
            asked = sa.text(f'SELECT * FROM "{name}" ORDER BY 1')
            restored = [tuple(row) for row in db.session.execute(asked)]
            db.session.rollback()  # the product's connections may not idle in a transaction while the others are read
            if restored != [tuple(row) for row in old.execute(asked)]:
                wrong.append(f"{name} differs")
        db.session.remove()
    return wrong


def ours_url(url: str) -> str:
    """The URL with the product's driver."""
    from config import database_url

    return database_url(url)


if __name__ == "__main__":
    sys.exit(main())
