"""Fields: what is typed is read as people mean it, refused with a sentence, and shown again as it was typed."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict
from wtforms import Form

from app.core.forms import (
    ChoiceSelect,
    CrmForm,
    DayField,
    Filled,
    LongTextField,
    MomentField,
    MoneyField,
    TextField,
    WholeField,
    phone,
    sensible_date,
    stars_field,
)
from app.customers.models import Gender


@pytest.fixture(autouse=True)
def speaking(app):
    """Refusals are sentences in the reader's language, so there has to be a request."""
    with app.test_request_context():
        yield


def filled(field, typed):
    """One field of a form after `typed` was posted: (valid, data, errors, what is shown again)."""
    form = type("OneField", (Form,), {"field": field})(MultiDict({"field": typed}))
    valid = form.validate()
    return valid, form.field.data, " ".join(map(str, form.field.errors)), form.field._value()


@pytest.mark.parametrize(
    ("typed", "data"),
    [
        ("1234.50", "1234.50"), ("1,234.5", "1234.5"), ("¥ 12，345", "12345"), (" 0 ", "0"), ("-5.01", "-5.01"),
        ("999999999999.99", "999999999999.99"), ("1e3", "1000"), ("", None), ("   ", None), ("１２", "12"),
    ],
)  # fmt: skip
def test_money_is_read_as_people_write_it(typed, data):
    valid, value, _errors, _shown = filled(MoneyField(), typed)
    assert valid
    assert value == (None if data is None else Decimal(data))


@pytest.mark.parametrize(
    "typed",
    [
        "abc",
        "1.234",
        "1000000000000",
        "-1000000000000",
        "NaN",
        "sNaN",
        "Infinity",
        "1e400",
        "1e-9",
        "--1",
        "1.2.3",
        "9" * 5000,
    ],
)
def test_what_is_no_amount_is_refused_and_shown_again(typed):
    valid, value, errors, shown = filled(MoneyField(), typed)
    assert not valid
    assert value is None
    assert errors.endswith(".")
    assert shown == typed


@given(st.decimals("-999999999999.99", "999999999999.99", places=2))
def test_every_amount_that_fits_is_taken_to_the_cent(value):
    assert filled(MoneyField(), f"{value:,.2f}")[:2] == (True, value)


@given(st.text(max_size=40))
def test_no_text_breaks_a_field(typed):
    for field in (MoneyField(), WholeField(), DayField(), MomentField(), TextField(), LongTextField()):
        valid, data, _errors, _shown = filled(field, typed)
        assert valid or data is None


@pytest.mark.parametrize(("typed", "data"), [("7", 7), (" -7 ", -7), ("0", 0), ("", None), ("１２", 12)])
def test_whole_numbers(typed, data):
    assert filled(WholeField(), typed)[:2] == (True, data)


@pytest.mark.parametrize("typed", ["1.0", "seven", "1e3", "9" * 5000, "²"])
def test_what_is_no_whole_number_is_refused(typed):
    valid, data, errors, shown = filled(WholeField(), typed)
    assert (valid, data, errors, shown) == (False, None, "Enter a whole number.", typed)


@pytest.mark.parametrize(
    ("typed", "data"), [("2026-02-28", date(2026, 2, 28)), (" 2026-12-01 ", date(2026, 12, 1)), ("", None)]
)
def test_days(typed, data):
    assert filled(DayField(), typed)[:2] == (True, data)


@pytest.mark.parametrize("typed", ["2026-02-30", "28.2.2026", "soon", "2026-13-01"])
def test_what_is_no_day_is_refused(typed):
    assert filled(DayField(), typed)[:3] == (False, None, "Enter a date such as 2026-11-22.")


@pytest.mark.parametrize(
    ("typed", "fits"),
    [("1899-12-31", False), ("1900-01-01", True), ("2199-12-31", True), ("2200-01-01", False), ("0001-01-01", False)],
)
def test_a_slip_of_the_keyboard_is_no_date(typed, fits):
    assert filled(DayField(validators=[sensible_date]), typed)[0] == fits


@pytest.mark.parametrize(
    ("typed", "data"),
    [
        ("2026-11-21T02:00", datetime(2026, 11, 20, 18, 0, tzinfo=UTC)),
        ("2026-11-21 02:00", datetime(2026, 11, 20, 18, 0, tzinfo=UTC)),
        ("2026-11-21", datetime(2026, 11, 20, 16, 0, tzinfo=UTC)),
        ("", None),
    ],
)
def test_moments_are_typed_on_the_companys_clock(typed, data):
    valid, value, _errors, shown = filled(MomentField(), typed)
    assert (valid, value, shown) == (True, data, typed)


@pytest.mark.parametrize("typed", ["0001-01-01T00:00", "25:00", "tomorrow"])
def test_what_is_no_moment_is_refused(typed):
    assert filled(MomentField(validators=[sensible_date]), typed)[0] is False


def test_a_moment_is_shown_on_the_companys_clock():
    field = type("OneField", (Form,), {"field": MomentField()})(
        data={"field": datetime(2026, 11, 20, 18, 0, tzinfo=UTC)}
    )
    assert field.field._value() == "2026-11-21T02:00"


@pytest.mark.parametrize(
    ("typed", "fits"),
    [
        ("12345", True), ("1234", False), ("1" * 50, True), ("1" * 51, False), ("010-68348438-668", True),
        ("+49 (0)30 23125 100", True), ("021-0555 0101 ext. 12", True), ("021-0555 0101x12", True),
        ("0512-0555 0101 转 668", True), ("0512-0555 0101转668", True),
        ("abcde", False), ("12345 ext", False), ("12345<b>", False), ("----- ", False),
        ("(((((", False), ("12345\n6", False),
    ],
)  # fmt: skip
def test_phones(typed, fits):
    assert filled(TextField(validators=[phone]), typed)[0] == fits


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("０１０－６８３４８４３８", "010-68348438"),
        ("（０１０）　６８３４ ８４３８转６６８", "(010) 6834 8438转668"),
        ("＋86 010-12345", "+86 010-12345"),
        ("010-12345", "010-12345"),
    ],
)
def test_phones_typed_in_full_width_are_kept_in_the_usual_form(typed, kept):
    assert filled(TextField(validators=[phone]), typed)[:2] == (True, kept)


@pytest.mark.parametrize("typed", ["", " ", "\u3000", "\x00", "\u200b", "\u200d"])
def test_blanks_do_not_fill_a_field(typed):
    assert filled(TextField(validators=[Filled()]), typed)[2] == "Fill in this field."


def test_a_wrong_value_says_its_own_sentence_and_not_that_it_is_missing():
    assert filled(WholeField(validators=[Filled()]), "seven")[2] == "Enter a whole number."


def test_lines_are_kept_in_long_texts():
    assert filled(LongTextField(), " 第一行\r\n第二行 ")[1] == "第一行\n第二行"


def select(typed, *, blank=False):
    field = ChoiceSelect(options=[(g.value, g.label) for g in Gender], blank=blank, to=Gender)
    form = type("OneField", (Form,), {"field": field})(MultiDict({"field": typed} if typed is not None else {}))
    return form.validate(), form.field.data, [(choice.value, choice.selected) for choice in form.field.iter_choices()]


def test_one_of_a_closed_list_is_taken_and_shown():
    assert select("male") == (True, Gender.male, [("male", True), ("female", False)])


@pytest.mark.parametrize("typed", ["nosuch", "Male", "MALE", "0"])
def test_nothing_else_is_taken(typed):
    valid, data, choices = select(typed)
    assert (valid, data) == (False, None)
    assert {value for value, _chosen in choices} == {"male", "female"}


def test_an_empty_choice_is_offered_where_there_is_none_yet():
    assert select("", blank=True)[:2] == (True, None)
    assert select("", blank=True)[2][0] == ("", True)
    assert select("male", blank=True)[2][0] == ("", False)


@pytest.mark.parametrize(("typed", "data"), [("1", 1), ("5", 5), ("", None)])
def test_stars(typed, data):
    form = type("OneField", (Form,), {"field": stars_field("Stars", [])})(MultiDict({"field": typed}))
    assert (form.validate(), form.field.data) == (True, data)


@pytest.mark.parametrize("typed", ["0", "6", "-1", "3.0", "x"])
def test_no_other_number_of_stars(typed):
    form = type("OneField", (Form,), {"field": stars_field("Stars", [])})(MultiDict({"field": typed}))
    assert not form.validate()


def test_a_form_refuses_as_a_whole_or_at_a_field():
    form = type("OneField", (CrmForm,), {"field": TextField()})(MultiDict({"field": "x"}))
    form.refuse("As a whole.")
    form.refuse("At the field.", "field")
    form.refuse("At no field.", "nosuch")
    assert form.form_errors == ["As a whole.", "At no field."]
    assert form.field.errors == ["At the field."]
