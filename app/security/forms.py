"""Forms of signing in, of one's own account, and of the administrators' pages."""

from __future__ import annotations

from typing import Any

from flask import url_for
from flask_babel import lazy_gettext as _l
from markupsafe import Markup
from wtforms import BooleanField, Field, HiddenField, PasswordField
from wtforms.validators import Length, Optional

from app.core.choosing import Choices
from app.core.forms import CrmForm, Filled, RowSelect, TextField, phone
from app.security.access import all_roles, teams
from app.security.labels import SEE
from app.security.seed import rights_of_screens

ALL_OF_SEE = "see"
LONGEST = 200  # characters of a password; more only costs time


class LoginForm(CrmForm):
    username = TextField(_l("Username"), [Filled(), Length(max=128)])
    password = PasswordField(_l("Password"), [Filled(), Length(max=LONGEST)])
    remember = BooleanField(_l("Keep me signed in on this device"))


class PasswordForm(CrmForm):
    password = PasswordField(
        _l("Password"),
        [Filled(), Length(max=LONGEST)],
        render_kw={"autocomplete": "current-password", "autofocus": True},
    )


class CodeForm(CrmForm):
    code = TextField(
        _l("Verification code"),
        [Filled(), Length(max=100)],
        description=_l("Six digits from your phone, or one of your recovery codes."),
        render_kw={"autocomplete": "one-time-code", "autofocus": True, "autocapitalize": "none", "spellcheck": "false"},
    )


class ForgottenForm(CrmForm):
    username = TextField(
        _l("Username or e-mail"),
        [Filled(), Length(max=320)],
        render_kw={"autocomplete": "username", "autofocus": True, "autocapitalize": "none", "spellcheck": "false"},
    )


class PhoneForm(CrmForm):
    phone = TextField(_l("Phone"), [Optional(), Length(max=50), phone])


def _new_password(label: Any) -> PasswordField:
    return PasswordField(
        label,
        [Filled(), Length(max=LONGEST)],
        description=_l("At least 10 characters. Several words are easier to remember than signs."),
        render_kw={"autocomplete": "new-password"},
    )


class OwnPasswordForm(CrmForm):
    current = PasswordField(
        _l("Current password"), [Filled(), Length(max=LONGEST)], render_kw={"autocomplete": "current-password"}
    )
    new = _new_password(_l("New password"))


class ResetPasswordForm(CrmForm):
    """For somebody else, or for oneself by a mailed link."""

    password = _new_password(_l("New password"))


class RolesField(Field):
    """Several roles as check boxes; whatever is sent, only roles there are."""

    def __init__(self, label: Any = None, validators: Any = None, *, choices: Choices, **kwargs: Any) -> None:
        super().__init__(label, validators, **kwargs)
        self.choices = choices
        self.widget = self._render

    @property
    def type(self) -> str:
        return "RolesField"

    @type.setter
    def type(self, value: str) -> None:
        pass

    def process_data(self, value: Any) -> None:
        self.data = list(value or [])

    def process_formdata(self, valuelist: list[str]) -> None:
        known = {str(role.id): role for role in self.choices.all()}
        self.data = [known[pk] for pk in dict.fromkeys(valuelist) if pk in known]

    def populate_obj(self, obj: Any, name: str) -> None:
        """Roles are granted by the operation, which knows who may grant what."""

    def _render(self, _field: Any, **_kwargs: Any) -> Markup:
        held = {role.id for role in self.data or []}
        boxes = Markup("").join(
            Markup('<label><input type="checkbox" name="{}" value="{}"{}>{}</label>').format(
                self.name, role.id, Markup(" checked") if role.id in held else "", str(role)
            )
            for role in self.choices.all()
        )
        return Markup('<div class="radios" id="{}" role="group" aria-label="{}">{}</div>').format(
            self.id, self.label.text, boxes
        )


class _AccountForm(CrmForm):
    last_name = TextField(_l("Family name"), [Filled(), Length(max=64)])
    first_name = TextField(_l("Given name"), [Filled(), Length(max=64)])
    email = TextField(_l("E-mail"), [Filled(), Length(max=320)], render_kw={"type": "email"})
    phone = TextField(_l("Phone"), [Optional(), Length(max=50), phone])
    team = RowSelect(_l("Team"), [Optional()], choices=teams(), url=lambda: url_for("TeamView.lookup", column="parent"))
    roles = RolesField(_l("Roles"), choices=all_roles())


class NewAccountForm(_AccountForm):
    username = TextField(
        _l("Account"),
        [Filled(), Length(max=64)],
        description=_l("What the person types to sign in. It cannot be changed later."),
        render_kw={"autocomplete": "off"},
    )
    password = _new_password(_l("First password"))


class AccountForm(_AccountForm):
    active = BooleanField(_l("Enabled"), description=_l("A disabled account cannot sign in; its sessions end at once."))
    stamp = HiddenField()
    seen = HiddenField()


class RightsField(Field):
    """The rights of a role as they come from its table: (permission, view) pairs. `see` stands for all that see it."""

    def process_data(self, value: Any) -> None:
        self.data = set(value or ())

    def process_formdata(self, valuelist: list[str]) -> None:
        given = [(p, v) for p, found, v in (text.partition(":") for text in valuelist) if found]
        known = rights_of_screens()
        self.data = {(p, v) for p, v in given if p != ALL_OF_SEE}
        self.data |= {(p, v) for right, v in given if right == ALL_OF_SEE for p in SEE if (p, v) in known}


class RoleForm(CrmForm):
    label_zh = TextField(_l("Name in Chinese"), [Filled(), Length(max=64)])
    label_en = TextField(_l("Name in English"), [Filled(), Length(max=64)])
    active = BooleanField(_l("Enabled"), default=True, description=_l("An inactive role grants nothing."))
    rights = RightsField()
    stamp = HiddenField()
    seen = HiddenField()
