"""How somebody wants to hear of things."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from wtforms import PasswordField
from wtforms.validators import Length, Optional

from app.core.forms import ChoiceSelect, CrmForm, Filled, TextField


class DigestForm(CrmForm):
    """The hour of the daily mail; none for no mail."""

    hour = ChoiceSelect(
        _l("Daily e-mail"),
        [Optional()],
        options=[(str(hour), f"{hour:02d}:00") for hour in range(24)],
        blank=True,
        to=int,
        description=_l("What is new and unread, once a day. Nothing new, no mail. Leave it empty for none."),
    )


class RobotForm(CrmForm):
    """A robot's address, and its key where it asks for signatures."""

    url = TextField(_l("Webhook address"), [Filled(), Length(max=500)])
    secret = PasswordField(
        _l("Signing key"),
        [Optional(), Length(max=200)],
        description=_l("Only if the robot's settings ask for a signature."),
    )
