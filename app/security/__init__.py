"""账号与权限: people, roles, rights, sign-in sessions and their logs."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l


def register(appbuilder: Any) -> None:
    """The administrators' screens. Login, profile and preferences are registered by the security manager."""
    from app.core import history
    from app.core.choosing import CHOICES, SEARCH_CHOICES
    from app.core.history import tell
    from app.security import changes, personal_data
    from app.security.access import active_users, all_users, teams
    from app.security.views import register_admin_views

    CHOICES["ab_user"], SEARCH_CHOICES["ab_user"] = active_users, all_users
    CHOICES["team"] = teams
    tell("ab_user", "reset_password", _l("gave it another password"), "key", attempt=_l("Reset password"))
    tell("ab_user", "change_password", _l("changed the password"), "key")
    tell("ab_user", "forgotten_password", _l("chose another password by a mailed link"), "mail")
    tell("ab_user", "second_factor_on", _l("switched on the second step"), "shield-check")
    tell("ab_user", "recovery_codes", _l("made new recovery codes"), "shield-check")
    tell("ab_user", "second_factor_off", _l("switched off the second step"), "shield-lock")
    tell("ab_user", "end_sessions", _l("ended its sessions"), "logout", attempt=_l("End sessions"))
    changes.install()
    personal_data.install()
    history.ACTIONS["undo_bulk"] = (_l("undid the bulk change"), "arrow-back-up")
    tell("bulk_change", "undo", _l("undid it"), "arrow-back-up", attempt=_l("Undo"))
    tell("ab_user", "erase", _l("erased the personal data"), "trash", attempt=_l("Erase personal data"))
    tell("ab_user", "export_personal", _l("exported the personal data"), "download", attempt=_l("Export"))
    register_admin_views(appbuilder)
