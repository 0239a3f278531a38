"""Imports point downwards: a domain may know those before it, never those after it; core knows none."""

from __future__ import annotations

import ast

import pytest

from app import DOMAINS
from tests.conformance.house import source

pytestmark = pytest.mark.once

RANKS = {name: rank for rank, name in enumerate(("core", *DOMAINS, "exchange"))}
GROUND = {"extensions"}  # whatever may be imported from everywhere
MIDDLE = ("operations.py", "granting.py")  # how the files end that hold rules and know no page


def imported(path, tree):
    """(line, module) of every import in the file, relative ones made absolute."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = path.parent.parts[: len(path.parent.parts) - node.level + 1]
                base = ".".join((*package, *([base] if base else [])))
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


@pytest.mark.parametrize("domain", [name for name in RANKS if name != "exchange"])
def test_a_domain_imports_only_from_those_before_it(domain):
    wrong = []
    for path, tree in source(f"app/{domain}").items():
        for line, module in imported(path, tree):
            parts = module.split(".")
            if parts[0] == "jobs" and path.name != "commands.py":  # the command line runs jobs by hand
                wrong.append(f"{path}:{line} imports {module}: jobs are queued by their path")
            if parts[0] != "app" or len(parts) < 2 or parts[1] in GROUND:
                continue
            if parts[1] not in RANKS and domain in RANKS and parts[1] != "DOMAINS":
                wrong.append(f"{path}:{line} imports {module}: the application imports the domains, not they it")
            elif RANKS.get(parts[1], 0) > RANKS[domain]:
                wrong.append(f"{path}:{line} imports {module}: {parts[1]} comes after {domain}")
    assert wrong == []


def test_nothing_in_core_speaks_of_the_business():
    words = {"Customer", "Opportunity", "Ticket", "ChurnCase", "Complaint"}
    wrong = [
        f"{path}:{node.lineno} {node.id}"
        for path, tree in source("app/core").items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id in words
    ]
    assert wrong == []


def test_operations_never_commit():
    wrong = [
        f"{path}:{node.lineno}"
        for path, tree in source("app").items()
        if path.name.endswith((*MIDDLE, "queries.py"))
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "commit"
    ]
    assert wrong == []


def test_the_middle_reads_neither_request_nor_clock_of_its_own():
    forbidden = {"request", "g", "session"}
    wrong = []
    for path, tree in source("app").items():
        if not path.name.endswith(MIDDLE):
            continue
        for line, module in imported(path, tree):
            if module in {f"flask.{name}" for name in forbidden}:
                wrong.append(f"{path}:{line} {module}")
    assert wrong == []
