"""Looking changes nothing: every address that answers GET is opened, and every table stays as it was."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa
from flask_appbuilder import Model

from tests.conformance import company
from tests.conformance.house import routes, screens

KEPT_UP_BY_READING = {"user_session": {"seen_at"}}
"""Columns that reading may write: when somebody was last seen."""


def contents(db):
    """Every table's rows, as text, without what reading may change."""
    db.session.rollback()
    found = {}
    for name, table in Model.metadata.tables.items():
        columns = [c for c in table.columns if c.name not in KEPT_UP_BY_READING.get(name, ())]
        rows = db.session.execute(sa.select(*columns).order_by(*table.primary_key.columns)).all()
        found[name] = [repr(tuple(row)) for row in rows]
    db.session.rollback()
    return found


def addresses(app, ids):
    """Every address that answers GET, with ids of rows that exist."""
    lookups = {
        view.endpoint: [n for n in (*view.search_columns, *view.add_columns, *view.edit_columns) if relation(view, n)]
        for view in screens(app)
    }
    for route in routes(app):
        if "GET" not in route.methods or route.endpoint in ("static", "appbuilder.static"):
            continue
        url = route.url
        if "<column>" in url:
            for column in dict.fromkeys(lookups[route.endpoint.partition(".")[0]]):
                yield url.replace("<column>", column)
            continue
        pk = ids.get(route.endpoint.partition(".")[0], 1)
        yield re.sub(r"<(?:\w+:)?\w+>", str(pk), url)


def relation(view, name):
    attribute = getattr(view.datamodel.obj, name, None)
    return isinstance(getattr(attribute, "property", None), sa.orm.RelationshipProperty)


@pytest.fixture
def filled(db, li, wang):
    company.fill(lead=li, manager=wang, size=2)


def test_get_never_changes_anything(app, db, filled, sign_in, admin):
    ids = company.first_ids(screens(app))
    browser = sign_in(admin)
    before = contents(db)
    broken = []
    for url in addresses(app, ids):
        try:
            answer = browser.get(url)
        except Exception as error:
            broken.append(f"{url}: {error!r}"[:300])
        else:
            if answer.status_code >= 500:
                broken.append(f"{url}: {answer.status_code}")
    assert broken == []
    after = contents(db)
    assert [name for name in before if before[name] != after[name]] == []


@pytest.mark.once  # what an address means is decided before any database is asked
@pytest.mark.parametrize("pk", ["0", "-1", "999999999", "99999999999999999999", "abc", "1%00"])
def test_ids_that_are_none_are_not_found_everywhere(app, filled, sign_in, admin, pk):
    browser = sign_in(admin)
    wrong = []
    for route in routes(app):
        if "GET" in route.methods and re.search(r"<(?:\w+:)?pk>", route.url):
            answer = browser.get(re.sub(r"<(?:\w+:)?pk>", pk, route.url))
            if answer.status_code != 404:
                wrong.append(f"{route.url} {answer.status_code}")
    assert wrong == []


@pytest.mark.once  # what an address means is decided before any database is asked
@pytest.mark.parametrize("query", [
    "page_X=-1&psize_X=0", "page_X=abc&psize_X=99999999999999999999", "_oc_X=id;drop&_od_X=sideways",
    "_flt_9_nothing=1", "count=exact&page_X=50",
])  # fmt: skip
def test_nonsense_in_the_address_of_a_list_breaks_nothing(app, filled, sign_in, admin, query):
    browser = sign_in(admin)
    wrong = []
    for view in screens(app):
        url = f"{view.route_base}/list/?{query}".replace("X", type(view).__name__)
        answer = browser.get(url)
        if answer.status_code not in (200, 302, 404):
            wrong.append(f"{url}: {answer.status_code}")
    assert wrong == []


VALUES = (
    "0", "-1", "999999999999999", "1e400", "nan", "2026-02-30", "9999-12-31", "0001-01-01", "٣", "x" * 500, "%25",
    "%25%27%22_\\", "%00",
)  # fmt: skip
TURNS = 5  # five of the values for each filter of each column; the columns of one kind see all of them


@pytest.mark.parametrize("turn", range(TURNS))
def test_every_filter_takes_any_text(app, filled, sign_in, admin, turn):
    browser = sign_in(admin)
    wrong = []
    for view in screens(app):
        given = "&".join(
            f"_flt_{operator}_{column}={VALUES[(turn + place * 3 + operator * TURNS) % len(VALUES)]}"
            for place, column in enumerate(view.search_columns)
            for operator in (0, 1, 2)
        )
        answer = browser.get(f"{view.route_base}/list/?{given}")
        if answer.status_code not in (200, 302):
            wrong.append(f"{view.endpoint} {given}: {answer.status_code}")
    assert wrong == []
