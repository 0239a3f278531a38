"""Customer composition: as of now, and read back as of the end of a period that is over."""

from __future__ import annotations

from datetime import date

import pytest

from app.churn.models import ChurnStatus
from app.core.lifecycle import note_move
from app.customers.models import CustomerStatus
from app.masterdata.models import DictionaryType
from app.reports.kinds.composition import Composition
from tests import builders
from tests.reports.cells import asked, figures, shanghai, walk
from tests.support import text_of

COMPOSITION = Composition()


@pytest.fixture
def customers(db, wang):
    """At the end of 2025 four were active, one with other stars and another region than now."""
    north, south = (builders.dictionary(DictionaryType.region, code) for code in ("beijing", "south"))
    old = {"owner": wang, "registered_on": date(2025, 12, 31), "credit": 3}

    def changed(customer, when, **fields):
        told = {name: [before, getattr(customer, name)] for name, before in fields.items()}
        note_move(customer, "edit", actor=None, at=shanghai(*when), changes=told)

    def lost(customer, when, resolved=None):
        builders.churn_case(
            customer, status=ChurnStatus.won_back if resolved else ChurnStatus.lost, opened_at=shanghai(2025, 6, 1),
            lost_at=shanghai(*when), resolved_at=shanghai(*resolved) if resolved else None,
        )  # fmt: skip

    moved = builders.customer(region=north, **old | {"credit": 5})
    changed(moved, (2026, 2, 2), region_id=south.id, credit=4)
    changed(moved, (2026, 1, 1), credit=2)
    settled = builders.customer(region=north, **old)
    changed(settled, (2026, 3, 3), region_id=None)
    changed(builders.customer(region=north, **old), (2025, 12, 31, 23, 59, 59), region_id=south.id, credit=1)
    lost(builders.customer(region=south, status=CustomerStatus.lost, **old), (2026, 1, 1))
    lost(builders.customer(region=south, status=CustomerStatus.lost, **old), (2025, 12, 31, 23, 59))
    lost(builders.customer(region=south, **old), (2025, 7, 1), (2026, 1, 1))  # lost then, and back since
    builders.customer(region=south, status=CustomerStatus.lost, **old)  # nobody knows since when
    builders.customer(region=south, status=CustomerStatus.deleted, **old)
    builders.customer(region=south, owner=wang, registered_on=date(2026, 1, 1), credit=3)
    db.session.commit()


def test_a_past_composition_is_what_they_were_then(customers, li):
    assert figures(walk(asked(COMPOSITION, li, by="region", period="2025")), "customers", "share") == {
        "Beijing": (1, 25), "South China": (2, 50), "Not known": (1, 25),
    }  # fmt: skip
    assert figures(walk(asked(COMPOSITION, li, by="credit", period="2025")), "customers") == {
        "3 stars": (3,), "2 stars": (1,),
    }  # fmt: skip


def test_beside_the_composition_of_now_stands_that_of_the_end_of_the_period_before(customers, li, monkeypatch):
    from app.reports.kinds import composition

    monkeypatch.setattr(composition, "today", lambda: date(2026, 5, 20))
    table = walk(asked(COMPOSITION, li, by="region", period="2026"))
    found = {str(one.label): (one.values["customers"], one.before.get("customers")) for one in table.lines}
    assert {label: both for label, both in found.items() if any(both)} == {
        "Beijing": (3, 1), "South China": (2, 2), "Not known": (0, 1),
    }  # fmt: skip
    assert (table.total.values["customers"], table.total.before["customers"]) == (5, 4)


def test_the_page_says_as_of_when_and_its_change_leads_to_the_rows_of_then(customers, sign_in, chen):
    browser = sign_in(chen)
    page = browser.get("/reports/composition/?by=region&period=2025")
    assert "As of the end of 2025. Small figures: the change from the end of 2024." in text_of(page)
    page = browser.get("/reports/composition/?by=region&period=2026-01")
    assert "/reports/composition/rows?by=region&amp;period=2025-12&amp;line=" in page.get_data(as_text=True)
    rows = browser.get("/reports/composition/rows?by=region&period=2025-12&line=total&column=customers")
    assert rows.get_data(as_text=True).count("<tr>") == 1 + 4
