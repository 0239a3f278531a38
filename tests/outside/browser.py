"""Every page in a real browser: what the content security policy has to stop, and scripts that fail.

A demo company is served on the loopback as in production. Chromium without a window opens, as super admin and in both
languages, every page whose address names no row and the first record of every list. Exit code 0: the policy stopped
nothing, no script failed, no file was missing; and the same browser told of faults that were put into a page.

    python -m tests.outside.browser                     # needs chromium: apt-get install chromium
    python -m tests.outside.browser --only /customers/
"""

from __future__ import annotations

import argparse
import fcntl
import http.client
import json
import os
import re
import select
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from html import unescape
from pathlib import Path
from typing import Any

from tests.outside.__main__ import HOST, Company, pages_to_begin_with, say, served

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
SWITCHES = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--remote-debugging-pipe",
)  # fmt: skip
PATIENCE = 60  # seconds a page may take
LANGUAGES = ("zh", "en")
LEAST = 100  # pages of each language
NO_PAGES = ("/static/", "/healthz", "/notices/bell", "/my-work/part")
"""Addresses that answer with something else than a page, or with a part of one."""

FAULTS = """
document.body.insertAdjacentHTML("beforeend", '<p style="color:red">x</p>');
const script = document.createElement("script");
script.textContent = "window.ran = true";
document.body.append(script);
setTimeout(() => { throw new Error("deliberately"); });
"""
"""What the browser has to tell of: an inline style, an inline script, a script that fails."""


class Chromium:
    """A browser at the end of two pipes: the DevTools protocol, one JSON object at a time."""

    def __init__(self, program: str, folder: Path) -> None:
        theirs, ours = os.pipe()
        back, out = os.pipe()
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (theirs, ours, back, out)]
        for end in (theirs, ours, back, out):
            os.close(end)
        theirs, self._to, self._from, out = ends
        quiet = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        actions = [
            (os.POSIX_SPAWN_DUP2, end, number) for end, number in ((quiet, 1), (quiet, 2), (theirs, 3), (out, 4))
        ]
        argv = [program, *SWITCHES, f"--user-data-dir={folder}", "about:blank"]
        self.pid = os.posix_spawn(program, argv, os.environ, file_actions=actions, setpgroup=0)
        for end in (theirs, out, quiet):
            os.close(end)
        self._rest, self._number, self._session = b"", 0, ""
        self.events: list[dict[str, Any]] = []
        page = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **given: Any) -> Any:
        """Ask the browser for something; its answer. What happens meanwhile is kept in `events`."""
        self._number += 1
        asked = {"id": self._number, "method": method, "params": given}
        if self._session:
            asked["sessionId"] = self._session
        os.write(self._to, json.dumps(asked).encode() + b"\0")
        while (told := self._next()).get("id") != self._number:
            self.events.append(told)
        if "error" in told:
            raise RuntimeError(f"{method}: {told['error']}")
        return told["result"]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            if not select.select([self._from], [], [], PATIENCE)[0]:
                raise SystemExit("The browser says nothing any more.")
            piece = os.read(self._from, 2**20)
            if not piece:
                raise SystemExit("The browser ended.")
            self._rest += piece
        told, self._rest = self._rest.split(b"\0", 1)
        found: dict[str, Any] = json.loads(told)
        return found

    def open(self, url: str) -> list[str]:
        """Open a page, let its scripts run; what the browser complains about, in its own words."""
        self.events.clear()
        failed = self.call("Page.navigate", url=url).get("errorText")
        if failed:
            return [failed]
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())
        self.run("new Promise(done => requestAnimationFrame(() => setTimeout(done, 100)))")
        return self.complaints()

    def run(self, script: str) -> Any:
        """The value of an expression in the page, once it is there."""
        told = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        return told["result"].get("value")

    def complaints(self) -> list[str]:
        """What was stopped, failed or was not found since the page was asked for."""
        found = []
        for event in self.events:
            given = event.get("params", {})
            if event.get("method") == "Runtime.exceptionThrown":
                details = given["exceptionDetails"]
                found.append(details.get("exception", {}).get("description") or details["text"])
            elif event.get("method") == "Log.entryAdded" and given["entry"]["level"] == "error":
                found.append(f"{given['entry']['text']} {given['entry'].get('url', '')}".strip())
            elif event.get("method") == "Runtime.consoleAPICalled" and given["type"] == "error":
                found.append(" ".join(str(one.get("value", one.get("description"))) for one in given["args"]))
        return [line.splitlines()[0] for line in found]

    def close(self) -> None:
        """End it with all its parts."""
        os.killpg(self.pid, signal.SIGTERM)
        os.waitpid(self.pid, 0)
        os.close(self._to)
        os.close(self._from)


@contextmanager
def chromium() -> Iterator[Chromium]:
    """A browser with an empty profile, ended with the block."""
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        raise SystemExit("There is no chromium here. Install it: apt-get install chromium")
    with tempfile.TemporaryDirectory(prefix="liuke-browser-", ignore_cleanup_errors=True) as folder:
        browser = Chromium(program, Path(folder))
        try:
            yield browser
        finally:
            browser.close()


def addresses(company: Company, cookie: str) -> Iterator[str]:
    """Every page without a row, the first record of each list (edited, too), and the rows behind a report's figure."""
    seen = set()
    for address in pages_to_begin_with():
        if address.startswith(NO_PAGES) or address.endswith("/rows"):
            continue
        yield address
        with closing(http.client.HTTPConnection(HOST, company.port, timeout=PATIENCE)) as connection:
            connection.request("GET", address, headers={"Cookie": cookie})
            body = connection.getresponse().read().decode()
        for found, page in re.findall(r'href="((/[\w/-]+/(?:show/|edit/|rows\?))[^"]+)"', body):
            if page not in seen:
                seen.add(page)
                yield unescape(found)
                if page.endswith("/show/"):
                    yield found.replace("/show/", "/edit/")


def look(browser: Chromium, company: Company, language: str, only: str) -> tuple[int, list[str]]:
    """Open every page in one language. Returns how many were opened, and what was wrong, in sentences."""
    cookie = company.cookie("super_admin", language)
    name, _sign, value = cookie.partition("=")
    browser.call("Network.setCookie", name=name, value=value, url=company.url, path="/", secure=True, httpOnly=True)
    opened, wrong = 0, []
    for address in addresses(company, cookie):
        if only not in address:
            continue
        complaints = browser.open(company.url + address)
        status = browser.run("performance.getEntriesByType('navigation')[0].responseStatus")
        if "/edit/" in address and status in (403, 404):
            continue  # what is only looked at has no form
        opened += 1
        wrong += [f"{language} {address}: {line}" for line in complaints]
        if status != 200 or browser.run("document.documentElement.lang.slice(0, 2)") != language:
            wrong.append(f"{language} {address}: status {status}, or in another language")
    if not company.signed_in(cookie):
        wrong.append(f"{language}: was signed out on the way; the run is not whole.")
    return opened, wrong


def is_blind(browser: Chromium, company: Company) -> list[str]:
    """Whether faults that are put into a page go unnoticed: then all else says nothing."""
    browser.open(f"{company.url}/my-work/")
    browser.run(FAULTS)
    browser.run("new Promise(done => setTimeout(done, 300))")
    told = browser.complaints()
    kinds = {"an inline style": "inline style", "an inline script": "inline script", "an error": "deliberately"}
    blind = [f"does not see {what}: {told}" for what, sign in kinds.items() if not any(sign in line for line in told)]
    return blind + (["an inline script ran"] if browser.run("window.ran === true") else [])


def main() -> int:
    """Open every page, print what was wrong. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.outside.browser",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", default="", help="pages whose address contains this")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with (
        tempfile.TemporaryDirectory(prefix="liuke-scan-") as folder,
        chromium() as browser,
        served(Path(folder) / "sqlite", "sqlite", demo=Path(folder) / "demo.db") as company,
    ):
        wrong = []
        for language in LANGUAGES:
            opened, found = look(browser, company, language, given.only)
            say(f"{language}: {opened} pages, {len(found)} findings.")
            wrong += found
            if not given.only and opened < LEAST:
                wrong.append(f"{language}: only {opened} pages, not {LEAST}")
        wrong += is_blind(browser, company) + company.failures()
    say("\n".join(wrong) if wrong else "Nothing was stopped, no script failed.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
