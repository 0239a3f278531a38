"""Which people, teams and roles may be seen and chosen."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import Role, User

from app.core.choosing import Choices
from app.core.scope import row_id, scope_for
from app.extensions import db
from app.security.models import Team
from app.security.rights import holders, holds

AllUsers = scope_for(User)
AllTeams = scope_for(Team)
AllRoles = scope_for(Role)

_BY_NAME = (User.last_name, User.first_name, User.id)
SEARCHED_NAMES = (User.last_name + User.first_name, User.first_name + " " + User.last_name, User.username)


def active_users() -> Choices:
    """Everybody who may sign in."""
    return Choices(User, where=lambda: User.active.is_(True), search=SEARCHED_NAMES, order=_BY_NAME)


class PeopleWho(Choices):
    """Active people who hold `right` on `view`."""

    def __init__(self, right: str, view: str) -> None:
        super().__init__(User, where=lambda: User.id.in_(holders(right, view)), search=SEARCHED_NAMES, order=_BY_NAME)
        self.right, self.view = right, view

    def find(self, pk: Any) -> User | None:
        """One person's rights are a shorter question than everybody's."""
        number = row_id(pk)
        person = db.session.get(User, number) if number else None
        return person if holds(person, self.right, self.view) else None


def account_managers() -> Choices:
    """Active people who may be given customers and opportunities (right can_be_assigned)."""
    return PeopleWho("can_be_assigned", "Customer")


def teams() -> Choices:
    """All teams."""
    return Choices(Team, where=sa.true, search=(Team.name,), order=(Team.name, Team.id), remote=False)


def all_users() -> Choices:
    """Everybody who ever had an account: for looking into the past."""
    return Choices(User, where=sa.true, search=SEARCHED_NAMES, order=_BY_NAME)


def all_roles() -> Choices:
    """Every role."""
    return Choices(Role, where=sa.true, search=(Role.name,), order=(Role.id,), remote=False)
