"""What people type never becomes part of a page: every text column of every table, on every page that shows it."""

from __future__ import annotations

import re
from datetime import date
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa
from flask_appbuilder import Model
from flask_appbuilder.security.sqla.models import User
from selectolax.lexbor import LexborHTMLParser

from app.core.choices import ChoiceType
from app.core.clock import utcnow
from app.core.models import AuditEntry, FieldChange, Outcome
from app.customers.models import Contact, Customer
from app.mirror.models import Order
from app.notices.models import Channel, Delivery, Notification, Robot
from app.runs.models import RunStatus
from app.tickets.models import Ticket
from tests import builders
from tests.conformance import company
from tests.conformance.attacks import MARKUP
from tests.conformance.house import screens
from tests.conformance.test_languages import addresses, fill, let_logs_be_written
from tests.conftest import CAST
from tests.support import rows

CODES = {
    "ab_api_key", "ab_permission", "ab_register_user", "ab_view_menu", "counter", "estimate_run", "grant_offer",
    "heartbeat", "one_time_token", "recovery_code", "second_factor", "submission", "ticket_word", "delivery_item",
    "ab_role.name", "ab_user.password", "attachment.key", "attachment.mime", "attachment.record_type",
    "attachment.sha256", "audit_entry.action", "audit_entry.from_status", "audit_entry.record_type",
    "audit_entry.to_status", "audit_entry.unit", "bulk_change.action", "bulk_change.record_type",
    "customer.name_key", "customer.search_key", "dashboard_tile.key", "deletion.record_type", "deletion.was",
    "dictionary_item.code", "field_change.field", "field_change.move", "field_change.record_type",
    "field_change.unit", "job_run.job", "job_run.period", "notice_settings.calendar_hash", "notification.event",
    "notification.kind", "notification.record_type", "report_close.report", "report_mail.args",
    "report_mail.last_sent_for", "report_mail.report", "robot.secret", "role_profile.code", "sync_run.checksum",
    "ticket_step.step", "user_profile.language", "user_profile.theme", "user_session.end_reason",
    "user_session.kept_at", "user_session.token_hash",
    "handover.rule", "handover.counts", "job_run.counts", "sync_run.counts",
}  # fmt: skip
"""Tables and columns in which nothing stands that anybody typed or sent."""

ON_NO_PAGE = {
    "robot.url",  # is masked
    "field_change.ip",  # kept for an inquiry in the database
    "ab_group.name", "ab_group.label", "ab_group.description",  # no screen makes groups
    "user_session.kept",  # a form with its own typed text again: tests/security/test_kept_forms.py
}  # fmt: skip
"""Columns of people's words that no page shows."""

IN_JSON = {
    "audit_entry.changes": lambda path: path[:1] == ("values",),  # of a refusal; the sentence itself is ours
    "notification.words": lambda path: True,
    "report_close.table": lambda path: path[-1] in ("label", "sub"),
    "user_session.kept": lambda path: path[-1] == 1,  # pairs of name and value
}
"""Columns of JSON, and where in it somebody's words may stand."""

TAGS = set(
    (
        "html head meta title link body header nav main aside section article footer h1 h2 h3 h4 p div span a b i em "
        "strong small ul ol li dl dt dd table caption colgroup col thead tbody tfoot tr th td form fieldset legend "
        "label input select option optgroup textarea button details summary dialog time code pre br hr img svg use g "
        "path rect circle line polyline text tspan desc figure figcaption script noscript template mark sup sub abbr "
        "kbd blockquote polygon progress bdi "
    ).split()
)
WORDS = set(
    (
        "abbr accept accept-charset action align alt aria autocapitalize autocomplete autofocus charset checked class "
        "col cols colspan content cx cy d datetime dir disabled dominant-baseline enctype fill for form "
        "formnovalidate height hidden high href id inputmode integrity label lang list low max maxlength media method "
        "min minlength multiple name novalidate open optimum pattern placeholder points preserveaspectratio r rel "
        "required role rows rowspan rx ry scope selected size sizes spellcheck src step stroke stroke-dasharray "
        "stroke-linecap stroke-linejoin stroke-opacity stroke-width tabindex text-anchor title transform type value "
        "version viewbox as crossorigin opacity dy dx xmlns:xlink formaction download width wrap x x1 x2 xmlns y y1 "
        "y2 property defer target fill-opacity "
    ).split()
)
ADDRESSES = {"href", "src", "srcset", "action", "formaction", "data", "poster", "cite", "xlink:href", "hx-get"}
OURS = re.compile(r"(?:/(?![/\\])|#|\?|$)[^\x00-\x20]*")
MARK = re.compile("Ж([0-9]+)z")
MONTH = date(2020, 1, 1)
ATTRIBUTE = '"><svg/onload=x()>'
ECHOED = urlencode({"q": ATTRIBUTE, "tab": ATTRIBUTE, "_flt_0_name": ATTRIBUTE, "_flt_0_title": ATTRIBUTE})


def runs(page):
    """What of a page would run, load or lead elsewhere; and what stands on no page of ours."""
    found = []
    for node in page.root.traverse(include_text=False):
        tag = node.tag
        if tag not in TAGS:
            found.append(f"<{tag}>" if tag else "")
        for given, value in node.attributes.items():
            name = given.lower()
            known = name in WORDS or name.startswith(("aria-", "data-", "hx-"))
            if not known or name.startswith(("on", "hx-on")) or name in ("style", "srcdoc"):
                found.append(f"<{tag} {name}>")
            if (name in ADDRESSES or name.startswith("hx-p")) and not OURS.fullmatch(value or ""):
                found.append(f"<{tag} {name}={value}>")
        if tag == "script" and (node.text() or not (node.attributes.get("src") or "").startswith("/static/")):
            found.append(node.html)
        if tag == "meta" and "http-equiv" in node.attributes:
            found.append(node.html)
    return [what for what in found if what]


def texts():
    """Every column in which somebody's words may stand."""
    for table in Model.metadata.sorted_tables:
        for column in table.columns:
            words = isinstance(column.type, (sa.String, sa.Text, sa.JSON))
            typed = words and not isinstance(column.type, (ChoiceType, sa.Enum))
            if typed and not {table.name, f"{table.name}.{column.name}"} & CODES:
                yield column


class Pen:
    """Writes into one column: in each row its mark, and as many of the texts as there is room for, in turn."""

    def __init__(self, number, column):
        self.number, self.name = number, column.name
        self.room = getattr(column.type, "length", None) or 4000
        self.within = IN_JSON[f"{column.table.name}.{column.name}"] if isinstance(column.type, sa.JSON) else None
        fitting = [text for text in MARKUP if len(text) + 8 <= self.room]
        self.left = fitting or [text[: self.room - 8] for text in MARKUP]
        self.turn, self.written = 0, set()

    def write(self, row):
        mark, text = f"Ж{self.number}z{row}", ""
        for _n in self.left:
            following = self.left[self.turn % len(self.left)]
            if len(text + following + mark) > self.room:
                break
            text, self.turn = text + following, self.turn + 1
            self.written.add(following)
        return mark + text

    def rewrite(self, row, value, path=()):
        """The JSON with the texts wherever words may stand in it."""
        if isinstance(value, dict):
            return {name: self.rewrite(row, one, (*path, name)) for name, one in value.items()}
        if isinstance(value, list):
            return [self.rewrite(row, one, (*path, n)) for n, one in enumerate(value)]
        return self.write(row) if isinstance(value, str) and self.within(path) else value


def poison(db):
    """Write the texts that would run into every column of words. Returns the columns, in the order of their marks."""
    let_logs_be_written(db)
    columns, connection, whole = list(texts()), db.session.connection(), 0
    for table in dict.fromkeys(column.table for column in columns):
        bound = " ".join(str(check.sqltext) for check in table.constraints if hasattr(check, "sqltext"))
        key = list(table.primary_key.columns)
        pens = [Pen(number, column) for number, column in enumerate(columns) if column.table is table]
        changes = []
        found = sa.select(*key, *(table.c[pen.name] for pen in pens)).order_by(*key)
        for n, row in enumerate(connection.execute(found).mappings()):
            new = {f"old_{k.name}": row[k.name] for k in key}
            for pen in pens:
                tied = row[pen.name] is None and re.search(rf"\b{pen.name}\b", bound)  # a CHECK says when it is empty
                number = table.name == "field_change" and (row[pen.name] or "0").isdecimal()
                if pen.within is not None:
                    new[pen.name] = pen.rewrite(n, row[pen.name])
                else:
                    new[pen.name] = row[pen.name] if tied or number else pen.write(n)
            changes.append(new)
        if changes:
            where = (k == sa.bindparam(f"old_{k.name}") for k in key)
            change = sa.update(table).where(*where).values({pen.name: sa.bindparam(pen.name) for pen in pens})
            connection.execute(change, changes)
        whole += sum(len(pen.written) == len(MARKUP) for pen in pens)
    db.session.commit()
    assert whole > 75  # the others are too short for some of the texts
    return [f"{column.table.name}.{column.name}" for column in columns]


@pytest.fixture
def poisoned(db, admin, li, wang):
    """A company of 13 rows and more of everything, written full of texts that would run. Returns the columns."""
    company.fill(lead=li, manager=wang, size=13)
    fill(db, li, wang)
    kept = {"record_type": "customer", "record_id": rows(Customer)[-1].id, "move": "customer.edit", "actor": li}
    order = rows(Order)[0].external_id
    db.session.add_all([
        FieldChange(field="memo", before="甲", after="乙", ip="127.0.0.1", source="crm sync", **kept),
        Robot(user=admin, channel=Channel.wecom, url="https://x"),
        Delivery(key="k", channel=Channel.mail, recipient=admin, error="x", message_id="x", owner="x"),
    ])  # fmt: skip
    refused = {"said": ["%(name)s is already the owner."], "values": {"name": "x"}}
    db.session.add(AuditEntry(record_type="customer", record_id=kept["record_id"], action="assign", actor=li, note="x",
                              outcome=Outcome.refused, changes=refused))  # fmt: skip
    db.session.add(Notification(event="birthday:1", kind="birthday", recipient=admin, record_type="customer",
                                record_id=kept["record_id"], words={"name": "x", "customer": "x"}))  # fmt: skip
    line = {"key": "0", "label": "x", "sub": "x", "values": {"amount": {"$": "1"}}}
    builders.report_close(month=MONTH, table={"total": {"amount": {"$": "1"}}, "lines": [line], "whole": True})
    builders.user_session(user=wang, kept={"form": True, "fields": [["name", "x"]]}, kept_at="/")
    builders.job_run(status=RunStatus.failed, error="x")
    builders.churn_case(last_order_no=order, last_order_at=utcnow(), owner=wang)
    builders.attachment(rows(Ticket)[-1], by=wang)
    db.session.commit()
    return poison(db)


def pages(app, db):
    """Every address that answers GET, with several rows: of whom, and which."""
    every = [url for url in dict.fromkeys(addresses(app, db, each=2)) if "_flt_" not in url]
    every += [f"{view.route_base}/list/?{ECHOED}" for view in screens(app)]
    every.append(f"/reports/contribution/?period={MONTH:%Y-%m}")
    every += [f"/personal/show/contact-{contact.id}" for contact in rows(Contact)[-1:]]
    yield from ((name, every) for name in ("admin", "sysadmin", "li", "wang", "chen"))


def test_no_text_of_any_column_runs_on_any_page(app, db, poisoned, sign_in):
    cast = {user.id: user for user in rows(User)}
    people = dict(zip((name for name, *_rest in CAST), list(cast.values()), strict=False))
    wrong, seen, opened = {}, set(), 0
    for name, urls in pages(app, db):
        browser = sign_in(people[name])
        for url in urls:
            answer = browser.get(url)
            body = answer.get_data(as_text=True)
            if answer.mimetype != "text/html":
                assert answer.mimetype in ("application/json", "text/plain", "text/calendar"), url
                continue
            opened += answer.status_code == 200
            seen.update(map(int, MARK.findall(body)))
            for what in runs(LexborHTMLParser(body)):
                wrong.setdefault(what[:200], f"{name} {url}")
    assert wrong == {}
    assert {column for n, column in enumerate(poisoned) if n not in seen} == ON_NO_PAGE
    assert opened > 700
    assert len(poisoned) > 100


def test_this_test_sees_what_runs():
    assert len(set(MARKUP)) == 25
    for text in MARKUP:
        raw = f'<p>{text}</p><a href="{text}">x</a><input value="{text}"><textarea>{text}</textarea><a href=\'{text}\'>'
        assert runs(LexborHTMLParser(raw)), text
    assert runs(LexborHTMLParser('<a href="/x">x</a><script src="/static/js/liuke.js"></script>')) == []
