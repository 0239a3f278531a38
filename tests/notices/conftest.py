"""A robot's host and a mail server of the test's own, and notifications without a domain's help."""

from __future__ import annotations

import json
import socketserver
import threading
from contextlib import suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from app.core.unit import unit_of_work
from app.notices import transport
from app.notices.operations import notify
from tests import builders

URL = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=0123456789abcdef"


@pytest.fixture
def told(db):
    """`told(wang)` tells somebody that an opportunity was given to him; each call is a new event."""
    made = []

    def tell(person, *, record=None, event=None, title="智能仓储", **given):
        record = record or builders.opportunity(given_to=person)
        made.append(record)
        with unit_of_work():
            notify(
                "opportunity.assigned", to=person, record=record, event=event or f"test:{len(made)}:{record.id}",
                prospect=record.customer_name, title=title, **given,
            )  # fmt: skip
        return record

    return tell


class Host:
    """What a robot's host heard, and what it will answer next."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, dict[str, str], Any]] = []
        self.answers: list[tuple[int, bytes, dict[str, str]]] = []

    def answer(self, status: int = 200, body: Any = None, **headers: str) -> None:
        """Answer the next message like this; afterwards all is well again."""
        body = {"errcode": 0} if body is None else body
        self.answers.append((status, body if isinstance(body, bytes) else json.dumps(body).encode(), headers))


@pytest.fixture
def host(monkeypatch):
    """The host all robots live on: what would go to it over TLS comes here over plain HTTP."""
    heard = Host()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            heard.heard.append((self.path, dict(self.headers), body))
            status, text, headers = heard.answers.pop(0) if heard.answers else (200, b'{"errcode": 0}', {})
            self.send_response(status)
            for name, value in {"Content-Length": str(len(text)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_anything: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(transport, "public_addresses", lambda _host: ["203.0.113.7"])
    monkeypatch.setattr(transport, "connect", lambda name, _address: _plain(name, server.server_port))
    yield heard
    server.shutdown()
    server.server_close()


def _plain(name: str, port: int) -> HTTPConnection:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    connection.connect()
    connection.host, connection.port = name, 80
    return connection


class MailServer:
    """A mail server that keeps what it is given; `pause` lets it stand still once it has a mail."""

    def __init__(self) -> None:
        self.mails: list[str] = []
        self.got = threading.Event()
        self.pause: threading.Event | None = None
        self.refusals: list[str] = []
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def say(self, line: str) -> None:
                self.wfile.write(f"{line}\r\n".encode())

            def handle(self) -> None:
                self.say("220 test")
                while line := self.rfile.readline().decode().strip():
                    verb = line.split()[0].upper()
                    if verb in ("EHLO", "HELO"):
                        self.say("250 test")
                    elif verb == "RCPT" and outer.refusals:
                        self.say(outer.refusals.pop(0))
                    elif verb == "DATA":
                        self.say("354 go on")
                        text = b""
                        while not text.endswith(b"\r\n.\r\n"):
                            text += self.rfile.readline()
                        outer.mails.append(text.decode())
                        outer.got.set()
                        if outer.pause is not None:
                            outer.pause.wait(20)
                        self.say("250 kept")
                    elif verb == "QUIT":
                        self.say("221 bye")
                        return
                    else:
                        self.say("250 fine")

            def finish(self) -> None:
                with suppress(OSError):  # whoever spoke to us was killed
                    super().finish()

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_anything: None
        self.url = f"smtp://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop."""
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def mail_server():
    """A mail server; LIUKE_MAIL_URL is not set to it."""
    server = MailServer()
    yield server
    server.close()
