"""Files on the pages of tickets, interactions, customers and opportunities: who may do what with them."""

from __future__ import annotations

import gc
import hashlib
import os
import random
import re
import stat
import threading
import warnings
from urllib.parse import quote

import pytest

from app.attachments import operations
from app.attachments.models import Attachment
from app.attachments.views import most_bytes, most_sent
from app.core.clock import utcnow
from app.core.models import AuditEntry, Deletion, Outcome
from app.sales.models import OpportunityStatus
from app.tickets.models import TicketStatus
from tests import builders
from tests.attachments import files
from tests.attachments.conftest import OWNERS, attach, attached, contents, send
from tests.attachments.files import PDF, PNG
from tests.support import rows, statements, text_of

CAST = ("admin", "sysadmin", "li", "wang", "zhao", "chen")


def page(browser, record, base="/tickets"):
    return text_of(browser.get(f"{base}/show/{record.id}"))


# -- what it is for -----------------------------------------------------------------------------------------------


def test_a_file_is_attached_shown_with_who_and_when_and_comes_back_byte_by_byte(owner, sign_in, wang, store):
    base, record = owner
    browser = sign_in(wang)

    answer = send(browser, record, ("采购合同 2026.pdf", PDF), base=base)

    assert answer.status_code == 302
    assert answer.location.endswith(f"{base}/show/{record.id}#files")
    [file] = attached(record)
    assert (file.name, file.size, file.mime) == ("采购合同 2026.pdf", len(PDF), "application/pdf")
    assert (file.sha256, file.created_by_id) == (hashlib.sha256(PDF).hexdigest(), wang.id)
    text = page(browser, record, base)
    assert "1 file attached" in text
    assert f"采购合同 2026.pdf {len(PDF)} B 王强 · {utcnow():%Y-}" in text
    assert browser.get(f"{base}/{record.id}/files/{file.id}", buffered=True).data == PDF


def test_several_files_at_once_and_one_that_is_refused_keeps_no_other_away(ticket, sign_in, wang):
    browser = sign_in(wang)

    send(browser, ticket, ("a.pdf", PDF), ("page.png", files.HTML), ("b.png", PNG), ("empty.txt", b""))

    assert [file.name for file in attached(ticket)] == ["a.pdf", "b.png"]
    text = page(browser, ticket)
    assert "2 files attached" in text
    assert "page.png was not attached. The content of the file is not what its name says (.png)." in text
    assert "empty.txt was not attached. The file is empty." in text


@pytest.mark.parametrize("files_given", [[], [("", b"")]])
def test_without_a_file_it_asks_for_one(ticket, sign_in, wang, files_given):
    browser = sign_in(wang)
    assert send(browser, ticket, *files_given).status_code == 302
    assert attached(ticket) == []
    assert "Choose at least one file first." in page(browser, ticket)


def test_with_javascript_only_the_block_comes_back_so_that_typed_text_stays(ticket, sign_in, wang):
    browser = sign_in(wang)
    answer = send(browser, ticket, ("a.pdf", PDF), ("b.exe", b"MZ"), headers={"HX-Request": "true"})
    body = answer.get_data(as_text=True)
    assert body.lstrip().startswith('<section class="card" id="files">')
    assert "<textarea" not in body
    assert "1 file attached" in body
    assert "b.exe was not attached. Files of this kind are not taken." in body
    assert "not attached" not in page(browser, ticket)


def test_without_javascript_the_form_is_an_ordinary_one(ticket, sign_in, wang):
    body = sign_in(wang).get(f"/tickets/show/{ticket.id}").get_data(as_text=True)
    form = re.search(rf'<form[^>]*action="/tickets/{ticket.id}/files"[^>]*>.*?</form>', body, re.S)[0]
    assert 'method="post"' in form
    assert 'enctype="multipart/form-data"' in form
    assert 'name="csrf_token"' in form
    assert re.search(r'<input[^>]* type="file" name="files" multiple', form)


def test_without_javascript_too_what_is_typed_on_the_page_stays(ticket, sign_in, wang):
    """The answer gets a tab of its own where there is something to type, and only there."""
    form = '<form class="stack g4" method="post" action="/{}/{}/files" enctype="multipart/form-data"'
    browser = sign_in(wang)
    typing = browser.get(f"/tickets/show/{ticket.id}").get_data(as_text=True)
    reading = browser.get(f"/customers/show/{ticket.customer_id}").get_data(as_text=True)
    assert form.format("tickets", ticket.id) + ' target="_blank"' in typing
    assert form.format("customers", ticket.customer_id) + " hx-post" in reading


def test_reloading_the_answer_leads_back_to_the_record(ticket, sign_in, wang):
    answer = sign_in(wang).get(f"/tickets/{ticket.id}/files")
    assert (answer.status_code, answer.location) == (302, f"/tickets/show/{ticket.id}#files")


def test_the_block_costs_one_statement_however_many_files(app, ticket, sign_in, wang):
    browser = sign_in(wang)
    counts = []
    for number in (0, 5):
        for n in range(number):
            attach(browser, ticket, name=f"{n}.txt", content=f"text {n}".encode())
        browser.get(f"/tickets/show/{ticket.id}")
        with statements(app) as seen:
            browser.get(f"/tickets/show/{ticket.id}")
        counts.append((len(seen), sum("FROM attachment" in s for s in seen)))
    assert counts == [(counts[0][0], 1)] * 2


def test_the_history_says_who_attached_and_removed_what(owner, sign_in, wang):
    base, record = owner
    browser = sign_in(wang)
    file = attach(browser, record, base)
    browser.post(f"{base}/{record.id}/files/{file.id}/delete")
    send(browser, record, ("x.exe", b"MZ"), base=base)

    told = rows(AuditEntry, AuditEntry.record_type == record.__tablename__, AuditEntry.record_id == record.id)

    assert [(e.action, e.outcome, e.actor_id) for e in told] == [
        ("attach_file", Outcome.done, wang.id),
        ("remove_file", Outcome.done, wang.id),
        ("attach_file", Outcome.refused, wang.id),
    ]
    assert told[0].note == told[1].note == "合同.pdf"
    assert told[2].note.startswith("x.exe: Files of this kind")
    if base in ("/customers", "/opportunities"):
        text = page(browser, record, base)
        assert "王强 attached a file" in text
        assert "王强 removed a file" in text
        assert "tried “Attach files”: refused" in text


def test_attaching_does_not_count_as_a_change_of_the_record(ticket, sign_in, wang):
    """Whoever edits it meanwhile does not have to begin again."""
    version = ticket.version
    attach(sign_in(wang), ticket)
    assert builders.db.session.get(type(ticket), ticket.id).version == version


def test_of_many_refusals_the_first_few_are_told_and_the_session_stays_small(app, ticket, sign_in, wang):
    """What the next page says is kept in a cookie, and a browser takes 4 KB."""
    browser, draw = sign_in(wang), random.Random(1)
    names = ["".join(chr(draw.randint(0x4E00, 0x9FFF)) for _ in range(190)) + ".exe" for _ in range(40)]
    answer = send(browser, ticket, *((name, b"MZ") for name in names))
    assert max(len(cookie) for cookie in answer.headers.getlist("Set-Cookie")) < 4000
    text = page(browser, ticket)
    assert text.count("was not attached. Files of this kind") == 5
    assert "35 more files were not attached." in text
    assert f"{names[0][:40]}…{names[0][-19:]} was not attached." in text


# -- handing out --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["合同.pdf", "plain.pdf", "a%22b.pdf", "a'b;c.pdf", "100%.pdf", "𠮷 😀.pdf", "é.pdf"])
def test_a_file_comes_back_under_its_own_name_and_is_never_shown_by_the_browser(ticket, sign_in, wang, name):
    browser = sign_in(wang)
    file = attach(browser, ticket, name=name)

    answer = browser.get(f"/tickets/{ticket.id}/files/{file.id}", buffered=True)

    disposition = answer.headers["Content-Disposition"]
    assert disposition.startswith("attachment; filename")
    assert file.name.isascii() or f"filename*=UTF-8''{quote(file.name, safe='')}" in disposition.replace("!", "%21")
    assert answer.mimetype == "application/octet-stream"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("name", sorted(files.TAKEN))
def test_every_kind_is_taken_and_handed_out_as_bytes_to_be_saved(ticket, sign_in, wang, name):
    browser = sign_in(wang)
    file = attach(browser, ticket, name=name, content=files.TAKEN[name])
    answer = browser.get(f"/tickets/{ticket.id}/files/{file.id}", buffered=True)
    assert answer.data == files.TAKEN[name]
    assert answer.mimetype == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment;")


def test_nothing_that_is_refused_leaves_anything_behind(ticket, sign_in, wang, store):
    browser = sign_in(wang)
    bad = files.NOT_TAKEN | files.DISGUISED | files.MACROS
    send(browser, ticket, *bad.items())
    assert attached(ticket) == []
    assert contents(store) == []
    assert len(rows(AuditEntry, AuditEntry.action == "attach_file")) == len([name for name in bad if name])


def test_a_part_of_a_file_may_be_asked_for(ticket, sign_in, wang):
    browser = sign_in(wang)
    file = attach(browser, ticket)
    answer = browser.get(f"/tickets/{ticket.id}/files/{file.id}", buffered=True, headers={"Range": "bytes=0-3"})
    assert (answer.status_code, answer.data) == (206, b"%PDF")
    assert answer.headers["Content-Disposition"].startswith("attachment;")


def test_a_file_that_is_missing_in_the_store_is_said_to_be(ticket, sign_in, wang, store):
    browser = sign_in(wang)
    file = attach(browser, ticket)
    next(path for path in store.rglob("*") if path.is_file()).unlink()
    answer = browser.get(f"/tickets/{ticket.id}/files/{file.id}", buffered=True)
    assert answer.status_code == 302
    assert "合同.pdf is missing in the store" in page(browser, ticket)


def test_names_and_folders_of_the_store_say_nothing_and_are_closed_to_others(ticket, sign_in, wang, store):
    attach(sign_in(wang), ticket)
    [path] = [path for path in store.rglob("*") if path.is_file()]
    key = attached(ticket)[0].key
    assert path.relative_to(store).parts == (key[:2], key[2:4], key)
    assert re.fullmatch("[0-9a-f]{32}", key)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {stat.S_IMODE(os.stat(folder).st_mode) & 0o077 for folder in (store, *store.rglob("[0-9a-f][0-9a-f]"))} == {
        0
    }


def test_the_store_is_no_folder_of_the_web(app, store):
    assert not str(store).startswith(str(app.static_folder))


# -- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("given", "kept"), [
    ("../../etc/passwd.pdf", "passwd.pdf"),
    ("/etc/cron.d/a.pdf", "a.pdf"),
    ("a\tb.pdf", "a b.pdf"),
    ("照片\u202egnp.pdf", "照片gnp.pdf"),
    ("\u2066a\u2069\u200f.pdf", "a.pdf"),
    ("e\u0301.pdf", "é.pdf"),
    ("  空  格 .pdf", "空 格 .pdf"),
    ("....pdf", "-"),
])  # fmt: skip
def test_a_name_is_kept_without_folders_and_tricks(ticket, sign_in, wang, given, kept):
    browser = sign_in(wang)
    send(browser, ticket, (given, PDF))
    assert [file.name for file in attached(ticket)] == ([kept] if kept != "-" else [])


def test_a_name_of_300_characters_is_kept_to_200_with_its_ending(ticket, sign_in, wang):
    file = attach(sign_in(wang), ticket, name="合" * 296 + ".pdf")
    assert file.name == "合" * 196 + ".pdf"


def test_a_name_that_looks_like_markup_is_text(ticket, sign_in, wang):
    browser = sign_in(wang)
    attach(browser, ticket, name="<img src=x onerror=alert(1)>.pdf")
    body = browser.get(f"/tickets/show/{ticket.id}").get_data(as_text=True)
    assert "&lt;img src=x onerror=alert(1)&gt;.pdf" in body
    assert "<img src=x" not in body


def large(test):
    """For large requests: Werkzeug's test client leaves the file it wrote one into to the garbage collector."""
    for ignored in ("ResourceWarning", "pytest.PytestUnraisableExceptionWarning"):
        test = pytest.mark.filterwarnings(f"ignore::{ignored}")(test)
    return pytest.mark.usefixtures("collected")(test)


@pytest.fixture
def collected():
    """What the test left is gone before the next one begins."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


# -- sizes and numbers -------------------------------------------------------------------------------------------


@large
@pytest.mark.parametrize(("more", "taken"), [(0, True), (1, False)])
def test_a_file_may_be_as_large_as_the_setting_and_not_a_byte_larger(app, ticket, sign_in, wang, store, more, taken):
    app.config["LIUKE_UPLOAD_MB"] = 1
    browser = sign_in(wang)
    answer = send(browser, ticket, ("a.txt", b"a" * (10**6 + more)))
    assert answer.status_code == 302
    assert len(attached(ticket)) == len(contents(store)) == taken
    assert ("a.txt was not attached. The file has more than 1 MB." in page(browser, ticket)) is not taken


@large
@pytest.mark.parametrize(("language", "sentence"), [
    ("en", "What you sent is too large: 1 MB are taken at once. Nothing was changed."),
    ("zh", "1 MB"),
])  # fmt: skip
def test_more_than_a_request_may_carry_is_answered_in_plain_words(
    app, ticket, sign_in, wang, store, language, sentence
):
    app.config["LIUKE_UPLOAD_MB"] = 1
    browser = sign_in(wang).speak(language)
    answer = send(browser, ticket, *((f"{n}.txt", bytes([65 + n]) * (2**20 // 3)) for n in range(3)))
    assert answer.status_code == 413
    assert sentence in text_of(answer)
    assert attached(ticket) == []
    assert contents(store) == []


def test_an_upload_has_10_mib_unless_set_otherwise(app):
    with app.test_request_context():
        assert most_sent() == 10 * 2**20
        assert most_bytes() < most_sent()  # a file of the size that the page names fits into a request


@large
def test_only_addresses_that_take_files_take_more_than_a_form_and_only_of_people_who_are_signed_in(
    app, ticket, sign_in, wang, client
):
    much = b"a" * (app.config["MAX_CONTENT_LENGTH"] + 1)
    assert send(client, ticket, ("a.txt", much)).status_code == 413
    assert sign_in(wang).post(f"/tickets/edit/{ticket.id}", {"title": much}).status_code == 413
    assert sign_in(wang).post(f"/tickets/{ticket.id}/files/1/delete", {"x": much}).status_code == 413
    assert send(sign_in(wang), ticket, ("a.txt", much)).status_code == 302


def test_a_record_carries_50_files(ticket, sign_in, wang):
    browser = sign_in(wang)
    send(browser, ticket, *((f"{n}.txt", f"text {n}".encode()) for n in range(51)))
    assert len(attached(ticket)) == operations.MOST_FILES == 50
    assert "50.txt was not attached. 50 files are attached already. Remove one first." in page(browser, ticket)
    browser.post(f"/tickets/{ticket.id}/files/{attached(ticket)[0].id}/delete")
    send(browser, ticket, ("50.txt", b"text 50"))
    assert len(attached(ticket, deleted_at=None)) == 50


def test_the_same_content_sent_twice_is_there_once(ticket, sign_in, wang, store):
    browser = sign_in(wang)
    attach(browser, ticket)
    send(browser, ticket, ("copy.pdf", PDF))
    assert len(attached(ticket)) == len(contents(store)) == 1
    assert "copy.pdf was not attached. It is attached already as “合同.pdf”." in page(browser, ticket)


def test_what_was_removed_may_be_attached_again_and_another_record_may_have_it_too(ticket, sign_in, wang):
    browser = sign_in(wang)
    file = attach(browser, ticket)
    browser.post(f"/tickets/{ticket.id}/files/{file.id}/delete")
    attach(browser, ticket)
    other = builders.ticket(ticket.customer, given_to=wang)
    attach(browser, other)
    assert [file.deleted_at is None for file in attached(ticket)] == [False, True]
    assert len(attached(other)) == 1


# -- who -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", CAST)
def test_only_whoever_sees_the_record_and_holds_the_right_does_anything_with_its_files(
    request, owner, sign_in, wang, store, who
):
    base, record = owner
    file = attach(sign_in(wang), record, base)
    browser, person = sign_in(request.getfixturevalue(who)), request.getfixturevalue(who)
    free = who in ("admin", "li", "wang")
    kept = contents(store)

    shown = browser.get(f"{base}/show/{record.id}")
    got = browser.get(f"{base}/{record.id}/files/{file.id}", buffered=True)
    sent = send(browser, record, ("b.png", PNG), base=base)
    gone = browser.post(f"{base}/{record.id}/files/{file.id}/delete")

    codes = [answer.status_code for answer in (shown, got, sent, gone)]
    if free:
        assert codes == [200, 200, 302, 302]
        assert [row.created_by_id for row in attached(record)] == [wang.id, person.id]
    else:
        foreign = 404 if who == "zhao" else 403
        assert codes == [foreign] * 4
        assert PDF not in got.data
        assert "合同.pdf" not in text_of(shown)
        assert [row.deleted_at for row in attached(record)] == [None]
        assert contents(store) == kept


@pytest.mark.parametrize(
    ("right", "method"), [("can_attach", "attach"), ("can_download", "file"), ("can_detach", "detach")]
)
def test_each_right_is_a_right_of_its_own(ticket, sign_in, wang, right, method):
    file = attach(sign_in(wang), ticket)
    rights = [("can_show", "Ticket"), ("can_see_all", "Ticket"), ("can_edit", "Ticket")]
    others = {"can_attach", "can_download", "can_detach"} - {right}
    person = builders.user(roles=[builders.role(rights=rights + [(name, "Ticket") for name in sorted(others)])])
    browser = sign_in(person)
    answers = {
        "file": lambda: browser.get(f"/tickets/{ticket.id}/files/{file.id}", buffered=True),
        "attach": lambda: send(browser, ticket, ("b.png", PNG)),
        "detach": lambda: browser.post(f"/tickets/{ticket.id}/files/{file.id}/delete"),
    }
    assert {name: ask().status_code == 403 for name, ask in answers.items()} == {n: n == method for n in answers}


def test_without_the_right_to_open_the_page_its_files_are_closed_too(ticket, sign_in, wang):
    file = attach(sign_in(wang), ticket)
    rights = [(r, "Ticket") for r in ("can_list", "can_see_all", "can_attach", "can_download", "can_detach")]
    browser = sign_in(builders.user(roles=[builders.role(rights=rights)]))
    assert browser.get(f"/tickets/{ticket.id}/files/{file.id}", buffered=True).status_code == 403
    assert send(browser, ticket, ("b.png", PNG)).status_code == 403
    assert browser.post(f"/tickets/{ticket.id}/files/{file.id}/delete").status_code == 403


def test_who_may_only_look_sees_neither_the_form_nor_the_bin(ticket, sign_in, wang):
    attach(sign_in(wang), ticket)
    rights = [(r, "Ticket") for r in ("can_show", "can_see_all", "can_download")]
    body = sign_in(builders.user(roles=[builders.role(rights=rights)])).get(f"/tickets/show/{ticket.id}")
    text = body.get_data(as_text=True)
    assert "合同.pdf" in text
    assert 'type="file"' not in text
    assert "/delete" not in text


@pytest.mark.parametrize("base", OWNERS.values())
def test_another_records_file_is_not_found_by_its_number(db, ticket, sign_in, admin, base):
    """Neither from a second record of the same kind, nor from one of another kind with the same number."""
    browser = sign_in(admin)
    file = attach(browser, ticket)
    others = {
        "/tickets": builders.ticket(),
        "/customers": builders.customer(),
        "/interactions": builders.interaction(),
        "/opportunities": builders.opportunity(by=admin),
    }
    address = f"{base}/{others[base].id}/files/{file.id}"
    assert browser.get(address, buffered=True).status_code == 404
    assert browser.post(f"{address}/delete").status_code == 404
    assert attached(ticket)[0].deleted_at is None


@pytest.mark.parametrize(
    "number", ["0", "-1", "999999999", "99999999999999999999", "abc", "1%00", "..%2f..%2fetc%2fpasswd"]
)
def test_numbers_that_are_none_are_not_found(ticket, sign_in, wang, number):
    browser = sign_in(wang)
    assert browser.get(f"/tickets/{ticket.id}/files/{number}", buffered=True).status_code == 404
    assert browser.post(f"/tickets/{ticket.id}/files/{number}/delete").status_code == 404


def test_plans_are_the_opportunities_own_and_have_no_second_door_to_their_files(app):
    assert [
        str(rule) for rule in app.url_map.iter_rules() if str(rule).startswith("/plans/") and "files" in str(rule)
    ] == []


def test_without_a_token_nothing_is_attached_or_removed(ticket, sign_in, wang):
    browser = sign_in(wang)
    file = attach(browser, ticket)
    assert send(browser, ticket, ("b.png", PNG), csrf=False).status_code == 400
    assert browser.post(f"/tickets/{ticket.id}/files/{file.id}/delete", csrf=False).status_code == 400
    assert [row.deleted_at for row in attached(ticket)] == [None]


def test_nobody_is_let_in_without_signing_in(ticket, sign_in, wang, client):
    file = attach(sign_in(wang), ticket)
    assert "/login/" in client.get(f"/tickets/{ticket.id}/files/{file.id}", buffered=True).location
    assert "/login/" in send(client, ticket, ("b.png", PNG)).location
    assert len(attached(ticket)) == 1


# -- removing --------------------------------------------------------------------------------------------------------


def test_a_removed_file_is_gone_from_the_page_and_from_its_address_and_stays_in_the_store(ticket, sign_in, wang, store):
    browser = sign_in(wang)
    file = attach(browser, ticket)
    answer = browser.post(f"/tickets/{ticket.id}/files/{file.id}/delete")
    assert answer.location == f"/tickets/show/{ticket.id}#files"
    assert "Removed: 合同.pdf" in page(browser, ticket)
    assert "合同.pdf" not in page(browser, ticket)
    assert browser.get(f"/tickets/{ticket.id}/files/{file.id}", buffered=True).status_code == 404
    assert browser.post(f"/tickets/{ticket.id}/files/{file.id}/delete").status_code == 404
    assert attached(ticket)[0].deleted_at is not None
    assert contents(store) == [PDF]


def test_whoever_may_edit_the_record_removes_anybodys_and_others_only_their_own(db, sign_in, li, wang, zhao):
    customer = builders.customer(owner=wang)  # shared: zhao sees and attaches, but does not edit
    first, own = (
        attach(sign_in(wang), customer, "/customers"),
        attach(sign_in(zhao), customer, "/customers", name="b.png", content=PNG),
    )
    browser = sign_in(zhao)
    body = browser.get(f"/customers/show/{customer.id}").get_data(as_text=True)
    assert f"/customers/{customer.id}/files/{own.id}/delete" in body
    assert f"/customers/{customer.id}/files/{first.id}/delete" not in body

    browser.post(f"/customers/{customer.id}/files/{first.id}/delete")

    assert attached(customer)[0].deleted_at is None
    assert "Only who attached a file, or may edit the record, can remove it." in page(browser, customer, "/customers")
    [refused] = rows(AuditEntry, AuditEntry.outcome == Outcome.refused)
    assert (refused.action, refused.record_id, refused.actor_id) == ("remove_file", customer.id, zhao.id)
    browser.post(f"/customers/{customer.id}/files/{own.id}/delete")
    sign_in(li).post(f"/customers/{customer.id}/files/{first.id}/delete")
    assert attached(customer, deleted_at=None) == []


# -- closed records ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("base", "status", "why"), [
    ("/tickets", TicketStatus.archived, "The ticket is archived: its files stay as they are."),
    ("/opportunities", OpportunityStatus.won, "The opportunity is closed: its files stay as they are."),
    ("/opportunities", OpportunityStatus.lost, "The opportunity is closed: its files stay as they are."),
])  # fmt: skip
def test_the_files_of_a_closed_record_are_read_and_no_longer_changed(db, sign_in, wang, store, base, status, why):
    make = builders.ticket if base == "/tickets" else builders.opportunity
    record = make(given_to=wang, by=wang, status=status)
    key = "0" * 32
    (store / "00" / "00").mkdir(parents=True)
    (store / "00" / "00" / key).write_bytes(PDF)
    file = Attachment(
        record_type=record.__tablename__, record_id=record.id, name="合同.pdf", size=len(PDF), mime="application/pdf",
        sha256=hashlib.sha256(PDF).hexdigest(), key=key, created_by_id=wang.id,
    )  # fmt: skip
    db.session.add(file)
    db.session.commit()
    browser = sign_in(wang)

    shown = browser.get(f"{base}/show/{record.id}").get_data(as_text=True)
    send(browser, record, ("b.png", PNG), base=base)
    said = page(browser, record, base)
    browser.post(f"{base}/{record.id}/files/{file.id}/delete")

    assert why in shown
    assert 'type="file"' not in shown
    assert f"b.png was not attached. {why}" in said
    assert [row.deleted_at for row in attached(record)] == [None]
    assert browser.get(f"{base}/{record.id}/files/{file.id}", buffered=True).data == PDF
    assert contents(store) == [PDF]
    refused = rows(AuditEntry, AuditEntry.outcome == Outcome.refused)
    assert [(e.action, e.from_status) for e in refused] == [
        ("attach_file", status.value),
        ("remove_file", status.value),
    ]


@pytest.mark.parametrize("status", [s for s in TicketStatus if s is not TicketStatus.archived])
def test_before_the_archive_a_ticket_takes_files_at_every_step(db, sign_in, li, status):
    ticket = builders.ticket(by=li, status=status)
    attach(sign_in(li), ticket)
    assert len(attached(ticket)) == 1


def test_a_deleted_record_takes_its_files_out_of_reach(db, sign_in, li, store):
    ticket = builders.ticket(by=li)
    browser = sign_in(li)
    file = attach(browser, ticket)
    browser.post(f"/tickets/delete/{ticket.id}")
    assert browser.get(f"/tickets/{ticket.id}/files/{file.id}", buffered=True).status_code == 404
    assert send(browser, ticket, ("b.png", PNG)).status_code == 404
    assert browser.post(f"/tickets/{ticket.id}/files/{file.id}/delete").status_code == 404
    assert attached(ticket)[0].deleted_at == rows(Deletion)[0].at  # it went with the ticket
    assert contents(store) == [PDF]


# -- at once ---------------------------------------------------------------------------------------------------------


def at_once(acts):
    """Do all of this at the same moment; what each returned."""
    results, barrier = [None] * len(acts), threading.Barrier(len(acts))

    def run(number):
        barrier.wait(30)
        results[number] = acts[number]()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def uploads(app, browsers, record, given):
    """One request per browser, each in its own thread, past the browser's single database session."""
    import io

    def one(browser, name, content):
        address = f"/tickets/{record.id}/files"
        data = {"files": [(io.BytesIO(content), name)], "csrf_token": browser.csrf_token()}
        return lambda: browser.flask.post(address, data=data).status_code

    done = at_once([one(b, name, content) for b, (name, content) in zip(browsers, given, strict=True)])
    builders.db.session.rollback()
    return done


@pytest.fixture
def browsers(sign_in):
    people = [builders.user(roles=[builders.seeded_role("sales_lead")]) for _ in range(6)]
    made = [sign_in(person) for person in people]
    builders.db.session.commit()
    return made


def test_six_people_who_attach_at_once_attach_six_files(app, ticket, browsers, store):
    given = [(f"{n}.txt", f"text {n}".encode()) for n in range(6)]
    assert uploads(app, browsers, ticket, given) == [302] * 6
    assert sorted(file.name for file in attached(ticket)) == [name for name, _content in given]
    assert contents(store) == [content for _name, content in given]


def test_six_people_who_attach_the_same_at_once_attach_it_once(app, ticket, browsers, store):
    assert uploads(app, browsers, ticket, [("合同.pdf", PDF)] * 6) == [302] * 6
    assert len(attached(ticket)) == len(contents(store)) == 1


def test_at_the_bound_only_as_many_are_taken_as_there_is_room_for(app, ticket, browsers, sign_in, wang, store):
    send(sign_in(wang), ticket, *((f"{n}.txt", f"old {n}".encode()) for n in range(48)))
    uploads(app, browsers, ticket, [(f"{n}.txt", f"text {n}".encode()) for n in range(6)])
    assert len(attached(ticket)) == len(contents(store)) == 50
