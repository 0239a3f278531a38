"""账号与权限: people, roles, rights, sign-in sessions and their logs."""

from __future__ import annotations

from typing import Any


def register(appbuilder: Any) -> None:
    """The administrators' screens. Login, profile and preferences are registered by the security manager."""
    from app.core.views import CHOICES, SEARCH_CHOICES
    from app.security.access import active_users, all_users, teams
    from app.security.changes import install
    from app.security.views import register_admin_views

    CHOICES["ab_user"], SEARCH_CHOICES["ab_user"] = active_users, all_users
    CHOICES["team"] = teams
    install()
    register_admin_views(appbuilder)
