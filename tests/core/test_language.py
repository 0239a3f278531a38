"""Languages are what config.LANGUAGES says; pages name theirs and offer the others."""

from __future__ import annotations

import re

import pytest
from flask_babel import force_locale

from app.core.format import listed
from app.core.language import chinese, language
from app.masterdata.models import DictionaryType
from tests import builders


def spoken(page):
    """The page's language, and those its buttons lead to."""
    html = page.get_data(as_text=True)
    return re.search(r'<html lang="([\w-]+)"', html)[1], set(re.findall(r'name="language" value="(\w+)"', html))


@pytest.mark.parametrize(("code", "html", "others"), [("zh", "zh-CN", {"en"}), ("en", "en", {"zh"})])
def test_a_page_names_its_language_and_offers_the_other(client, code, html, others):
    client.post("/preferences/language", {"language": code})
    assert spoken(client.get("/login/")) == (html, others)


def test_a_third_language_needs_its_line_in_the_settings_only(app, client):
    words = {"name": "Deutsch", "switch": "Zu Deutsch wechseln", "short": "DE", "flag": "de"}
    app.config["LANGUAGES"] = {**app.config["LANGUAGES"], "de": words}
    assert spoken(client.get("/login/")) == ("en", {"zh", "de"})
    client.post("/preferences/language", {"language": "de"})
    assert spoken(client.get("/login/")) == ("de", {"zh", "en"})
    client.post("/preferences/language", {"language": "fr"})
    assert spoken(client.get("/login/"))[0] == "de"


def test_what_is_worded_in_two_languages_only_is_read_in_english_elsewhere(app, db):
    app.config["LANGUAGES"] = {**app.config["LANGUAGES"], "de": {"name": "Deutsch"}}
    level, role = builders.dictionary(DictionaryType.level, "1"), builders.seeded_role("sales_lead")
    for code, words, joined in (("zh", level.label_zh, "甲、乙"), ("de", level.label_en, "甲, 乙")):
        with app.test_request_context(), force_locale(code):
            assert (language(), chinese()) == (code, code == "zh")
            assert str(level) == words
            assert str(role) == (role.profile.label_zh if code == "zh" else role.profile.label_en)
            assert listed(["甲", "乙"]) == joined
