"""From a feed of the sales system to a customer who is kept and one who is won back: four people and two jobs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.churn.models import ChurnCase, ChurnStatus
from app.core.clock import local, today, utcnow
from app.core.models import AuditEntry, Outcome
from app.customers.models import Customer, CustomerStatus
from tests.support import rows, text_of

KEPT, LOST = "成都蜀源生物科技有限公司", "长沙岳麓环保工程有限公司"


@pytest.fixture
def crm(app, db):
    """`crm("churn", "--preview")` runs the command and gives what it printed."""

    def run(*words):
        result = app.test_cli_runner().invoke(args=["crm", *map(str, words)])
        assert result.exit_code == 0, result.output
        return result.output

    return run


def feed(folder, *orders):
    """What the sales system exports: two customers, and these orders (number, customer, when, amount)."""
    folder.mkdir(exist_ok=True)
    (folder / "customers.csv").write_text(
        f"customer_no,name,registered_on\nC1,{KEPT},2024-01-05\nC2,{LOST},2024-02-01\n", encoding="utf-8"
    )
    lines = [f"{number},{customer},{when},shipped,{amount}" for number, customer, when, amount in orders]
    text = "\n".join(["order_no,customer_no,ordered_at,status,amount", *lines])
    (folder / "orders.csv").write_text(f"{text}\n", encoding="utf-8")
    return folder


def test_two_customers_fall_silent_one_is_kept_and_one_is_won_back(db, tmp_path, crm, sign_in, li, wang, zhao, chen):
    manager, colleague, lead = sign_in(wang), sign_in(zhao), sign_in(li)

    # The sales system knows two customers whose last orders are ten months old; nobody here looks after them yet.
    long_ago = today() - timedelta(days=310)
    old = [("O1", "C1", long_ago, "1000.00"), ("O2", "C2", long_ago, "2500.00")]
    crm("sync", feed(tmp_path / "feed", *old))
    kept, lost = (rows(Customer, Customer.name == name)[0] for name in (KEPT, LOST))
    assert KEPT in text_of(lead.get("/customers/list/?tab=unowned"))
    given = {"rowid": [kept.id, lost.id], "owner": wang.id, "confirmed": "1"}
    assert lead.post("/customers/bulk-assign", given).status_code == 200
    assert KEPT in text_of(manager.get("/customers/list/?tab=mine"))

    # The scan of last midnight warns about both; their manager reads on every page how many wait, and why on the case.
    assert "due 2, opened 2, recovered 0, open 2" in crm("churn", "--as-of", f"{today()}T00:00")
    cases = {case.customer_id: case for case in rows(ChurnCase)}
    assert "Churn warnings 2" in text_of(manager.get("/contacts/list/"))
    page = text_of(manager.get(f"/churn/show/{cases[kept.id].id}"))
    assert "O1" in page
    assert f"{long_ago}" in page
    assert colleague.get(f"/churn/show/{cases[kept.id].id}").status_code == 404
    assert colleague.post(f"/churn/defer/{cases[kept.id].id}", {"text": "我来"}).status_code == 404

    # He visits one of them; of the other he learns that it buys elsewhere. Without a word neither is taken.
    defer, confirm = f"/churn/defer/{cases[kept.id].id}", f"/churn/confirm-lost/{cases[lost.id].id}"
    assert manager.post(defer, {"text": ""}).status_code == 422
    assert manager.post(defer, {"text": "上门拜访，带新版价格单。"}).status_code == 302
    assert manager.post(confirm, {"reason": "改用竞品，价格更低。"}).status_code == 302
    assert manager.post(f"/churn/defer/{cases[lost.id].id}", {"text": "再试"}).status_code == 409
    assert LOST in text_of(lead.get(f"/customers/list/?_flt_0_status={CustomerStatus.lost}"))
    assert rows(Customer, Customer.id == lost.id)[0].status == CustomerStatus.lost

    # Nothing is opened twice. Then both order again: the one was kept, the other is won back.
    assert "opened 0, recovered 0" in crm("churn")
    crm("sync", feed(tmp_path / "feed", *old, ("O3", "C1", utcnow(), "10.00"), ("O4", "C2", utcnow(), "20.00")))
    crm("churn")
    assert {case.customer_id: case.status for case in rows(ChurnCase)} == {
        kept.id: ChurnStatus.recovered, lost.id: ChurnStatus.won_back,
    }  # fmt: skip
    assert rows(Customer, Customer.id == lost.id)[0].status == CustomerStatus.active

    # The executive reads it in the report, the history tells who did what, the refused tries included.
    report = text_of(sign_in(chen).get(f"/reports/churn-analysis/?period={local(utcnow()):%Y-%m}"))
    assert "王强 2 1 1 1 1 1" in report.replace(" from 0", "")  # the month before there was nothing
    told = [(e.actor_id, e.action, e.outcome) for e in rows(AuditEntry, AuditEntry.record_type == "churn_case")]
    done, refused = Outcome.done, Outcome.refused
    assert told == [
        (None, "warn", done), (None, "warn", done), (zhao.id, "defer", refused), (wang.id, "defer", done),
        (wang.id, "confirm_lost", done), (wang.id, "defer", refused), (None, "recover", done), (None, "win_back", done),
    ]  # fmt: skip
