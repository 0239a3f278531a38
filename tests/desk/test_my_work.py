"""我的工作: what waits for somebody, with its next deed; nothing of what waits for others."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from flask import g

from app.churn.models import ChurnStatus
from app.core.clock import today, utcnow
from app.core.web import COUNTERS
from app.desk.my_work_queries import AHEAD
from app.notices.queries import BELL, unread
from app.tickets.models import TicketStatus
from tests import builders
from tests.support import statements, text_of


def talk(customer, *, days, title="确认采购计划", **given):
    """An interaction of a month ago whose follow-up is `days` from today."""
    on = today() + timedelta(days=days)
    given = {"occurred_at": utcnow() - timedelta(days=30), **given}
    return builders.interaction(customer, title=title, next_follow_up_on=on, **given)


def page(browser, language="en"):
    answer = browser.speak(language).get("/my-work/")
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def test_an_overdue_follow_up_leads_to_writing_the_interaction(db, sign_in, wang, zhao):
    mine, theirs = builders.customer(owner=wang), builders.customer(owner=zhao, name="别人的客户")
    planned = talk(mine, days=-4)
    talk(theirs, days=-4, title="别人的回访")

    html = page(sign_in(wang))

    assert "4 days overdue" in html
    assert f"/interactions/add?customer={mine.id}" in html
    assert f"/interactions/edit/{planned.id}" in html
    assert "别人的" not in html


@pytest.mark.parametrize(("days", "card"), [(-1, "work-late"), (0, "work-due"), (1, None)])
def test_a_follow_up_stands_where_its_day_is(db, sign_in, wang, days, card):
    talk(builders.customer(owner=wang), days=days)

    html = page(sign_in(wang))

    assert {c for c in ("work-late", "work-due") if f'id="{c}"' in html} == ({card} if card else set())
    assert ("确认采购计划" in html.partition("<aside")[2]) is (days >= 0)


def test_what_is_overdue_hides_nothing_of_today_however_much_it_is(db, sign_in, wang):
    late = [talk(builders.customer(owner=wang), days=-3) for _n in range(101)]
    talk(builders.customer(owner=wang), days=0, title="今天要打电话")
    plan = builders.opportunity(given_to=wang)
    for _one in late:
        builders.plan_step(plan, planned_on=today() - timedelta(days=3))
    builders.plan_step(plan, planned_on=today(), todo="今天寄样品")

    html = page(sign_in(wang))

    assert "今天要打电话" in html
    assert "今天寄样品" in html


def test_a_follow_up_is_made_when_somebody_talked_with_the_customer_since(db, sign_in, wang):
    customer = builders.customer(owner=wang)
    talk(customer, days=-4)
    builders.interaction(customer, title="已回访", occurred_at=utcnow())

    assert "确认采购计划" not in page(sign_in(wang))


def test_only_the_newest_talk_with_a_customer_is_followed_up(db, sign_in, wang):
    moment = utcnow() - timedelta(days=20)
    talked, same, gone = (builders.customer(owner=wang) for _n in range(3))
    talk(talked, days=-4, title="早已谈过")
    talk(talked, days=-1, title="还要回访", occurred_at=moment)
    talk(same, days=-4, title="先写下的", occurred_at=moment)
    talk(same, days=-3, title="后写下的", occurred_at=moment)
    talk(gone, days=-5, title="又要回访")
    builders.interaction(gone, title="写错了", occurred_at=utcnow(), deleted_at=utcnow())

    html = page(sign_in(wang))

    listed = re.findall(r"早已谈过|还要回访|先写下的|后写下的|又要回访", html.partition("<aside")[0])
    assert list(dict.fromkeys(listed)) == ["又要回访", "后写下的", "还要回访"]
    assert re.search(r'data-waiting="MyWork">3<', html)


def test_a_due_step_leads_to_its_plan(db, sign_in, wang, zhao):
    mine = builders.opportunity(given_to=wang)
    step = builders.plan_step(mine, planned_on=today(), todo="寄送样品")
    builders.plan_step(mine, planned_on=today() - timedelta(days=1), todo="已经做完", result="好")
    builders.plan_step(builders.opportunity(given_to=zhao), planned_on=today(), todo="别人的步骤")

    html = page(sign_in(wang))

    assert f"/opportunities/show/{mine.id}#plan" in html
    assert f"/opportunities/{mine.id}/plan/{step.id}#plan" in html
    assert "寄送样品" in html
    assert "已经做完" not in html
    assert "别人的步骤" not in html


def test_a_warning_leads_to_deferring_it_until_something_is_done(db, sign_in, wang):
    case = builders.churn_case(builders.customer(owner=wang, name="沉默的客户"))
    builders.churn_case(builders.customer(owner=wang, name="已暂缓的客户"), status=ChurnStatus.deferred)

    html = page(sign_in(wang))

    assert f"/churn/defer/{case.id}" in html
    assert "已暂缓的客户" not in html


@pytest.mark.parametrize(
    ("status", "deed"),
    [(TicketStatus.assigned, "handle"), (TicketStatus.handled, "give-feedback"), (TicketStatus.archived, None)],
)
def test_a_ticket_leads_to_its_next_step(db, sign_in, wang, zhao, status, deed):
    ticket = builders.ticket(status=status, given_to=wang)
    other = builders.ticket(status=status, given_to=zhao)

    html = page(sign_in(wang))

    assert (f"/tickets/{deed}/{ticket.id}" in html) is (deed is not None)
    assert other.number not in html


def test_a_lead_sees_what_nobody_has_yet(db, sign_in, li, wang):
    found, ticket = builders.opportunity(by=wang, title="没有人跟进"), builders.ticket()

    lead, manager = page(sign_in(li)), page(sign_in(wang))

    assert f"/opportunities/assign/{found.id}" in lead
    assert f"/tickets/assign/{ticket.id}" in lead
    assert "没有人跟进" not in manager
    assert ticket.number not in manager


def test_birthdays_of_a_week_stand_beside_it(db, sign_in, wang):
    customer = builders.customer(owner=wang)
    for name, days in (("今天的", 0), ("第六天的", AHEAD - 1), ("第七天的", AHEAD), ("昨天的", -1)):
        builders.contact(
            customer, name=name, is_primary=False, birthday=(today() + timedelta(days=days)).replace(year=1988)
        )

    html = page(sign_in(wang))

    assert "今天的" in html
    assert "第六天的" in html
    assert "第七天的" not in html
    assert "昨天的" not in html


def test_an_empty_day_says_so_in_both_languages(db, sign_in, wang):
    assert "Nothing to do right now" in page(sign_in(wang))
    assert re.search("[\u4e00-\u9fff]", text_of(sign_in(wang).speak("zh").get("/my-work/")))


def test_it_is_the_first_page_of_managers_and_open_to_leads(db, sign_in, wang, li, chen, sysadmin):
    assert sign_in(wang).get("/").location == "/my-work/"
    assert sign_in(li).get("/").location == "/dashboard/"
    assert sign_in(li).get("/my-work/").status_code == 200
    assert sign_in(chen).get("/").location == "/dashboard/"
    assert sign_in(chen).get("/my-work/").status_code == 403
    assert sign_in(sysadmin).get("/my-work/").status_code == 403


def test_the_first_page_of_a_system_admin_is_the_accounts(db, sign_in, sysadmin):
    assert sign_in(sysadmin).get("/").location == "/users/list/"


def test_the_menu_says_how_much_waits(db, sign_in, wang):
    customer = builders.customer(owner=wang)
    talk(customer, days=-1)
    talk(builders.customer(owner=wang), days=0)
    talk(builders.customer(owner=wang), days=1)  # not yet
    builders.churn_case(customer)
    builders.ticket(status=TicketStatus.handled, given_to=wang)

    for url in ("/my-work/", "/contacts/list/"):
        html = sign_in(wang).get(url).get_data(as_text=True)
        assert re.search(r'data-waiting="MyWork">4<', html), url


def test_the_count_brings_the_numbers_of_the_bell_the_warnings_and_the_tickets_along(app, db, sign_in, wang, li):
    """What the menu's entries count themselves is the same: both are asked here."""
    full(wang, li, 2)
    for person in (wang, li):
        with sign_in(person).flask as flask:
            flask.get("/contacts/list/")
            kept = dict(g.counts)
            assert kept["ChurnCase"] == COUNTERS["ChurnCase"]()
            assert kept["Ticket"] == COUNTERS["Ticket"]()
            assert kept[BELL] == unread(person.id)
            assert kept["Ticket"] > 0


def test_the_page_brings_itself_up_to_date_and_stays_as_it_is_when_nothing_is_new(db, sign_in, wang):
    browser = sign_in(wang)
    first = browser.get("/my-work/").get_data(as_text=True)
    url = re.search(r'hx-get="(/my-work/part\?has=\w+)" hx-trigger="every 20s"', first)[1]
    assert browser.get(url).status_code == 204

    talk(builders.customer(owner=wang), days=0)
    again = browser.get(url)

    assert again.status_code == 200
    assert "确认采购计划" in again.get_data(as_text=True)
    assert 'id="my-work"' in again.get_data(as_text=True)


def test_asking_by_itself_keeps_no_session_alive(app):
    assert app.view_functions["MyWorkView.part"].passive


def full(owner, lead, size):
    for _n in range(size):
        customer = builders.customer(owner=owner)
        contact = builders.contact(customer, birthday=today().replace(year=1988))
        talk(customer, days=-2, contact=contact)
        builders.churn_case(customer)
        builders.plan_step(builders.opportunity(given_to=owner, by=lead), planned_on=today())
        builders.ticket(customer, given_to=owner, status=TicketStatus.assigned)
        builders.ticket(customer, by=owner)
        builders.opportunity(by=owner)


@pytest.mark.parametrize("who", ["wang", "li"])
def test_it_takes_the_same_few_statements_for_a_full_day(app, db, sign_in, wang, li, who):
    browser = sign_in({"wang": wang, "li": li}[who])
    counts = []
    for size in (1, 12):
        full(wang, li, size)
        browser.get("/my-work/")
        with statements(app) as seen:
            browser.get("/my-work/")
        counts.append(len(seen))
    assert counts[0] == counts[1]
    assert counts[0] <= 9, seen


def test_its_next_seven_days_have_no_end_of_week_surprises(db, sign_in, wang):
    opportunity = builders.opportunity(given_to=wang)
    for days in (0, AHEAD - 1, AHEAD):
        builders.plan_step(opportunity, planned_on=today() + timedelta(days=days), todo=f"第 {days} 天")

    aside = page(sign_in(wang)).partition("<aside")[2]

    assert "第 0 天" in aside
    assert f"第 {AHEAD - 1} 天" in aside
    assert f"第 {AHEAD} 天" not in aside
