"""Who gets what from which address: every route and method, asked by everybody about own, foreign and missing rows.

rights.csv holds the answer of each probe. A change of it is a change of who may do what: it is read like one.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa
from flask import Flask
from flask_appbuilder.security.sqla.models import User
from werkzeug.test import create_environ, run_wsgi_app

from app.attachments import storage
from app.core.changes import TOLD
from app.core.models import BulkChange
from app.core.protected import kind_of
from app.customers.models import Contact, Customer, Interaction
from app.extensions import db
from app.mirror.models import Order
from app.notices.models import Channel, Delivery, Notification
from app.reports.catalogue import REPORTS
from app.runs.models import RunStatus
from app.sales.models import Opportunity, PlanStep
from app.tickets.models import Complaint, Feedback, Ticket
from tests import builders
from tests.conformance import company
from tests.conformance.house import routes, screens
from tests.support import Browser

LEDGER = Path(__file__).parent / "rights.csv"
WHO = (
    "anonymous", "super_admin", "system_admin", "sales_lead", "account_manager", "sharing_manager", "executive",
    "team_manager", "other_manager", "without_rights",
)  # fmt: skip
"""The columns of the ledger. A sharing manager is an account manager where the company shares all customers; a team
manager is in the account manager's team, where teams share theirs; the other manager is the one whose the foreign rows
are; who is without rights has a role of the company's own that grants none."""

FOREIGN, OWN, PHONE = "QXZFOREIGN", "QXZOWN", "13987654321"
MISSING = 999_999
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
TEXTS: dict[Any, tuple[str, ...]] = {
    Customer: ("name",), Contact: ("name",), Interaction: ("title",), Opportunity: ("title", "customer_name"),
    PlanStep: ("todo",), Ticket: ("title",), Feedback: ("title",), Complaint: ("subject",),
    Order: ("delivery_address",),
}  # fmt: skip
KEPT_FROM = {
    "anonymous": (OWN, FOREIGN, PHONE),
    "system_admin": (OWN, FOREIGN, PHONE),
    "account_manager": (FOREIGN, PHONE),
    "sharing_manager": (PHONE,),
    "executive": (PHONE,),
    "team_manager": (FOREIGN, PHONE),
    "other_manager": (OWN,),
    "without_rights": (OWN, FOREIGN, PHONE),
}
"""What must stand in no answer to whom: the words of a manager's rows, of another one's, and the latter's phones."""

WORDS = {
    "kind": "wecom",
    "token": "0" * 32,
    "filename": "css/liuke.css",
    "table": "customer",
    "key": "manager",
}
ROWS = {
    "/notices/open/<pk>": "notification",
    "/jobs/retry/<int:pk>": "failed run",
    **{f"/reports/{report.id}/mail/<pk>/stop": f"mail of {report.id}" for report in REPORTS},
}
"""What stands for <pk> in addresses of screens without a table, or of one row of it only."""

OF_A_ROW = re.compile(r"<(?:\w+:)?(?:pk|person)>")
PART_OF_A_ROW = re.compile(r"<(?:\w+:)?(?:file_id|step_id)>")
POSTED = {"format": "csv"}  # lets an export happen


class Ids(NamedTuple):
    """A row of the account manager and one of another manager, by table or by the words of ROWS."""

    own: dict[str, int]
    foreign: dict[str, int]

    def of(self, row: str, table: str) -> int:
        """The id of `row` (own, foreign, missing) in a table; crossed is a foreign part of an own record."""
        part = table == "plan_step" or table.startswith("file of")
        found = {"own": self.own, "foreign": self.foreign, "crossed": self.foreign if part else self.own, "missing": {}}
        return found[row].get(table, MISSING)


def fill(*, lead: User, manager: User, other: User) -> Ids:
    """Rows of both managers, their words marked. Commits."""
    own = _fill(OWN, lead, manager)
    return Ids(own, _fill(FOREIGN, lead, other))


def _fill(mark: str, lead: User, manager: User) -> dict[str, int]:
    tables = {view.datamodel.obj.__tablename__: view.datamodel.obj for view in _screens()}
    key = {name: sa.inspect(model).primary_key[0] for name, model in tables.items()}
    before = {name: db.session.execute(sa.select(sa.func.max(k))).scalar() or 0 for name, k in key.items()}
    company.fill(lead=lead, manager=manager)
    builders.participant(builders.activity(), builders.customer(owner=manager))
    for model, columns in TEXTS.items():
        marked = {c: sa.func.coalesce(getattr(model, c), "") + f" {mark}" for c in columns}
        phones = {c.key: PHONE for c in sa.inspect(model).columns if kind_of(model, c.key)} if mark == FOREIGN else {}
        written = sa.update(model).where(model.id > before[model.__tablename__]).values(**marked, **phones)
        db.session.execute(written.execution_options(**TOLD))
    db.session.execute(
        sa.update(Customer)
        .where(Customer.id > before["customer"])
        .values(search_key=sa.func.lower(Customer.name) + " " + sa.func.coalesce(Customer.phone, ""))
        .execution_options(**TOLD)
    )
    db.session.commit()
    first = {name: sa.select(sa.func.min(k)).where(k > before[name]) for name, k in key.items()}
    ids = {name: db.session.execute(found).scalar() or MISSING for name, found in first.items()}
    return ids | _fill_more(mark, lead, manager, ids)


def _fill_more(mark: str, lead: User, manager: User, ids: dict[str, int]) -> dict[str, int]:
    """Rows that belong to no screen, or to one of those above: by table, or by the words of ROWS. Commits."""
    assigned = lead if mark == OWN else manager  # a lead opens her own receipts
    made: dict[str, Any] = {
        "bulk_change": BulkChange(record_type="customer", action="assign", actor=assigned, done=1),
        "delivery": Delivery(key=f"k{manager.id}", channel=Channel.mail, recipient=manager),
        "notification": Notification(
            event=mark, kind="birthday", recipient=manager, record_type="customer", record_id=ids["customer"], words={}
        ),
    }
    db.session.add_all(made.values())
    made["failed run"] = builders.job_run(status=RunStatus.failed)
    made |= {f"mail of {report.id}": builders.report_mail(to=manager, report=report.id) for report in REPORTS}
    for model in (Customer, Interaction, Opportunity, Ticket):
        table = model.__tablename__
        with storage.receive(BytesIO(f"{mark} {table}".encode()), most=100) as incoming:
            given = {"key": incoming.keep(), "size": incoming.size, "sha256": incoming.sha256}
        record = db.session.get_one(model, ids[table])
        made[f"file of {table}"] = builders.attachment(record, by=manager, name=f"{mark}.txt", **given)
    return {name: row.id for name, row in made.items()}


def _screens() -> list[Any]:
    from flask import current_app

    return screens(current_app._get_current_object())  # type: ignore[attr-defined]


class Probe(NamedTuple):
    """One line of the ledger: a method, an address, and whose row it is asked about (- where there is none)."""

    method: str
    rule: str
    row: str
    url: str


def probes(app: Flask, ids: Ids) -> Iterator[Probe]:
    """Every address with every method it takes."""
    figures = dict(_figures(app))
    for route in routes(app):
        table = getattr(getattr(getattr(route.view, "datamodel", None), "obj", None), "__tablename__", "")
        table = WORDS["table"] if "<table>" in route.url else ROWS.get(route.url, table)
        kinds = ("own", "foreign", "missing") if OF_A_ROW.search(route.url) else ("-",)
        for row in (*kinds, "crossed") if PART_OF_A_ROW.search(route.url) else kinds:
            words = WORDS if row == "-" else {**WORDS, **_words(ids, row, table)}
            columns = (_relations(route.view) or ["id"]) if "<column>" in route.url else [""]
            for column in columns:
                given = {**words, "column": column, **figures.get(route.url, {})}
                address = re.sub(r"<(?:\w+:)?(\w+)>", lambda m, given=given: given[m[1]], route.url)
                rule = route.url.replace("<column>", column)
                address += given.get("?", "")
                yield from (Probe(method, rule, row, address) for method in route.methods)


def _words(ids: Ids, row: str, table: str) -> dict[str, str]:
    """What stands for the ids in an address of a row of this table."""
    return {
        "pk": str(ids.of(row, table)),
        "person": f"contact-{ids.of(row, 'contact')}",
        "step_id": str(ids.of(row, "plan_step")),
        "file_id": str(ids.of(row, f"file of {table}")),
    }


def _figures(app: Flask) -> Iterator[tuple[str, dict[str, str]]]:
    """Of every report the figure the rows of which are asked for, and a filter that is searched, if it has one."""
    with app.test_request_context():
        for report in REPORTS:
            column = next(c.key for c in report.ask({}).columns.values() if c.adds_up)
            yield f"/reports/{report.id}/rows", {"?": f"?line=total&period=all&column={column}"}
            searched = [one.key for one in report.filters if one.choices is not None]
            yield f"/reports/{report.id}/lookup/<key>", {"key": (searched or ["manager"])[0]}


def _relations(view: Any) -> list[str]:
    named = dict.fromkeys((*view.search_columns, *view.add_columns, *view.edit_columns))
    return [n for n in named if hasattr(getattr(getattr(view.datamodel.obj, n, None), "property", None), "mapper")]


def other_methods(app: Flask) -> Iterator[tuple[str, str]]:
    """The methods an address does not take; it says so before it asks who is there."""
    taken: dict[str, set[str]] = {}
    for route in routes(app):
        taken.setdefault(re.sub(r"<(?:\w+:)?(\w+)>", "1", route.url), set()).update(route.methods)
    for url, methods in taken.items():
        yield from ((method, url) for method in METHODS if method not in methods)


def questions(app: Flask, ids: Ids) -> Iterator[tuple[str, bool]]:
    """Lists and choices asked by filter, order and page size: (address, whether rows are looked for by a number)."""
    for view in screens(app):
        address, name, model = f"{view.route_base}/list/", type(view).__name__, view.datamodel.obj
        yield f"{address}?psize_{name}=1000000&count=exact", False
        if "name" in view.search_columns:
            yield f"{address}?_flt_0_name={PHONE}", True
        for column in sa.inspect(model).columns:
            if kind_of(model, column.key):
                yield f"{address}?_flt_0_{column.key}={PHONE}", column.key in view.search_columns
                yield f"{address}?_oc_{name}={column.key}&_od_{name}=desc", False
        for column in _relations(view):
            target = getattr(model, column).property.mapper.class_.__tablename__
            yield f"{address}?_flt_0_{column}={ids.of('foreign', target)}", False
            for asked in (f"q={PHONE}", "q=qxz", "q=qxz&filter=1"):
                yield f"{view.route_base}/lookup/{column}?{asked}", asked.endswith(PHONE)
        for column in view.add_columns:
            if column in _relations(view):
                target = getattr(model, column).property.mapper.class_.__tablename__
                yield f"{view.route_base}/add?{column}={ids.of('foreign', target)}", False
                yield f"{view.route_base}/add?_flt_0_{column}={ids.of('foreign', target)}", False


class Asker:
    """One person (or nobody) at the end of a line: a cookie and a token, no browser."""

    def __init__(self, app: Flask, person: User | None) -> None:
        browser = Browser(app)
        if person is not None:
            browser.login(person)
        data = {"csrf_token": browser.csrf_token(), **POSTED}
        cookie = browser.flask.get_cookie(app.config["SESSION_COOKIE_NAME"], domain="localhost")
        # Programs are told errors without a page, which costs more than all of the asking.
        headers = {"Cookie": f"{app.config['SESSION_COOKIE_NAME']}={cookie.value if cookie else ''}"}
        headers["Accept"] = "application/json"
        self.app = app
        self.sent = {m: create_environ(method=m, headers=headers, data=data if m != "GET" else None) for m in METHODS}
        self.posted = self.sent["POST"]["wsgi.input"].getvalue()

    def ask(self, method: str, url: str) -> tuple[int, bytes]:
        """The status and the body of one answer. Whatever is posted has a valid token."""
        path, _mark, query = url.partition("?")
        body = BytesIO(b"" if method == "GET" else self.posted)
        sent = {**self.sent[method], "PATH_INFO": path, "QUERY_STRING": query, "wsgi.input": body}
        pieces, status, headers = run_wsgi_app(self.app.wsgi_app, sent)
        with closing(pieces):
            return int(status[:3]), b"".join(pieces) + headers.get("Location", "").encode()


def write(found: dict[tuple[str, str, str], dict[str, int]]) -> None:
    """Write the ledger."""
    with LEDGER.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["method", "address", "row", *WHO])
        for key in sorted(found, key=lambda key: (key[1], key[0], key[2])):
            out.writerow([*key, *(found[key][who] for who in WHO)])


def read() -> dict[tuple[str, str, str], dict[str, int]]:
    """The ledger as it was committed."""
    with LEDGER.open(newline="", encoding="utf-8") as file:
        return {
            (line["method"], line["address"], line["row"]): {who: int(line[who]) for who in WHO}
            for line in csv.DictReader(file)
        }
