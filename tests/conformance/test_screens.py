"""Every generated screen says what it shows, to whom, in which order; nothing is left to the framework's guesses."""

from __future__ import annotations

import sqlalchemy as sa
from flask_babel.speaklater import LazyString

from app.core.scope import RowScope
from tests.conformance.house import arrows, screens

SET_BY_THE_SERVER = {
    "number", "version", "created_at", "created_by", "changed_at", "changed_by", "deleted_at", "assigned_at",
    "assigned_by", "closed_at", "closed_by", "executed_at", "executed_by", "handled_at", "handled_by", "archived_at",
    "lost_at", "resolved_at", "times_returned", "search_key", "name_key",
}  # fmt: skip


def columns_named(view):
    """Every column a screen names, each once."""
    return dict.fromkeys(
        [*view.list_columns, *view.show_columns, *view.search_columns, *view.add_columns, *view.edit_columns,
         *(column for column in view.order_columns if column != "id")]
    )  # fmt: skip


def test_every_screen_has_the_scope_of_its_model(app):
    wrong = [
        view.endpoint
        for view in screens(app)
        if not (issubclass(view.scope, RowScope) and view.scope.rows is view.datamodel.obj)
    ]
    assert wrong == []


def test_every_page_of_a_screen_has_a_translated_title(app):
    wrong = [
        f"{view.endpoint}.{page}_title"
        for view in screens(app)
        for page in ("list", "show", "add", "edit")
        if page not in view.exclude_route_methods
        and (page in ("list", "show") or getattr(view, f"{page}_columns"))
        and not isinstance(getattr(view, f"{page}_title"), LazyString)
    ]
    assert wrong == []


def test_every_column_that_is_named_has_a_translated_label(app):
    wrong = [
        f"{view.endpoint}: {column}"
        for view in screens(app)
        for column in columns_named(view)
        if not isinstance(view.label_columns.get(column), LazyString)
    ]
    assert wrong == []


def test_every_list_has_an_order_people_may_choose_too(app):
    """The order of entering (the id) needs no heading to click on."""
    wrong = [
        f"{view.endpoint}: {view.base_order}"
        for view in screens(app)
        if view.base_order[0] not in (*view.order_columns, "id") or view.base_order[1] not in ("asc", "desc")
    ]
    assert wrong == []


def test_lists_sort_by_indexed_columns_only(app):
    wrong = []
    for view in screens(app):
        table = sa.inspect(view.datamodel.obj).local_table
        first = {next(iter(index.columns)).name for index in table.indexes if index.columns}
        first |= {next(iter(c.columns)).name for c in table.constraints if isinstance(c, sa.UniqueConstraint)}
        first |= {next(iter(table.primary_key.columns)).name}
        for name in {*view.order_columns, view.base_order[0]}:
            column = getattr(view.datamodel.obj, name).property.columns[0]
            if column.table is table and column.name not in first and not column.unique:
                wrong.append(f"{view.endpoint}: {name}")
    assert wrong == []


def test_filters_are_chosen_by_hand_and_exist(app):
    wrong = [
        f"{view.endpoint}: {column}"
        for view in screens(app)
        for column in view.search_columns
        if not hasattr(view.datamodel.obj, column)
    ]
    assert wrong == []


def test_no_screen_uses_the_frameworks_actions(app):
    """They ignore the row scope (Flask-AppBuilder hands them any row)."""
    wrong = [view.endpoint for view in screens(app) if getattr(view, "actions", None)]
    wrong += [str(rule) for rule in app.url_map.iter_rules() if rule.endpoint.endswith((".action", ".action_post"))]
    assert wrong == []


def test_a_state_is_changed_by_steps_never_by_a_form(app):
    moved = {arrow.model for arrow in arrows()}
    wrong = [
        view.endpoint
        for view in screens(app)
        if view.datamodel.obj in moved and "status" in {*view.add_columns, *view.edit_columns}
    ]
    assert wrong == []


def test_what_the_server_decides_is_in_no_form(app):
    wrong = [
        f"{view.endpoint}: {column}"
        for view in screens(app)
        for column in {*view.add_columns, *view.edit_columns}
        if column.removesuffix("_id") in SET_BY_THE_SERVER
    ]
    assert wrong == []


def test_the_rights_of_a_screen_are_named_after_its_model_and_its_address_is_its_own(app):
    bases = [view.route_base for view in screens(app)]
    assert sorted(bases) == sorted(set(bases))
    wrong = [
        v.endpoint for v in screens(app) if not v.class_permission_name or v.class_permission_name.endswith("View")
    ]
    assert wrong == []


def test_every_choice_has_a_translated_label():
    from app.core.choices import Choice

    def below(kind):
        for child in kind.__subclasses__():
            yield child
            yield from below(child)

    wrong = [
        f"{choice.__name__}.{member.name}"
        for choice in below(Choice)
        for member in choice
        if not isinstance(member.label, LazyString)
        or member.value != member.name
        or member.tone not in ("ok", "warn", "bad", "hold", "mute", "brand")
    ]
    assert wrong == []


def test_every_menu_entry_has_a_label_and_an_icon(app):
    wrong = [
        item.name
        for group in app.appbuilder.menu.get_list()
        for item in (group.childs or [group])
        if not isinstance(item.label, LazyString) or not item.icon
    ]
    assert wrong == []
