"""Deferring and confirming: every state, every person, and what is remembered."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
import sqlalchemy as sa

from app.churn.models import OPEN, ChurnCase, ChurnStatus, RetentionMeasure
from app.churn.operations import STEPS, confirm_lost, defer, may_act
from app.core.changes import TOLD
from app.core.errors import BusinessError, NotYours, StepRefused
from app.core.lifecycle import perform
from app.core.models import AuditEntry
from app.customers.models import Customer, CustomerStatus
from app.masterdata.models import DictionaryType
from tests import builders
from tests.support import rows

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
GIVEN = {"defer": {"text": "上门拜访，带新版价格单。"}, "confirm_lost": {"reason": "改用竞品，价格更低。"}}
by_name = pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)


def history():
    """The moves as (record, action, outcome, from, to, note)."""
    return [(e.record_type, e.action, e.outcome.value, e.from_status, e.to_status, e.note) for e in rows(AuditEntry)]


def nothing_changed(status):
    """Nothing but the history of the refusal was written."""
    (case,) = rows(ChurnCase)
    (customer,) = rows(Customer)
    return (case.status, case.version, case.reason, case.lost_at, customer.version) == (
        status, 1, None, None, 1,
    ) and rows(RetentionMeasure) == []  # fmt: skip


@by_name
@pytest.mark.parametrize("status", list(ChurnStatus))
def test_a_step_is_open_from_a_warning_and_a_deferral_only(db, wang, step, status):
    case = builders.churn_case(builders.customer(owner=wang), status=status)
    if status in OPEN:
        perform(step, case, actor=wang, at=NOW, **GIVEN[step.name])
        assert rows(ChurnCase)[0].status == step.target
        return
    before = (case.version, case.reason, case.lost_at)
    with pytest.raises(StepRefused, match="is not possible"):
        perform(step, case, actor=wang, at=NOW, **GIVEN[step.name])
    (case,) = rows(ChurnCase)
    assert (case.status, case.version, case.reason, case.lost_at) == (status, *before)
    ((_kind, action, outcome, source, target, note),) = history()
    assert (action, outcome, source, target) == (step.name, "refused", status.value, None)
    assert note.endswith(".")


@by_name
@pytest.mark.parametrize(
    ("person", "of_wang", "of_nobody", "of_somebody_who_left"),
    [
        ("wang", True, False, False),
        ("zhao", False, False, False),
        ("li", False, True, True),
        ("admin", True, True, True),
        ("chen", False, False, False),
        ("sysadmin", False, False, False),
        (None, False, False, False),
    ],
)
def test_whose_case_it_is(db, request, wang, step, person, of_wang, of_nobody, of_somebody_who_left):
    actor = request.getfixturevalue(person) if person else None
    for owner, may in (
        (wang, of_wang),
        (None, of_nobody),
        (builders.user(active=False), of_somebody_who_left),
    ):
        case = builders.churn_case(builders.customer(owner=owner))
        assert may_act(case, actor) is may
        if may:
            perform(step, case, actor=actor, at=NOW, **GIVEN[step.name])
            assert rows(AuditEntry)[-1].actor_id == actor.id  # whoever he acted for
        else:
            with pytest.raises(NotYours, match="Only the customer's account manager"):
                perform(step, case, actor=actor, at=NOW, **GIVEN[step.name])
            assert rows(ChurnCase, ChurnCase.id == case.id)[0].status == ChurnStatus.warning
            assert rows(AuditEntry)[-1].outcome.value == "refused"
    assert len(rows(RetentionMeasure)) == (sum([of_wang, of_nobody, of_somebody_who_left]) if step is defer else 0)


def test_the_owner_of_today_acts_not_the_one_of_the_warning(db, wang, zhao):
    customer = builders.customer(owner=wang)
    case = builders.churn_case(customer)
    customer.owner = zhao
    db.session.commit()
    with pytest.raises(NotYours):
        perform(defer, case, actor=wang, text="电话回访。")
    perform(defer, case, actor=zhao, text="电话回访。")
    (case,) = rows(ChurnCase)
    assert (case.status, case.owner_id, case.owner_name) == (ChurnStatus.deferred, wang.id, "王强")


def test_every_deferral_adds_a_measure_and_keeps_the_earlier_ones(db, wang):
    case = builders.churn_case(builders.customer(owner=wang))
    visit = builders.dictionary(DictionaryType.measure, "visit")
    perform(defer, case, actor=wang, at=NOW, text=" 上门拜访。 ", type=visit, cost=Decimal("1200.50"))
    perform(defer, case, actor=wang, at=NOW, text="电话回访。")

    assert [(m.case_id, m.text, m.type_id, m.cost, m.by_id, m.at) for m in rows(RetentionMeasure)] == [
        (case.id, "上门拜访。", visit.id, Decimal("1200.50"), wang.id, NOW),
        (case.id, "电话回访。", None, None, wang.id, NOW),
    ]
    assert [c.version for c in rows(ChurnCase)] == [3]
    assert history() == [
        ("churn_case", "defer", "done", "warning", "deferred", " 上门拜访。 "),
        ("churn_case", "defer", "done", "deferred", "deferred", "电话回访。"),
    ]
    assert [c.status for c in rows(Customer)] == [CustomerStatus.active]


def test_a_confirmed_loss_is_the_customers_too(db, wang):
    case = builders.churn_case(builders.customer(owner=wang), status=ChurnStatus.deferred)
    price = builders.dictionary(DictionaryType.churn_reason, "price")
    perform(confirm_lost, case, actor=wang, at=NOW, reason="价格高出一成。", reason_type=price)

    (case,) = rows(ChurnCase)
    assert (case.status, case.lost_at, case.reason, case.reason_type_id) == (
        ChurnStatus.lost, NOW, "价格高出一成。", price.id,
    )  # fmt: skip
    assert case.resolved_at is None
    (customer,) = rows(Customer)
    assert (customer.status, customer.owner_id) == (CustomerStatus.lost, wang.id)
    assert sorted(history()) == [
        ("churn_case", "confirm_lost", "done", "deferred", "lost", "价格高出一成。"),
        ("customer", "confirm_lost", "done", "active", "lost", "价格高出一成。"),
    ]


@by_name
@pytest.mark.parametrize("text", [None, "", "  \n\t ", "\x00"])
def test_a_step_without_words_is_refused(db, wang, step, text):
    case = builders.churn_case(builders.customer(owner=wang))
    with pytest.raises(BusinessError, match=r"Describe what you do|Say why"):
        perform(step, case, actor=wang, **dict.fromkeys(GIVEN[step.name], text))
    assert nothing_changed(ChurnStatus.warning)


@by_name
@pytest.mark.parametrize(("length", "fits"), [(500, True), (501, False)])
def test_words_have_a_limit(db, wang, step, length, fits):
    case = builders.churn_case(builders.customer(owner=wang))
    given = dict.fromkeys(GIVEN[step.name], "改" * length)
    if fits:
        perform(step, case, actor=wang, **given)
        assert rows(ChurnCase)[0].status == step.target
    else:
        with pytest.raises(BusinessError, match="at most 500 characters"):
            perform(step, case, actor=wang, **given)
        assert nothing_changed(ChurnStatus.warning)


@by_name
def test_who_is_slower_than_another_hears_so(db, wang, step):
    """Another process changed the case after this one had read it."""
    case = builders.churn_case(builders.customer(owner=wang))
    assert case.status == ChurnStatus.warning
    db.session.execute(
        sa.update(ChurnCase.__table__).values(version=2, status="recovered", resolved_at=NOW).execution_options(**TOLD)
    )
    db.session.commit()
    with pytest.raises(StepRefused, match="Somebody else was faster"):
        perform(step, case, actor=wang, at=NOW, **GIVEN[step.name])
    (case,) = rows(ChurnCase)
    assert (case.status, case.reason, rows(RetentionMeasure)) == (ChurnStatus.recovered, None, [])
    assert [c.status for c in rows(Customer)] == [CustomerStatus.active]
    assert [(action, outcome) for _kind, action, outcome, *_rest in history()] == [(step.name, "refused")]
