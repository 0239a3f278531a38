"""Backups: what was committed is in them, what is put back is what was saved, and nothing is ever half done."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import stat
import zipfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from app import create_app
from app.attachments import storage
from app.core.clock import utcnow
from app.core.unit import unit_of_work
from app.desk import backups, pg_tools
from app.desk.dumps import BackupError, database_at
from app.mirror.models import Order, OrderLine, OrderStatus
from app.runs.models import JobRun, RunStatus
from app.runs.operations import RunLostError
from app.sales.models import OpportunityStatus
from jobs import backup as job
from tests import builders
from tests.support import Browser, rows, text_of


@pytest.fixture
def place(app, tmp_path):
    """A folder for backups and one for attached files, as settings."""
    app.config.update(LIUKE_BACKUPS=tmp_path / "backups", LIUKE_UPLOADS=tmp_path / "uploads")
    return tmp_path


@pytest.fixture
def source(app):
    """The database of this run."""
    return database_at(app.config["SQLALCHEMY_DATABASE_URI"], app.config["LIUKE_PG_BIN"])


@pytest.fixture
def elsewhere(world, app):
    """`elsewhere()` is an empty database."""
    return lambda: database_at(world.scratch_database(), app.config["LIUKE_PG_BIN"])


def attached(content=b"a contract"):
    """A file that was stored as an upload is, with its row."""
    with unit_of_work(), storage.receive(io.BytesIO(content), most=1000) as incoming:
        row = builders.attachment(builders.customer(), size=incoming.size, sha256=incoming.sha256, key=incoming.keep())
    return row.key


def lines_of(count):
    """So many lines of an order that is not there yet."""
    return [OrderLine(line_no=n, quantity=Decimal(1), amount=Decimal(1)) for n in range(1, count + 1)]


def content_of(database, tables):
    """Every row of every table of a database, as text."""
    url = f"sqlite:///{database.path}" if database.kind == "sqlite" else database.url
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        return {
            name: sorted(str(tuple(row)) for row in connection.exec_driver_sql(f'SELECT * FROM "{name}"'))
            for name in tables
        }


def saved(source, place, name="one.zip"):
    """A backup of the database as it is, and its list."""
    from app.extensions import db

    db.session.remove()
    target = place / name
    return target, backups.make(target, source, uploads=place / "uploads", now=utcnow())


def changed(path, name, content):
    """A copy of a backup with another content for one member; None leaves it out."""
    other = path.with_name(f"changed-{path.name}")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(other, "w") as new:
        for member in {*old.namelist(), name}:
            given = content if member == name else old.read(member)
            if given is not None:
                new.writestr(member, given)
    return other


# -- the drill ------------------------------------------------------------------------------------------------------


def test_a_backup_under_writing_loses_nothing_committed_and_the_product_runs_on_it(
    app, db, source, elsewhere, place, fork, li
):
    """Two other processes write the whole time; each transaction is an order with two lines."""
    who = builders.customer(name="备份演练有限公司").id
    key = attached()
    db.session.commit()
    ear, mouth = os.pipe()

    def writer(number):
        def write():
            for n in range(10_000):
                with unit_of_work():
                    made = Order(
                        external_id=f"DR{number}-{n}", customer_id=who, ordered_at=utcnow(), amount=Decimal(2),
                        status=OrderStatus.shipped, lines=lines_of(2),
                    )  # fmt: skip
                    db.session.add(made)
                    db.session.flush()
                    told = made.id
                os.write(mouth, told.to_bytes(4, "big"))

        return write

    for number in (1, 2):
        fork(writer(number))
    before = {int.from_bytes(os.read(ear, 4), "big") for _n in range(40)}
    target, manifest = saved(source, place)
    after = {int.from_bytes(os.read(ear, 4), "big") for _n in range(40)}  # they went on

    new = elsewhere()
    told, kept = backups.restore(target, new, uploads=place / "restored")

    assert (told, kept) == (manifest, "")
    assert manifest.missing == []
    assert (place / "restored" / backups.place("", key)).read_bytes() == b"a contract"
    url = f"sqlite:///{new.path}" if new.kind == "sqlite" else new.url.render_as_string(hide_password=False)
    there = create_app(TESTING=True, SQLALCHEMY_DATABASE_URI=url, LIUKE_UPLOADS=place / "restored")
    with there.app_context():
        found = set(db.session.execute(sa.select(Order.id)).scalars())
        lines = db.session.execute(sa.select(sa.func.count()).select_from(OrderLine)).scalar_one()
        counted = {
            t.name: db.session.scalar(sa.select(sa.func.count()).select_from(t)) for t in db.metadata.sorted_tables
        }
        person = db.session.get(type(li), li.id)
        browser = Browser(there).login(person)
        page = browser.get(f"/customers/show/{who}")
        db.session.remove()
        db.engine.dispose()
    assert before <= found
    assert found < before | after | set(range(1, max(after) + 1))
    assert lines == 2 * len(found)  # no transaction is there by half
    assert counted == {name: count for name, (count, _sum) in manifest.tables.items() if name in counted}
    assert page.status_code == 200
    assert "备份演练有限公司" in text_of(page)


# -- what a restore refuses ---------------------------------------------------------------------------------------


def test_a_database_is_replaced_only_when_asked_for_and_whole_or_not_at_all(db, source, elsewhere, place):
    builders.opportunity(status=OpportunityStatus.won, title="Ünïcode 采购 \\ ' \" \n ;")
    first, manifest = saved(source, place, "first.zip")
    builders.customer(name="后来有限公司")
    db.session.commit()
    second, later = saved(source, place, "second.zip")
    told = json.loads(zipfile.ZipFile(second).read("manifest.json"))
    told["tables"]["ab_user"][0] += 1
    miscounted = changed(second, "manifest.json", json.dumps(told))
    new = elsewhere()

    backups.restore(first, new, uploads=place / "uploads")
    was = content_of(new, later.tables)
    with pytest.raises(BackupError, match="not empty"):
        backups.restore(second, new, uploads=place / "uploads")
    with pytest.raises(BackupError, match="ab_user"):  # seen after the rows arrived, and before they count
        backups.restore(miscounted, new, uploads=place / "uploads", replace=True)
    assert content_of(new, later.tables) == was
    _told, kept = backups.restore(second, new, uploads=place / "uploads", replace=True)

    assert content_of(new, later.tables) == content_of(source, later.tables) != was
    assert {"ab_user", "customer", "job_run", "alembic_version"} <= set(later.tables)
    # The customer, and in its history that it was made.
    assert later.rows == manifest.rows + 2 == sum(map(len, content_of(new, later.tables).values()))
    if new.kind == "sqlite":
        assert content_of(database_at(f"sqlite:///{kept}"), later.tables) == was


@pytest.mark.parametrize("harm", ["damaged", "cut short", "left out", "foreign name", "no list", "newer", "added"])
def test_what_is_not_as_its_list_says_changes_nothing(db, source, elsewhere, place, harm):
    key = attached()
    target, _manifest = saved(source, place)
    name = backups.place(backups.UPLOADS, key)
    told = json.loads(zipfile.ZipFile(target).read("manifest.json"))
    if harm == "cut short":
        target.write_bytes(target.read_bytes()[:-400])
    elif harm == "damaged":
        target = changed(target, name, b"A contract")
    elif harm == "left out":
        target = changed(target, name, None)
    elif harm == "foreign name":
        told["members"]["../../evil"] = told["members"][name]
        target = changed(changed(target, "manifest.json", json.dumps(told)), "../../evil", b"a contract")
    elif harm == "no list":
        target = changed(target, "manifest.json", "{}")
    elif harm == "newer":
        target = changed(target, "manifest.json", json.dumps({**told, "format": 2}))
    else:
        target = changed(target, "uploads/00/00/" + "0" * 32, b"more")
    new = elsewhere()

    with pytest.raises(BackupError):
        backups.restore(target, new, uploads=place / "restored")

    assert new.is_empty()
    assert not (place / "restored").exists()


@pytest.mark.once
def test_a_database_in_use_is_not_replaced(db, source, elsewhere, place):
    target, _manifest = saved(source, place)
    new = elsewhere()
    backups.restore(target, new, uploads=place / "uploads")
    with closing(sqlite3.connect(new.path)) as somebody:
        somebody.execute("PRAGMA journal_mode=WAL")
        somebody.execute("SELECT count(*) FROM ab_user").fetchone()

        with pytest.raises(BackupError, match="Stop Liuke first"):
            backups.restore(target, new, uploads=place / "uploads", replace=True)


@pytest.mark.once
def test_a_backup_of_the_other_kind_is_refused(db, source, place):
    target, _manifest = saved(source, place)
    with pytest.raises(BackupError, match="a backup of sqlite, but DATABASE_URL names postgresql"):
        backups.restore(target, database_at("postgresql://nobody@nowhere/none"), uploads=place)


# -- what a backup leaves -----------------------------------------------------------------------------------------


def test_files_that_are_gone_or_changed_are_said_and_stop_nothing(db, source, place):
    good, gone, other = attached(b"one"), attached(b"two"), attached(b"three")
    storage.path_of(gone).unlink()
    storage.path_of(other).write_bytes(b"four")
    stray = place / "uploads" / "ff" / "ff" / ("f" * 32)
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"no row names it")

    target, manifest = saved(source, place)

    assert sorted(manifest.missing) == sorted(backups.place(backups.UPLOADS, key) for key in (gone, other))
    assert manifest.files == 2
    assert set(zipfile.ZipFile(target).namelist()) == {*manifest.members, "manifest.json"}
    assert backups.place(backups.UPLOADS, good) in manifest.members
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_a_backup_that_breaks_off_leaves_no_file(db, source, place):
    attached()

    def lost():
        raise RunLostError

    db.session.remove()
    with pytest.raises(RunLostError):
        backups.make(place / "one.zip", source, uploads=place / "uploads", now=utcnow(), tick=lost)

    assert [path.name for path in place.iterdir()] == ["uploads"]


def test_a_backup_never_overwrites_a_file(db, source, place):
    (place / "one.zip").write_bytes(b"the last one")

    with pytest.raises(BackupError, match="already"):
        saved(source, place)

    assert (place / "one.zip").read_bytes() == b"the last one"


# -- every night --------------------------------------------------------------------------------------------------


def test_the_nightly_run_is_in_the_ledger_and_keeps_the_newest(app, db, place):
    attached()
    app.config["LIUKE_BACKUPS_KEPT"] = 2
    folder = place / "backups"
    folder.mkdir()
    names = [backups.name_at(datetime(2026, 1, day, tzinfo=UTC)) for day in (1, 2, 3)]
    for name in (*names, "mine.zip", ".liuke-old.zip-1.part"):
        (folder / name).write_bytes(b"")
    old = (utcnow() - timedelta(days=2)).timestamp()
    os.utime(folder / ".liuke-old.zip-1.part", (old, old))

    counts = job.run("2026-11-21T01:30")

    (run,) = rows(JobRun)
    newest, *others = backups.made_in(folder)
    assert (run.status, run.counts) == (RunStatus.done, counts)
    assert (counts["files"], counts["missing"], counts["kept"]) == (1, 0, 2)
    assert [path.name for path in others] == [names[-1]]
    assert {path.name for path in folder.iterdir()} == {newest.name, names[-1], "mine.zip"}
    assert backups.verify(newest).rows == counts["rows"]
    assert job.run("2026-11-21T01:30") is None  # that night has its backup


def test_a_long_backup_gives_signs_of_life_and_stops_when_it_was_taken_over(app, db, place, monkeypatch):
    monkeypatch.setattr(job, "SIGN", 0)
    seen = []

    def lose(run, now):
        seen.append(run.period)
        return len(seen) < 3

    monkeypatch.setattr(job, "heartbeat", lose)

    assert job.run("2026-11-21T01:30") is None

    assert seen == ["2026-11-21T01:30"] * 3
    assert list((place / "backups").iterdir()) == []


def test_a_backup_that_cannot_be_made_fails_with_its_reason(app, db, place):
    (place / "backups").write_bytes(b"a file where the folder should be")

    with pytest.raises(BackupError, match="could not be written"):
        job.run("2026-11-21T01:30")

    (run,) = rows(JobRun)
    assert run.status is RunStatus.failed
    assert "The backup could not be written" in run.error


# -- the commands -------------------------------------------------------------------------------------------------


def test_the_commands_save_check_and_put_back(app, world, db, place):
    attached()
    db.session.remove()
    run = app.test_cli_runner().invoke
    target = place / "mine.zip"

    made = run(args=["crm", "backup", str(target)])
    checked = run(args=["crm", "restore", str(target), "--check"])
    refused = run(args=["crm", "restore", str(target)])
    new = create_app(TESTING=True, SQLALCHEMY_DATABASE_URI=world.scratch_database(), LIUKE_UPLOADS=place / "new")
    with new.app_context():
        restored = new.test_cli_runner().invoke(args=["crm", "restore", str(target)])

    assert made.exit_code == 0, made.output
    assert "rows, 1 files" in made.output
    assert (checked.exit_code, "Nothing was changed." in checked.output) == (0, True)
    assert (refused.exit_code, "--replace" in refused.output) == (1, True)
    assert restored.exit_code == 0, restored.output
    assert "flask --app run crm init" in restored.output
    assert len(list((place / "new").glob("*/*/*"))) == 1


# -- PostgreSQL's programs ----------------------------------------------------------------------------------------


def installed(folder, major):
    """Programs that say they are of this version."""
    folder.mkdir(parents=True)
    for name in pg_tools.NEEDED:
        (folder / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {major}.4 (Debian {major}.4-1)'\n")
        (folder / name).chmod(0o755)
    return str(folder)


@pytest.mark.once
@pytest.mark.parametrize(
    ("there", "named", "server", "found"),
    [
        ([14, 16, 18], None, 16, 16),  # the very version, so that what it writes can be read by that server
        ([14, 18], None, 16, 18),  # else the newest
        ([14, 15], None, 16, None),
        ([], None, 16, None),
        ([18], 16, 16, 16),  # the one that was named
        ([18], 15, 16, None),  # even if it does not do
    ],
)
def test_pg_dump_is_not_older_than_the_server(tmp_path, monkeypatch, app, there, named, server, found):
    monkeypatch.setattr(pg_tools, "FOLDERS", (str(tmp_path / "*" / "bin"),))
    monkeypatch.setenv("PATH", "/nowhere")
    for major in there:
        installed(tmp_path / str(major) / "bin", major)
    folder = installed(tmp_path / "named", named) if named else ""

    with app.app_context():
        if found is None:
            with pytest.raises(pg_tools.ToolsMissing, match=f"postgresql-client-{server}.*LIUKE_PG_BIN"):
                pg_tools.find_tools(folder, at_least=server)
        else:
            assert pg_tools.find_tools(folder, at_least=server).major == found


@pytest.mark.once("postgresql")
def test_a_dump_that_fails_is_no_backup(db, source, place, monkeypatch):
    real = pg_tools.find_tools(source.pg_bin, at_least=1)
    fake = place / "bin"
    fake.mkdir()
    for name in pg_tools.NEEDED:
        (fake / name).symlink_to(real.path(name))
    (fake / "pg_dump").unlink()
    (fake / "pg_dump").write_text('#!/bin/sh\n[ "$1" = --version ] && echo "pg_dump (PostgreSQL) 99.0" && exit\n'
                                  "echo half; echo 'disk on fire' >&2; exit 1\n")  # fmt: skip
    (fake / "pg_dump").chmod(0o755)
    source.pg_bin = str(fake)

    with pytest.raises(BackupError, match="disk on fire"):
        saved(source, place)

    assert not (place / "one.zip").exists()
