"""Reading the rule of a handover from an address or a form: plain fields, so that the address says it all."""

from __future__ import annotations

from typing import Any

from flask_appbuilder.security.sqla.models import User

from app.core.errors import BusinessError
from app.core.scope import row_id
from app.core.sentences import gettext as _
from app.handover.models import RuleKind
from app.handover.operations import check_rule
from app.handover.rule import Rule


def kind_from(given: Any) -> RuleKind:
    """The kind of rule that was asked for; all to one person when it is none."""
    wanted = given.get("by", "")
    return RuleKind(wanted) if wanted in set(RuleKind) else RuleKind.one


def rule_from(given: Any, leaver: User) -> Rule:
    """The rule in these fields: `by`, `to` (once or several times), `line_<dictionary item>` and `rest`.

    Raises `BusinessError` when something is missing or a person cannot be a successor.
    """
    kind = kind_from(given)
    if kind in (RuleKind.one, RuleKind.evenly):
        people = tuple(dict.fromkeys(_person(value) for value in given.getlist("to") if value))
        rule = Rule(kind, people=people)
    else:
        lines = []
        for name, value in given.items(multi=True):
            item = row_id(name.removeprefix("line_")) if name.startswith("line_") else None
            if item is not None and value:
                lines.append((item, _person(value)))
        rest = given.get("rest", "")
        rule = Rule(kind, lines=tuple(sorted(dict(lines).items())), rest=_person(rest) if rest else None)
    check_rule(rule, leaver)
    return rule


def fields_of(rule: Rule) -> list[tuple[str, str]]:
    """The fields `rule_from` reads this rule from."""
    fields = [("by", rule.kind.value), *(("to", str(person)) for person in rule.people)]
    fields += [(f"line_{item}", str(person)) for item, person in rule.lines]
    return [*fields, ("rest", str(rule.rest))] if rule.rest is not None else fields


def _person(value: str) -> int:
    pk = row_id(value)
    if pk is None:
        raise BusinessError(_("A successor is disabled or cannot be given customers. Choose again."))
    return pk
