"""Accounts made without a page: the first administrator, the command line, demo data."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from flask_appbuilder.security.sqla.models import Role, User

from app.core.errors import BusinessError
from app.core.sentences import gettext as _
from app.extensions import db
from app.security import operations
from app.security.models import RoleProfile, Team
from app.security.passwords import generate_password
from app.security.roles import SUPER_ADMIN


def roles_by_code(codes: Iterable[str]) -> list[Role]:
    """The seeded roles with these codes, whatever they are called now. Raises `BusinessError` for an unknown one."""
    found = []
    for code in codes:
        role = db.session.execute(
            sa.select(Role).join(RoleProfile, RoleProfile.role_id == Role.id).where(RoleProfile.code == code)
        ).scalar_one_or_none()
        if role is None:
            raise BusinessError(_("There is no role with the code “%(code)s”.", code=code))
        found.append(role)
    return found


def check_new(account: str, *, email: str | None, roles: Iterable[str]) -> None:
    """Whether such an account can be made, but for its password. Raises `BusinessError`. Reads only."""
    roles_by_code(roles)
    operations.check_account(account, email or f"{account}@liuke.invalid")


def create_user(
    account: str,
    *,
    last_name: str,
    first_name: str,
    roles: Iterable[str],
    password: str | None = None,
    hashed: str | None = None,
    email: str | None = None,
    phone: str | None = None,
    team: Team | None = None,
    language: str | None = None,
) -> User:
    """Make an account with seeded roles, named by code; the system does it. Flushes; the caller commits.

    Give `password` (the rule applies) or `hashed`. Without an e-mail address the account gets one that goes nowhere.
    """
    return operations.create_user(
        actor=None,
        account=account,
        last_name=last_name,
        first_name=first_name,
        email=email or f"{account}@liuke.invalid",
        roles=roles_by_code(roles),
        password=password,
        hashed=hashed,
        phone=phone,
        team=team,
        language=language,
    )


def create_admin(account: str = "admin") -> tuple[str, str]:
    """The first super admin of an empty database: (account, password); the password is shown once and kept nowhere.

    Raises `BusinessError` when the account exists. Flushes; the caller commits.
    """
    password = generate_password()
    create_user(account, last_name="Admin", first_name="Super", roles=[SUPER_ADMIN], password=password)
    return account, password


def find_user(account: str) -> User:
    """The account of this name, upper or lower case. Raises `BusinessError` when there is none."""
    found = db.session.execute(sa.select(User).where(sa.func.lower(User.username) == account.lower())).scalars().first()
    if found is None:
        raise BusinessError(_("There is no account “%(name)s”.", name=account))
    return found
