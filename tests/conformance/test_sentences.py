"""Refusals are whole sentences; translated ones are never glued together."""

from __future__ import annotations

import ast
import re

import pytest

from app.core import errors
from tests.conformance.house import source

pytestmark = pytest.mark.once

GETTEXT = {"_", "_l", "gettext", "lazy_gettext", "ngettext", "lazy_ngettext"}


@pytest.fixture
def refusals(app):
    """The name of a refusal and of every more special one."""

    def kinds_of(error):
        return {error.__name__}.union(*(kinds_of(kind) for kind in error.__subclasses__()))

    return kinds_of(errors.BusinessError)


def name_of(call):
    return getattr(call.func, "id", getattr(call.func, "attr", ""))


def calls(folder="app"):
    for path, tree in source(folder).items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                yield path, node


def sentences(call):
    """The source sentences of a gettext call: its first argument, for ngettext its first two."""
    return call.args[: 2 if "ngettext" in name_of(call) else 1]


def test_every_refusal_is_a_sentence_with_a_full_stop(refusals):
    """Or with what was the matter, after a colon."""
    wrong = [
        f"{path}:{text.lineno} {text.value}"
        for path, call in calls()
        if name_of(call) in refusals
        for inner in ast.walk(call)
        if isinstance(inner, ast.Call) and name_of(inner) in GETTEXT
        for text in sentences(inner)
        if isinstance(text, ast.Constant) and not re.search(r"\.\Z|: %\(\w+\)s\Z", text.value)
    ]
    assert wrong == []


def test_no_refusal_is_untranslated(refusals):
    wrong = [
        f"{path}:{call.lineno}"
        for path, call in calls()
        if name_of(call) in refusals and call.args and isinstance(call.args[0], (ast.Constant, ast.JoinedStr))
    ]
    assert wrong == []


def test_refusals_are_said_in_sentences_that_remember_what_they_say(refusals):
    """Else the history tells them in the language of whoever was refused."""
    refusing = {path for path, call in calls() if name_of(call) in refusals}
    wrong = {
        f"{path}: {name.name}"
        for path in refusing
        for node in ast.walk(source("app")[path])
        if isinstance(node, ast.ImportFrom) and node.module == "flask_babel"
        for name in node.names
        if name.name in ("gettext", "ngettext")
    }
    assert wrong == set()


@pytest.mark.parametrize("folder", ["app", "jobs"])
def test_a_translated_sentence_is_one_literal(folder):
    wrong = [
        f"{path}:{text.lineno}"
        for path, call in calls(folder)
        if name_of(call) in GETTEXT
        for text in sentences(call)
        if not (isinstance(text, ast.Constant) and isinstance(text.value, str))
    ]
    assert wrong == []


@pytest.mark.parametrize("folder", ["app", "jobs"])
def test_translated_sentences_are_not_glued(folder):
    def is_translated(node):
        return isinstance(node, ast.Call) and name_of(node) in GETTEXT

    wrong = [
        f"{path}:{node.lineno}"
        for path, tree in source(folder).items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Mod)))
        and (is_translated(node.left) or is_translated(node.right))
    ]
    assert wrong == []


def test_labels_made_at_import_time_are_lazy():
    """`_()` outside a function would speak the language of whoever imported the file."""
    wrong = []
    for path, tree in source("app").items():
        inside = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, (ast.FunctionDef, ast.Lambda))
            for inner in ast.walk(node)
        }
        wrong += [
            f"{path}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and name_of(node) in ("_", "gettext", "ngettext") and id(node) not in inside
        ]
    assert wrong == []
