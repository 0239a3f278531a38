"""Numbers people read: from a counter, per company-local day, never twice."""

from __future__ import annotations

from datetime import UTC, date, datetime

from app.core.models import Counter
from app.customers.models import Customer
from app.customers.numbers import next_number
from app.customers.operations import open_account, register
from tests import builders
from tests.support import rows

DAY = date(2007, 12, 2)


def test_a_number_is_prefix_day_and_three_digits(db):
    assert [next_number("KH", DAY) for _ in range(3)] == ["KH071202001", "KH071202002", "KH071202003"]


def test_every_day_and_every_kind_counts_for_itself(db):
    assert next_number("KH", DAY) == "KH071202001"
    assert next_number("FW", DAY) == "FW071202001"
    assert next_number("KH", date(2007, 12, 3)) == "KH071203001"


def test_the_thousandth_of_a_day_is_longer_and_the_next_goes_on(db):
    db.session.add(Counter(name="KH071202", last=998))
    db.session.flush()
    assert [next_number("KH", DAY) for _ in range(4)] == ["KH071202999", "KH0712021000", "KH0712021001", "KH0712021002"]


def test_a_number_that_was_rolled_back_is_given_out_again(db):
    next_number("KH", DAY)
    db.session.rollback()
    assert next_number("KH", DAY) == "KH071202001"
    db.session.commit()
    assert [counter.last for counter in rows(Counter)] == [1]


def test_a_number_that_the_sales_system_gave_out_is_left_out(db, wang):
    for number in ("KH071202001", "KH071202002", "KH071202004"):
        builders.customer(number=number)
    noon = datetime(2007, 12, 2, 4, tzinfo=UTC)
    assert open_account(name="杭州云栖智造", owner=wang, at=noon).number == "KH071202003"
    assert register(Customer(name="宁波远洋"), actor=wang, at=noon).number == "KH071202005"
