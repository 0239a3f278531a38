"""The questions the steps of an opportunity ask."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from markupsafe import escape
from wtforms import RadioField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import AnyOf, Length

from app.core.forms import CrmForm, DayField, Filled, LongTextField, RowSelect, sensible_date
from app.security.access import account_managers


def assign_form(lookup_url: Any) -> type[CrmForm]:
    """Who gets it."""

    class AssignForm(CrmForm):
        assignee = RowSelect(_l("Account manager"), [Filled()], choices=account_managers(), url=lookup_url)

    return AssignForm


class ReasonForm(CrmForm):
    """Why it ends."""

    reason = LongTextField(_l("Reason"), [Filled(), Length(max=500)])


class WinForm(CrmForm):
    """Nothing to ask unless there is a customer with the same name."""


class Answered(AnyOf):
    """One of the answers, and none of the form library's sentences."""

    field_flags = {"required": True}


def namesake_form(namesakes: list[Any], *, others: bool) -> type[CrmForm]:
    """Attach to one of the customers with this name, or create another one.

    `others`: there are customers with this name that the reader does not see; he only learns that there are.
    """
    # The form library writes a radio's label as it is, names and all.
    options = [
        SelectChoice(str(c.id), escape(_("Attach to %(number)s %(name)s", number=c.number, name=c.name)))
        for c in namesakes
    ]

    options.append(SelectChoice("new", _l("Create another customer anyway")))

    class NamesakeForm(CrmForm):
        out_of_reach = others
        choice = RadioField(
            _l("There is already a customer with this name"),
            [Answered([option.value for option in options], message=_l("Choose one of the answers."))],
            choices=options,
            validate_choice=False,
        )

    return NamesakeForm


class PlanStepForm(CrmForm):
    """One planned step."""

    planned_on = DayField(_l("Planned for"), [Filled(), sensible_date])
    todo = LongTextField(_l("What to do"), [Filled(), Length(max=500)])


class ResultForm(CrmForm):
    """What came of a step."""

    result = LongTextField(
        _l("Result"),
        [Filled(), Length(max=500)],
        description=_l("Write the result and what comes next, so that your lead and colleagues can take over."),
    )
