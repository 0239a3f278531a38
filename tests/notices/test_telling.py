"""An event is told to a person once, in his language, and never more than he may see."""

from __future__ import annotations

from datetime import datetime, time, timedelta

import pytest
import sqlalchemy as sa
from flask_babel import force_locale

from app.churn.models import ChurnStatus
from app.core.changes import TOLD
from app.core.clock import company_zone, today, utcnow
from app.core.lifecycle import perform
from app.core.unit import unit_of_work
from app.desk import reminders
from app.notices.kinds import KINDS
from app.notices.models import Notification
from app.notices.operations import mark_read, notify, sweep
from app.notices.queries import MANY, unread
from app.notices.reading import sentence
from app.sales import operations as sales
from tests import builders
from tests.support import rows, statements, text_of


def test_an_event_said_twice_is_told_once(db, wang, zhao, told):
    record = told(wang, event="e:1")
    told(wang, event="e:1", record=record)
    told(zhao, event="e:1", record=record)
    told(wang, event="e:2", record=record)

    assert [(n.event, n.recipient_id) for n in rows(Notification)] == [
        ("e:1", wang.id), ("e:1", zhao.id), ("e:2", wang.id),
    ]  # fmt: skip


def test_it_belongs_to_the_callers_unit_of_work(db, wang):
    record = builders.opportunity(given_to=wang)

    def broken():
        with unit_of_work():
            notify("opportunity.assigned", to=wang, record=record, event="e", prospect="a", title="b")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert rows(Notification) == []


def test_disabled_accounts_nobody_and_who_did_it_are_told_nothing(db, li, wang, told):
    wang.active = False
    db.session.commit()
    record = told(wang)
    told(None, record=record)
    told([None, li], record=record, but=li)
    assert rows(Notification) == []


def test_an_unknown_kind_and_an_endless_event_are_mistakes(db, wang):
    record = builders.opportunity()
    with pytest.raises(KeyError, match="no such kind"):
        notify("nothing", to=wang, record=record, event="e")
    with pytest.raises(ValueError, match="150"):
        notify("opportunity.assigned", to=wang, record=record, event="e" * 151)


def test_who_is_given_an_opportunity_reads_it_in_his_language(db, sign_in, li, wang):
    found = builders.opportunity(by=li, title="智能仓储", customer_name="云栖智造")
    perform(sales.assign, found, actor=li, assignee=wang)

    assert "“智能仓储” of 云栖智造 was assigned to you" in text_of(sign_in(wang).speak("en").get("/notices/"))
    chinese = text_of(sign_in(wang).speak("zh").get("/notices/"))
    assert "智能仓储" in chinese
    assert "was assigned" not in chinese
    assert "智能仓储" not in text_of(sign_in(li).get("/notices/"))


@pytest.mark.parametrize("name", sorted(["churn.warned", "birthday", "plan.late", "follow_up.late", "plan.due"]))
def test_every_sentence_stands_without_one_of_its_words(app, name):
    for language in ("zh", "en"):
        with app.test_request_context(), force_locale(language):
            assert "…" in sentence(KINDS[name], {})


def test_what_one_may_not_see_any_more_is_not_told_again(db, sign_in, wang, zhao, told):
    record = told(wang, title="秘密项目")
    browser = sign_in(wang)
    assert "秘密项目" in text_of(browser.get("/notices/"))

    record.assignee_id = zhao.id
    db.session.commit()
    (one,) = rows(Notification)

    assert "秘密项目" not in text_of(browser.get("/notices/"))
    assert "You can no longer see what this is about" in text_of(browser.get("/notices/"))
    assert browser.post(f"/notices/open/{one.id}").location == "/notices/"


def test_without_the_right_to_the_page_nothing_is_told(db, sign_in, wang, told):
    told(wang, title="秘密项目")
    wang.roles = [builders.role(rights=[("can_list", "Contact")])]
    db.session.commit()

    assert "秘密项目" not in text_of(sign_in(wang).get("/notices/"))


def test_opening_one_marks_it_as_read_and_leads_there(db, sign_in, wang, told):
    record = told(wang)
    (one,) = rows(Notification)
    browser = sign_in(wang)
    assert "1 unread" in text_of(browser.get("/notices/"))

    answer = browser.post(f"/notices/open/{one.id}")

    assert answer.location == f"/opportunities/show/{record.id}"
    assert rows(Notification)[0].read_at is not None
    assert "unread" not in text_of(browser.get("/notices/")).replace("Unread", "")


def test_nobody_opens_or_reads_anothers(db, sign_in, wang, zhao, told):
    told(wang)
    (one,) = rows(Notification)
    browser = sign_in(zhao)
    assert browser.post(f"/notices/open/{one.id}").status_code == 404
    assert browser.post("/notices/read", {"id": one.id}).status_code == 404
    browser.post("/notices/read")
    assert rows(Notification)[0].read_at is None


def test_one_or_all_are_marked_as_read_by_a_post(db, sign_in, wang, told):
    for _n in range(3):
        told(wang)
    first = rows(Notification)[0]
    browser = sign_in(wang)
    assert browser.get("/notices/read").status_code == 405

    browser.post("/notices/read", {"id": first.id})
    assert unread(wang.id) == 2
    browser.post("/notices/read")
    assert unread(wang.id) == 0
    assert "Nothing unread" in text_of(browser.get("/notices/?show=unread"))


def test_the_centre_shows_a_page_at_a_time(db, sign_in, wang, told):
    record = told(wang, title="第一条", event="first")
    for n in range(25):
        told(wang, record=record, event=f"e:{n}")
    browser = sign_in(wang)
    html = browser.get("/notices/").get_data(as_text=True)
    assert "第一条" not in html
    older = rows(Notification)[1].id
    assert "第一条" in browser.get(f"/notices/?before={older}").get_data(as_text=True)
    assert browser.get("/notices/?before=x").status_code == 200


def test_the_bell_tells_what_is_new_without_loading_the_page_again(app, db, sign_in, wang, told):
    browser = sign_in(wang)
    page = browser.get("/contacts/list/").get_data(as_text=True)
    assert 'hx-get="/notices/bell" hx-trigger="every 20s"' in page
    assert '<span class="dot">' not in page
    assert "htmx.min.js" in page

    told(wang)
    builders.churn_case(builders.customer(owner=wang))
    piece = browser.get("/notices/bell").get_data(as_text=True)

    assert "1 unread" in piece
    assert '<span class="dot">' in piece
    assert "hx-swap-oob=\"outerHTML:[data-waiting='ChurnCase']\">1<" in piece
    assert app.view_functions["NoticesView.bell"].passive


def test_the_bell_is_counted_no_further_than_a_hundred(db, wang, told):
    record = told(wang)
    with unit_of_work():
        for n in range(MANY + 5):
            notify("opportunity.assigned", to=wang, record=record, event=f"many:{n}", prospect="a", title="b")
    assert unread(wang.id) == MANY


def test_a_full_page_takes_no_statement_per_line(app, db, sign_in, wang, told):
    browser, counts = sign_in(wang), []
    for size in (1, 10):
        for _n in range(size):
            told(wang)
        browser.get("/notices/")
        with statements(app) as seen:
            browser.get("/notices/")
        counts.append(len(seen))
    assert counts[0] == counts[1] <= 8


def test_texts_of_customers_are_no_markup(db, sign_in, wang, told):
    told(wang, title="<script>alert(1)</script>%(x)s")
    html = sign_in(wang).get("/notices/").get_data(as_text=True)
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;%(x)s" in html


# -- what a day brings ----------------------------------------------------------------------------------------------


def morning(day=None, at=None):
    """Tell everybody at noon what the day brings; the kinds that are new, with who was told."""
    day = day or today()
    at = at or datetime.combine(day, time(12), company_zone())
    before = {n.id for n in rows(Notification)}
    with unit_of_work():
        count = reminders.tell_dated(day, at) + reminders.tell_churn(utcnow())
    new = [n for n in rows(Notification) if n.id not in before]
    assert count == len(new)
    return sorted((n.kind, n.recipient_id) for n in new)


@pytest.mark.parametrize(
    ("days", "kind"),
    [(1, None), (0, "follow_up.due"), (-1, "follow_up.late"), (-7, "follow_up.late"), (-8, None)],
)
def test_a_follow_up_is_told_on_its_day_and_once_more_when_it_is_late(db, wang, days, kind):
    builders.interaction(
        builders.customer(owner=wang), occurred_at=utcnow() - timedelta(days=20),
        next_follow_up_on=today() + timedelta(days=days),
    )  # fmt: skip
    assert morning() == ([(kind, wang.id)] if kind else [])
    assert morning() == []


@pytest.mark.parametrize("days", [1, 0, -1, -7, -8])
def test_a_plan_step_is_told_on_its_day_and_once_more_when_it_is_late(db, wang, days):
    step = builders.plan_step(builders.opportunity(given_to=wang), planned_on=today() + timedelta(days=days))
    kind = {0: "plan.due", -1: "plan.late", -7: "plan.late"}.get(days)
    assert morning() == ([(kind, wang.id)] if kind else [])
    assert morning() == []
    (told,) = rows(Notification) or [None]
    assert told is None or told.words["day"] == step.planned_on.isoformat()


def test_a_morning_that_is_caught_up_says_today_about_no_past_day(db, wang):
    past, customer = today() - timedelta(days=1), builders.customer(owner=wang)
    builders.interaction(customer, occurred_at=utcnow() - timedelta(days=20), next_follow_up_on=past)
    builders.plan_step(builders.opportunity(given_to=wang), planned_on=past)
    builders.contact(customer, birthday=past.replace(year=1988))
    assert morning(past, at=utcnow()) == []
    assert morning() == [("follow_up.late", wang.id), ("plan.late", wang.id)]


def test_what_is_done_closed_or_nobodys_is_not_told(db, wang):
    builders.plan_step(builders.opportunity(given_to=wang), planned_on=today(), result="好")
    builders.interaction(builders.customer(), next_follow_up_on=today())
    customer = builders.customer(owner=wang)
    builders.interaction(customer, occurred_at=utcnow() - timedelta(days=9), next_follow_up_on=today())
    builders.interaction(customer)
    assert morning() == []


def test_a_disabled_owner_is_told_nothing(db, wang):
    builders.interaction(builders.customer(owner=wang), next_follow_up_on=today())
    wang.active = False
    db.session.commit()
    assert morning() == []


def test_a_birthday_is_told_on_the_day_also_the_one_of_the_29th_of_february(db, wang):
    customer = builders.customer(owner=wang)
    for name, born in (("甲", "1988-11-22"), ("乙", "1988-11-23"), ("丙", "1988-02-29")):
        builders.contact(customer, name=name, is_primary=False, birthday=today().fromisoformat(born))

    names = {}
    for day in ("2027-11-22", "2027-02-28", "2028-02-28", "2028-02-29", "2027-03-01"):
        before = len(rows(Notification))
        morning(today().fromisoformat(day))
        names[day] = [n.words["name"] for n in rows(Notification)[before:]]

    assert names == {
        "2027-11-22": ["甲"], "2027-02-28": ["丙"], "2028-02-28": [], "2028-02-29": ["丙"], "2027-03-01": [],
    }  # fmt: skip


def test_owners_hear_of_warnings_and_of_who_came_back_once(db, wang, zhao):
    case = builders.churn_case(builders.customer(owner=wang))
    builders.churn_case(builders.customer(owner=wang), status=ChurnStatus.deferred)
    builders.churn_case(builders.customer(owner=zhao), status=ChurnStatus.won_back, resolved_at=utcnow())
    builders.churn_case(builders.customer())  # nobody's

    assert morning() == sorted([("churn.warned", wang.id), ("churn.won_back", zhao.id)])
    assert morning() == []
    told = rows(Notification, Notification.recipient_id == wang.id)[0]
    assert (told.record_type, told.record_id) == ("churn_case", case.id)


def test_old_warnings_are_told_no_more(db, wang):
    case = builders.churn_case(builders.customer(owner=wang))
    db.session.execute(
        sa.update(type(case)).values(created_at=utcnow() - timedelta(days=7, minutes=1)).execution_options(**TOLD)
    )
    db.session.commit()
    assert morning() == []


def test_a_morning_takes_the_same_statements_for_one_and_for_many(app, db, wang):
    counts = []
    for size in (1, 30):
        for _n in range(size):
            builders.interaction(builders.customer(owner=wang), next_follow_up_on=today())
        with statements(app) as seen, unit_of_work():
            reminders.tell_dated(today(), utcnow())
        counts.append(len(seen))
    assert counts == [5, 5]


def test_what_was_read_a_year_ago_is_swept_and_what_was_not_stays(db, wang, told):
    for _n in range(2):
        told(wang)
    first = rows(Notification)[0]
    with unit_of_work():
        mark_read(wang.id, [first.id], at=utcnow() - timedelta(days=366))
    with unit_of_work():
        assert sweep(before=utcnow() - timedelta(days=365))["notices"] == 1
    assert [n.id for n in rows(Notification)] != [first.id]
    assert len(rows(Notification)) == 1
