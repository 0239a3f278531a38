"""账号与权限: people, roles, rights, sign-in sessions and their logs."""

from __future__ import annotations

from typing import Any


def register(appbuilder: Any) -> None:
    """Screens of this domain are registered by the security manager (FAB asks it to)."""
