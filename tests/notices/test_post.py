"""What goes out: once a day by mail, at once by robots, again when it did not work, and all of it in the log."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.core.clock import local, today, utcnow
from app.core.unit import unit_of_work
from app.notices import operations, post, robots, transport
from app.notices.models import Channel, Delivery, DeliveryItem, DeliveryStatus, NoticeSettings, Notification, Robot
from app.notices.reading import reading_as
from app.security.models import UserProfile
from tests.notices.conftest import URL
from tests.support import rows, statements, text_of

S = DeliveryStatus


@pytest.fixture
def digest(db):
    """`digest(wang)` has him get a mail a day at an hour that has come."""

    def choose(person, hour=0):
        with unit_of_work():
            operations.set_digest(person.id, hour, at=utcnow())
            operations.settings_of(person.id).digested_on = today() - timedelta(days=1)

    return choose


@pytest.fixture
def robot(db):
    """`robot(wang)` has a robot tell him."""

    def make(person, channel=Channel.wecom, url=URL, secret=None):
        with unit_of_work():
            return operations.save_robot(person, channel, url=url, secret=secret, at=utcnow() - timedelta(hours=1))

    return make


@pytest.fixture
def sent(app, db, monkeypatch):
    """The mails that went out; `refuse` is raised by the next ones."""

    class Sent(list):
        refuse: list[Exception] = []

    kept = Sent()
    kept.refuse = []

    def send(mail):
        if kept.refuse:
            raise kept.refuse.pop(0)
        kept.append(mail)

    monkeypatch.setattr(transport, "send_mail", send)
    return kept


def send_at(moment):
    """Plan and send as if it were `moment`."""
    post.plan(moment)
    return post.send_all(moment)


# -- the daily mail -------------------------------------------------------------------------------------------------


def test_a_mail_tells_what_is_unread_once_a_day_in_the_readers_language(db, wang, told, digest, sent, app):
    app.config["LIUKE_URL"] = "https://crm.example/"
    record = told(wang, title="智能仓储")
    told(wang, title="已经看过", event="seen", record=record)
    with unit_of_work():
        operations.mark_read(wang.id, [rows(Notification)[1].id], at=utcnow())
    digest(wang)

    assert send_at(utcnow()) == {"sent": 1, "later": 0, "failed": 0}
    assert send_at(utcnow()) == {"sent": 0, "later": 0, "failed": 0}

    (mail,) = sent
    assert mail["To"] == "wang@liuke.example"
    assert mail["Subject"] == "Liuke: 1 new thing for you"
    text = mail.get_content()
    assert "智能仓储" in text
    assert f"https://crm.example/opportunities/show/{record.id}" in text
    assert "已经看过" not in text
    (row,) = rows(Delivery)
    assert (row.key, row.status, row.attempts, row.repeats) == (f"mail-{wang.id}-{today()}-00", S.sent, 1, 0)
    assert mail["Message-ID"] == row.message_id


def test_a_chinese_reader_gets_a_chinese_mail(db, wang, told, digest, sent):
    profile = db.session.get(UserProfile, wang.id)
    profile.language = "zh"
    told(wang, title="智能仓储")
    digest(wang)
    send_at(utcnow())
    assert "new thing" not in sent[0]["Subject"]
    assert "was assigned" not in sent[0].get_content()


def test_nothing_new_no_mail_and_what_comes_later_waits_for_tomorrow(db, wang, told, digest, sent):
    digest(wang)
    send_at(utcnow())
    told(wang)
    send_at(utcnow())
    assert sent == []
    assert rows(NoticeSettings)[0].digested_on == today()

    send_at(utcnow() + timedelta(days=1))
    assert len(sent) == 1


def test_what_went_out_by_mail_once_does_not_again(db, wang, told, digest, sent):
    told(wang)
    digest(wang)
    send_at(utcnow())
    told(wang, title="第二天的")
    send_at(utcnow() + timedelta(days=1))
    assert len(sent) == 2
    assert "1 new thing" in sent[1]["Subject"]


@pytest.mark.parametrize(("hour", "mails"), [(8, 0), (9, 1), (10, 1)])
def test_the_mail_waits_for_its_hour(db, wang, told, digest, sent, hour, mails):
    told(wang)
    digest(wang, hour=9)
    wall = local(utcnow()).replace(hour=hour, minute=0, second=0, microsecond=0)
    post.plan(wall)
    assert len(rows(Delivery)) == mails


@pytest.mark.parametrize(("chosen", "day"), [(0, "today"), (23, None)])
def test_who_chooses_an_hour_that_has_passed_begins_tomorrow(db, wang, chosen, day):
    noon = local(utcnow()).replace(hour=12)
    with unit_of_work():
        operations.set_digest(wang.id, chosen, at=noon)
    assert rows(NoticeSettings)[0].digested_on == (noon.date() if day else None)


def test_who_chooses_a_later_hour_after_his_mail_gets_another_one_that_day(db, wang, told, digest, sent):
    told(wang)
    digest(wang, hour=9)
    wall = local(utcnow()).replace(hour=9, minute=0, second=0, microsecond=0)
    post.plan(wall)
    with unit_of_work():
        operations.set_digest(wang.id, 18, at=wall.replace(hour=10))
    told(wang)
    post.plan(wall.replace(hour=18))
    post.plan(wall.replace(hour=19))
    assert [row.key for row in rows(Delivery)] == [f"mail-{wang.id}-{wall.date()}-{hour:02d}" for hour in (9, 18)]


def test_a_disabled_account_gets_nothing(db, wang, told, digest, robot, sent, host):
    told(wang)
    digest(wang)
    robot(wang)
    wang.active = False
    db.session.commit()
    assert not post.something_to_do(utcnow())
    assert send_at(utcnow())["sent"] == 0
    assert sent == host.heard == []


def test_what_the_reader_may_not_see_any_more_is_left_out(db, wang, zhao, told, digest, sent):
    record = told(wang, title="秘密项目")
    told(wang, title="自己的")
    digest(wang)
    record.assignee_id = zhao.id
    db.session.commit()
    send_at(utcnow())
    assert "秘密项目" not in sent[0].get_content()
    assert "1 new thing" in sent[0]["Subject"]


def test_with_nothing_left_to_say_the_message_is_dropped(db, wang, told, digest, sent):
    told(wang)
    digest(wang)
    post.plan(utcnow())
    with unit_of_work():
        operations.mark_read(wang.id, None, at=utcnow())
    post.send_all()
    assert sent == []
    assert rows(Delivery)[0].status is S.dropped


# -- robots ---------------------------------------------------------------------------------------------------------


def test_a_robot_tells_at_once_what_is_new_and_each_thing_once(db, wang, told, robot, host):
    robot(wang)
    told(wang, title="第一件")
    told(wang, title="第二件")
    assert post.something_to_do(utcnow())
    send_at(utcnow())
    assert not post.something_to_do(utcnow())
    told(wang, title="第三件")
    send_at(utcnow())

    texts = [body["text"]["content"] for _path, _headers, body in host.heard]
    assert len(texts) == 2
    assert "第一件" in texts[0]
    assert "第二件" in texts[0]
    assert "第三件" in texts[1]
    assert "第一件" not in texts[1]
    keys = [headers["Idempotency-Key"] for _path, headers, _body in host.heard]
    assert keys == [row.key for row in rows(Delivery)]
    assert len(set(keys)) == 2


def test_a_robot_loses_nothing_however_much_there_is_and_however_long_it_is(db, wang, told, robot, host):
    robot(wang)
    titles = [f"第{n:02d}件" for n in range(20)]
    for title in titles:
        told(wang, title=title + "长" * 200)
    for _n in range(3):
        send_at(utcnow())
    assert not post.something_to_do(utcnow())

    texts = [body["text"]["content"] for _path, _headers, body in host.heard]
    assert [text.count("\n- ") for text in texts] == [8, 8, 4]
    assert all(len(text.encode()) <= robots.LONGEST for text in texts)
    assert [title for title in titles if sum(title in text for text in texts) != 1] == []


@pytest.mark.parametrize(
    ("channel", "url"),
    [(Channel.feishu, "https://open.feishu.cn/open-apis/bot/v2/hook/1"), (Channel.wecom, URL)],
)
def test_a_title_pings_nobody(db, wang, told, robot, host, channel, url):
    robot(wang, channel, url)
    told(wang, title='<at user_id="all">所有人</at>\n<@li>')
    send_at(utcnow())
    body = host.heard[0][2]
    text = (body.get("content") or {}).get("text") or body["text"]["content"]
    assert "<" not in text
    assert ">" not in text
    assert '＜at user_id="all"＞所有人＜/at＞ ＜@li＞' in text


def test_a_robot_does_not_tell_what_was_before_it(db, wang, told, robot, host):
    told(wang, at=utcnow() - timedelta(hours=2))
    robot(wang)
    send_at(utcnow())
    assert host.heard == []


def test_robots_and_mail_go_their_own_ways(db, wang, told, robot, digest, sent, host):
    robot(wang)
    robot(wang, Channel.feishu, "https://open.feishu.cn/open-apis/bot/v2/hook/1", "key")
    digest(wang)
    told(wang)
    assert send_at(utcnow())["sent"] == 3
    assert len(host.heard) == 2
    assert len(sent) == 1
    assert len(rows(DeliveryItem)) == 3


# -- again, and not again -------------------------------------------------------------------------------------------


def test_a_message_is_tried_again_after_longer_and_longer_pauses(db, wang, told, digest, sent):
    told(wang)
    digest(wang)
    now = utcnow()
    post.plan(now)
    pauses = []
    for attempt in range(1, len(post.PAUSES) + 2):
        sent.refuse.append(transport.NotNow("The mail server cannot be reached."))
        began = utcnow()
        post.send_all(began if attempt == 1 else rows(Delivery)[0].due_at)
        (row,) = rows(Delivery)
        assert row.attempts == attempt
        assert row.error == "The mail server cannot be reached."
        if row.status is S.waiting:
            pauses.append(round((row.due_at - began) / timedelta(minutes=1)))
            assert not post.claim(row.due_at - timedelta(seconds=1))
            db.session.rollback()
    assert pauses == [1, 5, 15, 60, 180, 360]
    assert row.status is S.failed
    assert row.repeats == 0
    assert sent == []


def test_it_goes_out_at_a_later_attempt_under_the_same_name(db, wang, told, digest, sent):
    told(wang)
    digest(wang)
    sent.refuse.append(transport.NotNow("away"))
    send_at(utcnow())
    first = rows(Delivery)[0].message_id
    post.send_all(utcnow() + timedelta(minutes=2))
    assert [mail["Message-ID"] for mail in sent] == [first]
    assert (rows(Delivery)[0].status, rows(Delivery)[0].attempts, rows(Delivery)[0].error) == (S.sent, 2, None)


def test_what_can_never_work_is_not_tried_again(db, wang, told, robot, host):
    robot(wang)
    told(wang)
    host.answer(200, {"errcode": 93000, "errmsg": f"invalid {URL}"})
    assert send_at(utcnow())["failed"] == 1
    (row,) = rows(Delivery)
    assert (row.status, row.attempts) == (S.failed, 1)
    assert "93000" in row.error
    assert "0123456789abcdef" not in row.error


def test_a_mistake_of_ours_stops_no_other_message(db, wang, zhao, told, digest, sent):
    for person in (wang, zhao):
        told(person)
        digest(person)
    sent.refuse.append(ZeroDivisionError("by nothing"))
    assert send_at(utcnow()) == {"sent": 1, "later": 1, "failed": 0}
    assert sorted(row.status for row in rows(Delivery)) == [S.sent, S.waiting]


def test_a_claimed_message_is_nobody_elses_until_its_lease_ends(db, wang, told, digest):
    told(wang)
    digest(wang)
    now = utcnow()
    post.plan(now)
    with unit_of_work():
        first = post.claim(now)
    with unit_of_work():
        assert post.claim(now + post.LEASE - timedelta(seconds=1)) is None
    with unit_of_work():
        second = post.claim(now + post.LEASE)
    assert (second.attempts, second.repeats) == (2, 1)

    assert post._end(first, S.failed, error="too late") == "failed"
    assert rows(Delivery)[0].status is S.sending  # the first one has nothing to say any more


def test_a_living_senders_message_is_left_to_him(db, wang, told, digest):
    told(wang)
    digest(wang)
    post.plan(utcnow())
    with unit_of_work():
        post.claim(utcnow())
    assert post.release_the_dead(utcnow()) == 0


def test_two_planners_make_one_message(db, wang, told, digest, robot):
    told(wang)
    digest(wang)
    robot(wang)
    assert post.plan(utcnow()) == 2
    with unit_of_work():
        assert post._plan_digest(wang.id, utcnow()) == 0
    with unit_of_work():
        assert post._plan_robot(rows(Robot)[0].id, utcnow()) == 0
    assert len(rows(Delivery)) == 2


def test_looking_for_work_is_three_short_questions(app, db, wang, told):
    for _n in range(5):
        told(wang)
    with statements(app) as seen:
        assert not post.something_to_do(utcnow())
    assert len(seen) == 3


# -- the settings page ------------------------------------------------------------------------------------------------


def test_a_robot_is_saved_tried_masked_and_removed(db, sign_in, wang, host):
    browser = sign_in(wang)
    assert browser.post("/notices/settings/robot/wecom", {"wecom-url": URL}).status_code == 302
    page = browser.get("/notices/settings").get_data(as_text=True)
    assert page.count('method="post"') == page.count('name="csrf_token"') > 5
    assert "qyapi.weixin.qq.com/…cdef" in page
    assert "0123456789abcdef" not in page

    answer = browser.post("/notices/settings/try/wecom", follow_redirects=True)
    assert "The test message went out." in text_of(answer)
    assert "test message" in host.heard[0][2]["text"]["content"]
    (row,) = rows(Delivery)
    assert (row.channel, row.status, row.recipient_id) == (Channel.wecom, S.sent, wang.id)

    browser.post("/notices/settings/robot/wecom/remove")
    assert rows(Robot) == []
    assert rows(Delivery)[0].robot_id is None


def test_a_test_that_fails_says_why_and_is_in_the_log(db, sign_in, wang, host, robot):
    robot(wang)
    host.answer(200, {"errcode": 93000})
    answer = sign_in(wang).post("/notices/settings/try/wecom", follow_redirects=True)
    assert "The test message did not go out: The robot refused the message (code 93000)." in text_of(answer)
    assert rows(Delivery)[0].status is S.failed


@pytest.mark.parametrize("url", ["", "http://qyapi.weixin.qq.com/x", "https://10.0.0.1/x", "https://open.feishu.cn/x"])
def test_an_address_that_is_no_such_robots_is_refused_and_not_kept(db, sign_in, wang, url):
    answer = sign_in(wang).post("/notices/settings/robot/wecom", {"wecom-url": url})
    assert answer.status_code == 422
    assert rows(Robot) == []


def test_unknown_robots_are_not_found(db, sign_in, wang):
    browser = sign_in(wang)
    for url in ("/robot/mail", "/robot/x", "/robot/x/remove", "/try/x", "/try/wecom"):
        assert browser.post(f"/notices/settings{url}", {"x-url": URL}).status_code == 404, url


def test_nobody_tries_or_removes_anothers_robot(db, sign_in, wang, zhao, host, robot):
    robot(wang)
    browser = sign_in(zhao)
    assert browser.post("/notices/settings/try/wecom").status_code == 404
    browser.post("/notices/settings/robot/wecom/remove")
    assert len(rows(Robot)) == 1
    assert host.heard == []


def test_the_hour_of_the_mail_is_chosen_and_given_up(db, sign_in, wang):
    browser = sign_in(wang)
    assert "every day at 08:00" in text_of(browser.post("/notices/settings/mail", {"hour": "8"}, follow_redirects=True))
    assert rows(NoticeSettings)[0].digest_hour == 8
    assert browser.post("/notices/settings/mail", {"hour": "24"}).status_code == 422
    browser.post("/notices/settings/mail", {"hour": ""})
    assert rows(NoticeSettings)[0].digest_hour is None


def test_without_a_mail_server_the_page_says_where_mails_go(db, sign_in, wang):
    browser = sign_in(wang)
    assert "No mail server is set" in text_of(browser.get("/notices/settings"))
    answer = browser.post("/notices/settings/try/mail", follow_redirects=True)
    assert "written into the outbox folder" in text_of(answer)
    (path,) = transport.outbox().glob("test-*.eml")
    path.unlink()


def test_with_a_mail_server_a_test_mail_goes_out(app, db, sign_in, wang, mail_server):
    app.config["LIUKE_MAIL_URL"] = mail_server.url
    answer = sign_in(wang).post("/notices/settings/try/mail", follow_redirects=True)
    assert "The test message went out." in text_of(answer)
    assert len(mail_server.mails) == 1


# -- the log --------------------------------------------------------------------------------------------------------


def test_administrators_read_the_log_and_others_do_not(db, sign_in, sysadmin, li, wang, told, digest, sent):
    told(wang, title="秘密项目")
    digest(wang)
    send_at(utcnow())
    page = text_of(sign_in(sysadmin).get("/deliveries/list/"))
    assert "王强" in page
    assert "Sent" in page
    row = rows(Delivery)[0]
    shown = text_of(sign_in(sysadmin).get(f"/deliveries/show/{row.id}"))
    assert row.message_id.strip("<>") in shown.replace("&lt;", "").replace("&gt;", "")
    assert "秘密项目" not in page + shown
    for person in (li, wang):
        assert sign_in(person).get("/deliveries/list/").status_code == 403


def test_reading_as_somebody_leaves_the_writers_alone(db, wang):
    with reading_as(wang.id) as reader:
        assert reader.username == "wang"
    wang.active = False
    db.session.commit()
    with reading_as(wang.id) as reader:
        assert reader is None


def test_old_messages_are_swept_and_waiting_ones_stay(db, wang, told, digest, robot, sent):
    told(wang)
    digest(wang)
    robot(wang)
    post.plan(utcnow())
    with unit_of_work():
        mail = db.session.query(Delivery).filter_by(channel=Channel.mail).one()
        mail.status, mail.sent_at = S.sent, utcnow()
    with unit_of_work():
        assert operations.sweep(before=utcnow() + timedelta(seconds=1))["messages"] == 1
    assert [row.channel for row in rows(Delivery)] == [Channel.wecom]
