"""What a form takes is on its page: a field that is not rendered would be emptied by whoever saves."""

from __future__ import annotations

import re
from contextlib import contextmanager

from flask import template_rendered

from app.customers.models import Customer
from app.customers.views import CustomerView
from tests import builders
from tests.conformance import company
from tests.conformance.house import screens


def names(answer):
    """The fields of the page's forms."""
    return set(re.findall(r'<(?:input|select|textarea)\b[^>]*?\bname="(\w+)"', answer.get_data(as_text=True)))


@contextmanager
def forms_rendered(app):
    """The forms of the pages that are rendered inside the block."""
    seen = []

    def note(_sender, template, context, **_rest):
        seen.extend([context["form"]] if context.get("form") is not None else [])

    with template_rendered.connected_to(note, app):
        yield seen


def test_every_field_of_every_form_is_on_its_page(app, db, li, wang, sign_in, admin):
    company.fill(lead=li, manager=wang, size=2)
    ids, browser, missing, opened = company.first_ids(screens(app)), sign_in(admin), [], 0
    for view in screens(app):
        for address in ("add", f"edit/{ids.get(view.endpoint)}"):
            if address.partition("/")[0] in view.exclude_route_methods:
                continue
            with forms_rendered(app) as forms:
                answer = browser.get(f"{view.route_base}/{address}")
            for form in forms:
                opened += 1
                missing += [f"{view.endpoint} {address}: {f.name}" for f in form if f.name not in names(answer)]
    assert opened > 15
    assert missing == []


def test_a_field_that_no_section_names_is_shown_and_kept(app, db, sign_in, admin, wang, monkeypatch):
    view = next(v for v in screens(app) if type(v) is CustomerView)
    sections = [(name, {"fields": [f for f in s["fields"] if f != "memo"]}) for name, s in view.edit_fieldsets]
    monkeypatch.setattr(view, "edit_fieldsets", sections)
    customer = builders.customer(owner=wang, memo="老客户")
    browser = sign_in(admin)
    page = browser.get(f"/customers/edit/{customer.id}")
    assert "memo" in names(page)
    assert "老客户" in page.get_data(as_text=True)
    assert [c.memo for c in db.session.query(Customer)] == ["老客户"]
