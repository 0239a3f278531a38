"""The people of the demo company: who signs in, who leads whom, and who looks after which region."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa
from flask import current_app
from flask_appbuilder.security.sqla.models import Role, User

from app.core.language import chinese
from app.extensions import db
from app.security import operations as security
from app.security.models import RoleProfile, Team
from app.security.roles import ROLES

PASSWORD = "bright-lantern-28"  # noqa: S105 - of everybody in the demo company, and documented


class Account(NamedTuple):
    """How somebody of the demo company signs in."""

    name: str
    password: str
    who: str


class Colleague(NamedTuple):
    """Somebody of the demo company."""

    account: str
    family: str
    given: str
    role: str
    team: int | None = None
    language: str | None = None
    absent: bool = False


STAFF = (
    Colleague("admin", "陈", "志远", "super_admin"),
    Colleague("sunwei", "孙", "伟", "system_admin"),
    Colleague("lijianguo", "李", "建国", "sales_lead", 0),
    Colleague("emmaclark", "Clark", "Emma", "sales_lead", 1, "en"),
    Colleague("wangxiaowen", "王", "晓雯", "account_manager", 0),
    Colleague("zhaoyiming", "赵", "一鸣", "account_manager", 0),
    Colleague("hejiahao", "何", "嘉豪", "account_manager", 1),
    Colleague("annali", "Li", "Anna", "account_manager", 1, "en"),
    Colleague("zhouming", "周", "明", "executive"),
    Colleague("wulei", "吴", "磊", "account_manager", 0, absent=True),
)
TEAMS = (("国内销售一组", "lijianguo"), ("华南与海外组", "emmaclark"))
MANAGERS = ("wangxiaowen", "zhaoyiming", "hejiahao", "annali")
LOOKS_AFTER = {
    "east": "wangxiaowen", "shanghai": "wangxiaowen", "beijing": "zhaoyiming", "hebei": "zhaoyiming",
    "northeast": "zhaoyiming", "northwest": "zhaoyiming", "central_south": "hejiahao", "south": "hejiahao",
    "southwest": "hejiahao", "overseas": "annali",
}  # fmt: skip


def accounts() -> tuple[Account, ...]:
    """Everybody who signs in, with the role as the reader calls it."""
    labels = {role.code: role.label_zh if chinese() else role.label_en for role in ROLES}
    return tuple(Account(c.account, PASSWORD, labels[c.role]) for c in STAFF if not c.absent)


def make_people() -> dict[str, User]:
    """The accounts and teams of everybody, by account; wulei leaves at the end."""
    known = sa.select(RoleProfile.code, Role).join(Role, Role.id == RoleProfile.role_id)
    roles = {row[0]: row[1] for row in db.session.execute(known)}
    teams = [Team(name=name) for name, _lead in TEAMS]
    db.session.add_all(teams)
    people: dict[str, User] = {}
    # Once for all: it is the same password, everybody knows it, and making it takes a third of a second.
    hashed = current_app.appbuilder.sm.hash_password(PASSWORD)  # type: ignore[attr-defined]
    for number, c in enumerate(STAFF, start=1):
        people[c.account] = security.create_user(
            actor=people.get("admin"),
            account=c.account,
            last_name=c.family,
            first_name=c.given,
            email=f"{c.account}@example.com",
            roles=[roles[c.role]],
            hashed=hashed,
            phone=f"100 0555 {number:04d}",
            team=teams[c.team] if c.team is not None else None,
            language=c.language,
        )
    for team, (_name, lead) in zip(teams, TEAMS, strict=True):
        team.lead = people[lead]
    return people
