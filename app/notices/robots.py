"""What each kind of group robot wants to be told, how it checks who speaks, and what it answers."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime
from typing import Any
from urllib.parse import quote_plus, urlsplit

from app.core.sentences import gettext as _
from app.notices.models import Channel
from app.notices.transport import CannotSend, NotNow, post_json

LONGEST = 1_900  # bytes of a text: the shortest limit of the three is 2,048
LINES, LINE = 8, 210  # lines of a text and bytes of each: with a head they always fit
HARMLESS = str.maketrans("<>", "＜＞")  # in angle brackets robots read whom to ping
BUSY = frozenset({45009, 130101, 11232, 9499, -1})  # codes for "too many messages" or "busy": later
HOSTS = {
    Channel.wecom: "qyapi.weixin.qq.com",
    Channel.dingtalk: "oapi.dingtalk.com",
    Channel.feishu: "open.feishu.cn",
}
SIGNED = (Channel.dingtalk, Channel.feishu)  # robots that may ask for a signature


def say(channel: Channel, url: str, secret: str | None, text: str, *, key: str, now: datetime) -> None:
    """Let a robot say `text`. Raises `CannotSend` or `NotNow`; their texts name no address and no key."""
    address, body = message(channel, url, secret, cut(text.translate(HARMLESS)), now)
    told = post_json(address, body, key=key)
    code = told.get("errcode", told.get("code", told.get("StatusCode")))
    if code == 0:
        return
    if not isinstance(code, int):
        raise CannotSend(_("The robot's host did not answer as a robot does."))
    if code in BUSY:
        raise NotNow(_("The robot is busy (code %(code)d).", code=code))
    raise CannotSend(_("The robot refused the message (code %(code)d).", code=code))


def message(channel: Channel, url: str, secret: str | None, text: str, now: datetime) -> tuple[str, dict[str, Any]]:
    """The address and the JSON body of a text message, signed where there is a secret."""
    if channel == Channel.feishu:
        body: dict[str, Any] = {"msg_type": "text", "content": {"text": text}}
        if secret:
            stamp = str(int(now.timestamp()))
            body = {"timestamp": stamp, "sign": _hmac(f"{stamp}\n{secret}", ""), **body}
        return url, body
    body = {"msgtype": "text", "text": {"content": text}}
    if channel == Channel.dingtalk and secret:
        stamp = str(int(now.timestamp() * 1000))
        sign = quote_plus(_hmac(secret, f"{stamp}\n{secret}"))
        url = f"{url}{'&' if urlsplit(url).query else '?'}timestamp={stamp}&sign={sign}"
    return url, body


def _hmac(key: str, text: str) -> str:
    return base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()).decode()


def cut(text: str, longest: int = LONGEST) -> str:
    """`text` in at most so many bytes, by default as long as every robot takes it."""
    raw = text.encode()
    return text if len(raw) <= longest else raw[: longest - 3].decode(errors="ignore") + "…"


def line(text: str) -> str:
    """`text` as one of the LINES of a message: on one line, and short enough for the others to fit."""
    return cut(" ".join(text.split()).translate(HARMLESS), LINE)
