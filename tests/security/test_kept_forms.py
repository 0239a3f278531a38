"""What was typed when the session was over is there again after signing in: for the same person, unsent, unsaved."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from io import BytesIO

import pytest
from wtforms import PasswordField

from app.core.clock import utcnow
from app.core.forms import CrmForm
from app.customers.models import Customer
from app.masterdata.models import DictionaryItem, DictionaryType
from app.sales.models import PlanStep
from app.security import kept
from app.security.models import UserSession
from jobs import session_sweep
from tests import builders
from tests.support import Browser, rows, text_of

TYPED = "西城区新华街 8 号"


@pytest.fixture
def customer(wang):
    region = rows(DictionaryItem, DictionaryItem.type == DictionaryType.region)[0]
    given = {"region": region, "address": "旧地址", "postcode": "100000", "phone": "010-5550 0101"}
    return builders.customer(owner=wang, name="北方机械有限公司", **given)


def fields_of(browser, address):
    """What the form of a page would send if somebody pressed its button."""
    page = browser.get(address)
    assert page.status_code == 200, page.status_code
    html = page.get_data(as_text=True)
    form = next(f for f in re.findall(r"(?s)<form.*?</form>", html) if "csrf_token" in f and 'name="name"' in f)
    sent = {}
    for tag in re.findall(r"<input[^>]*>", form):
        given = {k: unescape(v) for k, v in re.findall(r'([\w-]+)="([^"]*)"', tag)}
        if given.get("type") != "checkbox" or " checked" in tag:
            sent[given.get("name", "")] = given.get("value", "")
    for name, inside in re.findall(r'(?s)<select[^>]*name="(\w+)"[^>]*>(.*?)</select>', form):
        chosen = re.search(r'value="([^"]*)"[^>]*selected', inside) or re.search(
            r'selected[^>]*value="([^"]*)"', inside
        )
        sent[name] = chosen[1] if chosen else ""
    for name, inside in re.findall(r'(?s)<textarea[^>]*name="(\w+)"[^>]*>(.*?)</textarea>', form):
        sent[name] = unescape(inside).strip("\r\n")
    return sent, html


@pytest.fixture
def typing(app, client, clock, customer, wang):
    """Wang changed the address in the form, went away for two hours, and presses Save."""
    client.login_page("wang")
    address = f"/customers/edit/{customer.id}"
    sent, _html = fields_of(client, address)
    sent["address"] = TYPED
    clock.forward(hours=2)
    answer = client.post(address, sent)
    assert answer.status_code == 302
    return answer.location


def test_after_signing_in_again_the_form_shows_what_was_typed_and_saves_nothing_by_itself(client, typing, customer):
    assert "What you typed is kept. Sign in with the same account" in text_of(client.get(typing))

    back = client.post(typing, {"username": "wang", "password": "three blue umbrellas"})

    assert back.location == f"/customers/edit/{customer.id}?kept=1"
    sent, html = fields_of(client, back.location)
    assert sent["address"] == TYPED
    assert sent["name"] == "北方机械有限公司"
    assert "Not saved yet. This is what you typed before you were asked for your password" in html
    assert rows(Customer)[0].address == "旧地址"

    saved = client.post(back.location, sent, csrf=False)  # with the token of the page, which is a new one

    assert saved.status_code == 302
    assert rows(Customer)[0].address == TYPED
    assert [row.kept_at for row in rows(UserSession)] == [None, None]
    assert fields_of(client, back.location)[0]["address"] == TYPED
    assert "Not saved yet" not in client.get(back.location).get_data(as_text=True)


def test_a_session_that_a_login_elsewhere_ended_keeps_it_too(app, client, customer, wang):
    client.login_page("wang")
    sent, _html = fields_of(client, f"/customers/edit/{customer.id}")
    Browser(app).login_page("wang")

    away = client.post(f"/customers/edit/{customer.id}", {**sent, "address": TYPED})
    back = client.post(away.location, {"username": "wang", "password": "three blue umbrellas"})

    assert fields_of(client, back.location)[0]["address"] == TYPED


def test_a_new_record_keeps_what_was_chosen_against_the_address(client, clock, wang, customer):
    other = builders.customer(owner=wang, name="另一家公司")
    client.login_page("wang")
    address = f"/contacts/add?customer={customer.id}"
    sent, _html = fields_of(client, address)
    clock.forward(hours=2)

    away = client.post(address, {**sent, "name": "王小明", "customer": str(other.id)})
    back = client.post(away.location, {"username": "wang", "password": "three blue umbrellas"})

    assert back.location == f"{address}&kept=1"
    again, _html = fields_of(client, back.location)
    assert (again["name"], again["customer"]) == ("王小明", str(other.id))


def test_another_person_never_sees_it_and_then_it_is_gone(client, typing, customer, zhao):
    back = client.post(typing, {"username": "li", "password": "three blue umbrellas"})

    page = client.get(back.location).get_data(as_text=True)
    assert "旧地址" in page
    assert TYPED not in page
    assert "Not saved yet" not in page
    assert [row.kept for row in rows(UserSession)] == [None, None]

    client.post("/logout/")
    client.login_page("wang")
    assert TYPED not in client.get(back.location).get_data(as_text=True)


def test_a_failed_login_in_between_loses_nothing(client, typing):
    assert client.post(typing, {"username": "wang", "password": "wrong"}).status_code == 422

    back = client.post(typing, {"username": "wang", "password": "three blue umbrellas"})

    assert fields_of(client, back.location)[0]["address"] == TYPED


def test_the_same_account_in_another_browser_does_not_see_it(app, typing, wang):
    other = Browser(app)
    back = other.post(typing, {"username": "wang", "password": "three blue umbrellas"})

    assert TYPED not in other.get(back.location).get_data(as_text=True)


def test_a_record_that_somebody_changed_meanwhile_is_still_noticed(client, db, typing, customer):
    customer.memo = "changed meanwhile"
    db.session.commit()
    back = client.post(typing, {"username": "wang", "password": "three blue umbrellas"})
    sent, _html = fields_of(client, back.location)

    answer = client.post(back.location, sent)

    assert answer.status_code == 409
    assert "Somebody changed this record meanwhile. Your text is kept" in text_of(answer)
    assert rows(Customer)[0].address == "旧地址"


def test_its_page_opened_in_the_ordinary_way_shows_the_record(client, typing, customer):
    client.post(typing, {"username": "wang", "password": "three blue umbrellas"})

    assert fields_of(client, f"/customers/edit/{customer.id}")[0]["address"] == "旧地址"


def test_text_typed_on_a_page_of_another_form_is_told(client, clock, wang):
    opportunity = builders.opportunity(given_to=wang)
    page = f"/opportunities/show/{opportunity.id}"
    client.login_page("wang")
    clock.forward(hours=2)

    away = client.post(
        f"/opportunities/{opportunity.id}/plan",
        {"planned_on": "2099-01-05", "todo": "拜访采购经理 <b>"},
        headers={"Referer": f"http://localhost{page}"},
    )
    back = client.post(away.location, {"username": "wang", "password": "three blue umbrellas"})

    assert back.location == f"{page}?kept=1"
    shown = client.get(back.location)
    assert (
        "Not saved yet. Before you were asked for your password you had typed: 2099-01-05 · 拜访采购经理 &lt;b&gt;"
        in shown.text
    )
    assert rows(PlanStep) == []


# -- what is not kept --------------------------------------------------------------------------------------------


def test_secrets_are_never_kept(client, clock, sysadmin):
    client.login_page("sysadmin")
    clock.forward(hours=2)

    client.post("/profile/password", {"current": "three blue umbrellas", "new": "seven green hats"})
    assert rows(UserSession)[0].kept is None

    client.post("/users/add", {"username": "newone", "password": "seven green hats", "last_name": "Ng"})
    assert rows(UserSession)[0].kept["fields"] == [["username", "newone"], ["last_name", "Ng"]]


def every_form(form=CrmForm):
    yield form
    for below in form.__subclasses__():
        yield from every_form(below)


def test_every_field_for_a_password_has_a_name_that_is_never_kept(app):
    names = {
        name
        for form in every_form()
        for name in dir(form)
        if getattr(getattr(form, name), "field_class", None) is PasswordField
    }
    assert names
    assert names <= kept.SECRETS


def test_what_is_too_long_or_a_file_or_from_a_script_or_empty_is_not_kept(client, clock, customer, wang):
    client.login_page("wang")
    clock.forward(hours=2)
    address = f"/customers/edit/{customer.id}"

    client.post(address, {"address": "x" * kept.LONGEST})
    client.post(address, {"address": TYPED, "file": (BytesIO(b"x"), "x.txt")})
    client.post(address, {"address": TYPED}, headers={"X-Requested-With": "XMLHttpRequest"})
    client.post(address, {"address": " ", "version": "1"})
    client.post(f"/customers/delete/{customer.id}", headers={"Referer": "http://localhost/customers/list/"})

    assert [row.kept for row in rows(UserSession)] == [None]


def test_somebody_who_never_signed_in_leaves_nothing(client, customer):
    answer = client.post(f"/customers/edit/{customer.id}", {"address": TYPED})

    assert answer.location == "/login/"
    assert rows(UserSession) == []


def test_a_form_without_a_valid_token_of_its_page_is_not_kept(client, clock, customer, wang):
    client.login_page("wang")
    clock.forward(hours=2)

    assert client.post(f"/customers/edit/{customer.id}", {"address": TYPED}, csrf=False).status_code == 400
    assert rows(UserSession)[0].kept is None


@pytest.mark.parametrize(("hours", "still"), [(23, True), (25, False)])
def test_what_nobody_comes_back_for_within_a_day_is_deleted(db, typing, hours, still):
    (row,) = rows(UserSession)
    row.seen_at = utcnow() - timedelta(hours=hours)
    db.session.commit()

    session_sweep.run()

    assert (rows(UserSession)[0].kept is not None) is still
