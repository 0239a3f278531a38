"""The tests' own footing: every builder writes a row both databases accept, and the next test does not see it."""

from __future__ import annotations

import inspect
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from flask import g, request_finished
from flask_appbuilder.security.sqla.models import assoc_user_role

from app.security.models import UserProfile
from tests import builders
from tests.conftest import CAST
from tests.support import rows

BUILDERS = sorted(
    name
    for name, function in inspect.getmembers(builders, inspect.isfunction)
    if function.__module__ == builders.__name__ and not name.startswith("_")
)
ARGUMENTS = {
    "dictionary": lambda: (builders.DictionaryType.bank, "icbc"),
    "seeded_role": lambda: ("executive",),
    "stats": lambda: (builders.customer(),),
    "plan_step": lambda: (builders.opportunity(given_to=builders.user()),),
    "order_line": lambda: (builders.order(),),
    "measure": lambda: (builders.churn_case(),),
    "ticket_step": lambda: (builders.ticket(),),
    "participant": lambda: (builders.activity(),),
    "handover_item": lambda: (builders.handover(),),
}


@pytest.mark.parametrize("name", BUILDERS)
def test_every_builder_builds_with_its_defaults(db, name):
    made = getattr(builders, name)(*ARGUMENTS.get(name, tuple)())
    assert sa.inspect(made).persistent


@pytest.mark.parametrize("status", list(builders.OpportunityStatus))
def test_an_opportunity_can_begin_anywhere(db, status):
    assert builders.opportunity(status=status).status is status


@pytest.mark.parametrize("status", list(builders.ChurnStatus))
def test_a_churn_case_can_begin_anywhere(db, status):
    assert builders.churn_case(status=status).status is status


@pytest.mark.parametrize("status", list(builders.TicketStatus))
def test_a_ticket_can_begin_anywhere(db, status):
    assert builders.ticket(status=status).status is status


@pytest.mark.parametrize("_time", [1, 2])
def test_what_one_test_wrote_the_next_does_not_see(db, wang, _time):
    assert rows(builders.Customer) == []
    wang.email = "changed@liuke.example"
    builders.customer(owner=wang)


@pytest.mark.parametrize("_time", [1, 2])
def test_what_went_with_a_deleted_row_comes_back_with_it(db, chen, _time):
    """On PostgreSQL only the tables that were written are put back; a cascade writes without saying so."""
    held = sa.select(sa.func.count()).select_from(assoc_user_role)
    assert db.session.execute(held).scalar_one() == len(rows(UserProfile)) == len(CAST)
    db.session.execute(sa.text("DELETE FROM user_profile WHERE user_id = :id"), {"id": chen.id})
    db.session.execute(sa.text("DELETE FROM ab_user WHERE id = :id"), {"id": chen.id})
    db.session.commit()
    assert db.session.execute(held).scalar_one() == len(rows(UserProfile)) == len(CAST) - 1


@contextmanager
def readers(app):
    """Who was asking, request by request."""
    seen = []

    def note(_app, **_given):
        seen.append(g.user.username if g.user.is_authenticated else None)

    with request_finished.connected_to(note, app):
        yield seen


def test_two_browsers_are_two_people(app, sign_in, li, wang, client):
    first, second = sign_in(li), sign_in(wang)
    with readers(app) as seen:
        for browser in (first, second, client, first):
            browser.get("/")
    assert seen == ["li", "wang", None, "li"]
