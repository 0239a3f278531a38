"""Several processes that do the same thing at the same moment: `python -m tests.workflows.racers`.

Reads one race per line from standard input as JSON and answers with one line: what each process counted. The
application is built once and then forked, so every process has its own engine and its own connections, and all of
them wait at one barrier.
"""

from __future__ import annotations

import json
import os
import random
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from datetime import date
from typing import Any

from flask_appbuilder.security.sqla.models import User
from sqlalchemy.exc import OperationalError

from app import create_app
from app.core.clock import today
from app.core.errors import BusinessError
from app.core.lifecycle import perform
from app.core.unit import unit_of_work
from app.customers.numbers import next_number
from app.extensions import db
from app.handover.models import RuleKind
from app.handover.operations import hand_over
from app.handover.rule import Rule
from app.sales import operations
from app.sales.models import Opportunity
from app.tickets import operations as service
from app.tickets.models import Ticket

PATIENCE = 20  # tries while SQLite is busy; a person would click again, too


def person(name: str) -> User:
    """Somebody of the cast."""
    return db.session.query(User).filter_by(username=name).one()


def assign(opportunity_id: int, number: int) -> None:
    """Give the opportunity to one of the two account managers."""
    given_to = person(("wang", "zhao")[number % 2])
    perform(operations.assign, db.session.get_one(Opportunity, opportunity_id), actor=person("li"), assignee=given_to)


def win(opportunity_id: int, _number: int) -> None:
    """Win the opportunity."""
    perform(operations.win, db.session.get_one(Opportunity, opportunity_id), actor=person("wang"))


def plan_or_close(opportunity_id: int, number: int) -> None:
    """Half of the processes plan steps, the others terminate."""
    opportunity = db.session.get_one(Opportunity, opportunity_id)
    if number % 2:
        perform(operations.terminate, opportunity, actor=person("wang"), reason="不再跟进")
    else:
        with unit_of_work():
            operations.add_step(opportunity, actor=person("wang"), planned_on=today(), todo="再打一次电话")


def take_number(_round: int, _number: int) -> str:
    """Take the next number of a day."""
    with unit_of_work():
        return next_number("KH", date(2007, 12, 2))


def assign_ticket(ticket_id: int, number: int) -> None:
    """Give the ticket to one of the two account managers."""
    given_to = person(("wang", "zhao")[number % 2])
    perform(service.assign, db.session.get_one(Ticket, ticket_id), actor=person("li"), assignee=given_to)


def handle_ticket(ticket_id: int, _number: int) -> None:
    """Handle the ticket."""
    perform(service.handle, db.session.get_one(Ticket, ticket_id), actor=person("wang"), handling="更换了轴承。")


def ask_about_ticket(ticket_id: int, number: int) -> None:
    """Half of the processes heard that the customer is satisfied, the others that he is not."""
    ticket, who = db.session.get_one(Ticket, ticket_id), person(("wang", "li")[number % 2])
    perform(service.give_feedback, ticket, actor=who, result="问过了", satisfaction=4 if number % 2 else 2)


def confirm_handover(one: tuple[int, int, str], _number: int) -> None:
    """Confirm the plan that everybody saw: all that one person owns goes to another."""
    leaver, successor, stamp = one
    with unit_of_work():
        rule = Rule(RuleKind.one, people=(successor,))
        hand_over(db.session.get_one(User, leaver), rule, stamp=stamp, actor=person("li"))


RACES: dict[str, Callable[[Any, int], Any]] = {
    "assign": assign, "win": win, "plan or close": plan_or_close, "take number": take_number,
    "assign ticket": assign_ticket, "handle ticket": handle_ticket, "ask about ticket": ask_about_ticket,
    "confirm handover": confirm_handover,
}  # fmt: skip


def run(race: str, ids: list[int], number: int) -> dict[str, Any]:
    """Take every id once, in an order of this process's own, and count how it ended."""
    order, ended, results = list(ids), Counter[str](), []
    random.Random(number).shuffle(order)
    for one in order:
        for _try in range(PATIENCE):
            try:
                results.append(RACES[race](one, number))
                ended["done"] += 1
            except BusinessError as refusal:
                ended[str(refusal)] += 1
            except OperationalError:
                db.session.rollback()
                continue
            finally:
                db.session.remove()
            break
        else:
            ended["busy"] += 1
    return {"ended": ended, "results": [r for r in results if r is not None]}


def start(app: Any, race: str, ids: list[int], number: int, barrier: int) -> int:
    """Fork one process; returns the end of the pipe its result comes from."""
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        return reader
    try:
        with app.app_context():
            person("li")  # connect
            db.session.remove()
            os.write(writer, b"\n")
            os.read(barrier, 1)  # until the parent closes the other end
            os.write(writer, json.dumps(run(race, ids, number)).encode())
    except BaseException:
        os.write(writer, json.dumps({"crashed": traceback.format_exc()}).encode())
    finally:
        os._exit(0)


def hold(app: Any, race: str, people: int, ids: list[int]) -> list[dict[str, Any]]:
    """One race of so many processes."""
    barrier, gate = os.pipe()
    os.set_inheritable(gate, False)
    readers = [start(app, race, ids, number, barrier) for number in range(people)]
    pipes = [os.fdopen(reader, "rb") for reader in readers]
    for pipe in pipes:
        pipe.readline()
    for _one in pipes:
        os.write(gate, b"!")
    found = [json.loads(pipe.read()) for pipe in pipes]
    for _one in pipes:
        os.wait()
    os.close(gate)
    os.close(barrier)
    return found


def main() -> None:
    """Hold the races that standard input asks for."""
    app = create_app(TESTING=True)
    answer("ready")
    for line in sys.stdin:
        answer(hold(app, **json.loads(line)))


def answer(value: Any) -> None:
    """One line for whoever asked."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
