"""数据字典: what a company may word for itself, and what stays as the rules need it."""

from __future__ import annotations

import pytest

from app.core.errors import BusinessError
from app.masterdata import operations
from app.masterdata.access import items_of
from app.masterdata.models import DictionaryItem, DictionaryType
from tests import builders
from tests.support import rows, text_of

T = DictionaryType


def new(**given):
    given = {"type": T.region, "label_zh": "西藏", "label_en": "Tibet", **given}
    return DictionaryItem(**given)


def form_of(item, **given):
    """What the edit page of an item sends."""
    sent = {
        "label_zh": item.label_zh, "label_en": item.label_en, "value": item.value or "",
        "sort_order": item.sort_order, "version": item.version, **given,
    }  # fmt: skip
    if given.get("active", item.active):
        sent["active"] = "y"
    else:
        sent.pop("active", None)
    return sent


def test_a_new_item_comes_last_in_its_list_with_a_code_nobody_typed(db):
    last = max(item.sort_order for item in rows(DictionaryItem, DictionaryItem.type == T.region))

    item = operations.add_item(new(label_en="Tibet (west)"))

    assert (item.code, item.active, item.system) == ("tibet_west", True, False)
    assert item.sort_order == last + 1
    assert items_of(T.region).all()[-1] is item


def test_codes_stay_apart_however_the_labels_read(db):
    codes = [
        operations.add_item(new(label_zh=zh, label_en=en)).code
        for zh, en in (("一", "New area"), ("二", "New  area!"), ("三", "西部"), ("四", "北部"))
    ]
    assert codes == ["new_area", "new_area_2", "item", "item_2"]


@pytest.mark.parametrize(("column", "label"), [("label_zh", "华东"), ("label_en", "ＥＡＳＴ china")])
def test_a_list_offers_no_label_twice(db, column, label):
    with pytest.raises(BusinessError, match=f"already has an item “{label}”"):
        operations.add_item(new(**{column: label}))


def test_another_list_may_use_the_same_label(db):
    assert operations.add_item(new(type=T.bank, label_zh="华东", label_en="East China")).id


def test_a_label_no_longer_offered_may_be_used_again(db):
    builders.dictionary(T.region, "east").active = False
    assert operations.add_item(new(label_zh="华东", label_en="East China")).id


@pytest.mark.parametrize(("column", "value"), [("code", "other"), ("type", T.bank), ("system", False), ("value", "9")])
def test_what_a_rule_reads_of_a_system_row_stays(db, column, value):
    level = builders.dictionary(T.level, "3")
    setattr(level, column, value)
    with pytest.raises(BusinessError, match="Only the labels"), db.session.no_autoflush:
        operations.change_item(level)


def test_the_value_of_an_item_of_ones_own_may_change(db):
    item = builders.dictionary_item(value="1")
    item.value = "2"
    operations.change_item(item)
    assert rows(DictionaryItem, DictionaryItem.id == item.id)[0].value == "2"


def test_a_system_row_is_not_deleted(db):
    with pytest.raises(BusinessError, match="part of the product and stays"):
        operations.remove_item(builders.dictionary(T.ticket_type, "complaint"))


# -- pages --------------------------------------------------------------------------------------------------------


def test_the_system_admin_adds_an_item_and_forms_offer_it(db, sysadmin, sign_in):
    browser = sign_in(sysadmin)
    answer = browser.post("/dictionary/add", {"type": "region", "label_zh": "西藏", "label_en": "Tibet"})
    assert answer.status_code == 302
    assert "西藏" in [item.label_zh for item in items_of(T.region).all()]


def test_the_list_shows_labels_and_no_code(db, sysadmin, sign_in):
    builders.dictionary_item(code="hidden-code", label="西藏")
    page = sign_in(sysadmin).get("/dictionary/list/?_flt_0_type=region")
    assert "西藏" in text_of(page)
    assert "hidden-code" not in page.get_data(as_text=True)
    assert "ICBC" not in text_of(page)


def test_a_list_is_read_in_its_own_order(db, sysadmin, sign_in):
    builders.dictionary_item(label="最先", sort_order=-1)
    text = text_of(sign_in(sysadmin).get("/dictionary/list/?_flt_0_type=region"))
    assert text.index("最先") < text.index("北京") < text.index("海外")


def test_labels_are_found_in_either_language(db, sysadmin, sign_in):
    browser = sign_in(sysadmin)
    assert "战略合作伙伴" in text_of(browser.get("/dictionary/list/?_flt_0_label_en=strategic"))
    assert "Strategic partner" in text_of(browser.get("/dictionary/list/?_flt_0_label_zh=战略"))


def test_a_system_rows_label_changes_and_nothing_else_whatever_is_sent(db, sysadmin, sign_in):
    level = builders.dictionary(T.level, "3")
    browser = sign_in(sysadmin)
    assert 'name="value"' not in browser.get(f"/dictionary/edit/{level.id}").get_data(as_text=True)

    sent = form_of(level, label_zh="重要客户", code="x", type="bank", system="", value="9")
    assert browser.post(f"/dictionary/edit/{level.id}", sent).status_code == 302

    kept = rows(DictionaryItem, DictionaryItem.id == level.id)[0]
    assert (kept.label_zh, kept.code, kept.type, kept.system, kept.value) == ("重要客户", "3", T.level, True, "3")


def test_a_system_row_has_no_delete_button_and_stays_when_asked_without(db, sysadmin, sign_in):
    level = builders.dictionary(T.level, "1")
    browser = sign_in(sysadmin)
    assert f"/dictionary/delete/{level.id}" not in browser.get(f"/dictionary/show/{level.id}").get_data(as_text=True)

    answer = browser.post(f"/dictionary/delete/{level.id}", follow_redirects=True)

    assert "is part of the product and stays" in text_of(answer)
    assert rows(DictionaryItem, DictionaryItem.id == level.id)


def test_a_row_in_use_is_deactivated_instead_of_deleted(db, sysadmin, sign_in):
    region = builders.dictionary(T.region, "east")
    customer = builders.customer(region=region)
    browser = sign_in(sysadmin)

    refused = browser.post(f"/dictionary/delete/{region.id}", follow_redirects=True)
    assert "is still in use and cannot be deleted" in text_of(refused)

    assert browser.post(f"/dictionary/edit/{region.id}", form_of(region, active=False)).status_code == 302
    assert not rows(DictionaryItem, DictionaryItem.id == region.id)[0].active
    assert "east" not in [item.code for item in items_of(T.region).all()]
    assert customer.region.label_zh == "华东"


def test_a_row_nobody_uses_is_deleted(db, sysadmin, sign_in):
    pk = builders.dictionary_item().id
    assert sign_in(sysadmin).post(f"/dictionary/delete/{pk}").status_code == 302
    assert rows(DictionaryItem, DictionaryItem.id == pk) == []


def test_the_label_follows_the_readers_language(app, db):
    level = builders.dictionary(T.level, "5")
    for language, label in (("zh", "战略合作伙伴"), ("en", "Strategic partner")):
        app.config["BABEL_DEFAULT_LOCALE"] = language
        with app.app_context(), app.test_request_context():
            assert level.label == label


@pytest.mark.parametrize("name", ["li", "wang", "chen"])
def test_only_who_holds_the_right_opens_the_dictionary(request, sign_in, name):
    browser = sign_in(request.getfixturevalue(name))
    assert browser.get("/dictionary/list/").status_code == 403
    assert browser.post("/dictionary/add", {"type": "region", "label_zh": "西藏", "label_en": "T"}).status_code == 403
    assert rows(DictionaryItem, DictionaryItem.label_zh == "西藏") == []
