"""A row never names a file that is not there, and a file that a row names is never swept away."""

from __future__ import annotations

import io
import os
import signal
import time
from datetime import timedelta

import pytest
from flask_appbuilder.security.sqla.models import User

from app.attachments import storage
from app.attachments.kinds import NotTaken
from app.attachments.models import Attachment
from app.core.clock import utcnow
from app.extensions import db as database
from app.runs.models import JobRun
from jobs import attachment_sweep
from tests.attachments.conftest import attach, attached, contents, send
from tests.attachments.files import PDF, PNG
from tests.support import Browser, rows

DAY = 24 * 3600


def files_in(store):
    return [path for path in store.rglob("*") if path.is_file()]


def made_older(store, days):
    """Everything in the store is this old now."""
    for path in files_in(store):
        os.utime(path, (time.time() - days * DAY - 60,) * 2)


def sweep():
    database.session.commit()
    return attachment_sweep.sweep(JobRun())


def stray(store, key="ab" * 16, content=PDF):
    path = storage.path_of(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_what_arrives_is_counted_and_summed_and_gone_unless_it_is_kept(db, store):
    with storage.receive(io.BytesIO(b"abc"), most=3) as file:
        assert (file.size, file.path.read_bytes()) == (3, b"abc")
        assert file.sha256.startswith("ba7816bf")
    assert files_in(store) == []
    with storage.receive(io.BytesIO(b"abc"), most=3) as file:
        key = file.keep()
    assert [path.read_bytes() for path in files_in(store)] == [b"abc"]
    assert storage.path_of(key).is_file()


def test_what_is_too_large_is_not_written_further_than_the_bound(app, db, store):
    stream = io.BytesIO(bytes(10 * 2**20))
    with (
        app.test_request_context(),
        pytest.raises(NotTaken, match="more than 1 MB"),
        storage.receive(stream, most=2**20),
    ):
        raise AssertionError
    assert stream.tell() <= 2**20 + storage.PIECE
    assert files_in(store) == []


@pytest.mark.parametrize("key", ["", "../../etc/passwd", "0" * 31, "0" * 33, "G" * 32, "0" * 32 + "\n", "A" * 32])
def test_what_is_no_key_leads_nowhere(db, key):
    with pytest.raises(ValueError, match="not a key"):
        storage.path_of(key)


# -- kills --------------------------------------------------------------------------------------------------------


def killed_while_attaching(app, world, person_id, ticket_id, monkeypatch, *, before):
    """A process that attaches a PDF and is killed the moment before or after the file gets its place."""
    world.everything = True
    database.session.remove()
    child = os.fork()
    if child == 0:
        try:
            database.engine.dispose(close=False)  # the connections are the parent's
            keep = storage.Incoming.keep

            def die(file):
                if not before:
                    keep(file)
                os.kill(os.getpid(), signal.SIGKILL)

            storage.Incoming.keep = die
            browser = Browser(app).login(database.session.get(User, person_id))
            database.session.commit()
            browser.post(f"/tickets/{ticket_id}/files", {"files": [(io.BytesIO(PDF), "合同.pdf")]})
        finally:
            os._exit(1)
    _pid, status = os.waitpid(child, 0)
    return os.WTERMSIG(status)


@pytest.mark.parametrize("before", [True, False])
def test_a_kill_while_attaching_leaves_no_row_and_a_file_that_is_swept_later(
    app, world, ticket, wang, sign_in, store, monkeypatch, before
):
    ids = wang.id, ticket.id
    database.session.commit()

    assert killed_while_attaching(app, world, *ids, monkeypatch, before=before) == signal.SIGKILL

    assert rows(Attachment) == []
    assert len(files_in(store)) == 1
    assert sweep() == {"stray": 0, "unfinished": 0}  # it may still be on its way
    made_older(store, 7)
    assert sweep() == {"stray": int(not before), "unfinished": int(before)}
    assert files_in(store) == []
    world_again = database.session.get(User, ids[0])
    from app.tickets.models import Ticket

    attach(sign_in(world_again), database.session.get(Ticket, ids[1]))
    assert len(rows(Attachment)) == 1


def test_a_database_that_fails_at_the_end_leaves_no_row(app, ticket, wang, sign_in, store, monkeypatch):
    browser = sign_in(wang)
    database.session.commit()
    with monkeypatch.context() as patch:
        patch.setattr(database.session, "commit", lambda: (_ for _ in ()).throw(RuntimeError("gone")))
        with pytest.raises(RuntimeError, match="gone"):
            browser.flask.post(
                f"/tickets/{ticket.id}/files",
                data={"files": [(io.BytesIO(PDF), "合同.pdf")], "csrf_token": browser.csrf_token()},
            )
    database.session.rollback()
    assert attached(ticket) == []


def test_a_full_disk_is_said_and_leaves_nothing(app, ticket, wang, sign_in, store, monkeypatch):
    browser = sign_in(wang)

    def full(_file):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(storage.Incoming, "keep", full)
        send(browser, ticket, ("合同.pdf", PDF))
    assert attached(ticket) == []
    assert files_in(store) == []
    body = browser.get(f"/tickets/show/{ticket.id}").get_data(as_text=True)
    assert "It could not be stored. Try again; tell your admin if it stays." in body
    assert "No space left" not in body


# -- the sweep ------------------------------------------------------------------------------------------------------


def test_the_sweep_never_takes_a_file_that_a_row_names_removed_or_not(ticket, wang, sign_in, store):
    browser = sign_in(wang)
    attach(browser, ticket)
    removed = attach(browser, ticket, name="b.png", content=PNG)
    browser.post(f"/tickets/{ticket.id}/files/{removed.id}/delete")
    for number in range(3):
        stray(store, f"{number}" * 32, b"stray")
    made_older(store, 400)

    assert sweep() == {"stray": 3, "unfinished": 0}
    assert contents(store) == sorted([PDF, PNG])
    assert sweep() == {"stray": 0, "unfinished": 0}


@pytest.mark.parametrize(("age", "gone"), [(timedelta(days=7, minutes=1), 1), (timedelta(days=6, hours=23), 0)])
def test_a_stray_file_is_left_for_seven_days(db, store, age, gone):
    path = stray(store)
    os.utime(path, ((utcnow() - age).timestamp(),) * 2)
    assert sweep()["stray"] == gone
    assert path.exists() is not bool(gone)


def test_what_is_not_of_the_store_is_left_alone(db, store):
    others = [store / "README", store / "ab" / "note.txt", store / "ab" / "cd" / "x", store / "zz" / ("ab" * 16)]
    wrong_place = store / "cd" / "cd" / ("ab" * 16)
    for path in [*others, wrong_place]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"mine")
    made_older(store, 400)
    assert sweep() == {"stray": 0, "unfinished": 0}
    assert all(path.exists() for path in [*others, wrong_place])


def test_without_a_store_there_is_nothing_to_sweep(db, store):
    assert not store.exists()
    assert sweep() == {"stray": 0, "unfinished": 0}


def test_more_files_than_one_question_holds_are_asked_about(db, ticket, wang, store):
    keys = [f"ab{number:030x}" for number in range(1100)]
    for key in keys:
        stray(store, key)
    for key in keys[:600]:
        database.session.add(
            Attachment(record_type="ticket", record_id=ticket.id, name="a", size=1, mime="x", sha256=key, key=key)
        )
    made_older(store, 8)
    assert sweep()["stray"] == 500
    assert sorted(path.name for path in files_in(store)) == keys[:600]


def test_the_sweep_is_a_job_in_the_ledger(db, store):
    stray(store)
    made_older(store, 8)
    assert attachment_sweep.run("2026-11-21T03:45") == {"stray": 1, "unfinished": 0}
    assert attachment_sweep.run("2026-11-21T03:45") is None
    [run] = rows(JobRun)
    assert (run.job, run.counts) == ("attachment-sweep", {"stray": 1, "unfinished": 0})
