"""Which people, teams and roles may be seen and chosen."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import Role, User
from sqlalchemy.orm import load_only

from app.core.choosing import PAGE, Choices
from app.core.scope import row_id, scope_for
from app.core.text import fold, search_key
from app.extensions import db
from app.security.models import Team
from app.security.rights import holders, holds, person

AllUsers = scope_for(User)
AllTeams = scope_for(Team)
AllRoles = scope_for(Role)

SEARCHED_NAMES = (User.last_name + User.first_name, User.first_name + " " + User.last_name, User.username)


class People(Choices):
    """People by name, pinyin, initials or account.

    A company has some hundreds of them at most, so nobody keeps their keys: whoever is asked for is looked for among
    all, in one statement.
    """

    def __init__(self, where: Callable[[], sa.ColumnElement[bool]]) -> None:
        super().__init__(User, where=where, search=SEARCHED_NAMES, order=(User.last_name, User.first_name, User.id))

    def page(self, term: str, page: int) -> tuple[list[Any], bool]:
        """One page of people whose names hold `term`, and whether there are more."""
        wanted = fold(term)
        if not wanted:
            return super().page("", page)
        names = load_only(User.first_name, User.last_name, User.username)
        everybody = db.session.execute(self._select().options(names).order_by(*self.order)).scalars()
        found = [p for p in everybody if wanted in _key(p.first_name or "", p.last_name or "", p.username)]
        return found[page * PAGE : (page + 1) * PAGE], len(found) > (page + 1) * PAGE


@lru_cache(maxsize=2000)
def _key(given: str, family: str, account: str) -> str:
    """What a search box matches of a person: 林晓雯, linxiaowen, lxw, and the names as a Westerner writes them."""
    return search_key(family + given, number=f"{given} {family} {account}")


def active_users() -> Choices:
    """Everybody who may sign in."""
    return People(lambda: User.active.is_(True))


class PeopleWho(People):
    """Active people who hold `right` on `view`."""

    def __init__(self, right: str, view: str) -> None:
        super().__init__(lambda: User.id.in_(holders(right, view)))
        self.right, self.view = right, view

    def find(self, pk: Any) -> User | None:
        """One person's rights are a shorter question than everybody's."""
        number = row_id(pk)
        found = person(number) if number else None
        return found if holds(found, self.right, self.view) else None


def account_managers() -> Choices:
    """Active people who may be given customers and opportunities (right can_be_assigned)."""
    return PeopleWho("can_be_assigned", "Customer")


def teams() -> Choices:
    """All teams."""
    return Choices(Team, where=sa.true, search=(Team.name,), order=(Team.name, Team.id), remote=False)


def all_users() -> Choices:
    """Everybody who ever had an account: for looking into the past."""
    return People(sa.true)


def all_roles() -> Choices:
    """Every role."""
    return Choices(Role, where=sa.true, search=(Role.name,), order=(Role.id,), remote=False)
