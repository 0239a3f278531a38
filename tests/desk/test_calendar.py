"""One's own dates at a secret address: whoever knows it reads them, a new one kills the old one."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from icalendar import Calendar

from app.core.clock import today, utcnow
from app.core.unit import unit_of_work
from app.notices import operations
from app.notices.models import NoticeSettings
from app.security import operations as accounts
from app.security.models import UserProfile
from tests import builders
from tests.support import PASSWORD, rows


def address(browser):
    """A new calendar address, as the page shows it once."""
    page = browser.post("/notices/settings/calendar").get_data(as_text=True)
    return re.search(r"http://localhost(/calendar/[\w-]+\.ics)", page)[1]


def events(answer):
    """What stands in a calendar: (name, day, title), in the order of the days."""
    assert answer.status_code == 200
    assert answer.mimetype == "text/calendar"
    found = Calendar.from_ical(answer.get_data()).walk("VEVENT")
    return sorted(
        (str(e["UID"]).rpartition("-")[0], e.decoded("DTSTART"), str(e["SUMMARY"])) for e in found
    )  # fmt: skip


def test_it_holds_ones_own_dates_without_a_session(db, sign_in, client, wang, zhao):
    customer = builders.customer(owner=wang, name="云栖智造")
    builders.contact(customer, name="唐敏", birthday=date(1988, 2, 29))
    builders.interaction(customer, title="确认,计划;", next_follow_up_on=today() + timedelta(days=3))
    builders.plan_step(builders.opportunity(given_to=wang), planned_on=today(), todo="寄样品")
    builders.plan_step(builders.opportunity(given_to=zhao), planned_on=today(), todo="别人的")
    builders.interaction(builders.customer(owner=zhao), title="别人的", next_follow_up_on=today())

    found = events(client.get(address(sign_in(wang))))

    assert [(kind, day) for kind, day, _title in found] == [
        ("birthday", date(1988, 2, 29)),
        ("follow-up", today() + timedelta(days=3)),
        ("plan-step", today()),
    ]
    assert [title for *_rest, title in found][1] == "Contact 云栖智造: 确认,计划;"
    assert not any("别人的" in title for *_rest, title in found)


def test_it_speaks_the_owners_language(db, sign_in, client, wang):
    db.session.get(UserProfile, wang.id).language = "zh"
    builders.interaction(builders.customer(owner=wang, name="云栖"), title="回访", next_follow_up_on=today())
    ((_kind, _day, title),) = events(client.get(address(sign_in(wang))))
    assert not re.search("[A-Za-z]", title)


@pytest.mark.parametrize("days", [-61, -60, 365, 366])
def test_it_reaches_two_months_back_and_a_year_ahead(db, sign_in, client, wang, days):
    day = today() + timedelta(days=days)
    builders.plan_step(builders.opportunity(given_to=wang), planned_on=day)
    assert len(events(client.get(address(sign_in(wang))))) == (1 if -60 <= days <= 365 else 0)


def test_a_new_address_kills_the_old_one_and_dropping_kills_both(db, sign_in, client, wang):
    browser = sign_in(wang)
    first = address(browser)
    second = address(browser)
    assert client.get(first).status_code == 404
    assert client.get(second).status_code == 200
    browser.post("/notices/settings/calendar", {"drop": "1"})
    assert client.get(second).status_code == 404


def test_the_secret_is_shown_once_and_only_its_hash_is_kept(db, sign_in, wang):
    browser = sign_in(wang)
    secret = address(browser).split("/")[2].removesuffix(".ics")
    assert len(secret) >= 40
    assert secret not in browser.get("/notices/settings").get_data(as_text=True)
    (kept,) = rows(NoticeSettings)
    assert secret not in (kept.calendar_hash, "")
    assert kept.calendar_hash == operations.calendar_hash(secret)


def test_a_disabled_accounts_address_leads_nowhere_and_is_forgotten_in_the_morning(db, sign_in, client, wang):
    url = address(sign_in(wang))
    wang.active = False
    db.session.commit()
    assert client.get(url).status_code == 404
    with unit_of_work():
        assert operations.sweep(before=utcnow())["calendars"] == 1
    wang.active = True
    db.session.commit()
    assert client.get(url).status_code == 404


def test_a_new_password_kills_the_address(db, sign_in, client, wang, sysadmin):
    browser = sign_in(wang)
    first, new = address(browser), "seven green bicycles"
    browser.post("/profile/password", {"current": PASSWORD, "new": new})
    assert client.get(first).status_code == 404

    second = address(browser)
    assert client.get(second).status_code == 200
    with unit_of_work():
        accounts.reset_password(wang, "four green umbrellas", actor=sysadmin)
    assert client.get(second).status_code == 404


@pytest.mark.parametrize("token", ["x", "x" * 43, "x" * 200, "%00" * 30, "..%2f" * 6, "留" * 30])
def test_a_guess_finds_nothing(db, client, token):
    assert client.get(f"/calendar/{token}.ics").status_code == 404


def test_rights_that_were_taken_away_empty_it(db, sign_in, client, wang):
    builders.plan_step(builders.opportunity(given_to=wang), planned_on=today())
    url = address(sign_in(wang))
    assert len(events(client.get(url))) == 1
    wang.roles = [builders.role()]
    db.session.commit()
    assert events(client.get(url)) == []
