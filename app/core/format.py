"""How values look on a page: money, dates, people, states. The same everywhere, in the reader's language."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from flask_appbuilder.security.sqla.models import User
from flask_babel import gettext as _
from markupsafe import Markup, escape

from app.core.choices import Choice
from app.core.clock import local

NOTHING = Markup('<span class="t3">—</span>')


def money(value: Decimal | None) -> Markup:
    """CNY with thousands separators and two decimals: ¥1,234.50."""
    if value is None:
        return NOTHING
    sign = "−" if value < 0 else ""
    return Markup('<span class="num">{}¥{:,.2f}</span>').format(sign, abs(value))


def amount(value: Decimal | int | None) -> Markup:
    """A plain number with thousands separators; decimals only where there are some."""
    if value is None:
        return NOTHING
    text = f"{value:,.2f}".rstrip("0").rstrip(".") if isinstance(value, Decimal) else f"{value:,}"
    return Markup('<span class="num">{}</span>').format(text)


def when(moment: datetime | None) -> Markup:
    """An instant on the company's wall clock, to the minute: 2026-11-22 08:12."""
    if moment is None:
        return NOTHING
    wall = local(moment)
    return Markup('<time datetime="{}">{:%Y-%m-%d %H:%M}</time>').format(wall.isoformat(timespec="seconds"), wall)


def day(value: date | None) -> Markup:
    """A company-local date: 2026-11-22."""
    return NOTHING if value is None else Markup('<time datetime="{0}">{0}</time>').format(value.isoformat())


def day_of(moment: datetime | None) -> Markup:
    """The company-local date of an instant."""
    return NOTHING if moment is None else day(local(moment).date())


def yes_no(value: bool | None) -> str | Markup:
    """Yes or No in the reader's language; a dash for unknown."""
    return NOTHING if value is None else (_("Yes") if value else _("No"))


def badge(value: Choice | None) -> Markup:
    """A state as a dot and a word, never colour alone."""
    if value is None:
        return NOTHING
    return Markup('<span class="badge-s {}"><i></i>{}</span>').format(value.tone, value.label)


def stars(value: int | None) -> Markup:
    """1 to 5 as bars, with the number for those who cannot see them."""
    if value is None:
        return NOTHING
    bars = Markup("").join(Markup('<i class="f"></i>') if n < value else Markup("<i></i>") for n in range(5))
    return Markup('<span class="credit" role="img" aria-label="{}">{}</span>').format(_("%(n)d of 5", n=value), bars)


def percent(value: int | None) -> Markup:
    """A whole percentage: 85 %."""
    return NOTHING if value is None else Markup('<span class="num">{}%</span>').format(value)


def initial(user: User | None) -> str:
    """The one character an avatar shows: the family name's in Chinese, else the given name's first letter."""
    name = user.get_full_name() if user is not None else ""
    return name[:1].upper() if name else "–"


def person(user: User | None) -> Markup:
    """A person with an avatar."""
    if user is None:
        return NOTHING
    return Markup('<span class="row-x g4"><span class="av sm a{}" aria-hidden="true">{}</span>{}</span>').format(
        (user.id % 4) + 1, initial(user), user.get_full_name()
    )


def cell(value: Any) -> Any:
    """Any column's value as the lists and pages show it."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, Choice):
        return badge(value)
    if isinstance(value, bool):
        return yes_no(value)
    if isinstance(value, User):
        return person(value)
    if isinstance(value, datetime):
        return when(value)
    if isinstance(value, date):
        return day(value)
    if isinstance(value, Decimal):
        return money(value)
    if isinstance(value, int):
        return amount(value)
    return escape(str(value))
