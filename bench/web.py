"""Two gunicorns on the loopback and a browser without a window that measures them."""

from __future__ import annotations

import http.client
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from bench.place import ROOT

HOST = "127.0.0.1"
WORKERS = 2
PATIENCE = 60.0  # seconds a server may take to start, and a page to come


@dataclass
class Answer:
    """What came back: status, body, where it leads, and how long it took in milliseconds."""

    status: int
    body: bytes
    location: str
    ms: float


class Server:
    """A web application behind gunicorn with two sync workers, and its signed-in browser."""

    def __init__(self, name: str, application: str, cookies: dict[str, str], log: Path) -> None:
        self.name, self.cookies = name, dict(cookies)
        with socket.socket() as free:
            free.bind((HOST, 0))
            self.port = free.getsockname()[1]
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "gunicorn", "--workers", str(WORKERS), "--worker-class", "sync",
                    "--bind", f"{HOST}:{self.port}", "--no-control-socket", "--log-level", "warning", application,
                ],
                cwd=ROOT, env=dict(os.environ), stdout=out, stderr=subprocess.STDOUT,
            )  # fmt: skip
        self._wait(log)

    def _wait(self, log: Path) -> None:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            try:
                self.get("/")
            except (OSError, http.client.HTTPException):
                if self.process.poll() is not None:
                    break
                time.sleep(0.2)
            else:
                return
        raise SystemExit(f"{self.name} did not start:\n{log.read_text(errors='replace')[-2000:]}")

    def stop(self) -> None:
        """End gunicorn and its workers."""
        self.process.terminate()
        self.process.wait(PATIENCE)

    def cpu_ms(self) -> float:
        """CPU that the workers have used so far, in milliseconds; 0 where the system does not tell."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        if not children.exists():
            return 0.0
        pids = children.read_text().split()
        return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids) / 1e6

    def get(self, address: str) -> Answer:
        """GET an address."""
        return self._ask("GET", address)

    def post(self, address: str, form: list[tuple[str, str]]) -> Answer:
        """POST a form."""
        return self._ask("POST", address, urlencode(form))

    def _ask(self, method: str, address: str, body: str | None = None) -> Answer:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        began = time.perf_counter()
        connection = http.client.HTTPConnection(HOST, self.port, timeout=PATIENCE)
        connection.request(method, quote(address, safe="/?&=%"), body, headers)
        response = connection.getresponse()
        data = response.read()
        ms = (time.perf_counter() - began) * 1000
        for cookie in response.headers.get_all("Set-Cookie") or []:
            name, _, value = cookie.split(";")[0].partition("=")
            self.cookies[name.strip()] = value
        connection.close()
        return Answer(response.status, data, response.headers.get("Location", ""), ms)

    def page(self, address: str) -> Answer:
        """GET a page. Raises `SystemExit` unless it is one: a login page would be fast, too."""
        answer = self.get(address)
        if answer.status != 200:
            raise SystemExit(f"{self.name}: {address} answers {answer.status} {answer.location}")
        return answer


def interleaved(
    calls: dict[str, Callable[[int], float]], times: int, *, warm: Callable[[], None]
) -> dict[str, list[float]]:
    """Call each in turn (A, B, A, B, ...), after a warm-up; what each says it took, in milliseconds.

    `warm` is called when both have warmed up.
    """
    took: dict[str, list[float]] = {name: [] for name in calls}
    for n in range(-3 * WORKERS, times):
        if n == 0:
            warm()
        for name, call in calls.items():
            ms = call(n % times)
            if n >= 0:
                took[name].append(ms)
    return took


def per_second(server: Server, address: str, *, clients: int, requests: int) -> float:
    """Requests per second with so many clients at once."""
    with ThreadPoolExecutor(clients) as pool:
        began = time.perf_counter()
        list(pool.map(lambda _n: server.page(address), range(requests)))
        return requests / (time.perf_counter() - began)


INPUT = re.compile(r"<(input|select|textarea)\b([^>]*)>(.*?)(?=<input|<select|<textarea|</form)", re.S)
ATTRIBUTE = re.compile(r'([\w-]+)(?:="([^"]*)")?')


def fields_of(page: bytes, *, marker: str) -> list[tuple[str, str]]:
    """What a browser would send of the form that holds `marker`, unchanged."""
    forms = re.findall(r"<form\b.*?</form>", page.decode(), re.S)
    form = next(text for text in forms if marker in text)
    sent = []
    for kind, given, inside in INPUT.findall(form):
        attributes: dict[str, Any] = {name: unescape(value) for name, value in ATTRIBUTE.findall(given)}
        name, how = attributes.get("name"), attributes.get("type", "text")
        unticked = how in ("checkbox", "radio") and "checked" not in attributes
        if not name or unticked or how in ("submit", "button", "file"):
            continue
        if kind == "select":
            options = [dict(ATTRIBUTE.findall(option)) for option in re.findall(r"<option\b([^>]*)>", inside)]
            sent.append((name, next((unescape(one["value"]) for one in options if "selected" in one), "")))
        elif kind == "textarea":
            sent.append((name, unescape(inside.split("</textarea")[0]).strip()))
        else:
            sent.append((name, attributes.get("value", "")))
    return sent
