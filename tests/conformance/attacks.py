"""What attackers type: markup that would run, statements, templates, addresses outside. And what only looks like it."""

from __future__ import annotations

MARKUP = (
    "<b onclick=x()>",
    "<svg onload=x()>",
    "<script>x()</script>",
    "</script><script>x()</script>",
    "<img src=x onerror=x()>",
    "'><img src=x onerror=x()>",
    '"><svg/onload=x()>',
    '" autofocus onfocus=x() a="',
    "' onmouseover=x() a='",
    " onpointerover=x() ",
    "javascript:x()",
    "JaVaScRiPt&colon;x()",
    "java\tscript:x()",
    "data:text/html,<script>x()</script>",
    "</textarea><script>x()</script>",
    "</title><svg onload=x()>",
    "--><svg onload=x()>",
    "]]><svg onload=x()>",
    "</option></select><svg onload=x()>",
    "</style><svg onload=x()>",
    "&lt;svg onload=x()&gt;",
    "<math><a xlink:href=javascript:x()>",
    "<iframe srcdoc='<svg onload=x()>'>",
    '" hx-on:load="x()" a="',
    "＜svg onload=x()＞<svg\u2028onload=x()>",
)
"""Texts that would run in a browser somewhere: in text, in an attribute, in an address, in a chart, in a comment."""

QUERIES = (
    "'", '"', "`", "\\", "';--", "' OR '1'='1", "' OR 1=1--", '" OR ""="', "') OR ('1'='1", "1 OR 1=1",
    "1; DROP TABLE customer", "'; DROP TABLE customer;--", "' UNION SELECT NULL--",
    "' UNION SELECT password FROM ab_user--", "1) UNION SELECT 1--", "' AND SLEEP(5)--",
    "'; SELECT pg_sleep(5)--", "' AND 1=CAST(version() AS int)--", "' || (SELECT 1) || '", "1/*comment*/", "%",
    "_", "%' OR '%'='", "x' ESCAPE '", "id DESC; SELECT 1", "(SELECT 1)", "CASE WHEN 1=1 THEN id END", ":param",
    "%(param)s", "$1", "?", "{{7*7}}", "${7*7}", "<%= 7*7 %>", "{% raw %}", "#{7*7}", "*)(uid=*))(|(uid=*",
    "admin)(&)", "../../etc/passwd", "\r\nSet-Cookie: a=b",
)  # fmt: skip
"""Forty texts that end a statement, a template or a search early, or begin another one."""

ELSEWHERE = (
    "http://evil.example", "https://evil.example/x", "//evil.example", "//evil.example/x", "///evil.example",
    "////evil.example", "/\\evil.example", "\\\\evil.example", "\\/evil.example", "/\t/evil.example",
    "/\n/evil.example", "\t//evil.example", " //evil.example", "\u3000//evil.example", "http:evil.example",
    "http:/evil.example", "https:evil.example", "http:\\\\evil.example", "hTTp://evil.example",
    "javascript:alert(1)", "JavaScript:alert(1)", "java\nscript:alert(1)", "data:text/html,x", "vbscript:x",
    "ftp://evil.example", "mailto:a@evil.example", "http://localhost@evil.example",
    "http://localhost:x@evil.example/", "//localhost@evil.example", "http://evil.example#@localhost/",
    "http://localhost.evil.example/", "/%09/evil.example", "/%5cevil.example", "/..//evil.example",
    "/.//evil.example", "http://[::1]@evil.example", "http://[", "//[", "http://\u2024evil.example",
    "/\r\nLocation: http://evil.example",
)  # fmt: skip
"""Forty addresses that lead away, or would if they were read carelessly."""

HOSTS = (
    "evil.example", "evil.example:80", "localhost.evil.example", "evil.example#localhost", "evil.example/localhost",
    "localhost@evil.example", "localhost,evil.example", "evil.example localhost", "[::1].evil.example", "",
)  # fmt: skip
"""Names of hosts that are not ours."""

TYPED = (
    "\0", "a\0b", "\ufeff\u200b\u200e", "\u202egnp.exe", "مرحبا بالعالم", "👩‍👩‍👧‍👦🏳️‍🌈", "𠮷野家", "é" * 60,
    "e\u0301" * 30, "\ud800", "a\udfffb", "\U0010ffff", "\ufffe", "长" * 3001, "line\r\nline\rline\nline",
    "\t tab \t", "\x1b[31m\x07\x08", "0", "-0", "-1", "1e400", "NaN", "Infinity", "0x10", "1_000", "٣٤", "１２３",
    "9" * 30, "-9223372036854775809", "0.001", "999999999999.99", "1,234.50", "2026-02-30", "0000-00-00",
    "0001-01-01", "9999-12-31", "99999-01-01", "2026-11-22T14:30", "2026-11-22T25:61", "9999-12-31T23:59",
    "0001-01-01T00:00", "2026-11-22 14:30+25:00", "tomorrow", "null", "None", "undefined", "[]", "{}", "true",
    "=cmd|'/c calc'!A0", "http://例え.テスト", "a@b", "x" * 201,
)  # fmt: skip
"""Texts, numbers and dates that fields meet once they are out in the world."""
