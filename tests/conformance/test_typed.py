"""Whatever is typed into a form is taken or refused in words, never an error, never lost: every form there is."""

from __future__ import annotations

import gc
import logging
import math
import random
import re
from contextlib import closing
from datetime import timedelta
from io import BytesIO
from typing import NamedTuple
from urllib.parse import parse_qsl, quote_plus
from uuid import uuid4

import pytest
import sqlalchemy as sa
from flask_appbuilder import Model
from flask_appbuilder.security.sqla.models import User
from markupsafe import escape
from selectolax.lexbor import LexborHTMLParser
from werkzeug.test import run_wsgi_app

from app.core.clock import utcnow
from app.core.unit import set_writing
from app.core.web import Page
from app.extensions import db
from app.sales.models import PlanStep
from app.security.models import UserSession
from tests.conformance.attacks import QUERIES, TYPED
from tests.conformance.house import routes
from tests.conformance.probes import Asker
from tests.conformance.test_languages import fill
from tests.support import rows

WRITTEN = {"text", "search", "tel", "email", "url", "number", "date", "datetime-local", "month", "textarea", ""}
"""Kinds of fields into which somebody types something that is shown again."""

TURNS = math.ceil(len(QUERIES) / 3)  # then every text field has had every query

HOLD_FORMS = {"/jobs/", "/notices/settings", "/opportunities/show/<pk>", "/login/", "/profile/"}
"""Pages that hold forms which are sent to another address."""

USUAL = {
    "date": "2026-11-22", "datetime-local": "2026-11-22T14:30", "number": "1", "email": "a@liuke.example",
}  # fmt: skip


class Box(NamedTuple):
    """One field of a form as the page has it."""

    name: str
    kind: str
    value: str
    number: bool


class Form(NamedTuple):
    """One form of a page: where it is sent to, by whom, and its fields."""

    url: str
    endpoint: str
    sender: Sender
    boxes: tuple[Box, ...]

    @property
    def written(self):
        return [box for box in self.boxes if box.kind in WRITTEN]


class Sender(Asker):
    """Sends forms byte by byte, and reads the pages that come back."""

    @property
    def token(self):
        return dict(parse_qsl(self.posted.decode()))["csrf_token"]

    def send(self, method, url, fields=()):
        """The status, the address it leads to and the body."""
        path, _mark, query = url.partition("?")
        data = "&".join(
            f"{quote_plus(name)}={quote_plus(value.encode('utf-8', 'surrogatepass'))}" for name, value in fields
        )
        sent = {**self.sent[method], "PATH_INFO": path, "QUERY_STRING": query, "wsgi.input": BytesIO(data.encode())}
        sent.update(
            CONTENT_LENGTH=str(len(data)), CONTENT_TYPE="application/x-www-form-urlencoded", HTTP_ACCEPT="text/html"
        )
        pieces, status, headers = run_wsgi_app(self.app.wsgi_app, sent)
        with closing(pieces):
            return int(status[:3]), headers.get("Location", ""), b"".join(pieces).decode()


def boxes_of(node, view, ids):
    """The fields of a form, and what stands in them."""
    for field in node.css("input[name], textarea[name], select[name]"):
        given = field.attributes
        kind = (given.get("type") or "").lower() if field.tag == "input" else field.tag
        value = given.get("value") or ""
        if kind in ("submit", "button", "file", "image") or (kind in ("radio", "checkbox") and "checked" not in given):
            continue
        if kind == "select":
            options = [
                (option.attributes.get("value") or "", "selected" in option.attributes)
                for option in field.css("option")
            ]
            value = next((v for v, selected in options if selected and v), next((v for v, _s in options if v), ""))
            if not value:  # asked for while somebody types
                relation = getattr(getattr(view.datamodel.obj, given["name"]).property, "mapper", None)
                value = str(ids[relation.class_.__tablename__][0])
        yield Box(
            given["name"], kind, field.text() if kind == "textarea" else value, given.get("inputmode") == "decimal"
        )


def forms_of(app, senders):
    """Every form into which something can be typed or chosen, each once, of the first record that has it."""
    ids, found, takes = {}, {}, app.url_map.bind("localhost")
    with app.app_context():
        for table in Model.metadata.tables.values():
            key = next(iter(table.primary_key.columns))
            ids[table.name] = db.session.execute(sa.select(key).order_by(key.desc()).limit(9)).scalars().all()
        plans = db.session.execute(sa.select(PlanStep.opportunity_id, PlanStep.id).order_by(PlanStep.id.desc())).all()
        db.session.remove()
    for route in routes(app):
        if "GET" not in route.methods or ("POST" not in route.methods and route.url not in HOLD_FORMS):
            continue
        table = getattr(getattr(getattr(route.view, "datamodel", None), "obj", None), "__tablename__", "")
        urls = [route.url.replace("<person>", "contact-1").replace("<pk>", str(pk)) for pk in ids.get(table, [1])]
        if "<step_id>" in route.url:
            urls = [route.url.replace("<pk>", str(pk)).replace("<step_id>", str(step)) for pk, step in plans[:3]]
        sender = senders["nobody" if route.url.startswith("/login/") else "admin"]
        for url in dict.fromkeys(urls):
            known = len(found)
            status, _to, body = sender.send("GET", url)
            for node in LexborHTMLParser(body).css("form[method=post]") if status == 200 else ():
                where = node.attributes.get("action") or url
                if takes.test(where.partition("?")[0], method="POST"):
                    endpoint, _values = takes.match(where.partition("?")[0], method="POST")
                    form = Form(where, endpoint, sender, tuple(boxes_of(node, route.view, ids)))
                    if any(box.kind in WRITTEN or box.kind in ("password", "select") for box in form.boxes):
                        found.setdefault((endpoint, tuple(sorted({box.name for box in form.boxes}))), form)
            if len(found) > known and "<pk>" in route.url:
                break
    return list(found.values())


def noise(chance):
    """Characters from anywhere."""
    return "".join(
        chr(chance.randrange(chance.choice((128, 0x3000, 0x10000, 0x110000)))) for _n in range(chance.randrange(1, 30))
    )


def arrived(text):
    """What the server makes of a text: half a character, which no browser sends, is told by its bytes."""
    return re.sub("[\ud800-\udfff]", lambda m: quote_plus(m[0].encode("utf-8", "surrogatepass")), text)


def three(turn):
    """Three of the queries in one text."""
    return " ".join(QUERIES[(3 * turn + n) % len(QUERIES)] for n in range(3))


def filled(form, turn, chance):
    """What is typed in one turn: in every text some of the queries; in half of the turns nonsense elsewhere too."""
    first = next((box for box in form.boxes if box.kind == "textarea"), None)
    for place, box in enumerate(form.boxes):
        query, typed = three(turn + place), TYPED[(turn // 2 + place * 5) % len(TYPED)]
        if box.name == "nonce":
            yield box.name, uuid4().hex
        elif box.kind == "hidden":
            yield box.name, box.value
        elif box.kind in ("text", "textarea", "search", "", "password") and not box.number:
            if turn == TURNS:
                yield box.name, "长" * 100_000 if box == first else box.value
            else:
                yield box.name, query + (typed[:200] if turn % 4 == 2 else noise(chance) if turn % 4 == 3 else "")
        elif turn % 2:
            yield box.name, box.value or USUAL.get(box.kind, "1")
        else:
            yield box.name, typed if place % 2 else query


def test_whatever_is_typed_into_a_form_is_taken_or_comes_back(app, world, senders, known):
    forms, chance, wrong, inputs, taken = forms_of(app, senders), random.Random(5), [], 0, 0
    for form in forms:
        long = form.endpoint.endswith(".add") and any(box.kind == "textarea" for box in form.boxes)
        for turn in range(TURNS + long):
            fields = list(filled(form, turn, chance))
            status, _to, body = form.sender.send("POST", form.url, [*fields, ("csrf_token", form.sender.token)])
            inputs += len(fields)
            if status >= 500:
                wrong.append(f"{form.endpoint} {turn}: {status}")
            elif status < 400:
                taken += 1
            shown = {box.name for box in form.written} if status != 302 else ()
            for name, text in fields if len(wrong) < 40 else ():
                if name in shown and str(escape(arrived(text))) not in body:
                    wrong.append(f"{form.endpoint} {turn} {status}: {name} {text[:60]!r} is lost")
            if (status < 400 and not form.endpoint.endswith(".add")) or turn >= TURNS - 1:
                known()
                with app.app_context():
                    world.put_back()
            for limiter in app.extensions.get("limiter", ()):
                limiter.reset()
    assert wrong == []
    assert len(set(QUERIES)) == 40
    assert inputs >= 5_000
    assert taken > 100
    assert len(forms) > 50


@pytest.fixture
def senders(app, world, known, monkeypatch):
    """Somebody of each kind who fills in forms; everything they write is put back after each."""
    with app.app_context():
        cast = {user.username: user for user in rows(User)}
        fill(db, cast["li"], cast["wang"])
        senders = {"admin": Sender(app, cast["admin"]), "nobody": Sender(app, None)}
        later = utcnow() + timedelta(days=1)
        db.session.execute(sa.update(UserSession).values(seen_at=later, auth_at=later))
        db.session.commit()
        db.session.remove()
    monkeypatch.setattr(Page, "menu", lambda _page: [])  # no form stands in it
    logging.disable(logging.WARNING)
    gc.disable()
    with world.as_it_is_now():
        yield senders
        set_writing(False)
    gc.enable()
    logging.disable(logging.NOTSET)
