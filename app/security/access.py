"""Which people, teams and roles may be seen and chosen."""

from __future__ import annotations

import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import Role, User

from app.core.choosing import Choices
from app.core.scope import scope_for
from app.security.models import Team
from app.security.rights import holders

AllUsers = scope_for(User)
AllTeams = scope_for(Team)
AllRoles = scope_for(Role)

_BY_NAME = (User.last_name, User.first_name, User.id)
SEARCHED_NAMES = (User.last_name + User.first_name, User.first_name + " " + User.last_name, User.username)


def active_users() -> Choices:
    """Everybody who may sign in."""
    return Choices(User, where=lambda: User.active.is_(True), search=SEARCHED_NAMES, order=_BY_NAME)


def people_who(right: str, view: str) -> Choices:
    """Active people who hold `right` on `view`."""
    return Choices(User, where=lambda: User.id.in_(holders(right, view)), search=SEARCHED_NAMES, order=_BY_NAME)


def account_managers() -> Choices:
    """Active people who may be given customers and opportunities (right can_be_assigned)."""
    return people_who("can_be_assigned", "Customer")


def teams() -> Choices:
    """All teams."""
    return Choices(Team, where=sa.true, search=(Team.name,), order=(Team.name, Team.id), remote=False)


def all_users() -> Choices:
    """Everybody who ever had an account: for looking into the past."""
    return Choices(User, where=sa.true, search=SEARCHED_NAMES, order=_BY_NAME)


def all_roles() -> Choices:
    """Every role."""
    return Choices(Role, where=sa.true, search=(Role.name,), order=(Role.id,), remote=False)
