"""Nobody gets what is not his: thousands of questions, each with the answer that was agreed on. See probes.py."""

from __future__ import annotations

import gc
import logging
import shutil
from datetime import timedelta

import flask.templating
import pytest
import sqlalchemy as sa
from flask import request, request_started
from flask_appbuilder.security.sqla.models import User

from app.core import errorpages
from app.core.clock import utcnow
from app.core.unit import set_writing
from app.core.web import Page
from app.extensions import db
from app.reports import closing
from app.reports.catalogue import REPORTS
from app.security.models import UserProfile, UserSession
from tests import builders
from tests.conformance import probes
from tests.conformance.probes import FOREIGN, KEPT_FROM, OWN, WHO, Asker
from tests.support import rows

REFUSED = (400, 401, 403, 404, 405)
FOR_ALL = {"/complaints/open-ticket/<pk>"}
"""What a manager may do with a row that is not his: a complaint becomes a ticket for whoever is told of it."""
NOT_COUNTED = {"audit_entry", "report_mail"}
"""Tables a refused request may name: the history, and an UPDATE that looks for a mail of one's own and finds none."""

WITH_NUMBERS = ("/customers", "/contacts", "/opportunities", "/tickets", "/interactions", "/churn", "/my-work")
"""Pages about customers, on which a protected number could stand."""

SHARED = {"sharing_manager": "all", "team_manager": "team"}
"""LIUKE_CUSTOMERS_SHARED, where it is not that everybody has his own."""

NOT_HIS = {"other_manager": "own"} | dict.fromkeys(("account_manager", "sharing_manager", "team_manager"), "foreign")
"""The rows of whom a manager changes nothing."""

FOUND_BY_NOBODY = {
    "/calendar/<token>.ics": "who knows the secret needs no name: tests/desk/test_calendar.py",
    "/login/link/<token>": "who knows the secret needs no name: tests/security/test_forgotten.py",
    "/notices/settings/try/<kind>": "speaks to a robot outside: tests/outside",
    "/static/appbuilder/<path:filename>": "the framework's files, none of which has this name",
}
"""Addresses that answer 404 to everybody here, with the reason."""


@pytest.fixture
def touched(app):
    """What was asked for, as the application understood it: (rule, method)."""
    found = set()

    def note(_app, **_given):
        found.add((request.url_rule.rule if request.url_rule is not None else None, request.method))

    with request_started.connected_to(note, app):
        yield found


@pytest.fixture
def asked(app, world):
    """Rows of two managers, somebody for every column of the ledger, and how many were asked."""
    with app.app_context():
        cast = {user.username: user for user in rows(User)}
        ids = probes.fill(lead=cast["li"], manager=cast["wang"], other=cast["zhao"])
        mate = builders.user(team=db.session.get_one(UserProfile, cast["wang"].id).team)
        nobody = builders.user(roles=[builders.role()])
        names = (None, "admin", "sysadmin", "li", "wang", "wang", "chen", mate, "zhao", nobody)
        askers = {}
        for who, name in zip(WHO, names, strict=True):
            person = cast.get(name, name)
            askers[who] = askers.get("account_manager") if who == "sharing_manager" else Asker(app, person)
        # However long it takes: nobody is signed out meanwhile, and "last seen" is written by no question.
        later = utcnow() + timedelta(days=1)
        db.session.execute(sa.update(UserSession).values(seen_at=later, auth_at=later))
        db.session.commit()
        db.session.remove()
    with world.as_it_is_now():
        yield ids, askers
        set_writing(False)
    shutil.rmtree(app.config["LIUKE_UPLOADS"], ignore_errors=True)


class Sharing(str):
    """A value of LIUKE_CUSTOMERS_SHARED that notes whether anybody looked at it."""

    looked_at = False

    def __eq__(self, other):
        Sharing.looked_at = True
        return str.__eq__(self, other)

    def __hash__(self):
        Sharing.looked_at = True
        return str.__hash__(self)


@pytest.fixture
def ask(app, world, asked, known, monkeypatch):
    """Ask one question as somebody: the status, what it told that it must not, which tables it wrote (but the history).

    What was written is put back. A page in which nothing is kept from its reader is not written, and a report in it
    made once for all: its status counts.
    """
    _ids, askers = asked
    write_page, make_table, tables = flask.templating._render, closing.table_of, {}
    monkeypatch.setattr(Page, "menu", lambda _page: [])  # it tells of no rows, and is a third of every page
    monkeypatch.setattr(errorpages, "note_denied", lambda _why: None)  # a line of the history for each of thousands
    logging.disable(logging.WARNING)
    gc.disable()

    def table_of(asked, **bounds):
        if asked.report.id not in tables:
            tables[asked.report.id] = make_table(asked, **bounds)
        return tables[asked.report.id]

    def one(who, method, url, kept=None):
        app.config["LIUKE_CUSTOMERS_SHARED"] = Sharing(SHARED.get(who, "own"))
        Sharing.looked_at = False
        hidden = KEPT_FROM.get(who, ())
        looked_at = FOREIGN in hidden or OWN in hidden or (who in KEPT_FROM and url.startswith(WITH_NUMBERS))
        monkeypatch.setattr(flask.templating, "_render", write_page if looked_at else lambda *_a: "")
        monkeypatch.setattr(closing, "table_of", make_table if looked_at else table_of)
        status, body = askers[who].ask(method, url)
        wrote = sorted(world.touched - NOT_COUNTED)
        if wrote:
            known()
            with app.app_context():
                world.put_back()
        for limiter in app.extensions.get("limiter", ()) if method == "POST" else ():
            limiter.reset()
        words = KEPT_FROM.get(who, ()) if kept is None else kept
        told = [word for word in words if word.encode() in body]
        return status, told, wrote

    yield one
    gc.enable()
    logging.disable(logging.NOTSET)


def test_every_address_answers_everybody_as_agreed(app, ask, asked, touched, pytestconfig):
    found, leaks, count = {}, [], 0
    for probe in probes.probes(app, asked[0]):
        for who in WHO:
            if who == "sharing_manager" and not Sharing.looked_at:
                # The same person, and nobody looked at the setting in which they differ.
                found[probe[:3]][who] = found[probe[:3]]["account_manager"]
                continue
            status, told, wrote = ask(who, probe.method, probe.url)
            others = probe.row == NOT_HIS.get(who) and probe.rule not in FOR_ALL
            found.setdefault(probe[:3], {})[who] = status
            count += 1
            if status in REFUSED or probe.method == "GET" or others:
                told += wrote
            leaks += [f"{who} {probe.method} {probe.url}: {word}" for word in told]
            leaks += [f"{who} {probe.method} {probe.url}: {status}"] if status >= 500 else []
    assert leaks == []
    assert count > 6700, count
    hidden = [key for key, answers in found.items() if key[2] in ("own", "-") and 404 in answers.values()]
    unseen = {key[1] for key in hidden if {*found[key].values()} <= {401, 403, 404}}
    unseen -= {url for url in unseen if url.endswith("/lookup/id")}  # nothing on that screen is searched
    unseen -= {f"/reports/{r.id}/lookup/<key>" for r in REPORTS if not any(one.choices for one in r.filters)}
    assert unseen == FOUND_BY_NOBODY.keys()  # a question that nobody passes asks for no right
    every = {(rule.rule, m) for rule in app.url_map.iter_rules() for m in rule.methods - {"HEAD", "OPTIONS"}}
    assert touched == every  # not one is left out
    if pytestconfig.getoption("--write-ledgers"):
        probes.write(found)
    agreed = probes.read()
    different = {
        f"{who} {' '.join(key)}": (agreed.get(key, {}).get(who), found.get(key, {}).get(who))
        for key in {*agreed, *found}
        for who in WHO
        if agreed.get(key, {}).get(who) != found.get(key, {}).get(who)
    }
    assert different == {}, "(agreed, found): see tests/conformance/probes.py"


def test_no_address_takes_another_method(app, ask):
    wrong, count = [], 0
    for method, url in probes.other_methods(app):
        for who in ("anonymous", "account_manager", "super_admin"):
            count += 1
            status, told, wrote = ask(who, method, url)
            if status not in (404, 405) or told or wrote:
                wrong.append(f"{who} {method} {url}: {status} {told}")
    assert wrong == []
    assert count > 3400, count  # beside the 8,800 below and above: nobody is asked for a right here


def test_filters_orders_and_choices_tell_nobody_what_he_may_not_see(app, ask, asked):
    wrong, count = [], 0
    for url, number in probes.questions(app, asked[0]):
        for who, hidden in KEPT_FROM.items():
            if who == "sharing_manager" and not Sharing.looked_at:
                continue  # he got what the account manager got
            count += 1
            # Who may not see a number does not find its row by it either.
            kept = {*hidden, FOREIGN} if number and who == "sharing_manager" else hidden
            status, told, _wrote = ask(who, "GET", url, kept)
            told = [word for word in told if f"={word}" not in url]
            if status >= 500 or told:
                wrong.append(f"{who} {url}: {status} {told}")
    assert wrong == []
    assert count > 2100, count  # with those of the first test more than 8,800, each of which reaches the rights
