"""No page without a right, no right without a page, no step that nobody may take."""

from __future__ import annotations

import ast
import re

import pytest
from flask_babel import force_locale

from app.core.models import AuditEntry, Outcome
from app.core.taking import TakesSteps
from app.security.labels import right_label
from app.security.roles import ROLES, SUPER_ADMIN, grants_of
from app.security.seed import rights_of_screens
from tests.conformance import probes
from tests.conformance.house import arrows, declared_steps, is_public, routes, source
from tests.support import rows

GRANTED = {grant for role in ROLES if role.code != SUPER_ADMIN for grant in grants_of(role)}


def test_every_address_asks_for_a_right(app):
    wrong = [f"{route.url} {route.endpoint}" for route in routes(app) if route.right is None and not is_public(route)]
    assert wrong == []


def test_every_right_an_address_asks_for_is_seeded(app, db):
    known = rights_of_screens()
    wrong = [f"{route.url} {route.right}" for route in routes(app) if route.right and route.right not in known]
    assert wrong == []


def test_every_seeded_grant_names_a_right_that_a_screen_knows(app, db):
    assert sorted(GRANTED - rights_of_screens()) == []


def test_a_right_the_rules_ask_for_exists_on_a_screen(app, db):
    """may(), holds() and holders() with a misspelt right would refuse for ever."""
    known, wrong = rights_of_screens(), []
    for path, tree in source("app").items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("may", "holds", "holders"):
                words = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
                if len(words) == 2 and tuple(words) not in known:
                    wrong.append(f"{path}:{node.lineno} {words}")
    assert wrong == []


def page_of(app, arrow):
    """The screens that offer this step at an address of its own."""
    return [
        route
        for route in routes(app)
        if route.view is not None
        and getattr(getattr(route.view, "datamodel", None), "obj", None) is arrow.model
        and route.right is not None
        and route.right[0] == arrow.step.right
        and route.endpoint.endswith(f".{arrow.step.name}")
    ]


@pytest.mark.parametrize("arrow", [a for a in arrows() if id(a.step) in declared_steps()], ids=str)
def test_every_step_people_take_has_a_page_and_somebody_who_may(app, arrow):
    pages = page_of(app, arrow)
    assert pages, f"no address for {arrow}"
    assert {"GET", "POST"} <= {method for page in pages for method in page.methods}
    assert any(page.right in GRANTED for page in pages), f"nobody is granted {pages[0].right}"


@pytest.mark.parametrize("arrow", arrows(), ids=str)
def test_every_step_says_what_it_does_and_what_was_done(arrow):
    assert str(arrow.step.label).strip()
    assert str(arrow.step.done).strip()
    assert str(arrow.step.done).endswith(".")
    assert arrow.step.tone in ("primary", "quiet", "danger")
    assert arrow.step.sources
    assert (arrow.step.work.__doc__ or "").strip()


@pytest.mark.parametrize("arrow", [a for a in arrows() if id(a.step) in declared_steps()], ids=str)
def test_the_right_to_take_a_step_is_called_what_its_button_says(app, arrow):
    for page in page_of(app, arrow):
        for language in ("en", "zh"):
            with app.test_request_context(), force_locale(language):
                assert str(right_label(*page.right)) == str(arrow.step.label)


def filled(url):
    """The address with a number for every id and a word for everything else."""
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda m: "name" if m[1] in ("column", "filename", "kind") else "1", url)


def test_a_post_without_a_token_changes_nothing_anywhere(app, sign_in, admin):
    browser = sign_in(admin)
    accepted = []
    for route in routes(app):
        if "POST" in route.methods:
            answer = browser.post(filled(route.url), csrf=False)
            if answer.status_code != 400:
                accepted.append(f"{route.url} {answer.status_code}")
    assert accepted == []


def test_whoever_is_turned_away_from_a_post_stands_in_the_history(app, db, sign_in, li, wang, zhao, chen):
    """Every address that takes a POST and asks for a right, sent by somebody without any, about a row that is there."""
    ids = probes.fill(lead=li, manager=wang, other=zhao)
    browser = sign_in(chen)
    chen.roles = []
    db.session.commit()
    asks = {route.url: route for route in routes(app) if "POST" in route.methods and route.right}
    unseen, told, before = [], {}, len(rows(AuditEntry))
    for probe in probes.probes(app, ids):
        if probe.method != "POST" or probe.rule not in asks or probe.row not in ("own", "-"):
            continue
        if isinstance(asks[probe.rule].view, TakesSteps) and str(probes.MISSING) in probe.url:
            continue  # there is no such row in this company
        assert browser.post(probe.url).status_code == 403, probe.url
        entries = rows(AuditEntry)[before:]
        before += len(entries)
        if [(entry.outcome, entry.actor_id) for entry in entries] != [(Outcome.refused, chen.id)]:
            unseen.append(probe.url)
            continue
        (told[probe.rule],) = ((entry.record_type, entry.record_id, entry.action, entry.words) for entry in entries)
    assert unseen == []
    assert len(told) > 120
    assert asks.keys() == told.keys()
    why = "Your roles do not include this. Ask a system admin if you need it."
    assert told["/reports/contribution/export"] == ("report", None, "export", f"Customer contribution: {why}")
    assert told["/reports/contribution/mail"] == ("report", None, "export", f"Customer contribution: {why}")
    assert told["/personal/erase/<person>"] == ("contact", 1, "erase", why)
    assert told["/personal/export/<person>"] == ("contact", 1, "export_personal", why)
    assert told["/jobs/run"] == ("job_run", None, "run", f"Background jobs: {why}")


def test_nobody_there_and_nobody_signed_in_are_not_in_the_history(app, db, client, sign_in, chen):
    before = len(rows(AuditEntry))
    assert sign_in(chen).post("/personal/erase/contact-999999").status_code == 403
    assert sign_in(chen).post("/personal/erase/nobody").status_code == 403
    client.post("/reports/contribution/export")
    assert len(rows(AuditEntry)) == before
