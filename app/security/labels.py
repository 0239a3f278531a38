"""What people read for every right: the screens it is about and what it allows there, in both languages."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l

# Group of the menu -> screen -> what it is called. The order is the order on the role's page.
SCREENS: dict[str, dict[str, Any]] = {
    "sales": {
        "MyWork": _l("My work"),
        "Dashboard": _l("Dashboard"),
        "Opportunity": _l("Opportunities"),
        "Plan": _l("Development plans"),
        "PlanStep": _l("Plan steps"),
        "Activity": _l("Marketing activities"),
        "Participant": _l("Participants of activities"),
    },
    "customers": {
        "Customer": _l("Customers"),
        "Contact": _l("Contacts"),
        "Interaction": _l("Interactions"),
        "ChurnCase": _l("Churn cases"),
        "RetentionMeasure": _l("Retention measures"),
        "Order": _l("Orders"),
        "OrderLine": _l("Order lines"),
        "Handover": _l("Handovers"),
        "HandoverItem": _l("Records of handovers"),
    },
    "service": {
        "Ticket": _l("Tickets"),
        "TicketStep": _l("History of tickets"),
        "ServiceTarget": _l("Service targets"),
        "Feedback": _l("Customer feedback"),
        "Complaint": _l("Complaints"),
    },
    "reports": {
        "ContributionReport": _l("Customer contribution"),
        "CompositionReport": _l("Customer composition"),
        "FunnelReport": _l("Sales funnel"),
        "ForecastReport": _l("Sales forecast"),
        "PlanReport": _l("Plan execution"),
        "LedgerReport": _l("Churn ledger"),
        "RetentionReport": _l("Retention effect"),
        "ServiceReport": _l("Customer service"),
        "ChurnReport": _l("Customer churn"),
        "ReturningReport": _l("Customer retention"),
        "LevelReport": _l("Level migration"),
    },
    "reference": {
        "Product": _l("Products"),
        "Stock": _l("Stock"),
        "DictionaryItem": _l("Data dictionary"),
    },
    "system": {
        "CalendarDay": _l("Business calendar"),
        "User": _l("Users"),
        "Role": _l("Roles and rights"),
        "Team": _l("Teams"),
        "JobRun": _l("Job runs"),
        "SyncRun": _l("Runs of the sync"),
        "Delivery": _l("Sent messages"),
        "AuditEntry": _l("Change log"),
        "UserSession": _l("Who is signed in"),
        "LoginEntry": _l("Login log"),
        "RecordAccess": _l("Who can see a record"),
        "PersonalData": _l("Personal data"),
        "BulkChange": _l("Bulk changes"),
        "RecycleBin": _l("Recycle bin"),
    },
}

VIEW_LABELS: dict[str, Any] = {view: label for screens in SCREENS.values() for view, label in screens.items()}

# The rights by which a screen is seen. They stand in one column of the role's page and mostly go together.
SEE: dict[str, Any] = {
    "can_list": _l("List"),
    "can_show": _l("Open"),
    "menu_access": _l("In the menu"),
}

# The rights most screens have, in the order of the columns on the role's page.
COLUMNS: dict[str, Any] = {
    "can_add": _l("Create"),
    "can_edit": _l("Change"),
    "can_delete": _l("Delete"),
    "can_export": _l("Export"),
}

ALL_ROWS = "can_see_all"
OWN, EVERYBODYS = _l("Own"), _l("Everybody's")

# Whose customers everybody sees who may open them, by the setting LIUKE_CUSTOMERS_SHARED.
SHARED = {"all": _l("All (shared)"), "team": _l("Own and the team's"), "own": OWN}

# What is masked without a right of its own, and whose the rights show.
FIELDS = {"phone": _l("Phone"), "bank_account": _l("Bank account"), "tax_no": _l("Tax numbers")}
WHOSE = {False: OWN, True: EVERYBODYS}

# Whose rows a screen without the right can_see_all shows. What is not named here shows the reader's own, or (where
# there is no such right) all of them.
LIKE = {
    **dict.fromkeys(
        ("Contact", "Interaction", "Order", "OrderLine", "Feedback", "Complaint", "Participant"), _l("Like customers")
    ),
    **dict.fromkeys(("Plan", "PlanStep"), _l("Like opportunities")),
    "TicketStep": _l("Like tickets"),
    "RetentionMeasure": _l("Like churn cases"),
    "HandoverItem": _l("Like handovers"),
    "MyWork": OWN,
    "RecycleBin": _l("What one may delete"),
}

# The right to take a step is called what the step's button says.
RIGHT_LABELS: dict[str, Any] = {
    **SEE,
    **COLUMNS,
    "can_see_all": _l("See everybody's, not only one's own"),
    "can_see_phone": _l("Phone numbers of one's own"),
    "can_see_any_phone": _l("Everybody's phone numbers"),
    "can_see_bank_account": _l("Bank accounts of one's own"),
    "can_see_any_bank_account": _l("Everybody's bank accounts"),
    "can_see_tax_no": _l("Tax numbers of one's own"),
    "can_see_any_tax_no": _l("Everybody's tax numbers"),
    "can_edit_any": _l("Change everybody's"),
    "can_delete_any": _l("Delete everybody's"),
    "can_assign": _l("Assign"),
    "can_reassign": _l("Reassign"),
    "can_be_assigned": _l("Can be given customers and opportunities"),
    "can_plan": _l("Make and execute the plan"),
    "can_win": _l("Mark as won"),
    "can_win_unfinished": _l("Win with planned steps left open"),
    "can_lose": _l("Mark as failed"),
    "can_terminate": _l("Terminate"),
    "can_act_for_others": _l("Act for everybody"),
    "can_act_for_absent": _l("Act for a disabled manager"),
    "can_defer": _l("Defer"),
    "can_confirm_lost": _l("Confirm lost"),
    "can_handle": _l("Handle"),
    "can_give_feedback": _l("Give feedback"),
    "can_give_any_feedback": _l("Give feedback on everybody's tickets"),
    "can_search_archive": _l("Search the whole archive"),
    "can_open_ticket": _l("Open a ticket"),
    "can_attach": _l("Attach files"),
    "can_download": _l("Download attached files"),
    "can_detach": _l("Remove attached files"),
    "can_close": _l("Close case"),
    "can_reopen": _l("Reopen case"),
    "can_run": _l("Run by hand"),
    "can_retry": _l("Run again"),
    "can_preview": _l("Preview"),
    "can_reset_password": _l("Reset passwords"),
    "can_reset_second_factor": _l("Switch off the second step"),
    "can_end_sessions": _l("End sessions"),
    "can_give_any_role": _l("Give roles whose rights one does not hold"),
    "can_hand_over": _l("Hand over what a person owns"),
    "can_undo": _l("Undo"),
    "can_restore": _l("Restore"),
    "can_purge": _l("Purge for good"),
    "can_erase": _l("Erase for good"),
    "can_disable": _l("Disable the account of who left"),
}

# Where the same right means something of its own.
SPECIAL: dict[tuple[str, str], Any] = {
    ("can_assign", "Customer"): _l("Assign owner"),
    ("can_assign", "Ticket"): _l("Assign ticket"),
    ("can_reassign", "Ticket"): _l("Reassign ticket"),
}


def view_label(view: str) -> Any:
    """What people read for a screen; its name as it stands in the code if nobody named it yet."""
    return VIEW_LABELS.get(view, view)


def right_label(permission: str, view: str) -> Any:
    """What people read for a right on a screen; its name as it stands in the code if nobody named it yet."""
    return SPECIAL.get((permission, view)) or RIGHT_LABELS.get(permission) or permission
