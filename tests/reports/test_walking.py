"""The walk over every figure itself: in any language, and over closed months in every grouping."""

from __future__ import annotations

from datetime import date

import pytest
from flask_babel import force_locale

from app.mirror.operations import refresh_totals
from app.reports import closing, export, period
from app.reports.catalogue import BY_ID, REPORTS
from tests import builders
from tests.reports.cells import asked, shanghai
from tests.reports.walking import asks, everything, groupings, walk

APRIL = "2026-04"  # of five weeks; March, beside which it stands, has six


@pytest.fixture
def closed(db, wang):
    """March and April, closed, and what came late to both: of rates some are hidden and some are not."""

    def happened(number):
        for n in range(number):
            hers = builders.customer(owner=wang if n % 2 else None, registered_on=date(2024, 1, 1))
            for month in (3, 4):
                builders.order(hers, amount="10.10", at=shanghai(2026, month, 9, 9))
            builders.churn_case(hers, opened_at=shanghai(2026, 3 + n % 2, 30, 9))
            builders.ticket(hers, created_at=shanghai(2026, 4, 9, 9), given_to=wang if n % 2 else None)
            builders.opportunity(created_at=shanghai(2026, 4, 9, 9), given_to=wang if n % 2 else None)
        refresh_totals()
        db.session.commit()

    happened(11)
    for month in ("2026-03", APRIL):
        closing.close(period.parse(month))
    happened(1)


def test_every_figure_of_a_closed_month_is_compared_in_every_grouping_and_in_chinese_too(closed, li):
    asked(REPORTS[0], li)
    with force_locale("zh"):
        compared = everything(APRIL, chosen=False)
    assert all(number > 5 for number in compared.values()), compared
    for report in (report for report in REPORTS if report.timed):
        of_each = [
            [ask for ask in asks(report, "2026", month, chosen=False) if ask.period == period.parse(month)]
            for month in (APRIL, "2026-05")
        ]
        assert of_each == [groupings(report, APRIL), groupings(report, "2026-05")[:1]]


def test_a_file_that_is_wrong_in_one_cell_is_found(closed, li, monkeypatch):
    """Of a closed month what it says as reported and as of now, each in its total."""
    ask, sheet_of = asked(BY_ID["contribution"], li, period=APRIL), export.sheet_of
    with force_locale("zh"):
        right = sheet_of(ask, closing.table_of(ask, most=None))
        of_both = [n for n, name in enumerate(right.head) if name.endswith(("（月结数）", "（当前）"))]
        places = [n for n in of_both if right.rows[-1][n] is not None]
        assert [right.head[n] for n in places] == [
            "订单数（月结数）", "订单金额（月结数）", "占比（月结数）",
            "订单数（当前）", "订单金额（当前）", "占比（当前）",
        ]  # fmt: skip
        for place in places:

            def wrong(*given, place=place):
                sheet = sheet_of(*given)
                if sheet.head == right.head:  # not that of today's figures alone
                    sheet.rows[-1][place] += 1
                return sheet

            monkeypatch.setattr(export, "sheet_of", wrong)
            with pytest.raises(AssertionError, match="contribution"):
                walk(ask)
