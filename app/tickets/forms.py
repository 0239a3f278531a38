"""Forms of steps that ask for more than a confirmation."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l
from wtforms.validators import Length, Optional

from app.core.forms import CrmForm, Filled, LongTextField, RowSelect, stars_field
from app.security.access import account_managers


def assign_form(lookup_url: Any) -> type[CrmForm]:
    """Who handles it."""

    class AssignForm(CrmForm):
        assignee = RowSelect(_l("Account manager"), [Filled()], choices=account_managers(), url=lookup_url)

    return AssignForm


class HandleForm(CrmForm):
    """What was done about the request."""

    handling = LongTextField(
        _l("Handling"),
        [Filled(), Length(max=3000)],
        description=_l("Write what you did and why, so that it helps with the next request of this kind."),
        render_kw={"rows": 5},
    )


class GiveFeedbackForm(CrmForm):
    """What the customer said about it."""

    result = LongTextField(_l("What the customer said"), [Filled(), Length(max=500)])
    satisfaction = stars_field(
        _l("Satisfaction"),
        [Filled()],
        description=_l("3 stars or more archive the ticket. With fewer it goes back to its assignee."),
    )


class CloseFeedbackForm(CrmForm):
    """How satisfied the customer is in the end."""

    satisfaction = stars_field(_l("Satisfaction"), [Optional()])


class CloseComplaintForm(CrmForm):
    """What was done about it, and how satisfied the customer is in the end."""

    remedy = LongTextField(_l("Remedy"), [Filled(), Length(max=2000)])
    satisfaction = stars_field(_l("Satisfaction"), [Optional()])
