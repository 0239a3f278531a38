"""用户: who may make, change, disable accounts and give passwords, and what nobody may."""

from threading import Barrier, Thread

import pytest
from flask_appbuilder.security.sqla.models import Role, User

from app.core.changes import moving
from app.core.errors import BusinessError, NotYours
from app.core.models import AuditEntry, FieldChange
from app.core.unit import unit_of_work
from app.security import granting, operations, people, sessions
from app.security.models import UserProfile, UserSession
from app.security.passwords import generate_password
from app.security.people import roles_by_code
from tests import builders
from tests.security.conftest import signed_in
from tests.support import Browser, rows, statements, text_of, versus

NEW = {
    "username": "sun", "password": "seven green bicycles", "last_name": "孙", "first_name": "悦",
    "email": "sun@liuke.example", "phone": "010-68348438-668",
}  # fmt: skip


def role(code):
    return roles_by_code([code])[0]


def form_of(browser, user, **changes):
    """What the edit page would send, with these changes."""
    page = browser.get(f"/users/edit/{user.id}").get_data(as_text=True)
    stamp, seen = (page.split(f'name="{name}"')[1].split('value="')[1].split('"')[0] for name in ("stamp", "seen"))
    sent = {
        "last_name": user.last_name, "first_name": user.first_name, "email": user.email, "stamp": stamp, "seen": seen,
        "roles": [str(r.id) for r in user.roles], "active": "y", **changes,
    }  # fmt: skip
    return {key: value for key, value in sent.items() if value is not None}


def entries(record_type="ab_user"):
    return [(e.action, e.outcome.value) for e in rows(AuditEntry, AuditEntry.record_type == record_type)]


# -- the list and the page ------------------------------------------------------------------------------------------


def test_the_list_tells_account_roles_team_and_when_somebody_was_last_here(sign_in, sysadmin, wang, li):
    builders.team(name="华北组", members=(wang,))
    sign_in(wang).get("/profile/")

    text = text_of(sign_in(sysadmin).get("/users/list/?name=wang"))

    assert "王强 wang Account manager 华北组 Yes 20" in text
    assert "李娜" not in text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("name=王强", "wang"),
        ("name=敏", "zhao"),
        ("name=强 王", "wang"),
        ("name=WANG", "wang"),
        ("name=%25", None),
        ("name=_", None),
    ],
)
def test_people_are_found_by_any_part_of_their_name(sign_in, sysadmin, query, found):
    text = text_of(sign_in(sysadmin).get("/users/list/?" + query))

    assert (found in text) if found else "Nothing matches" in text


def test_the_list_can_be_asked_for_a_role_and_for_disabled_accounts(sign_in, sysadmin, wang, li):
    builders.user(username="gone", active=False)
    browser = sign_in(sysadmin)

    assert "王强" in text_of(browser.get(f"/users/list/?role={role('account_manager').id}"))
    assert "王强" not in text_of(browser.get(f"/users/list/?role={role('sales_lead').id}"))
    assert "gone" in text_of(browser.get("/users/list/?_flt_0_active=0"))
    assert browser.get("/users/list/?role=nonsense").status_code == 200
    assert browser.get("/users/list/?role=99999999999999999999").status_code == 200


@pytest.mark.parametrize("count", [1, 24])
def test_the_list_costs_the_same_however_many_people_it_shows(app, sign_in, sysadmin, count):
    for _n in range(count):
        builders.user()
    browser = sign_in(sysadmin)

    with statements(app) as seen:
        browser.get("/users/list/")

    assert len(seen) <= 12, "\n".join(seen)


@pytest.mark.parametrize("person", ["li", "wang", "chen"])
def test_nobody_else_sees_accounts(request, sign_in, person, admin):
    browser = sign_in(request.getfixturevalue(person))

    for path in ("list/", "add", f"show/{admin.id}", f"edit/{admin.id}", f"reset_password/{admin.id}"):
        assert browser.get(f"/users/{path}").status_code == 403


def test_an_account_cannot_be_deleted(sign_in, admin, wang):
    assert sign_in(admin).post(f"/users/delete/{wang.id}").status_code == 404


# -- new accounts ---------------------------------------------------------------------------------------------------


def test_a_system_admin_makes_an_account_that_can_sign_in(app, sign_in, sysadmin):
    team = builders.team()
    answer = sign_in(sysadmin).post(
        "/users/add", {**NEW, "roles": [str(role("account_manager").id)], "team": str(team.id)}
    )

    made = rows(User, User.username == "sun")[0]
    assert answer.location == f"/users/show/{made.id}"
    assert made.password != NEW["password"]
    assert rows(UserProfile, UserProfile.user_id == made.id)[0].team_id == team.id
    assert Browser(app).login_page("sun", NEW["password"]).status_code == 302
    assert entries() == [("create", "done")]
    assert NEW["password"] not in str([(c.before, c.after) for c in rows(FieldChange)])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"username": "WANG"}, "There is already an account “WANG”."),
        ({"email": "Wang@liuke.example"}, "Another account has the e-mail address"),
        ({"email": "nonsense"}, "Enter an e-mail address such as"),
        ({"username": "a b"}, "Use 2 to 64 letters"),
        ({"username": "x"}, "Use 2 to 64 letters"),
        ({"last_name": " "}, "Fill in this field."),
        ({"phone": "call me"}, "Use digits, spaces"),
        ({"password": "short"}, "Use at least 10 characters for the password."),
        ({"password": ""}, "Fill in this field."),
    ],
)
def test_a_refused_account_says_why_and_keeps_what_was_typed(sign_in, sysadmin, wang, change, sentence):
    answer = sign_in(sysadmin).post("/users/add", {**NEW, **change, "roles": [str(role("executive").id)]})

    assert answer.status_code == 422
    assert sentence in text_of(answer)
    assert 'value="悦"' in answer.get_data(as_text=True)
    assert NEW["password"] not in answer.get_data(as_text=True)
    assert f'value="{role("executive").id}" checked' in answer.get_data(as_text=True)
    assert rows(User, User.first_name == "悦") == []


BAD = [
    "short", "123456789", "ninechars", "password123", "Password123", "PASSWORD123", "qwertyuiop", "1q2w3e4r5t",
    "1234567890", "0123456789", "aaaaaaaaaa", "abababababab", "qq123456789", "woaini1314", "ｐａｓｓｗｏｒｄ１２３",
    "welcome123", "iloveyou123", "a123456789", "wang123456", "11111111111", "liuke-2026-x", "my liuke pass",
    "sunny-xiaoming1", "XIAOMING-1990", "administrator", "zhongguo123", "aa12345678", "changeme123", "88888888888",
    "qwerty12345",
]  # fmt: skip
GOOD = [
    "seven green bicycles", "three blue umbrellas", "correct horse battery", "p7$Kx!m2Qz",
    "雨后的彩虹桥上有七只鸟", "vq7-ht2-mz9-ax", "nothing but the rain", "0xC0FFEE-at-noon", "éàü-ñandú-zebra",
    "x" * 10 + "yz12" + "w" * 50,
]  # fmt: skip


def refused_by_the_form(app, sign_in, sysadmin, password):
    answer = sign_in(sysadmin).post(
        "/users/add", {**NEW, "username": "xiaoming", "password": password, "roles": [str(role("executive").id)]}
    )
    return answer.status_code == 422


def refused_by_the_command_line(app, sign_in, sysadmin, password):
    result = app.test_cli_runner().invoke(
        args=["crm", "user", "add", "xiaoming", "--family", "孙", "--given", "悦", "--role", "executive"],
        input=f"{password}\n{password}\n",
    )
    return result.exit_code != 0


def refused_by_the_reset(app, sign_in, sysadmin, password):
    person = builders.user(username="xiaoming")
    return sign_in(sysadmin).post(f"/users/reset_password/{person.id}", {"password": password}).status_code == 409


def refused_by_the_frameworks_command_line(app, sign_in, sysadmin, password):
    made = app.appbuilder.sm.add_user("xiaoming", "悦", "孙", "x@liuke.example", role("executive"), password)
    return made is False


@pytest.mark.parametrize(
    "refused",
    [refused_by_the_form, refused_by_the_command_line, refused_by_the_reset, refused_by_the_frameworks_command_line],
)
@pytest.mark.parametrize("password", ["password123", "xiaoming-1990"])
def test_every_way_to_give_a_password_knows_the_rule(app, sign_in, sysadmin, refused, password):
    assert refused(app, sign_in, sysadmin, password)


@pytest.mark.parametrize("password", BAD)
def test_a_bad_password_is_refused(app, db, password):
    with pytest.raises(BusinessError):
        app.appbuilder.sm.check_password_rule(password, about=("xiaoming", "晓明", "王"))


@pytest.mark.parametrize("password", GOOD)
def test_a_good_password_needs_no_odd_signs(app, db, password):
    app.appbuilder.sm.check_password_rule(password, about=("xiaoming", "晓明", "王"))

    assert app.appbuilder.sm.hash_password(password) != password


# -- changing accounts ----------------------------------------------------------------------------------------------


def test_changing_an_account_is_written_down_field_by_field(sign_in, sysadmin, wang):
    browser = sign_in(sysadmin)

    answer = browser.post(
        f"/users/edit/{wang.id}", form_of(browser, wang, phone="12345", roles=[role("sales_lead").id])
    )

    assert answer.status_code == 302
    changes = rows(FieldChange, FieldChange.unit == rows(AuditEntry)[0].unit)
    assert {(c.record_type, c.record_id, c.field, c.before, c.after) for c in changes} == {
        ("ab_user", wang.id, "phone", None, "12345"),
        ("ab_user", wang.id, "roles", "account_manager", "sales_lead"),
    }


def test_disabling_ends_the_sessions_and_shuts_the_login(app, sign_in, sysadmin, wang):
    browser, his = sign_in(sysadmin), sign_in(wang)

    browser.post(f"/users/edit/{wang.id}", form_of(browser, wang, active=None))

    assert not signed_in(his)
    assert Browser(app).login_page("wang").status_code == 403
    assert [s.end_reason for s in rows(UserSession, UserSession.user_id == wang.id)] == ["disabled"]


def test_a_form_opened_before_somebody_elses_change_is_refused(sign_in, sysadmin, admin, wang):
    browser = sign_in(sysadmin)
    old = form_of(browser, wang, phone="12345")
    with unit_of_work(), moving("ab_user", "edit", actor=admin):
        operations.disable(wang, actor=admin)

    answer = browser.post(f"/users/edit/{wang.id}", old)

    assert answer.status_code == 422
    assert "Somebody changed this record meanwhile" in text_of(answer)
    both = {label: (now.split(" · ")[0], mine) for label, (now, mine) in versus(answer).items()}
    assert both == {"Phone": ("—", "12345"), "Enabled": ("No 周毅", "Yes")}
    assert 'value="12345"' in answer.get_data(as_text=True)
    assert rows(User, User.id == wang.id)[0].active is False


def test_beside_each_field_of_a_stale_form_stands_who_changed_that_field(sign_in, sysadmin, admin, li, wang):
    browser = sign_in(sysadmin)
    old = form_of(browser, wang, phone="12345", email="mine@liuke.example", last_name="汪")

    def change(actor, **given):
        now = {"phone": None, "team": None, "active": True, "roles": list(wang.roles)}
        names = {"last_name": "王", "first_name": "强", "email": wang.email}
        with unit_of_work(), moving("ab_user", "edit", actor=actor):
            operations.change_user(wang, actor=actor, **{**names, **now, **given})

    change(li, phone="54321")
    change(admin, phone="54321", email="theirs@liuke.example")

    said = {
        label: now.rsplit(" · ", 1)[0]
        for label, (now, _mine) in versus(browser.post(f"/users/edit/{wang.id}", old)).items()
    }
    assert said == {"Phone": "54321 李娜", "E-mail": "theirs@liuke.example 周毅", "Family name": "王"}


def test_a_new_role_works_at_the_next_request_without_a_new_login(sign_in, sysadmin, wang):
    his, browser = sign_in(wang), sign_in(sysadmin)
    assert his.get("/users/list/").status_code == 403

    both = [str(role("account_manager").id), str(role("system_admin").id)]
    browser.post(f"/users/edit/{wang.id}", form_of(browser, wang, roles=both))

    assert his.get("/users/list/").status_code == 200


@pytest.mark.parametrize("person", ["sysadmin", "admin"])
def test_nobody_changes_his_own_roles_or_disables_himself(request, sign_in, person):
    user = request.getfixturevalue(person)
    browser = sign_in(user)
    assert 'name="roles"' not in browser.get(f"/users/edit/{user.id}").get_data(as_text=True)

    everything = [str(r.id) for r in rows(Role)]
    answer = browser.post(
        f"/users/edit/{user.id}", form_of(browser, user, roles=everything, active=None, phone="12345")
    )

    assert answer.status_code == 302  # what the form does not have is not read
    assert [r.name for r in user.roles] == [r.name for r in rows(User, User.id == user.id)[0].roles]
    assert rows(User, User.id == user.id)[0].active is True
    with pytest.raises(NotYours, match="Nobody changes his own roles"):
        operations.disable(user, actor=user)


def attempts(victim, mine):
    """What a system admin may try against a super admin's account."""
    return {
        "edit": (f"/users/edit/{victim.id}", {"last_name": "x", "first_name": "x", "email": "x@x", "stamp": "x"}),
        "reset": (f"/users/reset_password/{victim.id}", {"password": "seven green bicycles"}),
        "end": (f"/users/end_sessions/{victim.id}", {}),
        "grant": ("/users/add", {**NEW, "roles": [str(role("super_admin").id)]}),
    }


@pytest.mark.parametrize("attempt", ["edit", "reset", "end", "grant"])
def test_a_system_admin_gets_no_hold_of_a_super_admin(app, sign_in, sysadmin, admin, attempt):
    hers, browser = sign_in(admin), sign_in(sysadmin)
    path, data = attempts(admin, sysadmin)[attempt]

    answer = browser.post(path, data)

    assert answer.status_code in (302, 403, 422)
    assert signed_in(hers)
    assert Browser(app).login_page("admin").status_code == 302
    assert rows(User, User.username == "sun") == []
    assert admin.last_name == "周"


def test_a_system_admin_cannot_give_super_admin_to_anybody(sign_in, sysadmin, wang):
    browser = sign_in(sysadmin)

    answer = browser.post(f"/users/edit/{wang.id}", form_of(browser, wang, roles=[str(role("super_admin").id)]))

    assert answer.status_code == 422
    assert "Only a super admin may grant or take away the role “Super admin”." in text_of(answer)
    assert [r.name for r in rows(User, User.id == wang.id)[0].roles] == ["account_manager"]
    assert entries() == [("edit", "refused")]


def test_a_super_admin_makes_another_one_who_may_then_be_disabled(sign_in, admin, wang):
    browser = sign_in(admin)
    browser.post(f"/users/edit/{wang.id}", form_of(browser, wang, roles=[str(role("super_admin").id)]))
    assert granting.is_super_admin(wang)

    with unit_of_work():
        operations.disable(admin, actor=wang)

    assert rows(User, User.id == admin.id)[0].active is False


@pytest.mark.parametrize("way", ["disable", "command", "edit", "role"])
def test_the_last_active_super_admin_stays(app, db, admin, way):
    other = builders.user(role_code="super_admin", active=False)
    same = {"last_name": "周", "first_name": "毅", "email": admin.email, "phone": None, "team": None}
    take = {
        "disable": lambda: operations.disable(admin, actor=other),
        "command": lambda: operations.disable(admin, actor=None),
        "edit": lambda: operations.change_user(admin, actor=other, active=False, roles=admin.roles, **same),
        "role": lambda: operations.change_user(admin, actor=None, active=True, roles=[role("executive")], **same),
    }[way]

    with pytest.raises(BusinessError, match="last active super admin"), unit_of_work():
        take()

    assert granting.is_super_admin(rows(User, User.id == admin.id)[0])


def test_of_two_admins_who_disable_each_other_at_once_one_stays(app, db, admin):
    other = builders.user(role_code="super_admin")
    ids, together, ended = (admin.id, other.id), Barrier(2, timeout=30), []
    db.session.commit()

    def disable(mine, theirs):
        with app.app_context():
            try:
                together.wait()
                with unit_of_work():
                    operations.disable(db.session.get_one(User, theirs), actor=db.session.get_one(User, mine))
                ended.append("done")
            except BusinessError as refusal:
                ended.append(str(refusal))
            finally:
                db.session.remove()

    threads = [Thread(target=disable, args=pair) for pair in (ids, ids[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sorted(ended) == ["This is the last active super admin. Make another one first.", "done"]
    assert [user.active for user in rows(User, User.id.in_(ids))].count(True) == 1


def test_a_super_admin_by_group_counts_as_one(db, admin, wang):
    from flask_appbuilder.security.sqla.models import Group

    db.session.add(Group(name="owners", users=[wang], roles=[role("super_admin")]))
    db.session.commit()

    assert granting.is_super_admin(wang)
    assert not granting.may_change_account(builders.user(role_code="system_admin"), wang)
    with unit_of_work():
        operations.disable(admin, actor=wang)
    assert rows(User, User.id == admin.id)[0].active is False


def test_a_given_password_ends_every_session_of_the_account(app, sign_in, sysadmin, wang):
    his, browser = sign_in(wang), sign_in(sysadmin)
    page = browser.get(f"/users/reset_password/{wang.id}")
    assert "王强" in text_of(page)

    answer = browser.post(f"/users/reset_password/{wang.id}", {"password": "seven green bicycles"})

    assert answer.status_code == 302
    assert not signed_in(his)
    assert Browser(app).login_page("wang").status_code == 422
    assert Browser(app).login_page("wang", "seven green bicycles").status_code == 302
    assert entries() == [("reset_password", "done")]


def test_an_administrator_signs_somebody_out(sign_in, sysadmin, wang):
    his, browser = sign_in(wang), sign_in(sysadmin)
    assert "tests" in text_of(browser.get(f"/users/show/{wang.id}"))
    assert signed_in(his)  # looking is not doing
    assert browser.get(f"/users/end_sessions/{wang.id}").status_code == 200
    assert signed_in(his)

    browser.post(f"/users/end_sessions/{wang.id}")

    assert "A system admin ended this session." in text_of(his.get("/profile/", follow_redirects=True))
    assert entries() == [("end_sessions", "done")]


@pytest.mark.parametrize("path", ["show", "edit", "reset_password", "end_sessions"])
@pytest.mark.parametrize("pk", ["0", "99999", "9999999999999999999", "x", "-1"])
def test_an_account_that_is_not_there_is_not_found(sign_in, sysadmin, path, pk):
    assert sign_in(sysadmin).get(f"/users/{path}/{pk}").status_code == 404


@pytest.mark.parametrize("path", ["edit", "reset_password", "end_sessions", "show"])
def test_a_right_can_be_held_alone(sign_in, path, wang):
    person = builders.user(roles=[builders.role(rights=[(f"can_{path}", "User")])])
    browser = sign_in(person)

    opened = [
        p
        for p in ("edit", "reset_password", "end_sessions", "show")
        if browser.get(f"/users/{p}/{wang.id}").status_code == 200
    ]

    assert opened == [path]


# -- the command line -----------------------------------------------------------------------------------------------


def run(app, *args, **options):
    result = app.test_cli_runner().invoke(args=["crm", "user", *args], **options)
    builders.db.session.rollback()
    builders.db.session.expire_all()
    return result


def test_the_command_line_makes_an_account_with_a_password_nobody_chose(app, db):
    result = run(app, "add", "sun", "--family", "孙", "--given", "悦", "--role", "sales_lead", "--generate")

    assert result.exit_code == 0, result.output
    password = result.output.rsplit(": ", 1)[1].strip()
    assert Browser(app).login_page("sun", password).status_code == 302


def test_the_command_line_asks_for_a_password_twice(app, db):
    args = ("add", "sun", "--family", "孙", "--given", "悦", "--role", "sales_lead")

    assert run(app, *args, input="seven green bicycles\nseven green bicycle\n").exit_code != 0
    assert rows(User, User.username == "sun") == []
    assert run(app, *args, input="seven green bicycles\nseven green bicycles\n").exit_code == 0
    assert rows(User, User.username == "sun")[0].get_full_name() == "孙悦"


def test_the_command_line_gives_a_new_password(app, sign_in, wang):
    his = sign_in(wang)

    result = run(app, "password", "WANG", "--generate")

    assert result.exit_code == 0, result.output
    assert not signed_in(his)
    assert Browser(app).login_page("wang", result.output.rsplit(": ", 1)[1].strip()).status_code == 302


def test_the_command_line_disables_and_lists(app, wang, admin):
    assert run(app, "disable", "wang").exit_code == 0
    refused = run(app, "disable", "admin")
    listed = run(app, "list").output

    assert "last active super admin" in refused.output
    assert refused.exit_code == 1
    assert "wang                 disabled  account_manager" in listed
    assert "admin                active    super_admin" in listed


@pytest.mark.parametrize(
    "args",
    [
        ("password", "nobody", "--generate"),
        ("disable", "nobody"),
        ("add", "sun", "--family", "x", "--given", "y", "--role", "boss", "--generate"),
    ],
)
def test_the_command_line_refuses_with_a_sentence(app, db, args):
    result = run(app, *args)

    assert result.exit_code == 1
    assert result.output.startswith("Error: There is no ")


@pytest.mark.parametrize("command", ["add", "password", "list", "disable"])
def test_every_command_teaches(app, db, command):
    result = run(app, command, "--help")

    assert result.exit_code == 0
    assert len(result.output) > 150


def test_the_first_administrator_of_an_empty_database_gets_a_password_to_be_read_once(app, db, admin):
    with unit_of_work():
        account, password = people.create_admin("boss")

    assert Browser(app).login_page(account, password).status_code == 302
    assert granting.is_super_admin(people.find_user("boss"))
    with pytest.raises(BusinessError, match="already an account"), unit_of_work():
        people.create_admin("boss")


def test_generated_passwords_differ_and_obey_the_rule(app, db):
    made = {generate_password() for _n in range(50)}

    assert len(made) == 50
    for password in made:
        app.appbuilder.sm.check_password_rule(password)


def test_the_frameworks_reset_obeys_the_rule_and_ends_the_sessions(app, sign_in, wang):
    his = sign_in(wang)
    with pytest.raises(BusinessError):
        app.appbuilder.sm.reset_password(wang.id, "x")

    app.appbuilder.sm.reset_password(wang.id, "seven green bicycles")

    assert not signed_in(his)
    assert rows(UserSession)[0].end_reason == "password"
    assert sessions.live_session(wang.id) is None


def test_the_frameworks_way_to_make_an_account_works_with_a_good_password(app, db):
    made = app.appbuilder.sm.add_user("sun", "悦", "孙", "sun@liuke.example", role("executive"), "seven green bicycles")

    assert made.username == "sun"
    assert Browser(app).login_page("sun", "seven green bicycles").status_code == 302
    assert app.appbuilder.sm.load_user_jwt({}, {"sub": str(made.id)}) is None


def test_what_changes_nothing_is_not_written_down(db, wang, admin):
    with unit_of_work():
        operations.change_own_phone(wang, None)
        operations.change_user(
            wang, actor=admin, last_name=wang.last_name, first_name=wang.first_name, email=wang.email, phone=None,
            team=None, active=True, roles=wang.roles,
        )  # fmt: skip
        operations.disable(wang, actor=admin)
        operations.disable(wang, actor=admin)

    assert entries() == [("edit", "done")]
    assert not granting.is_super_admin(None)


def test_two_administrators_who_make_the_same_account_at_once_make_one(sign_in, sysadmin, wang, monkeypatch):
    monkeypatch.setattr(operations, "_check_free", lambda *_args, **_given: None)  # each looked before the other wrote

    answer = sign_in(sysadmin).post("/users/add", {**NEW, "username": "wang", "roles": [str(role("executive").id)]})

    assert answer.status_code == 422
    assert "There is already such a record." in text_of(answer)
    assert len(rows(User, User.username == "wang")) == 1
