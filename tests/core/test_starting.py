"""With a key or a password that everybody knows, or a door left open, nothing starts."""

from __future__ import annotations

import os
import re
import runpy
import secrets
import subprocess
import sys

import pytest
from limits import parse_many

from app.core.starting import is_weak, why_not
from tests.world import ROOT

pytestmark = pytest.mark.once

GOOD = {
    "SECRET_KEY": secrets.token_urlsafe(48), "LIUKE_HTTPS": True, "LIUKE_HOSTS": ["crm.example.com"],
    "LIUKE_HOST": "127.0.0.1", "LIUKE_PROXIES": 1, "LIUKE_DEMO": False,
    "SQLALCHEMY_DATABASE_URI": "postgresql+psycopg2://liuke:9v-HqT2kLw@db/liuke",
    "REDIS_URL": "redis://:9v-HqT2kLw@redis:6379/0", "FAB_PASSWORD_HASH_METHOD": "scrypt:32768:8:3",
}  # fmt: skip

ALONE = {"LIUKE_HTTPS": False, "LIUKE_HOSTS": [], "LIUKE_PROXIES": 0, "LIUKE_HOST": "127.0.0.1"}
"""What only one's own machine reaches."""

REFUSED = {
    "a short key": ({"SECRET_KEY": "k3Jd9"}, "SECRET_KEY"),
    "a key of one character": ({"SECRET_KEY": "x" * 64}, "SECRET_KEY"),
    "a sample key": ({"SECRET_KEY": "change-me-change-me-your-secret-key"}, "SECRET_KEY"),
    "debugging": ({"debug": True}, "FLASK_DEBUG"),
    "any name": ({"LIUKE_HOSTS": []}, "LIUKE_HOSTS"),
    "the demo company": ({"LIUKE_DEMO": True}, "LIUKE_DEMO=0"),
    "the example's password": ({"SQLALCHEMY_DATABASE_URI": "postgresql://liuke:password@db/liuke"}, "DATABASE_URL"),
    "its password of Redis": ({"REDIS_URL": "redis://:password@redis:6379/0"}, "REDIS_URL"),
    "a cheap hash": ({"FAB_PASSWORD_HASH_METHOD": "pbkdf2:sha256:1000"}, "LIUKE_PASSWORD_HASH"),
}


def refusals(**change):
    debug = change.pop("debug", False)
    return why_not({**GOOD, **change}, debug=debug)


def test_nine_of_nine_are_refused_each_with_its_sentence():
    assert len(REFUSED) == 9
    assert refusals() == []
    for change, named in REFUSED.values():
        (sentence,) = refusals(**change)
        assert named in sentence


@pytest.mark.parametrize("name", [name for name in REFUSED if "key" not in name])
def test_on_ones_own_machine_only_the_key_counts(name):
    change, _named = REFUSED[name]
    assert refusals(**{**ALONE, **change}) == []


@pytest.mark.parametrize("name", [name for name in REFUSED if name not in ("any name",)])
@pytest.mark.parametrize(
    "others",
    [
        {"LIUKE_HTTPS": True}, {"LIUKE_PROXIES": 1}, {"LIUKE_HOST": "0.0.0.0"}, {"LIUKE_HOST": ""},
        {"LIUKE_HOST": "::"}, {"LIUKE_HOST": "crm.example.com"},
    ],
    ids=str,
)  # fmt: skip
def test_whoever_others_can_reach_is_in_production(others, name):
    """A name is asked for, beside what the name itself would have been asked."""
    change, named = REFUSED[name]
    assert refusals(**{**ALONE, "LIUKE_HOST": "localhost"}) == []
    asked, sentence = sorted(refusals(**{**ALONE, **others, **change}), key=lambda text: "LIUKE_HOSTS" not in text)
    assert "LIUKE_HOSTS" in asked
    assert named in sentence


@pytest.mark.parametrize("key", ["", "x" * 31, "secret" * 8, "0123456789abcdef", "dev-" * 10, "ab" * 30])
def test_a_key_that_can_be_guessed_is_weak_everywhere(key):
    assert is_weak(key)
    assert refusals(**ALONE, SECRET_KEY=key) != []


@pytest.mark.parametrize(
    ("method", "dear"),
    [
        ("scrypt:32768:8:3", True), ("scrypt:65536:8:2", True), ("scrypt:131072:8:1", True), ("scrypt:65536:9:3", True),
        ("scrypt:2:1:1", False), ("scrypt:1024:8:1", False), ("scrypt:32768:8:1", False), ("scrypt:32768:8:2", False),
        ("scrypt:65536:8:1", False), ("scrypt:32768:1:24", False), ("scrypt:16384:8:3", False), ("scrypt", False),
        ("scrypt:32768:8", False), ("scrypt:a:b:c", False), ("scrypt:32768:8:3:", False), ("", False),
    ],
)  # fmt: skip
def test_a_hash_is_dear_from_owasps_strength_on(method, dear):
    assert (refusals(FAB_PASSWORD_HASH_METHOD=method) == []) is dear


def test_keys_that_we_make_are_strong():
    for _n in range(200):
        assert not is_weak(secrets.token_urlsafe(48))
        assert not is_weak(secrets.token_hex(16))


def test_addresses_without_a_password_are_fine():
    assert refusals(SQLALCHEMY_DATABASE_URI="sqlite:////var/liuke.db", REDIS_URL="unix:///run/redis.sock?db=0") == []


def test_the_process_ends_before_anything_is_opened(tmp_path):
    environment = {**os.environ, "SECRET_KEY": "secret", "LIUKE_VAR": str(tmp_path), "DATABASE_URL": ""}
    done = subprocess.run(
        [sys.executable, "-c", "import run"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert "SECRET_KEY is too weak or a sample" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


MISTYPED = {
    "LIUKE_LOGIN_LIMIT": ("ten per 5 minutes", "10 per 5 minuts", "10", "10 per"),
    "LIUKE_LOGIN_LIMIT_PER_ADDRESS": ("100 in 5 minutes",),
    "LIUKE_CODE_LIMIT": ("50 per dya", "50 per day; many"),
    "LIUKE_LINK_LIMIT": ("five per hour",),
    "LIUKE_SECOND_LOGIN": ("Refuse", "deny"),
    "LIUKE_CUSTOMERS_SHARED": ("none", "Team"),
    "LIUKE_LOG": ("JSON", "jsonl"),
    "LIUKE_LANGUAGE": ("de", "english"),
    "LIUKE_TIMEZONE": ("Mars", "Asia", "../etc/passwd", "+8"),
    "LIUKE_URL": ("crm.example.com", "//crm.example.com"),
    "LIUKE_HTTPS": ("ture", "enabled", "2", "y", "1;"),
    "LIUKE_DEMO": ("none", "-1", "flase"),
    **dict.fromkeys(
        (
            "LIUKE_PORT", "LIUKE_CHURN_MONTHS", "LIUKE_MIRROR_STALE_DAYS", "LIUKE_CLOSE_DAY", "LIUKE_CAMPAIGN_DAYS",
            "LIUKE_IDLE_MINUTES", "LIUKE_SESSION_HOURS", "LIUKE_REAUTH_MINUTES", "LIUKE_REMEMBER_IDLE_DAYS",
            "LIUKE_REMEMBER_DAYS", "LIUKE_LINK_MINUTES", "LIUKE_WEB_WORKERS", "LIUKE_BACKUPS_KEPT", "LIUKE_UPLOAD_MB",
        ),
        ("0", "-5", "half"),
    ),
    **dict.fromkeys(("LIUKE_PROXIES", "LIUKE_ESCALATE_HOURS", "LIUKE_PURGE_AFTER_DAYS"), ("-1", "one")),
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in MISTYPED.items() for value in values])
def test_a_mistyped_setting_is_a_sentence_and_no_other_setting(name, value, monkeypatch):
    """None falls back to its default, nor to no limit at all."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as why:
        runpy.run_path(str(ROOT / "config.py"))
    assert str(why.value).startswith(f"{name} ")
    assert repr(value) in str(why.value)


def test_every_flag_and_number_of_the_settings_has_such_a_case():
    names = re.findall(
        r'= (?:flag|number|day_of_month|time_zone|one_of|limit|mail_base)\((?:os\.environ\.get\()?"(\w+)"',
        (ROOT / "config.py").read_text(),
    )
    assert set(names) == set(MISTYPED)
    assert len(names) > 25


@pytest.mark.parametrize("value", ["3=9,5=-12", "3=0", "3"])
def test_levels_have_months(value, monkeypatch):
    monkeypatch.setenv("LIUKE_CHURN_MONTHS_BY_LEVEL", value)
    with pytest.raises(SystemExit, match="LIUKE_CHURN_MONTHS_BY_LEVEL reads like"):
        runpy.run_path(str(ROOT / "config.py"))


@pytest.mark.parametrize(
    ("value", "secure"),
    [("1", True), ("true", True), ("YES", True), (" On ", True), ("0", False), ("False", False), ("no", False),
     ("off", False), ("", False)],
)  # fmt: skip
def test_a_flag_is_yes_or_no_in_the_words_people_use(value, secure, monkeypatch):
    monkeypatch.setenv("LIUKE_HTTPS", value)
    settings = runpy.run_path(str(ROOT / "config.py"))["Config"]
    assert settings.SESSION_COOKIE_SECURE is secure
    assert ("__Host-liuke" if secure else "liuke") == settings.SESSION_COOKIE_NAME


@pytest.mark.parametrize(
    "value", ["", " 3 per minute ", "3/minute", "10 per 5 minutes; 50 per day", "3/minute, 9/hour"]
)
def test_a_limit_is_written_as_the_library_reads_it(value, monkeypatch):
    monkeypatch.setenv("LIUKE_LOGIN_LIMIT", value)
    settings = runpy.run_path(str(ROOT / "config.py"))["Config"]
    assert (value.strip() or "10 per 5 minutes") == settings.LIUKE_LOGIN_LIMIT
    assert len(parse_many(f"{settings.LIUKE_LOGIN_LIMIT};50 per day")) in (2, 3)  # as the second step asks


@pytest.mark.parametrize(
    ("url", "hosts", "base"),
    [
        ("", "crm.example.com, 10.0.0.11", "https://crm.example.com"), ("", ".example.com", "https://example.com"),
        ("https://kunden.example.com/", "crm.example.com", "https://kunden.example.com"), ("", "", ""),
    ],
)  # fmt: skip
def test_links_in_mails_begin_with_a_name_that_is_served(url, hosts, base, monkeypatch):
    """Production has LIUKE_HOSTS, or it does not start; so no link there leads to the machine itself."""
    monkeypatch.setenv("LIUKE_URL", url)
    monkeypatch.setenv("LIUKE_HOSTS", hosts)
    assert base == runpy.run_path(str(ROOT / "config.py"))["Config"].LIUKE_URL


def test_the_example_of_a_server_says_where_its_links_lead(monkeypatch):
    lines = (ROOT / "deploy" / "liuke.env.example").read_text().splitlines()
    monkeypatch.delenv("LIUKE_PASSWORD_HASH")  # the tests have a cheap one
    example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    for name, value in {**example, "SECRET_KEY": GOOD["SECRET_KEY"]}.items():
        monkeypatch.setenv(name, value)
    settings = vars(runpy.run_path(str(ROOT / "config.py"))["Config"])
    assert settings["LIUKE_URL"] == f"https://{settings['LIUKE_HOSTS'][0]}" == example["LIUKE_URL"]
    refused = why_not(settings, debug=False)
    assert ["DATABASE_URL" in refused[0], "REDIS_URL" in refused[1], len(refused)] == [True, True, 2]


SECRETS = {
    "a private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY",
    "a key of a service": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_\w{30,}|\bgithub_pat_\w{30,}|\bglpat-[\w-]{20}"
    r"|\bxox[abprs]-[\w-]{10,}|\b[rs]k_live_\w{20,}|\bAIza[\w-]{35}|\bpypi-AgE[\w-]{40,}|\bnpm_\w{36}",
    "a signed token": r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}",
    "a key of ours": r"(?im)^[^#\n]*\bSECRET_KEY\s*[=:]\s*[\"']?[\w+/=-]{32,}",
}
NOT_OURS = {"node_modules", "var", "vendor", "__pycache__"}


def findings(text):
    return [name for name, pattern in SECRETS.items() if re.search(pattern, text)]


def test_no_secret_lies_among_the_files():
    """What is written by hand only: neither git's own files, nor environments, nor the libraries of browsers."""
    found, read = [], 0
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in NOT_OURS and (not name.startswith(".") or name == ".ci")]
        for name in names:
            try:
                text = (ROOT / folder / name).read_text()
            except UnicodeDecodeError:
                continue  # a picture, a font, a compiled catalogue
            read += 1
            found += [f"{folder}/{name}: {what}" for what in findings(text)]
    assert found == []
    assert read > 500


def test_what_a_secret_looks_like_is_known():
    name = "SECRET" + "_KEY"  # so that these lines are none themselves
    samples = (
        "-----BEGIN RSA " + "PRIVATE KEY-----", "AKIA" + "A1B2C3D4E5F6G7H8", "ghp_" + "a1" * 18,
        "eyJ" + "hbGciOiJIUzI1NiJ9" + ".eyJ" + "zdWIiOiIxMjM0In0" + ".c2lnbmF0dXJl", f"{name}={secrets.token_hex(16)}",
    )  # fmt: skip
    assert [text for text in samples if len(findings(text)) != 1] == []
    assert findings(f"{name} = os.environ['{name}']") == []
