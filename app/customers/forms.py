"""The questions the steps of a customer ask."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l

from app.core.forms import CrmForm, Filled, RowSelect
from app.security.access import account_managers


def owner_form(lookup_url: Any) -> type[CrmForm]:
    """Who looks after the customer."""

    class OwnerForm(CrmForm):
        owner = RowSelect(_l("Account manager"), [Filled()], choices=account_managers(), url=lookup_url)

    return OwnerForm
