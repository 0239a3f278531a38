"""The ledgers: what is allowed to change only where everybody sees it in the diff.

`python -m tests.conformance.ledgers` writes them again; look at the diff before you commit it.
routes.json: every address, the right it needs, the seeded roles that hold it. A new open door is a new line.
rights.csv: what everybody gets from every address, of own, foreign and missing rows (probes.py).
lists.json: SQL statements and kilobytes of HTML of the first page of every list.
forms.json: SQL statements and options of every page with something to choose, where every list is long.
reports.json: SQL statements of every report's page, and the rollups and records of the sales system that they read.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from app.reports import catalogue
from tests.conformance.house import routes, screens
from tests.support import Browser, statements

FOLDER = Path(__file__).parent
ROUTES, LISTS, FORMS, REPORTS = (FOLDER / f"{name}.json" for name in ("routes", "lists", "forms", "reports"))
SALES = ("customer_month", "customer_stats", "customer_year", "order_line", "sales_order")


def roles_by_right() -> dict[tuple[str, str], list[str]]:
    """(permission, view) -> codes of the seeded roles that hold it in the database."""
    from flask_appbuilder.security.sqla.models import Permission, PermissionView, ViewMenu, assoc_permissionview_role

    from app.extensions import db
    from app.security.models import RoleProfile

    held: dict[tuple[str, str], list[str]] = {}
    granted = assoc_permissionview_role.c
    for permission, view, code in db.session.execute(
        sa.select(Permission.name, ViewMenu.name, RoleProfile.code)
        .join(PermissionView, PermissionView.permission_id == Permission.id)
        .join(ViewMenu, ViewMenu.id == PermissionView.view_menu_id)
        .join(assoc_permissionview_role, granted.permission_view_id == PermissionView.id)
        .join(RoleProfile, RoleProfile.role_id == granted.role_id)
        .where(RoleProfile.code.is_not(None))
        .order_by(RoleProfile.code)
    ):
        held.setdefault((permission, view), []).append(code)
    return held


def route_ledger(app: Flask) -> dict[str, str]:
    """`GET,POST /opportunities/assign/<pk>` -> `can_assign on Opportunity: sales_lead, super_admin`."""
    held = roles_by_right()
    return {
        f"{','.join(route.methods)} {route.url}": (
            f"{route.name}: {', '.join(held.get(route.right, ['nobody']))}" if route.right else "everybody"
        )
        for route in routes(app)
    }


def list_ledger(
    app: Flask, browser: Browser, *, query: str = "", only: tuple[str, ...] = ()
) -> dict[str, dict[str, int]]:
    """Of every list, or `only` those: the SQL statements of its first page, and its HTML in full kilobytes.

    `query` is added to the address, with the name of the screen for %s.
    """
    ledger = {}
    for view in sorted(screens(app), key=lambda view: view.endpoint):
        if "list" in view.exclude_route_methods:
            continue
        url = f"{view.route_base}/list/"
        if only and url not in only:
            continue
        asked = url + (query % type(view).__name__ if query else "")
        browser.get(asked)  # whatever is kept in memory is kept now
        with statements(app) as seen:
            answer = browser.get(asked)
        if answer.status_code == 200:
            ledger[url] = {"statements": len(seen), "kilobytes": len(answer.get_data()) // 1024}
    return ledger


def form_ledger(app: Flask, browser: Browser) -> dict[str, dict[str, int]]:
    """Of every page a person opens that offers a choice: its SQL statements, and the options it holds.

    A page of a record is asked about the newest records, until one is in a state that opens it; a report about one
    team, for its lines are not what is looked for.
    """
    from app.customers.models import Customer
    from app.extensions import db
    from app.security.models import Team

    team = db.session.execute(sa.select(sa.func.min(Team.id))).scalar_one()
    ledger = {}
    for route in routes(app):
        if "GET" not in route.methods or re.search(r"<(?!(?:\w+:)?pk>)", route.url):
            continue
        urls = [route.url]
        if "<" in route.url:
            key = sa.inspect(route.view.datamodel.obj).primary_key[0]
            newest = db.session.execute(sa.select(key).order_by(key.desc()).limit(5)).scalars()
            if route.url == "/handovers/rule/<pk>":  # a person, and only who owns something is asked about
                newest = db.session.execute(sa.select(sa.func.min(Customer.owner_id))).scalars()
            urls = [re.sub(r"<(?:\w+:)?pk>", str(pk), route.url) for pk in newest]
        for url in urls:
            with statements(app) as seen:
                answer = browser.get(url, query_string={"team": team} if route.url.startswith("/reports/") else None)
            if answer.status_code == 200 and answer.mimetype == "text/html":
                if options := answer.get_data().count(b"<option"):
                    ledger[route.url] = {"statements": len(seen), "options": options}
                break
    return ledger


def report_ledger(app: Flask, browser: Browser) -> dict[str, dict[str, Any]]:
    """Of every report: the SQL statements of its page, without the settings of PostgreSQL, and which SALES they read.

    The newest order, of which every page tells how fresh it is, comes from an index and is not counted as reading.
    """
    ledger = {}
    for report in catalogue.REPORTS:
        url = f"/reports/{report.id}/"
        browser.get(url)
        with statements(app) as seen:
            answer = browser.get(url)
        assert answer.status_code == 200
        asked = [statement for statement in seen if "set_config" not in statement]
        text = "\n".join(statement for statement in asked if "sync_run" not in statement)
        ledger[url] = {
            "statements": len(asked),
            "reads": [table for table in SALES if re.search(rf"\b(FROM|JOIN) {table}\b", text)],
        }
    return ledger


def write(path: Path, ledger: dict[str, Any]) -> None:
    """One entry a line, so that a diff shows what changed."""
    lines = (f"  {json.dumps(key, ensure_ascii=False)}: {json.dumps(value)}" for key, value in ledger.items())
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def read(path: Path) -> dict[str, Any]:
    """A ledger as it was committed."""
    return json.loads(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    tests = [
        str(FOLDER / "test_ledgers.py"),
        f"{FOLDER / 'test_probes.py'}::test_every_address_answers_everybody_as_agreed",
    ]
    sys.exit(pytest.main(["-q", "--write-ledgers", *tests]))
