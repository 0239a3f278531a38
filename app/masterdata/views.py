"""The screens of 数据字典 and 工作日历."""

from __future__ import annotations

from typing import Any

from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_babel import lazy_gettext as _l

from app.core.sentences import gettext as _
from app.core.views import CrmView
from app.masterdata import operations
from app.masterdata.access import AllDays, AllItems
from app.masterdata.calendar import doubt_about_next_year
from app.masterdata.models import CalendarDay, DictionaryItem


class DictionaryItemView(CrmView):
    """数据字典: what the company's drop-downs offer, in both languages."""

    datamodel = SQLAInterface(DictionaryItem)
    scope = AllItems
    class_permission_name = "DictionaryItem"
    route_base = "/dictionary"
    list_title = _l("Data dictionary")
    show_title = _l("Dictionary item")
    add_title = _l("New dictionary item")
    edit_title = _l("Edit dictionary item")
    label_columns = {
        "type": _l("List"),
        "code": _l("Code"),
        "label_zh": _l("Chinese label"),
        "label_en": _l("English label"),
        "value": _l("Value"),
        "sort_order": _l("List position"),
        "active": _l("Offered in forms"),
        "system": _l("Part of the product"),
    }
    description_columns = {
        "value": _l("A number or a word that a rule reads; most items need none."),
        "sort_order": _l("Small numbers come first."),
        "active": _l("Records that already use the item keep it."),
    }
    list_columns = ["label_zh", "label_en", "type", "sort_order", "active"]
    show_columns = ["type", "label_zh", "label_en", "value", "sort_order", "active", "system"]
    search_columns = ["type", "label_zh", "label_en"]
    order_columns = ["type"]
    base_order = ("type", "asc")
    then_by = ("sort_order",)
    add_columns = ["type", "label_zh", "label_en", "value"]
    edit_columns = ["label_zh", "label_en", "value", "sort_order", "active"]
    formatters_columns = {"type": lambda kind: kind.label, "sort_order": str}

    def make_form(self, columns: list[str], record: Any = None) -> Any:
        if record is not None and record.system:
            columns = [column for column in columns if column != "value"]  # a rule reads it
        return super().make_form(columns, record)

    def create_record(self, record: DictionaryItem) -> None:
        operations.add_item(record)

    def change_record(self, record: DictionaryItem) -> None:
        operations.change_item(record)

    def delete_record(self, record: DictionaryItem) -> None:
        operations.remove_item(record)

    def may_delete(self, record: DictionaryItem) -> bool:
        return operations.why_not_delete(record) is None

    def why_not_delete(self, record: DictionaryItem) -> str:
        return operations.why_not_delete(record) or super().why_not_delete(record)


class CalendarDayView(CrmView):
    """工作日历: days on which the company works or not, whatever is announced for them."""

    datamodel = SQLAInterface(CalendarDay)
    scope = AllDays
    class_permission_name = "CalendarDay"
    route_base = "/workdays"
    list_title = _l("Business calendar")
    show_title = _l("Calendar day")
    add_title = _l("New calendar day")
    edit_title = _l("Edit calendar day")
    label_columns = {"day": _l("Day"), "working": _l("Working day"), "note": _l("Reason")}
    description_columns = {
        "working": _l("Leave it off for a holiday. Tick it for a weekend day on which the company works."),
        "note": _l("Which holiday or make-up day it is."),
    }
    list_columns = ["day", "working", "note"]
    show_columns = ["day", "working", "note"]
    search_columns = ["day", "working"]
    order_columns = ["day"]
    base_order = ("day", "desc")
    add_columns = edit_columns = ["day", "working", "note"]
    empty_text = _l(
        "Announced public holidays and make-up working days are known without entries. "
        "Enter what differs in this company, or a year that was not announced yet."
    )

    def note_text(self) -> str:
        """That the holidays of this or the next year are not known, else what entries do."""
        return doubt_about_next_year() or _("Entries come before the announced holidays. Due times are not moved.")
