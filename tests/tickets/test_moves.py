"""The moves of a ticket: every state, every kind of person, own and foreign; and long random walks beside a model."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import product

import pytest

from app.core.errors import BusinessError
from app.core.lifecycle import perform
from app.core.models import AuditEntry, Outcome
from app.extensions import db as database
from app.masterdata.models import DictionaryType
from app.notices.models import Notification
from app.tickets import operations
from app.tickets.models import Ticket, TicketStatus, TicketStep
from tests import builders
from tests.support import rows, text_of

S = TicketStatus
# States of the matrix: those of the table, and a ticket that came back from its customer.
STATES = ("created", "assigned", "returned", "handled", "archived")
ACTIONS = ("show", "assign", "reassign", "handle", "give_feedback", "return", "edit", "delete")
# Who asks; the ticket is assigned to wang and was entered by the lead, but zhao_made by zhao.
PEOPLE = ("nobody", "admin", "sysadmin", "chen", "li", "wang", "zhao", "zhao_made", "zhao_owns")

ADDRESSES = {"give_feedback": "give-feedback", "return": "give-feedback"}
ALLOWED_FROM = {
    "assign": {"created"},
    "reassign": {"assigned"},
    "handle": {"assigned", "returned"},
    "give_feedback": {"handled"},
    "return": {"handled"},
    "edit": {"created"},
    "delete": {"created"},
}
RIGHTS = {  # which of the seeded roles holds the right at all (spec: roles and default rights)
    "show": {"admin", "li", "wang", "zhao"},
    "assign": {"admin", "li"},
    "reassign": {"admin", "li"},
    "handle": {"admin", "wang", "zhao"},
    "give_feedback": {"admin", "li", "wang", "zhao"},
    "return": {"admin", "li", "wang", "zhao"},
    "edit": {"admin", "li"},
    "delete": {"admin", "li"},
}


def expected(action: str, state: str, who: str) -> int:
    """The answer the specification asks for."""
    if who == "nobody":
        return 302  # to the login page
    person = who.split("_", maxsplit=1)[0]
    if person not in RIGHTS[action]:
        return 403
    sees = {
        "admin": True,
        "li": True,
        "wang": state != "created",
        "zhao": who != "zhao" or state == "archived",  # the archive is everybody's who may search it
    }[person]
    if not sees:
        return 404
    if action == "show":
        return 200
    if state not in ALLOWED_FROM[action]:
        return 302 if action == "delete" else 409  # it leads back to the record and says why
    if person == "zhao":
        return 403  # neither handles nor asks: the assignee does
    return 302


def form_of(action, ticket, assignee):
    """What the page of a move sends."""
    return {
        "assign": {"assignee": assignee.id},
        "reassign": {"assignee": assignee.id},
        "handle": {"handling": "更换了轴承。"},
        "give_feedback": {"result": "客户满意", "satisfaction": "3"},
        "return": {"result": "还是响", "satisfaction": "2"},
        "edit": {
            "customer": ticket.customer_id, "type": ticket.type_id, "title": "改过的标题", "request": "请检查。",
            "version": ticket.version,
        },
        "delete": {},
    }[action]  # fmt: skip


def make(state, *, by, given_to, owner=None):
    """A ticket in one state of the matrix."""
    customer = builders.customer(owner=owner)
    if state == "created":
        return builders.ticket(customer, by=by)
    if state == "returned":
        return builders.ticket(customer, by=by, given_to=given_to, times_returned=1)
    return builders.ticket(customer, by=by, given_to=given_to, status=S(state))


@pytest.mark.parametrize(("who", "action"), list(product(PEOPLE, ACTIONS)))
def test_the_matrix_of_states_people_and_moves(request, db, app, sign_in, li, wang, zhao, client, who, action):
    person = None if who == "nobody" else request.getfixturevalue(who.split("_")[0])
    opened = client if person is None else sign_in(person)
    for state in STATES:
        ticket = make(
            state,
            by=zhao if who == "zhao_made" else li,
            given_to=wang,
            owner=zhao if who == "zhao_owns" else None,
        )
        before = (ticket.status, ticket.assignee_id, ticket.version)
        url = f"/tickets/{ADDRESSES.get(action, action)}/{ticket.id}"
        if action == "show":
            answer = opened.get(url)
        else:
            answer = opened.post(url, form_of(action, ticket, zhao if state != "created" else wang))
        assert (state, answer.status_code) == (state, expected(action, state, who))
        database.session.refresh(ticket)
        moved = (ticket.status, ticket.assignee_id, ticket.version) != before or ticket.deleted_at is not None
        done = who != "nobody" and answer.status_code == 302 and state in ALLOWED_FROM[action]
        assert moved is done, state
        if who != "nobody" and action not in ("show", "edit", "delete"):
            entries = rows(AuditEntry, AuditEntry.record_type == "ticket", AuditEntry.record_id == ticket.id)
            assert [e.outcome for e in entries] == [Outcome.done if done else Outcome.refused], state


def test_a_missing_ticket_is_not_found_by_who_may_and_forbidden_to_who_may_not(db, sign_in, li, chen):
    for action, url in (("assign", "assign"), ("reassign", "reassign"), ("give_feedback", "give-feedback")):
        assert sign_in(li).post(f"/tickets/{url}/999", {}).status_code == 404, action
        assert sign_in(chen).post(f"/tickets/{url}/999", {}).status_code == 403, action


def test_a_move_by_get_changes_nothing(db, sign_in, li, wang):
    ticket = builders.ticket(by=li)
    assert sign_in(li).get(f"/tickets/assign/{ticket.id}?assignee={wang.id}").status_code == 200
    assert ticket.status is S.created


# -- what a move leaves behind --------------------------------------------------------------------------------------


def test_the_whole_way_of_a_ticket(db, sign_in, li, wang):
    ticket = operations.create_ticket(
        Ticket(
            type=builders.dictionary(DictionaryType.ticket_type, "inquiry"), customer=builders.customer(),
            title="离心机异响", request="请检查。",
        ),
        actor=li,
    )  # fmt: skip
    db.session.commit()
    lead, manager = sign_in(li), sign_in(wang)
    lead.post(f"/tickets/assign/{ticket.id}", {"assignee": wang.id})
    assert (ticket.status, ticket.assignee_id, ticket.assigned_by_id) == (S.assigned, wang.id, li.id)
    manager.post(f"/tickets/handle/{ticket.id}", {"handling": "紧固了螺栓。"})
    assert (ticket.status, ticket.handling, ticket.handled_by_id) == (S.handled, "紧固了螺栓。", wang.id)

    answer = manager.post(f"/tickets/give-feedback/{ticket.id}", {"result": "还是响", "satisfaction": "2"})
    assert answer.status_code == 302
    assert (ticket.status, ticket.assignee_id, ticket.times_returned) == (S.assigned, wang.id, 1)
    assert (ticket.handling, ticket.handled_by_id, ticket.handled_at, ticket.satisfaction) == (None, None, None, None)

    manager.post(f"/tickets/handle/{ticket.id}", {"handling": "更换了轴承。"})
    lead.post(f"/tickets/give-feedback/{ticket.id}", {"result": "运行正常", "satisfaction": "3"})
    assert (ticket.status, ticket.result, ticket.satisfaction) == (S.archived, "运行正常", 3)
    assert ticket.archived_at is not None

    told = [(s.step, s.actor_id, s.text, s.satisfaction) for s in rows(TicketStep, TicketStep.ticket_id == ticket.id)]
    assert told == [
        ("created", li.id, None, None),
        ("assigned", li.id, "王强", None),
        ("handled", wang.id, "紧固了螺栓。", None),
        ("returned", wang.id, "还是响", 2),
        ("handled", wang.id, "更换了轴承。", None),
        ("archived", li.id, "运行正常", 3),
    ]
    page = text_of(lead.get(f"/tickets/show/{ticket.id}"))
    assert "Sent back once" in page
    assert "紧固了螺栓。" in page


@pytest.mark.parametrize(("stars", "status"), [(1, S.assigned), (2, S.assigned), (3, S.archived), (5, S.archived)])
def test_three_stars_archive(db, wang, stars, status):
    ticket = builders.ticket(given_to=wang, status=S.handled)
    operations.give_feedback(ticket, actor=wang, result="问过了", satisfaction=stars)
    assert ticket.status is status


@pytest.mark.parametrize(
    ("step", "given", "words"),
    [
        ("handle", {"handling": "  "}, "Fill in this field."),
        ("give-feedback", {"result": "", "satisfaction": "4"}, "Fill in this field."),
        ("give-feedback", {"result": "好", "satisfaction": ""}, "Fill in this field."),
        ("give-feedback", {"result": "好", "satisfaction": "6"}, "Choose one of the list"),
    ],
)
def test_what_is_missing_is_asked_for_and_what_was_typed_stays(db, sign_in, wang, step, given, words):
    ticket = builders.ticket(given_to=wang, status=S.assigned if step == "handle" else S.handled)
    answer = sign_in(wang).post(f"/tickets/{step}/{ticket.id}", given)
    assert answer.status_code == 422
    page = answer.get_data(as_text=True)
    assert words in page
    assert all(text in page for text in given.values() if text.strip() and text != "6")
    assert ticket.status is (S.assigned if step == "handle" else S.handled)


@pytest.mark.parametrize("action", ["assign", "reassign", "handle", "give_feedback"])
def test_a_move_from_another_state_is_refused_as_such_however_little_was_typed(db, sign_in, admin, wang, action):
    for state in sorted(set(STATES) - ALLOWED_FROM[action] - {"returned"}):
        ticket = make(state, by=admin, given_to=wang)
        answer = sign_in(admin).post(f"/tickets/{ADDRESSES.get(action, action)}/{ticket.id}", {})
        assert (state, answer.status_code) == (state, 409)
        assert "Fill in this field." not in text_of(answer)
        (entry,) = rows(AuditEntry, AuditEntry.record_type == "ticket", AuditEntry.record_id == ticket.id)
        assert (entry.action, entry.outcome) == (action, Outcome.refused)
        assert entry.note in text_of(answer)


@pytest.mark.parametrize("who", ["chen", "li"])
def test_only_account_managers_are_given_tickets(request, db, sign_in, li, who):
    person, ticket = request.getfixturevalue(who), builders.ticket(by=li)
    answer = sign_in(li).post(f"/tickets/assign/{ticket.id}", {"assignee": person.id})
    assert answer.status_code == 422
    with pytest.raises(BusinessError, match="cannot be given tickets"):
        operations.assign(ticket, actor=li, assignee=person)
    database.session.rollback()
    assert ticket.status is S.created


def test_many_are_assigned_at_once_and_each_says_what_became_of_it(db, sign_in, li, wang, zhao):
    new, taken, gone = builders.ticket(by=li), builders.ticket(by=li, given_to=zhao), builders.ticket(by=li)
    operations.remove_ticket(gone)
    db.session.commit()
    answer = sign_in(li).post(
        "/tickets/bulk-assign",
        {"rowid": [new.id, taken.id, gone.id, 999], "confirmed": "1", "assignee": wang.id},
    )
    page = text_of(answer)
    assert (new.assignee_id, taken.assignee_id, gone.assignee_id) == (wang.id, zhao.id, None)
    assert "1 record done" in page
    assert "The ticket is already assigned to 赵敏." in page
    assert page.count("Not found.") == 2


def test_a_ticket_that_came_back_is_given_on_only_when_its_assignee_is_gone(db, li, wang, zhao):
    ticket = builders.ticket(by=li, given_to=wang, times_returned=1)
    with pytest.raises(BusinessError, match="stays with its assignee"):
        operations.reassign(ticket, actor=li, assignee=zhao)
    wang.active = False
    operations.reassign(ticket, actor=li, assignee=zhao)
    assert (ticket.assignee, ticket.times_returned) == (zhao, 1)


def test_people_are_told_what_concerns_them_and_not_what_they_did(db, li, wang, zhao):
    def told():
        found = [(n.kind, n.recipient_id) for n in rows(Notification)]
        database.session.query(Notification).delete()
        return found

    ticket = builders.ticket(by=zhao)
    operations.assign(ticket, actor=li, assignee=wang)
    assert told() == [("ticket.assigned", wang.id)]
    operations.reassign(ticket, actor=li, assignee=zhao)
    operations.reassign(ticket, actor=li, assignee=wang)
    assert told() == [("ticket.assigned", zhao.id), ("ticket.assigned", wang.id)]
    operations.handle(ticket, actor=wang, handling="紧固")
    operations.give_feedback(ticket, actor=li, result="还是响", satisfaction=1)
    assert told() == [("ticket.returned", wang.id)]
    operations.handle(ticket, actor=wang, handling="更换")
    operations.give_feedback(ticket, actor=wang, result="还响", satisfaction=2)
    assert told() == [("ticket.returned", li.id)]
    operations.handle(ticket, actor=wang, handling="更换")
    operations.give_feedback(ticket, actor=wang, result="好了", satisfaction=5)
    assert told() == [("ticket.archived", zhao.id)]


def test_nobody_is_told_of_a_refused_move(db, li, wang):
    ticket = builders.ticket(by=li, given_to=wang)
    with pytest.raises(BusinessError):
        perform(operations.assign, ticket, actor=li, assignee=wang)
    assert rows(Notification) == []


# -- worklists --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "tab", "found"),
    [
        ("li", "unassigned", {"created"}), ("li", "waiting", {"created"}), ("li", "ask", {"handled"}),
        ("li", "archive", {"archived"}), ("wang", "handle", {"assigned"}), ("wang", "ask", {"handled"}),
        ("wang", "waiting", {"assigned", "handled"}), ("wang", "archive", {"archived"}),
        ("zhao", "handle", set()), ("zhao", "ask", set()), ("zhao", "waiting", set()),
        ("zhao", "archive", {"archived"}),
    ],
)  # fmt: skip
def test_the_worklists_hold_what_waits_for_the_reader(request, db, sign_in, li, wang, who, tab, found):
    made = {s.value: builders.ticket(by=li, given_to=None if s is S.created else wang, status=s) for s in S}
    page = text_of(sign_in(request.getfixturevalue(who)).get(f"/tickets/list/?tab={tab}"))
    assert {state for state, ticket in made.items() if ticket.number in page} == found


@pytest.mark.parametrize(("who", "count"), [("li", 2), ("wang", 3), ("zhao", 0)])
def test_the_menu_counts_what_waits(request, db, sign_in, li, wang, who, count):
    for status in (S.created, S.created, S.assigned, S.assigned, S.handled, S.archived):
        builders.ticket(by=li, given_to=None if status is S.created else wang, status=status)
    page = text_of(sign_in(request.getfixturevalue(who)).get("/customers/list/"))
    assert (f"Tickets {count} waiting for you" in page) is (count > 0)
    assert ("waiting for you" in page) is (count > 0)


# -- a random walk ----------------------------------------------------------------------------------------------------


@dataclass
class Model:
    """What the specification says a ticket is after some moves: an independent, smaller copy."""

    status: str = "created"
    assignee: int | None = None
    returned: int = 0
    told: list[str] = field(default_factory=lambda: ["created"])

    def allows(self, move: str, who: int, lead: int, *, to: int | None = None) -> bool:
        """Whether this move of this person is one of the moves there are."""
        if move == "assign":
            return self.status == "created"
        if move == "reassign":
            return self.status == "assigned" and not self.returned and to != self.assignee
        if move == "handle":
            return self.status == "assigned" and who == self.assignee
        return self.status == "handled" and who in (self.assignee, lead)

    def take(self, move: str, stars: int, to: int | None) -> None:
        """The state after an allowed move."""
        if move in ("assign", "reassign"):
            self.status, self.assignee = "assigned", to
            self.told.append(f"{move}ed")
        elif move == "handle":
            self.status = "handled"
            self.told.append("handled")
        elif stars >= 3:
            self.status = "archived"
            self.told.append("archived")
        else:
            self.status = "assigned"
            self.returned += 1
            self.told.append("returned")


def test_200_random_walks_of_30_moves_never_leave_the_model(db, li, wang, zhao):
    chance, people = random.Random(20261122), {p.id: p for p in (li, wang, zhao)}
    kind, customer = builders.dictionary(DictionaryType.ticket_type, "inquiry"), builders.customer()
    seen = set()
    for _walk in range(200):
        model = Model()
        ticket = Ticket(type=kind, customer=customer, title="异响", request="请检查。")
        operations.create_ticket(ticket, actor=li)
        for _step in range(30):
            move = chance.choice(("assign", "reassign", "handle", "give_feedback"))
            actor = li if "assign" in move else people[chance.choice(list(people))]
            stars, to = chance.choice((1, 2, 2, 3, 5)), chance.choice((wang, zhao))
            given = {
                "assign": {"assignee": to}, "reassign": {"assignee": to}, "handle": {"handling": "处理了"},
                "give_feedback": {"result": "问过了", "satisfaction": stars},
            }[move]  # fmt: skip
            allowed = model.allows(move, actor.id, li.id, to=to.id)
            try:
                getattr(operations, move)(ticket, actor=actor, **given)
            except BusinessError:
                assert not allowed, (model, move)
            else:
                assert allowed, (model, move)
                model.take(move, stars, to.id)
            assert (ticket.status.value, ticket.assignee_id, ticket.times_returned) == (
                model.status, model.assignee, model.returned,
            )  # fmt: skip
            seen.add((model.status, move, allowed))
        told = [line.step for line in rows(TicketStep, TicketStep.ticket_id == ticket.id)]
        assert told == model.told
        assert (ticket.handling is not None) == (model.status in ("handled", "archived"))
    assert {status for status, _move, _allowed in seen} == {s.value for s in S}
    assert len(seen) >= 20
