"""Where the files are: below LIUKE_UPLOADS, under random names, readable by this account only.

A file is written under a temporary name, looked at, and only then given its own name; the row that names it is
committed after that. So a row never names a file that is not there; a file no row names is swept later.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from flask import current_app

from app.attachments.kinds import NotTaken
from app.core.sentences import gettext as _

KEY = re.compile(r"[0-9a-f]{32}")
INCOMING = "incoming"  # folder of what is being written
PIECE = 2**18


@dataclass(frozen=True)
class Incoming:
    """A file that arrived whole and has no name of its own yet."""

    path: Path
    size: int
    sha256: str

    def keep(self) -> str:
        """Give it its place for good and return its key. It survives a power cut from here on."""
        key = secrets.token_hex(16)
        place = path_of(key)
        _folder(place.parent)
        os.rename(self.path, place)
        for folder in (place.parent, place.parent.parent, place.parent.parent.parent):
            _flush(folder)
        return key


@contextmanager
def receive(stream: IO[bytes], *, most: int) -> Iterator[Incoming]:
    """Write a stream into a temporary file, for the time of the block; what was not kept then is removed.

    Raises `NotTaken` when it has more than `most` bytes.
    """
    path = _folder(root() / INCOMING) / secrets.token_hex(16)
    digest, size = hashlib.sha256(), 0
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            while piece := stream.read(PIECE):
                size += len(piece)
                if size > most:
                    raise NotTaken(_("The file has more than %(mb)d MB.", mb=most // 10**6))
                digest.update(piece)
                out.write(piece)
            out.flush()
            os.fsync(out.fileno())
        yield Incoming(path, size, digest.hexdigest())
    finally:
        path.unlink(missing_ok=True)


def root() -> Path:
    """The folder of all files; several nodes share it."""
    return Path(current_app.config["LIUKE_UPLOADS"])


def path_of(key: str) -> Path:
    """Where the file with this key is. Raises `ValueError` for what is no key."""
    if not KEY.fullmatch(key):
        raise ValueError(f"not a key: {key!r}")
    return root() / key[:2] / key[2:4] / key


def stored(before: datetime) -> Iterator[list[str]]:
    """The keys of the files that were written before this instant, folder by folder."""
    for folder in sorted(root().glob("[0-9a-f][0-9a-f]")):
        keys = [
            path.name
            for path in folder.glob("[0-9a-f][0-9a-f]/*")
            if KEY.fullmatch(path.name) and path == path_of(path.name) and _older(path, before)
        ]
        if keys:
            yield sorted(keys)


def drop(key: str) -> None:
    """Remove a file that no row names."""
    path_of(key).unlink(missing_ok=True)


def drop_unfinished(before: datetime) -> int:
    """Remove what was begun before this instant and never finished; returns how many."""
    old = [path for path in (root() / INCOMING).glob("*") if KEY.fullmatch(path.name) and _older(path, before)]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def _older(path: Path, before: datetime) -> bool:
    try:
        return path.stat().st_mtime < before.timestamp()
    except FileNotFoundError:
        return False


def _folder(path: Path) -> Path:
    for part in (root(), *reversed([p for p in path.parents if root() in p.parents]), path):
        part.mkdir(mode=0o700, parents=part == root(), exist_ok=True)
    return path


def _flush(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
