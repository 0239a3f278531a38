"""Backups: the database and every attached file in one zip file, with a list of what is in it.

    manifest.json        when, from what, how many rows each table has, size and SHA-256 of every other member
    database.sqlite      or database.dump, of the moment the backup began
    uploads/ab/cd/abcd…  every file that database names

A backup has its name only once it is whole. Nothing of it is believed before its checksum was compared.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import sqlite3
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

from sqlalchemy.exc import SQLAlchemyError

from app.attachments.storage import INCOMING, KEY
from app.core.files import open_private
from app.core.sentences import gettext as _
from app.desk.dumps import PIECE, BackupError, PostgresDatabase, SqliteFile, Tables, Tick, flush

FORMAT = 1
MANIFEST = "manifest.json"
NAME = re.compile(r"liuke-\d{8}T\d{6}Z\.zip")
UPLOADS = "uploads/"
UNFINISHED = timedelta(days=1)  # what a killed backup left is removed after this

Database = SqliteFile | PostgresDatabase


def nothing() -> None:
    """For callers who need not hear that it goes on."""


@dataclass(frozen=True)
class Manifest:
    """What a backup says about itself."""

    format: int
    made_at: str  # UTC, 2026-11-22T17:30:00+00:00
    kind: str  # sqlite or postgresql
    revision: str  # of the migrations
    tool: str  # what wrote the database
    tables: Tables
    members: dict[str, list[Any]]  # name -> [bytes, SHA-256]
    missing: list[str]  # files the database names that were not there, or were not what they had been

    @property
    def rows(self) -> int:
        """How many rows all tables have."""
        return sum(count for count, _checksum in self.tables.values())

    @property
    def files(self) -> int:
        """How many attached files are in it."""
        return sum(name.startswith(UPLOADS) for name in self.members)


def name_at(moment: datetime) -> str:
    """The file name of a backup made at this instant."""
    return f"liuke-{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}.zip"


def place(path: str, key: str) -> str:
    """Where a file is below the folder of attached files, and in a backup."""
    return f"{path}{key[:2]}/{key[2:4]}/{key}"


# -- making ---------------------------------------------------------------------------------------------------------


def make(target: Path, source: Database, *, uploads: Path, now: datetime, tick: Tick = nothing) -> Manifest:
    """Write a backup of the database and of the attached files it names to `target`, while both are in use.

    What was committed before is in it. `tick` is called at least every few seconds of work; what it raises ends the
    backup. Nothing is left behind but the whole file. Raises `BackupError`.
    """
    if target.exists():
        raise BackupError(_("There is a file %(path)s already.", path=target))
    part = target.with_name(f".{target.name}-{os.getpid()}.part")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open_private(part, "xb") as raw:
            manifest = _write(raw, source, target.parent, uploads, now, tick)
            raw.flush()
            os.fsync(raw.fileno())
        os.rename(part, target)
        flush(target.parent)
    except (OSError, sqlite3.Error, SQLAlchemyError) as error:
        raise BackupError(_("The backup could not be written: %(why)s", why=error)) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return manifest


def _write(raw: IO[bytes], source: Database, scratch: Path, uploads: Path, now: datetime, tick: Tick) -> Manifest:
    members: dict[str, list[Any]] = {}
    missing: list[str] = []
    with zipfile.ZipFile(raw, "w", compresslevel=1) as archive, source.snapshot(scratch, tick) as snapshot:
        members[source.member] = _add(archive, source.member, snapshot.stream, tick, packed=source.packed)
        snapshot.ended()
        # After the database: files are only added, so each that it names is there.
        for key, sha256 in snapshot.keys:
            name = place(UPLOADS, key)
            try:
                with (uploads / place("", key)).open("rb") as stream:
                    members[name] = _add(archive, name, stream, tick)
            except FileNotFoundError:
                missing.append(name)
            else:
                missing += [name] * (members[name][1] != sha256)
        manifest = Manifest(
            format=FORMAT,
            made_at=now.astimezone(UTC).isoformat(timespec="seconds"),
            kind=source.kind,
            revision=snapshot.revision,
            tool=snapshot.tool,
            tables=snapshot.tables,
            members=members,
            missing=missing,
        )
        archive.writestr(MANIFEST, json.dumps(asdict(manifest), ensure_ascii=False), zipfile.ZIP_DEFLATED)
    return manifest


def _add(archive: zipfile.ZipFile, name: str, stream: IO[bytes], tick: Tick, *, packed: bool = False) -> list[Any]:
    digest, size = hashlib.sha256(), 0
    archive.compression = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with archive.open(name, "w", force_zip64=True) as member:
        while piece := stream.read(PIECE):
            tick()
            digest.update(piece)
            member.write(piece)
            size += len(piece)
    return [size, digest.hexdigest()]


def made_in(folder: Path) -> list[Path]:
    """The backups in a folder, newest first."""
    return sorted((path for path in folder.glob("liuke-*.zip") if NAME.fullmatch(path.name)), reverse=True)


def keep(folder: Path, count: int, now: datetime) -> int:
    """Remove all but the newest `count` backups, and what killed ones left behind. Returns how many are there now."""
    backups = made_in(folder)
    for old in backups[count:]:
        old.unlink(missing_ok=True)
    for part in folder.glob(".*.part*"):
        if part.stat().st_mtime < (now - UNFINISHED).timestamp():
            part.unlink(missing_ok=True)
    return min(len(backups), count)


# -- putting back ---------------------------------------------------------------------------------------------------


def verify(path: Path, tick: Tick = nothing) -> Manifest:
    """Read a whole backup and compare every checksum. Raises `BackupError` unless all is as its list says."""
    with _opened(path) as archive:
        manifest = _manifest(archive)
        for name in manifest.members:
            for _piece in _pieces(archive, manifest, name):
                tick()
    return manifest


def restore(
    path: Path, target: Database, *, uploads: Path, replace: bool = False, tick: Tick = nothing
) -> tuple[Manifest, str]:
    """Put a backup's files and database in place. The product must be stopped.

    Everything is checked before anything is changed. Files come first, under the random names they had, so that what
    breaks off leaves at most files no row names; then the database, in one step. Returns the backup's list and where
    the database that was replaced is kept, or an empty text. Raises `BackupError`, for a database that is not
    empty unless `replace`, and for a backup of another kind of database.
    """
    manifest = verify(path, tick)
    if manifest.kind != target.kind:
        raise BackupError(
            _(
                "This is a backup of %(kind)s, but DATABASE_URL names %(other)s.",
                kind=manifest.kind,
                other=target.kind,
            )
        )
    if not replace and not target.is_empty():
        raise BackupError(
            _("The database is not empty. Name an empty one in DATABASE_URL, or replace this one with --replace.")
        )
    with _opened(path) as archive, tempfile.TemporaryDirectory(prefix="liuke-restore-") as scratch:
        for name in manifest.members:
            if name.startswith(UPLOADS):
                by = uploads / INCOMING / secrets.token_hex(16)  # swept if we are killed
                _put(uploads / name.removeprefix(UPLOADS), _pieces(archive, manifest, name), tick, by=by)
        dump = Path(scratch) / target.member
        _put(dump, _pieces(archive, manifest, target.member), tick, by=dump.with_suffix(".part"))
        return manifest, target.restore(dump, manifest.tables, manifest.tool, tick)


def _put(place: Path, pieces: Iterator[bytes], tick: Tick, *, by: Path) -> None:
    """Write a file whole, or not at all, by way of another name."""
    for folder in (place.parent, by.parent):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open_private(by, "wb") as out:
        for piece in pieces:
            out.write(piece)
            tick()
        out.flush()
        os.fsync(out.fileno())
    by.replace(place)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, EOFError) as error:
        raise BackupError(_("%(path)s is no whole backup: %(why)s", path=path.name, why=error)) from None
    except OSError as error:
        raise BackupError(_("%(path)s could not be read: %(why)s", path=path.name, why=error)) from None


def _manifest(archive: zipfile.ZipFile) -> Manifest:
    names = archive.namelist()
    try:
        manifest = Manifest(**json.loads(archive.read(MANIFEST)))
    except (KeyError, TypeError, ValueError):
        raise BackupError(_("This file is no backup, or one of a newer release.")) from None
    listed = [*manifest.members, MANIFEST]
    if manifest.format != FORMAT or sorted(names) != sorted(listed) or not all(map(_is_ours, manifest.members)):
        raise BackupError(_("The backup does not hold what its list says."))
    return manifest


def _is_ours(name: str) -> bool:
    """Whether a member has a name that we give: nothing is ever written anywhere else."""
    key = name.rpartition("/")[2]
    return name in (SqliteFile.member, PostgresDatabase.member) or (
        KEY.fullmatch(key) is not None and name == place(UPLOADS, key)
    )


def _pieces(archive: zipfile.ZipFile, manifest: Manifest, name: str) -> Iterator[bytes]:
    """A member's content. Raises `BackupError` at its end unless size and checksum are those of the list."""
    digest, size = hashlib.sha256(), 0
    with archive.open(name) as stream:
        while piece := stream.read(PIECE):
            digest.update(piece)
            size += len(piece)
            yield piece
    if [size, digest.hexdigest()] != manifest.members[name]:
        raise BackupError(_("%(member)s in the backup is damaged: its checksum is another one.", member=name))
