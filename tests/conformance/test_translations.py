"""Everything people read exists in Chinese: complete, with the same placeholders, nothing left over, compiled."""

from __future__ import annotations

import io
import re
from functools import cache
from pathlib import Path

import flask_appbuilder
import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from tests.world import ROOT

pytestmark = pytest.mark.once

CATALOGUE = ROOT / "translations" / "zh" / "LC_MESSAGES" / "messages.po"
KEYWORDS = {
    "_": None, "_l": None, "gettext": None, "lazy_gettext": None, "ngettext": (1, 2), "lazy_ngettext": (1, 2),
}  # fmt: skip
PLACES = re.compile(r"%\((\w+)\)")
PLAIN = re.compile(r"%%|%\(\w+\)[sd]")  # what a percent sign may be in a sentence with places


@cache
def catalogue():
    with CATALOGUE.open("rb") as file:
        return read_po(file, locale="zh")


def key(message_id):
    return message_id if isinstance(message_id, str) else message_id[0]


def entries():
    return {key(message.id): message for message in catalogue() if message.id}


@cache
def sentences():
    """Every sentence of the source, with where it stands; babel.cfg says what is read."""
    with (ROOT / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)
    found = {}
    for name, line, message, _comments, _context in extract_from_dir(
        str(ROOT), method_map=methods, options_map=options, keywords=KEYWORDS, directory_filter=ours
    ):
        found.setdefault(key(message), f"{name}:{line}")
    return found


def ours(path):
    return Path(path).relative_to(ROOT).parts[0] in ("app", "jobs", "translations")


@cache
def framework_gaps():
    """Flask-AppBuilder's sentences that its own Chinese catalogue does not translate."""
    folder = Path(flask_appbuilder.__file__).parent
    methods = [("**.py", "python"), ("**/templates/**.html", "jinja2")]
    ids = {key(message) for _, _, message, *_ in extract_from_dir(str(folder), method_map=methods, keywords=KEYWORDS)}
    with (folder / "translations" / "zh" / "LC_MESSAGES" / "messages.po").open("rb") as file:
        translated = {key(m.id) for m in read_po(file) if m.id and m.string and not m.fuzzy}
    return ids - translated


def test_the_source_is_really_read():
    assert len(sentences()) > 300
    assert any(where.startswith("app/templates/") for where in sentences().values())


def test_every_sentence_is_in_the_catalogue():
    assert {text: where for text, where in sentences().items() if text not in entries()} == {}


def test_every_sentence_is_translated():
    def filled(message):
        return all(message.string) if isinstance(message.string, (tuple, list)) else bool(message.string)

    assert [text for text, message in entries().items() if not filled(message) or message.fuzzy] == []


def test_translations_keep_the_placeholders():
    wrong = []
    for text, message in entries().items():
        forms = message.string if isinstance(message.string, (tuple, list)) else (message.string,)
        named = set(PLACES.findall(" ".join(message.id) if not isinstance(message.id, str) else message.id))
        if any(set(PLACES.findall(form)) != named or (named and "%" in PLAIN.sub("", form)) for form in forms):
            wrong.append(text)
    assert wrong == []
    assert [f"{message.id}: {error}" for message, errors in catalogue().check() for error in errors] == []


def test_nothing_is_left_over():
    assert sorted(entries().keys() - sentences().keys()) == []


def test_translations_are_chinese_and_end_like_their_sentence():
    wrong = []
    for text, message in entries().items():
        form = message.string if isinstance(message.string, str) else message.string[0]
        if text.endswith(".") and not text.endswith(("o.", "a-z.")) and not form.endswith(("。", "！", "？")):
            wrong.append(f"{text} -> {form}")
    assert wrong == []


def test_chinese_is_set_as_chinese():
    """Full-width punctuation, a blank between Chinese and Latin letters or digits, 你, and deeds instead of 确定."""
    han = "[\u4e00-\u9fff]"
    slips = re.compile(rf"{han}[,.:;!?()]|[,:;!?(]{han}|{han}[A-Za-z0-9]|[A-Za-z0-9]{han}|您|确定|提交|操作成功")
    wrong = [
        form
        for message in entries().values()
        for form in (message.string if isinstance(message.string, (tuple, list)) else (message.string,))
        if slips.search(form)
    ]
    assert wrong == []


def test_what_is_counted_has_its_counting_word():
    """位 customers and contacts, 个 opportunities, 张 tickets, 笔 orders, 条 records, before the noun or after it."""
    word = {"客户": "位", "联系人": "位", "机会": "个", "服务单": "张", "订单": "笔", "记录": "条"}
    noun, number = f"({'|'.join(word)})", r"(?:%\(\w+\)[ds]|[\d一两每几])"
    measure = "([个家位名张笔条份项])(?!月|百分点|下)"
    which = f"(?:(?:(?!{'|'.join(word)})[^，。；：、“”]){{1,4}}的|销售|交往|变更|归档)?(?:销售)?"
    before, after = re.compile(f"{number} ?{measure}{which}{noun}"), re.compile(f"{noun}(?:：| ?){number} ?{measure}")
    counted = [
        (form, what, said)
        for message in entries().values()
        for form in (message.string if isinstance(message.string, (tuple, list)) else (message.string,))
        for what, said in [*((w, s) for s, w in before.findall(form)), *after.findall(form)]
    ]
    assert len(counted) > 30
    assert [form for form, what, said in counted if said != word[what]] == []


def test_the_framework_leaves_no_gap():
    assert sorted(framework_gaps() - entries().keys()) == []


def test_the_compiled_catalogue_is_the_written_one():
    compiled = io.BytesIO()
    write_mo(compiled, catalogue())
    assert CATALOGUE.with_suffix(".mo").read_bytes() == compiled.getvalue()
