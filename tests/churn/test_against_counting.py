"""The scan beside a second opinion: an invented company of two years, counted customer by customer in plain Python."""

from __future__ import annotations

import calendar
import random
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

import pytest
import sqlalchemy as sa

from app.churn.models import OPEN, ChurnCase
from app.churn.operations import ScanResult, scan
from app.core.changes import TOLD
from app.core.clock import from_local, utcnow
from app.core.unit import unit_of_work
from app.customers.models import Customer
from app.masterdata.models import DictionaryType
from app.mirror.models import Order
from tests import builders

SATURDAY = datetime(1997, 7, 5, 2)
MONTHS = {"1": 6, "2": 6, "3": 9, "5": 12}  # by level


@dataclass
class Silent:
    """What the second opinion knows of a customer; times are the company's wall clock."""

    level: str
    registered: date
    orders: list[tuple[datetime, bool]] = field(default_factory=list)  # when, cancelled
    open_since: datetime | None = None

    def last(self, now: datetime) -> datetime:
        """The newest order that counts, else the registration's midnight."""
        seen = [at for at, cancelled in self.orders if at <= now and not cancelled]
        return max(seen, default=datetime.combine(self.registered, time.min))


def months_ago(now: datetime, months: int) -> datetime:
    """Counted on fingers: back month by month, then the day if the month has it."""
    year, month = now.year, now.month
    for _ in range(months):
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)
    return now.replace(year=year, month=month, day=min(now.day, calendar.monthrange(year, month)[1]))


def expected(company: dict[str, Silent], now: datetime) -> ScanResult:
    """One week of the second opinion."""
    recovered = opened = 0
    for one in company.values():
        since = one.open_since
        if since is not None and any(since < at <= now and not cancelled for at, cancelled in one.orders):
            one.open_since, recovered = None, recovered + 1
    for one in company.values():
        exists = one.open_since is None and one.registered <= now.date()
        if exists and one.last(now) < months_ago(now, MONTHS[one.level]):
            one.open_since, opened = now, opened + 1
    return ScanResult(opened, opened, recovered, sum(one.open_since is not None for one in company.values()))


def invent(seed: int) -> dict[str, Silent]:
    """250 customers: some order every month, some rarely, some never; instants on and around midnight and 02:00."""
    chance = random.Random(seed)
    company = {}
    for number in range(250):
        registered = date(1996, 1, 1) + timedelta(days=chance.randrange(800))
        one = Silent(chance.choice("1111235"), registered)
        at = datetime.combine(registered, time.min)
        pause = chance.choice([20, 90, 170, 190, 400])
        for _ in range(chance.choice([0, 1, 3, 12])):
            hour = chance.choice([time(0), time(2), time(2, 0, 0, 1), time(1, 59, 59), time(15)])
            one.orders.append((datetime.combine(at.date(), hour), chance.random() < 0.15))
            at += timedelta(days=1 + chance.randrange(2 * pause))
        company[f"C{number:03}"] = one
    return company


def store(company: dict[str, Silent]) -> None:
    """The same company in the database."""
    level = {code: builders.dictionary(DictionaryType.level, code).id for code in MONTHS}
    now, customers, orders = utcnow(), [], []
    for number, (name, one) in enumerate(company.items(), start=1):
        customers.append(
            {"id": number, "number": name, "name": name, "registered_on": one.registered, "level_id": level[one.level],
             "satisfaction": 3, "credit": 3, "status": "active", "version": 1, "name_key": "", "search_key": "",
             "created_at": now, "changed_at": now}
        )  # fmt: skip
        orders += [
            {"external_id": f"{name}-{n}", "customer_id": number, "ordered_at": from_local(at), "amount": 1,
             "status": "cancelled" if cancelled else "new"}
            for n, (at, cancelled) in enumerate(one.orders)
        ]  # fmt: skip
    with unit_of_work():
        builders.db.session.execute(sa.insert(Customer.__table__).execution_options(**TOLD), customers)
        builders.db.session.execute(sa.insert(Order.__table__), orders)


@pytest.mark.parametrize("seed", [1997, 2026])
def test_sixty_saturdays_in_a_row_come_out_as_counted_one_by_one(app, db, seed):
    app.config["LIUKE_CHURN_MONTHS_BY_LEVEL"] = {"3": 9, "5": 12}
    company = invent(seed)
    store(company)
    seen = [0, 0]
    for week in range(60):
        now = SATURDAY + timedelta(weeks=week)
        foreseen = scan(as_of=from_local(now), preview=True)
        with unit_of_work():
            result = scan(as_of=from_local(now))
        assert foreseen == result == expected(company, now)
        waiting = sa.select(Customer.number).join(ChurnCase).where(ChurnCase.status.in_(OPEN))
        assert set(db.session.execute(waiting).scalars()) == {
            name for name, one in company.items() if one.open_since is not None
        }
        seen = [seen[0] + result.opened, seen[1] + result.recovered]
    assert min(seen) > 20  # both kinds of move happened often
