"""Error pages say what happened, what is kept and what to do; never how the product works inside."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import InternalError, OperationalError, StatementError
from sqlalchemy.orm.exc import ObjectDeletedError
from werkzeug.exceptions import InternalServerError
from werkzeug.exceptions import NotImplemented as NotThere

from app.customers.models import Customer
from app.customers.views import CustomerView
from tests.support import text_of

SECRET = "SELECT password FROM ab_user"


class Cause(Exception):
    """What a driver would have raised."""


@pytest.fixture
def breaking(app, sign_in, li, monkeypatch):
    """A browser to which the customers' list answers with this error, as in production."""

    def break_it(error, **options):
        def raises(_view):
            raise error

        monkeypatch.setattr(CustomerView, "list_page", raises)
        app.config["TESTING"] = False
        return sign_in(li).get("/customers/list/", **options)

    return break_it


def test_an_unexpected_error_shows_a_reference_that_is_in_the_log(breaking, caplog):
    answer = breaking(RuntimeError(SECRET))
    text = text_of(answer)
    assert answer.status_code == 500
    assert "Something went wrong on our side" in text
    assert "Nothing was changed." in text
    assert SECRET not in answer.get_data(as_text=True)
    reference = re.search(r"\b[0-9a-f]{8}\b", text)[0]
    assert any(reference in record.message for record in caplog.records)


@pytest.mark.parametrize(
    "error",
    [OperationalError(SECRET, {}, Cause("gone")), InternalError(SECRET, {}, Cause("x"), connection_invalidated=True)],
)
def test_a_database_that_is_away_is_said_so(breaking, error):
    answer = breaking(error)
    assert answer.status_code == 503
    assert "The database is away or busy" in text_of(answer)
    assert SECRET not in answer.get_data(as_text=True)


def test_a_value_no_statement_can_take_is_a_bad_request(breaking):
    answer = breaking(StatementError("x", SECRET, {}, Cause("bad value")))
    assert answer.status_code == 400
    assert "The request could not be read" in text_of(answer)
    assert SECRET not in answer.get_data(as_text=True)


def test_every_error_of_ours_is_in_the_log_with_who_asked_for_what(breaking, li, caplog):
    errors = {
        RuntimeError(SECRET): 500, OperationalError(SECRET, {}, Cause("gone")): 503,
        InternalError(SECRET, {}, Cause("x"), connection_invalidated=True): 503, InternalServerError(): 500,
        NotThere(): 501,
    }  # fmt: skip
    for error, status in errors.items():
        caplog.clear()
        answer = breaking(error)
        assert answer.status_code == status
        reference = re.search(r"\b[0-9a-f]{8}\b", text_of(answer))[0]
        (line,) = [record.message for record in caplog.records if reference in record.message]
        assert line == f"error {reference}: user {li.id}, GET /customers/list/, '/customers/list/'"


def test_scripts_read_errors_as_json(breaking):
    answer = breaking(RuntimeError(SECRET), headers={"Accept": "application/json"})
    assert answer.status_code == 500
    assert set(answer.json) == {"error", "reference"}
    assert SECRET not in answer.get_data(as_text=True)


def test_a_wrong_method_says_which_are_right(db, sign_in, li):
    answer = sign_in(li).get("/opportunities/delete/1")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]
    assert "Use the buttons of the page." in text_of(answer)


def test_too_much_at_once_is_refused(db, app, sign_in, li):
    answer = sign_in(li).post("/opportunities/add", {"title": "长" * app.config["MAX_CONTENT_LENGTH"]})
    assert answer.status_code == 413
    assert "What you sent is too large: 2 MB are taken at once." in text_of(answer)


def test_what_is_not_there_says_nothing_about_why(db, sign_in, li):
    answer = sign_in(li).get("/no/such/page")
    assert answer.status_code == 404
    assert "it is not yours to see" in text_of(answer)


@pytest.mark.parametrize(("language", "words"), [("zh", "没有"), ("en", "Not found")])
def test_error_pages_speak_the_readers_language(db, sign_in, li, language, words):
    assert words in text_of(sign_in(li).speak(language).get("/no/such/page"))


def test_a_record_deleted_while_its_page_is_made_is_not_found(breaking):
    answer = breaking(ObjectDeletedError(sa.inspect(Customer())))
    assert answer.status_code == 404
    assert "There is no such page or record" in text_of(answer)


def test_a_database_that_goes_after_the_page_was_made_does_not_spoil_it(app, db, monkeypatch):
    def gone(_connection):
        raise db.engine.dialect.loaded_dbapi.OperationalError("server closed the connection unexpectedly")

    with app.app_context():
        db.session.execute(sa.text("SELECT 1"))
        monkeypatch.setattr(db.engine.dialect, "do_rollback", gone)

    monkeypatch.undo()
    with app.app_context():
        assert db.session.execute(sa.text("SELECT 1")).scalar_one() == 1
