"""The one hardened base of every generated screen.

FAB gives routes, rights and the menu; what it does with lists, forms and errors is done here again, because its
own lists load relations row by row, count everything, keep filters between requests, take related ids from the
URL, lose typed text after an error and show raw SQL (docs/decisions/0002).
"""

from __future__ import annotations

from app.core.editing import EditsRecords
from app.core.lists import ShowsLists
from app.core.lookups import OffersChoices
from app.core.records import ShowsRecords
from app.core.related import ShowsRelated
from app.core.taking import TakesSteps


class CrmView(TakesSteps, ShowsLists, ShowsRecords, ShowsRelated, EditsRecords, OffersChoices):
    """A generated screen: list, record, new, edit, delete of one model, its steps, and what hangs on a record.

    A subclass declares everything it shows; nothing is taken from the model by default.
    """


class ReadOnlyView(CrmView):
    """A screen nobody edits: mirror tables and logs. The routes to change them do not exist."""

    exclude_route_methods = {"download", "action", "action_post", "add", "edit", "delete"}
