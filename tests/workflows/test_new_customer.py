"""From the first hint to a customer who is looked after: a story of four people, by the pages they use."""

from __future__ import annotations

from datetime import timedelta

from app.core.clock import today
from app.core.models import AuditEntry, Outcome
from app.customers.models import Contact, Customer
from app.masterdata.models import DictionaryType
from app.sales.models import Opportunity, OpportunityStatus, PlanStep
from tests import builders
from tests.support import rows, text_of


def test_a_prospect_becomes_a_customer(db, sign_in, li, wang, zhao, chen):
    manager, lead, colleague = sign_in(wang), sign_in(li), sign_in(zhao)

    # Wang meets somebody at a fair.
    manager.post("/opportunities/add", {
        "customer_name": "杭州云栖智造科技有限公司", "title": "智能仓储一期扩容", "probability": "60",
        "description": "客户仓库扩容，分拣线需要动态称重。", "contact_name": "顾维", "contact_phone": "0571-0555 0101",
    })  # fmt: skip
    (opportunity,) = rows(Opportunity)
    show = f"/opportunities/show/{opportunity.id}"

    # His colleague does not see it, his lead gives it to him.
    assert colleague.get(show).status_code == 404
    assert "智能仓储一期扩容" in text_of(lead.get("/opportunities/list/?_flt_0_status=unassigned"))
    lead.post("/opportunities/bulk-assign", {"rowid": [opportunity.id], "assignee": wang.id, "confirmed": "1"})
    assert "智能仓储一期扩容" not in text_of(lead.get("/opportunities/list/?_flt_0_status=unassigned"))
    assert "智能仓储一期扩容" in text_of(manager.get("/plans/list/"))

    # He plans and works; winning has to wait for every result.
    for day, todo in ((today(), "上门勘测现场"), (today() + timedelta(days=9), "提交方案和报价")):
        assert (
            manager.post(f"/opportunities/{opportunity.id}/plan", {"planned_on": f"{day}", "todo": todo}).status_code
            == 302
        )
    first, second = rows(PlanStep)
    manager.post(f"/opportunities/{opportunity.id}/plan/{first.id}/result", {"result": "现场符合条件"})
    assert "Fill in the result of 1 planned step first." in text_of(
        manager.post(f"/opportunities/win/{opportunity.id}")
    )
    manager.post(f"/opportunities/{opportunity.id}/plan/{second.id}/result", {"result": "报价通过"})
    assert manager.post(f"/opportunities/win/{opportunity.id}").status_code == 302

    # The customer is there with its contact; everything about the opportunity is read-only now.
    (customer,) = rows(Customer)
    assert [(c.name, c.is_primary) for c in rows(Contact)] == [("顾维", True)]
    assert (
        manager.post(f"/opportunities/{opportunity.id}/plan", {"planned_on": f"{today()}", "todo": "再说"}).status_code
        == 409
    )
    assert lead.post(f"/opportunities/reassign/{opportunity.id}", {"assignee": zhao.id}).status_code == 409
    assert rows(Opportunity)[0].status == OpportunityStatus.won

    # He completes the customer and writes down the first talk.
    item = builders.dictionary
    assert manager.post(f"/customers/edit/{customer.id}", {
        "name": customer.name, "region": item(DictionaryType.region, "east").id, "owner": wang.id, "satisfaction": "4",
        "level": item(DictionaryType.level, "2").id, "credit": "4", "address": "杭州市滨江区江陵路100号",
        "postcode": "310051", "phone": customer.phone, "version": customer.version,
    }).status_code == 302  # fmt: skip
    assert manager.post("/interactions/add", {
        "customer": customer.id, "occurred_at": "2025-01-20T14:30", "place": "客户现场", "title": "项目启动会",
        "next_follow_up_on": "2026-12-20",
    }).status_code == 302  # fmt: skip
    text = text_of(manager.get(f"/customers/show/{customer.id}"))
    assert "项目启动会" in text
    assert "顾维" in text

    # The history tells who did what, the refused try included; the executive opens none of it.
    told = [(e.actor_id, e.action) for e in rows(AuditEntry, AuditEntry.record_type == "opportunity")]
    assert told == [
        (wang.id, "create"), (li.id, "assign"), (wang.id, "win"), (wang.id, "win"), (wang.id, "plan"),
        (li.id, "reassign"),
    ]  # fmt: skip
    assert [e.outcome for e in rows(AuditEntry, AuditEntry.action == "win")] == [Outcome.refused, Outcome.done]
    assert sign_in(chen).get(show).status_code == 403
