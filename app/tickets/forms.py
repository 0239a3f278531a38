"""Forms of steps that ask for more than a confirmation."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from wtforms.validators import Length, Optional

from app.core.forms import CrmForm, Filled, LongTextField, stars_field


class CloseFeedbackForm(CrmForm):
    """How satisfied the customer is in the end."""

    satisfaction = stars_field(_l("Satisfaction"), [Optional()])


class CloseComplaintForm(CrmForm):
    """What was done about it, and how satisfied the customer is in the end."""

    remedy = LongTextField(_l("Remedy"), [Filled(), Length(max=2000)])
    satisfaction = stars_field(_l("Satisfaction"), [Optional()])
