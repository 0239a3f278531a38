"""个人信息: shown, taken away and erased on request, by a right of its own, with a log entry, out of the log too."""

from __future__ import annotations

import io
import json
from datetime import date, timedelta

import pytest
import sqlalchemy as sa
from flask_appbuilder import Model
from flask_appbuilder.security.sqla.models import User

from app import create_app
from app.attachments.models import Attachment
from app.churn import operations as churn
from app.churn.models import ChurnCase
from app.churn.operations import scan
from app.core import personal
from app.core.changes import moving
from app.core.clock import local, utcnow
from app.core.models import AuditEntry, FieldChange, Outcome
from app.core.unit import unit_of_work
from app.customers.models import Contact, Interaction
from app.desk.reminders import tell_dated
from app.handover.models import RuleKind
from app.handover.operations import hand_over, undo
from app.handover.plan import plan_for
from app.handover.rule import Rule
from app.notices.models import Channel, Delivery, DeliveryStatus, NoticeSettings, Notification, Robot
from app.notices.operations import calendar_hash, renew_calendar, save_robot
from app.reports.closing import close
from app.reports.period import month_of
from app.sales import operations as sales
from app.sales.models import Opportunity, OpportunityStatus
from app.security import operations, people
from app.security.models import LoginEntry, LoginResult, OneTimeToken, RecoveryCode, SecondFactor, UserProfile
from app.security.sessions import note_login
from app.tickets import operations as tickets
from app.tickets.escalation import escalate
from app.tickets.models import Complaint, Feedback, Ticket, TicketStep, TicketWord
from tests import builders
from tests.attachments.files import PDF
from tests.support import Browser, rows, text_of

HIS = ("孙小美", "13800138000", "sun@example.com", "010-5555", "杭州路 1 号")


@pytest.fixture
def contact(db, li, wang):
    """A person who stands in a contact, an interaction, a complaint and an opportunity, and in their changes."""
    customer = builders.customer(owner=wang)
    made = builders.contact(customer, name="小孙", office_phone="010-1", mobile="13800138000", email="sun@example.com")
    talk = builders.interaction(customer, contact=made, title="给孙小美打电话", detail="回拨 13800138000", by=wang)
    builders.interaction(customer, title="与别人开会")
    builders.complaint(customer, accepted_by=wang, complainant="孙小美", content="孙小美说坏了")
    opportunity = builders.opportunity(contact_name="孙小美", contact_phone="13800138000", by=li)
    with unit_of_work(), moving("contact", "edit", actor=li):
        made.name, made.office_phone, made.home_address, made.is_primary = "孙小美", "010-5555", "杭州路 1 号", True
        talk.detail, talk.place = "请回拨 13800138000", "会议室"
        opportunity.contact_name = "孙小美"
    return made


@pytest.fixture
def officer(db):
    """Somebody whose work this is, and nothing else."""
    rights = [("can_show", "PersonalData"), ("can_export", "PersonalData"), ("can_erase", "PersonalData")]
    return builders.user(roles=[builders.role(rights=rights)])


def test_a_person_is_found_and_shown_with_all_that_is_kept(sign_in, officer, contact):
    browser = sign_in(officer)
    for wanted in ("孙小美", "1380013", "sun@EXAMPLE"):
        assert f"/personal/show/contact-{contact.id}" in browser.get(f"/personal/?q={wanted}").get_data(as_text=True)
    assert "Nobody was found." in text_of(browser.get("/personal/?q=不存在"))
    text = text_of(browser.get(f"/personal/show/contact-{contact.id}"))
    for word in (*HIS, "给孙小美打电话", "孙小美说坏了", "小孙"):
        assert word in text
    assert "与别人开会" not in text


def test_all_of_it_is_one_file_and_taking_it_is_written_down(sign_in, officer, contact):
    answer = sign_in(officer).post(f"/personal/export/contact-{contact.id}")
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="personal-contact-')
    told = json.loads(answer.get_data(as_text=True))
    assert told["person"] == "孙小美"
    assert {row["table"] for row in told["held"]} == {"contact", "interaction", "complaint", "opportunity"}
    assert {"table": "contact", "field": "name", "from": "小孙", "to": "孙小美"}.items() <= next(
        change for change in told["changes"] if change["field"] == "name"
    ).items()
    (entry,) = rows(AuditEntry, AuditEntry.action == "export_personal")
    assert (entry.record_type, entry.record_id, entry.actor_id) == ("contact", contact.id, officer.id)


def test_erasing_leaves_nothing_of_the_person_in_the_records_or_the_log(sign_in, officer, contact):
    kept = len(rows(FieldChange))
    browser = sign_in(officer)
    question = text_of(browser.get(f"/personal/erase/contact-{contact.id}"))
    assert "This cannot be undone." in question
    assert "13800138000" in question

    answer = browser.post(f"/personal/erase/contact-{contact.id}")

    assert answer.location == f"/personal/show/contact-{contact.id}"
    everything = repr(
        [
            [getattr(row, column.key) for column in model.__table__.columns if column.key not in ("search_key",)]
            for model in (Contact, Interaction, Complaint, Opportunity, FieldChange, AuditEntry)
            for row in rows(model)
        ]
    )
    for word in (*HIS, "小孙"):
        assert word not in everything, word
    (person,) = rows(Contact)
    assert (person.name, person.office_phone, person.mobile, person.is_primary) == ("***", "***", None, True)
    assert [talk.title for talk in rows(Interaction)] == ["给***打电话", "与别人开会"]
    assert rows(Complaint)[0].content == "***说坏了"
    assert len(rows(FieldChange)) > kept  # nothing was taken from the log
    places = rows(FieldChange, FieldChange.field == "place")
    assert [(c.after, c.erased) for c in places] == [("会议室", False)]  # what says nothing about him stays
    (entry,) = rows(AuditEntry, AuditEntry.action == "erase")
    assert (entry.record_type, entry.record_id, entry.actor_id) == ("contact", contact.id, officer.id)
    told = rows(FieldChange, FieldChange.move == "contact.erase")
    assert told
    assert {(c.before, c.after, c.erased) for c in told} == {(None, None, True)}


def test_what_colleagues_were_told_and_how_files_are_called_goes_too(sign_in, officer, contact, wang):
    contact.birthday = local(utcnow()).date()
    (talk,) = rows(Interaction, Interaction.contact_id == contact.id)
    talk.next_follow_up_on = contact.birthday
    other = rows(Interaction, Interaction.contact_id.is_(None))[0]
    other.occurred_at = talk.occurred_at - timedelta(days=1)  # else the talk was followed up already
    builders.attachment(talk, name="孙小美的名片.jpg")
    builders.attachment(other, name="孙小美以外.jpg")
    with unit_of_work():
        assert tell_dated(contact.birthday, utcnow()) == 2
    browser = sign_in(officer)
    shown = text_of(browser.get(f"/personal/show/contact-{contact.id}"))
    for word in ("孙小美的名片.jpg", f"孙小美 · {contact.customer.name}"):
        assert word in shown

    browser.post(f"/personal/erase/contact-{contact.id}")

    assert sorted(file.name for file in rows(Attachment)) == ["***以外.jpg", "***的名片.jpg"]
    assert sorted(str(n.words.get("name") or n.words.get("title")) for n in rows(Notification)) == [
        "***",
        "给***打电话",
    ]


def test_nothing_of_an_erased_contact_is_left_in_what_was_made_of_it(sign_in, officer, contact, li, wang):
    browser, (talk,) = sign_in(wang), rows(Interaction, Interaction.contact_id == contact.id)
    with unit_of_work():
        ticket = tickets.open_ticket(rows(Complaint)[0], actor=wang)
    sign_in(li).post(f"/tickets/assign/{ticket.id}", {"assignee": wang.id})
    file = {"files": (io.BytesIO(PDF), "孙小美的名片.pdf")}
    assert browser.post(f"/interactions/{talk.id}/files", file).status_code == 302
    browser.post(f"/interactions/{talk.id}/files", {**file, "files": (io.BytesIO(PDF), "再次 孙小美.pdf")})
    browser.post(f"/tickets/handle/{ticket.id}", {"handling": "已回电 13800138000，孙小美满意"})
    browser.post(f"/tickets/give-feedback/{ticket.id}", {"result": "好", "satisfaction": "5"})
    assert rows(TicketWord, TicketWord.word == "小美")
    assert standing(HIS) >= {"attachment.name", "audit_entry.note", "ticket.request", "ticket_step.text",
                             "ticket.handling", "interaction.title", "field_change.before"}  # fmt: skip

    assert sign_in(officer).post(f"/personal/erase/contact-{contact.id}").status_code == 302

    assert standing((*HIS, "小孙")) == set()
    assert rows(Ticket)[0].request == "***说坏了"
    assert [word.word for word in rows(TicketWord) if "孙" in word.word or "美" in word.word] == []
    assert rows(TicketWord)
    assert [file.name for file in rows(Attachment)] == ["***的名片.pdf"]  # the file is the interaction's and stays


def words_everywhere(contact, li, wang):
    """The person's names of now and then in every text of the customer, its opportunities and its warning."""
    customer, name = contact.customer, "孙小美"
    won = builders.opportunity(
        status=OpportunityStatus.won, customer=customer, given_to=wang, contact_name=name, title=f"{name}的生产线",
        description=f"问{name}，手机 13800138000",
    )  # fmt: skip
    going = builders.opportunity(by=li, contact_name=name, contact_phone="13800138000", title=f"再问小孙 {'长' * 195}")
    with unit_of_work():
        sales.assign(going, actor=li, assignee=wang)
    step = builders.plan_step(going, todo=f"拜访{name}", planned_on=local(utcnow()).date())
    with unit_of_work():
        tell_dated(local(utcnow()).date(), utcnow())
        sales.execute_step(step, actor=wang, result=f"{name}同意")
        sales.lose(going, actor=wang, reason=f"{name}不要了")
    builders.attachment(going, name=f"给{name}.pdf")
    builders.handover_item(builders.handover(leaver=wang), won, to=li)
    case = builders.churn_case(customer, owner=wang)
    with unit_of_work():
        churn.defer(case, actor=wang, text=f"给{name}打了电话")
    with unit_of_work():
        churn.confirm_lost(case, actor=wang, reason="小孙说不买了 010-1")
    said = builders.feedback(customer, accepted_by=wang, title=f"{name}很满意", content="小孙说好")
    with unit_of_work(), moving("customer", "edit", actor=wang):
        customer.memo, said.memo, won.title = f"只找{name}", f"回{name}", f"{name}的新生产线"
    with unit_of_work(), moving("customer", "edit", actor=wang):
        said.memo = "已回"
    builders.interaction(customer, title=f"与老板谈{name}", by=wang)
    builders.deletion(said, by=wang)


def test_no_text_of_the_customer_names_an_erased_contact(sign_in, officer, contact, li, wang):
    words_everywhere(contact, li, wang)
    other = builders.feedback(builders.customer(), accepted_by=wang, title="孙小美也在别处")
    mine = builders.feedback(contact.customer, accepted_by=wang, title="价格太高")
    assert standing((*HIS, "小孙", "010-1")) >= {
        "opportunity.title", "opportunity.description", "opportunity.close_reason", "plan_step.todo",
        "plan_step.result", "feedback.title", "feedback.content", "customer.memo", "retention_measure.text",
        "churn_case.reason", "attachment.name", "handover_item.label", "notification.words", "audit_entry.note",
        "field_change.before", "field_change.after", "deletion.label",
    }  # fmt: skip
    browser = sign_in(officer)
    shown = text_of(browser.get(f"/personal/erase/contact-{contact.id}"))
    for word in ("孙小美的新生产线", "拜访孙小美", "只找孙小美", "给孙小美打了电话", "小孙说好", "与老板谈孙小美"):
        assert word in shown
    for word in ("价格太高", "孙小美也在别处", "与别人开会"):
        assert word not in shown

    assert browser.post(f"/personal/erase/contact-{contact.id}").status_code == 302

    assert standing((*HIS, "小孙", "010-1")) == {"feedback.title"}
    assert [row.title for row in rows(Feedback)] == ["***很满意", other.title, mine.title]
    assert sorted(len(row.title) for row in rows(Opportunity))[-1] == 200
    again = text_of(browser.get(f"/personal/show/contact-{contact.id}"))
    assert "很满意" not in again


@pytest.mark.parametrize("kind", ["opportunity", "complaint"])
def test_who_stands_in_no_contact_is_found_taken_along_and_erased(sign_in, officer, li, wang, kind):
    name, customer = "乔一帆", builders.customer(owner=wang)
    if kind == "opportunity":
        known = {"customer_name": "海风", "contact_name": name, "contact_phone": "13500005555"}
        record = builders.opportunity(by=li, title=f"{name}要货", **known)
        builders.plan_step(builders.opportunity(given_to=wang, **known), todo=f"给{name}打电话")
        stranger = builders.opportunity(by=li, contact_name=name, contact_phone="1", title="同名的人")
        builders.opportunity(by=li, customer_name="海风", title="没有联系人")
        with unit_of_work(), moving("opportunity", "edit", actor=li):
            record.contact_phone = "13500006666"
        found_by, there = ("乔一", "13500006666"), {"opportunity.contact_name"}
    else:
        record = builders.complaint(customer, accepted_by=wang, complainant=name, content=f"{name}说坏了")
        builders.complaint(customer, accepted_by=wang, complainant=name, subject=f"{name}又来了")
        stranger = builders.complaint(accepted_by=wang, complainant=name, subject="同名的人")
        with unit_of_work():
            tickets.open_ticket(record, actor=wang)
        found_by, there = ("乔一帆",), {"complaint.complainant"}
    page, browser = f"{kind}-{record.id}", sign_in(officer)
    for wanted in found_by:
        assert f"/personal/show/{page}" in browser.get(f"/personal/?q={wanted}").get_data(as_text=True), wanted
    told = browser.post(f"/personal/export/{page}").get_data(as_text=True)
    assert json.loads(told)["person"] == name
    assert "同名的人" not in told

    assert browser.post(f"/personal/erase/{page}").status_code == 302

    assert standing((name, "13500006666", "13500005555")) == there
    assert standing(("同名的人",))
    assert getattr(stranger, next(iter(there)).partition(".")[2]) == name
    done = rows(AuditEntry, AuditEntry.action.in_(("erase", "export_personal")))
    assert [(e.record_type, e.record_id, e.actor_id) for e in done] == [(kind, record.id, officer.id)] * 2
    again = text_of(browser.get(f"/personal/show/{page}"))
    for word in ("没有联系人", "同名的人"):
        assert word not in again
    assert browser.post(f"/personal/erase/{page}").status_code == 302
    assert standing(("同名的人",))


def test_the_page_of_the_record_says_that_it_was_erased(sign_in, officer, li, contact):
    sign_in(officer).post(f"/personal/erase/contact-{contact.id}")
    assert "Erased on request" in text_of(sign_in(li).get(f"/contacts/show/{contact.id}"))


def test_a_user_is_erased_once_the_account_is_disabled(app, sign_in, admin, zhao):
    with unit_of_work(), moving("ab_user", "edit", actor=admin):
        builders.db.session.get(UserProfile, zhao.id).phone = "13911112222"
    note_login("zhao", LoginResult.success, user_id=zhao.id, ip="10.1.2.3")
    browser = sign_in(admin)
    address = f"/personal/erase/user-{zhao.id}"

    early = browser.post(address)
    assert early.status_code == 409
    assert "disable it first" in text_of(early)
    assert [e.outcome for e in rows(AuditEntry, AuditEntry.action == "erase")] == [Outcome.refused]

    with unit_of_work():
        builders.db.session.get(User, zhao.id).active = False
    assert browser.post(address).status_code == 302
    person = rows(User, User.id == zhao.id)[0]
    assert (person.username, person.last_name, person.email) == (f"erased-{zhao.id}", "***", f"erased-{zhao.id}")
    assert rows(UserProfile, UserProfile.user_id == zhao.id)[0].phone is None
    assert {(e.account, e.ip) for e in rows(LoginEntry, LoginEntry.user_id == zhao.id)} == {("", None)}
    log = repr([(c.before, c.after) for c in rows(FieldChange)])
    assert "13911112222" not in log
    assert "zhao@" not in log
    assert Browser(app).login_page("zhao").status_code != 302


def everything_kept():
    """Every value of every table, as text, by its column."""
    kept = {}
    for table in Model.metadata.sorted_tables:
        for row in builders.db.session.execute(sa.select(table)).mappings():
            for name, value in row.items():
                kept.setdefault(f"{table.name}.{name}", []).append(value)
    return {column: repr(values) for column, values in kept.items()}


def standing(words):
    """The columns in which one of these words stands."""
    return {column for column, text in everything_kept().items() if any(word in text for word in words)}


def busy_manager(sign_in, li, admin):
    """An account manager whose names stand wherever the product copies them to."""
    with unit_of_work():
        him = operations.create_user(
            actor=admin, account="unique-account", last_name="龘", first_name="靐", email="unique@liuke.example",
            phone="13977776666", password="seven green bicycles", roles=people.roles_by_code(["account_manager"]),
        )  # fmt: skip
    lead = sign_in(li)
    ticket, waiting = builders.ticket(), builders.ticket()
    for path, assignee in ((f"assign/{ticket.id}", him), (f"reassign/{ticket.id}", him), (f"assign/{waiting.id}", him)):
        lead.post(f"/tickets/{path}", {"assignee": assignee.id})
    won = builders.opportunity(given_to=him, status=OpportunityStatus.won, customer=builders.customer())
    lead.post(f"/opportunities/assign/{builders.opportunity(by=li).id}", {"assignee": him.id})
    late = builders.customer(owner=him, registered_on=date(2020, 1, 1))
    builders.order(late, at=utcnow() - timedelta(days=400))
    with unit_of_work():
        scan(as_of=utcnow())
    close(month_of(local(won.closed_at).date()), at=utcnow() + timedelta(days=40))
    with unit_of_work():
        operations.change_user(
            him, actor=admin, last_name="龘龖", first_name="靐", email="unique@liuke.example", phone="13977776666",
            team=None, active=True, roles=him.roles,
        )  # fmt: skip
    builders.db.session.get(Ticket, ticket.id).due_at = utcnow() - timedelta(days=30)
    builders.db.session.commit()
    list(escalate(utcnow()))
    lead.post(f"/tickets/reassign/{ticket.id}", {"assignee": him.id})
    other = builders.user(role_code="account_manager")
    to_other = Rule(RuleKind.one, people=(other.id,))
    with unit_of_work():
        given = hand_over(him, to_other, stamp=plan_for(him, to_other).stamp, actor=li)
    with unit_of_work():
        undo(given, actor=li)
    note_login("unique-account", LoginResult.success, user_id=him.id, ip="10.1.2.3")
    assert late.owner_id == him.id
    return him


def test_no_copy_of_the_name_of_an_erased_user_is_left_anywhere(sign_in, admin, li):
    him = busy_manager(sign_in, li, admin)
    words = ("龘", "unique-account", "unique@liuke", "13977776666")
    own = {"ab_user.username", "ab_user.last_name", "ab_user.email", "user_profile.phone", "login_entry.account",
           "field_change.before", "field_change.after"}  # fmt: skip
    copies = {"churn_case.owner_name", "ticket_step.text", "audit_entry.note", "audit_entry.changes",
              "notification.words", "report_close.table"}  # fmt: skip
    assert standing(words) == own | copies
    with unit_of_work():
        him.active = False
    kept = [len(rows(model)) for model in (FieldChange, Notification, TicketStep)]

    assert sign_in(admin).post(f"/personal/erase/user-{him.id}").status_code == 302

    assert standing(words) == set()
    assert all(len(rows(m)) >= n for m, n in zip((FieldChange, Notification, TicketStep), kept, strict=True))
    assert {case.owner_name for case in rows(ChurnCase)} == {"***"}
    assert {told.words["name"] for told in rows(Notification) if "name" in told.words} == {"***"}


def test_only_a_super_admin_erases_one(sign_in, officer, admin):
    other = builders.user(role_code="super_admin", active=False)
    answer = sign_in(officer).post(f"/personal/erase/user-{other.id}")
    assert answer.status_code == 403
    assert rows(User, User.id == other.id)[0].username == other.username


@pytest.mark.parametrize("page", ["", "show/contact-1", "erase/contact-1"])
@pytest.mark.parametrize("who", ["li", "wang", "sysadmin"])
def test_nobody_else_opens_it(request, sign_in, contact, who, page):
    browser = sign_in(request.getfixturevalue(who))
    assert browser.get(f"/personal/{page}").status_code == 403
    if page.startswith("erase"):
        assert browser.post(f"/personal/{page}").status_code == 403
        assert browser.post("/personal/export/contact-1").status_code == 403


@pytest.mark.parametrize("nobody", ["contact-0", "contact-99999", "team-1", "user", "contact-x", "-", "1"])
def test_who_is_nobody_is_not_found(sign_in, officer, nobody):
    browser = sign_in(officer)
    for page in ("show", "erase"):
        assert browser.get(f"/personal/{page}/{nobody}").status_code == 404
    assert browser.post(f"/personal/export/{nobody}").status_code == 404


KEY = "0123456789abcdef"


def keys_of(user):
    """Everything of this account that opens something, or says from where it was opened."""
    hook = f"https://open.feishu.cn/open-apis/bot/v2/hook/{KEY}"
    with unit_of_work():
        save_robot(user, Channel.feishu, url=hook, secret="robot-secret", at=utcnow())
        token = renew_calendar(user, at=utcnow())
    builders.second_factor(user=user)
    db = builders.db
    db.session.add(RecoveryCode(user_id=user.id, code_hash="recovery-hash"))
    db.session.commit()
    builders.one_time_token(user=user)
    builders.user_session(user=user, user_agent="Telephone 7", ended_at=utcnow(), end_reason="x")
    waiting = Delivery(key="k", channel=Channel.feishu, recipient_id=user.id, robot_id=rows(Robot)[0].id)
    db.session.add(waiting)
    db.session.commit()
    return token


def test_robots_calendar_and_devices_of_a_user_are_shown_without_their_secrets(sign_in, admin, zhao):
    token = keys_of(zhao)
    browser = sign_in(admin)

    shown = text_of(browser.get(f"/personal/show/user-{zhao.id}"))
    told = browser.post(f"/personal/export/user-{zhao.id}").get_data(as_text=True)

    for text in (shown, told):
        for word in ("open.feishu.cn/…cdef", "10.0.0.8", "Telephone 7"):
            assert word in text
        for secret in (KEY, "robot-secret", token, calendar_hash(token), "recovery-hash"):
            assert secret not in text
    held = {row["table"]: row["values"] for row in json.loads(told)["held"]}
    assert held["robot"] == {"channel": "feishu", "masked": "open.feishu.cn/…cdef", "since": held["robot"]["since"]}
    assert held["notice_settings"]["calendar_at"]
    assert held["second_factor"]["since"]


def test_nothing_that_opens_something_is_left_of_an_erased_user(sign_in, admin, wang, zhao):
    token = keys_of(zhao)
    with unit_of_work():
        renew_calendar(wang, at=utcnow())
    builders.second_factor(user=wang)
    words = (KEY, "robot-secret", calendar_hash(token), "recovery-hash", "10.0.0.8", "Telephone 7")
    assert standing(words) == {"robot.url", "robot.secret", "notice_settings.calendar_hash",
                               "recovery_code.code_hash", "user_session.ip", "user_session.user_agent"}  # fmt: skip
    with unit_of_work():
        zhao.active = False

    assert sign_in(admin).post(f"/personal/erase/user-{zhao.id}").status_code == 302

    assert standing(words) == set()
    assert rows(Robot) == []
    assert [(d.robot_id, d.status) for d in rows(Delivery)] == [(None, DeliveryStatus.dropped)]
    assert [row.user_id for row in rows(NoticeSettings) if row.calendar_hash] == [wang.id]
    assert [row.user_id for row in rows(SecondFactor)] == [wang.id]
    assert all(row.used_at for row in rows(OneTimeToken))
    shown = text_of(sign_in(admin).get(f"/personal/show/user-{zhao.id}"))
    assert "feishu" not in shown
    assert [e.actor_id for e in rows(AuditEntry, AuditEntry.action == "erase")] == [admin.id]


@pytest.mark.once
def test_a_second_application_declares_nothing_twice(app, world):
    def declared():
        return {kind: (len(held), len(personal.COPIES.get(kind, ()))) for kind, held in personal.HOLDINGS.items()}

    first = declared()
    create_app(TESTING=True, SQLALCHEMY_DATABASE_URI=world.scratch_database())
    assert declared() == first
    assert first["user"] > (3, 3)
