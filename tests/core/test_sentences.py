"""A refusal is read in the language of whoever reads the history, whatever was spoken where it was refused."""

from __future__ import annotations

import json

import flask_babel
import pytest
import sqlalchemy as sa
from flask_babel import force_locale

from app.core.lifecycle import FASTER, note_refusal
from app.core.models import AuditEntry
from app.core.sentences import gettext, ngettext, said_again, to_keep
from app.extensions import db as database
from app.runs.models import JobRun, RunStatus
from app.sales.models import OpportunityStatus
from tests import builders
from tests.support import rows, text_of

S = OpportunityStatus


def test_a_refusal_in_english_is_told_in_chinese_and_the_other_way_round(db, sign_in, li, wang):
    opportunity = builders.opportunity(by=li, given_to=wang)
    for _n in range(2):
        builders.plan_step(opportunity)
    english, chinese = sign_in(wang).speak("en"), sign_in(li).speak("zh")
    english.post(f"/opportunities/win/{opportunity.id}")
    chinese.post(f"/opportunities/assign/{opportunity.id}", {"assignee": wang.id})
    told = text_of(chinese.get(f"/opportunities/show/{opportunity.id}"))
    assert "请先填写 2 个计划项的执行效果。" in told
    assert "Fill in the results" not in told
    told = text_of(sign_in(li).speak("en").get(f"/opportunities/show/{opportunity.id}"))
    assert "Fill in the results of 2 planned steps first." in told
    assert "Already assigned to 王强." in told


def test_what_the_record_and_the_button_are_called_is_translated_too(db, sign_in, li, wang, admin):
    opportunity = builders.opportunity(by=li, given_to=wang, status=S.lost)
    sign_in(li).speak("zh").post(f"/opportunities/assign/{opportunity.id}", {"assignee": wang.id})
    (entry,) = rows(AuditEntry)
    assert "Assign" not in entry.note
    sentence = "“Assign” is not possible: the record is “Not won”."
    assert sentence in text_of(sign_in(li).speak("en").get(f"/opportunities/show/{opportunity.id}"))
    answer = sign_in(admin).speak("en").get(f"/audit/show/{entry.id}")
    assert sentence in text_of(answer)
    assert "Before After" not in text_of(answer)


def test_what_was_kept_before_or_as_plain_text_is_shown_as_it_is(db, sign_in, li):
    opportunity = builders.opportunity(by=li)
    note_refusal("opportunity", opportunity.id, "assign", actor_id=li.id, before=None, why="以前的一句话")
    assert rows(AuditEntry)[0].changes is None
    assert "以前的一句话" in text_of(sign_in(li).speak("en").get(f"/opportunities/show/{opportunity.id}"))


@pytest.mark.parametrize(
    "say",
    [
        lambda: gettext("Saved: %(record)s", record="甲"),
        lambda: gettext("Nothing was changed."),
        lambda: ngettext("%(num)d skipped", "%(num)d skipped", 3),
        lambda: str(FASTER),
        lambda: gettext("“%(step)s” is not possible: the record is “%(status)s”.", step=S.won.label, status=FASTER),
    ],
)
def test_a_sentence_survives_being_kept(app, db, say):
    with app.test_request_context():
        wanted = {}
        for code in ("zh", "en"):
            with force_locale(code):
                wanted[code] = str(say())
        for spoken in ("zh", "en"):
            with force_locale(spoken):
                kept = json.loads(json.dumps(to_keep(str(say()))))
            for code in ("zh", "en"):
                with force_locale(code):
                    assert said_again(kept) == wanted[code]
        assert wanted["zh"] != wanted["en"]
        assert to_keep(str(wanted["en"])[:]) is None


def test_a_refused_error_remembers_its_sentence(app, db):
    from app.core.errors import BusinessError

    with app.test_request_context():
        assert to_keep(str(BusinessError(gettext("Nothing was changed."))))["said"] == ("Nothing was changed.",)


def test_what_people_typed_is_text_in_a_lazy_sentence_too(app):
    sentence = flask_babel.lazy_gettext("To %(level)s", level="<script>alert(1)</script>")
    with app.test_request_context():
        shown = app.jinja_env.from_string("{{ sentence }}").render(sentence=sentence)
    assert shown == "To &lt;script&gt;alert(1)&lt;/script&gt;"


def stored(text):
    """What a run says of its end, after the database has kept it."""
    run = builders.job_run(status=RunStatus.failed, error=text)
    database.session.flush()
    return lambda: database.session.execute(sa.select(JobRun.error).where(JobRun.id == run.id)).scalar_one()


def test_a_column_of_sentences_is_read_in_the_readers_language(app, db):
    with force_locale("zh"):
        read = stored(gettext("Saved: %(record)s", record=gettext("Nothing was changed.")))
        assert read() == gettext("Saved: %(record)s", record=gettext("Nothing was changed."))
    assert read() == "Saved: Nothing was changed."


@pytest.mark.parametrize("text", ["一句话", "OSError: disk full", "{", '{"x": 1}', "", None])
def test_plain_text_in_it_stays_what_it_is(db, text):
    assert stored(text)() == text


def test_what_is_too_long_for_it_is_kept_as_it_was_worded(db):
    long = gettext("Saved: %(record)s", record="x" * 3000)
    assert stored(long)() == f"Saved: {'x' * 1993}"
