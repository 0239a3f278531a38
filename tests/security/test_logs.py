"""变更记录, 登录日志 and 团队."""

import pytest

from app.core.clock import local
from app.core.lifecycle import note_refusal
from app.core.models import AuditEntry, FieldChange
from app.core.unit import unit_of_work
from app.security import operations, role_operations
from app.security.models import LoginResult, Team, UserProfile
from app.security.rights import rights_of_role
from app.security.sessions import note_login
from tests import builders
from tests.support import rows, text_of


@pytest.fixture
def told(li, wang):
    """An entry about a customer, with field values."""
    from app.core.lifecycle import note_move

    customer = builders.customer(owner=wang, name="东方重工有限公司")
    with unit_of_work():
        note_move(customer, "edit", actor=li, changes={"phone": ["010-1111", "010-2222"]}, note="搬家了")
    return rows(AuditEntry)[0]


def test_the_change_log_tells_who_when_what_and_how_it_ended(sign_in, sysadmin, li, told):
    note_refusal("customer", told.record_id, "edit", actor_id=li.id, before=None, why="Not now.")

    text = text_of(sign_in(sysadmin).get("/audit/list/"))

    assert f"李娜 Customer {told.record_id} changed it Refused" in text
    assert f"李娜 Customer {told.record_id} changed it Done" in text
    assert "东方重工" not in text


def test_field_values_are_shown_only_to_who_may_open_the_record(sign_in, sysadmin, admin, told):
    for person, sees in ((sysadmin, False), (admin, True)):
        text = text_of(sign_in(person).get(f"/audit/show/{told.id}"))
        assert ("010-2222" in text) is sees
        assert ("搬家了" in text) is sees
        assert ("shown to people who may open the record" in text) is not sees


def test_the_right_on_other_peoples_records_is_not_enough(app, db, sign_in, told):
    """Whoever sees only his own customers reads no values of another's."""
    app.config["LIUKE_CUSTOMERS_SHARED"] = "own"
    rights = [("can_show", "AuditEntry"), ("can_show", "Customer")]
    person = builders.user(roles=[builders.role(rights=rights)])

    text = text_of(sign_in(person).get(f"/audit/show/{told.id}"))

    assert "010-2222" not in text
    assert "shown to people who may open the record" in text


def test_an_entry_about_a_record_without_a_screen_shows_no_values(db, sign_in, admin):
    with unit_of_work():
        db.session.add(AuditEntry(record_type="ghost", record_id=1, action="haunt", unit="1"))
        db.session.add(FieldChange(record_type="ghost", record_id=1, field="x", after="boo", move="ghost.x", unit="1"))

    text = text_of(sign_in(admin).get(f"/audit/show/{rows(AuditEntry)[0].id}"))

    assert "The system" in text
    assert "ghost 1" in text
    assert "boo" not in text


def test_the_change_log_is_searched_by_person_kind_day_and_outcome(sign_in, sysadmin, li, wang, told):
    browser = sign_in(sysadmin)
    day = f"{local(told.at):%Y-%m-%d}"  # the company's day
    for query, found in (
        ("field=phone", True), ("field=HON", True), ("field=Fax", False), ("record=customer&field=phone", True),
        ("record=customer&field=hon", False), ("record=contact&field=phone", False),
        (f"_flt_0_actor={li.id}", True), (f"_flt_0_actor={wang.id}", False), ("record=customer", True),
        ("record=ab_user", False), ("record=nonsense", False), ("_flt_0_outcome=done", True),
        ("_flt_0_outcome=refused", False), ("_flt_1_at=2020-01-01", True), ("_flt_1_at=2999-01-01", False),
        (f"_flt_2_at={day}&record=customer", True),
    ):  # fmt: skip
        assert ("changed it" in text_of(browser.get(f"/audit/list/?{query}"))) is found, query


def test_a_field_is_looked_for_by_what_the_reader_calls_it(sign_in, sysadmin, told):
    browser = sign_in(sysadmin)
    for language, field, found in (
        ("en", "hon", True), ("zh", "电话", True), ("zh", "hon", False), ("en", "hon", True), ("en", "电话", False),
    ):  # fmt: skip
        page = browser.speak(language).get(f"/audit/list/?field={field}").get_data(as_text=True)
        assert (f"/audit/show/{told.id}" in page) is found, (language, field)


@pytest.mark.parametrize("path", ["add", "edit/1", "delete/1"])
@pytest.mark.parametrize("log", ["audit", "logins"])
def test_nobody_writes_into_the_logs(sign_in, admin, told, log, path):
    browser = sign_in(admin)

    assert browser.get(f"/{log}/{path}").status_code == 404
    assert browser.post(f"/{log}/{path}").status_code == 404


def test_the_login_log_tells_account_address_and_result(sign_in, sysadmin, wang, client):
    client.login_page("wang", "wrong password")
    client.login_page("wang")
    note_login("<script>alert(1)</script>\r\nfake", LoginResult.wrong, user_id=None, ip="::1")

    page = sign_in(sysadmin).get("/logins/list/")

    text = text_of(page)
    assert "wang 王王强 Wrong name or password 127.0.0.1" in text.replace("王 王强", "王王强")
    assert "wang 王王强 Signed in 127.0.0.1" in text.replace("王 王强", "王王强")
    assert "<script>alert" not in page.get_data(as_text=True)


@pytest.mark.parametrize("person", ["li", "wang", "chen"])
@pytest.mark.parametrize("log", ["audit", "logins"])
def test_the_logs_are_for_administrators(request, sign_in, person, log):
    assert sign_in(request.getfixturevalue(person)).get(f"/{log}/list/").status_code == 403


def test_signing_in_and_account_changes_are_in_the_logs(sign_in, sysadmin, admin, wang):
    with unit_of_work():
        operations.disable(wang, actor=admin)

    text = text_of(sign_in(sysadmin).get(f"/audit/show/{rows(AuditEntry)[0].id}"))

    assert "周毅" in text
    assert "Enabled Yes No" in text


def test_values_read_as_people_know_them(sign_in, admin, sysadmin, li, wang, zhao):
    from app.core.lifecycle import note_move
    from app.security.people import roles_by_code

    customer, lead = builders.customer(owner=wang), roles_by_code(["sales_lead"])[0]
    with unit_of_work():
        note_move(customer, "edit", actor=li, changes={
            "owner_id": [wang.id, zhao.id], "status": ["active", "lost"], "level_id": [None, customer.level_id],
            "credit": [3, 5], "forgotten": ["a", "b"], "customer_id": [1, 999],
        })  # fmt: skip
        operations.change_user(
            chen := builders.user(role_code="executive"), actor=admin, last_name="陈", first_name="立",
            email=chen.email, phone=None, team=None, active=True, roles=[lead],
        )  # fmt: skip
        rights = rights_of_role(lead) - {("can_list", "Customer")}
        role_operations.change_role(lead, actor=admin, label_zh="主管", label_en="Lead", active=True, rights=rights)
    browser = sign_in(admin)

    texts = [text_of(browser.get(f"/audit/show/{entry.id}")) for entry in rows(AuditEntry)]

    assert "Account manager 王 王强 赵 赵敏" in texts[0]
    assert "Status Active Lost" in texts[0]
    assert "Level — Regular" in texts[0]
    assert "forgotten" not in texts[0]  # a column no screen names is nobody's to read
    assert "Roles Executive Lead" in texts[1]
    assert "Customers: List Yes No" in texts[2]
    assert "Name in English Sales lead Lead" in texts[2]


def test_a_field_is_found_as_it_is_called_on_its_own_screen(db, sign_in, admin, wang):
    customer = builders.customer(owner=wang)
    about = {"record_type": "customer", "record_id": customer.id, "field": "name"}
    db.session.add(FieldChange(**about, after="b", move="customer.edit"))
    db.session.commit()
    browser = sign_in(admin)
    for called, found in (("Customer name", True), ("customer na", True), ("name", True), ("Contact name", False)):
        text = text_of(browser.get("/changes/list/", query_string={"field": called}))
        assert (f"Customer {customer.id} Customer name" in text) is found, called


# -- teams ----------------------------------------------------------------------------------------------------------


def test_a_team_has_a_lead_and_members(sign_in, sysadmin, li, wang):
    browser = sign_in(sysadmin)
    answer = browser.post("/teams/add", {"name": "华北组", "lead": str(li.id)})
    team = rows(Team)[0]
    builders.db.session.get(UserProfile, wang.id).team = team

    assert answer.location == f"/teams/show/{team.id}"
    assert "Members 王强" in text_of(browser.get(f"/teams/show/{team.id}"))
    assert "华北组 李 李娜 — 1" in text_of(browser.get("/teams/list/"))


def test_teams_stand_on_one_level_only(sign_in, sysadmin):
    top, middle, other = builders.team(name="总部"), builders.team(name="华北"), builders.team(name="华南")
    browser = sign_in(sysadmin)

    def put(team, parent):
        team, parent = (rows(Team, Team.id == t.id)[0] for t in (team, parent))
        sent = {"name": team.name, "parent": str(parent.id), "version": str(team.version)}
        return browser.post(f"/teams/edit/{team.id}", sent)

    assert put(middle, top).status_code == 302
    assert "stands under another team already" in text_of(put(other, middle))
    assert "Other teams stand under this one" in text_of(put(top, other))
    assert "cannot stand under itself" in text_of(put(other, other))
    assert [t.parent_id for t in rows(Team)] == [None, top.id, None]


def test_a_team_with_members_stays(sign_in, sysadmin, wang):
    team = builders.team(members=(wang,))

    page = sign_in(sysadmin).post(f"/teams/delete/{team.id}", follow_redirects=True)

    assert "is still in use" in text_of(page)
    assert len(rows(Team)) == 1


def test_two_teams_have_two_names(sign_in, sysadmin):
    builders.team(name="华北组")

    answer = sign_in(sysadmin).post("/teams/add", {"name": "华北组"})

    assert answer.status_code == 422
    assert "already a record with this value" in text_of(answer)
