"""The product speaks Chinese and English, each whole: every page of every role, every refusal, every label."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import current_app
from flask_appbuilder import Model
from flask_appbuilder.security.sqla.models import User
from flask_babel import force_locale
from flask_wtf.csrf import CSRFError
from pypinyin import lazy_pinyin
from sqlalchemy.exc import OperationalError, StatementError
from werkzeug.exceptions import default_exceptions

from app.churn.models import ChurnStatus
from app.churn.scan import StaleMirrorError
from app.core.changes import TOLD, told_columns
from app.core.choices import Choice
from app.core.history import ACTIONS, field_label, has_changes
from app.core.models import AuditEntry, FieldChange
from app.core.sentences import gettext
from app.core.unit import unit_of_work
from app.customers.models import Contact, Customer
from app.masterdata.models import DictionaryItem
from app.masterdata.models import DictionaryType as T
from app.mirror.models import OrderStatus, SyncRun, SyncStatus
from app.mirror.sync import sync
from app.runs.models import RunStatus
from app.runs.periodic import PERIODIC
from app.sales.models import CloseKind, Opportunity, OpportunityStatus, PlanStep
from app.security.labels import SCREENS
from app.security.models import LoginResult, RoleProfile
from app.security.queries import rights_table
from app.security.sessions import note_login
from app.tickets.models import Feedback, RecordStatus, Ticket, TicketStatus
from tests import builders
from tests.conformance import company
from tests.conformance.house import arrows, routes, screens
from tests.conformance.test_screens import columns_named
from tests.conformance.words import HAN, LATIN, SAME_IN_BOTH, foreign, said_by
from tests.support import PASSWORD, rows

pytestmark = pytest.mark.once  # words are the same on both, and PostgreSQL's run is the longer one

LANGUAGES = ("zh", "en")
IN_BOTH_LANGUAGES = ("/dictionary/", "/roles/")
"""Screens that show a label in either language, side by side."""


# -- a company whose rows are in one language ----------------------------------------------------------------------


def some(type):
    """The first seeded item of a list."""
    return rows(DictionaryItem, DictionaryItem.type == type)[0]


STALE = (
    "The sales system was last synced %(days)d days ago, so silence cannot be told from a missing sync. Sync it first."
)
BAD_ORDERS = """order_no,customer_no,ordered_at,status,amount
1,2,2026-01-02,new,1
3,2,2,new,1
4,2,,new,1
5,2
"""


def fill(db, li, wang, language="zh"):
    """Rows in every table and every state, in Chinese. Commits."""
    company.fill(lead=li, manager=wang)
    customer = builders.customer(
        owner=wang, by=li, memo="老客户", region=some(T.region), nature=some(T.nature), bank=some(T.bank),
        company_type=some(T.company_type), standing=some(T.standing), industry=some(T.industry), address="中关村",
    )  # fmt: skip
    builders.contact(customer)
    builders.customer(name="待指定客户", registered_on=builders.today().replace(year=2020))
    won = builders.opportunity(status=OpportunityStatus.won, given_to=wang, by=li, customer=customer)
    builders.plan_step(won, result="已签约")
    for kind in (CloseKind.failed, CloseKind.terminated):
        builders.opportunity(status=OpportunityStatus.lost, given_to=wang, by=li, close_kind=kind)
    planned = builders.opportunity(by=li, given_to=wang, customer_name=customer.name, expected_amount=80000)
    builders.plan_step(planned, result="客户有意向")
    for status in ChurnStatus:
        case = builders.churn_case(builders.customer(owner=wang), status=status, reason_type=some(T.churn_reason))
        builders.measure(case, by=wang, type=some(T.measure), cost=10)
    for status in TicketStatus:
        builders.ticket(customer, by=li, given_to=None if status is TicketStatus.created else wang, status=status)
    for status in RecordStatus:
        builders.feedback(customer, accepted_by=wang, status=status)
        builders.complaint(customer, accepted_by=wang, status=status, remedy="已换货")
    for status in OrderStatus:
        builders.order(customer, status=status, paid=None, lines=1)
    builders.job_run(status=RunStatus.failed, error="ZeroDivisionError")  # as it was kept before
    # Said in the other language, by a process of the company's.
    with force_locale("en" if language == "zh" else "zh"):
        builders.job_run(status=RunStatus.refused, error=str(StaleMirrorError(gettext(STALE, days=9))))
        builders.job_run(job=PERIODIC[-1].id, status=RunStatus.failed, error=gettext(STALE, days=9))
        folder = Path(current_app.config["LIUKE_VAR"]) / "feed"
        folder.mkdir(exist_ok=True)
        (folder / "orders.csv").write_text(BAD_ORDERS, encoding="utf-8")
        assert sync(folder).rows_rejected == 4
        (folder / "orders.csv").write_text("order_no,customer_no,status\n", encoding="utf-8")
        assert sync(folder).status is SyncStatus.failed
    for status in SyncStatus:
        builders.sync_run(status=status, rows_rejected=2, counts={
            "orders": {"rows": 9, "created": 1, "updated": 2, "unchanged": 4, "rejected": 2},
            "differing": {"orders": 2, "first": ["1", "2"]},
        })  # fmt: skip
    for status in RunStatus:
        builders.job_run(status=status, counts={"due": 1, "opened": 1, "recovered": 0, "open": 1})
        builders.job_run(job=PERIODIC[-1].id, status=status, counts={"sessions": 1, "heartbeats": 1})
    for result in LoginResult:
        note_login("li", result, user_id=li.id, ip="127.0.0.1")
    note_everything(db, li)


def note_everything(db, actor):
    """The history of one record of every kind: every action there is, and a change of every field that has a form."""
    kinds = {view.datamodel.obj.__tablename__: view for view in screens(current_app)}
    with unit_of_work():
        for name in ACTIONS:
            kind, _, action = name.rpartition(".")
            for record_type in [kind] if kind else kinds:
                db.session.add(AuditEntry(record_type=record_type, record_id=1, action=action, actor=actor))
        for record_type, view in kinds.items():
            related = relations(view)
            fields = [f"{c}_id" if c in related else c for c in view.edit_columns]
            if record_type == "ab_role":
                fields += ["can_edit Customer", "menu_access Role"]
            unit = f"edit-{record_type}"
            db.session.add(AuditEntry(record_type=record_type, record_id=1, action="edit", actor=actor, unit=unit))
            same = {"record_type": record_type, "record_id": 1, "unit": unit, "move": f"{record_type}.edit"}
            db.session.add_all(FieldChange(field=field, after="1", **same) for field in fields)


def let_logs_be_written(db):
    """Take the logs' triggers off; the database is put back after the test."""
    if db.engine.dialect.name == "postgresql":
        db.session.execute(sa.text("SET LOCAL session_replication_role = replica"))
        return
    for name in db.session.execute(sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all():
        db.session.execute(sa.text(f"DROP TRIGGER {name}"))


def romanise(db):
    """Write every Chinese text of the rows in Latin letters; only the Chinese labels of choices stay."""
    stays = {DictionaryItem.__table__.c.label_zh, RoleProfile.__table__.c.label_zh}
    let_logs_be_written(db)
    for table in Model.metadata.tables.values():
        texts = [c for c in table.columns if c not in stays and isinstance(c.type, (sa.String, sa.JSON))]
        key = list(table.primary_key.columns)
        for row in db.session.execute(sa.select(*key, *texts)).mappings().all() if texts else ():
            changed = {}
            for column in texts:
                text = json.dumps(row[column], ensure_ascii=False) if isinstance(column.type, sa.JSON) else row[column]
                if isinstance(text, str) and HAN.search(text):
                    latin = "".join(lazy_pinyin(HAN.sub(lambda m: m[0].translate(PLAIN), text)))
                    changed[column] = json.loads(latin) if isinstance(column.type, sa.JSON) else latin
            if changed:
                change = sa.update(table).where(*(c == row[c] for c in key)).values(changed)
                db.session.execute(change.execution_options(**TOLD))
    db.session.commit()


REFERENCE = re.compile(r"[0-9a-f]{8}")
PLAIN = str.maketrans("，。：；（）！？", ",.:;()!?")


@pytest.fixture(params=LANGUAGES)
def language(request, db, li, wang):
    """One language, with a company whose rows are written in it."""
    fill(db, li, wang, request.param)
    if request.param == "en":
        romanise(db)
    return request.param


def person(db, username):
    return db.session.query(User).filter_by(username=username).one()


def words_of_rows(db, language):
    """Words of the rows that stand in Latin letters on a Chinese page too: names of accounts, codes."""
    if language == "en":
        return frozenset()
    found = set(db.session.execute(sa.select(User.username)).scalars())
    found |= set(db.session.execute(sa.select(RoleProfile.code)).scalars())
    for run in rows(SyncRun):
        found |= {run.source, run.rejects_file, run.checksum}
    # A feed's folder, a session's browser, a typed command, what the framework calls an error.
    return frozenset(found | {"feed", "tests", "crm init", "ZeroDivisionError"})


def labels_in_both(db):
    """Every label of the other language that the screens of labels show."""
    return frozenset(
        text
        for model in (DictionaryItem, RoleProfile)
        for pair in db.session.execute(sa.select(model.label_zh, model.label_en))
        for text in pair
    )


# -- pages -----------------------------------------------------------------------------------------------------


def addresses(app, db, *, each):
    """Every address that answers GET, with the `each` newest rows of a table; lists also with a filter set."""
    ids = {}
    for view in screens(app):
        key = sa.inspect(view.datamodel.obj).primary_key[0]
        ids[view.endpoint] = list(db.session.execute(sa.select(key).order_by(key.desc()).limit(each)).scalars())
    for route in routes(app):
        if "GET" not in route.methods or route.endpoint in ("static", "appbuilder.static", "healthz"):
            continue
        if "<table>" in route.url:
            tables = [("customer", "CustomerView"), ("ab_role", "RoleView")]
            yield from (
                route.url.replace("<table>", table).replace("<pk>", str(pk))
                for table, endpoint in tables
                for pk in ids[endpoint][:1]
            )
        elif "<step_id>" in route.url:
            steps = db.session.execute(sa.select(PlanStep.opportunity_id, PlanStep.id).limit(each))
            yield from (route.url.replace("<pk>", str(pk)).replace("<step_id>", str(n)) for pk, n in steps)
        elif "<pk>" in route.url:
            newest = ids[route.endpoint.partition(".")[0]]
            seen = newest if route.endpoint.endswith(".show") else newest[:2]  # a state is told of where it is shown
            yield from (route.url.replace("<pk>", str(pk)) for pk in seen)
        elif "<column>" in route.url:
            yield from (route.url.replace("<column>", column) for column in relations(route.view)[: each - 1])
        else:
            yield route.url
            names = [f"_flt_{op}_{c}" for c in getattr(route.view, "search_columns", ()) for op in (0, 1, 2)]
            if each > 1 and names and route.url.endswith("/list/"):
                yield f"{route.url}?{'&'.join(f'{name}=1' for name in names)}"
    changed = sa.select(AuditEntry.id).where(AuditEntry.action == "edit").order_by(AuditEntry.id.desc()).limit(each * 6)
    yield from (f"/audit/show/{pk}" for pk in db.session.execute(changed).scalars())
    yield from ("/nowhere", "/customers/show/0", "/customers/delete/1")
    yield from ("/customers/list/?tab=mine", "/customers/list/?tab=unowned", "/customers/list/?count=exact")
    for view in screens(app):
        if "CustomerView" in view.tab_of:
            yield f"/customers/show/{ids['CustomerView'][-1]}?tab={view.endpoint}"


def relations(view):
    named = dict.fromkeys((*view.search_columns, *view.add_columns, *view.edit_columns))
    return [n for n in named if isinstance(getattr(getattr(view.datamodel.obj, n, None), "property", None),
                                           sa.orm.RelationshipProperty)]  # fmt: skip


class Reading:
    """Reads pages and keeps what was in the other language, with where it was first seen."""

    def __init__(self, db, language):
        self.language, self.wrong = language, {}
        self.known, self.both = words_of_rows(db, language), labels_in_both(db)

    def read(self, url, answer, typed=frozenset()):
        allowed = self.known | typed | (self.both if url.startswith(IN_BOTH_LANGUAGES) else frozenset())
        for piece in foreign(said_by(answer, self.language), self.language, allowed):
            self.wrong.setdefault(piece, url)


def test_every_page_of_every_role_is_in_one_language(app, db, language, sign_in):
    reading = Reading(db, language)
    for username, each, least in (
        ("admin", 5, 150),
        ("sysadmin", 1, 30),
        ("li", 1, 40),
        ("wang", 1, 40),
        ("chen", 1, 6),
    ):
        browser, opened = sign_in(person(db, username)).speak(language), 0
        for url in dict.fromkeys(addresses(app, db, each=each)):
            answer = browser.get(url, follow_redirects=True)
            opened += answer.status_code == 200
            reading.read(url, answer)
        assert opened > least, username
    assert reading.wrong == {}


@pytest.mark.parametrize("spoken", LANGUAGES)
def test_empty_pages_are_in_one_language(app, db, sign_in, admin, spoken):
    if spoken == "en":
        romanise(db)
    browser, reading = sign_in(admin).speak(spoken), Reading(db, spoken)
    for url in ["/dashboard/", "/jobs/", *(f"{view.route_base}/list/" for view in screens(app))]:
        reading.read(url, browser.get(url))
    assert reading.wrong == {}


# -- what is said after a POST -------------------------------------------------------------------------------------


LONG = "长" * 4000
SLIPS = {
    "li": [
        ("/customers/add", {}),
        ("/customers/add", {"name": LONG, "phone": "abc", "level": "999", "owner": "x"}),
        ("/customers/edit/{customer}", {"postcode": LONG, "registered_capital": "-", "annual_turnover": "1.234"}),
        ("/customers/edit/{customer}", {"registered_on": "x", "satisfaction": "9", "registered_capital": "9" * 20}),
        ("/customers/assign/{customer}", {}),
        ("/customers/bulk-assign", {}),
        ("/customers/bulk-assign", {"rowid": ["1", "0"], "confirmed": "1"}),
        ("/contacts/add", {"customer": "1", "name": "", "office_phone": "1", "birthday": "1800-01-01"}),
        ("/contacts/edit/{contact}", {"email": "x", "is_primary": ""}),
        ("/interactions/add", {"occurred_at": "x", "next_follow_up_on": "2026-02-30"}),
        ("/opportunities/add", {"probability": "101", "expected_amount": "1e5x", "expected_close_on": "soon"}),
        ("/opportunities/add", {"probability": "x", "expected_amount": "9" * 20}),
        ("/opportunities/edit/{opportunity}", {}),
        ("/opportunities/delete/{opportunity}", {}),
        ("/opportunities/assign/{opportunity}", {"assignee": "4"}),
        ("/opportunities/bulk-assign", {"rowid": ["1", "2", "0"], "confirmed": "1", "assignee": "4"}),
        ("/activities/add", {"starts_on": "2026-02-02", "ends_on": "2026-01-01", "title": "1", "kind": "fair"}),
        ("/activities/add", {"budget": "-1", "cost": "x"}),
        ("/participants/add", {"activity": "1", "customer": "1"}),
    ],
    "wang": [
        ("/opportunities/win/{opportunity}", {}),
        ("/opportunities/lose/{opportunity}", {"reason": ""}),
        ("/opportunities/{opportunity}/plan", {}),
        ("/opportunities/{opportunity}/plan", {"planned_on": "x", "todo": LONG}),
        ("/churn/defer/1", {}),
        ("/churn/confirm-lost/1", {"reason": ""}),
        ("/tickets/edit/{ticket}", {}),
        ("/tickets/delete/{ticket}", {}),
        ("/tickets/add", {"title": LONG}),
        ("/feedback/close/{feedback}", {}),
        ("/feedback/reopen/{feedback}", {}),
        ("/feedback/add", {"received_on": "x"}),
        ("/complaints/close/1", {"remedy": ""}),
        ("/profile/phone", {"phone": "x"}),
        ("/profile/password", {}),
        ("/profile/password", {"current": "wrong", "new": "three green umbrellas"}),
        ("/profile/password", {"current": PASSWORD, "new": "short"}),
        ("/profile/password", {"current": PASSWORD, "new": "password123"}),
        ("/users/add", {}),
    ],
    "sysadmin": [
        ("/users/add", {}),
        ("/users/add", {"username": "a b", "email": "x", "phone": "x", "password": "x", "last_name": "1"}),
        ("/users/edit/1", {"last_name": "1"}),
        ("/users/reset_password/4", {"password": "x"}),
        ("/users/end_sessions/4", {}),
        ("/roles/add", {}),
        ("/roles/edit/1", {"label_zh": "", "label_en": ""}),
        ("/roles/delete/3", {}),
        ("/teams/add", {}),
        ("/teams/edit/1", {"name": "1", "parent": "1"}),
        ("/dictionary/add", {}),
        ("/dictionary/edit/1", {"sort_order": "x"}),
        ("/dictionary/delete/1", {}),
        ("/jobs/preview", {}),
        ("/jobs/preview", {"as_of": "x"}),
        ("/jobs/preview", {"as_of": "2026-11-22T02:00"}),
        ("/jobs/run", {}),
    ],
    None: [
        ("/login/", {}),
        ("/login/", {"username": "li", "password": "wrong"}),
        ("/login/", {"username": "li", "password": PASSWORD}),
    ],
}
"""What people get wrong: who, where, what was sent. The ids are those of the newest rows."""


def test_what_is_said_after_a_form_is_in_one_language(db, language, sign_in, client):
    reading, statuses = Reading(db, language), set()
    newest = {
        model.__tablename__: db.session.execute(sa.select(sa.func.max(model.id))).scalar()
        for model in (Customer, Contact, Opportunity, Ticket, Feedback)
    }
    for username, slips in SLIPS.items():
        browser = (sign_in(person(db, username)) if username else client).speak(language)
        for url, sent in slips:
            typed = {name: "x" * 4000 if value == LONG and language == "en" else value for name, value in sent.items()}
            answer = browser.post(url.format(**newest), typed, follow_redirects=True)
            statuses.add(answer.status_code)
            # The form shows again what was typed.
            reading.read(url, answer, frozenset(value for value in typed.values() if isinstance(value, str)))
    assert reading.wrong == {}
    assert {200, 403, 422} <= statuses


@pytest.mark.parametrize("spoken", LANGUAGES)
def test_a_page_that_was_open_too_long_says_so_in_the_readers_language(client, spoken):
    answer = client.speak(spoken).post("/login/", {"username": "li"}, csrf=False)

    assert answer.status_code == 400
    assert list(foreign(said_by(answer, spoken), spoken)) == []


@pytest.mark.parametrize(("spoken", "sentence"), [("zh", "未找到"), ("en", "Not found")])
def test_a_reader_who_is_nobody_gets_errors_in_his_browsers_language(client, spoken, sentence):
    answer = client.speak(spoken).get("/nowhere")

    assert sentence in answer.get_data(as_text=True)
    assert list(foreign(said_by(answer, spoken), spoken)) == []


@pytest.mark.parametrize("spoken", LANGUAGES)
@pytest.mark.parametrize("error", [
    *(default_exceptions[code]() for code in (400, 403, 404, 405, 413, 418, 429)),
    CSRFError(), OperationalError("SELECT", {}, Exception("gone")), StatementError("odd", "SELECT", {}, Exception()),
], ids=lambda error: type(error).__name__)  # fmt: skip
def test_every_error_is_explained_in_the_readers_language(app, db, spoken, error):
    with app.test_request_context("/"), force_locale(spoken):
        answer = app.make_response(app.handle_user_exception(error))

    said = said_by(answer, spoken)
    assert answer.status_code >= 400
    assert len(said) > 3
    assert [text for text in foreign(said, spoken) if not REFERENCE.fullmatch(text)] == []


# -- labels ----------------------------------------------------------------------------------------------------


def below(kind):
    for child in kind.__subclasses__():
        yield child
        yield from below(child)


def every_label(app):
    """Everything with a label that some page may show: states, steps, screens, columns, rights, history."""
    for choice in below(Choice):
        yield from ((f"{choice.__name__}.{member.name}", member.label) for member in choice)
    for arrow in arrows():
        yield from ((f"{arrow} label", arrow.step.label), (f"{arrow} done", arrow.step.done))
    for view in screens(app):
        titles = (view.list_title, view.show_title, view.add_title, view.edit_title, view.empty_text)
        labels = (view.label_columns[column] for column in columns_named(view))
        for label in (*titles, *labels, *(view.description_columns or {}).values()):
            if label:
                yield view.endpoint, label
        for field in told_columns(view.datamodel.obj) if has_changes(view) else ():
            yield f"{view.endpoint} {field}", field_label(view, field)
    for group, lines in rights_table():
        yield "group", group
        for line in lines:
            yield line.view, SCREENS.get(group, {}).get(line.view, line.label)
            yield from line.moves
    yield from ((action, words) for action, (words, _icon) in ACTIONS.items())


@pytest.mark.parametrize(("spoken", "strange"), [("zh", LATIN), ("en", HAN)])
def test_every_label_is_in_the_readers_language(app, db, spoken, strange):
    with force_locale(spoken):
        labels = [(name, SAME_IN_BOTH.sub("", str(label))) for name, label in every_label(app)]
    wrong = [f"{name}: {label}" for name, label in labels if strange.search(label)]
    assert wrong == []


@pytest.mark.parametrize(("column", "strange"), [("label_zh", LATIN), ("label_en", HAN)])
def test_what_is_seeded_has_its_label_in_both_languages(db, column, strange):
    labels = [
        text
        for model in (DictionaryItem, RoleProfile)
        for text in db.session.execute(sa.select(getattr(model, column))).scalars()
    ]
    assert len(labels) > 30
    assert [text for text in labels if not text or strange.search(text.replace("AAA", ""))] == []


# -- switching -------------------------------------------------------------------------------------------------


ACCOUNTS_LANGUAGE = ("ab_user", "language")
"""What the history tells of a reader who chose another language."""


def business(db):
    """Every row but those about the reader's own account and sign-in."""
    db.session.rollback()
    own = {"user_profile", "user_session"}
    rows = {
        name: db.session.execute(sa.select(table).order_by(*table.primary_key.columns)).all()
        for name, table in Model.metadata.tables.items()
        if name not in own
    }
    rows["field_change"] = [row for row in rows["field_change"] if (row.record_type, row.field) != ACCOUNTS_LANGUAGE]
    return rows


def test_switching_the_language_keeps_the_page_and_changes_no_business_row(db, li, wang, sign_in):
    fill(db, li, wang)
    browser, before = sign_in(li), business(db)
    page = "/customers/list/?_flt_0_name=%E5%8C%97&psize_CustomerView=50"
    for spoken, title in (("zh", "客户"), ("en", "Customers")):
        form = browser.get(page).get_data(as_text=True)
        back = re.search(r'name="next" value="([^"]*)"', form)[1].replace("&amp;", "&")
        answer = browser.post("/preferences/language", {"language": spoken, "next": back})

        assert answer.status_code == 302
        assert answer.location == page
        assert f"<h1>{title}</h1>" in browser.get(answer.location).get_data(as_text=True)
    assert business(db) == before


def test_a_language_is_kept_with_the_account_and_outlives_the_browser(db, li, sign_in):
    sign_in(li).post("/preferences/language", {"language": "zh", "next": "/customers/list/"})

    elsewhere = sign_in(li).speak("en").get("/customers/list/").get_data(as_text=True)

    assert '<html lang="zh-CN"' in elsewhere
    assert "<h1>客户</h1>" in elsewhere


def test_nobody_can_choose_a_language_there_is_not(db, li, sign_in):
    browser = sign_in(li)
    browser.post("/preferences/language", {"language": "fr", "next": "/customers/list/"})

    assert '<html lang="en"' in browser.get("/customers/list/").get_data(as_text=True)
