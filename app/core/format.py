"""How values look on a page: money, dates, people, states. The same everywhere, in the reader's language.

Written as f-strings, a list shows two hundred of them and Markup.format costs ten times as much: whatever is a
person's text goes through escape().
"""

# ruff: noqa: S704 - see above

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from flask_appbuilder.security.sqla.models import User
from flask_babel import format_date
from flask_babel import gettext as _
from markupsafe import Markup, escape

from app.core.choices import Choice
from app.core.clock import local
from app.core.language import chinese

NOTHING = Markup('<span class="t3">—</span>')


def money(value: Decimal | None) -> Markup:
    """CNY with thousands separators and two decimals: ¥1,234.50."""
    if value is None:
        return NOTHING
    sign = "−" if value < 0 else ""
    return Markup(f'<span class="num">{sign}¥{abs(value):,.2f}</span>')


def ten_thousands(value: Decimal | None) -> Markup:
    """An amount that is kept in 万元, as the reader's language says it: 500 万元, or ¥5,000,000.00."""
    if value is None:
        return NOTHING
    return Markup(f"{amount(value)} 万元") if chinese() else money(value * 10_000)


def amount(value: Decimal | int | None) -> Markup:
    """A plain number with thousands separators; decimals only where there are some."""
    if value is None:
        return NOTHING
    text = f"{value:,.2f}".rstrip("0").rstrip(".") if isinstance(value, Decimal) else f"{value:,}"
    return Markup(f'<span class="num">{text}</span>')


def when(moment: datetime | None) -> Markup:
    """An instant on the company's wall clock, to the minute: 2026-11-22 08:12."""
    if moment is None:
        return NOTHING
    wall = local(moment)
    return Markup(f'<time datetime="{wall.isoformat(timespec="seconds")}">{wall:%Y-%m-%d %H:%M}</time>')


def day(value: date | None) -> Markup:
    """A company-local date: 2026-11-22."""
    return NOTHING if value is None else Markup(f'<time datetime="{value.isoformat()}">{value.isoformat()}</time>')


def weekday(value: date) -> str:
    """The short name of a day of the week: Tue, 周二."""
    return str(format_date(value, format="EEE"))


def month_day(value: date) -> str:
    """A day of the year: 25 Nov, 11月25日."""
    return str(format_date(value, format="M月d日" if chinese() else "d MMM"))


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
    return Markup(f'<span class="badge-s {value.tone}"><i></i>{escape(str(value.label))}</span>')


def stars(value: int | None) -> Markup:
    """1 to 5 as bars, with the number for those who cannot see them."""
    if value is None:
        return NOTHING
    bars = "".join('<i class="f"></i>' if n < value else "<i></i>" for n in range(5))
    words = escape(_("%(n)d of 5", n=value))
    return Markup(f'<span class="credit" role="img" aria-label="{words}">{bars}</span>')


def beside(value: Any, more: str) -> Markup:
    """A value, and beside it in grey what belongs to it."""
    return Markup(f'{escape(value)} <span class="t3">{escape(more)}</span>')


def explained(words: str, why: str) -> Markup:
    """Words with a tip that says more."""
    return Markup(f'<span title="{escape(why)}">{escape(words)}</span>')


def percent(value: int | None) -> Markup:
    """A whole percentage: 85 %."""
    return NOTHING if value is None else Markup(f'<span class="num">{value:d}%</span>')


def chance(value: float | None) -> Markup:
    """A probability from 0 to 1 that was estimated, hence never quite certain: 1 % to 99 %."""
    return NOTHING if value is None else percent(min(max(round(100 * value), 1), 99))


def listed(words: Iterable[Any]) -> str:
    """Several words in a row, as the reader's language sets them: A, B or 甲、乙."""
    return ("、" if chinese() else ", ").join(str(word) for word in words)


def initial(user: User | None) -> str:
    """The one character an avatar shows: the family name's in Chinese, else the given name's first letter."""
    return _first(user.get_full_name() if user is not None else "")


def _first(name: str) -> str:
    return name[:1].upper() or "–"


def person(user: User | None) -> Markup:
    """A person with an avatar."""
    if user is None:
        return NOTHING
    name = user.get_full_name()
    avatar = f'<span class="av sm a{user.id % 4 + 1}" aria-hidden="true">{escape(_first(name))}</span>'
    return Markup(f'<span class="row-x g4">{avatar}{escape(name)}</span>')


def cell(value: Any) -> Any:
    """Any column's value as the lists and pages show it."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, Markup):
        return value  # made for a page already: what is masked, say
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
