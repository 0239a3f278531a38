"""What the documents say that a file of this repository knows better."""

from __future__ import annotations

import json
import re

import pytest

from tests.world import ROOT

pytestmark = pytest.mark.once


def pinned(name, key):
    """These figures of every page in one of the ledgers."""
    kept = json.loads((ROOT / f"tests/conformance/{name}.json").read_text(encoding="utf-8"))
    return [page[key] for page in kept.values()]


def test_no_entry_of_the_changelog_stands_there_twice():
    entries = re.split(r"\n(?=- |#)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    told = [" ".join(entry.split()) for entry in entries if entry.startswith("- ")]
    assert len(told) > 100
    assert sorted(entry for entry in set(told) if told.count(entry) > 1) == []


def test_the_page_on_speed_tells_the_numbers_that_are_pinned():
    told = " ".join((ROOT / "docs/speed.md").read_text(encoding="utf-8").split())
    statements, kilobytes = pinned("lists", "statements"), pinned("lists", "kilobytes")
    assert f": {min(statements)} to {max(statements)} statements and at most {max(kilobytes)} KB of HTML" in told
    assert f"is 205 long: at most {max(pinned('forms', 'options'))} options." in told
