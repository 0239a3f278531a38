"""敏感字段: phone, bank account and tax numbers are masked for whoever has no right to see them, wherever they are."""

from __future__ import annotations

import pytest

from app.core.lifecycle import note_move
from app.core.models import AuditEntry
from app.core.protected import masked
from app.customers.models import Contact, Customer
from app.masterdata.models import DictionaryItem, DictionaryType
from app.security.people import roles_by_code
from app.security.rights import rights_of_role
from app.security.role_operations import change_role
from tests import builders
from tests.support import rows, text_of

PHONE, MOBILE, BANK, TAX = "13912345678", "13987654321", "6222020200112233445", "310101777888999"


def without(code, *gone, beside=()):
    """Take these rights from a seeded role, and give it others."""
    role = roles_by_code([code])[0]
    rights = {r for r in rights_of_role(role) if r[0] not in gone} | set(beside)
    change_role(
        role, actor=None, label_zh=role.profile.label_zh, label_en=role.profile.label_en, active=True, rights=rights
    )
    builders.db.session.commit()


@pytest.fixture
def customer(db, zhao):
    made = builders.customer(
        owner=zhao, name="南方电器", number="KH1", phone=PHONE, bank_account=BANK, national_tax_no=TAX,
        local_tax_no=TAX, address="上海路 1 号", postcode="200000",
    )  # fmt: skip
    builders.contact(made, name="刘洋", office_phone=PHONE, mobile=MOBILE)
    return made


@pytest.mark.once
@pytest.mark.parametrize(("value", "left"), [
    ("13812345678", "138****5678"), ("010-68348438-668", "010****8668"), ("+86 138 1234 5678", "861****5678"),
    ("68348438", "****8438"), ("6834843", "****"), ("95588", "****"), (TAX, "310****8999"),
])  # fmt: skip
def test_of_a_number_the_ends_are_left(value, left):
    assert masked(value) == left


def test_the_page_shows_numbers_in_full_to_the_owner_and_the_lead_only(customer, sign_in, wang, zhao, li, admin):
    for person in (zhao, li, admin):
        text = text_of(sign_in(person).get(f"/customers/show/{customer.id}"))
        assert all(number in text for number in (PHONE, MOBILE, BANK, TAX)), person.username
    text = text_of(sign_in(wang).get(f"/customers/show/{customer.id}"))
    assert not any(number in text for number in (PHONE, MOBILE, BANK, TAX))
    assert all(left in text for left in ("139****5678", "139****4321", "622****3445", "310****8999"))


def test_lists_and_tabs_mask_them_too(customer, sign_in, wang, zhao):
    for address in ("/contacts/list/", f"/customers/show/{customer.id}?tab=ContactView"):
        text = text_of(sign_in(wang).get(address))
        assert ("139****5678" in text, PHONE in text, MOBILE in text) == (True, False, False)
        assert MOBILE in text_of(sign_in(zhao).get(address))


@pytest.mark.parametrize("address", [
    f"/customers/list/?_flt_0_name={PHONE}", "/customers/list/?_flt_0_name=1234",
    f"/contacts/list/?_flt_0_mobile={MOBILE}", f"/contacts/list/?_flt_0_office_phone={PHONE[-4:]}",
    f"/interactions/lookup/customer?q={PHONE[:5]}", f"/churn/lookup/customer?q={PHONE}",
    "/customers/list/?_flt_0_name=kh1%20139",
])  # fmt: skip
def test_nobody_finds_a_row_by_a_number_he_may_not_see(customer, sign_in, wang, zhao, li, address):
    builders.churn_case(customer)
    builders.churn_case(builders.customer(owner=wang))
    found = "南方电器" if "lookup" not in address else r"\u5357\u65b9"
    answers = {p.username: sign_in(p).get(address).get_data(as_text=True) for p in (wang, zhao, li)}

    assert found not in answers["wang"]
    assert found in answers["zhao"]
    assert found in answers["li"]


def test_names_and_visible_numbers_still_find_what_has_digits(db, sign_in, wang, zhao):
    builders.customer(owner=zhao, name="3M 中国", number="KH071202001", phone=PHONE)
    browser = sign_in(wang)
    for text in ("3m", "071202", "zhongguo", "3M 中"):
        assert "3M 中国" in text_of(browser.get(f"/customers/list/?_flt_0_name={text}")), text


def test_no_filter_is_offered_for_what_is_never_seen(customer, sign_in, wang):
    without("account_manager", "can_see_phone")
    page = sign_in(wang).get("/contacts/list/").get_data(as_text=True)

    assert 'name="_flt_0_mobile"' not in page
    assert 'name="_flt_0_name"' in page
    assert "刘洋" not in text_of(sign_in(wang).get(f"/contacts/list/?_flt_0_mobile={MOBILE}"))


def test_whoever_edits_without_seeing_keeps_the_real_numbers(customer, sign_in, wang):
    without("account_manager", "can_see_phone", "can_see_bank_account", "can_see_tax_no",
            beside={("can_edit_any", "Customer"), ("can_edit_any", "Contact")})  # fmt: skip
    browser, contact = sign_in(wang), rows(Contact)[0]
    answer = browser.get(f"/customers/edit/{customer.id}")
    page = answer.get_data(as_text=True)
    assert not any(number in page for number in (PHONE, MOBILE, BANK, TAX))
    assert "139****5678" in page
    fields = {
        "name": "南方电器", "level": customer.level_id, "owner": customer.owner_id, "satisfaction": "4", "credit": "3",
        "region": rows(DictionaryItem, DictionaryItem.type == DictionaryType.region)[0].id, "address": "上海路 2 号",
        "postcode": "200000", "version": customer.version,
        "phone": "139****5678", "bank_account": "622****3445", "national_tax_no": "1", "local_tax_no": "",
    }  # fmt: skip

    assert browser.post(f"/customers/edit/{customer.id}", fields).status_code == 302

    kept = rows(Customer)[0]
    assert (kept.address, kept.satisfaction) == ("上海路 2 号", 4)
    assert (kept.phone, kept.bank_account, kept.national_tax_no, kept.local_tax_no) == (PHONE, BANK, TAX, TAX)
    named = {
        "name": "刘海洋",
        "office_phone": "",
        "mobile": "1",
        "is_primary": "y",
        "version": contact.version,
    }
    assert browser.post(f"/contacts/edit/{contact.id}", named).status_code == 302
    kept = rows(Contact)[0]
    assert (kept.name, kept.office_phone, kept.mobile) == ("刘海洋", PHONE, MOBILE)


def test_what_is_empty_may_be_filled_in(db, sign_in, wang, zhao):
    without("account_manager", "can_see_phone", beside={("can_edit_any", "Contact")})
    contact = builders.contact(builders.customer(owner=zhao), office_phone=PHONE)
    fields = {"name": "刘洋", "mobile": MOBILE, "is_primary": "y", "version": contact.version}

    assert sign_in(wang).post(f"/contacts/edit/{contact.id}", fields).status_code == 302

    kept = rows(Contact)[0]
    assert (kept.office_phone, kept.mobile) == (PHONE, MOBILE)


def test_the_change_log_masks_them(customer, sign_in, wang, li):
    changes = {"phone": ["021-55556666", PHONE], "city": ["上海", "苏州"]}
    note_move(customer, "edit", actor=li, changes=changes)
    builders.db.session.commit()
    without("account_manager", "nothing", beside={("can_list", "AuditEntry"), ("can_show", "AuditEntry")})
    entry = rows(AuditEntry, AuditEntry.record_type == "customer")[-1]

    text = text_of(sign_in(wang).get(f"/audit/show/{entry.id}"))

    assert "021****6666" in text
    assert "139****5678" in text
    assert "苏州" in text
    assert PHONE not in text


def test_on_a_ticket_whoever_works_on_it_sees_whom_to_call(customer, sign_in, wang, zhao, li):
    ticket = builders.ticket(customer, by=li, given_to=wang)
    other = builders.ticket(customer, by=wang, given_to=zhao)

    assert MOBILE in text_of(sign_in(wang).get(f"/tickets/show/{ticket.id}"))
    text = text_of(sign_in(wang).get(f"/tickets/show/{other.id}"))
    assert ("刘洋 · 139****4321" in text, MOBILE in text) == (True, False)


def test_a_colleagues_number_too(db, sign_in, sysadmin, wang):
    wang.profile.phone = PHONE
    db.session.commit()
    address = f"/users/show/{wang.id}"
    assert PHONE in text_of(sign_in(sysadmin).get(address))
    without("system_admin", "can_see_any_phone")

    browser = sign_in(sysadmin)
    assert "139****5678" in text_of(browser.get(address))
    page = browser.get(f"/users/edit/{wang.id}").get_data(as_text=True)
    assert PHONE not in page
    stamp = page.split('name="stamp"')[1].split('value="')[1].split('"')[0]
    fields = {
        "last_name": "王", "first_name": "强强", "email": "wang@liuke.example", "active": "y", "stamp": stamp,
        "roles": [str(wang.roles[0].id)], "phone": "",
    }  # fmt: skip
    assert browser.post(f"/users/edit/{wang.id}", fields).status_code == 302
    db.session.refresh(wang)
    assert (wang.first_name, wang.profile.phone) == ("强强", PHONE)
