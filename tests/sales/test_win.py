"""开发成功: winning creates the customer and its primary contact, exactly once, or attaches to one there is."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.core.clock import local, utcnow
from app.core.errors import BusinessError
from app.core.lifecycle import perform
from app.customers.models import Contact, Customer, CustomerStatus
from app.customers.operations import same_name
from app.sales import operations, views
from app.sales.models import CloseKind, OpportunityStatus
from tests import builders
from tests.support import rows, text_of

S = OpportunityStatus


@pytest.fixture
def ready(db, li, wang):
    """An opportunity whose plan is done."""
    opportunity = builders.opportunity(
        by=li,
        given_to=wang,
        customer_name="杭州云栖智造科技有限公司",
        contact_name="顾维",
        contact_phone="0571-0555 0101",
    )
    builders.plan_step(opportunity, result="合同已签")
    return opportunity


def win(browser, opportunity, **sent):
    return browser.post(f"/opportunities/win/{opportunity.id}", sent)


def test_winning_creates_the_customer_with_its_primary_contact(db, sign_in, wang, ready, moves):
    answer = win(sign_in(wang), ready)
    (customer,) = rows(Customer)
    assert (answer.status_code, answer.location) == (302, f"/opportunities/show/{ready.id}")
    assert (customer.name, customer.phone, customer.owner_id) == ("杭州云栖智造科技有限公司", "0571-0555 0101", wang.id)
    assert (customer.level.code, customer.satisfaction, customer.credit) == ("1", 3, 3)
    assert (customer.status, customer.created_by_id) == (CustomerStatus.active, wang.id)
    (contact,) = rows(Contact)
    assert (contact.customer_id, contact.name, contact.office_phone) == (customer.id, "顾维", "0571-0555 0101")
    assert contact.is_primary
    db.session.refresh(ready)
    assert (ready.status, ready.close_kind, ready.closed_by_id) == (S.won, CloseKind.won, wang.id)
    assert (ready.customer_id, ready.created_customer, ready.close_reason) == (customer.id, True, None)
    assert [(m.action, m.note) for m in moves(ready)] == [("win", f"{customer.number} 杭州云栖智造科技有限公司")]
    assert [(m.action, m.note) for m in moves(customer)] == [("create", None), ("from_opportunity", "采购新生产线")]


def test_both_histories_say_where_the_customer_came_from(db, sign_in, wang, ready):
    browser = sign_in(wang)
    win(browser, ready)
    (customer,) = rows(Customer)
    text = text_of(browser.get(f"/opportunities/show/{ready.id}"))
    assert f"王强 marked it as won {local(utcnow()):%Y-%m-%d}" in text
    assert f"{customer.number} 杭州云栖智造科技有限公司" in text
    text = text_of(browser.get(f"/customers/show/{customer.id}"))
    assert "王强 won it with this opportunity" in text
    assert "采购新生产线" in text


def test_the_page_says_what_winning_does(db, sign_in, wang, ready):
    browser = sign_in(wang)
    text = text_of(browser.get(f"/opportunities/win/{ready.id}"))
    assert "When it is won" in text
    assert "The customer “杭州云栖智造科技有限公司” is created, with 王强 as account manager." in text
    assert "顾维 becomes its primary contact." in text
    builders.customer(name=ready.customer_name)
    for answer in (browser.get(f"/opportunities/win/{ready.id}"), win(browser, ready)):  # now there is a choice
        assert "is created, with" not in text_of(answer)
        assert "The plan becomes read-only." in text_of(answer)


def test_the_customers_number_and_registration_day_are_the_companys(db, wang, ready):
    at = datetime(2026, 11, 21, 17, 30, tzinfo=UTC)  # 01:30 on the 22nd where the company works
    operations.win(ready, actor=wang, at=at)
    assert ready.customer.number == "KH261122001"
    assert ready.customer.registered_on.isoformat() == "2026-11-22"


def test_without_a_contact_name_there_is_no_contact(db, li, wang):
    opportunity = builders.opportunity(by=li, given_to=wang, contact_name=None, contact_phone=None)
    builders.plan_step(opportunity, result="合同已签")
    operations.win(opportunity, actor=wang)
    assert rows(Contact) == []
    assert opportunity.customer.phone is None


def test_winning_twice_makes_one_customer(db, sign_in, wang, ready, refusals):
    browser = sign_in(wang)
    assert win(browser, ready).status_code == 302
    assert win(browser, ready).status_code == 409
    assert len(rows(Customer)) == 1
    assert [r.action for r in refusals(ready)] == ["win"]


# -- the plan has to be done --------------------------------------------------------------------------------------


def test_a_plan_without_a_step_is_not_won(db, sign_in, li, wang, picture, refusals):
    opportunity = builders.opportunity(by=li, given_to=wang)
    before, answer = picture(opportunity), win(sign_in(wang), opportunity)
    assert answer.status_code == 409
    assert "Add at least one plan step and its result first." in text_of(answer)
    assert picture(opportunity) == before
    assert rows(Customer) == []
    assert len(refusals(opportunity)) == 1


def test_a_plan_without_a_step_is_no_question_of_names(db, sign_in, li, wang, refusals):
    opportunity = builders.opportunity(by=li, given_to=wang)
    builders.customer(name=opportunity.customer_name)
    answer = win(sign_in(wang), opportunity)
    assert answer.status_code == 409
    assert "Add at least one plan step and its result first." in text_of(answer)
    assert "Not a valid choice." not in text_of(answer)
    assert len(refusals(opportunity)) == 1


@pytest.mark.parametrize(
    ("open_steps", "sentence"),
    [(1, "Fill in the result of 1 planned step first."), (2, "Fill in the results of 2 planned steps first.")],
)
def test_every_step_needs_its_result(db, wang, ready, open_steps, sentence):
    for _n in range(open_steps):
        builders.plan_step(ready)
    with pytest.raises(BusinessError) as refusal:
        perform(operations.win, ready, actor=wang)
    assert str(refusal.value) == sentence
    assert rows(Customer) == []


def test_a_right_wins_what_is_unfinished(db, li):
    role = builders.role(rights=[("can_win_unfinished", "Opportunity"), ("can_be_assigned", "Customer")])
    star = builders.user(roles=[role])
    opportunity = builders.opportunity(by=li, given_to=star)
    operations.win(opportunity, actor=star)
    assert opportunity.status == S.won


# -- a customer of that name is there already ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "known",
    [
        "杭州云栖智造科技有限公司", " 杭州云栖智造科技 ", "杭州云栖智造科技股份有限公司",
        "杭州云栖智造科技（集团）有限公司", "杭州　云栖智造科技有限责任公司", "杭州云栖智造科技公司",
    ],
)  # fmt: skip
def test_an_equal_name_is_asked_about_and_never_decided_silently(db, sign_in, wang, ready, known, refusals):
    builders.customer(name=known, number="KH071202001")
    browser = sign_in(wang)
    text = text_of(browser.get(f"/opportunities/win/{ready.id}"))
    assert "There is already a customer with this name" in text
    assert "Attach to KH071202001" in text
    answer = win(browser, ready)
    assert answer.status_code == 422
    assert "There is already a customer with this name: Choose one of the answers." in text_of(answer)
    with pytest.raises(BusinessError, match="already a customer with this name"):
        perform(operations.win, ready, actor=wang)
    assert len(rows(Customer)) == 1
    assert rows(Contact) == []


def test_a_customer_made_at_the_same_moment_is_asked_about_at_once(db, sign_in, wang, ready, refusals, monkeypatch):
    known = builders.customer(name=ready.customer_name, number="KH071202001")
    looks = []

    def not_yet(name, *where):
        looks.append(name)
        return same_name(name, *where) if len(looks) > 1 else []

    monkeypatch.setattr(views, "same_name", not_yet)
    browser = sign_in(wang)
    answer = win(browser, ready)
    assert answer.status_code == 422
    assert "Attach to KH071202001" in text_of(answer)
    assert 'type="submit">Mark as won</button>' in answer.get_data(as_text=True)
    (refusal,) = refusals(ready)
    assert refusal.note == "There is already a customer with this name. Attach to it, or create another one."
    assert win(browser, ready, choice=str(known.id)).status_code == 302
    assert len(rows(Customer)) == 1


@pytest.mark.parametrize(
    "known", ["Ｋｅｓｔｒｅｌ　ｏｐｔｉｃｓ", "KESTREL OPTICS GmbH", "Kestrel Optics Co., Ltd.", "kestrel  optics inc"]
)
def test_width_case_and_suffix_make_no_other_name(db, known):
    customer = builders.customer(name=known)
    assert same_name("Kestrel Optics GmbH") == [customer]


@pytest.mark.parametrize("known", ["Kestrel Opticsco", "Kestrel Optics Hamburg GmbH", "Kestrel GmbH", "云栖 Optics"])
def test_other_names_are_other_names(db, known):
    builders.customer(name=known)
    assert same_name("Kestrel Optics GmbH") == []


def test_a_deleted_customer_is_no_namesake_but_a_lost_one_is(db):
    builders.customer(name="云栖", status=CustomerStatus.deleted)
    lost = builders.customer(name="云栖有限公司", status=CustomerStatus.lost)
    assert same_name("云栖") == [lost]


def test_attaching_creates_nothing_and_leaves_the_owner(db, sign_in, wang, zhao, ready):
    known = builders.customer(name=ready.customer_name, owner=zhao)
    builders.contact(known, name="刘洋")
    assert win(sign_in(wang), ready, choice=str(known.id)).status_code == 302
    db.session.refresh(ready)
    db.session.refresh(known)
    assert (ready.status, ready.customer_id, ready.created_customer) == (S.won, known.id, False)
    assert known.owner_id == zhao.id
    assert len(rows(Customer)) == 1
    # The contact of the opportunity is new there; the primary one stays.
    assert [(c.name, c.is_primary) for c in rows(Contact)] == [("刘洋", True), ("顾维", False)]


def test_attaching_does_not_repeat_a_contact_that_is_known(db, wang, ready):
    known = builders.customer(name=ready.customer_name)
    builders.contact(known, name="顾维")
    operations.win(ready, actor=wang, attach_to=known)
    assert len(rows(Contact)) == 1


def test_attaching_to_a_customer_nobody_owns_gives_it_to_the_assignee(db, wang, ready, moves):
    known = builders.customer(name=ready.customer_name, owner=None)
    operations.win(ready, actor=wang, attach_to=known)
    db.session.commit()
    assert known.owner_id == wang.id
    assert [m.action for m in moves(known)] == ["assign", "attach"]
    assert moves(known)[1].note == "采购新生产线"


def test_another_customer_may_be_created_anyway(db, sign_in, wang, ready):
    builders.customer(name=ready.customer_name)
    assert win(sign_in(wang), ready, choice="new").status_code == 302
    assert len(rows(Customer)) == 2
    db.session.refresh(ready)
    assert ready.created_customer


@pytest.mark.parametrize("choice", ["987654", "abc", "", "-1", "0"])
def test_only_one_of_the_namesakes_can_be_chosen(db, sign_in, wang, ready, choice):
    builders.customer(name=ready.customer_name)
    answer = win(sign_in(wang), ready, choice=choice)
    assert answer.status_code == 422
    assert "There is already a customer with this name: Choose one of the answers." in text_of(answer)
    assert len(rows(Customer)) == 1


def test_a_customer_of_another_name_cannot_be_attached_to(db, sign_in, wang, ready):
    builders.customer(name=ready.customer_name)
    stranger = builders.customer(name="毫不相干")
    assert win(sign_in(wang), ready, choice=str(stranger.id)).status_code == 422
    with pytest.raises(BusinessError, match="does not have the opportunity's name"):
        operations.win(ready, actor=wang, attach_to=stranger)


def test_two_opportunities_may_lead_to_one_customer_but_only_one_created_it(db, li, wang, ready):
    operations.win(ready, actor=wang)
    second = builders.opportunity(by=li, given_to=wang, customer_name=ready.customer_name)
    builders.plan_step(second, result="合同已签")
    operations.win(second, actor=wang, attach_to=ready.customer)
    db.session.commit()
    assert (ready.created_customer, second.created_customer) == (True, False)
    assert ready.customer_id == second.customer_id


def test_a_crash_half_way_makes_nothing(db, wang, ready, monkeypatch):
    def crash(*_given, **_named):
        raise RuntimeError("the power went out")

    monkeypatch.setattr(operations, "open_account", crash)
    with pytest.raises(RuntimeError):
        perform(operations.win, ready, actor=wang)
    db.session.expire_all()
    assert ready.status == S.assigned
    assert rows(Customer) == []


# -- customers are not shared ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("owned", [True, False])
def test_a_customer_out_of_reach_is_neither_shown_nor_attached_to(app, sign_in, wang, zhao, ready, owned):
    app.config["LIUKE_CUSTOMERS_SHARED"] = "own"
    known = builders.customer(name=ready.customer_name, owner=zhao if owned else None, number="KH071202001")
    browser = sign_in(wang)
    text = text_of(browser.get(f"/opportunities/win/{ready.id}"))
    assert "and not yours to see. Ask a sales lead" in text
    assert "Create another customer anyway" in text
    assert [word for word in ("KH071202001", "Attach to", zhao.get_full_name()) if word in text] == []
    assert win(browser, ready, choice=str(known.id)).status_code == 422
    with pytest.raises(BusinessError, match="Choose another one"):
        operations.win(ready, actor=wang, attach_to=known)
    with pytest.raises(BusinessError, match="already a customer with this name"):
        operations.win(ready, actor=wang)
    assert (rows(Contact), len(rows(Customer))) == ([], 1)
    assert win(browser, ready, choice="new").status_code == 302
    assert len(rows(Customer)) == 2


def test_of_two_namesakes_the_one_in_reach_is_offered(app, sign_in, wang, zhao, ready):
    app.config["LIUKE_CUSTOMERS_SHARED"] = "own"
    builders.customer(name=ready.customer_name, owner=zhao, number="KH071202001")
    own = builders.customer(name=ready.customer_name, owner=wang, number="KH071202002")
    text = text_of(sign_in(wang).get(f"/opportunities/win/{ready.id}"))
    assert "Attach to KH071202002" in text
    assert "KH071202001" not in text
    assert "and not yours to see" in text
    assert win(sign_in(wang), ready, choice=str(own.id)).status_code == 302


def test_who_sees_all_customers_attaches_to_any(app, sign_in, admin, zhao, ready):
    app.config["LIUKE_CUSTOMERS_SHARED"] = "own"
    known = builders.customer(name=ready.customer_name, owner=zhao, number="KH071202001")
    browser = sign_in(admin)
    text = text_of(browser.get(f"/opportunities/win/{ready.id}"))
    assert "Attach to KH071202001" in text
    assert "not yours to see" not in text
    assert win(browser, ready, choice=str(known.id)).status_code == 302
