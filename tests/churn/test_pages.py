"""The churn screens: who sees which case, why it is there, and the two decisions taken from the page."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from app.churn.models import ChurnCase, ChurnStatus, RetentionMeasure
from app.core.clock import from_local, utcnow
from app.core.models import AuditEntry
from app.customers.models import Customer, CustomerStatus
from app.masterdata.models import DictionaryType
from tests import builders
from tests.support import rows, statements, text_of

STEPS = {"defer": {"text": "上门拜访，带新版价格单。"}, "confirm-lost": {"reason": "改用竞品，价格更低。"}}


@pytest.fixture
def case(db, wang):
    """A warning about a customer of Wang's."""
    return builders.churn_case(
        builders.customer(owner=wang, name="成都蜀源生物科技有限公司"),
        opened_at=from_local(datetime(2026, 11, 21, 2)),
        last_order_at=from_local(datetime(2026, 5, 19)),
        last_order_no="DD000077",
    )


# -- who sees what ----------------------------------------------------------------------------------------------


def test_everybody_sees_the_cases_that_are_theirs_to_see(sign_in, case, admin, li, wang, zhao, chen):
    builders.churn_case(builders.customer(owner=zhao, name="长沙岳麓环保工程有限公司"))
    builders.churn_case(builders.customer(name="无人负责的公司"))
    gone = builders.user(active=False)
    builders.churn_case(builders.customer(owner=gone, name="离职经理的公司"))
    builders.churn_case(builders.customer(owner=wang, name="已删除的公司", status=CustomerStatus.deleted))
    all_of_them = {"成都蜀源生物科技有限公司", "长沙岳麓环保工程有限公司", "无人负责的公司", "离职经理的公司"}
    for person, theirs in (
        (wang, {"成都蜀源生物科技有限公司"}),
        (zhao, {"长沙岳麓环保工程有限公司"}),
        (li, all_of_them),
        (admin, all_of_them),
        (chen, all_of_them),
    ):
        page = text_of(sign_in(person).get("/churn/list/"))
        assert {name for name in {*all_of_them, "已删除的公司"} if name in page} == theirs


def test_without_can_see_all_a_stand_in_still_sees_the_cases_of_the_absent(sign_in, case):
    builders.churn_case(builders.customer(name="无人负责的公司"))
    stand_in = builders.user(
        roles=[builders.role(rights=[(r, "ChurnCase") for r in ("can_list", "can_show", "can_act_for_absent")])]
    )
    page = text_of(sign_in(stand_in).get("/churn/list/"))
    assert "无人负责的公司" in page
    assert "成都蜀源" not in page


def test_a_foreign_case_is_not_found_and_a_missing_right_is_refused(sign_in, case, zhao, chen, sysadmin):
    for path in ("show", "defer", "confirm-lost"):
        assert sign_in(zhao).get(f"/churn/{path}/{case.id}").status_code == 404
        assert sign_in(sysadmin).get(f"/churn/{path}/{case.id}").status_code == 403
    for path, given in STEPS.items():
        assert sign_in(zhao).post(f"/churn/{path}/{case.id}", given).status_code == 404
        assert sign_in(chen).post(f"/churn/{path}/{case.id}", given).status_code == 403
    assert [c.version for c in rows(ChurnCase)] == [1]
    assert {entry.outcome.value for entry in rows(AuditEntry)} <= {"refused"}


def test_an_executive_reads_and_is_offered_nothing(sign_in, case, chen):
    browser = sign_in(chen)
    page = browser.get(f"/churn/show/{case.id}")
    assert page.status_code == 200
    assert "成都蜀源" in text_of(page)
    assert f"/churn/defer/{case.id}" not in page.get_data(as_text=True)
    assert "Last contact" not in text_of(page)  # interactions are not an executive's to read


def test_the_last_contact_is_shown_to_whoever_may_read_it(app, sign_in, case, wang):
    builders.interaction(case.customer, by=wang, title="谈过新价格")
    rights = [("can_show", "ChurnCase"), ("can_see_all", "ChurnCase"), ("can_list", "Interaction")]
    browser, page = sign_in(builders.user(roles=[builders.role(rights=rights)])), f"/churn/show/{case.id}"
    assert "谈过新价格" in text_of(browser.get(page))
    app.config["LIUKE_CUSTOMERS_SHARED"] = "own"
    assert "谈过新价格" not in text_of(browser.get(page))


def test_a_lead_is_offered_the_steps_only_where_somebody_is_absent(sign_in, case, li):
    absent = builders.churn_case(builders.customer())
    browser = sign_in(li)
    assert f"/churn/defer/{case.id}" not in browser.get(f"/churn/show/{case.id}").get_data(as_text=True)
    assert f"/churn/defer/{absent.id}" in browser.get(f"/churn/show/{absent.id}").get_data(as_text=True)


def test_choices_of_a_filter_are_customers_with_a_visible_case(sign_in, case, wang, zhao, chen):
    builders.customer(owner=wang, name="成都没有预警的公司")
    for person, found in ((wang, 1), (chen, 1), (zhao, 0)):
        answer = sign_in(person).get("/churn/lookup/customer?q=成都").get_json()
        assert [row["text"] for row in answer["results"]] == ["成都蜀源生物科技有限公司"] * found
    names = {row["text"] for row in sign_in(chen).get("/churn/lookup/owner").get_json()["results"]}
    assert names == {"王强"}


# -- why a case is there ----------------------------------------------------------------------------------------


def test_the_list_says_why_each_case_is_there(sign_in, case, wang):
    never = builders.customer(owner=wang, registered_on=date(2026, 1, 1))
    builders.churn_case(never, rule_months=9)
    answer = sign_in(wang).get("/churn/list/")
    page = text_of(answer)
    days = (utcnow().astimezone(UTC).date() - date(2026, 5, 19)).days
    assert "2026-05-19 DD000077" in page
    assert f" {days} " in page or f" {days + 1} " in page
    assert " 6 months " in page
    assert "no order since" not in page  # there is no room for it
    assert '<span title="no order since 2026-05-21 02:00">6 months</span>' in answer.get_data(as_text=True)
    assert "Never ordered" in page
    assert "9 months" in page


def test_the_case_page_shows_how_the_customer_buys_and_what_was_done(sign_in, case, wang):
    now = utcnow()
    builders.order(case.customer, at=now - timedelta(days=300), amount="1000.10")
    builders.order(case.customer, at=now - timedelta(days=200), amount="234.40", external_id="DD000099")
    builders.order(case.customer, at=now - timedelta(days=1000), amount="9999.00")
    builders.interaction(case.customer, by=wang, title="催问年度计划")
    builders.measure(case, text="寄送新品样本", by=wang, cost=Decimal("80.00"))
    page = text_of(sign_in(wang).get(f"/churn/show/{case.id}"))
    assert "6 months · no order since 2026-05-21 02:00" in page
    assert "¥234.40" in page
    assert "DD000099" in page
    assert "¥1,234.50" in page
    assert "催问年度计划" in page
    assert "寄送新品样本" in page
    assert "¥80.00" in page


@pytest.mark.parametrize(
    ("status", "silent"), [(ChurnStatus.warning, None), (ChurnStatus.recovered, 187), (ChurnStatus.won_back, 187)]
)
def test_days_without_order_stop_when_one_ends_the_case(sign_in, wang, status, silent):
    resolved = {"resolved_at": from_local(datetime(2026, 11, 22, 1))} if silent else {}
    builders.churn_case(
        builders.customer(owner=wang), status=status, last_order_at=from_local(datetime(2026, 5, 19)), **resolved
    )
    page = text_of(sign_in(wang).get("/churn/list/"))
    if silent:
        assert " 187 " in page
    else:
        assert "2026-05-19" in page


# -- filters ----------------------------------------------------------------------------------------------------


def test_tabs_are_filters_by_status(sign_in, case, wang):
    builders.churn_case(builders.customer(owner=wang, name="已流失的公司"), status=ChurnStatus.lost)
    browser = sign_in(wang)
    lost = browser.get("/churn/list/?_flt_0_status=lost")
    assert "已流失的公司" in text_of(lost)
    assert "成都蜀源" not in text_of(lost)
    assert 'href="/churn/list/?_flt_0_status=lost" aria-current="page"' in lost.get_data(as_text=True)
    assert "成都蜀源" in text_of(browser.get("/churn/list/?_flt_0_status=warning"))


def test_the_owner_filter_means_the_owner_of_today(sign_in, case, li, wang, zhao):
    browser = sign_in(li)
    case.customer.owner = zhao
    assert "成都蜀源" in text_of(browser.get(f"/churn/list/?_flt_0_owner={zhao.id}"))
    builders.customer(owner=wang)  # Wang owns customers still
    assert "成都蜀源" not in text_of(browser.get(f"/churn/list/?_flt_0_owner={wang.id}"))


def test_filters_combine(sign_in, case, li, wang):
    other = builders.churn_case(builders.customer(owner=wang, name="另一家公司"))
    url = f"/churn/list/?_flt_0_owner={wang.id}&_flt_0_customer={other.customer_id}"
    browser = sign_in(li)
    assert "成都蜀源" not in text_of(browser.get(url))
    assert "另一家公司" in text_of(browser.get(url))
    assert "Nothing matches" in text_of(browser.get(f"{url}&_flt_0_status=lost"))


@pytest.mark.parametrize(("column", "first"), [("last_order_at", "成都蜀源"), ("opened_at", "另一家公司")])
def test_the_list_sorts_by_silence_and_by_warning(sign_in, case, wang, column, first):
    builders.churn_case(
        builders.customer(owner=wang, name="另一家公司"), opened_at=from_local(datetime(2026, 11, 14, 2)),
        last_order_at=from_local(datetime(2026, 5, 20)),
    )  # fmt: skip
    page = text_of(sign_in(wang).get(f"/churn/list/?_oc_ChurnCaseView={column}&_od_ChurnCaseView=asc"))
    second = {"成都蜀源": "另一家公司", "另一家公司": "成都蜀源"}[first]
    assert page.index(first) < page.index(second)


def test_a_list_of_25_takes_at_most_ten_statements_and_sixty_kilobytes(app, sign_in, li, wang, zhao):
    builders.sync_run()
    builders.job_run(scheduled_for=utcnow(), counts={"opened": 60})
    for number in range(60):
        builders.churn_case(builders.customer(owner=(wang, zhao, None)[number % 3]), last_order_no="DD000001")
    browser = sign_in(li)
    for url in ("/churn/list/", f"/churn/list/?_flt_0_status=warning&_flt_0_owner={wang.id}"):
        browser.get(url)
        with statements(app) as seen:
            page = browser.get(url)
        assert len(seen) <= 10
        assert len(page.get_data()) <= 60_000
    assert "Last check as of" in text_of(page)
    assert "60 new warnings" in text_of(page)


# -- the alert, the counter, the customer's page ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("ago", "alert"),
    [
        (None, "was never synced. Until it is, nobody is warned."),
        (timedelta(days=9), "was last synced 9 days ago. Until it is synced, nobody is warned."),
        (timedelta(days=7), None),
    ],
)
def test_the_list_says_why_nobody_is_warned(sign_in, case, wang, ago, alert):
    if ago is not None:
        builders.sync_run(finished_at=utcnow() - ago)
    page = text_of(sign_in(wang).get("/churn/list/"))
    if alert:
        assert alert in page
    else:
        assert "nobody is warned" not in page


def test_waiting_warnings_are_counted_on_every_page(app, sign_in, case, wang, zhao, li, chen):
    builders.churn_case(builders.customer(owner=wang))
    builders.churn_case(builders.customer(owner=wang), status=ChurnStatus.deferred)  # something was done
    builders.churn_case(builders.customer(owner=wang), status=ChurnStatus.lost)
    builders.churn_case(builders.customer())
    builders.churn_case(builders.customer(owner=wang, status=CustomerStatus.deleted))
    for person, waiting in ((wang, 2), (zhao, 0), (li, 1), (chen, 0)):
        page = text_of(sign_in(person).get("/churn/list/?_flt_0_status=won_back"))
        assert ("waiting for you" in page) is (waiting > 0)
        assert waiting == 0 or f"Churn warnings {waiting} waiting for you" in page


def test_a_customers_page_tells_of_its_open_case(sign_in, case, wang, zhao):
    url = f"/customers/show/{case.customer_id}"
    page = sign_in(wang).get(url)
    assert "No order for" in text_of(page)
    assert f"/churn/show/{case.id}" in page.get_data(as_text=True)
    assert f"/churn/show/{case.id}" not in sign_in(zhao).get(url).get_data(as_text=True)
    never = builders.churn_case(builders.customer(owner=wang))
    assert "never ordered" in text_of(sign_in(wang).get(f"/customers/show/{never.customer_id}"))


# -- the decisions ----------------------------------------------------------------------------------------------


def test_the_owner_defers_from_the_page(sign_in, case, wang):
    browser = sign_in(wang)
    asked = browser.get(f"/churn/defer/{case.id}")
    assert asked.status_code == 200
    assert "stays open until the customer orders again" in text_of(asked)
    visit = builders.dictionary(DictionaryType.measure, "visit")

    answer = browser.post(
        f"/churn/defer/{case.id}", {"text": " 上门拜访 ", "type": visit.id, "cost": "1,200.50"}, follow_redirects=True
    )

    assert "Deferred. The measure was kept." in text_of(answer)
    assert "¥1,200.50" in text_of(answer)
    (measure,) = rows(RetentionMeasure)
    assert (measure.text, measure.type_id, measure.cost, measure.by_id) == (
        "上门拜访", visit.id, Decimal("1200.50"), wang.id,
    )  # fmt: skip
    assert [c.status for c in rows(ChurnCase)] == [ChurnStatus.deferred]


def test_the_owner_confirms_a_loss_from_the_page(sign_in, case, wang):
    browser = sign_in(wang)
    assert "counts in the churn report" in text_of(browser.get(f"/churn/confirm-lost/{case.id}"))
    price = builders.dictionary(DictionaryType.churn_reason, "price")

    answer = browser.post(f"/churn/confirm-lost/{case.id}", {"reason": "价格高", "reason_type": price.id})

    assert answer.status_code == 302
    (kept,) = rows(ChurnCase)
    assert (kept.status, kept.reason, kept.reason_type_id) == (ChurnStatus.lost, "价格高", price.id)
    assert [c.status for c in rows(Customer)] == [CustomerStatus.lost]
    assert f"/churn/defer/{case.id}" not in browser.get(f"/churn/show/{case.id}").get_data(as_text=True)


@pytest.mark.parametrize(
    ("path", "given", "sentence", "kept"),
    [
        ("defer", {"text": " ", "cost": "80"}, "Fill in this field.", 'value="80"'),
        ("defer", {"text": "改" * 501}, "Field cannot be longer", "改" * 501),
        ("defer", {"text": "电话回访", "cost": "很多"}, "Enter an amount", "电话回访"),
        ("defer", {"text": "电话回访", "cost": "-1"}, "Enter 0 or more.", "电话回访"),
        ("defer", {"text": "电话回访", "type": "99999"}, "Choose one of the list.", "电话回访"),
        ("confirm-lost", {"reason": ""}, "Fill in this field.", "Confirm lost"),
        ("confirm-lost", {"reason": "价格高", "reason_type": "x"}, "Choose one of the list.", "价格高"),
    ],
)
def test_what_was_typed_stays_after_an_error(sign_in, case, wang, path, given, sentence, kept):
    answer = sign_in(wang).post(f"/churn/{path}/{case.id}", given)
    assert answer.status_code == 422
    assert sentence in text_of(answer)
    assert kept in answer.get_data(as_text=True)
    assert [c.version for c in rows(ChurnCase)] == [1]
    assert rows(RetentionMeasure) == []


@pytest.mark.parametrize(("path", "given"), STEPS.items())
def test_a_lead_who_is_not_needed_is_refused_and_keeps_the_text(sign_in, case, li, path, given):
    answer = sign_in(li).post(f"/churn/{path}/{case.id}", given)
    assert answer.status_code == 403
    assert "Only the customer's account manager can do this." in answer.get_data(as_text=True).replace("&#39;", "'")
    assert next(iter(given.values())) in answer.get_data(as_text=True)
    assert [c.version for c in rows(ChurnCase)] == [1]
    (refusal,) = rows(AuditEntry)
    assert (refusal.actor_id, refusal.outcome.value, refusal.action) == (li.id, "refused", path.replace("-", "_"))


@pytest.mark.parametrize(("path", "given"), [*STEPS.items(), *((path, {}) for path in STEPS)])
def test_a_step_from_an_ended_case_is_refused_and_recorded(sign_in, wang, path, given):
    case = builders.churn_case(builders.customer(owner=wang), status=ChurnStatus.recovered)
    answer = sign_in(wang).post(f"/churn/{path}/{case.id}", given)
    assert answer.status_code == 409
    assert "the record is “Recovered”" in text_of(answer)
    assert "Fill in this field." not in text_of(answer)
    assert [e.outcome.value for e in rows(AuditEntry)] == ["refused"]


@pytest.mark.parametrize("path", STEPS)
def test_the_page_of_a_decision_that_cannot_be_made_says_why_not(sign_in, case, wang, li, path):
    ended = builders.churn_case(builders.customer(owner=wang), status=ChurnStatus.recovered)
    for person, pk, sentence in (
        (wang, ended.id, "the record is “Recovered”"),
        (li, case.id, "Only the customer's account manager can do this."),
    ):
        answer = sign_in(person).get(f"/churn/{path}/{pk}")
        page = answer.get_data(as_text=True).replace("&#39;", "'")
        assert answer.status_code == 200
        assert sentence in page
        assert "<textarea" not in page
        assert 'class="btn btn-primary" type="submit"' not in page
        assert 'class="btn btn-danger" type="submit"' not in page
    assert "<textarea" in sign_in(wang).get(f"/churn/{path}/{case.id}").get_data(as_text=True)
    assert rows(AuditEntry) == []


def test_a_step_is_taken_once_by_a_double_click(sign_in, case, wang):
    browser = sign_in(wang)
    given = STEPS["confirm-lost"]
    assert browser.post(f"/churn/confirm-lost/{case.id}", given).status_code == 302
    assert browser.post(f"/churn/confirm-lost/{case.id}", given).status_code == 409
    assert [c.version for c in rows(ChurnCase)] == [2]


def test_actor_time_and_state_do_not_come_from_the_form(sign_in, case, wang, zhao):
    sign_in(wang).post(
        f"/churn/confirm-lost/{case.id}",
        {"reason": "价格高", "lost_at": "1999-01-01", "status": "won_back", "owner_id": zhao.id, "by": zhao.id},
    )
    (kept,) = rows(ChurnCase)
    assert kept.status == ChurnStatus.lost
    assert kept.owner_id == wang.id
    assert utcnow() - kept.lost_at < timedelta(minutes=1)


def test_measures_are_listed_for_those_who_see_the_case(sign_in, case, wang, zhao, chen):
    builders.measure(case, text="寄送新品样本", by=wang)
    for person, seen in ((wang, True), (chen, True), (zhao, False)):
        assert ("寄送新品样本" in text_of(sign_in(person).get("/retention-measures/list/"))) is seen
