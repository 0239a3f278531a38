"""Text as people type it: what is kept, how names are compared, how patterns are made."""

from __future__ import annotations

import string

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.text import SUFFIXES, clean, fold, like, name_key, search_key, slices

HAN = "恒锐精密蜀源云栖楚岫湾屿海诺岳澄北朔"
typed = st.text(alphabet=st.characters(), max_size=60)
plain = st.text(alphabet=string.ascii_letters + string.digits + " .-&" + HAN, max_size=30)
full_width = str.maketrans({chr(c): chr(c + 0xFEE0) for c in range(0x21, 0x7F)} | {" ": "\u3000"})


# -- clean --------------------------------------------------------------------------------------------------------


@given(typed)
def test_whatever_is_typed_can_be_stored_afterwards(text):
    kept = clean(text)
    if kept is not None:
        assert kept.encode("utf-8")
        assert "\x00" not in kept
        assert kept == kept.strip() != ""
    assert clean(kept) == kept


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (None, None), ("", None), ("  \n\t \u3000", None), ("\x00\x01\x1f", None), ("\ud800", None), ("\u200d", None),
        (" a\x00b ", "ab"), ("第一行\n第二行\t列", "第一行\n第二行\t列"), ("\ufeff恒锐\u200b", "恒锐"),
        ("a\u202eb", "ab"), ("👩\u200d🔧", "👩\u200d🔧"),
        ("\U000323b0\ue000", "\U000323b0\ue000"),  # a character newer than this Python, and one of GB 18030's own
        ("a\uffff\U0001fffeb", "ab"),
    ],
)  # fmt: skip
def test_what_no_one_can_see_is_left_out(text, kept):
    assert clean(text) == kept


# -- fold ---------------------------------------------------------------------------------------------------------


@given(plain)
def test_width_and_case_make_no_difference(text):
    assert fold(text.translate(full_width)) == fold(text.upper()) == fold(text.lower()) == fold(text)


@given(plain, st.sampled_from([" ", "  ", "\t", "\u3000", "\xa0 \n"]))
def test_runs_of_blanks_are_one_blank(text, blank):
    assert fold(text.replace(" ", blank)) == fold(text)
    assert "  " not in fold(text)


@given(typed)
def test_anything_can_be_folded(text):
    assert fold(text) == fold(text).strip()


# -- names --------------------------------------------------------------------------------------------------------


@given(st.text(alphabet=HAN, min_size=1, max_size=12), st.sampled_from([s for s in SUFFIXES if not s.isascii()]))
def test_a_chinese_company_is_the_same_with_and_without_its_suffix(name, suffix):
    assert name_key(name + suffix) == name_key(f"{name}（{suffix}）") == name_key(f" {name} {suffix}") == name


@given(
    st.text(alphabet="bdefhjkmnqrsuvwxyz", min_size=2, max_size=12),
    st.sampled_from([s for s in SUFFIXES if s.isascii()]),
)
def test_a_western_company_is_the_same_with_and_without_its_suffix(name, suffix):
    assert name_key(f"{name} {suffix}") == name_key(f"{name}, {suffix.upper()}.") == name
    assert name_key(f"{name}{suffix}") == name + suffix.replace(" ", "") if " " not in suffix else True


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ｋｅｓｔｒｅｌ　Ｏｐｔｉｃｓ", "kestrel optics"), ("北京恒锐（集团）有限公司", "北京恒锐"),
        ("A.B.C. Co., Ltd.", "abc"), ("Straße GmbH", "STRASSE"), ("恒 锐 机械", "恒锐机械"),
    ],
)  # fmt: skip
def test_equal_names(one, other):
    assert name_key(one) == name_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("恒锐机械", "恒锐电子"),
        ("Costa", "Sta"),
        ("Zinc", "Z"),
        ("北京恒锐", "上海恒锐"),
        ("有限公司", "公司"),
        ("Co", "Ltd"),
    ],
)
def test_different_names(one, other):
    assert name_key(one) != name_key(other)


# -- searching ----------------------------------------------------------------------------------------------------


@given(plain.filter(str.strip))
def test_the_search_key_holds_the_folded_name_first(name):
    assert search_key(name).startswith(fold(name))
    assert len(search_key(name * 40, number="KH1", phone="1")) <= 600


@pytest.mark.parametrize("typed", ["重庆单", "chongqing", "cqds", "kh071202", "02305550101", "kestrel"])
def test_the_search_key_knows_sounds_initials_number_and_phone_digits(typed):
    assert typed in search_key("重庆单氏仪器 Ｋｅｓｔｒｅｌ", number="KH071202001", phone="023-0555 0101")


@pytest.mark.parametrize(("name", "sound"), [("单丽娟", "shan"), ("曾强", "zeng"), ("仇静", "qiu"), ("解放", "xie")])
def test_family_names_are_read_as_such(name, sound):
    assert sound in search_key(name)


@given(plain)
def test_slices_are_every_two_neighbours_once(text):
    assert slices(text) == sorted({text[i] + text[i + 1] for i in range(len(text) - 1)})


needle = st.text(alphabet="ab%_\\'\"恒锐[]*?", max_size=5)


@settings(max_examples=60)
@given(st.lists(st.tuples(needle, needle, needle), min_size=1, max_size=8))
def test_a_pattern_finds_exactly_the_texts_that_hold_it(db, cases):
    """%, _, quotes and backslashes are characters like any other, on either database."""
    for before, wanted, after in cases:
        for hay in (before + wanted + after, before + after):
            found = sa.select(sa.literal(hay).like(like(wanted), escape="\\"))
            assert bool(db.session.execute(found).scalar_one()) == (wanted in hay)
