"""The five seeded roles and what each may do: one table. `flask crm init` offers every row once.

Code -> view -> rights. An administrator changes roles in the UI; what he took away stays away.
"""

from __future__ import annotations

from dataclasses import dataclass

SUPER_ADMIN = "super_admin"  # FAB's admin role: holds every right there is


@dataclass(frozen=True)
class SeededRole:
    """A role as it comes out of the box."""

    code: str
    label_zh: str
    label_en: str
    grants: dict[str, str]  # view -> rights, separated by blanks; `menu` stands for menu_access


_SEE = "can_list can_show menu"
_EDIT = "can_list can_show can_add can_edit can_delete menu"
# Reports of a whole company, and those of one's own customers.
_ALL_REPORTS = {
    "ContributionReport": "can_show can_see_all can_export menu",
    "CompositionReport": "can_show can_see_all can_export menu",
    "FunnelReport": "can_show can_see_all can_export menu",
    "ForecastReport": "can_show can_see_all can_export menu",
    "PlanReport": "can_show can_see_all can_export menu",
    "LedgerReport": "can_show can_see_all can_export menu",
    "RetentionReport": "can_show can_see_all can_export menu",
    "ServiceReport": "can_show can_see_all can_export menu",
    "ChurnReport": "can_show can_see_all can_export menu",
    "ReturningReport": "can_show can_see_all can_export menu",
    "LevelReport": "can_show can_see_all can_export menu",
}
_OWN_REPORTS = dict.fromkeys(_ALL_REPORTS, "can_show can_export menu")
_OWN_NUMBERS = " can_see_phone can_see_bank_account can_see_tax_no"
_FILES = " can_attach can_download can_detach"

ROLES: tuple[SeededRole, ...] = (
    SeededRole(SUPER_ADMIN, "超级管理员", "Super admin", {}),
    SeededRole(
        "system_admin",
        "系统管理员",
        "System admin",
        {
            "DictionaryItem": _EDIT,
            "CalendarDay": _EDIT,
            "ServiceTarget": _EDIT,
            "User": "can_list can_show can_add can_edit can_reset_password can_reset_second_factor"
            " can_end_sessions can_give_any_role can_see_any_phone menu",
            "Role": _EDIT,
            "Team": _EDIT,
            "JobRun": _SEE + " can_run can_retry can_preview",
            "Delivery": _SEE,
            "SyncRun": _SEE,
            "AuditEntry": "can_list can_show menu",
            "LoginEntry": "can_list menu",
            "UserSession": "can_list menu",
            "RecordAccess": "can_show",
        },
    ),
    SeededRole(
        "sales_lead",
        "销售主管",
        "Sales lead",
        {
            "MyWork": "can_show menu",
            "Dashboard": "can_show can_see_all menu",
            **_ALL_REPORTS,
            "Plan": "can_list menu",
            "PlanStep": "can_list menu",
            "Opportunity": _EDIT + _FILES + " can_assign can_reassign can_see_all can_delete_any can_see_any_phone",
            "Customer": _EDIT.replace(" can_delete", "") + _FILES + " can_see_all can_assign can_edit_any"
            " can_see_any_phone can_see_any_bank_account can_see_any_tax_no",
            "Contact": _EDIT + " can_edit_any can_see_any_phone",
            "Interaction": _EDIT + _FILES + " can_edit_any",
            "Order": _SEE,
            "OrderLine": "can_list",
            "Product": _SEE,
            "Stock": "can_list menu",
            "ChurnCase": _SEE + " can_see_all can_defer can_confirm_lost can_act_for_absent",
            "RetentionMeasure": "can_list",
            "Ticket": _EDIT
            + _FILES
            + " can_see_all can_search_archive can_assign can_reassign can_give_feedback can_give_any_feedback",
            "TicketStep": "can_list",
            "ServiceTarget": _EDIT,
            "Feedback": _EDIT + " can_close can_reopen can_edit_any",
            "Complaint": _EDIT + " can_close can_reopen can_open_ticket can_edit_any",
            "Activity": _EDIT,
            "Participant": "can_list can_add can_delete",
            "BulkChange": _SEE + " can_undo",
            "RecycleBin": _SEE + " can_restore",
            "Handover": _SEE + " can_see_all can_hand_over can_undo",
            "HandoverItem": "can_list",
        },
    ),
    SeededRole(
        "account_manager",
        "客户经理",
        "Account manager",
        {
            "MyWork": "can_show menu",
            "Dashboard": "can_show menu",
            **_OWN_REPORTS,
            "Plan": "can_list menu",
            "PlanStep": "can_list menu",
            "Opportunity": _EDIT + _FILES + " can_win can_lose can_terminate can_plan can_see_phone",
            "Customer": "can_list can_show can_add can_edit menu can_be_assigned" + _FILES + _OWN_NUMBERS,
            "Contact": _EDIT + " can_see_phone",
            "Interaction": _EDIT + _FILES,
            "Order": _SEE,
            "OrderLine": "can_list",
            "Product": _SEE,
            "Stock": "can_list menu",
            "ChurnCase": _SEE + " can_defer can_confirm_lost",
            "RetentionMeasure": "can_list",
            "Ticket": _SEE + _FILES + " can_add can_handle can_give_feedback can_search_archive",
            "TicketStep": "can_list",
            "Feedback": _EDIT + " can_close can_reopen",
            "Complaint": _EDIT + " can_close can_reopen can_open_ticket",
            "RecycleBin": _SEE + " can_restore",
            "Handover": "can_show",
            "HandoverItem": "can_list",
        },
    ),
    SeededRole(
        "executive",
        "高管",
        "Executive",
        {
            "Dashboard": "can_show can_see_all menu",
            **_ALL_REPORTS,
            "ChurnCase": _SEE + " can_see_all",
            "RetentionMeasure": "can_list",
        },
    ),
)


def grants_of(role: SeededRole) -> list[tuple[str, str]]:
    """The role's seeded rights as (permission, view)."""
    return [
        ("menu_access" if right == "menu" else right, view)
        for view, rights in role.grants.items()
        for right in rights.split()
    ]
