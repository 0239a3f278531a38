"""The questions the steps of a churn case ask."""

from __future__ import annotations

from flask import url_for
from flask_babel import lazy_gettext as _l
from wtforms.validators import Length, Optional

from app.churn.operations import LONGEST
from app.core.forms import CrmForm, Filled, LongTextField, MoneyField, RowSelect, not_negative
from app.masterdata.access import items_of
from app.masterdata.models import DictionaryType


class DeferForm(CrmForm):
    """What is done to keep the customer."""

    text = LongTextField(
        _l("Measure"),
        [Filled(), Length(max=LONGEST)],
        description=_l("Write what is done, by whom and when. Every deferral adds a measure; earlier ones stay."),
    )
    type = RowSelect(
        _l("Kind of measure"),
        [Optional()],
        choices=items_of(DictionaryType.measure),
        url=lambda: url_for("RetentionMeasureView.lookup", column="type"),
    )
    cost = MoneyField(_l("Cost (CNY)"), [Optional(), not_negative])


class ConfirmLostForm(CrmForm):
    """Why the customer was lost."""

    reason_type = RowSelect(
        _l("Kind of reason"),
        [Optional()],
        choices=items_of(DictionaryType.churn_reason),
        url=lambda: url_for("ChurnCaseView.lookup", column="reason_type"),
    )
    reason = LongTextField(
        _l("Reason"),
        [Filled(), Length(max=LONGEST)],
        description=_l("Write enough for colleagues to understand it later."),
    )
