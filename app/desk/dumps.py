"""A database as one file, written while others write, and put back whole or not at all. One class per kind.

Both take a snapshot: what was committed when it was taken is in it, what is committed later is not.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa

from app.core.errors import BusinessError
from app.core.files import open_private
from app.core.sentences import gettext as _
from app.desk.pg_tools import find_tools

Tick = Callable[[], None]
Tables = dict[str, list[Any]]  # table -> [rows, checksum]; SQLite's file has a checksum of its own instead

PIECE = 2**20
PAGES = 2000  # of a SQLite file that are copied between two ticks


class BackupError(BusinessError):
    """A backup could not be made or put back; the sentence says what to do."""


@dataclass
class Snapshot:
    """The database at one moment: what is in it, and its bytes to be read once."""

    tables: Tables
    revision: str
    keys: list[tuple[str, str]]  # of the attached files it names, with their SHA-256
    stream: IO[bytes]
    tool: str = ""  # the program that wrote it
    ended: Callable[[], None] = field(default=lambda: None)  # raises unless the stream was whole


def database_at(url: str, pg_bin: str = "") -> SqliteFile | PostgresDatabase:
    """The database with this SQLAlchemy URL; `pg_bin` is the folder of PostgreSQL's programs, if one was named."""
    made = sa.make_url(url)
    if made.get_backend_name() == "sqlite":
        return SqliteFile(Path(made.database or ""))
    return PostgresDatabase(made.set(drivername="postgresql+psycopg2"), pg_bin)


# -- SQLite ---------------------------------------------------------------------------------------------------------


class SqliteFile:
    """A SQLite database, copied by its online backup."""

    kind = "sqlite"
    member = "database.sqlite"
    packed = True  # its pages are half air

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def snapshot(self, scratch: Path, tick: Tick) -> Iterator[Snapshot]:
        """The database as it is now, as a checked copy in `scratch` for the time of the block.

        Raises `BackupError` when there is none, or when SQLite finds it damaged.
        """
        if not self.path.exists():
            raise BackupError(_("There is no database at %(path)s.", path=self.path))
        copy = scratch / f".{self.path.name}-{os.getpid()}.part"
        open_private(copy, "xb").close()
        try:
            with closing(_sqlite(self.path)) as source, closing(_sqlite(copy)) as target:
                # Without this reading transaction every write of somebody else would make the copy begin again.
                source.execute("BEGIN")
                source.execute("SELECT count(*) FROM sqlite_master").fetchone()
                source.backup(target, pages=PAGES, progress=lambda *_anything: tick(), sleep=0)
                source.execute("ROLLBACK")
                target.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
                tables = _sqlite_tables(target, "quick_check", tick)
                revision = target.execute("SELECT version_num FROM alembic_version").fetchone()[0]
                keys = target.execute("SELECT key, sha256 FROM attachment ORDER BY key").fetchall()
            with copy.open("rb") as stream:
                yield Snapshot(tables, revision, keys, stream, tool=f"SQLite {sqlite3.sqlite_version}")
        finally:
            for ending in ("", "-journal", "-wal", "-shm"):
                copy.with_name(copy.name + ending).unlink(missing_ok=True)

    def is_empty(self) -> bool:
        """Whether nothing is there yet."""
        if not self.path.exists():
            return True
        with closing(_sqlite(self.path)) as there:
            return not there.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]

    def restore(self, dump: Path, tables: Tables, tool: str, tick: Tick) -> str:
        """Put the copy in place of what is there, in one step; what was there is kept beside it.

        Returns where, or an empty text. Raises `BackupError` when the copy is not what `tables` says, or when a
        program still has the database open; nothing is changed then.
        """
        new = self.path.with_name(self.path.name + ".restoring")
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with dump.open("rb") as source, open_private(new, "wb") as target:
                shutil.copyfileobj(source, target, PIECE)
            with closing(_sqlite(new)) as copy:
                _compare(tables, _sqlite_tables(copy, "integrity_check", tick))
                if copy.execute("PRAGMA foreign_key_check").fetchone() is not None:
                    raise BackupError(_("The database in the backup is damaged."))
            with new.open("rb") as copied:
                os.fsync(copied.fileno())
            kept = self._set_aside() if self.path.exists() else ""
            new.replace(self.path)
            flush(self.path.parent)
        finally:
            new.unlink(missing_ok=True)
        return kept

    def _set_aside(self) -> str:
        """A second name for the file that is there. Raises `BackupError` while a program has it open."""
        try:
            with closing(_sqlite(self.path, patience=1)) as there:
                there.execute("PRAGMA journal_mode=DELETE")  # folds its log in; needs it alone
        except sqlite3.OperationalError:
            raise BackupError(_("%(path)s is in use. Stop Liuke first.", path=self.path)) from None
        if self.is_empty():
            return ""
        aside = self.path.with_name(f"{self.path.name}.replaced-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
        try:
            os.link(self.path, aside)  # so that there is a database under its name at every moment
        except OSError:  # a file system without links
            shutil.copy2(self.path, aside)
        return str(aside)


def _sqlite(path: Path, patience: float = 15) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=patience, isolation_level=None)


def _sqlite_tables(connection: sqlite3.Connection, check: str, tick: Tick) -> Tables:
    """How many rows each table has, after SQLite checked the file. Raises `BackupError` if it is damaged."""
    connection.set_progress_handler(tick, 10_000_000)
    try:
        found = connection.execute(f"PRAGMA {check}(1)").fetchone()[0]
        names = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name"
        ).fetchall()
        counted = {
            name: [connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0], None]  # noqa: S608 - from the file
            for (name,) in names
        }
    except sqlite3.DatabaseError as error:
        found, counted = str(error), {}
    finally:
        connection.set_progress_handler(None, 0)
    if found != "ok":
        raise BackupError(_("The database is damaged: %(why)s", why=found))
    return counted


# -- PostgreSQL -----------------------------------------------------------------------------------------------------

SAME_TEXT = (  # a row reads the same on every server and in every session
    "SET datestyle = ISO; SET timezone = 'UTC'; SET intervalstyle = postgres; SET bytea_output = hex;"
    " SET extra_float_digits = 1"
)
SUM_OF = (
    "SELECT count(*) AS n, coalesce(sum(('x' || substr(md5(t::text), 1, 15))::bit(60)::bigint), 0)::text AS checksum"
    " FROM {schema}.{table} t"
)
OURS = "NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = {oid} AND d.deptype = 'e')"  # no extension's
TABLES = f"""
SELECT c.relname FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace
  AND c.relkind IN ('r', 'p') AND {OURS.format(oid="c.oid")} ORDER BY 1
"""  # noqa: S608
EMPTY_IT = f"""
DO $$
DECLARE one record;
BEGIN
  FOR one IN SELECT c.oid::regclass AS name, c.relkind FROM pg_class c
    WHERE c.relnamespace = '{{schema}}'::regnamespace AND c.relkind IN ('v', 'm') AND {OURS.format(oid="c.oid")}
  LOOP EXECUTE format('DROP %s IF EXISTS %s CASCADE',
                      CASE one.relkind WHEN 'v' THEN 'VIEW' ELSE 'MATERIALIZED VIEW' END, one.name); END LOOP;
  FOR one IN SELECT c.oid::regclass AS name FROM pg_class c
    WHERE c.relnamespace = '{{schema}}'::regnamespace AND c.relkind IN ('r', 'p') AND {OURS.format(oid="c.oid")}
  LOOP EXECUTE format('DROP TABLE IF EXISTS %s CASCADE', one.name); END LOOP;
  FOR one IN SELECT c.oid::regclass AS name FROM pg_class c
    WHERE c.relnamespace = '{{schema}}'::regnamespace AND c.relkind = 'S' AND {OURS.format(oid="c.oid")}
  LOOP EXECUTE format('DROP SEQUENCE IF EXISTS %s CASCADE', one.name); END LOOP;
  FOR one IN SELECT p.oid::regprocedure AS name FROM pg_proc p
    WHERE p.pronamespace = '{{schema}}'::regnamespace AND {OURS.format(oid="p.oid")}
  LOOP EXECUTE format('DROP ROUTINE IF EXISTS %s CASCADE', one.name); END LOOP;
END $$;
"""  # noqa: S608
LATER_SETTING = b"SET transaction_timeout"  # written by version 17 and later, unknown to servers before it


class PostgresDatabase:
    """A PostgreSQL database, written by pg_dump and put back in one transaction."""

    kind = "postgresql"
    member = "database.dump"
    packed = False  # pg_dump packs it

    def __init__(self, url: sa.URL, pg_bin: str = "") -> None:
        self.url, self.pg_bin = url, pg_bin

    @contextmanager
    def snapshot(self, scratch: Path, tick: Tick) -> Iterator[Snapshot]:
        """The database as it is now; counts, checksums and dump are of the same moment.

        Raises `BackupError` when pg_dump is missing or older than the server, and when it fails.
        """
        with self._connect() as connection:
            connection.execute(sa.text("SET idle_in_transaction_session_timeout = 0"))
            connection.commit()
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            tools = find_tools(self.pg_bin, at_least=self._version(connection))
            exported = connection.execute(sa.text("SELECT pg_export_snapshot()")).scalar_one()
            schema = connection.execute(sa.text("SELECT current_schema()")).scalar_one()
            revision = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one()
            keys = [
                tuple(row) for row in connection.execute(sa.text("SELECT key, sha256 FROM attachment ORDER BY key"))
            ]
            tables = self._tables(connection, schema, tick)
            with tempfile.TemporaryFile() as said:
                argv = [tools.path("pg_dump"), "--format=custom", "--no-owner", "--no-privileges", "--no-password"]
                argv += [f"--snapshot={exported}", f"--schema={schema}", f"--dbname={self._name()}"]
                with _running(argv, env=self._environment(), stdout=subprocess.PIPE, stderr=said) as process:

                    def ended() -> None:
                        if process.wait() != 0:
                            raise BackupError(_("pg_dump failed: %(why)s", why=_tail(said)))

                    yield Snapshot(tables, revision, keys, process.stdout, tools.says, ended)  # type: ignore[arg-type]

    def is_empty(self) -> bool:
        """Whether nothing is there yet."""
        with self._connect() as connection:
            return connection.execute(sa.text(TABLES)).first() is None

    def restore(self, dump: Path, tables: Tables, tool: str, tick: Tick) -> str:
        """Replace what is there by the dump, compare counts and checksums, and only then commit: one transaction.

        Raises `BackupError` and leaves everything as it was when any of that fails. Returns an empty text: what was
        there is gone.
        """
        with self._connect() as connection:
            version = self._version(connection)
            schema = connection.execute(sa.text("SELECT current_schema()")).scalar_one()
        written = re.search(r"\) (\d+)", tool)
        tools = find_tools(self.pg_bin, at_least=max(version, int(written[1]) if written else 0))
        read = [tools.path("pg_restore"), "--no-owner", "--no-privileges", f"--schema={schema}", "--file=-", str(dump)]
        write = [tools.path("psql"), "--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1"]
        write += ["--output=/dev/null", f"--dbname={self._name()}"]
        with (
            tempfile.TemporaryFile() as unread,
            tempfile.TemporaryFile() as unwritten,
            _running(write, env=self._environment(), stdin=subprocess.PIPE, stderr=unwritten) as psql,
            _running(read, stdout=subprocess.PIPE, stderr=unread) as pg_restore,
        ):
            into, out = psql.stdin, pg_restore.stdout
            assert into is not None and out is not None  # noqa: S101, PT018 - for mypy: both are pipes
            try:
                # Ours to open and to close: whoever dies before COMMIT leaves the database as it was.
                _say(into, "BEGIN; SET LOCAL lock_timeout = '15s';", EMPTY_IT.format(schema=schema))
                for number, line in enumerate(out):
                    if not (number < 100 and version < 17 and line.startswith(LATER_SETTING)):
                        into.write(line)
                    if number % 1000 == 0:
                        tick()
                if pg_restore.wait() != 0:
                    psql.kill()
                    raise BackupError(_("pg_restore failed: %(why)s", why=_tail(unread)))
                _say(into, SAME_TEXT + ";", *_checks(schema, tables), "COMMIT; ANALYZE;")
                into.close()
            except BrokenPipeError:
                pass  # it says why
            if psql.wait() != 0:
                raise BackupError(_("The database could not be restored: %(why)s", why=_tail(unwritten)))
        return ""

    def _tables(self, connection: sa.Connection, schema: str, tick: Tick) -> Tables:
        for setting in SAME_TEXT.split("; "):
            connection.exec_driver_sql(setting)
        found: Tables = {}
        for name in connection.execute(sa.text(TABLES)).scalars():
            tick()
            found[name] = list(
                connection.exec_driver_sql(SUM_OF.format(schema=quoted(schema), table=quoted(name))).one()
            )
        return found

    @contextmanager
    def _connect(self) -> Iterator[sa.Connection]:
        engine = sa.create_engine(self.url, poolclass=sa.NullPool, connect_args={"connect_timeout": 5})
        try:
            with engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()

    def _version(self, connection: sa.Connection) -> int:
        return int(connection.exec_driver_sql("SHOW server_version_num").scalar_one()) // 10_000

    def _name(self) -> str:
        """The database as PostgreSQL's own programs are told it: without the password, which everybody could read."""
        return self.url.set(drivername="postgresql", password=None).render_as_string(hide_password=False)

    def _environment(self) -> dict[str, str]:
        password = {"PGPASSWORD": str(self.url.password)} if self.url.password else {}
        return {**os.environ, **password}


def quoted(name: str) -> str:
    """A name as it stands in a statement."""
    return '"' + name.replace('"', '""') + '"'


def _checks(schema: str, tables: Tables) -> Iterator[str]:
    """Statements that fail unless every table has the rows it had."""
    for name, (rows, checksum) in tables.items():
        same = SUM_OF.format(schema=quoted(schema), table=quoted(name))
        differs = f"(n, checksum) <> ({int(rows)}, '{int(checksum)}')"
        said = f"'the rows of {quoted(name)} are not those of the backup'"
        yield f"DO $$ BEGIN IF (SELECT {differs} FROM ({same}) t) THEN RAISE EXCEPTION {said}; END IF; END $$;"  # noqa: S608


def _compare(expected: Tables, found: Tables) -> None:
    differing = [name for name in sorted({*expected, *found}) if expected.get(name) != found.get(name)]
    if differing:
        raise BackupError(_("These tables are not those of the backup: %(tables)s", tables=", ".join(differing)))


@contextmanager
def _running(argv: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A program, for the time of the block; killed if it is still there at its end."""
    process = subprocess.Popen(argv, **options)  # noqa: S603 - our own commands
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
        process.wait()


def _say(into: IO[bytes], *statements: str) -> None:
    for statement in statements:
        into.write(statement.encode() + b"\n")


def _tail(said: IO[bytes]) -> str:
    """The last thing a program said."""
    said.seek(0)
    return said.read().decode(errors="replace").strip()[-500:]


def flush(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
