"""Where PostgreSQL's own programs are: pg_dump refuses a server that is newer than it is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from glob import glob
from pathlib import Path

from app.core.errors import BusinessError
from app.core.sentences import gettext as _

FOLDERS = (  # where the packages of Debian, Red Hat and macOS put them, each version in a folder of its own
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/opt/homebrew/opt/libpq/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/usr/local/opt/libpq/bin",
    "/Library/PostgreSQL/*/bin",
)
NEEDED = ("pg_dump", "pg_restore", "psql")


class ToolsMissing(BusinessError):
    """pg_dump is not there or older than the server; the sentence says what to install."""


@dataclass(frozen=True)
class Tools:
    """One installation of the programs."""

    folder: Path
    major: int
    says: str  # what `pg_dump --version` answers

    def path(self, name: str) -> str:
        """Where one of the programs is."""
        return str(self.folder / name)


def find_tools(named: str, *, at_least: int) -> Tools:
    """The programs to use for a server of this major version: those in the folder `named` (LIUKE_PG_BIN), else those
    of the very version, else the newest found.

    Raises `ToolsMissing` when there are none, or only older ones.
    """
    folders = [named] if named else [str(Path(p).parent) for p in [shutil.which("pg_dump")] if p] + found_folders()
    found = [tools for tools in map(look_at, folders) if tools is not None]
    newest = max(found, key=lambda tools: (tools.major == at_least, tools.major), default=None)
    if newest is not None and newest.major >= at_least:
        return newest
    have = _("none was found") if newest is None else _("the newest found is %(version)s", version=newest.major)
    raise ToolsMissing(
        _(
            "The backup needs pg_dump, pg_restore and psql of PostgreSQL %(needed)d or newer; %(have)s. Install them "
            "(Debian, Ubuntu: apt install postgresql-client-%(needed)d; Red Hat: dnf install postgresql%(needed)d; "
            "macOS: brew install libpq) or name their folder in LIUKE_PG_BIN.",
            needed=at_least,
            have=have,
        )
    )


def found_folders() -> list[str]:
    """The folders of this machine in which the programs may be."""
    return [folder for pattern in FOLDERS for folder in sorted(glob(pattern))]


def look_at(folder: str) -> Tools | None:
    """The programs in a folder; None unless all three are there and say their version."""
    path = Path(folder)
    if not all(os.access(path / name, os.X_OK) for name in NEEDED):
        return None
    try:
        done = subprocess.run([path / "pg_dump", "--version"], capture_output=True, text=True, timeout=10, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"\) (\d+)", done.stdout)
    return Tools(path, int(version[1]), done.stdout.strip()) if version else None
