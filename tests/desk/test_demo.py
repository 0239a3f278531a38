"""The demo company is whole, believable and made by the rules; it is loaded once, into a database of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from random import Random
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import User
from sqlalchemy.orm import Session
from werkzeug.security import check_password_hash

from app.churn.models import ChurnCase, ChurnStatus, RetentionMeasure
from app.core.clock import local, months_before, utcnow
from app.core.errors import BusinessError
from app.core.models import AuditEntry
from app.customers.models import Contact, Customer, CustomerStats, CustomerStatus, Interaction
from app.desk.demo.company import load_demo, mark_as_demo
from app.desk.demo.loading import begin_again
from app.desk.demo.names import Names
from app.desk.demo.orders import Buyer, plan_orders
from app.desk.demo.people import PASSWORD, STAFF, accounts
from app.desk.demo.scene import WEEKS
from app.extensions import db as extension
from app.marketing.models import Activity, Participant
from app.masterdata.models import DictionaryItem, DictionaryType
from app.mirror.models import CustomerMonth, Order, OrderLine, OrderStatus, Product, Stock, SyncRun, SyncStatus
from app.notices.models import Notification
from app.notices.reading import reading_as
from app.reports.catalogue import REPORTS
from app.reports.models import ReportClose
from app.runs.models import Installation, JobRun, RunStatus
from app.runs.operations import install
from app.runs.periodic import CHURN_SCAN, MONTH_CLOSE
from app.sales.models import CloseKind, Opportunity, OpportunityStatus, PlanStep
from app.security.models import RoleProfile, Team, UserProfile
from app.tickets.models import Complaint, Feedback, RecordStatus, Ticket, TicketStatus
from jobs import prepare
from tests import builders
from tests.reports.walking import everything, spans
from tests.support import instead
from tests.support import rows as rows_of
from tests.world import ROOT

HOLD = """
import sys
from app import create_app
from app.desk.demo.loading import alone
with create_app().app_context(), alone():
    print("held", flush=True)
    sys.stdin.readline()
"""


class Start:
    """The first step of a start, in a process of its own, on a database of its own."""

    def __init__(self, url, **settings):
        self.reader, writer = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "jobs.prepare", str(writer)],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": url, "LIUKE_DEMO": "1", **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            pass_fds=(writer,),
        )
        os.close(writer)

    def wait_for(self, words):
        said = ""
        while words not in said:
            line = self.process.stdout.readline()
            assert line, said
            said += line
        return said

    def kill(self):
        self.process.kill()
        self.process.communicate()
        os.close(self.reader)

    def end(self):
        """What it found out, and what it said."""
        said, _none = self.process.communicate(timeout=300)
        with os.fdopen(self.reader) as found:
            text = found.read()
        assert self.process.returncode == 0, said
        return json.loads(text), said


class Company(NamedTuple):
    """A demo company as a first start makes it, after a start that was killed."""

    url: str
    engine: sa.Engine
    killed: str  # what the first start said until then
    told: dict[str, Any]  # what the second one found out
    said: str


@pytest.fixture(scope="module")
def company(world, app):
    """Loaded once for all tests here, by the second of two starts. Nobody here changes it."""
    url = world.scratch_database()
    first = Start(url)
    killed = first.wait_for("Customers, contacts")  # accounts and teams are there, the customers not yet
    first.kill()
    told, said = Start(url).end()
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg2://"))
    yield Company(url, engine, killed, told, said)
    engine.dispose()


@pytest.fixture
def rows(company, db):
    """`rows(model, where...)` of the demo company."""
    with Session(company.engine) as session:
        yield lambda model, *where: list(session.execute(sa.select(model).where(*where)).scalars())


def count(rows, by):
    found = {}
    for row in rows:
        found[by(row)] = found.get(by(row), 0) + 1
    return found


# -- who --------------------------------------------------------------------------------------------------------


def test_the_accounts_are_told_with_password_and_role_and_open(company, rows):
    people = {user.username: user for user in rows(User, User.active.is_(True))}
    assert set(people) == {account.name for account in accounts()}
    for account in accounts():
        assert check_password_hash(people[account.name].password, account.password)
    assert company.told["accounts"] == [[account.name, account.password, account.who] for account in accounts()]
    assert {profile.code for user in people.values() for role in user.roles for profile in [role.profile]} == {
        "super_admin", "system_admin", "sales_lead", "account_manager", "executive",
    }  # fmt: skip


def test_the_demo_password_follows_the_rule(app, db):
    def refusal(person):
        try:
            app.appbuilder.sm.check_password_rule(PASSWORD, about=(person.account, person.given, person.family))
        except BusinessError as why:
            return str(why)
        return None

    assert STAFF
    assert {person.account: refusal(person) for person in STAFF} == {p.account: None for p in STAFF}


def test_two_teams_have_a_lead_and_members(rows):
    teams = rows(Team)
    assert len(teams) == 2
    assert all(team.lead_id for team in teams)
    members = count(rows(UserProfile, UserProfile.team_id.is_not(None)), lambda profile: profile.team_id)
    assert all(members[team.id] >= 3 for team in teams)


# -- what -------------------------------------------------------------------------------------------------------


def test_200_customers_of_both_languages_are_complete(rows):
    found = rows(Customer)
    assert len(found) == 200
    assert sum(customer.name.isascii() for customer in found) > 20
    assert len({customer.name for customer in found}) == 200
    assert {item.code for item in rows(DictionaryItem, DictionaryItem.type == DictionaryType.level)} == {
        customer.level.code for customer in found
    }
    given = [customer for customer in found if customer.owner_id]
    assert all(c.region_id and c.address and c.postcode and c.phone for c in given if c.number.startswith("KH"))
    assert 1 <= sum(customer.owner_id is None for customer in found) <= 8


def test_every_customer_with_contacts_has_exactly_one_primary(rows):
    primaries, all_of_them = {}, {}
    for contact in rows(Contact, Contact.deleted_at.is_(None)):
        all_of_them[contact.customer_id] = all_of_them.get(contact.customer_id, 0) + 1
        primaries[contact.customer_id] = primaries.get(contact.customer_id, 0) + contact.is_primary
    assert set(primaries.values()) == {1}
    assert {1, 2, 3, 4} <= set(all_of_them.values())


def test_no_number_and_no_address_belongs_to_anybody(rows):
    phones = [c.phone for c in rows(Customer, Customer.phone.is_not(None))] + [
        c.mobile for c in rows(Contact) if c.mobile
    ]
    assert all("0555 " in phone or phone.startswith("+") for phone in phones)
    assert all(contact.email.endswith("@example.com") for contact in rows(Contact) if contact.email)
    assert all(customer.website.endswith(".example.com") for customer in rows(Customer) if customer.website)


def test_talks_end_with_follow_ups_some_overdue_some_to_come(rows):
    today = local(utcnow()).date()
    talks = rows(Interaction)
    assert len(talks) > 300
    due = [talk.next_follow_up_on for talk in talks if talk.next_follow_up_on]
    assert min(due) < today < max(due)


def test_what_people_were_told_long_ago_they_have_read(rows):
    told = rows(Notification)
    assert all(one.read_at is not None for one in told if one.at < utcnow() - timedelta(days=4))
    assert any(one.read_at is None for one in told)


def test_2000_orders_of_two_years_have_lines_that_add_up(rows):
    orders = rows(Order)
    assert len(orders) == 2000
    sums = {}
    for line in rows(OrderLine):
        sums[line.order_id] = sums.get(line.order_id, 0) + line.amount
    assert all(order.amount == sums[order.id] for order in orders)
    assert {order.status for order in orders} == set(OrderStatus)
    days = [order.ordered_at for order in orders]
    assert timedelta(days=690) < max(days) - min(days) <= timedelta(days=731)
    february, november = ([d for d in days if local(d).month == month] for month in (2, 9))
    assert len(february) * 1.5 < len(november)


def test_totals_beside_the_customers_agree_with_the_orders(rows):
    counted = [order for order in rows(Order) if order.status != OrderStatus.cancelled]
    totals = {}
    for order in counted:
        number, total = totals.get(order.customer_id, (0, 0))
        totals[order.customer_id] = (number + 1, total + order.amount)
    kept = {s.customer_id: (s.order_count, s.order_total) for s in rows(CustomerStats) if s.order_count}
    assert kept == totals


def test_the_mirror_is_fresh_and_every_feed_was_read_whole(rows):
    runs = rows(SyncRun)
    assert {run.status for run in runs} == {SyncStatus.done}
    assert sum(run.rows_rejected for run in runs) == 0
    assert len(rows(Product)) >= 30
    assert len(rows(Stock)) >= 30


def test_feeds_are_named_as_in_a_company_and_the_newest_has_the_newest_order(rows):
    runs = sorted(rows(SyncRun), key=lambda run: run.id)
    assert len(runs) >= 5
    assert [run.finished_at for run in runs] == sorted(run.finished_at for run in runs)
    assert all(run.source == f"/srv/feed/{local(run.finished_at).date()}" for run in runs)
    assert utcnow() - runs[-1].finished_at < timedelta(hours=1)
    newest = max(order.ordered_at for order in rows(Order))
    assert runs[-1].high_water in (None, newest)  # None: nobody has ordered since Saturday


# -- every state, by the moves that lead there -------------------------------------------------------------------


def moves_of(rows, record_type):
    """record id -> its recorded moves."""
    found = {}
    for entry in rows(AuditEntry, AuditEntry.record_type == record_type):
        found.setdefault(entry.record_id, []).append(entry.action)
    return found


def test_opportunities_are_in_every_state(rows):
    kinds = count(rows(Opportunity), lambda o: (o.status, o.close_kind))
    assert set(kinds) == {
        (OpportunityStatus.unassigned, None),
        (OpportunityStatus.assigned, None),
        (OpportunityStatus.won, CloseKind.won),
        (OpportunityStatus.lost, CloseKind.failed),
        (OpportunityStatus.lost, CloseKind.terminated),
    }
    attached = {o.created_customer for o in rows(Opportunity, Opportunity.status == OpportunityStatus.won)}
    assert attached == {True, False}


def test_every_opportunity_came_to_its_state_by_its_moves(rows):
    moves = moves_of(rows, "opportunity")
    last = {CloseKind.won: "win", CloseKind.failed: "lose", CloseKind.terminated: "terminate"}
    for opportunity in rows(Opportunity):
        taken = moves[opportunity.id]
        assert taken[0] == "create"
        assert ("assign" in taken) == (opportunity.status != OpportunityStatus.unassigned)
        if opportunity.close_kind:
            assert taken[-1] == last[opportunity.close_kind]
    assert any("reassign" in taken for taken in moves.values())


def test_plans_are_empty_begun_and_overdue(rows):
    steps = {}
    for step in rows(PlanStep):
        steps.setdefault(step.opportunity_id, []).append(step)
    plans = [steps.get(o.id, []) for o in rows(Opportunity, Opportunity.status == OpportunityStatus.assigned)]
    assert any(not plan for plan in plans)
    assert any(any(s.result for s in plan) and any(not s.result for s in plan) for plan in plans)
    assert any(s.planned_on < local(utcnow()).date() for plan in plans for s in plan if not s.result)


def test_winning_made_the_customer_with_its_primary_contact(rows):
    for opportunity in rows(Opportunity, Opportunity.created_customer):
        (primary,) = rows(Contact, Contact.customer_id == opportunity.customer_id, Contact.is_primary)
        assert primary.name == opportunity.contact_name
        assert opportunity.customer.name == opportunity.customer_name


def test_churn_cases_are_in_every_state_and_got_there_by_moves(rows):
    cases = rows(ChurnCase)
    assert set(count(cases, lambda case: case.status)) == set(ChurnStatus)
    moves, last = moves_of(rows, "churn_case"), {"won_back": "win_back", "recovered": "recover", "lost": "confirm_lost"}
    for case in cases:
        assert moves[case.id][0] == "warn"
        assert moves[case.id][-1] == last.get(case.status.value, "defer" if case.status == "deferred" else "warn")
    measured = {measure.case_id for measure in rows(RetentionMeasure)}
    assert {case.id for case in cases if case.status == ChurnStatus.deferred} <= measured
    assert any(case.last_order_at is None for case in cases)


def test_lost_customers_are_those_with_a_lost_case(rows):
    lost = {customer.id for customer in rows(Customer, Customer.status == CustomerStatus.lost)}
    assert lost == {case.customer_id for case in rows(ChurnCase, ChurnCase.status == ChurnStatus.lost)}
    assert len(lost) >= 5


def test_about_35_customers_have_been_silent_for_half_a_year(rows):
    newest = rows(JobRun, JobRun.job == CHURN_SCAN.id)[-1].scheduled_for
    cutoff = months_before(newest, 6)
    orders = {s.customer_id: s.last_order_at for s in rows(CustomerStats)}
    silent = [c for c in rows(Customer) if orders.get(c.id) is not None and orders[c.id] < cutoff]
    never = [c for c in rows(Customer) if orders.get(c.id) is None and c.registered_on < local(cutoff).date()]
    assert 30 <= len(silent) + len(never) <= 40
    assert never


def test_somebody_who_left_still_owns_customers_with_warnings_or_not(rows):
    (left,) = rows(User, User.active.is_(False))
    assert rows(Customer, Customer.owner_id == left.id)


def test_every_saturday_has_one_run_and_none_is_left_to_catch_up(rows):
    runs = rows(JobRun, JobRun.job == CHURN_SCAN.id)
    assert {run.status for run in runs} == {RunStatus.done}
    days = [local(run.scheduled_for) for run in runs]
    assert {(day.weekday(), day.hour) for day in days} == {(5, 2)}
    assert utcnow() - runs[-1].scheduled_for < timedelta(days=7)
    assert all(later - earlier == timedelta(days=7) for earlier, later in pairwise(days))


def test_three_months_are_closed_and_orders_of_the_newest_came_late(company, rows):
    closes = [close for close in rows(ReportClose) if close.report == "contribution"]
    assert len(closes) == 3
    runs = rows(JobRun, JobRun.job == MONTH_CLOSE.id)
    assert [close.closed_at for close in closes] == [run.scheduled_for for run in runs]
    assert {local(close.closed_at).hour for close in closes} == {5}
    assert len({close.report for close in rows(ReportClose)}) * 3 == len(rows(ReportClose))
    differing = []
    for close in closes:
        kept = Decimal(close.table["total"]["amount"]["$"])
        with Session(company.engine) as session:
            month = sa.select(sa.func.sum(CustomerMonth.order_total)).where(CustomerMonth.month == close.month)
            if session.execute(month).scalar_one() != kept:
                differing.append(close.month)
    assert differing == [closes[-1].month]


def test_service_and_marketing_have_something_to_show(rows):
    assert {ticket.status for ticket in rows(Ticket)} == set(TicketStatus)
    assert any(ticket.times_returned for ticket in rows(Ticket))
    assert {f.status for f in rows(Feedback)} == set(RecordStatus)
    assert {c.status for c in rows(Complaint)} == set(RecordStatus)
    today = local(utcnow()).date()
    assert min(a.starts_on for a in rows(Activity)) < today < max(a.starts_on for a in rows(Activity))
    assert len(rows(Participant)) > 30


# -- the rules of the tables -------------------------------------------------------------------------------------


def test_nothing_that_happened_lies_in_the_future(rows):
    now = utcnow()
    happened = [
        (Customer, "created_at"), (Contact, "created_at"), (Interaction, "occurred_at"), (Opportunity, "created_at"),
        (Opportunity, "assigned_at"), (Opportunity, "closed_at"), (PlanStep, "executed_at"), (Order, "ordered_at"),
        (ChurnCase, "opened_at"), (ChurnCase, "lost_at"), (ChurnCase, "resolved_at"), (RetentionMeasure, "at"),
        (Ticket, "created_at"), (AuditEntry, "at"),
    ]  # fmt: skip
    late = [
        f"{model.__tablename__}.{name}"
        for model, name in happened
        if any(getattr(row, name) and getattr(row, name) > now for row in rows(model))
    ]
    assert late == []


def test_every_check_of_every_table_holds(company):
    broken = []
    with company.engine.connect() as connection:
        for table in extension.metadata.tables.values():
            for constraint in table.constraints:
                if isinstance(constraint, sa.CheckConstraint):
                    wrong = sa.select(sa.func.count()).select_from(table).where(sa.text(f"NOT ({constraint.sqltext})"))
                    if connection.execute(wrong).scalar_one():
                        broken.append(constraint.name)
    assert broken == []


@pytest.mark.once  # both databases walk the figures of the large feed
def test_every_figure_of_every_report_is_its_rows(company, app, db):
    """Counted and added up by the database, for every filter, this year and the month before this one."""
    with instead(app, company.url):
        admin = db.session.execute(sa.select(User.id).where(User.username == "admin")).scalar_one()
        with reading_as(admin):
            compared = everything(*spans())
    assert set(compared) == {report.id for report in REPORTS}
    assert all(number > 20 for number in compared.values()), compared


# -- once -------------------------------------------------------------------------------------------------------


def test_the_database_knows_that_it_is_a_demo(rows):
    (installation,) = rows(Installation)
    assert installation.demo


def test_loading_it_twice_is_refused_and_changes_nothing(company, app, db, rows):
    with instead(app, company.url):
        again = app.test_cli_runner().invoke(args=["crm", "demo"])
    assert again.exit_code == 1
    assert again.output.startswith("Error: The demo company can be loaded into an empty database only")
    assert len(rows(Customer)) == 200


def test_a_database_with_customers_is_refused(db, admin):
    builders.customer()
    with pytest.raises(BusinessError, match="has customers already"):
        load_demo()
    assert db.session.query(Customer).count() == 1
    assert not db.session.query(Installation).one().demo


def test_a_database_that_somebody_can_sign_in_to_is_refused(db, admin):
    with pytest.raises(BusinessError, match="already has an account “admin”"):
        load_demo()
    assert db.session.query(Customer).count() == 0
    assert not db.session.query(Installation).one().demo


# -- broken off -------------------------------------------------------------------------------------------------


def whole(url):
    """How many customers, accounts and scans there are, and whether the database says that it is whole."""
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg2://"))
    try:
        with Session(engine) as session:
            counts = [
                session.execute(sa.select(sa.func.count()).select_from(m).where(*which)).scalar_one()
                for m, *which in ((Customer,), (User,), (JobRun, JobRun.job == CHURN_SCAN.id))
            ]
            return *counts, session.execute(sa.select(Installation.demo, Installation.loading)).one_or_none()
    finally:
        engine.dispose()


def test_a_demo_whose_loading_was_killed_is_loaded_again_from_the_beginning(company, world):
    kind = sa.make_url(company.url).get_backend_name()
    assert f"This database is empty: {kind}" in company.killed  # which one, before it is filled
    assert "LIUKE_DEMO=0 leaves it empty" in company.killed
    assert company.told["refused"] is None
    assert whole(company.url) == (200, len(STAFF), WEEKS, (True, False))
    if world.database == "postgresql":  # with SQLite the half database was never in its place
        assert "broken off here" in company.said

    _told, said = Start(company.url).end()
    assert "Loading" not in said
    assert whole(company.url) == (200, len(STAFF), WEEKS, (True, False))


@pytest.mark.once("postgresql")  # with SQLite the half database was never in its place
def test_who_broke_the_loading_off_to_begin_without_a_demo_gets_an_empty_company(world):
    url = world.scratch_database()
    first = Start(url)
    first.wait_for("Customers, contacts")  # accounts and teams are there
    first.kill()
    assert whole(url)[1:] == (len(STAFF), 0, (True, True))

    told, _said = Start(url, LIUKE_DEMO="0").end()

    assert [account[0] for account in told["accounts"]] == ["admin"]
    assert "shown once" in told["notes"][0]
    assert whole(url) == (0, 1, 0, (False, False))


def test_beginning_again_leaves_what_a_first_start_has(world, db, admin):
    world.everything = True
    roles = len(rows_of(RoleProfile))
    builders.order()
    install(demo=True, now=utcnow())
    db.session.execute(sa.update(Installation).values(loading=True))
    db.session.commit()

    assert begin_again()

    assert rows_of(User) == rows_of(Customer) == rows_of(Order) == rows_of(Installation) == []
    assert len(rows_of(RoleProfile)) == roles
    assert len(rows_of(DictionaryItem)) > 50
    assert not begin_again()


def test_a_whole_demo_and_real_work_are_never_emptied(db, admin):
    builders.customer()
    for demo_too in (False, True):
        install(demo=demo_too, now=utcnow())
        db.session.commit()
        assert not begin_again()
    assert len(rows_of(Customer)) == 1


def test_while_another_process_loads_nothing_is_emptied_and_that_is_said(db, admin, other_processes):
    install(demo=True, now=utcnow())
    db.session.execute(sa.update(Installation).values(loading=True))
    db.session.commit()
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD],
        cwd=ROOT,
        env=other_processes,
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(BusinessError, match="is being loaded into this database"):
            begin_again()
        assert prepare.somebody_or_why({"LIUKE_DEMO": True, "LIUKE_HOST": "127.0.0.1"}).refused is not None
    finally:
        other.communicate("\n")
    assert len(rows_of(User)) == 6


def test_a_database_that_was_meant_for_real_work_becomes_a_demo(db):
    from app.runs.operations import install

    install(demo=False, now=utcnow())
    mark_as_demo(utcnow())
    assert db.session.query(Installation).one().demo


@pytest.mark.once
def test_it_is_the_same_company_every_time():
    first, second = Names(Random(7)), Names(Random(7))
    assert [first.company() for _ in range(20)] == [second.company() for _ in range(20)]
    assert first.company(foreign=True) == second.company(foreign=True)
    assert [first.person() for _ in range(20)] == [second.person() for _ in range(20)]


@pytest.mark.once
@pytest.mark.parametrize("days", [0, 1, 45, 97, 200])
def test_there_are_2000_orders_whatever_the_day(db, days):
    now = utcnow() + timedelta(days=days)
    since = local(now).date() - timedelta(days=900)
    buyers = [Buyer(f"KH{n}", None, "2", since, 20 + n % 90) for n in range(185)]
    planned = plan_orders(buyers, now, Random(1))
    assert len(planned) == 2000
    assert all(now - timedelta(days=731) < order.at < now for order in planned)
