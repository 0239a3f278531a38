"""谁能看到: who can see one record, and why. Reads only.

Nothing is worked out again here: the record is looked for as each person would, by the scope of its screen, with all of
his rights and with fewer of them. What makes the difference is the reason.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from flask import g
from flask_appbuilder.security.sqla.models import Permission, PermissionView, Role, User, ViewMenu
from flask_appbuilder.security.sqla.models import assoc_permissionview_role as granted
from flask_babel import gettext as _
from sqlalchemy.orm import joinedload

from app.core.format import listed
from app.core.protected import KINDS
from app.extensions import db
from app.security.labels import FIELDS, right_label, view_label
from app.security.models import RoleProfile
from app.security.queries import held_roles, narrow_rows
from app.security.rights import rights_of

WIDEN = ("can_see_all", "can_search_archive", "can_act_for_absent")  # rights that show more rows than one's own
OWNERS = ("owner", "assignee", "created_by", "accepted_by", "to")  # relations that make a record somebody's
PARENTS = ("customer", "opportunity", "ticket", "case", "order", "handover")  # relations whose owner counts for a row


@dataclass(frozen=True)
class Sight:
    """Whether one person sees the record, the sentences that say why (not), and what of it he sees masked."""

    user: User
    sees: bool
    why: list[str]
    masked: str = ""


def who_sees(view: Any, record: Any, labels: Any) -> list[Sight]:
    """Everybody with an account, those who see the record first. `labels` gives a table's screen, for field names."""
    people = db.session.execute(sa.select(User).order_by(User.last_name, User.first_name, User.id)).scalars().all()
    roles = _roles_by_right()
    found = [_sight(person, view, record, roles, labels) for person in people]
    return sorted(found, key=lambda sight: (not sight.sees, not sight.user.active))


def _sight(person: User, view: Any, record: Any, roles: Any, labels: Any) -> Sight:
    screen = view.class_permission_name
    opens = next((r for r in ("can_show", "can_list") if r in view.base_permissions), "can_list")
    if not person.active:
        return Sight(person, False, [_("The account is disabled.")])
    held = rights_of(person.id)
    if (opens, screen) not in held:
        return Sight(person, False, [_("No role of theirs opens “%(screen)s”.", screen=view_label(screen))])
    by = listed(roles[person.id][(opens, screen)])
    why = [_("“%(screen)s” is opened by: %(roles)s", screen=view_label(screen), roles=by)]
    if not _finds(person, view, record, held):
        rows = narrow_rows(screen, any(r == "can_see_all" for r in view.base_permissions)) or _("All")
        return Sight(person, False, [*why, _("The record is not among the rows they see: %(rows)s", rows=rows)])
    wide = {(right, of) for right, of in held if right in WIDEN}
    if _finds(person, view, record, held - wide):
        own = _own(person, view, record, labels)
        rows = narrow_rows(screen, any(r == "can_see_all" for r in view.base_permissions)) or _("All")
        why += [_("It is theirs: %(field)s", field=own)] if own else [_("Rows they see there: %(rows)s", rows=rows)]
    else:
        for right, of in sorted(wide):
            if _finds(person, view, record, held - wide | {(right, of)}):
                words = f"{view_label(of)}: {right_label(right, of)}"
                why.append(_("%(right)s, by: %(roles)s", right=words, roles=listed(roles[person.id][(right, of)])))
    return Sight(person, True, why, _masked(person, view, record))


def _finds(person: User, view: Any, record: Any, rights: frozenset[tuple[str, str]]) -> bool:
    with _as(person, rights):
        return view.scope.find(record.id) is not None


def _masked(person: User, view: Any, record: Any) -> str:
    """The names of the protected fields that this person sees masked."""
    with _as(person, rights_of(person.id)):
        hidden = {view.protects(c) for c in view.show_columns if not view.sees_field(c, record)}
    return listed(FIELDS[kind] for kind in KINDS if kind in hidden)


@contextmanager
def _as(person: User, rights: frozenset[tuple[str, str]]) -> Iterator[None]:
    """Look as this person does, as if he held exactly these rights."""
    before, kept = g.user, g.setdefault("rights", {})
    known = kept.get(person.id)
    g.user, kept[person.id] = person, rights
    try:
        yield
    finally:
        g.user = before
        kept.pop(person.id) if known is None else kept.update({person.id: known})


def _own(person: User, view: Any, record: Any, labels: Any) -> str:
    """By which fields the record, or what it hangs on, is this person's: "Account manager"."""
    fields = _naming(person, view, record)
    for name in PARENTS:
        parent = getattr(record, name, None)
        screen = labels(parent.__tablename__) if parent is not None else None
        if screen is not None:
            fields += [f"{screen.show_title} · {field}" for field in _naming(person, screen, parent)]
    return listed(dict.fromkeys(fields))


def _naming(person: User, view: Any, record: Any) -> list[str]:
    return [
        str(view.label_columns[relation.key])
        for relation in sa.inspect(type(record)).relationships
        if relation.key in OWNERS and relation.key in (*view.list_columns, *view.show_columns)
        if getattr(record, relation.key) is person
    ]


def _roles_by_right() -> dict[int, dict[tuple[str, str], list[str]]]:
    """User id -> right -> the active roles that give it to him, as people read them."""
    held = held_roles().subquery()
    disabled = sa.select(RoleProfile.role_id).where(~RoleProfile.active)
    roles = {r.id: str(r) for r in db.session.execute(sa.select(Role).options(joinedload(Role.profile))).scalars()}
    found: dict[int, dict[tuple[str, str], list[str]]] = defaultdict(lambda: defaultdict(list))
    for user_id, role_id, permission, screen in db.session.execute(
        sa.select(held.c.user_id, held.c.role_id, Permission.name, ViewMenu.name)
        .join(granted, granted.c.role_id == held.c.role_id)
        .join(PermissionView, PermissionView.id == granted.c.permission_view_id)
        .join(Permission, Permission.id == PermissionView.permission_id)
        .join(ViewMenu, ViewMenu.id == PermissionView.view_menu_id)
        .where(held.c.role_id.not_in(disabled), Permission.name.in_(("can_show", "can_list", *WIDEN)))
        .order_by(held.c.role_id)
    ):
        found[user_id][(permission, screen)].append(roles[role_id])
    return found
