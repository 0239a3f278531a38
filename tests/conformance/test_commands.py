"""What a command says is in one language, the company's: its lines, its refusals and the file of rejected rows."""

from __future__ import annotations

import csv
import os
import subprocess
import sys

import pytest
from flask_babel import force_locale

from app.core.clock import utcnow
from app.core.errors import BusinessError
from app.desk.demo import company
from app.desk.demo.people import PASSWORD, accounts
from app.mirror.models import SyncRun
from app.security.people import find_user
from tests.conformance.words import foreign
from tests.support import rows
from tests.world import ROOT

pytestmark = [pytest.mark.once, pytest.mark.usefixtures("redis")]

NEW = ("--family", "Wu", "--given", "Jing", "--role")
ORDERS = "order_no,customer_no,ordered_at,status,amount\n1,2,2026-01-02,new,1\n2,2,,new,1\n3\n"
CALLS = {
    "init": (0, ["init"]),
    "no such role": (1, ["user", "add", "jing", *NEW, "nope", "--generate"]),
    "a taken name": (1, ["user", "add", "wang", *NEW, "executive", "--generate"]),
    "a new account": (0, ["user", "add", "jing", *NEW, "executive", "--generate"]),
    "no such account": (1, ["user", "disable", "nobody"]),
    "a new password": (0, ["user", "password", "wang", "--generate"]),
    "never synced": (1, ["churn"]),
    "a preview": (0, ["churn", "--preview", "--as-of", "2026-05-02T02:00"]),
    "a time to come": (1, ["churn", "--as-of", "2199-01-01"]),
    "no time": (2, ["churn", "--as-of", "2026-99-99"]),
    "estimates": (0, ["estimate", "--as-of", "2026-05-02T02:00"]),
    "no month": (2, ["close", "--month", "2026-13"]),
    "a month to come": (1, ["close", "--month", f"{utcnow().year + 1}-02"]),
    "demo": (1, ["demo"]),
}


@pytest.fixture(params=["zh", "en"])
def crm(request, app, db):
    """`crm("init")` runs a command in one of the languages; the lines it printed hold words of that one alone."""

    def run(*words, code, known=frozenset()):
        db.session.commit()
        with force_locale(request.param):
            result = app.test_cli_runner().invoke(args=["crm", *map(str, words)])
        assert result.exit_code == code, result.output
        assert result.output
        printed = result.output.replace(str(app.config["LIUKE_VAR"]), "")
        assert list(foreign(printed.splitlines(), request.param, known)) == []
        return printed

    run.language = request.param
    return run


@pytest.mark.parametrize("call", list(CALLS))
def test_a_command_speaks_one_language(crm, wang, call):
    code, words = CALLS[call]
    known = frozenset({"nope", "nobody", "wang", "jing", "admin", "due", "opened", "recovered", "open"})  # names, keys
    if "--generate" in words and not code:  # the password is of letters, too
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("app.security.commands.generate_password", lambda: "8#4%2^7&1*9!5?")
            crm(*words, code=code, known=known)
    else:
        crm(*words, code=code, known=known)


def test_loading_the_demo_company_speaks_one_language(crm, world, monkeypatch):
    """Over one that was broken off, to the number of rows; the stages without the work that test_demo looks at."""
    for what in ("make_customers", "make_opportunities", "make_service", "make_marketing", "read_orders", "live_weeks"):
        monkeypatch.setattr(company, what, lambda *_given: None)
    world.everything = True
    company.mark_as_demo(utcnow())
    names = {account.name for account in accounts()}

    printed = crm("demo", code=0, known=names | set(PASSWORD.split("-")))

    zh = crm.language == "zh"
    assert ["admin", PASSWORD, *("超级管理员" if zh else "Super admin").split()] in map(str.split, printed.splitlines())
    assert len(printed.splitlines()) == 1 + 6 + 2 + len(names) + 2
    assert printed.splitlines()[-1].startswith("客户 0 · 联系人 0 · " if zh else "Customers 0 · Contacts 0 · ")


def test_a_sync_and_its_rejected_rows_speak_one_language(crm, tmp_path):
    (tmp_path / "orders.csv").write_text(ORDERS, encoding="utf-8")
    crm("sync", tmp_path, code=0, known=frozenset({"sync"}))
    (run,) = rows(SyncRun)
    with open(run.rejects_file, encoding="utf-8-sig", newline="") as file:
        reasons = [row["reason"] for row in csv.DictReader(file)]
    assert len(reasons) == 3
    assert list(foreign(reasons, crm.language)) == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("jing", *NEW, "nope"), "There is no role with the code “nope”."),
        (("wang", *NEW, "executive"), "There is already an account “wang”."),
        (("?", *NEW, "executive"), "Use 2 to 64 letters, digits and . _ - @ for the account."),
    ],
)
def test_an_account_that_cannot_be_made_is_said_before_a_password_is_asked_for(app, db, wang, words, sentence):
    db.session.commit()
    result = app.test_cli_runner().invoke(args=["crm", "user", "add", *words])
    assert (result.exit_code, result.output) == (1, f"Error: {sentence}\n")
    with pytest.raises(BusinessError):
        find_user("jing")


def test_an_account_that_is_not_there_is_said_before_a_password_is_asked_for(app, db):
    result = app.test_cli_runner().invoke(args=["crm", "user", "password", "nobody"])
    assert (result.exit_code, result.output) == (1, "Error: There is no account “nobody”.\n")


def test_a_refusal_speaks_one_language_in_a_process_of_its_own(app, db):
    """Where it is shown when the application is done already."""
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "run", "crm", "user", "password", "nobody", "--generate"],
        cwd=ROOT, env={**os.environ, "LIUKE_LANGUAGE": "zh"}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "错误：没有账号“nobody”。")


@pytest.mark.parametrize("words", [["add", "jing", *NEW, "executive"], ["password", "wang"]])
def test_nothing_is_held_open_while_a_password_is_typed(app, db, wang, words, monkeypatch):
    """A transaction that waits for longer than a minute is ended by PostgreSQL."""
    open_then = []

    def typed(_generate):
        open_then.append(db.session().in_transaction())
        return "Kf7#pq2!Wz9m"

    monkeypatch.setattr("app.security.commands.ask_password", typed)
    db.session.commit()
    result = app.test_cli_runner().invoke(args=["crm", "user", *words])
    assert (result.exit_code, open_then) == (0, [False])
