"""What the product and its tests are made of: pinned, with hashes, under licences we can keep, and asked about."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib import metadata

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.world import ROOT
from tools import audit

pytestmark = pytest.mark.once

# What distributions say of their licence: an SPDX expression, else a classifier, else a line of their own.
PERMISSIVE = {
    "0BSD", "Apache Software License", "Apache-2.0", "Apache-2.0 OR BSD-2-Clause", "Apache-2.0 OR BSD-3-Clause",
    "BSD License", "BSD-2-Clause", "BSD-3-Clause", "ISC", "ISC License (ISCL)", "MIT", "MIT License",
    "MIT OR Apache-2.0", "MIT-0", "PSF-2.0", "Python Software Foundation License", "The Unlicense (Unlicense)",
}  # fmt: skip
# Weak copyleft: used unchanged, as distributions of their own. NOTICE names those of the product.
LESSER = {
    "crontab": "GNU Lesser General Public License v3 (LGPLv3)",
    "psycopg2-binary": "GNU Library or Lesser General Public License (LGPL)",
    "pygal": "GNU Lesser General Public License v3 or later (LGPLv3+)",
}
ONLY_TESTS = {"MPL-2.0", "Mozilla Public License 2.0 (MPL 2.0)"}


def requirements(name):
    """Name and version of every pin in a file people write, with the files it names."""
    found = {}
    for line in (ROOT / name).read_text().splitlines():
        text = line.split("#")[0].strip()
        if text.startswith("-r "):
            found |= requirements(text.removeprefix("-r "))
        elif text:
            one = Requirement(text)
            found[canonicalize_name(one.name)] = str(one.specifier).removeprefix("==")
    return found


def locked(name):
    """Name, version and hashes of every pin in a lock file."""
    entries = re.split(r"\n(?=[a-z0-9])", (ROOT / name).read_text())
    return {
        entry.split("==")[0]: (
            re.split(r"[ \\;]", entry.split("==")[1])[0],
            re.findall(r"sha256:([0-9a-f]{64})", entry),
        )
        for entry in entries
    }


@pytest.mark.parametrize(("name", "least"), [("requirements", 70), ("requirements-dev", 120)])
def test_everything_is_pinned_to_the_last_dependency(name, least):
    """The files people write name every one, so that those who install without hashes get the same versions, also on
    the day on which a new one is published."""
    lock = {package: version for package, (version, _hashes) in locked(f"{name}.lock").items()}
    assert lock == requirements(f"{name}.txt")
    assert len(lock) >= least


def test_the_lock_files_are_those_of_the_requirements_and_hold_a_hash_for_each():
    product, everything = locked("requirements.lock"), locked("requirements-dev.lock")
    assert product.items() <= everything.items()
    asked = requirements("requirements-dev.txt")
    assert {name: everything[name][0] for name in asked} == asked
    assert [name for name, (_version, hashes) in everything.items() if not hashes] == []


def test_what_is_installed_is_what_the_lock_file_says():
    pins = audit.pins(ROOT / "requirements-dev.lock")
    assert len(pins) >= 120
    assert {name: metadata.version(name) for name in pins} == pins


def licences(name):
    """What a distribution says of its licence, most exact first."""
    said = metadata.metadata(name)
    if said.get("License-Expression"):
        return {said["License-Expression"]}
    classifiers = {c.split(" :: ")[-1] for c in said.get_all("Classifier", []) if c.startswith("License :: ")}
    return classifiers - {"OSI Approved"} or {(said.get("License") or "nothing").strip()}


def test_every_licence_is_one_we_can_keep():
    product = audit.pins(ROOT / "requirements.lock")
    refused = {}
    for name in audit.pins(ROOT / "requirements-dev.lock"):
        mine = licences(name)
        if name in LESSER:
            assert LESSER[name] in mine
        elif not mine <= (PERMISSIVE if name in product else PERMISSIVE | ONLY_TESTS):
            refused[name] = mine
    assert refused == {}
    notice = (ROOT / "NOTICE").read_text()
    assert [name for name in LESSER if not re.search(rf"^{name} ", notice, re.MULTILINE)] == []


def test_the_bill_of_materials_names_every_part_with_version_and_licence(tmp_path):
    """As `make sbom` writes it, of this environment."""
    place = tmp_path / "sbom.json"
    subprocess.run(
        [sys.executable, "-m", "cyclonedx_py", "environment", "--no-validate", "--of", "JSON", "-o", str(place)],
        check=True,
        capture_output=True,
    )
    bill = json.loads(place.read_text())
    assert bill["bomFormat"] == "CycloneDX"
    parts = {canonicalize_name(one["name"]): one for one in bill["components"]}
    pins = audit.pins(ROOT / "requirements-dev.lock")
    assert {name: parts[name]["version"] for name in pins} == pins
    assert [name for name in pins if not parts[name].get("licenses")] == []
    assert [name for name in pins if not parts[name]["purl"].startswith("pkg:pypi/")] == []


def advisory(ident, package, events, *, aliases=(), versions=(), modified=None):
    """One file of PyPA's database."""
    return {
        "id": ident,
        "details": "…",
        "aliases": list(aliases),
        "modified": (modified or datetime.now(UTC)).isoformat(),
        "affected": [
            {
                "package": {"name": package, "ecosystem": "PyPI"},
                "ranges": [{"type": "ECOSYSTEM", "events": events}],
                "versions": list(versions),
            }
        ],
    }


EVERYBODY_KNOWS = advisory(
    "PYSEC-2021-66", "jinja2", [{"introduced": "0"}, {"fixed": "2.11.3"}], aliases=["CVE-2020-28493"]
)


@pytest.fixture
def ask_clone(tmp_path, monkeypatch, capsys):
    """`ask_clone(advisory, ...)` is the exit code and the words of `make audit` beside a clone of these."""

    def asked(*advisories):
        for one in advisories:
            folder = tmp_path / "vulns" / one["affected"][0]["package"]["name"]
            folder.mkdir(parents=True)
            (folder / f"{one['id']}.yaml").write_text(yaml.safe_dump(one))
        monkeypatch.setenv("LIUKE_ADVISORIES", str(tmp_path))
        return audit.main(), capsys.readouterr().out

    return asked


def test_an_audit_asks_about_every_package(ask_clone):
    elsewhere = advisory("PYSEC-0000-1", "mako", [{"introduced": "0"}, {"fixed": "1.0"}])
    code, words = ask_clone(EVERYBODY_KNOWS, elsewhere)
    assert code == 0
    assert f"{len(audit.pins(ROOT / 'requirements-dev.lock'))} packages asked about, 0 findings" in words


def test_an_audit_names_what_is_known(ask_clone):
    mine = audit.pins(ROOT / "requirements.lock")["mako"]
    code, words = ask_clone(EVERYBODY_KNOWS, advisory("PYSEC-0000-1", "mako", [{"introduced": mine}]))
    assert code == 1
    assert f"mako {mine}: PYSEC-0000-1" in words


@pytest.mark.parametrize(
    "advisories",
    [
        pytest.param([], id="empty"),
        pytest.param([advisory("PYSEC-0000-1", "mako", [{"introduced": "99"}])], id="does not know what all know"),
        pytest.param([{**EVERYBODY_KNOWS, "modified": (datetime.now(UTC) - timedelta(days=32)).isoformat()}], id="old"),
    ],
)
def test_a_database_that_cannot_know_is_not_believed(ask_clone, advisories):
    code, words = ask_clone(*advisories)
    assert code == audit.NOBODY
    assert "NOT ASKED" in words


def test_a_database_that_cannot_be_reached_is_no_answer(capsys):
    nowhere = ["-s", "osv", "--osv-url", "http://127.0.0.1:9/v1/query"]
    assert audit.audit([nowhere], ROOT / "requirements.lock") == audit.NOBODY
    assert "NOT ASKED" in capsys.readouterr().out


def test_a_package_that_was_passed_over_is_a_finding():
    answer = {"a": {"version": "1", "vulns": []}, "b": {"skip_reason": "not found"}, "d": {"version": "2", "vulns": []}}
    found = audit.verdict({"a": "1", "b": "1", "c": "1", "d": "1"}, answer)
    assert [line.split()[0] for line in found] == ["b", "c", "d"]


@pytest.mark.parametrize(
    ("events", "inside", "outside"),
    [
        ([{"introduced": "0"}, {"fixed": "2"}], ["1", "2rc1"], ["2", "3"]),
        ([{"introduced": "1"}, {"last_affected": "2"}], ["1", "2"], ["0.9", "2.1"]),
        (
            [{"introduced": "1"}, {"fixed": "1.5"}, {"introduced": "2"}, {"fixed": "2.5"}],
            ["1.2", "2.0"],
            ["1.7", "2.5"],
        ),
        ([{"introduced": "3"}], ["3", "99"], ["2"]),
    ],
)
def test_versions_lie_where_an_advisory_says(events, inside, outside):
    one = advisory("PYSEC-0000-1", "mako", events, versions=["1!7"])["affected"][0]
    assert all(audit.concerns(one, "mako", version) for version in [*inside, "1!7"])
    assert not any(audit.concerns(one, "mako", version) for version in outside)
    assert not audit.concerns(one, "alembic", inside[0])
