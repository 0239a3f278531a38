"""Everybody arranges his own dashboard: which tiles, in which order, and back to those of the house."""

from __future__ import annotations

import re

import pytest

from app.core.errors import BusinessError
from app.core.unit import unit_of_work
from app.reports import operations, queries
from app.reports.models import DashboardTile
from app.reports.tiles import BY_KEY, TILES, arranged, moved
from tests import builders
from tests.support import rows, text_of

ALL = [tile.key for tile in TILES]


def keys_of(user):
    return queries.tiles_of(user.id)


def shown_on(browser):
    """The labels of the strip and the keys of the charts, in order."""
    html = browser.get("/dashboard/").get_data(as_text=True)
    labels = [
        re.sub("<[^>]+>", "", label) for label in re.findall(r"(?s)<dt>(.*?)</dt>\s*<dd>\s*<div class=\"v\"", html)
    ]
    return labels, re.findall(r'aria-labelledby="card-([\w-]+)"', html)


def sent(browser, keys, **more):
    """The page's form with these tiles ticked, in the order of the page."""
    return browser.post("/dashboard/arrange", {"order": ALL, "shown": keys, **more})


def test_the_order_of_the_house_until_somebody_chooses(db, li, sign_in):
    assert keys_of(li) == []
    labels, charts = shown_on(sign_in(li))
    assert labels == [
        "Order amount", "New customers", "Service satisfaction", "Churn warnings", "Retention of old customers",
        "Open opportunities",
    ]  # fmt: skip
    assert charts == ["churn-trend", "funnel", "best", "composition", "states", "weekly", "answers"]


def test_what_one_chooses_is_kept_in_its_order(db, li, sign_in):
    with unit_of_work():
        operations.arrange(["best", "warnings", "amount", "funnel"], actor=li)
    assert keys_of(li) == ["best", "warnings", "amount", "funnel"]
    assert shown_on(sign_in(li)) == (["Churn warnings", "Order amount"], ["best", "funnel"])


def test_a_new_order_takes_the_place_of_the_old_one(db, li):
    for keys in (["amount", "new", "open"], ["open", "amount"]):
        with unit_of_work():
            operations.arrange(keys, actor=li)
    assert keys_of(li) == ["open", "amount"]
    assert [(row.key, row.position) for row in rows(DashboardTile)] == [("amount", 1), ("open", 0)]


def test_it_is_ones_own(db, li, wang, sign_in):
    builders.dashboard_tile(user=wang, key="best")
    assert sent(sign_in(li), ["amount"], user_id=wang.id).status_code == 302
    assert (keys_of(li), keys_of(wang)) == (["amount"], ["best"])
    assert sign_in(li).post("/dashboard/arrange", {"reset": "1", "user_id": wang.id}).status_code == 302
    assert (keys_of(li), keys_of(wang)) == ([], ["best"])


def test_what_there_is_none_of_and_what_comes_twice_is_left_out(db, li):
    operations.arrange(["nonsense", "amount", "amount", "x" * 500], actor=li)
    assert keys_of(li) == ["amount"]


@pytest.mark.parametrize("keys", [[], ["nonsense"]])
def test_one_tile_at_least(db, li, keys):
    builders.dashboard_tile(user=li, key="best")
    with pytest.raises(BusinessError, match="at least one"):
        operations.arrange(keys, actor=li)
    assert keys_of(li) == ["best"]


def test_a_tile_of_an_older_version_is_passed_over():
    assert arranged(["gone", "best"]) == [BY_KEY["best"]]
    assert arranged(["gone"]) == list(TILES)


@pytest.mark.parametrize(
    ("key", "by", "expected"),
    [
        ("new", -1, ["new", "amount", "open", "best", "funnel"]),
        ("new", 1, ["amount", "open", "new", "best", "funnel"]),
        ("amount", -1, ["amount", "new", "open", "best", "funnel"]),
        ("open", 1, ["amount", "new", "open", "best", "funnel"]),
        ("funnel", -1, ["amount", "new", "open", "funnel", "best"]),
        ("funnel", 1, ["amount", "new", "open", "best", "funnel"]),
        ("best", -1, ["amount", "new", "open", "best", "funnel"]),  # not among the figures
    ],
)
def test_a_tile_moves_one_place_among_its_kind(key, by, expected):
    assert moved(["amount", "new", "best", "open", "funnel"], key, by) == expected


def test_what_is_not_there_does_not_move():
    for key in ("warnings", "nonsense"):
        with pytest.raises(ValueError, match="not in list"):
            moved(["amount", "best"], key, 1)


# -- the page -----------------------------------------------------------------------------------------------------


def ticked_on(html):
    return re.findall(r'name="shown" value="([\w-]+)"[^>]* checked', html)


def test_the_page_offers_every_tile_the_chosen_ones_first(db, wang, sign_in):
    for position, key in enumerate(("open", "amount", "funnel")):
        builders.dashboard_tile(user=wang, key=key, position=position)
    html = sign_in(wang).get("/dashboard/arrange").get_data(as_text=True)
    assert ticked_on(html) == ["open", "amount", "funnel"]
    order = re.findall(r'name="order" value="([\w-]+)"', html)
    assert order[:2] == ["open", "amount"]
    assert sorted(order) == sorted(ALL)
    assert not re.search(r"<style|<script(?![^>]* src=)|\sstyle=|\son\w+=", html)
    assert re.findall(r'name="(up|down)" value="([\w-]+)"[^>]* disabled', html) == [
        ("up", "open"), ("down", "amount"), ("up", "funnel"), ("down", "funnel"),
    ]  # fmt: skip


def test_up_and_down_keep_what_is_ticked_and_stay_on_the_page(db, wang, sign_in):
    browser = sign_in(wang)
    answer = sent(browser, ["amount", "new", "open", "best"], up="open")
    assert answer.location.endswith("/dashboard/arrange")
    assert keys_of(wang) == ["amount", "open", "new", "best"]
    sent(browser, ["amount", "new", "open", "best"], down="amount")
    assert keys_of(wang) == ["new", "amount", "open", "best"]


def test_saving_leads_to_the_dashboard(db, wang, sign_in):
    browser = sign_in(wang)
    answer = browser.post("/dashboard/arrange", {"order": ["open", "amount", "best"], "shown": ["amount", "open"]})
    assert answer.location.endswith("/dashboard/")
    assert shown_on(browser) == (["Open opportunities", "Order amount"], [])


def test_back_to_the_house(db, wang, sign_in):
    builders.dashboard_tile(user=wang, key="open")
    browser = sign_in(wang)
    assert browser.post("/dashboard/arrange", {"reset": "1"}).location.endswith("/dashboard/")
    assert rows(DashboardTile) == []
    assert len(shown_on(browser)[0]) == 6


def test_nothing_ticked_is_refused_in_words(db, wang, sign_in):
    builders.dashboard_tile(user=wang, key="open")
    answer = sent(sign_in(wang), [])
    assert answer.status_code == 400
    assert "Choose at least one tile." in text_of(answer)
    assert keys_of(wang) == ["open"]


def test_a_tile_that_is_not_ticked_cannot_be_moved(db, wang, sign_in):
    assert sent(sign_in(wang), ["amount"], up="open").status_code == 400
    assert rows(DashboardTile) == []


def test_it_needs_the_token_and_the_right(db, wang, sysadmin, sign_in):
    assert sign_in(wang).post("/dashboard/arrange", {"order": ALL, "shown": ALL}, csrf=False).status_code == 400
    assert sign_in(sysadmin).get("/dashboard/arrange").status_code == 403
    assert sent(sign_in(sysadmin), ["amount"]).status_code == 403
    assert rows(DashboardTile) == []
