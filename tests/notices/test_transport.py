"""Where a message may go: to known hosts over https, to the address that was checked, and nowhere inside."""

from __future__ import annotations

import socket

import pytest

from app.core.clock import utcnow
from app.core.errors import BusinessError
from app.notices import robots, transport
from app.notices.models import Channel, Robot
from app.notices.transport import CannotSend, NotNow, check_url, is_public, post_json, public_addresses
from tests.notices.conftest import URL


@pytest.mark.parametrize(
    "url",
    [
        "http://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=1",
        "ftp://qyapi.weixin.qq.com/",
        "file:///etc/passwd",
        "//qyapi.weixin.qq.com/x",
        "qyapi.weixin.qq.com/x",
        "https://qyapi.weixin.qq.com:8443/x",
        "https://qyapi.weixin.qq.com:0/x",
        "https://qyapi.weixin.qq.com:99999/x",
        "https://user:password@qyapi.weixin.qq.com/x",
        "https://qyapi.weixin.qq.com@evil.example/x",
        "https://evil.example#@qyapi.weixin.qq.com/",
        "https://qyapi.weixin.qq.com/x#part",
        "https://qyapi.weixin.qq.com.evil.example/x",
        "https://evil.example/qyapi.weixin.qq.com",
        "https://qyapi.weixin.qq.com./x",
        "https://qyapi.weixin.qq.com\\@evil.example/x",
        "https://qyapi.weixin.qq.com/a b",
        "https://qyapi.weixin.qq.com/\r\nHost: evil.example",
        "https://qyаpi.weixin.qq.com/x",  # a Cyrillic letter
        "https://127.0.0.1/x",
        "https://2130706433/x",
        "https://0x7f.1/x",
        "https://[::1]/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://169.254.169.254/latest/meta-data/",
        "https://localhost/x",
        "https://[/x",
        "",
    ],
)
def test_an_address_elsewhere_is_refused(app, db, url):
    with app.test_request_context(), pytest.raises(CannotSend):
        check_url(url)


@pytest.mark.parametrize(
    "url",
    [URL, "https://oapi.dingtalk.com:443/robot/send?access_token=1", "https://OPEN.feishu.cn/open-apis/bot/v2/hook/1"],
)
def test_the_three_hosts_are_allowed(app, url):
    with app.test_request_context():
        assert check_url(url) in transport.ROBOT_HOSTS


def test_a_setting_allows_another_host(app, db):
    with app.test_request_context():
        with pytest.raises(CannotSend):
            check_url("https://robots.company.example/x")
        app.config["LIUKE_ROBOT_HOSTS"] = ["robots.company.example"]
        assert check_url("https://robots.company.example/x") == "robots.company.example"


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True), ("2001:4860:4860::8888", True), ("::ffff:8.8.8.8", True),
        ("127.0.0.1", False), ("127.9.9.9", False), ("0.0.0.0", False), ("10.1.2.3", False), ("172.16.0.1", False),
        ("172.31.255.255", False), ("192.168.1.1", False), ("169.254.169.254", False), ("100.64.0.1", False),
        ("224.0.0.1", False), ("240.0.0.1", False), ("255.255.255.255", False), ("192.0.2.1", False),
        ("198.18.0.1", False), ("::1", False), ("::", False), ("fe80::1", False), ("fe80::1%eth0", False),
        ("fc00::1", False), ("ff02::1", False), ("::ffff:127.0.0.1", False), ("::ffff:10.0.0.1", False),
        ("64:ff9b::7f00:1", False), ("2002:7f00:1::", False), ("2001:0:1::1", False), ("2001:db8::1", False),
        ("fec0::1", False), ("feff::1", False), ("3fff::1", False), ("3fff:fff::1", False), ("5f00::1", False),
        ("nonsense", False), ("", False),
    ],
)  # fmt: skip
def test_which_addresses_are_public(address, public):
    assert is_public(address) is public


def resolving(monkeypatch, *answers):
    """Let the name stand for these addresses, one answer after the other."""
    kept = [list(answer) for answer in answers]

    def look(_host, port, **_given):
        found = kept.pop(0) if len(kept) > 1 else kept[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", look)


@pytest.mark.parametrize("inside", ["127.0.0.1", "10.0.0.5", "169.254.169.254", "::1", "fe80::1", "::ffff:192.168.0.1"])
def test_one_address_inside_is_enough_to_refuse(app, monkeypatch, inside):
    resolving(monkeypatch, ["8.8.8.8", inside])
    with app.test_request_context(), pytest.raises(CannotSend, match="private network"):
        public_addresses("qyapi.weixin.qq.com")


def test_a_name_that_stands_for_nothing_is_tried_later(app, monkeypatch):
    def nobody(*_anything, **_given):
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    with app.test_request_context(), pytest.raises(NotNow):
        public_addresses("qyapi.weixin.qq.com")


def test_the_connection_goes_to_the_address_that_was_checked(app, monkeypatch):
    """DNS rebinding: the second answer is an inside one, and nobody asks for it."""
    resolving(monkeypatch, ["8.8.8.8"], ["127.0.0.1"])
    dialled = []

    def dial(address, timeout=None):
        dialled.append((address, timeout))
        raise OSError

    monkeypatch.setattr(socket, "create_connection", dial)
    with app.test_request_context(), pytest.raises(NotNow, match="cannot be reached"):
        post_json(URL, {}, key="k")
    assert dialled == [(("8.8.8.8", 443), transport.PATIENCE)]


def test_a_certificate_of_another_host_is_no_connection(app, monkeypatch, tmp_path):
    asked = []

    class Context:
        def wrap_socket(self, _raw, server_hostname):
            asked.append(server_hostname)
            raise transport.ssl.SSLCertVerificationError

    class Raw:
        closed = False

        def close(self):
            self.closed = True

    raw = Raw()
    resolving(monkeypatch, ["8.8.8.8"])
    monkeypatch.setattr(socket, "create_connection", lambda *_a, **_g: raw)
    monkeypatch.setattr(transport.ssl, "create_default_context", Context)
    with app.test_request_context(), pytest.raises(NotNow):
        post_json(URL, {}, key="k")
    assert asked == ["qyapi.weixin.qq.com"]
    assert raw.closed


def test_a_redirect_is_not_followed(app, host):
    host.answer(302, {}, Location="http://169.254.169.254/")
    with app.test_request_context(), pytest.raises(CannotSend, match="302"):
        post_json(URL, {}, key="k")
    assert len(host.heard) == 1


@pytest.mark.parametrize(
    ("status", "body", "refusal"),
    [
        (500, {}, NotNow), (503, {}, NotNow), (429, {}, NotNow), (404, {}, CannotSend), (200, b"<html>", CannotSend),
        (200, b"[1]", CannotSend), (200, b"", CannotSend), (200, b"\xff\xfe", CannotSend),
    ],
)  # fmt: skip
def test_what_a_host_may_answer(app, host, status, body, refusal):
    host.answer(status, body)
    with app.test_request_context(), pytest.raises(refusal) as refused:
        post_json(URL, {}, key="k")
    assert "0123456789abcdef" not in str(refused.value)


def test_an_endless_answer_is_cut_off(app, host, monkeypatch):
    monkeypatch.setattr(transport, "LONGEST_ANSWER", 1000)
    host.answer(200, b" " * 5000 + b'{"errcode": 0}')
    with app.test_request_context(), pytest.raises(CannotSend):
        post_json(URL, {}, key="k")


def test_a_message_names_itself(app, host):
    with app.test_request_context():
        assert post_json(URL, {"text": "你好"}, key="robot-1-7") == {"errcode": 0}
    path, headers, body = host.heard[0]
    assert path == "/cgi-bin/webhook/send?key=0123456789abcdef"
    assert headers["Idempotency-Key"] == "robot-1-7"
    assert headers["Host"] == "qyapi.weixin.qq.com"
    assert body == {"text": "你好"}


# -- the three robots -----------------------------------------------------------------------------------------------


def test_dingtalk_signs_in_the_address():
    at = utcnow().replace(year=2026, month=1, day=2, hour=3, minute=4, second=5, microsecond=0)
    url, body = robots.message(
        Channel.dingtalk, "https://oapi.dingtalk.com/robot/send?access_token=t", "SECabc", "x", at
    )
    assert body == {"msgtype": "text", "text": {"content": "x"}}
    # echo -en "1767323045000\nSECabc" | openssl dgst -sha256 -hmac SECabc -binary | base64
    assert url.endswith("&timestamp=1767323045000&sign=" + SIGNED_BY_OPENSSL["dingtalk"])


def test_feishu_signs_in_the_body():
    at = utcnow().replace(year=2026, month=1, day=2, hour=3, minute=4, second=5, microsecond=0)
    url, body = robots.message(Channel.feishu, "https://open.feishu.cn/open-apis/bot/v2/hook/t", "abc", "x", at)
    assert url == "https://open.feishu.cn/open-apis/bot/v2/hook/t"
    assert body == {
        "timestamp": "1767323045", "sign": SIGNED_BY_OPENSSL["feishu"], "msg_type": "text", "content": {"text": "x"},
    }  # fmt: skip


SIGNED_BY_OPENSSL = {
    "dingtalk": "JXvpEYo3PRYbt%2B2pOfK%2BjFnksavpFCyxSBJoUrbZt%2Bg%3D",
    "feishu": "Xw5ETLzcgQCA1JBUo6ma7MIQGa/ISZyrPEW/R57DLYc=",
}


def test_without_a_key_nothing_is_signed():
    for channel in robots.HOSTS:
        url, body = robots.message(channel, URL, None, "x", utcnow())
        assert url == URL
        assert "sign" not in body


@pytest.mark.parametrize(
    ("answer", "refusal"),
    [
        ({"errcode": 0, "errmsg": "ok"}, None), ({"code": 0}, None), ({"StatusCode": 0}, None),
        ({"errcode": 45009}, NotNow), ({"errcode": 130101}, NotNow), ({"code": 9499}, NotNow),
        ({"errcode": 93000, "errmsg": "invalid webhook url"}, CannotSend), ({"errcode": 310000}, CannotSend),
        ({"code": 19021}, CannotSend), ({}, CannotSend), ({"errcode": "0"}, CannotSend),
    ],
)  # fmt: skip
def test_what_robots_answer(app, host, answer, refusal):
    host.answer(200, answer)
    with app.test_request_context():
        if refusal is None:
            robots.say(Channel.wecom, URL, None, "x", key="k", now=utcnow())
        else:
            with pytest.raises(refusal):
                robots.say(Channel.wecom, URL, None, "x", key="k", now=utcnow())
    assert len(host.heard) == 1


def test_a_long_text_is_cut_between_characters():
    text = robots.cut("留" * 1000)
    assert len(text.encode()) <= robots.LONGEST
    assert text.endswith("留…")
    assert robots.cut("short") == "short"


def test_an_address_is_shown_without_its_secret():
    assert Robot(url=URL).masked == "qyapi.weixin.qq.com/…cdef"


def test_refusals_are_sentences_people_read(app):
    with app.test_request_context(), pytest.raises(BusinessError, match="hosts only"):
        check_url("https://evil.example/")


# -- mail -----------------------------------------------------------------------------------------------------------


def mail(app, **given):
    given = {"to": "wang@liuke.example", "subject": "主题", "text": "正文", "message_id": "<k@x>", "key": "k", **given}
    return transport.make_mail(**given)


@pytest.mark.parametrize("to", ["", "nobody", "a@liuke.invalid", "a@b\r\nBcc: evil@example.com"])
def test_an_account_without_an_address_gets_no_mail(app, to):
    with app.test_request_context():
        try:
            made = mail(app, to=to)
        except CannotSend:
            return
        assert "evil" not in str(made["To"])
        assert made["Bcc"] is None


def test_a_subject_cannot_add_a_header(app):
    with app.test_request_context():
        made = mail(app, subject="a\r\nBcc: evil@example.com")
    assert made["Bcc"] is None


def test_without_a_server_a_mail_is_a_file_of_this_account_alone(app, db, caplog):
    with app.test_request_context():
        for _time in range(2):
            transport.send_mail(mail(app, key="mail-1-2026-11-22"))
    (path,) = transport.outbox().glob("mail-1-*")
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0
    assert b"Message-ID: <k@x>" in path.read_bytes()
    line = f"no mail server is set (LIUKE_MAIL_URL): a mail was written to {path}"
    assert [record.message for record in caplog.records] == [line, line]  # and not what it says
    path.unlink()


def test_a_server_gets_the_mail(app, db, mail_server):
    app.config["LIUKE_MAIL_URL"] = mail_server.url
    with app.test_request_context():
        transport.send_mail(mail(app))
    assert "Message-ID: <k@x>" in mail_server.mails[0]
    assert "X-Liuke-Key: k" in mail_server.mails[0]


@pytest.mark.parametrize(
    ("said", "refusal"), [("550 no such person", CannotSend), ("451 come again", NotNow), ("421 busy", NotNow)]
)
def test_what_a_mail_server_may_say(app, db, mail_server, said, refusal):
    app.config["LIUKE_MAIL_URL"] = mail_server.url
    mail_server.refusals.append(said)
    with app.test_request_context(), pytest.raises(refusal):
        transport.send_mail(mail(app))
    assert mail_server.mails == []


def test_a_server_that_is_away_is_tried_later(app, db, mail_server):
    app.config["LIUKE_MAIL_URL"] = "smtp://127.0.0.1:1"
    with app.test_request_context(), pytest.raises(NotNow):
        transport.send_mail(mail(app))


def test_a_password_does_not_travel_in_the_open(app, db, monkeypatch):
    class Plain:
        def __init__(self, *_anything, **_given):
            self.said = []

        def ehlo(self):
            return None

        def has_extn(self, _name):
            return False

        def starttls(self, **_given):
            raise transport.smtplib.SMTPNotSupportedError

        def login(self, *_anything):
            pytest.fail("the password was sent")

        def close(self):
            return None

    monkeypatch.setattr(transport.smtplib, "SMTP", Plain)
    app.config["LIUKE_MAIL_URL"] = "smtp://me:secret@mail.example:587"
    with app.test_request_context(), pytest.raises(CannotSend) as refused:
        transport.send_mail(mail(app))
    assert "secret" not in str(refused.value)
