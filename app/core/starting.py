"""What an installation must not start with: keys and passwords that everybody knows, and doors left open."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from flask import Flask
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

SAMPLES = (
    "change",
    "secret",
    "password",
    "example",
    "sample",
    "default",
    "your",
    "dev",
    "test",
    "liuke",
    "1234",
    "abcd",
)
KNOWN = {
    "",
    "password",
    "passwd",
    "postgres",
    "redis",
    "liuke",
    "admin",
    "root",
    "secret",
    "123456",
    "changeme",
    "change-me",
}
SHORTEST = 32  # characters of a key
SCRYPT = {2**15: 3, 2**16: 2, 2**17: 1}
"""OWASP's strengths of a password hash: how often at least (p) with so much memory (N) and blocks of eight (r)."""


def check(app: Flask) -> None:
    """End the process with a sentence if this must not start. Before anything is read or written."""
    reasons = why_not(app.config, debug=app.debug)
    if reasons:
        raise SystemExit("\n".join(reasons))


def why_not(settings: Mapping[str, Any], *, debug: bool) -> list[str]:
    """Why an installation with these settings must not start, one sentence each; none if it may.

    A weak key is refused everywhere. The rest is refused in production: where it is served over https, under names,
    behind a proxy or to other machines (LIUKE_HTTPS, LIUKE_HOSTS, LIUKE_PROXIES, LIUKE_HOST).
    """
    reasons = []
    if is_weak(str(settings["SECRET_KEY"] or "")):
        reasons.append(
            f"SECRET_KEY is too weak or a sample: at least {SHORTEST} random characters, as "
            'python3 -c "import secrets; print(secrets.token_urlsafe(48))" prints them; or unset it.'
        )
    if not (
        settings["LIUKE_HTTPS"]
        or settings["LIUKE_HOSTS"]
        or settings["LIUKE_PROXIES"] > 0
        or not is_loopback(settings["LIUKE_HOST"])
    ):
        return reasons
    if not settings["LIUKE_HOSTS"]:
        reasons.append(
            "Where others are served, the product answers to its own names only: set LIUKE_HOSTS to the names or "
            "addresses that people open it by, crm.example.com say."
        )
    if debug:
        reasons.append("Debugging shows the inside of the program: unset FLASK_DEBUG where others are served.")
    if settings["LIUKE_DEMO"]:
        reasons.append("The demo company's passwords are known to everybody: set LIUKE_DEMO=0 where others are served.")
    for name, url in (("DATABASE_URL", settings["SQLALCHEMY_DATABASE_URI"]), ("REDIS_URL", settings["REDIS_URL"])):
        if _has_known_password(url):
            reasons.append(f"The password in {name} is one that everybody tries first: give the server another one.")
    if not is_dear(str(settings["FAB_PASSWORD_HASH_METHOD"])):
        reasons.append("LIUKE_PASSWORD_HASH is too cheap to guess against: unset it.")
    return reasons


def is_weak(key: str) -> bool:
    """Whether a key is short, of few different characters, or made of words that samples are made of."""
    words = sum(len(word) * key.lower().count(word) for word in SAMPLES)
    return len(key) < SHORTEST or len(set(key)) < 8 or words * 2 > len(key)


def is_dear(method: str) -> bool:
    """Whether a password hash is scrypt (scrypt:N:r:p) of OWASP's strength or more."""
    found = re.fullmatch(r"scrypt:(\d+):(\d+):(\d+)", method)
    if found is None:
        return False
    memory, block, times = map(int, found.groups())
    return block >= 8 and any(memory >= least and times >= often for least, often in SCRYPT.items())


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine only: localhost, 127.x.x.x, ::1. A port is ignored."""
    name = host.strip().lower()
    if name.startswith("["):
        name = name[1:].split("]", 1)[0]
    elif name.count(":") == 1:
        name = name.split(":", 1)[0]
    if name in ("localhost", "localhost."):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _has_known_password(url: str) -> bool:
    """Whether an address names a password, and one of the known ones."""
    try:
        password = make_url(url).password
    except ArgumentError:
        return False
    return password is not None and str(password).lower() in KNOWN
