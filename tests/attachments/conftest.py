"""A record of each kind that carries files, seen by wang and li and by nobody else of the cast, and their pages."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest

from app.attachments.models import Attachment
from tests import builders
from tests.attachments.files import PDF
from tests.support import rows

OWNERS = {
    "customer": "/customers",
    "interaction": "/interactions",
    "ticket": "/tickets",
    "opportunity": "/opportunities",
}


@pytest.fixture(autouse=True)
def store(app):
    """The folder of the files, empty again after the test."""
    folder = Path(app.config["LIUKE_UPLOADS"])
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def narrow(app):
    """Customers are their managers' alone, so that there are foreign ones."""
    app.config["LIUKE_CUSTOMERS_SHARED"] = "own"


@pytest.fixture(params=OWNERS)
def owner(request, narrow, db, li, wang):
    """(address of its page, the record): wang's own; li sees it, zhao does not."""
    customer = builders.customer(owner=wang)
    record = {
        "customer": lambda: customer,
        "interaction": lambda: builders.interaction(customer, by=wang),
        "ticket": lambda: builders.ticket(customer, by=li, given_to=wang),
        "opportunity": lambda: builders.opportunity(by=li, given_to=wang),
    }[request.param]()
    return OWNERS[request.param], record


@pytest.fixture
def ticket(db, li, wang):
    """A ticket that was given to wang."""
    return builders.ticket(builders.customer(owner=wang), by=li, given_to=wang)


def send(browser, record, *files, base="/tickets", **options):
    """Upload (name, content) pairs to a record."""
    given = [(io.BytesIO(content), name) for name, content in files]
    return browser.post(f"{base}/{record.id}/files", {"files": given}, **options)


def attached(record, **given):
    """The rows of a record's files."""
    return rows(
        Attachment, Attachment.record_type == record.__tablename__, Attachment.record_id == record.id,
        *(getattr(Attachment, name) == value for name, value in given.items()),
    )  # fmt: skip


def attach(browser, record, base="/tickets", *, name="合同.pdf", content=PDF):
    """Upload one file and return its row."""
    send(browser, record, (name, content), base=base)
    return attached(record)[-1]


def contents(store):
    """What the store holds, file by file."""
    return sorted(path.read_bytes() for path in store.rglob("*") if path.is_file())
