"""日志: what happened, to whose request it belongs, and no secrets.

Every request has a reference: on its error page, in the answer's `X-Request-ID`, in every line of the log. With
`LIUKE_LOG=json` the log is one JSON object per line, with a line for every request, for whoever collects logs.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from typing import Any, TextIO

import sqlalchemy as sa
from flask import Flask, Response, g, has_request_context, request
from pythonjsonlogger.json import JsonFormatter

REQUESTS = logging.getLogger("liuke.requests")

SLASH = r"(?:/|%(?:25)*2f)"
OPENS = rf"(?i)({SLASH}(?:login{SLASH}+link|calendar){SLASH}+)"
SECRET_PATH = re.compile(OPENS + r"(?s:.+)")
SECRET_TEXT = re.compile(OPENS + r"[^\s\"'\\]+")
"""Addresses that open something to whoever knows them: mailed links, calendars. They are told by how they begin, for
what no route knows, another method or a slash too many, is written down as well."""

PASSWORDS = re.compile(r"(://[^\s/:@\"]*:)[^\s/@\"]+@")
"""The password inside an address, of a database or a mail server, say."""


def reference() -> str:
    """The number of this request: eight hexadecimal digits, the same from its beginning to its end."""
    found: str = request.environ.setdefault("liuke.reference", secrets.token_hex(4))
    return found


def reader() -> Any:
    """The id of who is asking, as far as it is known already; - for nobody. Asks nothing: the database may be away."""
    state = sa.inspect(g.get("_login_user"), raiseerr=False)
    return state.identity[0] if state is not None and state.identity else "-"


def path() -> str:
    """The address that was asked for, without what comes after the question mark and without its secrets."""
    return SECRET_PATH.sub(r"\1***", request.path)


class Record(logging.LogRecord):
    """What is written, by whomever: the server in front of the application names addresses in its errors, too."""

    def getMessage(self) -> str:  # noqa: N802 - the library's name
        """The message, without the secrets of addresses."""
        return SECRET_TEXT.sub(r"\1***", super().getMessage())


class Lines(JsonFormatter):
    """One JSON object per line: when (UTC), how bad, who says it, what, and the request it belongs to."""

    def __init__(self) -> None:
        super().__init__(
            ["levelname", "name", "message"],
            rename_fields={"levelname": "level", "name": "logger", "exc_info": "error"},
            timestamp="at",
            json_ensure_ascii=False,
        )

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        super().add_fields(log_data, record, message_dict)
        if has_request_context():
            log_data |= {"request": reference(), "user": reader(), "method": request.method, "path": path()}

    def format(self, record: logging.LogRecord) -> str:
        return SECRET_TEXT.sub(r"\1***", PASSWORDS.sub(r"\1***@", super().format(record)))


def write_lines(stream: TextIO | None = None) -> None:
    """Write the log of this process as JSON lines to `stream` (default: standard error), the requests too.

    The first call decides: a job writes to its own stream before it builds the application.
    """
    if any(isinstance(handler.formatter, Lines) for handler in logging.getLogger().handlers):
        return
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Lines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    REQUESTS.setLevel(logging.INFO)


def install(app: Flask) -> None:
    """Give every request its reference and, where lines are written, a line of its own; keep secrets out of all."""
    logging.setLogRecordFactory(Record)
    if app.config["LIUKE_LOG"] == "json":
        write_lines()

    @app.before_request
    def begin() -> None:
        request.environ["liuke.began"] = time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        response.headers["X-Request-ID"] = reference()
        if request.endpoint != "static" and REQUESTS.isEnabledFor(logging.INFO):
            took = (time.perf_counter() - request.environ.get("liuke.began", time.perf_counter())) * 1000
            told = {"status": response.status_code, "ms": round(took), "bytes": response.content_length}
            REQUESTS.info("request", extra=told)
        return response
