"""The way out: a mail, or a JSON message to a group robot. The only code that calls other machines by itself.

A robot's address is typed by a person, so it is not trusted: https to a known host only, no redirect, every address
the name stands for is public, and the connection goes to exactly the address that was checked (a name may stand for
another one a moment later). Errors never hold an address: whoever knows a robot's can speak through it.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import smtplib
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from flask import current_app

from app.core.errors import BusinessError
from app.core.sentences import gettext as _

ROBOT_HOSTS = ("qyapi.weixin.qq.com", "oapi.dingtalk.com", "open.feishu.cn")
PATIENCE = 5.0  # seconds for one step of talking to another machine
ALTOGETHER = 15.0  # seconds for a whole message to a robot
LONGEST_ANSWER = 65_536  # bytes of a robot's answer that are read
NOT_PUBLIC = tuple(  # they hold an IPv4 address, or Python takes them for public ones
    ipaddress.ip_network(net)
    for net in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "fec0::/10", "3fff::/20")
)


class CannotSend(BusinessError):
    """Nothing went out, and trying again later would change nothing: the address, the key or the rules are wrong."""


class NotNow(Exception):
    """Nothing went out, or nobody knows; it may work later. The text names no address."""


# -- robots -------------------------------------------------------------------------------------------------------


def check_url(url: str) -> str:
    """The host of a robot's address. Raises `CannotSend` unless it is https to an allowed host, without extras."""
    if not url.isascii() or any(ord(c) < 33 or c == "\\" for c in url):
        raise CannotSend(_("The address of a robot has no blanks and no characters outside ASCII."))
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise CannotSend(_("This is no web address.")) from None
    if parts.scheme != "https" or port not in (None, 443) or "@" in parts.netloc or parts.fragment:
        raise CannotSend(_("The address of a robot begins with https:// and has no user, port or fragment."))
    host = parts.hostname or ""
    if host not in allowed_hosts():
        raise CannotSend(_("Messages may go to these hosts only: %(hosts)s.", hosts=", ".join(allowed_hosts())))
    return host


def allowed_hosts() -> tuple[str, ...]:
    """The hosts robots live on, with those the setting adds."""
    return (*ROBOT_HOSTS, *current_app.config["LIUKE_ROBOT_HOSTS"])


def public_addresses(host: str) -> list[str]:
    """Every address `host` stands for now. Raises `NotNow` if there is none, `CannotSend` if any is not public."""
    try:
        found = socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except OSError:
        raise NotNow(_("The name of the host was not found.")) from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not addresses:
        raise NotNow(_("The name of the host was not found."))
    if not all(is_public(address) for address in addresses):
        raise CannotSend(_("The host stands for an address inside a private network, so nothing was sent."))
    return addresses


def is_public(address: str) -> bool:
    """Whether this address is one of the public Internet, also when it is wrapped in an IPv6 one."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        if any(ip in net for net in NOT_PUBLIC):
            return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def connect(host: str, address: str) -> http.client.HTTPConnection:
    """A TLS connection to this very address, for `host`: its certificate must be the host's."""
    raw = socket.create_connection((address, 443), timeout=PATIENCE)
    try:
        secured = ssl.create_default_context().wrap_socket(raw, server_hostname=host)
    except BaseException:
        raw.close()
        raise
    connection = http.client.HTTPConnection(host, timeout=PATIENCE)
    connection.sock = secured
    return connection


def post_json(url: str, body: dict[str, Any], *, key: str) -> dict[str, Any]:
    """POST `body` to a robot and return its JSON answer. `key` names the message: a repeat carries the same.

    Raises `CannotSend` when the address is not allowed or the robot refuses, `NotNow` when it may work later. Follows
    no redirect, reads at most 64 KB, and takes at most about 15 seconds.
    """
    host, parts = check_url(url), urlsplit(url)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    headers = {"Content-Type": "application/json; charset=utf-8", "Idempotency-Key": key, "User-Agent": "Liuke"}
    ends = time.monotonic() + ALTOGETHER
    connection = _first_that_answers(host, ends)
    try:
        connection.request("POST", target, json.dumps(body, ensure_ascii=False).encode(), headers)
        with connection.getresponse() as answer:
            status, text = answer.status, _read(answer, ends)
    except (OSError, http.client.HTTPException) as away:
        raise NotNow(_("The robot's host broke off the connection (%(kind)s).", kind=type(away).__name__)) from None
    finally:
        connection.close()
    if status == 429 or status >= 500:
        raise NotNow(_("The robot's host answered with status %(status)d.", status=status))
    if status != 200:
        raise CannotSend(_("The robot's host answered with status %(status)d.", status=status))
    try:
        told = json.loads(text)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise CannotSend(_("The robot's host did not answer as a robot does."))
    return told


def _first_that_answers(host: str, ends: float) -> http.client.HTTPConnection:
    failed = "OSError"
    for address in public_addresses(host)[:4]:
        if time.monotonic() >= ends:
            break
        try:
            return connect(host, address)
        except OSError as away:
            failed = type(away).__name__
    raise NotNow(_("The robot's host cannot be reached (%(kind)s).", kind=failed))


def _read(answer: http.client.HTTPResponse, ends: float) -> bytes:
    text = b""
    while len(text) < LONGEST_ANSWER:
        piece = answer.read1(LONGEST_ANSWER - len(text))
        if not piece:
            break
        text += piece
        if time.monotonic() >= ends:
            raise TimeoutError
    return text


# -- mail ---------------------------------------------------------------------------------------------------------


def mail_goes_out() -> bool:
    """Whether a mail server is set; without one mails are written into the outbox folder."""
    return bool(current_app.config["LIUKE_MAIL_URL"])


def outbox() -> Path:
    """Where mails are written while no server is set."""
    return Path(current_app.config["LIUKE_VAR"]) / "outbox"


@dataclass(frozen=True)
class File:
    """What is attached to a mail."""

    name: str
    mime: str
    content: bytes


def address_in(text: str | None) -> str | None:
    """The address a mail can reach, None if there is none."""
    address = parseaddr(text or "")[1]
    if "@" not in address or address.endswith(".invalid") or any(ord(c) < 33 for c in address):
        return None
    return address


def make_mail(*, to: str, subject: str, text: str, message_id: str, key: str, file: File | None = None) -> EmailMessage:
    """A plain mail, with a file or without. Raises `CannotSend` when the account has no address a mail can reach."""
    address = address_in(to)
    if address is None:
        raise CannotSend(_("The account has no e-mail address that a mail can reach."))
    mail = EmailMessage()
    mail["From"] = current_app.config["LIUKE_MAIL_FROM"]
    mail["To"] = address
    mail["Subject"] = " ".join(subject.split())
    mail["Message-ID"] = message_id
    mail["X-Liuke-Key"] = key
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(text)
    if file is not None:
        main, _slash, sub = file.mime.partition(";")[0].partition("/")
        mail.add_attachment(file.content, maintype=main, subtype=sub, filename=file.name)
    return mail


def send_mail(mail: EmailMessage) -> None:
    """Hand a mail to the mail server, or write it into the outbox where none is set.

    Raises `NotNow` when it may work later, `CannotSend` when the server refuses the address or the login.
    """
    url = current_app.config["LIUKE_MAIL_URL"]
    if not url:
        _file(mail)
        return
    try:
        with _server(url) as server:
            server.send_message(mail)
    except (smtplib.SMTPAuthenticationError, smtplib.SMTPNotSupportedError) as refused:
        raise CannotSend(_("The mail server refused the login (%(kind)s).", kind=type(refused).__name__)) from None
    except smtplib.SMTPRecipientsRefused as refused:
        codes = {int(code) for code, _text in refused.recipients.values()}
        if all(code >= 500 for code in codes):
            raise CannotSend(_("The mail server refused the recipient (%(code)d).", code=max(codes))) from None
        raise NotNow(_("The mail server refused the recipient for now (%(code)d).", code=max(codes))) from None
    except smtplib.SMTPResponseException as refused:
        said = _("The mail server answered with code %(code)d.", code=refused.smtp_code)
        raise (CannotSend if refused.smtp_code >= 550 else NotNow)(said) from None
    except (OSError, smtplib.SMTPException) as away:
        raise NotNow(_("The mail server cannot be reached (%(kind)s).", kind=type(away).__name__)) from None


def _server(url: str) -> smtplib.SMTP:
    parts = urlsplit(url)
    host, user = parts.hostname or "localhost", unquote(parts.username or "")
    patience = PATIENCE * 4  # mail servers think longer
    trust = ssl.create_default_context()
    make: Callable[[], smtplib.SMTP]
    if parts.scheme == "smtps":
        make = lambda: smtplib.SMTP_SSL(host, parts.port or 465, timeout=patience, context=trust)  # noqa: E731
    else:
        make = lambda: smtplib.SMTP(host, parts.port or 587, timeout=patience)  # noqa: E731
    server = make()
    try:
        if parts.scheme != "smtps":
            server.ehlo()
            # A password does not travel in the open: without STARTTLS this raises, except on this machine.
            if server.has_extn("starttls") or (user and host not in ("localhost", "127.0.0.1", "::1")):
                server.starttls(context=trust)
        if user:
            server.login(user, unquote(parts.password or ""))
    except BaseException:
        server.close()
        raise
    return server


def _file(mail: EmailMessage) -> None:
    """Write a mail as a file, whole or not at all; a repeat replaces the same file."""
    folder = outbox()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{mail['X-Liuke-Key']}.eml"
    part = path.with_suffix(f".{os.getpid()}.part")
    part.touch(mode=0o600)
    part.write_bytes(bytes(mail))
    part.replace(path)
    current_app.logger.warning("no mail server is set (LIUKE_MAIL_URL): a mail was written to %s", path)
