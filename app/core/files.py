"""Files of this installation are its account's alone, whichever command makes them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any


def open_private(path: Path, mode: str = "w", **options: Any) -> IO[Any]:
    """Open a file as open() does; if that makes it, only its owner can read it (mode 600)."""
    return open(path, mode, opener=lambda name, flags: os.open(name, flags, 0o600), **options)
