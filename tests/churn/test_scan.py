"""Who is warned at an instant, and what that instant does not see (docs/decisions/0012)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa

from app.churn import operations
from app.churn.models import ChurnCase, ChurnStatus
from app.churn.operations import ScanResult, scan
from app.core.changes import TOLD
from app.core.clock import from_local, utcnow
from app.core.errors import BusinessError
from app.core.models import AuditEntry
from app.customers.models import CustomerStatus
from app.masterdata.models import DictionaryType
from app.mirror.models import OrderStatus
from tests import builders
from tests.support import rows, statements

WALL = datetime(1997, 12, 6, 2)  # a Saturday 02:00; six months before it was Friday 6 June 1997 02:00
LONG_AGO = date(1996, 1, 1)
MICROSECOND = timedelta(microseconds=1)


def wall(*when: int) -> datetime:
    """An instant of the company's wall clock."""
    return from_local(datetime(*when))


def customer_who_ordered(*walls: datetime, **given):
    """A customer of 1996 with orders at these wall-clock times."""
    customer = builders.customer(**{"registered_on": LONG_AGO, **given})
    for moment in walls:
        builders.order(customer, at=from_local(moment))
    return customer


def warned(as_of: datetime) -> list[int]:
    """Scan for real, and give the ids of the customers who have a new case."""
    before = {case.id for case in rows(ChurnCase)}
    scan(as_of=as_of)
    return [case.customer_id for case in rows(ChurnCase) if case.id not in before]


@pytest.mark.parametrize(
    ("last_order", "due"),
    [
        (datetime(1997, 6, 6), 1),
        (datetime(1997, 6, 6, 2) - MICROSECOND, 1),
        (datetime(1997, 6, 6, 2), 0),  # exactly six months is not yet more than six
        (datetime(1997, 6, 6, 2) + MICROSECOND, 0),
    ],
)
def test_six_months_are_counted_to_the_instant(db, last_order, due):
    customer_who_ordered(last_order)
    assert scan(as_of=from_local(WALL)) == ScanResult(due, due, 0, due)


@pytest.mark.parametrize(
    ("as_of", "month_end"),
    [
        (datetime(2025, 8, 31, 2), datetime(2025, 2, 28, 2)),
        (datetime(2024, 8, 31, 2), datetime(2024, 2, 29, 2)),
        (datetime(2025, 8, 30, 2), datetime(2025, 2, 28, 2)),
        (datetime(2025, 8, 28, 2), datetime(2025, 2, 28, 2)),
    ],
)
def test_a_day_that_the_month_does_not_have_is_clipped_to_its_end(db, as_of, month_end):
    late = customer_who_ordered(month_end - MICROSECOND)
    customer_who_ordered(month_end)
    assert warned(from_local(as_of)) == [late.id]


@pytest.mark.parametrize(
    ("as_of", "registered", "due"),
    [
        (WALL, date(1997, 6, 6), 1),  # its midnight lies two hours before the cut-off
        (WALL, date(1997, 6, 7), 0),
        (datetime(1997, 12, 6), date(1997, 6, 6), 0),  # the cut-off is that very midnight
        (datetime(1997, 12, 6), date(1997, 6, 5), 1),
    ],
)
def test_who_never_ordered_is_silent_since_the_midnight_of_registration(db, as_of, registered, due):
    builders.customer(registered_on=registered)
    assert scan(as_of=from_local(as_of)).due == due
    assert [case.last_order_at for case in rows(ChurnCase)] == [None] * due


def test_a_recent_registration_does_not_excuse_an_old_order(db):
    customer = customer_who_ordered(datetime(1997, 1, 1), registered_on=date(1997, 11, 1))
    assert warned(from_local(WALL)) == [customer.id]


@pytest.mark.parametrize(
    ("given", "due"),
    [
        ({"status": OrderStatus.cancelled}, 1),
        ({"status": OrderStatus.new}, 0),
        ({"paid": False}, 0),
        ({"paid": None}, 0),
    ],
)
def test_an_order_counts_unless_it_is_cancelled_whether_paid_or_not(db, given, due):
    customer = customer_who_ordered(datetime(1997, 1, 1))
    builders.order(customer, at=wall(1997, 11, 1), **given)
    assert scan(as_of=from_local(WALL)).opened == due


def test_orders_after_the_as_of_do_not_exist(db):
    before = customer_who_ordered(datetime(1997, 1, 1), WALL + MICROSECOND)
    customer_who_ordered(datetime(1997, 1, 1), WALL)
    assert warned(from_local(WALL)) == [before.id]
    (case,) = rows(ChurnCase)
    assert case.last_order_at == wall(1997, 1, 1)


def test_the_derived_last_order_is_not_read(db):
    customer = customer_who_ordered(datetime(1997, 1, 1))
    builders.stats(customer, last_order_at=from_local(WALL))
    assert warned(from_local(WALL)) == [customer.id]


def test_customers_registered_after_the_as_of_do_not_exist(db):
    today = customer_who_ordered(datetime(1997, 1, 1), registered_on=WALL.date())
    customer_who_ordered(datetime(1997, 1, 1), registered_on=WALL.date() + timedelta(days=1))
    assert warned(from_local(WALL)) == [today.id]


def test_lost_and_deleted_customers_are_not_warned_about(db):
    customer_who_ordered(datetime(1997, 1, 1), status=CustomerStatus.lost)
    customer_who_ordered(datetime(1997, 1, 1), status=CustomerStatus.deleted)
    assert warned(from_local(WALL)) == []


def test_open_cases_of_deleted_customers_are_counted_as_little_as_they_are_listed(db):
    """They stand still: nobody sees them, no figure names them, and no scan closes them."""
    gone, there = builders.customer(status=CustomerStatus.deleted), builders.customer()
    for customer in (gone, there):
        builders.churn_case(customer, opened_at=from_local(WALL))
        builders.order(customer, at=from_local(WALL) + timedelta(days=1))
    assert scan(as_of=from_local(WALL)).open == 1
    week = timedelta(days=7)
    assert scan(as_of=from_local(WALL) + week, preview=True) == ScanResult(0, 0, 1, 0)
    assert scan(as_of=from_local(WALL) + week) == ScanResult(0, 0, 1, 0)
    assert [case.status for case in rows(ChurnCase)] == [ChurnStatus.warning, ChurnStatus.recovered]


# -- the setting ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("months", "due"), [(5, 1), (6, 1), (7, 0)])
def test_the_months_are_a_setting(app, db, months, due):
    app.config["LIUKE_CHURN_MONTHS"] = months
    customer_who_ordered(datetime(1997, 6, 1))
    assert scan(as_of=from_local(WALL)).opened == due
    assert [case.rule_months for case in rows(ChurnCase)] == [months] * due


def test_levels_may_have_months_of_their_own(app, db):
    app.config["LIUKE_CHURN_MONTHS_BY_LEVEL"] = {"3": 9, "partner": 2}
    builders.dictionary(DictionaryType.level, "4").value = "partner"
    levels = {code: builders.dictionary(DictionaryType.level, code) for code in "1234"}
    found = {}
    for months in (1, 2, 5, 6, 8, 9):
        # Just longer ago than that many months.
        last = datetime(1997, 12 - months, 6, 2) - MICROSECOND
        for code, level in levels.items():
            found[customer_who_ordered(last, level=level).id] = (code, months)

    scan(as_of=from_local(WALL))

    cases = rows(ChurnCase)
    assert {found[case.customer_id] for case in cases} == {
        ("1", 6), ("1", 8), ("1", 9), ("2", 6), ("2", 8), ("2", 9), ("3", 9),
        ("4", 2), ("4", 5), ("4", 6), ("4", 8), ("4", 9),
    }  # fmt: skip
    assert {found[case.customer_id][0]: (case.rule_months, case.rule_cutoff) for case in cases} == {
        "1": (6, wall(1997, 6, 6, 2)),
        "2": (6, wall(1997, 6, 6, 2)),
        "3": (9, wall(1997, 3, 6, 2)),
        "4": (2, wall(1997, 10, 6, 2)),
    }


def test_a_level_with_months_of_its_own_counts_registration_by_them_too(app, db):
    app.config["LIUKE_CHURN_MONTHS_BY_LEVEL"] = {"3": 9}
    major = builders.dictionary(DictionaryType.level, "3")
    builders.customer(registered_on=date(1997, 3, 7), level=major)
    due = builders.customer(registered_on=date(1997, 3, 6), level=major)
    assert warned(from_local(WALL)) == [due.id]


def test_a_level_that_does_not_exist_is_refused_by_name(app, db):
    app.config["LIUKE_CHURN_MONTHS_BY_LEVEL"] = {"gold": 9}
    customer_who_ordered(datetime(1997, 1, 1))
    with pytest.raises(BusinessError, match="“gold”, which does not exist"):
        scan(as_of=from_local(WALL))
    assert rows(ChurnCase) == []


@pytest.mark.parametrize(("months", "by_level"), [(0, {}), (6, {"1": 0})])
def test_no_months_at_all_are_refused(app, db, months, by_level):
    app.config.update(LIUKE_CHURN_MONTHS=months, LIUKE_CHURN_MONTHS_BY_LEVEL=by_level)
    with pytest.raises(BusinessError, match="1 or more"):
        scan(as_of=from_local(WALL), preview=True)


@pytest.mark.parametrize(
    ("zone", "cutoff"),
    [
        ("Asia/Shanghai", datetime(2026, 2, 28, 18, tzinfo=UTC)),
        ("America/New_York", datetime(2026, 3, 1, 7, tzinfo=UTC)),  # winter time, while the as-of is in summer
        ("UTC", datetime(2026, 3, 1, 2, tzinfo=UTC)),
    ],
)
def test_months_are_counted_on_the_companys_wall_clock(app, db, zone, cutoff):
    app.config["LIUKE_TIMEZONE"] = zone
    due = builders.customer(registered_on=LONG_AGO)
    builders.order(due, at=cutoff - MICROSECOND)
    builders.order(builders.customer(registered_on=LONG_AGO), at=cutoff)
    assert warned(wall(2026, 9, 1, 2)) == [due.id]
    (case,) = rows(ChurnCase)
    assert case.rule_cutoff == cutoff


# -- again, and recovered ---------------------------------------------------------------------------------------


def test_running_again_adds_nothing(db):
    customer_who_ordered(datetime(1997, 1, 1))
    builders.customer(registered_on=LONG_AGO)  # never ordered
    assert scan(as_of=from_local(WALL)) == ScanResult(2, 2, 0, 2)
    assert scan(as_of=from_local(WALL), preview=True) == ScanResult(0, 0, 0, 2)
    assert scan(as_of=from_local(WALL)) == ScanResult(0, 0, 0, 2)
    assert scan(as_of=from_local(WALL + timedelta(days=7))) == ScanResult(0, 0, 0, 2)
    assert len(rows(ChurnCase)) == len(rows(AuditEntry)) == 2


@pytest.mark.parametrize("status", [ChurnStatus.warning, ChurnStatus.deferred])
@pytest.mark.parametrize(
    ("order", "status_of_order", "recovered"),
    [
        (WALL, OrderStatus.new, 0),  # the case was opened knowing this one
        (WALL + MICROSECOND, OrderStatus.new, 1),
        (WALL + timedelta(days=7), OrderStatus.shipped, 1),
        (WALL + timedelta(days=7) + MICROSECOND, OrderStatus.new, 0),
        (WALL + timedelta(days=1), OrderStatus.cancelled, 0),
    ],
)
def test_an_order_after_the_warning_and_up_to_the_as_of_recovers(db, status, order, status_of_order, recovered):
    customer = customer_who_ordered(datetime(1997, 1, 1))
    builders.churn_case(customer, status=status, opened_at=from_local(WALL))
    builders.order(customer, at=from_local(order), status=status_of_order)
    next_week = from_local(WALL + timedelta(days=7))

    expected = ScanResult(0, 0, recovered, 1 - recovered)
    assert scan(as_of=next_week, preview=True) == expected
    assert scan(as_of=next_week) == expected

    (case,) = rows(ChurnCase)
    assert case.status == (ChurnStatus.recovered if recovered else status)
    assert case.resolved_at == (next_week if recovered else None)
    assert case.version == 1 + recovered
    assert [(e.action, e.from_status, e.to_status, e.actor_id) for e in rows(AuditEntry)] == (
        [("recover", status.value, "recovered", None)] if recovered else []
    )


def test_who_ordered_once_and_fell_silent_again_is_warned_again_by_the_same_run(db):
    customer = customer_who_ordered(datetime(1996, 2, 1), datetime(1996, 12, 1))
    builders.churn_case(customer, opened_at=wall(1996, 11, 2, 2))

    assert scan(as_of=from_local(WALL), preview=True) == ScanResult(1, 1, 1, 1)
    assert scan(as_of=from_local(WALL)) == ScanResult(1, 1, 1, 1)

    assert [(c.status, c.last_order_at) for c in rows(ChurnCase)][1] == (ChurnStatus.warning, wall(1996, 12, 1))


def test_cases_that_are_over_stay_as_they_are(db):
    later = [datetime(1997, 1, 1), WALL + timedelta(days=1)]
    for status in (ChurnStatus.lost, ChurnStatus.recovered, ChurnStatus.won_back):
        builders.churn_case(customer_who_ordered(*later), status=status, opened_at=from_local(WALL))
    assert scan(as_of=from_local(WALL + timedelta(days=7))) == ScanResult(0, 0, 0, 0)
    assert [case.version for case in rows(ChurnCase)] == [1, 1, 1]


def test_a_replay_leaves_cases_opened_after_its_as_of_alone(db):
    """Neither closed, nor opened a second time, nor counted."""
    customer = customer_who_ordered(datetime(1997, 1, 1), datetime(1997, 12, 5))
    builders.churn_case(customer, opened_at=from_local(WALL) + MICROSECOND)
    silent = customer_who_ordered(datetime(1997, 1, 1))
    builders.churn_case(silent, opened_at=from_local(WALL + timedelta(days=7)))

    expected = ScanResult(0, 0, 0, 0)
    assert scan(as_of=from_local(WALL), preview=True) == expected
    assert scan(as_of=from_local(WALL)) == expected
    assert [case.version for case in rows(ChurnCase)] == [1, 1]


# -- what a case remembers --------------------------------------------------------------------------------------


def test_a_case_remembers_what_the_rule_saw(db, wang):
    anna = builders.user(first_name="Anna", last_name="Li")
    run = builders.job_run()
    made = [
        customer_who_ordered(datetime(1997, 1, 1), datetime(1997, 5, 1), owner=wang),
        customer_who_ordered(datetime(1997, 5, 1), owner=anna),
        customer_who_ordered(datetime(1997, 5, 1)),
    ]
    twice = [builders.order(made[0], at=wall(1997, 5, 1), external_id=number) for number in ("X9", "X1")]
    began = utcnow()

    scan(as_of=from_local(WALL), run=run)

    cases = rows(ChurnCase)
    assert [case.customer_id for case in cases] == [customer.id for customer in made]
    assert [(case.owner_id, case.owner_name) for case in cases] == [
        (wang.id, "王强"), (anna.id, "Anna Li"), (None, None),
    ]  # fmt: skip
    assert cases[0].last_order_no == twice[1].external_id  # of two orders at one instant the later row
    for case in cases:
        assert (case.status, case.opened_at, case.last_order_at) == (
            ChurnStatus.warning, from_local(WALL), wall(1997, 5, 1),
        )  # fmt: skip
        assert (case.rule_months, case.rule_cutoff, case.run_id) == (6, wall(1997, 6, 6, 2), run.id)
        assert (case.version, case.created_by_id, case.resolved_at, case.lost_at) == (1, None, None, None)
        assert began <= case.created_at == case.changed_at <= utcnow()


def test_every_move_of_a_scan_has_one_row_of_history(db):
    again = customer_who_ordered(datetime(1997, 1, 1))
    customer_who_ordered(datetime(1997, 1, 1))
    moment = datetime(2026, 11, 21, 3, tzinfo=UTC)
    scan(as_of=from_local(WALL), at=moment)
    builders.order(again, at=from_local(WALL + timedelta(days=1)))
    scan(as_of=from_local(WALL + timedelta(days=7)), at=moment)

    cases = rows(ChurnCase)
    assert [(e.record_type, e.record_id, e.action, e.from_status, e.to_status) for e in rows(AuditEntry)] == [
        ("churn_case", cases[0].id, "warn", None, "warning"),
        ("churn_case", cases[1].id, "warn", None, "warning"),
        ("churn_case", cases[0].id, "recover", "warning", "recovered"),
    ]
    assert {(e.actor_id, e.at, e.outcome.value) for e in rows(AuditEntry)} == {(None, moment, "done")}


def test_a_preview_says_what_a_scan_does_and_writes_nothing(app, db):
    again = customer_who_ordered(datetime(1997, 1, 1), datetime(1997, 12, 1))
    builders.churn_case(again, opened_at=wall(1997, 11, 29, 2))
    customer_who_ordered(datetime(1997, 1, 1))
    builders.customer(registered_on=LONG_AGO)
    db.session.rollback()

    with statements(app) as seen:
        foreseen = scan(as_of=from_local(WALL), preview=True)

    assert all(statement.startswith("SELECT") for statement in seen)
    assert len(rows(ChurnCase)) == 1
    assert foreseen == scan(as_of=from_local(WALL)) == ScanResult(2, 2, 1, 2)


# -- size -------------------------------------------------------------------------------------------------------


def many(number: int, level_id: int) -> None:
    """That many customers, all silent; inserted at once, because the number is all that matters."""
    from app.customers.models import Customer

    moment = utcnow()
    operations.db.session.execute(
        sa.insert(Customer.__table__).execution_options(**TOLD),
        [
            {"number": f"N{number}-{n}", "name": "客户", "registered_on": LONG_AGO, "level_id": level_id,
             "satisfaction": 3, "credit": 3, "status": "active", "version": 1, "name_key": "", "search_key": "",
             "created_at": moment, "changed_at": moment}
            for n in range(number)
        ],
    )  # fmt: skip
    operations.db.session.commit()


def test_a_scan_takes_the_same_few_statements_for_ten_customers_and_for_a_thousand(app, db):
    level = builders.dictionary(DictionaryType.level, "1").id
    counts = {}
    for size in (10, 990):
        many(size, level)
        with statements(app) as seen:
            assert scan(as_of=from_local(WALL)).opened == size
        counts[size] = len(seen)
    assert counts[10] == counts[990] <= 9


@pytest.mark.once("postgresql")
def test_the_first_scan_does_not_read_all_it_has_written_again_for_every_customer(db):
    for _ in range(30):
        builders.customer(registered_on=LONG_AGO)
    db.session.execute(sa.text("ANALYZE churn_case"))  # PostgreSQL knows that there is none, and plans by that
    read_whole = sa.text("SELECT pg_stat_get_xact_numscans('churn_case'::regclass)")
    before = db.session.execute(read_whole).scalar_one()
    assert scan(as_of=from_local(WALL)).opened == 30
    assert db.session.execute(read_whole).scalar_one() - before < 10
