"""The history on a record's page: what was done, and what somebody tried in vain, in the reader's language."""

from __future__ import annotations

import pytest
from flask_babel import force_locale

from app.churn.models import ChurnStatus
from app.core.history import history_of
from app.core.lifecycle import note_refusal
from app.sales.models import OpportunityStatus
from tests import builders
from tests.conformance.house import arrows
from tests.support import text_of


def told_of(record, action, language):
    """How a refused try reads."""
    note_refusal(record.__tablename__, record.id, action, actor_id=None, before=record.status, why="Not now.")
    with force_locale(language):
        (line,) = history_of(record)
        return str(line.words)


@pytest.mark.parametrize(
    ("action", "english", "chinese"),
    [
        ("win", "tried “Mark as won”: refused", "尝试“开发成功”，被拒绝"),
        ("terminate", "tried “Terminate”: refused", "尝试“终止开发”，被拒绝"),
        ("plan", "tried “Change the plan”: refused", "尝试“修改计划”，被拒绝"),
        ("edit", "tried “Change”: refused", "尝试“修改”，被拒绝"),
        ("delete", "tried “Delete”: refused", "尝试“删除”，被拒绝"),
    ],
)
def test_what_was_refused_reads_as_a_try(db, wang, action, english, chinese):
    for language, words in (("en", english), ("zh", chinese)):
        opportunity = builders.opportunity(by=wang, given_to=wang, status=OpportunityStatus.won)
        assert told_of(opportunity, action, language) == words


@pytest.mark.parametrize("arrow", arrows(), ids=str)
def test_every_refused_step_is_called_what_its_button_says(db, arrow):
    make = {"churn_case": lambda: builders.churn_case(status=ChurnStatus.lost)}
    record = make.get(arrow.model.__tablename__, getattr(builders, arrow.model.__tablename__))()
    assert told_of(record, arrow.step.name, "en") == f"tried “{arrow.step.label}”: refused"


def test_the_page_of_a_refused_win_does_not_say_that_it_was_won(db, sign_in, wang):
    opportunity = builders.opportunity(by=wang, given_to=wang)
    browser = sign_in(wang)
    browser.post(f"/opportunities/win/{opportunity.id}")
    text = text_of(browser.get(f"/opportunities/show/{opportunity.id}"))
    assert "王强 tried “Mark as won”: refused" in text
    assert "marked it as won" not in text
