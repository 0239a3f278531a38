"""`make audit`: known weaknesses of what requirements-dev.lock pins, asked by pip-audit of PyPI, then of OSV.

LIUKE_ADVISORIES names a clone of github.com/pypa/advisory-database instead, for machines without the internet: it is
served to pip-audit as OSV would. Nothing is believed of a database that does not know a weakness everybody knows, nor
of a clone older than a month: "nobody could be asked" is another answer than "nothing is known".

Exit codes: 0 all were asked and nothing is known; 1 something is known, or not all were asked; 3 nobody could be asked.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
KNOWN = ("Jinja2==2.11.2", "CVE-2020-28493")  # PYSEC-2021-66, in every database
STALE = timedelta(days=31)
NOBODY = 3


def pins(lock: Path) -> dict[str, str]:
    """Name and version of whatever the lock file installs on this machine."""
    lines = [line.removesuffix(" \\") for line in lock.read_text().splitlines() if line[:1].isalnum()]
    asked = [one for one in map(Requirement, lines) if one.marker is None or one.marker.evaluate()]
    return {canonicalize_name(one.name): str(one.specifier).removeprefix("==") for one in asked}


def ask(service: list[str], *what: str) -> dict[str, dict] | None:
    """pip-audit's answer for each package, None if it could not give one."""
    run = subprocess.run(
        [sys.executable, "-m", "pip_audit", *service, "--disable-pip", "--progress-spinner=off", "-f", "json", *what],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        return {canonicalize_name(one["name"]): one for one in json.loads(run.stdout)["dependencies"]}
    except ValueError:
        print((run.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1][:300])
        return None


def can_answer(service: list[str]) -> bool:
    """Whether the service is there and knows what everybody knows."""
    package, weakness = KNOWN
    with tempfile.TemporaryDirectory() as folder:
        known = Path(folder) / "known.txt"
        known.write_text(package)
        answer = ask(service, "--no-deps", "-r", str(known)) or {}
    told = [name for one in answer.values() for weak in one.get("vulns", ()) for name in (weak["id"], *weak["aliases"])]
    return weakness in told


def verdict(asked: dict[str, str], answer: dict[str, dict]) -> list[str]:
    """What speaks against these pins; nothing may have been left out."""
    found = []
    for name, version in asked.items():
        one = answer.get(name, {"skip_reason": "not in the answer"})
        if "skip_reason" in one or one["version"] != version:
            found.append(f"{name} {version} was not asked about: {one.get('skip_reason') or one['version']}")
        found += [f"{name} {version}: {weak['id']} {' '.join(weak['aliases'])}" for weak in one.get("vulns", ())]
    return found


def concerns(affected: dict, name: str, version: str) -> bool:
    """Whether this part of an advisory means the version: https://ossf.github.io/osv-schema/#evaluation."""
    if affected["package"]["ecosystem"] != "PyPI" or canonicalize_name(affected["package"]["name"]) != name:
        return False
    if version in affected.get("versions", ()):
        return True
    return any(
        within(span["events"], Version(version))
        for span in affected.get("ranges", ())
        if span["type"] == "ECOSYSTEM"  # the others name commits
    )


def within(events: list[dict], version: Version) -> bool:
    """Whether a version lies between where a weakness came and where it went."""
    inside = False
    for kind, at in sorted(
        ((kind, Version(str(at))) for event in events for kind, at in event.items() if kind != "limit"),
        key=lambda one: one[1],
    ):
        if kind == "introduced" and version >= at:
            inside = True
        if (kind == "fixed" and version >= at) or (kind == "last_affected" and version > at):
            inside = False
    return inside


@contextmanager
def served(clone: Path) -> Iterator[str | None]:
    """The address at which a clone of PyPA's advisories answers as OSV does; None if it is too old to be asked."""
    advisories = [yaml.safe_load(path.read_text()) for path in sorted(clone.glob("vulns/*/*.yaml"))]
    newest = max((datetime.fromisoformat(str(one["modified"])) for one in advisories), default=None)
    print(f"{len(advisories)} advisories in {clone}, the newest of {newest}")
    if newest is None or newest.replace(tzinfo=newest.tzinfo or UTC) < datetime.now(UTC) - STALE:
        yield None
        return

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name, version = asked["package"]["name"], asked["version"]
            vulns = [one for one in advisories if any(concerns(a, name, version) for a in one.get("affected", ()))]
            body = json.dumps({"vulns": vulns} if vulns else {}, default=str).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/query"
        server.shutdown()


def audit(services: list[list[str]], lock: Path) -> int:
    """Ask the first service that can answer about everything in the lock file, and print the verdict."""
    service = next((one for one in services if can_answer(one)), None)
    asked = pins(lock)
    if service is None:
        print(f"NOT ASKED: no database of advisories answers; {len(asked)} packages were not audited.")
        return NOBODY
    answer = ask(service, "--require-hashes", "-r", str(lock))
    found = ["the database went away"] if answer is None else verdict(asked, answer)
    for line in found:
        print(line)
    print(f"{len(asked)} packages asked about, {len(found)} findings")
    return 1 if found or not asked else 0


def main() -> int:
    """Ask the clone, if one is named, else the internet."""
    lock = ROOT / "requirements-dev.lock"
    if clone := os.environ.get("LIUKE_ADVISORIES"):
        with served(Path(clone)) as address:
            return audit([["-s", "osv", "--osv-url", address]] if address else [], lock)
    return audit([["-s", "pypi"], ["-s", "osv"]], lock)


if __name__ == "__main__":
    sys.exit(main())
