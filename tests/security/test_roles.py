"""角色: seeded once, edited by administrators, effective at the next request."""

import pytest
import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import Group, Permission, PermissionView, Role, ViewMenu

from app.core.errors import BusinessError, NotYours
from app.core.models import AuditEntry, FieldChange
from app.core.unit import unit_of_work
from app.security import operations, role_operations
from app.security.labels import COLUMNS, RIGHT_LABELS, VIEW_LABELS, right_label, view_label
from app.security.models import GrantOffer, RoleProfile, Team, UserSession
from app.security.people import roles_by_code
from app.security.queries import rights_table
from app.security.rights import holders, holds, rights_of, rights_of_role
from app.security.roles import ROLES, SUPER_ADMIN, grants_of
from app.security.seed import rights_of_screens, seed_rights, seed_roles
from tests import builders
from tests.support import rows, statements, text_of, versus


def role(code):
    return roles_by_code([code])[0]


def init(app):
    result = app.test_cli_runner().invoke(args=["crm", "init"], catch_exceptions=False)
    assert result.exit_code == 0
    builders.db.session.rollback()
    builders.db.session.expire_all()
    return result.output


def form_of(browser, role, **changes):
    """What the edit page would send, with these changes; `without` and `beside` are rights."""
    page = browser.get(f"/roles/edit/{role.id}").get_data(as_text=True)
    stamp, seen = (page.split(f'name="{name}"')[1].split('value="')[1].split('"')[0] for name in ("stamp", "seen"))
    rights = rights_of_role(role) - changes.pop("without", set()) | changes.pop("beside", set())
    sent = {
        "label_zh": role.profile.label_zh, "label_en": role.profile.label_en, "active": "y", "stamp": stamp,
        "rights": [f"{permission}:{view}" for permission, view in sorted(rights)], "seen": seen, "confirmed": "1",
        **changes,
    }  # fmt: skip
    return {key: value for key, value in sent.items() if value is not None}


# -- seeding --------------------------------------------------------------------------------------------------------


def test_the_five_roles_hold_what_the_table_says(app, db):
    for seeded in ROLES:
        held = rights_of_role(role(seeded.code))
        known = rights_of_screens()
        expected = known if seeded.code == SUPER_ADMIN else set(grants_of(seeded)) & known
        assert held == expected, seeded.code


def test_seeding_again_changes_nothing(app, db):
    before = {r.name: rights_of_role(r) for r in rows(Role)}

    assert " 0 newly granted" in init(app)

    assert {r.name: rights_of_role(r) for r in rows(Role)} == before


def test_a_removed_right_stays_removed_and_a_renamed_role_is_not_made_again(app, db, sign_in, admin):
    manager, browser = role("account_manager"), sign_in(admin)
    removed = {("can_add", "Customer"), ("menu_access", "Opportunity")}
    answer = browser.post(
        f"/roles/edit/{manager.id}", form_of(browser, manager, label_zh="大客户经理", label_en="KAM", without=removed)
    )
    assert answer.status_code == 302
    manager.name = "kam"  # even FAB's own name
    db.session.commit()

    for _run in range(2):
        init(app)
        assert len(rows(Role)) == 5
        assert removed & rights_of_role(role("account_manager")) == set()
        assert role("account_manager").id == manager.id
        assert rows(RoleProfile, RoleProfile.role_id == manager.id)[0].label_zh == "大客户经理"


def test_a_right_that_comes_with_a_new_version_is_offered_once(app, db):
    right = ("can_list", "Customer")
    executive = role("executive")
    with unit_of_work():
        db.session.execute(
            sa.delete(GrantOffer).where(GrantOffer.role_code == SUPER_ADMIN, GrantOffer.view == "Customer")
        )
        db.session.execute(
            sa.text("DELETE FROM ab_permission_view_role WHERE role_id = :r"), {"r": role(SUPER_ADMIN).id}
        )

    init(app)

    held = rights_of_role(role(SUPER_ADMIN))
    assert right in held
    assert {view for _permission, view in held} == {"Customer"}  # the others were offered before
    assert right not in rights_of_role(executive)


def test_a_deleted_role_is_not_made_again(app, db, sign_in, admin, chen):
    chen.roles = [role("sales_lead")]
    db.session.commit()
    browser = sign_in(admin)

    assert browser.post(f"/roles/delete/{role('executive').id}").location == "/roles/list/"

    for _run in range(2):
        init(app)
        assert rows(RoleProfile, RoleProfile.code == "executive") == []
        assert len(rows(Role)) == 4


def test_rights_of_screens_that_are_gone_are_left_alone(app, db):
    permission, view = Permission(name="can_dance"), ViewMenu(name="Ballroom")
    db.session.add(PermissionView(permission=permission, view_menu=view))
    db.session.commit()

    with unit_of_work():
        known = seed_rights()
        granted = seed_roles(known)

    assert ("can_dance", "Ballroom") in known
    assert granted == 1  # super admin holds every right there is
    assert not any(screen.view == "Ballroom" for _group, screens in rights_table() for screen in screens)


def test_the_public_holds_nothing(app, db, client):
    assert rows(Role, sa.func.lower(Role.name) == "public") == []
    assert app.appbuilder.sm.is_item_public("can_list", "Customer") is False
    with app.test_request_context():
        assert app.appbuilder.sm.has_access("can_list", "Customer") is False
        assert app.appbuilder.sm.get_user_menu_access() == set()


def test_even_a_role_named_public_gives_the_public_nothing(app, db, client, admin):
    everything = rows(PermissionView)
    db.session.add(Role(name=app.config["AUTH_ROLE_PUBLIC"], permissions=everything))
    db.session.commit()

    assert client.get("/users/list/").status_code == 302
    assert client.get("/customers/list/").status_code == 302


# -- rights in use --------------------------------------------------------------------------------------------------


def test_a_right_taken_away_is_gone_at_the_next_request(sign_in, admin, wang):
    his, browser = sign_in(wang), sign_in(admin)
    assert his.get("/customers/list/").status_code == 200
    manager = role("account_manager")

    browser.post(f"/roles/edit/{manager.id}", form_of(browser, manager, without={("can_list", "Customer")}))

    assert his.get("/customers/list/").status_code == 403
    browser.post(f"/roles/edit/{manager.id}", form_of(browser, manager, beside={("can_list", "Customer")}))
    assert his.get("/customers/list/").status_code == 200


def test_an_inactive_role_grants_nothing_and_ends_the_sessions_of_who_has_no_other(sign_in, admin, wang, zhao, li):
    """With no other role: signed out at once. With another one: the session goes on with that one's rights."""
    zhao.roles = [*zhao.roles, role("executive")]
    builders.db.session.commit()
    his, hers, leads, browser = sign_in(wang), sign_in(zhao), sign_in(li), sign_in(admin)
    manager = role("account_manager")

    browser.post(f"/roles/edit/{manager.id}", form_of(browser, manager, active=None))

    page = his.get("/customers/list/", follow_redirects=True)
    assert "Your account has no active role any more, so this session ended." in text_of(page)
    assert [s.end_reason for s in rows(UserSession, UserSession.user_id == wang.id)] == ["no_role"]
    assert (hers.get("/customers/list/").status_code, hers.get("/dashboard/").status_code) == (403, 200)
    assert leads.get("/customers/list/").status_code == 200
    assert rights_of(wang.id) == frozenset()
    assert wang.id not in [u for (u,) in builders.db.session.execute(holders("can_be_assigned", "Customer"))]


def test_rights_by_group_count_in_every_check(db, sign_in, li):
    person = builders.user(roles=[])
    browser = sign_in(person)
    assert browser.get("/customers/list/").status_code == 403
    db.session.add(Group(name="night shift", users=[person], roles=[role("account_manager")]))
    db.session.commit()

    assert browser.get("/customers/list/").status_code == 200
    assert "Customers" in text_of(browser.get("/profile/"))
    assert holds(person, "can_be_assigned", "Customer")
    assert person.id in [u for (u,) in db.session.execute(holders("can_be_assigned", "Customer"))]
    assert role_operations.users_of_role(role("account_manager").id) == 3


def test_a_disabled_person_holds_nothing(db, wang):
    assert holds(wang, "can_be_assigned", "Customer")
    wang.active = False

    assert not holds(wang, "can_be_assigned", "Customer")
    assert not holds(None, "can_be_assigned", "Customer")
    assert wang.id not in [u for (u,) in db.session.execute(holders("can_be_assigned", "Customer"))]


def test_who_is_asking_and_what_he_may_costs_two_statements_at_most(app, sign_in, chen):
    browser = sign_in(chen)

    with statements(app) as seen:
        answer = browser.get("/users/list/")

    assert answer.status_code == 403
    asked = [statement for statement in seen if "user_session" in statement or "ab_permission" in statement]
    assert 1 <= len(asked) <= 2, "\n".join(asked)


# -- the screens ----------------------------------------------------------------------------------------------------


def test_the_list_shows_the_names_in_both_languages_and_how_many_people_have_them(sign_in, sysadmin):
    text = text_of(sign_in(sysadmin).get("/roles/list/"))

    assert "客户经理 Account manager Yes 2" in text
    assert "超级管理员 Super admin Yes 1" in text


def test_the_page_of_a_role_shows_its_rights_and_cannot_change_them(sign_in, sysadmin):
    answer = sign_in(sysadmin).get(f"/roles/show/{role('executive').id}")
    page = answer.get_data(as_text=True)

    assert 'name="rights"' not in page
    # One box for every screen that is seen, one for every report that may be exported.
    seen = {view for permission, view in rights_of_role(role("executive")) if permission != "can_see_all"}
    assert page.count(" checked>") == len(seen) + 11
    assert "Customer contribution" in text_of(answer)


def test_every_screen_and_right_has_a_name_for_people(app, db):
    known = rights_of_screens()

    assert sorted({view for _permission, view in known} - VIEW_LABELS.keys()) == []
    assert sorted({permission for permission, _view in known} - RIGHT_LABELS.keys()) == []
    shown = {(p, s.view) for _group, screens in rights_table() for s in screens for p in s.permissions}
    assert shown == known


def test_no_two_rights_of_a_screen_have_the_same_name(app, db):
    for _group, screens in rights_table():
        for screen in screens:
            names = [str(label) for permission, label in COLUMNS.items() if screen.common[permission]]
            names += [str(label) for _permission, label in screen.moves]
            assert len(names) == len(set(names)), screen.view


def test_what_has_no_name_yet_is_shown_as_it_stands_in_the_code():
    assert view_label("Ballroom") == "Ballroom"
    assert right_label("can_dance", "Ballroom") == "can_dance"


def test_an_own_role_can_be_made_given_and_used(sign_in, admin, wang):
    browser = sign_in(admin)
    answer = browser.post(
        "/roles/add",
        {
            "label_zh": "审计员",
            "label_en": "Auditor",
            "active": "y",
            "rights": ["can_list:Customer", "menu_access:Customer"],
        },
    )
    made = rows(Role)[-1]
    assert answer.location == f"/roles/show/{made.id}"
    assert made.name == "auditor"

    person = builders.user(roles=[made])

    assert sign_in(person).get("/customers/list/").status_code == 200
    assert sign_in(person).get("/customers/add").status_code == 403
    (told,) = rows(FieldChange, FieldChange.field == "can_list Customer")
    assert (told.record_type, told.record_id, told.before, told.after) == ("ab_role", made.id, "0", "1")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"label_zh": "客户经理"}, "There is already a role “客户经理”."),
        ({"label_en": "ACCOUNT manager"}, "There is already a role “ACCOUNT manager”."),
        ({"label_en": ""}, "Fill in this field."),
        ({"label_zh": "字" * 65}, "64 characters"),
        ({"rights": ["can_fly:Customer"]}, "One of the rights does not exist."),
        ({"rights": ["nonsense", "can_fly:"]}, "One of the rights does not exist."),
    ],
)
def test_a_refused_role_says_why_and_keeps_what_was_typed(sign_in, sysadmin, change, sentence):
    sent = {"label_zh": "审计员", "label_en": "Auditor", "active": "y", "rights": ["can_list:Customer"], **change}

    answer = sign_in(sysadmin).post("/roles/add", sent)

    assert answer.status_code == 422
    assert sentence in text_of(answer)
    assert len(rows(Role)) == 5


def test_what_was_ticked_stays_ticked_after_a_refusal(sign_in, admin):
    sent = {"label_zh": "", "label_en": "Auditor", "rights": ["see:Customer", "can_show:Order", "can_add:Contact"]}

    page = sign_in(admin).post("/roles/add", sent).get_data(as_text=True)

    assert page.count('name="rights"') > 50
    assert page.count('value="see:Customer" aria-label="Customers: See" checked') == 1
    assert page.count('value="can_add:Contact" aria-label="Contacts: Create" checked') == 1
    assert page.count('value="can_show:Order" checked') == 1  # partly seen: its rights stand one by one
    assert page.count('value="can_list:Order">') == 1


# -- nobody grants what he lacks ----------------------------------------------------------------------------------


def test_nobody_puts_into_a_role_what_he_does_not_hold(sign_in, sysadmin):
    browser, lead = sign_in(sysadmin), role("sales_lead")
    before = rights_of_role(lead)
    page = browser.get(f"/roles/edit/{lead.id}").get_data(as_text=True)
    assert 'value="can_delete:Customer"' not in page  # there, but not to be ticked
    assert 'value="can_add:Team"' in page  # he holds it himself

    answer = browser.post(f"/roles/edit/{lead.id}", form_of(browser, lead, beside={("can_delete", "Customer")}))

    assert answer.status_code == 422
    assert "You do not hold “Customers: Delete” yourself, so you cannot grant it." in text_of(answer)
    assert rights_of_role(lead) == before

    wanted = {"without": {("can_assign", "Customer")}, "beside": {("can_add", "Team")}}
    assert browser.post(f"/roles/edit/{lead.id}", form_of(browser, lead, **wanted)).status_code == 302
    assert rights_of_role(lead) == before - wanted["without"] | wanted["beside"]


def test_nobody_makes_a_role_with_what_he_does_not_hold(sign_in, sysadmin):
    sent = {"label_zh": "审计员", "label_en": "Auditor", "active": "y", "rights": ["can_list:Customer"]}

    answer = sign_in(sysadmin).post("/roles/add", sent)

    assert "You do not hold “Customers: List” yourself" in text_of(answer)
    assert len(rows(Role)) == 5


def test_a_role_is_given_and_activated_by_who_holds_its_rights_or_may_give_any(db, sysadmin, admin, chen):
    lead, right = role("sales_lead"), ("can_give_any_role", "User")

    def give(roles):
        with unit_of_work():
            operations.change_user(
                chen, actor=sysadmin, last_name="陈", first_name="立", email="chen@liuke.example", phone=None,
                team=None, active=True, roles=roles,
            )  # fmt: skip

    give([lead])  # a system admin gives roles: his job
    with unit_of_work():
        own = role("system_admin")
        role_operations.change_role(
            own, actor=admin, label_zh="系统管理员", label_en="System admin", active=True,
            rights=rights_of_role(own) - {right},
        )  # fmt: skip
        role_operations.change_role(lead, actor=admin, label_zh="销售主管", label_en="Sales lead", active=False)

    with pytest.raises(NotYours, match="You do not hold every right of the role “Account manager”"):
        give([lead, role("account_manager")])
    with pytest.raises(NotYours, match="You do not hold every right of the role “Sales lead”"), unit_of_work():
        role_operations.change_role(lead, actor=sysadmin, label_zh="销售主管", label_en="Sales lead", active=True)
    give([])  # taking away is no giving
    assert chen.roles == []


# -- a look before saving -----------------------------------------------------------------------------------------


def test_before_a_change_is_saved_it_says_what_changes_and_for_whom(db, sign_in, admin, wang, zhao, li):
    browser, manager = sign_in(admin), role("account_manager")
    wang.roles = [manager, role("sales_lead")]
    zhao.active = False
    kim = builders.user(roles=[manager], last_name="金", first_name="妍")
    db.session.commit()
    before = rights_of_role(manager)
    sent = form_of(browser, manager, beside={("can_assign", "Customer")}, without={("can_win", "Opportunity")})
    del sent["confirmed"]

    answer = browser.post(f"/roles/edit/{manager.id}", sent)

    text = text_of(answer)
    assert answer.status_code == 200
    assert "Nothing is saved yet" in text
    assert "Opportunities Mark as won Yes No Customers Assign owner No Yes" in text
    assert f"金妍 {kim.username} gains 1 right, loses 1 right" in text
    assert "王强 wang loses 1 right" in text  # he may assign as a lead anyway
    assert "赵敏" not in text  # she cannot sign in
    assert "Save 2 changes" in text
    assert rights_of_role(manager) == before
    page = answer.get_data(as_text=True)
    assert page.count('name="rights" value="') == len(sent["rights"])
    assert 'name="rights" value="can_assign:Customer"' in page

    back = browser.post(f"/roles/edit/{manager.id}", {**sent, "back": "1"})
    assert (back.status_code, rights_of_role(manager)) == (200, before)
    assert 'value="can_assign:Customer" checked' in back.get_data(as_text=True)

    assert browser.post(f"/roles/edit/{manager.id}", {**sent, "confirmed": "1"}).status_code == 302
    assert rights_of_role(manager) == before - {("can_win", "Opportunity")} | {("can_assign", "Customer")}


def test_disabling_a_role_is_looked_at_before_too(sign_in, admin, chen):
    browser, executive = sign_in(admin), role("executive")
    sent = form_of(browser, executive, active=None)
    del sent["confirmed"]

    text = text_of(browser.post(f"/roles/edit/{executive.id}", sent))

    assert "The role is disabled: it grants nothing any more." in text
    assert f"陈立 chen loses {len(rights_of_role(executive))} rights" in text
    assert "Save 1 change " in text
    assert rows(RoleProfile, RoleProfile.code == "executive")[0].active


def test_a_name_alone_needs_no_look(sign_in, admin):
    browser, executive = sign_in(admin), role("executive")
    sent = form_of(browser, executive, label_zh="董事")
    del sent["confirmed"]

    assert browser.post(f"/roles/edit/{executive.id}", sent).status_code == 302


def test_everybodys_numbers_are_chosen_in_place_of_ones_own(sign_in, admin):
    browser, manager = sign_in(admin), role("account_manager")
    own, of_any = ("can_see_phone", "Customer"), ("can_see_any_phone", "Customer")

    browser.post(f"/roles/edit/{manager.id}", form_of(browser, manager, without={own}, beside={of_any}))

    assert {own, of_any} <= rights_of_role(manager)  # one's own are among everybody's


def test_the_rights_of_super_admin_are_not_to_be_changed(sign_in, admin):
    browser, boss = sign_in(admin), role(SUPER_ADMIN)
    before = rights_of_role(boss)
    page = browser.get(f"/roles/edit/{boss.id}").get_data(as_text=True)
    assert 'name="rights"' not in page
    assert 'name="active"' not in page

    browser.post(f"/roles/edit/{boss.id}", form_of(browser, boss, label_en="Owner", rights=[], active=None))

    profile = rows(RoleProfile, RoleProfile.role_id == boss.id)[0]
    assert (profile.label_en, profile.active) == ("Owner", True)
    assert rights_of_role(boss) == before
    with pytest.raises(BusinessError, match="always holds every right"):
        role_operations.change_role(boss, actor=admin, label_zh="x", label_en="y", active=True, rights=set())
    with pytest.raises(BusinessError, match="always holds every right"):
        role_operations.change_role(boss, actor=admin, label_zh="x", label_en="y", active=False)


def test_nobody_gives_himself_rights_by_the_role_he_holds(sign_in, sysadmin):
    browser, own = sign_in(sysadmin), role("system_admin")
    before = rights_of_role(own)

    browser.post(f"/roles/edit/{own.id}", form_of(browser, own, beside={("can_see_all", "Customer")}))

    assert rights_of_role(own) == before
    with pytest.raises(NotYours, match="You hold this role yourself"):
        role_operations.change_role(
            own, actor=sysadmin, label_zh="a", label_en="b", active=True, rights=before | {("can_list", "Customer")}
        )
    with pytest.raises(NotYours, match="You hold this role yourself"):
        role_operations.change_role(own, actor=sysadmin, label_zh="a", label_en="b", active=False)


def test_a_super_admin_changes_the_role_of_the_system_admins(sign_in, admin):
    browser, other = sign_in(admin), role("system_admin")

    answer = browser.post(f"/roles/edit/{other.id}", form_of(browser, other, without={("can_edit", "Role")}))

    assert answer.status_code == 302
    assert ("can_edit", "Role") not in rights_of_role(other)
    changes = rows(FieldChange, FieldChange.unit == rows(AuditEntry)[0].unit)
    assert [(c.field, c.before, c.after) for c in changes] == [("can_edit Role", "1", "0")]


def test_a_role_page_opened_before_somebody_elses_change_is_refused(sign_in, admin, sysadmin):
    browser, lead = sign_in(sysadmin), role("sales_lead")
    old = form_of(browser, lead)
    with unit_of_work():
        role_operations.change_role(
            lead, actor=admin, label_zh="主管", label_en="Lead", active=True, rights={("can_list", "Customer")}
        )

    answer = browser.post(f"/roles/edit/{lead.id}", old)

    assert answer.status_code == 422
    assert "Somebody changed this record meanwhile" in text_of(answer)
    both = versus(answer)
    add, see = (f"{view_label('Customer')}: {right_label(right, 'Customer')}" for right in ("can_add", "can_list"))
    assert (both["Name in English"][1], both[add][0].split()[0], both[add][1]) == ("Sales lead", "No", "Yes")
    assert see not in both  # in that both say the same
    without_any = {name: value for name, value in old.items() if name != "rights"}
    assert versus(browser.post(f"/roles/edit/{lead.id}", without_any))[see][1] == "No"
    assert rights_of_role(lead) == {("can_list", "Customer")}


@pytest.mark.parametrize(
    ("code", "sentence"), [("super_admin", "cannot be deleted"), ("account_manager", "People still have")]
)
def test_a_role_in_use_stays(sign_in, admin, code, sentence):
    browser = sign_in(admin)
    assert "Delete this record?" not in browser.get(f"/roles/show/{role(code).id}").get_data(as_text=True)

    page = browser.post(f"/roles/delete/{role(code).id}", follow_redirects=True)

    assert sentence in text_of(page)
    assert role(code) is not None


def test_a_role_held_by_a_group_is_in_use(db, sign_in, admin, chen):
    chen.roles = [role("sales_lead")]
    db.session.add(Group(name="board", users=[chen], roles=[role("executive")]))
    db.session.commit()

    sign_in(admin).post(f"/roles/delete/{role('executive').id}")

    assert role("executive") is not None


@pytest.mark.parametrize("person", ["li", "wang", "chen"])
def test_nobody_else_opens_the_roles(request, sign_in, person):
    browser = sign_in(request.getfixturevalue(person))

    for path in ("list/", "add", "show/1", "edit/1"):
        assert browser.get(f"/roles/{path}").status_code == 403
    assert browser.post("/roles/delete/1").status_code == 403


def test_a_role_made_by_the_frameworks_command_line_can_be_edited(db, sign_in, admin):
    db.session.add(Role(name="imported"))
    db.session.commit()
    made = rows(Role)[-1]
    browser = sign_in(admin)
    assert "imported" in text_of(browser.get(f"/roles/show/{made.id}"))
    page = browser.get(f"/roles/edit/{made.id}").get_data(as_text=True)
    stamp = page.split('name="stamp"')[1].split('value="')[1].split('"')[0]

    answer = browser.post(
        f"/roles/edit/{made.id}", {"label_zh": "导入", "label_en": "Imported", "active": "y", "stamp": stamp}
    )

    assert answer.status_code == 302
    assert rows(RoleProfile, RoleProfile.role_id == made.id)[0].label_zh == "导入"


def test_a_company_has_a_hundred_roles_at_most(db, admin):
    there = len(rows(Role))
    db.session.add_all(Role(name=f"r{n}") for n in range(there, role_operations.MOST_ROLES - 1))
    db.session.commit()
    with unit_of_work():
        role_operations.create_role(actor=admin, label_zh="第一百", label_en="Hundredth")
    with pytest.raises(operations.Mistake, match="There are 100 roles"):
        role_operations.create_role(actor=admin, label_zh="多余", label_en="Surplus")


def test_a_company_has_a_hundred_teams_at_most(db, admin, sign_in):
    db.session.add_all(Team(name=f"{n}组") for n in range(operations.MOST_TEAMS - 1))
    db.session.commit()
    browser = sign_in(admin)
    assert browser.post("/teams/add", {"name": "第一百组"}).status_code == 302
    answer = browser.post("/teams/add", {"name": "多余组"})
    assert answer.status_code == 422
    assert "There are 100 teams. Delete one that nobody needs." in text_of(answer)
    last = rows(Team, Team.name == "第一百组")[0]
    with unit_of_work():  # a team that is there may still be changed
        operations.check_team(last)


def test_roles_whose_names_read_alike_get_names_of_their_own(db, admin):
    with unit_of_work():
        made = [
            role_operations.create_role(actor=admin, label_zh=zh, label_en=en)
            for zh, en in (
                ("一", "Night shift"),
                ("二", "Night-shift"),
                ("三", "night  shift!"),
                ("四", "夜"),
                ("五", "!!!"),
            )
        ]

    assert [role.name for role in made] == ["night_shift", "night_shift_2", "night_shift_3", "夜", "role"]


def test_a_role_named_public_is_not_the_public_role(app, db, admin):
    with unit_of_work():
        made = role_operations.create_role(
            actor=admin, label_zh="公众", label_en="Public", rights={("can_list", "User")}
        )

    assert made.name != app.config["AUTH_ROLE_PUBLIC"]
