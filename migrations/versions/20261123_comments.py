"""comments on the columns that had none, on PostgreSQL; SQLite keeps no comments"""

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

KEY = "key, given by the database"
KEYED = """
    activity activity_participant attachment audit_entry bulk_change calendar_day churn_case complaint contact
    customer dashboard_tile deletion delivery dictionary_item estimate_run feedback field_change handover
    handover_item interaction job_run login_entry notification one_time_token opportunity order_line plan_step
    product recovery_code report_close report_mail retention_measure robot sales_order service_target stock sync_run
    team ticket ticket_reminder ticket_step user_session
""".split()
COMMENTS = {
    "activity": {
        "title": "what it is called in lists",
        "kind": "what sort of activity it is",
        "outcome": "what came of it; null: not told yet",
    },
    "activity_participant": {
        "activity_id": "what is taken part in",
        "customer_id": "who takes part",
    },
    "audit_entry": {
        "outcome": "whether it was done or refused",
        "from_status": "the record's status before; null: it has none, or did not move",
        "to_status": "its status afterwards; null: it has none, or refused",
        "ip": "address the request came from; null: see `source`",
    },
    "churn_case": {
        "customer_id": "who stopped ordering",
        "last_order_no": "the sales system's number of that order; null: never ordered",
        "status": "set by the churn run, steps and orders, never typed",
        "reason": "why it was lost, as the owner typed it; filled once lost",
    },
    "complaint": {
        "customer_id": "who complains",
        "complainant": "投诉人: the person there who complains, as typed",
        "subject": "what it is about, in a line",
        "content": "what went wrong, at length",
        "remedy": "处理办法: what was done about it; an archived ticket fills it",
        "status": "whether somebody still has to act; set by its steps and its ticket",
        "memo": "whatever else is worth noting",
    },
    "contact": {
        "customer_id": "where the person works",
        "name": "the person's full name",
        "gender": "null: not said",
        "position": "job at the customer, as typed",
        "office_phone": "as typed; empty: a won opportunity gave none",
        "mobile": "number, as typed",
        "email": "address, as typed",
        "home_address": "private, as typed",
        "birthday": "a date without time zone; null: not said",
        "is_primary": "whom to call first; exactly one of a customer's contacts",
        "memo": "whatever else is worth knowing about the person",
    },
    "customer": {
        "name": "the company's full name, as typed or fed",
        "province": "of the address, as typed",
        "city": "of the address, as typed",
        "address": "street and house, as typed",
        "phone": "office switchboard, as typed",
        "fax": "number, as typed",
        "website": "address, as typed",
        "legal_representative": "name of the 法人 on the licence",
        "bank_account": "number, digits as typed; masked without the right to it",
        "local_tax_no": "地税登记号; masked without the right to it",
        "national_tax_no": "国税登记号; masked without the right to it",
        "status": "set by moves and orders, never typed",
        "memo": "whatever else the account manager notes",
    },
    "customer_estimate": {
        "customer_id": "whom it is about",
    },
    "customer_month": {
        "customer_id": "who ordered",
    },
    "customer_stats": {
        "customer_id": "whose orders these are",
    },
    "customer_year": {
        "customer_id": "who ordered",
    },
    "dashboard_tile": {
        "user_id": "whose dashboard",
    },
    "delivery": {
        "channel": "the way it goes",
        "robot_id": "the robot it goes to; null: a mail, or the robot was removed",
        "status": "how it stands; set by whoever sends it",
        "attempts": "tries to send it so far",
    },
    "delivery_item": {
        "delivery_id": "the message",
        "notification_id": "what it tells",
    },
    "feedback": {
        "title": "what it is about, in a line",
        "customer_id": "who said it",
        "content": "what was said, at length",
        "status": "whether somebody still has to act; set by its steps",
        "memo": "whatever else is worth noting",
    },
    "field_change": {
        "ip": "address the request came from; null: see `source`",
    },
    "grant_offer": {
        "role_code": "code of the seeded role it was offered to",
        "view": "the screen the right is on",
        "permission": "the right itself: can_list, can_assign",
    },
    "handover_item": {
        "handover_id": "the handover it is part of",
        "outcome": "moved, or left alone because it had changed since the plan",
    },
    "heartbeat": {
        "part": "scheduler, worker or sync",
    },
    "installation": {
        "id": "always 1",
    },
    "interaction": {
        "customer_id": "with whom it was",
        "contact_id": "who was met or spoken to; null: nobody in particular",
        "place": "where it was, or by what means, as typed",
        "title": "概要: what it was about, in a line",
        "detail": "what was said, at length",
        "memo": "for oneself and colleagues",
    },
    "job_run": {
        "status": "how it stands, or how it ended",
        "attempt": "how many times it was begun; 0: only asked for",
        "counts": "what the job counted, by name; null: nothing yet",
        "error": "why it failed or was refused; null: neither",
    },
    "login_entry": {
        "ip": "address it came from; null: unknown or erased",
        "result": "how it ended",
    },
    "notice_settings": {
        "user_id": "whose settings",
    },
    "notification": {
        "recipient_id": "who is told",
    },
    "one_time_token": {
        "purpose": "what it opens",
        "user_id": "for whom it opens; null: unknown account, or asked too often",
    },
    "opportunity": {
        "title": "概要: what it is about, in a line",
        "contact_name": "whom to ask for there; becomes the first contact",
        "contact_phone": "as typed; becomes the customer's phone",
        "description": "what the prospect wants, at length",
        "status": "set by its steps, never typed",
        "close_kind": "how it ended; null: still open",
        "close_reason": "why it ended without a customer, as typed; filled once lost",
    },
    "order_line": {
        "order_id": "the order it is a line of",
        "product_id": "what was ordered; null: the feed does not say",
        "unit": "what the quantity counts; null: the feed does not say",
    },
    "plan_step": {
        "opportunity_id": "what is to be won by it",
        "todo": "what is to be done, as typed",
    },
    "product": {
        "name": "as the sales system has it",
        "model": "型号, as the sales system has it",
        "batch": "批次, as the sales system has it",
        "unit": "what it is counted in: piece, kg; null: the feed does not say",
        "memo": "the sales system's",
    },
    "recovery_code": {
        "user_id": "whose second step it stands in for",
    },
    "report_mail": {
        "user_id": "who gets it",
        "every": "how often it comes",
        "kind": "format of the attached file",
        "active": "false: it stopped by itself",
        "stopped_why": "why it stopped by itself; null: it still comes",
    },
    "retention_measure": {
        "case_id": "the case it is to turn",
        "text": "what was done, as typed",
    },
    "robot": {
        "user_id": "whom it tells things",
        "channel": "the service it belongs to",
        "active": "false: nothing is told by it",
    },
    "role_profile": {
        "role_id": "the role whose face this is",
        "label_zh": "as Chinese readers see it",
        "label_en": "as English readers see it",
    },
    "sales_order": {
        "customer_id": "whose order this is",
        "delivery_address": "where it goes, as the sales system has it",
        "status": "our reading of source_status",
    },
    "second_factor": {
        "user_id": "whose phone",
    },
    "service_target": {
        "step": "what has to be done within these hours",
    },
    "stock": {
        "product_id": "what lies there",
        "warehouse": "仓库, as the sales system calls it",
        "location": "货位 in the warehouse, as the sales system calls it",
        "memo": "the sales system's",
    },
    "sync_run": {
        "status": "how it stands, or how it ended",
        "rows_in": "rows read, of all files",
        "rows_created": "rows that were new here",
        "rows_updated": "rows that changed something here",
        "rows_unchanged": "rows that were known as they are",
        "rows_rejected": "rows not taken; see rejects_file",
        "error": "why it failed; null: it did not",
    },
    "team": {
        "name": "what the company calls it",
        "parent_id": "the team it belongs to; null: none",
    },
    "ticket": {
        "title": "what it is about, in a line",
        "customer_id": "who asks for service",
        "request": "what the customer asks for, at length",
        "status": "the step it waits at; set by its steps, never typed",
        "handling": "what was done about it; null: not handled, or returned",
        "result": "what the customer said in the end; null: not archived",
        "times_returned": "how often the customer was not satisfied and it came back",
    },
    "ticket_reminder": {
        "ticket_id": "what was reminded of",
        "step": "the step that was due",
    },
    "ticket_step": {
        "ticket_id": "whose history",
        "step": "created, assigned, reassigned, handled, returned ...",
        "text": "of that step: the assignee's name, the handling, the customer's answer",
    },
    "ticket_word": {
        "ticket_id": "which ticket holds the word",
    },
    "user_profile": {
        "user_id": "whose profile",
        "phone": "where colleagues reach the person, as typed",
        "team_id": "null: in no team",
    },
    "user_session": {
        "user_id": "who signed in",
        "ip": "address of the sign-in; null: unknown or erased",
        "user_agent": "what the browser says it is, cut; null: nothing, or erased",
    },
}


def upgrade():
    for table in KEYED:
        say(table, "id", KEY)
    for table, columns in COMMENTS.items():
        for column, comment in columns.items():
            say(table, column, comment)


def downgrade():
    for table in KEYED:
        say(table, "id", None)
    for table, columns in COMMENTS.items():
        for column in columns:
            say(table, column, None)


def say(table, column, comment):
    """Write one comment, or take it away."""
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column(table, column, comment=comment)
