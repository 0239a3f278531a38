"""流失台账: on every day the cases add up to what was warned of, and stand where their history says."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from app.churn import operations as churn
from app.churn.models import ChurnCase, ChurnStatus, RetentionMeasure
from app.customers.models import Customer, CustomerStatus
from app.reports.kinds import ledger
from app.reports.kinds.ledger import STATES, Ledger
from tests import builders
from tests.reports.reading import figures, reading, table_of, walked
from tests.support import rows, statements, text_of

SHANGHAI = ZoneInfo("Asia/Shanghai")
COLUMNS = ("warned", *STATES, "won_back")
MICROSECOND = timedelta(microseconds=1)


def shanghai(*wall):
    """An instant by the company's wall clock."""
    return datetime(*wall, tzinfo=SHANGHAI).astimezone(UTC)


def ledger_of(app, person, period):
    """Line key -> warned, waiting, deferred, recovered, lost, won back."""
    return figures(table_of(app, person, Ledger(), period=period), *COLUMNS)


# -- a thousand histories ------------------------------------------------------------------------------------------

FIRST, LAST = shanghai(2025, 2, 25), shanghai(2025, 5, 3)
NEXT = {
    None: ["warned"],
    "waiting": ["measure", "measure", "ordered", "given up"],
    "deferred": ["measure", "ordered", "given up"],
    "recovered": ["warned"],
    "lost": ["won back"],
    "won back": ["warned"],
}
THEN = {
    "warned": "waiting", "measure": "deferred", "ordered": "recovered", "given up": "lost", "won back": "won back",
}  # fmt: skip


def history(chance):
    """Up to twelve events of one customer, in the order they happen: (instant, event)."""
    instants = set()
    for _ in range(chance.randrange(13)):
        at = FIRST + timedelta(seconds=chance.randrange(int((LAST - FIRST).total_seconds())))
        midnight = at.astimezone(SHANGHAI).replace(hour=0, minute=0, second=0).astimezone(UTC)
        instants.add(chance.choice([at, at, at, midnight, midnight - MICROSECOND]))
    state, events = None, []
    for at in sorted(instants):
        event = chance.choice(NEXT[state])
        events.append((at, event))
        state = THEN[event]
        if event == "ordered" and chance.random() < 0.2:  # the scan that closes a case may open the next one
            events.append((at, "warned"))
            state = "waiting"
    return events[:12]


def kept(db, histories):
    """The rows the operations leave after these histories: customers 0, 1, ..., their cases and measures."""
    level = builders.customer().level_id
    db.session.add_all([Customer(name=f"C{n}", number=f"{n}", level_id=level) for n in range(len(histories))])
    db.session.commit()
    ids = {c.number: c.id for c in rows(Customer)}
    cases, measures = [], []
    for n, events in enumerate(histories):
        for at, event in events:
            if event == "warned":
                cases.append({
                    "id": 1_000_000 + len(cases), "customer_id": ids[f"{n}"], "opened_at": at, "rule_months": 6,
                    "rule_cutoff": at, "status": "warning", "lost_at": None, "resolved_at": None, "reason": None,
                })  # fmt: skip
            elif event == "measure":
                cases[-1]["status"] = "deferred"
                measures.append({"case_id": cases[-1]["id"], "text": "电话", "at": at})
            elif event == "given up":
                cases[-1].update(status="lost", lost_at=at, reason="改用竞品")
            else:
                cases[-1].update(status="recovered" if event == "ordered" else "won_back", resolved_at=at)
    db.session.execute(sa.insert(ChurnCase), [{**c, "status": ChurnStatus(c["status"])} for c in cases])
    db.session.execute(sa.insert(RetentionMeasure), measures)
    db.session.commit()


def replayed(events, until):
    """How many cases of one history stood where, after everything that happened before `until`."""
    found, state = Counter(), None
    for at, event in events:
        if at >= until:
            break
        if event == "won back":
            found["won_back"] += 1
            continue
        if event == "warned":
            found["warned"] += 1
            if state is not None:
                found[state] += 1
        state = THEN[event]
    if state is not None:
        found[state] += 1
    return found


def test_a_thousand_histories_add_up_on_every_day_and_stand_where_they_say(app, db, li):
    chance = random.Random(20261122)
    histories = [history(chance) for _ in range(1000)]
    kept(db, histories)
    assert {event for events in histories for _at, event in events} == set(THEN)
    assert max(map(len, histories)) == 12
    report = Ledger()
    with reading(app, li):
        for month, days in ((3, 31), (4, 30)):
            ask = report.ask({"period": f"2025-{month:02}"})
            found = {}
            for column in report.columns(ask):
                row = report.rows(ask, column).order_by(None).subquery()
                each = sa.select(row.c.line, row.c.number, sa.func.count()).group_by(row.c.line, row.c.number)
                found[column.key] = {(line, number): n for line, number, n in db.session.execute(each)}
            lines = {line.key: line.values for line in report.lines(ask)}
            assert list(lines) == [f"{day}" for day in range(1, days + 1)]
            for key, values in lines.items():
                until = shanghai(2025, month, int(key)) + timedelta(days=1)
                told = [replayed(events, until) for events in histories]
                for column in COLUMNS:
                    assert values[column] == sum(one[column] for one in told)
                    for n, one in enumerate(told):
                        assert found[column].get((key, f"{n}"), 0) == one[column], (key, column, histories[n])
                assert values["warned"] == sum(values[state] for state in STATES) > 100
                assert values["won_back"] <= values["lost"]


# -- what the operations leave ----------------------------------------------------------------------------------------


def ordered(customer, *wall):
    """An order, and the sync that reads it a day later."""
    at = shanghai(*wall)
    churn.settle([builders.order(customer, at=at).id], at + timedelta(days=1))


def test_cases_stand_where_scans_people_and_syncs_brought_them(app, db, admin, li):
    back, gone, _quiet = (builders.customer(registered_on=date(2024, 1, 1), name=name) for name in ("回", "失", "静"))
    churn.scan(as_of=shanghai(2025, 1, 4, 2))
    db.session.commit()
    case = {c.customer_id: c for c in rows(ChurnCase)}
    churn.defer(case[back.id], actor=admin, at=shanghai(2025, 2, 10), text="上门拜访")
    churn.defer(case[back.id], actor=admin, at=shanghai(2025, 4, 30), text="让利")
    churn.confirm_lost(case[gone.id], actor=admin, at=shanghai(2025, 3, 31, 23, 59, 59), reason="改用竞品")
    ordered(back, 2025, 5, 5)
    ordered(gone, 2025, 5, 31, 12)  # read on 1 June
    churn.scan(as_of=shanghai(2025, 12, 6, 2))
    db.session.commit()
    assert len(rows(ChurnCase)) == 5  # both ordered more than six months before that

    assert figures(walked(app, li, Ledger(), period="2025"), *COLUMNS) == {
        "1": (3, 3, 0, 0, 0, 0),
        "2": (3, 2, 1, 0, 0, 0),
        "3": (3, 1, 1, 0, 1, 0),
        "4": (3, 1, 1, 0, 1, 0),
        "5": (3, 1, 0, 1, 1, 0),
        **{str(month): (3, 1, 0, 1, 1, 1) for month in range(6, 12)},
        "12": (5, 3, 0, 1, 1, 1),
        "total": (5, 3, 0, 1, 1, 1),
    }
    with reading(app, li):
        ask = Ledger().ask({"period": "2025"})
        waiting = Ledger().columns(ask)[1]
        behind = Ledger().of_line(ask, waiting, Ledger().rows(ask, waiting), "11")
        found = [(r.name, r.day) for r in db.session.execute(behind)]
    assert found == [("静", shanghai(2025, 1, 4, 2))]


def test_a_measure_written_after_the_order_that_a_late_scan_saw_first_leaves_the_case_recovered(app, db, li):
    case = builders.churn_case(
        status=ChurnStatus.recovered, opened_at=shanghai(2025, 3, 1), resolved_at=shanghai(2025, 3, 8)
    )
    builders.measure(case, at=shanghai(2025, 3, 10))
    found = figures(walked(app, li, Ledger(), period="2025-03"), *COLUMNS)
    assert found["7"] == (1, 1, 0, 0, 0, 0)
    assert found["8"] == found["10"] == found["31"] == (1, 0, 0, 1, 0, 0)


# -- bounds, scope, pages ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "warned"),
    [
        (shanghai(2025, 2, 28, 12), (1, 1, 1)),
        (shanghai(2025, 3, 1) - MICROSECOND, (1, 1, 1)),
        (shanghai(2025, 3, 1), (0, 1, 1)),  # 16:00 on 28 February in UTC
        (shanghai(2025, 4, 1) - MICROSECOND, (0, 1, 1)),
        (shanghai(2025, 4, 1), (0, 0, 1)),
    ],
)
def test_a_month_is_over_at_the_companys_midnight(app, db, li, at, warned):
    builders.churn_case(opened_at=at)
    found = ledger_of(app, li, "2025")
    assert tuple(found[month][0] for month in ("2", "3", "4")) == warned


def test_only_what_has_begun_is_told_and_the_running_month_up_to_now(app, db, li, monkeypatch):
    now = shanghai(2025, 5, 20, 15)
    monkeypatch.setattr(ledger, "utcnow", lambda: now)
    builders.churn_case(opened_at=now - MICROSECOND)
    builders.churn_case(opened_at=now + timedelta(hours=1))
    table = table_of(app, li, Ledger(), period="2025")
    assert [line.label for line in table.lines[-2:]] == ["Apr 2025", "Today"]
    assert figures(table, "warned") == {
        **{str(month): (0,) for month in range(1, 5)}, "5": (1,), "total": (1,),
    }  # fmt: skip
    assert list(figures(table_of(app, li, Ledger(), period="2025-05"), "warned"))[-2:] == ["20", "total"]
    assert list(ledger_of(app, li, "2025-Q2")) == ["1", "2", "total"]
    assert figures(walked(app, li, Ledger(), period="2025-06"), *COLUMNS) == {"total": (0,) * 6}


def test_beside_a_line_stands_the_same_month_a_year_before(app, db, li):
    builders.churn_case(opened_at=shanghai(2024, 3, 15))
    builders.churn_case(opened_at=shanghai(2025, 2, 15))
    table = table_of(app, li, Ledger(), period="2025")
    march = table.lines[2]
    assert (march.values["warned"], march.before["warned"]) == (2, 1)
    assert (table.lines[1].values["warned"], table.lines[1].before["warned"]) == (2, 0)
    assert (table.total.values["warned"], table.total.before["warned"]) == (2, 1)


def test_managers_see_their_own_customers_cases_and_nobody_deleted_ones(app, db, li, wang, zhao, chen):
    mine = builders.churn_case(builders.customer(owner=wang), opened_at=shanghai(2025, 3, 1))
    builders.churn_case(builders.customer(owner=zhao), opened_at=shanghai(2025, 3, 1))
    builders.churn_case(builders.customer(status=CustomerStatus.deleted), opened_at=shanghai(2025, 3, 1))
    assert [ledger_of(app, who, "2025")["total"][0] for who in (li, chen, wang, zhao)] == [2, 2, 1, 1]
    with reading(app, wang):
        ask = Ledger().ask({"period": "2025-03"})
        found = db.session.execute(Ledger().rows(ask, Ledger().columns(ask)[0])).all()
    assert {r.number for r in found} == {mine.customer.number}


def test_the_figures_are_one_statement_whatever_there_is(app, db, li):
    for n in range(5):
        builders.measure(builders.churn_case(opened_at=shanghai(2025, 3, 1 + n)), at=shanghai(2025, 3, 20))
    with reading(app, li):
        ask = Ledger().ask({"period": "2025-03"})
        assert ask.sees_all
        with statements(app) as seen:
            Ledger().lines(ask)
    assert len(seen) == 1


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_page_says_the_sum_and_draws_it(db, li, sign_in, language):
    builders.measure(builders.churn_case(opened_at=shanghai(2025, 3, 1)), at=shanghai(2025, 4, 2))
    builders.churn_case(opened_at=shanghai(2025, 3, 2))
    browser = sign_in(li).speak(language)
    page = browser.get("/reports/churn-ledger/?period=2025")
    assert page.status_code == 200
    assert 'class="lk-chart lines"' in page.get_data(as_text=True)
    if language == "en":
        text = "Dec 2025: 2 warned = 1 nothing done yet + 1 deferred + 0 recovered + 0 lost."
        assert text in text_of(page)
    assert browser.get("/reports/churn-ledger/print?period=2025").status_code == 200
    behind = browser.get("/reports/churn-ledger/rows?period=2025&line=total&column=deferred")
    assert behind.status_code == 200
    assert behind.get_data(as_text=True).count("<tr>") == 2  # the head and one row
    assert browser.get("/reports/churn-ledger/rows?period=2025&line=13&column=lost").status_code == 404


def test_without_a_case_there_are_zeros_and_no_picture(db, li, sign_in):
    page = sign_in(li).get("/reports/churn-ledger/?period=2025")
    assert page.status_code == 200
    assert "lk-chart" not in page.get_data(as_text=True)
    assert sign_in(li).get("/reports/churn-ledger/?period=2099").status_code == 200
