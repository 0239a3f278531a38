"""The estimate of who may leave: the model, what is kept and shown of it, and how it is compared with what happened."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from math import log
from random import Random

import pytest
import sqlalchemy as sa

from app.churn.estimate import FAR, History, Model, auc, fit, lowest, measured
from app.churn.estimating import FEWEST, WEEKS, estimate_all, histories_at, probabilities
from app.churn.models import ChurnCase, EstimateRun
from app.core.clock import day_start, utcnow
from app.customers.models import Customer, CustomerEstimate, CustomerStatus
from app.extensions import db as database
from app.mirror.models import Order, OrderStatus
from app.runs.models import JobRun, RunStatus
from app.runs.operations import RunLostError
from jobs import churn_estimate
from tests import builders
from tests.support import rows, statements, text_of
from tests.world import CDNOW

PAPER = Model(r=0.243, alpha=4.414, a=0.793, b=2.426)  # Fader, Hardie and Lee (2005), on the CDNOW sample, weeks
SATURDAY = datetime(2026, 5, 22, 19, 30, tzinfo=UTC)  # the 23rd, 03:30, in Shanghai


# -- the model --------------------------------------------------------------------------------------------------


def alive(model: Model, history: History) -> float:
    """P(alive) as the paper writes it."""
    again, last, age = history
    if not again:
        return 1.0
    gone = model.a / (model.b + again - 1) * ((model.alpha + age) / (model.alpha + last)) ** (model.r + again)
    return 1 / (1 + gone)


@pytest.mark.parametrize(
    ("history", "weeks"),
    [
        (History(0, 0.0, 38.86), 26),
        (History(0, 0.0, 0.0), 26),
        (History(2, 30.43, 38.86), 26),
        (History(2, 30.43, 38.86), 0.5),
        (History(7, 29.43, 38.86), 26),
        (History(26, 4.0, 38.86), 26),
    ],
)
def test_silence_is_having_left_or_staying_and_not_ordering(history, weeks):
    stays = alive(PAPER, history)
    waits = ((PAPER.alpha + history.age) / (PAPER.alpha + history.age + weeks)) ** (PAPER.r + history.again)
    assert PAPER.silent(history, weeks) == pytest.approx(1 - stays + stays * waits, abs=1e-12)


def test_the_probability_counts_what_invented_customers_do():
    """Customers drawn from the model, those with one history (to the week) counted half a year on."""
    draw, known, silent = Random(7), Counter(), Counter()
    for _ in range(60_000):
        rate, leaves = draw.gammavariate(PAPER.r, 1 / PAPER.alpha), draw.betavariate(PAPER.a, PAPER.b)
        at, again, last = 0.0, 0, 0.0
        while True:
            at += draw.expovariate(rate) if rate > 1e-12 else 1e9
            if at > 39:
                break
            again, last = again + 1, at
            if draw.random() < leaves:
                at = 1e9
                break
        if again == 1:
            known[int(last // 13)] += 1
            silent[int(last // 13)] += at > 39 + WEEKS
    assert min(known.values()) > 1000
    for third, number in known.items():
        expected = sum(PAPER.silent(History(1, third * 13 + w + 0.5, 39.0), WEEKS) for w in range(13)) / 13
        assert silent[third] / number == pytest.approx(expected, abs=0.035)


def test_longer_silence_and_fewer_orders_make_leaving_likelier():
    ages = [PAPER.silent(History(5, 30.0, age), WEEKS) for age in (30.0, 35.0, 40.0, 60.0, 120.0)]
    assert ages == sorted(ages)
    assert ages[0] < 0.2
    assert 0.95 < ages[-1] <= 1
    assert PAPER.silent(History(1, 30.0, 31.0), WEEKS) > PAPER.silent(History(9, 30.0, 31.0), WEEKS)


def test_the_likelihood_is_the_papers_one():
    """Customer 1 of the paper's sample: two repeat orders, the last after 30.43 of 38.86 weeks."""
    history = History(2, 30.43, 38.86)
    simple = Model(1, 1, 1, 1)  # all gammas are factorials: 2! 1! 2! / 3! (1 / 39.86**3 + 1 / (2 * 31.43**3))
    assert simple.likelihood(Counter([history])) == pytest.approx(log(2 / 3 * (39.86**-3 + 31.43**-3 / 2)), abs=1e-12)
    assert PAPER.likelihood(Counter({history: 3})) == pytest.approx(3 * PAPER.likelihood(Counter([history])))


def invented(size: int, model: Model = PAPER, seed: int = 1) -> list[History]:
    """Histories of customers drawn from a model, of 26 to 39 weeks, in days."""
    draw, made = Random(seed), []
    for _ in range(size):
        rate, leaves = draw.gammavariate(model.r, 1 / model.alpha), draw.betavariate(model.a, model.b)
        age, at, days = draw.randint(182, 273), 0.0, [0]
        while rate > 1e-9 and (at := at + 7 * draw.expovariate(rate)) < age:
            days.append(int(at))
            if draw.random() < leaves:
                break
        made.append(History(len(set(days)) - 1, max(days) / 7, age / 7))
    return made


def test_the_fit_finds_the_parameters_back():
    histories = invented(4000)
    found = fit(histories)
    assert found.r == pytest.approx(PAPER.r, rel=0.15)
    assert found.alpha == pytest.approx(PAPER.alpha, rel=0.2)
    assert found.a / (found.a + found.b) == pytest.approx(PAPER.a / (PAPER.a + PAPER.b), abs=0.05)
    grouped = Counter(histories)
    assert found.likelihood(grouped) > PAPER.likelihood(grouped)


def test_the_fit_is_the_same_whatever_the_order(monkeypatch):
    histories = invented(300)
    found = fit(histories)
    assert fit(histories[::-1]) == found
    monkeypatch.setattr("app.churn.estimate.SAMPLE", 150)
    assert fit(histories) == fit(histories[::-1]) != found  # every second one, evenly


@pytest.mark.parametrize(
    "histories",
    [
        [History(0, 0.0, 10.0)] * 100,  # nobody ever ordered again
        [History(52, 52.0, 52.0)] * 100,  # everybody like a clock, today too
        [History(0, 0.0, 0.0)] * 100,  # all since today
        [History(1, 0.2, 500.0)] * 50 + [History(400, 499.0, 500.0)] * 50,
    ],
)
def test_data_without_spread_give_probabilities_all_the_same(histories):
    model = fit(histories)
    assert all(abs(log(value)) <= FAR for value in (model.r, model.alpha, model.a, model.b))
    assert all(0 <= model.silent(history, WEEKS) <= 1 for history in histories)


def test_without_histories_there_is_nothing_to_learn():
    with pytest.raises(ValueError, match="no history"):
        fit([])


def test_the_search_walks_down_a_bent_valley():
    x, y = lowest(lambda at: (1 - at[0]) ** 2 + 100 * (at[1] - at[0] ** 2) ** 2, [-1.2, 1.0])
    assert (x, y) == pytest.approx((1, 1), abs=0.01)


def test_auc_counts_pairs():
    assert auc([(0.9, True), (0.8, True), (0.3, False)]) == 1
    assert auc([(0.1, True), (0.3, False)]) == 0
    assert auc([(0.5, True), (0.5, False)]) == 0.5
    assert auc([(0.9, True), (0.4, True), (0.6, False), (0.4, False)]) == (2 + 0.5) / 4
    assert auc([(0.9, True)]) is None
    assert auc([]) is None


def test_bands_say_what_was_expected_and_what_came():
    told = measured([(n / 20, n >= 10) for n in range(20)])
    assert (told["customers"], told["silent"], told["auc"]) == (20, 0.5, 1)
    assert told["brier"] == pytest.approx(sum((n / 20 - (n >= 10)) ** 2 for n in range(20)) / 20)
    assert [size for size, *_rest in told["bands"]] == [2] * 10
    assert told["bands"][0] == [2, pytest.approx(0.025), 0]
    assert told["bands"][9] == [2, pytest.approx(0.925), 1]
    assert [size for size, *_rest in measured([(0.5, True)] * 3)["bands"]] == [1, 1, 1]
    assert measured([])["bands"] == []


# -- real customers ---------------------------------------------------------------------------------------------

CUT = date(1997, 12, 30)


def real_customers_are_ranked_better_than_by_the_days_since_their_last_order():
    """Learned from what 23,570 customers ordered up to the end of 1997, asked about the half year after it."""
    bought: dict[str, set[date]] = {}
    with (CDNOW / "orders.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            bought.setdefault(row["customer_no"], set()).add(date.fromisoformat(row["ordered_at"]))
    histories, silent, unwarned = {}, {}, []
    for customer, days in bought.items():
        before = sorted(day for day in days if day <= CUT)
        first, last = before[0], before[-1]
        histories[customer] = History(len(before) - 1, (last - first).days / 7, (CUT - first).days / 7)
        silent[customer] = not any(CUT < day <= CUT + timedelta(weeks=WEEKS) for day in days)
        if last >= date(1997, 6, 30):  # the rule of six months does not warn
            unwarned.append(customer)
    model = fit(histories.values())
    chance = probabilities(model, histories)

    assert (len(histories), len(unwarned)) == (23_570, 6_439)
    estimate = auc((chance[c], silent[c]) for c in unwarned)
    gap = auc((histories[c].age - histories[c].last, silent[c]) for c in unwarned)
    assert estimate >= 0.68
    assert estimate > gap + 0.05
    told = measured((chance[c], silent[c]) for c in histories)
    assert told["auc"] == pytest.approx(0.788, abs=0.005)
    assert all(happened == pytest.approx(expected, abs=0.08) for _size, expected, happened in told["bands"])


if CDNOW.is_dir():  # where the data set is not at hand there is nothing to test
    test_cdnow = pytest.mark.once(real_customers_are_ranked_better_than_by_the_days_since_their_last_order)


# -- what is read and kept --------------------------------------------------------------------------------------


@pytest.fixture
def buyers(db):
    """`buyers(100)` are as many customers, most with several orders in the two years before SATURDAY; their ids."""

    def make(size: int) -> list[int]:
        level = builders.customer().level_id
        draw, made = Random(size), []
        for number in range(size):
            given = {"number": f"KHB{number}", "name": f"客户{number}", "registered_on": date(2024, 1, 1)}
            made += [Customer(level_id=level, **given)]
        database.session.add_all(made)
        database.session.flush()
        for customer in made:
            for n in range(1 + draw.randrange(6)):
                day = SATURDAY - timedelta(days=draw.randint(1, 700))
                database.session.add(
                    Order(
                        external_id=f"DD{customer.id}-{n}", customer_id=customer.id, ordered_at=day,
                        amount=10, status=OrderStatus.shipped,
                    )
                )  # fmt: skip
        database.session.commit()
        return [customer.id for customer in made]

    return make


def test_histories_are_days_on_the_companys_clock(db):
    customer = builders.customer()
    for at in (
        day_start(date(2026, 5, 1)),
        day_start(date(2026, 5, 2)) - timedelta(seconds=1),  # the same day in Shanghai, the day before in UTC
        day_start(date(2026, 5, 15)),
        SATURDAY,
    ):
        builders.order(customer, at=at, lines=0)
    builders.order(customer, at=day_start(date(2026, 4, 1)), status=OrderStatus.cancelled, lines=0)
    builders.order(customer, at=SATURDAY + timedelta(seconds=1), lines=0)
    once = builders.customer()
    builders.order(once, at=day_start(date(2026, 5, 9)), lines=0)
    builders.order(builders.customer(status=CustomerStatus.deleted), at=day_start(date(2026, 5, 9)), lines=0)
    lost = builders.customer(status=CustomerStatus.lost)
    builders.order(lost, at=day_start(date(2026, 5, 16)), lines=0)
    builders.customer()

    assert histories_at(SATURDAY) == {
        customer.id: History(2, 22 / 7, 22 / 7),
        once.id: History(0, 0.0, 2.0),
        lost.id: History(0, 0.0, 1.0),
    }
    assert histories_at(SATURDAY + timedelta(days=1))[customer.id] == History(2, 22 / 7, 23 / 7)


def test_every_customer_with_an_order_gets_the_estimate_of_the_model(db, buyers):
    ids = buyers(FEWEST)
    done = estimate_all(as_of=SATURDAY)

    assert (done.run.customers, done.kept, done.measured) == (FEWEST, FEWEST, [])
    (run,) = rows(EstimateRun)
    histories = histories_at(SATURDAY)
    model = Model(**run.parameters)
    assert model == fit(histories.values())
    assert run.log_likelihood == pytest.approx(model.likelihood(Counter(histories.values())))
    assert (run.hits, run.measured_at) == (None, None)
    kept = rows(CustomerEstimate)
    assert [e.customer_id for e in kept] == ids
    assert {e.customer_id: e.probability for e in kept} == probabilities(model, histories)
    assert {e.as_of for e in kept} == {SATURDAY}
    assert rows(ChurnCase) == []


def test_again_is_the_same_and_what_no_longer_orders_counts_goes(db, buyers):
    ids = buyers(FEWEST + 1)
    estimate_all(as_of=SATURDAY)
    before = {e.customer_id: e.probability for e in rows(CustomerEstimate)}
    estimate_all(as_of=SATURDAY)
    assert {e.customer_id: e.probability for e in rows(CustomerEstimate)} == before
    assert len(rows(EstimateRun)) == 1

    database.session.get(Customer, ids[0]).status = CustomerStatus.deleted
    database.session.commit()
    estimate_all(as_of=SATURDAY + timedelta(weeks=1))
    assert [e.customer_id for e in rows(CustomerEstimate)] == ids[1:]
    assert [run.customers for run in rows(EstimateRun)] == [FEWEST + 1, FEWEST]


def test_an_earlier_as_of_leaves_newer_estimates(db, buyers):
    buyers(FEWEST)
    estimate_all(as_of=SATURDAY)
    done = estimate_all(as_of=SATURDAY - timedelta(weeks=1))
    assert done.kept == 0
    assert done.run.parameters is not None
    assert {e.as_of for e in rows(CustomerEstimate)} == {SATURDAY}


def test_too_few_customers_get_no_estimate_and_lose_an_old_one(db, buyers):
    ids = buyers(FEWEST - 1)
    builders.estimate(database.session.get(Customer, ids[0]))
    done = estimate_all(as_of=SATURDAY)
    assert (done.run.customers, done.run.parameters, done.run.log_likelihood, done.kept) == (FEWEST - 1, None, None, 0)
    assert rows(CustomerEstimate) == []
    assert estimate_all(as_of=SATURDAY + timedelta(weeks=WEEKS)).measured == []  # there is nothing to measure


def test_the_statements_do_not_depend_on_the_number_of_customers(app, db, buyers):
    buyers(FEWEST)
    counts = []
    for week in range(2):
        with statements(app) as seen:
            estimate_all(as_of=SATURDAY + timedelta(weeks=week))
        counts.append(len(seen))
        if not week:
            builders.order(builders.customer(), at=SATURDAY, lines=0)
    assert counts[0] == counts[1] <= 10


def test_after_26_weeks_it_is_compared_with_what_happened(db, buyers):
    ids = buyers(FEWEST)
    estimate_all(as_of=SATURDAY)
    chance = {e.customer_id: e.probability for e in rows(CustomerEstimate)}
    over = SATURDAY + timedelta(weeks=WEEKS)
    came = ids[::4]
    for id in came:
        builders.order(database.session.get(Customer, id), at=over, lines=0)  # the last moment
    for id, at, status in (
        (ids[1], over + timedelta(seconds=1), OrderStatus.shipped),
        (ids[2], over - timedelta(days=3), OrderStatus.cancelled),
    ):
        builders.order(database.session.get(Customer, id), at=at, status=status, lines=0)

    assert estimate_all(as_of=over - timedelta(seconds=1)).measured == []
    done = estimate_all(as_of=over)

    (run,) = done.measured
    assert run.as_of == SATURDAY
    assert run.measured_at is not None
    assert run.hits == measured((p, id not in came) for id, p in chance.items())
    assert run.hits["silent"] == 0.75
    assert estimate_all(as_of=over + timedelta(weeks=1)).measured == []  # once; the other runs are not over


def test_somebody_who_lost_the_run_writes_nothing(db, buyers):
    buyers(FEWEST)

    def lost():
        raise RunLostError

    with pytest.raises(RunLostError):
        estimate_all(as_of=SATURDAY, still_ours=lost)
    assert rows(EstimateRun) == rows(CustomerEstimate) == []


@pytest.mark.parametrize("probability", [-0.01, 1.01])
def test_a_probability_is_one(db, probability):
    with pytest.raises(sa.exc.IntegrityError):
        builders.estimate(probability=probability)
    database.session.rollback()


# -- the job and the command ------------------------------------------------------------------------------------

PERIOD = "2026-05-23T03:30"


def test_the_job_estimates_as_of_its_saturday_and_does_so_once(db, buyers):
    builders.sync_run()
    buyers(FEWEST)
    assert churn_estimate.run(PERIOD) == {"customers": FEWEST, "estimated": FEWEST, "measured": 0}
    assert [run.as_of for run in rows(EstimateRun)] == [SATURDAY]
    assert churn_estimate.run(PERIOD) is None

    counts = churn_estimate.run("2026-11-21T03:30")

    assert (counts["measured"], counts["estimated"]) == (1, FEWEST)
    assert "auc" not in counts  # nobody ordered, so there is no pair to rank
    assert [run.status for run in rows(JobRun)] == [RunStatus.done] * 2


def test_what_the_job_found_out_about_itself_is_in_its_counts(db, buyers):
    builders.sync_run()
    ids = buyers(FEWEST)
    churn_estimate.run(PERIOD)
    likely = sorted(rows(CustomerEstimate), key=lambda e: e.probability)
    assert likely[0].probability < likely[-1].probability
    for estimate in likely[:30]:
        at = SATURDAY + timedelta(days=9)
        builders.order(database.session.get(Customer, estimate.customer_id), at=at, lines=0)
    assert likely[29].probability < likely[30].probability
    assert churn_estimate.run("2026-11-21T03:30") == {
        "customers": len(ids), "estimated": len(ids), "measured": 1, "auc": 100,
    }  # fmt: skip


def test_the_job_is_refused_while_the_mirror_is_stale(db, buyers):
    builders.sync_run(finished_at=utcnow() - timedelta(days=9))
    buyers(FEWEST)
    assert churn_estimate.run(PERIOD) is None
    (run,) = rows(JobRun)
    assert run.status is RunStatus.refused
    assert rows(EstimateRun) == []
    builders.sync_run()
    assert churn_estimate.run(PERIOD)["estimated"] == FEWEST


@pytest.fixture
def crm(app, db):
    """`crm("--as-of", ...)` runs `crm estimate` and gives its result."""
    return lambda *options: app.test_cli_runner().invoke(args=["crm", "estimate", *options])


def test_the_command_prints_parameters_and_hits(crm, buyers):
    ids = buyers(FEWEST)
    first = crm("--as-of", PERIOD)
    assert first.exit_code == 0, first.output
    assert first.output.startswith(f"As of 2026-05-23 03:30: {FEWEST} customers with an order.\nr ")
    assert first.output.endswith(f"; {FEWEST} estimates kept.\n")
    builders.order(database.session.get(Customer, ids[0]), at=SATURDAY + timedelta(days=1), lines=0)

    second = crm("--as-of", "2026-11-21T03:30").output

    assert "Estimates as of 2026-05-23 03:30: 99.0% of 100 customers placed no order in 26 weeks; AUC " in second
    assert second.count(" customers: estimated ") == 10


def test_the_command_says_why_there_is_nothing(crm, buyers):
    buyers(FEWEST - 1)
    assert crm("--as-of", PERIOD).output.endswith("No estimates: fewer than 100 customers.\n")
    stale = crm()
    assert (stale.exit_code, rows(EstimateRun)[1:]) == (1, [])
    assert "was never synced" in stale.output
    builders.sync_run()
    assert crm().exit_code == 0
    future = crm("--as-of", "2099-01-01")
    assert future.exit_code == 2
    assert "Orders of the future are not known." in future.output


# -- what is shown ----------------------------------------------------------------------------------------------


@pytest.fixture
def cases(db, wang):
    """Three cases of Wang's: likely to stay, likely to leave, without an estimate."""
    made = {}
    for name, probability in (("成都", 0.204), ("重庆", 0.999), ("长沙", None)):
        made[name] = builders.churn_case(builders.customer(owner=wang, name=name))
        if probability is not None:
            builders.estimate(made[name].customer, probability=probability, as_of=SATURDAY)
    return made


def test_the_list_shows_estimates_and_orders_by_them(sign_in, cases, wang):
    builders.estimate_run(as_of=SATURDAY)
    browser = sign_in(wang)
    page = text_of(browser.get("/churn/list/"))
    assert "No order in the next 26 weeks (estimate)" in page
    assert "Estimates as of 2026-05-23 03:30" in page
    assert " 20% " in page
    assert " 99% " in page  # never quite certain

    def order(query: str) -> list[str]:
        shown = text_of(browser.get(f"/churn/list/?{query}"))
        return sorted(cases, key=shown.index)

    assert order("") == ["长沙", "重庆", "成都"]  # as before: the newest warning first
    assert order("_oc_ChurnCaseView=estimate&_od_ChurnCaseView=desc") == ["重庆", "成都", "长沙"]
    assert order("_oc_ChurnCaseView=estimate&_od_ChurnCaseView=asc") == ["长沙", "成都", "重庆"]
    assert order("_oc_ChurnCaseView=probability&_od_ChurnCaseView=asc") == ["长沙", "重庆", "成都"]


def test_the_list_says_why_there_are_no_estimates(sign_in, db, wang):
    browser = sign_in(wang)
    assert "No estimates yet: they are made every Saturday at 03:30" in text_of(browser.get("/churn/list/"))
    builders.estimate_run(customers=1, parameters=None)
    assert "they need 100 customers with orders, there is 1" in text_of(browser.get("/churn/list/"))
    builders.estimate_run(as_of=utcnow(), customers=37, parameters=None)
    assert "they need 100 customers with orders, there are 37" in text_of(browser.get("/churn/list/"))


def test_the_customers_list_finds_who_is_likely_to_leave_before_any_warning(sign_in, db, wang):
    for name, probability in (("成都", 0.204), ("重庆", 0.71), ("长沙", None)):
        customer = builders.customer(owner=wang, name=name)
        if probability is not None:
            builders.estimate(customer, probability=probability)
    browser = sign_in(wang)
    page = text_of(browser.get("/customers/list/?_oc_CustomerView=estimate.probability&_od_CustomerView=desc"))
    assert page.index("重庆") < page.index(" 71% ") < page.index("成都") < page.index(" 20% ") < page.index("长沙")
    page = text_of(browser.get("/customers/list/?_oc_CustomerView=estimate.probability&_od_CustomerView=asc"))
    assert page.index("长沙") < page.index("成都") < page.index("重庆")


def test_a_customers_page_tells_it_with_its_day_and_what_it_does_not_do(sign_in, cases, wang):
    page = text_of(sign_in(wang).get(f"/customers/show/{cases['成都'].customer_id}"))
    assert "No order in the next 26 weeks (estimate) 20% · as of 2026-05-23" in page
    assert "Warnings follow the rule of months without an order alone" in page
    assert (
        "(estimate)" not in text_of(sign_in(wang).get(f"/customers/show/{cases['长沙'].customer_id}")).split("Facts")[1]
    )


def test_who_may_not_read_warnings_reads_no_estimate(sign_in, cases):
    reader = builders.user(
        roles=[builders.role(rights=[(r, "Customer") for r in ("can_show", "can_list", "can_see_all")])]
    )
    for url in (f"/customers/show/{cases['成都'].customer_id}", "/customers/list/"):
        page = text_of(sign_in(reader).get(url))
        assert "成都" in page
        assert "(estimate)" not in page
