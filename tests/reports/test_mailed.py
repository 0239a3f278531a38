"""Reports by mail: what the page's export says, as the reader reads it then, once a week or a month."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.core.models import AuditEntry
from app.core.unit import unit_of_work
from app.mirror.operations import refresh_totals
from app.notices import post, transport
from app.notices.models import Delivery, DeliveryStatus, Notification
from app.notices.transport import NotNow
from app.reports import mailing
from app.reports.models import Every, FileKind, ReportMail, StopReason
from app.reports.operations import queue_mails, subscribe
from app.runs.models import JobRun
from app.sales.models import OpportunityStatus
from app.security.models import UserProfile
from jobs import report_mail
from tests import builders
from tests.support import rows, text_of

SHANGHAI = ZoneInfo("Asia/Shanghai")
MONDAY = date(2026, 3, 16)
PAGE = "/reports/contribution/"


@pytest.fixture
def company(db, wang, zhao):
    """A customer of Wang's and one of Zhao's, each with an order in March 2026."""
    for owner, name, amount in ((wang, "恒锐精密", "1000.10"), (zhao, "秦岭航空", "2000")):
        at = datetime(2026, 3, 10, 12, tzinfo=SHANGHAI).astimezone(UTC)
        builders.order(builders.customer(owner=owner, name=name), amount=amount, at=at)
    refresh_totals()
    db.session.commit()


@pytest.fixture
def sent(app, db, monkeypatch):
    """The mails that went out; `refuse` is raised by the next one."""

    class Sent(list):
        refuse: Exception | None = None

    kept = Sent()

    def send(mail):
        if kept.refuse is not None:
            refusal, kept.refuse = kept.refuse, None
            raise refusal
        kept.append(mail)

    monkeypatch.setattr(transport, "send_mail", send)
    return kept


@pytest.fixture
def gets(db, company):
    """`gets(wang)` has him get the customer contribution every week as CSV."""

    def choose(person, every=Every.weekly, kind=FileKind.csv, **args):
        with unit_of_work():
            subscribe(person, "contribution", args, every=every, kind=kind)
        return rows(ReportMail)[-1]

    return choose


def week(every=Every.weekly, day=MONDAY):
    """Make the mails of this day and send them."""
    with unit_of_work():
        made = queue_mails(every, day)
    post.send_all()
    return made


def file_in(mail):
    (file,) = mail.iter_attachments()
    return file


def exported(browser, **given):
    return browser.post(f"{PAGE}export", {"format": "csv", "period": "2026-03", **given}).get_data()


# -- what it says -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("name", ["chen", "wang"])
def test_the_file_is_the_export_of_his_page_in_his_language(db, gets, sent, request, sign_in, name, language):
    person = request.getfixturevalue(name)
    db.session.get(UserProfile, person.id).language = language
    db.session.commit()
    gets(person, orders="paid")

    assert week() == 1

    (mail,) = sent
    assert mail["To"] == f"{name}@liuke.example"
    assert file_in(mail).get_content_type() == "text/csv"
    content = file_in(mail).get_payload(decode=True)
    assert content == exported(sign_in(person), orders="paid")
    assert ("秦岭航空" in content.decode()) == (name == "chen")
    told = mail.get_body().get_content()
    assert ("2026年3月" if language == "zh" else "Mar 2026") in told
    assert mail["Subject"].startswith("留客" if language == "zh" else "Liuke: Customer contribution Mar 2026")
    company = "全公司" if language == "zh" else "Figures of: The whole company"
    assert [words in told for words in (company, "王强")] == [name == "chen", name == "wang"]
    named = "客户贡献-2026年3月" if language == "zh" else "Customer contribution-Mar 2026"
    whose = "王强" if name == "wang" else company.removeprefix("Figures of: ")
    paid = "付款情况 仅已付款" if language == "zh" else "Payment Paid only"
    assert file_in(mail).get_filename() == f"{named}-{whose}-{paid}.csv"
    first = next(e for e in rows(AuditEntry) if e.action == "export")
    assert (first.actor_id, first.note) == (
        person.id, f"contribution?orders=paid&period=2026-03 csv {3 if name == 'chen' else 2} mail"
    )  # fmt: skip


def test_a_workbook_comes_with_its_name_and_kind(gets, sent, chen):
    gets(chen, kind=FileKind.xlsx)
    week()
    file = file_in(sent[0])
    assert file.get_filename() == "Customer contribution-Mar 2026-The whole company.xlsx"
    assert file.get_payload(decode=True)[:2] == b"PK"


@pytest.mark.parametrize(
    ("every", "day", "period"),
    [
        (Every.weekly, date(2026, 3, 30), "2026-03"),
        (Every.weekly, date(2026, 4, 3), "2026-03"),  # its Monday is the 30th of March
        (Every.weekly, date(2026, 4, 6), "2026-03"),  # the week before began on the 30th of March
        (Every.weekly, date(2026, 4, 13), "2026-04"),
        (Every.weekly, date(2026, 6, 1), "2026-05"),  # a Monday: the week before ended on the 31st of May
        (Every.weekly, date(2026, 11, 2), "2026-10"),  # it ended on the 1st of November
        (Every.monthly, date(2026, 4, 4), "2026-03"),
        (Every.monthly, date(2026, 1, 4), "2025-12"),
    ],
)
def test_weekly_is_about_the_month_in_which_the_week_before_began_and_monthly_about_the_one_before(
    gets, sent, chen, every, day, period
):
    gets(chen, every=every)
    week(every, day)
    assert [e.note.split(" ")[0] for e in rows(AuditEntry) if e.action == "export"] == [f"contribution?period={period}"]
    (mail,) = sent
    assert ("恒锐精密,1,1000.10" in file_in(mail).get_payload(decode=True).decode()) == (period == "2026-03")


@pytest.mark.parametrize("year", [2026, 2028])
def test_every_day_of_a_year_is_in_a_weekly_mail_of_its_month_made_after_it(year):
    first = date(year, 1, 1)
    mondays = [first + timedelta(days=n) for n in range(400) if (first + timedelta(days=n)).weekday() == 0]
    told = {monday: mailing._month(Every.weekly, monday.isoformat()) for monday in mondays}
    for n in range(366):
        day = first + timedelta(days=n)
        assert any(monday > day and month.first <= day < month.until for monday, month in told.items()), day


def test_the_address_of_the_page_is_in_it_when_it_is_known(app, gets, sent, chen):
    app.config["LIUKE_URL"] = "https://crm.example/"
    gets(chen, orders="paid")
    week()
    assert "https://crm.example/reports/contribution/?orders=paid&period=2026-03" in sent[0].get_body().get_content()


# -- once ---------------------------------------------------------------------------------------------------------


def test_it_comes_once_a_week_with_one_message_id(gets, sent, chen):
    kept = gets(chen)
    assert [week(), week(), week(day=date(2026, 3, 22))] == [1, 0, 0]  # Sunday: the same week
    assert week(day=date(2026, 3, 23)) == 1
    ids = [mail["Message-ID"] for mail in sent]
    assert ids == [post.message_id(f"report-{kept.id}-2026-03-{day}") for day in (16, 23)]
    assert [(d.status, d.repeats) for d in rows(Delivery)] == [(DeliveryStatus.sent, 0)] * 2
    assert rows(ReportMail)[0].last_sent_for == "2026-03-23"


def test_what_was_not_sent_is_tried_again_with_the_same_message_id(db, gets, sent, chen):
    kept = gets(chen)
    sent.refuse = NotNow("away")
    week()
    (row,) = rows(Delivery)
    assert (row.status, row.error) == (DeliveryStatus.waiting, "away")

    assert post.send_all(row.due_at) == {"sent": 1, "later": 0, "failed": 0}
    assert [mail["Message-ID"] for mail in sent] == [post.message_id(f"report-{kept.id}-2026-03-16")]


def test_a_sender_that_was_killed_is_seen_in_the_log(db, gets, sent, chen):
    kept = gets(chen)
    with unit_of_work():
        queue_mails(Every.weekly, MONDAY)
    with unit_of_work():
        lost = post.claim(rows(Delivery)[0].due_at)  # and then nobody heard of it again
    post.send_all(lost.due_at)
    (row,) = rows(Delivery)
    assert (row.status, row.attempts, row.repeats) == (DeliveryStatus.sent, 2, 1)
    assert sent[0]["Message-ID"] == post.message_id(f"report-{kept.id}-2026-03-16")


# -- who ----------------------------------------------------------------------------------------------------------


def test_it_stops_when_the_right_is_gone(db, gets, sent, chen):
    kept = gets(chen)
    chen.roles = [builders.role(rights=[("can_show", "ContributionReport")])]
    db.session.commit()

    week()

    assert sent == []
    assert (kept.active, kept.stopped_why) == (False, StopReason.right)
    assert [d.status for d in rows(Delivery)] == [DeliveryStatus.dropped]
    assert [e for e in rows(AuditEntry) if e.action == "export"] == []
    assert week(day=date(2026, 3, 23)) == 0


@pytest.mark.parametrize("language", ["zh", "en"])
def test_whoever_may_no_longer_export_a_report_reads_why_it_stopped_and_removes_it(
    db, gets, sent, chen, sign_in, language
):
    db.session.get(UserProfile, chen.id).language = language
    db.session.commit()
    kept = gets(chen)
    chen.roles = [builders.role(rights=[("can_show", "ContributionReport")])]
    db.session.commit()
    week()

    browser = sign_in(chen).speak(language)
    said = text_of(browser.get("/notices/"))
    if language == "en":
        assert "Customer contribution no longer comes by e-mail: you may no longer export it." in said
    else:
        assert "客户贡献" in said
    (told,) = rows(Notification)
    assert (told.recipient_id, told.kind, told.record_id) == (chen.id, "report_mail.stopped", kept.id)
    opened = browser.post(f"/notices/open/{told.id}")
    assert opened.headers["Location"] == f"{PAGE}#mail"
    page = browser.get(PAGE)
    why = "Stopped: you may no longer export this report" if language == "en" else "已停止：你已没有导出该报表的权限"
    assert why in text_of(page)
    assert f'action="{PAGE}mail"' not in page.get_data(as_text=True)
    assert browser.post(f"{PAGE}mail/{kept.id}/stop").status_code == 302
    assert rows(ReportMail) == []
    gone = "You can no longer see" if language == "en" else "你已不能查看"
    assert gone in text_of(browser.get("/notices/"))


def test_why_it_stopped_is_read_in_the_language_of_the_moment(db, gets, sent, chen, sign_in):
    db.session.get(UserProfile, chen.id).language = "zh"
    db.session.commit()
    gets(chen)
    chen.roles = [builders.role(rights=[("can_show", "ContributionReport")])]
    db.session.commit()
    week()

    db.session.get(UserProfile, chen.id).language = "en"
    db.session.commit()
    stopped = "Customer contribution no longer comes by e-mail: you may no longer export it."
    assert stopped in text_of(sign_in(chen).speak("en").get("/notices/"))

    (told,) = rows(Notification)
    told.words = {"report": "客户贡献"}  # as it was kept until now
    db.session.commit()
    assert stopped.replace("Customer contribution", "客户贡献") in text_of(sign_in(chen).speak("en").get("/notices/"))


def test_whoever_may_not_even_open_the_report_is_told_too(db, gets, sent, chen, sign_in):
    gets(chen)
    chen.roles = [builders.role(rights=[("can_show", "Customer")])]
    db.session.commit()
    week()

    browser = sign_in(chen).speak("en")
    assert "Customer contribution no longer comes by e-mail" in text_of(browser.get("/notices/"))
    opened = browser.post(f"/notices/open/{rows(Notification)[0].id}")
    assert browser.get(opened.headers["Location"]).status_code == 200


def test_it_stops_when_the_account_is_disabled(db, gets, sent, chen):
    kept = gets(chen)
    chen.active = False
    db.session.commit()

    week()

    assert sent == []
    db.session.expire_all()
    assert (kept.active, kept.stopped_why) == (False, StopReason.account)
    assert rows(Notification) == []


def test_the_manager_of_a_report_goes_along_by_mail_while_the_reader_may_see_him(db, company, sent, li, wang, zhao):
    for given_to in (wang, zhao):
        builders.opportunity(
            given_to=given_to, status=OpportunityStatus.lost, closed_at=datetime(2026, 3, 5, 4, tzinfo=UTC)
        )
    for person in (li, zhao):
        with unit_of_work():
            subscribe(person, "plans", {"manager": str(wang.id)}, every=Every.weekly, kind=FileKind.csv)
    week()
    files = {mail["To"]: file_in(mail).get_payload(decode=True).decode() for mail in sent}
    assert "王强" in files[li.email]
    assert "赵敏" not in files[li.email]
    assert "王强" not in files[zhao.email]
    assert "赵敏" in files[zhao.email]


def test_a_manager_who_becomes_somebody_elses_reads_his_rows_of_that_moment(db, gets, sent, wang, zhao):
    from app.customers.models import Customer

    gets(wang)
    with unit_of_work():
        queue_mails(Every.weekly, MONDAY)
    rows(Customer, Customer.name == "恒锐精密")[0].owner_id = zhao.id
    db.session.commit()
    post.send_all()
    assert "恒锐精密" not in file_in(sent[0]).get_payload(decode=True).decode()


# -- the page -----------------------------------------------------------------------------------------------------


def test_one_asks_for_it_on_the_page_and_ends_it_there(db, company, sent, chen, sign_in):
    browser = sign_in(chen).speak("en")
    given = {"period": "2026-03", "orders": "paid", "every": "weekly", "format": "xlsx"}
    assert browser.post(f"{PAGE}mail", given).status_code == 302
    browser.post(f"{PAGE}mail", {**given, "format": "csv"})

    (kept,) = rows(ReportMail)
    assert (kept.user_id, kept.report, kept.args, kept.every, kept.kind, kept.active) == (
        chen.id, "contribution", "orders=paid", Every.weekly, FileKind.csv, True
    )  # fmt: skip
    assert "Every week · CSV · Payment: Paid only" in text_of(browser.get(PAGE))

    assert browser.post(f"{PAGE}mail/{kept.id}/stop", {"period": "2026-03"}).status_code == 302
    assert rows(ReportMail) == []


def test_what_stopped_says_why_and_can_be_asked_for_again(db, gets, chen, sign_in):
    kept = gets(chen)
    kept.active, kept.stopped_why = False, StopReason.right
    db.session.commit()
    browser = sign_in(chen).speak("en")
    assert "Stopped: you may no longer export this report" in text_of(browser.get(PAGE))

    browser.post(f"{PAGE}mail", {"every": "weekly", "format": "csv"})
    (kept,) = rows(ReportMail)
    assert (kept.active, kept.stopped_why) == (True, None)


def test_it_is_ones_own_only_and_needs_the_right_to_export(db, gets, chen, li, sysadmin, sign_in):
    kept = gets(chen)
    assert sign_in(li).post(f"{PAGE}mail/{kept.id}/stop").status_code == 404
    assert "Every week · CSV" not in text_of(sign_in(li).speak("en").get(PAGE))
    assert sign_in(chen).post(f"/reports/composition/mail/{kept.id}/stop").status_code == 404
    given = {"every": "weekly", "format": "csv"}
    looks = builders.user(roles=[builders.role(rights=[("can_show", "ContributionReport")])])
    for person in (looks, sysadmin):
        assert sign_in(person).post(f"{PAGE}mail", given).status_code == 403
    assert f"{PAGE}mail" not in sign_in(looks).get(PAGE).get_data(as_text=True)
    assert len(rows(ReportMail)) == 1


@pytest.mark.parametrize(("every", "kind"), [("daily", "csv"), ("weekly", "pdf"), ("", "")])
def test_nonsense_is_refused(db, chen, sign_in, every, kind):
    assert sign_in(chen).post(f"{PAGE}mail", {"every": every, "format": kind}).status_code == 400
    assert rows(ReportMail) == []


def test_without_an_address_there_is_no_form(db, chen, sign_in):
    chen.email = "chen@nowhere.invalid"
    db.session.commit()
    browser = sign_in(chen)
    assert f"{PAGE}mail" not in browser.get(PAGE).get_data(as_text=True)
    assert browser.post(f"{PAGE}mail", {"every": "weekly", "format": "csv"}).status_code == 400


# -- when ---------------------------------------------------------------------------------------------------------


def test_the_jobs_make_the_mails_of_their_period_once(db, gets, sent, chen):
    gets(chen)
    gets(chen, every=Every.monthly)

    assert report_mail.weekly("2026-03-16T07:30") == {"queued": 1}
    assert report_mail.weekly("2026-03-16T07:30") is None
    assert report_mail.monthly("2026-04-04T07:30") == {"queued": 1}
    assert [d.key.split("-", 2)[2] for d in rows(Delivery)] == ["2026-03-16", "2026-03"]
    assert [r.job for r in rows(JobRun)] == ["weekly-mail", "monthly-mail"]
