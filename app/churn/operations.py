"""客户流失: warning, deferring, losing and winning back. Flush, never commit.

The scan and what a sync settles are set-based: the same few statements for ten customers and for a million. Rows
that a session already holds do not notice them. Source: docs/decisions/0012.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import User
from flask_babel import lazy_gettext as _l

from app.churn.access import of_a_live_customer
from app.churn.models import ONE_OPEN_CASE, OPEN, ChurnCase, ChurnStatus, RetentionMeasure
from app.churn.moves import look_rows_up, move_all, open_all
from app.churn.rule import Rule, rule_at
from app.core.clock import utcnow
from app.core.errors import BusinessError, NotYours
from app.core.lifecycle import Step, note_move, step
from app.core.personal import GONE
from app.core.sentences import gettext as _
from app.core.text import clean
from app.core.types import UtcDateTime
from app.customers.models import Customer, CustomerStatus
from app.extensions import db
from app.masterdata.models import DictionaryItem
from app.mirror.models import Order, OrderStatus
from app.runs.models import JobRun
from app.security.rights import holds

S = ChurnStatus
LONGEST = 500  # characters of a measure or a reason, as their columns
SLICE = 5_000  # order ids in one statement; both databases take more

Ids = tuple[int, int]
"""Customers by id, both ends included."""
EVERYBODY: Ids = (1, 2**31 - 1)


# -- the scan -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ScanResult:
    """What a scan did, or in a preview would do. `open` are the open cases of its as-of afterwards."""

    due: int
    opened: int
    recovered: int
    open: int


def scan(
    *, as_of: datetime, preview: bool = False, run: JobRun | None = None, at: datetime | None = None
) -> ScanResult:
    """Close the cases of customers who ordered again, then warn about every customer who is due at `as_of`.

    Only what existed at `as_of` counts: orders up to it that are not cancelled (unpaid ones count), customers
    registered by then; cases opened after it are left alone. A customer is due when active, without an open case,
    and silent since before the rule's cut-off, strictly. Running it again adds nothing, and runs at the same time
    open what one would. `at` is the moment it happens (default: now). With `preview` nothing is written.
    Flushes; the caller commits. This is all at once; app.churn.scan commits it in parts.
    """
    rule = rule_at(as_of)
    if preview:
        return _preview(rule)
    opened, recovered = scan_range(rule, EVERYBODY, run=run, at=at or utcnow())
    return ScanResult(opened, opened, recovered, open_cases(as_of))


def scan_range(rule: Rule, ids: Ids, *, run: JobRun | None, at: datetime) -> tuple[int, int]:
    """The scan for the customers with these ids. Returns (opened, recovered). Flushes; the caller commits.

    A customer whom another run warned about meanwhile is no longer due, so what is opened is what was due.
    """
    look_rows_up()
    recovered = _recover(rule, ChurnCase.customer_id.between(*ids), at=at)
    return _warn(rule, ids, run=run, at=at), recovered


def recover_behind(run: JobRun, newer: datetime, *, at: datetime) -> int:
    """Close the cases that `run` opened and that the scan as of `newer` would have closed, had it come after it.

    Runs overtake one another: two workers, a week that is tried again, a run by hand before one that is caught up.
    Returns how many. Flushes; the caller commits.
    """
    return _recover(rule_at(newer), ChurnCase.run_id == run.id, at=at)


def _recover(rule: Rule, which: sa.ColumnElement[bool], *, at: datetime) -> int:
    recovering = sa.and_(which, _recovering(rule), of_a_live_customer())
    return move_all(ChurnCase, recovering, to=S.recovered, action="recover", at=at, resolved_at=rule.as_of)


def ranges(parts: int) -> list[Ids]:
    """All customers in `parts` ranges of ids: always that many, so that a scan's statements do not depend on size."""
    first, last = db.session.execute(
        sa.select(sa.func.coalesce(sa.func.min(Customer.id), 1), sa.func.coalesce(sa.func.max(Customer.id), 1))
    ).one()
    width = -(-(last - first + 1) // parts)
    return [(first + n * width, first + (n + 1) * width - 1) for n in range(parts)]


def open_cases(as_of: datetime) -> int:
    """How many cases opened by `as_of` are open, as the list shows them: without deleted customers'."""
    found = sa.select(sa.func.count()).select_from(ChurnCase).where(of_a_live_customer())
    return int(db.session.execute(found.where(ChurnCase.status.in_(OPEN), ChurnCase.opened_at <= as_of)).scalar_one())


def _preview(rule: Rule) -> ScanResult:
    count = sa.select(sa.func.count())
    recovering = [_recovering(rule), of_a_live_customer()]
    recovered = db.session.execute(count.select_from(ChurnCase).where(*recovering)).scalar_one()
    due = db.session.execute(
        count.select_from(Customer).where(*_due(rule, EVERYBODY, closing=_recovering(rule)))
    ).scalar_one()
    return ScanResult(due, due, recovered, open_cases(rule.as_of) - recovered + due)


def _recovering(rule: Rule) -> sa.ColumnElement[bool]:
    """WHERE an open case of the as-of has seen an order since it was opened."""
    return sa.and_(
        ChurnCase.status.in_(OPEN),
        ChurnCase.opened_at <= rule.as_of,
        sa.func.coalesce(_newest_order(rule, ChurnCase.customer_id) > ChurnCase.opened_at, sa.false()),
    )


def _due(rule: Rule, ids: Ids, *, closing: sa.ColumnElement[bool] | None = None) -> list[Any]:
    """WHERE a customer is due.

    A case that this very run closes does not keep its customer from being due: the order that closed it may be old
    enough itself. A scan has closed those before; a preview says with `closing` which they are.
    """
    waiting = sa.select(ChurnCase.id).where(ChurnCase.customer_id == Customer.id, ChurnCase.status.in_(OPEN)).limit(1)
    if closing is not None:
        waiting = waiting.where(~closing)
    return [
        Customer.id.between(*ids),
        Customer.status == CustomerStatus.active,
        Customer.registered_on <= rule.today,
        waiting.scalar_subquery().is_(None),
        sa.func.coalesce(
            _newest_order(rule, Customer.id) < rule.sql_cutoff,
            Customer.registered_on <= rule.sql_last_registration,
        ),
    ]


def _orders(rule: Rule, customer_id: Any) -> list[Any]:
    """WHERE an order of this customer exists for the as-of."""
    return [Order.customer_id == customer_id, Order.status != OrderStatus.cancelled, Order.ordered_at <= rule.as_of]


def _newest_order(rule: Rule, customer_id: Any) -> Any:
    """When the customer ordered last; NULL for never. One look into the index over a customer's orders.

    A value, like the one row of `waiting`, and not an EXISTS: to PostgreSQL that is a join, for which it takes a plan
    of minutes when a first feed has just been loaded and nothing is analysed yet.
    """
    return sa.select(sa.func.max(Order.ordered_at)).where(*_orders(rule, customer_id)).scalar_subquery()


def _warn(rule: Rule, ids: Ids, *, run: JobRun | None, at: datetime) -> int:
    """Open a case for every due customer, with what the rule saw. Returns how many."""
    newest_no = (
        sa.select(Order.external_id)
        .where(*_orders(rule, Customer.id))
        .order_by(Order.ordered_at.desc(), Order.id.desc())
        .limit(1)
    )
    owner = _people()
    columns: dict[str, Any] = {
        "customer_id": Customer.id,
        "owner_id": Customer.owner_id,
        "owner_name": owner.c.name,
        "opened_at": sa.literal(rule.as_of, UtcDateTime()),
        "last_order_at": _newest_order(rule, Customer.id),
        "last_order_no": newest_no.scalar_subquery(),
        "rule_months": rule.sql_months,
        "rule_cutoff": rule.sql_cutoff,
        "run_id": sa.literal(run.id if run is not None else None, sa.Integer()),
    }
    due = (
        sa.select(Customer.id)
        .select_from(Customer)
        .outerjoin(owner, owner.c.id == Customer.owner_id)
        .where(*_due(rule, ids))
        .order_by(Customer.id)  # runs at the same time meet in the same order, so they wait and never block each other
    )
    return open_all(ChurnCase, columns, due, unless=ONE_OPEN_CASE, to=S.warning, action="warn", at=at)


def _people() -> Any:
    """Everybody's name as it is written, as a table of a statement: how to write one is decided in core.people."""
    people = db.session.execute(sa.select(User).order_by(User.id)).scalars()
    names = [(person.id, person.get_full_name()[:130]) for person in people]
    columns = (sa.column("id", sa.Integer()), sa.column("name", sa.String()))
    return sa.values(*columns, name="owner").data(names or [(0, "")]).cte("owner")


def forget_owner(user: User, _names: list[str]) -> None:
    """Take an erased person's name out of the warnings given while he owned the customers. Flushes."""
    named = sa.select(ChurnCase).where(ChurnCase.owner_id == user.id, ChurnCase.owner_name.is_not(None))
    for case in db.session.execute(named).scalars():
        case.owner_name = GONE
    db.session.flush()


# -- after a sync -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Settled:
    """What new orders did: cases recovered, lost customers won back."""

    recovered: int
    won_back: int


def settle(order_ids: Iterable[int] | sa.Select[Any], at: datetime) -> Settled:
    """Close the open cases of customers who ordered again and win lost ones back. Part of the sync's unit of work.

    `order_ids` are the orders this sync inserted or changed, as ids or as a SELECT of ids; older orders settle
    nothing. An order counts when it is not cancelled and was placed after the case was opened, or after the customer
    was lost. A customer won back is active again and keeps the owner, who reads it in the case's history. Flushes;
    the caller commits.
    """
    recovered = won_back = 0
    for ids in _slices(order_ids):
        again = _cases_of(ids).where(ChurnCase.status.in_(OPEN), Order.ordered_at > ChurnCase.opened_at)
        recovered += move_all(
            ChurnCase,
            sa.and_(ChurnCase.status.in_(OPEN), ChurnCase.id.in_(again)),
            to=S.recovered,
            action="recover",
            at=at,
            resolved_at=at,
        )
        back = _cases_of(ids).where(ChurnCase.status == S.lost, Order.ordered_at > ChurnCase.lost_at)
        customers = back.with_only_columns(ChurnCase.customer_id)
        # Customers before their cases, as everywhere: whoever locks both does it in this order.
        move_all(
            Customer,
            sa.and_(Customer.status == CustomerStatus.lost, Customer.id.in_(customers)),
            to=CustomerStatus.active,
            action="win_back",
            at=at,
        )
        active = sa.select(Customer.id).where(Customer.status == CustomerStatus.active)
        won_back += move_all(
            ChurnCase,
            sa.and_(ChurnCase.status == S.lost, ChurnCase.id.in_(back), ChurnCase.customer_id.in_(active)),
            to=S.won_back,
            action="win_back",
            at=at,
            resolved_at=at,
        )
    return Settled(recovered, won_back)


def _cases_of(ids: Any) -> sa.Select[Any]:
    """SELECT of the cases of the customers of these orders; it stands for itself inside another statement."""
    return (
        sa.select(ChurnCase.id)
        .join(Order, Order.customer_id == ChurnCase.customer_id)
        .where(Order.id.in_(ids), Order.status != OrderStatus.cancelled)
        .correlate(None)
    )


def _slices(order_ids: Iterable[int] | sa.Select[Any]) -> Iterator[Any]:
    if isinstance(order_ids, sa.Select):
        yield order_ids
        return
    ids = sorted(set(order_ids))
    for start in range(0, len(ids), SLICE):
        yield ids[start : start + SLICE]


# -- what people do -------------------------------------------------------------------------------------------


def may_act(case: ChurnCase, actor: User | None) -> bool:
    """Whether this case is the actor's to decide: he owns the customer, or acts for others, or for an absent owner.

    An owner is absent when there is none or the account is disabled. The right to the step itself comes on top.
    """
    if actor is None:
        return False
    owner = case.customer.owner
    if owner is not None and owner.id == actor.id:
        return True
    if holds(actor, "can_act_for_others", "ChurnCase"):
        return True
    return (owner is None or not owner.active) and holds(actor, "can_act_for_absent", "ChurnCase")


def _theirs(case: ChurnCase, actor: User | None) -> None:
    if not may_act(case, actor):
        raise NotYours(_("Only the customer's account manager can do this."))


@step(
    sources=OPEN,
    target=S.deferred,
    label=_l("Defer"),
    done=_l("Deferred. The measure was kept."),
    tone="primary",
    icon="player-pause",
    guard=_theirs,
)
def defer(
    case: ChurnCase,
    *,
    actor: User | None,
    at: datetime,
    text: str,
    type: DictionaryItem | None = None,
    cost: Decimal | None = None,
) -> RetentionMeasure:
    """Do something to keep the customer (暂缓流失): adds a measure, never overwrites one; may be repeated.

    `cost` is in CNY. Raises `NotYours` for somebody else's customer, `BusinessError` without a text.
    """
    measure = RetentionMeasure(
        case_id=case.id,
        type=type,
        text=_filled(text, _("Describe what you do to keep the customer.")),
        cost=cost,
        by=actor,
        at=at,
    )
    db.session.add(measure)
    return measure


@step(
    sources=OPEN,
    target=S.lost,
    label=_l("Confirm lost"),
    done=_l("The customer is recorded as lost."),
    tone="danger",
    icon="user-x",
    guard=_theirs,
)
def confirm_lost(
    case: ChurnCase, *, actor: User | None, at: datetime, reason: str, reason_type: DictionaryItem | None = None
) -> None:
    """Give the customer up (确认流失): the case and the customer become lost, from `at` on.

    Raises `NotYours` for somebody else's customer, `BusinessError` without a reason.
    """
    case.reason = _filled(reason, _("Say why the customer was lost, so that colleagues understand it later."))
    case.reason_type = reason_type
    case.lost_at = at
    customer = case.customer
    customer.status = CustomerStatus.lost
    note_move(customer, "confirm_lost", actor=actor, at=at, before=CustomerStatus.active, note=case.reason)


def _filled(text: str | None, otherwise: str) -> str:
    kept = clean(text)
    if not kept:
        raise BusinessError(otherwise)
    if len(kept) > LONGEST:
        raise BusinessError(_("Use at most %(n)d characters.", n=LONGEST))
    return kept


STEPS: list[Step] = [confirm_lost, defer]
