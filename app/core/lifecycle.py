"""Workflow steps: a decorated function is the only way from one state to another.

The decorator is the specification (from where, to where, whose right, what is said), the body is the work.
Checking, the guarded write and the history are done here, once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask_appbuilder.security.sqla.models import User
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.exc import StaleDataError

from app.core.changes import moving, origin, tell_changes, unit_of
from app.core.choices import Choice
from app.core.clock import utcnow
from app.core.errors import BusinessError, NotYours, StepRefused
from app.core.models import AuditEntry, HasStatus, Outcome
from app.core.sentences import gettext as _
from app.core.sentences import lazy_gettext as _l
from app.core.sentences import to_keep
from app.core.unit import at_begin, unit_of_work
from app.extensions import db

log = logging.getLogger(__name__)

FASTER = _l("Somebody else was faster: the record has changed. Load the page again and look at it.")

LABELS: dict[tuple[type[Choice] | None, str], Any] = {}
"""What the button of a step says, by the states it moves between and its name."""


@dataclass(frozen=True)
class Step:
    """One arrow of a state machine. Call it like the function it decorates."""

    work: Callable[..., Any]
    sources: frozenset[Choice]
    target: Choice | None
    label: Any
    done: Any
    tone: str
    icon: str
    lock: Callable[[Any], None] | None = None
    whose: Callable[[Any, User | None], None] | None = None
    guard: Callable[[Any, User | None], None] | None = None
    note: Callable[[Any], str] | None = None
    after: Callable[[Any, User | None, datetime], None] | None = None

    @property
    def name(self) -> str:
        """The step's name: of the function, of the route, and of the right (`can_<name>`)."""
        return self.work.__name__

    @property
    def right(self) -> str:
        """The permission the step needs on its record's view."""
        return f"can_{self.name}"

    def open_to(self, record: HasStatus) -> bool:
        """Whether the record is in a state from which this step may be taken."""
        return record.status in self.sources  # type: ignore[attr-defined]

    def is_for(self, record: HasStatus, actor: User | None) -> bool:
        """Whether this very record is this person's to move; others are shown no button."""
        try:
            if self.whose is not None:
                self.whose(record, actor)
        except NotYours:
            return False
        return True

    def _ask(self, record: HasStatus, actor: User | None) -> None:
        """Raises `BusinessError` when something forbids the step to this person, whatever is typed."""
        for rule in (self.whose, self.guard):
            if rule is not None:
                rule(record, actor)

    def check(self, record: HasStatus, *, actor: User | None) -> None:
        """Raises `BusinessError` when the step cannot be taken now, whatever is typed."""
        if not self.open_to(record):
            raise StepRefused(self._why_not(record))
        self._ask(record, actor)

    def why_not(self, record: HasStatus, *, actor: User | None) -> str | None:
        """Why the step cannot be taken now, whatever is typed; None if nothing speaks against it yet.

        For pages, so that nobody fills in a form in vain. Taking the step asks again.
        """
        try:
            self.check(record, actor=actor)
        except BusinessError as refusal:
            return str(refusal)
        return None

    def __call__(self, record: HasStatus, *, actor: User | None, at: datetime | None = None, **given: Any) -> Any:
        """Take the step: check the state, do the work, write the guarded change and one history row.

        `at` is the moment it happens (default: now). Flushes; the caller commits.
        Raises `StepRefused` from another state or when somebody else was faster, `BusinessError` for other rules.
        """
        at = at or utcnow()
        before: Choice = record.status  # type: ignore[attr-defined]
        if before not in self.sources:
            raise StepRefused(self._why_not(record))
        with moving(type(record).__tablename__, self.name, actor=actor, at=at):  # type: ignore[attr-defined]
            return self._take(record, before, actor=actor, at=at, **given)

    def _take(self, record: HasStatus, before: Choice, *, actor: User | None, at: datetime, **given: Any) -> Any:
        try:
            with db.session.no_autoflush:
                if self.lock is not None:
                    self.lock(record)
                self._ask(record, actor)
                result = self.work(record, actor=actor, at=at, **given)
                if self.target is not None:
                    record.status = self.target  # type: ignore[attr-defined]
            if not db.session.is_modified(record):
                record.changed_at = at  # a repeated step (another measure, say) still claims the row
            db.session.flush()
        except StaleDataError as stale:
            raise StepRefused(str(FASTER)) from stale
        note = _note_of(given) or (self.note(record) if self.note is not None else None)
        note_move(record, self.name, actor=actor, at=at, before=before, note=note)
        if self.after is not None:
            self.after(record, actor, at)
        return result

    def _why_not(self, record: Any) -> str:
        explain = getattr(record, "why_not", None)
        return (explain() if explain else None) or _(
            "“%(step)s” is not possible: the record is “%(status)s”.",
            step=self.label,
            status=record.status.label,
        )


def step(
    *,
    sources: Iterable[Choice],
    target: Choice | None,
    label: Any,
    done: Any,
    tone: str = "quiet",
    icon: str = "",
    lock: Callable[[Any], None] | None = None,
    whose: Callable[[Any, User | None], None] | None = None,
    guard: Callable[[Any, User | None], None] | None = None,
    note: Callable[[Any], str] | None = None,
    after: Callable[[Any, User | None, datetime], None] | None = None,
) -> Callable[[Callable[..., Any]], Step]:
    """Declare a workflow step. `target` None: the body sets the status itself.

    Before the body, `lock` claims the record, `whose` (record, actor) raises `NotYours` unless the record is this
    person's to move, and `guard` (record, actor) raises `BusinessError` when something else forbids the step whatever
    is typed. The button asks `whose`, the step's page asks both. `note` (record) is what the history keeps when
    nothing was typed. `after` (record, actor, at) is what follows from the written step, in the same unit of
    work: telling people, say.
    """

    def declare(work: Callable[..., Any]) -> Step:
        made = Step(work, frozenset(sources), target, label, done, tone, icon, lock, whose, guard, note, after)
        LABELS.update({(type(state), made.name): label for state in made.sources})
        return made

    return declare


def perform(taken: Step, record: HasStatus, *, actor: User | None, **given: Any) -> Any:
    """Take a step in a unit of work of its own. A refusal is written to the history, then raised again.

    This is the edge's way (page, bulk, command line, job) to take a step. Commits.
    """
    record_type, record_id, before = record.__tablename__, record.id, record.status  # type: ignore[attr-defined]
    actor_id = actor.id if actor is not None else None
    try:
        with unit_of_work():
            return taken(record, actor=actor, **given)
    except BusinessError as refusal:
        note_refusal(record_type, record_id, taken.name, actor_id=actor_id, before=before, why=str(refusal))
        raise
    except IntegrityError as error:  # a row it names is gone, or another one took its place meanwhile
        log.warning("integrity error in step %s", taken.name, exc_info=True)
        note_refusal(record_type, record_id, taken.name, actor_id=actor_id, before=before, why=str(FASTER))
        raise StepRefused(str(FASTER)) from error


def check_or_note(taken: Step, record: HasStatus, *, actor: User | None) -> None:
    """For a form that is not complete: whoever tries a step that cannot be taken hears that, not what is missing.

    The refusal is written to the history as that of a complete form, then raised again. Commits it.
    """
    record_type, record_id, before = record.__tablename__, record.id, record.status  # type: ignore[attr-defined]
    actor_id = actor.id if actor is not None else None
    try:
        taken.check(record, actor=actor)
    except BusinessError as refusal:
        note_refusal(record_type, record_id, taken.name, actor_id=actor_id, before=before, why=str(refusal))
        raise


def note_move(
    record: Any,
    action: str,
    *,
    actor: User | None,
    at: datetime | None = None,
    before: Choice | None = None,
    note: str | None = None,
    changes: dict[str, Any] | None = None,
) -> None:
    """Add one history row for something done to `record`. Flushed with the caller's unit of work.

    What changed of its columns is told by itself (core/changes.py); `changes` are those of what is no column of it.
    """
    status = getattr(record, "status", None)
    db.session.add(
        AuditEntry(
            at=at or utcnow(),
            actor_id=actor.id if actor is not None else None,
            record_type=record.__tablename__,
            record_id=record.id,
            action=action,
            outcome=Outcome.done,
            from_status=before.value if before is not None else None,
            to_status=status.value if status is not None else None,
            note=note[:2000] if note else None,
            unit=unit_of(db.session),
            **origin(),
        )
    )
    if changes:
        tell_changes(record, changes, actor=actor, at=at)


def note_refusal(
    record_type: str, record_id: int | None, action: str, *, actor_id: int | None, before: Choice | None, why: str
) -> None:
    """Write one history row for something that was refused, in a unit of work of its own. Commits.

    A `why` that remembers what it says (core.sentences) is read in the reader's language. The form that asked for it
    does not count as sent: it may be sent again.
    """
    at_begin(None)
    with unit_of_work():
        db.session.add(
            AuditEntry(
                actor_id=actor_id,
                record_type=record_type,
                record_id=record_id,
                action=action,
                outcome=Outcome.refused,
                from_status=before.value if before is not None else None,
                note=why[:2000],
                changes=to_keep(why),
                unit=unit_of(db.session),
                **origin(),
            )
        )


def _note_of(given: dict[str, Any]) -> str | None:
    for name in ("reason", "text", "result", "handling"):
        if given.get(name):
            return str(given[name])
    return None
