"""How values look: money, dates, people, states; nothing a person typed becomes markup."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from flask_appbuilder.security.sqla.models import User
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core import format as fmt
from app.sales.models import OpportunityStatus

ATTACK = "<script>alert(1)</script>"


def text(markup):
    return markup.striptags()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("0", "¥0.00"), ("1234.5", "¥1,234.50"), ("-0.01", "−¥0.01"), ("999999999999.99", "¥999,999,999,999.99"),
        ("1000", "¥1,000.00"),
    ],
)  # fmt: skip
def test_money_has_two_decimals_and_thousands(value, shown):
    assert text(fmt.money(Decimal(value))) == shown


@settings(max_examples=100)
@given(st.decimals("-999999999999.99", "999999999999.99", places=2))
def test_no_cent_is_lost_on_the_way_to_the_page(value):
    shown = text(fmt.money(value)).replace("¥", "").replace(",", "").replace("−", "-")
    assert Decimal(shown) == value


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1234567, "1,234,567"), (Decimal("12.50"), "12.5"), (Decimal("3.00"), "3"), (Decimal("100"), "100"), (0, "0")],
)
def test_amounts_show_decimals_only_where_there_are_some(value, shown):
    assert text(fmt.amount(value)) == shown


def test_times_are_the_companys_to_the_minute(db):
    moment = datetime(2026, 11, 20, 18, 5, 59, tzinfo=UTC)
    assert text(fmt.when(moment)) == "2026-11-21 02:05"
    assert text(fmt.day_of(moment)) == "2026-11-21"
    assert text(fmt.day(date(2026, 11, 1))) == "2026-11-01"
    assert 'datetime="2026-11-21T02:05:59+08:00"' in fmt.when(moment)


@pytest.mark.parametrize("value", range(1, 6))
def test_stars_say_their_number_too(db, value):
    shown = fmt.stars(value)
    assert shown.count('class="f"') == value
    assert shown.count("<i") == 5
    assert f"{value} of 5" in shown


@pytest.mark.parametrize(
    ("family", "given_name", "shown", "initial"),
    [
        ("林", "晓雯", "林晓雯", "林"), ("Li", "Anna", "Anna Li", "A"), ("欧阳", "娜娜", "欧阳娜娜", "欧"),
        ("de Vries", "Jan", "Jan de Vries", "J"), ("李", "Anna", "Anna 李", "A"), ("", "Cher", "Cher", "C"),
        ("王", "", "王", "王"), (" 李 ", " 娜 ", "李娜", "李"), ("", "", "", "–"),
        ("", "古丽·艾山", "古丽·艾山", "古"), ("古丽·艾山", "", "古丽·艾山", "古"),
        ("艾山", "古丽·艾山", "古丽·艾山", "古"), ("艾山", "古丽·", "古丽·艾山", "古"),
        ("古丽·", "艾山", "古丽·艾山", "古"), ("古丽", "·艾山", "古丽·艾山", "古"),
        ("·艾山", "古丽", "古丽·艾山", "古"), ("买买提", "古丽·艾山", "古丽·艾山·买买提", "古"),
        ("艾山•买买提", "古丽", "古丽·艾山•买买提", "古"),
        ("·", "", "·", "·"), ("·", "王", "王", "王"),
    ],
)  # fmt: skip
def test_people_are_called_as_they_write_themselves(family, given_name, shown, initial):
    user = User(last_name=family, first_name=given_name)
    assert user.get_full_name() == shown
    assert fmt.initial(user) == initial


def test_states_are_a_word_and_never_colour_alone(db):
    badge = fmt.badge(OpportunityStatus.assigned)
    assert text(badge) == "In development"
    assert "brand" in badge


def test_nothing_is_a_dash():
    for shown in (
        fmt.money,
        fmt.amount,
        fmt.when,
        fmt.day,
        fmt.day_of,
        fmt.badge,
        fmt.stars,
        fmt.percent,
        fmt.person,
        fmt.yes_no,
    ):
        assert shown(None) == fmt.NOTHING
    assert fmt.cell("") == fmt.cell(None) == fmt.NOTHING


def test_whatever_a_person_typed_is_text(db):
    attacker = User(id=1, last_name=ATTACK, first_name=ATTACK)
    for shown in (fmt.cell(ATTACK), fmt.person(attacker)):
        assert "<script>" not in shown
        assert "&lt;script&gt;" in shown


@settings(max_examples=60)
@given(st.text(max_size=30))
def test_any_text_comes_through_a_cell_unchanged(text):
    shown = fmt.cell(text)
    assert "<" not in shown.replace(fmt.NOTHING, "")
    assert shown == fmt.NOTHING if not text else shown.unescape() == text


@pytest.mark.parametrize(
    ("value", "shown"),
    [(True, "Yes"), (False, "No"), (7, "7"), (Decimal("7"), "¥7.00"), (date(2026, 1, 2), "2026-01-02"), ("文", "文")],
)
def test_a_cell_shows_every_kind_of_value_in_its_way(db, value, shown):
    assert text(fmt.cell(value) if hasattr(fmt.cell(value), "striptags") else fmt.escape(fmt.cell(value))) == shown
