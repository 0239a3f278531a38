"""What the lines of a closed month are called: names as they were kept, everything else as the reader says it."""

from __future__ import annotations

import re
from datetime import date

import pytest
from flask_babel import force_locale

from app.churn.models import ChurnStatus
from app.core.clock import utcnow
from app.customers.models import Customer, CustomerStatus
from app.masterdata.models import DictionaryItem, DictionaryType
from app.mirror.operations import refresh_totals
from app.reports import closing, period
from app.reports.catalogue import REPORTS
from app.reports.models import ReportClose
from app.sales.models import Opportunity, OpportunityStatus
from app.tickets.models import Ticket, TicketStatus
from tests import builders
from tests.conformance.words import foreign
from tests.reports.cells import asked, shanghai
from tests.reports.walking import walk
from tests.support import rows

MARCH = period.parse("2026-03")
OTHER = {"zh": "en", "en": "zh"}


def lines_on(answer):
    """What the lines of the table are called, in order; nothing where nothing is to be shown."""
    body = re.search(r'(?s)<table class="lk-table" id="figures">.*?</table>|\Z', answer.get_data(as_text=True))[0]
    return [re.sub("<[^>]+>", "", head).strip() for head in re.findall(r'(?s)<th scope="row">(.*?)</th>', body)]


def close_in(language):
    with force_locale(language):
        closing.close(MARCH)


@pytest.fixture(params=["zh", "en"])
def reads(request, sign_in, li):
    """`reads(address)` as somebody whose language is not the one March was closed in; `reads.language` is his."""

    def get(address):
        answer = sign_in(li).speak(request.param).get(address)
        assert answer.status_code == 200
        return answer

    get.language = request.param
    return get


@pytest.fixture
def waiting(db, wang, reads):
    """When March was closed its ticket was nobody's and not archived; now it is deleted, and one of Wang's is."""
    of_march = {
        "created_at": shanghai(2026, 3, 10, 9), "type": builders.dictionary(DictionaryType.ticket_type, "inquiry"),
    }  # fmt: skip
    one = builders.ticket(**of_march)
    db.session.commit()
    close_in(OTHER[reads.language])
    one.deleted_at = utcnow()
    builders.ticket(**of_march, given_to=wang, status=TicketStatus.archived, satisfaction=5)
    db.session.commit()


STARS = {"zh": ["5 星", "4 星", "3 星"], "en": ["5 stars", "4 stars", "3 stars"]}


@pytest.mark.parametrize(
    ("by", "zh", "en"),
    [("satisfaction", "尚未归档", "Not archived yet"), ("assignee", "尚未分配", "Not assigned yet")],
)
def test_the_line_of_no_group_comes_last_in_the_words_of_the_reader(waiting, reads, wang, by, zh, en):
    word, total = (zh, "合计") if reads.language == "zh" else (en, "Total")
    groups = STARS[reads.language] if by == "satisfaction" else [wang.get_full_name()]
    assert lines_on(reads(f"/reports/service/?period=2026-03&by={by}")) == [*groups, word, total]

    groups = groups if by == "satisfaction" else []
    assert lines_on(reads(f"/reports/service/?period=2026-04&by={by}"))[-2:] == [word, total]
    behind = reads(f"/reports/service/rows?period=2026-03&by={by}&line=none&column=tickets")
    assert f" · {word} · " in behind.get_data(as_text=True)


def test_the_file_says_it_in_the_words_of_the_reader(waiting, reads, sign_in, li):
    given = {"format": "csv", "period": "2026-03", "by": "satisfaction"}
    answer = sign_in(li).speak(reads.language).post("/reports/service/export", given)
    names = [line.split(",")[0] for line in answer.get_data().decode("utf-8-sig").splitlines()[1:]]
    total, word = ("合计", "尚未归档") if reads.language == "zh" else ("Total", "Not archived yet")
    assert names == [*STARS[reads.language], word, total]


@pytest.fixture
def gone(db, wang, reads):
    """A company that had something of everything in March, once with all that is told of it and once without, and has
    nothing any more."""
    march = shanghai(2026, 3, 10, 9)
    items = {item.type: item for item in rows(DictionaryItem)}
    for known in (True, False):

        def told(kind, known=known):
            return items[kind] if known else None

        owner = wang if known else None
        of_customer = {
            "region": told(DictionaryType.region), "nature": told(DictionaryType.nature),
            "company_type": told(DictionaryType.company_type),
        }  # fmt: skip
        hers = builders.customer(owner=owner, registered_on=date(2024, 1, 1), **of_customer)
        builders.order(hers, amount="5", at=march)
        kept = builders.churn_case(hers, opened_at=march, status=ChurnStatus.deferred)
        builders.measure(kept, at=march, type=told(DictionaryType.measure))
        lost = builders.customer(owner=owner, registered_on=date(2026, 3, 2))
        builders.churn_case(
            lost, status=ChurnStatus.lost, opened_at=march, lost_at=march,
            reason_type=told(DictionaryType.churn_reason),
        )  # fmt: skip
        builders.ticket(created_at=march, given_to=owner, type=items[DictionaryType.ticket_type])
    back = builders.customer(owner=wang, registered_on=date(2024, 1, 1))
    builders.churn_case(
        back, status=ChurnStatus.won_back, opened_at=shanghai(2026, 1, 5), lost_at=shanghai(2026, 2, 5),
        resolved_at=march,
    )  # fmt: skip
    builders.opportunity(created_at=march, given_to=wang, closed_at=march, status=OpportunityStatus.lost)
    builders.opportunity(created_at=march, expected_close_on=None)
    refresh_totals()
    db.session.commit()
    close_in(OTHER[reads.language])

    for customer in rows(Customer):
        customer.status = CustomerStatus.deleted
    for record in (*rows(Opportunity), *rows(Ticket)):
        record.deleted_at = utcnow()
    for item in rows(DictionaryItem):
        item.active = False
    db.session.commit()


OF_NONE = {
    "churn-analysis?by=reason", "churn-analysis", "service?by=satisfaction", "service?by=assignee", "forecast",
    "composition?by=region", "composition?by=nature", "composition?by=type", "measures", "measures?by=owner",
}  # fmt: skip


def test_no_grouping_calls_a_line_that_is_gone_as_the_other_language_does(db, gone, reads, li, wang):
    names = frozenset({wang.get_full_name()})
    assert {
        kept.report for kept in rows(ReportClose) for line in kept.table["lines"] if line["key"] == "none"
    } == OF_NONE
    for report in REPORTS:
        for by in report.groupings if report.timed else ():
            for code in ("2026-03", "2026-04") if report.id != "contribution" else ():  # which has names alone
                labels = lines_on(reads(f"/reports/{report.id}/?period={code}&by={by}"))
                assert list(foreign(labels, reads.language, names)) == [], (report.id, by, code)
            ask = asked(report, li, period="2026-03", by=by)
            assert {line.key for line in closing.table_of(ask).lines} >= set(closing.kept_of(ask).lines)
            walk(ask)
