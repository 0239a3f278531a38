"""Form fields and the converter that makes a form from a model: native controls, no script needed.

Labels, limits and required marks come from the model's columns; what a relation may point to from the view.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from flask import flash, g
from flask_appbuilder.forms import DynamicForm
from flask_babel import gettext as _
from markupsafe import Markup
from sqlalchemy.orm import RelationshipProperty
from wtforms import (
    BooleanField,
    DateField,
    DecimalField,
    Field,
    IntegerField,
    PasswordField,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms.fields.choices import Choice
from wtforms.validators import Length, NumberRange, Optional, StopValidation, ValidationError
from wtforms.widgets import html_params

from app.core import submissions
from app.core.choices import ChoiceType
from app.core.choosing import Choices
from app.core.clock import from_local, local
from app.core.text import clean
from app.core.types import MONEY_MAX, Money, UtcDateTime

POSTCODE = re.compile(r"[0-9A-Z]+([ -][0-9A-Z]+)*", re.IGNORECASE)
CREDIT_CODE = re.compile(r"[0-9A-Z]{18}")
HOST = re.compile(r"([\w-]+\.)+[\w-]*[^\W\d][\w-]+\.?|(\d{1,3}\.){3}\d{1,3}")  # www.公司.cn, xn--fiqs8s, 10.0.0.5
PHONE = re.compile(r"^[0-9+\-() ]{4,49}[0-9)]( ?(ext\.?|x|转) ?\d{1,6})?$", re.IGNORECASE)
EARLIEST, LATEST = date(1900, 1, 1), date(2200, 1, 1)


def _attributes(**given: Any) -> Markup:
    """HTML attributes; WTForms escapes each value."""
    return Markup(html_params(**given))  # noqa: S704


class Filled:
    """Required, with blanks not counting as text."""

    field_flags = {"required": True}

    def __call__(self, form: Any, field: Field) -> None:
        if field.data is None or (isinstance(field.data, str) and not field.data.strip()):
            if not field.errors:
                raise StopValidation(_("Fill in this field."))
            raise StopValidation


def phone(form: Any, field: Field) -> None:
    """Digits, spaces, + - ( ) and an extension, 5 to 50 characters.

    A Chinese keyboard types them in full width too: what is kept is the usual form.
    """
    text = unicodedata.normalize("NFKC", field.data or "")
    if not (5 <= len(text) <= 50 and PHONE.match(text)):
        raise ValidationError(_("Use digits, spaces, + - ( ) and an extension, 5 to 50 characters."))
    field.data = text


def postcode(form: Any, field: Field) -> None:
    """Letters and digits, with spaces or hyphens between them; full width becomes the usual form."""
    text = unicodedata.normalize("NFKC", field.data or "")
    if not POSTCODE.fullmatch(text):
        raise ValidationError(_("Use digits and letters, with spaces or hyphens between them."))
    field.data = text


def credit_code(form: Any, field: Field) -> None:
    """统一社会信用代码: 18 digits and capital letters; small ones are made capital, full width the usual form."""
    text = unicodedata.normalize("NFKC", field.data or "").upper()
    if not CREDIT_CODE.fullmatch(text):
        raise ValidationError(_("Enter 18 digits and capital letters."))
    field.data = text


def website(form: Any, field: Field) -> None:
    """An address of the web, http or https and nothing else; a bare www.example.com is completed with https://."""
    text = field.data or ""
    if not text.lower().startswith(("http://", "https://")):
        text = f"https://{text}"
    try:
        parts = urlsplit(text)
        right = parts.port != 0 and "@" not in parts.netloc and HOST.fullmatch(parts.hostname or "")
    except ValueError:
        right = False
    if not right or re.search(r"[\s<>\"'\\`]", text):
        raise ValidationError(_("Enter a web address such as https://www.example.com."))
    field.data = text


def not_negative(form: Any, field: Field) -> None:
    """An amount is 0 or more."""
    if field.data is not None and field.data < 0:
        raise ValidationError(_("Enter 0 or more."))


TEXTS = {"phone": phone, "postcode": postcode, "credit_code": credit_code, "website": website}
"""What a column's `info` may say its text is -> what looks at it, and puts it into its usual form."""


def sensible_date(form: Any, field: Field) -> None:
    """A date between 1900 and 2200; a slip of the keyboard is not."""
    value = field.data.date() if isinstance(field.data, datetime) else field.data
    if value is not None and not EARLIEST <= value < LATEST:
        raise ValidationError(_("Enter a date between 1900 and 2199."))


class TextField(StringField):
    """One line of text, cleaned."""

    def process_formdata(self, valuelist: list[str]) -> None:
        self.data = clean(valuelist[0]) if valuelist else None

    def _value(self) -> str:
        return self.raw_data[0] if self.raw_data else (self.data or "")


class LongTextField(TextAreaField):
    """Several lines of text, cleaned."""

    def process_formdata(self, valuelist: list[str]) -> None:
        self.data = clean(valuelist[0].replace("\r\n", "\n")) if valuelist else None

    def _value(self) -> str:
        return self.raw_data[0] if self.raw_data else (self.data or "")


class MoneyField(DecimalField):
    """An amount with at most two decimals; thousands separators may be typed."""

    def process_formdata(self, valuelist: list[str]) -> None:
        text = (valuelist[0] if valuelist else "").replace(",", "").replace("，", "").replace("¥", "").strip()
        if not text:
            self.data = None
            return
        try:
            value = Decimal(text)
        except ArithmeticError:
            self.data = None
            raise ValueError(_("Enter an amount such as 1234.50.")) from None
        if not value.is_finite() or abs(value) > MONEY_MAX or value != value.quantize(Decimal("0.01")):
            self.data = None
            raise ValueError(_("Enter an amount with at most 12 digits and 2 decimals."))
        self.data = value

    def _value(self) -> str:
        return self.raw_data[0] if self.raw_data else ("" if self.data is None else f"{self.data:.2f}")


class WholeField(IntegerField):
    """A whole number."""

    def process_formdata(self, valuelist: list[str]) -> None:
        text = (valuelist[0] if valuelist else "").strip()
        if not text:
            self.data = None
            return
        try:
            self.data = int(text)
        except ValueError:
            self.data = None
            raise ValueError(_("Enter a whole number.")) from None


class DayField(DateField):
    """A company-local date."""

    def process_formdata(self, valuelist: list[str]) -> None:
        text = (valuelist[0] if valuelist else "").strip()
        try:
            self.data = date.fromisoformat(text) if text else None
        except ValueError:
            self.data = None
            raise ValueError(_("Enter a date such as 2026-11-22.")) from None


class MomentField(Field):
    """An instant, typed and shown on the company's wall clock."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.widget = lambda field, **kw: Markup("<input {}>").format(
            _attributes(type="datetime-local", name=field.name, value=field._value(), id=field.id, **kw)
        )

    def _value(self) -> str:
        if self.raw_data:
            return self.raw_data[0]
        return local(self.data).strftime("%Y-%m-%dT%H:%M") if self.data else ""

    def process_formdata(self, valuelist: list[str]) -> None:
        text = (valuelist[0] if valuelist else "").strip()
        try:
            self.data = from_local(datetime.fromisoformat(text).replace(tzinfo=None)) if text else None
        except (ValueError, OverflowError):
            self.data = None
            raise ValueError(_("Enter a date and time such as 2026-11-22 14:30.")) from None


class ChoiceSelect(SelectField):
    """One of a closed list; an empty choice where the column may be empty."""

    def __init__(self, *args: Any, options: Any, blank: bool, to: Any, **kwargs: Any) -> None:
        self._options, self._blank, self._to = options, blank, to
        super().__init__(*args, coerce=lambda v: v, choices=[], validate_choice=False, **kwargs)

    def iter_choices(self) -> Any:
        shown = self.raw_data[0] if self.raw_data else ("" if self.data is None else str(self.data))
        if self._blank or not shown:
            yield Choice("", "", not shown, {})
        for code, label in self._options:
            yield Choice(code, label, code == shown, {})

    def process_data(self, value: Any) -> None:
        self.data = value

    def process_formdata(self, valuelist: list[str]) -> None:
        code = valuelist[0] if valuelist else ""
        if not code:
            self.data = None
        elif code in {str(c) for c, _label in self._options}:
            self.data = self._to(code)
        else:
            self.data = None
            raise ValueError(_("Choose one of the list."))

    def pre_validate(self, form: Any) -> None:
        return


class RowSelect(Field):
    """A relation: a native select for short lists, a searched one (at `url`) for tables that grow and full pages.

    Whatever id is sent, only a row among the reader's choices is taken.
    """

    def __init__(
        self, label: Any = None, validators: Any = None, *, choices: Choices, url: Callable[[], str], **kw: Any
    ) -> None:
        super().__init__(label, validators, **kw)
        self.choices, self.url = choices, url
        self.widget = self._render

    @property
    def type(self) -> str:
        return "RowSelect"

    @type.setter
    def type(self, value: str) -> None:
        pass

    def process_formdata(self, valuelist: list[str]) -> None:
        pk = valuelist[0] if valuelist else ""
        if pk in ("", "__None"):
            self.data = None
            return
        kept = self.object_data
        self.data = kept if kept is not None and str(kept.id) == pk else self.choices.find(pk)
        if self.data is None:
            raise ValueError(_("Choose one of the list."))

    def _render(self, field: Any, **kwargs: Any) -> Markup:
        kwargs.setdefault("id", self.id)
        kwargs["class"] = "form-select " + kwargs.pop("class_", "")
        options = [Markup('<option value=""></option>')]
        rows = self.choices.few()
        if rows is None:
            kwargs.update({
                "data-remote": self.url(),
                "data-placeholder": _("Type to search"),
                "data-empty": _("Nothing found"),
                    "data-clear": _("Clear the choice"),
            })  # fmt: skip
            rows = []
        if self.data is not None and self.data not in rows:
            rows.append(self.data)
        for row in rows:
            mark = Markup(" selected") if self.data is not None and row.id == self.data.id else ""
            options.append(Markup('<option value="{}"{}>{}</option>').format(row.id, mark, self.choices.text(row)))
        return Markup("<select {}>{}</select>").format(_attributes(name=self.name, **kwargs), Markup("").join(options))


def stars_field(label: Any, validators: list[Any], **kwargs: Any) -> ChoiceSelect:
    """1 to 5 as stars."""
    options = [(str(n), "★" * n + "☆" * (5 - n)) for n in range(1, 6)]
    return ChoiceSelect(label, validators, options=options, blank=True, to=int, **kwargs)


def field_for(view: Any, name: str, *, required: bool | None = None) -> Any:
    """The unbound form field of one column of a view's model."""
    model = view.datamodel.obj
    attribute = getattr(model, name)
    label = view.label_columns[name]
    hint = (view.description_columns or {}).get(name, "")
    checks: list[Any] = []
    if isinstance(attribute.property, RelationshipProperty):
        column = next(iter(attribute.property.local_columns))
        must = (not column.nullable) if required is None else required
        checks.append(Filled() if must else Optional())
        return RowSelect(
            label, checks, choices=view.choices_for(name), url=lambda: view.lookup_url(name), description=hint
        )
    column = attribute.property.columns[0]
    kind = column.type
    info = column.info
    must = (not column.nullable and not isinstance(kind, sa.Boolean)) if required is None else required
    checks.append(Filled() if must else Optional())
    default = column.default.arg if column.default is not None and column.default.is_scalar else None
    if column.default is not None and column.default.is_callable:
        default = lambda: column.default.arg(None)  # noqa: E731
    common: dict[str, Any] = {"description": hint, "default": default}
    if info.get("stars"):
        return stars_field(label, checks, **common)
    if isinstance(kind, ChoiceType):
        options = [(c.value, c.label) for c in kind.choices]
        return ChoiceSelect(label, checks, options=options, blank=not must, to=kind.choices, **common)
    if isinstance(kind, Money):
        return MoneyField(label, [*checks, not_negative] if info.get("not_negative") else checks, **common)
    if isinstance(kind, UtcDateTime):
        return MomentField(label, [*checks, sensible_date], **common)
    if isinstance(kind, sa.Date):
        return DayField(label, [*checks, sensible_date], **common)
    if isinstance(kind, sa.Boolean):
        return BooleanField(label, **common)
    if isinstance(kind, sa.Integer):
        low, high = info.get("range", (-(2**31), 2**31 - 1))
        return WholeField(label, [*checks, NumberRange(low, high)], **common)
    length = kind.length or 2000
    checks += [check for kind, check in TEXTS.items() if info.get(kind)]
    checks.append(Length(max=length))
    made = LongTextField if length > 300 or info.get("long") else TextField
    return made(label, checks, **common)


def form_class(view: Any, columns: list[str], required: set[str] | frozenset[str] = frozenset()) -> type[DynamicForm]:
    """A form over these columns of the view's model; `required` names columns the screen asks for beyond the table."""
    fields = {name: field_for(view, name, required=True if name in required else None) for name in columns}
    return type("RecordForm", (CrmForm,), fields)


class CrmForm(DynamicForm):
    """Base of every form: one error sentence per field, and form-wide ones for refusals."""

    kept = False
    """Whether it shows what somebody typed before he was asked for his password."""

    class Meta(DynamicForm.Meta):
        def wrap_formdata(self, form: CrmForm, formdata: Any) -> Any:
            given = super().wrap_formdata(form, formdata)
            if given is None and formdata is not None and "kept_form" in g:
                form.kept, given = True, g.pop("kept_form")
                g.kept_fields = given
                flash(
                    _(
                        "Not saved yet. This is what you typed before you were asked for your password: look it over "
                        "and save."
                    ),
                    "warning",
                )
            return given

        def render_field(self, field: Field, render_kw: dict[str, Any]) -> Any:
            if isinstance(field, BooleanField):
                render_kw.setdefault("class", "form-check-input")
            elif isinstance(field, (RowSelect, SelectField)):
                render_kw.setdefault("class", "form-select")
            else:
                render_kw.setdefault("class", "form-control")
            if isinstance(field, DayField):
                render_kw.setdefault("type", "date")
            if isinstance(field, (MoneyField, WholeField)):
                render_kw.setdefault("inputmode", "decimal")
                render_kw.setdefault("type", "text")
            return super().render_field(field, render_kw)

    def hidden_tag(self, *fields: Any) -> Markup:
        """The hidden fields, and the nonce that makes the form count once; none beside a password."""
        tag: Markup = super().hidden_tag(*fields)
        return tag if any(isinstance(field, PasswordField) for field in self) else tag + submissions.tag()

    def validate(self, *args: Any, **kwargs: Any) -> bool:
        """Whether everything is right; never for a form that was sent before, with something else in it."""
        valid: bool = super().validate(*args, **kwargs)
        if not submissions.is_another():
            return valid
        self.refuse(_("This form was sent and done already, with something else in it. Save again to do this, too."))
        return False

    def refuse(self, sentence: str, field: str | None = None) -> None:
        """Show `sentence` on top of the form, or at one field; what was typed stays."""
        if field and field in self:
            self[field].errors = [*self[field].errors, sentence]
        else:
            self.form_errors.append(sentence)

    def refuse_only(self, sentence: str) -> None:
        """The same where it makes no difference what is wrong with the fields."""
        for field in self:
            field.errors = ()
        self.form_errors = [sentence]
