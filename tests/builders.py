"""One builder per table: keyword-only, defaults that make sense, committed. A test states only what it is about.

Rows are written as they are, past the rules, so that a test can begin anywhere; the tables' CHECKs still hold.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import Role, User
from werkzeug.security import generate_password_hash

import app.customers.operations  # noqa: F401 - keeps the folded keys of a customer
from app.attachments.models import Attachment
from app.churn.models import ChurnCase, ChurnStatus, EstimateRun, RetentionMeasure
from app.core import recycle
from app.core.clock import months_before, today, utcnow
from app.core.models import Deletion
from app.customers.models import Contact, Customer, CustomerEstimate, CustomerStats, Interaction
from app.extensions import db
from app.handover.models import Handover, HandoverItem, ItemOutcome, RecordKind
from app.marketing.models import Activity, ActivityKind, Participant
from app.masterdata.models import CalendarDay, DictionaryItem, DictionaryType
from app.mirror.models import Order, OrderLine, OrderStatus, Product, Stock, SyncRun, SyncStatus
from app.reports.models import DashboardTile, Every, FileKind, ReportClose, ReportMail
from app.runs.models import JobRun, RunStatus
from app.sales.models import CloseKind, Opportunity, OpportunityStatus, PlanStep
from app.security.models import (
    LoginEntry,
    LoginResult,
    OneTimeToken,
    Purpose,
    RecoveryCode,
    RoleProfile,
    SecondFactor,
    Team,
    UserProfile,
    UserSession,
)
from app.tickets.models import Complaint, Feedback, ServiceStep, ServiceTarget, Ticket, TicketStatus, TicketStep

_numbers = count(1)


def _kept(row: Any) -> Any:
    db.session.add(row)
    db.session.commit()
    return row


def _id(user: User | None) -> int | None:
    return user.id if user is not None else None


def dictionary(type: DictionaryType, code: str) -> DictionaryItem:
    """The seeded item of a list, by its code."""
    return db.session.execute(
        sa.select(DictionaryItem).where(DictionaryItem.type == type, DictionaryItem.code == code)
    ).scalar_one()


def dictionary_item(
    *, type: DictionaryType = DictionaryType.region, label: str = "西藏", **given: Any
) -> DictionaryItem:
    """An item of a company's own."""
    given = {"code": f"own-{next(_numbers)}", "label_zh": label, "label_en": label, **given}
    return _kept(DictionaryItem(type=type, **given))


def calendar_day(*, day: date | None = None, working: bool = False, **given: Any) -> CalendarDay:
    """A day the company is off, or works when `working`."""
    return _kept(CalendarDay(day=day or today() + timedelta(days=next(_numbers)), working=working, **given))


# -- people -----------------------------------------------------------------------------------------------------


def role(
    *, rights: list[tuple[str, str]] | None = None, active: bool = True, label: str = "自定义", **given: Any
) -> Role:
    """A role of an administrator's own, with these (permission, view) rights."""
    from flask_appbuilder.security.sqla.models import Permission, PermissionView, ViewMenu

    permissions = [
        db.session.execute(
            sa.select(PermissionView)
            .join(Permission, Permission.id == PermissionView.permission_id)
            .join(ViewMenu, ViewMenu.id == PermissionView.view_menu_id)
            .where(Permission.name == permission, ViewMenu.name == view)
        ).scalar_one()
        for permission, view in rights or []
    ]
    made = _kept(Role(name=f"role-{next(_numbers)}", permissions=permissions))
    _kept(RoleProfile(role_id=made.id, active=active, label_zh=label, label_en=label, **given))
    return made


def seeded_role(code: str) -> Role:
    """One of the five seeded roles."""
    return db.session.execute(
        sa.select(Role).join(RoleProfile, RoleProfile.role_id == Role.id).where(RoleProfile.code == code)
    ).scalar_one()


def user(
    *, roles: list[Role] | None = None, role_code: str = "account_manager", active: bool = True,
    password: str = "three blue umbrellas", team: Team | None = None, language: str | None = None,
    phone: str | None = None, theme: str | None = None, **given: Any,
) -> User:  # fmt: skip
    """One more person; an account manager unless `roles` or `role_code` say otherwise."""
    number = next(_numbers)
    given = {
        "username": f"user{number}", "last_name": "孙", "first_name": "悦", "email": f"user{number}@liuke.example",
        "password": generate_password_hash(password, method="pbkdf2:sha256:1000"), **given,
    }  # fmt: skip
    made = _kept(User(active=active, roles=[seeded_role(role_code)] if roles is None else roles, **given))
    _kept(UserProfile(user_id=made.id, team=team, language=language, phone=phone, theme=theme))
    return made


def team(*, name: str | None = None, lead: User | None = None, members: tuple[User, ...] = (), **given: Any) -> Team:
    """A team with its members."""
    made = _kept(Team(name=name or f"第{next(_numbers)}组", lead=lead, **given))
    for member in members:
        profile = db.session.get(UserProfile, member.id) or UserProfile(user_id=member.id)
        profile.team = made
        _kept(profile)
    return made


def _somebody(given: User | None) -> User:
    return given if given is not None else user()


def user_session(*, user: User | None = None, **given: Any) -> UserSession:
    """A sign-in that goes on."""
    given = {"token_hash": f"{next(_numbers):064}", "expires_at": utcnow() + timedelta(hours=12), **given}
    return _kept(UserSession(user_id=_somebody(user).id, idle_seconds=1800, ip="10.0.0.8", **given))


def login_entry(*, user: User | None = None, result: LoginResult = LoginResult.success, **given: Any) -> LoginEntry:
    """A line of the login log."""
    account = user.username if user is not None else "nobody"
    return _kept(LoginEntry(account=account, user_id=_id(user), result=result, ip="10.0.0.8", **given))


def one_time_token(*, user: User | None = None, purpose: Purpose = Purpose.reset, **given: Any) -> OneTimeToken:
    """A link for a new password that was asked for; its mail is not made yet."""
    given = {"expires_at": utcnow() + timedelta(days=1), **given}
    return _kept(OneTimeToken(user_id=_somebody(user).id, purpose=purpose, **given))


def second_factor(
    *, user: User | None = None, secret: str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", on: bool = True
) -> SecondFactor:
    """A second step of signing in, switched on; the phone's secret is `secret`."""
    from app.security.second_factor import _seal

    kept = _seal().encrypt(secret.encode()).decode()
    return _kept(SecondFactor(user_id=_somebody(user).id, secret=kept, since=utcnow()))


def recovery_code(*, user: User | None = None, code: str = "abcdefghjkmnpqr") -> RecoveryCode:
    """A recovery code of an account with a second step."""
    from app.security.second_factor import _hash

    owner_id = user.id if user is not None else second_factor().user_id
    return _kept(RecoveryCode(user_id=owner_id, code_hash=_hash(code)))


# -- customers --------------------------------------------------------------------------------------------------


def customer(*, owner: User | None = None, by: User | None = None, name: str | None = None, **given: Any) -> Customer:
    """An active customer of level 1, registered today."""
    number = next(_numbers)
    given.setdefault("number", f"KH000000{number}")
    if "level" not in given and "level_id" not in given:
        given["level"] = dictionary(DictionaryType.level, "1")
    return _kept(Customer(name=name or f"北方机械{number}有限公司", owner=owner, created_by_id=_id(by), **given))


def stats(customer: Customer, *, last_order_at: datetime | None = None, **given: Any) -> CustomerStats:
    """What the sync keeps beside a customer."""
    return _kept(CustomerStats(customer_id=customer.id, last_order_at=last_order_at, **given))


def contact(customer: Customer | None = None, *, name: str = "刘洋", is_primary: bool = True, **given: Any) -> Contact:
    """The primary contact of a customer."""
    customer = customer or globals()["customer"]()
    given.setdefault("office_phone", "010-68348438-668")
    return _kept(Contact(customer=customer, name=name, is_primary=is_primary, **given))


def interaction(customer: Customer | None = None, *, by: User | None = None, **given: Any) -> Interaction:
    """A talk with a customer, now."""
    customer = customer or globals()["customer"](owner=by)
    given = {"title": "讨论年度采购计划", "place": "客户办公室", "occurred_at": utcnow(), **given}
    return _kept(Interaction(customer=customer, created_by_id=_id(by), **given))


# -- sales ------------------------------------------------------------------------------------------------------


def opportunity(
    *, by: User | None = None, given_to: User | None = None, assigned_by: User | None = None,
    status: OpportunityStatus | None = None, customer: Customer | None = None, **given: Any,
) -> Opportunity:  # fmt: skip
    """Unassigned, or in development once `given_to` somebody; won or lost when `status` says so."""
    number = next(_numbers)
    given = {
        "customer_name": f"东方纺织{number}有限公司", "title": "采购新生产线", "probability": 50,
        "description": "客户计划年内扩建车间。", **given,
    }  # fmt: skip
    status = status or (OpportunityStatus.assigned if given_to else OpportunityStatus.unassigned)
    if status is not OpportunityStatus.unassigned:
        given.setdefault("assigned_at", utcnow())
        given_to = given_to or user()
    if status is OpportunityStatus.won:
        customer = customer or globals()["customer"](name=given["customer_name"], owner=given_to)
        given.setdefault("close_kind", CloseKind.won)
    if status is OpportunityStatus.lost:
        given.setdefault("close_kind", CloseKind.failed)
        given.setdefault("close_reason", "客户选择了其他供应商。")
    if status in (OpportunityStatus.won, OpportunityStatus.lost):
        given.setdefault("closed_at", utcnow())
        given.setdefault("closed_by", given_to)
    return _kept(
        Opportunity(
            status=status, assignee=given_to, assigned_by_id=_id(assigned_by or (by if given_to else None)),
            customer=customer, created_by_id=_id(by), **given,
        )
    )  # fmt: skip


def plan_step(
    opportunity: Opportunity, *, planned_on: date | None = None, todo: str = "电话拜访", result: str | None = None,
    by: User | None = None, **given: Any,
) -> PlanStep:  # fmt: skip
    """One thing to do; done as soon as it has a `result`."""
    if result is not None:
        given.setdefault("executed_at", utcnow())
        given.setdefault("executed_by_id", _id(by) or opportunity.assignee_id)
    return _kept(
        PlanStep(opportunity_id=opportunity.id, planned_on=planned_on or today(), todo=todo, result=result, **given)
    )


# -- the sales system's mirror ----------------------------------------------------------------------------------


def product(*, name: str = "轴承", **given: Any) -> Product:
    """A product of the sales system."""
    given = {"external_id": f"P{next(_numbers)}", "model": "6204", "batch": "2026-01", "unit": "个", **given}
    return _kept(Product(name=name, **given))


def stock(product: Product | None = None, *, quantity: Any = 100, **given: Any) -> Stock:
    """How much of a product lies where."""
    given = {"warehouse": "北京一库", "location": f"A-{next(_numbers)}", **given}
    return _kept(Stock(product=product or globals()["product"](), quantity=Decimal(quantity), **given))


def order(
    customer: Customer | None = None, *, at: datetime | None = None, amount: Any = "1000.00",
    status: OrderStatus = OrderStatus.shipped, paid: bool | None = True, lines: int = 0, **given: Any,
) -> Order:  # fmt: skip
    """An order of a customer, shipped and paid; `lines` adds that many lines which share the amount."""
    given.setdefault("external_id", f"DD{next(_numbers):06d}")
    made = _kept(
        Order(
            customer=customer or globals()["customer"](), ordered_at=at or utcnow(), amount=Decimal(amount),
            status=status, paid=paid, **given,
        )
    )  # fmt: skip
    for position in range(1, lines + 1):
        order_line(made, line_no=position, amount=Decimal(amount) / lines)
    return made


def order_line(order: Order, *, line_no: int = 1, product: Product | None = None, **given: Any) -> OrderLine:
    """One line of an order."""
    given = {"quantity": Decimal(1), "unit": "个", "amount": Decimal(100), **given}
    return _kept(OrderLine(order=order, line_no=line_no, product=product or globals()["product"](), **given))


def sync_run(*, finished_at: datetime | None = None, status: SyncStatus = SyncStatus.done, **given: Any) -> SyncRun:
    """A sync that succeeded just now, and read an order."""
    finished_at = finished_at or utcnow()
    given.setdefault("counts", {"orders": {"rows": 1, "created": 1, "updated": 0, "unchanged": 0, "rejected": 0}})
    given = {"source": "feed", "started_at": finished_at - timedelta(minutes=1), **given}
    return _kept(SyncRun(status=status, finished_at=finished_at, **given))


# -- churn ------------------------------------------------------------------------------------------------------


def job_run(*, job: str = "churn-scan", status: RunStatus = RunStatus.done, **given: Any) -> JobRun:
    """One run of a job."""
    given = {"period": f"hand-{next(_numbers)}", "started_at": utcnow(), **given}
    if status is not RunStatus.running:
        given.setdefault("finished_at", utcnow())
    return _kept(JobRun(job=job, status=status, **given))


def churn_case(
    customer: Customer | None = None, *, status: ChurnStatus = ChurnStatus.warning, owner: User | None = None,
    opened_at: datetime | None = None, **given: Any,
) -> ChurnCase:  # fmt: skip
    """A warning about a customer, with its owner's name as it is now; or further on when `status` says so."""
    customer = customer or globals()["customer"](owner=owner)
    owner = owner or customer.owner
    opened_at = opened_at or utcnow()
    given.setdefault("rule_months", 6)
    given.setdefault("rule_cutoff", months_before(opened_at, given["rule_months"]))
    given.setdefault("owner_name", owner.get_full_name() if owner is not None else None)
    if status in (ChurnStatus.lost, ChurnStatus.won_back):
        given.setdefault("lost_at", opened_at)
        given.setdefault("reason", "客户改用竞品。")
    if status in (ChurnStatus.recovered, ChurnStatus.won_back):
        given.setdefault("resolved_at", opened_at)
    return _kept(ChurnCase(customer=customer, owner=owner, status=status, opened_at=opened_at, **given))


def measure(case: ChurnCase, *, text: str = "上门拜访", by: User | None = None, **given: Any) -> RetentionMeasure:
    """What somebody did to keep the customer."""
    return _kept(RetentionMeasure(case=case, text=text, by=by, **given))


def estimate_run(*, as_of: datetime | None = None, customers: int = 100, **given: Any) -> EstimateRun:
    """Estimates were worked out, of at least as many customers as that needs."""
    as_of = as_of or utcnow() - timedelta(hours=next(_numbers))
    given = {"made_at": as_of, "parameters": {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, **given}
    return _kept(EstimateRun(as_of=as_of, customers=customers, **given))


def estimate(customer: Customer | None = None, *, probability: float = 0.5, **given: Any) -> CustomerEstimate:
    """How likely a customer is not to order, as of now."""
    given = {"as_of": utcnow(), "made_at": utcnow(), **given}
    return _kept(
        CustomerEstimate(customer_id=(customer or globals()["customer"]()).id, probability=probability, **given)
    )


# -- service ----------------------------------------------------------------------------------------------------


def ticket(
    customer: Customer | None = None, *, by: User | None = None, given_to: User | None = None,
    status: TicketStatus | None = None, **given: Any,
) -> Ticket:  # fmt: skip
    """A new ticket, assigned once `given_to` somebody; handled or archived when `status` says so."""
    status = status or (TicketStatus.assigned if given_to else TicketStatus.created)
    given = {"number": f"FW000000{next(_numbers)}", "title": "设备有异响", "request": "请派工程师检查。", **given}
    if "type" not in given and "type_id" not in given:
        given["type"] = dictionary(DictionaryType.ticket_type, "inquiry")
    if status is not TicketStatus.created:
        given_to = given_to or user()
        given.setdefault("assigned_at", utcnow())
    if status in (TicketStatus.handled, TicketStatus.archived):
        given.setdefault("handling", "已更换轴承。")
        given.setdefault("handled_at", utcnow())
        given.setdefault("handled_by_id", _id(given_to))
    if status is TicketStatus.archived:
        given = {"result": "运行正常。", "satisfaction": 4, "archived_at": utcnow(), **given}
    return _kept(
        Ticket(
            customer=customer or globals()["customer"](),
            status=status,
            assignee=given_to,
            created_by_id=_id(by),
            **given,
        )
    )


def service_target(*, step: ServiceStep = ServiceStep.handle, hours: int = 9, **given: Any) -> ServiceTarget:
    """The target of a step, for a ticket type of the company's own."""
    if "type" not in given:
        given["type"] = dictionary_item(type=DictionaryType.ticket_type, label=f"返修{next(_numbers)}")
    return _kept(ServiceTarget(step=step, hours=hours, **given))


def ticket_step(ticket: Ticket, *, step: str = "created", actor: User | None = None, **given: Any) -> TicketStep:
    """One row of a ticket's history."""
    return _kept(TicketStep(ticket=ticket, step=step, actor=actor, **given))


def feedback(customer: Customer | None = None, *, accepted_by: User | None = None, **given: Any) -> Feedback:
    """What a customer said."""
    given = {"title": "交货及时", "received_on": today(), **given}
    customer = customer or globals()["customer"]()
    return _kept(Feedback(customer=customer, accepted_by=accepted_by or user(), **given))


def complaint(customer: Customer | None = None, *, accepted_by: User | None = None, **given: Any) -> Complaint:
    """What went wrong for a customer."""
    given = {"complainant": "刘洋", "subject": "包装破损", "received_on": today(), **given}
    customer = customer or globals()["customer"]()
    return _kept(Complaint(customer=customer, accepted_by=accepted_by or user(), **given))


def deletion(record: Any = None, *, by: User | None = None, at: datetime | None = None) -> Deletion:
    """A record (a contact, if none is given) that was deleted with what hangs on it, and its line in the bin."""
    record = record or contact()
    kind, key = record.__tablename__, record.id
    recycle.delete(record, actor=by, at=at)
    db.session.commit()
    found = sa.select(Deletion).where(Deletion.record_type == kind, Deletion.record_id == key)
    return db.session.execute(found).scalar_one()


# -- handover ---------------------------------------------------------------------------------------------------


def handover(*, leaver: User | None = None, actor: User | None = None, **given: Any) -> Handover:
    """What one person owned was handed over; the records are items of their own."""
    given = {"rule": {"kind": "one", "people": [], "lines": [], "rest": None}, "counts": {"moved": {}}, **given}
    return _kept(Handover(leaver=leaver or user(), actor=actor or user(), **given))


def handover_item(handover: Handover, record: Any = None, *, to: User | None = None) -> HandoverItem:
    """A record (a customer, if none is given) that changed hands."""
    record = record or customer()
    return _kept(
        HandoverItem(
            handover=handover,
            record_type=RecordKind(record.__tablename__),
            record_id=record.id,
            version=1,
            label=str(record),
            from_id=handover.leaver_id,
            to=to or user(),
            outcome=ItemOutcome.moved,
        )
    )


# -- marketing --------------------------------------------------------------------------------------------------


def attachment(
    record: Any = None, *, by: User | None = None, name: str = "合同.pdf", mime: str = "application/pdf", **given: Any
) -> Attachment:
    """The row of a file on a record (a ticket, if none is given); no file is behind it."""
    record = record or ticket()
    key = f"{next(_numbers):032x}"
    given = {"size": 57, "key": key, "sha256": key * 2, "created_by_id": _id(by), **given}
    return _kept(Attachment(record_type=record.__tablename__, record_id=record.id, name=name, mime=mime, **given))


def report_close(*, report: str = "contribution", month: date | None = None, **given: Any) -> ReportClose:
    """A month of a report in which nothing was counted."""
    month = month or date(1997, 1, 1) + timedelta(days=next(_numbers))
    table = {"total": {"orders": 0, "amount": {"$": "0.00"}}, "lines": [], "whole": True}
    return _kept(ReportClose(report=report, month=month, **{"closed_at": utcnow(), "table": table, **given}))


def report_mail(*, to: User | None = None, report: str = "contribution", **given: Any) -> ReportMail:
    """A report that somebody gets every week."""
    given = {"every": Every.weekly, "kind": FileKind.xlsx, "args": "", **given}
    return _kept(ReportMail(user=to or user(), report=report, **given))


def activity(*, title: str = "春季展会", kind: ActivityKind = ActivityKind.fair, **given: Any) -> Activity:
    """A trade fair that begins today."""
    given.setdefault("starts_on", today())
    return _kept(Activity(title=title, kind=kind, **given))


def participant(activity: Activity, customer: Customer | None = None) -> Participant:
    """A customer at an activity."""
    return _kept(Participant(activity=activity, customer=customer or globals()["customer"]()))


# -- reports ----------------------------------------------------------------------------------------------------


def dashboard_tile(*, user: User | None = None, key: str = "amount", position: int = 0) -> DashboardTile:
    """A tile somebody chose for his dashboard."""
    return _kept(DashboardTile(user_id=_somebody(user).id, key=key, position=position))
